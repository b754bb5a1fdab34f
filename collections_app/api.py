"""Collections over HTTP: create, list, read, change; add documents; ask. And the embedding settings."""

import time
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from rest_framework import status
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import Serializer

from collections_app import query, services
from collections_app.embeddings import embeddings_config, stored
from collections_app.embeddings.choice import change_config
from collections_app.embeddings.stored import ConfigNotSaved
from collections_app.endpoint import Endpoint, checked
from collections_app.errors import (
    CollectionError,
    CollectionGone,
    InvalidDocument,
    InvalidEmbeddings,
    InvalidVisibility,
    NameTaken,
    SecretUnreadable,
)
from collections_app.http_errors import BadRequest, invalid
from collections_app.models import Collection, Visibility
from collections_app.serializers import (
    CollectionChangesSerializer,
    CollectionsWantedSerializer,
    DocumentsSerializer,
    EmbeddingsConfigSerializer,
    NewCollectionSerializer,
    OwnerKeySerializer,
    QuestionSerializer,
    collection_object,
)
from plugins.base import PluginError

DOMAIN_ERRORS: dict[type[Exception], int] = {
    NameTaken: status.HTTP_409_CONFLICT,
    CollectionGone: status.HTTP_404_NOT_FOUND,
    SecretUnreadable: status.HTTP_500_INTERNAL_SERVER_ERROR,
    PluginError: status.HTTP_400_BAD_REQUEST,  # all other errors of collections and vendors, with their hints
    query.UnknownQueryPlugin: status.HTTP_404_NOT_FOUND,
    query.InvalidQuestion: status.HTTP_400_BAD_REQUEST,
    query.QueryFailed: status.HTTP_400_BAD_REQUEST,
}


def live_collection(collection_id: int) -> Collection:
    """:raises NotFound: never existed, or deleted"""
    collection = Collection.objects.live().filter(pk=collection_id).first()
    if collection is None:
        raise no_collection(collection_id)
    return collection


def no_collection(collection_id: int) -> NotFound:
    return NotFound(
        f"There is no collection {collection_id}." if collection_id >= 0 else "There is no such collection."
    )


def add_documents(
    collection: Collection, documents: list[Any], remember: Callable[[dict[str, Any]], None]
) -> dict[str, Any]:
    """Add *documents* and tell so.

    :param remember: called with the answer in the transaction that makes it true
    """
    nothing = dict.fromkeys(("status", "file_path", "file_url", "original_filename", "plugin_name", "file_registry_id"))
    answer = {
        "collection_id": collection.pk,
        "collection_name": collection.name,
        "documents_added": len(documents),
        "success": True,
        **nothing,
    }
    try:
        services.add_documents(collection, documents, lambda: remember(answer))
    except InvalidDocument as error:
        raise invalid("body", "documents", error.code, f"{error.message} {error.hint}") from error
    return answer


