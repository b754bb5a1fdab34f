"""What the server says of itself: health, versions, settings that clients need, and its plugins."""

from typing import Any

from django.conf import settings
from django.db import OperationalError, connection
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, HttpResponseBase, HttpResponseRedirect
from rest_framework.request import Request
from rest_framework.response import Response

from collections_app import catalogue
from collections_app.endpoint import Endpoint
from collections_app.models import Collection
from ingestion.api.base import IngestionEndpoint
from plugins.catalogue import is_enabled, listing_entry


class PublicView(Endpoint):
    """What anybody may know. A token is not even looked at: LAMB sends its own, right or wrong, to ``/health``."""

    authentication_classes = ()
    permission_classes = ()

    def health(self, request: Request) -> Response:
        """Answers as long as the web server does, and asks nothing else."""
        return Response({"status": "ok", "version": settings.VERSION})

    def config(self, request: Request) -> Response:
        """What pages need to know before anybody has logged in."""
        return Response({"refresh_rate": settings.INGESTION_JOB_REFRESH_RATE})


class StartView(IngestionEndpoint):
    """Programs get JSON; people are sent to the pages, whether they are logged in or not."""

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if request.method == "GET" and "text/html" in request.headers.get("Accept", ""):
            return HttpResponseRedirect("/admin/")
        return super().dispatch(request, *args, **kwargs)

    def root(self, request: Request) -> Response:
        """Says who is there. Browsers are sent to `/admin/`."""
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


def database_errors() -> list[str]:
    """What is wrong with the database, in sentences; empty when nothing is."""
    try:
        executor = MigrationExecutor(connection)
        plan = executor.migration_plan(executor.loader.graph.leaf_nodes())
    except OperationalError:
        return ["The database does not answer."]
    return [f"Migration {migration} is not applied. Restart the server with `manage.py up`." for migration, _ in plan]
