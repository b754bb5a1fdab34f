"""Previews over HTTP: what they take, what they answer, what is refused, and where they are not seen."""

import json

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db.models.functions import Now

from ingestion import housekeeping, metrics, preview, storage
from ingestion.models import FileRegistry, FileStatus, IdempotencyKey, JobEvent, JobKind
from tests.http.shapes import is_error, is_invalid, is_job
from tests.ingestion.factories import bring_to, make_collection, make_job

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _own_files(settings, tmp_path):
    settings.MEDIA_ROOT = tmp_path / "files"


@pytest.fixture
def start(api, collection):
    """Send a file; a field that is None is left out."""

    def send(content=b"Some text.", name="notes.txt", headers=None, **fields):
        form = {"file": SimpleUploadedFile(name, content, "text/plain"), "plugin_name": "simple_ingest", **fields}
        form = {key: value for key, value in form.items() if value is not None}
        return api.post(f"/collections/{collection.pk}/preview", form, **(headers or {}))

    return send


@pytest.fixture
def ask(api, collection):
    return lambda body, **extra: api.send("POST", f"/collections/{collection.pk}/preview", body, **extra)


def job_of(answer):
    assert answer.status_code == 200, answer.content
    is_job(answer.json())
    return FileRegistry.objects.get(pk=answer.json()["id"])


def stored_files():
    return {path for path in storage.root().rglob("*") if path.is_file()}


def nothing_begun():
    return not FileRegistry.objects.exists() and not stored_files()


# -- What it answers --------------------------------------------------------------------------------


def test_a_file_is_answered_at_once_with_the_job_that_previews_it(api, collection, start):
    answer = start(plugin_params='{"chunk_size": 300}')
    job = job_of(answer)
    assert (answer.json()["kind"], answer.json()["status"]) == ("preview", "pending")
    assert (job.kind, job.plugin_params["chunk_size"]) == (JobKind.PREVIEW, 300)
    assert (storage.root() / job.file_path).read_bytes() == b"Some text."
    assert api.get(answer.json()["file_url"].partition("9090")[2]).status_code == 200
    shown = api.get(f"/collections/{collection.pk}/ingestion-jobs/{job.pk}")
    assert shown.json() == answer.json()
    diary = api.get(f"/collections/{collection.pk}/ingestion-jobs/{job.pk}/events").json()
    assert [entry["kind"] for entry in diary["items"]] == ["submitted"]


def test_other_jobs_say_that_they_are_none(api, collection):
    job = api.upload(collection.pk).json()["id"]
    assert api.get(f"/collections/{collection.pk}/ingestion-jobs/{job}").json()["kind"] == "ingestion"


def test_addresses_come_as_json_or_as_a_form(api, collection, ask):
    one = job_of(ask({"plugin_name": "address_ingest", "url": "https://a.example/"}))
    assert (one.plugin_params["url"], one.file_url) == ("https://a.example/", "https://a.example/")
    many = job_of(ask({"urls": ["https://a.example/", "https://b.example/"]}))
    assert many.plugin_name == "url_ingest"
    assert many.plugin_params["urls"] == ["https://a.example/", "https://b.example/"]
    form = {"plugin_name": "addresses_ingest", "urls": "https://a.example/\nhttps://b.example/"}
    assert job_of(api.post(f"/collections/{collection.pk}/preview", form)).plugin_params["urls"] == [
        "https://a.example/",
        "https://b.example/",
    ]
    video = job_of(ask({"url": "https://youtu.be/abcdefghijk"}))
    assert video.plugin_name == "youtube_transcript_ingest"
    named = job_of(ask({"plugin_name": "repository_ingest", "plugin_params": {"branch": "next"}}))
    assert named.plugin_params == {"branch": "next"}


def test_what_is_fetched_is_limited_and_the_answer_says_so(ask):
    answer = ask({"plugin_name": "address_ingest", "url": "https://a.example/", "plugin_params": {"limit": 90}})
    assert answer.json()["plugin_params"]["limit"] == preview.MOST_SOURCES
    assert "at most" in answer.json()["progress"]["message"]


