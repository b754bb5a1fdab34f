"""``manage.py jobs``: list jobs, groups of failures, or one job with its diary."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import CommandError

from ingestion import failures, reads
from ingestion.filters import ORDERINGS, InvalidFilter, Order
from ingestion.management.options import (
    WRONG_USAGE,
    OperatorsCommand,
    add_filters,
    at_least_one,
    chosen_jobs,
    filters_of,
    print_json,
    terminal,
)
from ingestion.models import FileRegistry, JobEvent
from ingestion.tables import group_table, job_page, job_table


class Command(OperatorsCommand):
    help = "List jobs, newest first; or show one with its diary; or failures in groups. Changes nothing."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("job", nargs="?", type=at_least_one, metavar="JOB", help="number of a job to show")
        parser.add_argument("--failures", action="store_true", help="failed jobs in groups, with what helps")
        parser.add_argument(
            "--limit", type=at_least_one, default=30, metavar="N", help="as many at most (default: %(default)s)"
        )
        parser.add_argument(
            "--sort",
            default="-id",
            choices=[f"{sign}{key}" for key in ORDERINGS for sign in ("-", "")],
            metavar="KEY",
            help=f"one of {', '.join(ORDERINGS)}; with - in front, the largest first (write --sort=-file_size)",
        )
        parser.add_argument("--json", action="store_true", help="print JSON, for machines")
        add_filters(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        self.console = terminal()
        if options["job"] is not None:
            self.show(options["job"], options)
        elif options["failures"]:
            self.groups(options)
        else:
            self.list(options)

    def show(self, number: int, options: dict[str, Any]) -> None:
        job = FileRegistry.objects.filter(pk=number).first()
        shown = reads.job(job.collection_id, number) if job else None
        if shown is None:
            raise CommandError(f"There is no job {number}.", returncode=WRONG_USAGE)
        diary = list(JobEvent.objects.filter(job_id=number).order_by("pk"))
        if options["json"]:
            events = [{"at": event.at.isoformat(), "kind": event.kind, "message": event.message} for event in diary]
            print_json({**shown, "events": events})
            return
        self.console.print(job_page(shown, diary))

    def list(self, options: dict[str, Any]) -> None:
        items = reads.jobs_after(chosen_jobs(options), Order(options["sort"]), "", options["limit"]).items
        if options["json"]:
            print_json(items)
        elif items:
            self.console.print(job_table(items))
        else:
            self.console.print("No job meets this.", style="dim")

    def groups(self, options: dict[str, Any]) -> None:
        try:
            groups = failures.groups(filters_of(options), options["limit"])
        except InvalidFilter as error:
            raise CommandError(str(error), returncode=WRONG_USAGE) from error
        if options["json"]:
            print_json([failures.as_object(group) for group in groups])
        elif groups:
            self.console.print(group_table(groups))
        else:
            self.console.print("Nothing has failed.", style="green")
