"""Chunks that follow what a document is made of: its pages, or its sections.

Every passage holds a slice of the document, and the slices together hold all of its text. One that is too long for
embedding models is cut into parts, each labelled for what it holds itself.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import groupby, islice
from typing import Any

from plugins.chunking import TITLE_CHARACTERS, Heading, Piece, SplitOptions, markdown_blocks, split
from plugins.documents.pages import Document

# About 2,000 tokens: models read 512 to 8,000 of them, and drop the rest without a word.
LONGEST = 8000


@dataclass(frozen=True)
class Passage:
    """One chunk.

    :param start: where its own text begins in the document; ``text`` may have headings in front
    :param end: where its own text ends
    """

    text: str
    start: int
    end: int
    metadata: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, piece: Piece, metadata: dict[str, Any]) -> "Passage":
        return cls(piece.text, piece.start, piece.start + len(piece.text), metadata)


def parts_of(markdown: str, start: int, end: int) -> list[Piece]:
    """The slice as pieces short enough for embedding, without overlap; none when it is blank."""
    text = markdown[start:end]
    if len(text.strip()) <= LONGEST:
        lead = len(text) - len(text.lstrip())
        return [Piece(text.strip(), start + lead)] if text.strip() else []
    pieces = split([text], SplitOptions(LONGEST, 0, markdown=True))
    return [Piece(piece.text, start + piece.start, piece.heading_path) for piece in pieces]


# -- By page ----------------------------------------------------------------------------------------


def page_passages(document: Document, pages_per_chunk: int) -> Iterator[Passage]:
    """*pages_per_chunk* pages a passage. ``page_range`` names those that it touches, such as ``3`` or ``3-4``."""
    for first in range(1, len(document.parts) + 1, pages_per_chunk):
        start, end = document.start_of(first), document.start_of(min(first + pages_per_chunk, len(document.parts) + 1))
        pieces = parts_of(document.markdown, start, end)
        for part, piece in enumerate(pieces, 1):
            metadata = {
                "chunking_strategy": "by_page",
                "pages_per_chunk": pages_per_chunk,
                "page_range": _page_range(document, piece),
            }
            if len(pieces) > 1:
                metadata |= {"page_part": part, "page_parts": len(pieces)}
            yield Passage.of(piece, metadata)


def _page_range(document: Document, piece: Piece) -> str:
    first, last = document.page_at(piece.start), document.page_at(piece.start + len(piece.text) - 1)
    return str(first) if first == last else f"{first}-{last}"


# -- By section -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Section:
    """From one heading to the next of the same or a higher level; the text before the first has no heading."""

    start: int
    end: int
    body: int  # where its heading ends
    heading: Heading | None = None
    parents: tuple[Heading, ...] = ()

    @property
    def level(self) -> int:
        return self.heading.level if self.heading else 0


def section_passages(document: Document, level: int, per_chunk: int) -> Iterator[Passage]:
    """*per_chunk* sections of heading level *level* a passage, under the headings of their parents.

    Sections of different parents never share one. Text right below a parent, and text before the first heading, is a
    passage of its own. Nothing is yielded when no heading has that level.
    """
    markdown = document.markdown
    sections = _sections(markdown, level)
    if not any(section.level == level for section in sections):
        return
    for (_, alike), run in groupby(_speaking(sections, markdown), key=lambda one: (one.parents, one.level == level)):
        while group := list(islice(run, per_chunk if alike else 1)):
            yield from _passages(markdown, group, {"split_on_heading": level, "headings_per_chunk": per_chunk})


def headings_of(markdown: str) -> list[Heading]:
    """All headings of a text, with their places in it."""
    found, place = [], 0
    for block, headings in markdown_blocks([markdown]):
        found += [Heading(place + heading.start, heading.level, heading.title) for heading in headings]
        place += len(block)
    return found


def _sections(markdown: str, level: int) -> list[_Section]:
    headings = [heading for heading in headings_of(markdown) if heading.level <= level]
    ends = [heading.start for heading in headings] + [len(markdown)]
    sections = [_Section(0, ends[0], 0)]
    path: list[Heading] = []
    for heading, end in zip(headings, ends[1:], strict=True):
        while path and path[-1].level >= heading.level:
            path.pop()
        path.append(heading)
        body = heading.start + len(_heading_text(markdown, heading))
        sections.append(_Section(heading.start, end, body, heading, tuple(path[:-1])))
    return sections


def _speaking(sections: list[_Section], markdown: str) -> Iterator[_Section]:
    """Sections without those of which nothing is lost: blank, or a heading that the next one has whole in front."""
    for section, following in zip(sections, [*sections[1:], None], strict=True):
        is_bare = not markdown[section.body : section.end].strip()
        is_short = section.body - section.start <= TITLE_CHARACTERS
        repeated = following is not None and section.heading in following.parents and is_short
        if not is_bare or (section.heading is not None and not repeated):
            yield section


def _passages(markdown: str, group: list[_Section], metadata: dict[str, Any]) -> Iterator[Passage]:
    parents = group[0].parents
    pieces = parts_of(markdown, group[0].start, group[-1].end)
    for part, piece in enumerate(pieces, 1):
        held = [one for one in group if one.start < piece.start + len(piece.text) and piece.start < one.end]
        above = [*parents, held[0].heading] if held[0].start < piece.start else [*parents]
        titles = [_title(section.heading) for section in held if section.heading]
        own = {
            "chunking_strategy": "by_section",
            **metadata,
            "section_titles": titles,
            "section_count": len(titles),
            "parent_path": " > ".join(parent.title for parent in parents),
        }
        if len(pieces) > 1:
            own |= {"section_part": part, "section_parts": len(pieces)}
        heads = [_repeated(markdown, heading) for heading in above if heading]
        yield replace(Passage.of(piece, own), text="\n\n".join([*heads, piece.text]))


def _title(heading: Heading) -> str:
    return f"{'#' * heading.level} {heading.title}"


def _repeated(markdown: str, heading: Heading) -> str:
    """The heading above text that stands further down. A long one would be stored as often as there are chunks."""
    text = _heading_text(markdown, heading)
    return text if len(text) <= TITLE_CHARACTERS else _title(heading)


def _heading_text(markdown: str, heading: Heading) -> str:
    """The heading as it is written: one line, or two when it is underlined."""
    first = _line(markdown, heading.start)
    if first.lstrip().startswith("#"):
        return first
    return f"{first}\n{_line(markdown, heading.start + len(first) + 1)}"


def _line(markdown: str, start: int) -> str:
    end = markdown.find("\n", start)
    return markdown[start:] if end < 0 else markdown[start:end]
