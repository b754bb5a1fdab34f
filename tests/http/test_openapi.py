"""The description of the API: complete, kept, true of every answer, and shown on two pages."""

import json
import re
from io import StringIO
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.core.management import call_command
from django.urls import URLPattern, URLResolver, get_resolver

from collections_app.models import Collection
from kbproject import urls
from tests.collections_app.factories import fill, unit_rows
from tests.http import described
from tests.http.conftest import Api
from tests.ingestion.factories import make_collection, make_job

pytestmark = pytest.mark.django_db

PAGES = {"ui", "admin", "docs", "redoc", "openapi.json"}
COMMON = {"401", "503", "507", "411", "413", "403"}


def routes(resolver: URLResolver, before: str = "") -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = []
    for pattern in resolver.url_patterns:
        here = before + str(pattern.pattern)
        if isinstance(pattern, URLPattern):
            found.append((here, pattern.callback))
        else:
            found += routes(pattern, here)
    return found


# -- Complete and kept ------------------------------------------------------------------------------


def test_every_served_address_is_described():
    for route, view in routes(get_resolver()):
        if view not in (urls.unknown, urls.without_slash) and route.partition("/")[0] not in PAGES:
            for method in set(getattr(view, "actions", {"get": None})) - {"head"}:  # REST framework adds it when asked
                assert described.operation(method.upper(), route), f"{method} /{route}"


def test_the_kept_schema_is_the_one_that_the_code_makes():
    made = StringIO()
    call_command("spectacular", format="openapi-json", validate=True, fail_on_warn=True, stdout=made)
    assert json.loads(made.getvalue()) == described.schema(), "run `make schema`"


def test_every_answer_and_every_error_has_an_example_that_fits():
    for path, item in described.schema()["paths"].items():
        for method, operation in item.items():
            for status, answer in operation["responses"].items():
                for kind, media in answer.get("content", {}).items():
                    if kind != "application/octet-stream":
                        assert media["examples"], (method, path, status)
                        for example in media["examples"].values():
                            described.fits(example["value"], media["schema"])


def test_every_body_has_an_example_that_fits():
    for path, item in described.schema()["paths"].items():
        for method, operation in item.items():
            for kind, media in operation.get("requestBody", {}).get("content", {}).items():
                if kind == "application/json":
                    assert media["examples"], (method, path)
                    for example in media["examples"].values():
                        described.fits(example["value"], media["schema"])


def test_every_operation_has_a_name_a_summary_and_a_tag_of_its_own():
    operations = [one for item in described.schema()["paths"].values() for one in item.values()]
    names = [one["operationId"] for one in operations]
    assert len(set(names)) == len(names)
    known = {tag["name"] for tag in described.schema()["tags"]}
    for one in operations:
        assert one["summary"], one["operationId"]
        assert set(one["tags"]) <= known


def test_what_needs_a_token_says_so():
    public = {"get_health", "get_readiness", "get_ingestion_config", "get_stored_file"}
    for item in described.schema()["paths"].values():
        for operation in item.values():
            needed = operation.get("security", [])
            if operation["operationId"] in public:
                assert needed == [] or {} in needed
            else:
                token = "metrics" if operation["operationId"] == "get_metrics" else "bearer"
                assert needed == [{token: []}, {"session": []}]


# -- True -------------------------------------------------------------------------------------------


@pytest.fixture
def world(collection, settings, tmp_path):
    settings.MEDIA_ROOT = tmp_path / "files"
    settings.KB_CONFIG_PATH = tmp_path / "config.json"
    make_collection("taken", owner=collection.owner)
    jobs = {status: make_job(collection, status) for status in ("pending", "processing", "failed", "completed")}
    return {"C": collection.pk, **{status: job.pk for status, job in jobs.items()}}


def at(path: str, world: dict[str, int]) -> str:
    return re.sub(r"\{(\w+)\}", lambda name: str(world[name[1]]), path)


