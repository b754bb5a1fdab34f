"""Writes here what was planned: ids as they were, rows in their final status, chunks with the vectors they had.

Each step is one transaction and can tell whether it was done, so an import that was killed goes on where it stopped.
"""

import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from functools import partial
from itertools import count
from typing import Any

import numpy as np
from django.db import connection, models, transaction

from collections_app import crypto
from collections_app import services as collections
from collections_app.embeddings.base import normalised
from collections_app.models import Collection, Document, Visibility
from ingestion import duplicates, services
from ingestion.errors import Scrubber
from ingestion.lamb_import.files import NAMESPACE, CopyFailed, Rebase, StoredFile, copy_in, stored_file
from ingestion.lamb_import.linking import is_fetched, stem_of
from ingestion.lamb_import.plan import CollectionPlan, DocumentPlan
from ingestion.lamb_import.report import Report
from ingestion.lamb_import.source import Places, Source, SourceCollection, SourceFile
from ingestion.lamb_import.vectors import AT_ONCE, VectorCollection
from ingestion.models import FileRegistry, FileStatus, JobEvent, ProgressUnit
from ingestion.wire import MASK, is_secret_name, redacted
from plugins.base import PluginError
from plugins.passwords import address_without_password

IMPORTED = "imported_from"  # key of the diary entry by which an imported row is known
INTERRUPTED, FAILED_BEFORE = "interrupted", "failed_before_import"  # error codes
ROWS_AT_ONCE = 500


# -- Ids --------------------------------------------------------------------------------------------


def taken(source: Source) -> list[str]:
    """Sentences about ids and names of the source that something else has here. Empty: all can be imported."""
    here = {one.pk: one for one in _rows(Collection, (one.id for one in source.collections))}
    problems = [
        f"Collection {one.id} is {here[one.id].name!r} of {here[one.id].owner!r} here, and {one.name!r} in LAMB."
        for one in source.collections
        if one.id in here and not is_ours(here[one.id], one)
    ]
    for one in source.collections:
        same = Collection.objects.live().filter(owner=one.owner, name=one.name).exclude(pk=one.id).first()
        if same is not None and one.id not in here:
            problems.append(f"{one.owner!r} has a collection {one.name!r} here already, with the id {same.pk}.")
    return problems + [problem for files in source.files.values() for problem in _taken_files(files)]


def _taken_files(files: list[SourceFile]) -> Iterator[str]:
    here = {job.pk: job for job in _rows(FileRegistry, (file.id for file in files))}
    gone = _used_here({file.id for file in files} - here.keys())
    for file in files:
        job = here.get(file.id)
        if job is not None and (job.collection_id, job.created_at) != (file.collection_id, file.created_at):
            yield f"File {file.id} is {job.original_filename!r} here, and {file.original_filename!r} in LAMB."
        elif file.id in gone and not gone[file.id]:
            yield f"File {file.id} was another one here, which was deleted."


def _used_here(ids: Iterable[int]) -> dict[int, bool]:
    """Of *ids* without a row those that had one, and whether that was imported."""
    found: dict[int, bool] = {}
    for part in _parts(ids):
        for pk, data in JobEvent.objects.filter(job_id__in=part).values_list("job_id", "data"):
            found[pk] = found.get(pk, False) or IMPORTED in data
    return found


def is_ours(here: Collection, there: SourceCollection) -> bool:
    """Whether the row was imported from *there*: to the microsecond of its making. Names may have changed since."""
    return (here.owner, here.creation_date) == (there.owner, there.created_at)


def _rows(model: type[models.Model], ids: Iterable[int]) -> Iterator[Any]:
    for part in _parts(ids):
        yield from model._default_manager.filter(pk__in=part)


def _parts(ids: Iterable[int]) -> Iterator[list[int]]:
    every = sorted(ids)
    for start in range(0, len(every), ROWS_AT_ONCE):
        yield every[start : start + ROWS_AT_ONCE]


