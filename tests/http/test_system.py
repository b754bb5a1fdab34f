"""Health, configuration, database and plugins (contract, 4 and 11)."""

import json

import pytest

from collections_app import catalogue
from tests.http.shapes import is_error
from tests.ingestion.factories import make_collection

pytestmark = pytest.mark.django_db

PARAMETER_TYPES = {"integer", "number", "string", "long-string", "boolean", "array", "info"}


def test_health_is_ok_and_tells_the_version(anyone, settings):
    assert anyone.get("/health").json() == {"status": "ok", "version": settings.VERSION}


def test_health_asks_the_database_nothing(anyone, django_assert_num_queries):
    with django_assert_num_queries(0):
        anyone.get("/health")


def test_the_poll_interval_is_public_and_a_number(anyone, settings):
    settings.INGESTION_JOB_REFRESH_RATE = 7
    assert anyone.get("/config/ingestion").json() == {"refresh_rate": 7}


def test_the_start_greets_programs_and_sends_browsers_to_the_pages(api, anyone):
    assert api.get("/").json()["message"]
    is_error(anyone.get("/"), 401)
    answer = anyone.get("/", HTTP_ACCEPT="text/html,*/*")
    assert answer.status_code == 302
    assert answer["Location"] == "/ui/"


def test_the_database_status_has_the_shape_that_lamb_and_its_tests_read(api):
    make_collection("one")
    make_collection("two")
    assert api.get("/database/status").json() == {
        "sqlite_status": {"initialized": True, "schema_valid": True, "errors": []},
        "chromadb_status": {"initialized": True, "collections_count": 2},
        "collections_count": 2,
    }


def test_lambs_connection_test_finds_no_list_under_api(api):
    is_error(api.get("/api/collections"), 404)
    assert api.get("/database/status").status_code == 200


# -- Embedding settings -----------------------------------------------------------------------------


def embeddings(api, settings, **values):
    for name, value in values.items():
        setattr(settings, f"EMBEDDINGS_{name.upper()}", value)
    answer = api.get("/config/embeddings")
    assert answer.status_code == 200, answer.content
    return answer.json()


def test_the_embedding_settings_have_all_keys_by_default(api, settings):
    assert set(embeddings(api, settings)) == {
        "vendor",
        "model",
        "api_endpoint",
        "apikey_configured",
        "apikey_masked",
        "config_source",
    }


@pytest.mark.parametrize(
    ("key", "mask"), [("", None), ("12345678", "*" * 8), ("sk-abcdef123456", "sk-a" + "*" * 32 + "3456")]
)
def test_the_key_is_masked_the_same_way_every_time(api, settings, key, mask):
    for _ in range(2):
        config = embeddings(api, settings, vendor="openai", apikey=key)
        assert config["apikey_masked"] == mask
        assert config["apikey_configured"] is bool(key)


def test_a_config_file_that_cannot_be_read_is_said_plainly(api, settings, tmp_path):
    settings.KB_CONFIG_PATH = tmp_path / "config.json"
    settings.KB_CONFIG_PATH.write_text("{")
    detail = is_error(api.get("/config/embeddings"), 500)
    assert "config.json" in detail
    assert str(tmp_path) not in detail


# -- Plugins ----------------------------------------------------------------------------------------


def test_plugins_are_listed_in_order_with_what_lamb_validates(api):
    plugins = api.get("/ingestion/plugins").json()
    names = [plugin["name"] for plugin in plugins]
    assert names == sorted(names)
    assert {"simple_ingest", "markitdown_ingest"} <= set(names)
    for plugin in plugins:
        assert all(isinstance(plugin[key], str) for key in ("name", "kind", "description"))
        assert all(isinstance(kind, str) for kind in plugin["supported_file_types"])
        for spec in plugin["parameters"].values():
            assert spec["type"] in PARAMETER_TYPES
            assert isinstance(spec.get("required", False), bool)
            assert all(isinstance(option, str) for option in spec.get("enum", []))
            assert all(isinstance(values, list) for values in spec.get("visible_when", {}).values())


def test_the_preselected_plugin_takes_plain_text(api):
    """LAMB's form preselects the first plugin, and its browser tests upload a .txt with it."""
    first = next(plugin for plugin in api.get("/ingestion/plugins").json() if not plugin["name"].startswith("address"))
    assert first["kind"] == "file-ingest"
    assert "txt" in first["supported_file_types"]


def test_query_plugins_are_not_listed(api):
    assert not any("query" in plugin["name"] for plugin in api.get("/ingestion/plugins").json())


def test_a_disabled_plugin_is_not_listed(api, settings):
    settings.KB_PLUGIN_MODES = {"SIMPLE_INGEST": "DISABLE"}
    assert "simple_ingest" not in [plugin["name"] for plugin in api.get("/ingestion/plugins").json()]


def test_a_simplified_plugin_hides_what_has_a_default(api, settings):
    settings.KB_PLUGIN_MODES = {"SIMPLE_INGEST": "SIMPLIFIED"}
    listed = {plugin["name"]: plugin for plugin in api.get("/ingestion/plugins").json()}
    specs = listed["simple_ingest"]["parameters"]
    assert all(spec.get("default") is None or spec["type"] == "info" for spec in specs.values())


def test_the_list_is_read_from_the_catalogue_that_was_made_at_start(api):
    stored = json.loads(catalogue.path().read_text())
    assert [plugin["name"] for plugin in api.get("/ingestion/plugins").json()] == sorted(stored["ingest"])
