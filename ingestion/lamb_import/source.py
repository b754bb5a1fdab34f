"""LAMB's database: where it lies, and its rows as plain values. The source is never opened, only copies of it.

Opening a database in WAL mode writes beside it, even to read; and Chroma brings a store up to date as it opens it.
"""

import shutil
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from ingestion.lamb_import.report import Report
from ingestion.lamb_import.values import DEAD, decoded, moment, number, text, word
from ingestion.models import FileStatus

DATABASE = "lamb-kb-server.db"
INSIDE = ("", "backend", "lamb-kb-server-stable/backend", "lamb-kb-server/backend")  # of what people may name
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
DEFAULT = "default"  # LAMB's word for "not chosen"


class CannotImport(Exception):
    """The import cannot begin, and nothing was written. The message is a sentence for the operator."""


@dataclass(frozen=True)
class Places:
    """Where a LAMB KB server keeps its things."""

    database: Path
    chroma: Path
    files: Path  # the folder "static"

    def size(self) -> int:
        """Bytes that copies of database and vectors need."""
        parts = [*database_files(self.database), *(path for path in self.chroma.rglob("*") if path.is_file())]
        return sum(path.stat().st_size for path in parts)


@dataclass(frozen=True)
class SourceCollection:
    """A row of ``collections``. ``embeddings`` is decoded, and ``{}`` where it says nothing."""

    id: int
    name: str
    description: str | None
    owner: str
    public: bool
    created_at: datetime
    embeddings: Mapping[str, str]
    chroma_id: str


@dataclass(frozen=True)
class SourceFile:
    """A row of ``file_registry``. ``status`` is the one it gets here: dead jobs have failed."""

    id: int
    collection_id: int
    original_filename: str
    file_path: str  # on LAMB's host
    file_url: str
    file_size: int
    content_type: str | None
    plugin_name: str
    plugin_params: Mapping[str, Any]
    odd_params: Any  # what the column held where that was no object
    status: FileStatus
    was: str  # the status in LAMB
    document_count: int
    owner: str
    created_at: datetime
    updated_at: datetime
    started_at: datetime | None
    completed_at: datetime | None
    progress: tuple[int, int, str]
    error_message: str | None
    error_details: Mapping[str, Any] | None
    stats: Mapping[str, Any] | None

    def __str__(self) -> str:
        return f"file {self.id} {self.original_filename}"


def locate(path: Path, files: Path | None = None) -> Places:
    """Find a server in *path*: its ``backend`` folder, or one that holds it.

    :param files: the folder ``static`` where it lies elsewhere
    :raises CannotImport:
    """
    for inside in INSIDE:
        base = path / inside
        database = base / "data" / DATABASE
        if database.is_file():
            places = Places(database, base / "data" / "chromadb", files or base / "static")
            if not (places.chroma / "chroma.sqlite3").is_file():
                raise CannotImport(f"There are no Chroma vectors in {places.chroma}.")
            if files is not None and not files.is_dir():
                raise CannotImport(f"There is no folder {files}.")
            return places
    raise CannotImport(f"There is no LAMB KB server in {path}: data/{DATABASE} is missing.")


def database_files(database: Path) -> list[Path]:
    """The database with its write-ahead log; the index of the log is made anew by whoever opens the copy."""
    log = database.with_name(database.name + "-wal")
    return [database, *([log] if log.is_file() else [])]


def copied(places: Places, scratch: Path) -> Places:
    """Copies of database and vectors in *scratch*. Files are read where they are."""
    for path in database_files(places.database):
        shutil.copyfile(path, scratch / path.name)
    shutil.copytree(places.chroma, scratch / "chromadb", copy_function=shutil.copyfile)
    return Places(scratch / DATABASE, scratch / "chromadb", places.files)


# -- Rows -------------------------------------------------------------------------------------------


