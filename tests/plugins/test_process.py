"""Which process is this one really: its start as the kernel counts it."""

import os
import subprocess
import sys
import time

import pytest

from plugins import process
from tests.support.until import until


@pytest.fixture
def child():
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]) as running:
        yield running
        running.kill()


def test_a_living_process_is_known_by_pid_and_start_and_a_dead_one_is_not(child):
    started = process.started_at(child.pid)
    assert process.is_alive(child.pid, started)
    assert not process.is_alive(child.pid, started + 1)
    child.kill()
    until(lambda: not process.is_alive(child.pid, started))  # a zombie is dead, though its pid is still taken
    child.wait()
    assert process.started_at(child.pid) is None


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the start is told in wall time")
def test_the_start_is_counted_from_the_boot_so_that_a_step_of_the_clock_moves_nothing(child):
    since_boot = time.clock_gettime(time.CLOCK_BOOTTIME)
    assert 0 <= since_boot - process.started_at(child.pid) < 10
    assert process.started_at(os.getpid()) < since_boot < time.time() / 2
