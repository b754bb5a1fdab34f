"""The polled endpoints of a real server over many jobs: requests per second, latency, and the plans of their SQL.

    python -m bench.api [JOBS] [SECONDS]

Eight clients keep their connections open; they run in one process that does nothing but send and receive. The aims,
on two cores that server and clients share: a job 2,000 a second, a list of 50 jobs 500, the summary 1,000.
"""

import json
import selectors
import socket
import sqlite3
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from bench.server import TOKEN, Server

CLIENTS = 8
STATUSES = (("completed", 90), ("failed", 4), ("pending", 3), ("cancelled", 2), ("deleted", 1))


def main(jobs: int, seconds: float) -> None:
    with tempfile.TemporaryDirectory(prefix="kb-bench-") as folder:
        server = Server(Path(folder), MAX_CONCURRENT_INGESTION_TASKS=1, KB_RESCUE_SECONDS=3600, KB_LOG_LEVEL="ERROR")
        server.start()
        try:
            collection = server.create_collection("bench")
            first, last = seed(Path(folder) / "data" / "kb.sqlite3", collection, jobs)
            print(f"{jobs:,} jobs in one collection, {CLIENTS} clients, {seconds:g} s each\n")
            print(f"{'':34}{'req/s':>8}{'p50 ms':>9}{'p99 ms':>9}{'bytes':>9}")
            for name, path in addresses(collection, first, last):
                measure(server.port, name, path, seconds)
        finally:
            server.end()


def addresses(collection: int, first: int, last: int) -> Iterator[tuple[str, str]]:
    base = f"/collections/{collection}"
    yield "health", "/health"
    yield "job", f"{base}/ingestion-jobs/{(first + last) // 2 // 100 * 100}"
    yield "pending job", f"{base}/ingestion-jobs/{last // 100 * 100 - 4}"
    yield "summary", f"{base}/ingestion-status"
    yield "50 jobs", f"{base}/ingestion-jobs"
    yield "50 failed jobs", f"{base}/ingestion-jobs?status=failed"
    yield "50 jobs by updated_at, failed", f"{base}/ingestion-jobs?status=failed&sort_by=updated_at"
    yield "50 jobs by status", f"{base}/ingestion-jobs?sort_by=status"
    yield "50 jobs by updated_at", f"{base}/ingestion-jobs?sort_by=updated_at"
    yield "50 jobs by original_filename", f"{base}/ingestion-jobs?sort_by=original_filename"
    yield "50 jobs by file_size", f"{base}/ingestion-jobs?sort_by=file_size"
    yield "50 jobs in the middle", f"{base}/ingestion-jobs?offset={(last - first) // 2}"
    yield "200 jobs", f"{base}/ingestion-jobs?limit=200"


# -- Seeding ----------------------------------------------------------------------------------------


def seed(database: Path, collection: int, jobs: int) -> tuple[int, int]:
    """Rows by SQL, since a million objects would take minutes. Returns the first and the last id."""
    steps, bound = [], 0
    for status, share in STATUSES:
        bound += share
        steps.append(f"WHEN n % 100 < {bound} THEN '{status}'")
    key = f"(n + {collection} * 10000000)"
    row = {
        "collection_id": str(collection),
        "original_filename": "'report-' || n || '.pdf'",
        "file_path": f"printf('ab/%032x/%032x.pdf', {key}, {key})",
        "storage_key": f"printf('%032x', {key})",
        "file_url": "''",
        "file_size": "(n * 7919) % 1000000",
        "content_type": "'application/pdf'",
        "plugin_name": "'markitdown_ingest'",
        "plugin_params": """'{"chunk_size": 1000, "chunk_overlap": 200}'""",
        "status": f"CASE {' '.join(steps)} END",
        "document_count": "40",
        "owner": "'bench'",
        "created_at": "strftime('%Y-%m-%d %H:%M:%f', 1700000000 + n * 7, 'unixepoch')",
        "updated_at": "strftime('%Y-%m-%d %H:%M:%f', 1700000060 + n * 7, 'unixepoch')",
        "processing_started_at": "strftime('%Y-%m-%d %H:%M:%f', 1700000010 + n * 7, 'unixepoch')",
        "processing_completed_at": f"CASE WHEN (CASE {' '.join(steps)} END) = 'pending' THEN NULL ELSE "
        "strftime('%Y-%m-%d %H:%M:%f', 1700000060 + n * 7, 'unixepoch') END",
        "progress_current": "40",
        "progress_total": "40",
        "progress_message": "'40 chunks added'",
        "processing_stats": f"'{json.dumps(STATS)}'",
        "not_before": "'2999-01-01 00:00:00'",
    }
    connection = sqlite3.connect(database, timeout=60)
    with connection:
        connection.execute(
            f"WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < {jobs})"  # noqa: S608
            f" INSERT INTO ingestion_fileregistry ({', '.join(row)}) SELECT {', '.join(row.values())} FROM numbers"
        )
        ids = connection.execute(
            "SELECT min(id), max(id) FROM ingestion_fileregistry WHERE collection_id = ?", [collection]
        ).fetchone()
    connection.close()
    return int(ids[0]), int(ids[1])


