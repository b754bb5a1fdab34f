"""Which embeddings a new collection gets: what the request says, then the stored settings, then the environment."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypedDict

from django.conf import settings

from collections_app import crypto
from collections_app.embeddings import local
from collections_app.embeddings import stored as stored_settings
from collections_app.embeddings.endpoints import DEFAULT_ENDPOINTS, request_url, same_endpoint
from collections_app.embeddings.http import ENDPOINT_HINT, HEADER_TEXT
from collections_app.embeddings.onnx import is_model_folder
from collections_app.errors import InvalidEmbeddings

DEFAULT = "default"
DEFAULT_MODELS = {"local": local.MODEL, "ollama": "nomic-embed-text", "openai": "text-embedding-3-small"}
FIELDS = ("vendor", "model", "api_endpoint", "apikey")


@dataclass(frozen=True)
class EmbeddingChoice:
    """Complete and checked. ``endpoint`` is blank for the vendor's own; ``api_key`` is in clear and never shown."""

    vendor: str
    model: str
    endpoint: str = ""
    api_key: str = field(default="", repr=False)


class EmbeddingsConfig(TypedDict):
    """The answer of ``GET /config/embeddings``."""

    vendor: str
    model: str
    api_endpoint: str | None
    apikey_configured: bool
    apikey_masked: str | None
    config_source: Literal["file", "env"]


def resolve_embeddings(choice: Mapping[str, Any] | None) -> EmbeddingChoice:
    """The embeddings of a new collection for the request's ``embeddings_model``.

    ``"default"``, an absent field and a missing *choice* mean the server's configuration. Its model, endpoint and
    key belong to its vendor, and its key to its endpoint too: another vendor gets that vendor's own defaults, and
    the key is never sent to an address that the operator did not choose.

    :raises InvalidEmbeddings: ``unknown_vendor``, ``unknown_model``, ``invalid_endpoint``, ``invalid_api_key``,
        ``default_key_elsewhere``, ``embeddings_config_unreadable``
    """
    wanted = {name: _wanted(choice or {}, name) for name in FIELDS}
    configured = configured_embeddings()
    endpoint_given = wanted["api_endpoint"] not in (None, DEFAULT)
    vendor = _vendor(configured.vendor if wanted["vendor"] in (None, DEFAULT) else str(wanted["vendor"]),
                     str(wanted["api_endpoint"]) if endpoint_given else "")  # fmt: skip
    base = configured if vendor == configured.vendor else EmbeddingChoice(vendor, DEFAULT_MODELS[vendor])
    endpoint = str(wanted["api_endpoint"]) if endpoint_given else base.endpoint
    model = base.model if wanted["model"] in (None, "", DEFAULT) else str(wanted["model"])
    _check_model(vendor, model, configured)
    _check_endpoint(vendor, endpoint)
    return EmbeddingChoice(vendor, model, endpoint, _api_key(wanted["apikey"], vendor, endpoint, base))


def configured_embeddings() -> EmbeddingChoice:
    """The server's own: the stored settings where they say something, otherwise the environment."""
    return _configured(stored_settings.read())


def _configured(stored: Mapping[str, Any] | None) -> EmbeddingChoice:
    environment = {
        "vendor": settings.EMBEDDINGS_VENDOR,
        "model": settings.EMBEDDINGS_MODEL,
        "api_endpoint": settings.EMBEDDINGS_ENDPOINT,
        "apikey": settings.EMBEDDINGS_APIKEY,
    }
    values = {name: str(stored.get(name) or "") for name in FIELDS} if stored else dict.fromkeys(FIELDS, "")
    # The environment's model, endpoint and key are its vendor's.
    if values["vendor"] in ("", environment["vendor"]):
        values = {name: values[name] or environment[name] for name in FIELDS}
    vendor = _vendor(values["vendor"], values["api_endpoint"])
    return EmbeddingChoice(
        vendor, values["model"] or DEFAULT_MODELS[vendor], values["api_endpoint"], _in_clear(values["apikey"])
    )


def _in_clear(key: str) -> str:
    return crypto.decrypt(key) if crypto.is_encrypted(key) else key


def embeddings_config() -> EmbeddingsConfig:
    """What ``GET /config/embeddings`` answers.

    :raises InvalidEmbeddings: ``embeddings_config_unreadable``
    """
    current = configured_embeddings()
    return {
        "vendor": current.vendor,
        "model": current.model,
        "api_endpoint": None if _is_own_endpoint(current.vendor, current.endpoint) else current.endpoint,
        "apikey_configured": bool(current.api_key),
        "apikey_masked": crypto.mask(current.api_key),
        "config_source": "env" if stored_settings.read() is None else "file",
    }


