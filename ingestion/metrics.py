"""``/metrics``: what Prometheus reads. See docs/operations.md for the names.

What is true now is read from the database when somebody asks; what happened over time was added up there by workers
(``ingestion.tally``). So it does not matter which of the web processes answers, and a restart forgets nothing.
"""

import threading
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator
from datetime import datetime
from itertools import accumulate
from typing import Any

from django.conf import settings
from django.db.models import Count, F, Min, Q, Sum
from django.db.models.functions import Coalesce, Greatest, Now
from django.utils import timezone
from prometheus_client import Metric as Family
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, InfoMetricFamily
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector, CollectorRegistry

from collections_app.counts import OVER, SUM, Metric
from collections_app.embeddings.endpoints import DEFAULT_ENDPOINTS
from collections_app.models import Document, VendorState
from ingestion import storage
from ingestion.models import FileRegistry, FileStatus, JobCount, JobKind, JobQuerySet, Tally
from ingestion.presence import living_workers
from ingestion.tally import METRICS, OTHER

FRESH_SECONDS = 5.0  # how long what was read is answered again: counting 100,000 jobs takes 40 ms
MOST_SERIES = 300  # of jobs; the rest is one series
OLDEST = 1000  # due jobs, by number, among which the one that waits longest is looked for
MOST_ROWS = 5000  # of the tally, which has a few hundred

_guard = threading.Lock()
_gathered: tuple[float, list[Family]] | None = None


def exposition(accept: str = "") -> tuple[bytes, str]:
    """All metrics and their content type, in the format that *accept* prefers."""
    encoder, content_type = choose_encoder(accept)
    registry = CollectorRegistry(auto_describe=False)
    registry.register(Ready(gathered()))
    return encoder(registry), content_type


def gathered() -> list[Family]:
    """All metrics, a few seconds old at most. One thread reads, others wait for it."""
    global _gathered
    with _guard:
        now = time.monotonic()
        if _gathered is None or now - _gathered[0] >= FRESH_SECONDS:
            families = list(Everything().collect())
            families.append(gauge("kb_gathering_seconds", "Seconds that reading these took.", time.monotonic() - now))
            _gathered = now, families
        return _gathered[1]


def forget() -> None:
    """Read anew at the next question."""
    global _gathered
    _gathered = None


class Ready(Collector):
    def __init__(self, families: list[Family]) -> None:
        self.families = families

    def collect(self) -> Iterable[Family]:
        return self.families


class Everything(Collector):
    """Reads all of it, in about ten queries."""

    def collect(self) -> Iterator[Family]:
        yield InfoMetricFamily("kb_server", "Which version runs.", {"version": settings.VERSION})
        yield jobs()
        yield from the_queue()
        yield from workers()
        yield from reaper()
        yield from vendors()
        yield gauge("kb_storage_free_bytes", "Free space where files live.", storage.free_mb() * 2**20)
        yield from counted()


def gauge(name: str, text: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, text, value=value)


# -- What is true now -------------------------------------------------------------------------------


def jobs() -> Family:
    """Jobs by status, plugin and code, from one index. The largest groups by name, the others as one."""
    rows = (
        FileRegistry.objects.filter(kind=JobKind.INGESTION)
        .order_by()
        .values_list("plugin_name", "status", "error_code")
        .annotate(jobs=Count("pk"))
    )
    numbers: defaultdict[tuple[str, str, str], int] = defaultdict(int)
    for place, (plugin, status, code, count) in enumerate(sorted(rows, key=lambda row: -row[3])):
        numbers[(status, plugin, code) if place < MOST_SERIES else (status, OTHER, OTHER)] += count
    family = GaugeMetricFamily("kb_jobs", "Jobs by status, plugin and error code.", labels=["status", "plugin", "code"])
    for labels, number in numbers.items():
        family.add_metric(labels, number)
    return family


def the_queue() -> Iterator[Family]:
    pending = JobCount.objects.filter(status=FileStatus.PENDING).aggregate(jobs=Sum("jobs"))["jobs"] or 0
    due = FileRegistry.objects.due().ingestions().count()
    family = GaugeMetricFamily(
        "kb_queue_jobs", "Pending jobs: due now, or waiting for their next automatic try.", labels=["state"]
    )
    family.add_metric(["due"], due)
    family.add_metric(["waiting"], max(0, pending - due))
    yield family
    since = oldest_due() if due else None
    age = max(0.0, (timezone.now() - since).total_seconds()) if since else 0.0
    yield gauge("kb_queue_oldest_due_seconds", "How long the oldest due job has waited for a worker.", age)


