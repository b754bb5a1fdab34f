"""Which workers are there: each process that runs jobs has a row, and says now and then that it lives."""

import logging
import os
import socket
import time
from datetime import timedelta

from django.db import Error, connection
from django.db.models import QuerySet
from django.db.models.functions import Now

from ingestion.models import Worker
from plugins import process

logger = logging.getLogger("kb.worker")

BEAT_SECONDS = 10.0

_worker: Worker | None = None


def this_worker() -> Worker:
    """The row that stands for this process."""
    global _worker
    pid = os.getpid()
    if _worker is None or _worker.pid != pid:  # a forked child is another worker
        _worker, _ = Worker.objects.get_or_create(
            host=socket.gethostname(),
            boot_id=process.boot_id(),
            pid=pid,
            process_started=process.started_at(pid) or 0.0,
            defaults={"supervisor": os.environ.get("KB_SUPERVISOR", "")},
        )
    return _worker


def beat() -> None:
    worker = this_worker()
    while True:
        time.sleep(BEAT_SECONDS)
        try:
            Worker.objects.filter(pk=worker.pk).update(beat_at=Now(), stopped_at=None)
        except Error as error:
            logger.warning("Worker %s cannot say that it lives (%s)", worker, error)
            connection.close()


def living(workers: QuerySet[Worker]) -> list[Worker]:
    """Those heard of lately, on any machine; those of this machine must also have a living process."""
    horizon = Now() - timedelta(seconds=3 * BEAT_SECONDS)
    heard = workers.filter(stopped_at__isnull=True, beat_at__gte=horizon).order_by("pk")
    return [worker for worker in heard if worker.host != socket.gethostname() or not is_dead(worker)]


def living_workers() -> int:
    return len(living(Worker.objects.all()))


def is_dead(worker: Worker) -> bool:
    """Whether the process behind a worker row of this machine is gone for certain."""
    return worker.boot_id != process.boot_id() or not process.is_alive(worker.pid, worker.process_started)
