"""Collections over HTTP: create, list, read, change; add documents; ask. And the embedding settings."""

import time
from collections.abc import Mapping
from functools import lru_cache, partial
from typing import Any, ClassVar

from django.conf import settings
from rest_framework import status
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import Serializer

from collections_app import links, services
from collections_app.embeddings import VendorError, embeddings_config
from collections_app.errors import (
    CollectionError,
    InvalidDocument,
    InvalidVisibility,
    NameTaken,
    SecretUnreadable,
)
from collections_app.http import Endpoint, checked
from collections_app.http_errors import invalid
from collections_app.models import Collection, Visibility
from collections_app.serializers import (
    CollectionChangesSerializer,
    CollectionsWantedSerializer,
    DocumentsSerializer,
    NewCollectionSerializer,
    QuestionSerializer,
    collection_object,
)
from plugins import parameters, registry
from plugins.base import PluginError
from plugins.catalogue import is_enabled, mode_of
from plugins.registry import QueryPluginInfo

DOMAIN_ERRORS: dict[type[Exception], int] = {
    NameTaken: status.HTTP_409_CONFLICT,
    SecretUnreadable: status.HTTP_500_INTERNAL_SERVER_ERROR,
    CollectionError: status.HTTP_400_BAD_REQUEST,
    VendorError: status.HTTP_400_BAD_REQUEST,
}


def live_collection(collection_id: int) -> Collection:
    """:raises NotFound: never existed, or deleted"""
    collection = Collection.objects.live().filter(pk=collection_id).first()
    if collection is None:
        raise no_collection(collection_id)
    return collection


def no_collection(collection_id: int) -> NotFound:
    return NotFound(f"There is no collection {collection_id}." if collection_id >= 0 else "There is no such collection.")


class CollectionViewSet(Endpoint):
    """Sets of documents that share an embedding model. Deleting one is left to who knows its jobs."""

    domain_errors = DOMAIN_ERRORS
    forms: ClassVar[Mapping[str, type[Serializer[Any]]]] = {
        "list": NewCollectionSerializer,
        "create": NewCollectionSerializer,
        "retrieve": CollectionChangesSerializer,
        "update": CollectionChangesSerializer,
        "add_documents": DocumentsSerializer,
        "query": QuestionSerializer,
    }

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

    def add_documents(self, request: Request, collection_id: int) -> Response:
        documents = checked(DocumentsSerializer, request.data)["documents"]
        collection = live_collection(collection_id)
        try:
            added = services.add_documents(collection, documents)
        except InvalidDocument as error:
            raise invalid("body", "documents", error.code, f"{error.message} {error.hint}") from error
        nothing = dict.fromkeys(
            ("status", "file_path", "file_url", "original_filename", "plugin_name", "file_registry_id")
        )
        return Response(
            {
                "collection_id": collection.pk,
                "collection_name": collection.name,
                "documents_added": added,
                "success": True,
                **nothing,
            }
        )

    # -- Questions ----------------------------------------------------------------------------------

    def query_plugins(self) -> Mapping[str, QueryPluginInfo]:
        """The query plugins that there are, by name."""
        return built_in_query_plugins()

    def query(self, request: Request, collection_id: int) -> Response:
        began = time.perf_counter()
        question = checked(QuestionSerializer, request.data)
        collection = live_collection(collection_id)
        info = self.query_plugin(request.query_params.get("plugin_name", "simple_query"))
        text = question["query_text"]
        if not text.strip():
            raise EmptyQuestion
        rows = ask(collection, info, text, query_parameters(info, question))
        results = [{**row, "metadata": links.sign_metadata(row["metadata"])} for row in rows]
        seconds = time.perf_counter() - began
        return Response(
            {
                "results": results,
                "count": len(results),
                "timing": {"total_seconds": round(seconds, 6), "total_ms": round(seconds * 1000, 3)},
                "query": text,
            }
        )

    def query_plugin(self, name: str) -> QueryPluginInfo:
        info = self.query_plugins().get(name)
        if info is None or not is_enabled(name, settings.KB_PLUGIN_MODES):
            raise NotFound(f"There is no query plugin named {name!r}.")
        return info


class EmptyQuestion(CollectionError):
    def __init__(self) -> None:
        super().__init__("empty_question", "The question is empty.", hint="Send some text as query_text.")


class InvalidQuestion(CollectionError):
    """Parameters that the query plugin does not accept."""


def query_parameters(info: QueryPluginInfo, question: Mapping[str, Any]) -> dict[str, Any]:
    """What the plugin is called with: ``plugin_params`` win over the top-level values. Unknown ones are ignored.

    :raises InvalidQuestion: wrong type or out of range
    """
    sent = {"top_k": question["top_k"], "threshold": question["threshold"], **question["plugin_params"]}
    known = {name: value for name, value in sent.items() if name in info.parameters}
    clean, errors = parameters.validate(info.parameters, known, mode_of(info.name, settings.KB_PLUGIN_MODES))
    if errors:
        raise InvalidQuestion("invalid_parameter", " ".join(error.message for error in errors))
    return clean


def ask(collection: Collection, info: QueryPluginInfo, text: str, params: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The plugin's rows, nearest first.

    :raises CollectionError: ``query_failed`` when the plugin breaks
    """
    loaded_query_module(info.module)
    plugin = registry.query_plugin(info.name)
    if plugin is None:
        raise NotFound(f"There is no query plugin named {info.name!r}.")
    try:
        return plugin.query(collection.pk, text, search=partial(services.search, collection), **params)
    except PluginError as error:
        if isinstance(error, VendorError | CollectionError):
            raise
        raise CollectionError("query_failed", error.message, hint=error.hint) from error


@lru_cache(maxsize=64)
def loaded_query_module(module: str) -> tuple[QueryPluginInfo, ...]:
    """Load *module* into this process, once; query plugins run here. The query plugins in it."""
    return tuple(registry.load(module)[1])


@lru_cache(maxsize=1)
def built_in_query_plugins() -> Mapping[str, QueryPluginInfo]:
    modules = [module for module in registry.plugin_modules() if module.endswith("_query")]
    return {info.name: info for module in modules for info in loaded_query_module(module)}


class EmbeddingsConfigView(Endpoint):
    """The embeddings that new collections get when they ask for ``default``."""

    domain_errors = {CollectionError: status.HTTP_500_INTERNAL_SERVER_ERROR}  # noqa: RUF012

    def retrieve(self, request: Request) -> Response:
        return Response(dict(embeddings_config()))
