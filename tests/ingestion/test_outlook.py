"""What a live job has to expect: why it waits, when it is done, whether it has stalled."""

from datetime import UTC, datetime, timedelta

import pytest
from django.utils import timezone

from ingestion import outlook, presence
from ingestion.models import FileRegistry, FileStatus, JobKind, Worker
from ingestion.outlook import LEAST, History, Sample
from ingestion.reads import job as shown_job
from tests.ingestion.factories import make_collection, make_job

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _forget():
    outlook.past.forget()
    presence._worker = None
    yield
    outlook.past.forget()
    presence._worker = None


@pytest.fixture
def collection():
    return make_collection()


@pytest.fixture
def living():
    """This process is a worker, and has just said so."""
    return presence.this_worker()


def shown(job):
    found = shown_job(job.collection_id, job.pk)
    assert found is not None
    return found


def record(collection, conversion, storing, *, size=1000, chunks=10, number=LEAST, **fields):
    """Completed jobs that took these seconds."""
    timings = [
        {"stage": "page_processed", "duration_ms": 5, "message": ""},
        {"stage": "conversion", "duration_ms": 1000 * conversion, "message": ""},
        {"stage": "embedding", "duration_ms": 1000 * storing, "message": ""},
    ]
    for _ in range(number):
        job = make_job(collection, FileStatus.PROCESSING, file_size=size, **fields)
        assert job.complete(job.run_id, chunks, "done", {"stage_timings": timings})
        started = timezone.now() - timedelta(seconds=conversion + storing)
        FileRegistry.objects.filter(pk=job.pk).update(processing_started_at=started)


def running(collection, seconds, unit="stage", current=0, total=0, **fields):
    """A job that has been in its stage for so long."""
    job = make_job(collection, FileStatus.PROCESSING, **{"file_size": 1000, **fields})
    assert job.report(job.run_id, current=current, total=total, message="", unit=unit, overall=1)
    FileRegistry.objects.filter(pk=job.pk).update(stage_started_at=timezone.now() - timedelta(seconds=seconds))
    return job


# -- Why it waits -----------------------------------------------------------------------------------


def test_a_job_is_told_how_many_are_ahead_of_it(collection, living):
    jobs = [make_job(collection) for _ in range(3)]
    reasons = [shown(job)["waiting_reason"] for job in jobs]
    assert [reason["jobs_ahead"] for reason in reasons] == [0, 1, 2]
    assert [reason["message"] for reason in reasons] == ["Next in line.", "Behind 1 job.", "Behind 2 jobs."]
    assert {reason["code"] for reason in reasons} == {"queued"}


def test_without_a_living_worker_that_is_the_reason(collection):
    job = make_job(collection)
    assert shown(job)["waiting_reason"]["code"] == "no_worker"
    Worker.objects.create(host="far", boot_id="x", pid=1, process_started=0)
    outlook.past.forget()
    assert shown(job)["waiting_reason"]["code"] == "queued"


def test_a_job_that_is_tried_again_later_says_when(collection, living):
    job = make_job(collection, FileStatus.PROCESSING)
    assert job.postpone(job.run_id, 60, "vendor_timeout", "No answer.", uses_attempt=True, note="")
    reason = shown(job)["waiting_reason"]
    assert reason["code"] == "backing_off"
    assert "vendor_timeout" in reason["message"]
    until = datetime.fromisoformat(reason["until"])
    assert timedelta(seconds=50) < until - datetime.now(UTC) < timedelta(seconds=61)
    FileRegistry.objects.filter(pk=job.pk).update(not_before=timezone.now() - timedelta(seconds=1))
    assert shown(job)["waiting_reason"]["code"] == "queued"


def test_a_full_disk_keeps_jobs_waiting(collection, living, settings):
    settings.KB_MIN_FREE_MB = 10**9
    assert shown(make_job(collection))["waiting_reason"]["code"] == "no_space"


@pytest.mark.parametrize("status", [FileStatus.PROCESSING, FileStatus.COMPLETED, FileStatus.FAILED])
def test_only_pending_jobs_wait(collection, status):
    assert shown(make_job(collection, status))["waiting_reason"] is None


# -- When it is done --------------------------------------------------------------------------------


def test_with_a_thin_past_there_is_no_estimate(collection, living):
    record(collection, 10, 5, number=LEAST - 1)
    for job in (running(collection, 1), make_job(collection)):
        found = shown(job)
        assert (found["eta_seconds"], found["eta_low_seconds"], found["eta_high_seconds"]) == (None, None, None)
        assert found["stalled"] is False


def test_what_others_took_is_what_is_left(collection):
    record(collection, 10, 5)
    found = shown(running(collection, 4))
    assert found["eta_seconds"] == pytest.approx(11, abs=0.5)
    assert found["eta_low_seconds"] <= found["eta_seconds"] <= found["eta_high_seconds"]


def test_those_that_would_have_ended_by_now_say_nothing_of_what_is_left(collection):
    record(collection, 2, 1)
    record(collection, 100, 1)
    assert shown(running(collection, 20))["eta_seconds"] == pytest.approx(81, abs=1)


