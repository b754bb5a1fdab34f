"""Jobs of all collections: the list with its filters and pages, groups of failures, and the verbs on many at once."""

from datetime import UTC, datetime, timedelta

import pytest

from ingestion.models import FileRegistry, FileStatus
from tests.http.shapes import is_error, is_invalid, is_job
from tests.ingestion.factories import make_collection, make_job

pytestmark = pytest.mark.django_db


def listed(api, query=""):
    answer = api.get(f"/ingestion-jobs?{query}")
    assert answer.status_code == 200, answer.content
    return answer.json()


def ids(page):
    return [job["id"] for job in page["items"]]


def post(api, verb, body):
    answer = api.send("post", f"/ingestion-jobs/{verb}", body)
    assert answer.status_code == 200, answer.content
    return answer.json()


def fail_with(job, code, message):
    assert job.claim(None)
    assert job.fail(job.run_id, code, message, {"hint": "Wait."})
    return job


# -- The list ---------------------------------------------------------------------------------------


def test_jobs_of_all_collections_are_listed_newest_first(api, collection):
    first, second = make_job(collection), make_job(make_collection("other", owner="ben"), FileStatus.FAILED)
    page = listed(api)
    assert ids(page) == [second.pk, first.pk]
    assert (page["total"], page["next"], page["next_cursor"]) == (None, None, None)
    for job in page["items"]:
        is_job(job)
    assert page["items"][1]["queue_position"] == 1


def test_jobs_of_deleted_collections_are_not_listed(api, collection):
    make_job(collection)
    api.send("delete", f"/collections/{collection.pk}")
    assert listed(api, "count=true")["total"] == 0


@pytest.fixture
def some(collection):
    other = make_collection("other", owner="ben")
    jobs = {
        "report": make_job(
            collection, FileStatus.COMPLETED, original_filename="Report.pdf", plugin_name="markitdown_ingest"
        ),
        "notes": make_job(collection, FileStatus.FAILED, original_filename="notes.txt"),
        "page": make_job(other, FileStatus.PENDING, original_filename="example", file_url="https://example.org/Guide"),
        "lost": make_job(other, FileStatus.CANCELLED, original_filename="lost.txt"),
    }
    day = datetime(2026, 1, 1, tzinfo=UTC)
    for days, job in enumerate(jobs.values()):
        FileRegistry.objects.filter(pk=job.pk).update(created_at=day + timedelta(days=days))
    FileRegistry.objects.filter(pk=jobs["notes"].pk).update(processing_completed_at=day + timedelta(days=5))
    return jobs


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("status=failed", ["notes"]),
        ("status=failed,cancelled", ["notes", "lost"]),
        ("status=", ["report", "notes", "page", "lost"]),
        ("owner=ben", ["page", "lost"]),
        ("plugin=markitdown_ingest", ["report"]),
        ("code=corrupt", ["notes"]),
        ("code=nothing_like_it", []),
        ("kind=ingestion&status=pending", ["page"]),
        ("text=REPORT", ["report"]),
        ("text=guide", ["page"]),
        ("created_after=2026-01-02T00:00:00Z&created_before=2026-01-04T00:00:00Z", ["notes", "page"]),
        ("finished_after=2026-01-05T12:00:00%2B00:00&finished_before=2026-01-07", ["notes"]),
        ("status=failed&owner=ben", []),
    ],
)
def test_all_filters_must_be_met(api, some, query, names):
    assert ids(listed(api, f"ordering=id&{query}")) == [some[name].pk for name in names]


def test_a_comma_too_many_changes_nothing(api, some):
    assert ids(listed(api, "status=failed,,")) == ids(listed(api, "status=failed"))
    assert ids(listed(api, "status=,")) == []


def test_a_group_whose_code_holds_a_colon_is_found(api, collection):
    """Plugins of third parties name their codes as they like."""
    job = fail_with(make_job(collection), "acme:broken", "It broke.")
    group = api.get("/ingestion/failures").json()["groups"][0]["group"]
    assert ids(listed(api, f"group={group}")) == [job.pk]


