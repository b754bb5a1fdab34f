import json

import pytest

from collections_app import crypto
from collections_app.embeddings import embeddings_config, local, resolve_embeddings
from collections_app.embeddings.choice import EmbeddingChoice
from collections_app.errors import InvalidEmbeddings
from tests.collections_app.test_onnx import TABLE, VOCABULARY
from tests.support.onnx_model import write_model

ALL_DEFAULT = {"model": "default", "vendor": "default", "api_endpoint": "default", "apikey": "default"}
KEY = "sk-configured-0123456789"


@pytest.fixture
def openai_settings(settings):
    settings.EMBEDDINGS_VENDOR = "openai"
    settings.EMBEDDINGS_MODEL = "text-embedding-3-large"
    settings.EMBEDDINGS_ENDPOINT = "https://llm.example.org/v1"
    settings.EMBEDDINGS_APIKEY = KEY


def refused(choice) -> InvalidEmbeddings:
    with pytest.raises(InvalidEmbeddings) as caught:
        resolve_embeddings(choice)
    return caught.value


@pytest.mark.parametrize("choice", [None, {}, ALL_DEFAULT])
def test_without_settings_the_built_in_model_is_used(choice):
    assert resolve_embeddings(choice) == EmbeddingChoice("local", local.MODEL)


@pytest.mark.parametrize("choice", [None, ALL_DEFAULT])
def test_defaults_come_from_the_settings(openai_settings, choice):
    assert resolve_embeddings(choice) == EmbeddingChoice(
        "openai", "text-embedding-3-large", "https://llm.example.org/v1", KEY
    )


def test_an_organisations_model_keeps_the_other_defaults(openai_settings):
    choice = resolve_embeddings({**ALL_DEFAULT, "model": "bge-m3"})
    assert choice == EmbeddingChoice("openai", "bge-m3", "https://llm.example.org/v1", KEY)


def test_another_vendor_gets_its_own_defaults_and_not_the_settings_key(openai_settings):
    choice = resolve_embeddings({**ALL_DEFAULT, "vendor": "ollama"})
    assert choice == EmbeddingChoice("ollama", "nomic-embed-text")


def test_the_settings_key_never_goes_to_another_endpoint(openai_settings):
    elsewhere = {"vendor": "openai", "model": "m", "api_endpoint": "https://evil.example/v1"}
    assert refused({**elsewhere, "apikey": "default"}).code == "default_key_elsewhere"
    assert resolve_embeddings(elsewhere).api_key == ""
    assert resolve_embeddings({**elsewhere, "apikey": "sk-own"}).api_key == "sk-own"


def test_the_settings_key_goes_to_their_endpoint_however_it_is_written(openai_settings):
    choice = {"vendor": "openai", "model": "m", "api_endpoint": "https://llm.example.org/v1/embeddings"}
    assert resolve_embeddings({**choice, "apikey": "default"}).api_key == KEY


def test_a_key_is_not_shown_by_repr(openai_settings):
    assert KEY not in repr(resolve_embeddings(None))


def test_local_with_an_endpoint_means_ollama():
    choice = resolve_embeddings(
        {"vendor": "local", "model": "bge-m3", "api_endpoint": "http://gpu:11434/api/embeddings"}
    )
    assert choice == EmbeddingChoice("ollama", "bge-m3", "http://gpu:11434/api/embeddings")


def test_a_blank_endpoint_is_no_endpoint():
    assert resolve_embeddings({"vendor": "local", "model": "default", "api_endpoint": " "}).vendor == "local"


def test_an_unknown_vendor_is_refused_with_the_known_ones():
    error = refused({"vendor": "acme", "model": "m"})
    assert error.code == "unknown_vendor"
    assert "ollama" in error.hint


def test_a_local_model_that_is_not_installed_is_refused_with_those_that_are():
    error = refused({"vendor": "local", "model": "nomic-embed-text"})
    assert error.code == "unknown_model"
    assert local.MODEL in error.hint


