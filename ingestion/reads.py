"""What is polled, read with as little work as possible.

Building and compiling a queryset over a job's columns takes 630 µs, running its SQL and fetching the row 105 µs. So
each query is compiled once, with numbers that stand for its parameters, and then only these change.
"""

import zlib
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any, NamedTuple

from django.conf import settings
from django.db import connection
from django.db.models import QuerySet, Subquery

from collections_app.models import Collection
from ingestion.filters import JobFilter, Order, in_order
from ingestion.models import FileRegistry, FileStatus, JobCount, JobQuerySet
from ingestion.outlook import Outlook, outlook
from ingestion.wire import JobRow, job_object

LOOKAHEAD = 10_000  # places of the queue that are counted; a job further back has no position
LATEST_FAILURES = 5
# Stand for parameters while a query is compiled; no query contains these numbers otherwise.
COLLECTION, JOB = 7_000_000_000_000_000_001, 7_000_000_000_000_000_002
LITERAL = frozenset(FileStatus.values)


class Prepared:
    """A queryset of value lists, compiled once.

    Statuses stand in it literally: SQLite uses an index with a condition only where it sees that the condition holds.

    :param paged: append LIMIT and OFFSET, whose values are given with each call
    """

    def __init__(self, queryset: QuerySet[Any, Any], *, paged: bool = False) -> None:
        sql, parameters = queryset.query.sql_with_params()
        first, *others = sql.split("%s")
        self.parameters = [value for value in parameters if value not in LITERAL]
        places = [f"'{value}'" if value in LITERAL else "%s" for value in parameters]
        self.sql = first + "".join(place + text for place, text in zip(places, others, strict=True))
        if paged:
            self.sql += " LIMIT %s OFFSET %s"

    def rows(self, *paging: int, collection: int, job: int = 0) -> list[Any]:
        given = {COLLECTION: collection, JOB: job}
        with connection.cursor() as cursor:
            cursor.execute(self.sql, [*(given.get(value, value) for value in self.parameters), *paging])
            return list(cursor.fetchall())


def _jobs() -> JobQuerySet:
    """Those of the collection; none once it is deleted."""
    return FileRegistry.objects.filter(collection_id=COLLECTION, collection__deleted_at__isnull=True)


def _columns(jobs: QuerySet[FileRegistry]) -> QuerySet[FileRegistry, Any]:
    return jobs.values_list(*JobRow._fields)


# -- One job ----------------------------------------------------------------------------------------


@lru_cache(maxsize=1)
def _one() -> Prepared:
    return Prepared(_columns(_jobs().filter(pk=JOB)))


def row(collection_id: int, job_id: int) -> JobRow | None:
    """None when the live collection has no such job."""
    found = _one().rows(collection=collection_id, job=job_id)
    return JobRow._make(found[0]) if found else None


def job(collection_id: int, job_id: int) -> dict[str, Any] | None:
    """The job as it is answered; None when the live collection has no such job."""
    found = tagged_job(collection_id, job_id)
    return found[0] if found else None


def tagged_job(collection_id: int, job_id: int) -> tuple[dict[str, Any], str] | None:
    """The job as it is answered, and its ETag; None when the live collection has no such job."""
    found = row(collection_id, job_id)
    if found is None:
        return None
    position = _position(found.priority, found.id) if found.status == FileStatus.PENDING else None
    ahead = outlook(found, position)
    return job_object(found, position, ahead), etag(found.id, found.version, found.collection__name, position, ahead)


def _position(priority: int, job_id: int) -> int | None:
    """1 + the pending jobs ahead. Two ranges of the queue's index, since one with OR reads all of it."""
    table = FileRegistry._meta.db_table
    ahead = f"SELECT count(*) FROM (SELECT 1 FROM {table} WHERE status = 'pending' AND {{}} LIMIT {LOOKAHEAD}) AS q"  # noqa: S608
    sql = f"SELECT ({ahead.format('priority > %s')}) + ({ahead.format('priority = %s AND id < %s')})"
    with connection.cursor() as cursor:
        cursor.execute(sql, [priority, priority, job_id])
        count: int = cursor.fetchone()[0]
    return count + 1 if count < LOOKAHEAD else None


# -- What has changed ---------------------------------------------------------------------------------


class StateRow(NamedTuple):
    """What of a row its ETag depends on."""

    version: int
    priority: int
    collection__name: str
    status: str
    plugin_name: str
    file_size: int
    error_code: str
    progress_current: int
    progress_total: int
    progress_unit: str
    stage_started_at: datetime | None
    not_before: datetime | None
    collection__embedding_vendor: str
    kind: str


@lru_cache(maxsize=1)
def _state() -> Prepared:
    return Prepared(_jobs().filter(pk=JOB).values_list(*StateRow._fields))


def tag(collection_id: int, job_id: int) -> str | None:
    """The ETag of the job as it is now, without reading the job; None when there is no such job."""
    found = _state().rows(collection=collection_id, job=job_id)
    if not found:
        return None
    state = StateRow._make(found[0])
    position = _position(state.priority, job_id) if state.status == FileStatus.PENDING else None
    return etag(job_id, state.version, state.collection__name, position, outlook(state, position))


def etag(job_id: int, version: int, collection_name: str, position: int | None, ahead: Outlook) -> str:
    """Weak: it changes with all that matters to a reader of the job, also what does not stand in its row."""
    beside = zlib.crc32(f"{settings.VERSION} {position} {ahead.mark} {collection_name}".encode("utf-8", "replace"))
    return f'W/"{job_id}-{version}-{beside:x}"'


# -- Pages of jobs ----------------------------------------------------------------------------------


