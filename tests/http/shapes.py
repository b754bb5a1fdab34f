"""The objects of the wire contract: which keys, of which types."""

import re
from typing import Any

NUMBER = (int, float)
TEXT_OR_NONE = (str, type(None))
MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?Z")

COLLECTION = {
    "id": int,
    "name": str,
    "description": TEXT_OR_NONE,
    "visibility": str,
    "owner": str,
    "creation_date": str,
    "embeddings_model": dict,
}
FILE = {
    "id": int,
    "collection_id": int,
    "original_filename": str,
    "file_path": str,
    "file_url": str,
    "file_size": int,
    "content_type": TEXT_OR_NONE,
    "plugin_name": str,
    "plugin_params": dict,
    "status": str,
    "document_count": int,
    "created_at": str,
    "updated_at": str,
    "owner": str,
}
JOB = {
    **FILE,
    "job_id": int,
    "collection_name": str,
    "processing_started_at": TEXT_OR_NONE,
    "processing_completed_at": TEXT_OR_NONE,
    "processing_duration_seconds": (float, type(None)),
    "progress": dict,
    "error_message": TEXT_OR_NONE,
    "error_details": (dict, type(None)),
    "processing_stats": (dict, type(None)),
}
OURS = {
    "kind": str,
    "error_code": TEXT_OR_NONE,
    "attempt": int,
    "queue_position": (int, type(None)),
    "next_attempt_at": TEXT_OR_NONE,
    "waiting_reason": (dict, type(None)),
    "eta_seconds": (float, type(None)),
    "eta_low_seconds": (float, type(None)),
    "eta_high_seconds": (float, type(None)),
    "stalled": bool,
}
PROGRESS = {
    "current": int,
    "total": int,
    "percentage": float,
    "message": TEXT_OR_NONE,
    "unit": str,
    "overall": float,
}
RECEIPT = {
    "collection_id": int,
    "collection_name": str,
    "success": bool,
    "documents_added": int,
    "status": TEXT_OR_NONE,
    "file_path": TEXT_OR_NONE,
    "file_url": TEXT_OR_NONE,
    "original_filename": TEXT_OR_NONE,
    "plugin_name": TEXT_OR_NONE,
    "file_registry_id": (int, type(None)),
}


def has_shape(given: dict[str, Any], shape: dict[str, Any], *, exactly: bool = False) -> None:
    for key, kind in shape.items():
        assert key in given, f"{key} is missing"
        assert isinstance(given[key], kind), f"{key} is {given[key]!r}"
        assert not isinstance(given[key], bool) or kind is bool, f"{key} is {given[key]!r}"
    if exactly:
        assert set(given) == set(shape)


def is_job(given: dict[str, Any]) -> None:
    has_shape(given, {**JOB, **OURS}, exactly=True)
    has_shape(given["progress"], PROGRESS, exactly=True)
    assert given["job_id"] == given["id"]
    assert 0 <= given["progress"]["percentage"] <= 100
    for key in ("created_at", "updated_at", "processing_started_at", "processing_completed_at", "next_attempt_at"):
        assert given[key] is None or MOMENT.fullmatch(given[key]), given[key]


def is_error(response: Any, status: int) -> str:
    """Has this status and one sentence; returns it."""
    assert response.status_code == status, response.content
    assert response["Content-Type"].startswith("application/json")
    detail = response.json()["detail"]
    assert isinstance(detail, str)
    assert detail
    return detail


def is_invalid(response: Any, *loc: str | int) -> dict[str, Any]:
    """422 with the list shape, and an entry for the place *loc*; returns that entry."""
    assert response.status_code == 422, response.content
    entries = response.json()["detail"]
    assert isinstance(entries, list)
    for entry in entries:
        assert {"type", "loc", "msg", "input"} <= set(entry)
        assert isinstance(entry["type"], str)
        assert isinstance(entry["loc"], list)
    found: list[dict[str, Any]] = [entry for entry in entries if entry["loc"][: len(loc)] == list(loc)]
    assert found, entries
    return found[0]
