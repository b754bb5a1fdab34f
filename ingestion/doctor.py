"""What is wrong with this server, or soon will be, and what helps: ``manage.py doctor``.

:mod:`ingestion.health` says within two seconds whether the work goes on, for machines that ask all the time. This looks
closer, for the operator: it asks the vendor for a vector, compares clocks, and reads the limits of the machine.
"""

import json
import os
import sqlite3
import stat
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import IntEnum
from functools import partial
from http.client import HTTPException
from pathlib import Path
from typing import NamedTuple

import psutil
from django.conf import settings
from django.db import connection
from django.db.models import Max
from rich.filesize import decimal

from collections_app import crypto
from collections_app.embeddings import Abandoned, configured_embeddings, embedder_for
from collections_app.embeddings.endpoints import shown
from collections_app.errors import SecretUnreadable
from collections_app.models import Collection, VendorState
from collections_app.scrub import scrub
from ingestion import health, outlook, presence, storage
from ingestion.metrics import oldest_due
from ingestion.models import FileRegistry, Worker
from plugins.base import PluginError
from plugins.normalise import counted

CHECK_SECONDS = 30.0  # for all checks together, which run side by side
THOROUGH_SECONDS = 3600.0
VENDOR_SECONDS = 20.0
CLOCK_SECONDS = 5.0  # that clocks may differ by
LONG_WAIT = timedelta(hours=1)
LEAST_OPEN_FILES = 1024
LOOKED_AT = 2000
NAMED = 5
# Their locks are not those of a local disk, or come and go with the network: SQLite warns of them all.
NETWORK_FILE_SYSTEMS = frozenset({"nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "fuse.sshfs", "glusterfs", "afs"})
WITHOUT_DATABASE = frozenset({"server", "limits", "access"})
KNOWN_TOKENS = frozenset({"0p3n-w3bu!"})  # the original server's default, which is published


class Level(IntEnum):
    """Also the exit code: that of monitoring plug-ins since Nagios."""

    OK = 0
    WARNING = 1
    CRITICAL = 2


class Diagnosis(NamedTuple):
    """One thing that was looked at.

    :param detail: a sentence on how it stands
    :param hint: what helps; blank where nothing has to be done
    """

    level: Level
    detail: str
    hint: str = ""


@dataclass(frozen=True)
class Examination:
    """What one check found."""

    name: str
    findings: list[Diagnosis]

    @property
    def level(self) -> Level:
        return max((finding.level for finding in self.findings), default=Level.OK)


Check = Callable[[], Iterator[Diagnosis]]


def fine(detail: str) -> Diagnosis:
    return Diagnosis(Level.OK, detail)


def warning(detail: str, hint: str) -> Diagnosis:
    return Diagnosis(Level.WARNING, detail, hint)


def critical(detail: str, hint: str) -> Diagnosis:
    return Diagnosis(Level.CRITICAL, detail, hint)


# -- Where things are kept --------------------------------------------------------------------------


def database() -> Iterator[Diagnosis]:
    if errors := health.database_errors():
        behind = "`manage.py up` brings the database up to date when it starts."
        broken = "Look whether KB_DATA_DIR or DATABASE_URL is the right one. If it is, restore a backup."
        yield critical(errors[0], behind if errors[0].startswith("Migration") else broken)
        return
    if connection.vendor != "sqlite":
        yield fine(f"{connection.display_name} answers and has this version's tables.")
        return
    path = Path(str(connection.settings_dict["NAME"]))
    size = sum(file.stat().st_size for file in path.parent.glob(f"{path.name}*") if file.exists())
    yield fine(f"SQLite {sqlite3.sqlite_version}, {decimal(size)}, has this version's tables.")
    if (kind := file_system_of(path)) in NETWORK_FILE_SYSTEMS:
        yield critical(
            f"It lies on a network file system ({kind}), where SQLite's locks do not hold.",
            "Move KB_DATA_DIR to a local disk before the database is damaged.",
        )


def thorough_database() -> Iterator[Diagnosis]:
    """Reads the whole database: a few seconds per gigabyte."""
    yield from database()
    if connection.vendor == "sqlite":
        with connection.cursor() as cursor:
            cursor.execute("PRAGMA quick_check(5)")
            complaints = [str(row[0]) for row in cursor.fetchall()]
        if complaints == ["ok"]:
            yield fine("All its pages are intact.")
        else:
            yield critical(
                f"It is damaged: {complaints[0]}",
                "Stop the server, keep a copy, and restore a backup or rebuild the file with `sqlite3 … .recover`.",
            )


def files() -> Iterator[Diagnosis]:
    found = health.disk()
    if not found.ok:
        yield critical(found.detail, "Free some space, or let the server's user write to KB_DATA_DIR.")
    elif storage.free_mb() < settings.KB_MIN_FREE_MB + settings.KB_MAX_UPLOAD_MB:
        hint = "`manage.py prune --older-than 90d` removes what has outlived its use."
        yield warning(f"{found.detail} The largest upload that is allowed would not fit.", hint)
    else:
        yield fine(found.detail)
    rows = FileRegistry.objects.live().exclude(file_path="").order_by("-pk").values_list("pk", "file_path")
    missing = [pk for pk, path in rows[:LOOKED_AT] if not (storage.root() / path).is_file()]
    if missing:
        yield warning(
            f"{counted(len(missing), 'job')} that {'waits' if len(missing) == 1 else 'wait'} will not find the file "
            f"that was uploaded ({numbers(missing)}).",
            "Restore the files from a backup, or cancel the jobs and have the files uploaded again.",
        )


# -- Who works --------------------------------------------------------------------------------------


def web_server() -> Iterator[Diagnosis]:
    """Whether it answers, in the version of this code."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(settings.HOST, settings.HOST)  # noqa: S104  (compared, not bound)
    address = f"http://{f'[{host}]' if ':' in host else host}:{settings.PORT}/health"
    try:
        version = version_at(address)
    except (OSError, ValueError, HTTPException):  # nobody, or something that speaks no HTTP
        yield critical(
            f"It does not answer on {settings.HOST}:{settings.PORT}.",
            "Start it with `manage.py up`, with the same settings as this command.",
        )
        return
    if version == settings.VERSION:
        yield fine(f"It answers on {settings.HOST}:{settings.PORT}, version {version}.")
    else:
        detail = f"Version {version or 'of something else'} answers on port {settings.PORT}, not {settings.VERSION}."
        yield warning(detail, "Restart the server, so that it runs the code that is installed.")


def version_at(address: str) -> str:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # our own machine is not behind a proxy
    with opener.open(address, timeout=5) as answer:
        body = json.loads(answer.read(10_000))
    return str(body.get("version", "")) if isinstance(body, dict) else ""


def workers() -> Iterator[Diagnosis]:
    living, wanted = presence.living_workers(), settings.MAX_CONCURRENT_INGESTION_TASKS
    if not living:
        yield critical("No worker lives: jobs wait for ever.", "Start the server with `manage.py up`.")
    elif living < wanted:
        detail = f"{living} of {wanted} workers live."
        yield warning(detail, "Dead ones are replaced within a minute; if not, look into the server's log.")
    else:
        yield fine(f"{living} of {wanted} workers live.")
    if expired := FileRegistry.objects.expired().count():
        yield warning(
            f"The workers of {counted(expired, 'running job')} have not been heard of in time.",
            f"Living workers take such jobs back every {settings.KB_RESCUE_SECONDS:g} s; look again then.",
        )


def jobs() -> Iterator[Diagnosis]:
    since = oldest_due()
    waited = datetime.now(UTC) - since if since else timedelta()
    if waited > LONG_WAIT:
        yield warning(
            f"The oldest job has waited for a worker for {waited.total_seconds() / 3600:,.1f} hours.",
            "More workers (MAX_CONCURRENT_INGESTION_TASKS) help where CPU is left; `manage.py jobs` shows what runs.",
        )
    else:
        pending, running = FileRegistry.objects.pending().count(), FileRegistry.objects.processing().count()
        yield fine(f"{counted(pending, 'job')} {'waits' if pending == 1 else 'wait'}, {running} run.")
    fields = (
        "pk", "status", "plugin_name", "file_size", "error_code", "progress_current", "progress_total",
        "progress_unit", "stage_started_at", "not_before", "collection__embedding_vendor", "kind",
    )  # fmt: skip
    rows = FileRegistry.objects.processing().order_by("pk").values_list(*fields, named=True)
    if stalled := [row.pk for row in rows[:100] if outlook.outlook(row).stalled]:
        yield warning(
            f"{counted(len(stalled), 'job')} took four times as long for a stage as is usual ({numbers(stalled)}).",
            "`manage.py jobs NUMBER` shows where it is; `manage.py cancel_jobs` ends it.",
        )


# -- Who makes the vectors --------------------------------------------------------------------------


def vendor() -> Iterator[Diagnosis]:
    """Asks for the vector of one word, as a job of a new collection would."""
    yield from unreadable_keys()
    yield from open_breakers()
    model = health.model()
    if not model.ok:
        yield critical(model.detail, "Set EMBEDDINGS_VENDOR and EMBEDDINGS_MODEL, or install the model's files.")
        return
    choice = configured_embeddings()
    made_up = Collection(
        embedding_vendor=choice.vendor,
        embedding_model=choice.model,
        embedding_endpoint=choice.endpoint,
        embedding_api_key=crypto.encrypt(choice.api_key) if choice.api_key else "",
    )
    began = time.monotonic()
    give_up = threading.Event()
    timer = threading.Timer(VENDOR_SECONDS, give_up.set)
    timer.daemon = True
    timer.start()
    try:
        vectors = embedder_for(made_up).embed(["word"], cancel=give_up)
    except PluginError as error:
        level = Level.WARNING if error.transient else Level.CRITICAL
        yield Diagnosis(level, f"{choice.vendor}: {scrub(error.message)}", error.hint or "See docs/settings.md.")
    except Abandoned:
        detail = f"{choice.vendor} did not answer within {VENDOR_SECONDS:g} s."
        yield warning(detail, "Jobs wait until it does. Look whether it runs and is reached from here.")
    else:
        seconds = time.monotonic() - began
        yield fine(
            f"{choice.vendor} made a vector of {vectors.shape[1]} numbers with {choice.model} in {seconds:.1f} s."
        )
    finally:
        timer.cancel()


def known_of_vendors() -> Iterator[Diagnosis]:
    """The same without calling anybody."""
    yield from unreadable_keys()
    yield from open_breakers()
    for found in (health.model(), health.vendor()):
        yield fine(found.detail) if found.ok else critical(found.detail, "See docs/settings.md, Embeddings.")


def open_breakers() -> Iterator[Diagnosis]:
    for state in VendorState.objects.filter(failures__gt=0).order_by("-failures")[:NAMED]:
        yield warning(
            f"{state.vendor} at {place_of(state)} failed {state.failures} times in a row: {scrub(state.last_error)}",
            "It is tried again by itself, and jobs wait; mend the vendor, or the collections' endpoint.",
        )


def place_of(state: VendorState) -> str:
    """Without passwords and keys, which addresses may hold."""
    try:
        return shown(state.endpoint) or "its own address"
    except ValueError:
        return "an address that is none"


def unreadable_keys() -> Iterator[Diagnosis]:
    keys = (
        Collection.objects.live().exclude(embedding_api_key="").order_by().values_list("embedding_api_key", flat=True)
    )
    unreadable = sum(not can_be_read(key) for key in keys.distinct()[:LOOKED_AT])
    if unreadable:
        yield critical(
            f"{counted(unreadable, 'stored API key')} cannot be decrypted: KB_SECRET_KEY has changed.",
            "Restore the former key (secret.key in KB_DATA_DIR), or give each owner's collections a new API key.",
        )


def can_be_read(key: str) -> bool:
    try:
        crypto.decrypt(key)
    except SecretUnreadable:
        return False
    return True


# -- The machine and the settings -------------------------------------------------------------------


def limits() -> Iterator[Diagnosis]:
    tasks, each = settings.MAX_CONCURRENT_INGESTION_TASKS, settings.KB_PLUGIN_MEMORY_MB * 2**20
    total = memory_total()
    detail = f"{decimal(total)} of memory; {counted(tasks, 'worker')} with plugins of at most {decimal(each)} each."
    if tasks * each > total:
        yield warning(
            f"{detail} Together they may ask for more than there is.",
            "Lower MAX_CONCURRENT_INGESTION_TASKS or KB_PLUGIN_MEMORY_MB, or the system may end a worker.",
        )
    else:
        yield fine(detail)
    with suppress(ImportError):
        import resource  # not on Windows

        soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        if soft != resource.RLIM_INFINITY and soft < LEAST_OPEN_FILES:
            detail = f"A process may open {soft} files at once; with many uploads that runs out."
            yield warning(detail, f"Allow {LEAST_OPEN_FILES} at least (ulimit -n, or LimitNOFILE= of systemd).")


def clock() -> Iterator[Diagnosis]:
    """Leases, waits and ages depend on it: the machine's, the database's and the disk's must agree."""
    apart = {"the database": database_time() - datetime.now(UTC), "the disk": disk_time() - datetime.now(UTC)}
    seconds = {name: abs(difference.total_seconds()) for name, difference in apart.items()}
    newest = Worker.objects.aggregate(at=Max("beat_at"))["at"]
    ahead = (newest - datetime.now(UTC)).total_seconds() if newest else 0.0
    for name, difference in seconds.items():
        if difference > CLOCK_SECONDS:
            yield warning(
                f"The clock of {name} and this machine's differ by {difference:,.0f} s.",
                "Let both be set over the network (NTP).",
            )
    if ahead > CLOCK_SECONDS:
        yield warning(
            f"A worker was heard of {ahead:,.0f} s from now: the clock was set back.",
            "Restart the server once the clock is right.",
        )
    if max(*seconds.values(), ahead) <= CLOCK_SECONDS:
        yield fine(f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC, on this machine, in the database and on the disk.")


def access() -> Iterator[Diagnosis]:
    """What would let strangers in."""
    complaints = list(weaknesses())
    yield from complaints or [fine("The token is its own, and secrets are read by the server's user only.")]


def weaknesses() -> Iterator[Diagnosis]:
    if settings.DEBUG:
        yield warning("KB_DEBUG is on: errors show parts of the code to anybody.", "Unset KB_DEBUG.")
    if settings.LAMB_API_KEY in KNOWN_TOKENS:
        yield critical("LAMB_API_KEY is a published default.", "Choose another here and in LAMB's configuration.")
    elif len(settings.LAMB_API_KEY) < 16:
        yield warning(f"LAMB_API_KEY has {len(settings.LAMB_API_KEY)} characters only.", "Choose 16 or more at random.")
    if settings.HOST not in {"127.0.0.1", "::1", "localhost"} and settings.HOME_URL.startswith("http://"):
        yield warning(
            "It listens on the network and HOME_URL is not https: the token travels in clear.",
            "Put a proxy that speaks TLS in front, and its address into HOME_URL.",
        )
    for name in ("secret.key", "api.token"):
        path = Path(settings.KB_DATA_DIR) / name
        if path.exists() and path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
            yield warning(f"{name} can be read by other users of this machine.", f"chmod 600 {name}, in KB_DATA_DIR.")


# -- Facts ------------------------------------------------------------------------------------------


def numbers(ids: list[int]) -> str:
    return f"job {', '.join(map(str, ids[:NAMED]))}{', …' if len(ids) > NAMED else ''}"


def file_system_of(path: Path) -> str:
    """The kind of file system that the path lies on; blank where the system does not say."""
    mounts = {Path(part.mountpoint): part.fstype for part in psutil.disk_partitions(all=True)}
    return next((mounts[place] for place in (path, *path.absolute().parents) if place in mounts), "")


def memory_total() -> int:
    """Bytes that this process and its kin may use: the machine's, or less in a container."""
    total = int(psutil.virtual_memory().total)
    for name in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        with suppress(OSError, ValueError):
            total = min(total, int(Path(name).read_text(encoding="ascii")))
    return total


def database_time() -> datetime:
    if connection.vendor == "sqlite":
        return datetime.now(UTC)  # a library in this process
    with connection.cursor() as cursor:
        cursor.execute("SELECT now()")
        found: datetime = cursor.fetchone()[0]
    return found


def disk_time() -> datetime:
    probe = storage.root() / "incoming" / f"clock-{os.getpid()}.part"
    probe.parent.mkdir(parents=True, exist_ok=True)
    try:
        probe.write_bytes(b"now?")
        return datetime.fromtimestamp(probe.stat().st_mtime, UTC)
    finally:
        probe.unlink(missing_ok=True)


# -- The round --------------------------------------------------------------------------------------


def checks(*, offline: bool = False, thorough: bool = False) -> dict[str, Check]:
    """By name, in the order in which they are shown.

    :param offline: call no vendor
    :param thorough: read the whole database
    """
    return {
        "database": thorough_database if thorough else database,
        "storage": files,
        "server": web_server,
        "workers": workers,
        "jobs": jobs,
        "vendor": known_of_vendors if offline else vendor,
        "limits": limits,
        "clock": clock,
        "access": access,
    }


def examine(wanted: dict[str, Check], seconds: float = CHECK_SECONDS) -> Iterator[Examination]:
    """The database first: without it most others have nothing to look at."""
    wanted = dict(wanted)
    if "database" in wanted:
        first = next(side_by_side({"database": wanted.pop("database")}, seconds))
        yield first
        if first.level == Level.CRITICAL:
            wanted = {name: check for name, check in wanted.items() if name in WITHOUT_DATABASE}
    yield from side_by_side(wanted, seconds)


def findings_of(check: Check) -> list[Diagnosis]:
    return list(check())


def side_by_side(wanted: dict[str, Check], seconds: float) -> Iterator[Examination]:
    """Each in a thread, since a disk or a vendor that hangs can be waited for without end."""
    ends = time.monotonic() + seconds
    asked = {name: health.Asked(name, partial(findings_of, check)) for name, check in wanted.items()}
    for name, one in asked.items():
        findings = one.wait(ends - time.monotonic())
        if findings is None:
            reason = scrub(str(one.error)) if one.error else f"it did not end within {seconds:g} s"
            findings = [critical(f"The check itself failed: {reason}.", "The server's log may say more.")]
        yield Examination(name, findings)
