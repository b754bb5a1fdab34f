"""Web server, worker pool and rescue as one foreground command.

Each child runs in a session of its own and dies with this process. Any exit of a child means that its whole session
is killed and started again, with growing delays. The main thread looks after processes; a second thread does the
database work (rescue and housekeeping), so that a slow database never delays the watch over processes.
"""

import http.client
import json
import logging
import os
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import psutil
from django.conf import settings
from django.db import connection
from django.db.models import Q

from collections_app.locks import HeldElsewhere, hold
from ingestion import hosts, housekeeping, rescue
from ingestion.models import FileRegistry
from ingestion.watchdog import PoolWatchdog, is_stopped
from plugins import process

logger = logging.getLogger("kb.supervisor")

LOOP_SECONDS = 0.2
STOP_SECONDS = 5.0  # for a child after SIGTERM, before SIGKILL
BACKOFF_SECONDS = (0.0, 0.5, 1.0, 2.0, 5.0, 10.0)
HEALTH_SECONDS = 5.0
HEALTH_FAILURES = 24  # two minutes: slow clients may hold all threads for a while, and are not cut off for that
STRAY_SECONDS = 2.0


class AlreadyRunning(Exception):
    """Another server holds this data directory."""


@dataclass
class Child:
    """A process of the server with everything it starts: one session, killed as a whole."""

    role: str
    command: list[str]
    environment: dict[str, str]
    popen: subprocess.Popen[bytes] | None = None
    started: float = 0.0
    failures: int = 0
    start_at: float = field(default=0.0)

    def start(self) -> None:
        self.popen = subprocess.Popen(
            self.command,
            env=self.environment,
            cwd=settings.BASE_DIR,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
        self.started = time.monotonic()

    @property
    def pid(self) -> int:
        return self.popen.pid if self.popen else 0

    @property
    def running(self) -> bool:
        return self.popen is not None and self.popen.poll() is None

    def kill(self) -> None:
        """End the whole session at once. A stopped process dies of SIGKILL too."""
        if self.popen is None:
            return
        for member in process.session_members(self.popen.pid):
            with suppress(psutil.NoSuchProcess):
                member.kill()
        with suppress(ProcessLookupError):
            os.killpg(self.popen.pid, signal.SIGKILL)
        self.popen.wait()
        self.popen = None

    def terminate(self) -> None:
        if self.running and self.popen:
            self.popen.terminate()

    def schedule_restart(self) -> float:
        """Plan the next start; returns the delay in seconds. A child that lived for a while starts at once."""
        self.failures = 0 if time.monotonic() - self.started > 30 else self.failures + 1
        delay = BACKOFF_SECONDS[min(self.failures, len(BACKOFF_SECONDS) - 1)]
        self.start_at = time.monotonic() + delay
        return delay


class Supervisor:
    """``run()`` returns when the server was told to stop.

    :param ready: called once when the web server answers
    :param say: prints a line for the operator
    """

    def __init__(self, ready: Callable[[], None], say: Callable[[str], None]) -> None:
        self.id = uuid.uuid4().hex
        self.ready = ready
        self.say = say
        self.signals = 0
        self.stopping = threading.Event()
        self.given_back: list[str] = []  # why; the other thread gives the jobs back
        self.web = self.child("web", [sys.executable, "manage.py", "serve"])
        # The checks have passed in this process, and load all pages: 0.3 s that each start of the workers would pay.
        self.cluster = self.child("cluster", [sys.executable, "manage.py", "cluster", "--skip-checks"])
        self.watchdog = PoolWatchdog(self.id)
        self.unhealthy = 0
        self.next_strays = 0.0
        self.next_health = 0.0
        self.is_ready = False

    def child(self, role: str, command: list[str]) -> Child:
        environment = {**os.environ, "KB_SUPERVISOR": self.id, "KB_SUPERVISOR_PID": str(os.getpid())}
        return Child(role, command, environment)

    @property
    def children(self) -> list[Child]:
        return [self.web, self.cluster]

    # -- Life ---------------------------------------------------------------------------------------

    def run(self) -> None:
        """:raises AlreadyRunning: when another one holds the data directory"""
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self.on_signal)
        process.become_subreaper()
        keeper = threading.Thread(target=self.keep_house, name="keep-house", daemon=True)
        try:
            for child in self.children:
                self.start(child)
            keeper.start()
            while not self.signals:
                self.look_after_children()
                self.stopping.wait(LOOP_SECONDS)
            self.drain()
        finally:
            self.stopping.set()
            for child in self.children:
                child.kill()
            self.end_strays()
            for step in (self.give_back_all, rescue.bury_workers, self.flag.unlink, record_path().unlink):
                with suppress(Exception):  # a full disk must not keep the next step from its turn
                    step()

    def give_back_all(self) -> None:
        rescue.release_all(Q(supervisor=self.id), "Given back: the server has stopped")

    def on_signal(self, number: int, frame: object) -> None:
        self.signals += 1

    @property
    def flag(self) -> Path:
        """While this file exists the workers of this supervisor claim nothing."""
        return Path(settings.KB_RUN_DIR) / f"draining-{self.id}"

    def start(self, child: Child) -> None:
        """Start a child; where the system cannot now, later."""
        try:
            child.start()
            write_record(self.children)
        except OSError as error:
            logger.error("Could not start %s or note that it runs: %s", child.role, error)
            if child.popen is None:
                child.schedule_restart()

    def look_after_children(self) -> None:
        for child in self.children:
            if child.popen is None:
                if time.monotonic() >= child.start_at:
                    self.start(child)
            elif not child.running:
                self.restart(child, f"it ended with code {child.popen.returncode}")
        self.look_at_pool()
        self.look_at_web()
        if time.monotonic() >= self.next_strays:
            self.next_strays = time.monotonic() + STRAY_SECONDS
            self.end_strays()

    def end_strays(self) -> None:
        """End orphans: what a plugin started and its dead host could not take along becomes our child."""
        known = {child.pid for child in self.children if child.popen is not None}
        with suppress(psutil.Error):
            for stray in psutil.Process().children():
                if stray.pid not in known:
                    with suppress(psutil.Error):
                        stray.kill()
                    with suppress(ChildProcessError):
                        os.waitpid(stray.pid, os.WNOHANG)

    def restart(self, child: Child, reason: str) -> None:
        """Kill what is left of the child, give its jobs back and plan its next start."""
        child.kill()
        if child is self.cluster:
            self.watchdog = PoolWatchdog(self.id)
            self.given_back.append(f"Given back: the workers were restarted ({reason})")
        delay = child.schedule_restart()
        logger.warning("Restarting %s in %.1f s: %s", child.role, delay, reason)

    def look_at_pool(self) -> None:
        if self.cluster.running and (reason := self.watchdog.complaint(self.cluster.pid)):
            self.restart(self.cluster, reason)

    def look_at_web(self) -> None:
        """A web server that does not answer is restarted too. Asked in this thread, with a short time limit."""
        now = time.monotonic()
        if not self.web.running or now < self.next_health:
            return
        stopped = any(is_stopped(member) for member in process.session_members(self.web.pid))
        if answers():
            self.unhealthy = 0
            self.next_health = now + HEALTH_SECONDS
            if not self.is_ready:
                self.is_ready = True
                threading.Thread(target=self.ready, name="ready", daemon=True).start()
        elif not self.is_ready:
            self.next_health = now + LOOP_SECONDS
        else:
            self.unhealthy += HEALTH_FAILURES // 2 if stopped else 1
            self.next_health = now + HEALTH_SECONDS
            if self.unhealthy >= HEALTH_FAILURES:
                self.unhealthy = 0
                self.restart(self.web, "it does not answer")

    # -- The database side --------------------------------------------------------------------------

    def keep_house(self) -> None:
        """Rescue every few seconds, and reap in between. No error ends it."""
        while not self.stopping.is_set():
            began = time.monotonic()
            more = False
            for task in (self.give_back, rescue.sweep, self.watchdog.look_at_queue):
                self.attempt(task)
            while time.monotonic() - began < settings.KB_RESCUE_SECONDS and not self.stopping.is_set():
                more = housekeeping.sweep(seconds=0.5)
                if not more:
                    break
            if not more:
                self.stopping.wait(max(0.2, settings.KB_RESCUE_SECONDS - (time.monotonic() - began)))
        connection.close()

    def attempt(self, task: Callable[[], object]) -> None:
        try:
            task()
        except Exception:
            logger.exception("Rescue met an error and goes on")
            connection.close()

    def give_back(self) -> None:
        """Jobs of workers that were restarted: it was not their doing, so no lost lease is counted."""
        while self.given_back:
            rescue.release_all(Q(supervisor=self.id, stopped_at__isnull=True), self.given_back[0], only_dead=True)
            self.given_back.pop(0)

    # -- Stopping -----------------------------------------------------------------------------------

    def drain(self) -> None:
        """Claim nothing more, let running jobs finish for a while, then give their leases back."""
        with suppress(OSError):
            self.flag.touch()
        running = self.running_jobs()
        if running:
            self.say(
                f"Waiting up to {settings.KB_DRAIN_SECONDS:g} s for {running} running "
                f"job{'s' if running > 1 else ''}; press Ctrl-C again to stop now. Nothing is lost."
            )
        deadline = time.monotonic() + settings.KB_DRAIN_SECONDS
        while time.monotonic() < deadline and self.signals < 2 and self.running_jobs():
            time.sleep(LOOP_SECONDS)
        for child in self.children:
            child.terminate()
        deadline = time.monotonic() + STOP_SECONDS
        while time.monotonic() < deadline and self.signals < 2 and any(child.running for child in self.children):
            time.sleep(0.05)

    def running_jobs(self) -> int:
        try:
            return FileRegistry.objects.processing().filter(worker__supervisor=self.id).count()
        except Exception:
            logger.exception("Cannot ask for running jobs")
            connection.close()
            return 0


