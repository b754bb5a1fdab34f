"""Every address of the server."""

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.urls import Resolver404, include, path, re_path, resolve
from django.views.decorators.csrf import csrf_exempt
from django.views.generic import RedirectView

from collections_app.api import EmbeddingsConfigView, OwnerKeysView
from collections_app.http_errors import not_found
from ingestion.api.collections import CollectionViewSet
from ingestion.api.files import FileViewSet, stored_file
from ingestion.api.intake import SourceViewSet, UploadViewSet
from ingestion.api.jobs import JobViewSet
from ingestion.api.many import AllJobsViewSet
from ingestion.api.preview import PreviewViewSet
from ingestion.api.system import MetricsView, PublicView, StartView, SystemView
from ingestion.ui.pages import bad_request, server_error
from kbproject.openapi.pages import ReDoc, Swagger, kept_schema

handler400 = bad_request
handler404 = not_found
handler500 = server_error


@csrf_exempt
def without_slash(request: HttpRequest, address: str) -> HttpResponse:
    """307 to the address without its trailing slash, where that one is served; 404 otherwise."""
    target = f"/{address}"
    try:
        match = resolve(target)
    except Resolver404:
        return not_found(request)
    if match.func in (without_slash, unknown):
        return not_found(request)
    query = request.META.get("QUERY_STRING", "")
    return HttpResponse(status=307, headers={"Location": request.path[:-1] + (f"?{query}" if query else "")})


@csrf_exempt
def unknown(request: HttpRequest) -> HttpResponse:
    """404 as JSON, also while debugging."""
    return not_found(request)


collections = CollectionViewSet.as_view({"get": "list", "post": "create"}, name="Collections")
jobs = "ingestion-jobs/<job_id>"

# The most polled addresses come first: they are tried one after the other.
collection_addresses = [
    path("", collections),
    path(f"<collection_id>/{jobs}", JobViewSet.as_view({"get": "retrieve"}, name="Job"), name="job"),
    path("<collection_id>/ingestion-jobs", JobViewSet.as_view({"get": "list"}, name="Jobs"), name="jobs"),
    path(
        "<collection_id>",
        CollectionViewSet.as_view(
            {"get": "retrieve", "patch": "update", "put": "update", "delete": "destroy"}, name="Collection"
        ),
        name="collection",
    ),
    path(
        "<collection_id>/ingestion-status",
        JobViewSet.as_view({"get": "summary"}, name="Ingestion status"),
        name="ingestion-status",
    ),
    path(f"<collection_id>/{jobs}/retry", JobViewSet.as_view({"post": "retry"}, name="Retry"), name="job-retry"),
    path(f"<collection_id>/{jobs}/cancel", JobViewSet.as_view({"post": "cancel"}, name="Cancel"), name="job-cancel"),
    path(f"<collection_id>/{jobs}/events", JobViewSet.as_view({"get": "events"}, name="Diary"), name="job-events"),
    path("<collection_id>/query", CollectionViewSet.as_view({"post": "query"}, name="Query"), name="query"),
    path("<collection_id>/ingest-file", UploadViewSet.as_view({"post": "upload"}, name="Upload"), name="upload"),
    path("<collection_id>/preview", PreviewViewSet.as_view({"post": "preview"}, name="Preview"), name="preview"),
    path("<collection_id>/ingest-url", SourceViewSet.as_view({"post": "addresses"}, name="Ingest web addresses")),
    path("<collection_id>/ingest-base", SourceViewSet.as_view({"post": "source"}, name="Ingest a source")),
    path(
        "<collection_id>/documents",
        CollectionViewSet.as_view({"post": "add_documents"}, name="Add documents"),
        name="documents",
    ),
    path("<collection_id>/files", FileViewSet.as_view({"get": "list"}, name="Files"), name="files"),
    path("<collection_id>/files/<file_id>", FileViewSet.as_view({"delete": "destroy"}, name="File")),
    path("owner/<owner>/embeddings", OwnerKeysView.as_view({"put": "update"}, name="Embedding key of an owner")),
    path("files/<file_id>/status", FileViewSet.as_view({"put": "set_status"}, name="Status of a file")),
]

urlpatterns = [
    path("health", PublicView.as_view({"get": "health"}, name="Health")),
    path("health/ready", PublicView.as_view({"get": "ready"}, name="Readiness"), name="ready"),
    path("metrics", MetricsView.as_view({"get": "read"}, name="Metrics"), name="metrics"),
    path("collections/", include(collection_addresses)),
    path("collections", collections, name="collections"),
    path("ingestion-jobs", AllJobsViewSet.as_view({"get": "list"}, name="All jobs"), name="all-jobs"),
    path("ingestion-jobs/retry", AllJobsViewSet.as_view({"post": "retry"}, name="Retry many"), name="retry-many"),
    path("ingestion-jobs/cancel", AllJobsViewSet.as_view({"post": "cancel"}, name="Cancel many"), name="cancel-many"),
    path("ingestion-jobs/<job_id>", AllJobsViewSet.as_view({"get": "retrieve"}, name="Job by number")),
    path("ingestion/failures", AllJobsViewSet.as_view({"get": "failures"}, name="Failures"), name="failures"),
    path("", StartView.as_view({"get": "root"}, name="Start")),
    path("files/<file_id>/content", FileViewSet.as_view({"get": "content"}, name="Content of a file")),
    path("static/<owner>/<collection>/<name>", stored_file),
    path("ingestion/plugins", SystemView.as_view({"get": "plugins"}, name="Plugins")),
    path("config/ingestion", PublicView.as_view({"get": "config"}, name="Ingestion settings")),
    path(
        "config/embeddings",
        EmbeddingsConfigView.as_view(
            {"get": "retrieve", "put": "update", "delete": "destroy"}, name="Embedding settings"
        ),
    ),
    path("database/status", SystemView.as_view({"get": "database"}, name="Database status")),
    path("openapi.json", kept_schema, name="schema"),
    path("docs", Swagger.as_view(), name="docs"),
    path("redoc", ReDoc.as_view(), name="redoc"),
    path("ui/", include("ingestion.ui.urls")),
    path("ui", RedirectView.as_view(url="/ui/", query_string=True)),
    path("admin/", admin.site.urls),
    path("admin", RedirectView.as_view(url="/admin/", query_string=True)),
    re_path(r"^(?P<address>.+)/$", without_slash),
    re_path(r"", unknown),
]
