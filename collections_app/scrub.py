"""Takes secrets out of texts: those that are known, and what looks like one."""

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from urllib.parse import quote, urlsplit

from django.conf import settings

from plugins.passwords import without_passwords

SHORTEST = 4  # characters; taking out shorter ones would tear words apart
SECRET = re.compile(
    r"(?i)\b(bearer\s+|sk-|api[_-]?key[\"'=:\s]+|password[\"'=:\s]+|token[\"'=:\s]+"
    r"|(?:passwd|secret|kb_session|kb_csrf|sessionid|authorization)[\"']?[=:]\s*[\"']?(?:basic\s+|bearer\s+)?)"
    r"[^\s\"',;&]{4,}"
)
SIGNATURE = re.compile(r"([?&]s=)[\w-]{24}\b")  # of a link to a file; see collections_app.links


def scrub(text: str, known: Iterable[str] = ()) -> str:
    """*text* without the server's secrets, those *known* and what looks like one."""
    for secret in (*server_secrets(), *known):
        if len(secret) >= SHORTEST and secret in text:
            text = text.replace(secret, "***")
    return SIGNATURE.sub(r"\1***", SECRET.sub(r"\1***", without_passwords(text, "***@")))


def server_secrets() -> tuple[str, ...]:
    """Those of the settings."""
    return _of_settings(
        settings.LAMB_API_KEY,
        settings.SECRET_KEY,
        settings.EMBEDDINGS_APIKEY,
        settings.KB_METRICS_TOKEN,
        settings.DATABASE_URL,
        settings.REDIS_URL,
    )


@lru_cache(maxsize=4)
def _of_settings(*values: str) -> tuple[str, ...]:
    found = [part for value in values for part in (passwords_in(value) if "://" in value else [value])]
    return tuple(sorted(filter(None, found), key=len, reverse=True))


def passwords_in(address: str) -> Iterator[str]:
    """What an address says of its user in secret: the password, as it is written and as it is meant."""
    try:
        password = urlsplit(address).password
    except ValueError:
        return
    if password:
        yield from {password, quote(password, safe="")}
