"""What engine and plugins say, in the reader's language.

They know English only: their sentences go over the wire and into the diary, where programs and operators read them.
On a page such a sentence is recognised by its form in ``phrase_list``, taken apart, and put together in the language
of the reader. What is not recognised, as of plugins by others, stays as it is.
"""

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import NamedTuple

from django.utils.translation import get_language, gettext

from ingestion.ui.phrase_list import PHRASES

LONGEST = 4000  # characters of a text that is looked at
DEEPEST = 4  # sentences within sentences
AT_ONCE = 4  # sentences that one phrase has at most
FRAME = 4  # letters: a form with fewer of them is but a frame for others
TELLING = 8  # letters: a form with fewer of them may fit a name by chance
WEIGHTY = 12  # letters: of a form with fewer of them most must be told, or it fits by chance
EDGE = 2  # characters of a form's beginning and end, by which it is looked up
NAMES = frozenset({"address", "author", "by", "captions", "host", "model", "name", "names", "origin", "plugin",
                   "plugin_name", "sheets", "url", "video_id", "worker"})  # fmt: skip
_VALUE = re.compile(r"%\((\w+)\)s")
_SENTENCE_END = re.compile(r"(?<=[.!?…])\s+(?=\S)")
_NUMBER = re.compile(r"\d[\d.,]*")


class Told(NamedTuple):
    """A translation, and how many letters of the original are still in it."""

    text: str
    left: int


def translated(said: object) -> str:
    """*said* as the reader's language has it; nothing for None."""
    text = "" if said is None else str(said)
    language = get_language() or "en"
    if not text or language.startswith("en") or len(text) > LONGEST:
        return text
    return told(language, text, 0).text


def told(language: str, text: str, depth: int) -> Told:
    """*text* as a whole, or else sentence by sentence: as many at once as are known together."""
    ends = [found.span() for found in _SENTENCE_END.finditer(text)] + [(len(text), len(text))]
    parts: list[str] = []
    start = left = 0
    while ends:
        known = None
        for number in range(min(AT_ONCE, len(ends)), 0, -1):
            known = sentence(language, text[start : ends[number - 1][0]], depth)
            if known is not None:
                break
        end, begin = ends[number - 1]
        made = known or Told(text[start:end], letters(text[start:end]))
        parts += [made.text, text[end:begin]]
        left += made.left
        start, ends = begin, ends[number:]
    return Told("".join(parts), left)


@lru_cache(maxsize=8192)
def sentence(language: str, text: str, depth: int) -> Told | None:
    """One that is known, in the form that leaves least of it as it was; otherwise None."""
    if text in PLAIN:
        return Told(gettext(PLAIN[text]).replace("%%", "%"), 0)
    if depth >= DEEPEST:
        return None
    found = [(form, made) for form in forms_for(text) if (made := form.told(language, text, depth))]
    return min(found, key=lambda one: (one[1].left, -one[0].length), default=(None, None))[1]


def letters(text: str) -> int:
    return sum(map(str.isalpha, text))


def forms_for(text: str) -> "Iterator[Form]":
    """Those whose beginning and end may be those of *text*: trying each of some hundreds takes too long for a page."""
    first, last = text[:EDGE], text[-EDGE:]
    for edges in {(first, last), (first, ""), ("", last), ("", "")}:
        yield from BY_EDGES.get(edges, ())


@dataclass(frozen=True)
class Form:
    """A sentence with places for values.

    :param msgid: such as ``Read %(number)s pages``
    """

    msgid: str

    @cached_property
    def texts(self) -> list[str]:
        """What stands before, between and behind the values."""
        return [text.replace("%%", "%") for text in _VALUE.split(self.msgid)[::2]]

    @cached_property
    def names(self) -> list[str]:
        return _VALUE.findall(self.msgid)

    @cached_property
    def quoted(self) -> frozenset[str]:
        """Values between “ and ”."""
        return frozenset(name for name, before in zip(self.names, self.texts, strict=False) if before.endswith("“"))

    def is_name(self, name: str, value: str) -> bool:
        """Whether *value* is one: a video that is called “Letters of 1845” is called so in every language. What holds
        the end of a sentence is more than a name that is not quoted."""
        return name in self.quoted or (name in NAMES and not _SENTENCE_END.search(value))

    @cached_property
    def letters(self) -> int:
        return sum(map(letters, self.texts))

    @cached_property
    def length(self) -> int:
        """Characters that are the form's own: of two forms that fit, the one that says more is meant."""
        return sum(map(len, self.texts))

    @property
    def edges(self) -> tuple[str, str]:
        """How it begins and ends, empty for a side that is too short to tell."""
        first, last = self.texts[0], self.texts[-1]
        return first[:EDGE] if len(first) >= EDGE else "", last[-EDGE:] if len(last) >= EDGE else ""

    def told(self, language: str, text: str, depth: int) -> Told | None:
        """*text* translated, if it is of this form; a form that says little must have more to show for it."""
        values = self.values(text)
        if values is None:
            return None
        inner = {
            name: Told(value, letters(value)) if self.is_name(name, value) else told(language, value, depth + 1)
            for name, value in values.items()
        }
        if self.letters < (TELLING if depth else FRAME) and not any(
            made.text != values[name] or _NUMBER.fullmatch(values[name]) for name, made in inner.items()
        ):
            return None
        if self.letters < WEIGHTY and self.is_strange(values, inner):
            return None
        text = gettext(self.msgid) % {name: made.text for name, made in inner.items()}
        return Told(text, sum(made.left for made in inner.values()))

    def is_strange(self, values: Mapping[str, str], inner: Mapping[str, Told]) -> bool:
        """Whether more of it would stay as it was than is told: half a sentence in each language helps nobody."""
        told_of = {name: letters(values[name]) - made.left for name, made in inner.items()}
        left = sum(made.left for name, made in inner.items() if not self.is_name(name, values[name]))
        return left > self.letters + sum(told_of.values())

    def values(self, text: str) -> Mapping[str, str] | None:
        """The values that make *text* of this form; None if there are none. In one pass, whatever the text holds."""
        first, *between, last = self.texts
        if not text.startswith(first) or not text.endswith(last) or len(text) < len(first) + len(last):
            return None
        found: list[str] = []
        start, end = len(first), len(text) - len(last)
        for part in between:
            at = text.find(part, start, end)
            if at < 0:
                return None
            found.append(text[start:at])
            start = at + len(part)
        return dict(zip(self.names, [*found, text[start:end]], strict=True))


PLAIN: Mapping[str, str] = {msgid.replace("%%", "%"): msgid for msgid in PHRASES if not _VALUE.search(msgid)}
FORMS = [Form(msgid) for msgid in PHRASES if _VALUE.search(msgid)]
BY_EDGES: defaultdict[tuple[str, str], list[Form]] = defaultdict(list)
for _form in FORMS:
    BY_EDGES[_form.edges].append(_form)
