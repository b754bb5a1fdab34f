"""Office documents, PDFs and more, converted to Markdown and split into parents and children."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from plugins.base import Chunk, IngestPlugin, ParameterSpecs, PluginRegistry
from plugins.conversion import CONVERTING, Upload
from plugins.convert import SUPPORTED
from plugins.metadata import described_parameters, upload_metadata
from plugins.pages import Pages
from plugins.parents import STRATEGY, Family, Read, children, family_parameters, identity
from plugins.report import Figures, Pace

STAGES = 3
_CONVERT, _SPLIT = 1, 2
_SPLITTING = "Splitting content into parents and children..."


@PluginRegistry.register
class MarkItDownHierarchicalIngest(IngestPlugin):
    name = "markitdown_hierarchical_ingest"
    kind = "file-ingest"
    description = "Converts documents to Markdown and splits them into sections, and these into small chunks"
    supported_file_types = frozenset(SUPPORTED) - {"txt", "md"}
    supports_progress = True
    progress_unit = "stage"

    def get_parameters(self) -> ParameterSpecs:
        return {**family_parameters((500, 8000), (100, 2000), (0, 200)), **described_parameters()}

    def ingest(self, file_path: str, **kwargs: Any) -> Iterator[Chunk]:
        """Yield the children of a document's sections.

        :raises PluginError: ``unsupported``, ``encrypted``, ``corrupt``, ``too_large``, ``not_text``, ``no_text``,
            ``bad_parameter``
        """
        upload, family = Upload(self, Path(file_path), kwargs, _CONVERT, STAGES), Family.of(kwargs)
        figures = Figures(str(kwargs.get("file_url") or ""), STRATEGY)
        upload.tell(CONVERTING)
        read, pages = self._converted(upload, figures)

        upload.tell(_SPLITTING, _SPLIT)
        metadata, pace = {**upload_metadata(file_path, kwargs), **family.to_json()}, Pace()
        for index, child in enumerate(children(read, family, identity(kwargs, family, upload.name))):
            own = {**child.metadata, **pages.label(child.start, child.end), "chunk_index": index}
            yield {"text": child.text, "metadata": {**metadata, **own}}
            figures.chunks.add(len(child.text))
            if pace():
                upload.tell(f"{_SPLITTING} {index + 1:,} so far", _SPLIT)
        figures.clock.note("chunking", f"{figures.chunks.count} chunks")

        self.report_stats(kwargs, figures.to_json())
        upload.tell(f"Conversion complete: {figures.chunks.count} chunks", STAGES)

    def _converted(self, upload: Upload, figures: Figures) -> tuple[Read, Pages]:
        """The text, which is read twice, and the pages of its chunks."""
        if upload.is_streamed:
            figures.clock.note("conversion", "read as a stream")
            return lambda: upload.blocks(lambda size: upload.tell(f"{_SPLITTING} {size}", _SPLIT)), Pages()
        raw, how = upload.document()
        document = raw.without_pictures()
        figures.attention = upload.judge(document)
        figures.of_text(document.markdown)
        figures.clock.note("conversion", f"{len(document.markdown)} characters, {how}")
        return document.blocks, Pages(document)
