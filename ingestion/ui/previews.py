"""How a source would be cut, before it is taken in: two settings side by side, and the better one is kept."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse, QueryDict
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.http import urlencode
from django.utils.translation import gettext as _
from django.views.decorators.csrf import csrf_exempt, csrf_protect
from django.views.decorators.http import require_POST, require_safe

from collections_app import catalogue
from collections_app.errors import CollectionGone
from collections_app.models import Collection
from collections_app.numbers import whole_number
from ingestion import preview, reads, services, sources, storage
from ingestion.models import LIVE, FileRegistry
from ingestion.ui import access
from ingestion.ui.add import (
    ADDRESS_OF,
    ADDRESSES,
    REST_OF_FORM,
    Refused,
    form_of,
    plugin,
    said,
    text_file,
    too_large,
    uploaded,
)
from ingestion.ui.fields import PREFIX, Field, entered, fields
from ingestion.ui.pages import is_script, page
from ingestion.ui.phrases import translated

HEIGHT, WIDTH, GAP = 60.0, 10.0, 2.0


@dataclass(frozen=True)
class Side:
    """One of the two settings: its job, what it found, and the form to try others.

    :param bars: of the histogram: words, place from the left, from the top, and height
    """

    job: Mapping[str, Any]
    cut: Mapping[str, Any] | None
    bars: list[tuple[str, float, float, float]]
    fields: list[Field]
    live: bool

    @property
    def name(self) -> str:
        return f"side-{self.job['id']}"

    @property
    def width(self) -> float:
        """Of the histogram, in its own units."""
        return len(self.bars) * (WIDTH + GAP)


# -- Beginning one ----------------------------------------------------------------------------------


@csrf_exempt  # it would read an upload before anything is known of who sends it; checked below
@page
@require_POST
def begin(request: HttpRequest, collection_id: int) -> HttpResponse:
    """A preview of what the form of the page for adding holds: a file, an address, or text."""
    found = access.own_collection(request.user, collection_id)
    length = request.META.get("CONTENT_LENGTH") or ""
    if not length.isdigit() or int(length) > settings.KB_MAX_UPLOAD_MB * 2**20 + REST_OF_FORM:
        return said(too_large())
    return begun(request, found)


@csrf_protect
def begun(request: HttpRequest, found: Collection) -> HttpResponse:
    """Scripts get the preview's address as JSON, browsers are sent there."""
    try:
        job = queued_and_closed(found, source_of(request))
    except Refused as refused:
        if is_script(request):
            return said(refused)
        messages.error(request, str(refused))
        return form_of(request, found, request.POST.get("kind", ""), refused.status)
    address = preview_address(request.POST, found.pk, job.pk)
    return JsonResponse({"address": address, "job": job.pk}, status=201) if is_script(request) else redirect(address)


def queued_and_closed(found: Collection, source: Mapping[str, Any]) -> FileRegistry:
    """:raises Refused: then nothing of an upload stays behind"""
    try:
        return queued(found, **source)
    finally:
        if upload := source.get("upload"):
            upload.close()


def source_of(request: HttpRequest) -> dict[str, Any]:
    """What :func:`ingestion.preview.submit` is told of the form.

    :raises Refused:
    """
    kind = request.POST.get("kind", "")
    if kind in ADDRESSES:
        addresses = request.POST.get("addresses", "").split()
        if not addresses:
            raise Refused(_("Paste at least one address."))
        info = plugin(ADDRESSES[kind])
        params = {**entered(info, request.POST), ADDRESS_OF[kind]: addresses[0]}
        return {"plugin_name": info.name, "params": params, **sources.named(addresses[0])}
    if kind == "text":
        received = text_file(request)
        return {"plugin_name": sources.plugin_for_file(received.name), "params": {}, "upload": received}
    name, upload = uploaded(request)
    given = entered(plugin(name), request.POST) if request.POST.get("plugin") == name else {}
    return {"plugin_name": name, "params": given, "upload": upload}


@page
@require_POST
def again(request: HttpRequest, collection_id: int, job_id: int) -> HttpResponse:
    """The same source with other settings, beside the first."""
    found = access.own_collection(request.user, collection_id)
    job = preview_of(found, job_id)
    other = whole_number(request.POST.get("first", "")) or job.pk
    name = request.POST.get("plugin", "") or job.plugin_name
    try:
        made = queued(found, plugin_name=name, params=entered(plugin(name), request.POST), source_job=job)
    except Refused as refused:
        messages.error(request, str(refused))
        return redirect("ui:preview", found.pk, job.pk)
    return redirect(preview_address(request.POST, found.pk, other, beside=made.pk))


