"""Splitting text into chunks, for every plugin.

Text comes in as a stream of ``str`` blocks of any length and leaves as a stream of :class:`Piece`, so memory stays
bounded whatever the file's size. Every piece is an exact slice of the source (``source[start : start + len(text)]``),
and together the pieces hold every character of it that is not white space.
"""

import functools
import importlib.util
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from semantic_text_splitter import MarkdownSplitter, TextSplitter

from plugins.base import ParameterSpecs, PluginError
from plugins.parameters import overlap_sentence

if TYPE_CHECKING:
    from tokenizers import Tokenizer

RECURSIVE = "RecursiveCharacterTextSplitter"
CHARACTER = "CharacterTextSplitter"
TOKEN = "TokenTextSplitter"  # noqa: S105  (the name of a splitter, not a secret)
SPLITTERS = (RECURSIVE, CHARACTER, TOKEN)
UNITS = ("char", "word", "line")

BLOCK_CHARACTERS = 256_000  # the splitter's time per character grows with the block; from 16k to 1M it doubles
TOKENIZER_CHARACTERS = 16_000
MAX_CHUNK_SIZE = 100_000
TITLE_CHARACTERS = 300  # what chunks below a heading repeat of it

Span = tuple[int, int]
Spans = Callable[[str], list[Span]]


@dataclass(frozen=True, slots=True)
class Piece:
    """One chunk's text, where it starts in the source (in characters), and the headings above it."""

    text: str
    start: int
    heading_path: tuple[str, ...] = ()


@dataclass(frozen=True)
class SplitOptions:
    """How to split. ``unit`` empty: ``splitter`` decides; otherwise exact windows of that unit."""

    size: int = 1000
    overlap: int = 200
    splitter: str = RECURSIVE
    unit: str = ""
    markdown: bool = field(default=False, kw_only=True)

    def __post_init__(self) -> None:
        if self.splitter not in SPLITTERS:
            raise _bad(f"splitter_type must be one of {', '.join(SPLITTERS)}, not {self.splitter!r}.")
        if self.unit and self.unit not in UNITS:
            raise _bad(f"chunk_unit must be one of {', '.join(UNITS)}, not {self.unit!r}.")
        if not 1 <= self.size <= MAX_CHUNK_SIZE:
            raise _bad(f"chunk_size must be between 1 and {MAX_CHUNK_SIZE}, not {self.size}.")
        if self.overlap < 0:
            raise _bad(f"chunk_overlap must not be negative, but it is {self.overlap}.")
        if self.overlap >= self.size:
            raise _bad(overlap_sentence(self.size, self.overlap))

    @property
    def strategy(self) -> str:
        """The ``chunking_strategy`` of a chunk's metadata."""
        return f"{self.unit}_windows" if self.unit else f"langchain_{self.splitter.lower()}"


def _bad(message: str) -> PluginError:
    return PluginError("bad_parameter", message, hint="Change the splitting parameters and retry the job.")


def split_parameters(size: int = 1000, overlap: int = 200) -> ParameterSpecs:
    """The parameters that every plugin shares which splits plain text."""
    return {
        "chunk_size": {
            "type": "integer",
            "default": size,
            "min": 1,
            "max": MAX_CHUNK_SIZE,
            "description": "Greatest length of a chunk",
            "help_text": "Counted in characters; in tokens for TokenTextSplitter; in chunk_unit when that is set.",
        },
        "chunk_overlap": {
            "type": "integer",
            "default": overlap,
            "min": 0,
            "max": MAX_CHUNK_SIZE - 1,
            "description": "How much of the previous chunk each chunk repeats",
            "help_text": "Counted like chunk_size, and must be smaller. The recursive and character splitters "
            "repeat whole words only.",
        },
        "splitter_type": {
            "type": "string",
            "default": RECURSIVE,
            "enum": list(SPLITTERS),
            "description": "Where chunks may end",
            "help_text": "Recursive: at paragraphs, else sentences, else words. Character: at blank lines (a paragraph "
            "longer than chunk_size is split recursively). Token: every chunk_size tokens. Ignored when chunk_unit "
            "is set.",
        },
        "chunk_unit": {
            "type": "string",
            "enum": list(UNITS),
            "description": "Cut exact windows of this unit instead of using a splitter",
            "help_text": "Leave empty to let splitter_type decide. A word or line longer than "
            f"{BLOCK_CHARACTERS} characters counts as several.",
        },
    }


