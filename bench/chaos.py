"""A kill storm: the server ingests while its processes are killed and stopped at random.

    python -m bench.chaos [--jobs 200] [--seconds 120] [--seed 1]

Afterwards the database is asked: is every job completed, with exactly its own chunks, each once, from one run; is
nothing else found; and is no process left behind. Every fault names the role and pid that it hit.
"""

import argparse
import json
import os
import random
import signal
import sqlite3
import sys
import tempfile
import threading
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil

from bench.server import Server

ROLES = ["worker", "worker", "worker", "host", "host", "sentinel", "monitor", "pusher", "cluster", "supervisor"]
LEAST_FAULTS = 12
SETTINGS = {
    # A storm kills in a minute what a server meets in years: everything that waits, waits shorter here, and a job
    # may lose its worker more often before it is given up.
    "KB_LEASE_SECONDS": 4,
    "KB_HEARTBEAT_SECONDS": 1,
    "KB_RESCUE_SECONDS": 0.5,
    "KB_MAX_LOST_LEASES": 100,
    "KB_PLUGIN_MODULES": "bench.slow_plugin",
    "KB_LOG_LEVEL": "WARNING",
}


def text(tag: str, paragraphs: int) -> bytes:
    return "\n\n".join(
        f"{tag}-{number:05d} " + "lorem ipsum dolor sit amet " * 6 for number in range(paragraphs)
    ).encode()


def roles(server: Server) -> dict[str, list[psutil.Process]]:
    """The server's living processes by what they are."""
    found: dict[str, list[psutil.Process]] = {role: [] for role in [*ROLES, "web"]}
    with suppress(psutil.Error):
        if server.process and server.process.poll() is None:
            found["supervisor"] = [psutil.Process(server.process.pid)]
    for process in server.processes():
        with suppress(psutil.Error):
            line = " ".join(process.cmdline()).strip()  # a title that is shorter than the command is padded
            parent = process.parent()
            if "plugins.host" in line:
                found["host"].append(process)
            elif "manage.py serve" in line or line.startswith("granian"):
                found["web"].append(process)
            elif line.endswith("monitor"):
                found["monitor"].append(process)
            elif line.endswith("pusher"):
                found["pusher"].append(process)
            elif line.startswith("qcluster") and (line.endswith("idle") or "processing" in line):
                found["worker"].append(process)
            elif server.process and parent and parent.pid == server.process.pid and line.startswith("qcluster"):
                found["cluster"].append(process)
                found["sentinel"] += process.children()
    return found


class Storm:
    """Hits one process every so often; what it did stands in ``faults``."""

    def __init__(self, server: Server, seed: int) -> None:
        self.server = server
        self.random = random.Random(seed)
        self.faults: list[tuple[str, int, str]] = []
        self.restarts = 0

    def goes_on(self, elapsed: float, seconds: float) -> bool:
        """For so many seconds, and on a slow machine until it was a storm at all."""
        return elapsed < seconds or (len(self.faults) < LEAST_FAULTS and elapsed < 4 * seconds)

    def strike(self) -> None:
        role = self.random.choice(ROLES)
        candidates = roles(self.server)[role]
        if not candidates:
            return
        victim = self.random.choice(candidates)
        stop = self.random.random() < 0.25
        with suppress(psutil.NoSuchProcess):
            if stop:
                victim.send_signal(signal.SIGSTOP)
            else:
                victim.kill()
            self.faults.append((role, victim.pid, "SIGSTOP" if stop else "SIGKILL"))
            if role == "supervisor":
                self.revive(victim, stop)

    def revive(self, victim: psutil.Process, stopped: bool) -> None:
        """A supervisor has nobody above it: a stopped one goes on after a while, a killed one is started again."""
        if stopped:
            time.sleep(self.random.uniform(0.5, 2.0))
            victim.send_signal(signal.SIGCONT)
            return
        assert self.server.process
        self.server.process.wait(10)
        self.server.start()
        self.restarts += 1


def submit(
    server: Server, collection: int, jobs: int, expected: dict[int, tuple[str, int]], lock: Any, seed: int
) -> None:
    chance = random.Random(seed)
    for number in range(jobs):
        tag = f"job{number:04d}"
        paragraphs = chance.choice([3, 20, 20, 200, 1500])
        slow = chance.random() < 0.3
        params = {"seconds": chance.uniform(0.2, 2) if slow else 0.01, "helper": slow and chance.random() < 0.5}
        name = f"{tag}.txt"
        while True:
            try:
                job = server.upload(collection, name, text(tag, paragraphs), "slow_ingest", params)
                break
            except (OSError, RuntimeError, ValueError):
                # Not acknowledged: it may or may not have been taken. A new name tells the two apart.
                name = f"{tag}-{chance.randrange(10**6)}.txt"
                time.sleep(0.2)
        with lock:
            expected[job] = (tag, paragraphs)