def reserve_ids(source: Source) -> None:
    """New rows get ids above all that LAMB has given, also above those that are not imported."""
    for model, highest in ((Collection, source.highest["collections"]), (FileRegistry, source.highest["files"])):
        table = model._meta.db_table
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("UPDATE sqlite_sequence SET seq = max(seq, %s) WHERE name = %s", [highest, table])
            if not cursor.rowcount:
                cursor.execute("INSERT INTO sqlite_sequence (name, seq) VALUES (%s, %s)", [table, highest])


# -- What an import can do here ---------------------------------------------------------------------


class Target:
    """Writes collections, or only looks at what would be written.

    :param step: told of each file and each batch of chunks that is done: how many
    :param fresh: there is no database here yet
    """

    def __init__(
        self, places: Places, report: Report, step: Callable[[int], None] = lambda done: None, *, fresh: bool = False
    ) -> None:
        self.static, self.report, self.step, self.fresh = places.files, report, step, fresh

    def write(self, plan: CollectionPlan) -> None:
        """:raises OSError, CopyFailed: a file cannot be copied; what was done stays done"""
        collection = self._collection(plan)
        if collection is None:
            return
        stored = self.look(plan)
        untouched = self._files(collection, plan, stored)
        rebase = Rebase(collection.owner, collection.name, {file.stem.lower(): file for file in stored.values()})
        for document in plan.documents:
            if plan.vectors is not None and (document.file_id is None or document.file_id in untouched):
                self._document(collection, document, plan.vectors, rebase)

    def look(self, plan: CollectionPlan) -> dict[int, StoredFile]:
        """Find each file's upload, and report what is odd about it. Writes nothing."""
        stored = {}
        stems = {file.id: stem_of(file) for file in plan.files}
        seen: set[str] = set()
        holders = {} if self.fresh else dict(_holders(stem for stem in stems.values() if stem))
        for file in plan.files:
            stem = stems[file.id]
            other = stem in seen or holders.get(stem, file.id) != file.id
            seen.add(stem)
            stored[file.id] = found = stored_file(self.static, file, key_taken=bool(stem) and other)
            self._judge(file, found)
        return stored

    def _judge(self, file: SourceFile, found: StoredFile) -> None:
        if not is_fetched(file) and file.status != FileStatus.DELETED:
            if found.original is None:
                self.report.add("file_missing", str(file))
            elif (size := found.original.stat().st_size) != file.file_size:
                self.report.add("size_differs", f"{file}: {size} bytes instead of {file.file_size}")
        if any(value and is_secret_name(name) for name, value in file.plugin_params.items()):
            self.report.add("params_secret", str(file))
        try:
            services.plugin(file.plugin_name)
            refused = accepted_parameters(file)[1] if file.status == FileStatus.FAILED else []
        except services.UnknownPlugin:
            self.report.add("plugin_unknown", f"{file}: {file.plugin_name}")
        else:
            if refused:
                self.report.add("params_refused", f"{file}: {', '.join(refused)}")

    # -- Rows --

    def _collection(self, plan: CollectionPlan) -> Collection | None:
        """The row here; None when somebody deleted it here since it was imported."""
        there = plan.collection
        here = Collection.objects.filter(pk=there.id).first()
        if here is not None:
            self.report.there_already["collections"] += 1
            if here.deleted_at is not None:
                self.report.add("deleted_here", f"collection {there.id} {there.name}")
                return None
            return here
        self.report.written["collections"] += 1
        return Collection.objects.create(
            pk=there.id,
            name=there.name,
            description=there.description,
            owner=there.owner,
            visibility=Visibility.PUBLIC if there.public else Visibility.PRIVATE,
            creation_date=there.created_at,
            embedding_vendor=plan.embeddings.vendor,
            embedding_model=plan.embeddings.model,
            embedding_endpoint=plan.embeddings.endpoint,
            embedding_api_key=crypto.encrypt(plan.embeddings.api_key),
        )

    def _files(self, collection: Collection, plan: CollectionPlan, stored: dict[int, StoredFile]) -> set[int]:
        """Import the collection's rows with their files; the ids of those that nobody has changed here since."""
        there = {job.pk: job.version for job in _rows(FileRegistry, stored)}
        gone = _used_here(stored.keys() - there.keys())
        for file in plan.files:
            if file.id in gone:
                self.report.add("deleted_here", str(file))
            elif file.id in there:
                self.report.there_already["files"] += 1
            else:
                self._file(collection, file, stored[file.id], plan.chunks_of(file))
                there[file.id] = 0
            self.step(1)
        return {pk for pk, version in there.items() if version == 0}

    def _file(self, collection: Collection, file: SourceFile, stored: StoredFile, chunks: int) -> None:
        # Before the row: a folder without a row is swept up or written again, a row says that its file is there.
        digest, copied = copy_in(stored) if stored.original is not None and file.status != FileStatus.DELETED else (
            "", 0
        )  # fmt: skip
        self.report.written["files"] += 1
        self.report.written["file_bytes"] += copied
        with transaction.atomic():
            import_row(collection, file, stored, digest, chunks)

    # -- Chunks --

    def _document(self, collection: Collection, plan: DocumentPlan, vectors: VectorCollection, rebase: Rebase) -> None:
        document = begun(collection, plan)
        if document is None:
            self.report.there_already["chunks"] += len(plan.chunk_ids)
            self.step(len(plan.chunk_ids))
            return
        done = document.chunk_count
        self.report.there_already["chunks"] += done
        self.step(done)
        for start in range(done, len(plan.chunk_ids), AT_ONCE):
            ids = plan.chunk_ids[start : start + AT_ONCE]
            part = list(vectors.chunks(ids))
            if len(part) < len(ids):
                raise CopyFailed("Chroma cannot read chunks any more that it has read before. Start the import again.")
            chunks = [
                {"text": chunk.text or "", "metadata": rebase.metadata(chunk.metadata, chunk.id)} for chunk in part
            ]
            rows = normalised(np.stack([chunk.vector for chunk in part if chunk.vector is not None]))
            with transaction.atomic():
                collections.store_batch(document, start, chunks, rows)
                if start + len(part) >= len(plan.chunk_ids):
                    collections.publish(document)
            self.report.written["chunks"] += len(part)
            self.step(len(part))


