"""Jobs whose worker is gone, on real rows and real processes."""

import os
import socket
import subprocess
import sys
from datetime import timedelta

import pytest
from django.db.models import Q
from django.db.models.functions import Now

from ingestion import queue, rescue
from ingestion.models import FileRegistry, FileStatus, Worker
from plugins import process
from tests.ingestion.factories import make_collection, make_job
from tests.support.until import until

pytestmark = [pytest.mark.django_db, pytest.mark.engine]


def make_worker(pid: int, started: float | None = None, **fields) -> Worker:
    return Worker.objects.create(
        host=fields.pop("host", socket.gethostname()),
        boot_id=fields.pop("boot_id", process.boot_id()),
        pid=pid,
        process_started=started if started is not None else process.started_at(pid) or 0,
        **fields,
    )


@pytest.fixture
def child():
    """A real process that only waits."""
    running = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    yield running
    running.kill()
    running.wait()


def claimed_by(worker: Worker) -> FileRegistry:
    job = make_job(make_collection(f"of {worker.pk}"))
    assert job.claim(worker)
    return job


def test_the_job_of_a_dead_process_is_taken_back_at_once(child):
    job = claimed_by(make_worker(child.pid))
    assert rescue.rescue_dead() == 0  # it still lives
    child.kill()
    child.wait()
    assert rescue.rescue_dead() == 1
    job.refresh_from_db()
    assert (job.status, job.lost_leases, job.worker) == (FileStatus.PENDING, 1, None)


def test_a_process_that_took_over_a_dead_ones_pid_is_not_mistaken_for_it():
    job = claimed_by(make_worker(os.getpid(), started=(process.started_at(os.getpid()) or 0) - 3600))
    assert rescue.rescue_dead() == 1
    job.refresh_from_db()
    assert job.status == FileStatus.PENDING


def test_a_worker_of_an_earlier_boot_is_dead():
    job = claimed_by(make_worker(os.getpid(), boot_id="an earlier boot"))
    rescue.rescue_dead()
    job.refresh_from_db()
    assert job.status == FileStatus.PENDING


def test_a_worker_of_another_machine_is_judged_by_its_lease_alone():
    job = claimed_by(make_worker(4_000_000, started=1.0, host="elsewhere"))
    assert rescue.rescue_dead() == 0
    assert rescue.rescue_expired() == 0
    FileRegistry.objects.filter(pk=job.pk).update(lease_until=Now() - timedelta(seconds=1))
    assert rescue.rescue_expired() == 1


def test_jobs_given_back_use_up_no_attempt(child):
    job = claimed_by(make_worker(child.pid, supervisor="s1"))
    other = claimed_by(make_worker(os.getpid(), supervisor="s2"))
    assert rescue.release_all(Q(supervisor="s1"), "Given back") == 1
    job.refresh_from_db()
    other.refresh_from_db()
    assert (job.status, job.lost_leases) == (FileStatus.PENDING, 0)
    assert other.status == FileStatus.PROCESSING


def test_dead_workers_are_marked_and_living_ones_are_not(child):
    dead, alive = make_worker(4_000_000, started=1.0), make_worker(child.pid)
    rescue.bury_workers()
    dead.refresh_from_db()
    alive.refresh_from_db()
    assert dead.stopped_at is not None
    assert alive.stopped_at is None


def test_a_job_that_nobody_heard_of_is_rung_for_again():
    from django_q.brokers import get_broker

    queue.forget_bells()
    job = make_job(make_collection())
    rescue.ring_for_unheard()
    assert get_broker().queue_size() == 0  # its own bell may still be on the way
    FileRegistry.objects.filter(pk=job.pk).update(updated_at=Now() - timedelta(seconds=5))
    rescue.ring_for_unheard()
    assert get_broker().queue_size() == 1


def test_nobody_is_rung_for_what_waits_in_a_deleted_collection():
    from django_q.brokers import get_broker

    queue.forget_bells()
    make_job(make_collection(deleted_at=Now()))
    FileRegistry.objects.update(updated_at=Now() - timedelta(seconds=5))
    rescue.ring_for_unheard()
    assert get_broker().queue_size() == 0


def test_bells_do_not_pile_up(settings):
    from django_q.brokers import get_broker

    queue.forget_bells()
    for _ in range(50):
        queue.ring()
    assert get_broker().queue_size() == settings.MAX_CONCURRENT_INGESTION_TASKS


def test_a_living_worker_of_this_machine_gets_one_more_heartbeat(settings, child):
    settings.KB_HEARTBEAT_SECONDS = -0.9  # so that grace is a tenth of a second
    job = claimed_by(make_worker(child.pid))
    FileRegistry.objects.filter(pk=job.pk).update(lease_until=Now() - timedelta(seconds=1))
    assert rescue.rescue_expired() == 0
    until(rescue.rescue_expired)
    job.refresh_from_db()
    assert job.status == FileStatus.PENDING
