"""Every action of every view: its name, its words, what it takes and what it answers."""

from collections.abc import Mapping
from typing import Any

import django_filters
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter

from collections_app import api, schemas, serializers
from ingestion import serializers as ingestion
from ingestion.api import schemas as jobs
from ingestion.api.collections import CollectionViewSet
from ingestion.api.files import FileViewSet
from ingestion.api.intake import SourceViewSet, UploadViewSet
from ingestion.api.jobs import JobViewSet
from ingestion.api.many import AllJobsViewSet
from ingestion.api.preview import PreviewViewSet
from ingestion.api.system import MetricsView, PublicView, StartView, SystemView
from ingestion.filters import IdsFilter, JobsFilter, MomentFilter
from ingestion.models import FileStatus
from kbproject.openapi import examples
from kbproject.openapi.operation import Operation, answered_header, parameter, sent_header

ONE_STATUS = parameter("status", "Only jobs in this status", enum=FileStatus.values)
IDEMPOTENCY = (
    sent_header("Idempotency-Key", "The same request with the same key again adds nothing: it gets the first answer"),
    answered_header("Idempotent-Replayed", "`true`: this request was answered before"),
)
REUSED = {
    "type": "idempotency_key_reused",
    "loc": ["header", "Idempotency-Key"],
    "msg": "This key was sent with another request. Use a new one for each source.",
    "input": None,
}
NO_PLUGIN = "There is no plugin 'poem_ingest'. See GET /ingestion/plugins."
NAME_TAKEN = "ana has a collection named 'handbook' already."
KEY_LOST = "The stored key cannot be read, since KB_SECRET_KEY has changed. Set the key again."
SETTINGS_LOST = "The stored settings (config.json) cannot be read. Mend or remove the file."


def filters() -> list[OpenApiParameter]:
    """The filters of the list of all jobs, as parameters of a query."""
    return [
        parameter(name, str(of.extra.get("help_text", "")), filtered_by(of), **spelling(of))
        for name, of in JobsFilter.base_filters.items()
    ]


def filtered_by(of: django_filters.Filter) -> Any:
    if isinstance(of, IdsFilter):
        return {"type": "array", "items": {"type": "integer", "format": "int64", "minimum": 0, "maximum": 2**63 - 1}}
    if isinstance(of, MomentFilter):
        return {"type": "string", "format": "date-time"}
    if isinstance(of, django_filters.ChoiceFilter):
        word = {"type": "string", "enum": [value for value, _ in of.extra["choices"]]}
        return {"type": "array", "items": word} if isinstance(of, django_filters.BaseInFilter) else word
    return {"type": "string"}


def spelling(of: django_filters.Filter) -> dict[str, Any]:
    return {"style": "form", "explode": False} if isinstance(of, django_filters.BaseInFilter) else {}


def wrong(where: str, name: str, kind: str, message: str, given: Any) -> dict[str, Any]:
    return {"type": kind, "loc": [where, name], "msg": message, "input": given}


COLLECTIONS = {
    "list": Operation(
        "list_collections",
        "Collections",
        "List collections",
        schemas.CollectionPage,
        {"total": 1, "items": [examples.COLLECTION]},
        query=[serializers.CollectionsWantedSerializer],
        errors={400: "There is no visibility 'secret'. Choose private or public."},
        invalid=wrong("query", "limit", "int_parsing", "Must be a whole number.", "many"),
    ),
    "create": Operation(
        "create_collection",
        "Collections",
        "Create a collection",
        schemas.Collection,
        examples.COLLECTION,
        status=201,
        takes=serializers.NewCollectionSerializer,
        sent={"name": "handbook", "owner": "ana", "visibility": "private"},
        errors={
            400: "There is no model 'word2vec' built in. Choose wordllama-l2-supercat-256.",
            409: NAME_TAKEN,
            500: KEY_LOST,
        },
        invalid=wrong("body", "name", "missing", "This field is required.", None),
    ),
    "retrieve": Operation(
        "get_collection", "Collections", "Read a collection", schemas.Collection, examples.COLLECTION
    ),
    "update": Operation(
        "change_collection",
        "Collections",
        "Change a collection",
        schemas.Collection,
        examples.COLLECTION,
        takes=serializers.CollectionChangesSerializer,
        sent={"description": "Rules and habits of the house"},
        errors={400: "There is no visibility 'secret'. Choose private or public.", 409: NAME_TAKEN},
    ),
    "destroy": Operation(
        "delete_collection",
        "Collections",
        "Delete a collection",
        schemas.CollectionDeleted,
        examples.COLLECTION_DELETED,
    ),
    "add_documents": Operation(
        "add_documents",
        "Intake",
        "Add ready-made chunks",
        schemas.DocumentsReceipt,
        examples.DOCUMENTS_RECEIPT,
        takes=serializers.DocumentsSerializer,
        sent={"documents": [{"text": "The lamp is lit at dusk.", "metadata": {"page": 3}}]},
        headers=IDEMPOTENCY,
        errors={
            400: "The embedding service does not answer. Check its address.",
            500: KEY_LOST,
        },
        invalid=REUSED,
    ),
    "query": Operation(
        "query_collection",
        "Questions",
        "Ask a collection",
        schemas.QueryAnswer,
        examples.QUERY_ANSWER,
        takes=serializers.QuestionSerializer,
        sent={"query_text": "When is the lamp lit?", "top_k": 3},
        query=[
            parameter(
                "plugin_name",
                "How to search: `simple_query` by meaning, `hybrid_query` by meaning and words, "
                "`parent_child_query` for hierarchical chunks",
                default="simple_query",
            )
        ],
        errors={
            400: "The question is empty.",
            404: "There is no query plugin 'oracle'.",
            500: KEY_LOST,
        },
        invalid=wrong("body", "query_text", "missing", "This field is required.", None),
    ),
}

