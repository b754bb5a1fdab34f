"""Files over HTTP: list, delete, change of status, their text; and the stored files themselves under ``/static``."""

import mimetypes
import re
from collections.abc import Iterator
from pathlib import Path
from typing import IO
from urllib.parse import quote

from django.http import FileResponse, HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.views.decorators.http import require_http_methods
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response

from collections_app import links
from collections_app import services as collections
from collections_app.endpoint import checked
from collections_app.http import actor, bearer_token, holder_of
from collections_app.http_errors import invalid, not_found
from collections_app.serializers import moment
from ingestion import reads, services, storage
from ingestion.api.base import BadRequest, IngestionEndpoint, find_job, live_collection, wanted_status
from ingestion.models import FileRegistry, FileStatus
from ingestion.serializers import DeletionSerializer, FilesWantedSerializer
from ingestion.wire import file_object


class FileViewSet(IngestionEndpoint):
    """The files of a collection; each is the row that is also its job."""

    def list(self, request: Request, collection_id: int) -> Response:
        """A bare array, oldest first; deleted and failed ones too. ``limit`` and ``offset`` are optional."""
        wanted = checked(FilesWantedSerializer, request.query_params.dict(), "query")
        status = wanted_status(request.query_params.get("status", ""))
        rows = reads.rows(collection_id, status=status, limit=wanted["limit"], offset=wanted["offset"])
        if not rows:
            live_collection(collection_id)
        return Response([file_object(row) for row in rows])

    def destroy(self, request: Request, collection_id: int, file_id: int) -> Response:
        """Remove a file and all that was made from it. ``hard=false`` keeps its row, as deleted."""
        hard = checked(DeletionSerializer, request.query_params.dict(), "query")["hard"]
        job = find_job(collection_id, file_id)
        deletion = services.delete(job, hard=hard, by=actor(request))
        return Response(
            {
                "file_id": file_id,
                "collection_id": collection_id,
                "deleted_embeddings": deletion.chunks,
                "removed_files": deletion.files,
                "status": "deleted",
            }
        )

    def set_status(self, request: Request, file_id: int) -> Response:
        """Act, never overwrite: ``cancelled`` cancels, ``pending`` retries, ``deleted`` deletes softly."""
        status = request.query_params.get("status")
        if status is None:
            raise invalid("query", "status", "missing", "status is required.")
        if not status:
            raise BadRequest("status is empty. " + _choices())
        wanted_status(status)
        job = file_of_live_collection(file_id)
        services.set_status(job, status, by=actor(request))
        row = reads.row(job.collection_id, file_id)
        if row is None:
            raise NotFound(f"File {file_id} was deleted meanwhile.")
        return Response(file_object(row))

    def content(self, request: Request, file_id: int) -> Response:
        """The text that was made of the file, as queries find it."""
        job = file_of_live_collection(file_id)
        found = collections.file_chunks(file_id)
        if found is None:
            raise NotFound(f"Nothing of file {file_id} is stored: it is {job.status}.")
        return Response(
            {
                "file_id": file_id,
                "original_filename": job.original_filename,
                "content": "\n".join(found.texts),
                "content_type": "markdown",
                "chunk_count": len(found.texts),
                "timestamp": moment(found.published_at),
            }
        )


def _choices() -> str:
    return f"Choose one of: {', '.join(FileStatus.values)}."


def file_of_live_collection(file_id: int) -> FileRegistry:
    """:raises NotFound:"""
    job = FileRegistry.objects.filter(pk=file_id, collection__deleted_at__isnull=True).first()
    if job is None:
        raise NotFound(f"There is no file {file_id}." if file_id >= 0 else "There is no such file.")
    return job


# -- Stored files -----------------------------------------------------------------------------------

BYTE_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})", re.ASCII)
PIECE = 256 * 1024
# What we made of an upload may be looked at, but is never trusted: no scripts, no requests, an origin of its own.
SANDBOX = "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src 'self' data:"


@require_http_methods(["GET", "HEAD"])
def stored_file(request: HttpRequest, owner: str, collection: str, name: str) -> HttpResponseBase:
    """An upload, or what was made of it. Owner and collection are part of the address, the name alone decides.

    Whoever may not see it gets the same answer as for a file that does not exist.
    """
    match = storage.STORED_NAME.match(name)
    if match is None or not may_read(request, match["key"]):
        return not_found(request)
    job = FileRegistry.objects.filter(
        storage_key=match["key"], collection__deleted_at__isnull=True
    ).exclude(status=FileStatus.DELETED).only("file_path", "original_filename", "content_type").first()  # fmt: skip
    served = storage.served_file(name) if job else None
    if job is None or served is None:
        return not_found(request)
    path = served[1]
    response = part_of(path, request.headers.get("Range", ""))
    for header, value in headers_of(job, path).items():
        response.headers[header] = value
    return response


def may_read(request: HttpRequest, key: str) -> bool:
    """A signature for this file, the API's token, or a staff session."""
    if links.opens(key, request.GET):
        return True
    user = getattr(request, "user", None)
    if user is not None and user.is_active and user.is_staff:
        return True
    return holder_of(bearer_token(request)) is not None


def headers_of(job: FileRegistry, path: Path) -> dict[str, str]:
    """Uploads are saved, not shown: they would run scripts on our origin. What we made is shown in a sandbox."""
    kind = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    headers = {
        "X-Content-Type-Options": "nosniff",
        "Content-Security-Policy": SANDBOX,
        "Cache-Control": "private, no-cache",
        "Accept-Ranges": "bytes",
        "Referrer-Policy": "no-referrer",
        "Content-Type": f"{kind}; charset=utf-8" if kind.startswith("text/") else kind,
    }
    if path.name == Path(job.file_path).name:
        headers["Content-Disposition"] = f"attachment; filename*=UTF-8''{quote(job.original_filename, safe='')}"
    else:
        headers["Content-Disposition"] = "inline"
    return headers


def part_of(path: Path, wanted: str) -> HttpResponseBase:
    """The file, or the one range of bytes that is *wanted*; several ranges get the whole file."""
    size = path.stat().st_size
    match = BYTE_RANGE.fullmatch(wanted.strip())
    if match is None or not (match[1] or match[2]):
        response = FileResponse(path.open("rb"))
        response.headers["Content-Length"] = str(size)
        return response
    first = int(match[1]) if match[1] else max(0, size - int(match[2]))
    last = min(int(match[2]), size - 1) if match[1] and match[2] else size - 1
    if first > last or first >= size:
        return HttpResponse(status=416, headers={"Content-Range": f"bytes */{size}"})
    ranged = StreamingHttpResponse(pieces(path.open("rb"), first, last - first + 1), status=206)
    ranged.headers["Content-Length"] = str(last - first + 1)
    ranged.headers["Content-Range"] = f"bytes {first}-{last}/{size}"
    return ranged


def pieces(file: IO[bytes], start: int, length: int) -> Iterator[bytes]:
    with file:
        file.seek(start)
        while length > 0 and (data := file.read(min(PIECE, length))):
            length -= len(data)
            yield data
