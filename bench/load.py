"""What the server's users feel while it works, over HTTP: python -m bench.load [queue query reap memory progress]

queue     a job's GET while three large files are ingested, with nothing and with 1,000 jobs waiting behind them
query     a question at 50,000 chunks, idle and while files complete
reap      a job's GET while the 250,000 chunks of a deleted job are reaped
memory    how much a text of 200 MB adds to the largest memory each process ever had
progress  a plugin that reports each of its chunks against the same plugin in silence

Everything runs with the built-in model. Eight clients poll as fast as they are answered, in a process that does
nothing else; questions come from one client.
"""

import argparse
import json
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import psutil

from bench.api import drive
from bench.floor import make_text
from bench.server import ROOT, TOKEN, Server

SPLIT = {"chunk_size": 500, "chunk_overlap": 0}
QUESTION = {"query_text": "which words are in the passage", "top_k": 5}


def request(method: str, path: str, body: dict[str, Any] | None = None) -> bytes:
    data = json.dumps(body).encode() if body else b""
    head = f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {TOKEN}\r\n"
    if data:
        head += f"Content-Type: application/json\r\nContent-Length: {len(data)}\r\n"
    return head.encode() + b"\r\n" + data


def show(label: str, latencies: list[float], seconds: float) -> None:
    ranked = sorted(latencies)
    p50, p99 = (ranked[int(len(ranked) * share)] * 1000 for share in (0.5, 0.99))
    print(f"  {label:40}{len(ranked) / seconds:8,.0f}/s   p50 {p50:6.1f} ms   p99 {p99:6.1f} ms   "
          f"longest {ranked[-1] * 1000:6.1f} ms", flush=True)  # fmt: skip


def timed(server: Server, label: str, message: bytes, seconds: float, clients: int = 8) -> None:
    began = time.monotonic()
    latencies, _ = drive(server.port, message, began + seconds, clients)
    show(label, latencies, time.monotonic() - began)


def query_database(server: Server, sql: str) -> int:
    with closing(sqlite3.connect(f"file:{server.folder}/data/kb.sqlite3?mode=ro", uri=True, timeout=30)) as database:
        return int(database.execute(sql).fetchone()[0])


def warmed(server: Server) -> int:
    """A collection in which every worker has run a job, so that no plugin host starts meanwhile."""
    server.start()
    collection = server.create_collection("load")
    for job in [server.upload(collection, f"warm{n}.txt", make_text(400_000, n)) for n in range(6)]:
        server.wait(collection, job)
    time.sleep(5)
    return collection


# -- Scenarios -------------------------------------------------------------------------------------


def queue(server: Server, repeat: int) -> None:
    collection = warmed(server)
    watched = server.upload(collection, "watched.txt", b"a short text")
    server.wait(collection, watched)
    poll = request("GET", f"/collections/{collection}/ingestion-jobs/{watched}")
    large, small = make_text(150_000_000, 1), make_text(1000, 2)
    for turn in range(repeat):
        for waiting in (0, 1100) if turn % 2 == 0 else (1100, 0):
            jobs = [server.upload(collection, f"large{n}.txt", large, params=SPLIT) for n in range(3)]
            for job in jobs:
                server.wait(collection, job, lambda state: state["progress"]["unit"] == "chunk")
            jobs += [server.upload(collection, f"{n}.txt", small) for n in range(waiting)]
            queued = query_database(server, "SELECT count(*) FROM ingestion_fileregistry WHERE status = 'pending'")
            timed(server, f"job GET, {queued} waiting", poll, 8)
            for job in reversed(jobs):
                server.expect("DELETE", f"/collections/{collection}/files/{job}")


def query(server: Server, repeat: int) -> None:
    collection = warmed(server)
    for job in [server.upload(collection, f"{n}.txt", make_text(500_000, n), params=SPLIT) for n in range(50)]:
        server.wait(collection, job)
    chunks = query_database(server, "SELECT count(*) FROM collections_app_chunk")
    print(f"  {chunks:,} chunks in {collection}")
    ask = request("POST", f"/collections/{collection}/query", QUESTION)
    timed(server, "first questions", ask, 3, clients=1)
    for _ in range(repeat):
        timed(server, "question, idle", ask, 8, clients=1)
        feeder = subprocess.Popen(
            [sys.executable, "-m", "bench.load", "--feed", str(server.port), str(collection), "10"], cwd=ROOT
        )
        time.sleep(1)
        timed(server, "question, while files complete", ask, 8, clients=1)
        feeder.wait()


