"""The plugin host of this process: one warm child, replaced when it was killed, crashed, has grown or aged."""

import logging
import random
import shutil
from pathlib import Path

from django.conf import settings

from collections_app import catalogue
from plugins import process
from plugins.host_client import HostProcess, HostSettings

logger = logging.getLogger("kb.worker")
printed = logging.getLogger("kb.plugins")  # what plugins print, with the number of their job

_host: HostProcess | None = None
_successor: HostProcess | None = None  # warming up, while the host before it still does the work


def current() -> HostProcess:
    """A living host, warm or warming up. Call from the thread that lives as long as the process."""
    global _host, _successor
    if _successor is not None and not _successor.alive:
        _successor.kill()
        _successor = None
    if _host is not None and _host.aged and _successor is None:
        try:
            _successor = HostProcess.start(host_settings())
        except OSError as error:
            logger.warning("A fresh plugin host could not be started, so the old one works on (%s)", error)
    if _host is not None and (_host.needs_replacement or (_successor is not None and _successor.warm)):
        _host.kill()
        _host, _successor = _successor, None
    if _host is None:
        _host = HostProcess.start(host_settings())
    return _host


def host_settings() -> HostSettings:
    return HostSettings(
        modules=tuple(catalogue.current().modules),
        memory_mb=settings.KB_PLUGIN_MEMORY_MB,
        cpu_seconds=settings.KB_PLUGIN_CPU_SECONDS,
        work_dir=scratch(),
        on_line=printed.info,
        max_runs=random.randint(150, 250),  # noqa: S311  (so that the hosts of all workers do not age at once)
        env={"KB_FETCH_ALLOW_PRIVATE": ",".join(settings.KB_FETCH_ALLOW_PRIVATE)},
    )


def scratch() -> Path:
    """Where hosts keep temporary files; emptied at each start of the server."""
    return Path(settings.KB_RUN_DIR) / "hosts"


def sweep_scratch() -> None:
    """Remove temporary files whose host died with its worker: their folders name the worker's pid."""
    for path in scratch().glob("host-*-*"):
        if process.started_at(int(path.name.split("-")[1])) is None:
            shutil.rmtree(path, ignore_errors=True)


def discard() -> None:
    """Kill the host, and the one that waits to follow it, with everything they started."""
    global _host, _successor
    for host in (_host, _successor):
        if host is not None:
            host.kill()
    _host = _successor = None
