"""What every page is: for somebody who is logged in, in their language, with strict rules for what it may load."""

import logging
from collections.abc import Callable
from functools import wraps
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.db import OperationalError
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.shortcuts import render
from django.utils import translation
from django.utils.translation import gettext as _
from django.views import defaults

from collections_app import http_errors

logger = logging.getLogger("kb.http")

View = Callable[..., HttpResponseBase]

CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        "connect-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)
HOME = "/ui/"


def page(view: View) -> View:
    """A view of the pages. Who is not logged in is sent to log in; what is refused is said in the same dress."""

    @wraps(view)
    def shown(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        with translation.override(language_of(request)):
            if not request.user.is_authenticated:
                if is_script(request):
                    return told(request, 401)
                return dressed(redirect_to_login(way_back(request), settings.LOGIN_URL))
            try:
                response = view(request, *args, **kwargs)
            except Http404:
                return problem(request, 404)
            except PermissionDenied:
                return problem(request, 403)
            except OperationalError:
                logger.exception("The database did not answer")
                return broken(request, 503)
            return problem(request, 405) if response.status_code == 405 else dressed(response)

    return shown


def public_page(view: View) -> View:
    """The same for pages that need no login."""

    @wraps(view)
    def shown(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        with translation.override(language_of(request)):
            response = view(request, *args, **kwargs)
            return problem(request, 405) if response.status_code == 405 else dressed(response)

    return shown


def dressed(response: HttpResponseBase) -> HttpResponseBase:
    if hasattr(response, "render"):  # while the language is the reader's
        response.render()
    response.headers.setdefault("Content-Security-Policy", CONTENT_SECURITY_POLICY)
    response.headers.setdefault("Referrer-Policy", "same-origin")
    response.headers.setdefault("Cache-Control", "private, no-cache")
    return response


def way_back(request: HttpRequest) -> str:
    """Where somebody goes on who had to log in: a form that was sent cannot be sent again, its page can be shown."""
    return request.get_full_path() if request.method in {"GET", "HEAD"} else referring_page(request) or HOME


def referring_page(request: HttpRequest) -> str:
    """The page of ours that the request comes from, without its host; empty for one from elsewhere."""
    came = urlsplit(request.headers.get("Referer", ""))
    if came.netloc != request.get_host() or not came.path.startswith(HOME):
        return ""
    return f"{came.path}?{came.query}" if came.query else came.path


def language_of(request: HttpRequest) -> str:
    """The one that was chosen on a page, otherwise the browser's."""
    return translation.get_language_from_request(request)


def is_script(request: HttpRequest) -> bool:
    """Asked for by a page's own script, which follows no way to a login."""
    return request.headers.get("X-Requested-With") == "fetch"


# -- What goes wrong --------------------------------------------------------------------------------


def problem(request: HttpRequest, status: int, **more: Any) -> HttpResponse:
    """An error as a page of ours; in a sentence for a page's own script.

    :param more: what the page's template knows beside the status
    """
    if is_script(request):
        return told(request, status)
    response = render(request, "ui/problem.html", {"status": status, **more}, status=status)
    return dressed(response)  # type: ignore[return-value]


def told(request: HttpRequest, status: int) -> HttpResponse:
    sentences = {
        400: _("The request broke off, or is too large. Send it again."),
        401: _("You are logged out. Log in again in another tab, then try again here."),
        403: _("You may not do this, or the page was open for too long. Load it again."),
        404: _("This collection is not there any more."),
    }
    return dressed(JsonResponse({"detail": sentences.get(status, "")}, status=status))  # type: ignore[return-value]


def is_ours(request: HttpRequest) -> bool:
    return request.path.startswith(HOME)


def server_error(request: HttpRequest) -> HttpResponse:
    """500, after the error was logged. It asks nothing of the database, which may be what is broken."""
    return broken(request, 500) if is_ours(request) else http_errors.server_error(request)


def broken(request: HttpRequest, status: int) -> HttpResponse:
    response = defaults.server_error(request, template_name="ui/broken.html")
    response.status_code = status
    return dressed(response)  # type: ignore[return-value]


def bad_request(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """400: what was sent is too large, or broke off."""
    if not is_ours(request):
        return http_errors.bad_request(request, exception)
    with translation.override(language_of(request)):
        return problem(request, 400)


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    """A form that was open too long, or sent by another site."""
    if not is_ours(request):
        from django.views.csrf import csrf_failure as djangos

        return djangos(request, reason)
    with translation.override(language_of(request)):
        return problem(request, 403)


@page
def unknown(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
    raise Http404
