"""A running server and what people do with it: feed it, watch it, break it, cancel, retry."""

import sqlite3
from contextlib import suppress
from functools import partial

import psutil
import pytest

from bench.server import multipart
from tests.support.race import race
from tests.support.until import until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]


@pytest.fixture
def collection(server, request):
    return server.create_collection(request.node.name[:200])


def rows(server, sql, *parameters):
    connection = sqlite3.connect(f"file:{server.folder}/data/kb.sqlite3?mode=ro", uri=True, timeout=20)
    try:
        return connection.execute(sql, parameters).fetchall()
    finally:
        connection.close()


def stored_chunks(server, job):
    return rows(
        server,
        "SELECT count(*) FROM collections_app_chunk c JOIN collections_app_document d ON d.id = c.document_id"
        " WHERE d.file_id = ?",
        job,
    )[0][0]


def found(server, collection, text):
    body = {"query_text": text, "top_k": 50, "threshold": -1}
    return server.expect("POST", f"/collections/{collection}/query", body)["results"]


def grandchildren(server):
    """What the plugin ``bad_ingest`` has started, by pid."""
    found = set()
    for process in server.processes():
        with suppress(psutil.Error):  # it may just have ended
            if "time.sleep(3600)" in " ".join(process.cmdline()):
                found.add(process.pid)
    return found


def test_an_uploaded_text_is_found_with_its_source(server, collection):
    job = server.upload(collection, "tides.txt", b"The moon pulls the sea.\n\nTides follow the moon.")
    state = server.wait(collection, job)
    assert state["status"] == "completed"
    assert state["progress"]["overall"] == 100
    assert state["progress"]["percentage"] == 100
    assert state["document_count"] >= 1
    assert state["processing_duration_seconds"] > 0
    hit = found(server, collection, "why are there tides")[0]
    assert "moon" in hit["data"]
    assert hit["metadata"]["file_url"].startswith("/static/bench/")


def test_a_watcher_sees_the_stages_and_then_the_chunks(server, collection):
    text = "\n\n".join(f"Paragraph {n} " + "words " * 40 for n in range(3000)).encode()
    job = server.upload(collection, "long.txt", text, "slow_ingest", {"seconds": 2, "steps": 4})
    seen = []
    server.wait(collection, job, lambda state: seen.append(state) or state["status"] == "completed")
    messages = [state["progress"]["message"] for state in seen]
    units = {state["progress"]["unit"] for state in seen if state["status"] == "processing"}
    overall = [state["progress"]["overall"] for state in seen]
    assert any(message == "Step 2 of 4" for message in messages)
    assert any("Adding chunks" in message for message in messages)
    assert units == {"stage", "chunk"}
    assert overall == sorted(overall)
    assert len(set(overall)) > 5


@pytest.mark.parametrize(
    ("way", "code"),
    [
        ("segfault", "plugin_crashed"),
        ("memory", "out_of_memory"),
        ("exit", "plugin_crashed"),
        ("raise", "plugin_error"),
        ("empty", "no_text"),
    ],
)
def test_a_plugin_that_goes_wrong_fails_its_own_job_and_the_next_one_runs(server, collection, way, code):
    bad = server.upload(collection, f"{way}.txt", b"x", "bad_ingest", {"way": way})
    state = server.wait(collection, bad, limit=90)
    assert (state["status"], state["error_code"]) == ("failed", code)
    assert state["error_message"]
    good = server.upload(collection, "good.txt", b"This one is fine.")
    assert server.wait(collection, good)["status"] == "completed"


def test_a_plugin_that_prints_does_not_confuse_the_server(server, collection):
    job = server.upload(collection, "print.txt", b"x", "bad_ingest", {"way": "print"})
    assert server.wait(collection, job)["status"] == "completed"


