"""Which jobs are wanted, and in which order: of one collection, or of all of them."""

import base64
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

import django_filters
from django import forms
from django.db.models import CharField, F, Func, Q, QuerySet, Sum
from django_filters.fields import IsoDateTimeField

from collections_app.fields import is_storable
from ingestion.models import FileRegistry, FileStatus, JobCount, JobKind, JobQuerySet

SORTS = ("created_at", "updated_at", "status", "original_filename", "file_size")


class JobFilter(django_filters.FilterSet):  # type: ignore[misc]
    """Of one collection's list."""

    status = django_filters.ChoiceFilter(choices=FileStatus.choices)

    class Meta:
        model = FileRegistry
        fields = ("status",)


def in_order(jobs: QuerySet[FileRegistry], sort_by: str, descending: bool) -> QuerySet[FileRegistry]:
    """Sorted by a field, ties by age and id, so that pages never overlap."""
    fields = list(dict.fromkeys([sort_by, *(["created_at"] if sort_by == "status" else []), "id"]))
    return jobs.order_by(*(F(field).desc() if descending else F(field).asc() for field in fields))


# -- Across collections -----------------------------------------------------------------------------


class InvalidFilter(Exception):
    """Values that no job can be chosen by.

    :param errors: sentences by the name of the filter
    """

    def __init__(self, errors: Mapping[str, str]) -> None:
        super().__init__(" ".join(f"{name}: {message}" for name, message in errors.items()))
        self.errors = dict(errors)


LONGEST_VALUE = 10_000  # characters of a value; SQLite compares with patterns of 50,000 bytes at most
MICROSECOND = timedelta(microseconds=1)
RARE = 50_000  # jobs of a status: fewer are looked up by index, more are met soon by walking the table


def jobs_by_status() -> dict[str, int]:
    """From the counters that the database keeps; all six statuses are there."""
    rows = JobCount.objects.values_list("status").annotate(n=Sum("jobs")).order_by()
    return {**dict.fromkeys(FileStatus.values, 0), **dict(rows)}


def of_statuses(jobs: JobQuerySet, statuses: Sequence[str]) -> JobQuerySet:
    """Those of *jobs* in one of these statuses.

    Rare ones are looked up by the index on collection and status, with one probe a collection that has any: walking
    the table for the last few of a status reads all of it.
    """
    counts = jobs_by_status()
    if sum(counts[status] for status in set(statuses)) > RARE:
        return jobs.filter(status__in=statuses)
    homes = JobCount.objects.filter(status__in=statuses, jobs__gt=0).values("collection_id")
    wanted = {"status": statuses[0]} if len(statuses) == 1 else {"status__in": statuses}  # "=" fits partial indexes
    found = FileRegistry.objects.filter(**wanted, collection_id__in=homes)
    return jobs.filter(pk__in=found.values("pk"))


class StatusesFilter(django_filters.BaseInFilter, django_filters.ChoiceFilter):  # type: ignore[misc]
    """One status or several, separated by commas."""

    def filter(self, jobs: JobQuerySet, value: Sequence[str] | None) -> JobQuerySet:
        wanted = [status for status in value or () if status]
        if not wanted:
            return jobs if not value else jobs.none()
        if self.parent.form.cleaned_data.get("kind") == JobKind.PREVIEW:  # few, and not counted
            return jobs.filter(status__in=wanted)
        return of_statuses(jobs, wanted)


class MomentField(IsoDateTimeField):  # type: ignore[misc]
    """A moment in UTC, with room for what is compared with it."""

    def clean(self, value: Any) -> datetime | None:
        moment: datetime | None = super().clean(value)
        try:
            return moment and moment.astimezone(UTC) - MICROSECOND
        except OverflowError as error:
            raise forms.ValidationError("Enter a moment of the years 1 to 9999, in UTC.") from error


class MomentFilter(django_filters.IsoDateTimeFilter):  # type: ignore[misc]
    """A moment, compared with the microsecond before it: see :class:`Sortable` for what equality is worth."""

    field_class = MomentField


class IdsFilter(django_filters.BaseInFilter, django_filters.NumberFilter):  # type: ignore[misc]
    """Ids, separated by commas."""

    field_class = forms.IntegerField

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, min_value=0, max_value=2**63 - 1, **options)

    def get_max_validator(self) -> None:
        """The field's own bound holds."""


