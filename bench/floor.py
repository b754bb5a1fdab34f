"""The pipeline against its floor: the same text read, split, embedded and inserted by a plain script in one process.

    python -m bench.floor [--megabytes 5] [--repeat 5]

Both take turns, so that a noisy machine is noisy for both. The service's time runs from the first byte of the upload
to the poll that sees it completed.
"""

import argparse
import json
import os
import random
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PARAMETERS = {"chunk_size": 500, "chunk_overlap": 0}


def make_text(size: int, seed: int) -> bytes:
    chance = random.Random(seed)
    words = ["".join(chance.choices("abcdefghijklmnopqrstuvwxyz", k=chance.randint(2, 9))) for _ in range(4000)]
    paragraphs: list[str] = []
    length = 0
    while length < size:
        paragraphs.append(" ".join(chance.choices(words, k=62)) + ".")
        length += len(paragraphs[-1]) + 2
    return "\n\n".join(paragraphs).encode()[:size]


def plain(source: Path, database: Path) -> tuple[int, float]:
    """The floor; returns chunks and seconds, imports and model loading left out."""
    from collections_app.embeddings.local import LocalEmbedder
    from plugins.chunking import split, split_options

    embedder = LocalEmbedder()
    embedder.embed(["warm"])
    connection = sqlite3.connect(database, isolation_level=None)
    connection.executescript(
        "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;"
        "CREATE TABLE chunk (id INTEGER PRIMARY KEY, document INT, position INT, text TEXT, metadata TEXT);"
        "CREATE UNIQUE INDEX position ON chunk (document, position);"
        "CREATE TABLE vector (chunk INTEGER PRIMARY KEY, vector BLOB)"
    )
    began = time.perf_counter()
    pieces = [piece.text for piece in split([source.read_text()], split_options(PARAMETERS))]
    for start in range(0, len(pieces), 512):
        batch = pieces[start : start + 512]
        vectors = embedder.embed(batch)
        connection.execute("BEGIN IMMEDIATE")
        connection.executemany(
            "INSERT INTO chunk (id, document, position, text, metadata) VALUES (?, 1, ?, ?, ?)",
            [(start + i, start + i, text, json.dumps({"chunk_index": start + i})) for i, text in enumerate(batch)],
        )
        connection.executemany(
            "INSERT INTO vector VALUES (?, ?)", [(start + i, row.tobytes()) for i, row in enumerate(vectors)]
        )
        connection.execute("COMMIT")
    return len(pieces), time.perf_counter() - began


def run_plain(source: Path, folder: Path) -> float:
    """The floor in a process of its own; returns chunks a second."""
    out = subprocess.run(
        [sys.executable, "-m", "bench.floor", "--plain", str(source), str(folder / f"floor-{time.time_ns()}.db")],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "KB_DATA_DIR": str(folder / "floor"), "DJANGO_SETTINGS_MODULE": "kbproject.settings"},
    ).stdout
    chunks, seconds = json.loads(out)
    return float(chunks / seconds)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--megabytes", type=float, default=5)
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--plain", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.plain:
        import django

        django.setup()
        print(json.dumps(plain(Path(arguments.plain[0]), Path(arguments.plain[1]))))
        return

    from bench.server import Server

    with tempfile.TemporaryDirectory(prefix="kb-floor-") as name:
        folder = Path(name)
        server = Server(folder / "server")
        server.start()
        collection = server.create_collection("floor")
        warm = server.upload(collection, "warm.txt", b"warm")
        server.wait(collection, warm)
        time.sleep(5)  # the other workers' hosts warm up
        floors, services = [], []
        for turn in range(arguments.repeat):
            text = make_text(int(arguments.megabytes * 1e6), turn)
            source = folder / f"{turn}.txt"
            source.write_bytes(text)
            floors.append(run_plain(source, folder))
            began = time.perf_counter()
            job = server.upload(collection, source.name, text, params=PARAMETERS)
            state = server.wait(collection, job, limit=300)
            services.append(state["document_count"] / (time.perf_counter() - began))
        server.stop()
        server.end()
    floor, service = statistics.median(floors), statistics.median(services)
    print(f"floor    {floor:8.0f} chunks/s   ({', '.join(f'{value:.0f}' for value in floors)})")
    print(f"service  {service:8.0f} chunks/s   ({', '.join(f'{value:.0f}' for value in services)})")
    print(f"ratio    {service / floor:8.2f}   (aim: 0.80)")


if __name__ == "__main__":
    main()
