"""The plugin host: a child process that loads plugins and runs them, one run at a time, many runs in its life.

Started by ``plugins.host_client`` as ``python -m plugins.host``. Commands come as JSON lines on stdin: ``catalogue``,
``warm_up`` and ``run``. Reports go as JSON lines to a pipe of their own, so that plugins may print what they like.

The process limits its own memory and CPU time, and never outlives its parent.
"""

import argparse
import faulthandler
import inspect
import json
import os
import queue
import signal
import sys
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict
from typing import Any

from plugins import registry
from plugins.base import IngestPlugin, PluginError, PluginRegistry
from plugins.host_errors import describe_error
from plugins.normalise import clean_message, count, jsonable, normalise_chunk
from plugins.process import die_with_parent
from plugins.quality import TextGate, with_findings
from plugins.spool import SpoolWriter

try:
    import resource
except ImportError:  # not on Windows; there the parent's time limits are all there is
    resource = None  # type: ignore[assignment]

PROGRESS_SECONDS = 0.05
STATS_CHARACTERS = 256 * 1024

Command = dict[str, Any]


# -- Reports ----------------------------------------------------------------------------------------


class Reporter:
    """Writes reports to the parent. Progress is throttled to 20 a second; the latest value is never lost."""

    def __init__(self, handle: int) -> None:
        self._handle = handle
        self._lock = threading.Lock()
        self._late: dict[str, Any] | None = None
        self._told = 0.0
        self._wake = threading.Event()
        threading.Thread(target=self._flush_late, name="late progress", daemon=True).start()

    def send(self, event: str, **values: Any) -> None:
        with self._lock:
            self._send_late()
            self._write({"event": event, **values})

    def begin(self) -> None:
        """A run begins: its first progress is sent at once."""
        with self._lock:
            self._told = 0.0

    def progress(self, **values: Any) -> None:
        with self._lock:
            self._late = values
            if time.monotonic() - self._told >= PROGRESS_SECONDS:
                self._send_late()
                return
        self._wake.set()

    def _flush_late(self) -> None:
        pause = threading.Event()
        while True:
            self._wake.wait()
            self._wake.clear()
            pause.wait(PROGRESS_SECONDS)
            with self._lock:
                self._send_late()

    def _send_late(self) -> None:
        if self._late is not None:
            values, self._late = self._late, None
            self._told = time.monotonic()
            self._write({"event": "progress", **values})

    def _write(self, report: Mapping[str, Any]) -> None:
        data = json.dumps(report, allow_nan=False).encode() + b"\n"
        try:
            while data:
                data = data[os.write(self._handle, data) :]
        except OSError:
            leave()  # nobody listens any more


def leave() -> None:
    """End at once, with everything this process started: its parent is gone."""
    with suppress(OSError, AttributeError):
        if os.getpgrp() == os.getpid():
            os.killpg(os.getpid(), signal.SIGKILL)
    os._exit(0)


# -- Commands ---------------------------------------------------------------------------------------


