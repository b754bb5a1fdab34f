"""What all endpoints share: who may come in, how bodies are read, and how answers are written.

REST framework reads its settings from here while it is imported, so this module imports no views of its.
"""

import hmac
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, cast

import orjson
from django.conf import settings
from django.contrib.auth.base_user import AbstractBaseUser
from django.http import HttpRequest, HttpResponse
from rest_framework.authentication import BaseAuthentication, SessionAuthentication
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.parsers import BaseParser
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request

from collections_app import context
from collections_app.http_errors import Invalid, LengthRequired, TooLarge, exception_handler

__all__ = [
    "BearerAuthentication",
    "CorsMiddleware",
    "JSONParser",
    "JSONRenderer",
    "Negotiation",
    "StaffSessionAuthentication",
    "exception_handler",
]


SAFE_METHODS = ("GET", "HEAD", "OPTIONS")
CHANGE = "ingestion.change_fileregistry"


# -- Who may come in --------------------------------------------------------------------------------


class TokenHolder:
    """Whoever sent the API's token. There is one token, so it tells nobody apart."""

    is_authenticated = True
    is_active = True
    is_staff = False
    pk = None

    def __str__(self) -> str:
        return "API"

    def get_username(self) -> str:
        return ""


def holder_of(token: bytes) -> TokenHolder | None:
    """Who a bearer token belongs to; None when to nobody. Tokens with narrower rights are to be told apart here."""
    return TokenHolder() if hmac.compare_digest(token, settings.LAMB_API_KEY.encode()) else None


def bearer_token(request: Request | HttpRequest) -> bytes:
    """The token of the Authorization header; empty when there is none."""
    scheme, _, token = request.META.get("HTTP_AUTHORIZATION", "").partition(" ")
    # Latin-1: the header's bytes, as WSGI hands them over.
    return token.strip().encode("latin-1", "replace") if scheme.lower() == "bearer" else b""


class BearerAuthentication(BaseAuthentication):
    """``Authorization: Bearer <token>``; the scheme in any case."""

    def authenticate(self, request: Request) -> tuple[TokenHolder, bytes] | None:
        token = bearer_token(request)
        if not token:
            return None
        holder = holder_of(token)
        if holder is None:
            raise AuthenticationFailed("This token is not valid. Use the one that LAMB_API_KEY holds.")
        context.note(actor=str(holder))
        return holder, token

    def authenticate_header(self, request: Request) -> str:
        return "Bearer"


class StaffSessionAuthentication(SessionAuthentication):
    """People who are logged in at the admin may use the API in their browser; CSRF is enforced."""

    def authenticate(self, request: Request) -> tuple[AbstractBaseUser, None] | None:
        if settings.SESSION_COOKIE_NAME not in request.COOKIES:
            return None
        user = getattr(request._request, "user", None)
        if user is None or not user.is_active or not user.is_staff:
            return None
        if request.method not in SAFE_METHODS and not user.has_perms(rights_for(request)):
            return None  # may look, and change nothing
        self.enforce_csrf(request)
        context.note(actor=user.get_username())
        return user, None


def rights_for(request: Request) -> Sequence[str]:
    """Permissions that a member of staff needs for what *request* changes: those that the admin asks for the same verb,
    otherwise that of changing jobs."""
    view = request.parser_context.get("view")
    rights: Mapping[str, Sequence[str]] = getattr(view, "rights", {})
    return rights.get(getattr(view, "action", None) or "", (CHANGE,))


def actor(request: Request) -> str:
    """Who acts, for the diary; empty for the shared token."""
    return str(request.user.get_username())


# -- Bodies and answers -----------------------------------------------------------------------------


def content_length(request: Request | HttpRequest) -> int:
    """:raises LengthRequired: for a chunked body, which WSGI cannot read"""
    length = request.META.get("CONTENT_LENGTH") or ""
    if not length and request.META.get("HTTP_TRANSFER_ENCODING"):
        raise LengthRequired
    return int(length) if length.isdecimal() else 0


