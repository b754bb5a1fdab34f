"""Where a vendor listens: endpoints as people write them, made into the one address that is called."""

from urllib.parse import urlsplit, urlunsplit

import httpx

DEFAULT_ENDPOINTS = {"openai": "https://api.openai.com/v1", "ollama": "http://localhost:11434"}
CALLED_PATHS = {"openai": "/v1/embeddings", "ollama": "/api/embed"}
# What people append, longest first. "/api" is Ollama's alone: elsewhere it is part of the server's own address.
KNOWN_ENDS = {
    "openai": ("/api/embeddings", "/api/embed", "/v1"),
    "ollama": ("/api/embeddings", "/v1/embeddings", "/api/embed", "/api", "/v1"),
}


def request_url(vendor: str, endpoint: str) -> str:
    """The address that embeds, for an *endpoint* written with or without its usual path; blank means the default.

    For ``openai`` an address that already ends in ``/embeddings`` is called as it stands, query included, since some
    compatible servers use other paths than ``/v1``.

    :raises ValueError: not an http or https address
    """
    written = endpoint.strip() or DEFAULT_ENDPOINTS[vendor]
    parts = urlsplit(written if "://" in written else f"http://{written}")
    if parts.scheme.lower() not in {"http", "https"} or not parts.hostname:
        raise ValueError(f"{shown(endpoint)!r} is not an http or https address")
    path = _called_path(vendor, parts.path.rstrip("/"))
    url = urlunsplit((parts.scheme.lower(), parts.netloc, path, parts.query, ""))
    try:
        httpx.URL(url)
    except httpx.InvalidURL as error:
        raise ValueError(f"{shown(endpoint)!r} is not a valid address") from error
    return url


def _called_path(vendor: str, path: str) -> str:
    if vendor == "openai" and path.endswith("/embeddings") and not path.endswith("/api/embeddings"):
        return path
    while end := next((end for end in KNOWN_ENDS[vendor] if path.endswith(end)), None):
        path = path.removesuffix(end).rstrip("/")
    return path + CALLED_PATHS[vendor]


def base_url(vendor: str, endpoint: str) -> str:
    """Where the vendor's other calls are found, such as ``https://api.openai.com/v1``.

    :raises ValueError: not an http or https address
    """
    parts = urlsplit(request_url(vendor, endpoint))
    return urlunsplit((parts.scheme, parts.netloc, parts.path.rpartition("/")[0], "", ""))


def same_endpoint(vendor: str, one: str, other: str) -> bool:
    return request_url(vendor, one) == request_url(vendor, other)


def shown(endpoint: str) -> str:
    """*endpoint* without a user name, password or query, for messages."""
    parts = urlsplit(endpoint.strip())
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))
