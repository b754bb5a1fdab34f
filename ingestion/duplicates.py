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

from django.db.models import QuerySet, TextChoices

from collections_app import services as collections
from collections_app.models import Collection
from ingestion import storage
from ingestion.models import EventKind, FileRegistry, FileStatus, JobEvent
from plugins.kept import key_of
from plugins.parameters import addresses_in

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


def source_hash(content_hash: str, params: Mapping[str, Any]) -> str:
    """What makes two sources the same: their addresses, or where the parameters name none, their bytes.

    Addresses come first because LAMB uploads a small text file, whose bytes mean nothing, for each of them.
    """
    addresses = addresses_in(params)
    return key_of(sorted(set(addresses))) if addresses else content_hash


def same_source(collection: Collection, plugin_name: str, source: str) -> QuerySet[FileRegistry]:
    """All jobs of the collection that read this source with this plugin, oldest first."""
    if not source:
        return FileRegistry.objects.none()
    jobs = FileRegistry.objects.filter(collection=collection, source_hash=source, plugin_name=plugin_name)
    return jobs.order_by("pk")


def refuse(collection: Collection, plugin_name: str, params: Mapping[str, Any], source: str) -> None:
    """:raises DuplicateFound: a job that waits, runs or is complete has the same source and parameters"""
    for job in same_source(collection, plugin_name, source).filter(status__in=USEFUL).order_by("-pk"):
        if job.plugin_params == params:
            raise DuplicateFound(job)


# -- Replacing --------------------------------------------------------------------------------------


def replaced_by(job: FileRegistry) -> QuerySet[FileRegistry]:
    """What *job* takes the place of: all that was submitted before it, in whatever status."""
    if not job.replaces_duplicates:
        return FileRegistry.objects.none()
    older = same_source(job.collection, job.plugin_name, job.source_hash).filter(pk__lt=job.pk)
    return older.exclude(status=FileStatus.DELETED)


def retire(job: FileRegistry) -> list[str]:
    """Delete softly what *job* replaces, in the transaction that completes it: one is found at any time, never two.

    :return: storage keys of the folders to be removed once that has committed
    """
    keys = []
    for old in replaced_by(job):
        if old.delete_softly(f"its replacement, job {job.pk}"):
            collections.withdraw_file(old.pk)
            JobEvent.write(job, EventKind.STAGE, f"Took the place of job {old.pk}", {"replaced": old.pk})
            keys += [old.storage_key] if old.storage_key else []
    return keys


def inherit_kept(job: FileRegistry, folder: Path) -> None:
    """Start from what the replaced job has converted: link its kept entries into *folder*, the new job's own.

    Entries are only ever replaced whole, so a link costs no space and cannot change under the other job.
    """
    mine = folder / storage.KEPT
    if mine.exists():
        return
    for old in replaced_by(job).exclude(storage_key=None).order_by("-pk"):
        theirs = storage.folder(str(old.storage_key)) / storage.KEPT
        if theirs.is_dir():
            with suppress(OSError):  # where links are impossible, or the old job is deleted at this moment
                shutil.copytree(theirs, mine, copy_function=os.link)
                return
