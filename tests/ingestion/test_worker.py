"""A worker's day, with a real plugin host and a real embedding server: run, fail, wait, go on, be stopped."""

import io
import threading
import time

import pytest
from django.db import OperationalError, connection

from collections_app.models import Chunk, Document, VendorState
from ingestion import hosts, services, storage, worker
from ingestion.models import EventKind, FileRegistry, FileStatus, JobEvent
from plugins.base import PluginError
from tests.ingestion.factories import make_collection, work
from tests.support.vendor import Fault, Vendor

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow, pytest.mark.usefixtures("own_folders")]


@pytest.fixture
def vendor():
    with Vendor() as running:
        yield running


@pytest.fixture
def remote(vendor):
    """A collection whose vectors come from the embedding server."""
    return make_collection(embedding_vendor="openai", embedding_model="m", embedding_endpoint=vendor.url)


def submit(collection, text="one\n\ntwo", plugin="slow_ingest", **params):
    upload = storage.receive(io.BytesIO(text.encode()), "source.txt")
    defaults = {"seconds": 0, "steps": 1} if plugin == "slow_ingest" else {}
    return services.submit(collection, plugin, {**defaults, **params}, upload=upload)


def paragraphs(number, word="word"):
    return "\n\n".join(f"{word}-{n} and more" for n in range(number))


def kinds(job):
    return list(JobEvent.objects.filter(job_id=job.pk).order_by("id").values_list("kind", flat=True))


def test_a_job_is_converted_embedded_published_and_its_spool_removed(own_folders):
    job = work(submit(make_collection(), paragraphs(5)))
    assert (job.status, job.document_count, job.progress_overall) == (FileStatus.COMPLETED, 5, 100)
    document = Document.objects.published().get(file_id=job.pk)
    assert [chunk.text for chunk in document.chunks.order_by("position")] == paragraphs(5).split("\n\n")
    assert list(storage.work_folder(job.storage_key).iterdir()) == []
    stages = [stage["stage"] for stage in job.processing_stats["stage_timings"]]
    assert stages == ["conversion", "embedding"]
    assert job.processing_stats["chunk_stats"]["count"] == 5


def test_an_error_of_a_plugin_reaches_people_without_paths_or_secrets(settings):
    job = work(submit(make_collection(), plugin="bad_ingest", way="raise"))
    assert (job.status, job.error_code) == (FileStatus.FAILED, "plugin_error")
    assert job.error_details["exception_type"] == "ValueError"
    assert "Traceback" in job.error_details["traceback"]
    everything = str(job.error_details) + job.error_message
    assert str(settings.BASE_DIR) not in everything
    assert str(settings.MEDIA_ROOT) not in everything


def test_a_vendor_that_fails_for_a_moment_is_not_noticed(remote, vendor):
    vendor.faults.append(Fault("status", status=503))
    job = work(submit(remote))
    assert job.status == FileStatus.COMPLETED
    assert EventKind.RETRY_SCHEDULED not in kinds(job)


def test_a_vendor_that_stays_down_postpones_the_job_and_its_return_completes_it(remote, vendor):
    vendor.standing = Fault("status", status=503, headers={"Retry-After": "0"})
    job = work(submit(remote))
    assert (job.status, job.error_code) == (FileStatus.PENDING, "vendor_unavailable")
    assert job.not_before is not None
    assert "Next try" in job.progress_message
    assert job.error_message is None

    vendor.standing = None
    conversions = hosts.current().runs
    job = work(job)
    assert job.status == FileStatus.COMPLETED
    assert hosts.current().runs == conversions  # the spool was enough


def test_an_outage_that_outlasts_patience_fails_the_job_with_the_vendors_reason(remote, vendor, settings):
    settings.KB_MAX_TRANSIENT_FAILURES = 1
    vendor.standing = Fault("status", status=503, headers={"Retry-After": "0"})
    job = submit(remote)
    work(job)
    job = work(job)
    assert (job.status, job.error_code) == (FileStatus.FAILED, "vendor_unavailable")
    assert job.error_details["hint"]


def test_an_open_breaker_uses_up_no_attempts_and_calls_nobody(remote, vendor, settings):
    vendor.standing = Fault("status", status=503, headers={"Retry-After": "0"})
    job = submit(remote)
    for _ in range(3):
        work(job)
    assert VendorState.objects.get().open_until is not None
    used, calls = job.transient_failures, len(vendor.received)
    for _ in range(5):
        work(job)
    assert job.status == FileStatus.PENDING
    assert job.transient_failures == used
    assert len(vendor.received) == calls


def test_a_vendor_that_says_no_fails_the_job_at_once(remote, vendor):
    vendor.standing = Fault("status", status=401)
    job = work(submit(remote))
    assert (job.status, job.error_code) == (FileStatus.FAILED, "vendor_rejected")


