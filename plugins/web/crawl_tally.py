"""What became of the pages of a crawl, counted as they come and told in the job's statistics."""

from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from plugins.base import PluginError
from plugins.web.crawl import Crawl, Duplicate, Elsewhere, Failed, Outcome, Read

LISTED = 50  # failures and duplicates, so that the statistics stay small
SHORT = 300  # characters of an address or a sentence in them
PREVIEW = 2500


@dataclass
class Tally:
    """The counts of one crawl. ``codes`` counts failures by their code."""

    strategy: str
    file_url: str
    read: int = 0
    unchanged: int = 0
    stale: int = 0
    duplicates: int = 0
    elsewhere: int = 0
    codes: Counter[str] = field(default_factory=Counter)
    sizes: list[int] = field(default_factory=lambda: [0, 0, 0, 0])  # of chunks: count, sum, least, most
    characters: int = 0
    preview: str = ""
    may_pass: bool = True  # all failures are of the kind that passes
    first: Failed | None = None
    listed_failures: list[dict[str, Any]] = field(default_factory=list)
    listed_duplicates: list[dict[str, Any]] = field(default_factory=list)

    @property
    def failed(self) -> int:
        return self.codes.total()

    def add(self, outcome: Outcome) -> None:
        match outcome:
            case Read(page=page, unchanged=unchanged, stale=stale):
                self.read += 1
                self.unchanged += unchanged
                if stale is not None:
                    self.stale += 1
                    self.first = self.first or Failed(
                        outcome.address, stale.code, stale.message, stale.hint, transient=True
                    )
                self.characters += len(page.markdown)
                if len(self.preview) < PREVIEW:
                    self.preview = f"{self.preview}\n\n{page.markdown}".strip()[:PREVIEW]
            case Failed():
                self._add_failure(outcome)
            case Duplicate(address=address, of=of):
                self.duplicates += 1
                if len(self.listed_duplicates) < LISTED:
                    self.listed_duplicates.append({"url": address[:SHORT], "of": of[:SHORT]})
            case Elsewhere():
                self.elsewhere += 1

    def _add_failure(self, failed: Failed) -> None:
        self.codes[failed.code] += 1
        self.may_pass = self.may_pass and failed.transient
        self.first = self.first or failed
        if len(self.listed_failures) < LISTED:
            entry = {"url": failed.address[:SHORT], "code": failed.code, "message": failed.message[:SHORT]}
            self.listed_failures.append({**entry, "status": failed.status} if failed.status else entry)

    def add_chunk(self, size: int) -> None:
        count, total, least, most = self.sizes
        self.sizes = [count + 1, total + size, min(least, size) if count else size, max(most, size)]

    def sentence(self) -> str:
        """How it went, for the person who waits."""
        parts = [f"Read {self.read} {'page' if self.read == 1 else 'pages'}"]
        if self.unchanged:
            parts.append(f"{self.unchanged} unchanged since the last time")
        if self.stale:
            parts.append(f"{self.stale} as it was the last time")
        if self.failed:
            parts.append(f"{self.failed} could not be read")
        return ", ".join(parts)

    def nothing_read(self) -> PluginError:
        """Why the whole crawl failed: as its first page did, which is the one that was named first."""
        if self.first is None:
            return PluginError(
                "fetch_timeout",
                "The time for the crawl was over before its first page.",
                hint="Raise timeout.",
            )
        message = self.first.message
        if self.failed > 1:
            message = f"None of {self.failed} pages could be read. {message}"
        context = {"failures": self.listed_failures[:10]}
        return PluginError(self.first.code, message, hint=self.first.hint, transient=self.may_pass, context=context)

    def stats(self, crawl: Crawl) -> dict[str, Any]:
        """The job's ``processing_stats``, with the keys that LAMB's job window reads, and ``pages``."""
        count, total, least, most = self.sizes
        now = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
        timings = [
            {"stage": stage, "duration_ms": round(seconds * 1000), "message": f"{crawl.done} pages", "timestamp": now}
            for stage, seconds in crawl.seconds.items()
        ]
        return {
            "content_length": self.characters,
            "images_extracted": 0,
            "images_with_llm_descriptions": 0,
            "llm_calls": [],
            "total_llm_duration_ms": 0,
            "chunking_strategy": self.strategy,
            "chunk_stats": {
                "count": count,
                "avg_size": round(total / count, 1) if count else 0.0,
                "min_size": least,
                "max_size": most,
            },
            "stage_timings": timings,
            "output_files": {
                "markdown_url": None,
                "images_folder_url": None,
                "original_file_url": self.file_url or None,
            },
            "markdown_preview": self.preview,
            "pages": self._pages(crawl),
        }

    def _pages(self, crawl: Crawl) -> dict[str, Any]:
        return {
            "read": self.read,
            "unchanged": self.unchanged,
            "stale": self.stale,
            "failed": self.failed,
            "duplicates": self.duplicates,
            "skipped_by_robots": self.codes["robots"],
            "redirected_elsewhere": self.elsewhere,
            "links_to_no_text": crawl.unreadable_links,
            "left_out": crawl.left_out,
            "ended_by_timeout": crawl.out_of_time,
            "failures_by_code": dict(self.codes),
            "failures": self.listed_failures,
            "duplicate_pages": self.listed_duplicates,
        }
