"""The plugin host of this process: one warm child, replaced when it was killed, crashed or has grown."""

from pathlib import Path

from django.conf import settings

from collections_app import catalogue
from plugins.host_client import HostProcess, HostSettings

_host: HostProcess | None = None


def current() -> HostProcess:
    """A living host, warm or warming up. Call from the thread that lives as long as the process."""
    global _host
    if _host is not None and (not _host.alive or _host.needs_replacement):
        discard()
    if _host is None:
        _host = HostProcess.start(host_settings())
    return _host


def host_settings() -> HostSettings:
    return HostSettings(
        modules=tuple(catalogue.current().modules),
        memory_mb=settings.KB_PLUGIN_MEMORY_MB,
        cpu_seconds=settings.KB_PLUGIN_CPU_SECONDS,
        work_dir=scratch(),
        log_path=Path(settings.KB_RUN_DIR) / "plugins.log",
        env={"KB_FETCH_ALLOW_PRIVATE": ",".join(settings.KB_FETCH_ALLOW_PRIVATE)},
    )


def scratch() -> Path:
    """Where hosts keep temporary files; emptied at each start of the server."""
    return Path(settings.KB_RUN_DIR) / "hosts"


def discard() -> None:
    """Kill the host with everything it started."""
    global _host
    if _host is not None:
        _host.kill()
        _host = None