JOB = "/collections/{C}/ingestion-jobs"
DO: list[tuple[str, int, str, str, Any]] = [
    ("get_root", 200, "get", "/", None),
    ("get_health", 200, "get", "/health", None),
    ("get_readiness", 503, "get", "/health/ready", None),
    ("get_metrics", 200, "get", "/metrics", None),
    ("get_ingestion_config", 200, "get", "/config/ingestion", None),
    ("get_database_status", 200, "get", "/database/status", None),
    ("list_plugins", 200, "get", "/ingestion/plugins", None),
    ("get_embeddings_config", 200, "get", "/config/embeddings", None),
    ("change_embeddings_config", 200, "put", "/config/embeddings", {"vendor": "openai", "apikey": "sk-1234567890"}),
    ("change_embeddings_config", 400, "put", "/config/embeddings", {"vendor": "clouds"}),
    ("change_embeddings_config", 422, "put", "/config/embeddings", {"vendor": 7}),
    ("reset_embeddings_config", 200, "delete", "/config/embeddings", None),
    ("list_collections", 200, "get", "/collections?limit=5", None),
    ("list_collections", 400, "get", "/collections?visibility=secret", None),
    ("list_collections", 422, "get", "/collections?limit=0", None),
    ("create_collection", 201, "post", "/collections", {"name": "new", "owner": "ana"}),
    ("create_collection", 400, "post", "/collections", {"name": "new", "owner": "ana", "visibility": "secret"}),
    ("create_collection", 409, "post", "/collections", {"name": "taken", "owner": "ana"}),
    ("create_collection", 422, "post", "/collections", b"{"),
    ("get_collection", 200, "get", "/collections/{C}", None),
    ("get_collection", 404, "get", "/collections/999", None),
    ("get_collection", 422, "get", "/collections/seven", None),
    ("change_collection", 200, "patch", "/collections/{C}", {"description": "Rules"}),
    ("change_collection", 400, "patch", "/collections/{C}", {"visibility": "secret"}),
    ("change_collection", 404, "patch", "/collections/999", {}),
    ("change_collection", 409, "patch", "/collections/{C}", {"name": "taken"}),
    ("change_collection", 422, "patch", "/collections/{C}", {"name": ""}),
    ("change_collection_put", 200, "put", "/collections/{C}", {"visibility": "public"}),
    ("change_collection_put", 400, "put", "/collections/{C}", {"visibility": "secret"}),
    ("change_collection_put", 404, "put", "/collections/999", {}),
    ("change_collection_put", 409, "put", "/collections/{C}", {"name": "taken"}),
    ("change_collection_put", 422, "put", "/collections/{C}", {"name": None}),
    ("delete_collection", 200, "delete", "/collections/{C}", None),
    ("delete_collection", 404, "delete", "/collections/999", None),
    ("delete_collection", 422, "delete", "/collections/seven", None),
    ("add_documents", 200, "post", "/collections/{C}/documents", {"documents": [{"text": "The lamp."}]}),
    ("add_documents", 404, "post", "/collections/999/documents", {"documents": []}),
    ("add_documents", 422, "post", "/collections/{C}/documents", {"documents": [{}]}),
    ("query_collection", 200, "post", "/collections/{C}/query", {"query_text": "lamp"}),
    ("query_collection", 400, "post", "/collections/{C}/query", {"query_text": " "}),
    ("query_collection", 404, "post", "/collections/{C}/query?plugin_name=oracle", {"query_text": "lamp"}),
    ("query_collection", 422, "post", "/collections/{C}/query", {}),
    ("ingest_addresses", 200, "post", "/collections/{C}/ingest-url",
     {"urls": ["https://example.org/"], "plugin_name": "address_ingest"}),
    ("ingest_addresses", 400, "post", "/collections/{C}/ingest-url", {"urls": [], "plugin_name": "simple_ingest"}),
    ("ingest_addresses", 404, "post", "/collections/{C}/ingest-url", {"urls": [], "plugin_name": "nothing"}),
    ("ingest_addresses", 422, "post", "/collections/{C}/ingest-url", {}),
    ("ingest_source", 200, "post", "/collections/{C}/ingest-base", {"plugin_name": "repository_ingest"}),
    ("ingest_source", 400, "post", "/collections/{C}/ingest-base", {"plugin_name": "simple_ingest"}),
    ("ingest_source", 404, "post", "/collections/999/ingest-base", {"plugin_name": "repository_ingest"}),
    ("ingest_source", 422, "post", "/collections/{C}/ingest-base",
     {"plugin_name": "repository_ingest", "plugin_params": {"colour": 1}}),
    ("preview_source", 200, "post", "/collections/{C}/preview", {"plugin_name": "repository_ingest"}),
    ("preview_source", 400, "post", "/collections/{C}/preview",
     {"plugin_name": "simple_ingest", "url": "https://example.org/"}),
    ("preview_source", 404, "post", "/collections/{C}/preview", {"source_job": 999}),
    ("preview_source", 422, "post", "/collections/{C}/preview", {}),
    ("list_files", 200, "get", "/collections/{C}/files", None),
    ("list_files", 400, "get", "/collections/{C}/files?status=lost", None),
    ("list_files", 404, "get", "/collections/999/files", None),
    ("list_files", 422, "get", "/collections/{C}/files?limit=0", None),
    ("delete_file", 200, "delete", "/collections/{C}/files/{completed}", None),
    ("delete_file", 404, "delete", "/collections/{C}/files/999", None),
    ("delete_file", 422, "delete", "/collections/{C}/files/{completed}?hard=maybe", None),
    ("set_file_status", 200, "put", "/collections/files/{pending}/status?status=cancelled", None),
    ("set_file_status", 400, "put", "/collections/files/{pending}/status?status=completed", None),
    ("set_file_status", 404, "put", "/collections/files/999/status?status=deleted", None),
    ("set_file_status", 422, "put", "/collections/files/{pending}/status", None),
    ("get_file_content", 404, "get", "/files/{failed}/content", None),
    ("get_file_content", 422, "get", "/files/seven/content", None),
    ("list_collection_jobs", 200, "get", JOB, None),
    ("list_collection_jobs", 400, "get", f"{JOB}?status=lost", None),
    ("list_collection_jobs", 404, "get", "/collections/999/ingestion-jobs", None),
    ("list_collection_jobs", 422, "get", f"{JOB}?limit=1000", None),
    ("get_collection_job", 200, "get", f"{JOB}/{{pending}}", None),
    ("get_collection_job", 404, "get", f"{JOB}/999", None),
    ("get_collection_job", 422, "get", f"{JOB}/{{pending}}?wait=long", None),
    ("retry_job", 200, "post", f"{JOB}/{{failed}}/retry", {"override_params": {"chunk_size": 500}}),
    ("retry_job", 400, "post", f"{JOB}/{{completed}}/retry", None),
    ("retry_job", 404, "post", f"{JOB}/999/retry", {}),
    ("retry_job", 422, "post", f"{JOB}/{{failed}}/retry", {"override_params": {"chunk_size": "large"}}),
    ("cancel_job", 200, "post", f"{JOB}/{{processing}}/cancel", None),
    ("cancel_job", 400, "post", f"{JOB}/{{completed}}/cancel", None),
    ("cancel_job", 404, "post", f"{JOB}/999/cancel", None),
    ("cancel_job", 422, "post", f"{JOB}/seven/cancel", None),
    ("get_ingestion_status", 200, "get", "/collections/{C}/ingestion-status", None),
    ("get_ingestion_status", 404, "get", "/collections/999/ingestion-status", None),
    ("get_ingestion_status", 422, "get", "/collections/seven/ingestion-status", None),
    ("get_job_diary", 200, "get", f"{JOB}/{{failed}}/events", None),
    ("get_job_diary", 404, "get", f"{JOB}/999/events", None),
    ("get_job_diary", 422, "get", f"{JOB}/{{failed}}/events?limit=none", None),
    ("list_jobs", 200, "get", "/ingestion-jobs?status=failed,pending&count=true&limit=1", None),
    ("list_jobs", 422, "get", "/ingestion-jobs?colour=red", None),
    ("get_job", 200, "get", "/ingestion-jobs/{failed}", None),
    ("get_job", 404, "get", "/ingestion-jobs/999", None),
    ("get_job", 422, "get", "/ingestion-jobs/seven", None),
    ("list_failures", 200, "get", "/ingestion/failures", None),
    ("list_failures", 422, "get", "/ingestion/failures?created_after=never", None),
    ("retry_jobs", 200, "post", "/ingestion-jobs/retry", {"ids": [1, 999]}),
    ("retry_jobs", 422, "post", "/ingestion-jobs/retry", {}),
    ("cancel_jobs", 200, "post", "/ingestion-jobs/cancel", {"filter": {}, "dry_run": True}),
    ("cancel_jobs", 422, "post", "/ingestion-jobs/cancel", {}),
    ("change_owner_key", 200, "put", "/collections/owner/ana/embeddings", {"embeddings_model": {"apikey": "sk-1"}}),
    ("change_owner_key", 400, "put", "/collections/owner/ana/embeddings", {"embeddings_model": {}}),
    ("change_owner_key", 422, "put", "/collections/owner/ana/embeddings", {}),
]  # fmt: skip


