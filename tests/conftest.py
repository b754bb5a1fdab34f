"""What every test stands on; their settings are in tests/settings.py."""

import os

import pytest


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """In CI a test that cannot run is a failure: everything that tests need is installed there."""
    if report.skipped and os.environ.get("KB_FORBID_SKIPS") and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"skipping is forbidden here: {report.longrepr}"


@pytest.hookimpl(trylast=True)  # after pytest-django, whose order of tests with a database stays as it is
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What starts servers comes first: at the end short tests keep all workers busy, and none waits for a long one."""
    items.sort(key=starts_first, reverse=True)


def starts_first(item: pytest.Item) -> bool:
    return bool(item.get_closest_marker("slow")) and not item.get_closest_marker("django_db")


def pytest_report_header() -> str:
    from django.db import connection

    return f"database: {connection.vendor}"
