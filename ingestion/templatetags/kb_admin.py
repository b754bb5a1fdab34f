"""What the admin's own templates need."""

from typing import Any

from django import template
from django.db.models import Prefetch

from ingestion import failures
from ingestion.filters import jobs_by_status
from ingestion.models import FileRegistry, Worker
from ingestion.presence import living

register = template.Library()

GROUPS = 5


@register.inclusion_tag("admin/ingestion/overview.html")
def ingestion_overview() -> dict[str, Any]:
    """Jobs by status, the most common failures, and what each living worker does, for the front page."""
    held = FileRegistry.objects.processing().defer("processing_stats", "error_details", "plugin_params")
    workers = Worker.objects.prefetch_related(Prefetch("jobs", queryset=held, to_attr="held"))
    return {
        "counts": jobs_by_status().items(),
        "groups": failures.groups(limit=GROUPS),
        "workers": living(workers),
    }
