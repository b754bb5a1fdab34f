"""What a plugin tells about its work: stage by stage, and in the figures of LAMB's job window."""

import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import quote, urlsplit, urlunsplit

PREVIEW_CHARACTERS = 2500


def timing(stage: str, seconds: float, message: str) -> dict[str, Any]:
    """An entry of ``stage_timings``, for a stage that has taken *seconds* and ends now."""
    timestamp = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    return {"stage": stage, "duration_ms": round(seconds * 1000), "message": message, "timestamp": timestamp}


class StageClock:
    """Times the stages of a run, in the shape of ``stage_timings``."""

    def __init__(self) -> None:
        self.timings: list[dict[str, Any]] = []
        self._last = time.monotonic()

    def note(self, stage: str, message: str) -> None:
        """The stage that began when the last one was noted ends now."""
        now = time.monotonic()
        self.timings.append(timing(stage, now - self._last, message))
        self._last = now


@dataclass
class ChunkSizes:
    """Figures about the chunks of a run, without a list of them."""

    count: int = 0
    total: int = 0
    least: int = 0
    most: int = 0

    def add(self, size: int) -> None:
        self.least = min(self.least, size) if self.count else size
        self.most = max(self.most, size)
        self.count += 1
        self.total += size

    def to_json(self) -> dict[str, Any]:
        average = round(self.total / self.count, 1) if self.count else 0.0
        return {"count": self.count, "avg_size": average, "min_size": self.least, "max_size": self.most}


@dataclass
class Figures:
    """The job's ``processing_stats``, filled as the work goes on.

    :param files: links by name, as in ``output_files``
    :param attention: entries of ``needs_attention``; see ``plugins.quality``
    """

    file_url: str = ""
    strategy: str | None = None
    content_length: int = 0
    preview: str = ""
    images: int = 0
    described: int = 0
    llm_calls: list[dict[str, Any]] = field(default_factory=list)
    files: dict[str, Any] = field(default_factory=dict)
    attention: list[dict[str, str]] = field(default_factory=list)
    chunks: ChunkSizes = field(default_factory=ChunkSizes)
    clock: StageClock = field(default_factory=StageClock)

    def of_text(self, markdown: str) -> None:
        self.content_length = len(markdown)
        self.preview = markdown[:PREVIEW_CHARACTERS]

    def counted(self, blocks: Iterable[str]) -> Iterator[str]:
        """The same stream; its length and its beginning are noted on the way."""
        for block in blocks:
            self.count(block)
            yield block

    def count(self, block: str, gap: str = "") -> None:
        """Note the length of *block*; it goes into the preview, *gap* before it, as far as there is room."""
        self.content_length += len(block)
        if len(self.preview) < PREVIEW_CHARACTERS:
            self.preview = (self.preview + (gap if self.preview else "") + block)[:PREVIEW_CHARACTERS]

    def to_json(self) -> dict[str, Any]:
        """With the keys that LAMB's job window reads, at whatever stage."""
        own = {"needs_attention": self.attention} if self.attention else {}
        return {
            "content_length": self.content_length,
            "images_extracted": self.images,
            "images_with_llm_descriptions": self.described,
            "llm_calls": self.llm_calls,
            "total_llm_duration_ms": sum(call["duration_ms"] for call in self.llm_calls),
            "chunking_strategy": self.strategy,
            "chunk_stats": self.chunks.to_json(),
            "stage_timings": list(self.clock.timings),
            "output_files": {**_NO_FILES, "original_file_url": self.file_url or None, **self.files},
            "markdown_preview": self.preview,
            **own,
        }


_NO_FILES: Mapping[str, Any] = {"markdown_url": None, "images_folder_url": None}


class Pace:
    """Says when it is time for another report: often enough to show that work goes on, without a clock's cost each."""

    def __init__(self, seconds: float = 0.25) -> None:
        self.seconds = seconds
        self._last = time.monotonic()

    def __call__(self) -> bool:
        now = time.monotonic()
        if now - self._last < self.seconds:
            return False
        self._last = now
        return True


def sibling_url(url: str, name: str) -> str:
    """*url* with its last part replaced by *name*; a query belongs to the old part and goes."""
    if not url:
        return ""
    parts = urlsplit(url)
    path = str(PurePosixPath(parts.path).with_name(quote(name))) if parts.path.strip("/") else parts.path
    return urlunsplit((parts.scheme, parts.netloc, path, "", ""))