def _holders(keys: Iterable[str]) -> Iterator[tuple[str, int]]:
    """Storage keys that rows have here, with the row's id."""
    every = sorted(set(keys))
    for start in range(0, len(every), ROWS_AT_ONCE):
        part = every[start : start + ROWS_AT_ONCE]
        for key, pk in FileRegistry.objects.filter(storage_key__in=part).values_list("storage_key", "pk"):
            yield str(key), pk


def begun(collection: Collection, plan: DocumentPlan) -> Document | None:
    """The document to be filled from its ``chunk_count`` on; None when there is nothing left to do.

    One that was withdrawn before it was published was taken for a dead run's by a server that ran in between: it is
    begun anew.
    """
    if plan.file_id is not None and Document.objects.published().filter(file_id=plan.file_id).exists():
        return None
    for attempt in count():
        run_id = uuid.uuid5(NAMESPACE, f"{plan.name} {attempt}")
        document = Document.objects.filter(run_id=run_id).first()
        if document is None:
            return Document.objects.create(collection=collection, file_id=plan.file_id, run_id=run_id)
        if document.published_at is not None:
            return None
        if document.withdrawn_at is None:
            return document
    raise AssertionError("unreachable")


# -- A file's row -----------------------------------------------------------------------------------


def accepted_parameters(file: SourceFile) -> tuple[dict[str, Any], list[str]]:
    """The parameters as the plugin takes them here, with defaults, and the names of those that it refuses.

    :raises UnknownPlugin:
    """
    info = services.plugin(file.plugin_name)
    try:
        return services.check_parameters(info, file.plugin_params), []
    except services.InvalidParameters as error:
        refused = sorted({wrong.name for wrong in error.errors})
    taken = {name: value for name, value in file.plugin_params.items() if name not in refused}
    with suppress(services.InvalidParameters):
        return services.check_parameters(info, taken), refused
    return taken, refused


