"""Previews: how would this source be cut? Answered with a job that stores nothing."""

import secrets
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, ClassVar

from django.conf import settings
from rest_framework.parsers import BaseParser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import Serializer

from collections_app import links
from collections_app.endpoint import checked
from collections_app.http import JSONParser, Negotiation, refuse_more_than
from collections_app.http_errors import Invalid, invalid
from collections_app.models import Collection
from ingestion import idempotency, preview, reads, services, sources, storage
from ingestion.api.base import BadRequest, IngestionEndpoint, find_job, invalid_parameters, live_collection
from ingestion.api.intake import REST_OF_FORM, UploadParser, check_type, missing, params_of, refuse_cut_off, shown
from ingestion.models import FileRegistry
from ingestion.serializers import PreviewFormSerializer, PreviewSerializer
from ingestion.wire import without_masks
from plugins.catalogue import PluginInfo
from plugins.registry import FILE_INGEST, REMOTE_INGEST

FIELDS = ("plugin_name", "plugin_params", "url", "urls", "source_job")  # of the form, beside the file


def is_form(media_type: str | None) -> bool:
    return (media_type or "").lower().startswith("multipart/form-data")


class FormOrJson(Negotiation):
    """A form is read as such, anything else as JSON."""

    def select_parser(self, request: Request, parsers: Iterable[BaseParser]) -> BaseParser:
        form = is_form(request.content_type)
        return next(parser for parser in parsers if isinstance(parser, UploadParser) == form)


class PreviewViewSet(IngestionEndpoint):
    """See how a source would be cut before it is taken in."""

    parser_classes = (UploadParser, JSONParser)
    content_negotiation_class = FormOrJson
    forms: ClassVar[Mapping[str, type[Serializer[Any]]]] = {"preview": PreviewFormSerializer}

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        # Before authentication, whose CSRF check may read the form.
        refuse_more_than(settings.KB_MAX_UPLOAD_MB, request, "upload", around=REST_OF_FORM)
        super().initial(request, *args, **kwargs)

    def preview(self, request: Request, collection_id: int) -> Response:
        """See how a source would be cut, without storing anything of it.

        The source is one of: ``file`` (send a form), ``url`` or ``urls``, or ``source_job``, a job of this collection
        whose source is read again: so other parameters need no second upload. With its plugin, parameters that are not
        sent stay as they were there.

        The answer is a job of the kind ``preview``. Watch it as any other; once it has completed,
        ``processing_stats.preview`` says how many chunks there would be, how long they are, and shows the first of
        them. Of what has to be fetched, 3 pages or videos are read at most. It is gone after an hour.
        """
        body, upload = sent(request)
        collection = live_collection(collection_id)
        earlier = None if body["source_job"] is None else find_job(collection_id, body["source_job"])
        addresses = [*([body["url"]] if body["url"] else []), *body["urls"]]
        info = services.plugin(body["plugin_name"] or default_plugin(earlier, addresses))
        source: dict[str, Any]
        if upload:
            check_type(info, upload.name)
            source = {"upload": upload, "params": body["plugin_params"]}
        elif earlier:
            if earlier.file_path:
                check_type(info, earlier.original_filename)
            source = {"source_job": earlier, "params": without_masks(body["plugin_params"])}
        else:
            source = fetched(info, addresses, body["plugin_params"])
        told = [upload.sha256, upload.name] if upload else []
        once = idempotency.once(request, "preview", collection_id, told, body)
        return started(once, collection, info, source)


# -- What was sent ----------------------------------------------------------------------------------


def sent(request: Request) -> tuple[dict[str, Any], storage.Upload | None]:
    """The body as :class:`PreviewSerializer` reads it, and the file of a form.

    :raises Invalid: also where there is no source, or more than one
    """
    upload: storage.Upload | None = None
    given: Any = request.data
    if is_form(request.content_type):
        given, upload = read_form(request)
    body = checked(PreviewSerializer, given)
    named = [upload is not None, bool(body["url"] or body["urls"]), body["source_job"] is not None]
    if sum(named) > 1:
        raise invalid("body", "source_job", "value_error", "Send one source: a file, url or urls, or source_job.")
    if not body["plugin_name"] and not any(named[1:]):
        raise Invalid([missing("plugin_name"), *([] if upload else [missing("file")])])
    return body, upload


def read_form(request: Request) -> tuple[dict[str, Any], storage.Upload | None]:
    """The fields of a form as JSON would have them, and its file. What is empty counts as not sent.

    :raises TooLarge, Invalid, BadRequest:
    """
    fields, files = request.POST, request.FILES
    refuse_cut_off(request)
    for name in FIELDS:
        if name in files:
            raise invalid("body", name, "string_type", f"{name} must be text, not a file.")
    if fields.get("file"):
        raise invalid("body", "file", "value_error", "file must be a file, not text.")
    given: dict[str, Any] = {name: fields[name] for name in FIELDS if fields.get(name)}
    if "plugin_params" in given:
        given["plugin_params"] = params_of(given["plugin_params"])
    if "urls" in given:
        given["urls"] = [address for text in fields.getlist("urls") for address in text.split()]
    return given, files.get("file")


def default_plugin(earlier: FileRegistry | None, addresses: list[str]) -> str:
    return earlier.plugin_name if earlier else sources.plugin_for_address(addresses[0])


def fetched(info: PluginInfo, addresses: list[str], params: Mapping[str, Any]) -> dict[str, Any]:
    """A source that a worker fetches, for :func:`preview.submit`.

    :raises WrongPluginKind, WrongAddresses, Invalid, BadRequest:
    """
    if info.kind == FILE_INGEST:
        if addresses:
            raise services.WrongPluginKind(f"{info.name} fetches nothing. Upload the file, or choose another plugin.")
        raise Invalid([missing("file")])
    params = {**(sources.address_parameters(info, addresses) if addresses else {}), **params}
    name = sources.first_address(params)
    wanted = sources.address_names(info)
    if not name and wanted and info.kind == REMOTE_INGEST:
        raise BadRequest(f"{info.name} needs an address. Set {' or '.join(wanted)}.")
    return {"params": params, **sources.named(name or f"{info.name}_{secrets.token_hex(16)}.md")}


# -- The answer -------------------------------------------------------------------------------------


def started(
    once: idempotency.Once | None, collection: Collection, info: PluginInfo, source: Mapping[str, Any]
) -> Response:
    """Queue the preview, and answer with its job as it was queued."""

    def act(remember: Callable[[dict[str, Any]], None]) -> dict[str, Any]:
        answers: list[dict[str, Any]] = []

        def remember_job(job: FileRegistry) -> None:
            answers.append(unsigned(collection, job))
            remember(answers[0])

        preview.submit(collection, info.name, **source, remember=remember_job)
        return answers[0]

    try:
        return idempotency.respond(once, act, shown)
    except services.InvalidParameters as error:
        raise invalid_parameters(error, "plugin_params") from error


def unsigned(collection: Collection, job: FileRegistry) -> dict[str, Any]:
    """The job as it is answered, its link not signed yet."""
    answer = reads.job(collection.pk, job.pk)
    if answer is None:
        raise services.JobGone(job)
    if job.file_path:
        answer["file_url"] = links.static_path(job.owner, collection.name, Path(job.file_path).name)
    return answer
