"""Every status against every verb: retry, cancel, delete, and what PUT …/status means (contract, 8 to 10)."""

import pytest

from ingestion.models import FileRegistry, FileStatus, JobEvent
from tests.http.shapes import FILE, has_shape, is_error, is_invalid, is_job
from tests.ingestion.factories import make_collection, make_job

pytestmark = pytest.mark.django_db

ALL = FileStatus.values
LIVE = {"pending", "processing"}


def jobs_path(job, verb=""):
    return f"/collections/{job.collection_id}/ingestion-jobs/{job.pk}{verb}"


def status_of(job):
    return FileRegistry.objects.get(pk=job.pk).status


# -- Retry ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", ALL)
def test_only_a_failed_job_is_retried(api, collection, status):
    job = make_job(collection, status)
    answer = api.send("POST", jobs_path(job, "/retry"))
    if status != "failed":
        assert status in is_error(answer, 400)
        assert status_of(job) == status
        return
    shown = answer.json()
    is_job(shown)
    assert shown["status"] == "pending"
    assert shown["progress"] == {
        "current": 0,
        "total": 0,
        "percentage": 0.0,
        "message": "Queued",
        "unit": "stage",
        "overall": 0.0,
    }
    for key in ("error_message", "error_code", "error_details", "processing_stats", "processing_started_at"):
        assert shown[key] is None
    assert shown["queue_position"] == 1


@pytest.mark.parametrize("body", [b"", b"{}", b'{"override_params": null}', b'{"new_params": {}}', b" \n"])
def test_a_retry_without_overrides_keeps_the_parameters(api, collection, body):
    """LAMB sends an empty body with a JSON content type."""
    job = make_job(collection, "failed", plugin_params={"chunk_size": 300})
    answer = api.send("POST", jobs_path(job, "/retry"), body)
    assert answer.json()["plugin_params"] == {"chunk_size": 300}


@pytest.mark.parametrize("name", ["override_params", "new_params"])
def test_overrides_are_checked_saved_and_shown(api, collection, name):
    job = make_job(collection, "failed", plugin_params={"chunk_size": 300, "chunk_overlap": 30})
    answer = api.send("POST", jobs_path(job, "/retry"), {name: {"chunk_size": "500"}})
    assert answer.json()["plugin_params"]["chunk_size"] == 500
    assert answer.json()["plugin_params"]["chunk_overlap"] == 30
    assert FileRegistry.objects.get(pk=job.pk).plugin_params["chunk_size"] == 500


@pytest.mark.parametrize("overrides", [{"chunk_size": "big"}, {"colour": 1}, {"chunk_size": 0}])
def test_a_wrong_override_is_422_and_the_job_stays_failed(api, collection, overrides):
    job = make_job(collection, "failed")
    answer = api.send("POST", jobs_path(job, "/retry"), {"override_params": overrides})
    is_invalid(answer, "body", "override_params", *overrides)
    assert status_of(job) == "failed"


@pytest.mark.parametrize("body", [{"override_params": []}, {"override_params": "x"}, {"new_params": 5}])
def test_overrides_of_a_wrong_shape_are_422(api, collection, body):
    job = make_job(collection, "failed")
    is_invalid(api.send("POST", jobs_path(job, "/retry"), body), "body", *body)
    is_invalid(api.send("POST", jobs_path(job, "/retry"), b"{"), "body")


def test_a_masked_secret_sent_back_stays_what_it_was(api, collection):
    job = make_job(
        collection,
        "failed",
        plugin_name="address_ingest",
        plugin_params={"api_key": "sk-1", "url": "https://x.example"},
    )
    shown = api.get(jobs_path(job)).json()["plugin_params"]
    answer = api.send("POST", jobs_path(job, "/retry"), {"override_params": {**shown, "limit": 5}})
    assert answer.status_code == 200
    stored = FileRegistry.objects.get(pk=job.pk).plugin_params
    assert (stored["api_key"], stored["limit"]) == ("sk-1", 5)


def test_overrides_need_the_plugin_and_a_plain_retry_does_not(api, collection):
    job = make_job(collection, "failed", plugin_name="gone_ingest")
    is_error(api.send("POST", jobs_path(job, "/retry"), {"override_params": {"a": 1}}), 404)
    assert api.send("POST", jobs_path(job, "/retry")).status_code == 200


# -- Cancel -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", ALL)
def test_only_a_job_that_waits_or_runs_is_cancelled(api, collection, status):
    job = make_job(collection, status)
    answer = api.send("POST", jobs_path(job, "/cancel"), b"this is not even looked at")
    if status not in LIVE:
        assert status in is_error(answer, 400)
        assert status_of(job) == status
        return
    shown = answer.json()
    is_job(shown)
    assert shown["status"] == "cancelled"
    assert shown["processing_completed_at"]
    assert shown["document_count"] == 0


