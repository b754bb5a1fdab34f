"""The quality gate: text that nobody will find anything in must not pass for a success.

It looks at the text that a source gave, never at the source. What it finds ends as a warning in the job's diary and as
``needs_attention`` in its statistics, or fails the job. These are the rules, with their codes:

**Any plugin** (the host asks, about the text of all chunks; of long sources about the first 1,000 chunks and then every
twenty-fifth):

* ``no_text``, *fails*: there is not one letter, and no number either or only numbers that count upwards, as pages do.
  Words such as "Page" before a number count as part of it. Looked at in texts of up to 20,000 characters.
* ``no_words``: there is not one letter, but there are numbers.
* ``garbled``, *fails*: 30 % of the characters or more are damaged: the replacement character U+FFFD, glyph numbers such
  as ``(cid:23)``, letters of the private use area, or pairs such as ``Ã©`` that come from reading UTF-8 as Latin-1.
* ``mojibake``: fewer, but of 1,000 characters three are replacement characters or pairs, or ten belong to glyph
  numbers, or fifty to the private use area (where bullets of some fonts are found, so a few say nothing).
* ``little_text``: fewer than 200 characters came out of a file of 200 KB or more.
* ``bot_wall``: a saved web page is one that asks its reader to prove that they are human.

**Where pages are known** (PDFs, presentations, Word documents that tell; the plugin asks):

* ``no_text``, *fails*: each page holds nothing, or a page number.
* ``mostly_scanned``: of three pages or more, fewer than 30 % hold text (20 letters or digits, page numbers aside).
* ``scanned_pages``: a tenth of the pages or more hold a picture and no text.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from plugins.base import PluginError
from plugins.pages import PICTURE, PICTURES, Document

PAGE_CHARACTERS = 20  # letters and digits; a page with fewer says nothing
_OCR = "Run text recognition (OCR) on it and upload the result."

_HEAD = 20_000
_EACH_OF_FIRST = 1000
_THEN_EVERY = 25

_PAGE_WORDS = re.compile(
    r"\b(?:page|pages|slide|p[aáà]gina|p[aá]g|p|pp|seite|folio|sheet|hoja|of|de|von|di|sur)\b\.?", re.IGNORECASE
)
_OF_ALL = re.compile(r"(?:\b(?:of|de|von|di|sur)\b|/)\s*\d+", re.IGNORECASE)
_LETTER = re.compile(r"[^\W\d_]")
_GLYPHS = re.compile(r"\(cid:\d{1,6}\)")
_PRIVATE = re.compile("[\ue000-\uf8ff\U000f0000-\U0010fffd]")
# The second half of a pair: what Windows-1252 makes of the bytes 80 to BF. Quotation marks and dashes are among them,
# which may follow a word that ends with the first half, so those count only in threes.
_STRANGE = "\u0080-\u009f\u00a1-\u00bf\u0152\u0153\u0160\u0161\u0178\u017d\u017e\u0192\u02c6\u02dc\u20ac\u2122"
_STRANGE += "\u201a\u201e\u2020-\u2022\u2030\u2039\u203a"
_SECOND = _STRANGE + "\u00a0\u2013-\u2026"
_FIRST = "ÂÃÄÅÐÑÎÏØÙâ"
_PAIRS = re.compile(f"[ÂÃ][{_STRANGE}\u00a0]|[ÄÅÐÑÎÏØÙ][{_STRANGE}]|â[{_SECOND}]{{2}}")
_ENOUGH = re.compile(rf"(?:[^\W_][\W_]*){{{PAGE_CHARACTERS}}}")


@dataclass(frozen=True)
class Finding:
    """Something that a person should look at. A fatal one ends the job."""

    code: str
    message: str
    hint: str
    fatal: bool = False

    def to_json(self) -> dict[str, str]:
        return {"code": self.code, "message": self.message, "hint": self.hint}

    def error(self) -> PluginError:
        return PluginError(self.code, self.message, hint=self.hint)


def says_something(text: str) -> bool:
    """Whether a page holds more than a number, a line or a picture without description."""
    return _ENOUGH.search(_PAGE_WORDS.sub("", PICTURES.sub(r"\1", text))) is not None


def pages_of_pictures(texts: Iterable[str]) -> list[int]:
    """Numbers of the pages that mention pictures and say nothing else."""
    return [number for number, text in enumerate(texts, 1) if PICTURE in text and not says_something(text)]


# -- Pages ------------------------------------------------------------------------------------------


def judge_pages(document: Document) -> list[Finding]:
    """What the pages of a document give reason to say; at most one finding."""
    if not document.paged or not document.has_text():
        return []
    pages = [page.markdown for page in document.pages]
    if not any(_LETTER.search(_PAGE_WORDS.sub("", page)) for page in pages) and _counts_up("\n".join(pages)):
        return [_only_page_numbers()]
    telling = sum(map(says_something, pages))
    if len(pages) >= 3 and telling < 0.3 * len(pages):
        message = f"Only {telling} of {len(pages)} pages hold more than a few words; the others are probably scanned."
        return [Finding("mostly_scanned", message, _OCR)]
    scanned = [number for number in document.scanned if not says_something(pages[number - 1])]
    if scanned and len(scanned) >= 0.1 * len(pages):
        message = f"{len(scanned)} of {len(pages)} pages are pictures without text (page {number_ranges(scanned)})."
        return [Finding("scanned_pages", message, _OCR)]
    return []


def _only_page_numbers() -> Finding:
    return Finding(
        "no_text",
        "Only page numbers were found, no text: the pages are probably scanned pictures.",
        _OCR,
        fatal=True,
    )


def number_ranges(numbers: Sequence[int], most: int = 10) -> str:
    """``3, 5–8``; what exceeds *most* ranges becomes an ellipsis."""
    ranges: list[list[int]] = []
    for number in numbers:
        if ranges and number == ranges[-1][1] + 1:
            ranges[-1][1] = number
        else:
            ranges.append([number, number])
    shown = [str(first) if first == last else f"{first}–{last}" for first, last in ranges[:most]]
    return ", ".join([*shown, "…"] if len(ranges) > most else shown)


def _counts_up(text: str) -> bool:
    """Whether the numbers in *text*, if there are any, are those of pages: each the one before or a little more."""
    numbers = [int(found) for found in re.findall(r"\d{1,9}", _OF_ALL.sub("", text))]
    steps = [after - before for before, after in pairwise(numbers)]
    return sum(0 <= step <= 3 for step in steps) >= 0.9 * len(steps)


# -- Any text ---------------------------------------------------------------------------------------


class TextGate:
    """Looks at the chunks of a run as they are spooled. It must cost next to nothing: most text is without fault."""

    def __init__(self) -> None:
        self.chunks = self.characters = 0
        self._head: list[str] = []
        self._letters = False
        self._looked_at = self._glyphs = self._private = self._replaced = self._pairs = 0

    def see(self, text: str) -> None:
        self.chunks += 1
        length = len(text)
        if self.characters < _HEAD:
            self._head.append(text)
        self.characters += length
        if self.chunks > _EACH_OF_FIRST and self.chunks % _THEN_EVERY:
            return
        self._looked_at += length
        self._letters = self._letters or _LETTER.search(text) is not None
        if "(cid:" in text:
            self._glyphs += sum(map(len, _GLYPHS.findall(text)))
        if not text.isascii():
            self._look_closely(text)

    def _look_closely(self, text: str) -> None:
        self._replaced += text.count("\ufffd")
        if any(first in text for first in _FIRST):
            self._pairs += len(_PAIRS.findall(text))
        self._private += len(_PRIVATE.findall(text))

    def findings(self, name: str = "", path: str = "") -> Iterator[Finding]:
        """What is to be said about all chunks together.

        :param name: of the source, as people know it
        :param path: the source; its size matters when it is a file
        """
        if not self.chunks:
            return
        yield from self._about_words()
        yield from self._about_damage()
        yield from self._about_size(path)
        yield from self._about_walls(name or path)

    @property
    def _whole(self) -> str | None:
        """The whole text, when it is short."""
        return "\n".join(self._head) if self.characters <= _HEAD else None

    def _about_words(self) -> Iterator[Finding]:
        whole = self._whole
        if self._letters and (whole is None or _LETTER.search(_PAGE_WORDS.sub("", whole))):
            return
        if whole is not None and not re.search(r"\d", whole):
            yield Finding("no_text", "The text holds neither words nor numbers.", "Is it the right file?", fatal=True)
        elif whole is not None and _counts_up(whole):
            yield _only_page_numbers()
        elif not self._letters:
            yield Finding(
                "no_words",
                "The text holds numbers and signs, but no words.",
                "Questions in words will not find it. Is it the right file? Tables need a row of column names.",
            )

    def _about_damage(self) -> Iterator[Finding]:
        seen = max(self._looked_at, 1)
        damaged = self._replaced + 2 * self._pairs + self._glyphs + self._private
        odd = self._replaced + self._pairs
        if damaged >= 0.3 * seen:
            yield Finding(
                "garbled",
                f"The text is garbled: {min(damaged / seen, 1):.0%} of it are signs that stand for nothing.",
                "Its letters were lost when it was made or converted. Export it again, or run text recognition (OCR).",
                fatal=True,
            )
        elif (odd >= 3 and odd >= 0.003 * seen) or self._glyphs >= 0.01 * seen or self._private >= 0.05 * seen:
            yield Finding(
                "mojibake",
                "Some letters are damaged: accents or other signs were lost when the text was made or converted.",
                "Look at the preview. If words are broken, save the source as UTF-8, or export it again.",
            )

    def _about_size(self, path: str) -> Iterator[Finding]:
        size = _size(path)
        if self.characters < 200 and size >= 200_000:
            yield Finding(
                "little_text",
                f"Only {self.characters} characters of text were found in a file of {size / 1e6:.1f} MB.",
                "Is most of it pictures? Run text recognition (OCR), or have pictures described.",
            )

    def _about_walls(self, name: str) -> Iterator[Finding]:
        if Path(name).suffix.lower() not in {".html", ".htm"}:
            return
        from plugins.bot_walls import bot_wall

        text = "\n".join(self._head)
        if bot_wall(text.partition("\n")[0], text):
            yield Finding(
                "bot_wall",
                "The page asks its reader to prove that they are human; what it protects is not in it.",
                "Open the page in a browser, wait until its text is shown, and save it again.",
            )


def _size(path: str) -> int:
    try:
        return Path(path).stat().st_size if path and Path(path).is_file() else 0
    except OSError:
        return 0


def with_findings(known: Any, findings: Iterable[Finding]) -> list[dict[str, str]]:
    """``needs_attention`` of a plugin with further findings."""
    entries = [dict(entry) for entry in known if isinstance(entry, Mapping)] if isinstance(known, list) else []
    return entries + [finding.to_json() for finding in findings]