def answers(timeout: float = 3.0) -> bool:
    """Whether the web server answers ``/health``. Asked directly, whatever proxy the environment names."""
    host = "127.0.0.1" if settings.HOST in {"0.0.0.0", "::", ""} else settings.HOST  # noqa: S104
    asked = http.client.HTTPConnection(host, settings.PORT, timeout=timeout)
    try:
        asked.request("GET", "/health")
        return asked.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        asked.close()


# -- What a killed predecessor left behind -----------------------------------------------------------


def record_path() -> Path:
    return Path(settings.KB_RUN_DIR) / "processes.json"


def write_record(children: list[Child]) -> None:
    """Keep pid and start time of each child, so that the next start can end what this one may leave behind."""
    entries = [
        {"role": child.role, "pid": child.pid, "started": process.started_at(child.pid)}
        for child in children
        if child.running
    ]
    draft = record_path().with_suffix(".tmp")
    draft.write_text(json.dumps(entries))
    draft.replace(record_path())


def end_leftovers() -> int:
    """Kill what a predecessor that was killed left running on this data directory; returns how many processes."""
    try:
        entries = json.loads(record_path().read_text())
    except (FileNotFoundError, ValueError):
        entries = []
    ended = end_orphans_of_hosts()
    for entry in entries:
        pid, started = int(entry["pid"]), float(entry["started"] or 0)
        leader_is_other = process.started_at(pid) is not None and not process.is_alive(pid, started)
        if leader_is_other:
            continue  # the pid belongs to somebody else by now
        for member in process.session_members(pid):
            with suppress(psutil.NoSuchProcess):
                member.kill()
                ended += 1
    record_path().unlink(missing_ok=True)
    return ended


def end_orphans_of_hosts() -> int:
    """What plugins of a killed server left running: it keeps its temporary files in ours, and its host is dead."""
    scratch = str(hosts.scratch())
    ended = 0
    for candidate in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            if candidate.environ().get("TMPDIR", "").startswith(scratch) and orphaned(candidate):
                candidate.kill()
                ended += 1
    return ended


def orphaned(candidate: psutil.Process) -> bool:
    leader = os.getsid(candidate.pid)
    return candidate.ppid() == 1 or process.started_at(leader) is None


def alone_on_data_directory() -> IO[str]:
    """Hold the data directory until the returned file is closed, or the process ends.

    :raises AlreadyRunning: when another server does
    """
    try:
        return hold(Path(settings.KB_RUN_DIR) / "up.lock")
    except HeldElsewhere as error:
        raise AlreadyRunning(
            f"Another server is running on {settings.KB_DATA_DIR}. Stop it, or set KB_DATA_DIR to another folder."
        ) from error
