"""Times and addresses as the admin's pages say them."""

from datetime import datetime

from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from collections_app.admin import NOTHING


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
