"""What the operators' commands share: which jobs they mean, for how long ago, and how results are shown."""

import json
import re
import sys
from argparse import ArgumentParser, ArgumentTypeError
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError
from django.utils.dateparse import parse_datetime
from rich.console import Console
from rich.markup import escape

from ingestion import health
from ingestion.bulk import Outcome
from ingestion.filters import InvalidFilter, chosen, refuse_blanks
from ingestion.models import FileStatus, JobQuerySet
from ingestion.terminal import Terminal
from plugins.normalise import counted

WRONG_USAGE = 2
NO_DATABASE, INTERRUPTED = 1, 130
AGE = re.compile(r"(\d{1,6})\s*([smhdw])")
UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
NAMED = 5  # jobs that a reason names
FILTERS = ("collection", "owner", "plugin", "code", "group", "text", "status")


class OperatorsCommand(BaseCommand):
    """One that says in a sentence that there is no database to ask, or none of this release."""

    def execute(self, *args: Any, **options: Any) -> str | None:
        try:
            return super().execute(*args, **options)
        except DatabaseError as error:
            reason = next(iter(health.database_errors()), f"The database does not answer as it should ({error}).")
            raise CommandError(
                f"{reason} The data directory is {settings.KB_DATA_DIR} (KB_DATA_DIR).", returncode=NO_DATABASE
            ) from error
        except KeyboardInterrupt:
            raise CommandError("Interrupted. What was done stays done.", returncode=INTERRUPTED) from None


# -- Which jobs -------------------------------------------------------------------------------------


def add_filters(parser: ArgumentParser, *, status: bool = True) -> None:
    """Options that choose jobs; all that are given must be met."""
    filters = parser.add_argument_group("which jobs (all that are given must be met)")
    filters.add_argument("--collection", metavar="ID", help="of this collection; several with commas")
    filters.add_argument("--owner", help="of this owner's collections")
    filters.add_argument("--plugin", help="read by this plugin")
    filters.add_argument("--code", help="with this error code, as vendor_timeout")
    filters.add_argument("--group", help="of this group of failures, as `manage.py jobs --failures` names it")
    filters.add_argument("--text", help="with this in the file's name or address; #17 is job 17")
    filters.add_argument("--since", metavar="AGE", type=moment, help="submitted since then: 30m, 2h, 7d, or a moment")
    filters.add_argument("--before", metavar="AGE", type=moment, help="submitted before then")
    if status:
        filters.add_argument("--status", help=f"one or several of {', '.join(FileStatus.values)}")


def chosen_jobs(options: Mapping[str, Any], jobs: JobQuerySet | None = None) -> JobQuerySet:
    """Those of *jobs*, or of all, that the options choose.

    :raises CommandError: naming what no job can be chosen by
    """
    try:
        wanted = filters_of(options)
        refuse_blanks(wanted)
        return chosen(wanted, jobs)
    except InvalidFilter as error:
        raise CommandError(str(error), returncode=WRONG_USAGE) from error


def filters_of(options: Mapping[str, Any]) -> dict[str, Any]:
    """What was given, by the names of ``filters.JobsFilter``."""
    given = {name: options[name] for name in FILTERS if options.get(name) is not None}
    moments = {"created_after": options.get("since"), "created_before": options.get("before")}
    return given | {name: moment.isoformat() for name, moment in moments.items() if moment}


def moment(text: str) -> datetime:
    """``2h`` is two hours ago; otherwise a moment in ISO 8601, in UTC unless it says otherwise."""
    wrong = f"{text!r} is neither an age such as 30m, 2h or 7d, nor a moment such as 2026-01-31"
    try:
        if match := AGE.fullmatch(text.strip().lower()):
            return datetime.now(UTC) - timedelta(**{UNITS[match[2]]: int(match[1])})
        if found := parse_datetime(text) or parse_datetime(f"{text}T00:00:00"):
            return found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)
    except (ValueError, OverflowError) as error:
        raise ArgumentTypeError(wrong) from error
    raise ArgumentTypeError(wrong)


