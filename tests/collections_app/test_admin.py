"""Collections and documents in the admin."""

import uuid
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from collections_app.admin import pretty
from collections_app.models import Chunk, Collection, Document
from collections_app.numbers import whole_number
from tests.collections_app.factories import fill, make_collection, unit_rows

pytestmark = pytest.mark.django_db
COLLECTIONS = "/admin/collections_app/collection/"
DOCUMENTS = "/admin/collections_app/document/"
CHUNKS = "/admin/collections_app/chunk/"
HOSTILE = "<script>alert(1)</script>"


@pytest.fixture
def operator() -> Client:
    client = Client()
    client.force_login(get_user_model().objects.create_superuser("root"))
    return client


def text_of(response: Any) -> str:
    assert response.status_code == 200
    text: str = response.content.decode()
    return text


def listed(response: Any) -> list[int]:
    return [row.pk for row in response.context["cl"].result_list]


def test_a_collections_page_never_shows_its_key(operator: Client) -> None:
    address = "https://ana:hush-2@vendor.example/v1?key=hush-3"
    collection = make_collection(embedding_vendor="openai", embedding_api_key="hush-1", embedding_endpoint=address)
    for page in (COLLECTIONS, f"{COLLECTIONS}{collection.pk}/change/"):
        assert "hush-" not in text_of(operator.get(page))
    text = text_of(operator.get(f"{COLLECTIONS}{collection.pk}/change/"))
    assert "set, encrypted" in text
    assert "https://vendor.example/v1" in text


def test_an_endpoint_that_is_no_address_does_not_break_the_page(operator: Client) -> None:
    collection = make_collection(embedding_endpoint="http://ana:hush@[")
    text = text_of(operator.get(f"{COLLECTIONS}{collection.pk}/change/"))
    assert "not a valid address" in text
    assert "hush" not in text


def test_a_collection_leads_to_its_jobs_and_documents(operator: Client) -> None:
    collection = make_collection()
    mine = fill(collection, unit_rows(2))
    fill(make_collection(), unit_rows(2), file_id=2)
    text = text_of(operator.get(f"{COLLECTIONS}{collection.pk}/change/"))
    jobs = f"/admin/ingestion/fileregistry/?collection={collection.pk}"
    documents = f"{DOCUMENTS}?collection__id__exact={collection.pk}"
    assert f'href="{jobs}"' in text
    assert f'href="{documents}"' in text
    assert operator.get(jobs).status_code == 200
    assert listed(operator.get(documents)) == [mine.pk]


def test_deleted_collections_are_told_from_living_ones(operator: Client) -> None:
    living = make_collection()
    gone = make_collection(deleted_at=timezone.now())
    assert ">deleted</span>" in text_of(operator.get(f"{COLLECTIONS}{gone.pk}/change/"))
    assert listed(operator.get(f"{COLLECTIONS}?deleted_at__isempty=1")) == [living.pk]


def test_a_document_shows_how_many_chunks_it_has_and_the_first_few(operator: Client) -> None:
    document = fill(make_collection(), unit_rows(8), file_id=17)
    text = text_of(operator.get(f"{DOCUMENTS}{document.pk}/change/"))
    assert "The first 5 of 8." in text
    assert "passage 4" in text
    assert "passage 5" not in text
    assert "/admin/ingestion/fileregistry/17/change/" in text


def test_a_long_chunk_is_cut(operator: Client) -> None:
    document = fill(make_collection(), unit_rows(1))
    Chunk.objects.filter(document=document).update(text="x" * 10_000)
    assert "x" * 2_001 not in text_of(operator.get(f"{DOCUMENTS}{document.pk}/change/"))


def test_a_document_leads_to_its_chunks_in_reading_order(operator: Client) -> None:
    collection = make_collection()
    document = fill(collection, unit_rows(3))
    fill(collection, unit_rows(2), file_id=2)
    assert f"{CHUNKS}?document={document.pk}" in text_of(operator.get(f"{DOCUMENTS}{document.pk}/change/"))
    chunks = list(document.chunks.order_by("position"))
    for query, expected in {
        f"document={document.pk}": chunks,
        f"document={document.pk}&q=2": [chunks[1]],
        f"q={chunks[2].pk}": [chunks[2]],
        "q=nonsense": [],
        "document=nonsense": [],
    }.items():
        assert listed(operator.get(f"{CHUNKS}?{query}")) == [chunk.pk for chunk in expected], query
    assert len(listed(operator.get(CHUNKS))) == 5


