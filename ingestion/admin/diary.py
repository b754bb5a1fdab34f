"""The diary of all jobs: what happened, to which job, in which order."""

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.safestring import SafeString

from collections_app.admin import ReadOnlyAdmin, badge, moment, page_link, pretty
from collections_app.numbers import whole_number
from ingestion.models import JobEvent
from ingestion.wire import redacted


@admin.register(JobEvent)
class JobEventAdmin(ReadOnlyAdmin):
    list_display = ("id", "when", "job", "name", "kind_badge", "attempt", "message")
    search_fields = ("job_id",)
    search_help_text = "The number of a job"
    fields = ("when", "job", "name", "owner", "kind_badge", "attempt", "message", "held")

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[JobEvent], search_term: str
    ) -> tuple[QuerySet[JobEvent], bool]:
        """By the job's number, exactly: an index answers that."""
        if not search_term.strip():
            return queryset, False
        number = whole_number(search_term)
        return (queryset.filter(job_id=number) if number else queryset.none()), False

    @admin.display(description="at")
    def when(self, event: JobEvent) -> str:
        return moment(event.at)

    @admin.display(description="job")
    def job(self, event: JobEvent) -> SafeString:
        return page_link("ingestion_fileregistry", event.job_id, f"#{event.job_id}")

    @admin.display(description="kind")
    def kind_badge(self, event: JobEvent) -> SafeString:
        return badge(event.kind)

    @admin.display(description="data")
    def held(self, event: JobEvent) -> SafeString | str:
        return pretty(redacted(event.data))
