"""Removes what nobody can see any more: withdrawn chunks, unfinished documents, deleted collections, lost uploads."""

import logging
from datetime import timedelta

from django.db import transaction
from django.db.models import Exists, OuterRef, Q
from django.db.models.functions import Now

from collections_app import services as collections
from collections_app.models import Collection, Document
from ingestion import storage
from ingestion.models import LIVE, FileRegistry, FileStatus, JobCount

logger = logging.getLogger("kb.housekeeping")

UNFINISHED_KEPT = timedelta(hours=24)  # how long a failed job's stored chunks wait for its retry
ROWS_AT_ONCE = 200


def sweep(seconds: float = 1.0) -> bool:
    """One round, of about *seconds*; True when more is left to do."""
    withdraw_ownerless()
    result = collections.reap(budget_seconds=seconds)
    more_collections = reap_collections()
    return result.more or more_collections


def withdraw_ownerless() -> int:
    """Unfinished documents that no job will ever finish."""
    owner = FileRegistry.objects.filter(pk=OuterRef("file_id"))
    finishable = owner.filter(Q(status__in=LIVE) | Q(status=FileStatus.FAILED, updated_at__gte=Now() - UNFINISHED_KEPT))
    old_enough = Q(created_at__lt=Now() - timedelta(seconds=10))  # never race a run that has just begun
    return Document.objects.unfinished().filter(old_enough, ~Exists(finishable)).withdraw()


def reap_collections() -> bool:
    """Jobs, files and finally the row of deleted collections; True when more is left."""
    for collection in Collection.objects.filter(deleted_at__isnull=False)[:10]:
        stop_stragglers(collection)
        jobs = list(collection.files.values_list("pk", "storage_key")[:ROWS_AT_ONCE])
        for _, key in jobs:
            if key:
                storage.remove(key)
        FileRegistry.objects.filter(pk__in=[pk for pk, _ in jobs]).delete()
        if len(jobs) == ROWS_AT_ONCE:
            return True
        if not collection.documents.exists() and not collection.files.exists():
            with transaction.atomic():
                JobCount.objects.filter(collection_id=collection.pk).delete()
                collection.delete()
    return False


def stop_stragglers(collection: Collection) -> None:
    """A job that was submitted while its collection was being deleted."""
    for job in collection.files.filter(status__in=LIVE):
        job.cancel("the deletion of its collection")
    collections.withdraw_collection(collection)
