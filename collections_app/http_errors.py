"""How every error is answered: ``{"detail": "a sentence"}``, and 422 with a list that names each wrong value."""

import errno
import logging
from collections.abc import Iterator, Mapping
from http import HTTPStatus
from typing import Any

from django.core.exceptions import (
    PermissionDenied,
    RequestDataTooBig,
    TooManyFieldsSent,
    TooManyFilesSent,
)
from django.db import OperationalError
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse, UnreadablePostError
from django.shortcuts import resolve_url
from django.utils.http import urlencode
from django.views import defaults
from rest_framework import exceptions, status
from rest_framework.exceptions import ErrorDetail
from rest_framework.response import Response

from plugins.base import PluginError

logger = logging.getLogger("kb.http")

# The codes of Django REST framework in the words that clients of the original know (pydantic's).
TYPES = {
    "required": "missing",
    "null": "null_forbidden",
    "blank": "string_too_short",
    "min_length": "string_too_short",
    "max_length": "string_too_long",
    "min_value": "greater_than_equal",
    "max_value": "less_than_equal",
    "invalid_choice": "enum",
    "not_a_list": "list_type",
    "not_a_dict": "dict_type",
}


class Invalid(exceptions.APIException):
    """422: a value of the wrong shape, type or range.

    :param entries: ``{"type", "loc", "msg", "input"}`` each
    """

    status_code = status.HTTP_422_UNPROCESSABLE_ENTITY

    def __init__(self, entries: list[dict[str, Any]]) -> None:
        super().__init__()
        self.entries = entries


class BadRequest(exceptions.APIException):
    """400: well formed, but makes no sense here."""

    status_code = status.HTTP_400_BAD_REQUEST


class TooLarge(exceptions.APIException):
    status_code = status.HTTP_413_REQUEST_ENTITY_TOO_LARGE


class LengthRequired(exceptions.APIException):
    status_code = status.HTTP_411_LENGTH_REQUIRED
    default_detail = "Send a Content-Length: this server does not take chunked bodies."


def invalid(where: str, name: str | int, kind: str, message: str, given: Any = None) -> Invalid:
    """One wrong value; *where* is ``body``, ``query`` or ``path``."""
    return Invalid([{"type": kind, "loc": [where, name], "msg": message, "input": given}])


def entries_of(detail: Any, data: Any, loc: list[str | int]) -> Iterator[dict[str, Any]]:
    """The errors of a serializer, flat, each with its place and the value that was sent there."""
    if isinstance(detail, Mapping):
        for name, inner in detail.items():
            if name == "non_field_errors":
                yield from entries_of(inner, data, loc)
            else:
                yield from entries_of(inner, _part(data, name), [*loc, name])
    elif isinstance(detail, list):
        for place, inner in enumerate(detail):
            if isinstance(inner, ErrorDetail):
                yield _entry(inner, data, loc)
            elif inner:
                yield from entries_of(inner, _part(data, place), [*loc, place])
    else:
        yield _entry(ErrorDetail(str(detail), getattr(detail, "code", "invalid")), data, loc)


def _entry(error: ErrorDetail, data: Any, loc: list[str | int]) -> dict[str, Any]:
    kind = TYPES.get(error.code or "", error.code or "value_error")
    return {"type": kind, "loc": loc, "msg": str(error), "input": data}


def _part(data: Any, name: str | int) -> Any:
    try:
        return data[name]
    except (KeyError, IndexError, TypeError):
        return None


# -- From exceptions to answers ---------------------------------------------------------------------


