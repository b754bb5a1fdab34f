"""What a collection will hold: which of Chroma's chunks, in which order, in which documents, under which model.

Everything is read and judged before anything is written, so that a dry run and a second run say the same as the first.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from collections_app.embeddings import EmbeddingChoice, resolve_embeddings
from ingestion.lamb_import.files import members
from ingestion.lamb_import.linking import Links, Reading, index_of, part_of
from ingestion.lamb_import.report import Report
from ingestion.lamb_import.source import SourceCollection, SourceFile
from ingestion.lamb_import.vectors import COSINE, StoredChunk, VectorCollection, is_usable
from ingestion.models import FileStatus
from plugins.normalise import counted

MOST_CHUNKS = 5000  # of a document that belongs to no file
VENDORS = {"openai": "openai", "ollama": "ollama", "local": "ollama"}  # "local" is LAMB's other word for Ollama


class Model(NamedTuple):
    vendor: str
    model: str


@dataclass(frozen=True)
class DocumentPlan:
    """:param name: the same in each run, and different for each document of an import"""

    name: str
    file_id: int | None
    chunk_ids: list[str]


@dataclass
class CollectionPlan:
    collection: SourceCollection
    files: Sequence[SourceFile]
    vectors: VectorCollection | None
    embeddings: EmbeddingChoice
    documents: list[DocumentPlan]

    def __post_init__(self) -> None:
        self._counts = {plan.file_id: len(plan.chunk_ids) for plan in self.documents}

    def __len__(self) -> int:
        """Files and chunks, which are the steps of writing it."""
        return len(self.files) + sum(len(plan.chunk_ids) for plan in self.documents)

    def chunks_of(self, file: SourceFile) -> int:
        return self._counts.get(file.id, 0)


def matched(
    collections: Sequence[SourceCollection], stores: Sequence[VectorCollection], report: Report
) -> dict[int, VectorCollection]:
    """Collection id → its vectors. By Chroma's id, or by name where that leads nowhere; nobody's are taken twice."""
    by_id, by_name = {store.id: store for store in stores}, {store.name: store for store in stores}
    found = {one.id: by_id[one.chroma_id] for one in collections if one.chroma_id in by_id}
    taken = {store.id for store in found.values()}
    for one in collections:
        store = by_name.get(one.name)
        if one.id not in found and store is not None and store.id not in taken:
            found[one.id] = store
            taken.add(store.id)
        if one.id not in found:
            report.add("vectors_missing", f"collection {one.id} {one.name}")
    for store in stores:
        if store.id not in taken:
            report.add("vectors_ownerless", f"{store.name}, {counted(len(store), 'chunk')}")
    return found


class Judged(NamedTuple):
    """A chunk that may be kept. ``file`` is the one that it came from."""

    id: str
    file: SourceFile | None
    model: Model
    part: str
    place: float


def plan(
    collection: SourceCollection,
    files: Sequence[SourceFile],
    vectors: VectorCollection | None,
    static: Path,
    report: Report,
    read: Callable[[int], None],
) -> CollectionPlan:
    """:param static: LAMB's stored files
    :param read: told how many chunks were read since it was last told"""
    where = f"collection {collection.id} {collection.name}"
    judged = _judged(vectors, Links(files, members(static, files)), report, where, read) if vectors is not None else []
    if vectors is not None and judged and vectors.space != COSINE:
        report.add("space_other", f"{where}: {vectors.space}")
    embeddings = _embeddings(collection, Counter(chunk.model for chunk in judged if any(chunk.model)), report, where,
                             empty=not judged)  # fmt: skip
    wanted = _same(Model(embeddings.vendor, embeddings.model))
    kept = []
    for chunk in judged:
        if any(chunk.model) and _same(chunk.model) != wanted:
            report.add("chunk_other_model", f"{where}: {chunk.id} by {chunk.model.model}")
        else:
            kept.append(chunk)
    made = CollectionPlan(collection, files, vectors, embeddings, _documents(collection, kept, report, where))
    for file in files:
        chunks = made.chunks_of(file)
        if file.status == FileStatus.COMPLETED and chunks != file.document_count:
            report.add("count_differs", f"{file}: {chunks} instead of {file.document_count}")
    return made


def _judged(
    vectors: VectorCollection, links: Links, report: Report, where: str, read: Callable[[int], None]
) -> list[Judged]:
    ids = vectors.ids()
    report.found["chunks"] += len(ids)
    judged, told = [], 0
    for count, chunk in enumerate(vectors.chunks(ids), start=1):
        if fault := _fault(chunk):
            report.add(fault, f"{where}: {chunk.id}")
        else:
            meta = chunk.metadata
            model = Model(str(meta.get("embedding_vendor") or ""), str(meta.get("embedding_model") or ""))
            judged.append(Judged(chunk.id, links.file_of(meta), model, part_of(meta), index_of(meta)))
        told = count
        if count % 100 == 0:
            read(100)
    if told < len(ids):
        report.add("chunk_unreadable", where, len(ids) - told)
    read(len(ids) - told // 100 * 100)
    return judged


def _fault(chunk: StoredChunk) -> str:
    if not chunk.text:
        return "chunk_no_text"
    return "" if is_usable(chunk.vector) else "chunk_bad_vector"


def _documents(collection: SourceCollection, chunks: list[Judged], report: Report, where: str) -> list[DocumentPlan]:
    """One document a file; chunks without one in documents of their own, so that they are found as before."""
    readings: dict[int | None, Reading] = {}
    deleted = 0
    for chunk in chunks:
        gone = chunk.file is not None and chunk.file.status == FileStatus.DELETED
        deleted += gone
        owner = None if chunk.file is None or gone else chunk.file.id
        readings.setdefault(owner, Reading()).add(chunk.id, chunk.part, chunk.place)
    loose = readings.pop(None, Reading())
    if deleted:
        report.add("chunks_of_deleted_file", where, deleted)
    if len(loose) > deleted:
        report.add("chunks_without_file", where, len(loose) - deleted)
    name = f"collection {collection.id} {collection.created_at.isoformat()}"
    documents = [DocumentPlan(f"{name} file {pk}", pk, reading.ids()) for pk, reading in readings.items()]
    ids = loose.ids()
    for start in range(0, len(ids), MOST_CHUNKS):
        documents.append(DocumentPlan(f"{name} from {start}", None, ids[start : start + MOST_CHUNKS]))
    return documents


# -- Models -----------------------------------------------------------------------------------------


def _embeddings(
    collection: SourceCollection, named: Counter[Model], report: Report, where: str, *, empty: bool
) -> EmbeddingChoice:
    """What embeds the collection's questions: as LAMB says, or where it does not, as its chunks say."""
    said = collection.embeddings
    vendor, model = said.get("vendor", "").lower(), said.get("model", "")
    endpoint, api_key = said.get("endpoint", ""), said.get("apikey", "")
    if api_key:
        report.add("key_in_clear", where)
    complete = vendor in VENDORS and bool(model)
    made_with = {_same(one) for one in named}
    if named and (not complete or _same(Model(vendor, model)) not in made_with):
        (other, model), _ = named.most_common(1)[0]
        report.add("model_from_chunks", f"{where}: {other} {model}")
        if complete and VENDORS.get(other.lower()) != VENDORS[vendor]:
            endpoint = api_key = ""  # another vendor's
        vendor = other.lower()
    elif not complete and empty:
        report.add("model_default", where)
        return resolve_embeddings(None)
    if vendor not in VENDORS or not model:
        report.add("model_missing", where)
    return EmbeddingChoice(VENDORS.get(vendor, vendor)[:20], model[:255], endpoint, api_key)


def _same(model: Model) -> Model:
    """Equal for two names of one model."""
    vendor = model.vendor.lower()
    return Model(VENDORS.get(vendor, vendor), model.model.removesuffix(":latest"))
