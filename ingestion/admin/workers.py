"""Workers: which live, and what each runs."""

import socket
from datetime import timedelta

from django.contrib import admin
from django.db.models import Prefetch, QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.html import format_html_join
from django.utils.safestring import SafeString

from collections_app.admin import ReadOnlyAdmin, badge, moment, page_link
from ingestion.models import FileRegistry, Worker
from ingestion.presence import BEAT_SECONDS, is_dead


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
