"""An outage of the embedding vendor: it refuses its key until many jobs have failed, is mended, and one command retries
them all.

    python -m bench.outage [--jobs 1000] [--paragraphs 4]

A real server and a stand-in for the vendor. Told are the time until all have failed, the time of the command, the time
until all have completed, and what the database then holds: of each job its chunks once, and one entry of each kind in
its diary.
"""

import argparse
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from bench.server import ROOT, Server
from tests.support.vendor import Fault, Vendor

UPLOADERS = 4
LIMIT = 1800.0  # seconds for each of the two waits
DOCUMENTS = "collections_app_document"
LIFE = ("submitted", "claimed", "failed", "retried", "claimed", "completed")
SETTINGS = {"KB_LOG_LEVEL": "WARNING"}
REFUSAL = Fault(
    "status", status=401, body={"error": {"message": "Incorrect API key provided", "code": "invalid_api_key"}}
)


def text(number: int, paragraphs: int) -> str:
    """A text of which each paragraph is a chunk."""
    return "\n\n".join(
        f"job{number:05d}-{place:03d} " + "lorem ipsum dolor sit amet " * 6 for place in range(paragraphs)
    )


def submitted(server: Server, collection: int, jobs: int, paragraphs: int) -> dict[int, int]:
    """Upload them all; job → number of its text."""

    def one(number: int) -> tuple[int, int]:
        content = text(number, paragraphs).encode()
        params = {"chunk_size": 200, "chunk_overlap": 0}
        return server.upload(collection, f"file{number:05d}.txt", content, params=params), number

    with ThreadPoolExecutor(UPLOADERS) as pool:
        return dict(pool.map(one, range(jobs)))


def wait_for(server: Server, collection: int, status: str, jobs: int) -> None:
    """:raises TimeoutError: before as many jobs are in that status"""
    ends = time.monotonic() + LIMIT
    while True:
        counts = server.expect("GET", f"/collections/{collection}/ingestion-status")["by_status"]
        if counts[status] >= jobs:
            return
        if time.monotonic() > ends:
            raise TimeoutError(f"{counts} after {LIMIT:g} s\n{server.tail()}")
        time.sleep(0.2)


def retry_all(server: Server) -> str:
    """The operator's one command, and what it says."""
    command = [sys.executable, "manage.py", "retry_failed", "--code", "vendor_rejected"]
    done = subprocess.run(command, cwd=ROOT, env=server.environment, capture_output=True, text=True, check=True)
    return done.stdout.strip()


# -- What the database holds ------------------------------------------------------------------------


def verdict(database: Path, collection: int, expected: dict[int, int], paragraphs: int) -> dict[str, Any]:
    """Jobs that are not as they should be, and all that the collection holds."""
    connection = sqlite3.connect(f"file:{database}?mode=ro", uri=True)
    statuses = dict(connection.execute("SELECT id, status FROM ingestion_fileregistry"))
    found: dict[int, list[tuple[int, str]]] = {}
    for job, document, first_word in connection.execute(
        "SELECT d.file_id, d.id, substr(c.text, 1, instr(c.text, ' ') - 1) FROM collections_app_chunk c"
        " JOIN collections_app_document d ON d.id = c.document_id"
        " WHERE d.collection_id = ? AND d.published_at IS NOT NULL AND d.withdrawn_at IS NULL"
        " ORDER BY d.id, c.position",
        (collection,),
    ):
        found.setdefault(job, []).append((document, first_word))
    diaries: dict[int, list[str]] = {}
    for job, kind in connection.execute("SELECT job_id, kind FROM ingestion_jobevent ORDER BY id"):
        if job in expected and kind in LIFE:
            diaries.setdefault(job, []).append(kind)

    def rows(table: str) -> int:
        sql = f"SELECT count(*) FROM {table} WHERE document_id IN (SELECT id FROM {DOCUMENTS} WHERE collection_id = ?)"  # noqa: S608
        return int(connection.execute(sql, (collection,)).fetchone()[0])

    result = {
        "not completed": [job for job in expected if statuses.get(job) != "completed"],
        "wrong chunks": [
            job for job, number in expected.items() if not is_whole(found.get(job, []), number, paragraphs)
        ],
        "published chunks": sum(map(len, found.values())),
        "expected chunks": len(expected) * paragraphs,
        "chunks stored": rows("collections_app_chunk"),
        "vectors stored": rows("collections_app_chunkvector"),
        "events": dict(Counter(kind for diary in diaries.values() for kind in diary)),
        "other lives": [job for job in expected if tuple(diaries.get(job, ())) != LIFE],
    }
    connection.close()
    return result


def is_whole(chunks: list[tuple[int, str]], number: int, paragraphs: int) -> bool:
    """Whether these are the chunks of that text, each once, in order, from one document."""
    words = [word for _, word in chunks]
    one_document = len({document for document, _ in chunks}) == 1
    return one_document and words == [f"job{number:05d}-{place:03d}" for place in range(paragraphs)]


def run(jobs: int, paragraphs: int, folder: Path) -> tuple[dict[str, float], str, dict[str, Any]]:
    """Times in seconds, what the command said, and the verdict."""
    with Vendor() as vendor:
        vendor.standing = REFUSAL
        server = Server(folder, **SETTINGS)
        try:
            server.start()
            model = {
                "vendor": "openai",
                "model": "stand-in",
                "api_endpoint": f"{vendor.url}/v1/embeddings",
                "apikey": "key",
            }
            collection = server.create_collection("outage", embeddings_model=model)
            times = {}
            began = time.monotonic()
            expected = submitted(server, collection, jobs, paragraphs)
            times["uploads"] = time.monotonic() - began
            wait_for(server, collection, "failed", jobs)
            times["all failed, from the first upload"] = time.monotonic() - began
            vendor.standing = None
            began = time.monotonic()
            said = retry_all(server)
            times["the command"] = time.monotonic() - began
            wait_for(server, collection, "completed", jobs)
            times["all completed, from the start of the command"] = time.monotonic() - began
            server.stop()
        finally:
            server.end()
    return times, said, verdict(folder / "data" / "kb.sqlite3", collection, expected, paragraphs)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--jobs", type=int, default=1000)
    parser.add_argument("--paragraphs", type=int, default=4, help="chunks of each job")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="kb-outage-") as folder:
        times, said, found = run(given.jobs, given.paragraphs, Path(folder))
    for name, seconds in times.items():
        print(f"{name:<46}{seconds:>8.1f} s")
    print(f"the command said: {said}")
    for name, value in found.items():
        print(f"{name:<46}{value if not isinstance(value, list) else f'{len(value)} {value[:5]}'}")
    if (
        any(found[name] for name in ("not completed", "wrong chunks", "other lives"))
        or len({found[name] for name in ("published chunks", "expected chunks", "chunks stored", "vectors stored")})
        != 1
    ):
        sys.exit(1)


if __name__ == "__main__":
    main()