def feed(port: int, collection: int, seconds: float) -> None:
    """Upload files of 10 KB one after the other, each when the last one has completed."""
    server = Server(Path(tempfile.mkdtemp()))
    server.port = port
    ended = time.monotonic() + seconds
    count = 0
    while time.monotonic() < ended:
        job = server.upload(collection, f"fed{count}.txt", make_text(10_000, count), params=SPLIT)
        server.wait(collection, job)
        count += 1
    print(f"  ({count} files completed meanwhile)")


def reap(server: Server, repeat: int) -> None:
    collection = warmed(server)
    watched = server.upload(collection, "watched.txt", b"a short text")
    server.wait(collection, watched)
    poll = request("GET", f"/collections/{collection}/ingestion-jobs/{watched}")
    text = make_text(125_000_000, 3)
    for _ in range(repeat):
        job = server.upload(collection, "large.txt", text, params=SPLIT)
        state = server.wait(collection, job, limit=600)
        timed(server, "job GET, idle", poll, 8)
        server.expect("DELETE", f"/collections/{collection}/files/{job}")
        began, latencies = time.monotonic(), []
        while query_database(server, "SELECT count(*) FROM (SELECT 1 FROM collections_app_chunk LIMIT 10000)") > 9000:
            latencies += drive(server.port, poll, time.monotonic() + 1)[0]
        seconds = time.monotonic() - began
        show(f"job GET, {state['document_count']:,} chunks reaped", latencies, seconds)
        print(f"  reaped in {seconds:.1f} s")


def memory(server: Server, repeat: int) -> None:
    collection = warmed(server)
    text = make_text(200_000_000, 4)
    path = server.folder / "large.txt"
    path.write_bytes(text)
    del text
    before = {process.pid: peak(process, reset=True) for process in server.processes()}
    began = time.monotonic()
    sent = subprocess.run(
        ["curl", "-sf", "-F", f"file=@{path}", "-F", "plugin_name=simple_ingest",  # noqa: S607  (whichever curl)
         "-F", f"plugin_params={json.dumps(SPLIT)}", "-H", f"Authorization: Bearer {TOKEN}",
         f"{server.url}/collections/{collection}/ingest-file"], capture_output=True, check=True)  # fmt: skip
    state = server.wait(collection, int(json.loads(sent.stdout)["id"]), limit=900)
    print(f"  200 MB, {state['document_count']:,} chunks, {state['status']} in {time.monotonic() - began:.0f} s")
    for process in server.processes():
        name = process.name() + " " + " ".join(process.cmdline())[-40:]
        after = peak(process)
        start = before.get(process.pid, 0)
        print(f"  {process.pid:>7} {name:60} {start:7.1f} → {after:7.1f} MB   +{after - start:.1f}")


def peak(process: psutil.Process, *, reset: bool = False) -> float:
    """The largest resident memory that a process had since the last reset, in MB."""
    if reset:
        Path(f"/proc/{process.pid}/clear_refs").write_text("5")
    status = Path(f"/proc/{process.pid}/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1]) / 1000


def progress(server: Server, repeat: int) -> None:
    collection = warmed(server)
    text = make_text(5_000_000, 5)
    warm = server.upload(collection, "warm.txt", text, "telling_ingest")
    server.wait(collection, warm)
    taken: dict[bool, list[float]] = {True: [], False: []}
    for turn in range(repeat * 8):
        tell = turn % 4 in (0, 3)
        job = server.upload(collection, f"{turn}.txt", text, "telling_ingest", {"tell": tell})
        state = server.wait(collection, job, limit=120)
        taken[tell].append(state["processing_duration_seconds"])
    silent, telling = statistics.median(taken[False]), statistics.median(taken[True])
    print(f"  silent  {silent:.2f} s ({min(taken[False]):.2f}–{max(taken[False]):.2f})")
    print(
        f"  telling {telling:.2f} s ({min(taken[True]):.2f}–{max(taken[True]):.2f})   {state['document_count']} reports"
    )
    print(f"  cost    {(telling / silent - 1) * 100:+.1f} %")


SCENARIOS = {"queue": queue, "query": query, "reap": reap, "memory": memory, "progress": progress}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scenario", nargs="*", choices=[*SCENARIOS, []], help="all of them unless named")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--feed", nargs=3, type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.feed:
        return feed(*arguments.feed)
    for name in arguments.scenario or SCENARIOS:
        print(name)
        with tempfile.TemporaryDirectory(prefix="kb-load-") as folder:
            server = Server(Path(folder), KB_PLUGIN_MODULES="bench.slow_plugin", KB_LOG_LEVEL="ERROR")
            try:
                SCENARIOS[name](server, arguments.repeat)
            finally:
                server.stop()
                server.end()


if __name__ == "__main__":
    main()
