"""``manage.py prune``: remove what has outlived its use."""

from argparse import ArgumentParser, ArgumentTypeError
from datetime import UTC, datetime
from typing import Any

from rich.filesize import decimal

from ingestion import bulk, prune
from ingestion.management.options import OperatorsCommand, chosen_jobs, confirm, moment, print_json, terminal
from ingestion.prune import Stray
from plugins.normalise import counted

PARTS = ("jobs", "diary", "files")
USUAL = "failed,cancelled,deleted"


class Command(OperatorsCommand):
    help = (
        "Remove ended jobs with all that was made of them, diaries of jobs that are gone, and folders without a job. "
        "Exit code 2: wrong usage, or nobody agreed."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--older-than",
            required=True,
            metavar="AGE",
            type=past,
            help="untouched since: 90d, 12h, or a moment",
        )
        parser.add_argument(
            "--status",
            type=statuses,
            default=USUAL,
            help="statuses of jobs to remove (default: %(default)s). completed also removes what people can find",
        )
        parser.add_argument("--collection", metavar="ID", help="only jobs of this collection; several with commas")
        parser.add_argument("--owner", help="only jobs of this owner's collections")
        parser.add_argument(
            "--only",
            action="append",
            choices=PARTS,
            help="only this part; may be repeated (default: all, but with --collection or --owner only jobs, since "
            "diaries and folders without a job belong to nobody)",
        )
        parser.add_argument("--dry-run", action="store_true", help="only say what would be removed")
        parser.add_argument("--json", action="store_true", help="print one JSON object, for machines")
        parser.add_argument("--yes", action="store_true", help="do not ask first")

    def handle(self, *args: Any, **options: Any) -> None:
        before = options["older_than"]
        jobs = prune.ended_jobs(options["status"], before)
        whose = {name: options[name] for name in ("collection", "owner") if options[name] is not None}
        jobs = chosen_jobs(whose, jobs)
        parts = options["only"] or (("jobs",) if whose else PARTS)
        number = jobs.count() if "jobs" in parts else 0
        events = prune.orphaned_events(before) if "diary" in parts else []
        strays = list(prune.strays()) if "files" in parts else []
        if number or events or strays:
            confirm(f"Remove {in_words(number, len(events), strays)}?", options)
        if not options["dry_run"]:
            number = sum(outcome.done for outcome in bulk.delete(jobs, by="prune")) if number else 0
            prune.delete_events(events)
            strays = prune.delete_strays(strays)
        self.tell(number, len(events), strays, options)

    def tell(self, jobs: int, events: int, strays: list[Stray], options: dict[str, Any]) -> None:
        if options["json"]:
            counts = {"jobs": jobs, "events": events, "folders": len(strays), "folder_bytes": total(strays)}
            print_json({"dry_run": options["dry_run"], **counts})
            return
        word = "Would remove" if options["dry_run"] else "Removed"
        terminal().print(f"{word} {in_words(jobs, events, strays)}.", style="dim" if options["dry_run"] else "green")


def in_words(jobs: int, events: int, strays: list[Stray]) -> str:
    return (
        f"{counted(jobs, 'job')}, {counted(events, 'diary event')} of jobs that are gone, "
        f"{counted(len(strays), 'folder')} that no job owns ({decimal(total(strays))})"
    )


def total(strays: list[Stray]) -> int:
    """Bytes of them all."""
    return sum(stray.bytes for stray in strays)


def past(text: str) -> datetime:
    """A moment that lies behind: nothing is older than one that is to come, so everything would go."""
    found = moment(text)
    if found > datetime.now(UTC):
        raise ArgumentTypeError(f"{text!r} lies in the future")
    return found


def statuses(text: str) -> list[str]:
    wanted = [word.strip() for word in text.split(",") if word.strip()]
    if wrong := [word for word in wanted if word not in prune.PRUNABLE]:
        raise ArgumentTypeError(f"{wrong[0]!r} is none of {', '.join(prune.PRUNABLE)}: jobs that go on are not removed")
    return wanted
