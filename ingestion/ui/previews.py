"""How a source would be cut, before it is taken in: two settings side by side, and the better one is kept."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial, wraps
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
from ingestion.models import LIVE, FileRegistry, FileStatus
from ingestion.ui import access
from ingestion.ui.add import (
    ADDRESS_OF,
    ADDRESSES,
    REST_OF_FORM,
    Refused,
    addresses_of,
    form_of,
    on_duplicate,
    one_by_one,
    plugin,
    said,
    text_file,
    to_jobs,
    too_large,
    uploaded,
)
from ingestion.ui.fields import PREFIX, Field, entered, fields
from ingestion.ui.pages import is_script, page, problem
from ingestion.ui.phrases import translated
from plugins.parameters import ADDRESS_PARAMETERS
from plugins.passwords import address_without_password

HEIGHT, WIDTH, GAP = 60.0, 10.0, 2.0
SHOWN_ADDRESS = 100  # characters


class PreviewGone(Http404):
    """The collection has no such preview, mostly because it has expired."""


@dataclass(frozen=True)
class Side:
    """One of the two settings: its job, what it found, and the form to try others.

    :param bars: of the histogram: words, place from the left, from the top, and height
    :param others: addresses that were sent with its own
    :param refused: what the form holds was sent, and not taken
    """

    job: Mapping[str, Any]
    cut: Mapping[str, Any] | None
    bars: list[tuple[str, float, float, float]]
    fields: list[Field]
    live: bool
    others: list[str]
    refused: bool = False

    @property
    def name(self) -> str:
        return f"side-{self.job['id']}"

    @property
    def sources(self) -> int:
        """How many are taken in with it."""
        return 1 + len(self.others)

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
        source = source_of(request)
        others = addresses_of(request)[1:] if "upload" not in source else []
        for address in others:
            checked(source["plugin_name"], address)
        job = queued_and_closed(found, {**source, "sent_with": others})
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
        first = addresses_of(request)[0]
        info = plugin(ADDRESSES[kind])
        params = {**entered(info, request.POST), ADDRESS_OF[kind]: first}
        return {"plugin_name": info.name, "params": params, **sources.named(first)}
    if kind == "text":
        received = text_file(request)
        return {"plugin_name": sources.plugin_for_file(received.name), "params": {}, "upload": received}
    name, upload = uploaded(request)
    given = entered(plugin(name), request.POST) if request.POST.get("plugin") == name else {}
    return {"plugin_name": name, "params": given, "upload": upload}


def checked(plugin_name: str, address: str) -> None:
    """Say now what would be wrong with *address* when it is taken in.

    :raises Refused: which names it
    """
    params = {address_parameter(plugin_name): address}
    try:
        guarded(sources.first_address, params)
        guarded(services.check_parameters, plugin(plugin_name), params)
    except Refused as refused:
        raise Refused(f"{short(address_without_password(address))}: {refused}", refused.status) from refused


def address_parameter(plugin_name: str) -> str:
    """The parameter by which a plugin of the form takes a single address."""
    return next(ADDRESS_OF[kind] for kind, name in ADDRESSES.items() if name == plugin_name)


def short(address: str) -> str:
    return address if len(address) <= SHOWN_ADDRESS else f"{address[:SHOWN_ADDRESS]}…"


def of_preview(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    """A view of a preview of somebody's own collection, which it gets; of one that is gone it is said why."""

    @wraps(view)
    def shown(request: HttpRequest, collection_id: int, job_id: int) -> HttpResponse:
        found = access.own_collection(request.user, collection_id)
        try:
            return view(request, found, job_id)
        except PreviewGone:
            return problem(request, 404, preview_of=found)

    return shown


@page
@require_POST
@of_preview
def again(request: HttpRequest, found: Collection, job_id: int) -> HttpResponse:
    """The same source with other settings, beside the first."""
    job = preview_of(found, job_id)
    name = request.POST.get("plugin", "") or job.plugin_name
    try:
        made = queued(found, plugin_name=name, params=entered(plugin(name), request.POST), source_job=job)
    except Refused as refused:
        return refused_again(request, found, job, refused)
    return redirect(preview_address(request.POST, found.pk, compared(request.POST, job)[0], beside=made.pk))


def refused_again(request: HttpRequest, found: Collection, job: FileRegistry, refused: Refused) -> HttpResponse:
    """The page as it was, with what was entered, and what is wrong with it beside it."""
    numbers, limits = compared(request.POST, job), limits_in(request.POST)
    sides = [side(found, one, limits, request.POST, refused.errors) if one == job.pk else side(found, one, limits)
             for one in numbers]  # fmt: skip
    at_fields = {field.name for one in sides for field in one.fields if field.error}
    if not refused.errors or refused.errors.keys() - at_fields:
        messages.error(request, str(refused))
    address = back_to(request, found, numbers)
    return compare(request, found, sides, limits, status=refused.status, address=address)


def compared(form: QueryDict, job: FileRegistry) -> list[int]:
    """The previews that stood on the page of whoever sent *form* from the side of *job*: one or two."""
    numbers = [number for name in ("first", "beside") if (number := whole_number(form.get(name, ""))) is not None]
    return list(dict.fromkeys(numbers)) if job.pk in numbers else [job.pk]


