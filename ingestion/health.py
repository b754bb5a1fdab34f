"""Whether the server can do its work, for load balancers and monitoring: ``/health/ready``.

Checks run side by side, each in a thread of its own, since a disk that hangs can be waited for without end. A probe
waits two seconds at most; a check that still hangs is not begun a second time. Anybody may ask, so the words name no
path and no address, and the answer of a second ago is given again.
"""

import logging
import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Generic, NamedTuple, TypeVar

from django.conf import settings
from django.db import DatabaseError, OperationalError, connection
from django.db.migrations.executor import MigrationExecutor

from collections_app.embeddings import configured_embeddings, is_installed
from collections_app.embeddings.breaker import key_for
from collections_app.errors import InvalidEmbeddings, SecretUnreadable
from collections_app.models import VendorState
from ingestion import storage
from ingestion.models import FileRegistry
from ingestion.presence import living_workers
from ingestion.worker import draining

logger = logging.getLogger("kb.health")

CHECK_SECONDS = 2.0
FRESH_SECONDS = 1.0
Answer = TypeVar("Answer")
READY, DEGRADED, NOT_READY = "ready", "degraded", "not_ready"


class Finding(NamedTuple):
    """What a check found. *detail* is a sentence that anybody may read."""

    ok: bool
    detail: str


@dataclass(frozen=True)
class Check:
    """*needed*: without it nothing can be taken in, or what is taken in fails or lies; otherwise it only waits."""

    name: str
    ask: Callable[[], Finding]
    needed: bool


# -- The checks -------------------------------------------------------------------------------------


def database() -> Finding:
    FileRegistry.objects.exists()
    return Finding(True, "It answers.")


def database_errors() -> list[str]:
    """What is wrong with the database, in sentences; empty when nothing is."""
    try:
        executor = MigrationExecutor(connection)
        plan = executor.migration_plan(executor.loader.graph.leaf_nodes())
    except OperationalError:
        return ["The database does not answer."]
    except DatabaseError:
        return ["The database is damaged, or what lies in its place is none."]
    return [f"Migration {migration} is not applied. Restart the server with `manage.py up`." for migration, _ in plan]


def disk() -> Finding:
    """Uploads can be written, and there is room for them."""
    probe = storage.root() / "incoming" / f"probe-{os.getpid()}.part"
    try:
        probe.parent.mkdir(parents=True, exist_ok=True)
        probe.write_bytes(b"ready?")
        probe.unlink()
        free = storage.free_mb()
    except OSError as error:
        return Finding(False, f"Files cannot be written ({os.strerror(error.errno or 0)}).")
    enough = free >= settings.KB_MIN_FREE_MB
    return Finding(enough, f"{free:,.0f} MiB are free" + ("." if enough else ", less than KB_MIN_FREE_MB."))


def workers() -> Finding:
    if draining():
        return Finding(False, "The server is stopping.")
    living = living_workers()
    return Finding(living > 0, f"{living} of {settings.MAX_CONCURRENT_INGESTION_TASKS} workers live.")


def model() -> Finding:
    """The built-in model's files are there. Nothing to ask where another vendor embeds."""
    try:
        choice = configured_embeddings()
    except (InvalidEmbeddings, SecretUnreadable):
        return Finding(False, "The embedding settings cannot be read.")
    if choice.vendor != "local":
        return Finding(True, f"The server's vendor is {choice.vendor}.")
    there = is_installed(choice)
    return Finding(there, "The local model is there." if there else "The local model is not installed.")


def vendor() -> Finding:
    """The breaker of the server's own vendor. It is not called: a paid one would charge for every probe."""
    choice = configured_embeddings()
    state = VendorState.objects.filter(pk=key_for(choice.vendor, choice.endpoint)).first()
    if state is None or not state.failures:
        return Finding(True, "No failure is known.")
    if state.open_until and state.open_until > datetime.now(UTC):
        return Finding(False, f"It failed {state.failures} times in a row and is left alone; jobs wait.")
    return Finding(False, f"It failed {state.failures} times in a row.")


CHECKS = (
    Check("database", database, needed=True),
    Check("storage", disk, needed=True),
    Check("workers", workers, needed=True),
    Check("model", model, needed=True),
    Check("vendor", vendor, needed=False),
)


# -- Asking them ------------------------------------------------------------------------------------


class Asked(Generic[Answer]):
    """A check that runs in a thread of its own. ``error`` is set where it failed instead of answering."""

    def __init__(self, name: str, ask: Callable[[], Answer]) -> None:
        self.name = name
        self.error: Exception | None = None
        self._ask = ask
        self._answer: Answer | None = None
        self.thread = threading.Thread(target=self._run, name=f"check-{name}", daemon=True)
        self.thread.start()

    def _run(self) -> None:
        try:
            self._answer = self._ask()
        except Exception as error:
            logger.warning("The check of the %s failed (%s)", self.name, error)
            self.error = error
        finally:
            connection.close()  # this thread's own

    def wait(self, seconds: float) -> Answer | None:
        """The answer; None while there is none, or after a failure."""
        self.thread.join(max(0.0, seconds))
        return self._answer


class Readiness:
    """Asks *checks*; any number of requests may ask at once."""

    def __init__(self, checks: tuple[Check, ...] = CHECKS) -> None:
        self.checks = checks
        self._running: dict[str, Asked[Finding]] = {}
        self._guard = threading.Lock()
        self._known: tuple[float, dict[str, Any]] | None = None

    def report(self) -> dict[str, Any]:
        """``{"status": ready | degraded | not_ready, "checks": [{"name", "ok", "detail"}]}``"""
        if self._known and time.monotonic() - self._known[0] < FRESH_SECONDS:
            return self._known[1]
        ends = time.monotonic() + CHECK_SECONDS
        asked = [self._ask(check) for check in self.checks]
        findings = [finding_of(one, ends - time.monotonic()) for one in asked]
        report = {
            "status": verdict(self.checks, findings),
            "checks": [
                {"name": check.name, "ok": finding.ok, "detail": finding.detail}
                for check, finding in zip(self.checks, findings, strict=True)
            ],
        }
        self._known = time.monotonic(), report
        return report

    def _ask(self, check: Check) -> Asked[Finding]:
        """The check that runs already, or one that is begun."""
        with self._guard:
            running = self._running.get(check.name)
            if running is None or not running.thread.is_alive():
                running = self._running[check.name] = Asked(check.name, check.ask)
            return running


def finding_of(asked: Asked[Finding], seconds: float) -> Finding:
    if found := asked.wait(seconds):
        return found
    if asked.error:
        return Finding(False, "It does not answer as it should.")
    return Finding(False, f"No answer within {CHECK_SECONDS:g} seconds.")


def verdict(checks: tuple[Check, ...], findings: list[Finding]) -> str:
    bad = [check.needed for check, finding in zip(checks, findings, strict=True) if not finding.ok]
    return NOT_READY if any(bad) else DEGRADED if bad else READY


readiness = Readiness()
