"""Office documents, PDFs and more, converted to Markdown and split into parents and children."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from plugins.base import Chunk, IngestPlugin, ParameterSpecs, PluginRegistry
from plugins.documents.conversion import CONVERTING, Upload
from plugins.documents.convert import SUPPORTED
from plugins.documents.pages import Pages
from plugins.documents.parents import STRATEGY, Family, children, family_parameters, identity
from plugins.documents.passages import Passage
from plugins.metadata import described_parameters, upload_metadata
from plugins.report import Figures

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
        read, document = upload.text(figures)
        if document is not None:
            figures.of_text(document.markdown)

        upload.tell(_SPLITTING, _SPLIT)
        found = children(
            lambda: read(lambda size: upload.tell(f"{_SPLITTING} {size}", _SPLIT)),
            family,
            identity(kwargs, family, upload.name),
        )
        chunks = _chunks(found, Pages(document), {**upload_metadata(file_path, kwargs), **family.to_json()})
        yield from upload.told(chunks, figures, _SPLITTING, _SPLIT)
        upload.complete(figures)


def _chunks(found: Iterable[Passage], pages: Pages, metadata: dict[str, Any]) -> Iterator[Chunk]:
    for index, child in enumerate(found):
        own = {**child.metadata, **pages.label(child.start, child.end), "chunk_index": index}
        yield {"text": child.text, "metadata": {**metadata, **own}}
