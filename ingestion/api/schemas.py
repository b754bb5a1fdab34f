"""What is answered about jobs, files and the server, as serializers that only the OpenAPI description reads.

Views answer plain dicts (``ingestion.wire``). Tests hold every answer against these.
"""

from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from collections_app.schemas import AnyField, free_object
from ingestion.duplicates import OnDuplicate
from ingestion.health import DEGRADED, NOT_READY, READY
from ingestion.models import FileStatus, JobKind, ProgressUnit
from ingestion.serializers import ON_DUPLICATE_HELP, PreviewSerializer

STATUSES = FileStatus.choices


# -- Jobs -------------------------------------------------------------------------------------------


class Progress(serializers.Serializer[Any]):
    current = serializers.IntegerField()
    total = serializers.IntegerField(help_text="0 while it is not known")
    percentage = serializers.FloatField(min_value=0, max_value=100, help_text="Of the phase that runs now")
    message = serializers.CharField(allow_null=True, help_text="What happens right now")
    unit = serializers.ChoiceField(ProgressUnit.choices, help_text="What `current` and `total` count")
    overall = serializers.FloatField(
        min_value=0, max_value=100, help_text="Of all phases together; never falls within a run. Draw bars from it"
    )


class WaitingReason(serializers.Serializer[Any]):
    code = serializers.ChoiceField(["backing_off", "no_worker", "no_space", "queued"])
    message = serializers.CharField(help_text="For people")
    jobs_ahead = serializers.IntegerField(allow_null=True)
    until = serializers.DateTimeField(allow_null=True, help_text="With `backing_off`: when the next try comes")


class StoredFile(serializers.Serializer[Any]):
    """A file of a collection. The same row is its job."""

    id = serializers.IntegerField()
    collection_id = serializers.IntegerField()
    original_filename = serializers.CharField(help_text="As it was uploaded, or the address")
    file_path = serializers.CharField(help_text="Inside the server's storage; empty for addresses")
    file_url = serializers.CharField(help_text="Signed link to the upload, or the address it came from")
    file_size = serializers.IntegerField(min_value=0, help_text="Bytes")
    content_type = serializers.CharField(allow_null=True)
    plugin_name = serializers.CharField()
    plugin_params = free_object("As they were sent; secrets are masked")
    status = serializers.ChoiceField(STATUSES)
    document_count = serializers.IntegerField(help_text="Chunks that are found; 0 until the job has completed")
    created_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField()
    owner = serializers.CharField()


class Job(StoredFile):
    """The ingestion of one source."""

    job_id = serializers.IntegerField(help_text="The same as `id`")
    collection_name = serializers.CharField()
    kind = serializers.ChoiceField(JobKind.choices, help_text="`preview`: it stores nothing, and is gone after an hour")
    processing_started_at = serializers.DateTimeField(allow_null=True)
    processing_completed_at = serializers.DateTimeField(allow_null=True, help_text="When it ended, in whatever way")
    processing_duration_seconds = serializers.FloatField(allow_null=True)
    progress = Progress()
    error_message = serializers.CharField(allow_null=True, help_text="For the person who uploaded")
    error_code = serializers.CharField(allow_null=True, help_text="For programs; see docs/sources.md")
    error_details = free_object(
        "Of a failure: `hint`, `stage`, `exception_type`, `traceback` and what the plugin adds", allow_null=True
    )
    processing_stats = free_object(
        "Of a run: `content_length`, `chunk_stats` {count, avg_size, min_size, max_size}, `stage_timings` [{stage, "
        "duration_ms, message, timestamp}], `chunking_strategy`, `output_files`, `markdown_preview` and what the "
        "plugin adds. Of a preview also `preview` {chunks, characters, sizes {min, median, max, mean}, histogram "
        "[{from, to, chunks}], first [{text, length, metadata}], note}",
        allow_null=True,
    )
    attempt = serializers.IntegerField(help_text="Runs so far; 0 before the first")
    queue_position = serializers.IntegerField(allow_null=True, help_text="Of a waiting job: 1 is the next")
    next_attempt_at = serializers.DateTimeField(
        allow_null=True, help_text="When it is tried again, after a passing failure"
    )
    waiting_reason = WaitingReason(allow_null=True, help_text="Of a pending job: why it does not run yet")
    eta_seconds = serializers.FloatField(
        allow_null=True, help_text="Until it is done, judged by similar jobs; null while too few are known"
    )
    eta_low_seconds = serializers.FloatField(
        allow_null=True, help_text="Four of five such jobs end between low and high"
    )
    eta_high_seconds = serializers.FloatField(allow_null=True)
    stalled = serializers.BooleanField(help_text="The stage runs four times as long as its like usually do")


