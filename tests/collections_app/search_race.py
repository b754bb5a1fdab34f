"""Run by test_search_race.py in a process of its own, on a database file: threads publish, withdraw and search.

Each file's only chunk is its own vector, so a search for that vector tells whether the file is found. Prints one line
for each broken promise, and the number of searches last.
"""

import random
import sys
import threading
import time

import django

django.setup()

import numpy as np  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.db import connection, transaction  # noqa: E402

from collections_app import services  # noqa: E402
from collections_app.models import Document  # noqa: E402
from collections_app.search.sqlite import SqliteSearch  # noqa: E402

FILES = 60
DIMENSION = 64
SECONDS = float(sys.argv[1])

call_command("migrate", verbosity=0)
collection = services.create_collection("race", "1")
engine = SqliteSearch()
vectors = np.linalg.qr(np.random.default_rng(1).standard_normal((DIMENSION, DIMENSION)))[0].astype(np.float32)
# What is certain about each file: (published or not, since this moment); None while it is being changed.
certain: list[tuple[bool, float] | None] = [(False, 0.0)] * FILES
stop = threading.Event()
lines: list[str] = []
searches = 0


def change(first: int) -> None:
    chooser = random.Random(first)
    while not stop.is_set():
        file = chooser.randrange(first, FILES, 2)
        before = certain[file]
        assert before is not None
        certain[file] = None
        if before[0]:
            services.withdraw_file(file + 1)
        else:
            with transaction.atomic():
                document = Document.objects.create(collection=collection, file_id=file + 1)
                services.store_batch(document, 0, [{"text": str(file), "metadata": {}}], vectors[file : file + 1])
                services.publish(document)
        certain[file] = (not before[0], time.monotonic())
        services.reap(budget_seconds=0)
    connection.close()


def search(seed: int) -> None:
    global searches
    chooser = random.Random(seed)
    while not stop.is_set():
        file = chooser.randrange(FILES)
        before, began = certain[file], time.monotonic()
        hits = engine.nearest(collection, vectors[file], 1)
        found = bool(hits) and hits[0].similarity > 0.9
        if before is not None and before == certain[file] and before[1] < began and found != before[0]:
            lines.append(f"file {file}: found {found}, published {before[0]}")
        searches += 1
    connection.close()


threads = [threading.Thread(target=change, args=(first,)) for first in range(2)]
threads += [threading.Thread(target=search, args=(seed,)) for seed in range(3)]
for thread in threads:
    thread.start()
time.sleep(SECONDS)
stop.set()
for thread in threads:
    thread.join()
sys.stdout.write("\n".join([*lines, str(searches)]) + "\n")