class Source:
    """The rows of a copied database. Columns that old releases lack are null."""

    def __init__(self, database: Path, report: Report) -> None:
        self.report = report
        try:
            with closing(sqlite3.connect(database)) as connection:
                connection.row_factory = sqlite3.Row
                sound = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
                if sound != "ok":
                    raise CannotImport("LAMB's database is damaged, or was written to while it was copied. Stop LAMB's "
                                       "KB server and try again.")  # fmt: skip
                files = list(_rows(connection, "file_registry"))
                self.collections = [self._collection(row, files) for row in _rows(connection, "collections")]
        except sqlite3.Error as error:
            raise CannotImport(f"LAMB's database cannot be read ({error}). Stop LAMB's KB server and try again.") from (
                error
            )
        owners = {collection.id: collection.owner for collection in self.collections}
        self.highest = {
            "collections": max((collection.id for collection in self.collections), default=0),
            "files": max((int(row["id"]) for row in files), default=0),
        }
        self.files: dict[int, list[SourceFile]] = {pk: [] for pk in owners}
        for row in files:
            if (owner := owners.get(row["collection_id"])) is None:
                report.add("collection_missing", f"file {row['id']} of collection {row.get('collection_id')}")
            else:
                self.files[row["collection_id"]].append(self._file(row, owner))
        report.found["collections"], report.found["files"] = len(self.collections), len(files)

    def _collection(self, row: Mapping[str, Any], files: list[dict[str, Any]]) -> SourceCollection:
        where = f"collection {row['id']} {text(row.get('name'), 255)}"
        note = partial(self.report.add, example=where)
        visibility = word(row.get("visibility"))
        if visibility not in {"private", "public"}:
            note("visibility_unknown")
        return SourceCollection(
            id=int(row["id"]),
            name=text(row.get("name"), 255) or f"collection {row['id']}",
            description=None if row.get("description") is None else text(row["description"], 10**6),
            owner=text(row.get("owner"), 255),
            public=visibility == "public",
            created_at=moment(row.get("creation_date"), note) or _earliest(files, row["id"]),
            embeddings=_settings(decoded(row.get("embeddings_model"), note)),
            chroma_id=text(row.get("chromadb_uuid"), 36),
        )

    def _file(self, row: Mapping[str, Any], owner: str) -> SourceFile:
        where = f"file {row['id']} {text(row.get('original_filename'), 255)}"
        note = partial(self.report.add, example=where)
        created = moment(row.get("created_at"), note) or EPOCH
        updated = moment(row.get("updated_at"), note) or created
        params = decoded(row.get("plugin_params"), note)
        if isinstance(params, list):
            note("params_list")
        details, stats = decoded(row.get("error_details"), note), decoded(row.get("processing_stats"), note)
        status, was = self._status(row, note)
        current, total = number(row.get("progress_current")), number(row.get("progress_total"))
        return SourceFile(
            id=int(row["id"]),
            collection_id=int(row["collection_id"]),
            original_filename=text(row.get("original_filename"), 255),
            file_path=text(row.get("file_path"), 4000),
            file_url=text(row.get("file_url"), 2000),
            file_size=number(row.get("file_size")),
            content_type=text(row.get("content_type"), 255) or None,
            plugin_name=text(row.get("plugin_name"), 100),
            plugin_params=params if isinstance(params, dict) else {},
            odd_params=None if params is None or isinstance(params, dict) else params,
            status=status,
            was=was,
            document_count=number(row.get("document_count")),
            owner=text(row.get("owner"), 255) or owner,
            created_at=created,
            updated_at=updated,
            started_at=moment(row.get("processing_started_at"), note),
            completed_at=moment(row.get("processing_completed_at"), note),
            progress=(min(current, total) if total else current, total, text(row.get("progress_message"), 255)),
            error_message=text(row.get("error_message"), 10**5) or None,
            error_details=details if isinstance(details, dict) else None,
            stats=stats if isinstance(stats, dict) else None,
        )

    def _status(self, row: Mapping[str, Any], note: Any) -> tuple[FileStatus, str]:
        was = word(row.get("status"))
        if was not in FileStatus.values:
            note("status_unknown")
            return FileStatus.FAILED, was
        if was in DEAD:
            note("dead_job")
            return FileStatus.FAILED, was
        return FileStatus(was), was


def _rows(connection: sqlite3.Connection, table: str) -> Iterator[dict[str, Any]]:
    for row in connection.execute(f"SELECT * FROM {table} ORDER BY id"):  # noqa: S608  (our own two names)
        yield dict(row)


def _earliest(files: list[dict[str, Any]], collection_id: int) -> datetime:
    """When the first file came, for a collection that does not say when it was made."""
    dates = (moment(row.get("created_at"), _unheard) for row in files if row.get("collection_id") == collection_id)
    return min((date for date in dates if date), default=EPOCH)


def _unheard(code: str) -> None:
    pass


def _settings(value: Any) -> dict[str, str]:
    """``embeddings_model`` as vendor, model, endpoint and apikey, as far as it says any of them."""
    if not isinstance(value, dict):
        return {}
    named = {**value, "endpoint": value.get("api_endpoint") or value.get("endpoint")}  # the oldest rows say "endpoint"
    said = {name: text(named.get(name), 2000).strip() for name in ("vendor", "model", "endpoint", "apikey")}
    return {name: given for name, given in said.items() if given and given != DEFAULT}
