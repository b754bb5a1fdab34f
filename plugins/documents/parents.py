"""Small chunks that are found, within large ones that are read: each child carries the text of its parent.

Parents are the sections of a text, from one heading of level 2 or 3 to the next; those that are too long are split.
Text comes as a stream, twice: once for its headings, once for itself. So memory stays bounded whatever the file's size.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import chain, groupby, takewhile
from typing import Any

from plugins.base import ParameterSpecs, PluginError
from plugins.chunking import MAX_CHUNK_SIZE, Heading, Piece, SplitOptions, markdown_blocks, split
from plugins.documents.passages import Passage
from plugins.kept import key_of
from plugins.parameters import overlap_sentence

STRATEGY = "hierarchical_parent_child"
PREAMBLE, WHOLE, OUTLINE = "Preamble", "Document", "Outline"
_PARENT_OVERLAP = 100
MOST_CHILDREN = 200  # of a parent, each of which holds its text

Read = Callable[[], Iterable[str]]


@dataclass(frozen=True)
class Family:
    """How a text is split into parents and children; sizes in characters."""

    parent_size: int = 2000
    child_size: int = 400
    child_overlap: int = 50
    by_headings: bool = True
    with_outline: bool = False

    @classmethod
    def of(cls, kwargs: Mapping[str, Any]) -> "Family":
        """:raises PluginError: ``bad_parameter``"""

        def number(name: str, default: int) -> int:
            return default if kwargs.get(name) is None else int(kwargs[name])

        family = cls(
            number("parent_chunk_size", cls.parent_size),
            number("child_chunk_size", cls.child_size),
            number("child_chunk_overlap", cls.child_overlap),
            bool(kwargs.get("split_by_headers", True)),
            bool(kwargs.get("include_outline", False)),
        )
        if family.child_overlap >= family.child_size:
            sentence = overlap_sentence(family.child_size, family.child_overlap)
            raise PluginError("bad_parameter", sentence.replace("chunk_", "child_chunk_"), hint="Change one of them.")
        if family.parent_size > MOST_CHILDREN * (family.child_size - family.child_overlap):
            raise PluginError(
                "bad_parameter",
                f"parent_chunk_size ({family.parent_size}) makes more than {MOST_CHILDREN} children of a parent, "
                "and each of them carries it.",
                hint="Choose smaller parents, larger children, or a smaller child_chunk_overlap.",
            )
        return family

    def to_json(self) -> dict[str, Any]:
        """As it is told in each chunk's metadata."""
        return {
            "chunking_strategy": STRATEGY,
            "parent_chunk_size": self.parent_size,
            "child_chunk_size": self.child_size,
            "child_chunk_overlap": self.child_overlap,
        }


def family_parameters(
    parent: tuple[int, int] = (1, MAX_CHUNK_SIZE),
    child: tuple[int, int] = (1, MAX_CHUNK_SIZE),
    overlap: tuple[int, int] = (0, MAX_CHUNK_SIZE - 1),
) -> ParameterSpecs:
    """The parameters of a :class:`Family`, with the least and the greatest value of each size."""

    def size(default: int, limits: tuple[int, int], description: str, help_text: str) -> dict[str, Any]:
        least, most = limits
        texts = {"description": description, "help_text": help_text}
        return {"type": "integer", "default": default, "min": least, "max": most, **texts}

    return {
        "parent_chunk_size": size(
            2000, parent, "Greatest length of a parent, in characters", "What is read when a child of it is found."
        ),
        "child_chunk_size": size(
            400, child, "Greatest length of a child, in characters", "What is searched: short texts are found better."
        ),
        "child_chunk_overlap": size(
            50, overlap, "How much of the previous child each child repeats", "Must be smaller than child_chunk_size."
        ),
        "split_by_headers": {
            "type": "boolean",
            "default": True,
            "description": "Begin a parent at each heading of level 2 or 3",
            "help_text": "Otherwise parents are made by length alone.",
        },
        "include_outline": {
            "type": "boolean",
            "default": False,
            "description": "Add the document's headings as a chunk of their own",
            "help_text": "For questions about what the document contains.",
        },
    }


def identity(kwargs: Mapping[str, Any], family: Family, name: str) -> str:
    """What the ids of the chunks begin with: the same whenever the same bytes are split in the same way."""
    return key_of(kwargs.get("content_hash") or kwargs.get("file_url") or name, family.to_json())[:16]


def children(read: Read, family: Family, ident: str) -> Iterator[Passage]:
    """The children of all parents, in reading order; at the end the outline, when it is asked for.

    :param read: gives the text from its beginning, each time it is called
    """
    headings = [heading for _, found in markdown_blocks(read()) for heading in found]
    for number, parent in enumerate(_parents(read(), family, headings), 1):
        yield from _children(parent, family, f"{ident}-p{number}")
    if family.with_outline and headings:
        yield from _outline(headings, family, f"{ident}-outline")


