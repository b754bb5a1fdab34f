"""Polling a job in three ways: plain, with its ETag, and waiting for a change; against a real server.

    python -m bench.polling [--seconds 8] [--clients 8] [--waiting 200]

Requests a second and the server's CPU for each way; how long after a change a waiting client is answered; and how soon
``/health`` answers while that many clients wait.
"""

import argparse
import http.client
import json
import statistics
import tempfile
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from bench.server import TOKEN, Server

HEADERS = {"Authorization": f"Bearer {TOKEN}"}


@dataclass
class Tally:
    answers: int = 0
    statuses: dict[int, int] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, status: int) -> None:
        with self.lock:
            self.answers += 1
            self.statuses[status] = self.statuses.get(status, 0) + 1


class Caller:
    """A client that keeps its connection."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=40)

    def get(self, path: str, tag: str = "") -> tuple[int, Any, dict[str, str]]:
        self.connection.request("GET", path, headers={**HEADERS, **({"If-None-Match": tag} if tag else {})})
        answer = self.connection.getresponse()
        body = answer.read()
        return answer.status, json.loads(body) if body else None, dict(answer.headers.items())


def cpu(server: Server) -> float:
    """CPU seconds that the web processes have used."""
    total = 0.0
    for process in server.processes():
        with suppress(psutil.Error):
            if "granian" in process.name() or "granian" in " ".join(process.cmdline()):
                times = process.cpu_times()
                total += times.user + times.system
    return total


def poll(server: Server, path: str, clients: int, seconds: float, way: str) -> None:
    tally, ends = Tally(), time.monotonic() + seconds

    def client() -> None:
        caller = Caller(server.port)
        tag = ""
        while time.monotonic() < ends:
            left = ends - time.monotonic()
            suffix = f"?wait={max(0.1, min(left, 20)):.1f}" if way == "wait" else ""
            status, _, headers = caller.get(path + suffix, tag if way != "plain" else "")
            tag = headers.get("etag", headers.get("ETag", tag))
            tally.add(status)
            if way == "wait" and "retry-after" in {name.lower() for name in headers}:
                time.sleep(min(3.0, max(0.0, ends - time.monotonic())))  # as it is told to

    before = cpu(server)
    threads = [threading.Thread(target=client) for _ in range(clients)]
    began = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    took = time.monotonic() - began
    used = cpu(server) - before
    print(
        f"{way:<10}{tally.answers / took:>10,.0f} requests/s{100 * used / took:>8.0f} % CPU"
        f"{1000 * used / max(1, tally.answers):>9.2f} ms CPU a request   {tally.statuses}"
    )


def latency(server: Server, collection: int, repeat: int = 20) -> None:
    """From a cancel to the answer of a client that waits for that job."""
    taken = []
    for turn in range(repeat):
        job = server.upload(collection, f"{turn}.txt", b"A text that waits for its worker.")
        path = f"/collections/{collection}/ingestion-jobs/{job}"
        waiting = threading.Event()
        answered: list[float] = []

        def wait(path: str = path, waiting: threading.Event = waiting, answered: list[float] = answered) -> None:
            caller = Caller(server.port)
            _, _, headers = caller.get(path)
            tag = {name.lower(): value for name, value in headers.items()}["etag"]
            waiting.set()
            caller.get(f"{path}?wait=20", tag)
            answered.append(time.monotonic())

        thread = threading.Thread(target=wait)
        thread.start()
        waiting.wait()
        time.sleep(0.3)  # until it has begun to wait; nothing tells that from outside
        server.expect("POST", f"{path}/cancel")
        changed = time.monotonic()
        thread.join()
        taken.append(1000 * max(0.0, answered[0] - changed))
    print(
        f"{'change':<10}waiting client answered {statistics.median(taken):.0f} ms after it (at most {max(taken):.0f})"
    )


def crowded(server: Server, path: str, clients: int, seconds: float) -> None:
    """``/health`` while many clients wait for a job that does not change."""
    ends, tally = time.monotonic() + seconds, Tally()

    def client() -> None:
        caller = Caller(server.port)
        tag = ""
        while time.monotonic() < ends:
            with suppress(OSError, http.client.HTTPException):
                status, _, headers = caller.get(f"{path}?wait=10", tag)
                lower = {name.lower(): value for name, value in headers.items()}
                tag = lower.get("etag", tag)
                tally.add(status)
                if "retry-after" in lower:
                    time.sleep(min(float(lower["retry-after"]), max(0.0, ends - time.monotonic())))

    threads = [threading.Thread(target=client, daemon=True) for _ in range(clients)]
    for thread in threads:
        thread.start()
    time.sleep(1)
    taken, caller = [], Caller(server.port)
    while time.monotonic() < ends - 0.5:
        began = time.monotonic()
        assert caller.get("/health")[0] == 200
        taken.append(1000 * (time.monotonic() - began))
        time.sleep(0.05)
    for thread in threads:
        thread.join(15)
    ordered = sorted(taken)
    print(
        f"{'crowd':<10}{clients} clients wait, {tally.answers / seconds:.0f} answers/s: /health p50 "
        f"{statistics.median(ordered):.1f} ms, p99 {ordered[int(0.99 * len(ordered))]:.1f}, at most {ordered[-1]:.1f}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=8)
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--waiting", type=int, default=200)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="kb-polling-") as folder:
        server = Server(
            Path(folder), KB_LOG_LEVEL="ERROR", MAX_CONCURRENT_INGESTION_TASKS=1, KB_PLUGIN_MODULES="bench.slow_plugin"
        )
        try:
            server.start()
            collection = server.create_collection("polled")
            # One job runs for long and reports nothing, so that all that are submitted behind it wait.
            long = {"seconds": 3600, "steps": 1}
            running = server.upload(collection, "long.txt", b"x", "slow_ingest", long)
            server.wait(collection, running, lambda job: job["progress"]["message"] == "Step 1 of 1")
            time.sleep(1)
            path = f"/collections/{collection}/ingestion-jobs/{running}"
            for way in ("plain", "etag", "wait"):
                poll(server, path, given.clients, given.seconds, way)
            latency(server, collection)
            crowded(server, path, given.waiting, given.seconds)
        finally:
            server.end()


if __name__ == "__main__":
    main()
