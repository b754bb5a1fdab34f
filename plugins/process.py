"""Facts about processes: who is this one really, is it alive, does it die with its parent."""

import ctypes
import os
import signal
import sys
from pathlib import Path

import psutil

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36


def die_with_parent(parent_pid: int) -> None:
    """Have the kernel kill this process when its parent ends. Linux only; elsewhere it does nothing.

    The signal is tied to the *thread* that started this process, so start processes from the main thread.
    """
    if sys.platform != "linux":
        return
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent_pid:  # it ended before we asked
        os._exit(1)


def started_at(pid: int) -> float | None:
    """When the process began; None when there is no such process.

    On Linux in seconds since the boot, from the kernel's own count, which no change of the clock moves; elsewhere in
    seconds since the epoch. Together with :func:`boot_id` and the pid it names a process for good.
    """
    try:
        if sys.platform == "linux":
            fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
            return int(fields[19]) / os.sysconf("SC_CLK_TCK")
        return float(psutil.Process(pid).create_time())
    except (OSError, psutil.NoSuchProcess):
        return None


def is_alive(pid: int, started: float) -> bool:
    """Whether the process with this pid *and* start time still runs. A pid alone may belong to another one by now."""
    began = started_at(pid)
    try:
        return (
            began is not None and abs(began - started) < 0.05 and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
        )
    except psutil.NoSuchProcess:
        return False


def become_subreaper() -> None:
    """Have orphans among our descendants become our children, so that we can end them. Linux only."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def session_members(leader: int) -> list[psutil.Process]:
    """All living processes of a session, found by asking each one: orphans lose their parent, not their session."""
    members = []
    for candidate in psutil.process_iter():
        try:
            if os.getsid(candidate.pid) == leader and candidate.status() != psutil.STATUS_ZOMBIE:
                members.append(candidate)
        except (OSError, psutil.Error):
            continue
    return members


def boot_id() -> str:
    """A name for this boot of this machine: pids mean nothing across boots."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return str(int(psutil.boot_time()))
