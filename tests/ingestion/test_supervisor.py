"""The supervisor's decisions about real children that misbehave."""

import http.server
import subprocess
import time
from datetime import timedelta

import psutil
import pytest
from django.utils import timezone

from collections_app.models import Collection
from ingestion import supervisor as module
from ingestion.models import EventKind, FileRegistry, JobEvent
from ingestion.supervisor import Supervisor, record_path
from ingestion.watchdog import BEREFT_POOL_SECONDS, IDLE_POOL_SECONDS, PoolWatchdog
from tests.ingestion.factories import make_collection, make_job
from tests.support.serving import Serving
from tests.support.until import until

SLEEPER = ["/bin/sh", "-c", "exec sleep 60"]


class Health(http.server.BaseHTTPRequestHandler):
    """``/health`` of a web server that answers only while it is well."""

    server: "HealthServer"

    def do_GET(self):
        self.server.asked += 1
        self.send_response(200 if self.server.well else 503)
        self.end_headers()

    def log_message(self, *_):
        pass


class HealthServer(Serving):
    well = True
    asked = 0


@pytest.fixture
def web_server(settings):
    with HealthServer(Health) as server:
        settings.HOST, settings.PORT = server.server_address
        yield server


@pytest.fixture
def supervisor(settings, tmp_path, monkeypatch):
    settings.KB_RUN_DIR = tmp_path
    monkeypatch.setattr(module, "HEALTH_SECONDS", 0.0)
    made = Supervisor(ready=lambda: None, say=print)
    made.web.command = made.cluster.command = SLEEPER
    yield made
    for child in made.children:
        child.kill()


def test_a_child_runs_on_though_its_record_cannot_be_written(supervisor, caplog):
    record_path().mkdir()  # stands for every OSError, a full disk among them
    supervisor.start(supervisor.web)
    assert supervisor.web.running
    assert "note that it runs" in caplog.text


def test_a_child_that_cannot_be_started_is_tried_again_later(supervisor):
    supervisor.web.command = ["/nowhere/at/all"]
    supervisor.start(supervisor.web)
    assert not supervisor.web.running
    supervisor.web.command = SLEEPER
    until(lambda: (supervisor.look_after_children(), supervisor.web.running)[1])


def test_a_web_server_is_restarted_only_after_many_missing_answers_in_a_row(supervisor, web_server):
    supervisor.start(supervisor.web)
    supervisor.look_at_web()
    assert supervisor.is_ready
    first = supervisor.web.pid
    for _ in range(2):
        web_server.well = False
        for _ in range(module.HEALTH_FAILURES - 1):
            supervisor.look_at_web()
        assert supervisor.web.pid == first
        web_server.well = True  # slow clients held its threads, and are gone
        supervisor.look_at_web()
    web_server.well = False
    for _ in range(module.HEALTH_FAILURES):
        supervisor.look_at_web()
    assert not supervisor.web.running


def test_health_is_asked_for_directly_whatever_proxy_the_environment_names(supervisor, web_server, monkeypatch):
    for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert module.answers()
    assert web_server.asked == 1


def test_a_wait_is_judged_by_the_looks_at_the_queue_and_not_by_the_time_since():
    watchdog = PoolWatchdog("some supervisor")
    now = time.monotonic()
    watchdog.born = now - 1000
    watchdog.waiting_since = now - 500
    watchdog.looked_at = now - 500 + IDLE_POOL_SECONDS / 2  # the thread that looks was held up since
    assert watchdog.frozen(now) is None
    watchdog.looked_at = now
    assert "no worker takes it" in watchdog.frozen(now)


def test_a_pool_that_has_lost_a_process_is_given_less_time(db):
    """It may have held the queue's lock; once a job is claimed, it did not."""
    watchdog = PoolWatchdog("some supervisor")
    now = time.monotonic()
    watchdog.born = now - 1000
    watchdog.waiting_since, watchdog.looked_at = now - BEREFT_POOL_SECONDS - 1, now
    with subprocess.Popen(SLEEPER) as member:
        watchdog.note_deaths([psutil.Process(member.pid)])
        assert watchdog.frozen(now) is None
        member.kill()
    watchdog.note_deaths([])
    assert "no worker takes it" in watchdog.frozen(now)

    watchdog.look_at_queue()
    JobEvent.objects.create(job_id=1, name="a.txt", owner="ana", kind=EventKind.CLAIMED)
    watchdog.look_at_queue()
    watchdog.waiting_since, watchdog.looked_at = now - BEREFT_POOL_SECONDS - 1, now
    assert watchdog.frozen(now) is None


def test_what_waits_in_a_deleted_collection_is_no_sign_of_a_frozen_pool(db):
    collection = make_collection()
    make_job(collection)
    long_ago = timezone.now() - timedelta(minutes=1)
    FileRegistry.objects.update(updated_at=long_ago)
    watchdog = PoolWatchdog("some supervisor")
    watchdog.look_at_queue()
    watchdog.look_at_queue()
    assert watchdog.waiting_since is not None
    Collection.objects.filter(pk=collection.pk).update(deleted_at=long_ago)
    watchdog.look_at_queue()
    assert watchdog.waiting_since is None


def test_a_pool_is_given_time_to_start_until_it_has_claimed_a_job(db):
    watchdog = PoolWatchdog("some supervisor")
    watchdog.look_at_queue()
    now = time.monotonic()
    watchdog.waiting_since, watchdog.looked_at = now - 100, now
    assert watchdog.frozen(now) is None
    JobEvent.objects.create(job_id=1, name="a.txt", owner="ana", kind=EventKind.CLAIMED)
    watchdog.look_at_queue()
    watchdog.waiting_since, watchdog.looked_at = now - 100, now
    assert "no worker takes it" in watchdog.frozen(now)
