"""Endpoints of collections: create, read, change, fill, ask. Their deletion stops jobs, so it is ingestion's."""

import time
from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import GenericViewSet

from collections_app import errors, query, services
from collections_app.embeddings import embeddings_config
from collections_app.http import Invalid, Missing, Refused, answer_with, issue, path_id, validated
from collections_app.models import Collection, Visibility
from collections_app.serializers import (
    CollectionListQuerySerializer,
    CreateCollectionSerializer,
    DocumentsSerializer,
    QuestionSerializer,
    UpdateCollectionSerializer,
    collection_object,
)

answer_with(404, query.UnknownQueryPlugin)
answer_with(400, query.InvalidQuestion)

METHODS = ["get", "post", "put", "patch", "delete", "options"]  # HEAD is 405, as in the contract


class ApiViewSet(GenericViewSet[Any]):
    """What all endpoints share."""

    http_method_names = METHODS
    queryset = Collection.objects.none()
    filter_backends = ()
    pagination_class = None

    def get_serializer(self, *args: Any, **kwargs: Any) -> Any:
        """Only for the forms of the browsable API: endpoints check their own input."""
        return self.get_serializer_class()(*args, **{key: value for key, value in kwargs.items() if key != "instance"})


def find_collection(text: str) -> Collection:
    """:raises Invalid, Missing:"""
    collection = Collection.objects.filter(pk=path_id(text, "collection_id"), deleted_at__isnull=True).first()
    if collection is None:
        raise Missing("There is no such collection.")
    return collection


class CollectionsViewSet(ApiViewSet):
    """All collections, and new ones."""

    serializer_class = CreateCollectionSerializer

    def list(self, request: Request) -> Response:
        wanted = validated(CollectionListQuerySerializer, request.query_params, "query")
        collections = Collection.objects.filter(deleted_at__isnull=True).order_by("id")
        if wanted["visibility"]:
            if wanted["visibility"] not in Visibility.values:
                raise errors.InvalidVisibility(wanted["visibility"])
            collections = collections.filter(visibility=wanted["visibility"])
        if wanted["owner"]:
            collections = collections.filter(owner=wanted["owner"])
        page = collections[wanted["skip"] : wanted["skip"] + wanted["limit"]]
        return Response({"total": collections.count(), "items": [collection_object(item) for item in page]})

    def create(self, request: Request) -> Response:
        wanted = validated(CreateCollectionSerializer, request.data)
        collection = services.create_collection(
            wanted["name"],
            wanted["owner"],
            wanted.get("description"),
            wanted["visibility"],
            wanted.get("embeddings_model"),
        )
        return Response(collection_object(collection), status=201)


class CollectionViewSet(ApiViewSet):
    """One collection."""

    serializer_class = UpdateCollectionSerializer

    def retrieve(self, request: Request, collection_id: str) -> Response:
        return Response(collection_object(find_collection(collection_id)))

    def partial_update(self, request: Request, collection_id: str) -> Response:
        wanted = validated(UpdateCollectionSerializer, request.data)
        return Response(collection_object(services.update_collection(find_collection(collection_id), **wanted)))


class DocumentsViewSet(ApiViewSet):
    """Ready-made chunks, added at once."""

    serializer_class = DocumentsSerializer

    def create(self, request: Request, collection_id: str) -> Response:
        wanted = validated(DocumentsSerializer, request.data)
        collection = find_collection(collection_id)
        try:
            added = services.add_documents(collection, wanted["documents"])
        except errors.InvalidDocument as error:
            place = ("body", "documents", error.context["index"])
            raise Invalid([issue("value_error", place, str(error), None)]) from error
        return Response(added_answer(collection, added))


def added_answer(collection: Collection, added: int) -> dict[str, Any]:
    """The common answer of the ingest endpoints, for documents that need no job."""
    absent = dict.fromkeys(("status", "file_path", "file_url", "original_filename", "plugin_name", "file_registry_id"))
    return {
        "collection_id": collection.pk,
        "collection_name": collection.name,
        "documents_added": added,
        "success": True,
        **absent,
    }


class QueryViewSet(ApiViewSet):
    """Ask a collection."""

    serializer_class = QuestionSerializer

    def create(self, request: Request, collection_id: str) -> Response:
        wanted = validated(QuestionSerializer, request.data)
        collection = find_collection(collection_id)
        began = time.perf_counter()
        results = query.answer(
            collection,
            wanted["query_text"],
            request.query_params.get("plugin_name", "simple_query"),
            {name: wanted[name] for name in ("top_k", "threshold") if name in wanted},
            wanted["plugin_params"],
        )
        seconds = time.perf_counter() - began
        return Response(
            {
                "results": results,
                "count": len(results),
                "timing": {"total_seconds": seconds, "total_ms": seconds * 1000},
                "query": wanted["query_text"],
            }
        )


class EmbeddingsConfigViewSet(ApiViewSet):
    """What "default" means for new collections."""

    def retrieve(self, request: Request) -> Response:
        try:
            return Response(embeddings_config())
        except errors.InvalidEmbeddings as error:
            raise Refused(str(error)) from error
