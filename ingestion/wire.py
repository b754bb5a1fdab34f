"""Jobs and files as they are answered. Plain dicts made by hand: these are polled by everyone who watches."""

import re
from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache
from typing import Any, NamedTuple

import orjson
from django.conf import settings

from collections_app import links
from collections_app.serializers import moment
from ingestion.models import FileStatus
from ingestion.outlook import NOTHING, Outlook, Waiting
from plugins.passwords import address_without_password, without_passwords

MASK = "********"
ERROR_LENGTH = 500
SECRET_NAME = re.compile(r"(?i)api_?key|token|secret|password|passwd|credential|authorization|proxy|cookie")
OUTPUT_LINKS = ("markdown_url", "images_folder_url", "original_file_url")


class JobRow(NamedTuple):
    """One row as the database gives it, JSON still being text. The names are lookups of FileRegistry, so they say what
    to select, too."""

    id: int
    collection_id: int
    collection__name: str
    original_filename: str
    file_path: str
    file_url: str
    file_size: int
    content_type: str | None
    plugin_name: str
    plugin_params: Any
    status: str
    document_count: int
    owner: str
    created_at: datetime
    updated_at: datetime
    processing_started_at: datetime | None
    processing_completed_at: datetime | None
    progress_current: int
    progress_total: int
    progress_message: str
    progress_unit: str
    progress_overall: float
    error_message: str | None
    error_details: Any
    error_code: str
    processing_stats: Any
    attempt: int
    not_before: datetime | None
    priority: int
    version: int
    stage_started_at: datetime | None
    collection__embedding_vendor: str
    kind: str


def job_object(row: JobRow, queue_position: int | None = None, outlook: Outlook = NOTHING) -> dict[str, Any]:
    """A job: the contract's 23 keys and ours.

    :param queue_position: 1 for the next one; only of pending jobs
    :param outlook: of live jobs
    """
    estimate = outlook.estimate
    return {
        "id": row.id,
        "job_id": row.id,
        "collection_id": row.collection_id,
        "collection_name": row.collection__name,
        "original_filename": row.original_filename,
        "file_path": row.file_path,
        "file_url": file_link(row.owner, row.collection__name, row.file_path, row.file_url),
        "file_size": row.file_size,
        "content_type": row.content_type,
        "plugin_name": row.plugin_name,
        "plugin_params": redacted(_json(row.plugin_params) or {}),
        "kind": row.kind,
        "status": row.status,
        "document_count": row.document_count,
        "created_at": moment(row.created_at),
        "updated_at": moment(row.updated_at),
        "processing_started_at": moment(row.processing_started_at),
        "processing_completed_at": moment(row.processing_completed_at),
        "processing_duration_seconds": duration(row.processing_started_at, row.processing_completed_at),
        "progress": {
            "current": row.progress_current,
            "total": row.progress_total,
            "percentage": percentage(row),
            "message": row.progress_message or None,
            "unit": row.progress_unit,
            "overall": round(row.progress_overall, 2),
        },
        "error_message": row.error_message[:ERROR_LENGTH] if row.error_message else None,
        "error_code": row.error_code or None,
        "error_details": without_paths(_json(row.error_details)) if row.error_details is not None else None,
        "processing_stats": with_links(_json(row.processing_stats)) if row.processing_stats is not None else None,
        "owner": row.owner,
        "attempt": row.attempt,
        "queue_position": queue_position,
        "next_attempt_at": moment(row.not_before),
        "waiting_reason": waiting_object(outlook.waiting) if outlook.waiting else None,
        "eta_seconds": round(estimate.likely, 1) if estimate else None,
        "eta_low_seconds": round(estimate.low, 1) if estimate else None,
        "eta_high_seconds": round(estimate.high, 1) if estimate else None,
        "stalled": outlook.stalled,
    }


def waiting_object(waiting: Waiting) -> dict[str, Any]:
    return {
        "code": waiting.code,
        "message": waiting.message,
        "jobs_ahead": waiting.jobs_ahead,
        "until": moment(waiting.until),
    }


