"""Jobs: one, a page of them, the summary, the diary (contract, 9)."""

import json
from datetime import datetime, timedelta

import pytest
from django.conf import settings as django_settings
from django.db import connection
from django.db.models.functions import Now

from ingestion import reads
from ingestion.models import EventKind, FileRegistry, FileStatus, JobEvent
from tests.http.shapes import is_error, is_invalid, is_job
from tests.ingestion.factories import bring_to, make_collection, make_job

pytestmark = pytest.mark.django_db


def get(api, job):
    answer = api.get(f"/collections/{job.collection_id}/ingestion-jobs/{job.pk}")
    assert answer.status_code == 200, answer.content
    return answer.json()


def page(api, collection, query=""):
    answer = api.get(f"/collections/{collection.pk}/ingestion-jobs?{query}")
    assert answer.status_code == 200, answer.content
    return answer.json()


# -- One job ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", FileStatus.values)
def test_a_job_has_all_keys_in_every_status(api, collection, status):
    job = make_job(collection, status)
    shown = get(api, job)
    is_job(shown)
    assert shown["status"] == status
    assert shown["collection_name"] == "handbook"
    if status == FileStatus.COMPLETED:
        assert shown["document_count"] == 3
        assert shown["progress"] == {
            "current": 3,
            "total": 3,
            "percentage": 100.0,
            "message": "3 chunks added",
            "unit": "chunk",
            "overall": 100.0,
        }
        assert shown["processing_duration_seconds"] >= 0
    else:
        assert shown["document_count"] == 0
    if status == FileStatus.FAILED:
        assert (shown["error_code"], shown["error_message"]) == ("corrupt", "The file is damaged.")
        assert shown["error_details"]["hint"] == "Upload it again."
    else:
        assert shown["error_message"] is None


def test_progress_of_a_running_job_is_the_phases_own_and_overall(api, collection):
    job = make_job(collection, FileStatus.PROCESSING)
    job.report(job.run_id, current=2, total=4, message="Splitting content into chunks...", unit="stage", overall=15)
    assert get(api, job)["progress"] == {
        "current": 2,
        "total": 4,
        "percentage": 50.0,
        "message": "Splitting content into chunks...",
        "unit": "stage",
        "overall": 15.0,
    }


@pytest.mark.parametrize(("current", "total", "percentage"), [(1, 3, 33.33), (0, 0, 0.0), (7, 5, 100.0), (5, 0, 0.0)])
def test_percentages_are_numbers_from_0_to_100(api, collection, current, total, percentage):
    job = make_job(collection, FileStatus.PROCESSING)
    job.report(job.run_id, current=current, total=total, message="", unit="chunk", overall=500)
    progress = get(api, job)["progress"]
    assert progress["percentage"] == percentage
    assert progress["overall"] <= 100
    assert progress["message"] is None


def test_a_job_without_chunks_is_complete_all_the_same(api, collection):
    job = make_job(collection, FileStatus.PROCESSING)
    job.complete(job.run_id, 0, "0 chunks added")
    assert get(api, job)["progress"]["percentage"] == 100.0


def test_the_duration_is_known_once_both_ends_are(api, collection):
    job = make_job(collection, FileStatus.COMPLETED)
    FileRegistry.objects.filter(pk=job.pk).update(
        processing_started_at=Now() - timedelta(seconds=90), processing_completed_at=Now()
    )
    assert get(api, job)["processing_duration_seconds"] == pytest.approx(90, abs=0.1)
    assert get(api, make_job(collection, FileStatus.PROCESSING))["processing_duration_seconds"] is None


def test_moments_are_utc_as_they_were_stored(api, collection):
    job = make_job(collection)
    shown = get(api, job)["created_at"]
    assert datetime.fromisoformat(shown) == job.created_at


def test_a_postponed_job_tells_when_it_is_tried_again(api, collection):
    job = make_job(collection, FileStatus.PROCESSING)
    job.postpone(job.run_id, 60, "vendor_timeout", "The vendor is slow.", uses_attempt=True, note="Trying again soon")
    shown = get(api, job)
    assert shown["status"] == "pending"
    assert shown["next_attempt_at"] > shown["updated_at"]
    assert shown["error_code"] == "vendor_timeout"
    assert shown["error_message"] is None
    assert shown["attempt"] == 1


