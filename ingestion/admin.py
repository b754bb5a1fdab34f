"""Jobs for operators: find the one that failed, read why, retry or cancel it.

Nothing here writes a job's row; what acts on jobs goes through ``ingestion.services``, as everywhere else.
"""

import socket
from collections import defaultdict
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from typing import Any

from django.apps import apps
from django.contrib import admin, messages
from django.db.models import Prefetch, QuerySet, Sum
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
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
    whole_number,
)
from ingestion import services
from ingestion.models import FileRegistry, FileStatus, JobCount, JobEvent, Worker
from ingestion.presence import BEAT_SECONDS, is_dead
from ingestion.wire import redacted, with_links, without_paths

AT_ONCE = 1_000  # jobs that one action touches: each is a transaction of its own, and somebody waits for the page
DIARY_LENGTH = 200
NAMED = 3  # jobs that a message names
RARE = 50_000  # jobs of a status: fewer are looked up by index, more are met soon by walking the table
SAMPLED = 2_000  # rows that are asked for plugins and error codes to filter by

# The bell's own tables say nothing about jobs: a job's row is the truth, and a cleared queue loses none.
for bell_model in apps.get_app_config("django_q").get_models():
    if admin.site.is_registered(bell_model):
        admin.site.unregister(bell_model)


# -- What may be asked of the list ------------------------------------------------------------------


def jobs_by_status() -> dict[str, int]:
    """From the counters that the database keeps; all six statuses are there."""
    rows = JobCount.objects.values_list("status").annotate(n=Sum("jobs")).order_by()
    return {**dict.fromkeys(FileStatus.values, 0), **dict(rows)}


class StatusFilter(admin.SimpleListFilter):
    title = "status"
    parameter_name = "status"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        self.counts = jobs_by_status()
        return [(status, f"{status} ({jobs:,})") for status, jobs in self.counts.items()]

    def queryset(self, request: HttpRequest, queryset: QuerySet[FileRegistry]) -> QuerySet[FileRegistry]:
        status = self.value()
        if status not in self.counts:
            return queryset
        if self.counts[status] > RARE or within_collection(request):
            return queryset.filter(status=status)
        return queryset.filter(pk__in=rare(status))


def within_collection(request: HttpRequest) -> bool:
    """Then indexes that begin with the collection serve the list, in its order by age."""
    return bool(request.GET.get("collection"))


def rare(status: str) -> QuerySet[FileRegistry, Any]:
    """Ids of a status' jobs, by the index on collection and status: one probe a collection that has any, where walking
    the table for the last few of a status reads all of it."""
    homes = JobCount.objects.filter(status=status, jobs__gt=0).values("collection_id")
    return FileRegistry.objects.filter(status=status, collection_id__in=homes).values("pk")


class PluginFilter(admin.SimpleListFilter):
    """Offers the plugins of the latest jobs: the distinct values of a million rows would take a second a page."""

    title = "plugin"
    parameter_name = "plugin"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        latest = FileRegistry.objects.order_by("-id").values_list("plugin_name", flat=True)[:SAMPLED]
        return offered(latest, self.value())

    def queryset(self, request: HttpRequest, queryset: QuerySet[FileRegistry]) -> QuerySet[FileRegistry]:
        return queryset.filter(plugin_name=name) if (name := self.value()) else queryset


class ErrorCodeFilter(admin.SimpleListFilter):
    """The codes of failed jobs."""

    title = "error code"
    parameter_name = "error_code"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        some = FileRegistry.objects.failed().values_list("error_code", flat=True)[:SAMPLED]
        return offered(some, self.value())

    def queryset(self, request: HttpRequest, queryset: QuerySet[FileRegistry]) -> QuerySet[FileRegistry]:
        if not (code := self.value()):
            return queryset
        # Failed is said too: it brings the search down to an index of failed jobs.
        reason = {"status": FileStatus.FAILED, "error_code": code}
        if within_collection(request):
            return queryset.filter(**reason)
        return queryset.filter(pk__in=FileRegistry.objects.filter(**reason).values("pk"))


