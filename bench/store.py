"""Embedding, storing and reaping: chunks a second, and how long the write lock is held.

Run: python -m bench.store [--reap 250000]
"""

import argparse
import os
import random
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
from django.db import OperationalError, transaction

from bench import _setup
from collections_app import services
from collections_app.embeddings.local import LocalEmbedder
from collections_app.models import Chunk, Document

WORDS = [f"word{n}" for n in range(2000)] + ["the", "of", "and", "to", "in", "is", "that", "for", "it", "as"] * 60


def texts(count: int, characters: int = 500) -> list[str]:
    chooser = random.Random(1)
    return [" ".join(chooser.choices(WORDS, k=characters // 5))[:characters] for _ in range(count)]


def metadata(index: int) -> dict[str, object]:
    return {"source": "files/abc.md", "filename": "abc.md", "extension": "md", "file_size": 12345,
            "file_url": "/static/1/a/abc.md", "chunking_strategy": "recursive", "chunk_index": index}  # fmt: skip


def vectors(count: int) -> np.ndarray:
    rows: np.ndarray = np.random.default_rng(1).standard_normal((count, 256), dtype=np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return rows


def embed(passages: list[str]) -> None:
    embedder = LocalEmbedder()
    embedder.embed(passages[:10])
    began = time.process_time()
    embedder.embed(passages)
    print(f"embed: {len(passages) / (time.process_time() - began):,.0f} chunks per CPU second")


def store(passages: list[str], batch: int) -> None:
    collection = services.create_collection(f"store {batch}", "1")
    rows = vectors(len(passages))
    chunks = [{"text": text, "metadata": metadata(index)} for index, text in enumerate(passages)]
    document = Document.objects.create(collection=collection)
    began = time.perf_counter()
    for start in range(0, len(chunks), batch):
        with transaction.atomic():
            services.store_batch(document, start, chunks[start : start + batch], rows[start : start + batch])
    seconds = time.perf_counter() - began
    print(f"store, {batch} a transaction: {len(chunks) / seconds:,.0f} chunks/s")


def wait_for_lock() -> None:
    """In another process: take the write lock again and again, and tell the longest waits."""
    from django.db import connection

    waits = []
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA busy_timeout = 0")
        stop = Path(os.environ["KB_DATA_DIR"]) / "stop"
        while not stop.exists():
            began = time.perf_counter()
            while True:
                try:
                    cursor.execute("BEGIN IMMEDIATE")
                    break
                except OperationalError:
                    time.sleep(0.0005)
            waits.append(time.perf_counter() - began)
            cursor.execute("ROLLBACK")
            time.sleep(0.002)
    waits.sort()
    print(f"  a waiter's waits for the lock: p50 {waits[len(waits) // 2] * 1000:.1f} ms, "
          f"p99 {waits[int(len(waits) * 0.99)] * 1000:.1f} ms, longest {waits[-1] * 1000:.1f} ms")  # fmt: skip


def reap(count: int, per_document: int) -> None:
    passages = texts(2000)
    collection = services.create_collection(f"reap {count} {per_document}", "1")
    rows = vectors(2000)
    for first in range(0, count, per_document):
        document = Document.objects.create(collection=collection)
        with transaction.atomic():
            for start in range(0, min(per_document, count - first), 2000):
                size = min(2000, per_document, count - first - start)
                chunks = [{"text": passages[n], "metadata": metadata(n)} for n in range(size)]
                services.store_batch(document, start, chunks, rows[:size])
    services.withdraw_collection(collection)
    stop = _setup.FOLDER / "stop"
    stop.unlink(missing_ok=True)
    waiter = subprocess.Popen(
        [sys.executable, "-m", "bench.store", "--wait"], cwd=_setup.ROOT, env={**os.environ, "KB_BENCH_CHILD": "1"}
    )
    time.sleep(1)
    began = time.perf_counter()
    while services.reap(budget_seconds=1.0).more:
        pass
    seconds = time.perf_counter() - began
    stop.touch()
    waiter.wait()
    left = Chunk.objects.filter(document__collection=collection).count()
    print(f"reap, {per_document} chunks a document: {count:,} chunks in {seconds:.1f} s ({left} left)")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--reap", type=int, default=250_000)
    parser.add_argument("--wait", action="store_true")
    options = parser.parse_args()
    if options.wait:
        wait_for_lock()
    else:
        sample = texts(20_000)
        embed(sample[:8000])
        for size in (64, 256, 1000):
            store(sample, size)
        reap(options.reap, options.reap)
        reap(5000, 1)
