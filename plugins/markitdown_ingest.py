"""Office documents, PDFs, e-books and more: converted to Markdown, shown as a page, split along its headings."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from plugins.base import Chunk, IngestPlugin, ParameterSpecs, PluginRegistry
from plugins.chunking import Piece, split, split_options, split_parameters
from plugins.documents.conversion import CONVERTING, Upload
from plugins.documents.convert import SUPPORTED
from plugins.documents.pages import Pages
from plugins.metadata import chunk_of, described_parameters, file_metadata
from plugins.preview import write_preview
from plugins.report import Figures, sibling_url

STAGES = 4
_CONVERT, _PREVIEW, _SPLIT = 1, 2, 3
_PREVIEWING = "Generating HTML preview..."
_SPLITTING = "Splitting content into chunks..."


@PluginRegistry.register
class MarkItDownIngest(IngestPlugin):
    name = "markitdown_ingest"
    kind = "file-ingest"
    description = (
        "Converts documents (PDF, Office, e-books, web pages, archives) to Markdown and splits them into chunks"
    )
    supported_file_types = frozenset(SUPPORTED)
    supports_progress = True
    progress_unit = "stage"

    @classmethod
    def warm_up(cls) -> None:
        import markitdown.converters  # noqa: F401  (1.5 s)
        import pypdfium2  # noqa: F401

    def get_parameters(self) -> ParameterSpecs:
        return {**split_parameters(2000, 200), **described_parameters()}

    def ingest(self, file_path: str, **kwargs: Any) -> Iterator[Chunk]:
        """Yield the chunks of a document; its HTML page is written next to it.

        :raises PluginError: ``unsupported``, ``encrypted``, ``corrupt``, ``too_large``, ``not_text``, ``no_text``,
            ``bad_parameter``
        """
        upload = Upload(self, Path(file_path), kwargs, _CONVERT, STAGES)
        options = split_options(kwargs, size=2000, overlap=200, markdown=True)
        figures = Figures(str(kwargs.get("file_url") or ""), options.strategy)

        upload.tell(CONVERTING)
        read, document = upload.text(figures)

        upload.tell(_PREVIEWING, _PREVIEW)
        page = preview_path(upload.path)
        write_preview(read(_ignore), upload.name, page, tell=lambda message: upload.tell(message, _PREVIEW))
        figures.clock.note("preview", page.name)

        upload.tell(_SPLITTING, _SPLIT)
        metadata = {
            **file_metadata(file_path, kwargs, options),
            "file_url": sibling_url(figures.file_url, page.name),
            "original_file_url": figures.file_url,
        }
        blocks = read(lambda message: upload.tell(f"{_SPLITTING} {message}", _SPLIT))
        pieces, pages = split(figures.counted(blocks), options), Pages(document)
        yield from upload.told(_chunks(pieces, pages, metadata), figures, _SPLITTING, _SPLIT)
        upload.complete(figures)


def _chunks(pieces: Iterable[Piece], pages: Pages, metadata: dict[str, Any]) -> Iterator[Chunk]:
    for index, piece in enumerate(pieces):
        own = pages.label(piece.start, piece.start + len(piece.text))
        yield chunk_of(piece, {**metadata, **own}, index)


def _ignore(message: str) -> None:
    pass


def preview_path(path: Path) -> Path:
    """Where the page of an upload goes: beside it, and never in its place."""
    ending = ".converted.html" if path.suffix.lower() in {".html", ".htm"} else ".html"
    return path.with_name(path.stem + ending)
