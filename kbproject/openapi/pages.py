"""The schema and the pages that show it, for everybody. Nothing on them comes from another host."""

from functools import cache
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe
from drf_spectacular.views import SpectacularRedocView, SpectacularSwaggerSplitView
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response

KEPT = settings.BASE_DIR / "docs" / "openapi.json"
# Both draw with inline styles and pictures; ReDoc searches in a worker.
SAME_HOST = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "font-src 'self' data:; connect-src 'self'; worker-src 'self' blob:; base-uri 'none'; frame-ancestors 'none'"
)


@cache
def _kept() -> bytes:
    return bytes(KEPT.read_bytes())


@require_safe
def kept_schema(request: HttpRequest) -> HttpResponse:
    """The schema as it is kept in the repository: making it anew takes half a second, and the same comes out."""
    return HttpResponse(_kept(), content_type="application/json")


class Swagger(SpectacularSwaggerSplitView):
    """Swagger UI: read, and try out."""

    schema = None  # a page is no operation
    authentication_classes = ()
    permission_classes = (AllowAny,)
    title = "KB Server · API"
    template_name = "openapi/swagger.html"

    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return same_host(super().get(request, *args, **kwargs))  # type: ignore[no-untyped-call]


class ReDoc(SpectacularRedocView):
    """ReDoc: read at leisure."""

    schema = None  # a page is no operation
    authentication_classes = ()
    permission_classes = (AllowAny,)
    title = "KB Server · API"
    template_name = "openapi/redoc.html"

    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return same_host(super().get(request, *args, **kwargs))  # type: ignore[no-untyped-call]


def same_host(response: Response) -> Response:
    response.headers["Content-Security-Policy"] = SAME_HOST
    return response
