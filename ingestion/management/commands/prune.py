"""``manage.py prune``: remove what has outlived its use."""

from argparse import ArgumentParser, ArgumentTypeError
from typing import Any

from django.core.management.base import BaseCommand
from rich.filesize import decimal

from ingestion import bulk, prune, storage
from ingestion.management.options import chosen_jobs, confirm, moment, print_json, terminal
from plugins.normalise import counted

PARTS = ("jobs", "diary", "files")
USUAL = "failed,cancelled,deleted"


class Command(BaseCommand):
    help = (
        "Remove ended jobs with all that was made of them, diaries of jobs that are gone, and folders without a job. "
        "Exit code 2: wrong usage, or nobody agreed."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--older-than",
            required=True,
            metavar="AGE",
            type=moment,
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
        parser.add_argument("--only", action="append", choices=PARTS, help="only this part; may be repeated")
        parser.add_argument("--dry-run", action="store_true", help="only say what would be removed")
        parser.add_argument("--json", action="store_true", help="print one JSON object, for machines")
        parser.add_argument("--yes", action="store_true", help="do not ask first")

    def handle(self, *args: Any, **options: Any) -> None:
        parts, before = options["only"] or PARTS, options["older_than"]
        jobs = prune.ended_jobs(options["status"], before)
        jobs = chosen_jobs({"collection": options["collection"], "owner": options["owner"]}, jobs)
        number = jobs.count() if "jobs" in parts else 0
        events = prune.orphaned_events(before) if "diary" in parts else []
        strays = list(prune.strays()) if "files" in parts else []
        size = sum(stray.bytes for stray in strays)
        found = [
            counted(number, "job"),
            f"{counted(len(events), 'diary event')} of jobs that are gone",
            f"{counted(len(strays), 'folder')} that no job owns ({decimal(size)})",
        ]
        if number or events or strays:
            confirm(f"Remove {', '.join(found)}?", options)
        refused = 0
        if not options["dry_run"]:
            if number:
                refused = sum(not outcome.done for outcome in bulk.delete(jobs, by="prune"))
            prune.delete_events(events)
            for stray in strays:
                storage.remove(stray.key)
        self.tell(number - refused, len(events), len(strays), size, found, options)

    def tell(self, jobs: int, events: int, files: int, size: int, found: list[str], options: dict[str, Any]) -> None:
        if options["json"]:
            counts = {"jobs": jobs, "events": events, "folders": files, "folder_bytes": size}
            print_json({"dry_run": options["dry_run"], **counts})
            return
        word = "Would remove" if options["dry_run"] else "Removed"
        terminal().print(f"{word} {', '.join(found)}.", style="dim" if options["dry_run"] else "green")


def statuses(text: str) -> list[str]:
    wanted = [word.strip() for word in text.split(",") if word.strip()]
    if wrong := [word for word in wanted if word not in prune.PRUNABLE]:
        raise ArgumentTypeError(f"{wrong[0]!r} is none of {', '.join(prune.PRUNABLE)}: jobs that go on are not removed")
    return wanted