class CollectionFilter(admin.SimpleListFilter):
    """Shown only while it is on: collections may be many, and each one's page leads here."""

    title = "collection"
    parameter_name = "collection"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(value, f"collection {value}")] if (value := self.value()) else []

    def queryset(self, request: HttpRequest, queryset: QuerySet[FileRegistry]) -> QuerySet[FileRegistry]:
        if not (value := self.value()):
            return queryset
        number = whole_number(value)
        return queryset.filter(collection_id=number) if number else queryset.none()


def offered(found: Iterable[str], chosen: str | None) -> list[tuple[str, str]]:
    names = {name for name in (*found, chosen) if name}
    return [(name, name) for name in sorted(names)]


# -- Jobs -------------------------------------------------------------------------------------------


@admin.register(FileRegistry)
class JobAdmin(ReadOnlyAdmin):
    list_display = (
        "id",
        "name",
        "status_badge",
        "progress",
        "plugin",
        "collection_name",
        "owner",
        "error_code",
        "took",
        "attempt",
        "created",
    )
    list_display_links = ("id", "name")
    list_filter = (StatusFilter, CollectionFilter, PluginFilter, ErrorCodeFilter)
    list_select_related = ("collection",)
    search_fields = ("original_filename",)
    search_help_text = "Part of a file's name, or a job's number as #17. Pages end after 10,000 matches."
    actions = ("retry", "cancel")
    change_form_template = "admin/ingestion/fileregistry/change_form.html"

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
            ("Times", {"fields": ("created", "started", "ended", "took")}),
            ("Parameters and statistics", {"fields": ("parameters", "statistics", "chunks")}),
            ("How it runs", {"fields": running}),
        )

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """The page, with a button for each verb that the job's status allows."""
        job = self.get_object(request, object_id) if self.has_operate_permission(request) else None
        verbs: list[str] = []
        if job and job.status == FileStatus.FAILED:
            verbs = ["retry"]
        elif job and job.status in (FileStatus.PENDING, FileStatus.PROCESSING):
            verbs = ["cancel"]
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
        path = links.static_path(job.owner, job.collection.name, job.file_path.rpartition("/")[2])
        return format_html('<a href="{}">{}</a>', links.signed(path), job.original_filename)

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

    def has_operate_permission(self, request: HttpRequest) -> bool:
        """May retry and cancel. The change permission says so, although nobody edits a job."""
        return request.user.has_perm("ingestion.change_fileregistry")

    @admin.action(description="Retry failed jobs", permissions=["operate"])
    def retry(self, request: HttpRequest, queryset: QuerySet[FileRegistry]) -> HttpResponse | None:
        return self._act(request, queryset, _retry, "queued again")

    @admin.action(description="Cancel pending and processing jobs", permissions=["operate"])
    def cancel(self, request: HttpRequest, queryset: QuerySet[FileRegistry]) -> HttpResponse | None:
        if "confirmed" in request.POST:
            return self._act(request, queryset, services.cancel, "cancelled")
        return self._ask(request, queryset)

    def _act(
        self,
        request: HttpRequest,
        queryset: QuerySet[FileRegistry],
        verb: Callable[..., FileRegistry],
        done_word: str,
    ) -> HttpResponse | None:
        """Do it to each job, and say how many were done, and why the others were not."""
        jobs = list(queryset[: AT_ONCE + 1])
        done, refused = _apply(verb, jobs[:AT_ONCE], request.user.get_username())
        if done:
            self.message_user(request, f"{_jobs(done)} {done_word}.", messages.SUCCESS)
        for reason, names in refused.items():
            self.message_user(
                request, f"{_jobs(len(names))} not {done_word}: {_some(names)}. {reason}", messages.WARNING
            )
        if len(jobs) > AT_ONCE:
            advice = f"Only the first {AT_ONCE:,} were looked at. Filter by status, and run the action again."
            self.message_user(request, advice, messages.WARNING)
        if "from_page" in request.POST and jobs:
            return HttpResponseRedirect(reverse("admin:ingestion_fileregistry_change", args=[jobs[0].pk]))
        return None

    def _ask(self, request: HttpRequest, queryset: QuerySet[FileRegistry]) -> HttpResponse:
        chosen = list(queryset[: AT_ONCE + 1])
        context = {
            **self.admin_site.each_context(request),
            "title": "Cancel jobs?",
            "opts": self.opts,
            "jobs": chosen[:AT_ONCE],
            "more": len(chosen) > AT_ONCE,
            "live": sum(job.status in (FileStatus.PENDING, FileStatus.PROCESSING) for job in chosen[:AT_ONCE]),
            "from_page": "from_page" in request.POST,
            "all_pages": request.POST.get("select_across") == "1",
        }
        return TemplateResponse(request, "admin/ingestion/fileregistry/confirm_cancel.html", context)


