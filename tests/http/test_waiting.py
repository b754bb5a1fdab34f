"""ETags, and requests that wait for a change: on the real database, with the change made by somebody else meanwhile."""

import threading
import time
from contextlib import contextmanager

import pytest
from django.db import connection

from ingestion import reads, waiting
from ingestion.models import FileRegistry, FileStatus
from tests.http.conftest import Api
from tests.http.shapes import is_invalid
from tests.ingestion.factories import make_collection, make_job

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def job():
    return make_job(make_collection("handbook"), FileStatus.PROCESSING)


def path(job, query=""):
    return f"/collections/{job.collection_id}/ingestion-jobs/{job.pk}{query}"


def report(job, current=1):
    assert job.report(job.run_id, current=current, total=10, message="Reading", unit="stage", overall=current)


def ask(job, query="", tag=None):
    return Api().get(path(job, query), **({"HTTP_IF_NONE_MATCH": tag} if tag else {}))


def test_an_unchanged_job_is_answered_with_304_and_two_queries_less(job, django_assert_num_queries):
    tag = ask(job)["ETag"]
    with django_assert_num_queries(1):
        answer = ask(job, tag=tag)
    assert (answer.status_code, answer.content, answer["ETag"]) == (304, b"", tag)


def moves(job):
    run = job.run_id
    yield lambda: report(job)
    yield lambda: job.keep_stats(run, {"content_length": 5})
    yield lambda: job.release()
    yield lambda: job.claim(None)
    yield lambda: job.fail(job.run_id, "corrupt", "Damaged.")
    yield lambda: job.retry()
    yield lambda: job.cancel()
    yield lambda: job.delete_softly()


def test_every_change_that_a_reader_can_see_changes_the_tag(job):
    tags = [ask(job)["ETag"]]
    for move in moves(job):
        assert move() is not False
        job.refresh_from_db()
        tags.append(ask(job, tag=tags[-1])["ETag"])
    assert len(set(tags)) == len(tags)


def test_a_beat_changes_no_tag(job):
    tag = ask(job)["ETag"]
    assert job.beat(job.run_id)
    assert ask(job, tag=tag).status_code == 304


def test_a_waiting_job_has_another_tag_when_it_moves_up_or_its_collection_is_renamed(job):
    ahead = make_job(job.collection)
    behind = make_job(job.collection)
    tag = ask(behind)["ETag"]
    assert ahead.cancel()
    moved = ask(behind, tag=tag)
    assert moved.status_code == 200
    job.collection.name = "guide"
    job.collection.save()
    assert ask(behind, tag=moved["ETag"]).status_code == 200


@pytest.mark.parametrize("header", ['W/"x-1"', '"x-1", W/"y"', "garbage"])
def test_foreign_tags_get_the_job(job, header):
    assert ask(job, tag=header).status_code == 200


def test_one_of_several_tags_is_enough_and_a_star_is_none_of_them(job):
    tag = ask(job)["ETag"]
    assert ask(job, tag=f'"other", {tag}').status_code == 304


@contextmanager
def later(action, ready):
    """Do *action* in another thread, once *ready*."""

    def run():
        while not ready():
            time.sleep(0.005)
        action()
        connection.close()

    thread = threading.Thread(target=run)
    thread.start()
    yield
    thread.join()


def somebody_waits():
    return waiting.taken() > 0


def test_who_waits_is_answered_when_the_job_changes(job):
    began = time.monotonic()
    with later(lambda: report(job), somebody_waits):
        answer = ask(job, "?wait=20", ask(job)["ETag"])
    assert answer.status_code == 200
    assert answer.json()["progress"]["current"] == 1
    assert time.monotonic() - began < 10


def test_without_a_tag_the_present_state_is_what_is_waited_to_change(job):
    with later(lambda: job.cancel(), somebody_waits):
        assert ask(job, "?wait=20").json()["status"] == "cancelled"


def test_who_waits_for_a_job_that_is_deleted_hears_so(job):
    with later(lambda: FileRegistry.objects.filter(pk=job.pk).delete(), somebody_waits):
        assert ask(job, "?wait=20").status_code == 404


def test_when_nothing_changes_the_wait_has_an_end(job):
    tag = ask(job)["ETag"]
    assert ask(job, "?wait=0.1", tag).status_code == 304
    assert ask(job, "?wait=0.1").status_code == 200


@pytest.mark.parametrize("status", [FileStatus.COMPLETED, FileStatus.FAILED, FileStatus.CANCELLED])
def test_a_job_that_has_ended_is_answered_at_once(status):
    job = make_job(make_collection("ended"), status)
    began = time.monotonic()
    assert ask(job, "?wait=20").status_code == 200
    assert ask(job, "?wait=20", reads.tag(job.collection_id, job.pk)).status_code == 304
    assert time.monotonic() - began < 5


def test_only_half_of_the_threads_may_wait_and_the_surplus_is_answered_at_once(job, settings):
    settings.KB_WEB_THREADS = 4
    with waiting.place() as first, waiting.place() as second:
        assert first and second
        answer = ask(job, "?wait=20")
        assert answer.status_code == 200
        assert answer["Retry-After"] == str(settings.INGESTION_JOB_REFRESH_RATE)
        assert ask(job, "?wait=20", answer["ETag"]).status_code == 304
    assert waiting.taken() == 0


def test_places_are_given_back(job):
    for _ in range(2 * waiting.places()):
        assert "Retry-After" not in ask(job, "?wait=0.01").headers


@pytest.mark.parametrize("wait", ["-1", "31", "x", "nan", "inf"])
def test_a_wait_has_bounds(job, wait):
    is_invalid(ask(job, f"?wait={wait}"), "query", "wait")