class JobsFilter(django_filters.FilterSet):  # type: ignore[misc]
    """Of the list of all jobs, of bulk actions, of the admin and of commands. What is not given filters nothing."""

    status = StatusesFilter(
        label="Status", choices=FileStatus.choices, help_text="One status or several, as failed,cancelled"
    )
    collection = IdsFilter(
        label="Collection", field_name="collection_id", lookup_expr="in", help_text="Id of a collection, or several"
    )
    owner = django_filters.CharFilter(label="Owner", help_text="Owner of the collection")
    plugin = django_filters.CharFilter(label="Plugin", field_name="plugin_name", help_text="Name of the ingest plugin")
    code = django_filters.CharFilter(
        label="Error code",
        method="with_code",
        help_text="Error code, as vendor_timeout: of failed jobs, and of those that are tried again",
    )
    group = django_filters.CharFilter(
        label="Group of failures",
        method="of_group",
        help_text="A group of failures, by its key in GET /ingestion/failures",
    )
    kind = django_filters.ChoiceFilter(
        label="Kind",
        choices=JobKind.choices,
        method="of_kind",
        help_text="What the job is for; without it previews are left out",
    )
    text = django_filters.CharFilter(
        label="Text", method="with_text", help_text="Part of the file's name or its address, or #17 for job 17"
    )
    created_after = MomentFilter(
        label="Submitted after",
        field_name="created_at",
        lookup_expr="gt",
        help_text="Submitted then or later, as 2026-01-31T09:00:00Z",
    )
    created_before = MomentFilter(
        label="Submitted before", field_name="created_at", lookup_expr="lte", help_text="Submitted before that moment"
    )
    finished_after = MomentFilter(
        label="Ended after", field_name="processing_completed_at", lookup_expr="gt", help_text="Ended then or later"
    )
    finished_before = MomentFilter(
        label="Ended before",
        field_name="processing_completed_at",
        lookup_expr="lte",
        help_text="Ended before that moment",
    )

    class Meta:
        model = FileRegistry
        fields: ClassVar[list[str]] = []

    def filter_queryset(self, queryset: JobQuerySet) -> JobQuerySet:
        found: JobQuerySet = super().filter_queryset(queryset)
        return found if self.form.cleaned_data.get("kind") else found.ingestions()

    def of_kind(self, jobs: JobQuerySet, name: str, value: str) -> JobQuerySet:
        return jobs.previews() if value == JobKind.PREVIEW else jobs.ingestions()

    def with_code(self, jobs: JobQuerySet, name: str, value: str) -> JobQuerySet:
        """Both statuses are said, since each has an index that this comes down to."""
        failed = Q(status=FileStatus.FAILED, error_code=value)
        found = FileRegistry.objects.filter(failed | Q(status=FileStatus.PENDING, error_code=value))
        return jobs.filter(pk__in=found.values("pk"))

    def of_group(self, jobs: JobQuerySet, name: str, value: str) -> JobQuerySet:
        code, _, print_ = value.rpartition(":")  # codes of plugins may hold anything
        return jobs.failed().filter(error_code=code, error_fingerprint=print_)

    def with_text(self, jobs: JobQuerySet, name: str, value: str) -> JobQuerySet:
        number = value.strip().removeprefix("#")
        if value.strip().startswith("#") and number.isdecimal() and len(number) < 19:
            return jobs.filter(pk=int(number))
        return jobs.filter(Q(original_filename__icontains=value) | Q(file_url__icontains=value))


def chosen(wanted: Mapping[str, Any], jobs: JobQuerySet | None = None) -> JobQuerySet:
    """Jobs of live collections that meet *wanted*: names and values of :class:`JobsFilter`, unsorted.

    Previews are among them only where *wanted* names their kind.

    :raises InvalidFilter: for a name that is no filter, or a value that it does not take
    """
    unknown = {name: "There is no such filter." for name in wanted if name not in JobsFilter.base_filters}
    if unknown:
        raise InvalidFilter(unknown)
    texts = {name: as_text(value) for name, value in wanted.items()}
    if odd := {name: complaint for name, text in texts.items() if (complaint := odd_about(text))}:
        raise InvalidFilter(odd)
    base = FileRegistry.objects.all() if jobs is None else jobs
    found = JobsFilter(texts, queryset=base.of_live_collections())
    if not found.is_valid():
        raise InvalidFilter({name: " ".join(map(str, errors)) for name, errors in found.errors.items()})
    result: JobQuerySet = found.qs
    return result


