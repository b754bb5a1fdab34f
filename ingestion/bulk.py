"""The verbs on many jobs: each job is judged for itself, and each has a result."""

import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from django.db import transaction

from ingestion import services
from ingestion.models import FileRegistry, FileStatus, JobQuerySet

AT_ONCE = 50  # jobs a transaction: their disk flush is shared, and nobody else waits long for the write lock


@dataclass(frozen=True)
class Outcome:
    """What became of one job.

    :param done: the verb was carried out; or would be, in a dry run
    :param status: the job's status now
    :param detail: why not, in a sentence
    """

    job: FileRegistry
    done: bool
    status: str
    detail: str = ""

    @property
    def job_id(self) -> int:
        return self.job.pk


def retry(
    jobs: JobQuerySet,
    overrides: Mapping[str, Any] | None = None,
    *,
    by: str = "",
    limit: int | None = None,
    dry_run: bool = False,
) -> Iterator[Outcome]:
    """Queue again those of *jobs* that have failed, oldest first.

    :param overrides: parameters to change; jobs whose plugin does not accept them are refused
    :param dry_run: only say what would be done
    """
    if dry_run:
        return each(jobs, lambda job: services.retried_with(job, overrides), limit)
    return each(jobs, lambda job: services.retry(job, overrides, by), limit)


def cancel(jobs: JobQuerySet, *, by: str = "", limit: int | None = None, dry_run: bool = False) -> Iterator[Outcome]:
    """Stop those of *jobs* that wait or run, oldest first."""
    return each(jobs, services.cancellable if dry_run else lambda job: services.cancel(job, by), limit)


def delete(
    jobs: JobQuerySet, *, by: str = "", hard: bool = True, limit: int | None = None, dry_run: bool = False
) -> Iterator[Outcome]:
    """Remove *jobs* with everything made from them, oldest first.

    One that was retried meanwhile is no longer the failed job that was chosen, and is left alone.
    """

    def remove(job: FileRegistry) -> None:
        if not dry_run:
            services.delete(job, hard=hard, by=by)
            job.status = FileStatus.DELETED

    return each(jobs, remove, limit, look_again=True)


def each(
    jobs: JobQuerySet, verb: Callable[[FileRegistry], Any], limit: int | None = None, *, look_again: bool = False
) -> Iterator[Outcome]:
    """Do *verb* to each of *jobs*, in the order of their ids, some a transaction.

    Jobs that were submitted since it began are not met, so that it ends however many come; none is met twice.

    :param limit: jobs that are met at most
    :param look_again: whether they are still chosen, under the lock; other verbs look at the status themselves
    """
    chosen = jobs.filter(pk__lte=newest()).order_by("pk").select_related("collection")
    after, left = -1, sys.maxsize if limit is None else limit
    while batch := list(chosen.filter(pk__gt=after)[: min(AT_ONCE, left)]):
        after, left = batch[-1].pk, left - len(batch)
        with transaction.atomic():
            changed = {job.pk for job in batch} - still_chosen(jobs, batch) if look_again else set()
            outcomes = [_one(job, refuse_changed if job.pk in changed else verb) for job in batch]
        yield from outcomes  # once they are true


def still_chosen(jobs: JobQuerySet, batch: list[FileRegistry]) -> set[int]:
    """Which of *batch* *jobs* would choose now; nobody else changes them until the transaction ends."""
    again = jobs.filter(pk__in=[job.pk for job in batch]).order_by("pk").select_related(None).only("pk")
    return {job.pk for job in again.select_for_update(of=("self",))}


def refuse_changed(job: FileRegistry) -> None:
    raise services.WrongState(f"It changed meanwhile: it is {services.status_now(job)} now.")


def newest() -> int:
    """The number of the job that was submitted last; 0 where there is none."""
    return FileRegistry.objects.order_by("-pk").values_list("pk", flat=True).first() or 0


def _one(job: FileRegistry, verb: Callable[[FileRegistry], Any]) -> Outcome:
    try:
        with transaction.atomic():
            verb(job)
    except (services.WrongState, services.UnknownPlugin, services.InvalidParameters) as error:
        return Outcome(job, False, job.status, str(error))
    return Outcome(job, True, job.status)
