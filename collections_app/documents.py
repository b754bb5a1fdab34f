"""The life of a document: begun, filled, published, withdrawn.

Beginning, filling and publishing belong inside the caller's transaction, with the move of the job they serve. So does
withdrawing, where it goes with one.
"""

import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models.functions import Now

from collections_app.embeddings import embedder_for
from collections_app.errors import CollectionGone, DocumentLost, InvalidDocument
from collections_app.models import Chunk, Collection, Document, DocumentQuerySet
from collections_app.storing import check_dimension, store_batch

MOST_DOCUMENTS = 10_000  # in one request: all are embedded before any is stored
STORED_AT_ONCE = 500  # 20 ms of write lock
SCALARS = (str, int, float, bool, type(None))


# -- Of a run ---------------------------------------------------------------------------------------


def begin_document(collection: Collection, file_id: int, run_id: uuid.UUID, source_key: str) -> Document:
    """The document that this run fills. Goes on at ``chunk_count`` where an earlier run stopped.

    Adopted is the file's unfinished document with the same *source_key* (a blank one matches nothing); other
    unfinished ones of the file are withdrawn. From then on the earlier run can neither fill nor publish it.
    """
    unfinished = Document.objects.unfinished().filter(file_id=file_id)
    adopted = _resumable(file_id, source_key)
    (unfinished.exclude(pk=adopted.pk) if adopted else unfinished).withdraw()
    if adopted is None:
        return Document.objects.create(collection=collection, file_id=file_id, run_id=run_id, source_key=source_key)
    Document.objects.filter(pk=adopted.pk).update(run_id=run_id)
    adopted.run_id, adopted.collection = run_id, collection
    return adopted


def resumable(file_id: int, source_key: str) -> int:
    """How many chunks :func:`begin_document` would find stored already."""
    document = _resumable(file_id, source_key)
    return document.chunk_count if document else 0


def _resumable(file_id: int, source_key: str) -> Document | None:
    if not source_key:
        return None
    return Document.objects.unfinished().filter(file_id=file_id, source_key=source_key).order_by("-pk").first()


def publish(document: Document) -> None:
    """Let queries see *document* instead of what was published of the same file before.

    :raises DocumentLost: it was withdrawn, or another run took it over; the caller's transaction must roll back
    """
    if document.file_id is not None:
        Document.objects.published().filter(file_id=document.file_id).withdraw()
    mine = Document.objects.unfinished().filter(pk=document.pk, run_id=document.run_id)
    if not mine.update(published_at=Now()):
        raise DocumentLost(document.pk)


def withdraw_file(file_id: int) -> int:
    """Nothing of the file is found from now on. How many chunks that were, published or only stored."""
    return _withdraw(Document.objects.filter(file_id=file_id))


def withdraw_files(file_ids: Sequence[int]) -> None:
    """Like :func:`withdraw_file`, for many, uncounted."""
    for start in range(0, len(file_ids), 500):
        Document.objects.filter(file_id__in=file_ids[start : start + 500]).withdraw()


def withdraw_run(run_id: uuid.UUID) -> int:
    """Like :func:`withdraw_file`, for what one run stored."""
    return _withdraw(Document.objects.filter(run_id=run_id))


def withdraw_collection(collection: Collection) -> int:
    """Like :func:`withdraw_file`, for a whole collection."""
    return _withdraw(Document.objects.filter(collection_id=collection.pk))


def _withdraw(documents: DocumentQuerySet) -> int:
    """Costs a read per document, not per chunk. The rows are locked between counting and withdrawing."""
    with transaction.atomic():
        current = documents.filter(withdrawn_at__isnull=True)
        chunks = sum(current.select_for_update().values_list("chunk_count", flat=True))
        current.withdraw()
    return chunks


# -- Posted as they are -----------------------------------------------------------------------------


def add_documents(collection: Collection, documents: Sequence[Any], also: Callable[[], None] = lambda: None) -> int:
    """Add ready-made chunks, ``{"text": str, "metadata": {…}}`` each, as one published document. How many they were.

    Not to be called inside a transaction: embedding may take minutes.

    :param also: called in the transaction that publishes them
    :raises InvalidDocument: naming the item; then nothing is added
    :raises CollectionGone: it was deleted meanwhile
    :raises VendorError, SecretUnreadable, InvalidEmbeddings: from embedding; then nothing is added
    """
    chunks = [_checked(index, document) for index, document in enumerate(documents)]
    if len(chunks) > MOST_DOCUMENTS:
        raise InvalidDocument(MOST_DOCUMENTS, f"more than {MOST_DOCUMENTS} documents in one request.")
    if not chunks:
        also()
        return 0
    vectors = embedder_for(collection).embed([chunk["text"] for chunk in chunks])
    check_dimension(collection, vectors.shape[1])
    document = Document(collection=collection)
    try:
        document.save(force_insert=True)
        for start in range(0, len(chunks), STORED_AT_ONCE):
            stop = start + STORED_AT_ONCE
            with transaction.atomic():
                store_batch(document, start, chunks[start:stop], vectors[start:stop])
                if stop >= len(chunks):
                    publish(document)
                    also()
    except BaseException as error:
        withdraw_run(document.run_id)
        if isinstance(error, IntegrityError | DocumentLost):
            require_live(collection)
        raise
    return len(chunks)


def require_live(collection: Collection) -> None:
    """:raises CollectionGone: it is no longer live"""
    if not Collection.objects.live().filter(pk=collection.pk).exists():
        raise CollectionGone(collection.pk)


def _checked(index: int, document: object) -> dict[str, Any]:
    """*document* as a chunk.

    :raises InvalidDocument: no text, or metadata with objects in it (which queries could not answer as they came)
    """
    if not isinstance(document, Mapping):
        raise InvalidDocument(index, "not an object.")
    text, metadata = document.get("text"), document.get("metadata")
    if not isinstance(text, str):
        raise InvalidDocument(index, "'text' is missing or not text.")
    if metadata is None:
        metadata = {}
    if not isinstance(metadata, Mapping):
        raise InvalidDocument(index, "'metadata' is not an object.")
    for key, value in metadata.items():
        flat = isinstance(value, SCALARS) or (
            isinstance(value, list) and all(isinstance(item, SCALARS) for item in value)
        )
        if not flat:
            raise InvalidDocument(index, f"metadata {key!r} is nested; use text, numbers, booleans or lists of them.")
    return {"text": text, "metadata": metadata}


# -- Read back --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class FileChunks:
    """The published text of a file, chunk by chunk in reading order."""

    texts: list[str]
    published_at: datetime


def file_chunks(file_id: int) -> FileChunks | None:
    """What was published of the file; None when nothing is."""
    document = Document.objects.published().filter(file_id=file_id).first()
    if document is None or document.published_at is None:
        return None
    texts = Chunk.objects.filter(document=document).order_by("position").values_list("text", flat=True)
    return FileChunks(list(texts), document.published_at)
