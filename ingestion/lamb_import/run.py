"""The order of an import: copy, read, compare with what is here, plan, write."""

import shutil
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Protocol

from django.conf import settings
from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor

from collections_app.errors import InvalidEmbeddings
from collections_app.locks import HeldElsewhere, hold
from collections_app.models import Collection
from ingestion import boot, storage
from ingestion.lamb_import import plan, source, target, vectors
from ingestion.lamb_import.files import CopyFailed
from ingestion.lamb_import.report import Report
from ingestion.lamb_import.source import CannotImport, Places, Source
from ingestion.supervisor import AlreadyRunning, alone_on_data_directory
from plugins.base import PluginError

MOST_TAKEN = 10  # ids that a refusal names


class Stopped(Exception):
    """The import stopped midway. What is written stays; the same command goes on. The message is for the operator."""


class Steps(Protocol):
    """Who shows how far the import is."""

    def begin(self, what: str, total: int) -> None: ...

    def step(self, done: int) -> None: ...


class Unseen:
    """Shows nothing."""

    def begin(self, what: str, total: int) -> None:
        pass

    def step(self, done: int) -> None:
        pass


def bring_over(path: Path, *, files: Path | None = None, dry_run: bool = False, steps: Steps | None = None) -> Report:
    """Import the LAMB KB server in *path*, or say what an import would do.

    :param files: its folder ``static``, where it lies elsewhere
    :raises CannotImport: nothing was written
    :raises Stopped: midway
    """
    began, steps = time.monotonic(), steps or Unseen()
    report = Report(source=str(path), dry_run=dry_run)
    places = source.locate(path, files)
    vectors.require_library()
    with ExitStack() as held:
        fresh = prepared(held, dry_run)
        copies = held.enter_context(copied(places, steps))
        rows = Source(copies.database, report)
        if not fresh and (problems := target.taken(rows)):
            raise CannotImport(refusal(problems))
        stores = held.enter_context(vectors.opened(copies.chroma))
        try:
            plans = planned(rows, stores, places, report, steps)
        except InvalidEmbeddings as error:  # of this server's own settings
            raise CannotImport(f"{error} {error.hint}") from error
        if dry_run:
            looker = target.Target(places, report, fresh=fresh)
            for one in plans:
                looker.look(one)
        else:
            write(rows, plans, places, report, steps)
    report.seconds = time.monotonic() - began
    return report


def prepared(held: ExitStack, dry_run: bool) -> bool:
    """Keep others out, and bring the database up to date. True: there is no database yet (in a dry run).

    The server must not run: it would take half an import for what a dead worker left.

    :raises CannotImport:
    """
    try:
        if not dry_run:
            held.enter_context(alone_on_data_directory())
        held.enter_context(hold(Path(settings.KB_RUN_DIR) / "lamb-import.lock"))
    except AlreadyRunning as error:
        raise CannotImport(str(error)) from error
    except HeldElsewhere as error:
        raise CannotImport("Another import is running on this data directory.") from error
    if connection.vendor != "sqlite":
        raise CannotImport("Vectors can be kept only in SQLite so far. Unset DATABASE_URL.")
    if not dry_run:
        boot.migrate()
        return False
    if Collection._meta.db_table not in connection.introspection.table_names():
        return True
    executor = MigrationExecutor(connection)
    if executor.migration_plan(executor.loader.graph.leaf_nodes()):
        raise CannotImport("The database here is of an older release. Run `manage.py migrate` first.")
    return False


@contextmanager
def copied(places: Places, steps: Steps) -> Iterator[Places]:
    """Copies of database and vectors to read from, until the end. One that was killed leaves them to the next."""
    scratch = Path(settings.KB_RUN_DIR) / "lamb-import"
    shutil.rmtree(scratch, ignore_errors=True)
    needed = places.size()
    if storage.free_mb() - needed / 2**20 < settings.KB_MIN_FREE_MB:
        raise CannotImport(f"The disk has no room to copy LAMB's database and vectors, {needed / 2**20:,.0f} MB.")
    steps.begin("Copying database and vectors", 1)
    scratch.mkdir(parents=True)
    try:
        try:
            copies = source.copied(places, scratch)
        except (OSError, shutil.Error) as error:
            raise CannotImport(f"LAMB's database and vectors cannot be copied: {error}") from error
        steps.step(1)
        yield copies
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def planned(
    rows: Source, stores: list[vectors.VectorCollection], places: Places, report: Report, steps: Steps
) -> list[plan.CollectionPlan]:
    matched = plan.matched(rows.collections, stores, report)
    steps.begin("Reading chunks", sum(len(store) for store in matched.values()))
    return [
        plan.plan(collection, rows.files[collection.id], matched.get(collection.id), places.files, report, steps.step)
        for collection in rows.collections
    ]


def refusal(problems: list[str]) -> str:
    more = f"\n… and {len(problems) - MOST_TAKEN} more." if len(problems) > MOST_TAKEN else ""
    return (
        "LAMB keeps the ids of its collections and files, so they must be free here, and some are not:\n"
        + "\n".join(problems[:MOST_TAKEN])
        + more
        + "\nImport into a data directory that is new: set KB_DATA_DIR to an empty folder, import, then start the "
        "server there."
    )


def write(rows: Source, plans: list[plan.CollectionPlan], places: Places, report: Report, steps: Steps) -> None:
    """:raises Stopped:"""
    steps.begin("Writing files and chunks", sum(map(len, plans)))
    try:
        target.reserve_ids(rows)
        writer = target.Target(places, report, steps.step)
        for one in plans:
            writer.write(one)
    except CopyFailed as error:
        raise Stopped(str(error)) from error
    except OSError as error:
        raise Stopped(storage.NO_SPACE if storage.is_no_space(error) else f"A file cannot be copied: {error}") from (
            error
        )
    except (DatabaseError, PluginError) as error:
        raise Stopped(f"It cannot be stored: {error}") from error
