"""What a preview says of chunks: sizes, histogram, the first of them; and that it holds little meanwhile."""

import random
import statistics
import tracemalloc
from itertools import pairwise

import pytest

from ingestion.cut import BUCKETS, METADATA_KEYS, METADATA_LENGTH, SHOWN, TEXT_LENGTH, Cut


def cut_of(lengths):
    cut = Cut()
    for length in lengths:
        cut.add({"text": "x" * length, "metadata": {}})
    return cut.as_object()


@pytest.mark.parametrize("seed", range(20))
def test_sizes_are_those_of_all_chunks(seed):
    chance = random.Random(seed)
    lengths = [chance.randint(1, 10 ** chance.randint(1, 4)) for _ in range(chance.randint(1, 200))]
    shown = cut_of(lengths)
    assert (shown["chunks"], shown["characters"]) == (len(lengths), sum(lengths))
    assert shown["sizes"] == {
        "min": min(lengths),
        "median": statistics.median(lengths),
        "max": max(lengths),
        "mean": round(statistics.fmean(lengths), 1),
    }
    histogram = shown["histogram"]
    assert 1 <= len(histogram) <= BUCKETS
    for bucket in histogram:
        assert bucket["chunks"] == sum(bucket["from"] <= length <= bucket["to"] for length in lengths)
    assert sum(bucket["chunks"] for bucket in histogram) == len(lengths)
    assert all(one["to"] + 1 == other["from"] for one, other in pairwise(histogram))


def test_buckets_have_round_ends():
    assert cut_of([210, 290, 999])["histogram"][0] == {"from": 200, "to": 299, "chunks": 2}
    assert cut_of([7])["histogram"] == [{"from": 7, "to": 7, "chunks": 1}]


def test_without_chunks_there_is_nothing_to_say():
    assert cut_of([]) == {
        "chunks": 0,
        "characters": 0,
        "sizes": {"min": None, "median": None, "max": None, "mean": None},
        "histogram": [],
        "first": [],
    }


def test_the_first_chunks_are_shown_and_long_ones_cut():
    cut = Cut()
    for number in range(SHOWN + 5):
        cut.add({"text": f"{number} " + "é" * 3000, "metadata": {"page": number}})
    first = cut.as_object()["first"]
    assert [chunk["metadata"]["page"] for chunk in first] == list(range(SHOWN))
    assert all(len(chunk["text"]) == TEXT_LENGTH and chunk["length"] > 3000 for chunk in first)


def test_metadata_of_any_size_is_shown_in_short():
    cut = Cut()
    cut.add(
        {
            "text": "x",
            "metadata": {
                "page": 3,
                "parent_text": "y" * 10**6,
                "parts": list(range(10**5)),
                "k" * 10**5: None,
                **{f"key {n}": n for n in range(1000)},
            },
        }
    )
    shown = cut.as_object()["first"][0]["metadata"]
    assert shown["page"] == 3
    assert len(shown) == METADATA_KEYS
    assert all(len(name) <= METADATA_LENGTH for name in shown)
    assert len(shown["parent_text"]) == len(shown["parts"]) == METADATA_LENGTH


def test_what_is_held_does_not_grow_with_the_chunks():
    cut = Cut()
    tracemalloc.start()
    try:
        for number in range(100_000):
            cut.add({"text": "x" * (500 + number % 700), "metadata": {"page": number}})
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert cut.as_object()["chunks"] == 100_000
    assert most < 1_000_000