def test_a_folder_is_a_local_model_only_when_the_operator_configured_it(settings, tmp_path):
    folder = str(tmp_path / "tiny")
    write_model(tmp_path / "tiny", VOCABULARY, TABLE)
    assert refused({"vendor": "local", "model": folder}).code == "unknown_model"
    settings.EMBEDDINGS_MODEL = folder
    assert resolve_embeddings(None) == EmbeddingChoice("local", folder)
    assert resolve_embeddings({"vendor": "local", "model": local.MODEL}).model == local.MODEL


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"api_endpoint": "ftp://host"}, "invalid_endpoint"),
        ({"api_endpoint": "http://host/" + "a" * 2000}, "invalid_endpoint"),
        ({"model": "m" * 256}, "unknown_model"),
        ({"apikey": "sk with blanks"}, "invalid_api_key"),
    ],
)
def test_what_no_request_could_use_is_refused_at_creation(change, code):
    assert refused({"vendor": "openai", "model": "m", **change}).code == code


# -- Stored settings ----------------------------------------------------------------------------------


@pytest.fixture
def stored(settings, tmp_path):
    settings.KB_CONFIG_PATH = tmp_path / "config.json"

    def write(content) -> None:
        settings.KB_CONFIG_PATH.write_text(content if isinstance(content, str) else json.dumps(content))

    return write


def test_stored_settings_win_over_the_environment(openai_settings, stored):
    stored({"embeddings": {"vendor": "ollama", "model": "bge-m3", "api_endpoint": "http://gpu:11434"}})
    assert resolve_embeddings(None) == EmbeddingChoice("ollama", "bge-m3", "http://gpu:11434")


def test_stored_settings_without_a_vendor_complete_the_environment(openai_settings, stored):
    stored({"embeddings": {"apikey": crypto.encrypt("sk-stored")}})
    assert resolve_embeddings(None) == EmbeddingChoice(
        "openai", "text-embedding-3-large", "https://llm.example.org/v1", "sk-stored"
    )


def test_a_key_written_by_hand_may_be_in_clear(openai_settings, stored):
    stored({"embeddings": {"apikey": "sk-by-hand"}})
    assert resolve_embeddings(None).api_key == "sk-by-hand"


def test_stored_settings_about_other_things_change_nothing(openai_settings, stored):
    stored({"other": 1})
    assert resolve_embeddings(None).vendor == "openai"
    assert embeddings_config()["config_source"] == "env"


@pytest.mark.parametrize("content", ["{", "[]", '{"embeddings": 5}'])
def test_damaged_settings_are_an_error_and_not_silently_another_model(stored, content):
    stored(content)
    assert refused(None).code == "embeddings_config_unreadable"


# -- What is shown ------------------------------------------------------------------------------------


def test_the_configuration_is_shown_with_a_masked_key(openai_settings):
    assert embeddings_config() == {
        "vendor": "openai",
        "model": "text-embedding-3-large",
        "api_endpoint": "https://llm.example.org/v1",
        "apikey_configured": True,
        "apikey_masked": "sk-c" + "*" * 32 + "6789",
        "config_source": "env",
    }


def test_without_settings_the_built_in_model_is_shown():
    assert embeddings_config() == {
        "vendor": "local",
        "model": local.MODEL,
        "api_endpoint": None,
        "apikey_configured": False,
        "apikey_masked": None,
        "config_source": "env",
    }


def test_ollamas_usual_address_is_shown_as_null(settings):
    settings.EMBEDDINGS_VENDOR = "ollama"
    settings.EMBEDDINGS_ENDPOINT = "http://localhost:11434/api/embeddings"
    assert embeddings_config()["api_endpoint"] is None


def test_an_empty_stored_object_already_counts_as_stored(openai_settings, stored):
    stored({"embeddings": {}})
    config = embeddings_config()
    assert config["config_source"] == "file"
    assert config["model"] == "text-embedding-3-large"
