"""What the page of a collection sums up: chunks, running jobs, failures, and the two charts."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from statistics import median
from typing import Any

from django.db.models import Count, Sum
from django.db.models.functions import TruncDate

from collections_app.models import Collection, Document
from ingestion import reads
from ingestion.models import FileRegistry, FileStatus
from ingestion.outlook import stage_seconds

DAYS = 14
RECENT = 200  # completed jobs whose stages are looked at
RUNNING = 4  # named in the strip
SHOWN = (FileStatus.COMPLETED, FileStatus.FAILED, FileStatus.CANCELLED)


@dataclass(frozen=True)
class Strip:
    """The summary above the jobs.

    :param counts: jobs by status
    :param running: job objects, those that have run longest first
    :param failures: job objects, newest first
    """

    counts: Mapping[str, int]
    chunks: int
    running: Sequence[Mapping[str, Any]]
    failures: Sequence[Mapping[str, Any]]

    @property
    def live(self) -> bool:
        return bool(self.counts[FileStatus.PENDING] or self.counts[FileStatus.PROCESSING])

    @property
    def total(self) -> int:
        return sum(number for status, number in self.counts.items() if status != FileStatus.DELETED)


def strip(collection: Collection, counts: Mapping[str, int]) -> Strip:
    running = reads.rows(collection.pk, status=FileStatus.PROCESSING, limit=RUNNING) if counts["processing"] else []
    return Strip(
        counts,
        chunks_in(collection),
        reads.job_objects(running),
        reads.latest_failures(collection.pk)[:3] if counts["failed"] else [],
    )


def chunks_in(collection: Collection) -> int:
    """That can be found now."""
    found = Document.objects.published().filter(collection=collection).aggregate(chunks=Sum("chunk_count"))
    return found["chunks"] or 0


# -- Charts -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Day:
    """One bar of the chart: jobs by how they ended. Places and heights are in the chart's own units."""

    date: date
    counts: Mapping[str, int]
    left: float
    parts: Sequence[tuple[str, float, float]]  # status, top, height

    @property
    def total(self) -> int:
        return sum(self.counts.values())


HEIGHT, WIDTH, GAP = 64.0, 10.0, 4.0


def days(collection: Collection) -> list[Day]:
    """The jobs of the last two weeks by the day they were submitted, oldest first; empty when there were none."""
    today = datetime.now(UTC).date()
    since = datetime.combine(today - timedelta(days=DAYS - 1), datetime.min.time(), UTC)
    rows = (
        FileRegistry.objects.ingestions()
        .filter(collection=collection, created_at__gte=since, status__in=SHOWN)
        .order_by()
        .annotate(day=TruncDate("created_at"))
        .values_list("day", "status")
        .annotate(jobs=Count("pk"))
    )
    by_day: defaultdict[date, dict[str, int]] = defaultdict(dict)
    for day, status, jobs in rows:
        by_day[day][status] = jobs
    most = max((sum(counts.values()) for counts in by_day.values()), default=0)
    dates = [today - timedelta(days=ago) for ago in range(DAYS - 1, -1, -1)]
    return [bar(day, place, by_day.get(day, {}), most) for place, day in enumerate(dates)] if most else []


def bar(day: date, place: int, counts: Mapping[str, int], most: int) -> Day:
    parts, top = [], HEIGHT
    for status in SHOWN:
        height = HEIGHT * counts.get(status, 0) / most
        if height:
            top -= height
            parts.append((str(status), round(top, 2), round(height, 2)))
    return Day(day, counts, place * (WIDTH + GAP), parts)


@dataclass(frozen=True)
class Stage:
    """What a stage took in the latest completed jobs, in seconds."""

    name: str
    median: float
    longest: float
    share: float  # of the longest median, 0 to 100


def stages(collection: Collection) -> list[Stage]:
    """Waiting, reading, and adding chunks; empty while nothing is completed."""
    rows = (
        FileRegistry.objects.ingestions()
        .filter(collection=collection, status=FileStatus.COMPLETED)
        .order_by("-created_at")
        .values_list("created_at", "processing_started_at", "processing_stats")[:RECENT]
    )
    taken: dict[str, list[float]] = {"waiting": [], "reading": [], "adding": []}
    for created, started, stats in rows:
        seconds = stage_seconds(stats)
        if seconds and started:
            taken["waiting"].append(max(0.0, (started - created).total_seconds()))
            taken["reading"].append(seconds[0])
            taken["adding"].append(seconds[1])
    if not taken["reading"]:
        return []
    medians = {name: median(values) for name, values in taken.items()}
    longest = max(medians.values()) or 1.0
    return [Stage(name, medians[name], max(values), 100 * medians[name] / longest) for name, values in taken.items()]
