"""Writes chunks, their vectors and their words, fast: the part of an ingestion that holds the write lock."""

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from django.db import connection
from django.db.models import F

from collections_app.embeddings.base import Vectors, VendorError, clean
from collections_app.errors import DocumentLost
from collections_app.models import Chunk, ChunkVector, Collection, Document
from collections_app.search import fulltext


def store_batch(document: Document, start: int, chunks: Sequence[Mapping[str, Any]], vectors: Vectors) -> None:
    """Add *chunks* as positions *start*, *start* + 1, … of *document*. To be called inside the caller's transaction.

    :param chunks: ``{"text": str, "metadata": dict}`` each
    :param vectors: shape (len(chunks), dimension), rows of length 1
    :raises DocumentLost: the document is no longer this run's, or holds more or fewer than *start* chunks
    :raises VendorError: ``dimension_mismatch``
    """
    if len(chunks) != len(vectors):
        raise ValueError(f"{len(vectors)} vectors for {len(chunks)} chunks")
    held = Document.objects.unfinished().filter(pk=document.pk, run_id=document.run_id, chunk_count=start)
    if not held.update(chunk_count=F("chunk_count") + len(chunks)):
        raise DocumentLost(document.pk)
    document.chunk_count = start + len(chunks)
    if chunks:
        pin_dimension(document.collection, vectors.shape[1])
        _insert(document.pk, start, chunks, vectors)
        fulltext.add(document.collection_id, document.pk, start, document.chunk_count)


def pin_dimension(collection: Collection, dimension: int) -> None:
    """The collection's first vectors decide its dimension; later ones must have the same.

    :raises VendorError: ``dimension_mismatch``
    """
    if collection.embedding_dimension is None:
        unpinned = Collection.objects.filter(pk=collection.pk, embedding_dimension__isnull=True)
        # Not set on the object here: the caller's transaction may yet roll back.
        if not unpinned.update(embedding_dimension=dimension):
            collection.refresh_from_db(fields=["embedding_dimension"])
    check_dimension(collection, dimension)


def check_dimension(collection: Collection, dimension: int) -> None:
    """:raises VendorError: ``dimension_mismatch`` when vectors of *dimension* do not fit the collection's"""
    if collection.embedding_dimension not in (None, dimension):
        raise VendorError(
            "dimension_mismatch",
            f"The embedding model {collection.embedding_model!r} now makes vectors of {dimension} numbers, but this "
            f"collection was built with {collection.embedding_dimension}.",
            hint="Serve the former model under that name again, or ingest the files into a new collection.",
            context={"expected": collection.embedding_dimension, "got": dimension},
        )


def _insert(document_id: int, start: int, chunks: Sequence[Mapping[str, Any]], vectors: Vectors) -> None:
    """Plain inserts: 34,000 chunks/s on one core into SQLite without their words, against 14,000 for ``bulk_create``.

    ``bulk_create`` builds two objects a chunk and statements of at most 249 rows; ``executemany`` prepares one.
    The chunks' ids are read back by position, which the unique index answers.
    """
    rows = [
        (document_id, start + place, clean(chunk["text"]), encoded(chunk.get("metadata") or {}))
        for place, chunk in enumerate(chunks)
    ]
    chunk, vector = Chunk._meta.db_table, ChunkVector._meta.db_table
    with connection.cursor() as cursor:
        cursor.executemany(
            f"INSERT INTO {chunk} (document_id, position, text, metadata) VALUES (%s, %s, %s, %s)",  # noqa: S608
            rows,
        )
        ids = Chunk.objects.filter(document_id=document_id, position__gte=start, position__lt=start + len(chunks))
        data = np.ascontiguousarray(vectors, dtype="<f4").tobytes()
        width = len(data) // len(chunks)
        cursor.executemany(
            f"INSERT INTO {vector} (chunk_id, document_id, vector) VALUES (%s, %s, %s)",  # noqa: S608
            [
                (pk, document_id, data[place * width : (place + 1) * width])
                for place, pk in enumerate(ids.order_by("position").values_list("pk", flat=True))
            ],
        )


def encoded(metadata: Mapping[str, Any]) -> str:
    """*metadata* as JSON that both databases accept: numbers that JSON does not know become null."""
    try:
        text = json.dumps(metadata, allow_nan=False)
    except ValueError:
        text = json.dumps(_without_nan(metadata))
    # What json writes for NUL and for half characters; PostgreSQL accepts neither, and neither can be sent as UTF-8.
    if "\\u0000" in text or "\\ud" in text:
        text = json.dumps(_cleaned(json.loads(text)))
    return text


def _without_nan(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, Mapping):
        return {key: _without_nan(item) for key, item in value.items()}
    return [_without_nan(item) for item in value] if isinstance(value, list | tuple) else value


def _cleaned(value: Any) -> Any:
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, dict):
        return {clean(key): _cleaned(item) for key, item in value.items()}
    return [_cleaned(item) for item in value] if isinstance(value, list) else value
