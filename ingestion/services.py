"""The verbs of ingestion, which API, admin, commands and pages share: submit, retry, cancel, delete."""

import hashlib
import json
import logging
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models.functions import Now

from collections_app import catalogue
from collections_app import services as collections
from collections_app.models import Collection
from ingestion import duplicates, queue, storage
from ingestion.duplicates import DuplicateFound, OnDuplicate
from ingestion.models import LIVE, EventKind, FileRegistry, FileStatus, JobEvent
from plugins import parameters
from plugins.catalogue import PluginInfo, is_enabled
from plugins.parameters import addresses_in
from plugins.passwords import address_without_password

__all__ = ["DuplicateFound", "OnDuplicate"]  # and all that is defined here

logger = logging.getLogger("kb.jobs")


class UnknownPlugin(Exception):
    """No plugin of this name is installed, or it is disabled."""


class WrongPluginKind(Exception):
    """The plugin exists, but does not take this kind of source."""


class InvalidParameters(Exception):
    """Plugin parameters that the plugin does not accept.

    :param errors: one entry a parameter, each with its name
    """

    def __init__(self, errors: list[parameters.ParameterError]) -> None:
        super().__init__("; ".join(f"{error.name}: {error.message}" for error in errors))
        self.errors = errors


NOT_LIVE = "Only pending or processing jobs can be cancelled; this one is {}."


class WrongState(Exception):
    """The job is not in a status that allows this. The message is meant for people."""


class JobGone(WrongState):
    """The job's row was deleted while somebody else wanted something of it."""

    def __init__(self, job: FileRegistry) -> None:
        super().__init__(f"Job {job.pk} was deleted meanwhile.")


@dataclass(frozen=True)
class Deletion:
    """What a deletion removed.

    :param chunks: exact number of chunks that can no longer be found
    :param files: removed files, as paths inside the storage
    """

    chunks: int
    files: list[str] = field(default_factory=list)


def plugin(name: str) -> PluginInfo:
    """:raises UnknownPlugin: when it is not installed or disabled"""
    info = catalogue.current().ingest.get(name)
    if info is None or not is_enabled(name, settings.KB_PLUGIN_MODES):
        raise UnknownPlugin(f"There is no plugin named {name!r}.")
    return info