def test_a_retry_goes_on_after_the_last_stored_chunk_without_converting_or_doubling(remote, vendor):
    text = paragraphs(800)
    vendor.fail("slow", times=6)  # six requests are answered, the next ones are refused
    vendor.standing = Fault("status", status=400)
    job = work(submit(remote, text))
    assert (job.status, job.error_code) == (FileStatus.FAILED, "vendor_bad_request")
    stored = Document.objects.unfinished().get(file_id=job.pk).chunk_count
    assert 0 < stored < 800

    vendor.standing = None
    vendor.received.clear()
    conversions = hosts.current().runs
    services.retry(job)
    job = work(job)

    assert (job.status, job.document_count) == (FileStatus.COMPLETED, 800)
    assert hosts.current().runs == conversions
    document = Document.objects.published().get(file_id=job.pk)
    assert [chunk.text for chunk in document.chunks.order_by("position")] == text.split("\n\n")
    assert Chunk.objects.count() == 800
    assert sum(len(request.texts) for request in vendor.received) == 800 - stored


def test_a_retry_with_other_parameters_starts_from_the_source_again(remote, vendor):
    vendor.standing = Fault("status", status=400)
    job = work(submit(remote, paragraphs(3)))
    assert job.status == FileStatus.FAILED
    vendor.standing = None
    services.retry(job, {"steps": 2})
    job = work(job)
    assert (job.status, job.document_count, job.plugin_params["steps"]) == (FileStatus.COMPLETED, 3, 2)
    assert Chunk.objects.count() == 3


def test_chunks_of_two_conversions_never_meet_in_one_document(remote, vendor):
    """A plugin need not do the same twice: a page in the web may have changed meanwhile."""
    vendor.fail("slow", times=6)
    vendor.standing = Fault("status", status=400)
    job = work(submit(remote, paragraphs(800, "old")))
    assert Document.objects.unfinished().get(file_id=job.pk).chunk_count > 0

    vendor.standing = None
    for spool in storage.work_folder(job.storage_key).iterdir():
        spool.unlink()
    (storage.root() / job.file_path).write_text(paragraphs(700, "new"))
    services.retry(job)
    job = work(job)

    document = Document.objects.published().get(file_id=job.pk)
    assert [chunk.text for chunk in document.chunks.order_by("position")] == paragraphs(700, "new").split("\n\n")
    assert job.document_count == 700


@pytest.mark.parametrize("verb", ["cancel", "delete"])
def test_an_embedding_request_that_hangs_is_abandoned_when_the_job_is_taken_away(remote, vendor, verb):
    vendor.standing = Fault("hang")
    job = submit(remote, paragraphs(100))
    took = {}

    def take_away():
        vendor.arrived.wait(20)
        services.cancel(job) if verb == "cancel" else services.delete(FileRegistry.objects.get(pk=job.pk))
        took["at"] = time.monotonic()
        connection.close()

    thread = threading.Thread(target=take_away)
    thread.start()
    claimed = worker.claim_next(None)
    worker.run_job(claimed)
    ended = time.monotonic()
    thread.join()
    assert ended - took["at"] < 1.0
    assert not Document.objects.published().exists()
    assert not FileRegistry.objects.processing().exists()


def test_a_job_without_progress_times_out_and_the_next_one_runs(settings):
    settings.INGESTION_TASK_TIMEOUT_SECONDS = 1
    collection = make_collection()
    job = work(submit(collection, plugin="bad_ingest", way="hang"))
    assert (job.status, job.error_code) == (FileStatus.FAILED, "timed_out")
    assert "1 second" in job.error_message
    settings.INGESTION_TASK_TIMEOUT_SECONDS = 60  # the next host must boot first
    assert work(submit(collection)).status == FileStatus.COMPLETED


def test_progress_keeps_a_long_job_from_timing_out(settings):
    settings.INGESTION_TASK_TIMEOUT_SECONDS = 1.5
    job = work(submit(make_collection(), seconds=3, steps=6))
    assert job.status == FileStatus.COMPLETED


def test_a_job_that_goes_on_too_long_is_stopped_though_it_moves(settings):
    settings.KB_JOB_MAX_SECONDS = 1
    job = work(submit(make_collection(), seconds=30, steps=100))
    assert (job.status, job.error_code) == (FileStatus.FAILED, "timed_out")


def test_a_deleted_upload_fails_with_its_reason():
    job = submit(make_collection())
    (storage.root() / job.file_path).unlink()
    job = work(job)
    assert (job.status, job.error_code) == (FileStatus.FAILED, "file_missing")


