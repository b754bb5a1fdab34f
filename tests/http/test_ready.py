"""``/health/ready``: what must be there, what may fail, and that no probe waits for long."""

import os
import threading
import time
from datetime import UTC, datetime, timedelta

import pytest
from django.conf import settings as django_settings
from django.db import connection

from collections_app.embeddings.breaker import key_for
from collections_app.models import VendorState
from ingestion import health, presence, worker
from ingestion.health import CHECKS, Check, Finding, Readiness
from ingestion.models import Worker

# The checks look from threads of their own, so what is set up must be committed.
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def own_place(settings, tmp_path, monkeypatch):
    settings.MEDIA_ROOT = tmp_path / "files"
    settings.KB_MIN_FREE_MB = 0
    monkeypatch.setattr(presence, "_worker", None)
    health.readiness._known = None


@pytest.fixture
def a_worker(own_place):
    return presence.this_worker()


def ready(anyone):
    """Status code, status, and the checks by name."""
    health.readiness._known = None
    answer = anyone.get("/health/ready")
    body = answer.json()
    assert set(body) == {"status", "checks"}
    return answer.status_code, body["status"], {check["name"]: check for check in body["checks"]}


def test_a_server_with_all_it_needs_is_ready_and_anybody_may_know(anyone, a_worker):
    code, status, checks = ready(anyone)
    assert (code, status) == (200, "ready")
    assert set(checks) == {"database", "storage", "workers", "model", "vendor"}
    assert all(check["ok"] and check["detail"].endswith(".") for check in checks.values())


def test_without_a_living_worker_it_is_not_ready(anyone, a_worker):
    Worker.objects.update(stopped_at=datetime.now(UTC))
    code, status, checks = ready(anyone)
    assert (code, status) == (503, "not_ready")
    assert not checks["workers"]["ok"]


def test_a_server_that_stops_is_not_ready_while_its_last_jobs_run(anyone, a_worker, settings, tmp_path, monkeypatch):
    settings.KB_RUN_DIR = tmp_path
    monkeypatch.setenv("KB_SUPERVISOR", "one")
    worker.drain_flag().touch()
    code, _, checks = ready(anyone)
    assert code == 503
    assert checks["workers"]["detail"] == "The server is stopping."


def test_too_little_space_is_not_ready(anyone, a_worker, settings):
    settings.KB_MIN_FREE_MB = 10**9
    code, status, checks = ready(anyone)
    assert (code, status) == (503, "not_ready")
    assert "KB_MIN_FREE_MB" in checks["storage"]["detail"]


def test_a_storage_that_cannot_be_written_is_not_ready_and_its_place_is_not_told(anyone, a_worker, settings, tmp_path):
    (tmp_path / "files").write_text("a file where the folder should be")
    code, _, checks = ready(anyone)
    assert code == 503
    assert not checks["storage"]["ok"]
    assert str(tmp_path) not in str(checks)


def test_a_probe_leaves_no_file(anyone, a_worker, tmp_path):
    ready(anyone)
    assert os.listdir(tmp_path / "files" / "incoming") == []  # noqa: PTH208


@pytest.mark.parametrize(("failures", "minutes", "words"), [(4, 1, "left alone"), (1, None, "failed 1 times")])
def test_a_vendor_that_fails_degrades_and_is_not_called(anyone, a_worker, settings, failures, minutes, words):
    settings.EMBEDDINGS_VENDOR, settings.EMBEDDINGS_ENDPOINT = "openai", "http://user:hunter2@127.0.0.1:9/v1"
    until = datetime.now(UTC) + timedelta(minutes=minutes) if minutes else None
    VendorState.objects.create(
        key=key_for("openai", settings.EMBEDDINGS_ENDPOINT), vendor="openai", failures=failures, open_until=until
    )
    code, status, checks = ready(anyone)
    assert (code, status) == (200, "degraded")
    assert words in checks["vendor"]["detail"]
    assert "hunter2" not in str(checks)
    assert "127.0.0.1" not in str(checks)


def test_the_vendor_of_somebodys_collection_does_not_degrade_the_server(anyone, a_worker):
    VendorState.objects.create(key=key_for("openai", "http://elsewhere"), vendor="openai", failures=9)
    assert ready(anyone)[1] == "ready"


def test_a_local_model_that_is_missing_is_not_ready(anyone, a_worker, settings, tmp_path):
    settings.EMBEDDINGS_MODEL = str(tmp_path / "no-model")
    code, _, checks = ready(anyone)
    assert code == 503
    assert checks["model"] == {"name": "model", "ok": False, "detail": "The local model is not installed."}


def test_embedding_settings_that_cannot_be_read_are_not_ready(anyone, a_worker, settings, tmp_path):
    settings.KB_CONFIG_PATH = tmp_path / "config.json"
    settings.KB_CONFIG_PATH.write_text("{")
    code, _, checks = ready(anyone)
    assert code == 503
    assert not checks["model"]["ok"]


@pytest.mark.skipif("connection.vendor != 'sqlite'", reason="it takes the file away")
def test_a_database_that_does_not_answer_is_not_ready(anyone, a_worker, caplog):
    path = str(connection.settings_dict["NAME"])
    os.rename(path, f"{path}.away")  # noqa: PTH104
    os.mkdir(path)  # noqa: PTH102
    try:
        code, status, checks = ready(anyone)
    finally:
        os.rmdir(path)  # noqa: PTH106
        os.rename(f"{path}.away", path)  # noqa: PTH104
    assert (code, status) == (503, "not_ready")
    assert not checks["database"]["ok"]
    assert str(django_settings.KB_DATA_DIR) not in str(checks)


def test_a_check_that_hangs_is_answered_in_time_and_not_begun_again():
    begun, release = [], threading.Event()

    def hang():
        begun.append(1)
        release.wait(30)
        return Finding(True, "At last.")

    asking = Readiness((*(check for check in CHECKS if check.name == "model"), Check("slow", hang, needed=True)))
    try:
        for _ in range(2):
            asking._known = None
            began = time.monotonic()
            report = asking.report()
            assert time.monotonic() - began < health.CHECK_SECONDS + 1
            assert report["status"] == "not_ready"
            assert report["checks"][0]["ok"]
            assert report["checks"][1]["detail"] == "No answer within 2 seconds."
        assert begun == [1]
    finally:
        release.set()


def test_a_flood_of_probes_is_answered_from_one_look():
    looks = []
    asking = Readiness((Check("one", lambda: looks.append(1) or Finding(True, "Fine."), needed=True),))
    for _ in range(50):
        asking.report()
    assert looks == [1]
