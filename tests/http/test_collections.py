"""Collections: create, list, read, change, delete (contract, 5)."""

import pytest

from collections_app.models import Collection
from ingestion.models import FileRegistry, FileStatus
from tests.http.conftest import Api
from tests.http.shapes import COLLECTION, MOMENT, has_shape, is_error, is_invalid
from tests.ingestion.factories import make_collection, make_job

pytestmark = pytest.mark.django_db

DEFAULTS = {"model": "default", "vendor": "default", "api_endpoint": "default", "apikey": "default"}


def create(api: Api, **body):
    return api.send("POST", "/collections", {"name": "notes", "owner": "7", **body})


# -- Create -----------------------------------------------------------------------------------------


def test_what_lamb_sends_creates_a_collection(api):
    answer = create(api, description="", visibility="private", embeddings_model=DEFAULTS)
    assert answer.status_code == 201
    collection = answer.json()
    has_shape(collection, COLLECTION)
    assert MOMENT.fullmatch(collection["creation_date"])
    assert collection["embeddings_model"]["vendor"] == "local"
    assert collection["embeddings_model"]["apikey_configured"] is False
    assert collection["embeddings_model"]["api_endpoint"] is None
    assert api.get(f"/collections/{collection['id']}").json() == collection


def test_name_and_owner_are_enough(api):
    collection = create(api).json()
    assert collection["description"] is None
    assert collection["visibility"] == "private"


@pytest.mark.parametrize("description", [None, "", "  ", "Ünï"])
def test_a_description_is_kept_as_it_is(api, description):
    assert create(api, description=description).json()["description"] == description


@pytest.mark.parametrize("name", ["a", "ab", "a" * 255, "Über Größen", "a/b", "..", "a b", "名前"])
def test_any_name_of_1_to_255_characters_is_taken(api, name):
    assert create(api, name=name).json()["name"] == name


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", ""),
        ("name", "a" * 256),
        ("name", None),
        ("name", 5),
        ("name", ["a"]),
        ("name", "a\x00b"),
        ("name", "\ud800"),
        ("owner", 7),
        ("owner", None),
        ("owner", ""),
        ("description", 5),
        ("description", {}),
        ("visibility", None),
        ("visibility", 1),
        ("embeddings_model", "local"),
        ("embeddings_model", []),
    ],
)
def test_a_wrong_shape_is_422_and_names_the_field(api, field, value):
    entry = is_invalid(create(api, **{field: value}), "body", field)
    if value != "\ud800":
        assert entry["input"] == value
    assert not Collection.objects.exists()


@pytest.mark.parametrize("field", ["name", "owner"])
def test_a_missing_field_is_422(api, field):
    body = {"name": "a", "owner": "b"}
    del body[field]
    assert is_invalid(api.send("POST", "/collections", body), "body", field)["type"] == "missing"


@pytest.mark.parametrize("field", ["model", "vendor"])
def test_model_and_vendor_are_required_in_an_embeddings_model(api, field):
    model = {key: value for key, value in DEFAULTS.items() if key != field}
    is_invalid(create(api, embeddings_model=model), "body", "embeddings_model", field)
    is_invalid(create(api, embeddings_model={**DEFAULTS, field: 5}), "body", "embeddings_model", field)


@pytest.mark.parametrize(
    "model",
    [
        {"vendor": "acme", "model": "x"},
        {"vendor": "local", "model": "no-such-model"},
        {"vendor": "openai", "model": "x", "api_endpoint": "ftp://x"},
    ],
)
def test_embeddings_that_cannot_work_are_400_with_a_hint(api, model):
    assert len(is_error(create(api, embeddings_model=model), 400)) > 20
    assert not Collection.objects.exists()


def test_a_key_is_stored_encrypted_and_never_answered(api):
    model = {
        "vendor": "openai",
        "model": "m",
        "api_endpoint": "https://u:pw@v.example/v1?k=1",
        "apikey": "sk-secret-123",
    }
    answer = create(api, embeddings_model=model)
    assert answer.status_code == 201
    assert answer.json()["embeddings_model"]["apikey_configured"] is True
    for body in (answer.content, api.get("/collections").content):
        assert b"sk-secret-123" not in body
        assert b"pw@" not in body
        assert b"k=1" not in body
    assert "sk-secret" not in Collection.objects.get().embedding_api_key


def test_a_taken_name_is_409_for_the_same_owner_only(api):
    assert create(api).status_code == 201
    assert "notes" in is_error(create(api), 409)
    assert create(api, owner="8").status_code == 201


def test_the_name_is_judged_before_the_visibility(api):
    create(api)
    is_error(create(api, visibility="secret"), 409)


@pytest.mark.parametrize("visibility", ["secret", "", "PRIVATE", "Public"])
def test_an_unknown_visibility_is_400(api, visibility):
    is_error(create(api, visibility=visibility), 400)


