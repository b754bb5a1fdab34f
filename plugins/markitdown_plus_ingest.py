"""Documents with everything that can be had from them: pages, sections, pictures, and figures of each stage."""

from collections import deque
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any

from plugins.base import Chunk, IngestPlugin, ParameterSpecs, PluginRegistry
from plugins.chunking import split, split_options
from plugins.documents import images
from plugins.documents.conversion import CONVERTING, Upload
from plugins.documents.convert import SUPPORTED
from plugins.documents.describe_images import Describer
from plugins.documents.pages import Document, Pages
from plugins.documents.passages import Passage, page_passages, section_passages
from plugins.documents.plus_parameters import PAGED, chunking_parameters, image_parameters
from plugins.kept import Kept
from plugins.metadata import described_parameters, upload_metadata
from plugins.normalise import counted
from plugins.report import Figures, sibling_url
from plugins.source import Source

STAGES = 5
_CONVERT, _IMAGES, _SPLIT, _FINISH = 1, 2, 3, 4
_SPLITTING = "Splitting content into chunks..."


@PluginRegistry.register
class MarkItDownPlusIngest(IngestPlugin):
    name = "markitdown_plus_ingest"
    kind = "file-ingest"
    description = (
        "Converts documents to Markdown and splits them by size, page or section; extracts and describes pictures"
    )
    supported_file_types = frozenset(SUPPORTED) - {"txt", "md"}
    supports_progress = True
    progress_unit = "stage"
    takes_api_key = True

    @classmethod
    def warm_up(cls) -> None:
        import PIL.Image  # noqa: F401

    def get_parameters(self) -> ParameterSpecs:
        return {**image_parameters(), **chunking_parameters(), **described_parameters("textarea")}

    def ingest(self, file_path: str, **kwargs: Any) -> Iterator[Chunk]:
        """Yield the chunks of a document; its Markdown and its pictures are written next to it.

        :raises PluginError: ``unsupported``, ``encrypted``, ``corrupt``, ``too_large``, ``not_text``, ``no_text``,
            ``bad_parameter``
        """
        upload = Upload(self, Path(file_path), kwargs, _CONVERT, STAGES)
        yield from _Run(upload, Figures(str(kwargs.get("file_url") or ""))).chunks()