def test_another_job_of_the_collection_lends_its_source(api, collection, start, ask):
    for first in (job_of(start()), FileRegistry.objects.get(pk=api.upload(collection.pk).json()["id"])):
        answer = ask({"source_job": first.pk, "plugin_params": {"chunk_size": 77, "chunk_overlap": 7}})
        job = job_of(answer)
        assert (job.plugin_name, job.original_filename) == (first.plugin_name, first.original_filename)
        assert (storage.root() / job.file_path).read_bytes() == b"Some text."
        assert job.file_path != first.file_path
        assert (job.plugin_params["chunk_size"], job.kind) == (77, JobKind.PREVIEW)
    form = {"source_job": str(first.pk), "plugin_params": '{"chunk_size": 55, "chunk_overlap": 5}'}
    assert job_of(api.post(f"/collections/{collection.pk}/preview", form)).plugin_params["chunk_size"] == 55


def test_secrets_that_come_back_masked_stay_what_they_are(ask):
    params = {"api_key": "sesame-1234", "limit": 2}
    first = job_of(ask({"plugin_name": "address_ingest", "url": "https://a.example/", "plugin_params": params}))
    answer = ask({"source_job": first.pk, "plugin_params": {"api_key": "********", "limit": 1}})
    assert job_of(answer).plugin_params == {"url": "https://a.example/", "api_key": "sesame-1234", "limit": 1}
    assert "sesame" not in answer.content.decode()


def test_the_same_key_gets_the_same_answer_even_after_the_preview_is_gone(start):
    headers = {"HTTP_IDEMPOTENCY_KEY": "k"}
    first = start(headers=headers)
    job_of(first)
    again = start(headers=headers)
    assert (again.json(), again.headers["Idempotent-Replayed"]) == (first.json(), "true")
    assert "?s=" not in str(IdempotencyKey.objects.get().answer)
    FileRegistry.objects.all().delete()
    assert start(headers=headers).json() == first.json()
    is_invalid(start(content=b"Other text.", headers=headers), "header", "Idempotency-Key")
    assert nothing_begun() or len(stored_files()) == 1  # the first one's


# -- What is refused, and leaves nothing ------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "place"),
    [
        ({"file": None}, "file"),
        ({"plugin_name": None}, "plugin_name"),
        ({"file": None, "plugin_name": None}, "file"),
        ({"file": "text"}, "file"),
        ({"source_job": "1"}, "source_job"),
        ({"url": "https://a.example/"}, "source_job"),
        ({"file": None, "source_job": "seven"}, "source_job"),
        ({"file": None, "source_job": "-1"}, "source_job"),
        ({"file": None, "source_job": "9" * 30}, "source_job"),
        ({"plugin_params": '{"chunk_size": 0}'}, "plugin_params"),
        ({"plugin_params": '{"colour": 1}'}, "plugin_params"),
    ],
)
def test_a_form_that_makes_no_sense_is_422(start, fields, place):
    is_invalid(start(**fields), "body", place)
    assert nothing_begun()


