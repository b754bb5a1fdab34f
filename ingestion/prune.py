"""Removing what has outlived its use: ended jobs of some age, diaries of jobs that are gone, folders without a job."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Exists, OuterRef

from ingestion import storage
from ingestion.housekeeping import STRAY_SECONDS
from ingestion.models import FileRegistry, FileStatus, JobEvent, JobQuerySet

PRUNABLE = (FileStatus.COMPLETED, FileStatus.FAILED, FileStatus.CANCELLED, FileStatus.DELETED)
ROWS_AT_ONCE = 1000  # in a transaction, so that nobody waits long for the write lock


@dataclass(frozen=True)
class Stray:
    """A folder of the storage that no job owns."""

    key: str
    bytes: int


def ended_jobs(statuses: list[str], before: datetime) -> JobQuerySet:
    """Jobs in these statuses that nothing has happened to since. Previews go by themselves."""
    return FileRegistry.objects.ingestions().filter(status__in=statuses, updated_at__lt=before)


def orphaned_events(before: datetime) -> list[int]:
    """Ids of diary entries of jobs that are gone, the youngest of which was written before that moment."""
    owner = FileRegistry.objects.filter(pk=OuterRef("job_id"))
    later = JobEvent.objects.filter(job_id=OuterRef("job_id"), at__gte=before)
    return list(JobEvent.objects.filter(~Exists(owner), ~Exists(later), at__lt=before).values_list("pk", flat=True))


def delete_events(ids: list[int], told: Callable[[int], None] = lambda _: None) -> int:
    """Delete these entries, some at once; *told* hears how many are gone."""
    for start in range(0, len(ids), ROWS_AT_ONCE):
        JobEvent.objects.filter(pk__in=ids[start : start + ROWS_AT_ONCE]).delete()
        told(min(start + ROWS_AT_ONCE, len(ids)))
    return len(ids)


def strays() -> Iterator[Stray]:
    """Folders without a row, or whose job is deleted. Young ones may be uploads on their way."""
    for shelf in range(256):
        for key in stray_among(storage.keys_in(shelf)):
            yield Stray(key, storage.size_of(storage.folder(key)))


def stray_among(keys: list[str]) -> list[str]:
    rows = dict(FileRegistry.objects.filter(storage_key__in=keys).values_list("storage_key", "status"))
    ownerless = [key for key in keys if rows.get(key, FileStatus.DELETED) == FileStatus.DELETED]
    return [key for key in ownerless if storage.age(storage.folder(key)) > STRAY_SECONDS]


def delete_strays(found: list[Stray]) -> list[Stray]:
    """Remove those that still belong to nobody: since they were found, an import may have gone on with one.

    :return: those that were removed
    """
    removed = [stray for stray in found if stray_among([stray.key])]
    for stray in removed:
        storage.remove(stray.key)
    return removed
