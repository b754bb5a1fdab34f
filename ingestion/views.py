"""Addresses that are not about one collection: health, configuration, plugins, stored files."""

from pathlib import Path

from django.conf import settings
from django.http import FileResponse, HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect, JsonResponse
from django.views.decorators.http import require_safe
from rest_framework.request import Request
from rest_framework.response import Response

from collections_app import catalogue, links
from collections_app.api import ApiViewSet
from collections_app.http import holds_token
from collections_app.models import Collection
from ingestion import storage
from ingestion.models import FileRegistry, FileStatus
from plugins.catalogue import is_enabled, listing_entry

INLINE = {".html", ".htm", ".png", ".jpg", ".jpeg", ".gif", ".webp"}
# What we made from a source may hold anything that the source held: no scripts, no forms, an origin of its own.
SANDBOX = "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src 'self' data:"


def only_get(request: HttpRequest) -> HttpResponse | None:
    """405 for other methods, HEAD included."""
    if request.method == "GET":
        return None
    answer = JsonResponse({"detail": "Method Not Allowed"}, status=405)
    answer["Allow"] = "GET"
    return answer


def health(request: HttpRequest) -> HttpResponse:
    """Public, and asks nobody: the process answers."""
    return only_get(request) or JsonResponse({"status": "ok", "version": settings.VERSION})


def ingestion_config(request: HttpRequest) -> HttpResponse:
    """Public: how often a page should poll, in seconds."""
    return only_get(request) or JsonResponse({"refresh_rate": settings.INGESTION_JOB_REFRESH_RATE})


class RootViewSet(ApiViewSet):
    """The start."""

    def retrieve(self, request: Request) -> Response:
        return Response({"message": f"KB Server {settings.VERSION}"})


def root(request: HttpRequest) -> HttpResponseBase:
    """JSON for those who hold the token; browsers are sent to the admin pages."""
    if request.method == "GET" and "text/html" in request.headers.get("Accept", ""):
        return HttpResponseRedirect("/admin/")
    answer: HttpResponseBase = RootViewSet.as_view({"get": "retrieve"})(request)
    return answer


class DatabaseStatusViewSet(ApiViewSet):
    """What LAMB's connection test asks for, in the words of the original's stores."""

    def retrieve(self, request: Request) -> Response:
        number = Collection.objects.filter(deleted_at__isnull=True).count()
        return Response(
            {
                "sqlite_status": {"initialized": True, "schema_valid": True, "errors": []},
                "chromadb_status": {"initialized": True, "collections_count": number},
                "collections_count": number,
            }
        )


class PluginsViewSet(ApiViewSet):
    """The ingest plugins, with the parameters that each declares."""

    def list(self, request: Request) -> Response:
        modes = settings.KB_PLUGIN_MODES
        plugins = catalogue.current().ingest.values()
        return Response([listing_entry(info, modes) for info in plugins if is_enabled(info.name, modes)])


# -- Stored files -----------------------------------------------------------------------------------


@require_safe
def stored_file(request: HttpRequest, owner: str, collection: str, name: str) -> HttpResponseBase:
    """An upload or what was made from it, for a token, a member of staff, or whoever holds a signed link.

    Owner and collection are not looked at: a link stays good when its collection is renamed.
    """
    missing = JsonResponse({"detail": "Not Found"}, status=404)
    if not may_read(request, name):
        if not request.headers.get("Authorization") and not request.GET.get("s"):
            answer = JsonResponse({"detail": "Not authenticated"}, status=401)
            answer["WWW-Authenticate"] = "Bearer"
            return answer
        return missing
    found = storage.served_file(name)
    if found is None or not is_live(found[0]):
        return missing
    return sent(found[1], request)


def may_read(request: HttpRequest, name: str) -> bool:
    if holds_token(request.headers.get("Authorization", "")):
        return True
    if links.is_valid(name.partition(".")[0], request.GET.get("s", ""), request.GET.get("e", "")):
        return True
    user = request.user
    return user.is_authenticated and user.is_active and user.is_staff


def is_live(key: str) -> bool:
    """Whether the file's row still stands."""
    rows = FileRegistry.objects.filter(storage_key=key, collection__deleted_at__isnull=True)
    return rows.exclude(status=FileStatus.DELETED).exists()


def sent(path: Path, request: HttpRequest) -> HttpResponseBase:
    """Uploads as attachments; what we made, inline in a sandbox."""
    row = FileRegistry.objects.only("file_path", "original_filename").get(storage_key=path.name.partition(".")[0])
    is_upload = Path(row.file_path).name == path.name
    inline = not is_upload and path.suffix in INLINE
    answer = FileResponse(
        path.open("rb"), as_attachment=not inline, filename=row.original_filename if is_upload else path.name
    )
    answer["X-Content-Type-Options"] = "nosniff"
    answer["Content-Security-Policy"] = SANDBOX
    answer["Cache-Control"] = "private, max-age=3600"
    return answer
