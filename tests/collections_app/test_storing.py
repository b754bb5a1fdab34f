import json

import numpy as np
import pytest
from django.db import transaction

from collections_app.embeddings.base import VendorError
from collections_app.errors import DocumentLost
from collections_app.models import Chunk, ChunkVector, Document
from collections_app.storing import encoded, store_batch
from tests.collections_app.factories import fill, make_collection, passages, unit_rows

pytestmark = pytest.mark.django_db


def test_a_batch_is_stored_in_order_with_its_vectors():
    collection, rows = make_collection(), unit_rows(5)
    document = Document.objects.create(collection=collection)
    store_batch(document, 0, passages(3), rows[:3])
    store_batch(document, 3, passages(2, "more"), rows[3:])
    stored = list(Chunk.objects.order_by("position").values_list("position", "text", "metadata"))
    assert stored[3] == (3, "more 0", {"chunk_index": 0})
    assert [position for position, _, _ in stored] == [0, 1, 2, 3, 4]
    for position, row in enumerate(rows):
        raw = ChunkVector.objects.get(chunk__position=position)
        assert raw.document_id == document.pk
        np.testing.assert_array_equal(np.frombuffer(raw.vector, dtype="<f4"), row)
    document.refresh_from_db()
    assert document.chunk_count == 5


def test_vectors_in_another_byte_order_or_width_are_stored_as_little_endian_float32():
    document = Document.objects.create(collection=make_collection())
    rows = unit_rows(2).astype(">f8")
    store_batch(document, 0, passages(2), rows)
    raw = ChunkVector.objects.get(chunk__position=1).vector
    np.testing.assert_allclose(np.frombuffer(raw, dtype="<f4"), rows[1], atol=1e-7)


def test_a_batch_costs_the_same_few_statements_whatever_its_size(django_assert_num_queries):
    collection = make_collection()
    document = fill(collection, unit_rows(1), published=False)
    document = Document.objects.select_related("collection").get(pk=document.pk)
    with django_assert_num_queries(5):
        store_batch(document, 1, passages(500), unit_rows(500))


def test_the_first_batch_pins_the_dimension():
    collection = make_collection()
    fill(collection, unit_rows(2, dimension=16))
    assert collection.embedding_dimension == 16


def test_vectors_of_another_dimension_are_refused_and_not_stored():
    collection = make_collection(embedding_dimension=16)
    document = Document.objects.create(collection=collection)
    with pytest.raises(VendorError) as caught, transaction.atomic():
        store_batch(document, 0, passages(2), unit_rows(2, dimension=8))
    assert caught.value.code == "dimension_mismatch"
    assert not caught.value.transient
    assert not Chunk.objects.exists()


def test_a_run_that_pinned_first_decides_also_for_one_that_does_not_know_it_yet():
    collection = make_collection()
    stale = Document.objects.create(collection=collection)
    type(collection).objects.update(embedding_dimension=16)
    with pytest.raises(VendorError, match="16"), transaction.atomic():
        store_batch(stale, 0, passages(2), unit_rows(2, dimension=8))


def test_a_pin_that_was_rolled_back_is_pinned_again():
    collection = make_collection()
    document = Document.objects.create(collection=collection)
    with pytest.raises(RuntimeError), transaction.atomic():
        store_batch(document, 0, passages(1), unit_rows(1))
        raise RuntimeError
    store_batch(document, 0, passages(1), unit_rows(1))
    collection.refresh_from_db()
    assert collection.embedding_dimension == 8


@pytest.mark.parametrize("start", [0, 2])
def test_a_batch_that_does_not_follow_the_last_one_is_refused(start):
    document = fill(make_collection(), unit_rows(1), published=False)
    with pytest.raises(DocumentLost), transaction.atomic():
        store_batch(document, start, passages(1), unit_rows(1))


def test_a_withdrawn_or_published_document_takes_nothing_more():
    collection = make_collection()
    published = fill(collection, unit_rows(1), file_id=1)
    withdrawn = fill(collection, unit_rows(1), file_id=2, published=False)
    Document.objects.filter(pk=withdrawn.pk).withdraw()
    for document in (published, withdrawn):
        with pytest.raises(DocumentLost), transaction.atomic():
            store_batch(document, 1, passages(1), unit_rows(1))


def test_as_many_vectors_as_chunks_are_needed():
    document = Document.objects.create(collection=make_collection())
    with pytest.raises(ValueError, match="2 vectors for 3 chunks"):
        store_batch(document, 0, passages(3), unit_rows(2))


def test_text_that_no_database_takes_is_cleaned():
    document = Document.objects.create(collection=make_collection())
    chunk = {"text": "a\x00b \ud83d c", "metadata": {"title": "x\x00y \ud83d", "smile": "😀", "bad": float("nan")}}
    store_batch(document, 0, [chunk], unit_rows(1))
    stored = Chunk.objects.get()
    assert stored.text == "ab ? c"
    assert stored.metadata == {"title": "xy ?", "smile": "😀", "bad": None}


def test_metadata_is_written_as_strict_json():
    assert json.loads(encoded({"a": [float("inf"), 1], "b": {"c": float("nan")}})) == {"a": [None, 1], "b": {"c": None}}
    assert json.loads(encoded({"path": "c:\\users\\u0000"})) == {"path": "c:\\users\\u0000"}
