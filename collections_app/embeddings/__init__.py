"""Texts into vectors: one file a vendor, and which one a collection uses."""

from functools import lru_cache

from collections_app import crypto
from collections_app.embeddings.base import Abandoned, Embedder, VendorError
from collections_app.embeddings.choice import (
    EmbeddingChoice,
    configured_embeddings,
    embeddings_config,
    resolve_embeddings,
)
from collections_app.embeddings.local import MODEL as LOCAL_MODEL
from collections_app.embeddings.local import LocalEmbedder, has_files
from collections_app.embeddings.ollama import OllamaEmbedder
from collections_app.embeddings.onnx import OnnxEmbedder, is_model_folder
from collections_app.embeddings.openai import OpenAIEmbedder
from collections_app.errors import InvalidEmbeddings
from collections_app.models import Collection

__all__ = [
    "Abandoned",
    "Embedder",
    "EmbeddingChoice",
    "VendorError",
    "configured_embeddings",
    "embedder_for",
    "embeddings_config",
    "is_installed",
    "resolve_embeddings",
]


def embedder_for(collection: Collection) -> Embedder:
    """The collection's embedder; collections with the same settings share one, per process.

    :raises SecretUnreadable: its stored API key cannot be decrypted
    :raises InvalidEmbeddings: ``unknown_vendor`` (an imported collection without usable settings)
    :raises VendorError: ``vendor_not_found`` when its endpoint is no address
    """
    return _embedder(
        collection.embedding_vendor,
        collection.embedding_model,
        collection.embedding_endpoint,
        crypto.decrypt(collection.embedding_api_key),
    )


def is_installed(choice: EmbeddingChoice) -> bool:
    """Whether the files of a ``local`` choice are there; what they hold is checked when they are loaded."""
    return has_files() if choice.model == LOCAL_MODEL else is_model_folder(choice.model)


@lru_cache(maxsize=256)
def _embedder(vendor: str, model: str, endpoint: str, api_key: str) -> Embedder:
    if vendor == "openai":
        return OpenAIEmbedder(model, endpoint, api_key)
    if vendor == "ollama":
        return OllamaEmbedder(model, endpoint, api_key)
    if vendor == "local":
        return LocalEmbedder() if model == LOCAL_MODEL else OnnxEmbedder(model)
    raise InvalidEmbeddings(
        "unknown_vendor",
        f"This collection names no usable embedding vendor ({vendor or 'none'}).",
        hint="Create a new collection and ingest the files again.",
    )
