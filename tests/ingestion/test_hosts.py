"""The hosts of a worker process, one after the other, without a moment in which none is warm."""

import os
import subprocess

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


def test_a_successor_that_cannot_be_started_leaves_the_work_to_the_old_host(settings, tmp_path):
    first = hosts.current()
    first.runs = first.settings.max_runs
    settings.KB_RUN_DIR = tmp_path / "full"
    settings.KB_RUN_DIR.mkdir()
    hosts.scratch().write_text("no folder")  # stands for every OSError: no space, no handle, no process
    assert hosts.current() is first
    assert first.alive


def test_temporary_files_go_when_the_worker_of_their_host_is_dead():
    with subprocess.Popen(["/bin/true"]) as dead:
        dead.wait()
    mine, orphaned = (hosts.scratch() / f"host-{pid}-x" for pid in (os.getpid(), dead.pid))
    for folder in (mine, orphaned):
        folder.mkdir(parents=True)
        (folder / "page.png").write_text("x")
    hosts.sweep_scratch()
    assert mine.exists()
    assert not orphaned.exists()
