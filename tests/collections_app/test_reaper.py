import pytest
from django.db import transaction

from collections_app import reaper, services
from collections_app.models import Chunk, ChunkVector, Document
from tests.collections_app.factories import fill, make_collection, unit_rows

pytestmark = pytest.mark.django_db


def reap_all() -> int:
    rows = 0
    for _ in range(1000):
        reaped = services.reap(budget_seconds=1)
        rows += reaped.rows
        if not reaped.more:
            return rows
    raise AssertionError("the reaper never ends")


def test_what_was_withdrawn_is_deleted_and_nothing_else():
    collection = make_collection()
    fill(collection, unit_rows(700), file_id=1)
    fill(collection, unit_rows(5), file_id=2)
    fill(collection, unit_rows(4), file_id=3, published=False)
    assert services.withdraw_file(1) == 700
    assert reap_all() == 700 + 700 + 1
    assert Document.objects.count() == 2
    assert Chunk.objects.count() == ChunkVector.objects.count() == 9


def test_nothing_to_do_is_done_at_once():
    assert services.reap() == (0, False)


def test_it_stops_when_its_time_is_over_and_goes_on_the_next_time(monkeypatch):
    monkeypatch.setattr(reaper, "FIRST_CHUNKS", 20)
    collection = make_collection()
    document = fill(collection, unit_rows(100))
    services.withdraw_file(1)
    first = services.reap(budget_seconds=0)
    assert first == (40, True)
    document.refresh_from_db()
    assert document.chunk_count == Chunk.objects.count() == 80
    assert reap_all() == 80 + 80 + 1


def test_many_small_documents_go_together(django_assert_max_num_queries):
    collection = make_collection()
    for file_id in range(1, 61):
        fill(collection, unit_rows(1), file_id=file_id)
    services.withdraw_collection(collection)
    with django_assert_max_num_queries(14):
        assert services.reap(budget_seconds=60).rows == 180


def test_documents_without_chunks_go_too():
    collection = make_collection()
    fill(collection, unit_rows(0))
    services.withdraw_file(1)
    assert services.reap().rows == 1
    assert not Document.objects.exists()


def test_a_slow_batch_is_followed_by_a_smaller_one_and_a_quick_one_by_a_slightly_larger():
    assert reaper._adapted(1000, seconds=0.1, target_seconds=0.02) == 300
    assert reaper._adapted(1000, seconds=0.04, target_seconds=0.02) == 500
    assert reaper._adapted(1000, seconds=0.001, target_seconds=0.02) == 1200
    assert reaper._adapted(10, seconds=9, target_seconds=0.02) == reaper.LEAST_CHUNKS
    assert reaper._adapted(reaper.MOST_CHUNKS, seconds=0, target_seconds=0.02) == reaper.MOST_CHUNKS


@pytest.mark.django_db(transaction=True)
def test_it_refuses_to_run_inside_a_transaction():
    with pytest.raises(RuntimeError, match="durable"), transaction.atomic():
        services.reap()