def as_text(value: Any) -> str:
    """A value of a JSON body as the same value of an address would be."""
    return ",".join(map(str, value)) if isinstance(value, list | tuple) else "" if value is None else str(value)


def odd_about(text: str) -> str:
    """Why no filter takes this text; blank where one may."""
    if len(text) > LONGEST_VALUE:
        return f"Longer than {LONGEST_VALUE:,} characters."
    return "" if is_storable(text) else "Holds characters that are not text."


def refuse_blanks(wanted: Mapping[str, Any]) -> None:
    """For verbs: a filter that was given and says nothing, such as an unset variable or an empty list, must not mean
    all jobs.

    :raises InvalidFilter:
    """
    if blank := [name for name, value in wanted.items() if not as_text(value).strip(" ,")]:
        raise InvalidFilter(dict.fromkeys(blank, "Is empty. Say which, or leave it out."))


# -- Pages by position ------------------------------------------------------------------------------


class Sortable(Func):
    """A moment as text that sorts by time, empty for none.

    SQLite compares moments as the text they were stored as, and that has three digits behind the second, six or none,
    depending on who wrote it: the same moment in two spellings is not equal. Here all have three.
    """

    output_field = CharField()

    def as_sqlite(self, compiler: Any, connection: Any, **options: Any) -> Any:
        return self.as_sql(compiler, connection, template="coalesce(substr(%(expressions)s || '.000', 1, 23), '')")

    def as_postgresql(self, compiler: Any, connection: Any, **options: Any) -> Any:
        text = "to_char(%(expressions)s AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US')"
        return self.as_sql(compiler, connection, template=f"coalesce({text}, '')")


ORDERINGS: Mapping[str, Any] = {
    "id": F("id"),
    "created_at": Sortable("created_at"),
    "updated_at": Sortable("updated_at"),
    "finished_at": Sortable("processing_completed_at"),
    "original_filename": F("original_filename"),
    "file_size": F("file_size"),
}
NUMBERS = frozenset({"id", "file_size"})


class InvalidCursor(Exception):
    """A page that was not named by this server, or belongs to another order."""


class Order:
    """An order in which the next page is found by the last row of this one, however far back that is.

    :param name: a key of ``ORDERINGS``, with ``-`` in front for descending
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.descending = name.startswith("-")
        self.key = name.removeprefix("-")

    def page(self, jobs: JobQuerySet, cursor: str = "") -> JobQuerySet:
        """*jobs* in this order, each with its ``sort_key``; only those behind the row that *cursor* names.

        :raises InvalidCursor:
        """
        keyed = jobs.annotate(sort_key=ORDERINGS[self.key])
        if cursor:
            keyed = keyed.filter(self._behind(*self._read(cursor)))
        return keyed.order_by(*(F(name).desc() if self.descending else F(name).asc() for name in ("sort_key", "id")))

    def cursor(self, sort_key: str | int, job_id: int) -> str:
        """Names the last row of a page."""
        text = json.dumps([self.name, sort_key, job_id])
        return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")

    def _behind(self, sort_key: str | int, job_id: int) -> Q:
        beyond = "lt" if self.descending else "gt"
        if self.key == "id":
            return Q(**{f"id__{beyond}": job_id})
        return Q(**{f"sort_key__{beyond}": sort_key}) | Q(sort_key=sort_key, **{f"id__{beyond}": job_id})

    def _read(self, cursor: str) -> tuple[Any, int]:
        try:
            name, sort_key, job_id = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        except (ValueError, TypeError, RecursionError) as error:
            raise InvalidCursor from error
        if name != self.name or not is_number(job_id):
            raise InvalidCursor
        if not (is_number(sort_key) if self.key in NUMBERS else isinstance(sort_key, str) and "\0" not in sort_key):
            raise InvalidCursor
        return sort_key, job_id


def is_number(value: Any) -> bool:
    """Whether *value* is a number that a column may hold."""
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**63
