"""Office documents, PDFs, e-books and more: converted to Markdown, shown as a page, split along its headings."""

import time
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import quote, urlsplit, urlunsplit

from plugins.base import Chunk, IngestPlugin, ParameterSpecs, PluginRegistry
from plugins.chunking import split, split_options, split_parameters
from plugins.convert import SUPPORTED, Source, to_markdown
from plugins.metadata import chunk_of, file_metadata
from plugins.preview import write_preview

STAGES = 4
_PREVIEW_CHARACTERS = 2500


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
        return {
            **split_parameters(2000, 200),
            "description": {
                "type": "long-string",
                "description": "What the document is about",
                "help_text": "Kept with every chunk.",
            },
            "citation": {
                "type": "long-string",
                "description": "How to cite the document",
                "help_text": "Kept with every chunk.",
            },
        }

    def ingest(self, file_path: str, **kwargs: Any) -> Iterator[Chunk]:
        """Yield the chunks of a document; its HTML page is written next to it.

        :raises PluginError: ``unsupported``, ``encrypted``, ``corrupt``, ``too_large``, ``not_text``, ``no_text``,
            ``bad_parameter``
        """
        path = Path(file_path)
        name = str(kwargs.get("original_filename") or path.name)
        options = split_options(kwargs, size=2000, overlap=200, markdown=True)
        clock = _Clock()

        self.report_progress(kwargs, 1, STAGES, "Converting document to Markdown...")
        markdown = self._convert(path, name, kwargs)
        clock.note("conversion", f"{len(markdown)} characters")

        self.report_progress(kwargs, 2, STAGES, "Generating HTML preview...")
        page = preview_path(path)
        write_preview(markdown, name, page)
        clock.note("preview", page.name)

        self.report_progress(kwargs, 3, STAGES, "Splitting content into chunks...")
        file_url = str(kwargs.get("file_url") or "")
        metadata = {
            **file_metadata(file_path, kwargs, options),
            "file_url": sibling_url(file_url, page.name),
            "original_file_url": file_url,
        }
        sizes = []
        for index, piece in enumerate(split([markdown], options)):
            yield chunk_of(piece, metadata, index)
            sizes.append(len(piece.text))
        clock.note("chunking", f"{len(sizes)} chunks")

        self.report_stats(kwargs, _stats(markdown, options.strategy, sizes, clock, file_url))
        self.report_progress(kwargs, STAGES, STAGES, f"Conversion complete: {len(sizes)} chunks")

    def _convert(self, path: Path, name: str, kwargs: dict[str, Any]) -> str:
        warn = kwargs.get("warning_callback") or (lambda *_: None)
        with path.open("rb") as stream:
            extension = path.suffix or Path(name).suffix
            return to_markdown(
                Source(
                    stream,
                    extension.lower().lstrip("."),
                    name,
                    tell=lambda message: self.report_progress(kwargs, 1, STAGES, message),
                    warn=warn,
                )
            )


def preview_path(path: Path) -> Path:
    """Where the page of an upload goes: beside it, and never in its place."""
    ending = ".converted.html" if path.suffix.lower() in {".html", ".htm"} else ".html"
    return path.with_name(path.stem + ending)


def sibling_url(url: str, name: str) -> str:
    """*url* with its last part replaced by *name*; a query belongs to the old part and goes."""
    if not url:
        return ""
    parts = urlsplit(url)
    path = str(PurePosixPath(parts.path).with_name(quote(name))) if parts.path.strip("/") else parts.path
    return urlunsplit((parts.scheme, parts.netloc, path, "", ""))


class _Clock:
    """Times the stages, in the shape of ``stage_timings``."""

    def __init__(self) -> None:
        self.timings: list[dict[str, Any]] = []
        self._last = time.monotonic()

    def note(self, stage: str, message: str) -> None:
        now = time.monotonic()
        self.timings.append({"stage": stage, "duration_ms": round((now - self._last) * 1000), "message": message})
        self._last = now


def _stats(markdown: str, strategy: str, sizes: list[int], clock: _Clock, file_url: str) -> dict[str, Any]:
    """The job's ``processing_stats``, with the keys that LAMB's job window reads."""
    average = round(sum(sizes) / len(sizes), 1) if sizes else 0.0
    return {
        "content_length": len(markdown),
        "images_extracted": 0,
        "images_with_llm_descriptions": 0,
        "llm_calls": [],
        "total_llm_duration_ms": 0,
        "chunking_strategy": strategy,
        "chunk_stats": {
            "count": len(sizes),
            "avg_size": average,
            "min_size": min(sizes, default=0),
            "max_size": max(sizes, default=0),
        },
        "stage_timings": clock.timings,
        "output_files": {"markdown_url": None, "images_folder_url": None, "original_file_url": file_url or None},
        "markdown_preview": markdown[:_PREVIEW_CHARACTERS],
    }