@pytest.mark.parametrize(("name", "status", "method", "path", "body"), DO, ids=[f"{one[0]}-{one[1]}" for one in DO])
def test_the_answer_is_what_the_schema_says(api, world, name, status, method, path, body):
    answer = api.send(method, at(path, world), body)
    assert described.check(method.upper(), answer) == (name, status), answer.content


def uploads(api: Api, world: dict[str, int], settings: Any) -> dict[int, Any]:
    """An answer of each status that an upload may get."""
    collection = world["C"]
    answers = {
        200: api.upload(collection),
        400: api.upload(collection, name="notes.exe"),
        404: api.upload(collection, plugin_name="nothing"),
        422: api.upload(collection, plugin_name=None),
    }
    settings.KB_MIN_FREE_MB = 10**12
    answers[507] = api.upload(collection)
    settings.KB_MIN_FREE_MB, settings.KB_MAX_UPLOAD_MB = 0, 0
    answers[413] = api.upload(collection, content=b"x" * 2_000_000)
    return answers


def test_uploads_are_answered_as_the_schema_says(api, world, settings):
    for status, answer in uploads(api, world, settings).items():
        assert described.check("POST", answer) == ("upload_file", status), answer.content


def test_a_job_that_did_not_change_is_answered_as_the_schema_says(api, world):
    path = at(f"{JOB}/{{failed}}", world)
    again = api.get(path, HTTP_IF_NONE_MATCH=api.get(path)["ETag"])
    assert described.check("GET", again) == ("get_collection_job", 304)


