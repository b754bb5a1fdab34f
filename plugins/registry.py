"""Which plugins there are: finding their modules, loading them, and reading what they say about themselves.

Built-in plugins use the same way as third-party ones. Plugins written for LAMB's KB server are understood as they
are: ``"*.txt"`` among the file types, properties instead of class attributes.
"""

import importlib
import pkgutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.metadata import entry_points
from typing import Any

import plugins
from plugins.base import IngestPlugin, ParameterSpecs, PluginRegistry, QueryPlugin

ENTRY_POINT_GROUP = "kb_server.plugins"
FILE_INGEST, REMOTE_INGEST, BASE_INGEST = "file-ingest", "remote-ingest", "base-ingest"
KEY_PARAMETER = "openai_api_key"
_BUILT_IN_ENDINGS = ("_ingest", "_query")


@dataclass(frozen=True)
class PluginInfo:
    """What an ingest plugin says about itself. ``module`` is what to load to have it."""

    name: str
    kind: str
    description: str
    supported_file_types: tuple[str, ...]
    parameters: ParameterSpecs
    supports_progress: bool
    progress_unit: str
    module: str
    takes_api_key: bool = False


@dataclass(frozen=True)
class QueryPluginInfo:
    """What a query plugin says about itself."""

    name: str
    description: str
    parameters: ParameterSpecs
    module: str


def plugin_modules(extra: Iterable[str] = ()) -> list[str]:
    """Names of the modules that may hold plugins: built-in, installed (entry points), then *extra*. Imports none.

    An entry point may name a class, as in ``package.module:MyPlugin``.
    """
    built_in = [
        f"plugins.{module.name}"
        for module in pkgutil.iter_modules(plugins.__path__)
        if module.name.endswith(_BUILT_IN_ENDINGS)
    ]
    installed = sorted(point.value for point in entry_points(group=ENTRY_POINT_GROUP))
    return list(dict.fromkeys([*sorted(built_in), *installed, *(name.strip() for name in extra if name.strip())]))


def load(module: str) -> tuple[list[PluginInfo], list[QueryPluginInfo]]:
    """Import *module* and describe the plugins that it brings.

    :raises BaseException: whatever the module raises while it is imported or asked
    """
    before = {*PluginRegistry.ingest_plugins().values(), *PluginRegistry.query_plugins().values()}
    path, _, attribute = module.partition(":")
    loaded = importlib.import_module(path)
    if attribute:
        PluginRegistry.register(getattr(loaded, attribute))

    def is_its(plugin: type[IngestPlugin] | type[QueryPlugin]) -> bool:
        return plugin not in before or plugin.__module__ == path

    ingest = [describe(plugin, module) for plugin in PluginRegistry.ingest_plugins().values() if is_its(plugin)]
    query = [describe_query(plugin, module) for plugin in PluginRegistry.query_plugins().values() if is_its(plugin)]
    return ingest, query


def ingest_plugin(name: str) -> IngestPlugin | None:
    """A new instance of the loaded ingest plugin called *name*; the last one registered wins."""
    for plugin in reversed(PluginRegistry.ingest_plugins().values()):
        instance = plugin()
        if str(instance.name) == name:
            return instance
    return None


def query_plugin(name: str) -> QueryPlugin | None:
    """A new instance of the loaded query plugin called *name*."""
    for plugin in reversed(PluginRegistry.query_plugins().values()):
        instance = plugin()
        if str(instance.name) == name:
            return instance
    return None


def describe(plugin: type[IngestPlugin], module: str) -> PluginInfo:
    instance = plugin()  # LAMB's attributes may be properties, so ask an instance
    parameters = wire_parameters(instance.get_parameters())
    return PluginInfo(
        name=str(instance.name),
        kind=str(getattr(instance, "kind", "") or FILE_INGEST),
        description=_one_line(getattr(instance, "description", "")),
        supported_file_types=_file_types(getattr(instance, "supported_file_types", ())),
        parameters=parameters,
        supports_progress=bool(getattr(instance, "supports_progress", False)),
        progress_unit=str(getattr(instance, "progress_unit", "") or "stage"),
        module=module,
        takes_api_key=bool(getattr(instance, "takes_api_key", False)) or KEY_PARAMETER in parameters,
    )


def describe_query(plugin: type[QueryPlugin], module: str) -> QueryPluginInfo:
    instance = plugin()
    return QueryPluginInfo(
        name=str(instance.name),
        description=_one_line(getattr(instance, "description", "")),
        parameters=wire_parameters(instance.get_parameters()),
        module=module,
    )


def _one_line(text: Any) -> str:
    return " ".join(str(text or "").split())


def _file_types(types: Any) -> tuple[str, ...]:
    """``{"*.TXT", ".md"}`` becomes ``("md", "txt")``."""
    names = [types] if isinstance(types, str) else list(types or ())
    return tuple(sorted({name for item in names if (name := str(item).strip().lower().lstrip("*.").strip())}))


# -- Parameters as LAMB's clients require them ------------------------------------------------------

_TYPES = {"int": "integer", "float": "number", "bool": "boolean", "str": "string", "text": "string", "list": "array"}
_KNOWN_TYPES = frozenset({"integer", "number", "string", "long-string", "boolean", "array", "info"})
_TEXTS = ("description", "help_text", "ui_hint", "format")


def wire_parameters(specs: Any) -> ParameterSpecs:
    """Parameters in the shape that LAMB demands: one value of a wrong type there makes it refuse the whole list."""
    if not isinstance(specs, Mapping):
        return {}
    return {str(name): _wire_spec(spec) for name, spec in specs.items() if isinstance(spec, Mapping)}


def _wire_spec(spec: Mapping[str, Any]) -> dict[str, Any]:
    kind = str(spec.get("type") or "string").lower()
    kind = _TYPES.get(kind, kind)
    wire: dict[str, Any] = {"type": kind if kind in _KNOWN_TYPES else "string", "required": bool(spec.get("required"))}
    default = spec.get("default")
    if isinstance(default, str | int | float | list | dict):
        wire["default"] = default
    for key in _TEXTS:
        if spec.get(key):
            wire[key] = str(spec[key])
    for key in ("min", "max"):
        if isinstance(spec.get(key), int | float):
            wire[key] = spec[key]
    for key in ("enum", "applicable_to"):
        if isinstance(spec.get(key), list | tuple | set | frozenset):
            wire[key] = _strings(spec[key])
    if isinstance(spec.get("enum_labels"), Mapping):
        wire["enum_labels"] = {str(value): str(label) for value, label in spec["enum_labels"].items()}
    if isinstance(spec.get("visible_when"), Mapping):
        wire["visible_when"] = {str(name): _strings(values) for name, values in spec["visible_when"].items()}
    return wire


def _strings(values: Any) -> list[str]:
    if isinstance(values, set | frozenset):
        values = sorted(values, key=str)
    return [str(value) for value in (values if isinstance(values, list | tuple) else [values])]
