"""LAMB's stored files: found under ``static``, copied into the job's own folder here, never moved or changed."""

import hashlib
import os
import re
import uuid
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote

from collections_app import links
from ingestion import storage
from ingestion.lamb_import.linking import JSON_PLUGIN, stem_of, stored_name
from ingestion.lamb_import.source import SourceFile

STATIC = "static/"
NAMESPACE = uuid.UUID("5a9c7f0e-2d0b-5e0c-9a52-1d1b5f3f6c11")  # of what an import names by itself
LINK = re.compile(r"(?:^|/)static/[^?#]*?/(?P<name>[^/?#]+)/?(?:[?#].*)?$")


class CopyFailed(Exception):
    """A copy is not what was to be copied. The message is a sentence for the operator."""


@dataclass(frozen=True)
class StoredFile:
    """An upload as LAMB stored it, and where it goes.

    :param original: None when it is not on the disk
    :param key: storage key here: LAMB's own 32 hex digits, so that links keep their shape
    """

    original: Path | None
    name: str
    key: str

    @property
    def stem(self) -> str:
        return self.name.partition(".")[0]

    @property
    def path(self) -> str:
        """Inside the storage here; kept also for a file that is missing, so that a retry says so."""
        return f"{self.key[:2]}/{self.key}/{self.renamed(self.name)}" if self.name else ""

    def renamed(self, name: str) -> str:
        """The name here of the upload or of what was made from it: the key, and plain endings."""
        endings = name[len(self.stem) :].lower()
        return f"{self.key}{endings}" if re.fullmatch(r"(\.[a-z0-9]{1,16}){0,2}", endings) else self.key

    def copies(self) -> Iterator[tuple[Path, str]]:
        """What to copy, and to which path inside the file's folder: the upload first, then what was made from it."""
        if self.original is None:
            return
        yield self.original, self.renamed(self.name)
        given = {self.renamed(self.name)}
        for name in self._beside():
            path, target = self.original.with_name(name), self.renamed(name)
            if path.is_symlink() or (path.is_file() and target in given):
                continue
            given.add(target)
            if path.is_file():
                yield path, target
            for inner in sorted(path.rglob("*")):  # of the folder with the pictures
                if inner.is_file() and not inner.is_symlink():
                    yield inner, f"{self.key}/{inner.relative_to(path).as_posix()}"

    def _beside(self) -> tuple[str, ...]:
        """Names of what was made from it. Under a name that is not LAMB's 32 digits they cannot be told from others."""
        if self.original is None or not storage.KEY.match(self.stem):
            return ()
        return _by_stem(self.original.parent).get(self.stem, ())


def stored_file(static: Path, file: SourceFile, *, key_taken: bool = False) -> StoredFile:
    """Find the upload of *file* under *static*.

    :param key_taken: another row here has LAMB's stem as its storage key
    """
    stem = "" if key_taken else stem_of(file)
    key = stem or uuid.uuid5(NAMESPACE, f"file {file.id} {file.created_at.isoformat()}").hex
    return StoredFile(_on_disk(static, file), stored_name(file), key)


def members(static: Path, files: Iterable[SourceFile]) -> dict[str, SourceFile]:
    """Names inside archives of JSON files, with and without folders → the archive. Those of several are left out."""
    holders: dict[str, dict[int, SourceFile]] = {}
    for file in files:
        path = _on_disk(static, file) if file.plugin_name == JSON_PLUGIN else None
        if path is not None and path.suffix.lower() == ".zip":
            with suppress(zipfile.BadZipFile, OSError, ValueError), zipfile.ZipFile(path) as archive:
                for name in archive.namelist():
                    for known in (name, name.rpartition("/")[2]):
                        holders.setdefault(known, {})[file.id] = file
    return {name: next(iter(those.values())) for name, those in holders.items() if name and len(those) == 1}