def check_parameters(info: PluginInfo, params: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters as the plugin will get them: typed, within range, with defaults.

    :raises InvalidParameters: naming each one that is wrong
    """
    mode = settings.KB_PLUGIN_MODES.get(info.name.upper(), "ADVANCED")
    clean, errors = parameters.validate(info.parameters, params, mode)
    if errors:
        raise InvalidParameters(errors)
    return clean


def submit(
    collection: Collection,
    plugin_name: str,
    params: Mapping[str, Any],
    *,
    upload: storage.Upload | None = None,
    name: str = "",
    url: str = "",
    content_type: str | None = None,
    on_duplicate: str = OnDuplicate.ALLOW,
    remember: Callable[[FileRegistry], None] | None = None,
) -> FileRegistry:
    """Register a source for ingestion. When this returns, the job survives whatever happens next.

    :param upload: the received bytes; or *name* and *url* for a source that a worker fetches
    :param on_duplicate: what to do when the collection has the same source already
    :param remember: called with the job in the transaction that registers it
    :raises UnknownPlugin, InvalidParameters, storage.NoSpace:
    :raises DuplicateFound: ``skip`` was asked for, and there is one
    :raises CollectionGone: it was deleted meanwhile
    """
    info = plugin(plugin_name)
    clean = check_parameters(info, params)
    source_hash = duplicates.source_hash(info, clean, *((upload.sha256, upload.name) if upload else ()))
    if on_duplicate == OnDuplicate.SKIP:
        duplicates.refuse(collection, plugin_name, clean, source_hash)  # before the upload is kept
    if storage.free_mb() < settings.KB_MIN_FREE_MB:
        raise storage.NoSpace(storage.NO_SPACE)
    job = FileRegistry(
        collection=collection,
        source_hash=source_hash,
        replaces_duplicates=on_duplicate == OnDuplicate.REPLACE,
        plugin_name=plugin_name,
        plugin_params=clean,
        **(of_upload(upload) if upload else of_address(name, url, content_type)),
    )

    def refuse_duplicate() -> None:
        if on_duplicate == OnDuplicate.SKIP:  # again, now that nobody else can come in between
            Collection.objects.select_for_update().filter(pk=collection.pk).first()
            duplicates.refuse(collection, plugin_name, clean, source_hash)

    keep = partial(storage.keep, upload) if upload else None
    return register(job, f"Submitted for {plugin_name}", keep=keep, check=refuse_duplicate, remember=remember)


def of_upload(upload: storage.Upload) -> dict[str, Any]:
    """What a job's row says of a file that was sent."""
    return {
        "original_filename": upload.name,
        "content_type": upload.content_type,
        "file_size": upload.size,
        "content_hash": upload.sha256,
        "storage_key": upload.key,
    }


def of_address(name: str, url: str, content_type: str | None) -> dict[str, Any]:
    """What a job's row says of a source that a worker fetches."""
    return {
        "original_filename": address_without_password(name)[:255],
        "file_url": address_without_password(url),  # chunks repeat it
        "content_type": content_type,
        "storage_key": secrets.token_hex(16),
    }


def register(
    job: FileRegistry,
    message: str,
    *,
    keep: Callable[[], str] | None = None,
    check: Callable[[], None] | None = None,
    remember: Callable[[FileRegistry], None] | None = None,
) -> FileRegistry:
    """Write a new job with its diary entry, and ring for it.

    :param keep: puts the job's file into its folder, and returns its path inside the storage
    :param check: called first in the transaction; what it raises keeps the job out
    :param remember: called last in it, with the job
    :raises CollectionGone: it was deleted meanwhile
    """
    job.owner = job.collection.owner
    job.progress_message = job.progress_message or "Queued"
    if keep:
        # Before the row: a folder without a row is swept up later, a row without its file could never run.
        job.file_path = keep()
    try:
        with transaction.atomic():
            if check:
                check()
            job.save(force_insert=True)
            JobEvent.write(job, EventKind.SUBMITTED, message)
            if remember:
                remember(job)
            queue.ring_on_commit()
    except BaseException as error:
        if keep:
            storage.remove(str(job.storage_key))
        if isinstance(error, IntegrityError):
            collections.require_live(job.collection)
        raise
    logger.info("Job %s submitted for %s", job.pk, job.plugin_name, extra={"job_id": job.pk})
    return job


def retry(job: FileRegistry, overrides: Mapping[str, Any] | None = None, by: str = "") -> FileRegistry:
    """Queue a failed job again, with its own parameters or some of them replaced.

    :raises WrongState: unless it is failed
    :raises UnknownPlugin, InvalidParameters:
    """
    params, source = retried_with(job, overrides)
    with transaction.atomic():
        if not job.retry(params, by, source):
            raise WrongState(f"Only failed jobs can be retried; this one is {status_now(job)}.")
        queue.ring_on_commit()
        job.refresh_from_db()
    logger.info("Job %s queued again", job.pk, extra={"job_id": job.pk})
    return job


def retried_with(
    job: FileRegistry, overrides: Mapping[str, Any] | None = None
) -> tuple[dict[str, Any] | None, dict[str, Any]]:
    """What a retry would change: the parameters (None: nothing), and fields of the source where they name another.

    :raises WrongState, UnknownPlugin, InvalidParameters: it would be refused
    """
    if job.is_preview:
        raise WrongState("A preview is not tried again. Start a new one.")
    if job.collection.deleted_at is not None:
        raise WrongState("The collection of this job was deleted.")
    if job.status != FileStatus.FAILED:
        raise WrongState(f"Only failed jobs can be retried; this one is {job.status}.")
    if not overrides:
        return None, {}
    info = plugin(job.plugin_name)
    params = check_parameters(info, {**job.plugin_params, **overrides})
    source_hash = duplicates.source_hash(info, params, job.content_hash, job.original_filename)
    return params, other_source(job, source_hash, params)


def other_source(job: FileRegistry, source_hash: str, params: Mapping[str, Any]) -> dict[str, Any]:
    """What changes with parameters that name another source: it is no longer the one that *job* was to replace."""
    if source_hash == job.source_hash:
        return {}
    changes: dict[str, Any] = {"source_hash": source_hash, "replaces_duplicates": False}
    address = next(iter(addresses_in(params)), "")
    if address and not job.file_path:
        shown = address_without_password(address)
        changes |= {"file_url": shown[:2000], "original_filename": shown[:255]}
    return changes


def cancel(job: FileRegistry, by: str = "") -> FileRegistry:
    """Stop a job that waits or runs. Nothing of it is found from now on; its rows are reaped later.

    :raises WrongState: when it has already ended
    """
    with transaction.atomic():
        if not job.cancel(by):
            raise WrongState(NOT_LIVE.format(status_now(job)))
        collections.withdraw_file(job.pk)
        job.refresh_from_db()
        if key := job.storage_key:
            transaction.on_commit(partial(storage.clear_work, key), robust=True)
            transaction.on_commit(partial(storage.clear_kept, key), robust=True)
    logger.info("Job %s cancelled", job.pk, extra={"job_id": job.pk})
    return job


def cancellable(job: FileRegistry) -> None:
    """:raises WrongState: a cancel would be refused"""
    if job.status not in LIVE:
        raise WrongState(NOT_LIVE.format(job.status))


def delete(job: FileRegistry, *, hard: bool = True, by: str = "") -> Deletion:
    """Remove a file with everything made from it; *hard* removes the row too. A running job is stopped by its fence.

    The diary stays as a record, but for a preview's: that leaves nothing behind.

    :raises JobGone: somebody else was first
    """
    with transaction.atomic():
        job.delete_softly(by)
        chunks = collections.withdraw_file(job.pk)
        rows = FileRegistry.objects.filter(pk=job.pk)
        if not (rows.delete()[0] if hard else rows.exists()):
            raise JobGone(job)
        if hard and job.is_preview:
            JobEvent.objects.filter(job_id=job.pk).delete()
        files = storage.visible(job.storage_key) if job.storage_key else []
        if job.storage_key:
            transaction.on_commit(partial(storage.remove, job.storage_key), robust=True)
    logger.info("Job %s deleted with %d chunks", job.pk, chunks, extra={"job_id": job.pk})
    return Deletion(chunks, files)


def delete_collection(collection: Collection, by: str = "") -> Deletion:
    """Remove a collection: first its jobs are stopped, then nothing of it is found.

    Its rows and files are reaped afterwards; with thousands of files that takes longer than a request may.
    """
    with transaction.atomic():
        if not Collection.objects.filter(pk=collection.pk, deleted_at__isnull=True).update(deleted_at=Now()):
            return Deletion(0)  # somebody else was first
        # Those that wait are not claimed any more, and go with their rows.
        for job in FileRegistry.objects.processing().filter(collection=collection):
            job.cancel(by or "the deletion of its collection")
        chunks = collections.withdraw_collection(collection)
        paths = collection.files.ingestions().exclude(file_path="").exclude(status=FileStatus.DELETED)
        return Deletion(chunks, list(paths.values_list("file_path", flat=True)))


def set_status(job: FileRegistry, status: str, by: str = "") -> FileRegistry:
    """What ``PUT …/status`` means: act, never overwrite.

    :raises WrongState: for a status that only the engine may set, or that the job's own does not allow
    """
    if status == job.status:
        return job
    if status == FileStatus.CANCELLED:
        return cancel(job, by)
    if status == FileStatus.PENDING:
        return retry(job, by=by)
    if status == FileStatus.DELETED:
        delete(job, hard=False, by=by)
        return job
    raise WrongState(f"Only the server itself moves a job to {status}. You can set cancelled, pending or deleted.")


def status_now(job: FileRegistry) -> str:
    """The status in the database, for a job whose move was refused because another hand was first.

    :raises JobGone:
    """
    status = FileRegistry.objects.filter(pk=job.pk).values_list("status", flat=True).first()
    if status is None:
        raise JobGone(job)
    return status


def source_key(job: FileRegistry) -> str:
    """A name for what the job's chunks are cut from, and how: same bytes, plugin and parameters give the same key."""
    parts = [job.content_hash or job.file_url, job.plugin_name, job.plugin_params]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