def change_config(changes: Mapping[str, str | None]) -> EmbeddingsConfig:
    """Store what is given of ``vendor``, ``model``, ``api_endpoint`` and ``apikey``; None leaves a field as it is.

    Another vendor gets none of the former one's model, endpoint and key. A key that comes back as it was shown, masked,
    is no new key. What new collections will get is checked before anything is stored; existing ones stay as they are.

    :raises InvalidEmbeddings: as :func:`resolve_embeddings`, or the stored settings cannot be read
    :raises stored.ConfigNotSaved:
    """
    current = configured_embeddings()
    given = {name: value.strip() for name, value in changes.items() if name in FIELDS and value is not None}
    if given.get("apikey") and given["apikey"] == crypto.mask(current.api_key):
        del given["apikey"]
    kept = {name: str(value) for name, value in (stored_settings.read() or {}).items() if name in FIELDS}
    kept["apikey"] = _in_clear(kept.get("apikey", ""))
    if given.get("vendor") and _vendor(given["vendor"], given.get("api_endpoint", "")) != current.vendor:
        kept = {}
    values = {name: value for name, value in {**kept, **given}.items() if value}
    _check_configuration(_configured(values))
    stored_settings.write(values)
    return embeddings_config()


def _check_configuration(choice: EmbeddingChoice) -> None:
    _check_model(choice.vendor, choice.model, choice)
    _check_endpoint(choice.vendor, choice.endpoint)
    check_api_key(choice.api_key)


def check_api_key(key: str) -> None:
    """:raises InvalidEmbeddings: no header could carry it"""
    if key and not HEADER_TEXT.fullmatch(key):
        raise InvalidEmbeddings("invalid_api_key", "The API key holds blanks or unusual characters.")


def local_models(configured: EmbeddingChoice) -> list[str]:
    """Names that ``local`` accepts. A folder counts only when the operator configured it: requests name no paths."""
    folder = configured.model if configured.vendor == "local" and is_model_folder(configured.model) else ""
    return [local.MODEL, *([folder] if folder else [])]


def _wanted(choice: Mapping[str, Any], name: str) -> str | None:
    """The field without surrounding blanks; None when absent, not text, or a blank endpoint."""
    text = value.strip() if isinstance(value := choice.get(name), str) else None
    return None if name == "api_endpoint" and not text else text


def _vendor(name: str, endpoint: str) -> str:
    vendor = name.lower()
    if vendor not in DEFAULT_MODELS:
        raise InvalidEmbeddings(
            "unknown_vendor",
            f"There is no embedding vendor {name!r}.",
            hint=f"Use {', '.join(sorted(DEFAULT_MODELS))} or {DEFAULT!r}.",
        )
    return "ollama" if vendor == "local" and endpoint else vendor  # LAMB's alias


def _check_model(vendor: str, model: str, configured: EmbeddingChoice) -> None:
    if len(model) > 255 or "\x00" in model:
        raise InvalidEmbeddings(
            "unknown_model", "The model's name is too long.", hint="Names have up to 255 characters."
        )
    if vendor == "local" and model not in (known := local_models(configured)):
        raise InvalidEmbeddings(
            "unknown_model",
            f"The local model {model!r} is not installed on this server.",
            hint=f"Installed: {', '.join(known)}. Other models need vendor 'openai' or 'ollama'.",
        )


def _check_endpoint(vendor: str, endpoint: str) -> None:
    if vendor == "local":
        return
    try:
        request_url(vendor, endpoint)
    except ValueError as error:
        raise InvalidEmbeddings("invalid_endpoint", f"The endpoint {error}.", hint=ENDPOINT_HINT) from error
    if len(endpoint) > 2000:
        raise InvalidEmbeddings("invalid_endpoint", "The endpoint is too long.", hint=ENDPOINT_HINT)


def _api_key(wanted: str | None, vendor: str, endpoint: str, base: EmbeddingChoice) -> str:
    if wanted not in (None, DEFAULT):
        check_api_key(wanted)
        return wanted
    if not base.api_key or same_endpoint(vendor, endpoint, base.endpoint):
        return base.api_key
    if wanted is None:
        return ""
    raise InvalidEmbeddings(
        "default_key_elsewhere",
        "The server's own API key is only used with the server's own endpoint.",
        hint="Give the API key for that endpoint, or leave the endpoint 'default'.",
    )


def _is_own_endpoint(vendor: str, endpoint: str) -> bool:
    """True when nobody needs to be told: none set, or a local server's usual address."""
    if not endpoint:
        return True
    return vendor == "ollama" and same_endpoint(vendor, endpoint, DEFAULT_ENDPOINTS[vendor])
