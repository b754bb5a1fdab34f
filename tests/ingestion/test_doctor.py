"""``manage.py doctor``: what is broken for real is found, named with what helps, and told by the exit code."""

import json
import threading
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler

import psutil
import pytest
from django.core.management import call_command
from django.db import connection
from django.db.migrations.recorder import MigrationRecorder

from collections_app import crypto
from collections_app.models import VendorState
from ingestion import doctor, outlook, presence
from ingestion.doctor import Level, warning
from ingestion.models import FileRegistry, FileStatus, Worker
from tests.ingestion.factories import make_collection, make_job
from tests.support.serving import Serving
from tests.support.vendor import Vendor

# The checks look from threads of their own, so what is set up must be committed.
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def own_place(settings, tmp_path, monkeypatch):
    settings.MEDIA_ROOT = tmp_path / "files"
    settings.KB_DATA_DIR = tmp_path
    settings.KB_MIN_FREE_MB, settings.KB_MAX_UPLOAD_MB = 0, 1
    settings.LAMB_API_KEY = "a-token-of-its-own-0123"
    settings.MAX_CONCURRENT_INGESTION_TASKS = 1
    settings.KB_PLUGIN_MEMORY_MB = 256
    monkeypatch.setattr(presence, "_worker", None)
    monkeypatch.setenv("COLUMNS", "200")
    outlook.past.forget()


@pytest.fixture
def a_worker(own_place):
    return presence.this_worker()


class Web(Serving):
    answer: object


