"""What may be asked of the list of jobs. Each filter costs little, however many jobs there are."""

import re
from calendar import monthrange
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone

from collections_app.numbers import whole_number
from ingestion.filters import InvalidFilter, chosen, jobs_by_status, of_statuses
from ingestion.models import FileRegistry, FileStatus, JobKind, JobQuerySet

SAMPLED = 2_000  # rows that are asked for plugins, codes and owners to filter by
MOST_OFFERED = 15

Jobs = QuerySet[FileRegistry]


def within_collection(request: HttpRequest) -> bool:
    """Then indexes that begin with the collection serve the list, in its order by age."""
    return bool(request.GET.get("collection"))


def kind_in(request: HttpRequest) -> str:
    """The kind of jobs that is asked for; empty for the usual."""
    kind = request.GET.get("kind", "")
    return kind if kind in JobKind.values else ""


class JobListFilter(admin.SimpleListFilter):
    """One that knows how to choose jobs; offered is what the latest jobs have."""

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return offered(self.found(), self.value())

    def found(self) -> Iterable[str]:
        return ()

    def queryset(self, request: HttpRequest, queryset: Jobs) -> Jobs:
        value = self.value()
        try:
            return self.of(queryset, value, request) if value else queryset
        except InvalidFilter:  # an address that nobody was given
            return queryset.none()

    def of(self, jobs: Any, value: str, request: HttpRequest) -> Jobs:
        raise NotImplementedError


class StatusFilter(JobListFilter):
    title = "status"
    parameter_name = "status"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(status, f"{status} ({jobs:,})") for status, jobs in jobs_by_status().items()]

    def of(self, jobs: JobQuerySet, value: str, request: HttpRequest) -> Jobs:
        if value not in FileStatus.values:
            return jobs
        few = within_collection(request) or kind_in(request) == JobKind.PREVIEW
        return jobs.filter(status=value) if few else of_statuses(jobs, [value])


class KindFilter(JobListFilter):
    """Jobs, or the previews, which nobody sees among them."""

    title = "kind"
    parameter_name = "kind"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(JobKind.PREVIEW.value, "previews")]

    def queryset(self, request: HttpRequest, queryset: Any) -> Jobs:
        found: Jobs = queryset.previews() if kind_in(request) == JobKind.PREVIEW else queryset.ingestions()
        return found


class PluginFilter(JobListFilter):
    """Offers the plugins of the latest jobs: the distinct values of a million rows would take a second a page."""

    title = "plugin"
    parameter_name = "plugin"

    def found(self) -> Iterable[str]:
        return FileRegistry.objects.order_by("-id").values_list("plugin_name", flat=True)[:SAMPLED]

    def of(self, jobs: JobQuerySet, value: str, request: HttpRequest) -> Jobs:
        return jobs.filter(plugin_name=value)


class ErrorCodeFilter(JobListFilter):
    """The codes of failed jobs, and of those that are tried again."""

    title = "error code"
    parameter_name = "error_code"

    def found(self) -> Iterable[str]:
        return FileRegistry.objects.failed().ingestions().values_list("error_code", flat=True)[:SAMPLED]

    def of(self, jobs: JobQuerySet, value: str, request: HttpRequest) -> Jobs:
        if within_collection(request):
            return jobs.filter(status=FileStatus.FAILED, error_code=value)
        return chosen({"code": value, "kind": kind_in(request)}, jobs)


class OwnerFilter(JobListFilter):
    """Owners may be many: offered are those of the latest jobs, and each job's leads here."""

    title = "owner"
    parameter_name = "owner"

    def found(self) -> Iterable[str]:
        return FileRegistry.objects.order_by("-id").values_list("owner", flat=True)[:SAMPLED]

    def of(self, jobs: JobQuerySet, value: str, request: HttpRequest) -> Jobs:
        return jobs.filter(owner=value)


class CollectionFilter(JobListFilter):
    """Shown only while it is on: each collection's page leads here."""

    title = "collection"
    parameter_name = "collection"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(value, f"collection {value}")] if (value := self.value()) else []

    def of(self, jobs: JobQuerySet, value: str, request: HttpRequest) -> Jobs:
        number = whole_number(value)
        return jobs.filter(collection_id=number) if number else jobs.none()


class GroupFilter(JobListFilter):
    """Shown only while it is on: the page of failures leads here."""

    title = "group of failures"
    parameter_name = "group"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(value, value)] if (value := self.value()) else []

    def of(self, jobs: JobQuerySet, value: str, request: HttpRequest) -> Jobs:
        return chosen({"group": value, "kind": kind_in(request)}, jobs)


class SubmittedFilter(JobListFilter):
    """By the time of submission: lately, or down from the year to the day."""

    title = "submitted"
    parameter_name = "submitted"
    LATELY = (("1h", "in the last hour"), ("24h", "in the last 24 hours"), ("7d", "in the last 7 days"))

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        years = [str(year) for year in range(timezone.now().year, oldest_year() - 1, -1)]
        return [*self.LATELY, *((period, indented(period)) for period in unfolded(years, self.value() or ""))]

    def of(self, jobs: JobQuerySet, value: str, request: HttpRequest) -> Jobs:
        bounds = period_of(value)
        return jobs.filter(created_at__gte=bounds[0], created_at__lt=bounds[1]) if bounds else jobs


def oldest_year() -> int:
    first = FileRegistry.objects.order_by("id").values_list("created_at", flat=True).first()
    return first.year if first else timezone.now().year


def unfolded(years: list[str], chosen_: str) -> list[str]:
    """The years; of the chosen one the months, of the chosen month the days."""
    periods: list[str] = []
    for year in years:
        periods.append(year)
        if not chosen_.startswith(f"{year}-") and chosen_ != year:
            continue
        for month in range(1, 13):
            periods.append(f"{year}-{month:02}")
            if chosen_[:7] == periods[-1]:
                days = monthrange(int(year), month)[1]
                periods += [f"{year}-{month:02}-{day:02}" for day in range(1, days + 1)]
    return periods


def indented(period: str) -> str:
    return f"{' · ' * period.count('-')}{period}"


def period_of(text: str) -> tuple[datetime, datetime] | None:
    """From and until; None when *text* names no time."""
    now = timezone.now()
    if match := re.fullmatch(r"(\d{1,4})([hd])", text):
        return now - timedelta(**{"hours" if match[2] == "h" else "days": int(match[1])}), now + timedelta(days=1)
    if not re.fullmatch(r"\d{4}(-\d\d){0,2}", text):
        return None
    year, month, day = (*map(int, text.split("-")), 0, 0)[:3]
    try:
        start = datetime(year, month or 1, day or 1, tzinfo=UTC)
        days = 1 if day else monthrange(year, month)[1] if month else 366 if monthrange(year, 2)[1] == 29 else 365
        return start, start + timedelta(days=days)
    except (ValueError, OverflowError):
        return None


def offered(found: Iterable[str], value: str | None) -> list[tuple[str, str]]:
    """The most common of *found*, sorted, with the present *value* among them."""
    counts: dict[str, int] = {}
    for name in found:
        counts[name] = counts.get(name, 0) + 1
    common = sorted(filter(None, counts), key=lambda name: -counts[name])[:MOST_OFFERED]
    return [(name, name) for name in sorted({*common, *([value] if value else [])})]