def _retry(job: FileRegistry, *, by: str) -> FileRegistry:
    if job.collection.deleted_at:
        raise services.WrongState("Its collection was deleted.")
    return services.retry(job, by=by)


def _apply(
    verb: Callable[..., FileRegistry], jobs: list[FileRegistry], by: str
) -> tuple[int, dict[str, list[FileRegistry]]]:
    """How many were done, and the others by the reason why not."""
    done, refused = 0, defaultdict(list)
    for job in jobs:
        try:
            verb(job, by=by)
            done += 1
        except services.WrongState as error:
            refused[str(error)].append(job)
    return done, refused


def _jobs(count: int) -> str:
    return "1 job was" if count == 1 else f"{count:,} jobs were"


def _some(jobs: list[FileRegistry]) -> str:
    named = ", ".join(f"#{job.pk} {job.original_filename}" for job in jobs[:NAMED])
    return named if len(jobs) <= NAMED else f"{named} and {len(jobs) - NAMED:,} more"


def _details(job: FileRegistry) -> dict[str, Any]:
    return without_paths(job.error_details) or {}


def _said(event: JobEvent) -> SafeString:
    """What an entry says; what it holds besides is folded away."""
    if not event.data:
        return format_html("{}", event.message)
    return format_html("{}<details><summary>data</summary>{}</details>", event.message, pretty(redacted(event.data)))


# -- The diary --------------------------------------------------------------------------------------


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


# -- Workers ----------------------------------------------------------------------------------------


@admin.register(Worker)
class WorkerAdmin(ReadOnlyAdmin):
    list_display = ("id", "host", "pid", "state", "running", "started", "last_beat", "stopped")
    list_filter = (("stopped_at", admin.EmptyFieldListFilter),)
    fields = ("host", "pid", "boot_id", "supervisor", "state", "running", "started", "last_beat", "stopped")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Worker]:
        held = FileRegistry.objects.processing().only("pk", "original_filename", "worker_id")
        return super().get_queryset(request).prefetch_related(Prefetch("jobs", queryset=held))

    @admin.display(description="state")
    def state(self, worker: Worker) -> SafeString:
        if worker.stopped_at:
            return badge("stopped")
        if worker.host == socket.gethostname() and is_dead(worker):
            return badge("dead", "failed")
        silent = timezone.now() - worker.beat_at > timedelta(seconds=3 * BEAT_SECONDS)
        return badge("silent", "warning") if silent else badge("living", "live")

    @admin.display(description="started")
    def started(self, worker: Worker) -> str:
        return moment(worker.started_at)

    @admin.display(description="last beat")
    def last_beat(self, worker: Worker) -> str:
        return moment(worker.beat_at)

    @admin.display(description="stopped")
    def stopped(self, worker: Worker) -> str:
        return moment(worker.stopped_at)

    @admin.display(description="runs")
    def running(self, worker: Worker) -> SafeString | str:
        jobs = [(page_link("ingestion_fileregistry", job.pk, job.original_filename),) for job in worker.jobs.all()]
        return format_html_join(", ", "{}", jobs) or "nothing"


# -- Words ------------------------------------------------------------------------------------------


def duration(start: datetime | None, end: datetime | None) -> str:
    """How long from *start* to *end*, or until now."""
    if start is None:
        return NOTHING
    seconds = max(0.0, ((end or timezone.now()) - start).total_seconds())
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def web_link(address: str) -> SafeString | str:
    """A link to a web address; any other kind of address stays text, since a browser might run it."""
    if not address.lower().startswith(("http://", "https://")):
        return address or NOTHING
    return format_html('<a href="{0}" rel="noopener noreferrer">{0}</a>', address)
