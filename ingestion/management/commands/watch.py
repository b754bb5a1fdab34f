"""``manage.py watch``: see jobs move."""

import sys
from argparse import ArgumentParser
from typing import Any

from ingestion.management.options import OperatorsCommand, add_filters, at_least_one, chosen_jobs, terminal
from ingestion.models import FileRegistry, FileStatus
from ingestion.terminal import watch_jobs

INTERRUPTED = 130


class Command(OperatorsCommand):
    help = (
        "Watch jobs until all have ended: those that are named, or all that wait or run and meet the filters. "
        "Exit code 0: all completed; 1: some did not; 130: you stopped watching (the jobs go on)."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("jobs", nargs="*", type=at_least_one, metavar="JOB", help="number of a job")
        add_filters(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        console = terminal()
        ids = options["jobs"] or list(chosen_jobs(options).live().order_by("id").values_list("pk", flat=True))
        if not ids:
            console.print("No job waits or runs.", style="dim")
            return
        try:
            watch_jobs(ids, console)
        except KeyboardInterrupt:
            console.print("No longer watching. The jobs go on.")
            sys.exit(INTERRUPTED)
        completed = sum(
            FileRegistry.objects.filter(pk__in=ids[start : start + 500], status=FileStatus.COMPLETED).count()
            for start in range(0, len(ids), 500)
        )
        if completed < len(ids):
            sys.exit(1)
