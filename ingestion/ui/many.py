"""What is done with many jobs at once: those that were chosen, or all that the page's filter matches."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_POST

from collections_app.models import Collection
from collections_app.numbers import whole_number
from ingestion import bulk
from ingestion.models import LIVE, FileRegistry, FileStatus, JobQuerySet
from ingestion.steps import Step
from ingestion.ui import access
from ingestion.ui.confirm import carried, unsure
from ingestion.ui.listing import Wanted, jobs_of, list_address
from ingestion.ui.pages import page
from ingestion.ui.phrases import translated
from ingestion.ui.words import amount

MOST_CHOSEN = 2000  # jobs by their numbers; all that match have no limit
CARRIED = frozenset({"after", "done", "left_alone", "refused", "newest", "total"})  # of a step, in the form

# -- The work ---------------------------------------------------------------------------------------


@page
@require_POST
def many(request: HttpRequest, collection_id: int) -> HttpResponse:
    """The question, a step of the work, or its result."""
    found = access.own_collection(request.user, collection_id)
    verb = request.POST.get("verb", "")
    if verb not in {"retry", "cancel", "delete"}:
        raise PermissionDenied
    step = Step.of(request.POST)
    jobs = chosen_jobs(request, found, verb, step)
    left = jobs.filter(pk__gt=step.after).count()
    if not left and step.after < 0:
        messages.warning(request, _("None of the chosen jobs is in a status for this."))
        return redirect(list_address(request, found))
    if question := unsure(request, found, many_question(verb, left)):
        return question
    run = {"retry": bulk.retry, "cancel": bulk.cancel, "delete": bulk.delete}[verb]
    if step.work(partial(run, by=request.user.get_username()), jobs):
        return working(request, found, verb, step, left)
    tell(request, verb, step)
    return redirect(list_address(request, found))


def working(request: HttpRequest, found: Collection, verb: str, step: Step, left: int) -> HttpResponse:
    """A page that says how far the work is, and goes on by itself."""
    total = whole_number(request.POST.get("total", "")) or left
    titles = {"retry": _("Retrying"), "cancel": _("Cancelling"), "delete": _("Deleting")}
    context = {
        "title": titles[verb],
        "step": step,
        "met": min(total, step.done + step.left_alone),
        "total": total,
        "carried": [pair for pair in carried(request) if pair[0] not in CARRIED],
        "action": request.get_full_path(),
        "back": list_address(request, found),
    }
    return render(request, "ui/working.html", context)


def chosen_jobs(request: HttpRequest, found: Collection, verb: str, step: Step) -> JobQuerySet:
    """Of the chosen jobs those that the verb can do something to. All that match are those that the page could show:
    what came later was not meant."""
    if request.POST.get("all"):
        jobs = jobs_of(found, Wanted.of(request.GET.dict())).filter(pk__lte=step.newest)
    else:
        numbers = [whole_number(text) for text in request.POST.getlist("jobs")[:MOST_CHOSEN]]
        jobs = FileRegistry.objects.ingestions().filter(
            collection=found, pk__in=[number for number in numbers if number is not None]
        )
    return jobs.failed() if verb == "retry" else jobs.live() if verb == "cancel" else jobs


def tell(request: HttpRequest, verb: str, step: Step) -> None:
    """What became of them, and why some were left alone."""
    count = {"number": amount(step.done)}
    said = {
        "retry": ngettext("%(number)s job is queued again.", "%(number)s jobs are queued again.", step.done),
        "cancel": ngettext("%(number)s job is cancelled.", "%(number)s jobs are cancelled.", step.done),
        "delete": ngettext("%(number)s job is deleted.", "%(number)s jobs are deleted.", step.done),
    }
    if step.done:
        messages.success(request, said[verb] % count)
    reasons = Counter(str(reason) for _pk, _name, reason in step.refused)
    for reason, known in reasons.most_common(3):
        number = step.left_alone if len(reasons) == 1 else known
        left = ngettext("%(number)s was left alone: %(reason)s", "%(number)s were left alone: %(reason)s", number)
        messages.warning(request, left % {"number": amount(number), "reason": translated(reason)})


# -- The buttons and their questions ----------------------------------------------------------------


def many_question(verb: str, number: int, shown: str = "") -> tuple[str, str, str]:
    """:param shown: the number as it stands in the question"""
    count = {"number": shown or amount(number)}
    if verb == "retry":
        return (
            ngettext("Retry %(number)s failed job?", "Retry %(number)s failed jobs?", number) % count,
            ngettext(
                "It is queued again with the parameters that it had.",
                "They are queued again with the parameters that they had.",
                number,
            ),
            _("Retry"),
        )
    if verb == "cancel":
        return (
            ngettext("Cancel %(number)s job?", "Cancel %(number)s jobs?", number) % count,
            ngettext(
                "It stops within a second. Nothing of it will be found or kept.",
                "They stop within a second. Nothing of them will be found or kept.",
                number,
            ),
            ngettext("Cancel it", "Cancel them", number),
        )
    return (
        ngettext("Delete %(number)s job?", "Delete %(number)s jobs?", number) % count,
        ngettext(
            "Its file and all its chunks are removed for good. This cannot be undone.",
            "Their files and all their chunks are removed for good. This cannot be undone.",
            number,
        ),
        ngettext("Delete the job", "Delete them", number),
    )


@dataclass(frozen=True)
class Verb:
    """A button above the list, and what the page's script asks before it does anything.

    :param fits: statuses of the jobs that it can do something to; empty for all
    :param all: how many of those that match the page's filter it can do something to, None where nobody has counted
    :param one: JSON of title, consequence and button, with ``{number}`` for it; *many* for several
    """

    name: str
    word: str
    fits: str
    all: int | None
    one: str
    many: str


FITTING = {"retry": (FileStatus.FAILED,), "cancel": LIVE, "delete": ()}


def verbs(wanted: Wanted, total: int, counts: Mapping[str, int]) -> list[Verb]:
    """:param total: jobs that match the filter
    :param counts: the collection's jobs by status
    """
    words = {"retry": _("Retry"), "cancel": _("Cancel"), "delete": _("Delete")}
    return [
        Verb(
            name,
            word,
            " ".join(FITTING[name]),
            fitting(FITTING[name], wanted, total, counts),
            *(json.dumps(many_question(name, number, "{number}")) for number in (1, 2)),
        )
        for name, word in words.items()
    ]


def fitting(statuses: Sequence[str], wanted: Wanted, total: int, counts: Mapping[str, int]) -> int | None:
    """How many of all that match are in one of *statuses*, as far as it is known without counting."""
    if not statuses:
        return total
    if wanted.status:
        return total if wanted.status in statuses else 0
    return None if wanted.text else sum(counts[status] for status in statuses)
