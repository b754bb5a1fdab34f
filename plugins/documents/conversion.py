"""From an upload to Markdown, for every plugin that converts: once, whatever is done with it afterwards.

What was converted is kept beside the original. A run that changes only how the text is split, or that chooses another
of these plugins, starts from it. Text files are cheaper to read again than to keep.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from plugins.base import Chunk, IngestPlugin
from plugins.documents.convert import STREAMED, no_text, text_stream, to_document
from plugins.documents.pages import Document
from plugins.kept import Kept, conversion_key
from plugins.normalise import counted
from plugins.quality import judge_pages
from plugins.report import Figures, Pace
from plugins.source import Source

VERSION = 3  # to be raised when the same bytes would be converted differently
_LIBRARIES = ("markitdown", "mammoth", "openpyxl", "pdfplumber", "pypdfium2", "python-pptx")  # newer ones convert anew
KEPT = "kept from an earlier run"
_CHEAP = STREAMED | {"xml"}
CONVERTING = "Converting document to Markdown..."

# The text, to be read as often as needed; whom it is given hears how much of it was read.
Read = Callable[[Callable[[str], None]], Iterator[str]]


@dataclass(frozen=True)
class Upload:
    """A plugin's source, and whom it tells.

    :param stage: number of the stage in which it is converted
    :param stages: how many there are
    :param attention: entries of ``needs_attention`` about what could not be read, once it is converted
    """

    plugin: IngestPlugin
    path: Path
    kwargs: Mapping[str, Any]
    stage: int
    stages: int
    attention: list[dict[str, str]] = field(default_factory=list)

    @property
    def name(self) -> str:
        """The name that people know."""
        return str(self.kwargs.get("original_filename") or self.path.name)

    @property
    def extension(self) -> str:
        return (self.path.suffix or Path(self.name).suffix).lower().lstrip(".")

    @property
    def is_streamed(self) -> bool:
        """Whether its text is read as a stream, since it may be larger than memory."""
        return self.extension in STREAMED

    def tell(self, message: str, stage: int | None = None) -> None:
        self.plugin.report_progress(self.kwargs, self.stage if stage is None else stage, self.stages, message)

    def warn(self, message: str, data: Any = None) -> None:
        self.plugin.warn(self.kwargs, message, data)

    def blocks(self, tell: Callable[[str], None]) -> Iterator[str]:
        """The text as a stream; *tell* hears how much of it was read.

        :raises PluginError: ``not_text``, ``no_text`` or ``corrupt``
        """
        with self.path.open("rb") as file:
            yield from text_stream(Source(file, self.extension, self.name, tell=tell))

    def document(self) -> tuple[Document, str]:
        """The converted document, and how it came here in a few words. It may be without text.

        :raises PluginError: ``unsupported``, ``encrypted``, ``corrupt``, ``too_large``, ``not_text`` or ``no_text``
        """
        kept, key = Kept.of(self.kwargs), _key(self.kwargs, self.extension)
        with suppress(KeyError, TypeError, ValueError):
            entry = kept.get(key) or {}
            document = Document.from_json(entry["document"])
            for message, data in entry["warnings"]:
                self._warn(message, data)
            self.tell(f"The document was converted before: its text is {KEPT}.")
            return document, KEPT
        document, warnings = self._convert()
        if self.extension not in _CHEAP:
            kept.put(key, {"document": document.to_json(), "warnings": warnings})
        return document, counted(len(document.parts), "page") if document.paged else "converted"

    def text(self, figures: Figures) -> tuple[Read, Document | None]:
        """The text without pictures, and the document; that is None when it is read as a stream.

        :raises PluginError: as :meth:`document` and :meth:`judge`
        """
        if self.is_streamed:
            figures.clock.note("conversion", "read as a stream")
            return self.blocks, None
        raw, how = self.document()
        document = raw.without_pictures()
        figures.attention = self.judge(document)
        figures.clock.note("conversion", f"{counted(len(document.markdown), 'character')}, {how}")
        return lambda tell: document.blocks(), document

    def told(self, chunks: Iterable[Chunk], figures: Figures, message: str, stage: int) -> Iterator[Chunk]:
        """The same chunks, counted and told about with *message*. A stream tells by itself how far it was read."""
        pace = Pace()
        for number, chunk in enumerate(chunks, 1):
            yield chunk
            figures.chunks.add(len(chunk["text"]))
            if pace() and not self.is_streamed:
                self.tell(f"{message} {number:,} so far", stage)
        figures.clock.note("chunking", counted(figures.chunks.count, "chunk"))

    def complete(self, figures: Figures) -> None:
        """The last words of a run."""
        self.plugin.report_stats(self.kwargs, figures.to_json())
        self.tell(f"Conversion complete: {counted(figures.chunks.count, 'chunk')}", self.stages)

    def _warn(self, message: str, data: Any = None) -> None:
        """Into the diary; what comes with a hint is for a person to look at, so it is also counted among that."""
        self.warn(message, data)
        if isinstance(data, dict) and data.get("code") and data.get("hint"):
            self.attention.append({"code": str(data["code"]), "message": message, "hint": str(data["hint"])})

    def _convert(self) -> tuple[Document, list[tuple[str, Any]]]:
        warnings: list[tuple[str, Any]] = []

        def warn(message: str, data: Any = None) -> None:
            warnings.append((message, data))
            self._warn(message, data)

        with self.path.open("rb") as file:
            return to_document(Source(file, self.extension, self.name, tell=self.tell, warn=warn)), warnings

    def judge(self, document: Document) -> list[dict[str, str]]:
        """Entries of ``needs_attention`` about what could not be read, and about its pages.

        :raises PluginError: ``no_text``
        """
        if not document.has_text():
            raise no_text(self.extension)
        findings = judge_pages(document)
        for finding in findings:
            if finding.fatal:
                raise finding.error()
            self.warn(finding.message, {"code": finding.code, "hint": finding.hint})
        return self.attention + [finding.to_json() for finding in findings]


def _key(kwargs: Mapping[str, Any], extension: str) -> str:
    return conversion_key(kwargs, "markitdown", VERSION, extension, *_versions())


@cache
def _versions() -> tuple[str, ...]:
    return tuple(map(_version, _LIBRARIES))


def _version(library: str) -> str:
    try:
        return version(library)
    except PackageNotFoundError:
        return ""
