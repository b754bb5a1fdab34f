"""The page of a collection: its jobs as they go on, and what is done with them, one or many."""

import time
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.http import parse_etags
from django.utils.translation import get_language
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from collections_app import catalogue
from collections_app.models import Chunk, Collection, Document
from collections_app.numbers import whole_number
from ingestion import bulk, reads, services
from ingestion.failures import remedy_for
from ingestion.models import LIVE, FileRegistry, FileStatus, JobEvent, JobKind
from ingestion.ui import access, figures, rows
from ingestion.ui.confirm import unsure
from ingestion.ui.fields import entered, fields
from ingestion.ui.listing import Wanted, job_address, list_address, listed
from ingestion.ui.many import verbs
from ingestion.ui.pages import page
from ingestion.ui.phrases import translated
from ingestion.ui.words import amount, remaining

DIARY = 100  # latest entries
CHUNKS = 20  # on a page of them
AT_ONCE = 2000  # jobs that one request acts on
STAGES = 40
NO_STAGES = {"info", "warning"}  # notes of plugins, which the diary has too


# -- The page ---------------------------------------------------------------------------------------


@page
@require_safe
def collection(request: HttpRequest, collection_id: int, job_id: int | None = None) -> HttpResponse:
    """All of it; with *job_id* that job's dialog is open."""
    found = access.collection_for(request.user, collection_id)
    context = with_rows(alive(request, found, job_id))
    context |= {"days": figures.days(found), "stages": figures.stages(found)}
    if job_id is not None and context["job"] is None:
        raise Http404
    return render(request, "ui/collection.html", context)


@page
@require_safe
def live(request: HttpRequest, collection_id: int) -> HttpResponse:
    """The parts of the page that change, whatever their number, for the script that keeps it fresh.

    304 while nothing has changed since the answer whose ETag is sent back.
    """
    found = access.collection_for(request.user, collection_id)
    context = alive(request, found, whole_number(request.GET.get("job", "")))
    tag = etag(context)
    if tag in parse_etags(request.headers.get("If-None-Match", "")):
        return HttpResponse(status=304, headers={"ETag": tag})
    response = render(request, "ui/live.html", with_rows(context))
    response["ETag"] = tag
    return response


def alive(request: HttpRequest, found: Collection, job_id: int | None) -> dict[str, Any]:
    """What the changing parts are made of."""
    counts = reads.counts(found.pk)
    if counts is None:
        raise Http404
    wanted, newest = Wanted.of(request.GET.dict()), bulk.newest()
    listing = listed(found, wanted, counts.by_status)
    strip = figures.strip(found, counts.by_status)
    job = ingestion_of(found, job_id) if job_id is not None else None
    return {
        "collection": found,
        "may_change": access.may_change(request.user, found),
        "listing": listing,
        "newest": newest,
        "wanted": listing.wanted,
        "strip": strip,
        "job": job,
        "live": strip.live or listing.live or bool(job and job["status"] in LIVE),
        "refresh": settings.INGESTION_JOB_REFRESH_RATE,
        "clock": time.time_ns() // 1_000_000,
        **(details(request, found, job) if job else {}),
    }


def ingestion_of(found: Collection, job_id: int) -> dict[str, Any] | None:
    """None also for a preview, which is nobody's but its owner's and has a page of its own."""
    job = reads.job(found.pk, job_id)
    return job if job and job["kind"] == JobKind.INGESTION else None


def with_rows(context: dict[str, Any]) -> dict[str, Any]:
    made = rows.rendered(context["listing"], context["collection"], may_change=context["may_change"])
    listing = context["listing"]
    bulk_verbs = verbs(listing.wanted, listing.total, context["strip"].counts) if context["may_change"] else []
    return {**context, "rows": made, "verbs": bulk_verbs}