def test_a_job_of_another_collection_is_404_and_says_so(api, collection):
    job = make_job(make_collection("other"))
    assert str(job.pk) in is_error(api.get(f"/collections/{collection.pk}/ingestion-jobs/{job.pk}"), 404)
    assert "999" in is_error(api.get(f"/collections/999/ingestion-jobs/{job.pk}"), 404)


# -- Secrets and paths ------------------------------------------------------------------------------

SECRETS = {
    "api_key": "sk-aaaa",
    "openai_api_key": "sk-bbbb",
    "apikey": "sk-cccc",
    "proxy_url": "http://u:sk-dddd@proxy",
    "token": "sk-eeee",
    "PASSWORD": "sk-ffff",
    "client_secret": "sk-gggg",
    "nested": {"token": "sk-hhhh"},
    "url": "https://user:sk-iiii@example.org/x",
    "list": ["https://user:sk-jjjj@example.org/x", "user:sk-kkkk@example.org/x"],
    "lines": "https://example.org/a\nuser:sk-llll@example.org/x",
}


def test_secrets_among_the_parameters_are_masked_and_their_names_kept(api, collection):
    job = make_job(collection, FileStatus.FAILED, plugin_params={**SECRETS, "chunk_size": 5, "empty_token": ""})
    base = f"/collections/{collection.pk}"
    for path in (f"/ingestion-jobs/{job.pk}", "/ingestion-jobs", "/ingestion-status", "/files"):
        answer = api.get(base + path)
        assert b"sk-" not in answer.content, path
    params = get(api, job)["plugin_params"]
    assert set(params) == {*SECRETS, "chunk_size", "empty_token"}
    assert params["chunk_size"] == 5
    assert params["empty_token"] == ""
    assert params["url"].endswith("@example.org/x")
    assert params["lines"] == "https://example.org/a\n********@example.org/x"


@pytest.mark.parametrize("stored", [[], ["a"], "text", 5, None])
def test_parameters_that_are_no_object_are_shown_as_an_empty_one(api, collection, stored):
    """The original stored lists too, and could not answer them any more."""
    job = make_job(collection)
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE ingestion_fileregistry SET plugin_params = %s WHERE id = %s", [json.dumps(stored), job.pk]
        )
    assert get(api, job)["plugin_params"] == {}
    assert api.get(f"/collections/{collection.pk}/files").json()[0]["plugin_params"] == {}


def test_no_path_of_the_server_is_shown(api, collection):
    job = make_job(collection, FileStatus.PROCESSING, file_path="ab/cd.txt")
    trace = f'File "{django_settings.KB_DATA_DIR}/files/x", File "{django_settings.BASE_DIR}/ingestion/x.py"'
    job.fail(job.run_id, "corrupt", "Damaged.", {"traceback": trace, "context": {"path": [trace]}})
    answer = api.get(f"/collections/{collection.pk}/ingestion-jobs/{job.pk}")
    assert str(django_settings.BASE_DIR) not in answer.content.decode()
    assert str(django_settings.KB_DATA_DIR) not in answer.content.decode()
    assert answer.json()["file_path"] == "ab/cd.txt"


def test_a_long_error_is_cut_to_what_clients_take(api, collection):
    job = make_job(collection, FileStatus.PROCESSING)
    job.fail(job.run_id, "corrupt", "x" * 2000, {})
    assert len(get(api, job)["error_message"]) == 500


def test_links_of_the_statistics_are_absolute_and_signed(api, collection):
    job = make_job(collection, FileStatus.PROCESSING)
    link = f"/static/ana/handbook/{'b' * 32}.pdf"
    files = {"original_file_url": link, "markdown_url": None, "images_folder_url": None}
    job.complete(job.run_id, 1, "1 chunk added", {"content_length": 5, "output_files": files})
    shown = get(api, job)["processing_stats"]["output_files"]
    assert shown["original_file_url"].startswith(f"http://localhost:9090{link}?s=")
    assert shown["markdown_url"] is None


# -- The queue --------------------------------------------------------------------------------------


def test_a_pending_job_knows_its_place_in_the_queue_of_all(api, collection):
    make_job(collection, FileStatus.PROCESSING)
    first, second = make_job(collection), make_job(make_collection("other", owner="ben"))
    urgent = make_job(collection, priority=5)
    assert get(api, urgent)["queue_position"] == 1
    assert get(api, first)["queue_position"] == 2
    assert get(api, second)["queue_position"] == 3
    listed = {item["id"]: item["queue_position"] for item in page(api, collection)["items"]}
    assert listed[urgent.pk] == 1
    assert listed[first.pk] == 2


