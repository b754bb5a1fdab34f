"""Links to stored files: ``/static/{owner}/{collection}/{stored name}``, signed when they are answered.

The signature covers the storage key in the stored name alone, so a link stays the same for months and survives a
rename of its collection. Deleting the file, or changing the secret key, revokes it.
"""

import base64
import functools
import hashlib
import hmac
import re
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from django.conf import settings

DAY = 86_400
STORED = re.compile(r"^/static/.*/(?P<key>[0-9a-f]{32})[^/]*/?$")
# Keys of chunk metadata that hold links to stored files.
LINK_KEYS = ("file_url", "original_file_url", "markdown_file_url", "images_folder_url")


def static_path(owner: str, collection: str, name: str) -> str:
    """The root-relative path of a stored file, unsigned and quoted. *name* is ``<key>.<ext>``."""
    return f"/static/{_part(owner)}/{_part(collection)}/{_part(name)}"


def _part(text: str) -> str:
    """One path segment; names made of dots alone would be taken for "this folder" and "the one above"."""
    return quote(text, safe="") if text.strip(".") else "_"


def signed(path: str, key: str) -> str:
    """*path* with the query that lets a browser open it."""
    expires = _expiry()
    end = f"&e={expires}" if expires else ""
    return f"{path}?s={_signature(key, expires)}{end}"


def is_valid(key: str, signature: str, expires: str) -> bool:
    """Whether *signature* was made here for the file with this key, and has not expired."""
    if expires and (not expires.isascii() or not expires.isdigit() or int(expires) * DAY < time.time()):
        return False
    if settings.KB_LINK_TTL and not expires:
        return False
    expected = _signature(key, int(expires) if expires else 0)
    return hmac.compare_digest(signature.encode(), expected.encode())


def sign_metadata(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """Chunk metadata as it is answered: links to stored files carry their signature. They are stored unsigned."""
    answered = dict(metadata)
    for name in LINK_KEYS:
        link = answered.get(name)
        if isinstance(link, str) and (match := STORED.match(link)):
            answered[name] = signed(link, match["key"])
    return answered


def absolute(path: str) -> str:
    return settings.HOME_URL + path if path.startswith("/") else path


def _expiry() -> int:
    """The day (since the epoch) when a link made now expires; 0 for never. Whole days keep links alike for a day."""
    return int(time.time() + settings.KB_LINK_TTL) // DAY + 1 if settings.KB_LINK_TTL else 0


def _signature(key: str, expires: int) -> str:
    digest = hmac.digest(_signing_key(settings.SECRET_KEY), f"{key}:{expires}".encode(), "sha256")
    return base64.urlsafe_b64encode(digest[:18]).decode()


@functools.lru_cache(maxsize=4)
def _signing_key(secret: str) -> bytes:
    return hashlib.sha256(b"kb-server links:" + secret.encode()).digest()
