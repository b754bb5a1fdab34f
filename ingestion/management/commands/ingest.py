"""``manage.py ingest SOURCE… --collection NAME``: feed files and addresses from the terminal and watch them."""

import logging
import sys
import threading
import time
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import connection
from rich.console import Console
from rich.markup import escape

from collections_app import services as collections
from collections_app.models import Collection
from ingestion import boot, hosts, presence, services, sources, storage, worker
from ingestion.models import FileRegistry, FileStatus, Worker
from ingestion.terminal import Terminal, watch_jobs

INTERRUPTED = 130


class Command(BaseCommand):
    help = (
        "Ingest files, folders, web pages and videos into a collection, with live progress. Exit code 0: all "
        "completed; 1: some did not; 2: wrong usage; 130: you stopped watching (the jobs go on)."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "sources", nargs="+", metavar="SOURCE", help="file, folder with all its files, or http(s) address"
        )
        parser.add_argument("--collection", required=True, help="name (made when new) or id")
        parser.add_argument("--owner", default=boot.ADMIN, help="owner of the collection (default: %(default)s)")
        parser.add_argument("--plugin", help="ingest plugin; by default the one that suits each source")
        parser.add_argument(
            "--param", action="append", default=[], metavar="KEY=VALUE", help="plugin parameter; may be repeated"
        )
        parser.add_argument(
            "--on-duplicate",
            choices=services.OnDuplicate.values,
            default=services.OnDuplicate.ALLOW,
            help="what to do with sources that the collection has already: take them again (default), skip them, or "
            "replace the old ones as soon as the new ones are complete",
        )
        parser.add_argument("--no-wait", action="store_true", help="submit and return")

    def handle(self, *args: Any, **options: Any) -> None:
        params = parameters(options["param"])
        files = list(expand([Path(source) for source in options["sources"] if not sources.is_address(source)]))
        addresses = [source for source in options["sources"] if sources.is_address(source)]
        collection = find_or_create(options["collection"], options["owner"])
        console = Terminal(sys.stdout)
        jobs, skipped = [], 0
        for source in [*files, *addresses]:
            try:
                jobs.append(submit(collection, source, options["plugin"], params, options["on_duplicate"]))
            except services.DuplicateFound:
                skipped += 1
        left_out = f", {skipped} skipped: the collection has them" if skipped else ""
        console.print(
            f"{len(jobs)} submitted to [bold]{escape(collection.name)}[/bold] (collection {collection.pk}){left_out}"
        )
        if options["no_wait"] or not jobs:
            return
        try:
            with_workers(jobs, console)
        except KeyboardInterrupt:
            console.print("No longer watching. The jobs go on as long as the server runs.")
            sys.exit(INTERRUPTED)
        if any(job.status != FileStatus.COMPLETED for job in FileRegistry.objects.filter(pk__in=[j.pk for j in jobs])):
            sys.exit(1)


def submit(
    collection: Collection, source: Path | str, plugin: str | None, params: dict[str, str], on_duplicate: str
) -> FileRegistry:
    """:raises DuplicateFound: only with ``skip``"""
    try:
        if isinstance(source, Path):
            return submit_file(collection, source, plugin, params, on_duplicate)
        return submit_address(collection, source, plugin, params, on_duplicate)
    except services.InvalidParameters as error:
        raise CommandError(f"Wrong parameters: {error}", returncode=2) from error
    except (services.UnknownPlugin, sources.WrongAddresses, storage.NoSpace) as error:
        raise CommandError(str(error), returncode=2) from error


def submit_address(
    collection: Collection, address: str, plugin: str | None, params: dict[str, str], on_duplicate: str
) -> FileRegistry:
    info = services.plugin(plugin or sources.plugin_for_address(address))
    names = sources.address_names(info)
    if not names:
        raise CommandError(f"{info.name} takes no addresses.", returncode=2)
    if taken := [name for name in names if name in params]:
        raise CommandError(f"Name addresses as SOURCE or with --param {taken[0]}=…, not both.", returncode=2)
    known = {names[0]: address, **params}
    name = sources.first_address(known)
    return services.submit(collection, info.name, known, on_duplicate=on_duplicate, **sources.named(name))


def submit_file(
    collection: Collection, path: Path, plugin: str | None, params: dict[str, str], on_duplicate: str
) -> FileRegistry:
    with path.open("rb") as stream:
        upload = storage.receive(stream, path.name)
    try:
        name = plugin or sources.plugin_for_file(path.name)
        return services.submit(collection, name, params, upload=upload, on_duplicate=on_duplicate)
    finally:
        upload.close()


def parameters(pairs: list[str]) -> dict[str, str]:
    """``["chunk_size=500"]`` as a dict; values stay text, the plugin's declaration gives them their type."""
    params = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or not key:
            raise CommandError(f"--param takes KEY=VALUE, not {pair!r}.", returncode=2)
        params[key] = value
    return params


def expand(paths: list[Path]) -> list[Path]:
    """Files as they are, folders with all their files except hidden ones."""
    files: list[Path] = []
    for path in paths:
        if path.is_dir():
            inside = (p for p in path.rglob("*") if p.is_file())
            files += sorted(p for p in inside if not any(part.startswith(".") for part in p.relative_to(path).parts))
        elif path.is_file():
            files.append(path)
        else:
            raise CommandError(f"There is no file or folder {path}.", returncode=2)
    if paths and not files:
        raise CommandError("The folder holds no files.", returncode=2)
    return files


def find_or_create(name: str, owner: str) -> Collection:
    """A collection by id or by the owner's name; made when there is none of this name."""
    live = Collection.objects.filter(deleted_at__isnull=True)
    found = live.filter(owner=owner, name=name).first()
    if found is None and name.isdigit():
        found = live.filter(pk=int(name)).first()
        if found is None:
            raise CommandError(f"There is no collection {name}.", returncode=2)
    return found or collections.create_collection(name, owner)


def with_workers(jobs: list[FileRegistry], console: Console) -> None:
    """Watch *jobs* to their end; where no server runs, work on them in this process."""
    ids = [job.pk for job in jobs]
    if presence.living_workers():
        watch_jobs(ids, console)
        return
    logging.getLogger("kb").setLevel(logging.WARNING)  # the bars tell the same
    console.print("No worker is running, so this command does the work itself.", style="dim")
    # Held by this thread for as long as the process lives: the host dies with the thread that started it.
    thread = threading.Thread(target=work_on, args=(ids,), daemon=True)
    thread.start()
    watch_jobs(ids, console)
    thread.join()


def work_on(ids: list[int]) -> None:
    """Be a worker until the jobs have ended."""
    try:
        while FileRegistry.objects.live().filter(pk__in=ids).exists():
            if not worker.wake():
                time.sleep(0.2)  # the rest waits for its next automatic try
    finally:
        hosts.discard()
        me = presence.this_worker()
        Worker.objects.filter(pk=me.pk).delete()
        connection.close()
