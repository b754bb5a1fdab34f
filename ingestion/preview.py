"""Previews: how would this source be cut? Jobs that convert like any other and then say so, and store nothing.

Nobody but who started it sees a preview: lists, counts and figures leave it out. Housekeeping removes it after an hour.
"""

import secrets
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from functools import partial
from typing import Any

from django.conf import settings

from collections_app.models import Collection
from ingestion import duplicates, services, sources, storage
from ingestion.models import FileRegistry, FileStatus, JobKind
from ingestion.services import WrongPluginKind, WrongState
from plugins.parameters import ADDRESS_PARAMETERS, addresses_in
from plugins.registry import FILE_INGEST, REMOTE_INGEST, PluginInfo

PREVIEW_KEPT = timedelta(hours=1)
PRIORITY = 10  # somebody sits and waits
HURRIED = 4  # live previews of one owner that go before other jobs; further ones wait their turn like these
MOST_SOURCES = 3  # pages or videos that are fetched
LIMITS = ("limit", "max_pages", "max_videos")  # parameters that say how many a plugin fetches
ONLY_SOME = f"A preview fetches {MOST_SOURCES} pages or videos at most."


def submit(
    collection: Collection,
    plugin_name: str,
    params: Mapping[str, Any],
    *,
    upload: storage.Upload | None = None,
    name: str = "",
    url: str = "",
    content_type: str | None = None,
    source_job: FileRegistry | None = None,
    sent_with: Sequence[str] = (),
    remember: Callable[[FileRegistry], None] | None = None,
) -> FileRegistry:
    """Queue a preview. Of these, one: *upload*; *name* and *url* of a source that a worker fetches; *source_job*.

    :param plugin_name: empty with *source_job*: the same as that job's
    :param params: with *source_job* and its plugin, what is not named stays as it was there
    :param source_job: a job of this collection, preview or not, whose source is read again; it need not be sent again
    :param sent_with: further addresses that are taken in as this preview decides; what was sent with *source_job*
        holds again for the same address
    :param remember: called with the job in the transaction that registers it
    :raises UnknownPlugin, InvalidParameters, WrongPluginKind, storage.NoSpace:
    :raises WrongState: *source_job* has no source any more, or is of another collection
    :raises CollectionGone: it was deleted meanwhile
    """
    if source_job is not None and source_job.collection_id != collection.pk:
        raise WrongState(f"Job {source_job.pk} belongs to another collection.")
    info = services.plugin(plugin_name or (source_job.plugin_name if source_job else ""))
    given = dict(params) if source_job is None else {**carried(source_job, info), **params}
    clean = capped(info, services.check_parameters(info, given))
    if source_job is not None:
        source = of_job(source_job, info, clean)
    elif upload:
        source = services.of_upload(upload)
    else:
        source = services.of_address(name, url, content_type)
    keep = keeper(source["storage_key"], upload, source_job)
    if keep and not addresses_in(clean) and may_be_list(info, source["original_filename"]):
        raise WrongPluginKind("A preview reads no list of addresses from a file. Name them as url or urls.")
    if storage.free_mb() < settings.KB_MIN_FREE_MB:
        raise storage.NoSpace(storage.NO_SPACE)
    file = (source["content_hash"], source["original_filename"]) if keep else ()
    job = FileRegistry(
        collection=collection,
        kind=JobKind.PREVIEW,
        priority=priority_for(collection.owner),
        source_hash=duplicates.source_hash(info, clean, *file),
        plugin_name=info.name,
        plugin_params=clean,
        sent_with=list(sent_with) or sent_with_same(source_job, info, clean),
        progress_message=f"Queued. {note}" if (note := note_of(info, clean)) else "",
        **source,
    )
    return services.register(job, f"Submitted for a preview by {info.name}", keep=keep, remember=remember)


def ingest(
    preview: FileRegistry, params: Mapping[str, Any], *, on_duplicate: str = services.OnDuplicate.SKIP
) -> FileRegistry:
    """Take the source of *preview* in for good, with its parameters or *params* instead. It need not be sent again.

    :param preview: limits that hold for previews only are not carried over
    :param on_duplicate: what to do when the collection has the same source already
    :raises DuplicateFound: ``skip`` was asked for, and there is one
    :raises UnknownPlugin, InvalidParameters, WrongState, storage.NoSpace, CollectionGone:
    """
    info = services.plugin(preview.plugin_name)
    given = {name: value for name, value in carried(preview, info).items() if name not in LIMITS}
    clean = services.check_parameters(info, {**given, **params})
    source = of_job(preview, info, clean)
    keep = keeper(source["storage_key"], None, preview)
    file = (source["content_hash"], source["original_filename"]) if keep else ()
    source_hash = duplicates.source_hash(info, clean, *file)
    if storage.free_mb() < settings.KB_MIN_FREE_MB:
        raise storage.NoSpace(storage.NO_SPACE)

    def refuse_duplicate() -> None:
        if on_duplicate == services.OnDuplicate.SKIP:
            Collection.objects.select_for_update().filter(pk=preview.collection_id).first()
            duplicates.refuse(preview.collection, info.name, clean, source_hash)

    job = FileRegistry(
        collection=preview.collection,
        source_hash=source_hash,
        replaces_duplicates=on_duplicate == services.OnDuplicate.REPLACE,
        plugin_name=info.name,
        plugin_params=clean,
        **source,
    )
    return services.register(job, f"Submitted for {info.name}, after a preview", keep=keep, check=refuse_duplicate)


