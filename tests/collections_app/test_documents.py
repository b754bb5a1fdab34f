import uuid

import pytest
from django.db import transaction

from collections_app import crypto, services
from collections_app.embeddings import base, embedder_for
from collections_app.errors import CollectionGone, DocumentLost, InvalidDocument, InvalidEmbeddings, SecretUnreadable
from collections_app.models import Chunk, Collection, Document
from tests.collections_app.factories import fill, make_collection, passages, unit_rows

pytestmark = pytest.mark.django_db


def begin(collection, *, file_id: int = 1, source_key: str = "key") -> Document:
    return services.begin_document(collection, file_id, uuid.uuid4(), source_key)


# -- Begun -------------------------------------------------------------------------------------------


def test_a_run_goes_on_where_the_one_before_it_stopped():
    collection = make_collection()
    earlier = fill(collection, unit_rows(3), published=False)
    assert services.resumable(1, "key") == 3
    document = begin(collection)
    assert (document.pk, document.chunk_count) == (earlier.pk, 3)
    assert document.run_id != earlier.run_id
    with pytest.raises(DocumentLost), transaction.atomic():
        services.store_batch(earlier, 3, passages(1), unit_rows(1))
    with pytest.raises(DocumentLost), transaction.atomic():
        services.publish(earlier)
    services.store_batch(document, 3, passages(1), unit_rows(1))
    services.publish(document)


@pytest.mark.parametrize("source_key", ["another", ""])
def test_a_changed_source_begins_anew_and_what_was_stored_is_withdrawn(source_key):
    collection = make_collection()
    earlier = fill(collection, unit_rows(3), published=False, source_key="" if not source_key else "key")
    assert services.resumable(1, source_key) == 0
    document = begin(collection, source_key=source_key)
    assert (document.pk != earlier.pk, document.chunk_count) == (True, 0)
    earlier.refresh_from_db()
    assert earlier.withdrawn_at is not None


def test_the_published_version_stays_while_a_new_one_is_made():
    collection = make_collection()
    published = fill(collection, unit_rows(3))
    begin(collection)
    published.refresh_from_db()
    assert published.withdrawn_at is None


def test_other_files_are_left_alone():
    collection = make_collection()
    other = fill(collection, unit_rows(1), file_id=2, published=False)
    begin(collection, file_id=1)
    other.refresh_from_db()
    assert other.withdrawn_at is None


# -- Published and withdrawn -------------------------------------------------------------------------


def test_publishing_withdraws_the_files_former_version():
    collection = make_collection()
    old, new = fill(collection, unit_rows(1)), fill(collection, unit_rows(2))
    old.refresh_from_db()
    assert old.withdrawn_at is not None
    assert list(Document.objects.published()) == [new]


def test_a_withdrawn_document_cannot_be_published():
    collection = make_collection()
    old = fill(collection, unit_rows(1))
    document = begin(collection)
    services.withdraw_run(document.run_id)
    with pytest.raises(DocumentLost), transaction.atomic():
        services.publish(document)
    old.refresh_from_db()
    assert old.withdrawn_at is None


def test_a_document_is_published_once():
    document = fill(make_collection(), unit_rows(1))
    with pytest.raises(DocumentLost), transaction.atomic():
        services.publish(document)


def test_withdrawing_counts_published_and_stored_chunks_exactly_and_once():
    collection = make_collection()
    fill(collection, unit_rows(5))
    fill(collection, unit_rows(3), published=False)
    fill(collection, unit_rows(7), file_id=2)
    assert services.withdraw_file(1) == 8
    assert services.withdraw_file(1) == 0
    assert services.withdraw_collection(collection) == 7
    assert not Document.objects.published().exists()


def test_withdrawing_costs_the_same_whatever_the_number_of_chunks(django_assert_num_queries):
    fill(make_collection(), unit_rows(500))
    with django_assert_num_queries(4):  # two of them begin and end the savepoint
        assert services.withdraw_file(1) == 500


def test_a_run_can_be_withdrawn_alone():
    collection = make_collection()
    fill(collection, unit_rows(5))
    running = fill(collection, unit_rows(3), published=False)
    assert services.withdraw_run(running.run_id) == 3
    assert Document.objects.published().count() == 1


# -- Posted as they are ------------------------------------------------------------------------------


def test_posted_documents_are_found_at_once():
    collection = make_collection()
    posted = [{"text": "The cat sleeps", "metadata": {"page": 1, "tags": ["a", "b"]}}, {"text": "Revenue rose"}]
    assert services.add_documents(collection, posted) == 2
    document = Document.objects.get()
    assert (document.file_id, document.chunk_count) == (None, 2)
    collection.refresh_from_db()
    assert services.search(collection, "a kitten", 1)[0]["data"] == "The cat sleeps"