INTAKE_ERRORS = {
    400: ["simple_ingest does not read pdf files. It reads: html, md, txt."],
    404: NO_PLUGIN,
    507: "The server's disk is almost full: nothing is taken in.",
}
UPLOADS = {
    "upload": Operation(
        "upload_file",
        "Intake",
        "Upload a file",
        jobs.IntakeReceipt,
        examples.RECEIPT,
        takes=jobs.Upload,
        headers=IDEMPOTENCY,
        errors={**INTAKE_ERRORS, 413: "The file is larger than 512 MB, which is the most this server takes."},
        invalid=wrong("body", "file", "missing", "The form needs a file.", None),
    ),
}
PREVIEWS = {
    "preview": Operation(
        "preview_source",
        "Intake",
        "See how a source would be cut",
        jobs.Job,
        examples.PREVIEW_WAITING,
        takes=jobs.PreviewWanted,
        sent={"source_job": 9, "plugin_params": {"chunk_size": 500}},
        headers=IDEMPOTENCY,
        errors={
            **INTAKE_ERRORS,
            400: [*INTAKE_ERRORS[400], "The file of job 9 is no longer on the server. Upload it again."],
            413: "The file is larger than 512 MB, which is the most this server takes.",
        },
        invalid=wrong(
            "body", "source_job", "value_error", "Send one source: a file, url or urls, or source_job.", None
        ),
    ),
}
SOURCES = {
    "addresses": Operation(
        "ingest_addresses",
        "Intake",
        "Fetch web addresses",
        jobs.IntakeReceipt,
        examples.ADDRESS_RECEIPT,
        takes=ingestion.AddressesSerializer,
        sent={"urls": ["https://example.org/"], "plugin_params": {"limit": 20}},
        headers=IDEMPOTENCY,
        errors={**INTAKE_ERRORS, 400: "simple_ingest fetches nothing. Upload the file, or choose another plugin."},
        invalid=wrong("body", "urls", "missing", "This field is required.", None),
    ),
    "source": Operation(
        "ingest_source",
        "Intake",
        "Ingest what a plugin's parameters name",
        jobs.IntakeReceipt,
        examples.ADDRESS_RECEIPT,
        takes=ingestion.SourceSerializer,
        sent={"plugin_name": "url_ingest", "plugin_params": {"url": "https://example.org/"}},
        headers=IDEMPOTENCY,
        errors={**INTAKE_ERRORS, 400: "simple_ingest needs a file. Send it to ingest-file."},
        invalid=wrong("body", "plugin_name", "missing", "This field is required.", None),
    ),
}