def at_least_one(text: str) -> int:
    """A count, or the number of a job."""
    if text.isascii() and text.isdigit() and 1 <= int(text[:20]) < 2**63:
        return int(text)
    raise ArgumentTypeError(f"{text!r} is no whole number above 0")


# -- Before and after -------------------------------------------------------------------------------


def add_manners(parser: ArgumentParser, *, asks: bool = False) -> None:
    """Options on how it is done."""
    parser.add_argument("--dry-run", action="store_true", help="only say what would be done")
    parser.add_argument("--json", action="store_true", help="print one JSON object, for machines")
    parser.add_argument("--limit", type=at_least_one, metavar="N", help="do it to the N oldest at most")
    if asks:
        parser.add_argument("--yes", action="store_true", help="do not ask first")


def confirm(question: str, options: Mapping[str, Any]) -> None:
    """Ask on a terminal; elsewhere ``--yes`` has to be given.

    :raises CommandError: nobody agreed
    """
    if options["yes"] or options["dry_run"]:
        return
    if not sys.stdin.isatty() or options["json"]:
        raise CommandError(f"{question} Say so with --yes.", returncode=WRONG_USAGE)
    try:
        answer = input(f"{question} [y/N] ")
    except EOFError:  # Ctrl-D
        answer = ""
    if answer.strip().lower() not in {"y", "yes"}:
        raise CommandError("Nothing was done.", returncode=WRONG_USAGE)


def report(outcomes: Iterable[Outcome], options: Mapping[str, Any], *, did: str, would: str) -> list[int]:
    """Show what became of the jobs: a count, and for those that were refused the reasons; or one JSON object.

    A million jobs may come by: of each only its number is kept, or what JSON says of it.

    :return: numbers of the jobs that it was done to
    """
    return report_json(outcomes, options) if options["json"] else report_lines(outcomes, options, did, would)


def report_json(outcomes: Iterable[Outcome], options: Mapping[str, Any]) -> list[int]:
    items: list[dict[str, Any]] = [
        {"job_id": one.job_id, "done": one.done, "status": one.status, "detail": one.detail or None} for one in outcomes
    ]
    done = [item["job_id"] for item in items if item["done"]]
    print_json({"dry_run": options["dry_run"], "done": len(done), "refused": len(items) - len(done), "items": items})
    return done


def report_lines(outcomes: Iterable[Outcome], options: Mapping[str, Any], did: str, would: str) -> list[int]:
    console, dry = terminal(), options["dry_run"]
    done: list[int] = []
    refused: dict[str, list[int]] = {}
    for one in shown_while_working(outcomes, console):
        (done if one.done else refused.setdefault(one.detail, [])).append(one.job_id)
        if dry and one.done:
            console.print(f"would be {did} {line_of(one)}", soft_wrap=True)
    console.print(f"{counted(len(done), 'job')} {would if dry else did}.", style="dim" if dry else "green")
    for reason, jobs in sorted(refused.items(), key=lambda item: -len(item[1])):
        names = ", ".join(map(str, jobs[:NAMED])) + (", …" if len(jobs) > NAMED else "")
        console.print(f"{counted(len(jobs), 'job')} left alone: {escape(reason)} [dim]({names})[/dim]")
    return done


def terminal() -> Console:
    """Where people read. Not the command's own ``stdout``, which ends each piece of a bar with a new line."""
    return Terminal(sys.stdout)


def print_json(value: Any) -> None:
    sys.stdout.write(json.dumps(value) + "\n")


def line_of(outcome: Outcome) -> str:
    job = outcome.job
    why = f"  [dim]{escape(job.error_code)}: {escape(job.error_message or '')}[/dim]" if job.error_code else ""
    return f"job {job.pk}  {escape(job.original_filename)}{why}"


def shown_while_working(outcomes: Iterable[Outcome], console: Console) -> Iterator[Outcome]:
    """The same, with a count that grows on a terminal."""
    with console.status("") as status:
        for number, outcome in enumerate(outcomes, start=1):
            if number % 50 == 0:
                status.update(counted(number, "job"))
            yield outcome
