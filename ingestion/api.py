"""Endpoints of ingestion: feed a collection, watch, retry and cancel its jobs, list and delete its files."""

import json
from typing import Any

import django_filters
from django.conf import settings
from rest_framework.parsers import FormParser, MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response

from collections_app import services as collections
from collections_app.api import ApiViewSet, CollectionViewSet, find_collection
from collections_app.http import (
    Invalid,
    Missing,
    Refused,
    TooLarge,
    answer_with,
    issue,
    path_id,
    refuse_large,
    validated,
)
from collections_app.serializers import HardSerializer, stamp
from ingestion import services, storage
from ingestion.models import FileRegistry, FileStatus, JobCount, JobEvent, JobQuerySet
from ingestion.serializers import (
    EventListQuerySerializer,
    FileStatusQuerySerializer,
    IngestBaseSerializer,
    IngestFileSerializer,
    IngestUrlSerializer,
    JobListQuerySerializer,
    RetrySerializer,
    event_objects,
    file_object,
    job_objects,
    link,
)

answer_with(404, services.UnknownPlugin)
answer_with(400, services.WrongState, services.WrongPluginKind)
answer_with(507, services.NoSpace)

REMOTE = "remote-ingest"


def invalid_parameters(error: services.InvalidParameters) -> Invalid:
    return Invalid([issue(e.type, ("body", "plugin_params", e.name), e.message, e.input) for e in error.errors])


def actor(request: Request) -> str:
    """Who asks, for the diary."""
    return str(request.user.get_username())


# -- Feeding ----------------------------------------------------------------------------------------


class IngestFileViewSet(ApiViewSet):
    """Upload a file; the answer comes at once, with the number of the job that ingests it."""

    serializer_class = IngestFileSerializer
    parser_classes = (MultiPartParser, FormParser)

    def create(self, request: Request, collection_id: str) -> Response:
        refuse_large(request._request, settings.KB_MAX_UPLOAD_MB)
        wanted, upload = self.form(request)
        collection = find_collection(collection_id)
        info = services.plugin(wanted["plugin_name"])
        params = parsed_params(wanted["plugin_params"])
        refuse_type(info.kind, info.supported_file_types, upload.name)
        try:
            job = services.submit(collection, info.name, params, upload=upload)
        except services.InvalidParameters as error:
            raise invalid_parameters(error) from error
        return Response(accepted(job))

    def form(self, request: Request) -> tuple[dict[str, Any], storage.Upload]:
        """The parts of the form. The file has already been streamed to the storage; it goes when nobody keeps it."""
        data, raw = request.data, request._request
        if getattr(raw, "upload_too_large", False):
            raise TooLarge(f"The upload is larger than {settings.KB_MAX_UPLOAD_MB} MB.")
        upload = request.FILES.get("file")
        issues = [
            issue("missing", ("body", name), "This field is required.", None)
            for name, there in (("file", isinstance(upload, storage.Upload)), ("plugin_name", "plugin_name" in data))
            if not there
        ]
        if issues:
            raise Invalid(issues)
        return {"plugin_name": data["plugin_name"], "plugin_params": data.get("plugin_params") or "{}"}, upload


def parsed_params(text: str) -> dict[str, Any]:
    """:raises Refused: unless it is a JSON object"""
    try:
        params = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise Refused(f"plugin_params is not valid JSON: {error}.") from error
    if not isinstance(params, dict):
        raise Refused('plugin_params must be a JSON object, such as {"chunk_size": 1000}.')
    return params


def refuse_type(kind: str, types: tuple[str, ...], name: str) -> None:
    """A file that the plugin cannot read. Plugins that fetch get a placeholder, whatever its type.

    :raises Refused:
    """
    extension = storage.extension_of(name).lstrip(".")
    if kind != REMOTE and types and extension not in types:
        shown = f".{extension}" if extension else "without an extension"
        raise Refused(f"This plugin does not read files {shown}. It reads: {', '.join(sorted(types))}.")


class IngestUrlViewSet(ApiViewSet):
    """Ingest web addresses."""

    serializer_class = IngestUrlSerializer

    def create(self, request: Request, collection_id: str) -> Response:
        wanted = validated(IngestUrlSerializer, request.data)
        collection = find_collection(collection_id)
        info = services.plugin(wanted["plugin_name"])
        if info.kind != REMOTE:
            raise services.WrongPluginKind(f"{info.name} reads files; upload one to /ingest-file.")
        first = wanted["urls"][0] if wanted["urls"] else "unknown_url"
        params = {**({"urls": wanted["urls"]} if wanted["urls"] else {}), **wanted["plugin_params"]}
        try:
            job = services.submit(collection, info.name, params, name=first, url=first, content_type="text/markdown")
        except services.InvalidParameters as error:
            raise invalid_parameters(error) from error
        return Response(accepted(job))


