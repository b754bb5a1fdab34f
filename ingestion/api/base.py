"""What the endpoints of ingestion share."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from rest_framework import status
from rest_framework.exceptions import NotFound

from collections_app.api import DOMAIN_ERRORS, live_collection, no_collection
from collections_app.endpoint import Endpoint
from collections_app.http_errors import BadRequest, Invalid
from ingestion import services, sources
from ingestion.models import FileRegistry, FileStatus
from ingestion.storage import NoSpace, UploadTooLarge
from ingestion.wire import redacted

RETRY, CANCEL, DELETE = (f"ingestion.{verb}_fileregistry" for verb in ("retry", "cancel", "delete"))


class IngestionEndpoint(Endpoint):
    """Knows what the errors of ``ingestion.services`` are on the wire, and which right each verb takes."""

    rights: ClassVar[Mapping[str, Sequence[str]]] = {
        "retry": (RETRY,),
        "cancel": (CANCEL,),
        "destroy": (DELETE,),
        "set_status": (RETRY, CANCEL, DELETE),  # it does any of them
    }

    domain_errors: ClassVar[Mapping[type[Exception], int]] = {
        services.UnknownPlugin: status.HTTP_404_NOT_FOUND,
        services.WrongPluginKind: status.HTTP_400_BAD_REQUEST,
        services.JobGone: status.HTTP_404_NOT_FOUND,
        sources.WrongAddresses: status.HTTP_400_BAD_REQUEST,
        services.WrongState: status.HTTP_400_BAD_REQUEST,
        NoSpace: status.HTTP_507_INSUFFICIENT_STORAGE,
        UploadTooLarge: status.HTTP_413_REQUEST_ENTITY_TOO_LARGE,
        **DOMAIN_ERRORS,
    }


def find_job(collection_id: int, job_id: int) -> FileRegistry:
    """:raises NotFound: saying whether the collection or the job is missing"""
    job = FileRegistry.objects.filter(
        pk=job_id, collection_id=collection_id, collection__deleted_at__isnull=True
    ).first()  # fmt: skip
    if job is None:
        raise no_job(collection_id, job_id)
    return job


def no_job(collection_id: int, job_id: int) -> NotFound:
    """:raises NotFound: when it is the collection that is missing"""
    live_collection(collection_id)
    return NotFound(f"Collection {collection_id} has no {f'job {job_id}' if job_id >= 0 else 'such job'}.")


def wanted_status(text: str) -> str:
    """A status to filter by; empty means all.

    :raises BadRequest: naming the choices
    """
    if text and text not in FileStatus.values:
        raise BadRequest(f"There is no status {text!r}. Choose one of: {', '.join(FileStatus.values)}.")
    return text


def invalid_parameters(error: services.InvalidParameters, field: str) -> Invalid:
    """422, with one entry a parameter under the *field* of the body that held it."""
    return Invalid([_entry(one, field) for one in error.errors])


def _entry(error: Any, field: str) -> dict[str, Any]:
    sent = redacted({error.name: error.input})[error.name]
    return {"type": error.type, "loc": ["body", field, error.name], "msg": error.message, "input": sent}


__all__ = [
    "BadRequest",
    "IngestionEndpoint",
    "find_job",
    "invalid_parameters",
    "live_collection",
    "no_collection",
    "no_job",
    "wanted_status",
]
