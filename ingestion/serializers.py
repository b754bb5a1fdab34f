"""Jobs and files on the wire, made by hand: these are polled, and a ModelSerializer costs as much as all the rest."""

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import PurePosixPath
from typing import Any

from django.db.models import F, Window
from django.db.models.functions import RowNumber
from rest_framework import serializers

from collections_app import links
from collections_app.http import ObjectField, TextField, WholeNumberField
from collections_app.serializers import stamp
from ingestion.models import FileRegistry, FileStatus, JobQuerySet

SECRET_NAME = re.compile(r"(?i)key|token|secret|passw|credential|proxy")
REDACTED = "***"

JOB_COLUMNS = (
    "id",
    "collection_id",
    "collection__name",
    "original_filename",
    "file_path",
    "file_url",
    "file_size",
    "content_type",
    "plugin_name",
    "plugin_params",
    "status",
    "document_count",
    "owner",
    "created_at",
    "updated_at",
    "processing_started_at",
    "processing_completed_at",
    "progress_current",
    "progress_total",
    "progress_message",
    "progress_unit",
    "progress_overall",
    "error_message",
    "error_details",
    "error_code",
    "processing_stats",
    "attempt",
    "not_before",
    "storage_key",
    "collection__owner",
)


def job_objects(jobs: JobQuerySet) -> list[dict[str, Any]]:
    """The jobs of a query as every endpoint answers them. Two queries at most."""
    rows = list(jobs.values_list(*JOB_COLUMNS))
    positions = queue_positions([row[0] for row in rows if row[10] == FileStatus.PENDING])
    return [job_object(row, positions.get(row[0])) for row in rows]


def job_object(row: Sequence[Any], queue_position: int | None) -> dict[str, Any]:
    """One job from its ``JOB_COLUMNS``: the 23 keys of the contract, and ours."""
    (
        pk,
        collection_id,
        collection_name,
        name,
        file_path,
        file_url,
        file_size,
        content_type,
        plugin_name,
        plugin_params,
        status,
        document_count,
        owner,
        created,
        updated,
        started,
        completed,
        current,
        total,
        message,
        unit,
        overall,
        error_message,
        error_details,
        error_code,
        stats,
        attempt,
        not_before,
        key,
        collection_owner,
    ) = row
    return {
        "id": pk,
        "job_id": pk,
        "collection_id": collection_id,
        "collection_name": collection_name,
        "original_filename": name,
        "file_path": file_path,
        "file_url": link(collection_owner, collection_name, file_path, file_url, key),
        "file_size": file_size,
        "content_type": content_type,
        "plugin_name": plugin_name,
        "plugin_params": redacted(plugin_params),
        "status": status,
        "document_count": document_count,
        "created_at": stamp(created),
        "updated_at": stamp(updated),
        "processing_started_at": stamp(started),
        "processing_completed_at": stamp(completed),
        "processing_duration_seconds": duration(started, completed),
        "progress": {
            "current": current,
            "total": total,
            "percentage": percentage(current, total, status),
            "message": message or None,
            "unit": unit,
            "overall": round(overall, 2),
        },
        "error_message": error_message[:500] if error_message else error_message,
        "error_details": error_details,
        "processing_stats": stats_object(stats, collection_owner, collection_name),
        "owner": owner,
        "error_code": error_code or None,
        "attempt": attempt,
        "queue_position": queue_position,
        "next_attempt_at": stamp(not_before) if status == FileStatus.PENDING else None,
    }


def link(owner: str, collection: str, file_path: str, file_url: str, key: str | None) -> str:
    """The absolute address of a job's source: a signed link to the upload, or the web address it came from."""
    if not key or not file_path:
        return file_url
    path = links.static_path(owner, collection, PurePosixPath(file_path).name)
    return links.absolute(links.signed(path, key))


def percentage(current: int, total: int, status: str) -> float:
    """Of the present phase, with two decimals; never more than 100, never a division by zero."""
    if total > 0:
        return round(min(100.0, 100.0 * current / total), 2)
    return 100.0 if status == FileStatus.COMPLETED else 0.0


def duration(started: datetime | None, completed: datetime | None) -> float | None:
    return round(max(0.0, (completed - started).total_seconds()), 3) if started and completed else None