def file_object(row: JobRow) -> dict[str, Any]:
    """A file: the same row, in the 14 keys of the files endpoints."""
    return {
        "id": row.id,
        "collection_id": row.collection_id,
        "original_filename": row.original_filename,
        "file_path": row.file_path,
        "file_url": file_link(row.owner, row.collection__name, row.file_path, row.file_url),
        "file_size": row.file_size,
        "content_type": row.content_type,
        "plugin_name": row.plugin_name,
        "plugin_params": redacted(_json(row.plugin_params) or {}),
        "status": row.status,
        "document_count": row.document_count,
        "created_at": moment(row.created_at),
        "updated_at": moment(row.updated_at),
        "owner": row.owner,
    }


# -- Values -----------------------------------------------------------------------------------------


def duration(start: datetime | None, end: datetime | None) -> float | None:
    """Seconds between two moments, None while one is unknown."""
    return round(max(0.0, (end - start).total_seconds()), 3) if start and end else None


def percentage(row: JobRow) -> float:
    """Of the phase that runs now, 0 to 100."""
    if row.progress_total > 0:
        return round(100 * row.progress_current / row.progress_total, 2)
    return 100.0 if row.status == FileStatus.COMPLETED else 0.0


def file_link(owner: str, collection_name: str, file_path: str, file_url: str) -> str:
    """Where the source is: the signed link to the upload, or the web address it came from."""
    if not file_path:
        return address_without_password(file_url, f"{MASK}@")
    path = links.static_path(owner, collection_name, file_path.rpartition("/")[2])
    return links.absolute(links.signed(path))


def redacted(params: Any) -> dict[str, Any]:
    """Plugin parameters without their secrets. Names stay, so that people see what was set."""
    if not isinstance(params, Mapping):
        return {}
    return {name: _redacted(str(name), value) for name, value in params.items()}


@lru_cache(maxsize=1024)
def is_secret_name(name: str) -> bool:
    return bool(SECRET_NAME.search(name))


def _redacted(name: str, value: Any) -> Any:
    if value not in (None, "", False) and is_secret_name(name):
        return MASK
    if isinstance(value, str):
        return without_passwords(value, f"{MASK}@")
    if isinstance(value, Mapping):
        return {inner: _redacted(str(inner), item) for inner, item in value.items()}
    if isinstance(value, list):
        return [_redacted("", item) for item in value]
    return value


def without_masks(overrides: Mapping[str, Any]) -> dict[str, Any]:
    """Without secrets that a client sent back as they were shown to it: they stay what they are."""
    return {name: value for name, value in overrides.items() if not (value == MASK and is_secret_name(name))}


def without_paths(details: Any) -> dict[str, Any] | None:
    """Error details without the server's folders. The engine removes them before it stores; imported rows hold them."""
    if not isinstance(details, Mapping):
        return None
    return {name: _pathless(value) for name, value in details.items()}


def _pathless(value: Any) -> Any:
    if isinstance(value, str):
        return value.replace(str(settings.KB_DATA_DIR), "<data>").replace(str(settings.BASE_DIR), "<server>")
    if isinstance(value, Mapping):
        return {name: _pathless(item) for name, item in value.items()}
    return [_pathless(item) for item in value] if isinstance(value, list) else value


def with_links(stats: Any) -> dict[str, Any] | None:
    """Processing statistics, whose links to files are stored unsigned."""
    if not isinstance(stats, Mapping):
        return None
    files = stats.get("output_files")
    if not isinstance(files, Mapping):
        return dict(stats)
    made: dict[str, Any] = {name: _link(files.get(name)) for name in OUTPUT_LINKS}
    if isinstance(images := files.get("images"), list):
        made["images"] = [_link(image) for image in images]
    return {**stats, "output_files": {**files, **made}}


def _link(link: Any) -> str | None:
    return links.absolute(links.signed(link)) if isinstance(link, str) else None


def _json(value: Any) -> Any:
    return orjson.loads(value) if isinstance(value, str) else value
