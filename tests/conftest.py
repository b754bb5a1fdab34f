"""What every test stands on; their settings are in tests/settings.py."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
BEGIN = "import django; django.setup(); from ingestion import boot; boot.migrate(); boot.first_start()"


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """In CI a test that cannot run is a failure: everything that tests need is installed there."""
    if report.skipped and os.environ.get("KB_FORBID_SKIPS") and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"skipping is forbidden here: {report.longrepr}"


@pytest.hookimpl(trylast=True)  # after pytest-django, whose order of tests with a database stays as it is
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What starts servers comes first: at the end short tests keep all workers busy, and none waits for a long one."""
    items.sort(key=length, reverse=True)


def length(item: pytest.Item) -> float:
    """Seconds that a slow test without a database in this process may take, 0 for all others."""
    if not item.get_closest_marker("slow") or item.get_closest_marker("django_db"):
        return 0
    limit = item.get_closest_marker("timeout")
    return float(limit.args[0] if limit else item.config.getini("timeout"))


def pytest_report_header() -> str:
    from django.db import connection

    return f"database: {connection.vendor}"


@pytest.fixture(scope="session")
def begun(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data directory as the first start leaves it, without the samples: migrating and ingesting takes seconds."""
    folder = tmp_path_factory.mktemp("begun") / "data"
    environment = {**os.environ, "KB_DATA_DIR": str(folder), "DJANGO_SETTINGS_MODULE": "kbproject.settings"}
    subprocess.run([sys.executable, "-c", BEGIN], cwd=ROOT, env=environment, check=True)
    return folder