class JobPage(serializers.Serializer[Any]):
    total = serializers.IntegerField()
    items = Job(many=True)
    limit = serializers.IntegerField()
    offset = serializers.IntegerField()
    has_more = serializers.BooleanField()


class AllJobsPage(serializers.Serializer[Any]):
    items = Job(many=True)
    limit = serializers.IntegerField()
    total = serializers.IntegerField(allow_null=True, help_text="With `count=true` only")
    next_cursor = serializers.CharField(allow_null=True, help_text="`cursor` of the next page; null: this is the last")
    next = serializers.CharField(allow_null=True, help_text="Address of the next page, from the server's root")


class StatusCounts(serializers.Serializer[Any]):
    pending = serializers.IntegerField()
    processing = serializers.IntegerField()
    completed = serializers.IntegerField()
    failed = serializers.IntegerField()
    cancelled = serializers.IntegerField()
    deleted = serializers.IntegerField()


class IngestionStatus(serializers.Serializer[Any]):
    collection_id = serializers.IntegerField()
    collection_name = serializers.CharField()
    total_jobs = serializers.IntegerField()
    by_status = StatusCounts()
    currently_processing = serializers.IntegerField()
    recent_failures = Job(many=True, help_text="The latest five")
    oldest_processing_job = Job(allow_null=True, help_text="The one that runs longest")


class DiaryEntry(serializers.Serializer[Any]):
    id = serializers.IntegerField()
    at = serializers.DateTimeField()
    kind = serializers.CharField(help_text="What happened, for programs")
    attempt = serializers.IntegerField(help_text="In which run")
    message = serializers.CharField()
    data = free_object("More about it", allow_null=True)  # type: ignore[assignment]


class Diary(serializers.Serializer[Any]):
    items = DiaryEntry(many=True, help_text="Oldest first")
    total = serializers.IntegerField()
    after = serializers.IntegerField()
    limit = serializers.IntegerField()
    has_more = serializers.BooleanField()


# -- Many jobs --------------------------------------------------------------------------------------


class JobOutcome(serializers.Serializer[Any]):
    job_id = serializers.IntegerField()
    collection_id = serializers.IntegerField(allow_null=True, help_text="null: there is no such job")
    done = serializers.BooleanField(help_text="In a dry run: it would be")
    status = serializers.ChoiceField(STATUSES, allow_null=True, help_text="Now")
    detail = serializers.CharField(allow_null=True, help_text="Why not")


class Outcomes(serializers.Serializer[Any]):
    dry_run = serializers.BooleanField()
    done = serializers.IntegerField()
    refused = serializers.IntegerField()
    items = JobOutcome(many=True)
    has_more = serializers.BooleanField(help_text="More jobs meet the filter: send it again with this `after`")
    after = serializers.IntegerField()


class FailureExample(serializers.Serializer[Any]):
    job_id = serializers.IntegerField()
    collection_id = serializers.IntegerField()
    collection_name = serializers.CharField()
    original_filename = serializers.CharField()
    plugin_name = serializers.CharField()


class FailureRemedy(serializers.Serializer[Any]):
    action = serializers.ChoiceField(["retry", "retry_with", "mend_vendor", "mend_server", "nothing"])
    message = serializers.CharField()
    override_params = free_object("With `retry_with`: parameters worth trying")


class FailureGroup(serializers.Serializer[Any]):
    group = serializers.CharField(help_text="Its key, for the filter `group`")
    error_code = serializers.CharField()
    message = serializers.CharField(allow_null=True, help_text="Of the latest of them")
    hint = serializers.CharField(allow_null=True)
    jobs = serializers.IntegerField()
    first_at = serializers.DateTimeField(allow_null=True)
    last_at = serializers.DateTimeField(allow_null=True)
    example = FailureExample()
    remedy = FailureRemedy()


class Failures(serializers.Serializer[Any]):
    total = serializers.IntegerField(help_text="Groups")
    groups = FailureGroup(many=True, help_text="The largest first")


# -- Intake and files -------------------------------------------------------------------------------


@extend_schema_field(OpenApiTypes.BINARY)
class BytesField(serializers.FileField):
    pass


class Upload(serializers.Serializer[Any]):
    """The form of an upload, whatever plugins are installed."""

    file = BytesField()
    plugin_name = serializers.CharField(help_text="One of `GET /ingestion/plugins`")
    plugin_params = serializers.CharField(required=False, default="{}", help_text="A JSON object, as text")
    on_duplicate = serializers.ChoiceField(
        OnDuplicate.values, default=OnDuplicate.ALLOW.value, help_text=ON_DUPLICATE_HELP
    )


