"""Captions: reading .srt and .vtt, cleaning what is no speech, and grouping what is into passages of some duration.

The one promise throughout: no spoken word is lost. Where speech and decoration cannot be told apart, the text stays.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from html import unescape
from itertools import groupby, pairwise

import pysubs2
from pysubs2.formats.webvtt import WebVTTFormat

from plugins.base import PluginError
from plugins.chunking import SplitOptions, split

MAX_CHARACTERS = 20_000  # of a passage, about half an hour of speech; embedding vendors take little more at once
# Stand for what pysubs2 would not take for text. Both are private characters, which no captions have.
_BACKSLASH, _COLON = "\ue000", "\ue001"


@dataclass(frozen=True, slots=True)
class Cue:
    """Words that are shown together.

    :param start: in seconds, as is *end*
    :param original: the text as it came, before it was cleaned
    """

    start: float
    end: float
    text: str
    original: str = ""


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


# -- Reading files ----------------------------------------------------------------------------------

_TIME = r"(?:\d{1,4}:)?\d{1,2}:\d{2}[.,]\d{1,3}"
_ANY_TIME = r"(?:\d{1,4}:\d{1,2}:\d{1,2}(?:[.,:]\d{1,9})?|\d{1,2}:\d{1,2}[.,]\d{1,9})"  # last comes a number of frames
_TIMING = re.compile(rf"({_ANY_TIME})\s*-->\s*({_ANY_TIME})")
_FRAMES = 25  # a second, where times count them
_LAST_TIME = 10_000 * 3_600_000 - 1  # in milliseconds; pysubs2 reads four digits of hours
_LOST = "0: -->"
_DAMAGED = re.compile(r"\d+:[^\s>]{0,12}\s*-->\s*\S*")  # begins like one
_SETTING = re.compile(r"\b(?:align|line|position|size|vertical|region|[ADLST]|[XY][12]):\s*\S+")
_SPOKEN = re.compile(r"[^\W\d_]")
_HEADER = re.compile(r"\AWEBVTT.*(?:\n(?!.*-->).+)*")
_ASIDE = re.compile(r"(?:\A|\n\n)(?:NOTE(?: .*)?|STYLE|REGION)(?:\n.+)*(?=\n\n|\Z)")
_LANGUAGE = re.compile(r"\AWEBVTT.*(?:\n.+)*?\nLanguage: *([A-Za-z][\w-]*)")
_COUNTER = {
    "vtt": re.compile(rf"(?:\A|\n\n)(?:(?!.*-->).+\n)?(?={_TIME}\s*-->)"),  # or a name
    "srt": re.compile(rf"(?:\A|\n\n)(?:\d+\n)?(?={_TIME}\s*-->)"),
}
_WORD_TIME = re.compile(rf"<{_TIME}>")
_POSITION = re.compile(rf"\{{{_BACKSLASH}[^{{}}\n]*\}}")
_TAG = re.compile(r"</?(?:[bicusvp]|font|span|ruby|rt|lang|em|strong|div)(?:[.\s][^<>]*)?>", re.I)
_BREAK = re.compile(r"<br\s*/?>", re.I)
_ENTITY = re.compile(r"&(?:#\d{1,7}|#x[0-9a-f]{1,6}|[a-z]{2,8});", re.I)


def is_subtitles(text: str) -> bool:
    """Whether *text* is a subtitle file, whatever its name."""
    return text.lstrip("\ufeff \n").startswith("WEBVTT") or bool(_TIMING.search(text))


def read_subtitles(text: str) -> Subtitles:
    """The cues of an .srt or .vtt file.

    Times without milliseconds, or with frames in their place, are read too. Damaged ones count only where a cue may
    begin, behind an empty line. Such cues share the gap between their neighbours in the file, the first ones from 0 on;
    after the last readable one they have its end. So does what stands before the first times at all.

    :raises PluginError: ``corrupt`` when there are none
    """
    text = _tight(text)
    form = "vtt" if text.startswith("WEBVTT") else "srt"
    language = _LANGUAGE.match(text)
    prepared, damaged = _prepared(text, form)
    # Tags are kept, because pysubs2 would also take words between braces for some.
    events = pysubs2.SSAFile.from_string(prepared, format_="vtt", keep_html_tags=True)
    cues = [Cue(event.start / 1000, max(event.start, event.end) / 1000, _plain(event.text)) for event in events]
    if not cues:
        raise PluginError(
            "corrupt",
            "The file holds no subtitles that can be read.",
            hint="Open it in a video player or in a subtitle editor, and save it again as .srt or .vtt.",
        )
    return Subtitles(form, language[1] if language else "", cues, damaged)


def _tight(text: str) -> str:
    """Without blanks around lines, and with one empty line at most between two."""
    lines = [line.strip() for line in text.lstrip("\ufeff").split("\n")]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines).strip("\n"))


def _prepared(text: str, form: str) -> tuple[str, int]:
    """In a shape that pysubs2 reads without loss, and how many cues have damaged times.

    It takes notes and names of cues for speech, a number at the end of a cue for the counter of the next, and any line
    with two times in it (as words of automatic captions have) for a timing. Cues without readable times it drops, or
    adds to the one before. Of SubRip it reads no more than 99 hours, so all goes to it as WebVTT.
    """
    text = _WORD_TIME.sub("", text).replace("\\", _BACKSLASH)
    if form == "vtt":
        text = _ASIDE.sub("", _HEADER.sub("", text)).lstrip("\n")
    lines = text.split("\n")
    first = min(_found(lines, form), default=0)
    if _SPOKEN.search("\n".join(lines[: max(0, first - 1) if form == "vtt" else first])):  # before is a cue's name
        lines.insert(int(lines[0].isdecimal()), _LOST)
    found = _found(lines, form)
    times = _mended(found)
    kept = "\n".join(
        _timing(line, *times[place]) if place in times else _silent(line) for place, line in enumerate(lines)
    )
    damaged = sum(known is None for known in found.values())
    return f"WEBVTT\n\n{_COUNTER[form].sub(chr(10) * 2 + '0' + chr(10), kept)}\n\n0\n", damaged


def _found(lines: list[str], form: str) -> dict[int, tuple[int, int] | None]:
    """Start and end of the cues, in milliseconds, by the number of their line; None where they cannot be read."""
    found: dict[int, tuple[int, int] | None] = {}
    for place, line in enumerate(lines):
        begins = _may_begin(lines, place, form)
        timing = _TIMING.match(line)
        if timing and (begins or not _words_behind(timing)):
            found[place] = _milliseconds(timing[1]), _milliseconds(timing[2])
        elif begins and (lost := _DAMAGED.match(line)) and not _words_behind(lost):
            found[place] = None
    return found


def _may_begin(lines: list[str], place: int, form: str) -> bool:
    """Whether a cue may begin here: behind an empty line, with its counter between, or with its name."""
    if place == 0 or not lines[place - 1]:
        return True
    before = lines[place - 1]
    return (place == 1 or not lines[place - 2]) and (before.isdecimal() or (form == "vtt" and "-->" not in before))


def _words_behind(timing: re.Match[str]) -> str:
    rest = timing.string[timing.end() :].strip()
    return rest if re.search(r"\w", _SETTING.sub("", rest)) else ""


def _mended(found: dict[int, tuple[int, int] | None]) -> dict[int, tuple[int, int]]:
    """With times in place of those that cannot be read."""
    groups = [list(group) for _, group in groupby(found.items(), key=lambda cue: cue[1] is None)]
    mended, ended = dict[int, tuple[int, int]](), 0
    for group, following in zip(groups, [*groups[1:], []], strict=False):
        known = {place: times for place, times in group if times}
        behind = next((times[0] for _, times in following if times), ended)
        share = max(0, behind - ended) // len(group)
        lost = {
            place: (ended + share * number, ended + share * (number + 1)) for number, (place, _) in enumerate(group)
        }
        mended |= known or lost
        ended = max(mended[group[-1][0]])
    return mended


def _timing(line: str, start: int, end: int) -> str:
    """The times that *line* stands for, and the words that it holds."""
    timing = _TIMING.match(line)
    words = _words_behind(timing) if timing else ""
    return f"{_clock(start)} --> {_clock(end)}" + (f"\n{_silent(words)}" if words else "")


def _silent(line: str) -> str:
    """A line of text, which is no timing although two times may be in it."""
    return line.replace(":", _COLON) if len(WebVTTFormat.TIMESTAMP.findall(line)) == 2 else line


def _milliseconds(time: str) -> int:
    fields = re.split("[.,:]", time)
    behind = fields.pop() if "." in time or "," in time or len(fields) == 4 else "0"
    seconds = 0
    for number in fields:
        seconds = seconds * 60 + int(number)
    rest = min(999, int(behind) * 1000 // _FRAMES) if time.count(":") == 3 else int(behind[:3].ljust(3, "0"))
    return min(_LAST_TIME, seconds * 1000 + rest)


def _clock(milliseconds: int) -> str:
    seconds, rest = divmod(milliseconds, 1000)
    return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}.{rest:03}"


def _plain(text: str) -> str:
    """The words of a cue, one line of the screen a line."""
    text = _POSITION.sub("", text.replace("\\N", "\n").replace(_COLON, ":"))
    text = _TAG.sub("", _BREAK.sub("\n", text)).replace(_BACKSLASH, "\\")
    return _ENTITY.sub(lambda found: unescape(found[0]), text)


# -- Cleaning ---------------------------------------------------------------------------------------

_BRACKETED = re.compile(r"\[([^\[\]]{0,80})\]|\(([^()]{0,80})\)|【([^【】]{0,80})】|（([^（）]{0,80})）")
_NOTES = re.compile(r"[\u2669-\u266c\U0001f3b5\U0001f3b6\U0001f3bc]+")
# What is heard but not said. A bracket goes only when all of its words are here: a stray noise does less harm than
# lost speech.
_NOISES = frozenset(
    """
    music applause laughter laughs laughing laugh chuckles chuckling chuckle cheering cheers clapping claps silence
    noise noises sound sounds inaudible unintelligible indistinct crosstalk chatter coughs coughing cough sighs sigh
    sneezes gasps groans whistling whistles beep beeps beeping bell rings ringing foreign singing sings
    música musica aplausos risas risa silencio ruido inaudible tos aplauso toses cantando
    musik applaus gelächter lachen lacht stille geräusch geräusche unverständlich räuspern husten
    musique applaudissements rires rire bruit bruits inintelligible toux
    applausi risate risata silenzio rumore rumori colpi tosse incomprensibile
    risos aplauso palmas silêncio ruído inaudível
    muziek gelach stilte muzyka oklaski śmiech hudba potlesk smích zene taps nevetés musiikkia taputusta naurua
    müzik alkış kahkaha tepuk tangan tawa âm nhạc vỗ tay
    музыка аплодисменты смех тишина музика оплески сміх μουσική χειροκρότημα γέλια
    音楽 拍手 笑 笑い 音乐 音樂 掌声 掌聲 笑声 笑聲 음악 박수 웃음 संगीत तालियाँ موسيقى تصفيق ضحك מוזיקה
    """.split()  # noqa: SIM905  (a list of so many would be no easier to read)
)
_BESIDE = frozenset(
    """
    upbeat soft gentle dramatic intro outro opening closing theme background loud light playing plays continues stops
    starts fades piano guitar audience crowd students door phone long short speech and
    de del en el la los las y du des la le les et und im der die das suave dramática fondo público
    """.split()  # noqa: SIM905
)


_SCREEN = 8  # lines; more are never shown at once


def tidy(cues: Iterable[Cue]) -> list[Cue]:
    """In order of time, without noises, without lines that automatic captions show twice, none too long."""
    ordered = sorted(cues, key=lambda cue: cue.start)
    clean = [replace(cue, text=without_noises(cue.text), original=cue.original or cue.text) for cue in ordered]
    told = _unrolled([cue for cue in clean if cue.text])
    return [part for cue in told for part in _parts(replace(cue, text=" ".join(cue.text.split())))]


def without_noises(text: str) -> str:
    """*text* without what is heard but not said, such as ``[Music]``; empty lines go too."""
    text = _NOTES.sub(" ", _BRACKETED.sub(_noise_or_speech, text))
    lines = (" ".join(line.split()) for line in text.split("\n"))
    return "\n".join(line for line in lines if line)


def _noise_or_speech(found: re.Match[str]) -> str:
    inside = next((part for part in found.groups() if part is not None), "")
    words = [word.strip(".,;:!?*-–—_\"'") for word in inside.lower().split()]
    hidden = "_" in inside and not inside.strip(" _\xa0")  # [ __ ] is a word that YouTube hides
    noise = any(word in _NOISES for word in words) and all(word in _NOISES or word in _BESIDE for word in words)
    return " " if hidden or noise else found[0]


def _unrolled(cues: list[Cue]) -> list[Cue]:
    """Without repetitions, when the captions roll: then a cue shows again what the cue before has shown.

    Whether they do is judged by all of them, since people do repeat themselves.
    """
    repeated = [0, *(_repeated(before.text, cue.text) for before, cue in pairwise(cues))]
    growing = sum(0 < count < len(cue.text.split()) for count, cue in zip(repeated, cues, strict=False))
    if growing < 3 or growing * 3 < len(cues):
        return cues
    told: list[Cue] = []
    for cue, count in zip(cues, repeated, strict=True):
        if new := " ".join(cue.text.split()[count:]):
            told.append(replace(cue, text=new))
        elif told:
            told[-1] = replace(told[-1], end=max(told[-1].end, cue.end))
    return told


def _repeated(before: str, now: str) -> int:
    """How many words at the start of *now* are the last lines of *before*; in doubt the fewest."""
    lines, words = before.split("\n")[-_SCREEN:], now.split()
    for first in reversed(range(len(lines))):
        tail = " ".join(lines[first:]).split()
        if words[: len(tail)] == tail:
            return len(tail)
    return 0


def _parts(cue: Cue) -> Iterator[Cue]:
    """The cue; in pieces when it is longer than a passage may be, with times in proportion."""
    if len(cue.text) <= MAX_CHARACTERS:
        yield cue
        return
    pace = (cue.end - cue.start) / len(cue.text)
    for piece in split([cue.text], SplitOptions(MAX_CHARACTERS, 0)):
        start = cue.start + piece.start * pace
        yield Cue(start, start + len(piece.text) * pace, piece.text, piece.text)


# -- Grouping ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Passage:
    """What is said between two moments, in seconds."""

    start: float
    end: float
    text: str
    original: str


def passages(cues: Sequence[Cue], seconds: float) -> list[Passage]:
    """Group tidy *cues* until *seconds* are reached. A cue is never cut."""
    groups = [_passage(group) for group in _groups(cues, seconds)]
    ends = [following.start for following in groups[1:]]
    # Automatic captions stay on the screen while the next ones come.
    return [
        replace(passage, end=max(passage.start, min(passage.end, limit)))
        for passage, limit in zip(groups, [*ends, float("inf")], strict=False)
    ]


def _groups(cues: Iterable[Cue], seconds: float) -> Iterator[list[Cue]]:
    held: list[Cue] = []
    length = 0
    for cue in cues:
        if held and (cue.start - held[0].start >= seconds or length + len(cue.text) >= MAX_CHARACTERS):
            yield held
            held, length = [], 0
        held.append(cue)
        length += len(cue.text) + 1
        if cue.end - held[0].start >= seconds:
            yield held
            held, length = [], 0
    if held:
        yield held


def _passage(cues: Sequence[Cue]) -> Passage:
    return Passage(
        cues[0].start,
        max(cue.end for cue in cues),
        " ".join(cue.text for cue in cues),
        " ".join(" ".join(cue.original for cue in cues[:50]).split()),
    )


def timestamp(seconds: float) -> str:
    """``HH:MM:SS``"""
    whole = int(seconds)
    return f"{whole // 3600:02d}:{whole // 60 % 60:02d}:{whole % 60:02d}"
