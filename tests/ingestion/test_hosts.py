"""The hosts of a worker process, one after the other, without a moment in which none is warm."""

import pytest

from collections_app import catalogue
from ingestion import hosts
from tests.support.until import until

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def own_hosts(settings, tmp_path):
    settings.KB_RUN_DIR = tmp_path / "run"
    settings.KB_PLUGIN_MODULES = ["bench.slow_plugin"]
    hosts.discard()
    catalogue.refresh()
    yield
    hosts.discard()


def test_an_aged_host_works_on_until_its_successor_is_warm():
    first = hosts.current()
    first.runs = first.settings.max_runs
    assert hosts.current() is first
    assert not first.needs_replacement
    until(lambda: hosts.current() is not first)
    assert not first.alive
    second = hosts.current()
    assert second.warm
    assert hosts.current() is second


def test_a_dead_host_is_followed_at_once_by_the_one_that_warms_up():
    first = hosts.current()
    first.runs = first.settings.max_runs
    hosts.current()
    successor = hosts._successor
    first.kill()
    assert hosts.current() is successor


def test_a_successor_that_died_is_replaced():
    first = hosts.current()
    first.runs = first.settings.max_runs
    hosts.current()
    hosts._successor.kill()
    assert hosts.current() is first
    until(lambda: hosts.current() is not first)
