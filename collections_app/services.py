"""What the API, the pipeline and the pages do with collections: create, change, fill, withdraw, search.

The verbs of documents are in ``collections_app.documents``, and are given here too, so that callers need one import.
"""

import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from enum import Enum
from typing import Any

from django.db import IntegrityError, transaction

from collections_app import crypto
from collections_app.documents import (
    FileChunks,
    add_documents,
    begin_document,
    file_chunks,
    publish,
    require_live,
    resumable,
    withdraw_collection,
    withdraw_file,
    withdraw_files,
    withdraw_run,
)
from collections_app.embeddings import embedder_for as embedder
from collections_app.embeddings import resolve_embeddings
from collections_app.embeddings.base import Vector, clean
from collections_app.embeddings.choice import check_api_key
from collections_app.errors import InvalidName, InvalidVisibility, NameTaken
from collections_app.models import Chunk, Collection, Visibility
from collections_app.reaper import Reaped, reap
from collections_app.search import Hit, engine
from collections_app.storing import check_dimension, store_batch

__all__ = [
    "FileChunks",
    "Reaped",
    "add_documents",
    "begin_document",
    "change_api_key",
    "create_collection",
    "embedder",
    "file_chunks",
    "publish",
    "reap",
    "require_live",
    "resumable",
    "search",
    "search_text",
    "store_batch",
    "update_collection",
    "withdraw_collection",
    "withdraw_file",
    "withdraw_files",
    "withdraw_run",
]

NAME_LENGTH = 255
FETCHED_AT_ONCE = 5000  # chunks in one statement; SQLite takes 32,766 parameters


class Unset(Enum):
    """Tells "not given" from None, which clears a description."""

    UNSET = "unset"


UNSET = Unset.UNSET


# -- Collections ------------------------------------------------------------------------------------


def create_collection(
    name: str,
    owner: str,
    description: str | None = None,
    visibility: str = Visibility.PRIVATE,
    embeddings: Mapping[str, Any] | None = None,
) -> Collection:
    """A new, empty collection. The embedding vendor is not called.

    :param embeddings: the request's ``embeddings_model``; see :func:`resolve_embeddings`
    :raises NameTaken, InvalidName, InvalidVisibility, InvalidEmbeddings:
    """
    _check_name(name)
    _check_free(name, owner)
    _check_visibility(visibility)
    choice = resolve_embeddings(embeddings)
    collection = Collection(
        name=name,
        owner=owner,
        description=None if description is None else clean(description),
        visibility=visibility,
        embedding_vendor=choice.vendor,
        embedding_model=choice.model,
        embedding_endpoint=choice.endpoint,
        embedding_api_key=crypto.encrypt(choice.api_key),
    )
    _save(collection, force_insert=True)
    collection.refresh_from_db(fields=["creation_date"])
    return collection


def update_collection(
    collection: Collection,
    *,
    name: str | Unset = UNSET,
    description: str | Unset | None = UNSET,
    visibility: str | Unset = UNSET,
) -> Collection:
    """Change what is given; the embedding model cannot be changed.

    :raises NameTaken, InvalidName, InvalidVisibility: then nothing is changed, neither stored nor on *collection*
    """
    changes: dict[str, Any] = {}
    if not isinstance(name, Unset) and name != collection.name:
        _check_name(name)
        _check_free(name, collection.owner)
        changes["name"] = name
    if not isinstance(visibility, Unset):
        _check_visibility(visibility)
        changes["visibility"] = visibility
    if not isinstance(description, Unset):
        changes["description"] = None if description is None else clean(description)
    if changes:
        before = {field: getattr(collection, field) for field in changes}
        _assign(collection, changes)
        try:
            _save(collection, update_fields=list(changes))
        except NameTaken:
            _assign(collection, before)
            raise
    return collection


def _assign(collection: Collection, values: Mapping[str, Any]) -> None:
    for field, value in values.items():
        setattr(collection, field, value)


def _save(collection: Collection, **how: Any) -> None:
    """The constraint decides; :func:`_check_free` only lets most clashes be seen before anything else is checked."""
    try:
        with transaction.atomic():
            collection.save(**how)
    except IntegrityError as error:
        raise NameTaken(collection.name) from error