def test_a_new_run_of_a_file_replaces_what_was_published_of_it():
    collection = make_collection()
    job = work(submit(collection, paragraphs(2)))
    first = Document.objects.published().get(file_id=job.pk)
    FileRegistry.objects.filter(pk=job.pk).update(status=FileStatus.FAILED)
    services.retry(FileRegistry.objects.get(pk=job.pk))
    job = work(job)
    assert job.status == FileStatus.COMPLETED
    assert Document.objects.published().get(file_id=job.pk).pk != first.pk
    assert Document.objects.withdrawn().get().pk == first.pk


def test_waiting_jobs_are_woken_when_their_vendor_is_back(remote, vendor, settings):
    vendor.standing = Fault("status", status=503, headers={"Retry-After": "0"})
    first = submit(remote)
    for _ in range(3):
        work(first)
    FileRegistry.objects.filter(pk=first.pk).update(not_before=None)
    assert VendorState.objects.get().open_until is not None
    second = submit(remote)
    FileRegistry.objects.filter(pk=first.pk).update(priority=1)
    claimed = worker.claim_next(None)
    worker.run_job(claimed)  # postponed by the open breaker
    first.refresh_from_db()
    assert first.not_before is not None

    vendor.standing = None
    VendorState.objects.update(open_until="2020-01-01T00:00Z")
    assert work(second).status == FileStatus.COMPLETED
    first.refresh_from_db()
    assert first.not_before is None
    assert work(first).status == FileStatus.COMPLETED


@pytest.mark.parametrize(
    ("error", "code", "transient"),
    [
        (OSError(28, "No space left on device"), "no_space", True),
        (OperationalError("database or disk is full"), "no_space", True),
        (OperationalError("database is locked"), "database_busy", True),
        (KeyError("x"), "internal_error", False),
        (PluginError("corrupt", "Broken."), "corrupt", False),
    ],
)
def test_every_error_gets_a_code_a_sentence_and_a_verdict(error, code, transient):
    problem = worker.explain(error)
    assert (problem.code, problem.transient) == (code, transient)
    assert problem.message.endswith(".")


def test_a_run_that_lost_its_job_cannot_settle_its_successors(remote, vendor):
    job = submit(remote)
    mine = worker.claim_next(None)
    assert mine is not None
    old_run = mine.run_id
    assert mine.lose_lease("its process died", process_is_dead=True)
    successor = worker.claim_next(None)
    assert successor is not None

    worker.settle(mine, old_run, PluginError("no_space", "Full.", transient=True))
    worker.settle(mine, old_run, PluginError("corrupt", "Broken."))

    job.refresh_from_db()
    assert (job.status, job.run_id) == (FileStatus.PROCESSING, successor.run_id)


def test_settling_a_job_that_was_deleted_meanwhile_is_no_error():
    job = submit(make_collection())
    claimed = worker.claim_next(None)
    assert claimed is not None
    services.delete(job)
    worker.settle(claimed, claimed.run_id, PluginError("no_space", "Full.", transient=True))
    assert not FileRegistry.objects.exists()


def test_a_long_job_may_win_the_breakers_probe_and_closes_it(remote, vendor):
    vendor.standing = Fault("status", status=503, headers={"Retry-After": "0"})
    job = submit(remote, paragraphs(800))
    for _ in range(3):
        work(job)
    vendor.standing = None
    VendorState.objects.update(open_until="2020-01-01T00:00Z")
    assert work(job).status == FileStatus.COMPLETED
    assert VendorState.objects.get().open_until is None


def test_what_failed_before_a_stored_batch_is_over(remote, vendor):
    vendor.fail("status", status=503, headers={"Retry-After": "0"}, times=20)
    job = work(submit(remote, paragraphs(800)))
    assert (job.status, job.transient_failures) == (FileStatus.PENDING, 1)
    vendor.faults.clear()
    vendor.fail("slow", times=6)
    vendor.standing = Fault("status", status=503, headers={"Retry-After": "0"})
    job = work(job)
    assert job.status == FileStatus.PENDING
    assert job.transient_failures == 1  # and not 2: chunks were stored in between


def test_secrets_and_paths_reach_neither_people_nor_the_diary(remote, settings):
    job = submit(remote)
    job.plugin_params = {**job.plugin_params, "api_key": "hunter2-hunter2"}
    job.save()
    claimed = worker.claim_next(None)
    assert claimed is not None
    error = PluginError(
        "odd", f"Refused hunter2-hunter2 in {settings.KB_DATA_DIR}/x.", context={"deep": [{"a": "hunter2-hunter2"}]}
    )
    worker.settle(claimed, claimed.run_id, error)
    job.refresh_from_db()
    everything = str(job.error_details) + str(job.error_message) + str(list(JobEvent.objects.values()))
    assert job.status == FileStatus.FAILED
    assert "hunter2" not in everything
    assert str(settings.KB_DATA_DIR) not in everything