def test_the_text_of_a_file_is_answered_as_the_schema_says(api, world):
    fill(Collection.objects.get(pk=world["C"]), unit_rows(3), file_id=world["completed"], word="moon")
    answer = api.get(f"/files/{world['completed']}/content")
    assert described.check("GET", answer) == ("get_file_content", 200)


def test_the_bytes_of_a_file_are_answered_as_the_schema_says(api, world):
    link = urlsplit(api.upload(world["C"]).json()["file_url"])
    for status, wanted in ((200, ""), (206, "bytes=0-3"), (416, "bytes=900-")):
        answer = api.get(f"{link.path}?{link.query}", HTTP_RANGE=wanted)
        assert described.check("GET", answer) == ("get_stored_file", status)
    assert described.check("GET", api.get("/static/ana/handbook/nothing")) == ("get_stored_file", 404)


def operations() -> list[tuple[str, str, dict[str, Any]]]:
    return [
        (method, path, operation)
        for path, item in described.schema()["paths"].items()
        for method, operation in item.items()
    ]


def anywhere(path: str) -> str:
    return re.sub(r"\{\w+\}", "1", path)


def test_strangers_are_answered_as_the_schema_says(anyone):
    for method, path, operation in operations():
        if "401" in operation["responses"]:
            answer = anyone.send(method, anywhere(path), {})
            assert described.check(method.upper(), answer) == (operation["operationId"], 401)


def test_sessions_without_their_csrf_token_are_answered_as_the_schema_says(browser):
    for method, path, operation in operations():
        if "403" in operation["responses"]:
            answer = browser.generic(method.upper(), anywhere(path), b"{}", "application/json", HTTP_ACCEPT="*/*")
            assert described.check(method.upper(), answer) == (operation["operationId"], 403)


def test_bodies_without_a_length_are_answered_as_the_schema_says(api):
    for method, path, operation in operations():
        if "411" in operation["responses"]:
            answer = api.generic(
                method.upper(), anywhere(path), b"", "application/json", HTTP_TRANSFER_ENCODING="chunked"
            )
            assert described.check(method.upper(), answer) == (operation["operationId"], 411), answer.content


def test_bodies_that_are_too_large_are_answered_as_the_schema_says(api, world, settings):
    settings.KB_MAX_JSON_MB = settings.KB_MAX_UPLOAD_MB = 0
    for method, path, operation in operations():
        if "413" in operation["responses"]:
            answer = api.send(method, anywhere(path), {"text": "x" * 2_000_000})
            assert described.check(method.upper(), answer) == (operation["operationId"], 413), answer.content


