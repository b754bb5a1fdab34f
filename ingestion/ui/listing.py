"""A collection's jobs as its page lists them: which ones, in which order, which page of them."""

import zlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlencode

from django.db.models import F, Q
from django.http import HttpRequest
from django.urls import reverse

from collections_app.models import Collection
from ingestion import filters, reads
from ingestion.filters import chosen
from ingestion.models import LIVE, FileRegistry, FileStatus, JobQuerySet
from ingestion.outlook import outlook
from ingestion.wire import JobRow, job_object

PAGE = 50
FURTHEST = 2000  # pages that can be asked for
SORTS = {
    "age": "created_at",
    "name": "original_filename",
    "status": "status",
    "chunks": "document_count",
    "size": "file_size",
}
DESCENDING = frozenset({"age", "chunks", "size"})  # what one wants to see first of these
USUAL = "age"
TEXT_LENGTH = 200


def page_number(text: str) -> int:
    """1 for what is none."""
    return max(1, min(FURTHEST, int(text))) if text.isascii() and text.isdigit() and len(text) < 6 else 1


@dataclass(frozen=True)
class Wanted:
    """What the address of the page asks for; what makes no sense is left out."""

    status: str = ""
    text: str = ""
    sort: str = USUAL
    reverse: bool = False
    page: int = 1

    @classmethod
    def of(cls, query: Mapping[str, str]) -> "Wanted":
        sort = query.get("sort", USUAL)
        return cls(
            status=query.get("status", "") if query.get("status") in FileStatus.values else "",
            text=query.get("q", "").replace("\0", "").strip()[:TEXT_LENGTH],
            sort=sort if sort in SORTS else USUAL,
            reverse=query.get("reverse") == "1",
            page=page_number(query.get("page", "")),
        )

    def query(self, **changes: Any) -> str:
        """As it stands in an address, ``?`` included; empty for the usual."""
        wanted = replace(self, **changes)
        parts = {
            "status": wanted.status,
            "q": wanted.text,
            "sort": "" if wanted.sort == USUAL else wanted.sort,
            "reverse": "1" if wanted.reverse else "",
            "page": "" if wanted.page == 1 else str(wanted.page),
        }
        told = urlencode({name: value for name, value in parts.items() if value})
        return f"?{told}" if told else ""

    def by(self, sort: str) -> str:
        """The address of the same jobs sorted by *sort*; sorted by it already, the other way round."""
        return self.query(sort=sort, reverse=sort == self.sort and not self.reverse, page=1) or "?"

    @property
    def descends(self) -> bool:
        return (self.sort in DESCENDING) != self.reverse


@dataclass(frozen=True)
class Listing:
    """A page of jobs, as they are answered by the API.

    :param total: jobs on all pages
    :param mark: changes with whatever a reader of the page could see
    """

    wanted: Wanted
    items: list[dict[str, Any]]
    total: int
    mark: str

    @property
    def pages(self) -> int:
        return max(1, min(FURTHEST, -(-self.total // PAGE)))

    @property
    def live(self) -> bool:
        """Whether any of these can still change by itself."""
        return any(item["status"] in LIVE for item in self.items)


def jobs_of(collection: Collection, wanted: Wanted) -> JobQuerySet:
    """All that meet the filters, unsorted. What is deleted is shown only where it is asked for."""
    jobs = FileRegistry.objects.ingestions().filter(collection=collection)
    if wanted.text:
        jobs = chosen({"text": wanted.text}, jobs)
    return jobs.filter(status=wanted.status) if wanted.status else jobs.filter(~Q(status=FileStatus.DELETED))


def listed(collection: Collection, wanted: Wanted, counts: Mapping[str, int]) -> Listing:
    """:param counts: the collection's jobs by status"""
    if wanted.text:
        total = jobs_of(collection, wanted).count()
    elif wanted.status:
        total = counts[wanted.status]
    else:
        total = sum(number for status, number in counts.items() if status != FileStatus.DELETED)
    wanted = replace(wanted, page=min(wanted.page, max(1, -(-total // PAGE))))
    rows = page_of(collection, wanted, simple=not wanted.text and bool(wanted.status or not counts["deleted"]))
    places = reads.queue_positions([row for row in rows if row.status == FileStatus.PENDING])
    views = [(row, places.get(row.id)) for row in rows]
    expected = [outlook(row, place) for row, place in views]
    mark = zlib.crc32(repr([(row.id, row.version, place, ahead.mark)
                            for (row, place), ahead in zip(views, expected, strict=True)]).encode())  # fmt: skip
    items = [job_object(row, place, ahead) for (row, place), ahead in zip(views, expected, strict=True)]
    return Listing(wanted, items, total, f"{total}-{mark:x}")


def page_of(collection: Collection, wanted: Wanted, *, simple: bool) -> list[JobRow]:
    """:param simple: chosen by status only, which is what the API's list compiles once"""
    key, start = SORTS[wanted.sort], (wanted.page - 1) * PAGE
    if simple and key in filters.SORTS:
        return reads.rows(
            collection.pk, status=wanted.status, sort_by=key, descending=wanted.descends, limit=PAGE, offset=start
        )
    # Numbers first: sorting whole rows, statistics and all, takes ten times longer.
    jobs = jobs_of(collection, wanted)
    order = [F(key).desc(), F("id").desc()] if wanted.descends else [F(key).asc(), F("id").asc()]
    numbers = list(jobs.order_by(*order).values_list("pk", flat=True)[start : start + PAGE])
    found = FileRegistry.objects.filter(pk__in=numbers).values_list(*JobRow._fields)
    rows = {row[0]: JobRow._make(row) for row in found}
    return [rows[number] for number in numbers if number in rows]


def list_address(request: HttpRequest, found: Collection) -> str:
    return reverse("ui:collection", args=[found.pk]) + Wanted.of(request.GET.dict()).query()


def job_address(request: HttpRequest, found: Collection, job_id: int) -> str:
    return reverse("ui:job", args=[found.pk, job_id]) + Wanted.of(request.GET.dict()).query()
