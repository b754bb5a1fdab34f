"""The catalogue: what hosts tell about plugins, and what becomes of modules that misbehave."""

import time
from dataclasses import asdict

import pytest

from plugins.base import PluginError
from plugins.catalogue import Catalogue, build_catalogue, is_enabled, listing_entry, mode_of
from plugins.host_client import HostSettings
from plugins.registry import PluginInfo, plugin_modules

PLUGIN = """
    from kit import Base, PluginRegistry, chunk, plugin

    @PluginRegistry.register
    class Ingest(Base):
        name = "NAME"
        description = "DESCRIPTION"
        def ingest(self, file_path, **kwargs):
            return []
"""


def source(name, description="first"):
    return PLUGIN.replace("NAME", name).replace("DESCRIPTION", description)


@pytest.fixture
def ask(modules, tmp_path):
    def build(timeout=10.0, **sources):
        settings = HostSettings(env=modules(**sources), work_dir=tmp_path / "work")
        return build_catalogue(list(sources), timeout, settings)

    return build


def test_the_built_in_plugins_are_all_there():
    catalogue = build_catalogue(plugin_modules())
    assert catalogue.broken == []
    assert list(catalogue.ingest) == [  # LAMB's page preselects the first, and its tests upload a .txt with it
        "hierarchical_ingest",
        "markitdown_hierarchical_ingest",
        "markitdown_ingest",
        "markitdown_plus_ingest",
        "mockai_json_ingest",
        "simple_ingest",
        "url_ingest",
        "youtube_transcript_ingest",
    ]
    assert "txt" in catalogue.ingest["hierarchical_ingest"].supported_file_types
    assert list(catalogue.query) == ["hybrid_query", "parent_child_query", "simple_query"]
    assert set(catalogue.modules) == set(plugin_modules())
    assert all(info.supports_progress for info in catalogue.ingest.values())
    units = {info.name: info.progress_unit for info in catalogue.ingest.values() if info.progress_unit != "stage"}
    assert units == {"url_ingest": "url", "youtube_transcript_ingest": "video"}
    assert catalogue.ingest["simple_ingest"].supported_file_types == ("html", "md", "txt")


def test_a_catalogue_survives_json():
    catalogue = build_catalogue(plugin_modules())
    assert Catalogue.from_json(catalogue.to_json()) == catalogue


@pytest.mark.parametrize("text", ["{}", "[]", '{"ingest": 5}', "nonsense"])
def test_what_is_no_catalogue_is_refused(text):
    with pytest.raises(ValueError):
        Catalogue.from_json(text)


def test_modules_that_misbehave_are_listed_as_broken_and_the_rest_loads(ask):
    catalogue = ask(
        one=source("one"),
        crashes="import ctypes; ctypes.string_at(0)",
        ends="import os; os._exit(3)",
        leaves="raise SystemExit('bye')",
        fails="raise ImportError('no such library')",
        unreadable="def (",
        asks="""
            from kit import Base, PluginRegistry
            @PluginRegistry.register
            class Ingest(Base):
                name = "asks"
                def ingest(self, file_path, **kwargs): ...
                def get_parameters(self):
                    raise RuntimeError("not now")
        """,
        two=source("two"),
    )
    reasons = {broken.module: broken.reason for broken in catalogue.broken}
    assert list(reasons) == ["crashes", "ends", "leaves", "fails", "unreadable", "asks"]
    assert "SIGSEGV" in reasons["crashes"]
    assert "exit code 3" in reasons["ends"]
    assert reasons["leaves"] == "SystemExit: bye"
    assert reasons["fails"] == "ImportError: no such library"
    assert "SyntaxError" in reasons["unreadable"]
    assert reasons["asks"] == "RuntimeError: not now"
    assert list(catalogue.ingest) == ["one", "two"]
    assert catalogue.modules == ["one", "two"]


def test_a_module_that_hangs_is_given_up(ask):
    started = time.monotonic()
    catalogue = ask(timeout=1.5, hangs="import threading; threading.Event().wait()", one=source("one"))
    assert time.monotonic() - started < 8
    assert [(broken.module, broken.reason) for broken in catalogue.broken] == [
        ("hangs", "took longer than 1.5 seconds to load")
    ]
    assert list(catalogue.ingest) == ["one"]