def verdict(database: Path, expected: dict[int, tuple[str, int]]) -> dict[str, Any]:
    """What the database says, for every job that was acknowledged."""
    connection = sqlite3.connect(f"file:{database}?mode=ro", uri=True)
    jobs = {
        row[0]: row[1:]
        for row in connection.execute(
            "SELECT id, status, document_count, attempt, error_code FROM ingestion_fileregistry"
        )
    }
    lost = [job for job in expected if job not in jobs]
    not_completed = {job: jobs[job] for job in expected if job in jobs and jobs[job][0] != "completed"}
    stuck = [job for job, row in jobs.items() if row[0] in {"pending", "processing"}]
    wrong: list[str] = []
    for job, (tag, paragraphs) in expected.items():
        documents = connection.execute(
            "SELECT d.id, d.chunk_count, f.run_id = d.run_id FROM collections_app_document d"
            " JOIN ingestion_fileregistry f ON f.id = d.file_id"
            " WHERE d.file_id = ? AND d.published_at IS NOT NULL AND d.withdrawn_at IS NULL",
            (job,),
        ).fetchall()
        if len(documents) != 1 or not documents[0][2]:
            wrong.append(f"job {job}: published documents {documents}")
            continue
        texts = [
            row[0]
            for row in connection.execute(
                "SELECT text FROM collections_app_chunk WHERE document_id = ? ORDER BY position", (documents[0][0],)
            )
        ]
        if [part.split()[0] for part in texts] != [f"{tag}-{number:05d}" for number in range(paragraphs)]:
            wrong.append(f"job {job}: {len(texts)} chunks instead of {paragraphs}")
        vectors = connection.execute(
            "SELECT count(*) FROM collections_app_chunkvector WHERE document_id = ?", (documents[0][0],)
        ).fetchone()[0]
        if vectors != paragraphs or jobs[job][1] != paragraphs:
            wrong.append(f"job {job}: {vectors} vectors, document_count {jobs[job][1]}, expected {paragraphs}")
    unseen = connection.execute(
        "SELECT count(*) FROM collections_app_chunk c JOIN collections_app_document d ON d.id = c.document_id"
        " WHERE d.published_at IS NULL OR d.withdrawn_at IS NOT NULL"
    ).fetchone()[0]
    attempts = Counter(row[2] for row in jobs.values())
    connection.close()
    return {
        "acknowledged": len(expected),
        "lost": lost,
        "not_completed": not_completed,
        "stuck": stuck,
        "wrong": wrong,
        "unpublished_chunks_left": unseen,
        "attempts": dict(sorted(attempts.items())),
    }


def run(jobs: int, seconds: float, seed: int, folder: Path) -> dict[str, Any]:
    server = Server(folder, **SETTINGS)
    expected: dict[int, tuple[str, int]] = {}
    try:
        server.start()
        collection = server.create_collection("storm")
        storm = Storm(server, seed)
        began = time.monotonic()
        feeder = threading.Thread(target=submit, args=(server, collection, jobs, expected, threading.Lock(), seed))
        feeder.start()
        while (raging := storm.goes_on(time.monotonic() - began, seconds)) or feeder.is_alive():
            time.sleep(storm.random.uniform(0.3, 1.5))
            if raging:
                storm.strike()
        settled = settle(server, limit=180)
        server.stop()
        left = [" ".join(process.cmdline())[:80] for process in server.processes()]
        return {
            "seed": seed,
            "seconds": round(time.monotonic() - began, 1),
            "faults": dict(Counter(f"{role} {kind}" for role, _, kind in storm.faults)),
            "faults_total": len(storm.faults),
            "supervisor_restarts": storm.restarts,
            "settled": settled,
            **verdict(folder / "data" / "kb.sqlite3", expected),
            "processes_left": left,
        }
    finally:
        server.end()


def settle(server: Server, limit: float) -> bool:
    """Wait until no job is live, neither of the storm's nor a sample, and nothing is left to reap."""
    deadline = time.monotonic() + limit
    while time.monotonic() < deadline:
        with suppress(OSError, RuntimeError, ValueError):
            if server.process and server.process.poll() is not None:
                server.start()
            if not server.expect("GET", "/ingestion-jobs?status=pending,processing&limit=1")["items"]:
                time.sleep(3)  # a round of the reaper
                return True
        time.sleep(0.5)
    return False


def is_clean(result: dict[str, Any]) -> bool:
    bad = ("lost", "not_completed", "stuck", "wrong", "unpublished_chunks_left", "processes_left")
    return result["settled"] and not any(result[key] for key in bad)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=120)
    parser.add_argument("--seed", type=int, default=int(time.time()) % 10000)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="kb-chaos-") as folder:
        result = run(arguments.jobs, arguments.seconds, arguments.seed, Path(folder))
        print(json.dumps(result, indent=1))
        if not is_clean(result):
            print(Server.tail.__doc__ or "", (Path(folder) / "server.log").read_text()[-4000:], file=sys.stderr)
            os._exit(1)


if __name__ == "__main__":
    main()
