"""Jobs for operators: find the one that failed, read why, retry or cancel it.

Nothing here writes a job's row; what acts on jobs goes through ``ingestion.services``, as everywhere else.
"""

import json
from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from collections_app import links
from collections_app.admin import (
    NOTHING,
    AnyPaginator,
    ReadOnlyAdmin,
    badge,
    moment,
    page_link,
    pretty,
)
from collections_app.numbers import whole_number
from ingestion import failures
from ingestion.admin.actions import VERBS, Verb, respond
from ingestion.admin.filters import (
    CollectionFilter,
    ErrorCodeFilter,
    GroupFilter,
    KindFilter,
    OwnerFilter,
    PluginFilter,
    StatusFilter,
    SubmittedFilter,
    within_collection,
)
from ingestion.admin.words import duration, web_link
from ingestion.filters import jobs_by_status
from ingestion.models import FileRegistry, FileStatus, JobEvent
from ingestion.wire import redacted, with_links, without_paths

DIARY_LENGTH = 200
STAGES = 50


# -- Jobs -------------------------------------------------------------------------------------------


@admin.register(FileRegistry)
class JobAdmin(ReadOnlyAdmin):
    list_display = (
        "id",
        "name",
        "status_badge",
        "progress",
        "plugin",
        "collection_and_owner",
        "error_code",
        "took",
        "attempt",
        "created",
    )
    list_display_links = ("id", "name")
    list_filter = (
        StatusFilter,
        GroupFilter,
        CollectionFilter,
        SubmittedFilter,
        PluginFilter,
        ErrorCodeFilter,
        OwnerFilter,
        KindFilter,
    )
    list_select_related = ("collection",)
    search_fields = ("original_filename",)
    search_help_text = "Part of a file's name, or a job's number as #17. Pages end after 10,000 matches."
    actions = ("retry", "retry_with", "cancel", "remove")
    change_form_template = "admin/ingestion/fileregistry/change_form.html"
    change_list_template = "admin/ingestion/fileregistry/change_list.html"

    # -- The list -------------------------------------------------------------------------------------

    def get_queryset(self, request: HttpRequest) -> QuerySet[FileRegistry]:
        """Without the collection's key, which no page needs."""
        return super().get_queryset(request).defer("collection__embedding_api_key")

    def get_ordering(self, request: HttpRequest) -> tuple[str, ...]:
        """Newest first. Within a collection by age, which an index holds; by id that list took 2.4 s of a million."""
        return ("-created_at", "-id") if within_collection(request) else ("-id",)

    def get_paginator(self, request: HttpRequest, *args: Any, **options: Any) -> AnyPaginator:
        """Counts what the database has counted already."""
        paginator: AnyPaginator = super().get_paginator(request, *args, **options)
        if {name for name, value in request.GET.items() if value} <= {"status", "p"}:
            counts = jobs_by_status()
            status = request.GET.get("status")
            paginator.count = counts.get(status, 0) if status else sum(counts.values())
        return paginator

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[FileRegistry], search_term: str
    ) -> tuple[QuerySet[FileRegistry], bool]:
        """``#17`` is a job's number; a plain number is one too, or part of a name."""
        number = whole_number(search_term)
        if number and (search_term.strip().startswith("#") or queryset.filter(pk=number).exists()):
            return queryset.filter(pk=number), False
        return super().get_search_results(request, queryset, search_term)

    @admin.display(description="name")
    def name(self, job: FileRegistry) -> str:
        return job.original_filename or NOTHING

    @admin.display(description="status")
    def status_badge(self, job: FileRegistry) -> SafeString:
        return badge(job.status)

    @admin.display(description="progress")
    def progress(self, job: FileRegistry) -> SafeString | str:
        if job.status == FileStatus.DELETED:
            return NOTHING
        return format_html(
            '<progress class="kb-progress kb-{0}" max="100" value="{1}" title="{2}">{1} %</progress> {1} %',
            job.status,
            f"{job.progress_overall:.0f}",
            job.progress_message,
        )

    @admin.display(description="plugin")
    def plugin(self, job: FileRegistry) -> str:
        return job.plugin_name

    @admin.display(description="created")
    def created(self, job: FileRegistry) -> str:
        return moment(job.created_at)

    @admin.display(description="collection")
    def collection_name(self, job: FileRegistry) -> SafeString:
        return page_link("collections_app_collection", job.collection_id, job.collection.name)

    @admin.display(description="collection, owner")
    def collection_and_owner(self, job: FileRegistry) -> SafeString:
        return format_html("{}<br><small>{}</small>", self.collection_name(job), job.owner)

    @admin.display(description="duration")
    def took(self, job: FileRegistry) -> str:
        return duration(job.processing_started_at, job.processing_completed_at)

    # -- The page of a job ------------------------------------------------------------------------------

    def get_fieldsets(self, request: HttpRequest, obj: FileRegistry | None = None) -> Any:
        about = ("status_badge", "progress_line", "collection_name", "owner", "plugin", "source", "facts")
        trouble = ("error_code", "error_message", "hint", "technical_details")
        running = ("attempt", "lost_leases", "transient_failures", "next_try", "worker_link", "lease", "run_id")
        return (
            (None, {"fields": about}),
            *((("What went wrong", {"fields": trouble}),) if obj and (obj.error_code or obj.error_message) else ()),
            ("Diary", {"fields": ("diary",), "classes": ("kb-wide",)}),
            ("Times", {"fields": ("created", "started", "ended", "took", "stages")}),
            ("Parameters and statistics", {"fields": ("parameters", "statistics", "chunks")}),
            ("How it runs", {"fields": running}),
        )

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """The page, with a button for each verb that the job's status allows."""
        job = self.get_object(request, object_id)
        allowed = self.get_actions(request)
        verbs = [verb for name, verb in VERBS.items() if job and name in allowed and fits(verb, job)]
        return super().change_view(request, object_id, form_url, {"verbs": verbs, **(extra_context or {})})

    @admin.display(description="progress")
    def progress_line(self, job: FileRegistry) -> SafeString:
        steps = f" · {job.progress_unit} {job.progress_current} of {job.progress_total}" if job.progress_total else ""
        return format_html("{}{} · {}", self.progress(job), steps, job.progress_message or NOTHING)

    @admin.display(description="source")
    def source(self, job: FileRegistry) -> SafeString | str:
        """A link to the stored file, or to the web address; plain text where neither can be opened."""
        if not job.file_path:
            return web_link(str(redacted({"address": job.file_url})["address"]))
        if job.status == FileStatus.DELETED:
            return f"{job.original_filename} (its file is deleted)"
        stored = links.static_path(job.owner, job.collection.name, job.file_path.rpartition("/")[2])
        return format_html('<a href="{}">{}</a>', links.signed(stored), job.original_filename)

    @admin.display(description="file")
    def facts(self, job: FileRegistry) -> str:
        kind = job.content_type or "unknown type"
        return f"{kind} · {job.file_size:,} bytes · SHA-256 {job.content_hash or 'unknown'}"

    @admin.display(description="what to do")
    def hint(self, job: FileRegistry) -> str:
        return str(_details(job).get("hint") or NOTHING)

    @admin.display(description="technical details")
    def technical_details(self, job: FileRegistry) -> SafeString:
        details = _details(job)
        trace = details.pop("traceback", None) or "None was kept."
        return format_html(
            '<details><summary>Traceback</summary><pre class="kb-pre">{}</pre></details>'
            "<details><summary>Everything else</summary>{}</details>",
            trace,
            pretty(redacted(details)),
        )

    @admin.display(description="parameters")
    def parameters(self, job: FileRegistry) -> SafeString | str:
        return pretty(redacted(job.plugin_params))

    @admin.display(description="statistics")
    def statistics(self, job: FileRegistry) -> SafeString | str:
        return pretty(with_links(job.processing_stats))

    @admin.display(description="chunks")
    def chunks(self, job: FileRegistry) -> SafeString:
        address = reverse("admin:collections_app_document_changelist")
        return format_html('{} · <a href="{}?q={}">Its documents</a>', job.document_count, address, job.pk)

    @admin.display(description="next try")
    def next_try(self, job: FileRegistry) -> str:
        return moment(job.not_before)

    @admin.display(description="lease until")
    def lease(self, job: FileRegistry) -> str:
        return moment(job.lease_until)

    @admin.display(description="started")
    def started(self, job: FileRegistry) -> str:
        return moment(job.processing_started_at)

    @admin.display(description="ended")
    def ended(self, job: FileRegistry) -> str:
        return moment(job.processing_completed_at)

    @admin.display(description="stages")
    def stages(self, job: FileRegistry) -> SafeString | str:
        """What each stage took, with a bar for its share of the longest."""
        timings = [(str(t.get("stage", "")), float(t["duration_ms"])) for t in _timings(job.processing_stats)]
        longest = max((ms for _, ms in timings), default=0.0) or 1.0
        rows = [(name.replace("_", " "), f"{ms / 1000:.2f} s", f"{100 * ms / longest:.0f}") for name, ms in timings]
        row = '<tr><td>{}</td><td>{}</td><td><meter class="kb-stage" max="100" value="{}"></meter></td></tr>'
        return format_html('<table class="kb-stages">{}</table>', format_html_join("", row, rows)) if rows else NOTHING

    @admin.display(description="worker")
    def worker_link(self, job: FileRegistry) -> SafeString | str:
        return page_link("ingestion_worker", job.worker_id, job.worker) if job.worker_id else NOTHING

    @admin.display(description="diary")
    def diary(self, job: FileRegistry) -> SafeString:
        """The latest entries, oldest first."""
        latest = list(JobEvent.objects.filter(job_id=job.pk).order_by("-id")[: DIARY_LENGTH + 1])
        entries = [(event.kind, moment(event.at), event.attempt, event.kind, _said(event)) for event in latest]
        note = f"Only the latest {DIARY_LENGTH} entries." if len(latest) > DIARY_LENGTH else ""
        return format_html(
            '{}<ol class="kb-timeline">{}</ol>',
            note,
            format_html_join(
                "",
                '<li class="kb-{}"><time>{}</time> <small>attempt {}</small> <strong>{}</strong> {}</li>',
                reversed(entries[:DIARY_LENGTH]),
            ),
        )

    # -- What operators do ------------------------------------------------------------------------------

    def has_retry_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("ingestion.retry_fileregistry")

    def has_cancel_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("ingestion.cancel_fileregistry")

    def has_remove_permission(self, request: HttpRequest) -> bool:
        """Not the delete permission of Django's own pages, which would delete rows behind the engine's back."""
        return request.user.has_perm("ingestion.delete_fileregistry")

    @admin.action(description="Retry failed jobs", permissions=["retry"])
    def retry(self, request: HttpRequest, queryset: QuerySet[FileRegistry]) -> HttpResponse:
        return respond(self, request, queryset, VERBS["retry"])

    @admin.action(description="Retry failed jobs with other parameters", permissions=["retry"])
    def retry_with(self, request: HttpRequest, queryset: QuerySet[FileRegistry]) -> HttpResponse:
        return respond(self, request, queryset, VERBS["retry_with"])

    @admin.action(description="Cancel pending and processing jobs", permissions=["cancel"])
    def cancel(self, request: HttpRequest, queryset: QuerySet[FileRegistry]) -> HttpResponse:
        return respond(self, request, queryset, VERBS["cancel"])

    @admin.action(description="Delete jobs with their files", permissions=["remove"])
    def remove(self, request: HttpRequest, queryset: QuerySet[FileRegistry]) -> HttpResponse:
        return respond(self, request, queryset, VERBS["remove"])

    # -- Failures in groups -----------------------------------------------------------------------------

    def get_urls(self) -> list[Any]:
        own = path("failures/", self.admin_site.admin_view(self.failures), name="ingestion_fileregistry_failures")
        return [own, *super().get_urls()]

    def failures(self, request: HttpRequest) -> HttpResponse:
        """Failed jobs of the same reason, the largest group first, each with what helps as a button."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        context = {
            **self.admin_site.each_context(request),
            "title": "Failures",
            "opts": self.opts,
            "groups": [(group, json.dumps(dict(group.remedy.params))) for group in failures.groups(limit=100)],
            "may_retry": self.has_retry_permission(request),
        }
        return TemplateResponse(request, "admin/ingestion/fileregistry/failures.html", context)


def fits(verb: Verb, job: FileRegistry) -> bool:
    return job.status in verb.statuses and not (job.is_preview and verb.statuses == (FileStatus.FAILED,))  # no retry


def _timings(stats: Any) -> list[dict[str, Any]]:
    """The timed stages of a job's statistics, the latest of them; rows of other servers may hold anything."""
    timings = stats.get("stage_timings") if isinstance(stats, dict) else None
    found = timings if isinstance(timings, list) else []
    return [one for one in found if isinstance(one, dict) and isinstance(one.get("duration_ms"), int | float)][-STAGES:]


def _details(job: FileRegistry) -> dict[str, Any]:
    return without_paths(job.error_details) or {}


def _said(event: JobEvent) -> SafeString:
    """What an entry says; what it holds besides is folded away."""
    if not event.data:
        return format_html("{}", event.message)
    return format_html("{}<details><summary>data</summary>{}</details>", event.message, pretty(redacted(event.data)))
