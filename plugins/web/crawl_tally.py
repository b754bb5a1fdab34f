"""What became of the pages of a crawl, counted as they come and told in the job's statistics."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from plugins.base import PluginError
from plugins.report import Figures, timing
from plugins.web.crawl import Crawl, Duplicate, Elsewhere, Failed, Outcome, Read

LISTED = 50  # failures and duplicates, so that the statistics stay small
SHORT = 300  # characters of an address or a sentence in them


@dataclass
class Tally:
    """The counts of one crawl. ``codes`` counts failures by their code."""

    figures: Figures
    read: int = 0
    unchanged: int = 0
    stale: int = 0
    duplicates: int = 0
    elsewhere: int = 0
    codes: Counter[str] = field(default_factory=Counter)
    first: Failed | None = None
    first_to_pass: Failed | None = None  # of the named pages, for a reason that passes
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
                    self._note(Failed.of(outcome.address, stale, named=not outcome.target.depth))
                self.figures.count(page.markdown, "\n\n")
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
        self._note(failed)
        if len(self.listed_failures) < LISTED:
            entry = {"url": failed.address[:SHORT], "code": failed.code, "message": failed.message[:SHORT]}
            self.listed_failures.append({**entry, "status": failed.status} if failed.status else entry)

    def _note(self, failed: Failed) -> None:
        self.first = self.first or failed
        if failed.named and failed.transient:
            self.first_to_pass = self.first_to_pass or failed

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
        """Why the whole crawl failed: as its first page did, which is the one that was named first.

        When any of the named pages failed for a reason that passes, that is the reason, and the crawl is tried again:
        it may bring text then, whatever is wrong with the others for good. What only links led to decides nothing:
        behind a start that cannot be read there are often just more such pages.
        """
        reason = self.first_to_pass or self.first
        if reason is None:
            return PluginError(
                "fetch_timeout",
                "The time for the crawl was over before its first page.",
                hint="Raise timeout.",
            )
        message = reason.message
        if self.failed > 1:
            message = f"None of {self.failed} pages could be read. {message}"
        context = {"failures": self.listed_failures[:10]}
        return PluginError(reason.code, message, hint=reason.hint, transient=reason.transient, context=context)

    def stats(self, crawl: Crawl) -> dict[str, Any]:
        """The job's ``processing_stats``, with the keys that LAMB's job window reads, and ``pages``."""
        self.figures.clock.timings = [
            timing(stage, seconds, f"{crawl.done} pages") for stage, seconds in crawl.seconds.items()
        ]
        return {**self.figures.to_json(), "pages": self._pages(crawl)}

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