def redacted(params: Any) -> dict[str, Any]:
    """Plugin parameters with the values of secrets hidden, their names kept."""
    if not isinstance(params, dict):
        return {}
    return {name: REDACTED if value and SECRET_NAME.search(name) else value for name, value in params.items()}


def stats_object(stats: Any, owner: str, collection: str) -> dict[str, Any] | None:
    """``processing_stats`` with its links signed; None for what is no object."""
    if not isinstance(stats, dict):
        return None
    files = stats.get("output_files")
    if isinstance(files, Mapping):
        stats = {**stats, "output_files": {name: signed_link(value) for name, value in files.items()}}
    return stats


def signed_link(value: Any) -> Any:
    match = links.STORED.match(value) if isinstance(value, str) else None
    return links.absolute(links.signed(value, match["key"])) if match else value


def queue_positions(pending: Sequence[int]) -> dict[int, int]:
    """Places in the queue, 1 for the next, of these pending jobs: one walk over the index of pending ones."""
    if not pending:
        return {}
    if len(pending) == 1:
        priority = FileRegistry.objects.filter(pk=pending[0]).values_list("priority", flat=True).first()
        if priority is None:
            return {}
        return {pending[0]: FileRegistry.objects.ahead_of(FileRegistry(pk=pending[0], priority=priority)).count() + 1}
    ranked = FileRegistry.objects.pending().annotate(
        position=Window(RowNumber(), order_by=[F("priority").desc(), F("id").asc()])
    )
    return dict(ranked.filter(pk__in=pending).values_list("pk", "position"))


def file_object(job: FileRegistry) -> dict[str, Any]:
    """A file: the 14 keys of the contract."""
    collection = job.collection
    return {
        "id": job.pk,
        "collection_id": job.collection_id,
        "original_filename": job.original_filename,
        "file_path": job.file_path,
        "file_url": link(collection.owner, collection.name, job.file_path, job.file_url, job.storage_key),
        "file_size": job.file_size,
        "content_type": job.content_type,
        "plugin_name": job.plugin_name,
        "plugin_params": redacted(job.plugin_params),
        "status": job.status,
        "document_count": job.document_count,
        "created_at": stamp(job.created_at),
        "updated_at": stamp(job.updated_at),
        "owner": job.owner,
    }


def event_objects(events: Iterable[Any]) -> list[dict[str, Any]]:
    return [
        {
            "id": event.pk,
            "at": stamp(event.at),
            "kind": event.kind,
            "attempt": event.attempt,
            "message": event.message,
            "data": event.data,
        }
        for event in events
    ]


# -- Input ------------------------------------------------------------------------------------------

SORTABLE = ("created_at", "updated_at", "status", "original_filename", "file_size")


class JobListQuerySerializer(serializers.Serializer[Any]):
    limit = WholeNumberField(default=50, min_value=1, max_value=200)
    offset = WholeNumberField(default=0, min_value=0, max_value=2**31)
    sort_by = serializers.ChoiceField(choices=SORTABLE, default="created_at")
    sort_order = serializers.ChoiceField(choices=("asc", "desc"), default="desc")


class EventListQuerySerializer(serializers.Serializer[Any]):
    limit = WholeNumberField(default=100, min_value=1, max_value=1000)
    after = WholeNumberField(default=0, min_value=0)


class RetrySerializer(serializers.Serializer[Any]):
    override_params = ObjectField(required=False, allow_null=True, help_text="parameters to replace")
    new_params = ObjectField(required=False, allow_null=True, help_text="the same, as LAMB calls it")


class IngestFileSerializer(serializers.Serializer[Any]):
    file = serializers.FileField()
    plugin_name = TextField()
    plugin_params = TextField(default="{}", help_text='JSON, such as {"chunk_size": 1000}')


class IngestUrlSerializer(serializers.Serializer[Any]):
    urls = serializers.ListField(child=TextField(max_length=2000), max_length=10_000)
    plugin_name = TextField(default="url_ingest")
    plugin_params = ObjectField(default=dict)


class IngestBaseSerializer(serializers.Serializer[Any]):
    plugin_name = TextField()
    plugin_params = ObjectField(default=dict)


class FileStatusQuerySerializer(serializers.Serializer[Any]):
    status = TextField()