def test_a_chunk_shows_all_its_text_its_metadata_and_leads_to_its_neighbours(operator: Client) -> None:
    document = fill(make_collection(), unit_rows(3, 8))
    first, middle, last = document.chunks.order_by("position")
    Chunk.objects.filter(pk=middle.pk).update(text="x" * 10_000, metadata={"page": 7})
    text = text_of(operator.get(f"{CHUNKS}{middle.pk}/change/"))
    assert "x" * 10_000 in text
    assert "2 of 3" in text
    assert "8 numbers" in text
    assert "&quot;page&quot;: 7" in text
    assert f'href="{CHUNKS}{first.pk}/change/"' in text
    assert f'href="{CHUNKS}{last.pk}/change/"' in text
    assert "the next one" not in text_of(operator.get(f"{CHUNKS}{last.pk}/change/"))


def test_documents_are_found_by_state_and_by_job(operator: Client) -> None:
    collection = make_collection()
    published = fill(collection, unit_rows(1), file_id=3)
    unfinished = fill(collection, unit_rows(1), file_id=4, published=False)
    direct = fill(collection, unit_rows(1), file_id=5, published=False)
    Document.objects.filter(pk=direct.pk).update(file_id=None, withdrawn_at=timezone.now())
    for query, expected in {
        "": [direct, unfinished, published],
        "state=published": [published],
        "state=unfinished": [unfinished],
        "state=withdrawn": [direct],
        "state=nonsense": [direct, unfinished, published],
        "q=4": [unfinished],
        "q=nonsense": [],
    }.items():
        assert listed(operator.get(f"{DOCUMENTS}?{query}")) == [row.pk for row in expected], query
    assert "added directly" in text_of(operator.get(f"{DOCUMENTS}{direct.pk}/change/"))


def test_hostile_names_and_texts_stay_text(operator: Client) -> None:
    collection = make_collection(
        name=HOSTILE, description=HOSTILE, owner=HOSTILE, embedding_endpoint=f"http://{HOSTILE}"
    )
    document = fill(collection, unit_rows(1))
    Chunk.objects.filter(document=document).update(text=HOSTILE, metadata={HOSTILE: HOSTILE})
    chunk = document.chunks.get()
    pages = {COLLECTIONS: collection, DOCUMENTS: document, CHUNKS: chunk}
    for page in (*pages, *(f"{page}{row.pk}/change/" for page, row in pages.items())):
        assert "<script>alert(1)" not in text_of(operator.get(page))


@pytest.mark.parametrize("address", [COLLECTIONS, DOCUMENTS, CHUNKS])
def test_a_list_costs_as_many_queries_for_100_rows_as_for_two(operator: Client, address: str) -> None:
    def grow(count: int) -> None:
        for _ in range(count):
            collection = make_collection()
            document = Document.objects.create(collection=collection, file_id=collection.pk, run_id=uuid.uuid4())
            Chunk.objects.create(document=document, position=0, text="Some text.")

    def cost() -> int:
        with CaptureQueriesContext(connection) as queries:
            assert operator.get(address).status_code == 200
        assert not any("embedding_api_key" in query["sql"] for query in queries)
        return len(queries)

    grow(2)
    few = cost()
    grow(100)
    assert cost() == few <= 6


def test_nobody_adds_edits_or_deletes_rows(operator: Client) -> None:
    collection = make_collection()
    document = fill(collection, unit_rows(1))
    for address, pk in ((COLLECTIONS, collection.pk), (DOCUMENTS, document.pk), (CHUNKS, document.chunks.get().pk)):
        assert operator.get(f"{address}add/").status_code == 403
        assert operator.get(f"{address}{pk}/delete/").status_code == 403
        assert operator.post(f"{address}{pk}/change/", {"name": "other"}).status_code == 403
        operator.post(address, {"action": "delete_selected", "_selected_action": [str(pk)], "post": "yes"})
    assert Collection.objects.filter(pk=collection.pk, name=collection.name).exists()
    assert Document.objects.filter(pk=document.pk).exists()
    assert document.chunks.count() == 1


def test_staff_without_permissions_see_nothing(client: Client) -> None:
    document = fill(make_collection(), unit_rows(1))
    client.force_login(get_user_model().objects.create_user("staff", is_staff=True))
    for address in (COLLECTIONS, DOCUMENTS, f"{DOCUMENTS}{document.pk}/change/", CHUNKS):
        assert client.get(address).status_code == 403


@pytest.mark.parametrize(
    ("text", "number"),
    [("17", 17), (" #17 ", 17), ("x", None), ("", None), ("²", None), ("9" * 19, None), ("-1", None)],
)
def test_numbers_are_read_as_people_write_them(text: str, number: int | None) -> None:
    assert whole_number(text) == number


def test_json_is_escaped_and_bounded() -> None:
    assert pretty({}) == pretty(None) == "–"
    assert "<b>" not in pretty({"a": "<b>"})
    assert len(pretty({"a": "x" * 100_000})) < 21_000
