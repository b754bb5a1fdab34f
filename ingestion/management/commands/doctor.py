"""``manage.py doctor``: look at everything the work needs, and say what helps."""

import sys
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand
from rich.markup import escape

from ingestion.doctor import CHECK_SECONDS, THOROUGH_SECONDS, Diagnosis, Examination, Level, checks, examine
from ingestion.management.options import print_json, terminal
from plugins.normalise import counted

MARKS = {Level.OK: "[green]✓[/green]", Level.WARNING: "[yellow]![/yellow]", Level.CRITICAL: "[red]✗[/red]"}


class Command(BaseCommand):
    help = (
        "Look at database, storage, web server, workers, jobs, embedding vendor, limits, clock and access, and say "
        "what helps. Changes nothing. Exit code 0: all is well; 1: a warning; 2: something does not work."
    )
    requires_system_checks = ()  # what does not work is what it is for

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--only", action="append", choices=list(checks()), help="only this; may be repeated")
        parser.add_argument("--offline", action="store_true", help="do not call the embedding vendor")
        parser.add_argument("--thorough", action="store_true", help="read the whole database, too (slow)")
        parser.add_argument("--quiet", action="store_true", help="print only what is not well")
        parser.add_argument("--json", action="store_true", help="print one JSON object, for machines")

    def handle(self, *args: Any, **options: Any) -> None:
        wanted = checks(offline=options["offline"], thorough=options["thorough"])
        if options["only"]:
            wanted = {name: check for name, check in wanted.items() if name in options["only"]}
        found = []
        for examination in examine(wanted, THOROUGH_SECONDS if options["thorough"] else CHECK_SECONDS):
            found.append(examination)
            if not options["json"]:
                self.show(examination, quiet=options["quiet"])
        worst = max(examination.level for examination in found)
        if options["json"]:
            print_json({"status": worst.name.lower(), "checks": [as_object(one) for one in found]})
        elif not options["quiet"]:
            self.sum_up(found)
        sys.exit(worst)

    def show(self, examination: Examination, *, quiet: bool) -> None:
        name = examination.name
        for finding in examination.findings:
            if quiet and finding.level == Level.OK:
                continue
            terminal().print(f"{MARKS[finding.level]} {name:<9} {escape(finding.detail)}", soft_wrap=True)
            if finding.hint:
                terminal().print(f"{'':<12}[dim]{escape(finding.hint)}[/dim]", soft_wrap=True)
            name = ""

    def sum_up(self, found: list[Examination]) -> None:
        levels = [finding.level for examination in found for finding in examination.findings]
        bad, doubtful = levels.count(Level.CRITICAL), levels.count(Level.WARNING)
        if bad:
            terminal().print(f"[red]{counted(bad, 'thing')} to mend[/red], {counted(doubtful, 'warning')}.")
        elif doubtful:
            terminal().print(f"[yellow]It works, with {counted(doubtful, 'warning')}.[/yellow]")
        else:
            terminal().print("[green]All is well.[/green]")


def as_object(examination: Examination) -> dict[str, Any]:
    return {
        "name": examination.name,
        "status": examination.level.name.lower(),
        "findings": [finding_object(finding) for finding in examination.findings],
    }


def finding_object(finding: Diagnosis) -> dict[str, Any]:
    return {"status": finding.level.name.lower(), "detail": finding.detail, "hint": finding.hint or None}