JOBS = {
    "list": Operation(
        "list_collection_jobs",
        "Jobs",
        "List the jobs of a collection",
        jobs.JobPage,
        {"total": 1, "items": [examples.JOB], "limit": 50, "offset": 0, "has_more": False},
        query=[ONE_STATUS, ingestion.JobsWantedSerializer],
        errors={400: f"There is no status 'lost'. Choose one of: {', '.join(FileStatus.values)}."},
        invalid=wrong("query", "limit", "less_than_equal", "Must be at most 200.", "1000"),
    ),
    "retrieve": Operation(
        "get_collection_job",
        "Jobs",
        "Watch a job",
        jobs.Job,
        examples.RUNNING,
        query=[ingestion.JobWantedSerializer],
        headers=[
            sent_header("If-None-Match", "ETag of the last answer: 304 while nothing has changed"),
            answered_header("ETag", "Of this state of the job", 200, 304),
            answered_header("Retry-After", "Too many wait already: ask again after so many seconds", 200, 304),
        ],
        empty={304: "Nothing has changed since the answer with this ETag"},
    ),
    "retry": Operation(
        "retry_job",
        "Jobs",
        "Retry a failed job",
        jobs.Job,
        examples.WAITING,
        takes=ingestion.RetrySerializer,
        sent={"override_params": {"chunk_size": 2000}},
        errors={400: "Only a failed job can be retried; this one is completed."},
        invalid={
            "type": "int_parsing",
            "loc": ["body", "override_params", "chunk_size"],
            "msg": "chunk_size must be a whole number.",
            "input": "large",
        },
    ),
    "cancel": Operation(
        "cancel_job",
        "Jobs",
        "Cancel a job",
        jobs.Job,
        examples.CANCELLED,
        errors={400: "Only a job that waits or runs can be cancelled; this one is completed."},
    ),
    "summary": Operation(
        "get_ingestion_status",
        "Jobs",
        "How a collection's jobs stand",
        jobs.IngestionStatus,
        examples.STATUS,
    ),
    "events": Operation(
        "get_job_diary",
        "Jobs",
        "Read a job's diary",
        jobs.Diary,
        examples.DIARY,
        query=[ingestion.EventsWantedSerializer],
    ),
}

NO_FILTER = wrong("query", "colour", "value_error", "There is no such filter.", None)
ALL_JOBS = {
    "list": Operation(
        "list_jobs",
        "All jobs",
        "Find jobs of all collections",
        jobs.AllJobsPage,
        {"items": [examples.FAILED], "limit": 50, "total": None, "next_cursor": None, "next": None},
        query=[*filters(), ingestion.AllJobsWantedSerializer],
        invalid=NO_FILTER,
    ),
    "retrieve": Operation("get_job", "All jobs", "Read a job by its number", jobs.Job, examples.JOB),
    "failures": Operation(
        "list_failures",
        "All jobs",
        "Failures in groups, and what helps",
        jobs.Failures,
        examples.FAILURES,
        query=filters(),
        invalid=NO_FILTER,
    ),
    "retry": Operation(
        "retry_jobs",
        "All jobs",
        "Retry many jobs",
        jobs.Outcomes,
        examples.OUTCOMES,
        takes=ingestion.RetryManySerializer,
        sent={"filter": {"code": "vendor_timeout"}, "dry_run": True},
        invalid=wrong("body", "filter", "value_error", "Send either ids or filter.", None),
    ),
    "cancel": Operation(
        "cancel_jobs",
        "All jobs",
        "Cancel many jobs",
        jobs.Outcomes,
        examples.OUTCOMES,
        takes=ingestion.ManyJobsSerializer,
        sent={"ids": [8, 9]},
        invalid=wrong("body", "filter", "value_error", "Send either ids or filter.", None),
    ),
}

FILES = {
    "list": Operation(
        "list_files",
        "Files",
        "List the files of a collection",
        jobs.StoredFile(many=True),
        examples.FILE,  # one of the list, as spectacular wants it
        query=[ONE_STATUS, ingestion.FilesWantedSerializer],
        errors={400: f"There is no status 'lost'. Choose one of: {', '.join(FileStatus.values)}."},
    ),
    "destroy": Operation(
        "delete_file",
        "Files",
        "Delete a file",
        jobs.FileDeleted,
        examples.FILE_DELETED,
        query=[ingestion.DeletionSerializer],
    ),
    "set_status": Operation(
        "set_file_status",
        "Files",
        "Cancel, retry or delete by status",
        jobs.StoredFile,
        {**examples.FILE, "status": "cancelled"},
        query=[parameter("status", "What the file is to become", enum=FileStatus.values, required=True)],
        errors={400: "A file cannot be made completed: only its job can do that."},
        invalid=wrong("query", "status", "missing", "status is required.", None),
    ),
    "content": Operation(
        "get_file_content",
        "Files",
        "Read the text of a file",
        jobs.FileContent,
        examples.FILE_CONTENT,
        errors={404: "Nothing of file 8 is stored: it is failed."},
    ),
}