def refuse_more_than(megabytes: int, request: Request, what: str, *, around: int = 0) -> None:
    """Judge by the length that the request announces, before any of it is read.

    :param around: bytes that may come on top, for the rest of a form
    :raises TooLarge:
    """
    if content_length(request) > megabytes * 1024 * 1024 + around:
        raise TooLarge(f"The {what} is larger than {megabytes} MB, which is the most this server takes.")


class JSONRenderer(BaseRenderer):
    """JSON of plain dicts, lists, texts and numbers: views make no other values."""

    media_type = "application/json"
    format = "json"
    charset = None

    def render(
        self, data: Any, accepted_media_type: str | None = None, renderer_context: Mapping[str, Any] | None = None
    ) -> bytes:
        if data is None:
            return b""
        indented = (renderer_context or {}).get("indent")  # set by the page that browsers see
        try:
            return orjson.dumps(data, option=orjson.OPT_INDENT_2 if indented else None)
        except TypeError:  # old data: half characters, which become "?", or numbers beyond 64 bits
            return json.dumps(data, ensure_ascii=False, indent=indented).encode("utf-8", "replace")


class JSONParser(BaseParser):
    """JSON by the book: no NaN, no Infinity. An empty body counts as ``{}`` (LAMB's retry sends that)."""

    media_type = "application/json"
    renderer_class = JSONRenderer  # fills the form of the page that browsers see

    def parse(self, stream: Any, media_type: str | None = None, parser_context: Mapping[str, Any] | None = None) -> Any:
        request = cast("Request", (parser_context or {})["request"])
        refuse_more_than(settings.KB_MAX_JSON_MB, request, "body")
        body: bytes = stream.read()
        if not body.strip():
            return {}
        try:
            return json.loads(body, parse_constant=_refuse_constant)
        except RecursionError as error:
            raise _not_json("The body is nested too deeply.") from error
        except ValueError as error:
            raise _not_json(f"The body is not valid JSON: {error}") from error


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not a number that JSON knows")


def _not_json(message: str) -> Invalid:
    return Invalid([{"type": "json_invalid", "loc": ["body"], "msg": message, "input": {}}])


class Negotiation(BaseContentNegotiation):
    """JSON for everybody but browsers; a body of an unknown type is read as JSON rather than refused."""

    def select_parser(self, request: Request, parsers: Iterable[BaseParser]) -> BaseParser:
        return next(iter(parsers))

    def select_renderer(
        self, request: Request, renderers: Iterable[BaseRenderer], format_suffix: str | None = None
    ) -> tuple[BaseRenderer, str]:
        wanted = "api" if "text/html" in request.META.get("HTTP_ACCEPT", "") else "json"
        found = next(renderer for renderer in renderers if renderer.format == wanted)
        return found, found.media_type


# -- Around all views -------------------------------------------------------------------------------


class CorsMiddleware:
    """Scripts of any origin may call, with a token that they hold; never with the browser's cookies."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if "HTTP_ORIGIN" not in request.META:
            return self.get_response(request)
        asked = request.META.get("HTTP_ACCESS_CONTROL_REQUEST_METHOD")
        if request.method == "OPTIONS" and asked:
            response = HttpResponse("OK", content_type="text/plain")
            response["Access-Control-Allow-Methods"] = "GET, POST, PUT, PATCH, DELETE"
            response["Access-Control-Allow-Headers"] = request.META.get("HTTP_ACCESS_CONTROL_REQUEST_HEADERS", "*")
            response["Access-Control-Max-Age"] = "600"
        else:
            response = self.get_response(request)
        response["Access-Control-Allow-Origin"] = "*"
        response["Access-Control-Expose-Headers"] = "ETag, Idempotent-Replayed, Retry-After, X-Request-ID"
        return response
