"""What the server says of itself: health, versions, settings that clients need, and its plugins."""

import hmac
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from rest_framework.authentication import BaseAuthentication
from rest_framework.permissions import IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response

from collections_app import catalogue
from collections_app.endpoint import Endpoint
from collections_app.http import BearerAuthentication, StaffSessionAuthentication, TokenHolder, bearer_token
from collections_app.models import Collection
from ingestion import metrics
from ingestion.api.base import IngestionEndpoint
from ingestion.health import NOT_READY, database_errors, readiness
from plugins.catalogue import is_enabled, listing_entry


class PublicView(Endpoint):
    """What anybody may know. A token is not even looked at: LAMB sends its own, right or wrong, to ``/health``."""

    authentication_classes = ()
    permission_classes = ()

    def health(self, request: Request) -> Response:
        """Answers as long as the web server does, and asks nothing else."""
        return Response({"status": "ok", "version": settings.VERSION})

    def ready(self, request: Request) -> Response:
        """503 when the server cannot do its work. 200 while only the vendor is down: uploads and polls go on."""
        report = readiness.report()
        answer = Response(report, status=503 if report["status"] == NOT_READY else 200)
        # Or Django logs an error for each probe.
        answer._has_been_logged = True  # type: ignore[attr-defined]
        return answer

    def config(self, request: Request) -> Response:
        """What pages need to know before anybody has logged in."""
        return Response({"refresh_rate": settings.INGESTION_JOB_REFRESH_RATE})


class MetricsToken(BearerAuthentication):
    """The API's token, or the one that opens nothing but the metrics."""

    def authenticate(self, request: Request) -> tuple[TokenHolder, bytes] | None:
        own, token = settings.KB_METRICS_TOKEN.encode(), bearer_token(request)
        if own and hmac.compare_digest(token, own):
            return TokenHolder(), token
        return super().authenticate(request)


class MetricsView(Endpoint):
    """What Prometheus reads."""

    def get_authenticators(self) -> list[BaseAuthentication]:
        return [] if settings.KB_METRICS_PUBLIC else [MetricsToken(), StaffSessionAuthentication()]

    def get_permissions(self) -> list[Any]:
        return [] if settings.KB_METRICS_PUBLIC else [IsAuthenticated()]

    def read(self, request: Request) -> HttpResponse:
        """Figures in the format of Prometheus, or of OpenMetrics where that is asked for."""
        content, content_type = metrics.exposition(request.META.get("HTTP_ACCEPT", ""))
        return HttpResponse(content, content_type=content_type, headers={"Content-Length": str(len(content))})


class StartView(IngestionEndpoint):
    """Programs get JSON; people are sent to the pages, whether they are logged in or not."""

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if request.method == "GET" and "text/html" in request.headers.get("Accept", ""):
            return HttpResponseRedirect("/ui/")
        return super().dispatch(request, *args, **kwargs)

    def root(self, request: Request) -> Response:
        """Says who is there. Browsers are sent to `/ui/`."""
        return Response({"message": f"KB Server {settings.VERSION}"})


class SystemView(IngestionEndpoint):
    def database(self, request: Request) -> Response:
        """Whether the database answers and has this version's tables. Kept in the shape of two stores."""
        errors = database_errors()
        collections = Collection.objects.live().count() if not errors else 0
        return Response(
            {
                "sqlite_status": {"initialized": True, "schema_valid": not errors, "errors": errors},
                "chromadb_status": {"initialized": True, "collections_count": collections},
                "collections_count": collections,
            }
        )

    def plugins(self, request: Request) -> Response:
        """The ingest plugins, sorted by name, with the parameters that people may set."""
        modes = settings.KB_PLUGIN_MODES
        installed = catalogue.current().ingest
        return Response([listing_entry(info, modes) for name, info in installed.items() if is_enabled(name, modes)])