@pytest.mark.parametrize("way", ["hang", "loop", "child"])
def test_cancelling_a_conversion_that_never_returns_stops_it_within_a_second(server, collection, way):
    job = server.upload(collection, f"{way}.txt", b"x", "bad_ingest", {"way": way})
    server.wait(collection, job, lambda state: state["progress"]["message"] == f"About to {way}")
    before = {process.pid for process in server.processes()}
    answer = server.expect("POST", f"/collections/{collection}/ingestion-jobs/{job}/cancel")
    assert answer["status"] == "cancelled"
    until(lambda: before - {process.pid for process in server.processes()}, seconds=1.5)
    assert server.job(collection, job)["status"] == "cancelled"
    until(lambda: not grandchildren(server), seconds=5)
    good = server.upload(collection, "good.txt", b"The worker is free again.")
    assert server.wait(collection, good)["status"] == "completed"


def test_what_a_plugin_started_ends_with_the_worker_that_was_killed(server, collection):
    job = server.upload(collection, "child.txt", b"x", "bad_ingest", {"way": "child"})
    server.wait(collection, job, lambda state: state["progress"]["message"] == "About to child")
    until(lambda: grandchildren(server))
    orphans = grandchildren(server)
    [worker] = rows(server, "SELECT w.pid FROM ingestion_fileregistry j JOIN ingestion_worker w ON w.id = j.worker_id "
                            "WHERE j.id = ?", job)[0]  # fmt: skip
    psutil.Process(worker).kill()
    until(lambda: not orphans & grandchildren(server))
    until(lambda: server.job(collection, job)["attempt"] > 1)
    server.expect("POST", f"/collections/{collection}/ingestion-jobs/{job}/cancel")
    until(lambda: not grandchildren(server))


def test_nothing_of_a_cancelled_job_is_found_and_its_rows_go(server, collection):
    text = "\n\n".join(f"zebra {n} " + "stripes " * 60 for n in range(30_000)).encode()
    job = server.upload(collection, "zebra.txt", text, "slow_ingest", {"seconds": 0})
    server.wait(collection, job, lambda state: state["progress"]["unit"] == "chunk" and state["progress"]["current"])
    server.expect("POST", f"/collections/{collection}/ingestion-jobs/{job}/cancel")
    assert found(server, collection, "zebra") == []
    until(lambda: stored_chunks(server, job) == 0)
    state = server.job(collection, job)
    assert (state["status"], state["document_count"]) == ("cancelled", 0)


def test_a_deleted_file_is_not_found_any_more_though_it_was_running(server, collection):
    text = "\n\n".join(f"lion {n} " + "roars " * 60 for n in range(20_000)).encode()
    job = server.upload(collection, "lion.txt", text, "slow_ingest", {"seconds": 0})
    server.wait(collection, job, lambda state: state["progress"]["unit"] == "chunk" and state["progress"]["current"])
    answer = server.expect("DELETE", f"/collections/{collection}/files/{job}")
    assert answer["status"] == "deleted"
    assert found(server, collection, "lion") == []
    until(lambda: stored_chunks(server, job) == 0)


HARD, SOFT = ("DELETE", "{job}"), ("DELETE", "{job}?hard=false")
PENDING, CANCELLED, DELETED = (("PUT", f"status={status}") for status in ("pending", "cancelled", "deleted"))


@pytest.mark.parametrize(
    "requests", [(HARD, HARD, HARD), (HARD, SOFT, SOFT), (HARD, DELETED, DELETED), (PENDING, CANCELLED, HARD)]
)
def test_a_double_click_gets_an_answer_and_no_error(server, collection, requests):
    def send(job, method, what):
        path = f"collections/{collection}/files/{what}" if method == "DELETE" else f"files/{{job}}/status?{what}"
        if method == "PUT":
            path = f"collections/{path}"
        return server.call(method, "/" + path.format(job=job))

    for _ in range(12):
        job = server.upload(collection, "twice.txt", b"a few words")
        server.wait(collection, job)
        answers = race(*(partial(send, job, *request) for request in requests))
        assert {status for status, _ in answers} <= {200, 400, 404}, answers
        assert found(server, collection, "words") == []