class Host:
    """Carries out commands, one after the other."""

    def __init__(self, reporter: Reporter, cpu_seconds: float) -> None:
        self.reporter = reporter
        self.cpu_seconds = cpu_seconds
        self._loaded: set[str] = set()

    def obey(self, command: Command) -> None:
        match command.get("command"):
            case "catalogue":
                self.catalogue(command["modules"])
            case "warm_up":
                self.warm_up(command["modules"])
            case "run":
                self.run(command)

    def catalogue(self, modules: list[str]) -> None:
        """Describe each module's plugins. Each is announced first: so the parent knows which one did not return."""
        for module in modules:
            self.reporter.send("loading", module=module)
            try:
                ingest, query = registry.load(module)
                described = {"ingest": [asdict(info) for info in ingest], "query": [asdict(info) for info in query]}
                self.reporter.send("described", module=module, **jsonable(described))
            except BaseException as error:  # sys.exit() in a module must not take the others along
                self.reporter.send("broken", module=module, reason=clean_message(f"{type(error).__name__}: {error}"))
        self.reporter.send("catalogued")

    def load(self, modules: list[str]) -> None:
        for module in modules:
            if module not in self._loaded:
                self._loaded.add(module)
                try:
                    registry.load(module)
                except BaseException as error:
                    self.warn("", f"{module} could not be loaded", {"reason": clean_message(repr(error))})

    def warm_up(self, modules: list[str]) -> None:
        """Load the modules and what their plugins are slow to import, before there is work."""
        self.load(modules)
        for plugin in PluginRegistry.ingest_plugins().values():
            try:
                plugin.warm_up()
            except BaseException as error:
                self.warn("", f"{plugin.__module__} could not warm up", {"reason": clean_message(repr(error))})
        self.reporter.send("warm")

    def warn(self, run: str, message: Any, data: Any = None) -> None:
        self.reporter.send("warned", run=run, message=clean_message(message), data=bounded_json(data))

    def run(self, command: Command) -> None:
        """Run one plugin over one source, its chunks into the spool, and report how it ended."""
        run = str(command["run"])
        self.reporter.begin()
        limit_cpu(float(command.get("limits", {}).get("cpu_seconds") or self.cpu_seconds))
        try:
            self.load(command.get("modules", []))
            done = self.convert(run, command)
        except BaseException as error:
            self.reporter.send("failed", run=run, **jsonable(describe_error(error, command)))
        else:
            self.reporter.send("done", run=run, **done)
        finally:
            limit_cpu(None)

    def convert(self, run: str, command: Command) -> dict[str, Any]:
        plugin = registry.ingest_plugin(command["plugin"])
        if plugin is None:
            raise PluginError(
                "unknown_plugin",
                f"The plugin {command['plugin']!r} is not installed.",
                hint="Choose another plugin, or ask the operator to install it.",
            )
        stats: dict[str, Any] = {}
        kwargs = self.arguments(plugin, run, command, stats)
        limit = int(command.get("limits", {}).get("spool_mb") or 4096) * 1024**2
        gate = TextGate()
        with SpoolWriter(command["spool"], command["spool_key"], limit=limit) as spool:
            # LAMB's plugins return a list, ours yield; a list in between would hold the whole source in memory
            for chunk in plugin.ingest(command["path"], **kwargs) or ():
                text, metadata = normalise_chunk(chunk)
                if text:
                    metadata.setdefault("chunk_index", spool.chunks)
                    spool.write(text, metadata)
                    gate.see(text)
            if not spool.chunks:
                raise PluginError(
                    "no_text",
                    "No text was found in the source.",
                    hint="Is it a scan, a picture or protected? Convert it to text first, for example with OCR.",
                )
            self.judge(run, gate, command, stats)
            summary = spool.finish(stats)
        return {"chunks": summary.chunks, "characters": summary.characters, "stats": summary.stats}

    def judge(self, run: str, gate: TextGate, command: Command, stats: dict[str, Any]) -> None:
        """Let the quality gate say what a person should look at: in the diary, and in the statistics.

        :raises PluginError: when the text is worth nothing
        """
        findings = list(gate.findings(str(command.get("context", {}).get("original_filename") or ""), command["path"]))
        for finding in findings:
            if finding.fatal:
                raise finding.error()
            self.warn(run, finding.message, {"code": finding.code, "hint": finding.hint})
        if findings:
            stats["needs_attention"] = with_findings(stats.get("needs_attention"), findings)
            self.reporter.send("stats", run=run, stats=stats)

    def arguments(self, plugin: IngestPlugin, run: str, command: Command, stats: dict[str, Any]) -> dict[str, Any]:
        """The plugin's keyword arguments: as many of them as its signature takes."""
        unit = str(getattr(plugin, "progress_unit", "") or "stage")
        known = {**command.get("context", {}), **command.get("params", {})}
        known.pop("file_path", None)  # given by position
        declared = plugin.get_parameters() or {}
        if not getattr(plugin, "takes_api_key", False) and registry.KEY_PARAMETER not in declared:
            known.pop(registry.KEY_PARAMETER, None)

        def progress(current: Any = 0, total: Any = 0, message: Any = "", *_: Any, **__: Any) -> None:
            numbers = count(current), count(total)
            if None not in numbers:
                self.reporter.progress(
                    run=run, current=numbers[0], total=numbers[1], message=clean_message(message), unit=unit
                )

        def merge(values: Any = None, *_: Any, **more: Any) -> None:
            merged = bounded_json({**stats, **(values if isinstance(values, Mapping) else {}), **more})
            if isinstance(merged, dict):
                stats.update(merged)
                self.reporter.send("stats", run=run, stats=stats)

        def warn(message: Any = "", data: Any = None, *_: Any, **__: Any) -> None:
            self.warn(run, message, data)

        callbacks = {"progress_callback": progress, "stats_callback": merge, "warning_callback": warn}
        return accepted(plugin.ingest, {**known, **callbacks})


