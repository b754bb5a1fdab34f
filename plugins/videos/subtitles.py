"""Captions as cues: cleaning what is no speech, and grouping what is into passages of some duration.

The one promise throughout: no spoken word is lost. Where speech and decoration cannot be told apart, the text stays.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from plugins.chunking import SplitOptions, split

MAX_CHARACTERS = 20_000  # of a passage, about half an hour of speech; embedding vendors take little more at once


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
