"""Feeding a collection: files, web pages, videos or pasted text, with the parameters that their plugin declares."""

import io
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse, JsonResponse, QueryDict
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.text import slugify
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.csrf import csrf_exempt, csrf_protect
from django.views.decorators.http import require_POST, require_safe

from collections_app import catalogue
from collections_app.errors import CollectionGone
from collections_app.models import Collection
from ingestion import services, sources, storage
from ingestion.models import FileRegistry
from ingestion.services import OnDuplicate
from ingestion.ui import access
from ingestion.ui.fields import entered, fields
from ingestion.ui.pages import page
from ingestion.ui.phrases import translated
from plugins.catalogue import PluginInfo, is_enabled
from plugins.registry import FILE_INGEST

FITTING = ""  # the plugin that suits each file
ADDRESSES = {"web": "url_ingest", "video": "youtube_transcript_ingest"}
ADDRESS_OF = {"web": "url", "video": "video_url"}  # the parameter for one, whose links are followed
KINDS = ("files", "web", "video", "text")
MOST_ADDRESSES = 200
TEXT_LENGTH = 2_000_000
REST_OF_FORM = 1024 * 1024  # bytes that the other fields of an upload may take


class Refused(Exception):
    """A source that cannot be taken in; the message is for the person who sent it.

    :param errors: sentences by the name of the parameter
    """

    def __init__(self, message: str, status: int = 400, errors: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.errors = dict(errors or {})


@dataclass(frozen=True)
class Choice:
    """A plugin that people may choose, with its form."""

    info: PluginInfo
    fields: list[Any]

    @property
    def types(self) -> str:
        """As an upload field's ``accept`` wants it."""
        return ",".join(f".{name}" for name in self.info.supported_file_types)


@page
@require_safe
def add(request: HttpRequest, collection_id: int) -> HttpResponse:
    found = access.own_collection(request.user, collection_id)
    return form_of(request, found, request.GET.get("kind", ""))


def form_of(request: HttpRequest, found: Collection, kind: str, status: int = 200) -> HttpResponse:
    """The page's form, with what was entered where it was sent and refused: nobody pastes 200 addresses twice."""
    installed = catalogue.current().ingest
    enabled = {name: info for name, info in installed.items() if is_enabled(name, settings.KB_PLUGIN_MODES)}
    context = {
        "collection": found,
        "may_change": True,
        "kind": kind if kind in KINDS else KINDS[0],
        "readers": [Choice(info, fields(info)) for info in enabled.values() if info.kind == FILE_INGEST],
        "fetchers": {
            kind: Choice(enabled[name], fields(enabled[name], entered(enabled[name], request.POST)))
            for kind, name in ADDRESSES.items()
            if name in enabled
        },
        "largest": settings.KB_MAX_UPLOAD_MB,
    }
    return render(request, "ui/add.html", context, status=status)


# -- Uploads: one file a request --------------------------------------------------------------------


@csrf_exempt  # it would read the whole upload before anything is known of who sends it; checked below
@page
@require_POST
def upload(request: HttpRequest, collection_id: int) -> HttpResponse:
    """One file. The answer is JSON for the page's script: the job's number and address, or what is wrong."""
    found = access.own_collection(request.user, collection_id)
    length = request.META.get("CONTENT_LENGTH") or ""
    if not length.isdigit() or int(length) > settings.KB_MAX_UPLOAD_MB * 2**20 + REST_OF_FORM:
        return said(too_large())
    return taken_in(request, found)


@csrf_protect
def taken_in(request: HttpRequest, found: Collection) -> HttpResponse:
    try:
        job = submitted(request, found, *uploaded(request))
    except services.DuplicateFound as duplicate:
        return JsonResponse({**told(found, duplicate.job), "skipped": True})
    except Refused as refused:
        return said(refused)
    return JsonResponse(told(found, job), status=201)


def uploaded(request: HttpRequest) -> tuple[str, storage.Upload]:
    """The plugin's name and the file.

    :raises Refused:
    """
    upload: Any = request.FILES.get("file")
    if getattr(request, "upload_too_large", False):
        raise too_large()
    if upload is None:
        raise Refused(_("No file arrived. Choose it again."))
    name = request.POST.get("plugin", FITTING) or sources.plugin_for_file(upload.name)
    info = plugin(name)
    extension = storage.extension_of(upload.name).lstrip(".")
    if info.kind == FILE_INGEST and info.supported_file_types and extension not in info.supported_file_types:
        raise Refused(
            _("%(plugin)s does not read this kind of file. It reads: %(types)s.")
            % {"plugin": info.name, "types": ", ".join(info.supported_file_types)}
        )
    return name, upload


def too_large() -> Refused:
    return Refused(_("The file is larger than %(size)s MB.") % {"size": settings.KB_MAX_UPLOAD_MB}, 413)


def told(found: Collection, job: FileRegistry) -> dict[str, Any]:
    return {"job": job.pk, "name": job.original_filename, "address": reverse("ui:job", args=[found.pk, job.pk])}


def said(refused: Refused) -> JsonResponse:
    return JsonResponse({"detail": str(refused), "errors": refused.errors}, status=refused.status)


# -- Addresses and text -----------------------------------------------------------------------------


@page
@require_POST
def fetch(request: HttpRequest, collection_id: int) -> HttpResponse:
    """Web pages or videos, each address a job of its own unless they are asked for together."""
    found = access.own_collection(request.user, collection_id)
    kind = "video" if request.POST.get("kind") == "video" else "web"
    try:
        addresses = addresses_of(request)
    except Refused as refused:
        messages.error(request, str(refused))
        return form_of(request, found, kind, refused.status)
    name = ADDRESSES[kind]
    each: list[Callable[[], FileRegistry]] = [
        lambda address=address: submitted(  # type: ignore[misc]
            request, found, name, extra={ADDRESS_OF[kind]: address}, **sources.named(address)
        )
        for address in addresses
    ]
    return several(request, found, kind, each)


def addresses_of(request: HttpRequest) -> list[str]:
    """Those of the form, each once.

    :raises Refused: none, or too many
    """
    addresses = list(dict.fromkeys(request.POST.get("addresses", "").split()))
    if not addresses:
        raise Refused(_("Paste at least one address."))
    if len(addresses) > MOST_ADDRESSES:
        raise Refused(_("At most %(number)s addresses at once.") % {"number": MOST_ADDRESSES})
    return addresses


@page
@require_POST
def write(request: HttpRequest, collection_id: int) -> HttpResponse:
    """Text that was pasted, kept as a file of its own."""
    found = access.own_collection(request.user, collection_id)

    def one() -> FileRegistry:
        received = text_file(request)
        try:
            return submitted(request, found, sources.plugin_for_file(received.name), received)
        finally:
            received.close()  # unless its job has kept it

    return several(request, found, "text", [one])


def text_file(request: HttpRequest) -> storage.Upload:
    """Pasted text as an upload, which the caller closes.

    :raises Refused:
    """
    text, title = request.POST.get("text", ""), request.POST.get("title", "").strip()[:120]
    if not text.strip():
        raise Refused(_("Paste or write some text first."))
    if len(text) > TEXT_LENGTH:
        raise Refused(_("That is more text than fits here. Save it as a file and upload that."))
    name = f"{slugify(title, allow_unicode=True) or 'text'}.md"
    try:
        return storage.receive(io.BytesIO(text.encode("utf-8", "replace")), name)
    except storage.UploadTooLarge as error:
        raise too_large() from error
    except storage.NoSpace as error:
        raise Refused(translated(error), 507) from error


def several(request: HttpRequest, found: Collection, kind: str, each: list[Callable[[], FileRegistry]]) -> HttpResponse:
    """Submit them one by one; where nothing was taken in, the form again."""
    jobs, refused = one_by_one(request, each)
    return to_jobs(request, found, jobs) if jobs else form_of(request, found, kind, 400 if refused else 200)


def one_by_one(
    request: HttpRequest, each: Iterable[Callable[[], FileRegistry]]
) -> tuple[list[FileRegistry], list[str]]:
    """The jobs, and why others were refused, which is said; what was submitted before stays taken in."""
    jobs: list[FileRegistry] = []
    skipped, refused = 0, []
    for one in each:
        try:
            jobs.append(one())
        except services.DuplicateFound:
            skipped += 1
        except Refused as error:
            refused.append(str(error))
    for sentence in list(dict.fromkeys(refused))[:3]:
        messages.error(request, sentence)
    if skipped:
        said = ngettext("%(number)s is there already.", "%(number)s are there already.", skipped)
        messages.info(request, said % {"number": skipped})
    return jobs, refused


def to_jobs(request: HttpRequest, found: Collection, jobs: list[FileRegistry]) -> HttpResponse:
    """Where what was taken in is watched."""
    if len(jobs) == 1:
        return redirect("ui:job", found.pk, jobs[0].pk)
    messages.success(request, _("%(number)s sources are taken in.") % {"number": len(jobs)})
    return redirect("ui:collection", found.pk)


# -- What they share --------------------------------------------------------------------------------


def submitted(
    request: HttpRequest,
    found: Collection,
    plugin_name: str,
    upload: storage.Upload | None = None,
    *,
    extra: Mapping[str, Any] | None = None,
    **source: Any,
) -> FileRegistry:
    """:raises Refused: in words for people
    :raises DuplicateFound: it was to be skipped
    """
    info = plugin(plugin_name)
    given = entered(info, request.POST) if request.POST.get("plugin") == plugin_name else {}
    try:
        return services.submit(
            found,
            plugin_name,
            {**given, **(extra or {})},
            upload=upload,
            on_duplicate=on_duplicate(request.POST),
            **source,
        )
    except services.InvalidParameters as error:
        errors = {one.name: translated(one.message) for one in error.errors}
        raise Refused(" ".join(errors.values()), 422, errors) from error
    except storage.NoSpace as error:
        raise Refused(translated(error), 507) from error
    except (services.UnknownPlugin, services.WrongPluginKind, CollectionGone, sources.WrongAddresses) as error:
        raise Refused(translated(error)) from error


def on_duplicate(form: QueryDict) -> str:
    """What to do with a source that is there already; it is skipped unless the form says otherwise."""
    wanted = form.get("on_duplicate", "")
    return wanted if wanted in OnDuplicate.values else str(OnDuplicate.SKIP)


def plugin(name: str) -> PluginInfo:
    """:raises Refused: it is not installed, or switched off"""
    try:
        return services.plugin(name)
    except services.UnknownPlugin as error:
        raise Refused(translated(error)) from error