def etag(context: Mapping[str, Any]) -> str:
    """Changes with what the page shows; and each minute, since ages do."""
    strip, listing, job = context["strip"], context["listing"], context["job"]
    seen = [
        get_language(),
        int(time.time() // 60),
        context["may_change"],
        listing.mark,
        listing.wanted,
        strip.counts,
        strip.chunks,
        [(one["id"], one["updated_at"]) for one in (*strip.running, *strip.failures)],
        job and (job["id"], job["updated_at"], job["status"], job["stalled"], job["waiting_reason"], remaining(job)),
        [event.pk for event in context.get("diary", ())][-1:],
    ]
    return f'W/"{zlib.crc32(repr(seen).encode("utf-8", "replace")):x}"'


def details(request: HttpRequest, found: Collection, job: Mapping[str, Any]) -> dict[str, Any]:
    """What the dialog of a job shows beside the job itself."""
    diary = list(JobEvent.objects.filter(job_id=job["id"]).order_by("-pk")[:DIARY])[::-1]
    info = catalogue.current().ingest.get(job["plugin_name"])
    failed = job["status"] == FileStatus.FAILED
    may_retry = failed and access.may_change(request.user, found)
    remedy = remedy_for(job["error_code"] or "") if failed else None
    stats = job["processing_stats"] or {}
    files = stats.get("output_files") or {}
    return {
        "diary": diary,
        "warnings": [event for event in diary if event.kind == "warning"],
        "remedy": remedy,
        "stages_of_job": timed(stats),
        "artefacts": artefacts(job, files),
        "fields": fields(info, {**job["plugin_params"], **(remedy.params if remedy else {})}, addresses=True)
        if may_retry and info
        else [],
        "close": reverse("ui:collection", args=[found.pk]) + Wanted.of(request.GET.dict()).query(),
    }


@dataclass(frozen=True)
class Stage:
    """What a run spent its time on.

    :param share: of the longest, in percent
    :param is_part: of the reading, as the plugin timed it
    """

    name: str
    seconds: float
    share: float
    is_part: bool


def timed(stats: Mapping[str, Any]) -> list[Stage]:
    """The stages of a run; the reading before its parts, which the plugin timed. Rows of other servers may hold
    anything."""
    given = stats.get("stage_timings")
    timings = [
        (str(one.get("stage", "")), one["duration_ms"] / 1000)
        for one in (given if isinstance(given, list) else [])
        if isinstance(one, Mapping) and isinstance(one.get("duration_ms"), int | float)
    ][-STAGES:]
    longest = max((seconds for _name, seconds in timings), default=0.0) or 1.0
    whole = max((place for place, (name, _seconds) in enumerate(timings) if name == "conversion"), default=-1)
    found = [
        Stage("reading" if place == whole else name, seconds, 100 * seconds / longest, place < whole)
        for place, (name, seconds) in enumerate(timings)
        if name not in NO_STAGES
    ]
    return sorted(found, key=lambda stage: stage.name != "reading")  # all others stay as they came


def artefacts(job: Mapping[str, Any], files: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What there is to open: words and address."""
    found = [(_("Original"), job["file_url"])] if job["status"] != FileStatus.DELETED else []
    found.append((_("As Markdown"), files.get("markdown_url")))
    images = files.get("images")
    for number, address in enumerate(images if isinstance(images, list) else [], 1):
        found.append((_("Picture %(number)s") % {"number": number}, address))
    return [(words, address) for words, address in found[:40] if is_safe(address)]


def is_safe(address: Any) -> bool:
    """An address that may stand in a link: a source may be called ``javascript:…``."""
    return isinstance(address, str) and address.startswith(("http://", "https://", "/static/"))


# -- The chunks of a job ----------------------------------------------------------------------------


@page
@require_safe
def chunks(request: HttpRequest, collection_id: int, job_id: int) -> HttpResponse:
    """The text as questions find it, in reading order."""
    found = access.collection_for(request.user, collection_id)
    job = ingestion_of(found, job_id)
    if job is None:
        raise Http404
    document = Document.objects.published().filter(file_id=job_id).first()
    total = document.chunk_count if document else 0
    pages = max(1, -(-total // CHUNKS))
    number = min(pages, whole_number(request.GET.get("page", "")) or 1)
    first = (number - 1) * CHUNKS
    # By position, which has no gaps: the last page costs no more than the first.
    passages = Chunk.objects.filter(document=document, position__range=(first, first + CHUNKS - 1))
    context = {
        "collection": found,
        "job": job,
        "chunks": passages.order_by("position") if document else [],
        "total": total,
        "page": number,
        "pages": pages,
    }
    return render(request, "ui/chunks.html", context)


# -- What is done with one job ----------------------------------------------------------------------


@page
@require_POST
def act(request: HttpRequest, collection_id: int, job_id: int, verb: str) -> HttpResponse:
    """*verb*: retry, cancel or delete. What destroys something is asked for first."""
    found = access.own_collection(request.user, collection_id)
    job = FileRegistry.objects.ingestions().filter(pk=job_id, collection=found).select_related("collection").first()
    if job is None:
        raise Http404
    if verb != "retry" and (question := unsure(request, found, one_question(verb, job))):
        return question
    by = request.user.get_username()
    try:
        if verb == "retry":
            services.retry(job, overrides_of(request, job), by=by)
            messages.success(request, _("“%(name)s” is queued again.") % {"name": job.original_filename})
        elif verb == "cancel":
            services.cancel(job, by=by)
            messages.success(
                request, _("“%(name)s” is cancelled. Nothing of it is kept.") % {"name": job.original_filename}
            )
        else:
            gone = services.delete(job, by=by)
            said = _("“%(name)s” is deleted, with %(chunks)s chunks.")
            messages.success(request, said % {"name": job.original_filename, "chunks": amount(gone.chunks)})
            return redirect(list_address(request, found))
    except (services.WrongState, services.UnknownPlugin, services.InvalidParameters) as error:
        messages.error(request, translated(error))
    return redirect(job_address(request, found, job_id))


def overrides_of(request: HttpRequest, job: FileRegistry) -> dict[str, Any] | None:
    """The parameters of the form that differ from the job's own; None when the form had none."""
    info = catalogue.current().ingest.get(job.plugin_name)
    if info is None or "with-parameters" not in request.POST:
        return None
    given = entered(info, request.POST)
    return {name: value for name, value in given.items() if same_text(job.plugin_params.get(name)) != same_text(value)}


def same_text(value: Any) -> str:
    """A value as the form sends it, to tell what was changed."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return "\n".join(map(str, value)) if isinstance(value, list) else "" if value is None else str(value)


def one_question(verb: str, job: FileRegistry) -> tuple[str, str, str]:
    """Title, consequence, and the words of the button."""
    name = {"name": job.original_filename}
    if verb == "cancel":
        return (
            _("Cancel “%(name)s”?") % name,
            _("It stops within a second. Nothing of it will be found, and nothing is kept."),
            _("Cancel the job"),
        )
    return (
        _("Delete “%(name)s”?") % name,
        _("Its file and its %(chunks)s chunks are removed for good. This cannot be undone.")
        % {"chunks": amount(job.document_count)},
        _("Delete it"),
    )
