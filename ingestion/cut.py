"""How a source was cut: how many chunks, how long they are, and the first of them.

Read in one pass. What is held meanwhile is how many chunks have each length, and there cannot be many lengths: chunks
of n different ones hold n²/2 characters together, so a spool of 4 GB has 90,000 of them at most.
"""

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from itertools import accumulate
from typing import Any

SHOWN = 12  # chunks
TEXT_LENGTH = 2000
BUCKETS = 12
METADATA_KEYS, METADATA_LENGTH = 30, 300  # of a chunk, and of one value


class Cut:
    """What chunks have in common; :meth:`add` takes them one by one."""

    def __init__(self) -> None:
        self.lengths: Counter[int] = Counter()
        self.first: list[dict[str, Any]] = []

    def add(self, chunk: Mapping[str, Any]) -> None:
        """:param chunk: ``{"text": str, "metadata": dict}``"""
        text = chunk["text"]
        self.lengths[len(text)] += 1
        if len(self.first) < SHOWN:
            self.first.append(
                {"text": text[:TEXT_LENGTH], "length": len(text), "metadata": shortened(chunk["metadata"])}
            )

    def as_object(self) -> dict[str, Any]:
        """As ``processing_stats["preview"]`` has it; lengths are in characters."""
        return {
            "chunks": self.lengths.total(),
            "characters": sum(length * chunks for length, chunks in self.lengths.items()),
            "sizes": sizes(self.lengths),
            "histogram": histogram(self.lengths),
            "first": self.first,
        }


def shortened(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """What of a chunk's metadata is shown: plugins may put whole chapters there."""
    return {name[:METADATA_LENGTH]: short(value) for name, value in list(metadata.items())[:METADATA_KEYS]}


def short(value: Any) -> Any:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return value if len(text) <= METADATA_LENGTH else f"{text[: METADATA_LENGTH - 1]}…"


def sizes(lengths: Mapping[int, int]) -> dict[str, Any]:
    """Least, middle, greatest and mean length; all None without chunks."""
    total = sum(lengths.values())
    if not total:
        return dict.fromkeys(("min", "median", "max", "mean"))
    characters = sum(length * chunks for length, chunks in lengths.items())
    return {
        "min": min(lengths),
        "median": median(lengths, total),
        "max": max(lengths),
        "mean": round(characters / total, 1),
    }


def median(lengths: Mapping[int, int], total: int) -> float:
    """The length in the middle of all *total*, or between the two there."""
    ordered = sorted(lengths)
    upto = list(accumulate(lengths[length] for length in ordered))

    def at(place: int) -> int:
        return next(length for length, reached in zip(ordered, upto, strict=True) if reached > place)

    return (at((total - 1) // 2) + at(total // 2)) / 2


def histogram(lengths: Mapping[int, int]) -> list[dict[str, int]]:
    """Chunks by length, in buckets of one round width; ``from`` and ``to`` both belong to theirs."""
    if not lengths:
        return []
    low, high = min(lengths), max(lengths)
    width = next(width for width in round_widths() if high // width - low // width < BUCKETS)
    found: Counter[int] = Counter()
    for length, chunks in lengths.items():
        found[length // width] += chunks
    return [
        {"from": place * width, "to": (place + 1) * width - 1, "chunks": found[place]}
        for place in range(low // width, high // width + 1)
    ]


def round_widths() -> Iterable[int]:
    """1, 2, 5, 10, 20, 50, …"""
    power = 1
    while True:
        yield from (power, 2 * power, 5 * power)
        power *= 10
