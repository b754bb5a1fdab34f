import re
import uuid
from functools import partial

import pytest
from django.db import IntegrityError

from collections_app import crypto, services
from collections_app.embeddings.base import VendorError
from collections_app.errors import CollectionError, InvalidEmbeddings, InvalidName, InvalidVisibility, NameTaken
from collections_app.models import Chunk, Collection, Document
from tests.collections_app.factories import fill, make_collection, unit_rows

pytestmark = pytest.mark.django_db


# -- Collections -------------------------------------------------------------------------------------


def test_a_new_collection_keeps_what_was_asked_for_and_its_key_encrypted():
    collection = services.create_collection(
        "Law, 1st term", "7", "", "public",
        {"vendor": "openai", "model": "m", "api_endpoint": "http://host/v1", "apikey": "sk-1"},
    )  # fmt: skip
    stored = Collection.objects.get(pk=collection.pk)
    assert (stored.name, stored.owner, stored.description, stored.visibility) == ("Law, 1st term", "7", "", "public")
    assert (stored.embedding_vendor, stored.embedding_model) == ("openai", "m")
    assert stored.embedding_endpoint == "http://host/v1"
    assert "sk-1" not in stored.embedding_api_key
    assert crypto.decrypt(stored.embedding_api_key) == "sk-1"
    assert stored.embedding_dimension is None
    assert collection.creation_date == stored.creation_date


def test_no_description_is_not_an_empty_one():
    assert services.create_collection("a", "1").description is None
    assert services.create_collection("b", "1", "").description == ""


@pytest.mark.parametrize("name", ["x", "ab", "Ünï çødé 📚", "a" * 255, "../../etc", " "])
def test_a_name_may_be_any_text(name):
    assert services.create_collection(name, "1").name == name


@pytest.mark.parametrize("name", ["", "a" * 256, "a\x00b", "\ud83d"])
def test_a_name_that_cannot_be_kept_is_refused(name):
    with pytest.raises(InvalidName):
        services.create_collection(name, "1")


def test_a_name_is_taken_for_its_owner_alone():
    services.create_collection("a", "1")
    services.create_collection("a", "2")
    with pytest.raises(NameTaken):
        services.create_collection("a", "1")


def test_a_deleted_collections_name_is_free():
    gone = services.create_collection("a", "1")
    Collection.objects.filter(pk=gone.pk).update(deleted_at=gone.creation_date)
    services.create_collection("a", "1")


def test_a_name_taken_in_the_same_moment_is_seen_by_the_constraint(monkeypatch):
    services.create_collection("a", "1")
    monkeypatch.setattr(services, "_check_free", lambda name, owner: None)
    with pytest.raises(NameTaken) as caught:
        services.create_collection("a", "1")
    assert isinstance(caught.value.__cause__, IntegrityError)


def test_a_taken_name_is_told_before_other_mistakes():
    services.create_collection("a", "1")
    with pytest.raises(NameTaken):
        services.create_collection("a", "1", visibility="secret", embeddings={"vendor": "acme", "model": "m"})
    with pytest.raises(InvalidVisibility):
        services.create_collection("b", "1", visibility="secret", embeddings={"vendor": "acme", "model": "m"})
    with pytest.raises(InvalidEmbeddings):
        services.create_collection("b", "1", embeddings={"vendor": "acme", "model": "m"})
    assert not Collection.objects.filter(name="b").exists()


def test_all_refusals_share_a_base_with_code_and_sentence():
    with pytest.raises(CollectionError) as caught:
        services.create_collection("a", "1", visibility="secret")
    assert (caught.value.code, caught.value.hint != "") == ("invalid_visibility", True)


def test_only_what_is_given_is_changed():
    collection = services.create_collection("a", "1", "text")
    services.update_collection(collection, visibility="public")
    services.update_collection(collection, description=None)
    services.update_collection(collection, name="b")
    services.update_collection(collection)
    stored = Collection.objects.get(pk=collection.pk)
    assert (stored.name, stored.description, stored.visibility) == ("b", None, "public")


def test_keeping_ones_own_name_is_no_clash():
    collection = services.create_collection("a", "1")
    assert services.update_collection(collection, name="a", description="x").description == "x"


def test_a_refused_change_changes_nothing(monkeypatch):
    services.create_collection("taken", "1")
    collection = services.create_collection("a", "1")
    with pytest.raises(NameTaken):
        services.update_collection(collection, name="taken", description="new")
    with pytest.raises(InvalidVisibility):
        services.update_collection(collection, name="b", visibility="secret")
    monkeypatch.setattr(services, "_check_free", lambda name, owner: None)
    with pytest.raises(NameTaken):
        services.update_collection(collection, name="taken", description="new")
    assert (collection.name, collection.description) == ("a", None)
    collection.refresh_from_db()
    assert (collection.name, collection.description) == ("a", None)