def _check_name(name: str) -> None:
    if not 1 <= len(name) <= NAME_LENGTH:
        raise InvalidName(f"A name of {len(name)} characters is not possible.")
    if clean(name) != name:
        raise InvalidName("The name holds characters that cannot be stored.")


def _check_free(name: str, owner: str) -> None:
    if Collection.objects.live().filter(owner=owner, name=name).exists():
        raise NameTaken(name)


def _check_visibility(visibility: str) -> None:
    if visibility not in Visibility.values:
        raise InvalidVisibility(visibility)


def change_api_key(owner: str, api_key: str) -> list[tuple[int, str]]:
    """Give all live collections of *owner* this embedding API key; returns their ids and names.

    :raises InvalidEmbeddings: ``invalid_api_key``
    """
    check_api_key(api_key)
    with transaction.atomic():
        mine = Collection.objects.live().filter(owner=owner)
        changed = list(mine.order_by("pk").values_list("pk", "name"))
        for pk, _ in changed:  # each is encrypted for itself, so that equal keys do not show
            Collection.objects.filter(pk=pk).update(embedding_api_key=crypto.encrypt(api_key))
    return changed


# -- Search -----------------------------------------------------------------------------------------


def search(collection: Collection, text: str, top_k: int) -> list[dict[str, Any]]:
    """The *top_k* published chunks nearest to *text*, nearest first: ``{"similarity", "data", "metadata", …}`` each.

    ``similarity`` is the cosine, -1 to 1. ``metadata`` is what was stored, plus ``document_id`` (32 hex digits, the
    same as long as the chunk is published), ``ingestion_timestamp``, ``embedding_vendor`` and ``embedding_model``.
    ``chunk_pk`` and ``document_pk`` are this server's own numbers, by which query plugins tell chunks apart.
    Bind the collection with ``functools.partial`` to get the ``search(text, top_k)`` of query plugins.

    :raises VendorError: the question cannot be embedded, or the model's dimension has changed
    :raises SecretUnreadable, InvalidEmbeddings: see :func:`embedder`
    """
    if top_k < 1 or collection.embedding_dimension is None:  # nothing was ever added
        return []
    return _rows(collection, engine().nearest(collection, _question(collection, text), top_k))


def search_text(collection: Collection, text: str, top_k: int) -> list[dict[str, Any]]:
    """The *top_k* published chunks that share words with *text*, best first, as rows of :func:`search`."""
    if top_k < 1 or collection.embedding_dimension is None:
        return []
    return _rows(collection, engine().matching(collection, text, _question(collection, text), top_k))


def _question(collection: Collection, text: str) -> Vector:
    vector = embedder(collection).embed_query(text)
    check_dimension(collection, len(vector))
    return vector


def _rows(collection: Collection, hits: list[Hit]) -> list[dict[str, Any]]:
    """In the order of *hits*; without those whose document was withdrawn since."""
    found: dict[int, dict[str, Any]] = {}
    for start in range(0, len(hits), FETCHED_AT_ONCE):
        found |= _fetched(collection, [hit.chunk_id for hit in hits[start : start + FETCHED_AT_ONCE]])
    return [
        {"similarity": hit.similarity, **found[hit.chunk_id], "chunk_pk": hit.chunk_id}
        for hit in hits
        if hit.chunk_id in found
    ]


def _fetched(collection: Collection, chunk_ids: list[int]) -> dict[int, dict[str, Any]]:
    """Chunk id → what it answers with. Chunks that are gone are absent."""
    rows = Chunk.objects.filter(pk__in=chunk_ids, document__withdrawn_at__isnull=True).values_list(
        "pk", "text", "metadata", "position", "document", "document__run_id", "document__published_at"
    )
    model = {"embedding_vendor": collection.embedding_vendor, "embedding_model": collection.embedding_model}
    return {
        pk: {
            "data": text,
            "metadata": {**_origin(run_id, position, published_at), **metadata, **model},
            "document_pk": document,
        }
        for pk, text, metadata, position, document, run_id, published_at in rows
    }


def _origin(run_id: uuid.UUID, position: int, published_at: datetime | None) -> dict[str, str]:
    """Keys that a chunk has unless its own metadata say otherwise (imported ones keep their ids)."""
    moment = published_at or datetime.now(UTC)
    return {
        "document_id": uuid.uuid5(run_id, str(position)).hex,
        "ingestion_timestamp": moment.isoformat(timespec="seconds").replace("+00:00", "Z"),
    }
