"""wake → claim → run → finish: what a worker process does.

It is woken by a bell that names no job, claims any that is due, and settles how each run ends.
"""

import errno
import logging
import os
import random
import threading
import time
import uuid
from collections import Counter
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import NamedTuple

from django.conf import settings
from django.core.exceptions import ObjectDoesNotExist
from django.db import DatabaseError, OperationalError, connection
from django.utils import timezone

from collections_app import context
from collections_app.embeddings.base import VendorError
from collections_app.embeddings.breaker import VendorOpen
from ingestion import hosts, pipeline, queue, storage, tally
from ingestion.errors import Scrubber, details_of, secrets_of
from ingestion.models import FileRegistry, Worker
from ingestion.presence import beat, this_worker
from ingestion.watch import TIMED_OUT, TIMED_OUT_HINT, Stopped, Watch
from plugins.base import PluginError

logger = logging.getLogger("kb.worker")

JOBS_A_WAKE = 200  # then the bell is answered, so that django-q2 can count and recycle its workers

# -- Presence --------------------------------------------------------------------------------------


def start() -> None:
    """Called once in each worker process, before its first bell: shows it as alive, and warms its plugin host."""
    this_worker()
    threading.Thread(target=beat, name="worker-beat", daemon=True).start()
    with suppress(Exception):
        hosts.current()


def drain_flag() -> Path | None:
    """The file whose presence says: claim nothing more, this machine's server is stopping."""
    supervisor = os.environ.get("KB_SUPERVISOR")
    return Path(settings.KB_RUN_DIR) / f"draining-{supervisor}" if supervisor else None


def draining() -> bool:
    flag = drain_flag()
    return flag is not None and flag.exists()


# -- Claiming --------------------------------------------------------------------------------------


def wake() -> int:
    """The task that the bell runs: work until nothing is due. Returns how many jobs it ran."""
    ran = 0
    while ran < JOBS_A_WAKE and (job := claim_next(this_worker())):
        run_job(job)
        ran += 1
    if ran == JOBS_A_WAKE:
        queue.ring()  # there may be more
    return ran


def claim_next(worker: Worker | None) -> FileRegistry | None:
    """Claim the job that is next: by priority, fair between owners, then by age. None when nothing is due."""
    if draining():
        return None
    if storage.free_mb() < settings.KB_MIN_FREE_MB:
        logger.error("Less than KB_MIN_FREE_MB (%d MiB) is free: no job is started", settings.KB_MIN_FREE_MB)
        return None
    for _ in range(20):  # another worker may take the same job first
        job = next_due()
        if job is None:
            return None
        if job.claim(worker):
            return job
    return None


def next_due() -> FileRegistry | None:
    """The due job of the highest priority; among those, of an owner with the fewest running; then the oldest."""
    due = FileRegistry.objects.due().filter(collection__deleted_at__isnull=True).in_queue_order()
    first = due.first()
    if first is None:
        return None
    running = Counter(FileRegistry.objects.processing().values_list("owner", flat=True))
    if not running[first.owner]:
        return first
    due = due.filter(priority=first.priority)
    for candidates in [
        due.exclude(owner__in=list(running)),
        *(due.filter(owner__in=[o for o, n in running.items() if n == load]) for load in sorted(set(running.values()))),
    ]:
        if job := candidates.first():
            return job
    return None


# -- Running ---------------------------------------------------------------------------------------


def run_job(job: FileRegistry) -> None:
    """Run a claimed job and settle how it ended. Never raises for what a job may do wrong."""
    facts = {"job_id": job.pk, "run_id": str(job.run_id), "attempt": job.attempt, "worker": job.worker_id}
    with context.about(secrets=secrets_to_hide(job), **facts):
        run_and_settle(job)


def secrets_to_hide(job: FileRegistry) -> list[str]:
    with suppress(DatabaseError, ObjectDoesNotExist):  # the run will meet that, too
        return secrets_of(job)
    return []


def run_and_settle(job: FileRegistry) -> None:
    assert job.run_id is not None  # noqa: S101  (claimed)
    run_id = job.run_id  # the fence of all that follows; the row may name another run by the time this one ends
    counts = tally.RunCounts(job)
    try:
        with Watch(job) as watch:
            pipeline.run(job, watch, counts)
        logger.info("Job %s completed", job.pk)
        return
    except Stopped as stop:
        if stop.reason == TIMED_OUT:
            end = settle(job, run_id, PluginError(TIMED_OUT, stop.message, hint=TIMED_OUT_HINT))
        else:
            logger.info("Job %s was taken away from this run", job.pk)
            end = Ending(tally.TAKEN_AWAY)
    except Exception as error:
        end = settle(job, run_id, error)
    counts.keep_beside(end.outcome, end.code)
    with suppress(Exception):
        hosts.current()  # a host that was killed is warm again before the next job needs it