@pytest.fixture
def web(settings):
    """A web server of some version."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            body = json.dumps(running.answer).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args):
            pass

    with Web(Handler) as running:
        running.answer = {"status": "ok", "version": settings.VERSION}
        settings.PORT = running.port
        yield running


@pytest.fixture
def examined(capsys):
    """Exit code and findings, a list of (status, detail, hint) by check."""

    def examined(*arguments):
        with pytest.raises(SystemExit) as left:
            call_command("doctor", "--json", *arguments)
        body = json.loads(capsys.readouterr().out)
        assert body["status"] == Level(left.value.code).name.lower()
        found = {
            check["name"]: [(one["status"], one["detail"], one["hint"]) for one in check["findings"]]
            for check in body["checks"]
        }
        assert all(hint for findings in found.values() for status, _, hint in findings if status != "ok")
        return int(left.value.code), found

    return examined


def the_only(found, name):
    [finding] = found[name]
    return finding


def test_a_server_with_all_it_needs_is_well(examined, a_worker, web, settings):
    code, found = examined("--thorough")
    assert code == 0, found
    assert list(found) == ["database", "storage", "server", "workers", "jobs", "vendor", "limits", "clock", "access"]
    assert "All its pages are intact." in str(found["database"]) or connection.vendor != "sqlite"
    assert "vector of 256 numbers" in the_only(found, "vendor")[1]


def test_people_read_lines_with_what_helps(capsys, a_worker, web, settings):
    settings.LAMB_API_KEY = "0p3n-w3bu!"
    with pytest.raises(SystemExit) as left:
        call_command("doctor", "--offline")
    said = capsys.readouterr().out
    assert left.value.code == 2
    assert "✗ access" in said
    assert "Choose another" in said
    assert "1 thing to mend, 0 warnings." in said
    with pytest.raises(SystemExit):
        call_command("doctor", "--offline", "--quiet")
    said = capsys.readouterr().out
    assert "✓" not in said
    assert said.count("\n") == 2


# -- Server and workers -----------------------------------------------------------------------------


def test_a_web_server_that_does_not_answer_is_critical(examined, a_worker, settings):
    settings.PORT = 9  # nobody listens there
    code, found = examined("--only", "server")
    assert code == 2
    assert "does not answer on" in the_only(found, "server")[1]


@pytest.mark.parametrize("answer", [{"status": "ok", "version": "0.0.1"}, {"hello": "world"}, ["hello"]])
def test_another_version_or_server_on_its_port_is_told(examined, web, answer):
    web.answer = answer
    code, found = examined("--only", "server")
    assert code == 1
    assert "Restart" in the_only(found, "server")[2]


def test_something_else_that_speaks_no_http_on_its_port_is_told(examined, settings):
    class Talker(BaseHTTPRequestHandler):
        def handle(self):
            self.wfile.write(b"SSH-2.0-OpenSSH_9.2\r\n")

    with Serving(Talker) as other:
        settings.PORT = other.port
        code, found = examined("--only", "server")
    assert code == 2
    assert the_only(found, "server")[1].startswith("It does not answer")


def test_without_a_worker_it_is_critical_and_with_too_few_a_warning(examined, settings):
    assert examined("--only", "workers")[0] == 2
    presence.this_worker()
    assert examined("--only", "workers")[0] == 0
    settings.MAX_CONCURRENT_INGESTION_TASKS = 2
    code, found = examined("--only", "workers")
    assert (code, the_only(found, "workers")[1]) == (1, "1 of 2 workers live.")


def test_jobs_of_silent_workers_are_told(examined, a_worker):
    job = make_job(make_collection(), FileStatus.PROCESSING)
    FileRegistry.objects.filter(pk=job.pk).update(lease_until=datetime.now(UTC) - timedelta(minutes=1))
    code, found = examined("--only", "workers")
    assert code == 1
    assert "1 running job" in found["workers"][1][1]


def test_a_job_that_waits_long_and_one_that_stalls_are_told(examined, a_worker):
    collection = make_collection()
    long_ago = datetime.now(UTC) - timedelta(hours=3)
    timings = [{"stage": name, "duration_ms": 1000} for name in ("conversion", "embedding")]
    for _ in range(outlook.LEAST):
        done = make_job(collection, FileStatus.COMPLETED, file_size=100)
        FileRegistry.objects.filter(pk=done.pk).update(processing_stats={"stage_timings": timings})
    stalls = make_job(collection, FileStatus.PROCESSING, file_size=100)
    FileRegistry.objects.filter(pk=stalls.pk).update(stage_started_at=long_ago)
    waits = make_job(collection)  # last: the others would claim it
    FileRegistry.objects.filter(pk=waits.pk).update(created_at=long_ago, updated_at=long_ago)
    code, found = examined("--only", "jobs")
    assert code == 1
    assert "3.0 hours" in found["jobs"][0][1]
    assert f"(job {stalls.pk})" in found["jobs"][1][1]


# -- Database and storage ---------------------------------------------------------------------------


def test_a_migration_that_is_missing_is_critical_and_ends_the_round_of_those_that_need_it(examined, a_worker, web):
    recorder = MigrationRecorder(connection)
    latest = max(name for app, name in recorder.applied_migrations() if app == "ingestion")
    recorder.record_unapplied("ingestion", latest)
    try:
        code, found = examined("--offline")
    finally:
        recorder.record_applied("ingestion", latest)
    assert code == 2
    assert latest[:4] in the_only(found, "database")[1]
    assert set(found) == {"database", "server", "limits", "access"}


@pytest.mark.skipif("connection.vendor != 'sqlite'", reason="of SQLite's file")
def test_a_network_file_system_under_the_database_is_critical(examined, monkeypatch, tmp_path):
    class Mounted:
        mountpoint, fstype = "/", "nfs4"

    monkeypatch.setattr(psutil, "disk_partitions", lambda all: [Mounted])
    assert doctor.file_system_of(tmp_path / "not" / "there") == "nfs4"
    code, found = examined("--only", "database")
    assert code == 2
    assert "nfs4" in found["database"][1][1]


def test_a_disk_that_is_full_is_critical_and_one_that_soon_will_be_a_warning(examined, settings):
    settings.KB_MAX_UPLOAD_MB = 10**9
    code, found = examined("--only", "storage")
    assert code == 1
    assert "prune" in the_only(found, "storage")[2]
    settings.KB_MIN_FREE_MB = 10**9
    assert examined("--only", "storage")[0] == 2


def test_waiting_jobs_without_their_file_are_named(examined, tmp_path):
    collection = make_collection()
    there = tmp_path / "files" / "ab" / "there.txt"
    there.parent.mkdir(parents=True)
    there.write_text("here")
    make_job(collection, file_path="ab/there.txt")
    lost = make_job(collection, file_path="ab/lost.txt")
    make_job(collection, FileStatus.COMPLETED, file_path="ab/gone.txt")
    code, found = examined("--only", "storage")
    assert code == 1
    assert found["storage"][1][1].endswith(f"(job {lost.pk}).")


# -- Vendors ----------------------------------------------------------------------------------------


@pytest.fixture
def vendor(settings):
    with Vendor() as running:
        settings.EMBEDDINGS_VENDOR = "openai"
        settings.EMBEDDINGS_ENDPOINT, settings.EMBEDDINGS_APIKEY = f"{running.url}/v1", "sk-hunter2-planted"
        yield running


def test_the_vendor_is_asked_for_one_vector_and_not_at_all_when_offline(examined, vendor):
    code, found = examined("--only", "vendor")
    assert code == 0
    assert "openai made a vector of 32 numbers" in the_only(found, "vendor")[1]
    asked = len(vendor.received)
    assert asked == 1
    assert examined("--only", "vendor", "--offline")[0] == 0
    assert len(vendor.received) == asked


def test_a_key_that_the_vendor_rejects_is_critical_and_not_shown(examined, vendor):
    vendor.fail_with(401, 5)
    code, found = examined("--only", "vendor")
    assert code == 2
    assert "hunter2" not in str(found)


def test_a_vendor_that_does_not_answer_is_a_warning_since_jobs_wait(examined, vendor, monkeypatch):
    monkeypatch.setattr(doctor, "VENDOR_SECONDS", 0.5)
    vendor.fail("hang", 5)
    code, found = examined("--only", "vendor")
    assert code == 1
    assert "did not answer within 0.5 s" in the_only(found, "vendor")[1]


def test_vendors_of_collections_that_fail_are_named(examined):
    VendorState.objects.create(
        key="k", vendor="ollama", endpoint="http://gpu:11434", failures=7, last_error="vendor_timeout: slow"
    )
    code, found = examined("--only", "vendor")
    assert code == 1
    assert "ollama at http://gpu:11434 failed 7 times in a row" in found["vendor"][0][1]


def test_addresses_of_vendors_are_told_without_their_secrets(examined):
    VendorState.objects.create(
        key="k",
        vendor="openai",
        endpoint="https://ana:hunter2@gpu.example/v1?api_key=hunter3",
        failures=2,
        last_error="vendor_unavailable: https://ana:hunter4@gpu.example cannot be reached; Bearer hunter5-hunter5",
    )
    VendorState.objects.create(key="x", vendor="openai", endpoint="http://[hunter6", failures=1)
    _, found = examined("--only", "vendor", "--offline")
    assert "openai at https://gpu.example/v1 failed 2 times" in str(found)
    assert "hunter" not in str(found)


def test_stored_keys_that_nobody_can_read_any_more_are_critical(examined, settings):
    make_collection(embedding_api_key=crypto.encrypt("sk-1"))
    assert examined("--only", "vendor")[0] == 0
    settings.SECRET_KEY = "another key, since somebody lost the first one"
    code, found = examined("--only", "vendor")
    assert code == 2
    assert found["vendor"][0][1].startswith("1 stored API key")


# -- Machine, clock, access -------------------------------------------------------------------------


def test_plugins_that_may_ask_for_more_memory_than_there_is_are_told(examined, settings):
    settings.KB_PLUGIN_MEMORY_MB = 10**8
    code, found = examined("--only", "limits")
    assert code == 1
    assert "more than there is" in found["limits"][0][1]


def test_a_clock_that_was_set_back_is_told(examined, a_worker):
    Worker.objects.update(beat_at=datetime.now(UTC) + timedelta(minutes=10))
    code, found = examined("--only", "clock")
    assert code == 1
    assert "set back" in the_only(found, "clock")[1]


def test_doors_that_stand_open_are_told(examined, settings, tmp_path):
    settings.DEBUG, settings.HOST, settings.HOME_URL = True, "0.0.0.0", "http://kb.example.org"  # noqa: S104
    settings.LAMB_API_KEY = "short"
    (tmp_path / "secret.key").write_text("x")
    (tmp_path / "secret.key").chmod(0o644)
    code, found = examined("--only", "access")
    assert code == 1
    assert [status for status, _, _ in found["access"]] == ["warning"] * 4
    assert "short" not in str(found)


# -- The round --------------------------------------------------------------------------------------


def test_a_check_that_hangs_or_breaks_does_not_hold_up_the_others():
    release = threading.Event()

    def hangs():
        release.wait(30)
        yield warning("late", "late")

    def breaks():
        yield warning("begun", "begun")
        raise RuntimeError("boom")

    def works():
        yield doctor.fine("Well.")

    try:
        found = list(doctor.examine({"hangs": hangs, "breaks": breaks, "works": works}, seconds=0.5))
    finally:
        release.set()
    assert [one.level for one in found] == [Level.CRITICAL, Level.CRITICAL, Level.OK]
    assert "did not end within 0.5 s" in found[0].findings[0].detail
    assert "boom" in found[1].findings[0].detail