@pytest.mark.parametrize("status", [status for status in FileStatus.values if status != "pending"])
def test_only_pending_jobs_have_a_place(api, collection, status):
    assert get(api, make_job(collection, status))["queue_position"] is None


def test_places_far_back_are_not_counted(api, collection, monkeypatch):
    monkeypatch.setattr(reads, "LOOKAHEAD", 2)
    jobs = [make_job(collection) for _ in range(4)]
    assert [get(api, job)["queue_position"] for job in jobs] == [1, 2, None, None]
    assert [item["queue_position"] for item in page(api, collection, "sort_order=asc")["items"]] == [1, 2, None, None]


# -- Pages ------------------------------------------------------------------------------------------


def test_a_page_tells_how_many_there_are_and_whether_more_follow(api, collection):
    jobs = [make_job(collection) for _ in range(5)]
    shown = page(api, collection, "limit=2&offset=1")
    assert {key: shown[key] for key in ("total", "limit", "offset", "has_more")} == {
        "total": 5,
        "limit": 2,
        "offset": 1,
        "has_more": True,
    }
    assert [item["id"] for item in shown["items"]] == [jobs[3].pk, jobs[2].pk]
    for item in shown["items"]:
        is_job(item)
    assert page(api, collection, "offset=3")["has_more"] is False
    assert page(api, collection, "offset=99")["items"] == []


def test_an_item_of_the_list_is_what_the_job_itself_answers(api, collection):
    for status in FileStatus.values:
        make_job(collection, status)
    for item in page(api, collection)["items"]:
        assert api.get(f"/collections/{collection.pk}/ingestion-jobs/{item['id']}").json() == item


def test_a_collection_without_jobs_has_an_empty_list(api, collection):
    assert page(api, collection) == {"total": 0, "items": [], "limit": 50, "offset": 0, "has_more": False}


@pytest.mark.parametrize("status", FileStatus.values)
def test_the_list_is_filtered_by_status_and_counts_only_those(api, collection, status):
    for each in FileStatus.values:
        make_job(collection, each)
    make_job(make_collection("other"), status)
    shown = page(api, collection, f"status={status}")
    assert (shown["total"], [item["status"] for item in shown["items"]]) == (1, [status])
    assert page(api, collection, "status=")["total"] == len(FileStatus.values)


@pytest.mark.parametrize("status", ["done", "PENDING", "pending,failed", "%00", "null"])
def test_an_unknown_status_is_400_and_names_the_choices(api, collection, status):
    assert "cancelled" in is_error(api.get(f"/collections/{collection.pk}/ingestion-jobs?status={status}"), 400)


@pytest.mark.parametrize(
    "query",
    [
        "limit=0",
        "limit=201",
        "limit=-1",
        "limit=abc",
        "limit=5.5",
        "limit=",
        "offset=-1",
        "offset=x",
        "sort_by=id",
        "sort_by=password",
        "sort_by=collection__name",
        "sort_by=-created_at",
        "sort_by=",
        "sort_order=up",
        "sort_order=DESC",
        f"offset={10**30}",
    ],
)
def test_what_cannot_be_is_422_and_named(api, collection, query):
    is_invalid(api.get(f"/collections/{collection.pk}/ingestion-jobs?{query}"), "query", query.split("=")[0])


def test_unknown_sort_fields_name_the_choices(api, collection):
    answer = api.get(f"/collections/{collection.pk}/ingestion-jobs?sort_by=colour")
    assert "file_size" in is_invalid(answer, "query", "sort_by")["msg"]


@pytest.mark.parametrize("field", ["created_at", "updated_at", "status", "original_filename", "file_size"])
@pytest.mark.parametrize("order", ["asc", "desc"])
def test_every_order_is_total_so_that_pages_never_overlap(api, collection, field, order):
    for n in range(9):
        make_job(collection, FileStatus.values[n % 3], original_filename=f"{n % 2}.txt", file_size=n % 2)
    FileRegistry.objects.update(created_at=Now(), updated_at=Now())  # one moment for all, or nearly
    whole = page(api, collection, f"sort_by={field}&sort_order={order}")["items"]
    keys = [item[field] for item in whole]
    assert keys == sorted(keys, reverse=order == "desc")
    paged = [
        item["id"]
        for offset in range(0, 9, 2)
        for item in page(api, collection, f"sort_by={field}&sort_order={order}&limit=2&offset={offset}")["items"]
    ]
    assert paged == [item["id"] for item in whole]


