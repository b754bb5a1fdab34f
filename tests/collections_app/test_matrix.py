import threading

import numpy as np
import pytest

from collections_app.search import matrix
from collections_app.search.matrix import BLOCK_ROWS, Matrix, best
from tests.collections_app.factories import unit_rows


def add(target: Matrix, document: int, ids, vectors) -> None:
    target.begin(document)
    target.add(document, np.array(ids, dtype=np.int64), vectors)


def found(target: Matrix, query) -> dict[int, float]:
    ids, similarities = target.view.compare(query)
    return dict(zip(ids.tolist(), similarities.tolist(), strict=True))


def test_what_was_added_is_seen_when_it_is_shown():
    rows, target = unit_rows(3), Matrix(8)
    add(target, 1, [10, 11, 12], rows)
    assert found(target, rows[0]) == {}
    target.show()
    assert set(found(target, rows[0])) == {10, 11, 12}
    assert found(target, rows[1])[11] == pytest.approx(1)


def test_what_was_removed_is_not_seen_any_more():
    rows, target = unit_rows(4), Matrix(8)
    add(target, 1, [10, 11], rows[:2])
    add(target, 2, [20, 21], rows[2:])
    target.show()
    target.remove(1)
    target.show()
    assert set(found(target, rows[0])) == {20, 21}
    assert target.documents == {2}


def test_many_small_documents_share_few_blocks():
    rows, target = unit_rows(5000), Matrix(8)
    for n in range(5000):
        add(target, n + 1, [n + 1], rows[n : n + 1])
    target.show()
    assert len(target.view.blocks) == 1
    assert found(target, rows[4321])[4322] == pytest.approx(1)


def test_a_large_document_spreads_over_blocks():
    rows, target = unit_rows(3 * BLOCK_ROWS), Matrix(8)
    add(target, 1, range(1, len(rows) + 1), rows)
    target.show()
    similarities = found(target, rows[-1])
    assert len(similarities) == len(rows)
    assert similarities[len(rows)] == pytest.approx(1)


def test_a_small_collection_takes_little_memory():
    target = Matrix(256)
    add(target, 1, range(1, 11), unit_rows(10, 256))
    assert target.nbytes < 100_000


def test_gaps_are_packed_when_they_outnumber_the_rows(monkeypatch):
    monkeypatch.setattr(matrix, "BLOCK_ROWS", 16)
    rows, target = unit_rows(100), Matrix(8)
    for n in range(100):
        add(target, n + 1, [n + 1], rows[n : n + 1])
    target.show()
    blocks = len(target.view.blocks)
    for n in range(90):
        target.remove(n + 1)
    target.show()
    assert (target.rows, target.gaps) == (10, 0)
    assert len(target.view.blocks) < blocks
    assert set(found(target, rows[95])) == set(range(91, 101))
    assert found(target, rows[95])[96] == pytest.approx(1)


def test_readers_are_not_disturbed_by_a_writer():
    """Document 1 stays all the time; each answer holds it whole and rows of others with their own vectors only."""
    rows, target = unit_rows(64), Matrix(8)
    add(target, 1, range(1, 11), rows[:10])
    target.show()
    stop, wrong = threading.Event(), []

    def read() -> None:
        while not stop.is_set():
            similarities = found(target, rows[0])
            if not set(range(1, 11)) <= set(similarities) or 0 in similarities:
                wrong.append(similarities)

    readers = [threading.Thread(target=read) for _ in range(3)]
    for reader in readers:
        reader.start()
    for n in range(3000):
        add(target, n + 2, [1000 + n], rows[n % 64 : n % 64 + 1])
        if n > 20:
            target.remove(n - 18)
        target.show()
    stop.set()
    for reader in readers:
        reader.join(10)
    assert not wrong


def test_the_best_come_first_and_equal_ones_by_id():
    ids = np.array([5, 3, 9, 1, 7], dtype=np.int64)
    similarities = np.array([0.5, 0.9, 0.5, 0.1, 0.5], dtype=np.float32)
    assert best(ids, similarities, 3)[0].tolist() == [3, 5, 7]
    assert best(ids, similarities, 99)[0].tolist() == [3, 5, 7, 9, 1]


def test_noise_in_the_last_bit_does_not_decide_between_equal_ones():
    ids = np.array([8, 2, 5], dtype=np.int64)
    similarities = np.array([0.5, 0.5, np.nextafter(np.float32(0.5), np.float32(1))], dtype=np.float32)
    assert best(ids, similarities, 2)[0].tolist() == [2, 5]


def test_the_best_are_those_of_a_full_sort():
    ids = np.arange(1, 5001, dtype=np.int64)
    similarities = unit_rows(5000)[:, 0].copy()
    expected = np.lexsort((ids, -np.round(similarities.astype(np.float64), 6)))
    for top_k in (1, 10, 4999, 5000, 20_000):
        assert best(ids, similarities, top_k)[0].tolist() == ids[expected][:top_k].tolist()
