"""Reading .srt and .vtt files, also damaged ones.

By own code: the libraries drop what stands before the first times that they know, take names of cues and notes for
speech, and know one spelling of times. No spoken word is lost here. Where speech and decoration cannot be told apart,
the text stays.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from html import unescape
from itertools import groupby

from plugins.base import PluginError
from plugins.videos.subtitles import Cue


@dataclass(frozen=True)
class Subtitles:
    """What a subtitle file holds.

    :param form: ``srt`` or ``vtt``
    :param language: as the file names it, or empty
    :param damaged: how many cues have times that cannot be read, see :func:`read_subtitles`
    """

    form: str
    language: str
    cues: list[Cue]
    damaged: int


_TIME = r"(?:\d{1,4}:)?\d{1,2}:\d{2}[.,]\d{1,3}(?!\d)"
_TIMING = re.compile(rf"{_TIME}\s*-->\s*{_TIME}")
_TIMING_LINE = re.compile(rf"[\[(]?({_TIME})\s*-->\s*({_TIME})[\])]?")
_TWO_TIMES = re.compile(rf"({_TIME})[ ,;–—-]*({_TIME})")
_SIDE = r"((?:NaN|[\d:：.,;，．?*_#xXoOlI −–—-]){0,40}?)"
_LIKE_A_TIMING = re.compile(rf"{_SIDE}\s*(?:[-–—−]{{1,3}} ?(?:>|&gt;)|→)\s*{_SIDE}")
_CLOCK = re.compile(r"(?:(\d{1,4})[:：])?(\d{1,3})[:：](\d{1,2})(?:[.,:;，．](\d{1,9}))?")
_SETTING = re.compile(r"\b(?:(?:align|position|line|size|vertical|region):\S*|[XY][12]:\d+)")
_ASIDE = re.compile(r"(?:\A|\n\n)(?:NOTE(?: .*)?|STYLE|REGION)(?:\n.+)*(?=\n\n|\Z)")
_HEADER = re.compile(r"\AWEBVTT.*(?:\n(?!.*-->).+)*")
_LANGUAGE = re.compile(r"\AWEBVTT.*(?:\n.+)*?\nLanguage: *([A-Za-z][\w-]*)")
_WORD_TIME = re.compile(rf"<{_TIME}>")
_POSITION = re.compile(r"\{\\[^{}\n]*\}")
_TAG = re.compile(r"</?(?:[bicusvp]|font|span|ruby|rt|lang|em|strong|div)(?:[.\s][^<>]*)?>", re.I)
_BREAK = re.compile(r"<br\s*/?>", re.I)
_ENTITY = re.compile(r"&(?:#\d{1,7}|#x[0-9a-f]{1,6}|[a-z]{2,8});", re.I)


def is_subtitles(text: str) -> bool:
    """Whether *text* is a subtitle file, whatever its name."""
    return text.lstrip("\ufeff \n").startswith("WEBVTT") or bool(_TIMING.search(text))


def read_subtitles(text: str) -> Subtitles:
    """The cues of an .srt or .vtt file.

    Cues whose start cannot be read lie between their neighbours in the file, the first ones from 0 on; several share
    that gap equally. One whose end cannot be read ends when it begins. Of a cue that runs backwards the time counts
    that is in order with the next cue.

    :raises PluginError: ``corrupt`` when no time can be read
    """
    text = _tight(text)
    form = "vtt" if text.startswith("WEBVTT") else "srt"
    language = _LANGUAGE.match(text)
    found = _forward(_shown(text, form))
    if all(shown.start is None and shown.end is None for shown in found):
        raise PluginError(
            "corrupt",
            "The file holds no subtitles that can be read.",
            hint="Open it in a video player or in a subtitle editor, and save it again as .srt or .vtt.",
        )
    damaged = sum(shown.start is None or shown.end is None for shown in found)
    return Subtitles(form, language[1] if language else "", _placed(found), damaged)


def _tight(text: str) -> str:
    """Without blanks around lines, and with one empty line at most between two."""
    lines = [line.strip() for line in text.lstrip("\ufeff").split("\n")]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines).strip("\n"))


@dataclass
class _Shown:
    """A cue as the file has it. What stands before the first times is one too, and so is one that has lost its times.

    :param timed: whether a line of times, readable or not, begins it
    :param number: its counter in an .srt file
    """

    start: float | None = None
    end: float | None = None
    lines: list[str] = field(default_factory=list)
    timed: bool = False
    number: int | None = None

    def begins_block(self, place: int) -> bool:
        """Whether an empty line, or the start of the file, is before the line at *place*."""
        return not self.lines[place - 1] if place else not self.timed

    @property
    def text(self) -> str:
        return _plain("\n".join(self.lines).strip())


def _shown(text: str, form: str) -> list[_Shown]:
    text = _WORD_TIME.sub("", text)
    if form == "vtt":
        text = _ASIDE.sub("", _HEADER.sub("", text))
    found, due = [_Shown()], 1  # the counter that the next cue should have
    for line in text.strip("\n").split("\n"):
        last = found[-1]
        named = _name_length(last, form, due)
        is_due = bool(named) or (not last.lines[-1] if last.lines else not last.timed)
        if (times := _times(line, is_due)) is None:
            last.lines.append(line)
            continue
        name = last.lines[len(last.lines) - named] if named else ""
        del last.lines[len(last.lines) - named :]
        start, end, beside = times
        number = int(name) if name and form == "srt" else None
        due = due if number is None else number + 1
        found.append(_Shown(start, end, [beside] if beside else [], timed=True, number=number))
    pairs = zip(found, [*found[1:], _Shown()], strict=True)
    parts = [part for shown, following in pairs for part in _at_lost_times(shown, following.number)]
    return [part for part in parts if part.timed or part.text]


def _name_length(shown: _Shown, form: str, due: int) -> int:
    """How many of the last lines are the name or the counter of the cue that would follow."""
    place = len(shown.lines) - 1
    if place < 0:
        return 0
    if form == "vtt":
        return int(bool(shown.lines[place]) and shown.begins_block(place))
    if place and not shown.lines[place] and shown.lines[place - 1] == str(due) and shown.begins_block(place - 1):
        return 2  # an empty line after every line
    is_counter = _is_counter(shown.lines[place])
    return int(is_counter and (shown.begins_block(place) or int(shown.lines[place]) == due))


def _is_counter(line: str) -> bool:
    return line.isdecimal() and len(line) < 9


def _times(line: str, is_due: bool) -> tuple[float | None, float | None, str] | None:
    """Start and end in seconds, where they can be read, and the text beside them; None for any other line.

    :param is_due: whether the place is one for times. Elsewhere only the proper form counts, since people may speak
        of times too
    """
    if found := _TIMING_LINE.match(line):
        return _seconds(found[1]), _seconds(found[2]), _SETTING.sub("", line[found.end() :]).strip()
    if not is_due:
        return None
    bare = _SETTING.sub("", line).strip(" []()")
    found = _TWO_TIMES.fullmatch(bare) or _LIKE_A_TIMING.fullmatch(bare)
    if found is None or (any(found.groups()) and not re.search("[:：]", found[0])):
        return None
    return _seconds(found[1]), _seconds(found[2]), ""


def _seconds(time: str) -> float | None:
    found = _CLOCK.fullmatch(time.replace(" ", ""))
    if found is None:
        return None
    hours, minutes, seconds, fraction = found.groups("0")
    whole = int(hours) * 3600 + int(minutes) * 60 + int(seconds)
    return (whole * 1000 + round(float(f"0.{fraction}") * 1000)) / 1000


def _at_lost_times(shown: _Shown, following: int | None) -> Iterator[_Shown]:
    """The cue, and those after it whose line of times is lost: the counters that are missing stand in its text."""
    counted = shown.number is not None or not shown.timed
    missing = range(0 if shown.number is None else shown.number + 1, following or 0) if counted else range(0)
    part = replace(shown, lines=[])
    for place, line in enumerate(shown.lines):
        if _is_counter(line) and int(line) in missing and shown.begins_block(place):
            yield part
            part, missing = _Shown(), range(int(line) + 1, missing.stop)
        else:
            part.lines.append(line)
    yield part


def _forward(found: list[_Shown]) -> list[_Shown]:
    """Without the wrong time of each cue that ends before it begins."""
    limit = float("inf")  # the start of the next cue
    straight: list[_Shown] = []
    for shown in reversed(found):
        if shown.start is not None and shown.end is not None and shown.end < shown.start:
            shown = replace(shown, start=None) if shown.start > limit else replace(shown, end=None)
        limit = limit if shown.start is None else shown.start
        straight.append(shown)
    return straight[::-1]


def _placed(found: list[_Shown]) -> list[Cue]:
    """All with times, as :func:`read_subtitles` says."""
    cues: list[Cue] = []
    groups = [list(group) for _, group in groupby(found, key=lambda shown: shown.start is None)]
    for group, following in zip(groups, [*groups[1:], [_Shown()]], strict=True):
        if group[0].start is None:
            cues += _between(group, cues[-1] if cues else Cue(0.0, 0.0, ""), following[0].start)
        else:
            cues += [Cue(shown.start or 0.0, shown.end or shown.start or 0.0, shown.text) for shown in group]
    return cues


def _between(lost: list[_Shown], before: Cue, after: float | None) -> Iterator[Cue]:
    """Those whose start is lost, in the gap between the cue before and the moment *after*, if there is one."""
    known = [shown.end for shown in lost if shown.end is not None]
    until = max([before.end, *known]) if after is None else after
    # captions may stay on the screen while the next ones come
    left = max(before.start, min(before.end, until))
    share = max(until - left, 0.0) / len(lost)
    for number, shown in enumerate(lost):
        start, end = left + number * share, left + (number + 1) * share
        yield Cue(start, end if shown.end is None else max(start, min(shown.end, until)), shown.text)


def _plain(text: str) -> str:
    """The words of a cue, one line of the screen a line."""
    text = _TAG.sub("", _BREAK.sub("\n", _POSITION.sub("", text)))
    return _ENTITY.sub(lambda found: unescape(found[0]), text)
