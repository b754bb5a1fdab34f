"""Removes what nobody can see any more: withdrawn chunks, unfinished documents, deleted collections, lost files."""

import logging
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta

from django.db import transaction
from django.db.models import Exists, OuterRef, Q
from django.db.models.functions import Now

from collections_app import services as collections
from collections_app.models import Collection, Document, VendorState
from ingestion import hosts, idempotency, queue, services, storage
from ingestion.models import LIVE, FileRegistry, FileStatus, JobCount, JobEvent, changed
from ingestion.preview import PREVIEW_KEPT

logger = logging.getLogger("kb.housekeeping")

UNFINISHED_KEPT = timedelta(hours=24)  # how long a failed job's stored chunks and spool wait for its retry
STRAY_SECONDS = 3600  # how old a folder without a row must be: younger ones may be uploads on their way
# No try is ever put off that long; where one is, the clock was set back meanwhile.
FURTHEST_TRY = timedelta(hours=1)
ROWS_AT_ONCE = 200
PREVIEWS_AT_ONCE = 50
SHELVES = 256

_shelf = 0


def sweep(seconds: float = 1.0) -> bool:
    """One round, of about *seconds*; True when more is left to do. What fails does not keep the rest from its turn."""
    tasks = (bring_near, withdraw_ownerless, reap_collections, expire_previews, sweep_shelf, idempotency.forget)
    more = [attempt(task) for task in tasks]
    more.append(attempt(lambda: collections.reap(budget_seconds=seconds).more))
    return any(more)


def attempt(task: Callable[[], bool]) -> bool:
    try:
        return task()
    except Exception:
        logger.exception("A task of housekeeping failed; it is tried again in the next round")
        return False


def bring_near() -> bool:
    """Tries that a clock set back has moved far away: of jobs that wait, and of vendors that are left alone."""
    far = Now() + FURTHEST_TRY
    jobs = FileRegistry.objects.pending().filter(not_before__gt=far).update(not_before=None, **changed())
    vendors = VendorState.objects.filter(open_until__gt=far).update(open_until=Now(), updated_at=Now())
    if jobs or vendors:
        logger.warning("The clock was set back: %s jobs and %s vendors waited for a far time", jobs, vendors)
        queue.ring()
    return False


def withdraw_ownerless() -> bool:
    """Unfinished documents that no job will ever finish."""
    owner = FileRegistry.objects.filter(pk=OuterRef("file_id"))
    finishable = owner.filter(Q(status__in=LIVE) | Q(status=FileStatus.FAILED, updated_at__gte=Now() - UNFINISHED_KEPT))
    # Never race a run that has just begun, nor a request that stores documents of its own.
    old_enough = Q(file_id__isnull=False, created_at__lt=Now() - timedelta(seconds=10)) | Q(
        created_at__lt=Now() - timedelta(minutes=10)
    )
    Document.objects.unfinished().filter(old_enough, ~Exists(finishable)).withdraw()
    return False


def expire_previews() -> bool:
    """Previews that have served their time, whatever became of them: row, diary and files; True when more are left.

    One that still waits or runs is cancelled now, and goes in the next round, when its run writes nothing any more.
    """
    old = FileRegistry.objects.previews().of_live_collections().filter(created_at__lt=Now() - PREVIEW_KEPT)
    expired = list(old.order_by("pk").select_related("collection")[:PREVIEWS_AT_ONCE])
    for job in expired:
        with suppress(services.WrongState):  # another hand was first
            if job.status in LIVE:
                services.cancel(job, "its expiry")
            else:
                services.delete(job, by="its expiry")
    return len(expired) == PREVIEWS_AT_ONCE


def reap_collections() -> bool:
    """Jobs, files and finally the row of deleted collections; True when more is left."""
    for collection in Collection.objects.filter(deleted_at__isnull=False)[:10]:
        collections.withdraw_collection(collection)
        jobs = list(collection.files.all()[:ROWS_AT_ONCE])
        for job in jobs:
            if job.status in LIVE:
                job.cancel("the deletion of its collection")
            if job.storage_key:
                storage.remove(job.storage_key)
        JobEvent.objects.filter(job_id__in=[job.pk for job in jobs if job.is_preview]).delete()
        FileRegistry.objects.filter(pk__in=[job.pk for job in jobs]).delete()
        if len(jobs) == ROWS_AT_ONCE:
            return True
        if collection.documents.exists() or collection.files.exists():
            return True
        with transaction.atomic():
            JobCount.objects.filter(collection_id=collection.pk).delete()
            collection.delete()
    return False


def sweep_shelf() -> bool:
    """Folders of files that no row owns, and scratch space that nobody will need: one shelf of 256 a round."""
    global _shelf
    _shelf = (_shelf + 1) % SHELVES
    if _shelf % 16 == 0:
        hosts.sweep_scratch()
    if _shelf == 0:
        storage.sweep_incoming()
    keys = storage.keys_in(_shelf)
    rows = dict(FileRegistry.objects.filter(storage_key__in=keys).values_list("storage_key", "status"))
    for key in keys:
        ownerless = key not in rows or rows[key] == FileStatus.DELETED
        if ownerless and storage.age(storage.folder(key)) > STRAY_SECONDS:
            logger.info("Removed a folder that no job owns: %s", key)
            storage.remove(key)
        elif rows.get(key) not in LIVE and storage.age(storage.work_folder(key)) > UNFINISHED_KEPT.total_seconds():
            storage.clear_work(key)
    return False
