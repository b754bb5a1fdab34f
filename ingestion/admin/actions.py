"""What operators do to many jobs: confirmed with a count, done in steps of some seconds, with a result for each job."""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from django.contrib import messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse

from collections_app.fields import is_storable
from ingestion import bulk
from ingestion.bulk import Outcome
from ingestion.models import LIVE, FileRegistry, FileStatus, JobQuerySet
from ingestion.steps import Step
from ingestion.wire import redacted, without_masks

SHOWN = 20  # jobs that are named before they are acted on
TEMPLATES = "admin/ingestion/fileregistry/"


@dataclass(frozen=True)
class Verb:
    """Something that is done to jobs.

    :param eligible: narrows all that a filter matches to those it can be done to
    :param statuses: those it can be done to, for the buttons of one job
    :param consequence: what the operator should know before
    """

    name: str
    title: str
    done: str
    consequence: str
    statuses: tuple[str, ...]
    eligible: Callable[[JobQuerySet], JobQuerySet]
    run: Callable[..., Iterator[Outcome]]
    takes_params: bool = False
    dangerous: bool = False


VERBS: Mapping[str, Verb] = {
    verb.name: verb
    for verb in (
        Verb(
            "retry",
            "Retry",
            "queued again",
            "Each is queued again with its own parameters. Nothing is stored twice.",
            (FileStatus.FAILED,),
            JobQuerySet.failed,
            bulk.retry,
        ),
        Verb(
            "retry_with",
            "Retry with parameters",
            "queued again",
            "Each is queued again with these parameters in place of its own. Jobs whose plugin does not take them are "
            "left alone.",
            (FileStatus.FAILED,),
            JobQuerySet.failed,
            bulk.retry,
            takes_params=True,
        ),
        Verb(
            "cancel",
            "Cancel",
            "cancelled",
            "They stop, and what they have stored so far is thrown away.",
            tuple(LIVE),
            JobQuerySet.live,
            bulk.cancel,
        ),
        Verb(
            "remove",
            "Delete",
            "deleted",
            "Each goes with its file and all that was made of it, so nothing of it is found again. There is no undo.",
            tuple(FileStatus.values),
            lambda jobs: jobs,
            bulk.delete,
            dangerous=True,
        ),
    )
}


def respond(model_admin: Any, request: HttpRequest, jobs: Any, verb: Verb) -> HttpResponse:
    """The confirmation, a step of the work, or its result."""
    across = request.POST.get("select_across") == "1"
    if "confirmed" not in request.POST:
        return confirm(model_admin, request, jobs, verb, across)
    try:
        params = given_params(request, verb)
    except ValueError as error:
        return confirm(model_admin, request, jobs, verb, across, f"The parameters are no JSON object: {error}.")
    step = Step.of(request.POST)
    if across:  # those that have come since the question were not asked about
        jobs = verb.eligible(jobs).filter(pk__lte=step.newest)
    options: dict[str, Any] = {"overrides": params} if params else {}
    more = step.work(partial(verb.run, by=request.user.get_username(), **options), jobs)
    if "from_page" in request.POST and step.outcomes:
        return back_to_the_job(model_admin, request, step, verb)
    page = "working.html" if more else "done.html"
    return render(model_admin, request, page, verb, across=across, step=step, total=request.POST.get("total", ""))


# -- Before -----------------------------------------------------------------------------------------


def confirm(
    model_admin: Any, request: HttpRequest, jobs: Any, verb: Verb, across: bool, problem: str = ""
) -> HttpResponse:
    eligible = verb.eligible(jobs)
    number = eligible.count()
    first = list(eligible.order_by("id").select_related("collection")[:SHOWN])
    return render(
        model_admin,
        request,
        "confirm.html",
        verb,
        across=across,
        problem=problem,
        number=number,
        others=jobs.count() - number,
        jobs=first,
        unnamed=number - len(first),
        params=request.POST.get("params") or initial_params(first, verb),
        newest=bulk.newest(),
    )


def initial_params(jobs: list[FileRegistry], verb: Verb) -> str:
    """For one job its own parameters, with its secrets hidden; for several none."""
    own = redacted(jobs[0].plugin_params) if verb.takes_params and len(jobs) == 1 else {}
    return json.dumps(own, indent=2, ensure_ascii=False)


def given_params(request: HttpRequest, verb: Verb) -> dict[str, Any]:
    """:raises ValueError: no JSON object"""
    if not verb.takes_params:
        return {}
    try:
        params = json.loads(request.POST.get("params") or "{}")
    except RecursionError as error:
        raise ValueError("they are nested too deeply") from error
    if not isinstance(params, dict):
        raise ValueError("it begins with something else than {")
    if not is_storable(params):
        raise ValueError("they hold characters that are not text")
    return without_masks(params)


# -- After ------------------------------------------------------------------------------------------


def back_to_the_job(model_admin: Any, request: HttpRequest, step: Step, verb: Verb) -> HttpResponse:
    outcome = step.outcomes[0]
    if outcome.done:
        model_admin.message_user(request, f"Job {outcome.job_id} was {verb.done}.", messages.SUCCESS)
    else:
        model_admin.message_user(
            request, f"Job {outcome.job_id} was not {verb.done}. {outcome.detail}", messages.WARNING
        )
    if FileRegistry.objects.filter(pk=outcome.job_id).exists():
        return HttpResponseRedirect(reverse("admin:ingestion_fileregistry_change", args=[outcome.job_id]))
    return HttpResponseRedirect(reverse("admin:ingestion_fileregistry_changelist"))


def render(model_admin: Any, request: HttpRequest, page: str, verb: Verb, **context: Any) -> HttpResponse:
    """A page of the work, with what its form has to carry on."""
    return TemplateResponse(
        request,
        TEMPLATES + page,
        {
            **model_admin.admin_site.each_context(request),
            "title": f"{verb.title} jobs" if page != "confirm.html" else f"{verb.title} jobs?",
            "opts": model_admin.opts,
            "verb": verb,
            "selected": request.POST.getlist(ACTION_CHECKBOX_NAME),
            "from_page": "from_page" in request.POST,
            "given_params": request.POST.get("params", ""),
            "list": request.get_full_path(),
            **context,
        },
    )
