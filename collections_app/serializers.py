"""What requests about collections may say, and how a collection is answered."""

from datetime import UTC, datetime
from typing import Any

from rest_framework import serializers

from collections_app.embeddings.endpoints import shown
from collections_app.fields import AnyObjectField, IntegerField, NumberField, ObjectField, TextField
from collections_app.models import Collection
from collections_app.services import NAME_LENGTH

# -- In ---------------------------------------------------------------------------------------------


class EmbeddingsModelSerializer(serializers.Serializer[Any]):
    """The literal ``default`` means the server's own setting."""

    model = TextField(initial="default")
    vendor = TextField(initial="default")
    api_endpoint = TextField(required=False, allow_null=True, initial="default")
    apikey = TextField(required=False, allow_null=True, initial="default")


class NewCollectionSerializer(serializers.Serializer[Any]):
    name = TextField(allow_blank=False, max_length=NAME_LENGTH)
    owner = TextField(allow_blank=False, max_length=255)
    description = TextField(required=False, allow_null=True)
    visibility = TextField(required=False, initial="private")
    embeddings_model = EmbeddingsModelSerializer(required=False, allow_null=True)


class EmbeddingsConfigSerializer(serializers.Serializer[Any]):
    """What is null or absent stays as it is. LAMB also sends ``apply_to_all_kb``, which means nothing here."""

    vendor = TextField(required=False, allow_null=True, help_text="local, openai or ollama")
    model = TextField(required=False, allow_null=True)
    api_endpoint = TextField(required=False, allow_null=True)
    apikey = TextField(required=False, allow_null=True)


class KeyOnlySerializer(serializers.Serializer[Any]):
    """Other fields of an ``embeddings_model`` are accepted and not used."""

    apikey = TextField(required=False, allow_null=True)


class OwnerKeySerializer(serializers.Serializer[Any]):
    embeddings_model = KeyOnlySerializer()


class CollectionChangesSerializer(serializers.Serializer[Any]):
    name = TextField(required=False, allow_blank=False, max_length=NAME_LENGTH)
    description = TextField(required=False, allow_null=True)
    visibility = TextField(required=False)


class CollectionsWantedSerializer(serializers.Serializer[Any]):
    """The query of the list."""

    skip = IntegerField(min_value=0, max_value=2**62, default=0)
    limit = IntegerField(min_value=1, max_value=1000, default=100)
    owner = TextField(default="")
    visibility = TextField(default="")


class DocumentsSerializer(serializers.Serializer[Any]):
    documents = serializers.ListField(child=AnyObjectField(), initial=[{"text": "", "metadata": {}}])


class QuestionSerializer(serializers.Serializer[Any]):
    query_text = TextField()
    top_k = IntegerField(default=5)
    threshold = NumberField(default=0.0)
    plugin_params = ObjectField(default=dict, initial=dict)


# -- Out --------------------------------------------------------------------------------------------


def moment(value: datetime | None) -> str | None:
    """UTC, ISO 8601 with a ``Z``. A moment without a zone is UTC: so SQLite gives it to plain cursors."""
    if value is None:
        return None
    if value.tzinfo is not None:
        value = value.astimezone(UTC).replace(tzinfo=None)
    return value.isoformat() + "Z"


def collection_object(collection: Collection) -> dict[str, Any]:
    """A collection on the wire. The API key is never in it, nor anything secret in the endpoint's address."""
    return {
        "id": collection.pk,
        "name": collection.name,
        "description": collection.description,
        "visibility": collection.visibility,
        "owner": collection.owner,
        "creation_date": moment(collection.creation_date),
        "embeddings_model": {
            "model": collection.embedding_model or "unknown",
            "vendor": collection.embedding_vendor or "unknown",
            "api_endpoint": shown(collection.embedding_endpoint) or None,
            "apikey_configured": bool(collection.embedding_api_key),
        },
    }
