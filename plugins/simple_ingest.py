"""Plain text, Markdown and HTML files, read and split as a stream: memory does not grow with the file."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from plugins.base import Chunk, IngestPlugin, ParameterSpecs, PluginRegistry
from plugins.chunking import split, split_options, split_parameters
from plugins.html_text import html_text
from plugins.metadata import chunk_of, file_metadata
from plugins.normalise import counted
from plugins.text import read_text

_REPORT_CHARACTERS = 4_000_000


@PluginRegistry.register
class SimpleIngest(IngestPlugin):
    name = "simple_ingest"
    kind = "file-ingest"
    description = "Splits text files (plain text, Markdown, HTML) into chunks; reads every common encoding"
    supported_file_types = frozenset({"txt", "md", "html"})
    supports_progress = True

    def get_parameters(self) -> ParameterSpecs:
        return split_parameters(1000, 200)

    def ingest(self, file_path: str, **kwargs: Any) -> Iterator[Chunk]:
        """Yield the chunks of a text file.

        :raises PluginError: ``not_text``, ``no_text``, ``bad_parameter``
        """
        options = split_options(kwargs, size=1000, overlap=200)
        self.report_progress(kwargs, 1, 2, "Reading and splitting the text...")
        metadata = file_metadata(file_path, kwargs, options)
        is_html = Path(file_path).suffix.lower() in {".html", ".htm", ".xhtml"}
        text = read_text(file_path, declared=is_html)
        blocks = self._watched(html_text(text) if is_html else text, kwargs)
        index = -1
        for index, piece in enumerate(split(blocks, options)):
            yield chunk_of(piece, metadata, index)
        self.report_progress(kwargs, 2, 2, f"Split into {counted(index + 1, 'chunk')}")

    def _watched(self, blocks: Iterable[str], kwargs: dict[str, Any]) -> Iterator[str]:
        """Show that a long text moves on; without a sign of life it would count as stuck."""
        seen = told = 0
        for block in blocks:
            yield block
            seen += len(block)
            if seen - told >= _REPORT_CHARACTERS:
                told = seen
                self.report_progress(kwargs, 1, 2, f"Splitting the text: {seen // 1_000_000} million characters read")
