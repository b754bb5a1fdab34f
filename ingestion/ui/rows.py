"""Rows of the list of jobs as HTML. Most look like they did a tick ago, and rendering a page of them takes 30 ms."""

import threading
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

from django.template import Context, Template, loader
from django.utils.safestring import SafeString
from django.utils.translation import get_language

from collections_app.models import Collection
from ingestion.models import FileStatus
from ingestion.ui.listing import Listing
from ingestion.ui.words import ago, parsed

REMEMBERED = 5000

_rows: OrderedDict[tuple[Any, ...], SafeString] = OrderedDict()
_guard = threading.Lock()


def rendered(listing: Listing, collection: Collection, *, may_change: bool) -> list[SafeString]:
    template: Template = loader.get_template("ui/_row.html").template  # type: ignore[attr-defined]
    context = Context({"collection": collection, "may_change": may_change, "wanted": listing.wanted})
    beside = (get_language(), may_change, collection.pk, listing.wanted.query())
    return [row(template, context, one, beside) for one in listing.items]


def row(template: Template, context: Context, one: Mapping[str, Any], beside: tuple[Any, ...]) -> SafeString:
    key = (*beside, one["id"], *seen(one))
    with _guard:
        if key in _rows:
            _rows.move_to_end(key)
            return _rows[key]
    with context.push(one=one):
        made = template.render(context)
    if one["status"] != FileStatus.PROCESSING:  # these change all the time
        with _guard:
            _rows[key] = made
            while len(_rows) > REMEMBERED:
                _rows.popitem(last=False)
    return made


def seen(one: Mapping[str, Any]) -> tuple[Any, ...]:
    """All of a job that its row shows and that can change."""
    waiting = one["waiting_reason"]
    return (
        one["updated_at"],
        one["status"],
        one["original_filename"],
        waiting and waiting["message"],
        ago(parsed(one["created_at"])),
    )