# -- The summary ------------------------------------------------------------------------------------


def summary(api, collection):
    answer = api.get(f"/collections/{collection.pk}/ingestion-status")
    assert answer.status_code == 200
    return answer.json()


def test_the_summary_of_nothing_has_all_six_statuses(api, collection):
    assert summary(api, collection) == {
        "collection_id": collection.pk,
        "collection_name": "handbook",
        "total_jobs": 0,
        "by_status": dict.fromkeys(FileStatus.values, 0),
        "currently_processing": 0,
        "recent_failures": [],
        "oldest_processing_job": None,
    }


def test_the_summary_counts_every_move(api, collection):
    job = make_job(collection)
    for status in ("pending", "processing", "failed"):
        if status != "pending":
            bring_to(FileRegistry.objects.get(pk=job.pk), status) if status == "processing" else job.fail(
                FileRegistry.objects.get(pk=job.pk).run_id, "corrupt", "Damaged."
            )
        by_status = summary(api, collection)["by_status"]
        assert by_status == {**dict.fromkeys(FileStatus.values, 0), status: 1}
    api.delete(f"/collections/{collection.pk}/files/{job.pk}")
    assert summary(api, collection)["total_jobs"] == 0


def test_the_summary_shows_the_latest_failures_and_the_longest_running_job(api, collection):
    failed = [make_job(collection, FileStatus.FAILED) for _ in range(7)]
    for age, job in enumerate(failed):
        FileRegistry.objects.filter(pk=job.pk).update(updated_at=Now() - timedelta(hours=age))
    running = [make_job(collection, FileStatus.PROCESSING) for _ in range(3)]
    FileRegistry.objects.filter(pk=running[1].pk).update(processing_started_at=Now() - timedelta(hours=1))
    shown = summary(api, collection)
    assert [job["id"] for job in shown["recent_failures"]] == [job.pk for job in failed[:5]]
    assert shown["oldest_processing_job"]["id"] == running[1].pk
    assert shown["currently_processing"] == 3
    assert shown["total_jobs"] == 10
    for job in [*shown["recent_failures"], shown["oldest_processing_job"]]:
        is_job(job)


def test_a_missing_collection_is_404_for_list_and_summary(api):
    is_error(api.get("/collections/999/ingestion-status"), 404)
    is_error(api.get("/collections/999/ingestion-jobs"), 404)
    is_error(api.get("/collections/999/ingestion-jobs/1/events"), 404)


# -- The diary --------------------------------------------------------------------------------------


def test_the_diary_is_told_in_order_and_goes_on_after_an_entry(api, collection):
    job = make_job(collection, FileStatus.FAILED)
    path = f"/collections/{collection.pk}/ingestion-jobs/{job.pk}/events"
    diary = api.get(path).json()
    assert [event["kind"] for event in diary["items"]] == ["claimed", "failed"]
    assert set(diary["items"][0]) == {"id", "at", "kind", "attempt", "message", "data"}
    assert diary["total"] == 2
    assert diary["items"][1]["data"]["code"] == "corrupt"
    JobEvent.write(job, EventKind.WARNING, "A page is empty", {"page": 3})
    more = api.get(f"{path}?after={diary['items'][-1]['id']}").json()
    assert [event["kind"] for event in more["items"]] == ["warning"]
    assert more["total"] == 3


def test_the_diary_is_paged(api, collection):
    job = make_job(collection)
    for n in range(5):
        JobEvent.write(job, EventKind.STAGE, f"stage {n}")
    path = f"/collections/{collection.pk}/ingestion-jobs/{job.pk}/events"
    first = api.get(f"{path}?limit=3").json()
    assert (len(first["items"]), first["has_more"], first["total"]) == (3, True, 5)
    rest = api.get(f"{path}?limit=3&after={first['items'][-1]['id']}").json()
    assert ([event["message"] for event in rest["items"]], rest["has_more"]) == (["stage 3", "stage 4"], False)


@pytest.mark.parametrize("query", ["limit=0", "limit=1001", "after=-1", "after=x", "limit="])
def test_a_wrong_page_of_the_diary_is_422(api, collection, query):
    job = make_job(collection)
    answer = api.get(f"/collections/{collection.pk}/ingestion-jobs/{job.pk}/events?{query}")
    is_invalid(answer, "query", query.split("=")[0])
