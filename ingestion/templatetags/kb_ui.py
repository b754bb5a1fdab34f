"""What the templates under ``ui/`` say numbers, times and statuses with."""

from typing import Any

from django import template
from django.conf import settings
from django.templatetags.static import static
from django.utils.translation import gettext_lazy as _

from ingestion.models import LIVE, FileStatus
from ingestion.ui import phrases, words
from ingestion.ui.fields import NOTICE, Field

register = template.Library()

STATUSES = {
    FileStatus.PENDING: _("Pending"),
    FileStatus.PROCESSING: _("Processing"),
    FileStatus.COMPLETED: _("Completed"),
    FileStatus.FAILED: _("Failed"),
    FileStatus.CANCELLED: _("Cancelled"),
    FileStatus.DELETED: _("Deleted"),
}
STAGES = {
    "waiting": _("Waiting"),
    "reading": _("Reading"),
    "fetching": _("Fetching"),
    "conversion": _("Conversion"),
    "image_extraction": _("Extracting pictures"),
    "llm_descriptions": _("Describing pictures"),
    "preview": _("Page to look at"),
    "finalization": _("Finishing"),
    "chunking": _("Splitting"),
    "adding": _("Adding chunks"),
    "embedding": _("Adding chunks"),
}
EVENTS = {
    "submitted": _("Submitted"),
    "claimed": _("Started"),
    "stage": _("Stage"),
    "warning": _("Warning"),
    "completed": _("Completed"),
    "failed": _("Failed"),
    "retried": _("Queued again"),
    "retry_scheduled": _("Next try scheduled"),
    "cancelled": _("Cancelled"),
    "rescued": _("Taken back from a lost worker"),
    "released": _("Given back"),
    "deleted": _("Deleted"),
}

register.filter("amount", words.amount)
register.filter("translated", phrases.translated)
register.filter("bytes", words.size)
register.filter("span", words.span)
register.filter("ago", words.ago)
register.filter("elapsed", words.elapsed)
register.filter("moment", words.parsed)


@register.filter
def status_word(status: str) -> Any:
    return STATUSES.get(FileStatus(status), status)


@register.filter
def stage_word(name: str) -> Any:
    return STAGES.get(name, name.replace("_", " "))


@register.filter
def event_word(kind: str) -> Any:
    return EVENTS.get(kind, kind.replace("_", " "))


@register.filter
def is_live(status: str) -> bool:
    return status in LIVE


register.simple_tag(words.remaining, name="remaining")


@register.filter
def folded(fields: list[Field]) -> list[Field]:
    """Those that stand under "More settings"."""
    return [field for field in fields if not field.prominent]


@register.filter
def is_bare(fields: list[Field]) -> bool:
    """Whether nothing could be set while they are folded away, or what is wrong could not be seen."""
    in_sight = any(field.prominent and field.kind != NOTICE for field in fields)
    return not in_sight or any(field.error for field in folded(fields))


@register.simple_tag
def asset(name: str) -> str:
    """The address of a file of ours, another one with each version, so that browsers may keep it."""
    return f"{static(name)}?{settings.VERSION}"


@register.simple_tag
def page_query(wanted: Any, **changes: Any) -> str:
    """The query of the same list with something else: ``{% page_query wanted page=2 %}``."""
    return str(wanted.query(**changes)) or "?"


@register.simple_tag
def sorted_by(wanted: Any, key: str) -> str:
    """The query of the same list in another order."""
    return str(wanted.by(key))


@register.filter
def unlocalized(value: Any) -> str:
    """A number as attributes want it, in every language."""
    return str(value)