@page
@require_POST
def take_in(request: HttpRequest, collection_id: int, job_id: int) -> HttpResponse:
    """This one, for good."""
    found = access.own_collection(request.user, collection_id)
    job = preview_of(found, job_id)
    try:
        made = guarded(preview.ingest, job, limits_in(request.POST))
    except services.DuplicateFound as duplicate:
        messages.info(request, _("“%(name)s” is there already.") % {"name": job.original_filename})
        return redirect("ui:job", found.pk, duplicate.job.pk)
    except Refused as refused:
        messages.error(request, str(refused))
        return redirect("ui:preview", found.pk, job.pk)
    return redirect("ui:job", found.pk, made.pk)


def preview_address(form: QueryDict, collection: int, job: int, **more: Any) -> str:
    """With what somebody set as a limit: the preview itself fetches less."""
    query = urlencode({**more, **{f"{PREFIX}{name}": value for name, value in limits_in(form).items()}})
    return reverse("ui:preview", args=[collection, job]) + (f"?{query}" if query else "")


def limits_in(form: QueryDict) -> dict[str, int]:
    """How much a source may fetch, as it was set in the form."""
    given = {name: whole_number(form.get(f"{PREFIX}{name}", "")) for name in preview.LIMITS}
    return {name: number for name, number in given.items() if number is not None}


def queued(found: Collection, **source: Any) -> FileRegistry:
    """:raises Refused: in words for people"""
    job: FileRegistry = guarded(preview.submit, found, **source)
    return job


def guarded(verb: Any, *args: Any, **options: Any) -> Any:
    """Do it; what it refuses is said in words for people.

    :raises Refused:
    """
    try:
        return verb(*args, **options)
    except services.InvalidParameters as error:
        errors = {one.name: translated(one.message) for one in error.errors}
        raise Refused(" ".join(errors.values()), 422, errors) from error
    except storage.NoSpace as error:
        raise Refused(translated(error), 507) from error
    except (services.UnknownPlugin, services.WrongPluginKind, services.WrongState, CollectionGone,
            sources.WrongAddresses) as error:  # fmt: skip
        raise Refused(translated(error)) from error


# -- Looking ----------------------------------------------------------------------------------------


@page
@require_safe
def show(request: HttpRequest, collection_id: int, job_id: int) -> HttpResponse:
    """One setting, or two side by side; for the page's script, only the parts that change."""
    found = access.own_collection(request.user, collection_id)
    beside = whole_number(request.GET.get("beside", ""))
    numbers = [job_id] if beside is None else [job_id, beside]
    limits = limits_in(request.GET)
    sides = [side(found, number, limits) for number in dict.fromkeys(numbers)]
    context = {
        "collection": found,
        "sides": sides,
        "limits": {f"{PREFIX}{name}": value for name, value in limits.items()},
        "first": sides[0],
        "live": any(one.live for one in sides),
        "refresh": settings.INGESTION_JOB_REFRESH_RATE,
        "may_change": True,
    }
    return render(request, "ui/_sides.html" if is_script(request) else "ui/preview.html", context)


def side(found: Collection, number: int, limits: Mapping[str, int]) -> Side:
    """:raises Http404: there is no such preview, or it has expired"""
    preview_of(found, number)
    job = reads.job(found.pk, number)
    if job is None:
        raise Http404
    info = catalogue.current().ingest.get(job["plugin_name"])
    cut = (job["processing_stats"] or {}).get("preview")
    own = {name: value for name, value in job["plugin_params"].items() if name not in preview.LIMITS}
    return Side(job, cut, bars(cut), fields(info, {**own, **limits}) if info else [], job["status"] in LIVE)


def preview_of(found: Collection, number: int) -> FileRegistry:
    job = FileRegistry.objects.previews().filter(pk=number, collection=found).select_related("collection").first()
    if job is None:
        raise Http404
    return job


def bars(cut: Mapping[str, Any] | None) -> list[tuple[str, float, float, float]]:
    buckets = cut["histogram"] if cut else []
    most = max((bucket["chunks"] for bucket in buckets), default=0) or 1
    found = []
    for place, bucket in enumerate(buckets):
        height = HEIGHT * bucket["chunks"] / most
        words = f"{bucket['from']} – {bucket['to']}: {bucket['chunks']}"
        found.append((words, place * (WIDTH + GAP), round(HEIGHT - height, 2), round(height, 2)))
    return found
