"""The quality gate: text that nobody will find anything in must not pass for a success.

It looks at the text that a source gave, never at the source. What it finds ends as a warning in the job's diary and as
``needs_attention`` in its statistics, or fails the job. These are the rules, with their codes:

**Any plugin** (the host asks, about the text of all chunks; of long sources about the first 1,000 chunks and then every
twenty-fifth):

* ``no_text``, *fails*: there is neither letter nor number nor symbol; or, in kinds of files that have pages, only two
  or more numbers that count upwards from about 1. Words such as "Page" before a number count as part of it. Looked at
  in texts of up to 20,000 characters.
* ``no_words``: there is not one letter, but there are numbers or symbols.
* ``garbled``, *fails*: 30 % of the characters or more are damaged: the replacement character U+FFFD, glyph numbers such
  as ``(cid:23)``, letters of the private use area, signs such as ``Ã©`` that come from reading UTF-8 as Latin-1,
  or words such as ``Ïðèâåò``, five accents or more in a row, that come from reading other alphabets as it.
* ``mojibake``: fewer, but of 1,000 characters three are replacement characters or pairs, or ten belong to glyph
  numbers, or fifty to words of accents or to the private use area (where bullets of some fonts are found, so a few say
  nothing).
* ``little_text``: fewer than 200 characters came out of a file of 200 KB or more.
* ``bot_wall``: a saved web page is one that asks its reader to prove that they are human.

**Where pages are known** (PDFs, presentations, Word documents that tell; the plugin asks):

* ``no_text``, *fails*: each page holds nothing, or the number of the page.
* ``no_words``: but for numbers, all pages hold the same few words.
* ``mostly_scanned``: of three pages or more, fewer than 30 % hold text; the others hold a picture, or nothing.
* ``scanned_pages``: pages without text are covered by pictures; or a tenth of the pages or more hold pictures of any
  size and no text (which in presentations and Word documents, where nobody knows the size, is all that is looked at).

A page holds text from 20 letters or digits on (Chinese, Japanese and Korean ones count three times). Page numbers, and
lines that stand on most pages of three or more, are not counted where there are pictures.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from plugins.base import PluginError
from plugins.documents.pages import PICTURE, PICTURES, Document

PAGE_CHARACTERS = 20  # letters and digits; a page with fewer says nothing
_OCR = "Run text recognition (OCR) on it and upload the result."

_HEAD = 20_000
_WITH_PAGES = {".pdf", ".docx", ".pptx"}
_EACH_OF_FIRST = 1000
_THEN_EVERY = 25

_PAGE_WORDS = re.compile(
    r"\b(?:page|pages|slide|p[aáà]gina|p[aá]g|p|pp|seite|folio|sheet|hoja|of|de|von|di|sur)\b\.?", re.IGNORECASE
)
_OF_ALL = re.compile(r"(?:\b(?:of|de|von|di|sur)\b|/)\s*\d+", re.IGNORECASE)
_LETTER = re.compile(r"[^\W\d_]")
_MARK = re.compile(r"[^\W_]+")
_ROMAN = re.compile(r"(?:x[cl]|l?x{0,3})(?:i[xv]|v?i{0,3})", re.IGNORECASE)
_WIDE = re.compile("[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003ffff]")
_GLYPHS = re.compile(r"\(cid:\d{1,6}\)")
_PRIVATE_FIRST = (b"\xee", b"\xef", b"\xf3", b"\xf4")
_PRIVATE = re.compile("[\ue000-\uf8ff\U000f0000-\U0010fffd]")
# What Windows-1252 makes of the bytes 80 to BF, which follow the first byte of a letter in UTF-8. Quotation marks,
# dashes and spaces are among them, which may follow a word that ends like a first byte: those count only in threes.
_STRANGE = "\u0080-\u009f\u00a1-\u00bf\u0152\u0153\u0160\u0161\u0178\u017d\u017e\u0192\u02c6\u02dc\u20ac\u2122"
_STRANGE += "\u201a\u201e\u2020-\u2022\u2030\u2039\u203a"
_SECOND = _STRANGE + "\u00a0\u2013-\u2026"
_PAIRS = re.compile(
    f"(?:[Â-ß][{_SECOND}]){{2,}}|(?:[à-ï][{_SECOND}]{{2}}){{2,}}|ð[{_SECOND}]{{3}}|â[{_SECOND}]{{2}}"
    f"|Â[{_STRANGE}\u00a0]|Ã(?!»)[{_STRANGE}\u00a0]"
    f"|[ÄÅÐÑÎÏØÙ](?![»²³¹±°])[{_STRANGE}]"  # «PÅ» is Norwegian, Å³ a volume
)
_ACCENTS = re.compile("[À-ÖØ-öø-ÿ]{5,}")
_SUSPICIOUS = re.compile(f"[À-ÿ][À-ÿ{_SECOND}]+")  # where either may be, found in one fast search
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
    bare = _PAGE_WORDS.sub("", PICTURES.sub(r"\1", text))
    if _ENOUGH.search(bare):
        return True
    return sum(map(len, _MARK.findall(bare))) + 2 * len(_WIDE.findall(bare)) >= PAGE_CHARACTERS


def own_texts(texts: Sequence[str]) -> list[str]:
    """What each page holds that is not on most of them, such as the stamp of a scanner or of an archive.

    Lines count as the same when they differ by a number or two. Those without a word may be rows of a table.
    """
    if len(texts) < 3:
        return list(texts)
    pages = [[(_likeness(line), line) for line in text.split("\n")] for text in texts]
    seen = Counter(like for page in pages for like in {like for like, _ in page})
    often = max(3, len(texts) / 2)
    return ["\n".join(line for like, line in page if not like or seen[like] < often) for page in pages]


def _likeness(line: str) -> str:
    if not _LETTER.search(line):
        return ""
    without = " ".join(re.sub(r"\d+", " ", line).split())
    return without if len(re.findall(r"\d+", line)) <= 2 else " ".join(line.split())


def pages_of_pictures(texts: Iterable[str]) -> list[int]:
    """Numbers of the pages that mention pictures and say nothing else of their own."""
    whole = list(texts)
    own = own_texts(whole)
    return [number for number, text in enumerate(whole, 1) if PICTURE in text and not says_something(own[number - 1])]


# -- Pages ------------------------------------------------------------------------------------------


def judge_pages(document: Document) -> list[Finding]:
    """What the pages of a document give reason to say; at most one finding."""
    if not document.paged or not document.has_text():
        return []
    pages = [PICTURES.sub(r"\1", page.markdown) for page in document.pages]
    if _only_numbered([_PAGE_WORDS.sub("", _OF_ALL.sub("", page)) for page in pages]):
        return [_only_page_numbers()]
    finding = _about_scans(document, pages)
    if finding is None and _alike(pages):
        message = f"The {document.unit}s hold nothing but their numbers and the same few words."
        finding = Finding("no_words", message, _OCR)
    return [] if finding is None else [finding]


def _about_scans(document: Document, pages: list[str]) -> Finding | None:
    scanned, count, unit = document.scanned, len(pages), document.unit
    silent = {number for number, page in enumerate(pages, 1) if _is_empty(page)} | set(scanned)
    telling = count - len(silent)
    if count >= 3 and telling < 0.3 * count:
        message = f"Only {telling} of {count} {unit}s hold more than a few words; the others are probably scanned."
        return Finding("mostly_scanned", message, _OCR)
    if document.covered or (scanned and len(scanned) >= 0.1 * count):
        message = f"{len(scanned)} of {count} {unit}s are pictures without text ({unit} {number_ranges(scanned)})."
        return Finding("scanned_pages", message, _OCR)
    return None


def _is_empty(page: str) -> bool:
    """No word and hardly a number: of short pages that say something, most are slides and poems, not scans."""
    return not says_something(page) and not _LETTER.search(_PAGE_WORDS.sub("", page))


def _only_numbered(pages: list[str]) -> bool:
    """Whether the only thing on pages, two or more, is the number of the page, Arabic or Roman."""
    marks = [(place, _MARK.findall(page)) for place, page in enumerate(pages) if _MARK.search(page)]
    return all(len(found) == 1 for _, found in marks) and _follow([(place, found[0]) for place, found in marks])


def _alike(pages: list[str]) -> bool:
    """The same for words of any language: ``第1页``, ``Strona 1 z 3``."""
    numbers = [(place, found[0]) for place, page in enumerate(pages) if (found := re.search(r"\d+", page))]
    words = {_likeness(page) for page in pages if _MARK.search(page)}
    return len(words) == 1 and words != {""} and not says_something(words.pop()) and _follow(numbers)


def _follow(numbers: list[tuple[int, str]]) -> bool:
    """Whether numbers, two or more, count the pages on which they stand, wherever the counting begins."""
    values = [(place, _value(text)) for place, text in numbers]
    ahead = Counter(value - place for place, value in values if value is not None)
    return len(numbers) >= 2 and max(ahead.values(), default=0) >= 0.9 * len(numbers)


def _value(text: str) -> int | None:
    if text.isdecimal():
        return int(text[:9])
    if not _ROMAN.fullmatch(text):
        return None
    values = ["ivxlc".index(sign) for sign in text.lower()]
    worth = [(1, 5, 10, 50, 100)[value] for value in values]
    return sum(-one if one < following else one for one, following in pairwise([*worth, 0]))


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
    """Whether the numbers in *text*, two or more, are those of pages: from about 1, each a little more than before."""
    numbers = [int(found) for found in re.findall(r"\d{1,9}", _OF_ALL.sub("", text))]
    steps = [after - before for before, after in pairwise(numbers)]
    return len(numbers) >= 2 and numbers[0] <= 10 and sum(0 <= step <= 3 for step in steps) >= 0.9 * len(steps)


# -- Any text ---------------------------------------------------------------------------------------


class TextGate:
    """Looks at the chunks of a run as they are spooled. It must cost next to nothing: most text is without fault."""

    def __init__(self) -> None:
        self.chunks = self.characters = 0
        self._head: list[str] = []
        self._letters = False
        self._looked_at = self._glyphs = self._private = self._replaced = self._pairs = self._accents = 0

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
        data = text.encode(errors="replace")  # bytes are searched much faster, for the first of each letter
        if b"\xc3" in data:
            for run in _SUSPICIOUS.findall(text):
                self._pairs += sum(len(found) // 2 for found in _PAIRS.findall(run))
                self._accents += sum(map(len, _ACCENTS.findall(run)))
        if any(first in data for first in _PRIVATE_FIRST):
            self._private += len(_PRIVATE.findall(text))

    def findings(self, name: str = "", path: str = "") -> Iterator[Finding]:
        """What is to be said about all chunks together.

        :param name: of the source, as people know it
        :param path: the source; its size matters when it is a file
        """
        if not self.chunks:
            return
        yield from self._about_words(Path(name or path).suffix.lower() in _WITH_PAGES)
        yield from self._about_damage()
        yield from self._about_size(path)
        yield from self._about_walls(name or path)

    @property
    def _whole(self) -> str | None:
        """The whole text, when it is short."""
        return "\n".join(self._head) if self.characters <= _HEAD else None

    def _about_words(self, has_pages: bool) -> Iterator[Finding]:
        whole = self._whole
        if self._letters and (not has_pages or whole is None or _LETTER.search(_PAGE_WORDS.sub("", whole))):
            return
        if whole is not None and not self._letters and not any(map(_is_content, whole)):
            yield Finding("no_text", "The text holds neither words nor numbers.", "Is it the right file?", fatal=True)
        elif whole is not None and has_pages and _counts_up(whole):
            yield _only_page_numbers()
        elif not self._letters:
            yield Finding(
                "no_words",
                "The text holds numbers and signs, but no words.",
                "Questions in words will not find it. Is it the right file? Tables need a row of column names.",
            )

    def _about_damage(self) -> Iterator[Finding]:
        seen = max(self._looked_at, 1)
        damaged = self._replaced + 2 * self._pairs + self._accents + self._glyphs + self._private
        odd = self._replaced + self._pairs
        if damaged >= 0.3 * seen:
            yield Finding(
                "garbled",
                f"The text is garbled: {min(damaged / seen, 1):.0%} of it are signs that stand for nothing.",
                "Its letters were lost when it was made or converted. Export it again, or run text recognition (OCR).",
                fatal=True,
            )
        elif (
            (odd >= 3 and odd >= 0.003 * seen)
            or self._glyphs >= 0.01 * seen
            or max(self._private, self._accents) >= 0.05 * seen
        ):
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
        if bot_wall(text.partition("\n")[0].lstrip("# "), text):
            yield Finding(
                "bot_wall",
                "The page asks its reader to prove that they are human; what it protects is not in it.",
                "Open the page in a browser, wait until its text is shown, and save it again.",
            )


def _is_content(char: str) -> bool:
    """A digit, or a symbol such as an emoji: people search for those too."""
    if char.isascii() or char == "\ufffd":
        return char.isdigit()
    return char.isnumeric() or unicodedata.category(char).startswith("S")


def _size(path: str) -> int:
    try:
        return Path(path).stat().st_size if path and Path(path).is_file() else 0
    except OSError:
        return 0


def with_findings(known: Any, findings: Iterable[Finding]) -> list[dict[str, str]]:
    """``needs_attention`` of a plugin with further findings."""
    entries = [dict(entry) for entry in known if isinstance(entry, Mapping)] if isinstance(known, list) else []
    return entries + [finding.to_json() for finding in findings]