def test_jobs_are_found_by_collection_number_and_group(api, some):
    notes = some["notes"]
    assert ids(listed(api, f"collection={notes.collection_id}")) == [notes.pk, some["report"].pk]
    assert len(ids(listed(api, f"collection={notes.collection_id},{some['page'].collection_id}"))) == 4
    assert ids(listed(api, f"text=%23{notes.pk}")) == [notes.pk]
    group = api.get("/ingestion/failures").json()["groups"][0]["group"]
    assert ids(listed(api, f"group={group}")) == [notes.pk]


@pytest.mark.parametrize(
    ("query", "name"),
    [
        ("status=lost", "status"),
        ("status=failed,lost", "status"),
        ("collection=x", "collection"),
        ("collection=-1", "collection"),
        ("collection=99999999999999999999", "collection"),
        ("collection=1.5", "collection"),
        ("created_after=yesterday", "created_after"),
        ("created_after=999999-01-01", "created_after"),
        ("kind=other", "kind"),
        ("statuss=failed", "statuss"),
        ("text=%00", "text"),
        ("limit=0", "limit"),
        ("limit=201", "limit"),
        ("ordering=owner", "ordering"),
        ("cursor=abc", "cursor"),
        ("cursor=WyItaWQiLCJ4IiwieCJd", "cursor"),
        ("count=perhaps", "count"),
        ("created_after=0001-01-01T00:00:00Z", "created_after"),
        ("finished_before=9999-12-31T23:59:59-14:00", "finished_before"),
        ("text=" + "%25" * 10_001, "text"),
        ("collection=" + "1," * 5_001, "collection"),
        ("cursor=" + "W1tb" * 2_000, "cursor"),  # [[[ … without end
    ],
)
def test_wrong_values_are_refused_by_name(api, some, query, name):
    is_invalid(api.get(f"/ingestion-jobs?{query}"), "query", name)


@pytest.mark.parametrize("key", ["id", "created_at", "updated_at", "finished_at", "original_filename", "file_size"])
@pytest.mark.parametrize("sign", ["", "-"])
def test_pages_hold_each_job_once_in_the_whole_order(api, collection, key, sign):
    """Ties and missing end times among them."""
    for n in range(11):
        make_job(
            collection,
            [FileStatus.COMPLETED, FileStatus.PENDING, FileStatus.FAILED][n % 3],
            original_filename=f"file {n // 3}.txt",
            file_size=n // 4,
        )
    whole = ids(listed(api, f"ordering={sign}{key}&limit=200"))
    assert len(whole) == 11
    pages, address = [], f"/ingestion-jobs?ordering={sign}{key}&limit=3"
    while address:
        page = api.get(address).json()
        pages += ids(page)
        address = page["next"]
    assert pages == whole
    assert whole == ids(listed(api, f"ordering={'' if sign else '-'}{key}&limit=200"))[::-1]


def test_a_page_is_found_by_its_place_when_newer_jobs_have_come(api, collection):
    jobs = [make_job(collection) for _ in range(4)]
    first = listed(api, "limit=2")
    make_job(collection)
    second = api.get(first["next"]).json()
    assert ids(first) + ids(second) == [job.pk for job in reversed(jobs)]
    assert second["next"] is None


def test_a_cursor_belongs_to_its_order(api, collection):
    for _ in range(3):
        make_job(collection)
    cursor = listed(api, "limit=1")["next_cursor"]
    is_invalid(api.get(f"/ingestion-jobs?ordering=created_at&cursor={cursor}"), "query", "cursor")


def test_counting_is_done_when_asked_for(api, some):
    assert listed(api, "limit=1&count=1&owner=ben")["total"] == 2


def test_a_job_is_found_without_its_collection(api, some):
    notes = some["notes"]
    assert api.get(f"/ingestion-jobs/{notes.pk}").json()["collection_id"] == notes.collection_id
    is_error(api.get("/ingestion-jobs/999999"), 404)
    is_invalid(api.get("/ingestion-jobs/first"), "path", "job_id")