def test_no_documents_add_nothing():
    assert services.add_documents(make_collection(), []) == 0
    assert not Document.objects.exists()


def test_posts_do_not_replace_one_another():
    collection = make_collection()
    services.add_documents(collection, [{"text": "one"}])
    services.add_documents(collection, [{"text": "two"}])
    assert Document.objects.published().count() == 2


def test_many_documents_go_in_several_transactions_and_are_published_together(monkeypatch):
    monkeypatch.setattr("collections_app.documents.STORED_AT_ONCE", 10)
    assert services.add_documents(make_collection(), [{"text": f"text {n}"} for n in range(35)]) == 35
    assert Document.objects.published().get().chunk_count == 35
    assert list(Chunk.objects.order_by("position").values_list("text", flat=True))[34] == "text 34"


@pytest.mark.parametrize(
    ("bad", "problem"),
    [
        ({"metadata": {}}, "'text'"),
        ({"text": 5}, "'text'"),
        ({"text": "x", "metadata": []}, "'metadata'"),
        ({"text": "x", "metadata": {"author": {"name": "Ann"}}}, "'author'"),
        ({"text": "x", "metadata": {"pages": [[1]]}}, "'pages'"),
        ("text", "object"),
    ],
)
def test_a_bad_document_is_named_and_nothing_is_added(bad, problem):
    with pytest.raises(InvalidDocument) as caught:
        services.add_documents(make_collection(), [{"text": "good"}, bad])
    assert caught.value.context == {"index": 1}
    assert caught.value.message.startswith("documents[1]")
    assert problem in caught.value.message
    assert not Document.objects.exists()


def test_more_documents_than_one_request_may_bring_are_refused(monkeypatch):
    monkeypatch.setattr("collections_app.documents.MOST_DOCUMENTS", 2)
    with pytest.raises(InvalidDocument):
        services.add_documents(make_collection(), [{"text": "x"}] * 3)


def test_a_failing_vendor_adds_nothing(vendor):
    vendor.fail_with(401)
    collection = make_collection(embedding_vendor="openai", embedding_endpoint=vendor.url)
    with pytest.raises(base.VendorError):
        services.add_documents(collection, [{"text": "x"}])
    assert not Document.objects.exists()


def test_a_model_that_changed_its_dimension_is_refused(vendor):
    collection = make_collection(
        embedding_vendor="openai", embedding_endpoint=vendor.url, embedding_model="m", embedding_dimension=1536
    )
    with pytest.raises(base.VendorError) as caught:
        services.add_documents(collection, [{"text": "x"}])
    assert caught.value.code == "dimension_mismatch"
    assert not Document.objects.exists()


# -- Read back ---------------------------------------------------------------------------------------


def test_a_files_text_is_read_in_order():
    collection = make_collection()
    fill(collection, unit_rows(3), word="old")
    fill(collection, unit_rows(12), word="new")
    content = services.file_chunks(1)
    assert content is not None
    assert content.texts == [f"new {n}" for n in range(12)]


def test_a_file_without_a_published_document_has_no_text():
    assert services.file_chunks(1) is None
    fill(make_collection(), unit_rows(3), published=False)
    assert services.file_chunks(1) is None


# -- Embedders ---------------------------------------------------------------------------------------


def test_collections_with_the_same_settings_share_an_embedder(settings):
    fields = {"embedding_vendor": "openai", "embedding_model": "m", "embedding_endpoint": "http://host/v1"}
    one = make_collection(**fields, embedding_api_key=crypto.encrypt("sk-1"))
    same = make_collection(**fields, embedding_api_key=crypto.encrypt("sk-1"))
    other = make_collection(**fields, embedding_api_key=crypto.encrypt("sk-2"))
    assert embedder_for(one) is embedder_for(same)
    assert embedder_for(one) is not embedder_for(other)
    settings.SECRET_KEY = "a new one, long enough to be taken"
    with pytest.raises(SecretUnreadable):
        embedder_for(one)


def test_a_collection_without_usable_settings_says_so():
    with pytest.raises(InvalidEmbeddings) as caught:
        embedder_for(make_collection(embedding_vendor="", embedding_model=""))
    assert caught.value.code == "unknown_vendor"


@pytest.mark.django_db(transaction=True)
def test_documents_for_a_collection_that_was_deleted_meanwhile_are_refused():
    collection = make_collection()
    Collection.objects.filter(pk=collection.pk).delete()
    with pytest.raises(CollectionGone):
        services.add_documents(collection, [{"text": "late"}])
    assert not Document.objects.exists()
