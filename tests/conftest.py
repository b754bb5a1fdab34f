"""What every test stands on. The data directory is chosen before Django reads its settings."""

import os
import shutil
import tempfile

import pytest

FOLDER = tempfile.mkdtemp(prefix="kb-tests-")

if "KB_TEST_DATABASE" in os.environ:  # set by the test that runs the engine's tests on PostgreSQL
    os.environ["DATABASE_URL"] = os.environ["KB_TEST_DATABASE"]
else:
    os.environ.pop("DATABASE_URL", None)
os.environ["KB_DATA_DIR"] = FOLDER
os.environ["LAMB_API_KEY"] = "test-token-0123456789"
for name in ("EMBEDDINGS_VENDOR", "EMBEDDINGS_MODEL", "EMBEDDINGS_ENDPOINT", "EMBEDDINGS_APIKEY", "HOME_URL"):
    os.environ.pop(name, None)


def pytest_sessionfinish(session: pytest.Session) -> None:
    shutil.rmtree(FOLDER, ignore_errors=True)


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """In CI a test that cannot run is a failure: everything that tests need is installed there."""
    if report.skipped and os.environ.get("KB_FORBID_SKIPS") and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"skipping is forbidden here: {report.longrepr}"
