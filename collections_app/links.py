"""Links to stored files: their shape, and the signature that opens them without a token.

A signature is an HMAC over the file's storage key, the same bytes every time: citations stay in chats for months.
Deleting the file or changing the server's secret key revokes it. Links are stored unsigned and signed when answered.
"""

import base64
import hashlib
import hmac
import re
import time
from collections.abc import Mapping
from functools import lru_cache
from typing import Any
from urllib.parse import quote

from django.conf import settings

DAY = 24 * 3600
PURPOSE = b"kb-server: links to files, v1"
LINK_KEYS = ("file_url", "original_file_url", "markdown_file_url", "images_folder_url")
# /static/{owner}/{collection}/{key}… ; owner and collection are quoted, so they hold no slash.
STATIC_LINK = re.compile(r"/static/[^/?#]*/[^/?#]*/(?P<key>[0-9a-f]{32})(?![0-9a-f])[^?#]*")


def static_path(owner: str, collection: str, name: str) -> str:
    """The root-relative path of a stored file, unsigned: ``/static/{owner}/{collection}/{name}``, quoted."""
    return f"/static/{_part(owner)}/{_part(collection)}/{_part(name)}"


@lru_cache(maxsize=4096)
def _part(text: str) -> str:
    """One part of a path. Browsers would take dots alone for "this folder" and "the one above"."""
    return quote(text, safe="") if text.strip(".") else "_"


def signature(key: str) -> str:
    """The query that opens every file under storage key *key*: ``s=…``, with ``KB_LINK_TTL`` also ``e=<day>``.

    The last day (days since the epoch, UTC) is rounded up, so that a link keeps its bytes for a day.
    """
    if not settings.KB_LINK_TTL:
        return f"s={_mac(settings.SECRET_KEY, key)}"
    last_day = -(-(int(time.time()) + settings.KB_LINK_TTL) // DAY)
    return f"s={_mac(settings.SECRET_KEY, f'{key} {last_day}')}&e={last_day}"


def opens(key: str, query: Mapping[str, str]) -> bool:
    """True when *query* carries a signature for *key* that has not expired."""
    given, last_day = query.get("s", ""), query.get("e", "")
    if not last_day:
        return not settings.KB_LINK_TTL and _same(given, _mac(settings.SECRET_KEY, key))
    if not re.fullmatch(r"[0-9]{1,9}", last_day) or int(last_day) * DAY <= time.time():
        return False
    return _same(given, _mac(settings.SECRET_KEY, f"{key} {last_day}"))


def signed(link: str) -> str:
    """*link* with its signature, when it leads to a stored file; any other link as it is."""
    match = STATIC_LINK.match(link)
    return f"{match[0]}?{signature(match['key'])}" if match else link


def absolute(link: str) -> str:
    """A root-relative *link* as others reach it; any other as it is."""
    return f"{settings.HOME_URL}{link}" if link.startswith("/") else link


def sign_metadata(metadata: dict[str, Any]) -> dict[str, Any]:
    """A chunk's metadata as it is answered: its links to stored files signed.

    ``source_url`` also gets the server's own address, since clients follow it as it is.
    """
    links = {key: signed(link) for key in LINK_KEYS if isinstance(link := metadata.get(key), str)}
    source = metadata.get("source_url")
    if isinstance(source, str) and STATIC_LINK.match(source):
        links["source_url"] = absolute(signed(source))
    return {**metadata, **links} if links else metadata


@lru_cache(maxsize=8192)  # the same jobs are polled again and again
def _mac(secret: str, text: str) -> str:
    digest = hmac.digest(_key(secret), text.encode(), "sha256")
    return base64.urlsafe_b64encode(digest[:18]).decode()  # 144 bits, 24 characters, no padding


@lru_cache(maxsize=4)
def _key(secret: str) -> bytes:
    return hashlib.sha256(PURPOSE + secret.encode()).digest()


def _same(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode(), other.encode())
