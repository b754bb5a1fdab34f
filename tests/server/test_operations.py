"""What operators ask a running server: its metrics, its readiness, its log."""

import http.client
import json
from contextlib import suppress

import psutil
import pytest
from prometheus_client.parser import text_string_to_metric_families

from bench import outage
from bench.chaos import roles
from bench.server import TOKEN
from tests.support.until import until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]


def get(server, path, **headers):
    """Status, headers and text of an answer."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    try:
        connection.request("GET", path, headers=headers)
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read().decode()
    finally:
        connection.close()


def metrics(server):
    """The sum of each metric's samples that have these labels."""
    status, _, text = get(server, "/metrics", Authorization=f"Bearer {TOKEN}")
    assert status == 200
    samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]

    def value(name, **labels):
        return sum(s.value for s in samples if s.name == name and labels.items() <= s.labels.items())

    return value


def ready(server):
    status, _, text = get(server, "/health/ready")
    return status, json.loads(text)["status"]


def workers(server):
    """The pool with all its processes."""
    return [process for role in ("cluster", "sentinel", "worker") for process in roles(server)[role]]


def kill_workers(server):
    """Kill the pool; returns whether there was one."""
    pool = workers(server)
    for process in pool:
        with suppress(psutil.NoSuchProcess):  # it has followed its parent
            process.kill()
    return bool(pool)


def test_a_completed_job_its_stages_and_a_rescue_show_in_the_metrics(make_server):
    server = make_server()
    server.start()
    collection = server.create_collection("counted")
    job = server.upload(collection, "slow.txt", b"one\n\ntwo", "slow_ingest", {"seconds": 1})
    assert server.wait(collection, job)["status"] == "completed"
    until(lambda: metrics(server)("kb_jobs", status="completed", plugin="slow_ingest") == 1)
    value = metrics(server)
    assert value("kb_stage_seconds_count", plugin="slow_ingest", stage="conversion") == 1
    assert value("kb_stage_seconds_sum", plugin="slow_ingest", stage="conversion") >= 1
    assert value("kb_stage_seconds_count", plugin="slow_ingest", stage="embedding") == 1
    assert value("kb_chunks_stored_total", plugin="slow_ingest") == 2
    assert value("kb_runs_total", plugin="slow_ingest", outcome="completed") == 1
    assert value("kb_workers_living") == value("kb_workers_wanted") == 2

    lost = server.upload(collection, "lost.txt", b"one", "slow_ingest", {"seconds": 3})
    server.wait(collection, lost, lambda state: state["progress"]["message"].startswith("Step"))
    for process in roles(server)["worker"]:
        process.kill()
    assert server.wait(collection, lost)["status"] == "completed"
    until(lambda: metrics(server)("kb_rescues_total") == 1)
    until(lambda: metrics(server)("kb_runs_total", plugin="slow_ingest", outcome="completed") == 2)

    server.stop()
    server.start()  # what was counted is not forgotten
    assert metrics(server)("kb_runs_total", plugin="slow_ingest", outcome="completed") == 2
    assert metrics(server)("kb_stage_seconds_count", plugin="slow_ingest", stage="conversion") == 2


def test_readiness_ends_with_the_workers_and_comes_back_with_them(make_server):
    server = make_server()
    server.start()
    until(lambda: ready(server) == (200, "ready"))
    # Killed as soon as it is started again, until it was noticed that nobody works.
    until(lambda: kill_workers(server) and ready(server) == (503, "not_ready"), seconds=60)
    assert server.call("GET", "/health")[0] == 200
    until(lambda: ready(server) == (200, "ready"), seconds=90)


def test_the_log_for_machines_is_one_object_a_line_and_follows_a_request_into_its_job(make_server):
    server = make_server(KB_LOG_FORMAT="json", KB_LOG_LEVEL="DEBUG")
    server.start()
    collection = server.create_collection("logged")
    job = server.upload(collection, "bad.txt", b"x", "bad_ingest", {"way": "raise"})
    assert server.wait(collection, job)["status"] == "failed"
    _, headers, _ = get(server, "/health", **{"X-Request-ID": "followed-1"})
    assert headers["X-Request-ID"] == "followed-1"
    until(lambda: "followed-1" in server.tail(10**6))
    lines = [json.loads(line) for line in server.tail(10**6).splitlines() if line.startswith("{")]
    [submitted] = [line for line in lines if line["logger"] == "kb.jobs" and line.get("job_id") == job]
    [uploaded] = [line for line in lines if line["logger"] == "kb.access" and "ingest-file" in line["path"]]
    assert submitted["request_id"] == uploaded["request_id"]
    [failed] = [line for line in lines if line["logger"] == "kb.worker" and " failed: " in line["message"]]
    assert (failed["job_id"], failed["attempt"]) == (job, 1)
    assert failed["worker"]
    assert TOKEN not in server.tail(10**6)


def test_after_an_outage_of_the_vendor_one_command_completes_all_jobs_once(tmp_path):
    _, said, found = outage.run(30, 3, tmp_path)
    assert said == "30 jobs retried."
    assert (found["not completed"], found["wrong chunks"], found["other lives"]) == ([], [], [])
    assert found["published chunks"] == found["chunks stored"] == found["vectors stored"] == 90