def test_the_moment_that_a_job_tells_finds_it(api, collection):
    job = make_job(collection, FileStatus.COMPLETED)
    shown = api.get(f"/ingestion-jobs/{job.pk}").json()
    for name, key in (("created", "created_at"), ("finished", "processing_completed_at")):
        assert ids(listed(api, f"{name}_after={shown[key]}")) == [job.pk]
        assert ids(listed(api, f"{name}_before={shown[key]}")) == []


def test_the_list_needs_the_token(anyone):
    for path in ("/ingestion-jobs", "/ingestion/failures", "/ingestion-jobs/1"):
        is_error(anyone.get(path), 401)
    is_error(anyone.send("post", "/ingestion-jobs/retry", {"filter": {}}), 401)


@pytest.mark.parametrize("query", ["", "?status=failed", "?owner=ben", "?text=x", "?ordering=updated_at"])
def test_the_list_costs_few_queries_however_long_it_is(api, some, query, django_assert_max_num_queries):
    for _ in range(20):
        make_job(some["notes"].collection, FileStatus.PENDING)
    api.get("/ingestion-jobs")  # what is known of the past is read now and then
    with django_assert_max_num_queries(5):
        assert api.get(f"/ingestion-jobs{query}").status_code == 200


# -- Groups of failures -----------------------------------------------------------------------------


def test_failures_that_differ_in_names_and_numbers_only_are_one_group(api, collection):
    for n in range(3):
        fail_with(make_job(collection), "vendor_timeout", f"http://vendor:1143{n}/x did not answer in {n}0 s.")
    fail_with(make_job(collection, original_filename="last.pdf"), "encrypted", "last.pdf is protected by a password.")
    answer = api.get("/ingestion/failures").json()
    assert [(group["error_code"], group["jobs"]) for group in answer["groups"]] == [
        ("vendor_timeout", 3),
        ("encrypted", 1),
    ]
    first, second = answer["groups"]
    assert first["remedy"]["action"] == "mend_vendor"
    assert second["remedy"]["action"] == "nothing"
    assert second["example"]["original_filename"] == "last.pdf"
    assert second["message"] == "last.pdf is protected by a password."
    assert second["hint"] == "Wait."
    assert first["first_at"] <= first["last_at"]


def test_groups_can_be_filtered_like_jobs(api, collection):
    fail_with(make_job(collection), "corrupt", "Damaged.")
    fail_with(make_job(make_collection("other", owner="ben")), "corrupt", "Damaged.")
    assert api.get("/ingestion/failures").json()["groups"][0]["jobs"] == 2
    assert api.get("/ingestion/failures?owner=ben").json()["groups"][0]["jobs"] == 1
    assert api.get("/ingestion/failures?status=completed").json()["groups"] == []
    is_invalid(api.get("/ingestion/failures?colection=1"), "query", "colection")


def test_a_retried_job_leaves_its_group(api, collection):
    job = fail_with(make_job(collection), "corrupt", "Damaged.")
    group = api.get("/ingestion/failures").json()["groups"][0]["group"]
    post(api, "retry", {"filter": {"group": group}})
    assert api.get("/ingestion/failures").json()["groups"] == []
    job.refresh_from_db()
    assert (job.status, job.error_fingerprint) == ("pending", "")


# -- Many at once -----------------------------------------------------------------------------------


def test_named_jobs_are_retried_and_each_has_a_result(api, collection):
    failed, done = make_job(collection, FileStatus.FAILED), make_job(collection, FileStatus.COMPLETED)
    answer = post(api, "retry", {"ids": [failed.pk, done.pk, 999_999]})
    assert (answer["done"], answer["refused"], answer["has_more"]) == (1, 2, False)
    by_id = {item["job_id"]: item for item in answer["items"]}
    assert by_id[failed.pk] == {
        "job_id": failed.pk, "collection_id": collection.pk, "done": True, "status": "pending", "detail": None,
    }  # fmt: skip
    assert "completed" in by_id[done.pk]["detail"]
    assert by_id[999_999]["status"] is None
    failed.refresh_from_db()
    assert failed.status == "pending"


