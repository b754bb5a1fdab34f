"""Around each request: its number, in the answer and in every line of log, and a line that it happened."""

import logging
import re
import time
import uuid
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.utils.functional import LazyObject, empty

from collections_app import context

logger = logging.getLogger("kb.access")

SANE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/+=-]{0,99}")
LOOKING = ("GET", "HEAD", "OPTIONS")


class RequestMiddleware:
    """Takes the number that a proxy or client gave in ``X-Request-ID``, or makes one, and answers with it.

    ``KB_ACCESS_LOG=changes``: what changes something is told at INFO and what only looks at DEBUG, since everybody
    polls; errors of the server at WARNING.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        given = request.META.get("HTTP_X_REQUEST_ID", "")
        number = given if SANE.fullmatch(given) else uuid.uuid4().hex
        request.request_id = number  # type: ignore[attr-defined]
        with context.about(request_id=number):
            began = time.monotonic()
            response = self.get_response(request)
            response["X-Request-ID"] = number
            if settings.KB_ACCESS_LOG != "none":
                tell(request, response.status_code, time.monotonic() - began)
        return response


def tell(request: HttpRequest, status: int, seconds: float) -> None:
    level = level_of(request.method or "", status)
    if not logger.isEnabledFor(level):
        return
    # Without its query, which may hold the signature of a link; quoted, since a path may hold the end of a line.
    path = quote(request.path, safe="/:@!$&'()*+,;=~")
    facts: dict[str, Any] = {"method": request.method, "path": path, "status": status, "ms": round(seconds * 1000, 1)}
    if "actor" not in context.facts() and (name := known_user(request)):
        facts["actor"] = name
    logger.log(level, "%s %s %d in %.1f ms", request.method, path, status, facts["ms"], extra=facts)


def level_of(method: str, status: int) -> int:
    if status >= 500 and status != 503:  # 503: busy or not ready, asked again and again, and told by others
        return logging.WARNING
    return logging.INFO if settings.KB_ACCESS_LOG == "all" or method not in LOOKING else logging.DEBUG


def known_user(request: HttpRequest) -> str:
    """Whoever is logged in, if somebody has asked already: finding out costs queries."""
    user = getattr(request, "user", None)
    if user is None or (isinstance(user, LazyObject) and user._wrapped is empty):
        return ""
    return str(user.get_username())
