"""The same source twice in one collection: taken again, left out, or put in the old one's place.

The same source is the same bytes, or for one that is fetched the same addresses, read by the same plugin. ``skip``
also compares the parameters; ``replace`` does not, since other parameters are a reason to replace.
"""

import os
import shutil
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from django.db import connection
from django.db.models import Q, TextChoices

from collections_app import services as collections
from collections_app.models import Collection
from ingestion import storage
from ingestion.models import LIVE, FileRegistry, FileStatus, JobCount, JobKind, JobQuerySet
from plugins.base import PluginError
from plugins.kept import DRAFT, key_of
from plugins.parameters import ADDRESS_PARAMETERS, addresses_in
from plugins.registry import FILE_INGEST, PluginInfo
from plugins.videos.video_addresses import video_id_of
from plugins.web.addresses import cleaned, key_of_page, named_address

FORERUNNERS = 20  # that are looked at for what they have converted
USEFUL = (FileStatus.PENDING, FileStatus.PROCESSING, FileStatus.COMPLETED)


class OnDuplicate(TextChoices):
    ALLOW = "allow"
    SKIP = "skip"
    REPLACE = "replace"


class DuplicateFound(Exception):
    """The collection has this source already, or is about to.

    :param job: the one that it came from
    """

    def __init__(self, job: FileRegistry) -> None:
        super().__init__(f"Job {job.pk} has ingested the same source, or is about to.")
        self.job = job


def source_hash(info: PluginInfo, params: Mapping[str, Any], content_hash: str = "", name: str = "") -> str:
    """What makes two sources the same: the bytes of a file, or the addresses of what is fetched.

    LAMB uploads a small text file for each address that is to be fetched. The bytes of such a placeholder mean nothing.

    :param content_hash: of the uploaded file called *name*, if there is one
    """
    addresses = set() if info.kind == FILE_INGEST else set(addresses_in(params))
    if not addresses or (content_hash and not name.lower().endswith(".txt")):
        return content_hash
    return key_of("addresses", sorted(map(identity, addresses)))


def identity(address: str) -> str:
    """The same text for every form of an address: of a video its id."""
    with suppress(PluginError):
        return video_id_of(address)
    with suppress(ValueError):
        return key_of_page(cleaned(named_address(address)))
    return address


def same_source(collection: Collection, plugin_name: str, source: str) -> JobQuerySet:
    """All jobs of the collection that read this source with this plugin, oldest first; previews are none of them."""
    if not source:
        return FileRegistry.objects.none()
    jobs = FileRegistry.objects.ingestions().filter(collection=collection, source_hash=source, plugin_name=plugin_name)
    return jobs.order_by("pk")


def refuse(collection: Collection, plugin_name: str, params: Mapping[str, Any], source: str) -> None:
    """:raises DuplicateFound: a job that waits, runs or is complete has the same source and parameters"""
    for job in same_source(collection, plugin_name, source).filter(status__in=USEFUL).order_by("-pk"):
        if splitting(job.plugin_params) == splitting(params):
            raise DuplicateFound(job)
        if job.replaces_duplicates and job.status in LIVE:
            return  # the older ones are about to go


def splitting(params: Mapping[str, Any]) -> dict[str, Any]:
    """Parameters without the addresses, whose forms and order the source's hash has judged already."""
    return {name: value for name, value in params.items() if name not in ADDRESS_PARAMETERS}


# -- Replacing --------------------------------------------------------------------------------------


def replaced_by(job: FileRegistry) -> JobQuerySet:
    """What *job* takes the place of: all that was submitted before it, in whatever status."""
    if not job.replaces_duplicates:
        return FileRegistry.objects.none()
    older = same_source(job.collection, job.plugin_name, job.source_hash).filter(pk__lt=job.pk)
    return older.exclude(status=FileStatus.DELETED)


def lock(job: FileRegistry) -> None:
    """Take the rows that completing *job* will touch, in the order in which everybody does.

    Otherwise PostgreSQL finds a replacement and another move of its collection waiting for each other. SQLite has one
    lock for all.
    """
    if job.replaces_duplicates and connection.features.has_select_for_update:
        rows = [job.pk, *replaced_by(job).values_list("pk", flat=True)]
        list(FileRegistry.objects.select_for_update().filter(pk__in=rows).order_by("pk").values_list("pk"))
        counts = JobCount.objects.filter(collection_id=job.collection_id).order_by("status")
        list(counts.select_for_update().values_list("pk"))


def retire(job: FileRegistry) -> list[str]:
    """Delete softly what *job* replaces, in the transaction that completes it: one is found at any time, never two.

    :return: storage keys of the folders to be removed once that has committed
    """
    retired = FileRegistry.retire(replaced_by(job), job)
    collections.withdraw_files([old.pk for old in retired])
    return [old.storage_key for old in retired if old.storage_key]


def forerunners(job: FileRegistry) -> JobQuerySet:
    """Jobs whose conversion *job* may start from, the latest first.

    They are those that it takes the place of, and previews of its source; for a preview, all jobs of its source.
    """
    if not job.source_hash:
        return FileRegistry.objects.none()
    same = FileRegistry.objects.filter(collection=job.collection_id, source_hash=job.source_hash, pk__lt=job.pk)
    if not job.is_preview:
        mine = Q(kind=JobKind.PREVIEW)
        same = same.filter(mine | Q(plugin_name=job.plugin_name) if job.replaces_duplicates else mine)
    return same.exclude(status=FileStatus.DELETED).exclude(storage_key=None).order_by("-pk")


def inherit_kept(job: FileRegistry, folder: Path) -> None:
    """Start from what an earlier job has converted: link its kept entries into *folder*, the new job's own.

    Entries are only ever replaced whole, so a link costs no space and cannot change under the other job. Where links
    are impossible, the source is converted again.
    """
    mine = folder / storage.KEPT
    if mine.exists():
        return
    draft = folder / f"{storage.KEPT}{DRAFT}"
    for key in forerunners(job).values_list("storage_key", flat=True)[:FORERUNNERS]:
        theirs = storage.folder(str(key)) / storage.KEPT
        if theirs.is_dir():
            with suppress(OSError, shutil.Error):  # or the old job is deleted at this moment
                shutil.rmtree(draft, ignore_errors=True)
                shutil.copytree(theirs, draft, copy_function=os.link, ignore=shutil.ignore_patterns(f"*{DRAFT}"))
                draft.replace(mine)
            return