@pytest.mark.parametrize(
    ("body", "place"),
    [
        ({}, ("body", "file")),
        ([], ("body",)),
        ("text", ("body",)),
        (b"{nonsense", ("body",)),
        ({"plugin_name": "simple_ingest"}, ("body", "file")),
        ({"plugin_name": 7, "url": "https://a.example/"}, ("body", "plugin_name")),
        ({"url": ["https://a.example/"]}, ("body", "url")),
        ({"url": "https://a.example/" + "a" * 2000}, ("body", "url")),
        ({"urls": "https://a.example/"}, ("body", "urls")),
        ({"urls": ["x"] * 1001}, ("body", "urls")),
        ({"url": "https://a.example/\ud800"}, ("body", "url")),
        ({"url": "https://a.example/\0"}, ("body", "url")),
        ({"url": "https://a.example/", "plugin_params": []}, ("body", "plugin_params")),
        ({"url": "https://a.example/", "plugin_params": {"a": "\0"}}, ("body", "plugin_params")),
        ({"url": "ftp://a.example/"}, ("body", "plugin_params")),
        ({"url": "http://["}, ("body", "plugin_params")),
        ({"source_job": True}, ("body", "source_job")),
        ({"source_job": 2**63}, ("body", "source_job")),
        ({"source_job": 1, "url": "https://a.example/"}, ("body", "source_job")),
    ],
)
def test_json_that_makes_no_sense_is_422(ask, body, place):
    is_invalid(ask(body), *place)
    assert nothing_begun()


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"plugin_name": "nothing_ingest", "url": "https://a.example/"}, 404),
        ({"plugin_name": "simple_ingest", "url": "https://a.example/"}, 400),
        ({"plugin_name": "address_ingest", "urls": ["https://a.example/", "https://b.example/"]}, 400),
        ({"plugin_name": "address_ingest"}, 400),
        ({"url": " "}, 400),
        ({"urls": [""]}, 400),
        ({"source_job": 999}, 404),
    ],
)
def test_what_cannot_be_previewed_is_refused_with_a_sentence(ask, body, status):
    is_error(ask(body), status)
    assert nothing_begun()


def test_a_file_that_the_plugin_does_not_read_is_refused(start, ask):
    is_error(start(name="notes.pdf"), 400)
    is_error(start(plugin_params="[]"), 400)
    assert nothing_begun()
    first = job_of(start())
    is_error(ask({"source_job": first.pk, "plugin_name": "mockai_json_ingest"}), 400)


def test_a_job_of_another_collection_lends_nothing(api, ask):
    stranger = make_collection("other")
    job = api.upload(stranger.pk).json()["id"]
    is_error(ask({"source_job": job}), 404)
    assert not FileRegistry.objects.previews().exists()


def test_a_source_that_is_gone_is_told(ask, start, api, collection):
    lost = job_of(start())
    (storage.root() / lost.file_path).unlink()
    assert "Upload it again" in is_error(ask({"source_job": lost.pk}), 400)
    deleted = job_of(start())
    api.delete(f"/collections/{collection.pk}/files/{deleted.pk}?hard=false")
    is_error(ask({"source_job": deleted.pk}), 400)
    assert FileRegistry.objects.count() == 2


def test_a_missing_collection_is_404_and_a_stranger_401(api, anyone, db):
    is_error(api.send("POST", "/collections/999/preview", {"url": "https://a.example/"}), 404)
    is_error(anyone.send("POST", "/collections/1/preview", {"url": "https://a.example/"}), 401)


def test_a_file_past_the_limit_is_413_and_leaves_nothing(start, settings):
    settings.KB_MAX_UPLOAD_MB = 1
    assert "1 MB" in is_error(start(content=b"x" * (3 * 1024 * 1024)), 413)
    assert nothing_begun()


def test_a_full_disk_takes_no_preview_in(start, settings):
    settings.KB_MIN_FREE_MB = 10**9
    is_error(start(), 507)
    assert nothing_begun()


# -- Its verbs --------------------------------------------------------------------------------------


def test_a_preview_is_cancelled_and_deleted_but_not_retried(api, collection, start):
    job = job_of(start())
    path = f"/collections/{collection.pk}/ingestion-jobs/{job.pk}"
    assert api.send("POST", f"{path}/cancel").json()["status"] == "cancelled"
    failed = job_of(start())
    bring_to(failed, FileStatus.FAILED)
    retry = api.send("POST", f"/collections/{collection.pk}/ingestion-jobs/{failed.pk}/retry", {})
    assert "new one" in is_error(retry, 400)
    is_error(api.put(f"/collections/files/{failed.pk}/status?status=pending"), 400)
    assert api.delete(f"/collections/{collection.pk}/files/{failed.pk}").status_code == 200
    assert not FileRegistry.objects.filter(pk=failed.pk).exists()
    assert not JobEvent.objects.filter(job_id=failed.pk).exists()


