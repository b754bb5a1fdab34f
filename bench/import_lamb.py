"""A LAMB KB server of 3 collections and 20,000 chunks brought over: how long it takes, killed and started again, and
whether questions find the same neighbours.

Run: python -m bench.import_lamb [--chunks 20000] (needs requirements-import.txt)
"""

import argparse
import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import numpy as np

from bench import _setup
from bench.store import WORDS
from collections_app.embeddings.local import LocalEmbedder
from collections_app.models import Chunk, Collection
from collections_app.search import engine
from tests.support.lamb import LambServer, upload_metadata

SHARES = {"biology": 0.5, "physics": 0.35, "history": 0.15}
CHUNKS_A_FILE = 100
QUESTIONS = 50
TOP = 10
FIRST_ID = 31


def make(folder: Path, count: int) -> dict[str, np.ndarray]:
    """The store on disk; each collection's vectors, length 1, in the order of adding."""
    chooser, embedder, pk, made = random.Random(4), LocalEmbedder(), 0, {}
    with LambServer(folder) as lamb:
        for number, (name, share) in enumerate(SHARES.items()):
            lamb.collection(FIRST_ID + number, name)
            texts = [" ".join(chooser.choices(WORDS, k=80)) for _ in range(round(count * share))]
            metadatas: list[dict[str, Any]] = []
            for start in range(0, len(texts), CHUNKS_A_FILE):
                pk += 1
                size = min(CHUNKS_A_FILE, len(texts) - start)
                stem = lamb.file(pk, FIRST_ID + number, f"{name}{pk}.txt", os.urandom(100_000), document_count=size)
                metadatas += [{**upload_metadata(stem, name), "chunk_index": n} for n in range(size)]
            made[name] = embedder.embed(texts)
            lamb.chunks(name, texts, made[name], metadatas)
    return made


def command(source: Path, data: Path, *options: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "manage.py", "import_lamb", str(source), "--json", *options],
        cwd=_setup.ROOT,
        env={**os.environ, "KB_DATA_DIR": str(data)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finished(child: "subprocess.Popen[str]") -> dict[str, Any]:
    began = time.perf_counter()
    out, err = child.communicate()
    assert child.returncode == 0, err
    return {**json.loads(out), "wall": time.perf_counter() - began}


def chunks_in(data: Path) -> int:
    with (
        suppress(sqlite3.OperationalError),
        closing(sqlite3.connect(f"file:{data}/kb.sqlite3?mode=ro", uri=True)) as base,
    ):
        return int(base.execute("SELECT count(*) FROM collections_app_chunk").fetchone()[0])
    return 0


def killed_halfway(source: Path, data: Path, count: int) -> int:
    """Start an import and kill it when half of the chunks are stored; how many were."""
    child = command(source, data)
    while child.poll() is None and chunks_in(data) < count / 2:
        time.sleep(0.01)
    child.send_signal(signal.SIGKILL)
    child.communicate()
    return chunks_in(data)


def compare(source: Path, vectors: dict[str, np.ndarray]) -> None:
    """LAMB's ranking, the exact one of the same vectors, and ours, for questions in each collection."""
    lamb = LambServer.existing(source)
    chooser, embedder = random.Random(9), LocalEmbedder()
    questions = [(list(SHARES)[n % 3], " ".join(chooser.choices(WORDS, k=12))) for n in range(QUESTIONS)]
    same_order = same_set = exact_order = never_further = 0
    furthest = 0.0
    for name, question in questions:
        vector = embedder.embed_query(question)
        before = lamb.nearest(name, vector, TOP)
        hits = engine().nearest(Collection.objects.get(name=name), vector, TOP)
        known = dict(Chunk.objects.filter(pk__in=[hit.chunk_id for hit in hits]).values_list("pk", "metadata"))
        after = [(known[hit.chunk_id]["document_id"], hit.similarity) for hit in hits]
        exact = np.sort(vectors[name] @ vector)[::-1][:TOP]
        same_order += [pk for pk, _ in before] == [pk for pk, _ in after]
        same_set += {pk for pk, _ in before} == {pk for pk, _ in after}
        exact_order += bool(np.allclose(exact, [similarity for _, similarity in after], atol=1e-5))
        never_further += all(ours > theirs - 1e-6 for (_, ours), (_, theirs) in zip(after, before, strict=True))
        here = dict(after)
        furthest = max([furthest, *(abs(here[pk] - similarity) for pk, similarity in before if pk in here)])
    print(f"{QUESTIONS} questions, {TOP} nearest: the same in the same order {same_order}, the same set {same_set}")
    print(f"  ours are the exact nearest {exact_order}, and at no rank further than Chroma's {never_further}")
    print(f"  similarities of the same chunks differ by {furthest:.1e} at most")


def main(count: int) -> None:
    with tempfile.TemporaryDirectory(prefix="kb-lamb-") as folder:
        source, killed = Path(folder) / "backend", Path(folder) / "killed"
        began = time.perf_counter()
        vectors = make(source, count)
        size = sum(path.stat().st_size for path in source.rglob("*") if path.is_file()) / 2**20
        print(
            f"made {len(SHARES)} collections, {count:,} chunks, {size:,.0f} MB in {time.perf_counter() - began:.0f} s"
        )
        dry = finished(command(source, _setup.FOLDER, "--dry-run"))
        print(f"dry run: {dry['seconds']:.1f} s, {dry['wall']:.1f} s with the start of the command")
        whole = finished(command(source, _setup.FOLDER))
        print(f"import: {whole['seconds']:.1f} s, {whole['wall']:.1f} s with the start; {whole['written']}; "
              f"{len(whole['findings'])} findings")  # fmt: skip
        again = finished(command(source, _setup.FOLDER))
        print(f"once more: {again['seconds']:.1f} s; {again['written']}; there already {again['there_already']}")
        stored = killed_halfway(source, killed, count)
        resumed = finished(command(source, killed))
        print(f"killed with {stored:,} chunks stored, started again: {resumed['seconds']:.1f} s; wrote "
              f"{resumed['written']['chunks']:,} more, {chunks_in(killed):,} in all")  # fmt: skip
        assert chunks_in(killed) == chunks_in(_setup.FOLDER) == count
        compare(source, vectors)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--chunks", type=int, default=20_000)
    main(parser.parse_args().chunks)
