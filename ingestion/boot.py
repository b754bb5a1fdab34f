"""What ``manage.py up`` does before the server runs: refuse what cannot work, migrate, make a first start pleasant."""

import logging
import os
import secrets
import shutil
import socket
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil
from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

from collections_app import services as collections
from collections_app.locks import hold
from collections_app.models import Collection
from ingestion import hosts, services, sources, storage
from plugins.process import die_with_parent

logger = logging.getLogger("kb.up")

ADMIN = "admin"
WELCOME = "Welcome"
SAMPLES = Path(settings.BASE_DIR) / "samples"


class CannotStart(Exception):
    """Why the server does not start, in words for the operator."""


@dataclass(frozen=True)
class FirstStart:
    """What is shown once.

    :param password: of the new admin login
    :param token: of the API; None when the operator has set one
    """

    password: str
    token: str | None


def check() -> None:
    """:raises CannotStart: when the settings or the machine do not allow a start"""
    if connection.vendor != "sqlite":
        raise CannotStart(
            "DATABASE_URL names a PostgreSQL database, but vectors can be kept only in SQLite so far. "
            "Unset DATABASE_URL; PostgreSQL comes with a later version."
        )
    family = socket.AF_INET6 if ":" in settings.HOST else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((settings.HOST, settings.PORT))
        except OSError as error:
            raise CannotStart(
                f"Cannot listen on {settings.HOST}:{settings.PORT}: {error.strerror or error}. "
                "Stop what listens there, or set PORT to another number."
            ) from error


def make_folders() -> None:
    """Folders that the processes expect; what dead hosts left in theirs goes."""
    in_use = set()
    for candidate in psutil.process_iter():
        with suppress(psutil.Error):
            in_use.add(candidate.cwd())
    for left in hosts.scratch().glob("host-*"):
        if str(left) not in in_use:
            shutil.rmtree(left, ignore_errors=True)
    for folder in (Path(settings.STATIC_ROOT), Path(settings.MEDIA_ROOT), hosts.scratch()):
        folder.mkdir(parents=True, exist_ok=True)


def migrate() -> bool:
    """Bring the database up to date; True when something was to be done. Two starts at once wait for each other."""
    with hold(Path(settings.KB_RUN_DIR) / "migrate.lock", wait=True):
        executor = MigrationExecutor(connection)
        if not executor.migration_plan(executor.loader.graph.leaf_nodes()):
            return False
        call_command("migrate", interactive=False, verbosity=0)
        return True


def first_start() -> FirstStart | None:
    """Make an admin login when there is nobody yet; None when there is somebody."""
    users = get_user_model().objects
    if users.exists():
        return None
    password = secrets.token_urlsafe(12)
    users.create_superuser(ADMIN, password=password)
    return FirstStart(password, None if os.environ.get("LAMB_API_KEY", "").strip() else settings.LAMB_API_KEY)


def ingest_samples() -> int:
    """Submit the sample documents to the collection "Welcome"; returns how many."""
    if not SAMPLES.is_dir() or Collection.objects.exists():
        return 0
    collection = collections.create_collection(WELCOME, ADMIN, "Sample documents that came with the server")
    submitted = 0
    for path in sorted(SAMPLES.iterdir()):
        if path.is_file() and not path.name.startswith("."):
            with path.open("rb") as source:
                upload = storage.receive(source, path.name)
            services.submit(collection, sources.plugin_for_file(path.name), {}, upload=upload)
            submitted += 1
    return submitted


def follow_supervisor() -> None:
    """For the processes that ``up`` starts: end when it ends."""
    if parent := os.environ.get("KB_SUPERVISOR_PID"):
        die_with_parent(int(parent))