def test_settings_that_cannot_be_read_are_answered_as_the_schema_says(api, world, settings):
    settings.KB_CONFIG_PATH.write_text("{")
    assert described.check("GET", api.get("/config/embeddings")) == ("get_embeddings_config", 500)
    answer = api.send("put", "/config/embeddings", {"vendor": "local"})
    assert described.check("PUT", answer) == ("change_embeddings_config", 500)


def test_settings_that_cannot_be_written_are_answered_as_the_schema_says(api, world, settings, tmp_path):
    settings.KB_CONFIG_PATH = tmp_path / "file" / "config.json"
    settings.KB_CONFIG_PATH.parent.write_text("in the way")
    answer = api.send("delete", "/config/embeddings")
    assert described.check("DELETE", answer) == ("reset_embeddings_config", 500), answer.content


def test_keys_of_another_secret_are_answered_as_the_schema_says(api, world, settings):
    embeddings = {"vendor": "openai", "model": "m", "apikey": "sk-1234567890", "api_endpoint": "http://127.0.0.1:9/v1"}
    made = api.send("post", "/collections", {"name": "keyed", "owner": "ana", "embeddings_model": embeddings}).json()
    assert api.send("put", "/config/embeddings", embeddings).status_code == 200
    settings.SECRET_KEY = "another-secret-key-of-some-length-0123456789"
    for name, path, body in (
        ("create_collection", "/collections", {"name": "next", "owner": "ana"}),
        ("add_documents", f"/collections/{made['id']}/documents", {"documents": [{"text": "The lamp."}]}),
    ):
        assert described.check("POST", api.send("post", path, body)) == (name, 500)


def test_no_status_is_described_that_no_test_produces():
    """Those of the disk, the database and a broken-off request are for others to produce, with real ones."""
    produced = {(name, str(status)) for name, status, *_ in DO}
    produced |= {("upload_file", status) for status in ("200", "400", "404", "413", "422", "507")}
    produced |= {("preview_source", "413"), ("get_collection_job", "304"), ("get_file_content", "200")}
    produced |= {("get_stored_file", status) for status in ("200", "206", "404", "416")}
    produced |= {(name, "500") for name in ("create_collection", "add_documents")}
    produced |= {(f"{verb}_embeddings_config", "500") for verb in ("get", "change", "reset")}
    elsewhere = {
        *(("400", name) for name in ("retry_jobs", "cancel_jobs", "add_documents")),
        ("500", "query_collection"),
        ("200", "get_readiness"),  # with workers
    }
    for _, _, operation in operations():
        for status in set(operation["responses"]) - COMMON:
            name = operation["operationId"]
            assert (name, status) in produced or (status, name) in elsewhere, (name, status)


# -- Shown ------------------------------------------------------------------------------------------


def test_the_schema_is_public_json(anyone):
    answer = anyone.get("/openapi.json", HTTP_AUTHORIZATION="Bearer wrong")
    assert answer["Content-Type"] == "application/json"
    assert answer.json()["openapi"].startswith("3.")


def linked(page: str) -> list[str]:
    return re.findall(r'(?:src|href|spec-url)="([^"]+)"', page)


@pytest.mark.parametrize(("path", "marks"), [("/docs", ["swagger-ui-bundle.js"]), ("/redoc", ["redoc.standalone.js"])])
def test_the_pages_are_public_and_fetch_nothing_from_another_host(anyone, settings, path, marks):
    settings.WHITENOISE_AUTOREFRESH = False  # files are served as in a real server
    answer = anyone.get(path, HTTP_AUTHORIZATION="Bearer wrong")
    assert answer.status_code == 200
    page = answer.content.decode()
    assert all(mark in page for mark in marks)
    for link in linked(page):
        assert link.startswith("/"), link
        if link.startswith("/assets/"):
            assert anyone.get(link).status_code == 200, link
    assert "default-src 'none'" in answer["Content-Security-Policy"]
    assert answer["X-Frame-Options"] == "DENY"


def test_swaggers_script_reads_the_schema_of_this_server(anyone):
    script = next(link for link in linked(anyone.get("/docs").content.decode()) if "script" in link)
    answer = anyone.get(script)
    assert "javascript" in answer["Content-Type"]
    assert "/openapi.json" in answer.content.decode()