def import_row(collection: Collection, file: SourceFile, stored: StoredFile, digest: str, chunks: int) -> FileRegistry:
    """The row of *file*, in the caller's transaction.

    :param digest: SHA-256 of the upload; empty when there is none
    :param chunks: of the file that are imported
    """
    params, source_hash = dict(file.plugin_params), digest
    refused: list[str] = []
    with suppress(services.UnknownPlugin):
        if file.status == FileStatus.FAILED:  # only these can run again; of the others it is history
            params, refused = accepted_parameters(file)
        with suppress(PluginError, ValueError):
            info = services.plugin(file.plugin_name)
            source_hash = duplicates.source_hash(info, params, digest, file.original_filename)
    completed = file.status == FileStatus.COMPLETED
    count_ = (chunks or file.document_count) if completed else file.document_count
    current, total, message = (count_, count_, f"{count_} chunks added") if completed else file.progress
    hidden = hiding(collection, file)
    rebase = Rebase(collection.owner, collection.name, {stored.stem.lower(): stored})
    code, error, details = failure(file)
    return FileRegistry.imported(
        file.status,
        "Imported from LAMB's KB server",
        {
            IMPORTED: "lamb",
            "status": file.was,
            **({"plugin_params": redacted({"": file.odd_params})[""]} if file.odd_params is not None else {}),
            **(
                {"refused_params": {name: shown(name, file.plugin_params[name]) for name in refused}} if refused else {}
            ),
        },
        id=file.id,
        collection=collection,
        original_filename=address_without_password(file.original_filename),
        file_path="" if is_fetched(file) else stored.path,
        file_url=file.file_url if is_fetched(file) else "",
        file_size=stored.original.stat().st_size if stored.original is not None else file.file_size,
        content_type=file.content_type,
        content_hash=digest,
        source_hash=source_hash,
        storage_key=stored.key,
        plugin_name=file.plugin_name,
        plugin_params=params,
        document_count=count_,
        owner=file.owner,
        created_at=file.created_at,
        updated_at=file.updated_at,
        processing_started_at=file.started_at,
        processing_completed_at=file.completed_at,
        progress_current=current,
        progress_total=total,
        progress_message=hidden(message),
        progress_unit=ProgressUnit.CHUNK if completed else ProgressUnit.STAGE,
        progress_overall=100 if completed else 0,
        error_code=code,
        error_message=hidden(error) or None,
        error_details=hidden(details),
        processing_stats=hidden(rebase.stats(file.stats)),
    )


def failure(file: SourceFile) -> tuple[str, str, dict[str, Any] | None]:
    """Code, message and details of a row that failed; nothing of one that did not."""
    details = dict(file.error_details) if file.error_details is not None else None
    if file.status != FileStatus.FAILED:
        return "", file.error_message or "", details
    if file.was == FileStatus.FAILED:
        return FAILED_BEFORE, file.error_message or "It failed in LAMB's KB server, which kept no reason.", details
    hint = "Retry it. What it had stored is replaced by what the retry stores."
    message = f"It was {file.was or 'unfinished'} when LAMB's KB server was left, so nobody will finish it."
    return INTERRUPTED, message, {**(details or {}), "hint": hint}


def hiding(collection: Collection, file: SourceFile) -> Callable[[Any], Any]:
    """A function that takes the folders of LAMB's host and the job's secrets out of a value."""
    job = FileRegistry(collection=collection, plugin_params=dict(file.plugin_params))
    scrubber = Scrubber(job)
    before, static, _ = file.file_path.replace("\\", "/").partition("/static/")
    if static:
        scrubber.replacements = {before: "<lamb>", **scrubber.replacements}
    return partial(_hidden, scrubber)


def _hidden(scrubber: Scrubber, value: Any) -> Any:
    return scrubber.value(value)


def shown(name: str, value: Any) -> Any:
    return MASK if value and is_secret_name(name) else redacted({name: value})[name]
