"""A query end to end (list, refresh, compare, fetch), idle and while another process publishes documents.

Run: python -m bench.search [--chunks 50000] [--documents 50] [--seconds 10]
"""

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
from django.db import transaction

from bench import _setup
from collections_app import services
from collections_app.models import Collection, Document
from collections_app.search import engine

DIMENSION = 256


def fill(name: str, chunks: int, documents: int) -> Collection:
    collection = services.create_collection(name, "1")
    random = np.random.default_rng(1)
    each = chunks // documents
    for _ in range(documents):
        publish_one(collection, each, random)
    collection.refresh_from_db()
    return collection


def publish_one(collection: Collection, chunks: int, random: np.random.Generator) -> None:
    rows = random.standard_normal((chunks, DIMENSION), dtype=np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    passages = [{"text": f"Passage {n} " + "of text " * 60, "metadata": {"chunk_index": n}} for n in range(chunks)]
    with transaction.atomic():
        document = Document.objects.create(collection=collection)
        services.store_batch(document, 0, passages, rows)
        services.publish(document)


def keep_publishing(name: str, chunks: int) -> None:
    """In another process, until told to stop: publish documents and withdraw the oldest of them."""
    collection = Collection.objects.get(name=name)
    random = np.random.default_rng(2)
    count = 0
    while not (Path(os.environ["KB_DATA_DIR"]) / "stop").exists():
        publish_one(collection, chunks, random)
        count += 1
        if count > 20:
            services.withdraw_run(Document.objects.published().filter(collection=collection).latest("pk").run_id)
        time.sleep(0.02)
    print(f"  ({count} documents of {chunks} chunks were published meanwhile)")


def measure(label: str, collection: Collection, seconds: float) -> None:
    times: list[float] = []
    until = time.perf_counter() + seconds
    while time.perf_counter() < until:
        began = time.perf_counter()
        services.search(collection, f"question number {len(times)}", 5)
        times.append(time.perf_counter() - began)
        time.sleep(0.002)
    times.sort()
    print(f"{label}: p50 {times[len(times) // 2] * 1000:.1f} ms, p99 {times[int(len(times) * 0.99)] * 1000:.1f} ms, "
          f"{len(times)} queries")  # fmt: skip


def scenario(chunks: int, documents: int, seconds: float) -> None:
    name = f"{chunks} in {documents}"
    collection = fill(name, chunks, documents)
    engine.cache_clear()
    began = time.perf_counter()
    services.search(collection, "first question", 5)
    print(f"{chunks:,} chunks in {documents:,} documents: first query {(time.perf_counter() - began) * 1000:.0f} ms")
    measure("  idle", collection, seconds / 2)
    stop = _setup.FOLDER / "stop"
    stop.unlink(missing_ok=True)
    for size in (1, 100):
        publisher = subprocess.Popen(
            [sys.executable, "-m", "bench.search", "--publish", name, "--chunks", str(size)],
            cwd=_setup.ROOT,
            env={**os.environ, "KB_BENCH_CHILD": "1"},
        )
        time.sleep(1.5)
        measure(f"  while documents of {size} chunks are published", collection, seconds)
        stop.touch()
        publisher.wait()
        stop.unlink()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--chunks", type=int, default=50_000)
    parser.add_argument("--documents", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=8)
    parser.add_argument("--publish")
    options = parser.parse_args()
    if options.publish:
        keep_publishing(options.publish, options.chunks)
    else:
        scenario(options.chunks, options.documents, options.seconds)
        scenario(options.chunks // 10, options.chunks // 10, options.seconds)
