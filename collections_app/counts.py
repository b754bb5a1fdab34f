"""Counting in memory, for ``/metrics``: what was counted is kept until somebody takes it to the database."""

import threading
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

SUM = "sum"  # the part of a histogram that holds the sum of what was observed
OVER = "+Inf"  # the part that counts what is larger than every bound


@dataclass(frozen=True)
class Metric:
    """A counter, or with *bounds* a histogram.

    :param labels: names; their values must come from a small set
    :param bounds: upper ends of the histogram's buckets, rising
    """

    name: str
    help: str
    labels: tuple[str, ...] = ()
    bounds: tuple[float, ...] = ()

    def part_of(self, value: float) -> str:
        """The bucket that counts *value*; each is in one only, unlike in what Prometheus reads."""
        place = bisect_left(self.bounds, value)
        return f"{self.bounds[place]:g}" if place < len(self.bounds) else OVER


class Series(NamedTuple):
    """What one number counts. ``part`` is blank for a counter, a bucket's upper end or ``sum`` for a histogram."""

    metric: str
    labels: tuple[str, ...]
    part: str


class Counts:
    """Numbers by series. Any thread may count."""

    def __init__(self) -> None:
        self._values: defaultdict[Series, float] = defaultdict(float)
        self._guard = threading.Lock()

    def add(self, metric: Metric, *labels: str, by: float = 1) -> None:
        self._grow([(Series(metric.name, labels, ""), by)])

    def observe(self, metric: Metric, value: float, *labels: str) -> None:
        """Count *value* into a histogram."""
        bucket, total = Series(metric.name, labels, metric.part_of(value)), Series(metric.name, labels, SUM)
        self._grow([(bucket, 1), (total, value)])

    def merge(self, values: dict[Series, float]) -> None:
        self._grow(values.items())

    def take(self) -> dict[Series, float]:
        """All that was counted; counting starts anew."""
        with self._guard:
            taken, self._values = dict(self._values), defaultdict(float)
        return taken

    def _grow(self, changes: Iterable[tuple[Series, float]]) -> None:
        with self._guard:
            for series, by in changes:
                self._values[series] += by