def split_options(
    params: Mapping[str, Any], *, size: int = 1000, overlap: int = 200, markdown: bool = False
) -> SplitOptions:
    """Read the shared parameters from a plugin's keyword arguments.

    :raises PluginError: ``bad_parameter`` when they contradict each other
    """
    return SplitOptions(
        int(params.get("chunk_size") or size),
        int(overlap if params.get("chunk_overlap") is None else params["chunk_overlap"]),
        str(params.get("splitter_type") or RECURSIVE),
        str(params.get("chunk_unit") or ""),
        markdown=markdown,
    )


def split(blocks: Iterable[str], options: SplitOptions) -> Iterator[Piece]:
    """Split a stream of text into pieces, in reading order. Pieces are never blank."""
    if options.unit == "char":
        return _character_windows(regular_blocks(blocks), options)
    if options.unit == "word":
        return _windows(regular_blocks(blocks), _words, options)
    if options.unit == "line":
        return _windows(regular_blocks(blocks), _lines, options)
    if options.splitter == TOKEN:
        return _windows(regular_blocks(blocks, TOKENIZER_CHARACTERS), _tokens, options)
    if options.splitter == CHARACTER:
        return _overlapping(_paragraph_cuts(blocks, options), options)
    if options.markdown:
        return _overlapping(_markdown_cuts(blocks, options), options)
    return _overlapping(_recursive_cuts(blocks, options), options)


# -- Blocks -----------------------------------------------------------------------------------------


def regular_blocks(blocks: Iterable[str], limit: int = BLOCK_CHARACTERS) -> Iterator[str]:
    """Regroup a stream into blocks of at most *limit* characters that end where a paragraph does, if possible.

    The result depends on the text alone, not on how it was cut before.
    """
    held: list[str] = []
    length = 0
    for block in blocks:
        held.append(block)
        length += len(block)
        if length <= limit:
            continue
        text = "".join(held)
        start = 0
        while len(text) - start > limit:
            end = _cut(text, start, start + limit)
            yield text[start:end]
            start = end
        held, length = [text[start:]], len(text) - start
    rest = "".join(held)
    if rest:
        yield rest


def _cut(text: str, start: int, end: int) -> int:
    """The best place to end a block that starts at *start* and may reach *end*."""
    lowest = start + (end - start) // 2
    for border in ("\n\n", "\n", ". ", " "):
        place = text.rfind(border, lowest, end)
        if place >= 0:
            return place + len(border)
    return end


# -- Cuts: untrimmed pieces without overlap, whose texts joined are the source ----------------------

_Cut = tuple[str, tuple[str, ...]]


def _room(options: SplitOptions) -> int:
    """What a piece may hold beside its overlap, so that both together stay within the chunk size."""
    return options.size - options.overlap


def _recursive_cuts(blocks: Iterable[str], options: SplitOptions) -> Iterator[_Cut]:
    splitter = TextSplitter(_room(options), trim=False)
    for block in regular_blocks(blocks):
        for text in splitter.chunks(block):
            yield text, ()


def _paragraph_cuts(blocks: Iterable[str], options: SplitOptions) -> Iterator[_Cut]:
    room = _room(options)
    splitter = TextSplitter(room, trim=False)
    for block in regular_blocks(blocks):
        held = ""
        for paragraph in _paragraphs(block):
            if held and len(held) + len(paragraph.rstrip()) > room:
                yield held, ()
                held = ""
            held += paragraph
            if len(held.rstrip()) > room:
                for text in splitter.chunks(held):
                    yield text, ()
                held = ""
        if held:
            yield held, ()


_BLANK_LINES = re.compile(r"\n[^\S\n]*\n\s*")


def _paragraphs(text: str) -> Iterator[str]:
    """Paragraphs with the blank lines that follow them."""
    start = 0
    for border in _BLANK_LINES.finditer(text):
        yield text[start : border.end()]
        start = border.end()
    if start < len(text):
        yield text[start:]