def test_cancelling_twice_is_400_the_second_time(api, collection):
    job = make_job(collection)
    assert api.send("POST", jobs_path(job, "/cancel")).status_code == 200
    is_error(api.send("POST", jobs_path(job, "/cancel")), 400)
    assert [event.kind for event in JobEvent.objects.filter(job_id=job.pk)] == ["cancelled"]


@pytest.mark.parametrize("verb", ["retry", "cancel", "events"])
def test_verbs_on_what_is_not_there_are_404(api, collection, verb):
    method = "GET" if verb == "events" else "POST"
    is_error(api.send(method, f"/collections/{collection.pk}/ingestion-jobs/999/{verb}"), 404)
    is_error(api.send(method, f"/collections/999/ingestion-jobs/1/{verb}"), 404)


# -- Delete -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", ALL)
def test_a_file_is_deleted_hard_in_every_status(api, collection, status):
    job = make_job(collection, status)
    answer = api.delete(f"/collections/{collection.pk}/files/{job.pk}")
    assert answer.json() == {
        "file_id": job.pk,
        "collection_id": collection.pk,
        "deleted_embeddings": 0,
        "removed_files": [],
        "status": "deleted",
    }
    assert not FileRegistry.objects.filter(pk=job.pk).exists()
    is_error(api.delete(f"/collections/{collection.pk}/files/{job.pk}"), 404)


@pytest.mark.parametrize("status", ALL)
@pytest.mark.parametrize("flag", ["false", "0", "no", "False", "off", "F", "n"])
def test_a_soft_deletion_keeps_the_row_and_can_be_repeated(api, collection, status, flag):
    job = make_job(collection, status)
    for _ in range(2):
        answer = api.delete(f"/collections/{collection.pk}/files/{job.pk}?hard={flag}")
        assert answer.status_code == 200
        assert answer.json()["status"] == "deleted"
    assert status_of(job) == "deleted"
    assert JobEvent.objects.filter(job_id=job.pk, kind="deleted").count() == 1


@pytest.mark.parametrize("flag", ["true", "1", "Yes", "ON", "t", "Y"])
def test_flags_are_read_as_clients_write_them(api, collection, flag):
    job = make_job(collection)
    assert api.delete(f"/collections/{collection.pk}/files/{job.pk}?hard={flag}").status_code == 200
    assert not FileRegistry.objects.exists()


@pytest.mark.parametrize("flag", ["maybe", "", "2", "null"])
def test_a_flag_that_is_none_is_422_and_nothing_is_deleted(api, collection, flag):
    job = make_job(collection)
    is_invalid(api.delete(f"/collections/{collection.pk}/files/{job.pk}?hard={flag}"), "query", "hard")
    assert status_of(job) == "pending"


def test_a_file_of_another_collection_is_not_deleted(api, collection):
    job = make_job(make_collection("other"))
    is_error(api.delete(f"/collections/{collection.pk}/files/{job.pk}"), 404)
    assert status_of(job) == "pending"


# -- PUT …/status -----------------------------------------------------------------------------------

# What each wish does to each status: the status that results, or None for 400.
WISHES = {
    "pending": {"failed": "pending"},
    "cancelled": {"pending": "cancelled", "processing": "cancelled"},
    "deleted": dict.fromkeys(ALL, "deleted"),
    "completed": {},
    "processing": {},
    "failed": {},
}


@pytest.mark.parametrize("wish", ALL)
@pytest.mark.parametrize("status", ALL)
def test_setting_a_status_acts_instead_of_overwriting(api, collection, status, wish):
    job = make_job(collection, status)
    answer = api.send("PUT", f"/collections/files/{job.pk}/status?status={wish}")
    expected = status if wish == status else WISHES[wish].get(status)
    if expected is None:
        is_error(answer, 400)
        assert status_of(job) == status
        return
    assert answer.status_code == 200
    has_shape(answer.json(), FILE, exactly=True)
    assert answer.json()["status"] == status_of(job) == expected


@pytest.mark.parametrize("wish", ["done", "", "PENDING"])
def test_an_unknown_status_is_400(api, collection, wish):
    job = make_job(collection)
    assert "cancelled" in is_error(api.send("PUT", f"/collections/files/{job.pk}/status?status={wish}"), 400)


def test_a_missing_status_is_422_and_a_missing_file_404(api, collection):
    job = make_job(collection)
    is_invalid(api.send("PUT", f"/collections/files/{job.pk}/status"), "query", "status")
    is_error(api.send("PUT", "/collections/files/999/status?status=deleted"), 404)