@page
@require_POST
@of_preview
def take_in(request: HttpRequest, found: Collection, job_id: int) -> HttpResponse:
    """This one, for good; with it all addresses that were sent together with its own."""
    job = preview_of(found, job_id)
    limits, wish = limits_in(request.POST), on_duplicate(request.POST)
    numbers = compared(request.POST, job)
    if job.sent_with:
        each: list[Callable[[], FileRegistry]] = [partial(guarded, preview.ingest, job, limits, on_duplicate=wish)]
        each += [partial(like, job, one, limits, wish) for one in job.sent_with]
        jobs, refused_ones = one_by_one(request, each)
        if jobs:
            return to_jobs(request, found, jobs)
        return redirect(back_to(request, found, numbers)) if refused_ones else redirect("ui:collection", found.pk)
    try:
        made = guarded(preview.ingest, job, limits, on_duplicate=wish)
    except services.DuplicateFound as duplicate:
        messages.info(request, _("“%(name)s” is there already.") % {"name": job.original_filename})
        return redirect("ui:job", found.pk, duplicate.job.pk)
    except Refused as refused:
        messages.error(request, str(refused))
        return redirect(back_to(request, found, numbers))
    return redirect("ui:job", found.pk, made.pk)


def like(job: FileRegistry, address: str, limits: Mapping[str, int], wish: str) -> FileRegistry:
    """Take *address* in with the settings of the preview *job*.

    :param wish: what to do when it is there already

    :raises Refused, DuplicateFound:
    """
    info = plugin(job.plugin_name)
    left_out = {*preview.LIMITS, *ADDRESS_PARAMETERS}
    given = {name: value for name, value in preview.carried(job, info).items() if name not in left_out}
    params = {**given, **limits, address_parameter(info.name): address}
    made: FileRegistry = guarded(
        services.submit, job.collection, info.name, params, on_duplicate=wish, **sources.named(address)
    )
    return made


def back_to(request: HttpRequest, found: Collection, numbers: list[int]) -> str:
    """The page of these previews."""
    first, *others = numbers
    return preview_address(request.POST, found.pk, first, **({"beside": others[0]} if others else {}))


def preview_address(form: QueryDict, collection: int, job: int, **more: Any) -> str:
    """With what somebody set as a limit and for what is there already: the preview itself knows neither.

    :param more: further parameters
    """
    wish = on_duplicate(form)
    wishes = {"on_duplicate": wish} if wish != services.OnDuplicate.SKIP else {}
    query = urlencode({**more, **wishes, **{f"{PREFIX}{name}": value for name, value in limits_in(form).items()}})
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
@of_preview
def show(request: HttpRequest, found: Collection, job_id: int) -> HttpResponse:
    """One setting, or two side by side; for the page's script, only the parts that change."""
    beside = whole_number(request.GET.get("beside", ""))
    numbers = [job_id] if beside is None else [job_id, beside]
    limits = limits_in(request.GET)
    return compare(request, found, [side(found, number, limits) for number in dict.fromkeys(numbers)], limits)


def compare(
    request: HttpRequest,
    found: Collection,
    sides: list[Side],
    limits: Mapping[str, int],
    *,
    status: int = 200,
    address: str = "",
) -> HttpResponse:
    """:param address: of the page, where it answers a form that was sent to another"""
    form = request.POST if request.method == "POST" else request.GET
    context = {
        "collection": found,
        "sides": sides,
        "limits": {f"{PREFIX}{name}": value for name, value in limits.items()},
        "on_duplicate": on_duplicate(form),
        "first": sides[0],
        "beside": sides[1] if len(sides) > 1 else None,
        "others": [] if is_script(request) else [address_without_password(one) for one in sides[0].others],
        "address": address,
        "live": any(one.live for one in sides),
        "refresh": settings.INGESTION_JOB_REFRESH_RATE,
        "may_change": True,
    }
    template = "ui/_sides.html" if is_script(request) else "ui/preview.html"
    return render(request, template, context, status=status)


def side(
    found: Collection,
    number: int,
    limits: Mapping[str, int],
    form: QueryDict | None = None,
    errors: Mapping[str, str] | None = None,
) -> Side:
    """:param form: what was entered for it and refused, because of *errors* by the name of the parameter
    :raises PreviewGone: there is no such preview, or it has expired
    """
    others = preview_of(found, number).sent_with or []
    job = reads.job(found.pk, number)
    if job is None:
        raise PreviewGone
    info = catalogue.current().ingest.get(job["plugin_name"])
    cut = (job["processing_stats"] or {}).get("preview")
    own = {name: value for name, value in job["plugin_params"].items() if name not in preview.LIMITS}
    given = entered(info, form) if info and form else {}
    found_fields = fields(info, {**own, **limits, **given}, errors=errors) if info else []
    return Side(job, cut, bars(cut), found_fields, job["status"] in LIVE, others, refused=form is not None)


def preview_of(found: Collection, number: int) -> FileRegistry:
    """:raises PreviewGone:"""
    previews = FileRegistry.objects.previews().filter(pk=number, collection=found).exclude(status=FileStatus.DELETED)
    job = previews.select_related("collection").first()
    if job is None:
        raise PreviewGone
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