class IngestBaseViewSet(ApiViewSet):
    """Ingest from a plugin that needs no file."""

    serializer_class = IngestBaseSerializer

    def create(self, request: Request, collection_id: str) -> Response:
        wanted = validated(IngestBaseSerializer, request.data)
        collection = find_collection(collection_id)
        info = services.plugin(wanted["plugin_name"])
        if info.kind not in {"base-ingest", REMOTE}:
            raise services.WrongPluginKind(f"{info.name} reads files; upload one to /ingest-file.")
        try:
            job = services.submit(collection, info.name, wanted["plugin_params"], name=f"{info.name}.md")
        except services.InvalidParameters as error:
            raise invalid_parameters(error) from error
        return Response(accepted(job))


def accepted(job: FileRegistry) -> dict[str, Any]:
    """The answer to a submission. ``processing`` is what clients wait for, though the job may still queue."""
    collection = job.collection
    return {
        "id": job.pk,
        "job_id": job.pk,
        "file_registry_id": job.pk,
        "collection_id": collection.pk,
        "collection_name": collection.name,
        "documents_added": 0,
        "success": True,
        "status": "processing",
        "file_path": job.file_path,
        "file_url": link(collection.owner, collection.name, job.file_path, job.file_url, job.storage_key)
        if job.file_path
        else "",
        "original_filename": job.original_filename,
        "plugin_name": job.plugin_name,
    }


# -- Jobs -------------------------------------------------------------------------------------------


class JobFilter(django_filters.FilterSet):
    """Filters of the job list."""

    status = django_filters.ChoiceFilter(choices=FileStatus.choices)

    class Meta:
        model = FileRegistry
        fields = ("status",)


def jobs_of(collection_id: int) -> JobQuerySet:
    return FileRegistry.objects.filter(collection_id=collection_id, collection__deleted_at__isnull=True)


def counts(collection_id: int) -> dict[str, int]:
    """Jobs by status, all six always. Read from the counters that the database keeps."""
    found = dict(JobCount.objects.filter(collection_id=collection_id).values_list("status", "jobs"))
    return {str(status): found.get(status, 0) for status in FileStatus}


class JobsViewSet(ApiViewSet):
    """The ingestion jobs of a collection, a page at a time."""

    def list(self, request: Request, collection_id: str) -> Response:
        wanted = validated(JobListQuerySerializer, request.query_params, "query")
        pk = find_collection(collection_id).pk
        filters = JobFilter(request.query_params, queryset=jobs_of(pk))
        if not filters.is_valid():
            choices = ", ".join(FileStatus.values)
            raise Refused(f"{request.query_params.get('status')!r} is not a status. Use one of: {choices}.")
        by_status = counts(pk)
        status = filters.form.cleaned_data["status"]
        total = by_status[status] if status else sum(by_status.values())
        sign = "-" if wanted["sort_order"] == "desc" else ""
        ordered = filters.qs.order_by(f"{sign}{wanted['sort_by']}", f"{sign}id")
        items = job_objects(ordered[wanted["offset"] : wanted["offset"] + wanted["limit"]])
        return Response(
            {
                "total": total,
                "items": items,
                "limit": wanted["limit"],
                "offset": wanted["offset"],
                "has_more": wanted["offset"] + len(items) < total,
            }
        )


class JobViewSet(ApiViewSet):
    """One ingestion job: its status, progress and error."""

    serializer_class = RetrySerializer

    def retrieve(self, request: Request, collection_id: str, job_id: str) -> Response:
        return Response(one_job(collection_id, job_id))

    def retry(self, request: Request, collection_id: str, job_id: str) -> Response:
        """Queue a failed job again, with its own parameters or some replaced."""
        wanted = validated(RetrySerializer, request.data)
        job = find_job(collection_id, job_id)
        try:
            services.retry(job, wanted.get("override_params") or wanted.get("new_params"), by=actor(request))
        except services.InvalidParameters as error:
            raise invalid_parameters(error) from error
        return Response(one_job(collection_id, job_id))

    def cancel(self, request: Request, collection_id: str, job_id: str) -> Response:
        """Stop a job that waits or runs."""
        services.cancel(find_job(collection_id, job_id), by=actor(request))
        return Response(one_job(collection_id, job_id))

    def events(self, request: Request, collection_id: str, job_id: str) -> Response:
        """The diary of a job, oldest first."""
        wanted = validated(EventListQuerySerializer, request.query_params, "query")
        diary = JobEvent.objects.filter(job_id=find_job(collection_id, job_id).pk).order_by("id")
        page = diary.filter(pk__gt=wanted["after"])[: wanted["limit"]]
        return Response({"total": diary.count(), "items": event_objects(page)})


