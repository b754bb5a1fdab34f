"""What a live job has to expect: why it waits, when it will be done, and whether it has stalled.

Estimates come from what the latest completed jobs of the same plugin took, those of similar size. Two stages are told
apart: reading the source (conversion), and adding its chunks (embedding and storing). Where too little is known there
is no estimate: none is better than a wrong one.
"""

import math
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cached_property
from statistics import median
from typing import Any, Protocol

from django.conf import settings

from ingestion import presence, storage
from ingestion.models import FileRegistry, FileStatus, JobKind, ProgressUnit

REMEMBERED = 200  # completed jobs of a plugin that are looked at, the latest
LEAST = 8  # of a kind, before anything is said of the next one
NEAREST = 40  # that are compared with, those nearest in size
SIMILAR = 4.0  # times larger or smaller
STALLED = 4.0  # times the median of its stage
STALLED_SECONDS = 15.0  # and at least: what is short varies for reasons of its own
FRESH_SECONDS = 20.0  # how long what was read of the past is used
LOW, HIGH = 0.1, 0.9  # quantiles: four of five end within them


class LiveRow(Protocol):
    """What is asked of a job; moments are UTC, with or without saying so."""

    @property
    def status(self) -> str: ...
    @property
    def plugin_name(self) -> str: ...
    @property
    def file_size(self) -> int: ...
    @property
    def error_code(self) -> str: ...
    @property
    def progress_current(self) -> int: ...
    @property
    def progress_total(self) -> int: ...
    @property
    def progress_unit(self) -> str: ...
    @property
    def stage_started_at(self) -> datetime | None: ...
    @property
    def not_before(self) -> datetime | None: ...
    @property
    def collection__embedding_vendor(self) -> str: ...
    @property
    def kind(self) -> str: ...


@dataclass(frozen=True)
class Waiting:
    """Why a pending job does not run.

    :param code: ``backing_off``, ``no_worker``, ``no_space`` or ``queued``
    :param until: for ``backing_off``, when the next try comes
    """

    code: str
    message: str
    jobs_ahead: int | None = None
    until: datetime | None = None


@dataclass(frozen=True)
class Estimate:
    """Seconds until the job is done: *likely*, and a range in which four of five such jobs end."""

    likely: float
    low: float
    high: float

    def later(self, low: float, likely: float, high: float) -> "Estimate":
        return Estimate(self.likely + likely, self.low + low, self.high + high)


@dataclass(frozen=True)
class Outlook:
    """*waiting* is None unless the job is pending, *estimate* where too little is known."""

    waiting: Waiting | None = None
    estimate: Estimate | None = None
    stalled: bool = False

    @property
    def mark(self) -> str:
        """Changes when a reader should be told; estimates move all the time, and readers count down by themselves."""
        return f"{self.waiting.code if self.waiting else ''}{self.stalled:d}"


NOTHING = Outlook()


# -- The past ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Sample:
    """A completed run: bytes, chunks, and seconds of each stage."""

    size: int
    chunks: int
    conversion: float
    storing: float


@dataclass(frozen=True)
class History:
    """Completed runs of one plugin, with one vendor's embeddings."""

    samples: Sequence[Sample]

    def like(self, size: int) -> list[Sample]:
        """Those of similar *size*, nearest first; of a size never seen, the nearest drawn out to it. Empty: unknown."""
        if len(self.samples) < LEAST:
            return []
        near = sorted(self.samples, key=lambda sample: distance(sample.size, size))[:NEAREST]
        similar = [sample for sample in near if distance(sample.size, size) <= math.log(SIMILAR)]
        return similar if len(similar) >= LEAST else [scaled(sample, size) for sample in near[:LEAST]]

    @cached_property
    def seconds_per_chunk(self) -> list[float]:
        """Of storing, sorted. Small jobs tell more of their overhead than of their chunks."""
        return sorted(sample.storing / sample.chunks for sample in self.samples if sample.chunks)


def distance(one: int, other: int) -> float:
    return abs(math.log((one + 1) / (other + 1)))


def scaled(sample: Sample, size: int) -> Sample:
    """As if its source had been of this *size*. Only upwards: what is fixed about a small job does not shrink."""
    factor = max(1.0, (size + 1) / (sample.size + 1))
    return Sample(size, round(sample.chunks * factor), sample.conversion * factor, sample.storing * factor)


