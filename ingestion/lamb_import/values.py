"""LAMB's stored values, in all the shapes that its releases have left behind."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from collections_app.embeddings.base import clean
from ingestion.models import FileStatus

BROKEN: Any = object()
# Its enums are stored by name (COMPLETED), by releases that never were by value.
DEAD = (FileStatus.PENDING, FileStatus.PROCESSING)

Note = Callable[[str], None]  # takes the code of a finding


def decoded(value: Any, note: Note) -> Any:
    """What a JSON column holds. Old rows hold JSON inside a JSON string.

    :return: None for an empty column and for what is no JSON
    """
    if isinstance(value, bytes):
        value = value.decode("utf-8", "replace")
    if not isinstance(value, str) or not value.strip():
        return value or None
    inner = _loaded(value)
    if inner is BROKEN:
        note("json_broken")
        return None
    if isinstance(inner, str):
        twice = _loaded(inner)
        if twice is BROKEN:
            note("json_broken")
            return None
        note("json_twice")
        return twice
    return inner


def _loaded(text: str) -> Any:
    try:
        return json.loads(text, parse_constant=lambda constant: None)  # NaN, which no database takes as JSON
    except (ValueError, RecursionError):
        return BROKEN


def moment(value: Any, note: Note) -> datetime | None:
    """A stored date. They are naive and mean UTC."""
    if value is None or value == "":
        return None
    try:
        read = datetime.fromisoformat(str(value).strip())
        return read.astimezone(UTC) if read.tzinfo else read.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        note("date_broken")
        return None


def word(value: Any) -> str:
    """An enum's value, whether it was stored as ``COMPLETED``, ``completed`` or ``FileStatus.COMPLETED``."""
    return str(value or "").rpartition(".")[2].strip().lower()


def text(value: Any, most: int) -> str:
    """Text that both databases take, of at most *most* characters; empty for null."""
    if isinstance(value, bytes):
        value = value.decode("utf-8", "replace")
    return clean("" if value is None else str(value))[:most]


def number(value: Any) -> int:
    """A count: at least 0, and 0 for null and nonsense."""
    try:
        return max(0, min(int(value), 2**31 - 1))
    except (TypeError, ValueError, OverflowError):
        return 0