def test_other_plugins_and_sizes_say_nothing(collection):
    record(collection, 100, 100, plugin_name="markitdown_ingest")
    record(collection, 100, 100, size=10**9)
    record(collection, 10, 5)
    assert shown(running(collection, 1))["eta_seconds"] == pytest.approx(14, abs=0.5)


def test_a_size_never_seen_is_drawn_out_from_the_nearest(collection):
    record(collection, 10, 5, size=10**6)
    assert shown(running(collection, 0, file_size=10**8))["eta_seconds"] == pytest.approx(1500, rel=0.05)


def test_runs_of_several_attempts_say_nothing(collection):
    record(collection, 10, 5)
    FileRegistry.objects.update(attempt=2)
    assert shown(running(collection, 1))["eta_seconds"] is None


def test_while_chunks_are_added_the_runs_own_pace_counts(collection):
    record(collection, 1, 1000)
    found = shown(running(collection, 10, "chunk", 25, 100))
    assert found["eta_seconds"] == pytest.approx(30, abs=1)


def test_before_it_has_a_pace_that_of_others_counts(collection):
    record(collection, 1, 20, chunks=10)
    assert shown(running(collection, 0, "chunk", 0, 100))["eta_seconds"] == pytest.approx(200, abs=1)


def test_a_crawl_is_judged_by_its_pages(collection):
    assert shown(running(collection, 20, "url", 10, 40))["eta_seconds"] == pytest.approx(60, abs=1)
    assert shown(running(collection, 20, "url", 1, 40))["eta_seconds"] is None


def test_a_waiting_job_waits_for_those_ahead_first(collection, living):
    record(collection, 10, 5)
    jobs = [make_job(collection, file_size=1000) for _ in range(3)]
    first, last = shown(jobs[0]), shown(jobs[2])
    assert first["eta_seconds"] == pytest.approx(15, abs=0.5)
    assert last["eta_seconds"] == pytest.approx(45, abs=1)
    assert last["eta_low_seconds"] < 45 < last["eta_high_seconds"]


def test_nobody_knows_when_a_job_without_workers_is_done(collection):
    record(collection, 10, 5)
    assert shown(make_job(collection, file_size=1000))["eta_seconds"] is None


def test_a_job_that_is_tried_again_waits_for_that_first(collection, living):
    record(collection, 10, 5)
    job = make_job(collection, FileStatus.PROCESSING, file_size=1000)
    assert job.postpone(job.run_id, 60, "vendor_timeout", "No answer.", uses_attempt=True, note="")
    assert shown(job)["eta_seconds"] == pytest.approx(75, abs=2)


@pytest.mark.parametrize("status", [FileStatus.COMPLETED, FileStatus.FAILED, FileStatus.CANCELLED])
def test_nothing_is_expected_of_a_job_that_has_ended(collection, status):
    record(collection, 10, 5)
    found = shown(make_job(collection, status))
    assert (found["eta_seconds"], found["stalled"]) == (None, False)


# -- Whether it has stalled -------------------------------------------------------------------------


@pytest.mark.parametrize(("seconds", "stalled"), [(39, False), (42, True)])
def test_a_stage_of_four_times_its_median_has_stalled(collection, seconds, stalled):
    record(collection, 10, 5)
    assert shown(running(collection, seconds))["stalled"] is stalled


@pytest.mark.parametrize(("seconds", "stalled"), [(190, False), (210, True)])
def test_storing_stalls_by_the_number_of_its_chunks(collection, seconds, stalled):
    record(collection, 1, 5, chunks=10)
    assert shown(running(collection, seconds, "chunk", 1, 100))["stalled"] is stalled


def test_what_is_short_does_not_stall(collection):
    record(collection, 0.1, 0.1)
    assert shown(running(collection, 10))["stalled"] is False


# -- The past ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "stats",
    [None, {}, [], {"stage_timings": None}, {"stage_timings": [1, {"stage": "conversion"}]},
     {"stage_timings": [{"stage": "conversion", "duration_ms": "x"}]}],
)  # fmt: skip
def test_old_statistics_of_any_shape_do_no_harm(stats):
    assert outlook.stage_seconds(stats) is None


def test_the_nearest_in_size_come_first():
    history = History([Sample(10**n, 1, n, n) for n in range(LEAST)] + [Sample(1000, 1, 3, 3)] * LEAST)
    assert {sample.size for sample in history.like(1100)} == {1000}


def test_a_preview_is_expected_to_take_as_long_as_the_reading_alone_and_a_crawl_is_not_guessed(collection, living):
    record(collection, conversion=4, storing=60)
    preview = make_job(collection, file_size=1000, kind=JobKind.PREVIEW)
    assert 3 < shown(preview)["eta_seconds"] < 5
    preview.claim(None)
    assert 2 < shown(preview)["eta_seconds"] < 5
    record(collection, conversion=40, storing=6, size=0, plugin_name="url_ingest")
    crawl = make_job(collection, plugin_name="url_ingest", kind=JobKind.PREVIEW)
    assert shown(crawl)["eta_seconds"] is None
    assert shown(make_job(collection, plugin_name="url_ingest"))["eta_seconds"] > 40