def _markdown_cuts(blocks: Iterable[str], options: SplitOptions) -> Iterator[_Cut]:
    splitter = MarkdownSplitter(_room(options), trim=False)
    path: list[tuple[int, str]] = []
    for block, headings in markdown_blocks(blocks):
        place, following = 0, 0
        for text in splitter.chunks(block):
            first_word = place + len(text) - len(text.lstrip())
            while following < len(headings) and headings[following].start <= first_word:
                _enter(path, headings[following])
                following += 1
            yield text, tuple(title for _, title in path)
            place += len(text)
        for heading in headings[following:]:
            _enter(path, heading)


@dataclass(frozen=True, slots=True)
class Heading:
    """A Markdown heading: its place in the block (in characters), level 1–6 and the beginning of its text."""

    start: int
    level: int
    title: str


def _enter(path: list[tuple[int, str]], heading: Heading) -> None:
    while path and path[-1][0] >= heading.level:
        path.pop()
    path.append((heading.level, heading.title))


_ATX = re.compile(r" {0,3}(#{1,6})(?=[ \t]|$)")
_SETEXT = re.compile(r" {0,3}(=+|-+)[ \t]*$")
_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})")
_FRONT_MATTER_LINES = 100  # more is none, or is never closed
_NOT_A_TITLE = re.compile(r"\s*(?:[|>#]|[-*+] |\d+[.)] |$)")


def markdown_blocks(blocks: Iterable[str], limit: int = BLOCK_CHARACTERS) -> Iterator[tuple[str, list[Heading]]]:
    """Regroup Markdown into blocks that end outside fenced code, each with the headings in it.

    A block ends at the first blank line after half of *limit*, or at *limit* if there is none.
    """
    held: list[str] = []
    headings: list[Heading] = []
    length, fence, previous = 0, "", ""
    front_matter, lines = _front_matter(_split_lines(blocks, limit))
    for number, line in enumerate(lines):
        if held and length + len(line) > limit:
            yield "".join(held), headings
            held, headings, length, previous = [], [], 0, ""
        bare = line.rstrip("\n")
        if number < front_matter:
            previous = ""
        elif mark := _FENCE.match(bare):
            fence = _next_fence(fence, mark[1], bare[mark.end() :])
            previous = ""
        elif not fence:
            if found := _heading(bare, previous, length):
                headings.append(found)
                bare = ""
            previous = bare
        held.append(line)
        length += len(line)
        if not bare.strip() and not fence and length > limit // 2:
            yield "".join(held), headings
            held, headings, length, previous = [], [], 0, ""
    if held:
        yield "".join(held), headings


def _front_matter(lines: Iterator[str]) -> tuple[int, Iterator[str]]:
    """How many lines of front matter there are, and all lines. A rule in the first line may be just a rule."""
    first = next(lines, "")
    if first.rstrip("\n") != "---":
        return 0, chain([first] if first else [], lines)
    ahead = [first, *islice(lines, _FRONT_MATTER_LINES)]
    bare = [line.rstrip("\n") for line in ahead]
    is_closed = "---" in bare[1:] and bare[1].strip() != ""
    return bare.index("---", 1) + 1 if is_closed else 0, chain(ahead, lines)


def _split_lines(blocks: Iterable[str], limit: int) -> Iterator[str]:
    rest = ""
    for block in regular_blocks(blocks, limit):
        lines = (rest + block).split("\n")
        rest = lines.pop()
        for line in lines:
            yield line + "\n"
        if len(rest) > limit // 2:
            yield rest
            rest = ""
    if rest:
        yield rest


def _next_fence(open_fence: str, mark: str, rest: str) -> str:
    if not open_fence:
        return "" if mark[0] == "`" and "`" in rest else mark
    closes = mark[0] == open_fence[0] and len(mark) >= len(open_fence) and not rest.strip()
    return "" if closes else open_fence


def _heading(line: str, previous: str, place: int) -> Heading | None:
    if atx := _ATX.match(line):
        title = _without_closing(line[atx.end() :].strip())
        return Heading(place, len(atx[1]), _shortened(title)) if title.strip("#") else None
    if previous and (setext := _SETEXT.match(line)) and not _NOT_A_TITLE.match(previous):
        return Heading(place - len(previous) - 1, 1 if setext[1][0] == "=" else 2, _shortened(previous.strip()))
    return None


def _shortened(title: str) -> str:
    return title if len(title) <= TITLE_CHARACTERS else f"{title[: TITLE_CHARACTERS - 1]}…"


