"""What is answered about collections, as serializers that only the OpenAPI description reads.

Views answer plain dicts, since serializers take longer than the work itself. Tests hold every answer against these.
"""

from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from collections_app.fields import AnyObjectField
from collections_app.models import Visibility


@extend_schema_field(OpenApiTypes.ANY)
class AnyField(serializers.JSONField):
    """Any JSON value."""


def free_object(help_text: str, **options: Any) -> AnyObjectField:
    """An object whose keys nobody here decides."""
    return AnyObjectField(help_text=help_text, **options)


# -- Errors -----------------------------------------------------------------------------------------


class Error(serializers.Serializer[Any]):
    detail = serializers.CharField(help_text="What went wrong and what to do, for people")


@extend_schema_field({"type": "array", "items": {"oneOf": [{"type": "string"}, {"type": "integer"}]}})
class PlaceField(serializers.ListField):
    pass


class InvalidValue(serializers.Serializer[Any]):
    type = serializers.CharField(help_text="A code for programs, such as `missing` or `int_parsing`")
    loc = PlaceField(help_text="Where: `body`, `query`, `path` or `header`, then names and positions")
    msg = serializers.CharField(help_text="A sentence for people")
    input = AnyField(help_text="What was sent there; may be null")


class Invalid(serializers.Serializer[Any]):
    detail = InvalidValue(many=True, help_text="Each wrong value")


# -- Collections ------------------------------------------------------------------------------------


class CollectionEmbeddings(serializers.Serializer[Any]):
    model = serializers.CharField()
    vendor = serializers.CharField(help_text="`local`, `openai` or `ollama`")
    api_endpoint = serializers.CharField(allow_null=True, help_text="null: the vendor's own")
    apikey_configured = serializers.BooleanField(help_text="The key itself is never answered")


class Collection(serializers.Serializer[Any]):
    id = serializers.IntegerField(help_text="Never used again, also after deletion")
    name = serializers.CharField()
    description = serializers.CharField(allow_null=True)
    visibility = serializers.ChoiceField(Visibility.choices)
    owner = serializers.CharField()
    creation_date = serializers.DateTimeField()
    embeddings_model = CollectionEmbeddings()


class CollectionPage(serializers.Serializer[Any]):
    total = serializers.IntegerField(help_text="Of all that meet the filters, on all pages")
    items = Collection(many=True)


class CollectionDeleted(serializers.Serializer[Any]):
    id = serializers.IntegerField()
    name = serializers.CharField()
    deleted_embeddings = serializers.IntegerField(help_text="Chunks that are found no more")
    chroma_collection = serializers.CharField(allow_null=True, help_text="Always null; kept for LAMB")
    removed_files = serializers.ListField(child=serializers.CharField())
    status = serializers.ChoiceField(["deleted"])


class DocumentsReceipt(serializers.Serializer[Any]):
    """Chunks that were added at once. The keys of an intake are there, and null."""

    collection_id = serializers.IntegerField()
    collection_name = serializers.CharField()
    documents_added = serializers.IntegerField()
    success = serializers.BooleanField()
    status = serializers.CharField(allow_null=True)
    file_path = serializers.CharField(allow_null=True)
    file_url = serializers.CharField(allow_null=True)
    original_filename = serializers.CharField(allow_null=True)
    plugin_name = serializers.CharField(allow_null=True)
    file_registry_id = serializers.IntegerField(allow_null=True)


# -- Questions --------------------------------------------------------------------------------------


class Passage(serializers.Serializer[Any]):
    """A passage that was found. Query plugins may add keys."""

    similarity = serializers.FloatField(help_text="1 − cosine distance: 1 is the same, negative is far")
    data = serializers.CharField(help_text="The text")  # type: ignore[assignment]
    metadata = free_object("Where it comes from: file, page, section, links")


class QueryTiming(serializers.Serializer[Any]):
    total_seconds = serializers.FloatField()
    total_ms = serializers.FloatField()


class QueryAnswer(serializers.Serializer[Any]):
    results = Passage(many=True, help_text="The best first")
    count = serializers.IntegerField()
    timing = QueryTiming()
    query = serializers.CharField(help_text="The question as it was sent")


# -- Embedding settings -----------------------------------------------------------------------------


class EmbeddingsSettings(serializers.Serializer[Any]):
    vendor = serializers.CharField()
    model = serializers.CharField()
    api_endpoint = serializers.CharField(allow_null=True)
    apikey_configured = serializers.BooleanField()
    apikey_masked = serializers.CharField(allow_null=True, help_text="The same mask for the same key, every time")
    config_source = serializers.ChoiceField(["file", "env"])


class Message(serializers.Serializer[Any]):
    message = serializers.CharField()


class CollectionName(serializers.Serializer[Any]):
    id = serializers.IntegerField()
    name = serializers.CharField()


class OwnerKeyChanged(serializers.Serializer[Any]):
    total = serializers.IntegerField(help_text="Collections of this owner; 0 for an unknown one")
    updated = serializers.IntegerField()
    failed = serializers.IntegerField()
    collections = CollectionName(many=True)
    error = serializers.CharField(allow_null=True)