class CollectionViewSet(Endpoint):
    """Sets of documents that share an embedding model. What makes or ends jobs is left to who knows them."""

    domain_errors = DOMAIN_ERRORS
    forms: ClassVar[Mapping[str, type[Serializer[Any]]]] = {
        "list": NewCollectionSerializer,
        "create": NewCollectionSerializer,
        "retrieve": CollectionChangesSerializer,
        "update": CollectionChangesSerializer,
        "add_documents": DocumentsSerializer,
        "query": QuestionSerializer,
    }

    def get_serializer(self, *args: Any, **options: Any) -> Any:
        """The form of a collection's page shows what there is."""
        pk = self.kwargs.get("collection_id")
        if self.action in {"retrieve", "update"} and isinstance(pk, int):
            options["instance"] = Collection.objects.live().filter(pk=pk).first()
        return super().get_serializer(*args, **options)

    def list(self, request: Request) -> Response:
        wanted = checked(CollectionsWantedSerializer, request.query_params.dict(), "query")
        found = Collection.objects.live()
        if wanted["owner"]:
            found = found.filter(owner=wanted["owner"])
        if wanted["visibility"]:
            if wanted["visibility"] not in Visibility.values:
                raise InvalidVisibility(wanted["visibility"])
            found = found.filter(visibility=wanted["visibility"])
        page = found.order_by("pk")[wanted["skip"] : wanted["skip"] + wanted["limit"]]
        return Response({"total": found.count(), "items": [collection_object(one) for one in page]})

    def create(self, request: Request) -> Response:
        wanted = checked(NewCollectionSerializer, request.data)
        collection = services.create_collection(
            wanted["name"],
            wanted["owner"],
            wanted.get("description"),
            wanted.get("visibility", Visibility.PRIVATE),
            wanted.get("embeddings_model"),
        )
        return Response(collection_object(collection), status=status.HTTP_201_CREATED)

    def retrieve(self, request: Request, collection_id: int) -> Response:
        return Response(collection_object(live_collection(collection_id)))

    def update(self, request: Request, collection_id: int) -> Response:
        """Change name, description or visibility; what is not sent stays."""
        changes = checked(CollectionChangesSerializer, request.data)
        collection = services.update_collection(live_collection(collection_id), **changes)
        return Response(collection_object(collection))

    def query(self, request: Request, collection_id: int) -> Response:
        """Ask the collection; the query plugin is named in the address."""
        began = time.perf_counter()
        question = checked(QuestionSerializer, request.data)
        results = query.answer(
            live_collection(collection_id),
            question["query_text"],
            request.query_params.get("plugin_name", "simple_query"),
            {"top_k": question["top_k"], "threshold": question["threshold"]},
            question["plugin_params"],
        )
        seconds = time.perf_counter() - began
        return Response(
            {
                "results": results,
                "count": len(results),
                "timing": {"total_seconds": round(seconds, 6), "total_ms": round(seconds * 1000, 3)},
                "query": question["query_text"],
            }
        )


class EmbeddingsConfigView(Endpoint):
    """The embeddings that new collections get when they ask for ``default``."""

    domain_errors: ClassVar[Mapping[type[Exception], int]] = {
        ConfigNotSaved: status.HTTP_500_INTERNAL_SERVER_ERROR,
        CollectionError: status.HTTP_500_INTERNAL_SERVER_ERROR,
    }
    forms: ClassVar[Mapping[str, type[Serializer[Any]]]] = {
        "retrieve": EmbeddingsConfigSerializer,
        "update": EmbeddingsConfigSerializer,
    }

    def retrieve(self, request: Request) -> Response:
        return Response(dict(embeddings_config()))

    def update(self, request: Request) -> Response:
        """Change what new collections get; what is not sent, or null, stays. Existing collections keep theirs."""
        try:
            config = change_config(checked(EmbeddingsConfigSerializer, request.data))
        except InvalidEmbeddings as error:
            if error.code == "embeddings_config_unreadable":
                raise
            raise BadRequest(f"{error.message} {error.hint}".strip()) from error
        return Response({"message": f"New collections get {config['model']} of {config['vendor']}."})

    def destroy(self, request: Request) -> Response:
        """Forget the stored settings: new collections get what the server's environment says."""
        was_stored = stored.clear()
        return Response({"message": "The settings were reset." if was_stored else "No settings were stored."})


class OwnerKeysView(Endpoint):
    """The embedding API key of all collections of an owner."""

    domain_errors = DOMAIN_ERRORS
    forms: ClassVar[Mapping[str, type[Serializer[Any]]]] = {"update": OwnerKeySerializer}

    def update(self, request: Request, owner: str) -> Response:
        """Give all of the owner's collections this key. Their vendor, model and endpoint stay as they are."""
        key = checked(OwnerKeySerializer, request.data)["embeddings_model"].get("apikey")
        if not (key or "").strip():
            raise BadRequest("Send the new key as embeddings_model.apikey; it must not be empty.")
        changed = services.change_api_key(owner, key.strip())
        return Response(
            {
                "total": len(changed),
                "updated": len(changed),
                "failed": 0,
                "collections": [{"id": pk, "name": name} for pk, name in changed],
                "error": None,
            }
        )