class Past:
    """What this process knows of completed jobs; read again when it is no longer fresh."""

    def __init__(self) -> None:
        self._known: dict[Any, tuple[float, Any]] = {}
        self._guard = threading.Lock()

    def history(self, plugin: str, vendor: str) -> History:
        """Of the same vendor, where that is enough."""
        samples: list[tuple[str, Sample]] = self._fresh(("history", plugin), lambda: read_samples(plugin))
        same = [sample for of, sample in samples if of == vendor]
        return History(same if len(same) >= LEAST else [sample for _, sample in samples])

    def seconds_a_job(self) -> list[float]:
        """What the latest completed jobs took, of any plugin; sorted."""
        found: list[float] = self._fresh("seconds", read_seconds)
        return found

    def workers(self) -> int:
        """How many are alive, within the last second or two."""
        found: int = self._fresh("workers", presence.living_workers, 1.0)
        return found

    def forget(self) -> None:
        with self._guard:
            self._known.clear()

    def _fresh(self, key: Any, read: Any, seconds: float = FRESH_SECONDS) -> Any:
        with self._guard:
            at, value = self._known.get(key, (-math.inf, None))
            if time.monotonic() - at < seconds:
                return value
        value = read()
        with self._guard:
            self._known[key] = (time.monotonic(), value)
        return value


past = Past()


def read_samples(plugin: str) -> list[tuple[str, Sample]]:
    """The latest completed runs of *plugin*, each with its vendor. Runs that took several attempts tell too little."""
    rows = (
        FileRegistry.objects.ingestions()
        .filter(status=FileStatus.COMPLETED, plugin_name=plugin)
        .order_by("-id")
        .values_list("collection__embedding_vendor", "attempt", "file_size", "document_count", "processing_stats")
    )
    samples = []
    for vendor, attempt, size, chunks, stats in rows[:REMEMBERED]:
        seconds = stage_seconds(stats)
        if attempt == 1 and seconds:
            samples.append((vendor, Sample(size, chunks, *seconds)))
    return samples


def stage_seconds(stats: Any) -> tuple[float, float] | None:
    """Conversion and storing, as the pipeline timed them; a plugin's own stages are parts of the conversion."""
    timings = stats.get("stage_timings") if isinstance(stats, Mapping) else None
    found: dict[str, float] = {}
    for timing in timings if isinstance(timings, list) else []:
        if isinstance(timing, Mapping) and isinstance(timing.get("duration_ms"), int | float):
            found[str(timing.get("stage"))] = timing["duration_ms"] / 1000
    return (found["conversion"], found["embedding"]) if {"conversion", "embedding"} <= found.keys() else None


def read_seconds() -> list[float]:
    rows = (
        FileRegistry.objects.ingestions()
        .filter(status=FileStatus.COMPLETED)
        .order_by("-id")
        .values_list("processing_started_at", "processing_completed_at")[:REMEMBERED]
    )
    return sorted(max(0.0, (end - start).total_seconds()) for start, end in rows if start and end)


# -- The outlook ------------------------------------------------------------------------------------


def outlook(job: LiveRow, queue_position: int | None = None) -> Outlook:
    """Of a job as it is now; nothing is to be said of one that has ended."""
    if job.status == FileStatus.PENDING:
        waiting = why_waiting(job, queue_position)
        return Outlook(waiting, when_pending(job, waiting))
    if job.status != FileStatus.PROCESSING:
        return NOTHING
    history = history_for(job)
    elapsed = max(0.0, -(seconds_until(job.stage_started_at) or 0.0))
    if job.progress_unit == ProgressUnit.CHUNK:
        return Outlook(None, when_stored(job, elapsed, history), is_stalled(elapsed, storing_median(job, history)))
    similar = history.like(job.file_size)
    usual = median(sample.conversion for sample in similar) if similar else None
    return Outlook(None, when_converted(job, elapsed, similar), is_stalled(elapsed, usual))


def history_for(job: LiveRow) -> History:
    """What *job* is compared with. A preview ends where others begin to store, and crawls a few pages only."""
    history = past.history(job.plugin_name, job.collection__embedding_vendor)
    if job.kind != JobKind.PREVIEW:
        return history
    return History([replace(sample, storing=0.0) for sample in history.samples] if job.file_size else [])