def test_a_module_that_does_not_exist_is_broken(ask):
    catalogue = build_catalogue(["no.such.module"])
    assert "ModuleNotFoundError" in catalogue.broken[0].reason


def test_a_later_plugin_of_the_same_name_takes_the_place(ask):
    catalogue = ask(one=source("same", "first"), two=source("same", "second"))
    assert (catalogue.ingest["same"].description, catalogue.ingest["same"].module) == ("second", "two")


def test_no_host_at_all_is_an_error():
    with pytest.raises(PluginError) as caught:
        build_catalogue(["plugins.simple_ingest"], settings=HostSettings(python="/bin/false"))
    assert caught.value.code == "host_unavailable"


def test_plugins_of_lamb_are_described_as_its_clients_require(modules, tmp_path):
    info = build_catalogue(["lamb"], settings=HostSettings(env=modules())).ingest["lamb_ingest"]
    assert info.supported_file_types == ("md", "txt")
    assert info.progress_unit == "stage"
    assert info.parameters["chunk_size"]["enum"] == ["5", "6"]
    assert "help_text" not in info.parameters["openai_api_key"]


# -- Modes ------------------------------------------------------------------------------------------

INFO = PluginInfo(
    name="my_ingest",
    kind="file-ingest",
    description="d",
    supported_file_types=("txt",),
    parameters={
        "_notice": {"type": "info", "default": "x"},
        "size": {"type": "integer", "default": 5},
        "title": {"type": "string"},
    },
    supports_progress=True,
    progress_unit="stage",
    module="m",
)


@pytest.mark.parametrize(
    ("setting", "mode"),
    [
        ("DISABLE", "DISABLE"),
        ("simplified", "SIMPLIFIED"),
        ("ENABLE", "ADVANCED"),
        ("whatever", "ADVANCED"),
        ("", "ADVANCED"),
    ],
)
def test_modes_are_read_from_settings(setting, mode):
    assert mode_of("my_ingest", {"MY_INGEST": setting}) == mode
    assert is_enabled("my_ingest", {"MY_INGEST": setting}) == (mode != "DISABLE")
    assert mode_of("my_ingest", {}) == "ADVANCED"


def test_the_listing_shows_what_the_wire_contract_says():
    entry = listing_entry(INFO, {})
    assert {"name", "kind", "description", "supported_file_types", "parameters"} <= set(entry)
    assert entry["supported_file_types"] == ["txt"]
    assert set(entry["parameters"]) == {"_notice", "size", "title"}
    assert set(asdict(INFO)) - set(entry) == {"module", "takes_api_key"}


def test_simplified_mode_hides_what_has_a_default():
    assert set(listing_entry(INFO, {"MY_INGEST": "SIMPLIFIED"})["parameters"]) == {"_notice", "title"}


def test_every_built_in_parameter_satisfies_lambs_client():
    texts = {"description", "help_text", "ui_hint", "type"}
    for info in build_catalogue(plugin_modules()).ingest.values():
        entry = listing_entry(info, {})
        assert all(isinstance(entry[key], str) and entry[key] for key in ("name", "description", "kind"))
        for spec in entry["parameters"].values():
            assert all(isinstance(spec[key], str) for key in texts & set(spec))
            assert isinstance(spec["required"], bool)
            assert all(isinstance(choice, str) for choice in spec.get("enum", []))
            assert all(isinstance(spec.get(key, 0), int | float) for key in ("min", "max"))
            assert spec.get("default") is None or not spec.get("enum") or spec["default"] in spec["enum"]


def test_every_parameter_is_declared_with_type_and_help_and_ranges_where_it_counts():
    for info in build_catalogue(plugin_modules()).ingest.values():
        for name, spec in info.parameters.items():
            assert spec["description"], (info.name, name)
            if spec["type"] in {"integer", "number"}:
                assert "min" in spec, (info.name, name)


def test_only_the_crawler_speaks_of_addresses():
    infos = [info for info in build_catalogue(plugin_modules()).ingest.values() if info.name != "url_ingest"]
    assert not [info.name for info in infos if "url" in (info.name + info.description).lower()]
