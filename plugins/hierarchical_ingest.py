"""Markdown and plain text as parents and children: short texts to be found, their sections to be read."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from plugins.base import Chunk, IngestPlugin, ParameterSpecs, PluginRegistry
from plugins.documents.conversion import Upload
from plugins.documents.parents import Family, children, family_parameters, identity
from plugins.metadata import upload_metadata
from plugins.normalise import counted

STAGES = 2


@PluginRegistry.register
class HierarchicalIngest(IngestPlugin):
    name = "hierarchical_ingest"
    kind = "file-ingest"
    description = "Splits Markdown and text files into sections, and these into small chunks that know their section"
    supported_file_types = frozenset({"md", "markdown", "txt"})
    supports_progress = True
    progress_unit = "stage"

    def get_parameters(self) -> ParameterSpecs:
        return family_parameters()

    def ingest(self, file_path: str, **kwargs: Any) -> Iterator[Chunk]:
        """Yield the children of a text file's sections.

        :raises PluginError: ``not_text``, ``no_text``, ``bad_parameter``
        """
        upload, family = Upload(self, Path(file_path), kwargs, 1, STAGES), Family.of(kwargs)
        upload.tell("Reading and splitting the text...")
        metadata = {**upload_metadata(file_path, kwargs), **family.to_json()}
        count = 0
        read = lambda: upload.blocks(lambda size: upload.tell(f"Splitting the text: {size}"))  # noqa: E731
        for count, child in enumerate(children(read, family, identity(kwargs, family, upload.name)), 1):
            yield {"text": child.text, "metadata": {**metadata, **child.metadata, "chunk_index": count - 1}}
        upload.tell(f"Split into {counted(count, 'chunk')}", STAGES)