def test_a_deleted_collection_stops_its_jobs_and_leaves_nothing(server, collection):
    jobs = [server.upload(collection, f"{n}.txt", b"x", "bad_ingest", {"way": "hang"}) for n in range(2)]
    done = server.upload(server.create_collection("kept"), "kept.txt", b"kept")
    server.wait(collection, jobs[0], lambda state: state["status"] == "processing")
    server.expect("DELETE", f"/collections/{collection}")
    assert server.call("GET", f"/collections/{collection}")[0] == 404
    until(lambda: rows(server, "SELECT count(*) FROM collections_app_collection WHERE id = ?", collection)[0][0] == 0)
    until(lambda: not rows(server, "SELECT 1 FROM ingestion_fileregistry WHERE collection_id = ?", collection))
    assert rows(server, "SELECT status FROM ingestion_fileregistry WHERE id = ?", done)


def test_a_retry_with_other_parameters_uses_saves_and_shows_them(server, collection):
    job = server.upload(collection, "again.txt", b"x", "bad_ingest", {"way": "raise"})
    assert server.wait(collection, job)["status"] == "failed"
    path = f"/collections/{collection}/ingestion-jobs/{job}/retry"
    answer = server.expect("POST", path, {"override_params": {"way": "print"}})
    assert answer["status"] == "pending"
    assert answer["plugin_params"]["way"] == "print"
    state = server.wait(collection, job)
    assert (state["status"], state["plugin_params"]["way"]) == ("completed", "print")
    kinds = [event["kind"] for event in server.expect("GET", path.replace("/retry", "/events"))["items"]]
    assert kinds == ["submitted", "claimed", "failed", "retried", "claimed", "completed"]


def test_a_worker_killed_in_the_middle_loses_and_doubles_nothing(server, collection):
    text = "\n\n".join(f"owl-{n:05d} " + "hoots " * 60 for n in range(8000)).encode()
    job = server.upload(collection, "owl.txt", text, "slow_ingest", {"seconds": 0})
    server.wait(collection, job, lambda state: state["progress"]["unit"] == "chunk" and state["progress"]["current"])
    [(pid,)] = rows(
        server,
        "SELECT w.pid FROM ingestion_fileregistry f JOIN ingestion_worker w ON w.id = f.worker_id WHERE f.id = ?",
        job,
    )
    next(process for process in server.processes() if process.pid == pid).kill()
    state = server.wait(collection, job, limit=60)
    assert (state["status"], state["document_count"], state["attempt"]) == ("completed", 8000, 2)
    assert stored_chunks(server, job) == 8000
    events = server.expect("GET", f"/collections/{collection}/ingestion-jobs/{job}/events")["items"]
    assert [event["kind"] for event in events if event["kind"] != "stage"] == [
        "submitted",
        "claimed",
        "rescued",
        "claimed",
        "completed",
    ]


def test_two_previews_side_by_side_outlive_the_death_of_their_worker(server, collection):
    """Of one file, sent once. The one whose worker is killed is read again; nothing of either is found."""
    text = "\n\n".join(f"heron-{n:03d} " + "wades " * 20 for n in range(200)).encode()
    form = multipart({"plugin_name": "slow_ingest", "plugin_params": '{"seconds": 3, "steps": 30}'}, "heron.txt", text)
    first = server.expect("POST", f"/collections/{collection}/preview", form)["id"]
    other = {
        "source_job": first,
        "plugin_name": "simple_ingest",
        "plugin_params": {"chunk_size": 60, "chunk_overlap": 0},
    }
    second = server.expect("POST", f"/collections/{collection}/preview", other)["id"]
    server.wait(collection, first, lambda state: state["progress"]["total"])
    [(pid,)] = rows(
        server,
        "SELECT w.pid FROM ingestion_fileregistry f JOIN ingestion_worker w ON w.id = f.worker_id WHERE f.id = ?",
        first,
    )
    next(process for process in server.processes() if process.pid == pid).kill()
    one, two = server.wait(collection, first), server.wait(collection, second)
    assert (one["status"], one["attempt"], two["status"]) == ("completed", 2, "completed")
    assert one["processing_stats"]["preview"]["chunks"] == 200
    assert two["processing_stats"]["preview"]["sizes"]["max"] <= 60
    assert found(server, collection, "heron") == []
    assert stored_chunks(server, first) == stored_chunks(server, second) == 0
    assert server.expect("GET", f"/collections/{collection}/ingestion-jobs")["items"] == []
