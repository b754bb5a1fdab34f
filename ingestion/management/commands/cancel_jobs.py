"""``manage.py cancel_jobs``: stop jobs that wait or run."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import CommandError

from ingestion import bulk
from ingestion.management.options import (
    WRONG_USAGE,
    OperatorsCommand,
    add_filters,
    add_manners,
    chosen_jobs,
    confirm,
    filters_of,
    report,
)
from plugins.normalise import counted


class Command(OperatorsCommand):
    help = (
        "Cancel jobs that wait or run, as the filters choose them. Nothing of them is found from then on. "
        "Exit code 2: wrong usage, or nobody agreed."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        add_filters(parser)
        add_manners(parser, asks=True)
        parser.add_argument("--all", action="store_true", help="all of them, of all collections")

    def handle(self, *args: Any, **options: Any) -> None:
        if not filters_of(options) and not options["all"]:
            raise CommandError("Say which jobs, or --all.", returncode=WRONG_USAGE)
        jobs = chosen_jobs(options).live()
        if number := jobs.count():
            confirm(f"Cancel {counted(min(number, options['limit'] or number), 'job')}?", options)
        outcomes = bulk.cancel(jobs, by="cancel_jobs", limit=options["limit"], dry_run=options["dry_run"])
        report(outcomes, options, did="cancelled", would="would be cancelled")