EMBEDDINGS = {
    "retrieve": Operation(
        "get_embeddings_config",
        "Server",
        "Embeddings of new collections",
        schemas.EmbeddingsSettings,
        examples.EMBEDDINGS_CONFIG,
        errors={500: SETTINGS_LOST},
    ),
    "update": Operation(
        "change_embeddings_config",
        "Server",
        "Change the embeddings of new collections",
        schemas.Message,
        {"message": "New collections get text-embedding-3-small of openai."},
        takes=serializers.EmbeddingsConfigSerializer,
        sent={"vendor": "openai", "model": "text-embedding-3-small", "apikey": "sk-abcdef123456"},
        errors={400: "There is no vendor 'clouds'. Choose local, openai or ollama.", 500: SETTINGS_LOST},
        invalid=wrong("body", "vendor", "string_type", "Must be text.", 7),
    ),
    "destroy": Operation(
        "reset_embeddings_config",
        "Server",
        "Forget the stored embeddings settings",
        schemas.Message,
        {"message": "The settings were reset."},
        errors={500: "The settings could not be stored."},
    ),
}
OWNER_KEYS = {
    "update": Operation(
        "change_owner_key",
        "Collections",
        "Change the embedding key of all collections of an owner",
        schemas.OwnerKeyChanged,
        examples.OWNER_KEY_CHANGED,
        takes=serializers.OwnerKeySerializer,
        sent={"embeddings_model": {"apikey": "sk-abcdef123456"}},
        errors={400: "Send the new key as embeddings_model.apikey; it must not be empty."},
        invalid=wrong("body", "embeddings_model", "missing", "This field is required.", None),
    ),
}

PUBLIC = {
    "health": Operation(
        "get_health", "Server", "Whether the server lives", jobs.Health, {"status": "ok", "version": "0.1.0"}
    ),
    "ready": Operation(
        "get_readiness",
        "Server",
        "Whether the server can do its work",
        jobs.Readiness,
        examples.READY,
        instead={503: examples.NOT_READY},
    ),
    "config": Operation(
        "get_ingestion_config", "Server", "How often to poll", jobs.IngestionConfig, {"refresh_rate": 3}
    ),
}
METRICS = {
    "read": Operation(
        "get_metrics", "Server", "Figures for Prometheus", OpenApiTypes.STR, examples.METRICS, kind="text/plain"
    ),
}
SYSTEM = {
    "database": Operation(
        "get_database_status", "Server", "State of the database", jobs.DatabaseStatus, examples.DATABASE
    ),
    "plugins": Operation(
        "list_plugins", "Server", "Ingest plugins and their parameters", jobs.Plugin(many=True), examples.PLUGIN
    ),
}
START = {
    "root": Operation("get_root", "Server", "Greeting", schemas.Message, {"message": "KB Server 0.1.0"}),
}

_BY_VIEW: Mapping[type, Mapping[str, Operation]] = {
    CollectionViewSet: COLLECTIONS,
    UploadViewSet: UPLOADS,
    PreviewViewSet: PREVIEWS,
    SourceViewSet: SOURCES,
    JobViewSet: JOBS,
    AllJobsViewSet: ALL_JOBS,
    FileViewSet: FILES,
    api.EmbeddingsConfigView: EMBEDDINGS,
    api.OwnerKeysView: OWNER_KEYS,
    PublicView: PUBLIC,
    SystemView: SYSTEM,
    StartView: START,
    MetricsView: METRICS,
}
OPERATIONS: Mapping[tuple[type, str], Operation] = {
    (view, action): said for view, actions in _BY_VIEW.items() for action, said in actions.items()
}

# -- Stored files -----------------------------------------------------------------------------------

_BYTES = {"content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}}
_NAMES = {
    "owner": "Owner of the collection",
    "collection": "Name of the collection",
    "name": "Name of the stored file; it alone decides",
}
STORED_FILE = {
    "/static/{owner}/{collection}/{name}": {
        "get": {
            "operationId": "get_stored_file",
            "summary": "Download an upload, or what was made of it",
            "description": "Opened by the signature in the links that the server answers, by the token, or by a "
            "session. The media type is that of the file.",
            "tags": ["Files"],
            "security": [{}, {"bearer": []}, {"session": []}],
            "parameters": [
                {"in": "path", "name": name, "required": True, "schema": {"type": "string"}, "description": words}
                for name, words in _NAMES.items()
            ]
            + [
                {
                    "in": "query",
                    "name": "s",
                    "schema": {"type": "string"},
                    "description": "Signature of a link that the server answered",
                },
                {
                    "in": "query",
                    "name": "e",
                    "schema": {"type": "string"},
                    "description": "Last day of such a link, where links expire",
                },
                {
                    "in": "header",
                    "name": "Range",
                    "schema": {"type": "string"},
                    "description": "One range of bytes, such as `bytes=0-1023`",
                },
            ],
            "responses": {
                "200": {"description": "The file", **_BYTES},
                "206": {"description": "The range that was asked for", **_BYTES},
                "404": {
                    "description": "No such file, or not for this client",
                    "content": {
                        "application/json": {
                            "schema": {"$ref": "#/components/schemas/Error"},
                            "examples": {"Error404": {"value": {"detail": "Not Found"}, "summary": "Error 404"}},
                        }
                    },
                },
                "416": {"description": "The file does not have this range"},
            },
        }
    }
}
