"""Real servers for tests that need one."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from bench.server import Server

QUICK = {
    "KB_PLUGIN_MODULES": "bench.slow_plugin",
    "KB_RESCUE_SECONDS": 0.3,
    "KB_RETRY_BASE_SECONDS": 0.2,
    "KB_DRAIN_SECONDS": 3,
    "MAX_CONCURRENT_INGESTION_TASKS": 2,
    "KB_WEB_PROCESSES": 1,
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One running server for the tests of a file."""
    running = Server(tmp_path_factory.mktemp("server"), **QUICK)
    running.start()
    yield running
    running.end()


@pytest.fixture
def make_server(tmp_path: Path) -> Iterator[Callable[..., Server]]:
    """Servers of a test's own, with its settings; ended afterwards whatever happens."""
    made: list[Server] = []

    def make(name: str = "server", **settings: Any) -> Server:
        made.append(Server(tmp_path / name, **{**QUICK, **settings}))
        return made[-1]

    yield make
    for server in made:
        server.end()
