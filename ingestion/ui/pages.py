"""What every page is: for somebody who is logged in, in their language, with strict rules for what it may load."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.conf import settings
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import render
from django.utils import translation
from django.views import defaults

from collections_app import http_errors

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
                    return dressed(HttpResponse(status=401))
                return dressed(redirect_to_login(request.get_full_path(), settings.LOGIN_URL))
            try:
                return dressed(view(request, *args, **kwargs))
            except Http404:
                return problem(request, 404)
            except PermissionDenied:
                return problem(request, 403)

    return shown


def public_page(view: View) -> View:
    """The same for pages that need no login."""

    @wraps(view)
    def shown(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        with translation.override(language_of(request)):
            return dressed(view(request, *args, **kwargs))

    return shown


def dressed(response: HttpResponseBase) -> HttpResponseBase:
    if hasattr(response, "render"):  # while the language is the reader's
        response.render()
    response.headers.setdefault("Content-Security-Policy", CONTENT_SECURITY_POLICY)
    response.headers.setdefault("Referrer-Policy", "same-origin")
    response.headers.setdefault("Cache-Control", "private, no-cache")
    return response


def language_of(request: HttpRequest) -> str:
    """The one that was chosen on a page, otherwise the browser's."""
    return translation.get_language_from_request(request)


def is_script(request: HttpRequest) -> bool:
    """Asked for by a page's own script, which follows no way to a login."""
    return request.headers.get("X-Requested-With") == "fetch"


# -- What goes wrong --------------------------------------------------------------------------------


def problem(request: HttpRequest, status: int) -> HttpResponse:
    """An error as a page of ours."""
    response = render(request, "ui/problem.html", {"status": status}, status=status)
    return dressed(response)  # type: ignore[return-value]


def is_ours(request: HttpRequest) -> bool:
    return request.path.startswith(HOME)


def server_error(request: HttpRequest) -> HttpResponse:
    """500, after the error was logged. It asks nothing of the database, which may be what is broken."""
    if not is_ours(request):
        return http_errors.server_error(request)
    response = defaults.server_error(request, template_name="ui/broken.html")
    return dressed(response)  # type: ignore[return-value]


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
