"""A claimed job's way: source → plugin host → spool → embeddings → collection, with progress all along.

A preview's way ends at the spool. Nothing here writes a status except the completion, which publishes the document in
the same transaction.
"""

import time
from collections.abc import Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import chain, islice
from pathlib import Path
from typing import Any

import numpy as np
from django.conf import settings
from django.db import DatabaseError, OperationalError, transaction

from collections_app import catalogue, context, links
from collections_app import services as collections
from collections_app.crypto import decrypt
from collections_app.embeddings import breaker, endpoints
from collections_app.embeddings.base import Abandoned, Embedder, VendorError
from collections_app.models import Collection, Document
from ingestion import duplicates, hosts, queue, storage
from ingestion.cut import Cut
from ingestion.errors import Scrubber
from ingestion.models import EventKind, FileRegistry, JobEvent, ProgressUnit, changed
from ingestion.preview import note_of
from ingestion.services import source_key
from ingestion.tally import COMPLETED, RunCounts
from ingestion.watch import TAKEN_AWAY, Stopped, Watch
from plugins.base import Chunk, PluginError
from plugins.catalogue import PluginInfo
from plugins.host_client import Done, Progress, RunRequest, Stats, Warned
from plugins.normalise import counted
from plugins.spool import Summary, read_spool, spool_summary

# Overall percentage at which the conversion is done; the rest is embedding and storing. Fetching takes most of a job.
CONVERTED = 30.0
FETCHED = 90.0
MOST_WARNINGS = 100  # of one run, in the diary
LOOK_CHUNKS = 500  # of a preview, between two looks at whether it goes on
REPORT_SECONDS = 0.2  # how often progress of a conversion is written at most


@dataclass
class Run:
    """What one run of a job carries along."""

    job: FileRegistry
    collection: Collection
    watch: Watch
    scrubber: Scrubber
    counts: RunCounts
    stats: dict[str, Any] = field(default_factory=dict)
    timings: list[dict[str, Any]] = field(default_factory=list)

    @property
    def converted(self) -> float:
        """The overall percentage at which this job's conversion is done."""
        if self.job.is_preview:
            return 100.0
        info = catalogue.current().ingest.get(self.job.plugin_name)
        fetches = info is not None and info.progress_unit in {ProgressUnit.URL, ProgressUnit.VIDEO}
        return FETCHED if fetches else CONVERTED

    @property
    def folder(self) -> Path:
        return storage.folder(self.job.storage_key or f"{self.job.pk:032x}")  # rows from before tracking have no key

    @property
    def spool_path(self) -> Path:
        return self.folder / storage.WORK / "spool.jsonl"

    def timed(self, stage: str, began: float, message: str) -> None:
        """Record a stage of ``processing_stats.stage_timings``; *began* is ``time.monotonic()``."""
        seconds = time.monotonic() - began
        self.counts.stage(stage, seconds)
        self.timings.append(
            {
                "stage": stage,
                "duration_ms": round(seconds * 1000),
                "message": message,
                "timestamp": datetime.now(UTC).isoformat().replace("+00:00", "Z"),
            }
        )


def run(job: FileRegistry, watch: Watch, counts: RunCounts) -> None:
    """Ingest *job*, which this process has claimed, to its completion; of a preview, show what that would store.

    :param counts: kept with the completion; at any other end by the caller
    :raises Stopped: when the run must end without another word
    :raises PluginError: what went wrong, in words for the person who uploaded
    """
    this = Run(job, job.collection, watch, Scrubber(job), counts)
    key = source_key(job)
    summary = spool_summary(this.spool_path, key) or convert(this, key)
    this.stats = {**summary.stats, **this.stats}
    try:
        if job.is_preview:
            conclude(this, key, summary)
        else:
            store(this, key, summary)
    except PluginError as error:
        if error.code == "spool_lost":  # the next try converts again
            this.spool_path.unlink(missing_ok=True)
        raise
    this.spool_path.unlink(missing_ok=True)


# -- Converting ------------------------------------------------------------------------------------


