"""Conventions that all endpoints share: who may come in, how bodies are read, and what errors look like.

Errors are ``{"detail": <sentence>}``; wrong shapes are 422 with ``{"detail": [{"type", "loc", "msg", "input"}]}``.
"""

import hmac
import json
import logging
import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NoReturn

from django.conf import settings
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponsePermanentRedirect, JsonResponse
from django.urls import Resolver404, resolve
from rest_framework import exceptions, serializers
from rest_framework.authentication import BaseAuthentication, SessionAuthentication
from rest_framework.parsers import BaseParser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import set_rollback

from collections_app import errors
from collections_app.embeddings.base import VendorError

logger = logging.getLogger("kb.api")

Location = tuple[str | int, ...]

# -- Who may come in --------------------------------------------------------------------------------


class ApiClient:
    """Whoever holds the API's token."""

    is_authenticated = True
    is_active = True
    is_staff = False
    pk = None

    def __str__(self) -> str:
        return "the API"

    def get_username(self) -> str:
        return "the API"


API_CLIENT = ApiClient()


def holds_token(header: str) -> bool | None:
    """Whether an ``Authorization`` header holds the token; None when it holds no bearer token at all.

    The one place that knows what a token is worth. Tokens with a scope will be told apart here.
    """
    scheme, _, token = header.partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        return None
    return hmac.compare_digest(token.strip().encode(), settings.LAMB_API_KEY.encode())


class BearerAuthentication(BaseAuthentication):
    """``Authorization: Bearer <token>``."""

    def authenticate(self, request: Request) -> tuple[ApiClient, None] | None:
        allowed = holds_token(request.headers.get("Authorization", ""))
        if allowed is None:
            return None
        if not allowed:
            raise exceptions.AuthenticationFailed("The token is wrong.")
        return API_CLIENT, None

    def authenticate_header(self, request: Request) -> str:
        return "Bearer"


class StaffSessionAuthentication(SessionAuthentication):
    """A logged-in member of staff may use the API from a browser; changes need the CSRF token."""

    def authenticate(self, request: Request) -> Any:
        found = super().authenticate(request)
        return found if found and found[0].is_staff else None


# -- Reading bodies ---------------------------------------------------------------------------------


class JSONParser(BaseParser):
    """JSON, whatever the content type says. An empty body is an empty object: LAMB's retry sends one."""

    media_type = "*/*"

    def parse(self, stream: Any, media_type: str | None = None, parser_context: Any = None) -> Any:
        raw = stream.read(settings.DATA_UPLOAD_MAX_MEMORY_SIZE + 1)
        if len(raw) > settings.DATA_UPLOAD_MAX_MEMORY_SIZE:
            raise TooLarge(f"The body is larger than {settings.KB_MAX_JSON_MB} MB.")
        if not raw.strip():
            return {}
        try:
            return json.loads(raw, parse_constant=_refuse_constant)
        except (ValueError, RecursionError) as error:
            raise Invalid([issue("json_invalid", ("body",), f"The body is not valid JSON: {error}.", None)]) from error


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON number")


def refuse_large(request: HttpRequest, megabytes: int) -> None:
    """Answer 413 before the body is read, where its length is announced.

    :raises TooLarge:
    """
    try:
        length = int(request.META.get("CONTENT_LENGTH") or 0)
    except ValueError:
        length = 0
    if length > megabytes * 1024 * 1024 + 64 * 1024:  # room for the other parts of a form
        raise TooLarge(f"The upload is larger than {megabytes} MB.")


# -- Strict fields ----------------------------------------------------------------------------------


class TextField(serializers.CharField):
    """Text as it came: a number is not text, blanks are kept, and blank is allowed."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"allow_blank": True, "trim_whitespace": False, **options})

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            self.fail("invalid")
        return str(super().to_internal_value(data))


class WholeNumberField(serializers.IntegerField):
    """A whole number; ``"5"`` and ``5.0`` are one, ``true`` is not."""

    def to_internal_value(self, data: Any) -> int:
        if isinstance(data, bool) or (isinstance(data, str) and "_" in data):
            self.fail("invalid")
        return int(super().to_internal_value(data.strip() if isinstance(data, str) else data))


class NumberField(serializers.FloatField):
    """A finite number."""

    def to_internal_value(self, data: Any) -> float:
        value = math.nan if isinstance(data, bool) else float(super().to_internal_value(data))
        if not math.isfinite(value):
            self.fail("invalid")
        return value


class FlagField(serializers.BooleanField):
    """true, false, 1, 0, yes, no, on, off, t, f, y, n in any case."""

    def to_internal_value(self, data: Any) -> bool:
        return bool(super().to_internal_value(data.strip().lower() if isinstance(data, str) else data))


class ObjectField(serializers.DictField):
    """A JSON object."""


class PathId(WholeNumberField):
    """An id in an address."""


# -- Errors -----------------------------------------------------------------------------------------


class Invalid(exceptions.APIException):
    """422: the request has the wrong shape."""

    status_code = 422

    def __init__(self, issues: list[dict[str, Any]]) -> None:
        super().__init__("invalid")
        self.issues = issues


class Refused(exceptions.APIException):
    """400: well-formed, but not possible."""

    status_code = 400


class Missing(exceptions.APIException):
    """404 with a sentence."""

    status_code = 404


class TooLarge(exceptions.APIException):
    """413."""

    status_code = 413


STATUS_OF: dict[type[Exception], int] = {
    errors.NameTaken: 409,
    errors.CollectionError: 400,
    VendorError: 400,
}


def answer_with(status: int, *kinds: type[Exception]) -> None:
    """Have exceptions of these kinds answered with *status* and their own message."""
    STATUS_OF.update(dict.fromkeys(kinds, status))


def status_of(error: Exception) -> int | None:
    return next((STATUS_OF[kind] for kind in type(error).__mro__ if kind in STATUS_OF), None)


def exception_handler(error: Exception, context: Mapping[str, Any]) -> Response | None:
    """DRF's hook: every error in the shapes of the contract. None lets Django answer 500 and log it."""
    headers: dict[str, str] = {}
    if isinstance(error, Invalid):
        body: Any = error.issues
        status = error.status_code
    elif isinstance(error, exceptions.ValidationError):
        body, status = issues_of(error.detail, ("body",), None), 422
    elif isinstance(error, Http404):
        body, status = "Not Found", 404
    elif isinstance(error, PermissionDenied):
        body, status = str(error) or "You may not do this.", 403
    elif isinstance(error, exceptions.APIException):
        body, status = api_detail(error), error.status_code
        if challenge := getattr(error, "auth_header", None):
            headers["WWW-Authenticate"] = challenge
    elif found := status_of(error):
        body, status = sentence(error), found
    else:
        return None
    set_rollback()
    return Response({"detail": body}, status=status, headers=headers)