class _Run:
    """One document's way through the stages."""

    def __init__(self, upload: Upload, figures: Figures) -> None:
        self.upload = upload
        self.kwargs = upload.kwargs
        self.figures = figures
        self.images = str(self.kwargs.get("image_descriptions") or "none")
        self.options = split_options(self.kwargs, size=1000, overlap=200, markdown=True)
        self.markdown_path = markdown_path(upload.path)
        figures.files["markdown_url"] = sibling_url(figures.file_url, self.markdown_path.name) or None

    def chunks(self) -> Iterator[Chunk]:
        self.upload.tell("Starting...", 0)
        self.upload.tell(CONVERTING, _CONVERT)
        images.clear(self.upload.path)
        if self.upload.is_streamed:
            yield from self.cut(self.streamed(), Pages())
        else:
            document = self.pictured(self.converted())
            self.figures.of_text(document.markdown)
            deque(written(document.blocks(), self.markdown_path), maxlen=0)
            yield from self.cut(self.passages(document), Pages(document))
        self.upload.tell("Finalizing...", _FINISH)
        self.note("finalization", self.markdown_path.name)
        self.upload.complete(self.figures)

    def note(self, stage: str, message: str) -> None:
        """A stage has ended: its figures are shown at once."""
        self.figures.clock.note(stage, message)
        self.upload.plugin.report_stats(self.kwargs, self.figures.to_json())

    def warn(self, message: str, data: Any = None) -> None:
        self.figures.clock.note("warning", message)
        self.upload.warn(message, data)

    # -- Conversion and pictures --------------------------------------------------------------------

    def converted(self) -> Document:
        document, how = self.upload.document()
        self.note("conversion", f"{counted(len(document.markdown), 'character')}, {how}")
        return document

    def pictured(self, document: Document) -> Document:
        """The document with its pictures as the parameter ``image_descriptions`` says."""
        found: list[images.Picture] = []
        if self.images != "none":
            found = self.extracted()
            if self.images == "llm" and found:
                self.describe(found)
        shown = images.placed(document, found) if self.images != "none" else document.without_pictures()
        is_described = any(picture.description for picture in found)  # then a scan has text after all
        self.figures.attention = self.upload.judge(shown if is_described else document)
        return shown

    def extracted(self) -> list[images.Picture]:
        self.tell_images("Extracting pictures...")
        if self.upload.extension not in images.KINDS:
            self.note("info", f"Pictures are not taken from files of type .{self.upload.extension}.")
            return []
        with self.upload.path.open("rb") as file:
            source = Source(file, self.upload.extension, self.upload.name, tell=self.tell_images, warn=self.warn)
            found = images.extract(source, self.upload.path)
        self.figures.images = len(found)
        if found:
            links = [sibling_url(self.figures.file_url, picture.path.name) for picture in found]
            self.figures.files["images"] = [link for link in links if link]
        self.note("image_extraction", counted(len(found), "picture"))
        return found

    def tell_images(self, message: str) -> None:
        self.upload.tell(message, _IMAGES)

    def describe(self, found: list[images.Picture]) -> None:
        key = str(self.kwargs.get("openai_api_key") or "")
        if not key:
            self.images = "basic"
            reason = "Pictures were not described: that needs a collection whose vendor is openai, with a key."
            self.upload.warn(reason, {"code": "no_vendor"})
            self.note("info", reason)
            return
        base, model = str(self.kwargs.get("openai_base_url") or ""), str(self.kwargs.get("image_model") or "")
        with Describer(key, base, model, Kept.of(self.kwargs)) as describer:
            for number, picture in enumerate(found, 1):
                self.tell_images(f"Describing picture {number} of {len(found)}...")
                describer.describe(picture)
                self.figures.llm_calls = describer.calls
        self.report_on(describer, found)

    def report_on(self, describer: Describer, found: list[images.Picture]) -> None:
        self.figures.described = sum(bool(picture.description) for picture in found)
        failed = [call for call in describer.calls if not call["success"]]
        if failed:
            left, why = len(found) - self.figures.described, describer.stopped or failed[-1]["error"]
            self.warn(
                f"{left} of {counted(len(found), 'picture')} have no description: {why}.",
                {"failed": [f"{call['image']}: {call['error']}" for call in failed[:50]], "stopped": describer.stopped},
            )
        kept = f", {describer.reused} of them kept from an earlier run" if describer.reused else ""
        self.note("llm_descriptions", f"{self.figures.described} of {counted(len(found), 'picture')} described{kept}")

    # -- Splitting ----------------------------------------------------------------------------------

    def passages(self, document: Document) -> Iterator[Passage]:
        """The text in the chosen mode; where the document has nothing to go by, by size."""
        mode = str(self.kwargs.get("chunking_mode") or "standard")
        found: Iterator[Passage] = iter(())
        if mode == "by_page" and document.paged:
            found = page_passages(document, self.number("pages_per_chunk", 1))
        if mode == "by_section":
            found = section_passages(document, self.number("split_on_heading", 2), self.number("headings_per_chunk", 1))
        first = next(found, None)
        if first is not None:
            return chain([first], found)
        if mode != "standard":
            self.warn(self.why_not(mode), {"code": "mode_fallback", "chunking_mode": mode})
        return self.standard(document.blocks())

    def number(self, name: str, default: int) -> int:
        return int(self.kwargs.get(name) or default)

    def why_not(self, mode: str) -> str:
        if mode == "by_section":
            return f"There is no heading of level {self.number('split_on_heading', 2)}, so the text was split by size."
        if self.upload.extension in PAGED:
            return "The document does not tell where its pages end, so its text was split by size."
        return f"Files of type .{self.upload.extension} have no pages, so the text was split by size."

    def standard(self, blocks: Iterator[str]) -> Iterator[Passage]:
        options = self.options
        strategy = f"standard_{options.unit}_windows" if options.unit else f"standard_{options.splitter.lower()}"
        metadata = {"chunking_strategy": strategy, "chunk_size": options.size, "chunk_overlap": options.overlap}
        for piece in split(blocks, options):
            own = {"heading_path": list(piece.heading_path)} if piece.heading_path else {}
            yield Passage.of(piece, {**metadata, **own})

    def streamed(self) -> Iterator[Passage]:
        """Text that is never held as a whole. Such files have neither pages, nor headings to split at, nor pictures."""
        for name, chosen in (("chunking_mode", "standard"), ("image_descriptions", "none")):
            if str(self.kwargs.get(name) or chosen) != chosen:
                message = f"Files of type .{self.upload.extension} are split by size, without pictures."
                self.warn(message, {"code": "mode_fallback", name: self.kwargs[name]})
        self.note("conversion", "read as a stream")
        blocks = self.upload.blocks(lambda read: self.upload.tell(f"{_SPLITTING} {read}", _SPLIT))
        return self.standard(self.figures.counted(written(blocks, self.markdown_path)))

    def cut(self, passages: Iterable[Passage], pages: Pages) -> Iterator[Chunk]:
        self.upload.tell(_SPLITTING, _SPLIT)
        yield from self.upload.told(self.chunks_of(passages, pages), self.figures, _SPLITTING, _SPLIT)
        self.upload.plugin.report_stats(self.kwargs, self.figures.to_json())

    def chunks_of(self, passages: Iterable[Passage], pages: Pages) -> Iterator[Chunk]:
        metadata = self.metadata()
        for index, passage in enumerate(passages):
            own = {**passage.metadata, **pages.label(passage.start, passage.end), "chunk_index": index}
            self.figures.strategy = own["chunking_strategy"]
            yield {"text": passage.text, "metadata": {**metadata, **own}}

    def metadata(self) -> dict[str, Any]:
        return {
            **upload_metadata(str(self.upload.path), self.kwargs),
            "original_file_url": self.figures.file_url,
            "markdown_file_url": sibling_url(self.figures.file_url, self.markdown_path.name),
            "image_description_mode": self.images,
            "images_extracted": self.figures.images,
        }


def markdown_path(path: Path) -> Path:
    """Where the Markdown of an upload goes: beside it, and never in its place."""
    ending = ".converted.md" if path.suffix.lower() == ".md" else ".md"
    return path.with_name(path.stem + ending)


def written(blocks: Iterable[str], path: Path) -> Iterator[str]:
    """The same stream, which is also written to *path*; the file appears only when it is whole."""
    part = path.with_name(path.name + ".part")
    try:
        with part.open("w", encoding="utf-8", errors="replace") as file:
            for block in blocks:
                file.write(block)
                yield block
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
