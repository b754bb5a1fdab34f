"""Changing the embedding settings of new collections, and the keys of existing ones (contract, 4 and 5.6)."""

import json
import stat

import pytest

from collections_app.crypto import decrypt
from collections_app.models import Collection
from tests.http.shapes import is_error, is_invalid
from tests.ingestion.factories import make_collection

pytestmark = pytest.mark.django_db
KEY = "sk-abcdef123456"
MASKED = "sk-a" + "*" * 32 + "3456"
PATH = "/config/embeddings"


@pytest.fixture(autouse=True)
def config(settings, tmp_path):
    settings.KB_CONFIG_PATH = tmp_path / "config.json"
    return settings.KB_CONFIG_PATH


def put(api, **body):
    answer = api.send("put", PATH, body)
    assert answer.status_code == 200, answer.content
    assert isinstance(answer.json()["message"], str)
    return api.get(PATH).json()


def created(api, name="new", **embeddings):
    body = {"name": name, "owner": "7", **({"embeddings_model": embeddings} if embeddings else {})}
    answer = api.send("post", "/collections", body)
    assert answer.status_code == 201, answer.content
    return Collection.objects.get(pk=answer.json()["id"])


DEFAULTS = {"vendor": "default", "model": "default", "api_endpoint": "default", "apikey": "default"}


def test_what_is_stored_is_shown_and_used_by_new_collections(api):
    old = created(api, "old")
    shown = put(api, vendor="openai", model="m-large", api_endpoint="http://v:1/v1", apikey=KEY, apply_to_all_kb=True)
    assert shown == {
        "vendor": "openai",
        "model": "m-large",
        "api_endpoint": "http://v:1/v1",
        "apikey_configured": True,
        "apikey_masked": MASKED,
        "config_source": "file",
    }
    for collection in (created(api, "all", **DEFAULTS), created(api, "none")):
        assert (collection.embedding_vendor, collection.embedding_model) == ("openai", "m-large")
        assert decrypt(collection.embedding_api_key) == KEY
    old.refresh_from_db()
    assert old.embedding_vendor == "local"


def test_the_key_is_stored_encrypted_in_a_file_of_its_owner_alone(api, config):
    put(api, vendor="openai", apikey=KEY)
    assert KEY not in config.read_text()
    assert stat.S_IMODE(config.stat().st_mode) == 0o600


def test_null_and_what_is_not_sent_stay_as_they_are(api):
    put(api, vendor="openai", model="m", apikey=KEY)
    shown = put(api, model="n", vendor=None, apikey=None)
    assert (shown["vendor"], shown["model"], shown["apikey_masked"]) == ("openai", "n", MASKED)


def test_a_key_that_comes_back_masked_is_no_new_key(api):
    put(api, vendor="openai", apikey=KEY)
    assert put(api, apikey=MASKED)["apikey_masked"] == MASKED
    assert decrypt(created(api, **DEFAULTS).embedding_api_key) == KEY


def test_an_empty_key_takes_the_key_away(api):
    put(api, vendor="openai", apikey=KEY)
    assert put(api, apikey="")["apikey_configured"] is False


def test_another_vendor_gets_none_of_the_former_ones_settings(api):
    put(api, vendor="openai", model="m", api_endpoint="http://v:1/v1", apikey=KEY)
    shown = put(api, vendor="ollama")
    assert (shown["model"], shown["api_endpoint"], shown["apikey_configured"]) == ("nomic-embed-text", None, False)


def test_an_empty_change_makes_the_file_the_source(api):
    assert api.get(PATH).json()["config_source"] == "env"
    assert put(api)["config_source"] == "file"


def test_a_reset_brings_the_environment_back(api, config):
    put(api, vendor="openai", apikey=KEY)
    for _ in range(2):
        answer = api.send("delete", PATH)
        assert answer.status_code == 200
        assert isinstance(answer.json()["message"], str)
    assert api.get(PATH).json()["config_source"] == "env"
    assert created(api).embedding_vendor == "local"


def test_what_else_the_file_holds_stays(api, config):
    config.write_text('{"other": [1]}')
    put(api, vendor="openai")
    api.send("delete", PATH)
    assert json.loads(config.read_text()) == {"other": [1]}


@pytest.mark.parametrize(
    "body",
    [
        {"vendor": "nobody"},
        {"vendor": "local", "model": "not installed"},
        {"vendor": "openai", "api_endpoint": "ftp://x"},
        {"vendor": "openai", "apikey": "two words"},
    ],
)
def test_what_no_collection_could_use_is_refused_and_nothing_is_stored(api, config, body):
    is_error(api.send("put", PATH, body), 400)
    assert not config.exists()


@pytest.mark.parametrize("name", ["vendor", "model", "api_endpoint", "apikey"])
def test_values_of_other_types_are_refused(api, name):
    is_invalid(api.send("put", PATH, {name: 5}), "body", name)


def test_a_file_that_cannot_be_written_is_said_without_its_folder(api, config, settings):
    settings.KB_CONFIG_PATH = config.parent / "file" / "config.json"
    (config.parent / "file").write_text("")
    detail = is_error(api.send("put", PATH, {"vendor": "openai"}), 500)
    assert str(config.parent) not in detail


def test_a_file_that_cannot_be_read_is_not_overwritten(api, config):
    config.write_text("{")
    for method in ("put", "delete"):
        is_error(api.send(method, PATH, {}), 500)
    assert config.read_text() == "{"


# -- Keys of existing collections -------------------------------------------------------------------


def bulk(api, owner, body):
    return api.send("put", f"/collections/owner/{owner}/embeddings", body)


def test_all_collections_of_an_owner_get_the_key(api):
    mine = [make_collection(name, owner="7", embedding_vendor="openai") for name in ("a", "b")]
    other = make_collection("a", owner="8")
    answer = bulk(api, "7", {"embeddings_model": {"apikey": KEY, "model": "ignored", "vendor": "ignored"}})
    assert answer.json() == {
        "total": 2,
        "updated": 2,
        "failed": 0,
        "collections": [{"id": one.pk, "name": one.name} for one in mine],
        "error": None,
    }
    for one in mine:
        one.refresh_from_db()
        assert decrypt(one.embedding_api_key) == KEY
        assert one.embedding_model != "ignored"
    other.refresh_from_db()
    assert other.embedding_api_key == ""
    assert KEY not in answer.content.decode()


def test_an_owner_whom_nobody_knows_has_nothing_to_change(api):
    answer = bulk(api, "nobody", {"embeddings_model": {"apikey": KEY}})
    assert (answer.status_code, answer.json()["total"], answer.json()["collections"]) == (200, 0, [])


@pytest.mark.parametrize("key", ["", "  ", None])
def test_an_empty_key_is_refused(api, key):
    is_error(bulk(api, "7", {"embeddings_model": {"apikey": key}}), 400)
    is_error(bulk(api, "7", {"embeddings_model": {}}), 400)


@pytest.mark.parametrize("body", [{}, {"embeddings_model": None}, {"embeddings_model": "x"}])
def test_a_missing_object_is_refused(api, body):
    is_invalid(bulk(api, "7", body), "body", "embeddings_model")


def test_both_need_the_token(anyone):
    is_error(anyone.send("put", PATH, {}), 401)
    is_error(anyone.send("delete", PATH), 401)
    is_error(bulk(anyone, "7", {"embeddings_model": {"apikey": KEY}}), 401)