def test_named_by_number_among_many_it_is_cancelled_but_not_retried(api, start):
    failed, waiting = job_of(start()), job_of(start())
    bring_to(failed, FileStatus.FAILED)
    answer = api.send("POST", "/ingestion-jobs/retry", {"ids": [failed.pk]}).json()
    assert (answer["done"], "new one" in answer["items"][0]["detail"]) == (0, True)
    assert api.send("POST", "/ingestion-jobs/cancel", {"ids": [waiting.pk]}).json()["done"] == 1


# -- Where it is not seen ---------------------------------------------------------------------------


def test_previews_are_in_no_answer_about_jobs_and_files(api, collection, start):
    for status in FileStatus.values:
        bring_to(job_of(start()), status)
    pk = collection.pk
    assert api.get(f"/collections/{pk}/ingestion-jobs").json()["items"] == []
    assert api.get(f"/collections/{pk}/ingestion-jobs?status=failed").json()["items"] == []
    assert api.get(f"/collections/{pk}/files").json() == []
    summary = api.get(f"/collections/{pk}/ingestion-status").json()
    assert (summary["total_jobs"], summary["currently_processing"]) == (0, 0)
    assert (summary["recent_failures"], summary["oldest_processing_job"]) == ([], None)
    assert api.get("/ingestion-jobs?count=true").json()["total"] == 0
    assert api.get("/ingestion-jobs?status=failed,pending").json()["items"] == []
    assert api.get("/ingestion/failures").json()["groups"] == []
    metrics.forget()
    assert b"kb_jobs{" not in api.get("/metrics").content
    for verb in ("retry", "cancel"):
        assert api.send("POST", f"/ingestion-jobs/{verb}", {"filter": {}}).json()["items"] == []


def test_previews_are_listed_where_their_kind_is_asked_for(api, collection, start):
    made = [job_of(start()).pk, job_of(start()).pk]
    bring_to(FileRegistry.objects.get(pk=made[0]), FileStatus.FAILED)
    make_job(collection, FileStatus.FAILED)
    assert [job["id"] for job in api.get("/ingestion-jobs?kind=preview").json()["items"]] == made[::-1]
    assert [job["id"] for job in api.get("/ingestion-jobs?kind=preview&status=failed").json()["items"]] == made[:1]
    assert len(api.get("/ingestion-jobs?kind=ingestion").json()["items"]) == 1
    is_invalid(api.get("/ingestion-jobs?kind=nonsense"), "query", "kind")


def test_a_preview_that_was_answered_is_gone_after_an_hour(api, collection, start):
    job = job_of(start())
    bring_to(job, FileStatus.COMPLETED)
    FileRegistry.objects.filter(pk=job.pk).update(created_at=Now() - preview.PREVIEW_KEPT)
    housekeeping.expire_previews()
    is_error(api.get(f"/collections/{collection.pk}/ingestion-jobs/{job.pk}"), 404)
    assert not JobEvent.objects.exists()


# -- In a browser -----------------------------------------------------------------------------------


def test_the_form_of_a_browser_starts_a_preview(browser, collection):
    page = browser.get(f"/collections/{collection.pk}/preview")
    assert b'type="file"' in page.content
    form = {
        "file": SimpleUploadedFile("notes.txt", b"Some text.", "text/plain"),
        "url": "",
        "source_job": "",
        "plugin_name": "simple_ingest",
        "plugin_params": json.dumps({"chunk_size": 200, "chunk_overlap": 0}),
    }
    token = browser.cookies["kb_csrf"].value
    answer = browser.post(f"/collections/{collection.pk}/preview", form, HTTP_X_CSRFTOKEN=token)
    assert answer.status_code == 200, answer.content[:2000]
    assert FileRegistry.objects.previews().get().plugin_params["chunk_size"] == 200