def _on_disk(static: Path, file: SourceFile) -> Path | None:
    """The part of its path or address after ``static/``, within *static*: hosts, folders and links elsewhere differ."""
    root = static.resolve()
    for said in (file.file_path.replace("\\", "/"), unquote(file.file_url)):
        start = -1
        while (start := f"/{said}".find(f"/{STATIC}", start + 1)) >= 0:
            inside = PurePosixPath(said[start + len(STATIC) :])
            with suppress(OSError, ValueError):  # a name too long for this disk, or one with NUL
                path = root / inside
                if path.resolve().is_relative_to(root) and path.is_file() and os.access(path, os.R_OK):
                    return path
    return None


@lru_cache(maxsize=4)  # files come collection by collection
def _by_stem(folder: Path) -> Mapping[str, tuple[str, ...]]:
    """Stem → names in the folder."""
    names: dict[str, list[str]] = {}
    for entry in os.scandir(folder):
        names.setdefault(entry.name.partition(".")[0], []).append(entry.name)
    return {stem: tuple(sorted(found)) for stem, found in names.items()}


def copy_in(file: StoredFile) -> tuple[str, int]:
    """Copy the upload and all that was made from it. Done again after an interruption, it ends the same.

    :return: SHA-256 of the upload, and bytes copied
    :raises CopyFailed: a copy is not as long as its original
    :raises OSError: the disk is full, or something cannot be read
    """
    folder = storage.folder(file.key)
    folder.mkdir(parents=True, exist_ok=True)
    upload_hash, copied = "", 0
    for source, name in file.copies():
        digest, size = _copy(source, folder / name)
        upload_hash, copied = upload_hash or digest, copied + size
    for changed in (folder, folder.parent):
        storage.flush_folder(changed)
    return upload_hash, copied


def _copy(source: Path, target: Path) -> tuple[str, int]:
    target.parent.mkdir(parents=True, exist_ok=True)
    draft = target.with_name(target.name + ".part")
    digest, size = hashlib.sha256(), 0
    with source.open("rb") as read, draft.open("wb") as write:
        while data := read.read(storage.CHUNK):
            digest.update(data)
            size += write.write(data)
        write.flush()
        os.fsync(write.fileno())
    if not size == draft.stat().st_size == source.stat().st_size:
        raise CopyFailed(f"{source} changed while it was copied. Stop LAMB's KB server, and start the import again.")
    draft.replace(target)
    return digest.hexdigest(), size


# -- Links ------------------------------------------------------------------------------------------


class Rebase:
    """LAMB's links to stored files as links of this server: root-relative, unsigned, under the key of the file."""

    def __init__(self, owner: str, collection: str, files: Mapping[str, StoredFile]) -> None:
        """:param files: by stem"""
        self.owner, self.collection, self.files = owner, collection, files

    def link(self, link: str) -> str:
        """*link* as it is here; any that leads to no imported file as it is."""
        found = LINK.search(link)
        file = self.files.get(found["name"].partition(".")[0].lower()) if found else None
        if found is None or file is None:
            return link
        return links.static_path(self.owner, self.collection, file.renamed(found["name"]))

    def metadata(self, metadata: Mapping[str, Any], chunk_id: str) -> dict[str, Any]:
        """A chunk's metadata: links as they are here, no folders of LAMB's host, and the chunk's own id."""
        own = {key: value for key, value in metadata.items() if not key.startswith("chroma:")}
        for key in (*links.LINK_KEYS, "source_url"):
            if isinstance(value := own.get(key), str):
                own[key] = self.link(value)
        if isinstance(source := own.get("source"), str) and "://" not in source:
            own["source"] = source.replace("\\", "/").rpartition("/")[2]
        own.setdefault("document_id", chunk_id)
        return own

    def stats(self, stats: Mapping[str, Any] | None) -> dict[str, Any] | None:
        """``processing_stats``, with the links among its ``output_files``."""
        if stats is None or not isinstance(files := stats.get("output_files"), Mapping):
            return dict(stats) if stats is not None else None
        return {
            **stats,
            "output_files": {name: self.link(link) if isinstance(link, str) else link for name, link in files.items()},
        }