def oldest_due() -> datetime | None:
    """Since when the oldest due job could run: since it was queued, or since its next try was due.

    Its row says when, so only some are read: 100,000 would take 0.1 s. ``id + 0`` keeps SQLite on the queue's index.
    """
    due: JobQuerySet = FileRegistry.objects.due().ingestions()
    first = due.order_by(F("id") + 0).values("pk")[:OLDEST]
    since = Greatest(F("updated_at"), Coalesce(F("not_before"), F("updated_at")))
    found: datetime | None = FileRegistry.objects.filter(pk__in=first).aggregate(since=Min(since))["since"]
    return found


def workers() -> Iterator[Family]:
    yield gauge("kb_workers_living", "Workers that were heard of lately, on all machines.", living_workers())
    wanted = settings.MAX_CONCURRENT_INGESTION_TASKS
    yield gauge("kb_workers_wanted", "Workers that this machine's settings ask for.", wanted)
    expired = FileRegistry.objects.expired().count()
    yield gauge("kb_expired_leases", "Running jobs whose worker was not heard of in time.", expired)


def reaper() -> Iterator[Family]:
    left = Document.objects.withdrawn().aggregate(documents=Count("pk"), chunks=Sum("chunk_count"))
    yield gauge("kb_reaper_documents", "Withdrawn documents whose rows are still to be deleted.", left["documents"])
    yield gauge("kb_reaper_chunks", "Chunks of withdrawn documents still to be deleted.", left["chunks"] or 0)


def vendors() -> Iterator[Family]:
    """The breakers. Addresses are no label: collections bring their own, and they may be nobody's business."""
    is_open = Q(open_until__gt=Now())
    rows = VendorState.objects.values("vendor").annotate(
        open=Count("pk", filter=is_open),
        failing=Count("pk", filter=~is_open & Q(failures__gt=0)),
        since=Min("failing_since"),
    )
    seen = {row["vendor"]: row for row in rows}
    states = GaugeMetricFamily(
        "kb_vendor_endpoints", "Endpoints that fail: called with care, or left alone.", labels=["vendor", "state"]
    )
    longest = GaugeMetricFamily("kb_vendor_failing_seconds", "How long an endpoint has failed.", labels=["vendor"])
    for vendor in DEFAULT_ENDPOINTS:
        row: dict[str, Any] = dict(seen.get(vendor, {}))
        for state in ("failing", "open"):
            states.add_metric([vendor, state], row.get(state, 0))
        since: datetime | None = row.get("since")
        longest.add_metric([vendor], (timezone.now() - since).total_seconds() if since else 0.0)
    yield states
    yield longest


# -- What was counted over time ---------------------------------------------------------------------


def counted() -> Iterator[Family]:
    parts: defaultdict[str, dict[tuple[str, ...], dict[str, float]]] = defaultdict(dict)
    for name, labels, part, value in Tally.objects.values_list("metric", "labels", "part", "value")[:MOST_ROWS]:
        parts[name].setdefault(tuple(labels.split("|")) if labels else (), {})[part] = value
    for metric in METRICS:
        yield histogram(metric, parts[metric.name]) if metric.bounds else counter(metric, parts[metric.name])


def counter(metric: Metric, series: dict[tuple[str, ...], dict[str, float]]) -> Family:
    family = CounterMetricFamily(metric.name, metric.help, labels=metric.labels)
    for labels, values in series.items():
        family.add_metric(labels, values.get("", 0.0))
    if not metric.labels and not series:
        family.add_metric([], 0)
    return family


def histogram(metric: Metric, series: dict[tuple[str, ...], dict[str, float]]) -> Family:
    """Prometheus wants each bucket to count what is in those below it, too."""
    family = HistogramMetricFamily(metric.name, metric.help, labels=metric.labels)
    ends = {f"{bound:g}": str(float(bound)) for bound in metric.bounds} | {OVER: OVER}
    for labels, values in series.items():
        within = dict.fromkeys(ends, 0.0)
        for part, value in values.items():
            if part != SUM:  # an end that an earlier version had is within the next larger one of today
                within[metric.part_of(float(part))] += value
        buckets = list(zip(ends.values(), accumulate(within.values()), strict=True))
        family.add_metric(labels, buckets, sum_value=values.get(SUM, 0.0))
    return family
