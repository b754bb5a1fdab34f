"""From an upload to Markdown, for every plugin that converts: once, whatever is done with it afterwards.

What was converted is kept beside the original. A run that changes only how the text is split, or that chooses another
of these plugins, starts from it. Text files are cheaper to read again than to keep.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from plugins.base import IngestPlugin
from plugins.convert import STREAMED, no_text, text_stream, to_document
from plugins.kept import Kept, conversion_key
from plugins.pages import Document
from plugins.quality import judge_pages
from plugins.source import Source

VERSION = 1  # to be raised when the same bytes would be converted differently
KEPT = "kept from an earlier run"
_CHEAP = STREAMED | {"xml"}
CONVERTING = "Converting document to Markdown..."


@dataclass(frozen=True)
class Upload:
    """A plugin's source, and whom it tells.

    :param stage: number of the stage in which it is converted
    :param stages: how many there are
    """

    plugin: IngestPlugin
    path: Path
    kwargs: Mapping[str, Any]
    stage: int
    stages: int

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
        kept, key = Kept.of(self.kwargs), conversion_key(self.kwargs, "markitdown", VERSION, self.extension)
        with suppress(KeyError, TypeError, ValueError):
            entry = kept.get(key) or {}
            document = Document.from_json(entry["document"])
            for message, data in entry["warnings"]:
                self.warn(message, data)
            self.tell(f"The document was converted before: its text is {KEPT}.")
            return document, KEPT
        document, warnings = self._convert()
        if self.extension not in _CHEAP:
            kept.put(key, {"document": document.to_json(), "warnings": warnings})
        return document, f"{len(document.parts)} pages" if document.paged else "converted"

    def _convert(self) -> tuple[Document, list[tuple[str, Any]]]:
        warnings: list[tuple[str, Any]] = []

        def warn(message: str, data: Any = None) -> None:
            warnings.append((message, data))
            self.warn(message, data)

        with self.path.open("rb") as file:
            return to_document(Source(file, self.extension, self.name, tell=self.tell, warn=warn)), warnings

    def judge(self, document: Document) -> list[dict[str, str]]:
        """Entries of ``needs_attention`` about its pages, which also go into the diary.

        :raises PluginError: ``no_text``
        """
        if not document.has_text():
            raise no_text(self.extension)
        findings = judge_pages(document)
        for finding in findings:
            if finding.fatal:
                raise finding.error()
            self.warn(finding.message, {"code": finding.code, "hint": finding.hint})
        return [finding.to_json() for finding in findings]
