"""Secrets planted in a running system, and looked for wherever people and operators look.

Real runs of a plugin that tells all it knows and of a vendor that echoes the key, by a real worker in this process.
"""

import io
import json
import logging
import re

import pytest
from django.apps import apps
from django.test import Client

from collections_app import catalogue, crypto
from ingestion import hosts, metrics, services, storage, worker
from ingestion.models import FileStatus
from kbproject.logs import JsonFormatter, LineFormatter
from tests.ingestion.factories import make_collection, work
from tests.support.vendor import Fault, Vendor

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]

PLANTED = {
    "api token": "planted-api-token-51c7",
    "secret key": "planted-django-secret-key-9a2f",
    "metrics token": "planted-metrics-token-77aa",
    "default vendor key": "planted-default-vendor-key-0b1d",
    "collection key": "planted-collection-key-c3e8",
    "plugin key": "planted-plugin-key-44d0",
    "proxy password": "planted-proxy-password-8e6b",
    "address password": "planted-address-password-f0f0",
    "staff password": "planted-staff-password-2c2c",
}
TOKEN = PLANTED["api token"]


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory):
    """Where the catalogue with the plugin that leaks is kept; its hosts start after the settings are planted."""
    hosts.discard()
    yield tmp_path_factory.mktemp("secrets")
    hosts.discard()


@pytest.fixture
def planted(own_folders, settings, run_folder):
    """A server whose settings hold the secrets, with a catalogue of its own."""
    settings.KB_RUN_DIR = run_folder
    settings.KB_PLUGIN_MODULES = ["tests.support.leaky_plugin", "bench.slow_plugin"]
    settings.LAMB_API_KEY = TOKEN
    settings.SECRET_KEY = PLANTED["secret key"]
    settings.KB_METRICS_TOKEN = PLANTED["metrics token"]
    settings.EMBEDDINGS_VENDOR, settings.EMBEDDINGS_APIKEY = "openai", PLANTED["default vendor key"]
    settings.KB_MAX_TRANSIENT_FAILURES = 0
    if not catalogue.path().exists():
        catalogue.refresh()
    return settings


@pytest.fixture
def logs():
    """All that is logged from now on, in both formats."""
    stream = io.StringIO()
    handlers = [logging.StreamHandler(stream) for _ in range(2)]
    for handler, formatter in zip(handlers, (LineFormatter(), JsonFormatter()), strict=True):
        handler.setFormatter(formatter)
    loggers = [logging.getLogger(name) for name in ("", "kb.plugins", "django-q")]
    levels = {name: logging.getLogger(name).level for name in ("", "kb")}
    for name in levels:
        logging.getLogger(name).setLevel(logging.DEBUG)
    for logger in loggers:
        for handler in handlers:
            logger.addHandler(handler)
    yield stream.getvalue
    for logger in loggers:
        for handler in handlers:
            logger.removeHandler(handler)
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)


@pytest.fixture
def vendor():
    """Refuses, and says with which key it was asked."""
    with Vendor() as running:
        # Long enough to be cut in the middle of the key.
        said = "Incorrect API key provided: " + "x" * 155 + " " + PLANTED["collection key"]
        running.standing = Fault("status", status=401, body={"error": {"message": said, "code": "invalid_api_key"}})
        yield running


@pytest.fixture
def collection(planted, vendor):
    return make_collection(
        embedding_vendor="openai",
        embedding_model="m",
        embedding_endpoint=vendor.url.replace("://", f"://ana:{PLANTED['address password']}@"),
        embedding_api_key=crypto.encrypt(PLANTED["collection key"]),
    )


def submit(collection, way):
    params = {
        "api_key": PLANTED["plugin key"],
        "proxy_url": f"http://ana:{PLANTED['proxy password']}@proxy:3128",
        "url": f"https://ana:{PLANTED['address password']}@host/page",
        "way": way,
    }
    upload = storage.receive(io.BytesIO(b"some text"), "notes.txt")
    return services.submit(collection, "leaky_ingest", params, upload=upload)


@pytest.fixture
def jobs(collection, logs):
    """One failed by its plugin, one by a bug of it, one by the vendor, one that waits."""
    made = [work(submit(collection, way)) for way in ("error", "raise", "tell")]
    assert {job.status for job in made} == {FileStatus.FAILED}
    assert made[2].error_code == "vendor_rejected"
    worker.logger.warning("Asked with %s", {"Authorization": f"Bearer {TOKEN}"})
    return [*made, submit(collection, "tell")]


def leaks(text):
    """What is found of the secrets; half of one is one, too."""
    parts = {name: (secret[:20], secret[-14:]) for name, secret in PLANTED.items()}
    return [name for name, (begin, end) in parts.items() if begin in text or end in text]


