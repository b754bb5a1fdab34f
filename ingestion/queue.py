"""The bell that wakes workers: the only file that knows django-q2.

A bell carries nothing. It may be lost, heard twice or heard late; the truth about a job is its row, and the rescue
rings again for jobs that wait.
"""

import contextlib
import logging
import os
from collections.abc import Callable

from django.db import transaction

from ingestion.models import FileRegistry, Worker
from plugins.process import die_with_parent

logger = logging.getLogger("kb.queue")


def ring() -> None:
    """Wake one worker, unless all are busy or enough bells are waiting. Never raises.

    A busy worker looks for the next job when it ends its own, so a bell for it would only be written, read and
    deleted: three transactions a job that nobody needs.
    """
    from django_q.brokers import get_broker
    from django_q.conf import Conf
    from django_q.tasks import async_task

    try:
        broker = get_broker()
        if not all_busy() and broker.queue_size() < Conf.WORKERS:
            async_task("ingestion.worker.wake", broker=broker)
    except Exception:
        logger.warning("Could not ring for a worker; the rescue will do it", exc_info=True)


def all_busy() -> bool:
    workers = Worker.objects.filter(stopped_at__isnull=True).count()
    return 0 < workers <= FileRegistry.objects.processing().count()


def ring_on_commit() -> None:
    """Ring when the current transaction has committed, so that no worker looks before the row is there."""
    transaction.on_commit(ring, robust=True)


def forget_bells() -> None:
    """Drop bells left from an earlier cluster: their workers are gone, and new ones look at the rows anyway."""
    from django_q.brokers import get_broker

    get_broker().purge_queue()


def run_cluster(on_worker_start: Callable[[], None]) -> None:
    """Run the worker pool in this process until it is told to stop (SIGTERM).

    Each process of the pool dies with its parent: a sentinel that was killed would otherwise leave workers that go
    on taking tasks, unguarded.
    """
    from django_q.cluster import Cluster
    from django_q.signals import post_spawn

    def follow_parent() -> None:
        # Runs in each forked process; the process that forked it is the one it must not outlive.
        die_with_parent(os.getppid())

    post_spawn.connect(lambda **_: on_worker_start(), weak=False)
    os.register_at_fork(after_in_child=follow_parent)
    cluster = Cluster()
    cluster.start()
    with contextlib.suppress(AttributeError):  # stop() has already let go of the sentinel
        cluster.sentinel.join()