class PreviewWanted(PreviewSerializer):
    """What is to be previewed. One source: a file (in a form), addresses, or an earlier job."""

    file = BytesField(required=False, help_text="In a form only")

    def get_fields(self) -> dict[str, Any]:
        fields = super().get_fields()
        return {"file": fields.pop("file"), **fields}


class IntakeReceipt(serializers.Serializer[Any]):
    """A source was taken in; its job is ``job_id``."""

    collection_id = serializers.IntegerField()
    collection_name = serializers.CharField()
    documents_added = serializers.IntegerField(help_text="0: the job adds them")
    success = serializers.BooleanField()
    status = serializers.ChoiceField(
        STATUSES, help_text="`processing` for a new job; with `skipped`, that of the earlier one"
    )
    skipped = serializers.BooleanField(help_text="The collection has this source already, and `on_duplicate` is skip")
    id = serializers.IntegerField(help_text="The same as `job_id`")
    job_id = serializers.IntegerField()
    file_registry_id = serializers.IntegerField(help_text="The same as `job_id`")
    file_path = serializers.CharField()
    file_url = serializers.CharField()
    original_filename = serializers.CharField()
    plugin_name = serializers.CharField()


class FileDeleted(serializers.Serializer[Any]):
    file_id = serializers.IntegerField()
    collection_id = serializers.IntegerField()
    deleted_embeddings = serializers.IntegerField()
    removed_files = serializers.ListField(child=serializers.CharField())
    status = serializers.ChoiceField(["deleted"])


class FileContent(serializers.Serializer[Any]):
    file_id = serializers.IntegerField()
    original_filename = serializers.CharField()
    content = serializers.CharField()
    content_type = serializers.ChoiceField(["markdown"])
    chunk_count = serializers.IntegerField()
    timestamp = serializers.DateTimeField(allow_null=True)


# -- The server -------------------------------------------------------------------------------------


class Health(serializers.Serializer[Any]):
    status = serializers.ChoiceField(["ok"])
    version = serializers.CharField()


class ReadinessCheck(serializers.Serializer[Any]):
    name = serializers.ChoiceField(["database", "storage", "workers", "model", "vendor"])
    ok = serializers.BooleanField()
    detail = serializers.CharField(help_text="For people")


class Readiness(serializers.Serializer[Any]):
    status = serializers.ChoiceField([READY, DEGRADED, NOT_READY])
    checks = ReadinessCheck(many=True)


class IngestionConfig(serializers.Serializer[Any]):
    refresh_rate = serializers.IntegerField(help_text="Seconds between two polls")


class SqliteStatus(serializers.Serializer[Any]):
    initialized = serializers.BooleanField()
    schema_valid = serializers.BooleanField()
    errors = serializers.ListField(child=serializers.CharField())  # type: ignore[assignment]


class ChromadbStatus(serializers.Serializer[Any]):
    initialized = serializers.BooleanField()
    collections_count = serializers.IntegerField()


class DatabaseStatus(serializers.Serializer[Any]):
    sqlite_status = SqliteStatus(help_text="Of the database, whichever it is")
    chromadb_status = ChromadbStatus(help_text="Of the vectors, which the database holds too")
    collections_count = serializers.IntegerField()


class PluginParameter(serializers.Serializer[Any]):
    """How a parameter is called, shown and checked. Plugins may add keys."""

    type = serializers.ChoiceField(["integer", "number", "string", "long-string", "boolean", "array", "info"])
    description = serializers.CharField(required=False)
    default = AnyField(required=False)
    required = serializers.BooleanField(required=False)  # type: ignore[assignment]
    enum = serializers.ListField(child=serializers.CharField(), required=False)
    enum_labels = serializers.DictField(child=serializers.CharField(), required=False)
    min = serializers.FloatField(required=False)
    max = serializers.FloatField(required=False)
    visible_when = serializers.DictField(
        child=serializers.ListField(child=serializers.CharField()), required=False, help_text="Shown when all hold"
    )
    applicable_to = serializers.ListField(child=serializers.CharField(), required=False)
    ui_hint = serializers.CharField(required=False)
    help_text = serializers.CharField(required=False)  # type: ignore[assignment]


class Plugin(serializers.Serializer[Any]):
    name = serializers.CharField()
    kind = serializers.CharField(help_text="`file-ingest`, `remote-ingest` or `base-ingest`")
    description = serializers.CharField()
    supported_file_types = serializers.ListField(child=serializers.CharField())
    parameters = serializers.DictField(child=PluginParameter())
    supports_progress = serializers.BooleanField()
    progress_unit = serializers.CharField()