def test_all_that_a_filter_chooses_are_retried_with_other_parameters(api, collection):
    jobs = [make_job(collection, FileStatus.FAILED) for _ in range(3)]
    make_job(collection, FileStatus.COMPLETED)
    other = make_job(make_collection("other", owner="ben"), FileStatus.FAILED)
    answer = post(api, "retry", {"filter": {"collection": collection.pk}, "override_params": {"chunk_size": 500}})
    assert [item["job_id"] for item in answer["items"]] == [job.pk for job in jobs]
    for job in jobs:
        job.refresh_from_db()
        assert (job.status, job.plugin_params["chunk_size"]) == ("pending", 500)
    other.refresh_from_db()
    assert other.status == "failed"


def test_jobs_whose_plugin_does_not_take_the_parameters_are_refused(api, collection):
    fits = make_job(collection, FileStatus.FAILED)
    other = make_job(collection, FileStatus.FAILED, plugin_name="url_ingest", plugin_params={"url": "https://a.org"})
    gone = make_job(collection, FileStatus.FAILED, plugin_name="no_longer_installed")
    answer = post(api, "retry", {"filter": {}, "override_params": {"chunk_size": 10**9}})
    assert answer["done"] == 0
    assert {item["job_id"] for item in answer["items"]} == {fits.pk, other.pk, gone.pk}
    assert all(item["detail"] and item["status"] == "failed" for item in answer["items"])


def test_a_dry_run_changes_nothing(api, collection):
    failed, waiting = make_job(collection, FileStatus.FAILED), make_job(collection)
    assert post(api, "retry", {"filter": {}, "dry_run": True})["done"] == 1
    assert post(api, "cancel", {"filter": {}, "dry_run": True})["done"] == 1
    for job, status in ((failed, "failed"), (waiting, "pending")):
        job.refresh_from_db()
        assert job.status == status


def test_waiting_and_running_jobs_are_cancelled_together(api, collection):
    waiting, running = make_job(collection), make_job(collection, FileStatus.PROCESSING)
    done = make_job(collection, FileStatus.COMPLETED)
    answer = post(api, "cancel", {"filter": {"owner": "ana"}})
    assert [item["job_id"] for item in answer["items"]] == [waiting.pk, running.pk]
    assert {item["status"] for item in answer["items"]} == {"cancelled"}
    assert post(api, "cancel", {"ids": [done.pk]})["refused"] == 1


def test_a_long_choice_is_worked_through_request_by_request(api, collection):
    jobs = [make_job(collection, FileStatus.FAILED) for _ in range(5)]
    refused = jobs[1]
    FileRegistry.objects.filter(pk=refused.pk).update(plugin_name="no_longer_installed")
    seen, body = [], {"filter": {}, "limit": 2, "override_params": {"chunk_size": 500}}
    while True:
        answer = post(api, "retry", body)
        seen += [item["job_id"] for item in answer["items"]]
        body["after"] = answer["after"]
        if not answer["has_more"]:
            break
    assert seen == [job.pk for job in jobs]


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"ids": [1], "filter": {}},
        {"ids": None, "filter": None},
        {"ids": ["x"]},
        {"ids": list(range(1001))},
        {"ids": [2**63]},
        {"filter": []},
        {"filter": {"statuss": "failed"}},
        {"filter": {"collection": {"a": 1}}},
        {"filter": {}, "limit": 1001},
        {"filter": {}, "override_params": [1]},
        {"filter": {}, "after": -1},
        {"filter": {"text": "x" * 60_000}},
        {"filter": {"collection": list(range(300_000))}},
        # What says nothing must not mean all.
        {"filter": {"owner": ""}},
        {"filter": {"collection": []}},
        {"filter": {"collection": None}},
        {"filter": {"status": " , "}},
    ],
)
def test_unclear_orders_are_refused(api, collection, body):
    job = make_job(collection, FileStatus.FAILED)
    assert api.send("post", "/ingestion-jobs/retry", body).status_code == 422
    job.refresh_from_db()
    assert job.status == "failed"


def test_the_bulk_verbs_are_thin_forms_in_a_browser(admin_client, collection):
    make_job(collection, FileStatus.FAILED)
    for path in ("/ingestion-jobs", "/ingestion/failures"):
        answer = admin_client.get(path, HTTP_ACCEPT="text/html")
        assert answer.status_code == 200, path
        assert b"Retry many" in answer.content
