"""The state machine: every status with every verb, the fence, and what the database itself refuses."""

import uuid
from datetime import timedelta

import pytest
from django.core.management import call_command
from django.db import IntegrityError, transaction
from django.db.models.functions import Now

from ingestion.models import EventKind, FileRegistry, FileStatus, JobCount, JobEvent
from tests.ingestion.factories import make_collection, make_job

pytestmark = [pytest.mark.django_db, pytest.mark.engine]

S = FileStatus
ALLOWED = {
    "claim": {S.PENDING: S.PROCESSING},
    "complete": {S.PROCESSING: S.COMPLETED},
    "fail": {S.PROCESSING: S.FAILED},
    "postpone": {S.PROCESSING: S.PENDING},
    "release": {S.PROCESSING: S.PENDING},
    "lose_lease": {S.PROCESSING: S.PENDING},
    "cancel": {S.PENDING: S.CANCELLED, S.PROCESSING: S.CANCELLED},
    "retry": {S.FAILED: S.PENDING},
    "delete_softly": {s: S.DELETED for s in S if s != S.DELETED},
}


def act(job: FileRegistry, verb: str) -> bool:
    run = job.run_id or uuid.uuid4()
    return {
        "claim": lambda: job.claim(None),
        "complete": lambda: job.complete(run, 1, "1 chunk added"),
        "fail": lambda: job.fail(run, "corrupt", "The file is damaged."),
        "postpone": lambda: job.postpone(run, 5, "no_space", "Full.", uses_attempt=True, note="Waiting"),
        "release": job.release,
        "lose_lease": lambda: job.lose_lease("its process died", process_is_dead=True),
        "cancel": job.cancel,
        "retry": job.retry,
        "delete_softly": job.delete_softly,
    }[verb]()


@pytest.mark.parametrize("verb", ALLOWED)
@pytest.mark.parametrize("status", list(S))
def test_a_verb_moves_only_from_the_statuses_that_allow_it(status, verb):
    job = make_job(make_collection(), status)
    before = FileRegistry.objects.filter(pk=job.pk).values().get()
    events = JobEvent.objects.count()

    moved = act(job, verb)

    after = FileRegistry.objects.filter(pk=job.pk).values().get()
    if status in ALLOWED[verb]:
        assert moved
        assert after["status"] == ALLOWED[verb][status]
        assert JobEvent.objects.count() == events + 1
    else:
        assert not moved
        assert after == before
        assert JobEvent.objects.count() == events


def test_a_run_that_lost_its_job_cannot_write_to_it_again():
    job = make_job(make_collection(), S.PROCESSING)
    old_run = job.run_id
    assert job.lose_lease("its process died", process_is_dead=True)
    assert job.claim(None)
    assert job.run_id != old_run

    assert not job.beat(old_run)
    assert not job.report(old_run, current=1, total=2, message="late", unit="chunk", overall=50)
    assert not job.complete(old_run, 5, "late")
    assert not job.fail(old_run, "corrupt", "late")
    assert not job.postpone(old_run, 1, "no_space", "late", uses_attempt=True, note="late")
    job.refresh_from_db()
    assert job.status == S.PROCESSING
    assert "late" not in job.progress_message


def test_a_cancelled_job_is_not_overwritten_by_done():
    job = make_job(make_collection(), S.PROCESSING)
    assert job.cancel()
    assert not job.complete(job.run_id, 5, "done")
    job.refresh_from_db()
    assert job.status == S.CANCELLED


def test_a_lease_that_was_prolonged_meanwhile_is_not_taken():
    job = make_job(make_collection(), S.PROCESSING)
    assert not job.lose_lease("no sign of life")
    FileRegistry.objects.filter(pk=job.pk).update(lease_until=Now() - timedelta(seconds=1))
    assert job.lose_lease("no sign of life")


def test_the_third_lost_lease_fails_the_job_and_says_so(settings):
    settings.KB_MAX_LOST_LEASES = 3
    job = make_job(make_collection())
    for expected in (S.PENDING, S.PENDING, S.FAILED):
        assert job.claim(None)
        assert job.lose_lease("its process died", process_is_dead=True)
        job.refresh_from_db()
        assert job.status == expected
    assert job.error_code == "worker_lost"
    assert job.error_details["hint"]


def test_draining_uses_up_no_attempt():
    job = make_job(make_collection())
    for _ in range(10):
        assert job.claim(None)
        assert job.release()
        job.refresh_from_db()
    assert (job.status, job.lost_leases, job.transient_failures) == (S.PENDING, 0, 0)


