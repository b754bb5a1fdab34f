"""Jobs and groups of failures as tables in a terminal."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from rich import box
from rich.console import Group, RenderableType
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from ingestion.failures import FailureGroup
from ingestion.models import FileStatus, JobEvent
from ingestion.terminal import COLOURS

NOTHING = "–"


def job_table(jobs: Iterable[Mapping[str, Any]]) -> Table:
    """Jobs as they are answered by the API, a line each."""
    table = Table(box=box.SIMPLE_HEAD, header_style="bold", pad_edge=False)
    for name, options in (
        ("job", {"justify": "right", "no_wrap": True}),
        ("status", {"no_wrap": True}),
        ("progress", {"justify": "right", "no_wrap": True}),
        ("file", {"overflow": "fold", "ratio": 3}),
        ("plugin", {}),
        ("collection", {}),
        ("chunks", {"justify": "right"}),
        ("took", {"justify": "right", "no_wrap": True}),
        ("age", {"justify": "right", "no_wrap": True}),
        ("reason", {"overflow": "fold", "ratio": 2}),
    ):
        table.add_column(name, **options)
    for job in jobs:
        table.add_row(
            str(job["id"]),
            status_text(job["status"]),
            f"{job['progress']['overall']:.0f} %",
            escape(job["original_filename"]),
            escape(job["plugin_name"]),
            f"{escape(job['collection_name'])} [dim]({job['collection_id']})[/dim]",
            f"{job['document_count']:,}" if job["document_count"] else NOTHING,
            times(job["processing_duration_seconds"]),
            age_text(job["created_at"]),
            reason_of(job),
        )
    return table


def reason_of(job: Mapping[str, Any]) -> str:
    """Why it failed, or waits."""
    if job["error_message"]:
        return f"{escape(job['error_message'])} [dim]({escape(job['error_code'] or '')})[/dim]"
    waiting = job["waiting_reason"]
    return escape(waiting["message"]) if waiting else "[yellow]stalled[/yellow]" if job["stalled"] else ""


def job_page(job: Mapping[str, Any], diary: Iterable[JobEvent]) -> RenderableType:
    """All of one job: what it is, how it stands, what went wrong, and its diary."""
    facts = Table.grid(padding=(0, 2))
    progress = job["progress"]
    eta = job["eta_seconds"]
    hint = (job["error_details"] or {}).get("hint")
    for name, value in (
        ("job", f"[bold]{job['id']}[/bold]  {escape(job['original_filename'])}"),
        ("status", status_text(job["status"])),
        ("progress", f"{progress['overall']:.0f} %  {escape(progress['message'] or '')}"),
        ("waits", escape(job["waiting_reason"]["message"]) if job["waiting_reason"] else ""),
        (
            "done in",
            f"{times(job['eta_low_seconds'])} to {times(job['eta_high_seconds'])}" if eta else "",
        ),
        ("error", reason_of(job) if job["error_message"] else ""),
        ("what to do", escape(hint or "")),
        ("collection", f"{escape(job['collection_name'])} ({job['collection_id']}), of {escape(job['owner'])}"),
        ("plugin", escape(f"{job['plugin_name']}  {job['plugin_params']}")),
        ("chunks", f"{job['document_count']:,}"),
        ("submitted", str(job["created_at"])),
        ("took", times(job["processing_duration_seconds"])),
        ("attempts", str(job["attempt"])),
    ):
        if value:
            facts.add_row(f"[dim]{name}[/dim]", value)
    lines = Table(box=box.SIMPLE_HEAD, header_style="bold", pad_edge=False)
    for name in ("at (UTC)", "attempt", "what", "message"):
        lines.add_column(name, overflow="fold")
    for event in diary:
        lines.add_row(f"{event.at:%Y-%m-%d %H:%M:%S}", str(event.attempt), event.kind, escape(event.message))
    return Group(facts, lines)


def group_table(groups: Iterable[FailureGroup]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, header_style="bold", pad_edge=False)
    table.add_column("jobs", justify="right")
    for name in ("reason", "first", "last", "what helps", "group"):
        table.add_column(name, overflow="fold")
    for group in groups:
        table.add_row(
            f"{group.jobs:,}",
            f"{escape(group.example.error_message or '')} [dim]as job {group.example.pk}[/dim]",
            age_text(group.first_at),
            age_text(group.last_at),
            escape(group.remedy.sentence),
            f"[dim]{escape(group.key)}[/dim]",
        )
    return table


# -- Words ------------------------------------------------------------------------------------------


def status_text(status: str) -> Text:
    return Text(status, style=COLOURS[FileStatus(status)])


def times(seconds: float | None) -> str:
    """``0.4 s``, ``12 s``, ``3 min``, ``2 h``, ``5 d``."""
    if seconds is None:
        return NOTHING
    if seconds < 10:
        return f"{seconds:.1f} s"
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"


def age_text(moment: str | datetime | None) -> str:
    """How long ago."""
    if moment is None:
        return NOTHING
    at = datetime.fromisoformat(moment) if isinstance(moment, str) else moment
    return times(max(0.0, (datetime.now(UTC) - (at if at.tzinfo else at.replace(tzinfo=UTC))).total_seconds()))
