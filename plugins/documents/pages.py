"""A converted document: its Markdown, and where its pages begin."""

import re
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import accumulate
from typing import Any

# The destination of a picture until it is known how it is mentioned: the hash of its bytes between two characters of
# the private use area. See ``plugins.documents.images``.
PICTURE = "\ue000"
PICTURES = re.compile(rf"!\[([^\[\]\n]*)\]\({PICTURE}([0-9a-f]{{16}}){PICTURE}\)")

# What programs put where a description belongs.
_FILE_NAME = re.compile(r"[^/\\]{1,100}\.(?:png|jpe?g|gif|bmp|tiff?|webp|emf|wmf|svg)", re.IGNORECASE)


@dataclass(frozen=True)
class Page:
    """One page. The first has the number 1, whatever is printed on it: so do the links of PDF viewers."""

    number: int
    markdown: str


@dataclass(frozen=True)
class Document:
    """A document as Markdown.

    :param parts: pieces that joined are the whole; one piece a page when ``paged``
    :param scanned: numbers of pages that hold a picture and no text worth the name
    :param covered: those of them of which it is known that the picture is the page
    :param unit: what a page is called
    """

    parts: tuple[str, ...]
    paged: bool = False
    scanned: tuple[int, ...] = ()
    covered: tuple[int, ...] = ()
    unit: str = "page"

    @classmethod
    def of_pages(
        cls, texts: Iterable[str], scanned: Iterable[int] = (), *, covered: Iterable[int] = (), unit: str = "page"
    ) -> "Document":
        """Pages that begin with a paragraph of their own."""
        clean = (tidy(text) for text in texts)
        return cls(tuple(f"{text}\n\n" if text else "" for text in clean), True, tuple(scanned), tuple(covered), unit)

    @cached_property
    def markdown(self) -> str:
        return "".join(self.parts)

    @cached_property
    def _starts(self) -> list[int]:
        return list(accumulate((len(part) for part in self.parts[:-1]), initial=0))

    @property
    def pages(self) -> Iterator[Page]:
        return (Page(number, part) for number, part in enumerate(self.parts, 1))

    def blocks(self) -> Iterator[str]:
        """The text as a stream, as splitting takes it."""
        return iter([self.markdown])

    def start_of(self, page: int) -> int:
        """Where page number *page* begins, in characters; one past the last page is the end."""
        return self._starts[page - 1] if page <= len(self.parts) else len(self.markdown)

    def page_at(self, place: int) -> int | None:
        """Number of the page that holds the character at *place*; None when nobody knows pages."""
        return bisect_right(self._starts, place) if self.paged else None

    def has_text(self) -> bool:
        return bool(PICTURES.sub(r"\1", self.markdown).strip())

    def mapped(self, change: Callable[[Page], str]) -> "Document":
        """The document with the text of each part changed."""
        return replace(self, parts=tuple(change(page) for page in self.pages))

    def without_pictures(self) -> "Document":
        """Of each picture only its description stays."""
        return self.mapped(lambda page: PICTURES.sub(lambda found: mention(found[1]), page.markdown))

    def to_json(self) -> dict[str, Any]:
        known = {"parts": list(self.parts), "paged": self.paged, "scanned": list(self.scanned)}
        return {**known, "covered": list(self.covered), "unit": self.unit}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "Document":
        """:raises KeyError, TypeError, ValueError: when *value* is none"""
        parts, scanned = tuple(map(str, value["parts"])), tuple(map(int, value["scanned"]))
        covered = tuple(map(int, value.get("covered") or ()))
        return cls(parts, bool(value["paged"]), scanned, covered, str(value.get("unit") or "page"))


class Pages:
    """Names the page of chunk after chunk: the one that holds the first text which the chunk before did not have.

    Without a document, or without pages in it, there is nothing to name.
    """

    def __init__(self, document: Document | None = None) -> None:
        self._document = document if document is not None and document.paged else None
        self._end = 0

    def label(self, start: int, end: int) -> dict[str, int]:
        """The metadata ``page`` of the chunk from *start* to *end*, in characters of the document."""
        if self._document is None or start == end:
            return {}
        fresh, self._end = max(start, self._end), end
        while fresh < end - 1 and self._document.markdown[fresh].isspace():
            fresh += 1
        page = self._document.page_at(min(fresh, end - 1))
        return {} if page is None else {"page": page}


def picture(alt: str, digest: str) -> str:
    """How a reader mentions a picture at its place.

    :param digest: the first 16 hex digits of the SHA-256 of its bytes
    """
    said = "" if _FILE_NAME.fullmatch(alt.strip()) else clean_alt(alt)
    return f"![{said}]({PICTURE}{digest}{PICTURE})"


def clean_alt(text: str) -> str:
    """*text* in one line, without what would end a description or a table's cell."""
    return " ".join(re.sub(r"[\[\]|]", " ", text).split())


_DATA = re.compile(r"!\[([^\[\]\n]*)\]\(data:")


def without_data(markdown: str) -> str:
    """Without pictures that are written out in the text: their bytes say nothing, what they show may."""
    kept, done = [], 0
    while (found := _DATA.search(markdown, done)) and (end := markdown.find(")", found.end())) >= 0:
        kept += [markdown[done : found.start()], mention(found[1])]
        done = end + 1
    return "".join([*kept, markdown[done:]])


def mention(alt: str, name: str = "") -> str:
    """A picture in Markdown; one that has neither description nor name is not mentioned."""
    return f"![{alt}]({name})" if alt.strip() or name else ""


# What begins a heading, begins code, or makes a heading of the line above.
_STRUCTURE = re.compile(r"^([ \t]*+)(?=#{1,6}(?:[ \t]|$)|```|~~~|(?:=++|-++)[ \t]*+$)", re.MULTILINE)


def plain(text: str) -> str:
    """Text of a source that has no headings and no code of its own, so that no line of it is taken for either."""
    return _STRUCTURE.sub(r"\1\\", text)


def tidy(markdown: str) -> str:
    lines = (line.rstrip(" \t") for line in markdown.replace("\r\n", "\n").split("\n"))
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip()
