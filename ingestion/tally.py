"""What workers count over time for ``/metrics``, kept in the database.

Not in files of prometheus_client's multiprocess mode: those belong to a pid, so workers that are recycled or killed
would leave theirs behind for ever, one killed while it writes may leave a file that breaks every scrape, and those of
other machines are not seen. Here a run adds to a few rows when it ends: in the transaction that completes it, so with
no commit of its own, or beside another end. A worker that is killed takes the numbers of one run with it.
"""

import logging
import re
import time
from collections.abc import Mapping

from django.db import DatabaseError, connection, transaction

from collections_app import catalogue
from collections_app.counts import Counts, Metric, Series
from collections_app.embeddings import meter
from ingestion import failures
from ingestion.models import FileRegistry, Tally

logger = logging.getLogger("kb.metrics")

OTHER = "other"
SAFE = re.compile(r"[A-Za-z0-9_.-]{1,60}")
ROWS_AT_ONCE = 100
KEEP_SECONDS = 15.0  # how often a web process keeps what the questions put to it have cost

RUNS = Metric("kb_runs", "Runs of jobs that have ended, by how and why.", ("plugin", "outcome", "code"))
STAGE_SECONDS = Metric(
    "kb_stage_seconds",
    "Seconds that a stage of a run took: conversion, embedding (which stores, too).",
    ("plugin", "stage"),
    (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800),
)
CHUNKS = Metric("kb_chunks_stored", "Chunks that were embedded and stored.", ("plugin",))
BYTES = Metric("kb_bytes_ingested", "Bytes of the files whose jobs completed.", ("plugin",))
RESCUES = Metric("kb_rescues", "Jobs that were taken back from a lost worker.")
METRICS = (RUNS, STAGE_SECONDS, CHUNKS, BYTES, RESCUES, meter.SECONDS, meter.ERRORS)

COMPLETED, FAILED, POSTPONED, TAKEN_AWAY = "completed", "failed", "postponed", "taken_away"


class RunCounts:
    """What one run counts. Its numbers are kept with its end; those of a preview are not."""

    def __init__(self, job: FileRegistry) -> None:
        self.counted = not job.is_preview
        self.plugin = plugin_label(job.plugin_name)
        self.size = job.file_size
        self._counts = Counts()

    def stage(self, name: str, seconds: float) -> None:
        self._counts.observe(STAGE_SECONDS, seconds, self.plugin, name)

    def stored(self, chunks: int) -> None:
        self._counts.add(CHUNKS, self.plugin, by=chunks)

    def keep(self, outcome: str, code: str = "") -> None:
        """Write all of it, in the caller's transaction if there is one. What is kept is not forgotten here: where
        that transaction is rolled back the run goes on to another end.

        :param code: of a failure, as the job's ``error_code``
        """
        if not self.counted:
            return
        self._counts.merge(meter.counts.take())
        values = self._counts.take()
        self._counts.merge(values)
        values[Series(RUNS.name, (self.plugin, outcome, code_label(code)), "")] = 1
        if outcome == COMPLETED:
            values[Series(BYTES.name, (self.plugin,), "")] = self.size
        keep(values)

    def keep_beside(self, outcome: str, code: str = "") -> None:
        """:meth:`keep` in a transaction of its own. Where that fails these numbers are lost, and nothing else."""
        try:
            self.keep(outcome, code)
        except DatabaseError as error:
            logger.warning("What a run has counted could not be kept (%s)", error)
            connection.close()


def plugin_label(name: str) -> str:
    """The plugin's name where it is installed: rows may name any."""
    return name if name in catalogue.current().ingest and SAFE.fullmatch(name) else OTHER


def code_label(code: str) -> str:
    """*code* where the server knows it: plugins may make up any number of others."""
    return code if not code or (failures.is_known(code) and SAFE.fullmatch(code)) else OTHER


def rescued() -> None:
    """Count a rescue, in the transaction of its move."""
    keep({Series(RESCUES.name, (), ""): 1})


def keep(values: Mapping[Series, float]) -> None:
    """Add *values* to what was counted before, in one statement."""
    # In one order for all, so that on PostgreSQL two runs that end together cannot deadlock.
    rows = [(key.metric, "|".join(key.labels), key.part, value) for key, value in sorted(values.items()) if value]
    table = Tally._meta.db_table
    for start in range(0, len(rows), ROWS_AT_ONCE):
        part = rows[start : start + ROWS_AT_ONCE]
        places = ", ".join(["(%s, %s, %s, %s)"] * len(part))
        with connection.cursor() as cursor:
            cursor.execute(
                f"INSERT INTO {table} (metric, labels, part, value) VALUES {places} "  # noqa: S608
                f"ON CONFLICT (metric, labels, part) DO UPDATE SET value = {table}.value + excluded.value",
                [field for row in part for field in row],
            )


_kept_at = time.monotonic()


def keep_now_and_then(**_: object) -> None:
    """After a request: keep what questions have cost the vendor, when it is time and there was any."""
    global _kept_at
    now = time.monotonic()
    if now - _kept_at < KEEP_SECONDS:
        return
    _kept_at = now
    if not (values := meter.counts.take()):
        return
    try:
        with transaction.atomic():
            keep(values)
    except DatabaseError:
        meter.counts.merge(values)  # the next time
