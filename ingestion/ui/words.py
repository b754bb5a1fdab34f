"""Numbers, times and moments as people read them, in their language."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from django.utils.formats import number_format
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

DAY = 86400
UNITS = (("d", DAY), ("h", 3600), ("min", 60))  # said from two on


def amount(number: float) -> str:
    """``12,345`` as the reader's language groups it."""
    return number_format(number, force_grouping=True, decimal_pos=0)


def size(count: int) -> str:
    """Bytes: ``812 B``, ``3.4 MB``."""
    value = float(count)
    for unit in ("B", "KB", "MB"):
        if round(value) < 1000:
            return f"{rounded(value, 0 if unit == 'B' or value >= 99.95 else 1)} {unit}"
        value /= 1000
    return f"{rounded(value, 1)} GB"


def rounded(number: float, places: int) -> str:
    """``0.1`` for 0.07: Django's own function cuts off what is too long."""
    return number_format(round(number, places), decimal_pos=places)


def span(seconds: float | None) -> str:
    """``0.4 s``, ``12 s``, ``3 min``, ``2 h``, ``5 d``; empty for an unknown one."""
    if seconds is None:
        return ""
    if seconds < 0.05:
        return f"< {rounded(0.1, 1)} s"
    if seconds < 9.95:
        return f"{rounded(seconds, 1)} s"
    for unit, length in UNITS:
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} s"


def range_of(low: float, high: float) -> str:
    """``about 20 s``, or ``20 s – 2 min`` where they are told apart."""
    low_text, high_text = span(_rounded(low)), span(_rounded(high))
    return _("about %(span)s") % {"span": high_text} if low_text == high_text else f"{low_text} – {high_text}"


def remaining(job: Mapping[str, Any]) -> str:
    """How long a live job will still take, as a range; empty where too little is known."""
    low, high = job.get("eta_low_seconds"), job.get("eta_high_seconds")
    return range_of(low, high) if low is not None and high is not None else ""


def _rounded(seconds: float) -> float:
    """Nobody wants an estimate to the tenth of a second."""
    return max(1.0, float(round(seconds))) if seconds < 60 else seconds


def ago(at: datetime | None) -> str:
    if at is None:
        return ""
    seconds = (datetime.now(UTC) - aware(at)).total_seconds()
    if seconds < 60:
        return _("just now")
    for length, words in ((DAY, ngettext_days), (3600, ngettext_hours), (60, ngettext_minutes)):
        if seconds >= length:
            return words(int(seconds // length))
    return _("just now")


def elapsed(since: datetime | None) -> str:
    """How long something has gone on, in whole units; the pages' ``times.js`` counts on in the same words."""
    if since is None:
        return ""
    seconds = max(1, int((datetime.now(UTC) - aware(since)).total_seconds()))
    for unit, length in UNITS:
        if seconds >= 2 * length:
            return f"{seconds // length} {unit}"
    return f"{seconds} s"


def ngettext_days(number: int) -> str:
    return ngettext("%(number)s day ago", "%(number)s days ago", number) % {"number": amount(number)}


def ngettext_hours(number: int) -> str:
    return ngettext("%(number)s hour ago", "%(number)s hours ago", number) % {"number": number}


def ngettext_minutes(number: int) -> str:
    return ngettext("%(number)s minute ago", "%(number)s minutes ago", number) % {"number": number}


def parsed(moment: str | None) -> datetime | None:
    """A moment of an API answer."""
    return datetime.fromisoformat(moment) if moment else None


def aware(at: datetime) -> datetime:
    return at if at.tzinfo else at.replace(tzinfo=UTC)
