import numpy as np
import pytest
from django.db import transaction

from collections_app import services
from collections_app.models import ChunkVector
from collections_app.search import sqlite
from collections_app.search.sqlite import SqliteSearch
from tests.collections_app.factories import fill, make_collection, unit_rows

pytestmark = pytest.mark.django_db


def nearest_texts(engine: SqliteSearch, collection, query, top_k: int = 3) -> list[str]:
    hits = engine.nearest(collection, query, top_k)
    texts = dict(ChunkVector.objects.values_list("chunk_id", "chunk__text"))
    return [texts[hit.chunk_id] for hit in hits]


def test_the_nearest_chunks_are_those_of_a_plain_comparison():
    collection, rows = make_collection(), unit_rows(300)
    fill(collection, rows[:200], file_id=1, word="first")
    fill(collection, rows[200:], file_id=2, word="second")
    query = unit_rows(1, seed=9)[0]
    hits = SqliteSearch().nearest(collection, query, 10)
    similarities = np.sort(rows @ query)[::-1][:10]
    np.testing.assert_allclose([hit.similarity for hit in hits], similarities, atol=1e-5)


def test_an_empty_collection_has_no_hits():
    assert SqliteSearch().nearest(make_collection(), unit_rows(1)[0], 5) == []


def test_only_published_documents_are_found_and_only_in_their_collection():
    mine, other = make_collection(), make_collection()
    rows = unit_rows(4)
    fill(mine, rows[:1], file_id=1, word="published")
    fill(mine, rows[1:2], file_id=2, word="unfinished", published=False)
    fill(other, rows[2:3], file_id=3, word="elsewhere")
    assert nearest_texts(SqliteSearch(), mine, rows[0]) == ["published 0"]


def test_what_is_published_or_withdrawn_later_is_noticed():
    engine, collection, rows = SqliteSearch(), make_collection(), unit_rows(3)
    fill(collection, rows[:1], file_id=1, word="old")
    assert nearest_texts(engine, collection, rows[0]) == ["old 0"]
    fill(collection, rows[1:2], file_id=2, word="new")
    assert set(nearest_texts(engine, collection, rows[0])) == {"old 0", "new 0"}
    services.withdraw_file(1)
    assert nearest_texts(engine, collection, rows[0]) == ["new 0"]
    services.withdraw_file(2)
    assert nearest_texts(engine, collection, rows[0]) == []


def test_a_new_version_of_a_file_takes_the_place_of_the_old_one():
    engine, collection, rows = SqliteSearch(), make_collection(), unit_rows(2)
    fill(collection, rows[:1], file_id=1, word="old")
    engine.nearest(collection, rows[0], 5)
    fill(collection, rows[1:], file_id=1, word="new")
    assert nearest_texts(engine, collection, rows[0]) == ["new 0"]


def test_an_unchanged_collection_costs_one_query_and_a_new_document_two_more(django_assert_num_queries):
    engine, collection, rows = SqliteSearch(), make_collection(), unit_rows(3)
    for file_id in range(1, 30):
        fill(collection, rows, file_id=file_id)
    with django_assert_num_queries(3):
        engine.nearest(collection, rows[0], 5)
    with django_assert_num_queries(1):
        engine.nearest(collection, rows[0], 5)
    fill(collection, rows, file_id=99)
    with django_assert_num_queries(3):
        engine.nearest(collection, rows[0], 5)


def test_a_document_without_chunks_is_looked_up_once(django_assert_num_queries):
    engine, collection, rows = SqliteSearch(), make_collection(), unit_rows(2)
    fill(collection, rows, file_id=1)
    fill(collection, rows[:0], file_id=2)
    assert len(engine.nearest(collection, rows[0], 5)) == 2
    with django_assert_num_queries(1):
        engine.nearest(collection, rows[0], 5)


def test_large_documents_are_read_in_pieces(monkeypatch):
    monkeypatch.setattr(sqlite, "READ_ROWS", 10)
    collection, rows = make_collection(), unit_rows(64)
    fill(collection, rows[:35], file_id=1)
    fill(collection, rows[35:40], file_id=2)
    fill(collection, rows[40:60], file_id=3)
    fill(collection, rows[60:], file_id=4)
    assert len(SqliteSearch().nearest(collection, rows[0], 100)) == 64


def test_a_collection_above_the_bound_is_scanned_without_being_kept(monkeypatch):
    monkeypatch.setattr(sqlite, "READ_ROWS", 16)
    collection, rows = make_collection(), unit_rows(100)
    fill(collection, rows[:70], file_id=1)
    fill(collection, rows[70:], file_id=2)
    small, large = SqliteSearch(cache_bytes=1000), SqliteSearch()
    for top_k in (1, 5, 500):
        assert small.nearest(collection, rows[7], top_k) == large.nearest(collection, rows[7], top_k)
    assert small.cached_bytes == 0
    assert large.cached_bytes > 0


def test_collections_used_longest_ago_leave_a_full_cache(django_assert_num_queries):
    rows = unit_rows(64)
    collections = [make_collection() for _ in range(3)]
    for number, collection in enumerate(collections, start=1):
        fill(collection, rows, file_id=number)
    engine = SqliteSearch(cache_bytes=2 * 64 * (8 * 4 + 8))
    for collection in collections:
        engine.nearest(collection, rows[0], 1)
    assert engine.cached_bytes <= engine.cache_bytes
    with django_assert_num_queries(1):
        engine.nearest(collections[2], rows[0], 1)
    with django_assert_num_queries(3):
        engine.nearest(collections[0], rows[0], 1)


def test_a_slow_threads_old_list_does_not_bring_back_what_was_withdrawn():
    collection, rows = make_collection(), unit_rows(2)
    fill(collection, rows[:1], file_id=1)
    old_list = sqlite.published_ids(collection)
    fill(collection, rows[1:], file_id=2)
    services.withdraw_file(1)
    segments = sqlite.Segments(8)
    segments.refresh(sqlite.published_ids(collection), ticket=2, limit_bytes=10_000)
    segments.refresh(old_list, ticket=1, limit_bytes=10_000)
    ids, _ = segments.matrix.view.compare(rows[0])
    assert len(ids) == 1
    assert nearest_texts(SqliteSearch(), collection, rows[0]) == ["passage 0"]


def test_chunks_that_were_reaped_meanwhile_are_skipped():
    collection, rows = make_collection(), unit_rows(5)
    document = fill(collection, rows, file_id=1)
    listed = sqlite.published_ids(collection)
    services.withdraw_file(1)
    while services.reap().more:
        pass
    assert not ChunkVector.objects.filter(document_id=document.pk).exists()
    segments = sqlite.Segments(8)
    assert segments.refresh(listed, ticket=1, limit_bytes=10_000)
    assert len(segments.matrix.view.compare(rows[0])[0]) == 0


def test_a_query_opens_no_transaction(monkeypatch):
    collection, rows = make_collection(), unit_rows(5)
    fill(collection, rows, file_id=1)

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a read took the write lock")

    monkeypatch.setattr(transaction, "atomic", refuse)
    assert len(SqliteSearch().nearest(collection, rows[0], 5)) == 5
