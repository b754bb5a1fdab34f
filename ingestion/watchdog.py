"""Tells when the worker pool looks alive but is not.

django-q2 freezes when a worker dies while it holds the queue's lock, and stops acknowledging when its monitor is
gone; a process that was stopped (SIGSTOP) looks like a living one. Seen from outside, these are the signs.
"""

import logging
import time
from contextlib import suppress
from datetime import timedelta

import psutil
from django.conf import settings
from django.db.models import Q
from django.db.models.functions import Now

from ingestion import storage
from ingestion.models import EventKind, FileRegistry, JobEvent

logger = logging.getLogger("kb.supervisor")

LOOK_SECONDS = 2.0
BOOT_SECONDS = 15.0
MISSING_SECONDS = 3.0  # the sentinel replaces its processes within a second
STOPPED_SECONDS = 5.0
IDLE_POOL_SECONDS = 8.0  # a job waits and nothing runs
BEREFT_POOL_SECONDS = 2.0  # the same, since one of the pool has died: mostly it had the queue's lock
LATEST_EVENTS = 500  # of the diary, that are searched for a claim
BUSY_POOL_SECONDS = 45.0  # a job waits, a worker is free, and other jobs run


class PoolWatchdog:
    """One for each life of the cluster. Ask :meth:`complaint` often; it looks every two seconds."""

    def __init__(self, supervisor: str) -> None:
        self.supervisor = supervisor
        self.looked_at = 0.0
        self.born = time.monotonic()
        self.next_look = 0.0
        self.wrong_since: dict[str, float] = {}
        self.stopped_since: dict[int, float] = {}
        self.waiting_since: float | None = None
        self.last_claim: int | None = None
        self.some_run = False
        self.pool: set[int] = set()
        self.died_at = self.claimed_at = 0.0  # when the latest death and claim of this life were seen

    def complaint(self, cluster_pid: int) -> str | None:
        """Why the pool must be restarted, or None."""
        now = time.monotonic()
        if now < self.next_look:
            return None
        self.next_look = now + LOOK_SECONDS
        signs = self.signs(cluster_pid)
        self.wrong_since = {sign: self.wrong_since.get(sign, now) for sign in signs}
        for sign, patience in signs.items():
            if now - self.wrong_since[sign] >= patience and now - self.born >= min(patience, BOOT_SECONDS):
                return sign
        return self.frozen(now)

    def signs(self, cluster_pid: int) -> dict[str, float]:
        """What looks wrong with the processes now, each with the seconds that it may last."""
        with suppress(psutil.NoSuchProcess):
            main = psutil.Process(cluster_pid)
            sentinels = main.children()
            signs = {}
            if time.monotonic() - self.born > BOOT_SECONDS and not sentinels:
                signs["its sentinel is gone"] = MISSING_SECONDS
            pool = [member for sentinel in sentinels for member in sentinel.children()]
            for member in [main, *sentinels]:
                if is_stopped(member):
                    signs[f"process {member.pid} of the pool is stopped"] = STOPPED_SECONDS
            self.note_deaths(pool)
            self.end_stopped(pool)
            if sentinels and time.monotonic() - self.born > BOOT_SECONDS:
                titles = [title(member) for member in pool]
                for role in ("monitor", "pusher"):
                    if not any(text.endswith(role) for text in titles):
                        signs[f"its {role} is gone"] = MISSING_SECONDS
            return signs
        return {}

    def note_deaths(self, pool: list[psutil.Process]) -> None:
        pids = {member.pid for member in pool}
        if self.pool - pids:
            self.died_at = time.monotonic()
        self.pool = pids

    def end_stopped(self, pool: list[psutil.Process]) -> None:
        """Kill members of the pool that stay stopped: the sentinel replaces them, the rescue takes their jobs back."""
        now = time.monotonic()
        stopped = [member for member in pool if is_stopped(member)]
        self.stopped_since = {member.pid: self.stopped_since.get(member.pid, now) for member in stopped}
        for member in stopped:
            if now - self.stopped_since[member.pid] >= STOPPED_SECONDS:
                logger.warning("Process %s of the pool is stopped, so it is ended", member.pid)
                with suppress(psutil.NoSuchProcess):
                    member.kill()

    def frozen(self, now: float) -> str | None:
        """A job waits and a worker should be free, but nobody takes it."""
        if self.waiting_since is None:
            return None
        idle = BEREFT_POOL_SECONDS if self.died_at > self.claimed_at else IDLE_POOL_SECONDS
        patience = BUSY_POOL_SECONDS if self.some_run else idle
        # Judged by what was seen, not by the time since: the thread that looks may itself be held up.
        waited = self.looked_at - self.waiting_since
        is_up = bool(self.claimed_at) or now - self.born >= BOOT_SECONDS
        if waited < patience or not is_up:
            return None
        return f"a job has waited for {waited:.0f} s and no worker takes it"

    def look_at_queue(self) -> None:
        """Read the queue (in the thread that may wait for the database). A claim since the last look means life."""
        latest = JobEvent.objects.order_by("-id").values_list("id", "kind")[:LATEST_EVENTS]
        last_claim = next((pk for pk, kind in latest if kind == EventKind.CLAIMED), 0)
        due = FileRegistry.objects.due().of_live_collections().filter(Q(updated_at__lt=Now() - timedelta(seconds=2)))
        running = FileRegistry.objects.processing().filter(worker__supervisor=self.supervisor).count()
        could_work = running < settings.MAX_CONCURRENT_INGESTION_TASKS and storage.free_mb() >= settings.KB_MIN_FREE_MB
        self.some_run = running > 0
        if not (could_work and last_claim == self.last_claim and due.exists()):
            self.waiting_since = None
        elif self.waiting_since is None:
            self.waiting_since = time.monotonic()
        if self.last_claim is not None and last_claim > self.last_claim:
            self.claimed_at = time.monotonic()
        self.last_claim = last_claim
        self.looked_at = time.monotonic()


def is_stopped(member: psutil.Process) -> bool:
    with suppress(psutil.Error):
        return bool(member.status() == psutil.STATUS_STOPPED)
    return False


def title(member: psutil.Process) -> str:
    """The process's title, as setproctitle has set it: ``qcluster Process-… monitor``."""
    with suppress(psutil.Error):
        return " ".join(member.cmdline()).strip()
    return ""
