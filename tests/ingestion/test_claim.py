"""Who gets which job next, and that nobody gets it twice."""

from collections import Counter
from datetime import timedelta
from functools import partial

import pytest
from django.db.models.functions import Now

from ingestion import worker
from ingestion.models import EventKind, FileRegistry, FileStatus, JobEvent
from tests.ingestion.factories import make_collection, make_job
from tests.support.race import race

pytestmark = [pytest.mark.engine]


def claim():
    return worker.claim_next(None)


@pytest.mark.django_db
def test_the_oldest_job_is_claimed_first_and_a_higher_priority_before_it():
    collection = make_collection()
    first, second = make_job(collection), make_job(collection)
    urgent = make_job(collection, priority=5)
    assert [claim().pk for _ in range(3)] == [urgent.pk, first.pk, second.pk]
    assert claim() is None


@pytest.mark.django_db
def test_an_owner_with_many_jobs_does_not_keep_another_one_waiting():
    ana, ben = make_collection(owner="ana"), make_collection(owner="ben")
    for _ in range(5):
        make_job(ana)
    bens = [make_job(ben), make_job(ben)]
    owners = [claim().owner for _ in range(4)]
    assert owners == ["ana", "ben", "ana", "ben"]
    assert FileRegistry.objects.filter(pk__in=[job.pk for job in bens], status=FileStatus.PROCESSING).count() == 2


@pytest.mark.django_db
def test_a_job_that_waits_for_its_next_try_is_not_due():
    job = make_job(make_collection(), not_before=Now() + timedelta(hours=1))
    assert claim() is None
    FileRegistry.objects.filter(pk=job.pk).update(not_before=Now() - timedelta(seconds=1))
    assert claim().pk == job.pk


@pytest.mark.django_db
def test_nothing_is_claimed_when_the_disk_is_almost_full(settings):
    make_job(make_collection())
    settings.KB_MIN_FREE_MB = 10**12
    assert claim() is None


@pytest.mark.django_db
def test_nothing_is_claimed_while_the_server_drains(settings, tmp_path, monkeypatch):
    make_job(make_collection())
    settings.KB_RUN_DIR = tmp_path
    monkeypatch.setenv("KB_SUPERVISOR", "abc")
    (tmp_path / "draining-abc").touch()
    assert claim() is None
    (tmp_path / "draining-abc").unlink()
    assert claim() is not None


@pytest.mark.django_db(transaction=True)
def test_jobs_that_many_workers_claim_at_once_are_each_claimed_once():
    collection = make_collection()
    jobs = [make_job(collection) for _ in range(40)]

    def work():
        while claim() is not None:
            pass

    race(*[work] * 6)
    claims = Counter(JobEvent.objects.filter(kind=EventKind.CLAIMED).values_list("job_id", flat=True))
    assert claims == {job.pk: 1 for job in jobs}


@pytest.mark.django_db(transaction=True)
def test_of_a_cancel_and_a_completion_at_once_exactly_one_wins():
    collection = make_collection()
    for _ in range(15):
        job = make_job(collection, FileStatus.PROCESSING)
        cancelled, completed = race(job.cancel, partial(job.complete, job.run_id, 1, "done"))
        assert sorted([cancelled, completed]) == [False, True]
        job.refresh_from_db()
        assert job.status == (FileStatus.CANCELLED if cancelled else FileStatus.COMPLETED)