# -- Search ------------------------------------------------------------------------------------------

POSTED = [
    {"text": "The cat sleeps on the sofa", "metadata": {"page": 1}},
    {"text": "Quarterly revenue rose by ten percent", "metadata": {"page": 2}},
    {"text": "Kittens sleep on the couch", "metadata": {"page": 3}},
]


@pytest.fixture
def animals():
    collection = make_collection()
    services.add_documents(collection, POSTED)
    collection.refresh_from_db()
    return collection


def test_the_nearest_chunks_come_first_with_their_similarity(animals):
    rows = services.search(animals, "a sleeping cat", 2)
    assert {row["metadata"]["page"] for row in rows} == {1, 3}
    assert 1 >= rows[0]["similarity"] >= rows[1]["similarity"] > 0.3
    assert isinstance(rows[0]["similarity"], float)
    assert rows[0]["data"] == POSTED[rows[0]["metadata"]["page"] - 1]["text"]


def test_metadata_tell_where_a_chunk_came_from(animals):
    metadata = services.search(animals, "revenue", 1)[0]["metadata"]
    assert metadata["page"] == 2
    assert re.fullmatch(r"[0-9a-f]{32}", metadata["document_id"])
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", metadata["ingestion_timestamp"])
    assert metadata["embedding_vendor"] == "local"
    assert metadata["embedding_model"] == "wordllama-l2-supercat-256"


def test_a_chunks_id_is_its_own_and_stays_the_same(animals):
    first, again = (services.search(animals, question, 9) for question in ("cat", "revenue"))
    ids = {row["data"]: row["metadata"]["document_id"] for row in first}
    assert len(set(ids.values())) == 3
    assert ids == {row["data"]: row["metadata"]["document_id"] for row in again}


def test_a_chunk_that_brought_its_own_id_and_time_keeps_them():
    collection = make_collection()
    own = {"document_id": uuid.uuid4().hex, "ingestion_timestamp": "2024-01-01T00:00:00"}
    services.add_documents(collection, [{"text": "imported", "metadata": own}])
    collection.refresh_from_db()
    metadata = services.search(collection, "imported", 1)[0]["metadata"]
    assert {key: metadata[key] for key in own} == own


def test_more_hits_than_there_are_chunks_are_no_problem(animals):
    assert len(services.search(animals, "cat", 20_000)) == 3
    assert services.search(animals, "cat", 0) == []


def test_a_large_answer_is_fetched_in_pieces(monkeypatch, animals):
    monkeypatch.setattr(services, "FETCHED_AT_ONCE", 2)
    assert len(services.search(animals, "cat", 3)) == 3


def test_an_empty_collection_answers_nothing_and_asks_no_vendor(vendor):
    collection = make_collection(embedding_vendor="openai", embedding_model="m", embedding_endpoint=vendor.url)
    assert services.search(collection, "anything", 5) == []
    assert not vendor.received


def test_a_query_plugin_gets_search_with_the_collection_bound(animals):
    search = partial(services.search, animals)
    assert search("a cat", 1)[0]["metadata"]["page"] in {1, 3}


def test_a_query_costs_two_reads(animals, django_assert_num_queries):
    services.search(animals, "cat", 2)
    with django_assert_num_queries(2):
        services.search(animals, "cat", 2)


def test_a_chunk_whose_row_is_gone_is_skipped(animals):
    services.search(animals, "cat", 3)
    Document.objects.update(withdrawn_at=animals.creation_date)
    assert services.search(animals, "cat", 3) == []


def test_a_vendors_failure_passes_up(vendor):
    collection = make_collection(embedding_vendor="openai", embedding_model="q", embedding_endpoint=vendor.url)
    services.add_documents(collection, [{"text": "x"}])
    collection.refresh_from_db()
    vendor.fail_with(401)
    with pytest.raises(VendorError, match="API key"):
        services.search(collection, "a question not asked before", 1)


def test_a_model_that_changed_its_dimension_answers_an_error_and_no_nonsense(vendor):
    collection = make_collection(embedding_vendor="openai", embedding_model="d", embedding_endpoint=vendor.url)
    services.add_documents(collection, [{"text": "x"}])
    collection.refresh_from_db()
    vendor.dimension = 48
    with pytest.raises(VendorError) as caught:
        services.search(collection, "another question not asked before", 1)
    assert caught.value.code == "dimension_mismatch"


def test_nothing_of_an_unfinished_run_is_found(animals):
    fill(animals, unit_rows(3, dimension=256), published=False)
    assert len(services.search(animals, "passage", 100)) == 3
    assert Chunk.objects.count() == 6