# -- Parents ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Parent:
    piece: Piece  # its place is that in the whole text
    title: str
    part: int | None = None  # when its section makes several


@dataclass(frozen=True)
class _Fragment:
    """A piece of a section, as the stream brings it."""

    section: int
    start: int
    title: str
    path: tuple[str, ...] = ()
    text: str = ""


def _parents(blocks: Iterable[str], family: Family, headings: list[Heading]) -> Iterator[_Parent]:
    has_sections = family.by_headings and any(heading.level in (2, 3) for heading in headings)
    first = [heading.level for heading in takewhile(lambda heading: heading.level not in (2, 3), headings)]
    fragments = _fragments(blocks, has_sections, has_title=first.count(1) < 2)
    for _, section in groupby(fragments, key=lambda fragment: fragment.section):
        yield from _parents_of(section, family.parent_size)


def _parents_of(section: Iterator["_Fragment"], size: int) -> Iterator[_Parent]:
    first = next(section)
    pieces = _pieces(chain([first.text], (fragment.text for fragment in section)), size)
    one, two = next(pieces, None), next(pieces, None)
    for part, piece in enumerate(chain(filter(None, (one, two)), pieces), 1):
        placed = Piece(piece.text, first.start + piece.start, first.path)
        yield _Parent(placed, first.title, None if two is None else part)


def _fragments(blocks: Iterable[str], has_sections: bool, has_title: bool) -> Iterator[_Fragment]:
    """The text, cut where sections begin. A heading of level 1 begins one too, unless it is the title of the text."""
    place, path = 0, list[Heading]()
    section = _Fragment(0, 0, PREAMBLE if has_sections else WHOLE)
    for block, headings in markdown_blocks(blocks):
        start = 0
        for heading in headings:
            while path and path[-1].level >= heading.level:
                path.pop()
            path.append(heading)
            if has_sections and (heading.level in (2, 3) or _begins_chapter(heading, section, has_title)):
                yield replace(section, start=place + start, text=block[start : heading.start])
                start = heading.start
                section = _Fragment(section.section + 1, 0, heading.title, tuple(above.title for above in path))
        yield replace(section, start=place + start, text=block[start:])
        place += len(block)


def _begins_chapter(heading: Heading, section: _Fragment, has_title: bool) -> bool:
    return heading.level == 1 and (section.section > 0 or not has_title)


def _pieces(texts: Iterator[str], size: int) -> Iterator[Piece]:
    """A section as it is when it fits; otherwise in pieces that overlap a little."""
    whole, more = "", None
    for text in texts:
        whole += text
        if len(whole) > size:
            more = next(texts, None)
            break
    bare = whole.strip()
    if more is None and len(bare) <= size:
        if bare:
            yield Piece(bare, len(whole) - len(whole.lstrip()))
        return
    overlap = min(_PARENT_OVERLAP, size // 5)
    yield from split(chain([whole, more or ""], texts), SplitOptions(size, overlap, markdown=True))


# -- Children ---------------------------------------------------------------------------------------


def _children(parent: _Parent, family: Family, ident: str) -> Iterator[Passage]:
    options = SplitOptions(family.child_size, family.child_overlap, markdown=True)
    text = parent.piece.text
    pieces = list(split([text], options)) if len(text) > family.child_size else [Piece(text, 0)]
    part = {} if parent.part is None else {"section_part": parent.part}
    path = {"heading_path": list(parent.piece.heading_path)} if parent.piece.heading_path else {}
    for number, piece in enumerate(pieces, 1):
        metadata = {
            "parent_chunk_id": ident,
            "child_chunk_id": f"{ident}-c{number}",
            "chunk_level": "child",
            "parent_text": text,
            "children_in_parent": len(pieces),
            "section_title": parent.title,
            **part,
            **path,
        }
        start = parent.piece.start + piece.start
        yield Passage(piece.text, start, start + len(piece.text), metadata)


def _outline(headings: list[Heading], family: Family, ident: str) -> Iterator[Passage]:
    text = "\n".join(f"{'  ' * (heading.level - 1)}- {heading.title}" for heading in headings)
    for number, piece in enumerate(_pieces(iter([text]), family.parent_size), 1):
        metadata = {
            "parent_chunk_id": f"{ident}-p{number}",
            "child_chunk_id": f"{ident}-p{number}-c1",
            "chunk_level": "outline",
            "parent_text": piece.text,
            "children_in_parent": 1,
            "section_title": OUTLINE,
        }
        yield Passage(piece.text, 0, 0, metadata)