def convert(this: Run, key: str) -> Summary:
    """Have the plugin host turn the source into chunks on the spool."""
    info = installed_plugin(this.job.plugin_name)
    this.spool_path.parent.mkdir(parents=True, exist_ok=True)
    duplicates.inherit_kept(this.job, this.folder)
    began = time.monotonic()
    reporter = Reporter(this, info.progress_unit)
    grown = Growth(this.spool_path.with_name(this.spool_path.name + ".part"))
    # A run that is not followed to its end is killed, with its host and all it started.
    with keeping_stats(this), closing(hosts.current().run(request(this, info, key))) as reports:
        for report in reports:
            this.watch.check()
            if report is not None or grown():
                this.watch.progressed()
            if isinstance(report, Progress):
                reporter.tell(report.current, report.total, report.message)
            elif isinstance(report, Stats):
                this.stats.update(this.scrubber.value(report.stats))
            elif isinstance(report, Warned):
                reporter.warn(report)
            elif isinstance(report, Done):
                break
            reporter.flush()
    summary = spool_summary(this.spool_path, key)
    if summary is None:
        raise PluginError("plugin_error", f"{info.name} ended without leaving its chunks.", hint="Retry it.")
    this.timed("conversion", began, f"{counted(summary.chunks, 'chunk')} by {info.name}")
    return summary


@contextmanager
def keeping_stats(this: Run) -> Iterator[None]:
    """A conversion that fails leaves what it has counted, such as which pages could not be read."""
    try:
        yield
    except Exception:
        if this.stats:
            with suppress(DatabaseError):
                this.job.keep_stats(this.watch.run_id, this.stats)
        raise


def installed_plugin(name: str) -> PluginInfo:
    info = catalogue.current().ingest.get(name)
    if info is None:
        raise PluginError(
            "plugin_missing", f"The plugin {name} is not installed any more.", hint="Upload the file with another one."
        )
    return info


def request(this: Run, info: PluginInfo, key: str) -> RunRequest:
    job = this.job
    context: dict[str, Any] = {
        "file_url": links.static_path(job.owner, this.collection.name, Path(job.file_path).name)
        if job.file_path
        else job.file_url,
        "original_filename": job.original_filename,
        "collection_owner": this.collection.owner,
        "collection_name": this.collection.name,
        "content_hash": job.content_hash,
        "kept_folder": str(this.folder / storage.KEPT),
    }
    if info.takes_api_key and this.collection.embedding_vendor == "openai":
        context["openai_api_key"] = decrypt(this.collection.embedding_api_key)
        context["openai_base_url"] = endpoints.base_url("openai", this.collection.embedding_endpoint)
    path = storage.root() / job.file_path if job.file_path else this.spool_path.parent
    if job.file_path and not path.exists():
        raise PluginError("file_missing", "The uploaded file is no longer on the server.", hint="Upload it again.")
    return RunRequest(
        run=str(job.run_id),
        plugin=info.name,
        path=str(path),
        params=job.plugin_params,
        context=context,
        spool=str(this.spool_path),
        spool_key=key,
        limits={"cpu_seconds": settings.KB_PLUGIN_CPU_SECONDS},
    )


