"""``Idempotency-Key``: the same request again ingests nothing twice, whatever became of the first answer."""

from datetime import timedelta

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db.models.functions import Now

from collections_app.models import Chunk
from ingestion import idempotency, storage
from ingestion.models import FileRegistry, IdempotencyKey
from tests.http.conftest import Api
from tests.http.shapes import is_error, is_invalid
from tests.ingestion.factories import make_collection
from tests.support.race import race

pytestmark = pytest.mark.django_db


def requests_of(api, pk, key="k-1"):
    """One request for each way in, each with the same key."""
    address = {"urls": ["https://example.org/a"], "plugin_name": "address_ingest"}
    source = {"plugin_name": "address_ingest", "plugin_params": {"url": "https://example.org/a"}}
    extra = {"HTTP_IDEMPOTENCY_KEY": key}
    return {
        "ingest-file": lambda content=b"Some text.": api.upload_with(pk, content, **extra),
        "ingest-url": lambda **changes: api.send(
            "POST", f"/collections/{pk}/ingest-url", {**address, **changes}, **extra
        ),
        "ingest-base": lambda **changes: api.send(
            "POST", f"/collections/{pk}/ingest-base", {**source, **changes}, **extra
        ),
        "documents": lambda text="a": api.send(
            "POST", f"/collections/{pk}/documents", {"documents": [{"text": text}]}, **extra
        ),
        "preview": lambda **changes: api.send("POST", f"/collections/{pk}/preview", {**source, **changes}, **extra),
    }


class KeyedApi(Api):
    def upload_with(self, pk, content, **extra):
        form = {"file": SimpleUploadedFile("notes.txt", content, "text/plain"), "plugin_name": "simple_ingest"}
        return self.post(f"/collections/{pk}/ingest-file", form, **extra)


@pytest.fixture
def keyed():
    return KeyedApi()


WAYS = ["ingest-file", "ingest-url", "ingest-base", "documents", "preview"]


def rows():
    return FileRegistry.objects.count(), Chunk.objects.count()


@pytest.mark.parametrize("way", WAYS)
def test_the_same_request_again_gets_the_first_answer_and_adds_nothing(keyed, collection, way):
    send = requests_of(keyed, collection.pk)[way]
    first = send()
    assert first.status_code == 200, first.content
    assert "Idempotent-Replayed" not in first.headers
    before = rows()
    again = send()
    assert (again.status_code, again.json()) == (200, first.json())
    assert again.headers["Idempotent-Replayed"] == "true"
    assert rows() == before
    assert len(list(storage.root().rglob("incoming/*"))) == 0


def test_the_answer_is_given_again_even_when_the_job_is_gone(keyed, collection):
    send = requests_of(keyed, collection.pk)["ingest-file"]
    first = send().json()
    keyed.delete(f"/collections/{collection.pk}/files/{first['id']}")
    assert send().json() == first
    assert not FileRegistry.objects.exists()


@pytest.mark.parametrize(
    ("way", "changes"),
    [
        ("ingest-file", {"content": b"Other text."}),
        ("ingest-url", {"urls": ["https://example.org/b"]}),
        ("ingest-base", {"on_duplicate": "replace"}),
        ("documents", {"text": "b"}),
        ("preview", {"plugin_params": {"url": "https://example.org/b"}}),
    ],
)
def test_a_key_that_comes_with_another_request_is_422(keyed, collection, way, changes):
    send = requests_of(keyed, collection.pk)[way]
    send()
    before = rows()
    answer = send(**changes)
    is_invalid(answer, "header", "Idempotency-Key")
    assert rows() == before


def test_one_key_may_serve_each_way_and_collection_once(keyed, collection):
    other = make_collection("other")
    for pk in (collection.pk, other.pk):
        for send in requests_of(keyed, pk).values():
            assert "Idempotent-Replayed" not in send().headers
    assert rows() == (8, 2)


def test_an_error_is_not_remembered(keyed, collection):
    send = requests_of(keyed, collection.pk)["ingest-base"]
    is_invalid(send(plugin_params={"url": "https://a.example/", "limit": 0}), "body")
    assert not IdempotencyKey.objects.exists()
    assert send().status_code == 200


def test_a_skipped_duplicate_is_remembered_as_such(keyed, collection):
    path = f"/collections/{collection.pk}/ingest-base"
    body = {"plugin_name": "address_ingest", "plugin_params": {"url": "https://a.example/"}, "on_duplicate": "skip"}
    keyed.send("POST", path, body)
    skipped = keyed.send("POST", path, body, HTTP_IDEMPOTENCY_KEY="k").json()
    assert skipped["skipped"] is True
    assert keyed.send("POST", path, body, HTTP_IDEMPOTENCY_KEY="k").json() == skipped


@pytest.mark.parametrize("key", ["", '""', " ", "k" * 256, "a\tb"])
def test_a_key_that_is_none_is_422(keyed, collection, key):
    is_invalid(requests_of(keyed, collection.pk, key)["documents"](), "header", "Idempotency-Key")
    assert rows() == (0, 0)


def test_quotes_around_a_key_do_not_matter(keyed, collection):
    requests_of(keyed, collection.pk, "abc")["documents"]()
    assert "Idempotent-Replayed" in requests_of(keyed, collection.pk, '"abc"')["documents"]().headers


def test_another_spelling_of_the_address_is_the_same_request(keyed, collection):
    body = {"documents": [{"text": "a"}]}
    for path in (f"/collections/{collection.pk}/documents", f"/collections/0{collection.pk}/documents"):
        answer = keyed.send("POST", path, body, HTTP_IDEMPOTENCY_KEY="k")
        assert answer.status_code == 200
    assert answer.headers["Idempotent-Replayed"] == "true"
    assert rows() == (0, 1)


def test_links_are_signed_when_an_answer_is_given_again_and_not_stored(keyed, collection, settings):
    send = requests_of(keyed, collection.pk)["ingest-file"]
    first = send().json()["file_url"]
    assert "?s=" in first
    assert "?s=" not in str(IdempotencyKey.objects.get().answer)
    settings.KB_LINK_TTL = 3600
    assert "&e=" in send().json()["file_url"]


def test_a_key_is_forgotten_after_its_time(keyed, collection, settings):
    send = requests_of(keyed, collection.pk)["documents"]
    send()
    idempotency.forget()
    assert IdempotencyKey.objects.exists()
    IdempotencyKey.objects.update(created_at=Now() - timedelta(hours=settings.KB_IDEMPOTENCY_HOURS, minutes=1))
    idempotency.forget()
    assert not IdempotencyKey.objects.exists()
    assert "Idempotent-Replayed" not in send().headers


def test_a_missing_collection_is_404_whatever_the_key(keyed, db):
    for send in requests_of(keyed, 999).values():
        is_error(send(), 404)


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("way", ["ingest-file", "documents"])
def test_of_many_at_once_one_is_taken_and_all_get_its_answer(way):
    collection = make_collection()
    answers = race(*(requests_of(KeyedApi(), collection.pk)[way] for _ in range(6)))
    assert [answer.status_code for answer in answers] == [200] * 6
    assert all(answer.json() == answers[0].json() for answer in answers)
    assert rows() == ((1, 0) if way == "ingest-file" else (0, 1))
