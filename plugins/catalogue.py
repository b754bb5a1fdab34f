"""The catalogue: which plugins there are and what they take, as told by hosts, so that nobody else imports plugins."""

import json
import time
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

from plugins.base import PluginError
from plugins.host_client import HostDied, HostProcess, HostSettings
from plugins.parameters import SIMPLIFIED, is_notice
from plugins.registry import PluginInfo, QueryPluginInfo

__all__ = ["BrokenModule", "Catalogue", "PluginInfo", "QueryPluginInfo", "build_catalogue", "is_enabled", "mode_of"]

Mode = Literal["DISABLE", "SIMPLIFIED", "ADVANCED"]


@dataclass(frozen=True)
class BrokenModule:
    """A module that could not be loaded, and why."""

    module: str
    reason: str


@dataclass(frozen=True)
class Catalogue:
    """Ingest and query plugins by name, sorted by name; modules that load, and those that do not."""

    ingest: dict[str, PluginInfo] = field(default_factory=dict)
    query: dict[str, QueryPluginInfo] = field(default_factory=dict)
    broken: list[BrokenModule] = field(default_factory=list)
    modules: list[str] = field(default_factory=list)

    def to_json(self) -> str:
        return json.dumps(asdict(self), sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> "Catalogue":
        """:raises ValueError: when *text* is no catalogue of this version"""
        try:
            stored = json.loads(text)
            return cls(
                ingest={name: _ingest_info(info) for name, info in sorted(stored["ingest"].items())},
                query={name: QueryPluginInfo(**info) for name, info in sorted(stored["query"].items())},
                broken=[BrokenModule(**entry) for entry in stored["broken"]],
                modules=list(stored["modules"]),
            )
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError("This is not a plugin catalogue.") from error


def _ingest_info(info: Mapping[str, Any]) -> PluginInfo:
    return PluginInfo(**{**info, "supported_file_types": tuple(info["supported_file_types"])})


# -- Modes ------------------------------------------------------------------------------------------


def mode_of(name: str, modes: Mapping[str, str]) -> Mode:
    """The mode of a plugin; unknown ones count as ADVANCED.

    :param modes: the ``PLUGIN_<NAME>`` settings, keyed by ``<NAME>``
    """
    mode = modes.get(name.upper(), "").strip().upper()
    if mode == "DISABLE":
        return "DISABLE"
    return "SIMPLIFIED" if mode == SIMPLIFIED else "ADVANCED"


def is_enabled(name: str, modes: Mapping[str, str]) -> bool:
    return mode_of(name, modes) != "DISABLE"


def listing_entry(info: PluginInfo, modes: Mapping[str, str]) -> dict[str, Any]:
    """The plugin as ``GET /ingestion/plugins`` lists it; simplified mode hides what has a default.

    Ask :func:`is_enabled` first: a disabled plugin is not listed.
    """
    simplified = mode_of(info.name, modes) == SIMPLIFIED
    parameters = {
        name: spec
        for name, spec in info.parameters.items()
        if not simplified or is_notice(name, spec) or spec.get("default") is None
    }
    return {
        "name": info.name,
        "kind": info.kind,
        "description": info.description,
        "supported_file_types": list(info.supported_file_types),
        "parameters": parameters,
        "supports_progress": info.supports_progress,
        "progress_unit": info.progress_unit,
    }


# -- Asking hosts -----------------------------------------------------------------------------------


def build_catalogue(modules: Iterable[str], timeout: float = 30.0, settings: HostSettings | None = None) -> Catalogue:
    """Ask a host what *modules* hold (``plugins.registry.plugin_modules``).

    A module that hangs, crashes or fails is listed as broken; the host is then started again without it.

    :param timeout: seconds that one module may take to load
    :param settings: how to start the host; modules and warming up are left out
    :raises PluginError: ``host_unavailable`` when no host can be started at all
    """
    asked = replace(settings or HostSettings(), modules=(), warm_up=False)
    waiting = list(dict.fromkeys(modules))
    found = _Findings()
    while waiting:
        waiting = found.ask(asked, waiting, timeout)
    return found.catalogue()


class _Findings:
    def __init__(self) -> None:
        self.ingest: dict[str, PluginInfo] = {}
        self.query: dict[str, QueryPluginInfo] = {}
        self.broken: list[BrokenModule] = []
        self.modules: list[str] = []

    def ask(self, settings: HostSettings, modules: list[str], timeout: float) -> list[str]:
        """Ask one host about *modules*; return those it did not come to."""
        host = HostProcess.start(settings)
        loading, deadline = "", time.monotonic() + timeout
        try:
            host.send({"command": "catalogue", "modules": modules})
            for event in host.events(tick=0.1):
                if event and event["event"] == "catalogued":
                    return []
                if event and event["event"] == "loading":
                    loading, deadline = str(event["module"]), time.monotonic() + timeout
                elif event:
                    self.note(event)
                    loading = "" if event["event"] in {"described", "broken"} else loading
                elif time.monotonic() > deadline:
                    reason = f"took longer than {timeout:g} seconds to load"
                    return self.without(loading, modules, reason)
        except HostDied as death:
            return self.without(loading, modules, _crash_reason(death))
        finally:
            host.kill()
        return []

    def without(self, loading: str, modules: list[str], reason: str) -> list[str]:
        if loading not in modules:
            raise PluginError("host_unavailable", f"Plugins cannot be run: the plugin host {reason}.")
        self.broken.append(BrokenModule(loading, reason))
        return modules[modules.index(loading) + 1 :]

    def note(self, event: Mapping[str, Any]) -> None:
        if event["event"] == "broken":
            self.broken.append(BrokenModule(str(event["module"]), str(event["reason"])))
        if event["event"] == "described":
            self.modules.append(str(event["module"]))
            for info in event["ingest"]:
                self.ingest[info["name"]] = _ingest_info(info)
            for info in event["query"]:
                self.query[info["name"]] = QueryPluginInfo(**info)

    def catalogue(self) -> Catalogue:
        return Catalogue(dict(sorted(self.ingest.items())), dict(sorted(self.query.items())), self.broken, self.modules)


def _crash_reason(death: HostDied) -> str:
    how = death.context.get("signal") or f"exit code {death.context.get('exit_code')}"
    last = str(death.context.get("output") or "").strip().splitlines()[-1:]
    return f"ended its process while it was loaded ({how})" + (f": {last[0][:200]}" if last else "")
