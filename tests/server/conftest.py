"""Real servers for tests that need one."""

import shutil
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
def server(tmp_path_factory: pytest.TempPathFactory, begun: Path) -> Iterator[Server]:
    """One running server for the tests of a file."""
    folder = tmp_path_factory.mktemp("server")
    shutil.copytree(begun, folder / "data")
    running = Server(folder, **QUICK)
    running.start()
    yield running
    running.end()


@pytest.fixture
def make_server(tmp_path: Path, begun: Path) -> Iterator[Callable[..., Server]]:
    """Servers of a test's own, with its settings; ended afterwards whatever happens.

    With *first* the start is the first one on an empty data directory.
    """
    made: list[Server] = []

    def make(name: str = "server", first: bool = False, **settings: Any) -> Server:
        if not first:
            shutil.copytree(begun, tmp_path / name / "data")
        made.append(Server(tmp_path / name, **{**QUICK, **settings}))
        return made[-1]

    yield make
    for server in made:
        server.end()
