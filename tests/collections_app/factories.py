"""Collections and documents for tests, made as the engine makes them."""

import itertools
import uuid
from typing import Any

import numpy as np
from django.db import transaction

from collections_app import services
from collections_app.models import Collection, Document

_names = itertools.count(1)


def make_collection(**fields: Any) -> Collection:
    values = {"name": f"collection {next(_names)}", "owner": "1", "embedding_vendor": "local"}
    values["embedding_model"] = "wordllama-l2-supercat-256"
    return Collection.objects.create(**values | fields)


def unit_rows(count: int, dimension: int = 8, seed: int = 1) -> np.ndarray:
    """*count* random rows of length 1, shape (count, dimension)."""
    rows: np.ndarray = np.random.default_rng(seed).standard_normal((count, dimension)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return rows


def passages(count: int, word: str = "passage") -> list[dict[str, Any]]:
    return [{"text": f"{word} {n}", "metadata": {"chunk_index": n}} for n in range(count)]


def fill(
    collection: Collection,
    vectors: np.ndarray,
    *,
    file_id: int = 1,
    published: bool = True,
    source_key: str = "key",
    word: str = "passage",
) -> Document:
    """A document of *file_id* with one chunk for each row of *vectors*."""
    with transaction.atomic():
        document = services.begin_document(collection, file_id, uuid.uuid4(), source_key)
        services.store_batch(document, 0, passages(len(vectors), word), vectors)
        if published:
            services.publish(document)
    collection.refresh_from_db()
    document.refresh_from_db()
    return document
