"""``manage.py import_lamb PATH``: bring an existing LAMB KB server over."""

import json
import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from rich.progress import Progress, TaskID

from ingestion.lamb_import.run import Stopped, bring_over
from ingestion.lamb_import.source import CannotImport
from ingestion.terminal import Terminal, bars, harmless

INTERRUPTED = 130


class Command(BaseCommand):
    help = (
        "Bring the collections, files and vectors of a LAMB KB server over, with their ids. The source is only read. "
        "Stop both servers first; an import that was interrupted goes on when it is started again. "
        "Exit code 0: all was read and imported, the report says what could not be linked; 1: it stopped midway, "
        "start it again; 2: nothing was written (wrong folder, ids taken here, chromadb missing, a server running); "
        "130: you interrupted it."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("path", type=Path, metavar="PATH", help="LAMB's KB server: the folder that holds data/")
        parser.add_argument("--files", type=Path, metavar="FOLDER", help="its folder static/, if it lies elsewhere")
        parser.add_argument("--dry-run", action="store_true", help="read all, write nothing, report the same")
        parser.add_argument("--json", action="store_true", help="the report as JSON on standard output")

    def handle(self, *args: Any, **options: Any) -> None:
        console = Terminal(sys.stderr if options["json"] else sys.stdout)
        try:
            with bars(console) as progress:
                report = bring_over(
                    options["path"], files=options["files"], dry_run=options["dry_run"], steps=Bars(progress)
                )
        except CannotImport as error:
            raise CommandError(harmless(str(error)), returncode=2) from error
        except Stopped as error:
            raise CommandError(
                f"{harmless(str(error))}\nWhat is imported stays. Start the same command again to go on."
            ) from error
        except KeyboardInterrupt:
            console.print("Interrupted. What is imported stays; start the same command again to go on.")
            sys.exit(INTERRUPTED)
        if options["json"]:
            self.stdout.write(json.dumps(report.as_json(), indent=2))
        else:
            report.show(console)


class Bars:
    """One bar after the other."""

    def __init__(self, progress: Progress) -> None:
        self.progress = progress
        self.task: TaskID | None = None

    def begin(self, what: str, total: int) -> None:
        if self.task is not None:
            self.progress.remove_task(self.task)
        self.task = self.progress.add_task(what, total=max(total, 1), message=f"{total:,}" if total > 1 else "")

    def step(self, done: int) -> None:
        if self.task is not None:
            self.progress.advance(self.task, done)
