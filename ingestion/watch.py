"""Keeps the lease of one run, and says when that run must stop.

A thread beside the worker's main thread, since that one may sit in a long conversion or an embedding request. It
asks the database twice a second whether the run still owns its job: a cancel, a deletion and a lost lease all show
as a row that no longer matches.
"""

import logging
import os
import threading
import time

from django.conf import settings
from django.db import Error, connection

from collections_app import context
from ingestion.models import FileRegistry, FileStatus

logger = logging.getLogger("kb.worker")

LOOK_SECONDS = 0.4
STUCK_SECONDS = 15.0  # how long a run may go on after it was told to stop, before its process ends itself
STUCK_EXIT_CODE = 70

TIMED_OUT = "timed_out"
TAKEN_AWAY = "taken_away"


class Stopped(Exception):
    """This run must end now and write nothing more, except that it timed out.

    :param reason: ``timed_out`` (still the owner) or ``taken_away`` (cancelled, deleted, or another run's by now)
    """

    def __init__(self, reason: str, message: str = "") -> None:
        super().__init__(message or reason)
        self.reason = reason
        self.message = message


class Watch:
    """``with Watch(job) as watch:`` around a run; the run calls :meth:`check` and :meth:`progressed`."""

    def __init__(self, job: FileRegistry) -> None:
        assert job.run_id is not None  # noqa: S101  (a claimed job has one)
        self.job = job
        self.run_id = job.run_id
        self.stopped = threading.Event()
        self._why: Stopped | None = None
        self._done = threading.Event()
        self._began = self._beaten = self._progressed = time.monotonic()
        self._thread = threading.Thread(target=context.carried(self._watch), name=f"watch-job-{job.pk}", daemon=True)

    def __enter__(self) -> "Watch":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join(timeout=5)

    def progressed(self) -> None:
        """The run got somewhere: its time limit starts anew."""
        self._progressed = time.monotonic()

    def check(self) -> None:
        """:raises Stopped: when this run must end"""
        if self._why is not None:
            raise self._why

    def stop(self, reason: str, message: str = "") -> None:
        logger.debug("Job %s is told to stop (%s)", self.job.pk, reason)
        self._why = Stopped(reason, message)
        self.stopped.set()

    def _watch(self) -> None:
        try:
            # A short job ends within the first wait, and this thread never opens a connection.
            while not self._done.wait(LOOK_SECONDS):
                try:
                    self._look()
                except Error as error:
                    logger.warning("Job %s: cannot see its row now (%s)", self.job.pk, error)
                    connection.close()
                if self.stopped.is_set():
                    self._see_it_end()
                    return
        finally:
            connection.close()

    def _look(self) -> None:
        now = time.monotonic()
        if now - self._beaten >= settings.KB_HEARTBEAT_SECONDS:
            if not self.job.beat(self.run_id):
                return self.stop(TAKEN_AWAY)
            self._beaten = now
        elif not self._owns():
            return self.stop(TAKEN_AWAY)
        self._look_at_the_clock(now)

    def _owns(self) -> bool:
        rows = FileRegistry.objects.filter(pk=self.job.pk, run_id=self.run_id, status=FileStatus.PROCESSING)
        return rows.exists()

    def _look_at_the_clock(self, now: float) -> None:
        limit = settings.INGESTION_TASK_TIMEOUT_SECONDS
        if now - self._progressed > limit:
            self.stop(TIMED_OUT, f"Nothing moved for {limit:g} seconds, so the job was stopped.")
        elif now - self._began > settings.KB_JOB_MAX_SECONDS:
            self.stop(TIMED_OUT, f"The job took longer than {settings.KB_JOB_MAX_SECONDS:g} seconds.")

    def _see_it_end(self) -> None:
        """A run that does not end though it was told to holds its worker for ever: end the process instead."""
        if self._done.wait(STUCK_SECONDS):
            return
        logger.error("Job %s does not stop; its worker process ends itself", self.job.pk)
        try:
            if self._why and self._why.reason == TIMED_OUT:
                self.job.fail(self.run_id, TIMED_OUT, self._why.message, {"hint": TIMED_OUT_HINT})
        finally:
            os._exit(STUCK_EXIT_CODE)


TIMED_OUT_HINT = "Retry it, split the file, or ask the operator to raise INGESTION_TASK_TIMEOUT_SECONDS."
