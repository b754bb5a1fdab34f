"""Taking sources in: uploads, web addresses, and what a plugin's parameters name. Nothing is converted here."""

import json
import secrets
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar

from django.conf import settings
from django.utils.datastructures import MultiValueDict
from rest_framework.exceptions import ParseError
from rest_framework.parsers import DataAndFiles, MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import Serializer

from collections_app import links
from collections_app.endpoint import checked
from collections_app.fields import is_storable
from collections_app.http import refuse_more_than
from collections_app.http_errors import Invalid, TooLarge, invalid
from collections_app.models import Collection
from ingestion import idempotency, services, sources, storage
from ingestion.api.base import BadRequest, IngestionEndpoint, invalid_parameters, live_collection
from ingestion.idempotency import Once
from ingestion.models import LIVE, FileRegistry, FileStatus
from ingestion.serializers import AddressesSerializer, SourceSerializer, UploadSerializer
from ingestion.wire import file_link
from plugins.catalogue import PluginInfo
from plugins.registry import BASE_INGEST, FILE_INGEST, REMOTE_INGEST

REST_OF_FORM = 1024 * 1024  # bytes that the other fields of an upload may take


class UploadParser(MultiPartParser):
    """Multipart, with files going straight to the storage. Any other body counts as an empty form."""

    def parse(self, stream: Any, media_type: str | None = None, parser_context: Any = None) -> "DataAndFiles[Any, Any]":
        if not (media_type or "").lower().startswith("multipart/form-data"):
            return DataAndFiles({}, MultiValueDict())
        try:
            return super().parse(stream, media_type, parser_context)
        except ParseError as error:
            raise invalid("body", "file", "multipart_invalid", f"The form cannot be read: {error.detail}") from error


class UploadViewSet(IngestionEndpoint):
    """Upload one file; the answer names the job that ingests it."""

    parser_classes = (UploadParser,)
    forms: ClassVar[Mapping[str, type[Serializer[Any]]]] = {"upload": UploadSerializer}

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        # Before authentication, whose CSRF check may read the form.
        refuse_more_than(settings.KB_MAX_UPLOAD_MB, request, "upload", around=REST_OF_FORM)
        super().initial(request, *args, **kwargs)

    def upload(self, request: Request, collection_id: int) -> Response:
        """``plugin_params`` is a JSON object."""
        form = uploaded(request)
        collection = live_collection(collection_id)
        info = services.plugin(form["plugin_name"])
        params = params_of(form["plugin_params"])
        upload: storage.Upload = form["file"]
        check_type(info, upload.name)
        sent = [upload.sha256, upload.name, info.name, params, form["on_duplicate"]]
        once = idempotency.once(request, "ingest-file", collection_id, *sent)
        return submitted(once, collection, info, params, form["on_duplicate"], upload=upload)


class SourceViewSet(IngestionEndpoint):
    """Sources that a worker fetches; the answer names the job that ingests it."""

    forms: ClassVar[Mapping[str, type[Serializer[Any]]]] = {
        "addresses": AddressesSerializer,
        "source": SourceSerializer,
    }

    def addresses(self, request: Request, collection_id: int) -> Response:
        """Fetch web addresses."""
        body = checked(AddressesSerializer, request.data)
        collection = live_collection(collection_id)
        info = services.plugin(body["plugin_name"])
        if info.kind != REMOTE_INGEST:
            raise services.WrongPluginKind(f"{info.name} fetches nothing. Upload the file, or choose another plugin.")
        params = {**sources.address_parameters(info, body["urls"]), **body["plugin_params"]}
        name = sources.first_address(params) or "unknown_url"
        once = idempotency.once(request, "ingest-url", collection_id, body)
        return submitted(once, collection, info, params, body["on_duplicate"], **sources.named(name))

    def source(self, request: Request, collection_id: int) -> Response:
        """Ingest a source that is no file: the plugin's parameters say which."""
        body = checked(SourceSerializer, request.data)
        collection = live_collection(collection_id)
        info = services.plugin(body["plugin_name"])
        if info.kind not in {BASE_INGEST, REMOTE_INGEST}:
            raise services.WrongPluginKind(f"{info.name} needs a file. Send it to ingest-file.")
        params = body["plugin_params"]
        name = sources.first_address(params)
        wanted = sources.address_names(info)
        if not name and wanted and info.kind == REMOTE_INGEST:
            raise BadRequest(f"{info.name} needs an address. Set {' or '.join(wanted)}.")
        once = idempotency.once(request, "ingest-base", collection_id, body)
        name = name or f"{info.name}_{secrets.token_hex(16)}.md"
        return submitted(once, collection, info, params, body["on_duplicate"], **sources.named(name))