def accepted(function: Callable[..., Any], arguments: dict[str, Any]) -> dict[str, Any]:
    """Those *arguments* that *function* takes."""
    takes = inspect.signature(function).parameters.values()
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in takes):
        return arguments
    names = {parameter.name for parameter in takes if parameter.kind is not parameter.POSITIONAL_ONLY}
    return {name: value for name, value in arguments.items() if name in names}


def bounded_json(value: Any) -> Any:
    """*value* as JSON, or None when it is longer than a report may be."""
    clean = jsonable(value)
    return clean if len(json.dumps(clean)) <= STATS_CHARACTERS else None


# -- The process ------------------------------------------------------------------------------------


def limit_memory(megabytes: int) -> None:
    if resource is None:
        return
    for kind, value in ((resource.RLIMIT_AS, megabytes * 1024**2), (resource.RLIMIT_CORE, 0)):
        with suppress(ValueError, OSError):  # macOS knows RLIMIT_AS but refuses to set it
            resource.setrlimit(kind, (value, value))


def limit_cpu(seconds: float | None) -> None:
    """Let this process use *seconds* of CPU time from now on. The soft limit ends it with SIGXCPU."""
    if resource is None:
        return
    used = resource.getrusage(resource.RUSAGE_SELF)
    soft = resource.RLIM_INFINITY if seconds is None else int(used.ru_utime + used.ru_stime + seconds) + 1
    with suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_CPU, (soft, resource.getrlimit(resource.RLIMIT_CPU)[1]))


def listen(commands: "queue.SimpleQueue[Command]") -> None:
    """Read commands until stdin closes: then the parent is gone, whatever the main thread does at the moment."""
    # Not sys.stdin: a thread that waits in it makes the interpreter abort when the main thread ends.
    with open(0, "rb", closefd=False) as stdin:
        for line in stdin:
            with suppress(ValueError):
                command = json.loads(line)
                if isinstance(command, dict):
                    commands.put(command)
    leave()


def main() -> None:
    parser = argparse.ArgumentParser(prog="plugins.host")
    parser.add_argument("--report", type=int, required=True, help="file descriptor that takes the reports")
    parser.add_argument("--parent", type=int, required=True, help="process id of the parent")
    parser.add_argument("--memory-mb", type=int, default=2048)
    parser.add_argument("--cpu-seconds", type=float, default=3600)
    options = parser.parse_args()

    die_with_parent(options.parent)
    faulthandler.enable()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl+C is the parent's to handle
    with suppress(OSError, AttributeError):
        os.nice(5)
    limit_memory(options.memory_mb)
    os.set_inheritable(options.report, False)

    commands: queue.SimpleQueue[Command] = queue.SimpleQueue()
    reporter = Reporter(options.report)
    reporter.send("ready", pid=os.getpid())
    threading.Thread(target=listen, args=(commands,), name="commands", daemon=True).start()
    host = Host(reporter, options.cpu_seconds)
    while True:
        host.obey(commands.get())
        sys.stdout.flush()


if __name__ == "__main__":
    main()