@pytest.fixture
def api(planted):
    return Client(HTTP_AUTHORIZATION=f"Bearer {TOKEN}")


@pytest.fixture
def staff(planted, django_user_model):
    django_user_model.objects.create_superuser("root", password=PLANTED["staff password"])
    browser = Client(HTTP_ACCEPT="text/html")
    assert browser.login(username="root", password=PLANTED["staff password"])
    return browser


def addresses(collection, jobs):
    place = f"/collections/{collection.pk}"
    for job in jobs:
        yield from (f"{place}/ingestion-jobs/{job.pk}{more}" for more in ("", "/events"))
        yield f"/ingestion-jobs/{job.pk}"
        yield f"/files/{job.pk}/content"
    yield from (place, "/collections", f"{place}/files", f"{place}/ingestion-jobs", f"{place}/ingestion-status")
    yield from ("/ingestion-jobs", "/ingestion/failures", "/ingestion/plugins")
    yield from ("/config/embeddings", "/config/ingestion", "/database/status", "/health", "/health/ready", "/metrics")


def test_no_answer_of_the_api_holds_a_secret(api, collection, jobs):
    metrics.forget()
    for address in addresses(collection, jobs):
        answer = api.get(address)
        assert answer.status_code in ({200, 503} if not address.endswith("/content") else {404}), address
        text = b"".join(answer) if answer.streaming else answer.content
        assert not leaks(text.decode() + str(answer.headers)), address
    asked = api.post(f"/collections/{collection.pk}/query", json.dumps({"query_text": "why"}), "application/json")
    assert not leaks(asked.content.decode())
    for verb, body in (("retry", {"override_params": {"way": "odd"}}), ("cancel", {})):
        address = f"/collections/{collection.pk}/ingestion-jobs/{jobs[0].pk}/{verb}"
        assert not leaks(api.post(address, json.dumps(body), "application/json").content.decode()), address


def test_no_page_holds_a_secret(staff, collection, jobs):
    session = staff.session.session_key
    pages = ["/admin/", "/admin/ingestion/fileregistry/", f"/admin/collections_app/collection/{collection.pk}/change/"]
    pages += [f"/admin/ingestion/fileregistry/{job.pk}/change/" for job in jobs]
    pages += [address for address in addresses(collection, jobs) if not address.endswith(("/content", "/metrics"))]
    for page in pages:
        answer = staff.get(page)
        assert answer.status_code in {200, 503}, page
        assert not leaks(answer.content.decode()), page
        assert session not in answer.content.decode(), page


def test_no_line_of_log_holds_a_secret_and_each_of_a_run_names_its_job(api, staff, collection, jobs, logs, planted):
    api.get(f"/collections?token={TOKEN}")
    api.get("/collections", HTTP_AUTHORIZATION=f"Bearer {PLANTED['plugin key']}")
    staff.post("/admin/login/", {"username": "root", "password": PLANTED["staff password"]})
    text = logs()
    assert not leaks(text)
    assert staff.session.session_key not in text
    objects = [json.loads(line) for line in text.splitlines() if line.startswith("{")]
    printed = [line for line in objects if line["logger"] == "kb.plugins"]
    assert {line["job_id"] for line in printed} >= {job.pk for job in jobs[:3]}
    assert any("DEBUG calling with *** and" in line["message"] for line in printed)
    ended = [line for line in objects if line["logger"] == "kb.worker" and "failed" in line["message"]]
    assert {line["job_id"] for line in ended} == {job.pk for job in jobs[:3]}
    assert all(line["run_id"] and line["attempt"] == 1 for line in ended)


def test_the_log_of_plugins_holds_no_secret(jobs, planted):
    text = (planted.KB_RUN_DIR / "plugins.log").read_text()
    assert "DEBUG calling with" in text
    assert re.search(rf"\[.*job {jobs[0].pk} ", text)
    assert not leaks(text)


def test_the_database_holds_secrets_in_parameters_and_endpoints_only(collection, jobs):
    found = {
        (model.__name__, name)
        for model in apps.get_models()
        for row in model._default_manager.values()
        for name, value in row.items()
        if leaks(str(value))
    }
    assert found == {("FileRegistry", "plugin_params"), ("Collection", "embedding_endpoint")}


def test_a_line_of_the_thread_that_watches_a_run_names_the_job(own_folders, logs, settings):
    settings.KB_JOB_MAX_SECONDS = 1
    upload = storage.receive(io.BytesIO(b"x"), "x.txt")
    job = work(services.submit(make_collection(), "bad_ingest", {"way": "hang"}, upload=upload))
    assert job.error_code == "timed_out"
    lines = [json.loads(line) for line in logs().splitlines() if line.startswith("{")]
    [line] = [line for line in lines if "told to stop" in line["message"]]
    assert (line["job_id"], line["run_id"]) == (job.pk, str(job.run_id))
