"""What the admin's own templates need."""

from typing import Any

from django import template

from ingestion.admin import jobs_by_status
from ingestion.presence import living_workers

register = template.Library()


@register.inclusion_tag("admin/ingestion/overview.html")
def ingestion_overview() -> dict[str, Any]:
    """Jobs by status and the living workers, for the front page."""
    return {"counts": jobs_by_status().items(), "workers": living_workers()}