def api_detail(error: exceptions.APIException) -> str:
    if isinstance(error, exceptions.NotAuthenticated):
        return "Not authenticated"
    if isinstance(error, exceptions.MethodNotAllowed):
        return "Method Not Allowed"
    return str(error.detail)


def sentence(error: Exception) -> str:
    """The error's message, with its hint where it has one."""
    hint = getattr(error, "hint", "")
    return f"{error} {hint}".strip()


def issue(kind: str, location: Location, message: str, value: Any) -> dict[str, Any]:
    return {"type": kind, "loc": list(location), "msg": message, "input": value}


KINDS = {
    "required": "missing",
    "null": "null_not_allowed",
    "invalid": "type_error",
    "not_a_dict": "type_error",
    "not_a_list": "type_error",
    "max_length": "string_too_long",
    "min_length": "string_too_short",
    "blank": "string_too_short",
    "min_value": "greater_than_equal",
    "max_value": "less_than_equal",
    "invalid_choice": "enum",
}


def issues_of(detail: Any, location: Location, value: Any) -> list[dict[str, Any]]:
    """DRF's nested errors as a flat list, each with the place it belongs to."""
    if isinstance(detail, Mapping):
        return [
            found
            for name, inner in detail.items()
            for found in issues_of(
                inner,
                location if name == "non_field_errors" else (*location, name),
                value if name == "non_field_errors" else _inside(value, name),
            )
        ]
    if isinstance(detail, Iterable) and not isinstance(detail, str):
        return [found for inner in detail for found in issues_of(inner, location, value)]
    kind = getattr(detail, "code", "invalid")
    return [issue(KINDS.get(kind, kind), location, str(detail), value)]


def _inside(value: Any, name: Any) -> Any:
    if isinstance(value, Mapping):
        return value.get(name)
    if isinstance(value, list) and isinstance(name, int) and name < len(value):
        return value[name]
    return None


def validated(serializer: type[serializers.Serializer[Any]], data: Any, place: str = "body") -> dict[str, Any]:
    """*data* checked and typed.

    :param place: ``body``, ``query`` or ``path``
    :raises Invalid: naming each wrong field
    """
    plain = data.dict() if hasattr(data, "dict") else data
    if not isinstance(plain, Mapping):
        raise Invalid([issue("type_error", (place,), "An object is expected.", plain)])
    checked = serializer(data=plain)
    if not checked.is_valid():
        raise Invalid(issues_of(checked.errors, (place,), plain))
    return dict(checked.validated_data)


def path_id(text: str, name: str) -> int:
    """An id from an address.

    :raises Invalid: when it is not a whole number
    """
    if not text.lstrip("-").isascii() or not text.lstrip("-").isdigit() or len(text) > 19:
        raise Invalid([issue("int_parsing", ("path", name), "A whole number is expected.", text)])
    return int(text)


# -- What is not a view -----------------------------------------------------------------------------


def not_found(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """Unknown addresses: JSON, and a way back for those that end with a slash too many."""
    path = request.path_info
    if path.endswith("/") and path.rstrip("/"):
        try:
            resolve(path.rstrip("/"))
        except Resolver404:
            pass
        else:
            query = request.META.get("QUERY_STRING")
            answer = HttpResponsePermanentRedirect(path.rstrip("/") + (f"?{query}" if query else ""))
            answer.status_code = 307  # keeps method and body
            return answer
    return JsonResponse({"detail": "Not Found"}, status=404)


def server_error(request: HttpRequest) -> HttpResponse:
    return JsonResponse({"detail": "The server made a mistake. It has been logged."}, status=500)


def bad_request(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    return JsonResponse({"detail": "The request cannot be understood."}, status=400)


class CorsMiddleware:
    """Any origin may call, without cookies: the API is opened by its token alone."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        origin = request.META.get("HTTP_ORIGIN")
        if not origin:
            return self.get_response(request)
        wanted = request.META.get("HTTP_ACCESS_CONTROL_REQUEST_METHOD")
        answer = HttpResponse() if request.method == "OPTIONS" and wanted else self.get_response(request)
        answer["Access-Control-Allow-Origin"] = "*"
        if request.method == "OPTIONS" and wanted:
            answer["Access-Control-Allow-Methods"] = "GET, POST, PUT, PATCH, DELETE, OPTIONS"
            answer["Access-Control-Allow-Headers"] = request.META.get("HTTP_ACCESS_CONTROL_REQUEST_HEADERS", "*")
            answer["Access-Control-Max-Age"] = "600"
        return answer