@lru_cache(maxsize=128)
def _page(status: str, sort_by: str, descending: bool) -> Prepared:
    jobs = JobFilter({"status": status}, queryset=_jobs().ingestions()).qs
    return Prepared(_columns(in_order(jobs, sort_by, descending)), paged=True)


def rows(
    collection_id: int,
    *,
    status: str = "",
    sort_by: str = "created_at",
    descending: bool = False,
    limit: int,
    offset: int = 0,
) -> list[JobRow]:
    """A page of the collection's jobs, or files, which are the same rows; without previews."""
    found = _page(status, sort_by, descending).rows(limit, offset, collection=collection_id)
    return [JobRow._make(row) for row in found]


def jobs_page(
    collection_id: int, *, status: str, sort_by: str, descending: bool, limit: int, offset: int
) -> list[dict[str, Any]]:
    """A page of jobs as they are answered."""
    page = rows(
        collection_id, status=status, sort_by=sort_by, descending=descending, limit=limit, offset=offset
    )  # fmt: skip
    return job_objects(page)


@dataclass(frozen=True)
class Page:
    """Jobs as they are answered. *next_cursor* is None on the last page."""

    items: list[dict[str, Any]]
    next_cursor: str | None


def jobs_after(jobs: JobQuerySet, order: Order, cursor: str, limit: int) -> Page:
    """The first *limit* of *jobs* behind *cursor*, or from the start where that is empty.

    :raises InvalidCursor:
    """
    # Numbers first: sorting whole rows, statistics and all, takes ten times longer.
    sorted_jobs: Any = order.page(jobs, cursor)
    keys: dict[int, str | int] = dict(sorted_jobs.values_list("pk", "sort_key")[: limit + 1])
    numbers = list(keys)[:limit]
    rows = {row[0]: JobRow._make(row) for row in _columns(FileRegistry.objects.filter(pk__in=numbers))}
    page = [rows[number] for number in numbers if number in rows]  # the others were deleted meanwhile
    more = len(keys) > limit
    return Page(job_objects(page), order.cursor(keys[numbers[-1]], numbers[-1]) if more else None)


def job_objects(page: list[JobRow]) -> list[dict[str, Any]]:
    places = queue_positions([row for row in page if row.status == FileStatus.PENDING])
    return [job_object(row, places.get(row.id), outlook(row, places.get(row.id))) for row in page]


def queue_positions(pending: list[JobRow]) -> dict[int, int]:
    """Where these pending jobs stand in the queue of all owners, by id; those far back are left out.

    Neighbours on a page are mostly neighbours in the queue: so the first of them is counted from the queue's start,
    and the others from there.
    """
    table = FileRegistry._meta.db_table
    places: dict[int, int] = {}
    for priority in {row.priority for row in pending}:
        wanted = sorted(row.id for row in pending if row.priority == priority)
        first = _position(priority, wanted[0])
        if first is None:
            continue
        with connection.cursor() as cursor:
            cursor.execute(
                f"SELECT id FROM {table} WHERE status = 'pending' AND priority = %s AND id BETWEEN %s AND %s "  # noqa: S608
                f"ORDER BY id LIMIT {LOOKAHEAD - first + 1}",
                [priority, wanted[0], wanted[-1]],
            )
            places |= {pk: place for place, (pk,) in enumerate(cursor.fetchall(), first)}
    return places


# -- The summary ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Counts:
    """A live collection's name and its jobs by status; all six are there."""

    name: str
    by_status: dict[str, int]

    @property
    def total(self) -> int:
        return sum(self.by_status.values())


@lru_cache(maxsize=1)
def _counts() -> Prepared:
    name = Collection.objects.filter(pk=COLLECTION, deleted_at__isnull=True).values("name")
    return Prepared(
        JobCount.objects.filter(collection_id=COLLECTION).annotate(name=Subquery(name)).values_list(
            "name", "status", "jobs"
        )
    )  # fmt: skip


def counts(collection_id: int) -> Counts | None:
    """None when there is no such collection, or it was deleted."""
    found = _counts().rows(collection=collection_id)
    name: str | None
    if found:
        name = found[0][0]
    else:  # it never had a job
        name = (
            Collection.objects.filter(pk=collection_id, deleted_at__isnull=True).values_list("name", flat=True).first()
        )
    if name is None:
        return None
    return Counts(name, {**dict.fromkeys(FileStatus.values, 0), **{status: jobs for _, status, jobs in found}})


@lru_cache(maxsize=1)
def _latest_failures() -> Prepared:
    """Their numbers come from the index alone. Where SQLite has statistics, it would read all failures otherwise."""
    latest = FileRegistry.objects.filter(collection_id=COLLECTION).ingestions().failed().order_by("-updated_at", "-id")
    numbers = latest.values("pk")[:LATEST_FAILURES]
    return Prepared(_columns(FileRegistry.objects.filter(pk__in=numbers, collection__deleted_at__isnull=True)))


@lru_cache(maxsize=1)
def _longest_running() -> Prepared:
    return Prepared(_columns(_jobs().ingestions().processing().order_by("processing_started_at")[:1]))


def latest_failures(collection_id: int) -> list[dict[str, Any]]:
    """Newest first."""
    found = [JobRow._make(row) for row in _latest_failures().rows(collection=collection_id)]
    return [job_object(row) for row in sorted(found, key=lambda row: (row.updated_at, row.id), reverse=True)]


def longest_running(collection_id: int) -> dict[str, Any] | None:
    found = _longest_running().rows(collection=collection_id)
    return job_objects([JobRow._make(found[0])])[0] if found else None
