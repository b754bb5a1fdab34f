"""What real runs leave for /metrics, however they end."""

import io
import threading
import time

import pytest
from django.db import connection

from collections_app import services as collections
from collections_app.embeddings import meter
from ingestion import rescue, services, storage, tally, worker
from ingestion.models import FileStatus, Tally
from tests.ingestion.factories import make_collection, make_job, work
from tests.support.vendor import Fault, Vendor

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow, pytest.mark.usefixtures("own_folders")]


@pytest.fixture(autouse=True)
def _nothing_counted():
    meter.counts.take()


@pytest.fixture
def vendor():
    with Vendor() as running:
        yield running


@pytest.fixture
def remote(vendor):
    return make_collection(embedding_vendor="openai", embedding_model="m", embedding_endpoint=vendor.url)


def submit(collection, plugin="slow_ingest", **params):
    upload = storage.receive(io.BytesIO(b"one\n\ntwo\n\nthree"), "source.txt")
    defaults = {"seconds": 0, "steps": 1} if plugin == "slow_ingest" else {}
    return services.submit(collection, plugin, {**defaults, **params}, upload=upload)


def counted(metric, *labels):
    """By part: ``{"": n}`` of a counter; buckets and sum of a histogram."""
    rows = Tally.objects.filter(metric=metric.name, labels="|".join(labels))
    return dict(rows.values_list("part", "value"))


def observed(metric, *labels):
    """How many values a histogram holds, and their sum."""
    parts = counted(metric, *labels)
    total = parts.pop("sum", 0.0)
    return sum(parts.values()), total


def test_a_completed_run_leaves_its_stages_chunks_and_bytes():
    job = work(submit(make_collection(), seconds=0.3))
    assert job.status == FileStatus.COMPLETED
    runs, seconds = observed(tally.STAGE_SECONDS, "slow_ingest", "conversion")
    assert runs == 1
    assert seconds >= 0.3
    assert observed(tally.STAGE_SECONDS, "slow_ingest", "embedding")[0] == 1
    assert counted(tally.CHUNKS, "slow_ingest") == {"": 3}
    assert counted(tally.BYTES, "slow_ingest") == {"": job.file_size}
    assert counted(tally.RUNS, "slow_ingest", "completed", "") == {"": 1}


def test_a_failed_run_is_counted_with_its_code():
    work(submit(make_collection(), plugin="bad_ingest", way="raise"))
    assert counted(tally.RUNS, "bad_ingest", "failed", "plugin_error") == {"": 1}
    assert counted(tally.BYTES, "bad_ingest") == {}


def test_a_vendor_is_counted_by_request_and_by_failure(remote, vendor):
    vendor.faults.append(Fault("status", status=503, headers={"Retry-After": "0"}))
    work(submit(remote))
    assert observed(meter.SECONDS, "openai")[0] == 2
    assert counted(meter.ERRORS, "openai", "vendor_unavailable") == {"": 1}


def test_a_postponed_run_is_told_from_a_failed_one_and_keeps_its_seconds(remote, vendor):
    vendor.standing = Fault("status", status=503, headers={"Retry-After": "0"})
    job = work(submit(remote))
    assert job.status == FileStatus.PENDING
    assert counted(tally.RUNS, "slow_ingest", "postponed", "vendor_unavailable") == {"": 1}
    assert observed(tally.STAGE_SECONDS, "slow_ingest", "conversion")[0] == 1


def test_a_run_that_was_cancelled_is_counted_as_taken_away():
    job = submit(make_collection(), plugin="bad_ingest", way="hang")
    claimed = worker.claim_next(None)
    canceller = threading.Timer(0.5, lambda: services.cancel(job))
    canceller.start()
    worker.run_job(claimed)
    canceller.join()
    assert counted(tally.RUNS, "bad_ingest", "taken_away", "") == {"": 1}


@pytest.mark.skipif("connection.vendor != 'sqlite'", reason="the trigger is SQLite's")
def test_a_completion_that_is_rolled_back_is_not_counted():
    job = submit(make_collection())
    with connection.cursor() as cursor:  # the last transaction fails at its last step
        cursor.execute(
            "CREATE TRIGGER refuse BEFORE INSERT ON ingestion_tally WHEN NEW.labels LIKE '%completed%' "
            "BEGIN SELECT RAISE(ABORT, 'refused'); END"
        )
        try:
            job = work(job)
        finally:
            cursor.execute("DROP TRIGGER refuse")
    assert job.status == FileStatus.FAILED
    assert counted(tally.CHUNKS, "slow_ingest") == {"": 3}  # by the end that it came to, and once
    assert counted(tally.RUNS, "slow_ingest", "completed", "") == {}
    assert counted(tally.RUNS, "slow_ingest", "failed", "internal_error") == {"": 1}


def test_a_rescue_is_counted_with_its_move():
    job = make_job(make_collection(), FileStatus.PROCESSING)
    assert rescue.take_back(job, "its process died", process_is_dead=True)
    assert not rescue.take_back(job, "its process died", process_is_dead=True)
    assert counted(tally.RESCUES) == {"": 1}


def test_workers_that_end_runs_at_the_same_time_lose_no_number():
    job = make_job(make_collection())

    def end_some():
        for _ in range(10):
            counts = tally.RunCounts(job)
            counts.stage("conversion", 0.01)
            counts.keep_beside(tally.COMPLETED)
        connection.close()

    threads = [threading.Thread(target=end_some) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert counted(tally.RUNS, "simple_ingest", "completed", "") == {"": 40}


def test_what_questions_cost_is_kept_when_it_is_time(remote, monkeypatch):
    monkeypatch.setattr(tally, "_kept_at", time.monotonic())
    collections.embedder(remote).embed_query("why")
    tally.keep_now_and_then()
    assert observed(meter.SECONDS, "openai")[0] == 0
    monkeypatch.setattr(tally, "_kept_at", tally._kept_at - tally.KEEP_SECONDS)
    tally.keep_now_and_then()
    assert observed(meter.SECONDS, "openai")[0] == 1
