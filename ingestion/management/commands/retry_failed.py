"""``manage.py retry_failed``: queue failed jobs again."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import CommandError

from ingestion import bulk
from ingestion.management.commands.ingest import parameters
from ingestion.management.options import (
    WRONG_USAGE,
    OperatorsCommand,
    add_filters,
    add_manners,
    chosen_jobs,
    report,
    terminal,
)
from ingestion.terminal import watch_jobs


class Command(OperatorsCommand):
    help = "Retry failed jobs: all, or those that the filters choose. Exit code 0 also when there is nothing to retry."

    def add_arguments(self, parser: ArgumentParser) -> None:
        add_filters(parser, status=False)
        add_manners(parser)
        parser.add_argument(
            "--param",
            action="append",
            default=[],
            metavar="KEY=VALUE",
            help="retry with this plugin parameter; may be repeated. Jobs whose plugin does not take it are left alone",
        )
        parser.add_argument("--watch", action="store_true", help="show how they go on, until all have ended")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["watch"] and options["json"]:
            raise CommandError("--watch is for people, --json for machines: leave one out.", returncode=WRONG_USAGE)
        outcomes = bulk.retry(
            chosen_jobs(options).failed(),
            parameters(options["param"]),
            by="retry_failed",
            limit=options["limit"],
            dry_run=options["dry_run"],
        )
        retried = report(outcomes, options, did="retried", would="would be retried")
        if options["watch"] and not options["dry_run"]:
            watch_jobs(retried, terminal())
