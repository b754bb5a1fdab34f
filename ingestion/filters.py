"""Which jobs of a collection are wanted, and in which order."""

import django_filters
from django.db.models import F, QuerySet

from ingestion.models import FileRegistry, FileStatus

SORTS = ("created_at", "updated_at", "status", "original_filename", "file_size")


class JobFilter(django_filters.FilterSet):  # type: ignore[misc]
    status = django_filters.ChoiceFilter(choices=FileStatus.choices)

    class Meta:
        model = FileRegistry
        fields = ("status",)


def in_order(jobs: QuerySet[FileRegistry], sort_by: str, descending: bool) -> QuerySet[FileRegistry]:
    """Sorted by a field, ties by age and id, so that pages never overlap."""
    fields = list(dict.fromkeys([sort_by, *(["created_at"] if sort_by == "status" else []), "id"]))
    return jobs.order_by(*(F(field).desc() if descending else F(field).asc() for field in fields))
