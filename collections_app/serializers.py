"""Shapes of collections, documents and questions on the wire."""

from datetime import UTC, datetime
from typing import Any

from rest_framework import serializers

from collections_app.http import FlagField, NumberField, ObjectField, TextField, WholeNumberField
from collections_app.models import Collection


def stamp(moment: datetime | None) -> str | None:
    """UTC, ISO 8601, with a Z."""
    return None if moment is None else moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def collection_object(collection: Collection) -> dict[str, Any]:
    """A collection as every endpoint answers it. Never with its key."""
    return {
        "id": collection.pk,
        "name": collection.name,
        "description": collection.description,
        "visibility": collection.visibility,
        "owner": collection.owner,
        "creation_date": stamp(collection.creation_date),
        "embeddings_model": {
            "model": collection.embedding_model or "unknown",
            "vendor": collection.embedding_vendor or "unknown",
            "api_endpoint": collection.embedding_endpoint or None,
            "apikey_configured": bool(collection.embedding_api_key),
        },
    }


class EmbeddingsModelSerializer(serializers.Serializer[Any]):
    model = TextField()
    vendor = TextField()
    api_endpoint = TextField(required=False, allow_null=True)
    apikey = TextField(required=False, allow_null=True, style={"input_type": "password"})


class CreateCollectionSerializer(serializers.Serializer[Any]):
    name = TextField(min_length=1, max_length=255)
    owner = TextField(max_length=255)
    description = TextField(required=False, allow_null=True)
    visibility = TextField(default="private", help_text="private or public")
    embeddings_model = EmbeddingsModelSerializer(required=False, allow_null=True)


class UpdateCollectionSerializer(serializers.Serializer[Any]):
    name = TextField(required=False, min_length=1, max_length=255)
    description = TextField(required=False, allow_null=True)
    visibility = TextField(required=False, help_text="private or public")


class CollectionListQuerySerializer(serializers.Serializer[Any]):
    skip = WholeNumberField(default=0, min_value=0, max_value=2**31)
    limit = WholeNumberField(default=100, min_value=1, max_value=1000)
    owner = TextField(default="")
    visibility = TextField(default="")


class DocumentsSerializer(serializers.Serializer[Any]):
    documents = serializers.ListField(child=ObjectField(), help_text='[{"text": "…", "metadata": {…}}]')


class QuestionSerializer(serializers.Serializer[Any]):
    query_text = TextField()
    top_k = WholeNumberField(required=False, max_value=100_000)
    threshold = NumberField(required=False)
    plugin_params = ObjectField(default=dict)


class HardSerializer(serializers.Serializer[Any]):
    hard = FlagField(default=True)
