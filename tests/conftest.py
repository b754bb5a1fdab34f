"""What every test stands on; their settings are in tests/settings.py."""

import os

import pytest


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """In CI a test that cannot run is a failure: everything that tests need is installed there."""
    if report.skipped and os.environ.get("KB_FORBID_SKIPS") and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"skipping is forbidden here: {report.longrepr}"


def pytest_report_header() -> str:
    from django.db import connection

    return f"database: {connection.vendor}"