# -- The upload's form ------------------------------------------------------------------------------


def uploaded(request: Request) -> dict[str, Any]:
    """File, plugin name and parameters of the form. Everything else in it is ignored.

    :raises TooLarge: the file passed the limit although the request did not announce it
    :raises Invalid: naming what is missing
    """
    fields, files = request.POST, request.FILES
    refuse_cut_off(request)
    form = {
        "file": files.get("file") if files else None,
        "plugin_name": fields.get("plugin_name"),
        "plugin_params": fields.get("plugin_params") or "{}",
        "on_duplicate": fields.get("on_duplicate") or services.OnDuplicate.ALLOW,
    }
    for name in ("plugin_name", "plugin_params", "on_duplicate"):
        if name in files:
            raise invalid("body", name, "string_type", f"{name} must be text, not a file.")
    if lacking := [name for name in ("file", "plugin_name") if not form[name]]:
        raise Invalid([missing(name) for name in lacking])
    if form["on_duplicate"] not in services.OnDuplicate.values:
        choices = f"Must be one of: {', '.join(services.OnDuplicate.values)}."
        raise invalid("body", "on_duplicate", "enum", choices, form["on_duplicate"])
    return form


def refuse_cut_off(request: Request) -> None:
    """:raises TooLarge: the file passed the limit while it was read, so its form was not read to its end"""
    if getattr(request._request, "upload_too_large", False):
        raise TooLarge(f"The file is larger than {settings.KB_MAX_UPLOAD_MB} MB, which is the most this server takes.")


def missing(name: str) -> dict[str, Any]:
    return {"type": "missing", "loc": ["body", name], "msg": f"The form needs a {name}.", "input": None}


def params_of(text: str) -> dict[str, Any]:
    """:raises BadRequest: no JSON object"""
    try:
        params = json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise BadRequest(f"plugin_params is not valid JSON: {error}.") from error
    if not isinstance(params, dict):
        raise BadRequest('plugin_params must be a JSON object, such as {"chunk_size": 1000}.')
    if not is_storable(params):
        raise BadRequest("plugin_params holds characters that are not text.")
    return params


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not a number that JSON knows")


def check_type(info: PluginInfo, name: str) -> None:
    """Refuse what the plugin cannot read, before anybody waits for it to fail.

    Remote plugins are not asked: LAMB sends them a small text file that stands for the address.

    :raises BadRequest: naming the accepted types
    """
    extension = storage.extension_of(name).lstrip(".")
    if info.kind != FILE_INGEST or not info.supported_file_types or extension in info.supported_file_types:
        return
    given = f"{extension} files" if extension else "files without an extension"
    raise BadRequest(f"{info.name} does not read {given}. It reads: {', '.join(info.supported_file_types)}.")


# -- The answer -------------------------------------------------------------------------------------


def submitted(
    once: Once | None,
    collection: Collection,
    info: PluginInfo,
    params: Mapping[str, Any],
    on_duplicate: str,
    **source: Any,
) -> Response:
    """Register the source and answer with its job, or with the one that the collection has of it already."""

    def act(remember: Callable[[dict[str, Any]], None]) -> dict[str, Any]:
        def remember_job(job: FileRegistry) -> None:
            remember(receipt(collection, job))

        try:
            job = services.submit(
                collection, info.name, params, on_duplicate=on_duplicate, remember=remember_job, **source
            )
        except services.DuplicateFound as found:
            answer = receipt(collection, found.job, skipped=True)
            remember(answer)
            return answer
        return receipt(collection, job)

    try:
        return idempotency.respond(once, act, shown)
    except services.InvalidParameters as error:
        raise invalid_parameters(error, "plugin_params") from error


def receipt(collection: Collection, job: FileRegistry, *, skipped: bool = False) -> dict[str, Any]:
    """What an intake answers, its link not signed yet.

    A new job is ``processing`` there: clients wait for exactly that word.
    """
    stored = links.static_path(job.owner, collection.name, Path(job.file_path).name) if job.file_path else ""
    return {
        "collection_id": collection.pk,
        "collection_name": collection.name,
        "documents_added": 0,
        "success": True,
        "status": FileStatus.PROCESSING if job.status in LIVE else job.status,
        "skipped": skipped,
        "id": job.pk,
        "job_id": job.pk,
        "file_registry_id": job.pk,
        "file_path": job.file_path,
        "file_url": stored or file_link(job.owner, collection.name, "", job.file_url),
        "original_filename": job.original_filename,
        "plugin_name": job.plugin_name,
    }


def shown(receipt: dict[str, Any]) -> dict[str, Any]:
    return {**receipt, "file_url": links.absolute(links.signed(receipt["file_url"]))}