def exception_handler(error: Exception, context: Mapping[str, Any]) -> HttpResponse | None:
    """The answer for *error*; None when it is nobody's fault but ours (then it is logged and answered 500)."""
    view, request = context.get("view"), context.get("request")
    if isinstance(error, exceptions.NotAuthenticated) and getattr(request, "accepted_renderer", None):
        if request is not None and request.accepted_renderer.format == "api":
            return HttpResponseRedirect(f"{resolve_url('admin:login')}?{urlencode({'next': request.get_full_path()})}")
        return answer(status.HTTP_401_UNAUTHORIZED, "Not authenticated", {"WWW-Authenticate": "Bearer"})
    domain: Mapping[type[Exception], int] = getattr(view, "domain_errors", {})
    for kind, code in domain.items():
        if isinstance(error, kind):
            return answer(code, sentence(error))
    if isinstance(error, Invalid):
        return answer(error.status_code, error.entries)
    if isinstance(error, exceptions.ValidationError):
        return answer(status.HTTP_422_UNPROCESSABLE_ENTITY, list(entries_of(error.detail, None, ["body"])))
    if isinstance(error, exceptions.ParseError):
        return answer(status.HTTP_422_UNPROCESSABLE_ENTITY, _unreadable(str(error.detail)))
    if isinstance(error, exceptions.APIException):
        return _of_rest_framework(error)
    return _of_django(error)


def _of_rest_framework(error: exceptions.APIException) -> Response:
    headers = {}
    if challenge := getattr(error, "auth_header", None):
        headers["WWW-Authenticate"] = challenge
    if isinstance(error, exceptions.MethodNotAllowed):
        return answer(error.status_code, "Method Not Allowed")
    return answer(error.status_code, str(error.detail), headers)


def _of_django(error: Exception) -> Response | None:
    if isinstance(error, Http404):
        return answer(status.HTTP_404_NOT_FOUND, "Not Found")
    if isinstance(error, PermissionDenied):
        return answer(status.HTTP_403_FORBIDDEN, "You may not do this.")
    if isinstance(error, RequestDataTooBig):
        return answer(status.HTTP_413_REQUEST_ENTITY_TOO_LARGE, "The request is too large. Send less at once.")
    if isinstance(error, TooManyFieldsSent | TooManyFilesSent):
        return answer(status.HTTP_400_BAD_REQUEST, "The form has too many fields or files. Send one file a request.")
    if isinstance(error, UnreadablePostError):
        return answer(status.HTTP_400_BAD_REQUEST, "The request broke off before it was complete. Send it again.")
    if isinstance(error, OSError) and error.errno in {errno.ENOSPC, errno.EDQUOT}:
        logger.error("No space left: %s", error)
        return answer(status.HTTP_507_INSUFFICIENT_STORAGE, "The server's disk is full. Try again later.")
    if isinstance(error, OperationalError):
        logger.exception("The database did not answer")
        return answer(
            status.HTTP_503_SERVICE_UNAVAILABLE, "The database is busy. Try again in a moment.", {"Retry-After": "1"}
        )
    return None


def answer(code: int, detail: Any, headers: Mapping[str, str] | None = None) -> Response:
    return Response({"detail": detail}, status=code, headers=dict(headers or {}))


def sentence(error: Exception) -> str:
    """What went wrong and what to do, for people."""
    if isinstance(error, PluginError):
        return f"{error.message} {error.hint}".strip()
    return str(error)


def _unreadable(reason: str) -> list[dict[str, Any]]:
    return [{"type": "value_error", "loc": ["body"], "msg": reason, "input": None}]


# -- Outside of any view ----------------------------------------------------------------------------


def not_found(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """404 for addresses that nobody serves: JSON, except among the pages of the admin."""
    if request.path.startswith("/admin/") and exception is not None:
        return defaults.page_not_found(request, exception)
    return JsonResponse({"detail": "Not Found"}, status=status.HTTP_404_NOT_FOUND)


def bad_request(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    return JsonResponse({"detail": HTTPStatus.BAD_REQUEST.phrase}, status=status.HTTP_400_BAD_REQUEST)


def server_error(request: HttpRequest) -> HttpResponse:
    """500, after the error was logged."""
    if request.path.startswith("/admin/"):
        return defaults.server_error(request)
    return JsonResponse(
        {"detail": HTTPStatus.INTERNAL_SERVER_ERROR.phrase}, status=status.HTTP_500_INTERNAL_SERVER_ERROR
    )