def test_a_deleted_name_is_free_again(api):
    first = create(api).json()["id"]
    assert api.delete(f"/collections/{first}").status_code == 200
    second = create(api).json()["id"]
    assert second > first


# -- List -------------------------------------------------------------------------------------------


def test_the_list_counts_before_paging_and_keeps_one_order(api):
    ids = [make_collection(f"c{n}").pk for n in range(5)]
    answer = api.get("/collections?skip=1&limit=2").json()
    assert answer["total"] == 5
    assert [item["id"] for item in answer["items"]] == ids[1:3]
    for item in answer["items"]:
        has_shape(item, COLLECTION)


def test_the_list_is_filtered_by_owner_and_visibility(api):
    make_collection("a", owner="1", visibility="public")
    make_collection("b", owner="1")
    make_collection("c", owner="2")
    names = lambda query: [item["name"] for item in api.get(f"/collections?{query}").json()["items"]]  # noqa: E731
    assert names("owner=1") == ["a", "b"]
    assert names("owner=1&visibility=public") == ["a"]
    assert names("owner=") == ["a", "b", "c"]
    assert names("owner=9") == []
    is_error(api.get("/collections?visibility=all"), 400)


@pytest.mark.parametrize(
    "query",
    ["skip=-1", f"skip={10**30}", "limit=0", "limit=1001", "limit=abc", "limit=5.5", "skip=", "limit=true"],
)
def test_ranges_of_the_list_are_422(api, query):
    is_invalid(api.get(f"/collections?{query}"), "query", query.split("=")[0])


def test_numbers_may_be_written_as_clients_write_them(api):
    assert api.get("/collections?limit=%205%20&skip=0.0").status_code == 200


def test_a_list_costs_two_queries(api, django_assert_num_queries):
    for n in range(30):
        make_collection(f"c{n}")
    with django_assert_num_queries(2):
        api.get("/collections")


# -- Read and change --------------------------------------------------------------------------------


def test_a_missing_collection_is_404_with_its_number(api):
    assert "999" in is_error(api.get("/collections/999"), 404)


@pytest.mark.parametrize("method", ["PATCH", "PUT"])
def test_name_description_and_visibility_can_be_changed_one_by_one(api, collection, method):
    path = f"/collections/{collection.pk}"
    assert api.send(method, path, {"name": "renamed"}).json()["name"] == "renamed"
    assert api.send(method, path, {"description": "new"}).json()["description"] == "new"
    answer = api.send(method, path, {"visibility": "public"}).json()
    assert (answer["name"], answer["description"], answer["visibility"]) == ("renamed", "new", "public")
    assert api.send(method, path, {"description": None}).json()["description"] is None
    assert api.send(method, path, {}).json()["name"] == "renamed"


def test_a_change_is_refused_as_a_creation_would_be(api, collection):
    make_collection("other")
    path = f"/collections/{collection.pk}"
    is_error(api.send("PATCH", path, {"name": "other"}), 409)
    is_error(api.send("PATCH", path, {"visibility": "secret"}), 400)
    is_invalid(api.send("PATCH", path, {"name": 5}), "body", "name")
    is_invalid(api.send("PATCH", path, {"name": None}), "body", "name")
    is_error(api.send("PATCH", "/collections/999", {"name": "x"}), 404)


def test_vendor_and_model_cannot_be_changed(api, collection):
    before = api.get(f"/collections/{collection.pk}").json()["embeddings_model"]
    answer = api.send(
        "PATCH", f"/collections/{collection.pk}", {"embeddings_model": {"vendor": "openai", "model": "x"}}
    )
    assert answer.json()["embeddings_model"] == before


# -- Delete -----------------------------------------------------------------------------------------


def test_a_deletion_tells_what_went_and_is_404_the_second_time(api, collection):
    upload = api.upload(collection.pk).json()
    answer = api.delete(f"/collections/{collection.pk}")
    assert answer.json() == {
        "id": collection.pk,
        "name": "handbook",
        "deleted_embeddings": 0,
        "chroma_collection": None,
        "removed_files": [upload["file_path"]],
        "status": "deleted",
    }
    is_error(api.delete(f"/collections/{collection.pk}"), 404)


def test_everything_of_a_deleted_collection_is_gone_at_once(api, collection):
    job = make_job(collection, FileStatus.PROCESSING)
    api.delete(f"/collections/{collection.pk}")
    for path in ("", "/files", "/ingestion-jobs", "/ingestion-status", f"/ingestion-jobs/{job.pk}"):
        is_error(api.get(f"/collections/{collection.pk}{path}"), 404)
    is_error(api.get(f"/files/{job.pk}/content"), 404)
    is_error(api.send("PUT", f"/collections/files/{job.pk}/status?status=deleted"), 404)
    is_error(api.upload(collection.pk), 404)
    assert api.get("/collections").json()["total"] == 0
    assert FileRegistry.objects.get(pk=job.pk).status == FileStatus.CANCELLED
