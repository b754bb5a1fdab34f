"""Deletes what was withdrawn, a little at a time.

Deleting 250,000 chunks in one transaction held the write lock for 18.7 s. So each transaction deletes what fits a
few hundredths of a second, measured as it goes, and leaves a gap in which others get the lock.
"""

import time
from collections.abc import Sequence
from typing import NamedTuple

from django.db import connection, transaction

from collections_app.models import Chunk, ChunkVector, Document
from collections_app.search import fulltext

FIRST_CHUNKS = 100  # a batch before anything was measured
LEAST_CHUNKS = 10
MOST_CHUNKS = 10_000
MOST_DOCUMENTS = 200
GAP_SHARE = 0.3  # of the time the lock was held; a waiter looks again every few milliseconds


class Reaped(NamedTuple):
    rows: int  # chunks, vectors and documents deleted
    more: bool  # withdrawn documents are left


def reap(max_seconds: float = 0.05, budget_seconds: float = 1.0) -> Reaped:
    """Delete rows of withdrawn documents for about *budget_seconds*, at least one batch.

    Not to be called inside a transaction.

    :param max_seconds: that one transaction may hold the write lock. Batches aim at a third of it, since on a busy
        machine the next one may cost three times as much as those measured.
    """
    deadline = time.monotonic() + budget_seconds
    rows = 0
    batch = float(FIRST_CHUNKS)
    while True:
        deleted, seconds = _delete_batch(round(batch))
        if not deleted:
            return Reaped(rows, more=False)
        rows += deleted
        if time.monotonic() >= deadline:
            return Reaped(rows, more=Document.objects.withdrawn().exists())
        batch = _adapted(batch, seconds, max_seconds / 3)
        time.sleep(seconds * GAP_SHARE)


def _adapted(batch: float, seconds: float, target_seconds: float) -> float:
    """The next batch: shrinks at once, grows slowly."""
    factor = min(1.2, max(0.3, target_seconds / max(seconds, 1e-6)))
    return min(MOST_CHUNKS, max(LEAST_CHUNKS, batch * factor))


def _delete_batch(chunks: int) -> tuple[int, float]:
    """Delete about *chunks* chunks in one transaction: whole small documents, or the end of a large one.

    :returns: rows deleted, and seconds from taking the write lock to the end of the commit
    """
    with transaction.atomic(durable=True):
        locked = time.monotonic()
        left = list(
            Document.objects.withdrawn()
            .order_by("withdrawn_at", "pk")
            .values_list("pk", "chunk_count")[:MOST_DOCUMENTS]
        )
        whole: list[int] = []
        total = 0
        for pk, count in left:
            if whole and total + count > chunks:
                break
            whole.append(pk)
            total += count
        rows = _delete_end(*left[0], chunks) if total > chunks else _delete_documents(whole)
    return rows, time.monotonic() - locked


def _delete_end(document: int, count: int, chunks: int) -> int:
    """Delete the last *chunks* of *count* chunks; ``chunk_count`` says how many are left."""
    chunk, vector = Chunk._meta.db_table, ChunkVector._meta.db_table
    end = "document_id = %s AND position >= %s"
    keep = count - chunks
    fulltext.remove(end, [document, keep])
    rows = _delete(vector, f"chunk_id IN (SELECT id FROM {chunk} WHERE {end})", [document, keep])  # noqa: S608
    rows += _delete(chunk, end, [document, keep])
    Document.objects.filter(pk=document).update(chunk_count=keep)
    return rows


def _delete_documents(documents: Sequence[int]) -> int:
    if not documents:
        return 0
    these = ", ".join(["%s"] * len(documents))
    fulltext.remove(f"document_id IN ({these})", documents)
    return sum(
        _delete(model._meta.db_table, f"{column} IN ({these})", documents)
        for model, column in ((ChunkVector, "document_id"), (Chunk, "document_id"), (Document, "id"))
    )


def _delete(table: str, condition: str, parameters: Sequence[int]) -> int:
    """One plain DELETE: the ORM's would first read every row, to look for others that point to it."""
    with connection.cursor() as cursor:
        cursor.execute(f"DELETE FROM {table} WHERE {condition}", parameters)  # noqa: S608
        return int(cursor.rowcount)
