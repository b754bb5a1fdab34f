"""Every address of the server. Ids are taken as text, so that a wrong one is answered 422 and not 404."""

from django.contrib import admin
from django.urls import path
from django.views.generic import RedirectView

from collections_app.api import CollectionsViewSet, DocumentsViewSet, EmbeddingsConfigViewSet, QueryViewSet
from ingestion import views
from ingestion.api import (
    FilesViewSet,
    IngestBaseViewSet,
    IngestFileViewSet,
    IngestUrlViewSet,
    JobsViewSet,
    JobViewSet,
    StoppingCollectionViewSet,
    SummaryViewSet,
)

collections = CollectionsViewSet.as_view({"get": "list", "post": "create"})
collection = StoppingCollectionViewSet.as_view({"get": "retrieve", "patch": "partial_update", "delete": "destroy"})
COLLECTION = "collections/<str:collection_id>"
JOB = f"{COLLECTION}/ingestion-jobs/<str:job_id>"

urlpatterns = [
    path("", views.root),
    path("health", views.health),
    path("database/status", views.DatabaseStatusViewSet.as_view({"get": "retrieve"})),
    path("config/ingestion", views.ingestion_config),
    path("config/embeddings", EmbeddingsConfigViewSet.as_view({"get": "retrieve"})),
    path("ingestion/plugins", views.PluginsViewSet.as_view({"get": "list"})),
    path("collections", collections),
    path("collections/", collections),
    path("collections/files/<str:file_id>/status", FilesViewSet.as_view({"put": "set_status"})),
    path(COLLECTION, collection),
    path(f"{COLLECTION}/documents", DocumentsViewSet.as_view({"post": "create"})),
    path(f"{COLLECTION}/query", QueryViewSet.as_view({"post": "create"})),
    path(f"{COLLECTION}/ingest-file", IngestFileViewSet.as_view({"post": "create"})),
    path(f"{COLLECTION}/ingest-url", IngestUrlViewSet.as_view({"post": "create"})),
    path(f"{COLLECTION}/ingest-base", IngestBaseViewSet.as_view({"post": "create"})),
    path(f"{COLLECTION}/files", FilesViewSet.as_view({"get": "list"})),
    path(f"{COLLECTION}/files/<str:file_id>", FilesViewSet.as_view({"delete": "destroy"})),
    path(f"{COLLECTION}/ingestion-status", SummaryViewSet.as_view({"get": "retrieve"})),
    path(f"{COLLECTION}/ingestion-jobs", JobsViewSet.as_view({"get": "list"})),
    path(JOB, JobViewSet.as_view({"get": "retrieve"})),
    path(f"{JOB}/retry", JobViewSet.as_view({"post": "retry"})),
    path(f"{JOB}/cancel", JobViewSet.as_view({"post": "cancel"})),
    path(f"{JOB}/events", JobViewSet.as_view({"get": "events"})),
    path("files/<str:file_id>/content", FilesViewSet.as_view({"get": "content"})),
    path("static/<str:owner>/<str:collection>/<str:name>", views.stored_file),
    path("admin", RedirectView.as_view(url="/admin/")),
    path("admin/", admin.site.urls),
]

handler400 = "collections_app.http.bad_request"
handler404 = "collections_app.http.not_found"
handler500 = "collections_app.http.server_error"