def _without_closing(title: str) -> str:
    """The title without the ``#`` that may close it; they do when a space is in front of them."""
    bare = title.rstrip("#")
    return bare.rstrip() if bare != title and bare[-1:].isspace() else title


# -- Overlap ----------------------------------------------------------------------------------------


def _overlapping(cuts: Iterable[_Cut], options: SplitOptions) -> Iterator[Piece]:
    """Put the end of the text before each cut in front of it: at most ``overlap`` characters, from a word's start.

    A heading that would be a piece of its own, since what follows is long, is left out when the next one repeats all
    of it.
    """
    overlap = options.overlap
    place = 0
    tail = ""
    held: Piece | None = None
    unseen = 0  # where the text begins that stands in the held heading alone
    for text, path in cuts:
        whole = tail + text
        start = place - len(tail)
        if text and not text.isspace():
            piece = Piece(whole.strip(), start + len(whole) - len(whole.lstrip()), path)
            if held and piece.start > unseen:
                yield held
                held = None
            if path and len(text) <= overlap and _is_heading(text):
                unseen = unseen if held else place + len(text) - len(text.lstrip())
                held = piece
            else:
                yield piece
                held = None
        place += len(text)
        if overlap:
            tail = _tail(whole, overlap)
    if held:
        yield held


def _is_heading(text: str) -> bool:
    return all(_ATX.match(line) for line in text.split("\n") if line.strip())


_WORD_START = re.compile(r"(?<=\s)\S")


def _tail(text: str, overlap: int) -> str:
    if len(text) <= overlap:
        return text
    word = _WORD_START.search(text, len(text) - overlap)
    return text[word.start() :] if word else ""


# -- Exact windows ----------------------------------------------------------------------------------


def _words(text: str) -> list[Span]:
    return [found.span() for found in re.finditer(r"\S+", text)]


def _lines(text: str) -> list[Span]:
    return [found.span() for found in re.finditer(r"[^\n]*\n|[^\n]+", text)]


def _tokens(text: str) -> list[Span]:
    return list(tokenizer().encode(text, add_special_tokens=False).offsets)


def _windows(blocks: Iterable[str], spans_of: Spans, options: SplitOptions) -> Iterator[Piece]:
    """Windows of exactly ``size`` units (the last one may be shorter), each starting ``size - overlap`` further."""
    size, step = options.size, options.size - options.overlap
    text, spans, place = "", list[Span](), 0
    for block in blocks:
        offset = len(text)
        spans.extend((start + offset, end + offset) for start, end in spans_of(block))
        text += block
        first = 0
        while len(spans) - first > size:
            if piece := _window(text, spans[first][0], spans[first + size - 1][1], place):
                yield piece
            first += step
        if first:
            done = spans[first][0] if first < len(spans) else len(text)
            text, place = text[done:], place + done
            spans = [(start - done, end - done) for start, end in spans[first:]]
    if spans and (piece := _window(text, spans[0][0], spans[-1][1], place)):
        yield piece


def _character_windows(blocks: Iterable[str], options: SplitOptions) -> Iterator[Piece]:
    """The same for single characters, whose places need no list."""
    size, step = options.size, options.size - options.overlap
    text, place = "", 0
    for block in blocks:
        text += block
        start = 0
        while len(text) - start > size:
            if piece := _window(text, start, start + size, place):
                yield piece
            start += step
        text, place = text[start:], place + start
    if piece := _window(text, 0, len(text), place):
        yield piece


def _window(text: str, start: int, end: int, place: int) -> Piece | None:
    window = text[start:end]
    return None if not window or window.isspace() else Piece(window, place + start)


@functools.cache
def tokenizer() -> "Tokenizer":
    """The tokenizer of the built-in embedding model.

    It is read from the ``wordllama`` wheel without importing that package, whose own code would be loaded for nothing.
    """
    from tokenizers import Tokenizer

    spec = importlib.util.find_spec("wordllama")
    if spec is None or spec.origin is None:
        raise PluginError(
            "tokenizer_missing",
            "The tokenizer for TokenTextSplitter is not installed.",
            hint="Choose another splitter_type, or ask the operator to install the package wordllama.",
        )
    file = Path(spec.origin).parent / "tokenizers" / "l2_supercat_tokenizer_config.json"
    return Tokenizer.from_file(str(file))
