"""``manage.py up``: starting, stopping, and what a killed predecessor leaves behind."""

import re
import shutil
import signal
import subprocess
import sys
import time

import pytest

from bench.chaos import roles
from bench.server import ROOT, Server
from tests.server.conftest import QUICK
from tests.support.until import until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]


def gone(server, limit=5.0):
    deadline = time.monotonic() + limit
    while (left := server.processes()) and time.monotonic() < deadline:
        time.sleep(0.05)
    return not left


def up(server, **environment):
    """``manage.py up`` with the settings of *server*, to its end."""
    return subprocess.run(
        [sys.executable, "manage.py", "up"],
        cwd=ROOT,
        env={**server.environment, **environment},
        capture_output=True,
        text=True,
        timeout=60,
    )


@pytest.fixture(scope="module")
def lasting(tmp_path_factory, begun):
    """A server for tests that it outlives: it is refused company, and comes back from loss after loss."""
    folder = tmp_path_factory.mktemp("lasting")
    shutil.copytree(begun, folder / "data")
    server = Server(folder, **{**QUICK, "KB_LEASE_SECONDS": 3, "KB_HEARTBEAT_SECONDS": 1})
    server.start()
    yield server
    server.end()


def test_the_first_start_shows_its_secrets_once_and_feeds_the_samples(make_server):
    server = make_server(first=True, LAMB_API_KEY="")
    server.start()
    token = (server.folder / "data" / "api.token").read_text().strip()
    assert (server.folder / "data" / "api.token").stat().st_mode & 0o777 == 0o600
    until(lambda: "sample documents" in server.tail(10_000))
    shown = server.tail(10_000)
    assert token in shown
    assert re.search(r"login\s+admin / \S+", shown)
    server.stop()
    assert "Stopped." in server.tail()
    assert gone(server)
    server.start()
    assert token not in server.tail(10_000).removeprefix(shown)


def test_two_servers_on_one_data_directory_are_refused(lasting):
    second = up(lasting)
    assert second.returncode == 1
    assert "Another server is running" in second.stderr
    assert lasting.call("GET", "/health")[0] == 200


def test_a_port_in_use_is_said_plainly(lasting, make_server):
    second = up(make_server(), PORT=str(lasting.port))
    assert second.returncode == 1
    assert f"Cannot listen on 127.0.0.1:{lasting.port}" in second.stderr


@pytest.mark.parametrize(
    ("variable", "value"),
    [("PORT", "many"), ("INGESTION_JOB_REFRESH_RATE", "0"), ("HOME_URL", "kb"), ("KB_LEASE_SECONDS", "-1")],
)
def test_a_bad_setting_is_refused_by_its_name(make_server, variable, value):
    server = make_server(**{variable: value})
    server.environment[variable] = value
    start = up(server)
    assert start.returncode != 0
    assert variable in start.stderr


def test_postgresql_is_refused_with_its_reason(make_server):
    server = make_server(DATABASE_URL="postgresql://nobody@localhost/none")
    start = up(server, DATABASE_URL="postgresql://x@localhost/y")
    assert start.returncode == 1
    assert "PostgreSQL" in start.stderr
    assert "vectors" in start.stderr


def test_a_killed_server_leaves_no_process_and_its_jobs_go_on(make_server):
    server = make_server()
    server.start()
    collection = server.create_collection("crash")
    job = server.upload(collection, "slow.txt", b"one\n\ntwo", "slow_ingest", {"seconds": 3})
    server.wait(collection, job, lambda state: state["status"] == "processing")
    server.process.send_signal(signal.SIGKILL)
    server.process.wait()
    assert gone(server), [" ".join(process.cmdline()) for process in server.processes()]
    server.start()
    state = server.wait(collection, job)
    assert (state["status"], state["document_count"]) == ("completed", 2)


def test_a_drain_lets_a_short_job_finish_and_gives_a_long_one_back(make_server):
    server = make_server(KB_DRAIN_SECONDS=5)
    server.start()
    collection = server.create_collection("drain")
    short = server.upload(collection, "short.txt", b"one", "slow_ingest", {"seconds": 1.5})
    long = server.upload(collection, "long.txt", b"one", "slow_ingest", {"seconds": 60})
    waiting = server.upload(collection, "waiting.txt", b"one", "slow_ingest", {"seconds": 0})
    for job in (short, long):
        server.wait(collection, job, lambda state: state["progress"]["message"].startswith("Step"))
    assert 5 <= server.stop() < 14
    assert gone(server)
    server.environment["MAX_CONCURRENT_INGESTION_TASKS"] = "2"
    server.start()
    assert server.job(collection, short)["status"] == "completed"
    assert server.wait(collection, waiting)["status"] == "completed"
    state = server.wait(collection, long, lambda state: state["status"] == "processing")
    events = server.expect("GET", f"/collections/{collection}/ingestion-jobs/{long}/events")["items"]
    assert "released" in [event["kind"] for event in events]
    assert state["attempt"] == 2


@pytest.mark.parametrize("role", ["sentinel", "monitor", "pusher", "cluster", "worker", "web"])
@pytest.mark.parametrize("kind", [signal.SIGKILL, signal.SIGSTOP])
def test_the_pool_recovers_from_the_loss_of_each_of_its_processes(lasting, role, kind):
    server = lasting
    collection = server.create_collection(f"{role} {kind}")
    first = server.upload(collection, "first.txt", b"one")
    assert server.wait(collection, first)["status"] == "completed"
    until(lambda: roles(server)[role])
    for victim in roles(server)[role]:
        victim.send_signal(kind)
    job = None
    deadline = time.monotonic() + 60
    while job is None:
        try:
            job = server.upload(collection, "after.txt", b"two")
        except (OSError, RuntimeError):
            assert time.monotonic() < deadline
            time.sleep(0.2)
    assert server.wait(collection, job, limit=60)["status"] == "completed"
