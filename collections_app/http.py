"""What all endpoints share: who may come in, how bodies are read and answers written, and the base of every view."""

import hmac
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, cast

from django.conf import settings
from django.contrib.auth.base_user import AbstractBaseUser
from django.http import HttpRequest, HttpResponse
from rest_framework import viewsets
from rest_framework.authentication import BaseAuthentication, SessionAuthentication
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.parsers import BaseParser
from rest_framework.renderers import BaseRenderer, BrowsableAPIRenderer
from rest_framework.request import Request
from rest_framework.serializers import BaseSerializer, Serializer

from collections_app.fields import as_integer
from collections_app.http_errors import (
    Invalid,
    LengthRequired,
    TooLarge,
    entries_of,
    exception_handler,
    invalid,
)

__all__ = [
    "BearerAuthentication",
    "CorsMiddleware",
    "Endpoint",
    "JSONParser",
    "JSONRenderer",
    "StaffSessionAuthentication",
    "checked",
    "exception_handler",
]

LARGEST_ID = 2**63 - 1


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


class BearerAuthentication(BaseAuthentication):
    """``Authorization: Bearer <token>``; the scheme in any case."""

    def authenticate(self, request: Request) -> tuple[TokenHolder, str] | None:
        scheme, _, token = request.META.get("HTTP_AUTHORIZATION", "").partition(" ")
        token = token.strip()
        if scheme.lower() != "bearer" or not token:
            return None
        holder = holder_of(token.encode("latin-1", "replace"))  # header bytes, as WSGI hands them over
        if holder is None:
            raise AuthenticationFailed("This token is not valid. Use the one that LAMB_API_KEY holds.")
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
        self.enforce_csrf(request)
        return user, None


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


def refuse_more_than(megabytes: int, request: Request, what: str) -> None:
    """:raises TooLarge: by the length that the request announces, before any of it is read"""
    if content_length(request) > megabytes * 1024 * 1024:
        raise TooLarge(f"The {what} is larger than {megabytes} MB, which is the most this server takes.")


class JSONParser(BaseParser):
    """JSON by the book: no NaN, no Infinity. An empty body counts as ``{}`` (LAMB's retry sends that)."""

    media_type = "application/json"

    def parse(
        self, stream: Any, media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> Any:
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


class JSONRenderer(BaseRenderer):
    """JSON of plain dicts, lists, texts and numbers: views make no other values.

    Half characters, which old data may hold, become ``?`` instead of breaking the answer.
    """

    media_type = "application/json"
    format = "json"
    charset = None

    def render(
        self, data: Any, accepted_media_type: str | None = None, renderer_context: Mapping[str, Any] | None = None
    ) -> bytes:
        if data is None:
            return b""
        indent = (renderer_context or {}).get("indent")
        separators = (",", ": ") if indent else (",", ":")
        text = json.dumps(data, ensure_ascii=False, separators=separators, indent=indent, allow_nan=False)
        return text.encode("utf-8", "replace")


class Negotiation(BaseContentNegotiation):
    """JSON for everybody but browsers; a body of an unknown type is read as JSON rather than refused."""

    def select_parser(self, request: Request, parsers: Sequence[BaseParser]) -> BaseParser:
        return parsers[0]

    def select_renderer(
        self, request: Request, renderers: Sequence[BaseRenderer], format_suffix: str | None = None
    ) -> tuple[BaseRenderer, str]:
        if "text/html" in request.META.get("HTTP_ACCEPT", ""):
            for renderer in renderers:
                if renderer.format == "api":
                    return renderer, "text/html"
        return renderers[0], renderers[0].media_type


# -- Views ------------------------------------------------------------------------------------------


class Endpoint(viewsets.GenericViewSet[Any]):
    """The base of every view: reads and writes JSON, takes GET, POST, PUT, PATCH and DELETE, and nothing else.

    * ``domain_errors``: status of each exception that its services raise; the first that fits counts
    * ``forms``: serializer of the form that browsers see, by action
    """

    http_method_names = ["get", "post", "put", "patch", "delete"]  # noqa: RUF012  (HEAD and OPTIONS are 405)
    parser_classes = (JSONParser,)
    renderer_classes = (JSONRenderer, BrowsableAPIRenderer)
    content_negotiation_class = Negotiation
    domain_errors: ClassVar[Mapping[type[Exception], int]] = {}
    forms: ClassVar[Mapping[str, type[Serializer[Any]]]] = {}
    pagination_class = None
    filter_backends = ()

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        # The same dict that the handler is called with: from here on ids are numbers.
        self.kwargs.update({name: path_id(name, value) for name, value in self.kwargs.items() if name.endswith("_id")})

    def get_serializer_class(self) -> type[BaseSerializer[Any]]:
        return self.forms.get(self.action or "", Serializer)


def path_id(name: str, value: str | int) -> int:
    """:raises Invalid: when it is no integer. One that no row can have becomes -1, which no row has either."""
    number = as_integer(value)
    if number is None:
        raise invalid("path", name, "int_parsing", f"{name} must be a whole number.", value)
    return number if 0 <= number <= LARGEST_ID else -1


def checked(
    serializer: type[Serializer[Any]], data: Any, where: str = "body", *, partial: bool = False
) -> dict[str, Any]:
    """*data* as *serializer* reads it.

    :raises Invalid: naming each wrong value
    """
    reader = serializer(data=data, partial=partial)
    if not reader.is_valid():
        raise Invalid(list(entries_of(reader.errors, data, [where])))
    return dict(reader.validated_data)


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
        return response