def keeper(key: str, upload: storage.Upload | None, source_job: FileRegistry | None) -> Callable[[], str] | None:
    """What puts a preview's file into its folder, which *key* names; None where it has none."""
    if upload:
        return partial(storage.keep, upload)
    if source_job is None or not source_job.file_path:
        return None

    def keep() -> str:
        try:
            return storage.keep_again(source_job.file_path, key)
        except FileNotFoundError as error:
            raise no_source(source_job) from error

    return keep


# -- The source of another job ----------------------------------------------------------------------


def carried(job: FileRegistry, info: PluginInfo) -> dict[str, Any]:
    """Parameters of *job* that hold for another reading of its source by the plugin *info*."""
    same = job.plugin_name == info.name
    return {
        name: value
        for name, value in job.plugin_params.items()
        if name in info.parameters and (same or name in ADDRESS_PARAMETERS)
    }


def of_job(job: FileRegistry, info: PluginInfo, params: Mapping[str, Any]) -> dict[str, Any]:
    """What a preview's row says of its source, which is that of *job*.

    :raises WrongState, WrongPluginKind, WrongAddresses:
    """
    if job.status == FileStatus.DELETED:
        raise no_source(job)
    if not job.file_path:
        if info.kind == FILE_INGEST:
            raise WrongPluginKind(f"{info.name} needs a file, and job {job.pk} has none.")
        address = sources.first_address(params)
        return services.of_address(address or job.original_filename, address, job.content_type)
    return {
        "original_filename": job.original_filename,
        "content_type": job.content_type,
        "storage_key": secrets.token_hex(16),
        "file_size": job.file_size,
        "content_hash": job.content_hash,
    }


def sent_with_same(job: FileRegistry | None, info: PluginInfo, params: Mapping[str, Any]) -> list[str] | None:
    """What was sent with the preview *job*, where this one reads the same address in the same way."""
    if job is None or not job.sent_with or job.plugin_name != info.name:
        return None
    same = sources.first_address(params) == sources.first_address(job.plugin_params)
    return list(job.sent_with) if same else None


def no_source(job: FileRegistry) -> WrongState:
    return WrongState(f"The file of job {job.pk} is no longer on the server. Upload it again.")


# -- Limits -----------------------------------------------------------------------------------------


def priority_for(owner: str) -> int:
    """Before all other jobs, unless the owner has several such already: nobody waits long behind them."""
    # Not by owner in the database: that would have SQLite walk all jobs of one, and there are few previews.
    hurried = FileRegistry.objects.previews().live().filter(priority=PRIORITY).values_list("owner", flat=True)
    return PRIORITY if list(hurried).count(owner) < HURRIED else 0


def note_of(info: PluginInfo, params: Mapping[str, Any]) -> str:
    """What people should know of a preview by this plugin; mostly nothing."""
    fetches = info.kind != FILE_INGEST and (addresses_in(params) or not params.keys().isdisjoint(LIMITS))
    return ONLY_SOME if fetches else ""


def capped(info: PluginInfo, params: Mapping[str, Any]) -> dict[str, Any]:
    """*params* for a plugin that fetches, so that it fetches a few sources only: the first that are named."""
    found, left = dict(params), MOST_SOURCES
    if info.kind == FILE_INGEST:
        return found
    for name in LIMITS:
        if isinstance(found.get(name), int):
            found[name] = min(found[name], MOST_SOURCES)
    for name in ADDRESS_PARAMETERS:
        addresses = addresses_in({name: found.get(name)})[:left]
        left -= len(addresses)
        if isinstance(found.get(name), list):
            found[name] = addresses
        elif name in found:
            found[name] = "\n".join(addresses)
    return found


def may_be_list(info: PluginInfo, name: str) -> bool:
    """Whether a file of this name may be a list of addresses to a plugin that fetches: nobody but it counts them."""
    extension = storage.extension_of(name).lstrip(".")
    return info.kind == REMOTE_INGEST and (extension == "txt" or extension not in info.supported_file_types)