class Ending(NamedTuple):
    """How a run ended that did not complete its job, as ``/metrics`` counts it."""

    outcome: str
    code: str = ""


def settle(job: FileRegistry, run_id: uuid.UUID, error: Exception) -> Ending:
    """Fail the job or postpone its next try. Where not even that can be written, the lease runs out instead."""
    problem = Scrubber(job).problem(explain(error))
    for delay in (0.1, 0.5, 2.0):
        try:
            if problem.transient and postpone(job, run_id, problem):
                return Ending(tally.POSTPONED, problem.code)
            fail(job, run_id, problem, error)
            return Ending(tally.FAILED, problem.code)
        except FileRegistry.DoesNotExist:
            logger.info("Job %s was deleted", job.pk)
            break
        except DatabaseError as trouble:
            logger.warning("Job %s: cannot write how it ended yet (%s)", job.pk, trouble)
            connection.close()
            time.sleep(delay)
    return Ending(tally.TAKEN_AWAY)


def explain(error: Exception) -> PluginError:
    """Any exception as one with a code, a sentence and a hint."""
    if isinstance(error, PluginError):
        return error
    text = str(error).lower()
    if getattr(error, "errno", None) == errno.ENOSPC or ("disk" in text and "full" in text):
        return PluginError(
            "no_space",
            "The server's disk is full.",
            hint="It is tried again by itself when there is space.",
            transient=True,
        )
    if isinstance(error, OperationalError):
        return PluginError(
            "database_busy", "The database could not be written.", hint="It is tried again by itself.", transient=True
        )
    return PluginError(
        "internal_error",
        "The server made a mistake while ingesting this file.",
        hint="Retry it; if it fails again, tell the operator the number of this job.",
    )


def postpone(job: FileRegistry, run_id: uuid.UUID, problem: PluginError) -> bool:
    """Schedule the next try; False when the job's patience or its tries are used up."""
    job.refresh_from_db(fields=["postponed_since", "transient_failures"])
    waited = (timezone.now() - job.postponed_since).total_seconds() if job.postponed_since else 0.0
    if waited > settings.KB_RETRY_PATIENCE_SECONDS:
        return False
    uses_attempt = not isinstance(problem, VendorOpen)
    if uses_attempt and job.transient_failures >= settings.KB_MAX_TRANSIENT_FAILURES:
        return False
    delay = delay_before_retry(job, problem)
    at = timezone.now() + timedelta(seconds=delay)
    note = f"{problem.message} Next try at {at:%H:%M:%S} UTC."
    if job.postpone(run_id, delay, problem.code, problem.message, uses_attempt=uses_attempt, note=note):
        logger.warning("Job %s postponed by %.1f s: %s", job.pk, delay, problem.message)
    return True


def delay_before_retry(job: FileRegistry, problem: PluginError) -> float:
    """Seconds until the next try: growing with each failure and jittered, or what the vendor asked for."""
    if isinstance(problem, VendorOpen):
        until: float = (problem.until - timezone.now()).total_seconds()
        return max(0.1, until) + random.uniform(0, 1)  # noqa: S311  (jitter)
    delay: float = settings.KB_RETRY_BASE_SECONDS * 2**job.transient_failures * random.uniform(0.5, 1.5)  # noqa: S311
    return min(600.0, max(delay, asked_delay(problem)))


def asked_delay(problem: PluginError) -> float:
    """Seconds that the other side wants to be left alone: a vendor's, or ``retry_after`` in a plugin's context."""
    asked = problem.retry_after if isinstance(problem, VendorError) else problem.context.get("retry_after")
    return float(asked) if isinstance(asked, int | float) else 0.0


def fail(job: FileRegistry, run_id: uuid.UUID, problem: PluginError, error: Exception) -> None:
    if job.fail(run_id, problem.code, problem.message, details_of(job, problem, error)):
        logger.info("Job %s failed: %s (%s)", job.pk, problem.message, problem.code)
    if problem.code == "internal_error":
        logger.error("Job %s: unexpected error", job.pk, exc_info=error)
