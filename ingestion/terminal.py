"""Jobs as people see them in a terminal: live bars, or plain lines where there is no terminal."""

import re
import time
from collections.abc import Iterable, Iterator
from typing import IO, Any

from rich.console import Console, ConsoleOptions, RenderableType
from rich.markup import escape
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.segment import Segment

from ingestion.models import LIVE, FileRegistry, FileStatus
from ingestion.wire import duration
from plugins.normalise import counted

POLL_SECONDS = 0.2
# What a terminal obeys instead of showing it: it could clear the screen, set the title, or turn a name around.
COMMANDS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
BARS = 12  # more would not fit a screen; the rest is counted in the last line

COLOURS = {
    FileStatus.PENDING: "dim",
    FileStatus.PROCESSING: "cyan",
    FileStatus.COMPLETED: "green",
    FileStatus.FAILED: "red",
    FileStatus.CANCELLED: "yellow",
    FileStatus.DELETED: "yellow",
}


class Terminal(Console):
    """Where people read. Names, messages and addresses come from anybody, so what a terminal would obey is shown."""

    def __init__(self, file: IO[str], **options: Any) -> None:
        super().__init__(file=file, highlight=False, **options)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterator[Segment]:
        for segment in super().render(renderable, options):
            yield segment if segment.control else segment._replace(text=harmless(segment.text))


def harmless(text: str) -> str:
    """*text* with a picture in place of each character that a terminal obeys; lines stay lines."""
    return COMMANDS.sub(picture_of, text)


def picture_of(found: re.Match[str]) -> str:
    """One place wide, as columns are measured before."""
    code = ord(found[0])
    return chr(0x2400 + code) if code < 0x20 else "\N{REPLACEMENT CHARACTER}"


def outcome(job: FileRegistry) -> str:
    """One line about a job that has ended, with rich markup."""
    colour = COLOURS[FileStatus(job.status)]
    line = f"[{colour}]{job.status:<10}[/{colour}] {escape(job.original_filename)}"
    if job.status == FileStatus.COMPLETED:
        seconds = duration(job.processing_started_at, job.processing_completed_at)  # imported ones may not say
        took = "" if seconds is None else f", {seconds:.1f} s"
        return f"{line}  [dim]{counted(job.document_count, 'chunk')}{took}[/dim]"
    if job.status == FileStatus.FAILED:
        hint = (job.error_details or {}).get("hint")
        return f"{line}  {escape(job.error_message or '')} [dim]({escape(job.error_code)})[/dim]" + (
            f"\n{'':<11}[dim]{escape(hint)}[/dim]" if hint else ""
        )
    return line


def watch_jobs(ids: Iterable[int], console: Console) -> None:
    """Show *ids* until all have ended; each ended job leaves one line."""
    waiting = list(ids)
    with bars(console) as progress:
        shown: dict[int, TaskID] = {}
        while waiting:
            jobs = {job.pk: job for job in read(waiting)}
            for pk in list(waiting):
                job = jobs.get(pk)
                if job is None or job.status not in LIVE:
                    waiting.remove(pk)
                    if pk in shown:
                        progress.remove_task(shown.pop(pk))
                    line = outcome(job) if job else f"[yellow]deleted[/yellow]    job {pk}"
                    progress.console.print(line, soft_wrap=True)
            for pk in waiting:
                if pk in shown or len(shown) < BARS:
                    draw(progress, shown, jobs[pk])
            if waiting:
                time.sleep(POLL_SECONDS)


def read(ids: list[int]) -> "list[FileRegistry]":
    found: list[FileRegistry] = []
    for start in range(0, len(ids), 500):  # SQLite allows a bounded number of parameters
        found += FileRegistry.objects.filter(pk__in=ids[start : start + 500])
    return found


def draw(progress: Progress, shown: dict[int, TaskID], job: FileRegistry) -> None:
    if job.pk not in shown:
        shown[job.pk] = progress.add_task(escape(job.original_filename), total=100, message="")
    progress.update(shown[job.pk], completed=job.progress_overall, message=escape(job.progress_message))


def bars(console: Console) -> Progress:
    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description}", table_column=None),
        BarColumn(bar_width=30),
        TextColumn("{task.percentage:>3.0f} %"),
        TimeElapsedColumn(),
        TextColumn("[dim]{task.fields[message]}[/dim]"),
        console=console,
        transient=True,
    )