def test_a_retry_forgets_the_counters_and_keeps_the_history():
    job = make_job(make_collection())
    job.claim(None)
    job.postpone(job.run_id, 0, "no_space", "Full.", uses_attempt=True, note="Waiting")
    job.refresh_from_db()
    job.claim(None)
    job.fail(job.run_id, "corrupt", "The file is damaged.")
    job.refresh_from_db()

    assert job.retry({"chunk_size": 5})

    job.refresh_from_db()
    assert (job.transient_failures, job.lost_leases, job.error_code, job.error_message) == (0, 0, "", None)
    assert job.plugin_params == {"chunk_size": 5}
    assert job.processing_started_at is None
    assert job.processing_completed_at is None
    kinds = list(JobEvent.objects.filter(job_id=job.pk).order_by("id").values_list("kind", flat=True))
    assert kinds == [
        EventKind.CLAIMED,
        EventKind.RETRY_SCHEDULED,
        EventKind.CLAIMED,
        EventKind.FAILED,
        EventKind.RETRIED,
    ]


@pytest.mark.parametrize(
    ("current", "total", "stored"),
    [(5, 3, (3, 3)), (-4, 3, (0, 3)), (7, -1, (7, 0)), (10**12, 10**12, (2**31 - 1, 2**31 - 1))],
)
def test_progress_that_makes_no_sense_is_clamped(current, total, stored):
    job = make_job(make_collection(), S.PROCESSING)
    assert job.report(job.run_id, current=current, total=total, message="x" * 999, unit="stage", overall=float("inf"))
    job.refresh_from_db()
    assert (job.progress_current, job.progress_total) == stored
    assert len(job.progress_message) == 255
    assert job.progress_overall <= 100


def test_overall_progress_never_falls_within_a_run():
    job = make_job(make_collection(), S.PROCESSING)
    for overall in (40, 10, 60):
        job.report(job.run_id, current=0, total=0, message="", unit="stage", overall=overall)
    job.refresh_from_db()
    assert job.progress_overall == 60


@pytest.mark.parametrize(
    "broken",
    [
        {"status": S.COMPLETED},
        {"status": S.PROCESSING},
        {"processing_completed_at": Now()},
        {"progress_current": 5, "progress_total": 3},
        {"progress_current": -1},
        {"progress_overall": 101},
        {"lease_until": Now()},
    ],
)
def test_the_database_refuses_a_row_that_breaks_an_invariant(broken):
    job = make_job(make_collection())
    with pytest.raises(IntegrityError), transaction.atomic():
        FileRegistry.objects.filter(pk=job.pk).update(**broken)


def test_counts_by_status_follow_every_insert_move_and_delete():
    collection, other = make_collection(), make_collection("other")
    jobs = [make_job(collection, status) for status in S]
    make_job(other, S.FAILED)

    def counts(of):
        return {c.status: c.jobs for c in JobCount.objects.filter(collection_id=of.pk) if c.jobs}

    assert counts(collection) == {str(status): 1 for status in S}
    assert counts(other) == {"failed": 1}
    jobs[0].cancel()
    FileRegistry.objects.filter(pk__in=[job.pk for job in jobs[2:4]]).delete()
    assert counts(collection) == {"processing": 1, "cancelled": 2, "deleted": 1}


def test_ids_are_never_reused():
    collection = make_collection()
    first = make_job(collection)
    FileRegistry.objects.filter(pk=first.pk).delete()
    assert make_job(collection).pk > first.pk


@pytest.mark.parametrize("status", list(S))
def test_a_job_of_another_server_is_imported_only_where_it_rests(status):
    collection = make_collection()
    moment = collection.creation_date
    fields = {"collection": collection, "original_filename": "old.txt", "plugin_name": "simple_ingest", "owner": "ana",
              "updated_at": moment, "progress_current": 9, "progress_total": 4}  # fmt: skip
    if status in {S.PENDING, S.PROCESSING}:
        with pytest.raises(ValueError, match="cannot be imported"):
            FileRegistry.imported(status, "Imported", {}, **fields)
        assert not FileRegistry.objects.exists()
        return
    job = FileRegistry.imported(status, "Imported", {"was": "there"}, **fields)
    job.refresh_from_db()
    assert (job.status, job.progress_current) == (status, 4)
    assert job.processing_completed_at == (None if status == S.DELETED else moment)
    assert JobEvent.objects.get(job_id=job.pk).data == {"was": "there"}
    assert JobCount.objects.get(collection_id=collection.pk, status=status).jobs == 1


@pytest.mark.django_db(transaction=True)
def test_an_emptied_database_counts_nothing():
    collection = make_collection()
    for status in (S.PENDING, S.COMPLETED, S.FAILED):
        make_job(collection, status)
    call_command("flush", interactive=False, verbosity=0)
    assert not FileRegistry.objects.exists()
    assert not JobCount.objects.exists()