def why_waiting(job: LiveRow, queue_position: int | None) -> Waiting:
    """The first of the reasons that keeps the job from running, in words for people."""
    left = seconds_until(job.not_before)
    if left is not None and left > 0 and job.not_before is not None:
        reason = f" ({job.error_code})" if job.error_code else ""
        message = f"The last try failed for a passing reason{reason}. The next comes at {job.not_before:%H:%M:%S} UTC."
        return Waiting("backing_off", message, until=job.not_before)
    if not past.workers():
        return Waiting("no_worker", "No worker is running. The operator has to start the server's workers.")
    if storage.free_mb() < settings.KB_MIN_FREE_MB:
        return Waiting("no_space", "The server's disk is almost full, so no job is started.")
    if queue_position is None:
        return Waiting("queued", "Far back in the queue.")
    ahead = queue_position - 1
    message = f"Behind {ahead} {'job' if ahead == 1 else 'jobs'}." if ahead else "Next in line."
    return Waiting("queued", message, jobs_ahead=ahead)


def when_pending(job: LiveRow, waiting: Waiting) -> Estimate | None:
    """Its own time, after its wait: those ahead are taken for average jobs, shared by all workers."""
    own = total(history_for(job).like(job.file_size))
    if own is None or waiting.code in {"no_worker", "no_space"}:
        return None
    if waiting.code == "backing_off":
        left = seconds_until(waiting.until) or 0.0
        return own.later(left, left, left + 2)
    others = past.seconds_a_job()
    if waiting.jobs_ahead is None or len(others) < LEAST:
        return None
    wait = waiting.jobs_ahead * (sum(others) / len(others)) / max(1, past.workers())
    return own.later(0.5 * wait, wait, 2 * wait + quantile(others, HIGH) / 2)


def when_converted(job: LiveRow, elapsed: float, similar: Sequence[Sample]) -> Estimate | None:
    """While the source is read: from those of the past that took longer than this one has taken so far.

    Pages and videos tell how far a crawl is; a document's stages do not.
    """
    done, of = job.progress_current, job.progress_total
    if job.progress_unit in {ProgressUnit.URL, ProgressUnit.VIDEO} and done >= 3 and of >= done:
        left = elapsed * (of - done) / done
        return Estimate(left, 0.6 * left, 2 * left + 2)
    return total([sample for sample in similar if sample.conversion > elapsed], elapsed, least=3)


def when_stored(job: LiveRow, elapsed: float, history: History) -> Estimate | None:
    """While chunks are added: by this run's own pace once it has one, before that by that of others."""
    left, done = max(0, job.progress_total - job.progress_current), job.progress_current
    if done and elapsed >= 1 and done >= 0.05 * job.progress_total:
        likely = left * elapsed / done
        return Estimate(likely, 0.7 * likely, 1.5 * likely + 1)
    pace = history.seconds_per_chunk
    if len(pace) < LEAST:
        return None
    return Estimate(left * median(pace), left * quantile(pace, LOW), left * quantile(pace, HIGH) + 1)


def total(samples: Sequence[Sample], elapsed: float = 0.0, least: int = LEAST) -> Estimate | None:
    """What is left of a run that has read for *elapsed* seconds, if it goes on like one of *samples*."""
    if len(samples) < least:
        return None
    left = sorted(sample.conversion - elapsed + sample.storing for sample in samples)
    return Estimate(median(left), quantile(left, LOW), quantile(left, HIGH))


def storing_median(job: LiveRow, history: History) -> float | None:
    pace = history.seconds_per_chunk
    return median(pace) * job.progress_total if len(pace) >= LEAST else None


def is_stalled(elapsed: float, usual: float | None) -> bool:
    return usual is not None and elapsed > max(STALLED_SECONDS, STALLED * usual)


def quantile(ordered: Sequence[float], share: float) -> float:
    """The value below which *share* of the *ordered* values lie."""
    return ordered[min(len(ordered) - 1, max(0, math.ceil(share * len(ordered)) - 1))]


def seconds_until(moment: datetime | None) -> float | None:
    """Negative for what is past."""
    if moment is None:
        return None
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return (aware - datetime.now(UTC)).total_seconds()