def one_job(collection_id: str, job_id: str) -> dict[str, Any]:
    """:raises Invalid, Missing:"""
    wanted = jobs_of(path_id(collection_id, "collection_id")).filter(pk=path_id(job_id, "job_id"))
    found = job_objects(wanted)
    if not found:
        find_collection(collection_id)
        raise Missing("There is no such job in this collection.")
    return found[0]


def find_job(collection_id: str, job_id: str, what: str = "job") -> FileRegistry:
    """:raises Invalid, Missing:"""
    pk = path_id(job_id, f"{what}_id")
    job = jobs_of(path_id(collection_id, "collection_id")).select_related("collection").filter(pk=pk).first()
    if job is None:
        find_collection(collection_id)
        raise Missing(f"There is no such {what} in this collection.")
    return job


class SummaryViewSet(ApiViewSet):
    """How the ingestion of a collection stands."""

    def retrieve(self, request: Request, collection_id: str) -> Response:
        collection = find_collection(collection_id)
        by_status = counts(collection.pk)
        jobs = jobs_of(collection.pk)
        failures = job_objects(jobs.failed().order_by("-updated_at", "-id")[:5]) if by_status["failed"] else []
        oldest = job_objects(jobs.processing().order_by("processing_started_at")[:1]) if by_status["processing"] else []
        return Response(
            {
                "collection_id": collection.pk,
                "collection_name": collection.name,
                "total_jobs": sum(by_status.values()),
                "by_status": by_status,
                "currently_processing": by_status["processing"],
                "recent_failures": failures,
                "oldest_processing_job": oldest[0] if oldest else None,
            }
        )


# -- Files ------------------------------------------------------------------------------------------


class FilesViewSet(ApiViewSet):
    """The files of a collection."""

    def list(self, request: Request, collection_id: str) -> Response:
        collection = find_collection(collection_id)
        files = jobs_of(collection.pk).select_related("collection").order_by("id")
        if status := request.query_params.get("status"):
            files = files.filter(status=known_status(status))
        return Response([file_object(job) for job in files])

    def destroy(self, request: Request, collection_id: str, file_id: str) -> Response:
        """Delete a file with all that was made from it; ``hard=false`` keeps its row as a record."""
        hard = validated(HardSerializer, request.query_params, "query")["hard"]
        job = find_job(collection_id, file_id, "file")
        pk, collection = job.pk, job.collection_id
        deletion = services.delete(job, hard=hard, by=actor(request))
        return Response(
            {
                "file_id": pk,
                "collection_id": collection,
                "deleted_embeddings": deletion.chunks,
                "removed_files": deletion.files,
                "status": "deleted",
            }
        )

    def set_status(self, request: Request, file_id: str) -> Response:
        """Cancel, retry or softly delete, by the name of the status that results."""
        status = validated(FileStatusQuerySerializer, request.query_params, "query")["status"]
        job = any_file(file_id)
        return Response(file_object(services.set_status(job, known_status(status), by=actor(request))))

    def content(self, request: Request, file_id: str) -> Response:
        """What was ingested of a file, as Markdown."""
        job = any_file(file_id)
        found = collections.file_chunks(job.pk)
        if found is None:
            raise Missing("Nothing of this file has been ingested.")
        return Response(
            {
                "file_id": job.pk,
                "original_filename": job.original_filename,
                "content": "\n".join(found.texts),
                "content_type": "markdown",
                "chunk_count": len(found.texts),
                "timestamp": stamp(found.published_at),
            }
        )


def any_file(text: str) -> FileRegistry:
    """:raises Invalid, Missing:"""
    files = FileRegistry.objects.filter(collection__deleted_at__isnull=True).select_related("collection")
    job = files.filter(pk=path_id(text, "file_id")).first()
    if job is None:
        raise Missing("There is no such file.")
    return job


def known_status(text: str) -> str:
    """:raises Refused:"""
    if text not in FileStatus.values:
        raise Refused(f"{text!r} is not a status. Use one of: {', '.join(FileStatus.values)}.")
    return text


class StoppingCollectionViewSet(CollectionViewSet):
    """One collection, with its deletion, which stops its jobs first."""

    def destroy(self, request: Request, collection_id: str) -> Response:
        collection = find_collection(collection_id)
        deletion = services.delete_collection(collection, by=actor(request))
        return Response(
            {
                "id": collection.pk,
                "name": collection.name,
                "deleted_embeddings": deletion.chunks,
                "chroma_collection": None,
                "removed_files": deletion.files,
                "status": "deleted",
            }
        )