class Growth:
    """Tells whether a file has grown since it was last asked: a plugin that yields chunks gets somewhere."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.size = 0

    def __call__(self) -> bool:
        try:
            size = self.path.stat().st_size
        except OSError:
            return False
        grown, self.size = size > self.size, size
        return grown


class Reporter:
    """Writes a plugin's progress to the row, not more often than people can see, and never loses the latest."""

    def __init__(self, this: Run, unit: str) -> None:
        self.this = this
        self.unit = unit if unit in ProgressUnit.values else ProgressUnit.STAGE
        self.written = 0.0
        self.warnings = 0
        self.latest: tuple[int, int, str] | None = None

    def tell(self, current: int, total: int, message: str) -> None:
        self.latest = (current, total, message)
        self.flush()

    def warn(self, report: Warned) -> None:
        """Into the diary; a plugin that warns without end is heard only so often."""
        self.warnings += 1
        if self.warnings <= MOST_WARNINGS:
            with suppress(OperationalError):
                scrub = self.this.scrubber
                JobEvent.write(self.this.job, EventKind.WARNING, scrub.text(report.message), as_object(scrub, report))

    def flush(self) -> None:
        """Write the latest, when it is time. A lock or a full disk meanwhile costs a message, not the conversion."""
        now = time.monotonic()
        if self.latest is None or now - self.written < REPORT_SECONDS:
            return
        (current, total, message), self.latest = self.latest, None
        self.written = now
        share = min(1.0, max(0.0, current / total)) if total > 0 else 0.0
        with suppress(OperationalError):
            written = self.this.job.report(
                self.this.watch.run_id,
                current=current,
                total=total,
                message=self.this.scrubber.text(message),
                unit=self.unit,
                overall=self.this.converted * share,
                stats=self.this.stats or None,
            )
            if not written:
                raise Stopped(TAKEN_AWAY)


def as_object(scrub: Scrubber, report: Warned) -> dict[str, Any]:
    data = scrub.value(report.data)
    return data if isinstance(data, dict) else {} if data is None else {"data": data}


# -- Showing -----------------------------------------------------------------------------------------


def conclude(this: Run, key: str, summary: Summary) -> None:
    """Look at the spooled chunks and complete the preview with what there is to say of them."""
    began = time.monotonic()
    cut = Cut()
    for number, chunk in enumerate(read_spool(this.spool_path, key)):
        if number % LOOK_CHUNKS == 0:
            this.watch.check()
            this.watch.progressed()
        cut.add(chunk)
    this.timed("preview", began, f"{counted(summary.chunks, 'chunk')} looked at")
    shown = {**cut.as_object(), "note": note_of(installed_plugin(this.job.plugin_name), this.job.plugin_params) or None}
    stats = {**processing_stats(this, summary), "preview": shown}
    message = f"Would make {counted(summary.chunks, 'chunk')}"
    if not this.job.complete(this.watch.run_id, summary.chunks, message, stats):
        raise Stopped(TAKEN_AWAY)


# -- Storing ---------------------------------------------------------------------------------------


def store(this: Run, key: str, summary: Summary) -> None:
    """Embed the spooled chunks in batches and complete the job. Goes on where a lost or postponed run stopped."""
    began = time.monotonic()
    this.watch.progressed()  # the conversion is over; embedding has its time limit for itself
    embedder = collections.embedder(this.collection)
    document: Document | None = None
    cut = f"{key[:40]}-{summary.conversion}"  # never mix chunks of two conversions
    done = collections.resumable(this.job.pk, cut)
    if summary.chunks > embedder.batch_size:
        announce(this, done, summary.chunks)
    chunks = read_spool(this.spool_path, key, start=done)
    retired: list[str] = []
    nothing_left: list[tuple[list[Chunk], np.ndarray | None]] = [([], None)] if done >= summary.chunks else []
    with closing(embedded(this, embedder, chunks)) as batches:
        for batch, vectors in chain(nothing_left, batches):
            last = done + len(batch) >= summary.chunks
            if last:
                this.timed("embedding", began, f"{counted(summary.chunks, 'chunk')} embedded and stored")
            with transaction.atomic():
                if last:
                    duplicates.lock(this.job)
                hold(this, done + len(batch), summary, last)
                if document is None:
                    document = collections.begin_document(this.collection, this.job.pk, this.watch.run_id, cut)
                if vectors is not None:
                    collections.store_batch(document, done, batch, vectors)
                    this.counts.stored(len(batch))
                if last:
                    collections.publish(document)
                    retired = duplicates.retire(this.job)
                    this.counts.keep(COMPLETED)  # last: others wait for these rows until the commit
            done += len(batch)
            this.watch.progressed()
            if not last:
                this.watch.check()
    for folder in retired:
        storage.remove(folder)


