"""Making what plugins hand over safe to store: text without NULs, metadata and reports that are plain JSON."""

import json
import math
from collections.abc import Mapping
from typing import Any

from plugins.base import PluginError

MESSAGE_CHARACTERS = 255
_SCALARS = (str, int, float, bool, type(None))


def clean_text(text: str) -> str:
    """Without NULs, which PostgreSQL refuses, and without halves of surrogate pairs, which have no UTF-8."""
    if "\0" in text:
        text = text.replace("\0", "")
    try:
        text.encode()
    except UnicodeEncodeError:
        text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


def clean_message(message: Any) -> str:
    """One short line for people."""
    return clean_text(" ".join(str(message).split()))[:MESSAGE_CHARACTERS]


def counted(number: int, noun: str) -> str:
    """``1 chunk``, ``2 chunks``."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def count(value: Any) -> int | None:
    """A whole number of at least 0, or None when *value* is none."""
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return max(int(number), 0) if math.isfinite(number) and number < 2**31 else None


def normalise_chunk(chunk: Any) -> tuple[str, dict[str, Any]]:
    """Text and metadata of one chunk; the text is empty when it is blank.

    :raises PluginError: ``plugin_error`` when *chunk* is no chunk at all
    """
    text = chunk.get("text") if isinstance(chunk, Mapping) else None
    if not isinstance(text, str):
        raise PluginError(
            "plugin_error",
            "The plugin handed over something that is not a chunk.",
            hint="Tell the author of the plugin: a chunk is a mapping with text and metadata.",
            context={"chunk_type": type(chunk).__name__, "text_type": type(text).__name__},
        )
    text = clean_text(text)
    metadata = chunk.get("metadata")
    if not isinstance(metadata, Mapping):
        metadata = {}
    return "" if text.isspace() else text, {clean_text(str(key)): _metadata(value) for key, value in metadata.items()}


def _metadata(value: Any) -> Any:
    if isinstance(value, _SCALARS):
        return _scalar(value)
    if isinstance(value, list | tuple) and all(isinstance(item, _SCALARS) for item in value):
        return [_scalar(item) for item in value]
    return json.dumps(jsonable(value), ensure_ascii=False)


def _scalar(value: Any) -> Any:
    if isinstance(value, str):
        return clean_text(str(value))
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else str(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return int(value) if abs(value) < 2**63 else str(value)
    return value


def jsonable(value: Any, depth: int = 20) -> Any:
    """*value* in plain JSON types; what JSON does not know becomes text."""
    if isinstance(value, _SCALARS):
        return _scalar(value)
    if depth == 0:
        return clean_text(repr(value)[:1000])
    if isinstance(value, Mapping):
        return {clean_text(str(key)): jsonable(item, depth - 1) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [jsonable(item, depth - 1) for item in value]
    if hasattr(value, "item") and hasattr(value, "dtype"):  # numpy's numbers
        return jsonable(value.item(), depth - 1) if getattr(value, "size", 0) == 1 else clean_text(str(value))
    return clean_text(str(value))