STATS = {
    "content_length": 40210,
    "images_extracted": 0,
    "chunking_strategy": "standard",
    "chunk_stats": {"count": 40, "avg_size": 1005.2, "min_size": 200, "max_size": 1990},
    "stage_timings": [
        {"stage": stage, "duration_ms": 120, "message": "done", "timestamp": "2025-12-30T10:00:05Z"}
        for stage in ("conversion", "chunking", "embedding")
    ],
    "output_files": None,
    "markdown_preview": "# Report " + "lorem ipsum " * 60,
}


# -- Clients ----------------------------------------------------------------------------------------


def measure(port: int, name: str, path: str, seconds: float) -> None:
    request = f"GET {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {TOKEN}\r\n\r\n".encode()
    warm = time.monotonic() + min(1.0, seconds / 3)
    drive(port, request, warm)
    began = time.monotonic()
    latencies, size = drive(port, request, began + seconds)
    latencies.sort()
    rate = len(latencies) / (time.monotonic() - began)
    p50, p99 = (latencies[int(len(latencies) * share)] * 1000 for share in (0.5, 0.99))
    print(f"{name:34}{rate:8,.0f}{p50:9.2f}{p99:9.2f}{size:9,}", flush=True)


def drive(port: int, request: bytes, until: float, clients: int = CLIENTS) -> tuple[list[float], int]:
    """Every client sends its next request when the last one is answered. Returns latencies and the body's length."""
    latencies: list[float] = []
    length = 0
    with selectors.DefaultSelector() as selector:
        sent: dict[socket.socket, float] = {}
        buffers: dict[socket.socket, bytes] = {}
        for _ in range(clients):
            client = socket.create_connection(("127.0.0.1", port))
            selector.register(client, selectors.EVENT_READ)
            client.sendall(request)
            sent[client], buffers[client] = time.monotonic(), b""
        while time.monotonic() < until or not latencies:
            for key, _ in selector.select(timeout=30):
                client = key.fileobj  # type: ignore[assignment]
                buffers[client] += client.recv(1 << 20)
                complete = answered(buffers[client])
                if complete < 0:
                    continue
                length = complete
                now = time.monotonic()
                latencies.append(now - sent[client])
                client.sendall(request)
                sent[client], buffers[client] = now, b""
        for client in sent:
            client.close()
    return latencies, length


def answered(buffer: bytes) -> int:
    """The body's length when the answer is complete, else -1."""
    end = buffer.find(b"\r\n\r\n")
    if end < 0:
        return -1
    if not buffer.startswith(b"HTTP/1.1 200"):
        raise RuntimeError(buffer.decode(errors="replace")[:500])
    head = buffer[:end].lower()
    start = head.find(b"content-length:") + 15
    length = int(head[start:].split(b"\r\n", 1)[0])
    return length if len(buffer) >= end + 4 + length else -1


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 10_000, float(sys.argv[2]) if len(sys.argv) > 2 else 3.0)