def embedded(
    this: Run, embedder: Embedder, chunks: Iterator[Chunk]
) -> Generator[tuple[list[Chunk], np.ndarray], None, None]:
    """Batches with their vectors. The next batch is embedded while the caller stores this one."""
    with ThreadPoolExecutor(1, thread_name_prefix="embed") as thread:
        try:
            ahead: tuple[list[Chunk], Future[np.ndarray]] | None = None
            while batch := list(islice(chunks, embedder.batch_size)):
                if ahead is None:  # while a request is in flight, its own answer tells
                    breaker.check(this.collection)
                texts = [chunk["text"] for chunk in batch]
                begun = batch, thread.submit(context.carried(embedder.embed), texts, cancel=this.watch.stopped)
                if ahead:
                    yield ahead[0], vectors_of(this, ahead[1])
                ahead = begun
            if ahead:
                yield ahead[0], vectors_of(this, ahead[1])
        except BaseException:
            this.watch.stopped.set()  # a request in flight is abandoned, and the thread ends at once
            raise


def announce(this: Run, done: int, total: int) -> None:
    """Show that chunks are added now, before the first batch is embedded."""
    message = f"Adding chunks to collection... ({done} of {total})"
    JobEvent.write(this.job, EventKind.STAGE, f"Adding {total} chunks")
    if not this.job.report(
        this.watch.run_id, current=done, total=total, message=message, unit=ProgressUnit.CHUNK, overall=this.converted
    ):
        raise Stopped(TAKEN_AWAY)


def hold(this: Run, done: int, summary: Summary, last: bool) -> None:
    """The fence of a batch: take the row, with the progress that the batch makes true, or stop.

    It comes first in the transaction, so that on PostgreSQL its lock makes a cancel wait until the batch has
    committed, and a batch wait until a cancel has.
    """
    total = summary.chunks
    if last:
        held = this.job.complete(
            this.watch.run_id, total, f"{counted(total, 'chunk')} added", processing_stats(this, summary)
        )
    else:
        held = this.job.report(
            this.watch.run_id,
            current=done,
            total=total,
            message=f"Adding chunks to collection... ({done} of {total})",
            unit=ProgressUnit.CHUNK,
            overall=this.converted + (100 - this.converted) * done / total,
            stored=True,
        )
    if not held:
        raise Stopped(TAKEN_AWAY)


def vectors_of(this: Run, future: "Future[np.ndarray]") -> np.ndarray:
    """Wait for a batch's vectors. A failing vendor is reported to the breaker that all workers share."""
    try:
        vectors = future.result()
    except Abandoned:
        this.watch.check()
        raise Stopped(TAKEN_AWAY) from None
    except VendorError as error:
        if error.transient:
            breaker.failed(this.collection, error)
        raise
    if breaker.succeeded(this.collection):
        wake_waiting(this.collection)
    return vectors


def wake_waiting(collection: Collection) -> None:
    """The vendor is back: jobs that waited for it need not wait any longer."""
    vendor = breaker.key_for(collection.embedding_vendor, collection.embedding_endpoint)
    waiting_for = FileRegistry.objects.pending().filter(error_code__startswith="vendor_", not_before__isnull=False)
    endpoints = waiting_for.values_list(
        "collection_id", "collection__embedding_vendor", "collection__embedding_endpoint"
    ).distinct()
    waiting = waiting_for.filter(collection__in=[pk for pk, *end in endpoints if breaker.key_for(*end) == vendor])
    if waiting.update(not_before=None, **changed()):
        queue.ring()


def processing_stats(this: Run, summary: Summary) -> dict[str, Any]:
    """What the job page shows: the plugin's own figures over these, with the stages of this run."""
    own = this.stats
    return {
        "content_length": summary.characters,
        "images_extracted": 0,
        "images_with_llm_descriptions": 0,
        "llm_calls": [],
        "total_llm_duration_ms": 0,
        "chunking_strategy": None,
        "chunk_stats": {
            "count": summary.chunks,
            "avg_size": round(summary.characters / max(1, summary.chunks), 1),
            "min_size": None,
            "max_size": None,
        },
        "output_files": None,
        "markdown_preview": None,
        **own,
        "stage_timings": [*own.get("stage_timings", []), *this.timings],
    }
