"""Finding plugin modules and reading what plugins say."""

import sys

from plugins.registry import describe_query, ingest_plugin, load, plugin_modules, query_plugin, wire_parameters


def test_modules_are_found_without_importing_them():
    found = plugin_modules(["my.plugins", " ", "my.plugins", "plugins.simple_ingest"])
    assert found[:1] == ["plugins.markitdown_ingest"] or "plugins.markitdown_ingest" in found
    assert found.count("plugins.simple_ingest") == 1
    assert found[-1] == "my.plugins"
    assert "plugins.simple_query" in found
    assert "my.plugins" not in sys.modules


def test_installed_packages_join_by_entry_point(tmp_path, monkeypatch):
    info = tmp_path / "extra-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: extra\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[kb_server.plugins]\nextra = extra.plugins:ExtraIngest\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert "extra.plugins:ExtraIngest" in plugin_modules()


def test_an_entry_point_may_name_a_class(tmp_path, monkeypatch):
    (tmp_path / "named_plugin.py").write_text(
        "from plugins.base import IngestPlugin\n"
        "class Named(IngestPlugin):\n"
        "    name = 'named'\n"
        "    supported_file_types = '*.TXT'\n"
        "    def get_parameters(self): return None\n"
        "    def ingest(self, file_path, **kwargs): return []\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    ingest, query = load("named_plugin:Named")
    assert [(info.name, info.supported_file_types, info.parameters) for info in ingest] == [("named", ("txt",), {})]
    assert query == []
    assert ingest_plugin("named").name == "named"
    assert ingest_plugin("unnamed") is None


def test_query_plugins_are_found_by_name():
    load("plugins.simple_query")
    plugin = query_plugin("simple_query")
    assert describe_query(type(plugin), "m").parameters["top_k"]["default"] == 5
    assert query_plugin("other") is None


def test_loading_twice_describes_the_same():
    assert load("plugins.simple_query") == load("plugins.simple_query")


def test_odd_parameter_specs_are_put_right():
    wire = wire_parameters(
        {
            "a": {"type": "int", "default": 1, "min": "low", "max": 5, "enum": [1, 2], "required": "yes"},
            "b": {"default": object(), "enum": "abc", "help_text": 5, "visible_when": {"mode": "x"}},
            "c": "nonsense",
            "d": {"type": "weird", "enum_labels": {1: 2}, "applicable_to": {"pdf"}, "extra": 1},
        }
    )
    assert wire == {
        "a": {"type": "integer", "required": True, "default": 1, "max": 5, "enum": ["1", "2"]},
        "b": {"type": "string", "required": False, "help_text": "5", "visible_when": {"mode": ["x"]}},
        "d": {"type": "string", "required": False, "applicable_to": ["pdf"], "enum_labels": {"1": "2"}},
    }
