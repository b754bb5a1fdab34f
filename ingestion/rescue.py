"""Jobs whose worker is gone go back to the queue; jobs that nobody heard of are rung for again.

It runs in the supervisor and not in the pool that it looks after. Any number of machines may run it at once: each
step is a guarded move.
"""

import logging
import socket
import time
import uuid
from datetime import timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import Q
from django.db.models.functions import Now

from ingestion import queue, tally
from ingestion.models import FileRegistry, Worker
from ingestion.presence import is_dead

logger = logging.getLogger("kb.rescue")

UNHEARD_SECONDS = 2.0


def sweep() -> int:
    """One round of everything here; returns how many jobs were taken back."""
    rescued = rescue_dead() + rescue_expired()
    bury_workers()
    ring_for_unheard()
    return rescued


_suspects: dict[uuid.UUID, float] = {}  # runs whose lease was seen expired though their process lives, and since when


def rescue_expired() -> int:
    """Jobs whose lease ran out: their worker hangs, is cut off, or lived on a machine that died.

    A living process of this machine gets one more heartbeat: after a suspend, or a long lock, the sweep may come first.
    """
    expired = list(FileRegistry.objects.expired().select_related("worker"))
    now = time.monotonic()
    seen = {job.run_id: _suspects.get(job.run_id, now) for job in expired if job.run_id and lives_here(job.worker)}
    _suspects.clear()
    _suspects.update(seen)
    grace = settings.KB_HEARTBEAT_SECONDS + 1
    lost = [job for job in expired if job.run_id not in seen or now - seen[job.run_id] >= grace]
    return sum(take_back(job, f"no sign of life for {settings.KB_LEASE_SECONDS:g} seconds") for job in lost)


def lives_here(worker: Worker | None) -> bool:
    return worker is not None and worker.host == socket.gethostname() and not is_dead(worker)


def rescue_dead() -> int:
    """Jobs whose worker process on this machine is dead: no need to wait for the lease."""
    return sum(
        take_back(job, "its process died", process_is_dead=True)
        for job in FileRegistry.objects.processing().filter(worker__in=living_rows_here()).select_related("worker")
        if job.worker and is_dead(job.worker)
    )


def take_back(job: FileRegistry, reason: str, *, process_is_dead: bool = False) -> bool:
    with transaction.atomic():
        if not job.lose_lease(reason, process_is_dead=process_is_dead):
            return False  # it ended, or its worker came back, or another machine's rescue was first
        tally.rescued()
    logger.warning("Job %s taken back from worker %s: %s", job.pk, job.worker_id, reason, extra={"job_id": job.pk})
    return True


def release_all(workers: Q, reason: str, *, only_dead: bool = False) -> int:
    """Give the jobs of these workers back without counting a lost lease: it was not the jobs' doing.

    :param only_dead: leave those alone whose process lives, since others may have been started meanwhile
    """
    chosen = [worker.pk for worker in Worker.objects.filter(workers) if not only_dead or is_dead(worker)]
    return sum(job.release(reason) for job in FileRegistry.objects.processing().filter(worker__in=chosen))


def living_rows_here() -> "list[Worker]":
    return list(Worker.objects.filter(host=socket.gethostname(), stopped_at__isnull=True))


def bury_workers() -> None:
    """Mark workers of this machine that are gone, so that nobody takes them for living."""
    dead = [worker.pk for worker in living_rows_here() if is_dead(worker)]
    if dead:
        Worker.objects.filter(pk__in=dead).update(stopped_at=Now())


def ring_for_unheard() -> None:
    """A bell may be lost between the job's commit and its enqueueing, or with the worker that held it."""
    waiting = Q(updated_at__lt=Now() - timedelta(seconds=UNHEARD_SECONDS)) & (
        Q(not_before__isnull=True) | Q(not_before__lt=Now())
    )
    unheard = FileRegistry.objects.pending().of_live_collections().filter(waiting)
    for _ in unheard.values_list("pk")[: settings.MAX_CONCURRENT_INGESTION_TASKS]:
        queue.ring()
