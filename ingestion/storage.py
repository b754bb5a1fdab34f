"""Where the files of jobs live: one folder a file, holding the original and everything made from it.

<files>/incoming/<key>.part     an upload on its way in
<files>/ab/ab12…/ab12….pdf      the original; what plugins make stands beside it under the same stem
<files>/ab/ab12…/scratch/       the spool and scratch space; never served
<files>/ab/ab12…/kept/          converted text, for a run that splits it in another way; never served
"""

import errno
import hashlib
import os
import re
import secrets
import shutil
import time
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from io import BytesIO
from itertools import islice
from pathlib import Path
from typing import IO, Any

from django.conf import settings
from django.core.files.storage import default_storage
from django.core.files.uploadhandler import FileUploadHandler, StopUpload

from plugins import kept

CHUNK = 256 * 1024
WORK = "scratch"  # scratch space inside a file's folder
KEPT = kept.FOLDER
KEY = re.compile(r"^[0-9a-f]{32}$")
STORED_NAME = re.compile(r"^(?P<key>[0-9a-f]{32})(?:\.[a-z0-9]{1,16}){0,2}$")


@dataclass(frozen=True)
class Upload:
    """A complete upload that waits in ``incoming`` for its job.

    :param size: bytes
    :param sha256: of the bytes, 64 hex digits
    """

    key: str
    path: Path
    name: str
    size: int
    sha256: str
    content_type: str | None

    def close(self) -> None:
        """Discard it, unless :func:`keep` has moved it. Django calls this for every upload when the request ends."""
        self.path.unlink(missing_ok=True)


class UploadTooLarge(Exception):
    """The upload passed ``KB_MAX_UPLOAD_MB``; nothing of it is kept."""


def root() -> Path:
    return Path(default_storage.path(""))


def folder(key: str) -> Path:
    """The folder of the file with this key (32 hex digits)."""
    if not KEY.match(key):
        raise ValueError("not a storage key")
    return root() / key[:2] / key


def work_folder(key: str) -> Path:
    """Scratch space of the file's jobs."""
    return folder(key) / WORK


def clear_work(key: str) -> None:
    """Remove the spool and whatever else a job left in its scratch space."""
    shutil.rmtree(work_folder(key), ignore_errors=True)


def clear_kept(key: str) -> None:
    """Remove what was kept of the file's conversion."""
    shutil.rmtree(folder(key) / KEPT, ignore_errors=True)


def served_file(name: str) -> tuple[str, Path] | None:
    """Key and path of a stored name such as ``<key>.html``; None when there is no such file."""
    match = STORED_NAME.match(name)
    if not match:
        return None
    path = folder(match["key"]) / name
    return (match["key"], path) if path.is_file() else None


def clean_name(name: str) -> str:
    """The base name that people see: no path, no control characters, at most 255 characters with its extension."""
    name = unicodedata.normalize("NFC", name.replace("\\", "/").rsplit("/", 1)[-1])
    name = "".join(char for char in name if unicodedata.category(char)[0] != "C").strip()
    if len(name) > 255:
        stem, dot, extension = name.rpartition(".")
        name = f"{stem[: 254 - len(extension)]}.{extension}" if dot and len(extension) <= 32 else name[:255]
    return name if name.strip(". ") else "unnamed"


def extension_of(name: str) -> str:
    """The extension with its dot, in plain letters and digits; empty when there is none worth keeping."""
    extension = name.rpartition(".")[2].lower() if "." in name else ""
    return f".{extension}" if re.fullmatch(r"[a-z0-9]{1,16}", extension) else ""


class NoSpace(Exception):
    """The disk is full, or nearly; nothing of the upload is kept. The message is meant for people."""


NO_SPACE = "The server's disk is almost full, so it takes nothing in. Try again later."


class Receiver:
    """Writes a stream into ``incoming`` while hashing it. Nothing stays behind unless :meth:`finish` is reached."""

    def __init__(self, name: str, content_type: str | None = None, limit: int | None = None) -> None:
        self.key = secrets.token_hex(16)
        self.name = clean_name(name)
        self.content_type = (content_type or "")[:255] or None
        self.limit = settings.KB_MAX_UPLOAD_MB * 1024 * 1024 if limit is None else limit
        self.path = root() / "incoming" / f"{self.key}.part"
        self.file: IO[bytes] = BytesIO()
        with self.no_space_is_said():
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self.file = self.path.open("xb", buffering=CHUNK)
        self.digest = hashlib.sha256()
        self.size = 0

    def write(self, data: bytes) -> None:
        self.size += len(data)
        if self.size > self.limit:
            self.abort()
            raise UploadTooLarge
        self.digest.update(data)
        with self.no_space_is_said():
            self.file.write(data)

    @contextmanager
    def no_space_is_said(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            self.abort()
            if is_no_space(error):
                raise NoSpace(NO_SPACE) from error
            raise

    def abort(self) -> None:
        with suppress(OSError):  # what is still buffered may not fit, and is thrown away anyway
            self.file.close()
        self.path.unlink(missing_ok=True)

    def finish(self) -> Upload:
        """Flush to the disk, so that what is acknowledged survives a power loss."""
        with self.no_space_is_said():
            self.file.flush()
            os.fsync(self.file.fileno())
            self.file.close()
        return Upload(self.key, self.path, self.name, self.size, self.digest.hexdigest(), self.content_type)


def receive(source: IO[bytes], name: str, content_type: str | None = None) -> Upload:
    """Take a whole stream in.

    :raises UploadTooLarge: past ``KB_MAX_UPLOAD_MB``
    :raises NoSpace:
    """
    receiver = Receiver(name, content_type)
    try:
        while data := source.read(CHUNK):
            receiver.write(data)
        return receiver.finish()
    except BaseException:
        receiver.abort()
        raise


def keep(upload: Upload) -> str:
    """Move an upload into a folder of its own; returns its path inside the storage.

    :raises NoSpace:
    """
    target = folder(upload.key)
    path = target / f"{upload.key}{extension_of(upload.name)}"
    try:
        target.mkdir(parents=True)
        upload.path.replace(path)
        for directory in (target, target.parent):
            flush_folder(directory)
    except OSError as error:
        remove(upload.key)
        if is_no_space(error):
            raise NoSpace(NO_SPACE) from error
        raise
    return str(path.relative_to(root()))


def keep_again(file_path: str, key: str) -> str:
    """Give a stored file to another job, in a folder of its own; returns its path inside the storage.

    Originals are never written to, so a link is as good as a copy, and costs no space.

    :param file_path: of the file that is there, inside the storage
    :param key: of the new folder
    :raises FileNotFoundError: it is not there any more
    :raises NoSpace:
    """
    source, target = root() / file_path, folder(key)
    path = target / f"{key}{extension_of(source.name)}"
    try:
        target.mkdir(parents=True)
        try:
            os.link(source, path)
        except FileNotFoundError:
            raise
        except OSError:  # a file system without links, or one that has reached their number
            shutil.copyfile(source, path)
        for directory in (target, target.parent):
            flush_folder(directory)
    except OSError as error:
        remove(key)
        if is_no_space(error):
            raise NoSpace(NO_SPACE) from error
        raise
    return str(path.relative_to(root()))


def flush_folder(path: Path) -> None:
    """Make a rename inside the folder survive a power loss."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def is_no_space(error: OSError) -> bool:
    return error.errno in {errno.ENOSPC, errno.EDQUOT}


def visible(key: str) -> list[str]:
    """The files that people could see in the file's folder, as paths inside the storage."""
    target = folder(key)
    # os.walk passes over what another request removes at the same time
    names = [target / name for _, _, files in islice(os.walk(target), 1) for name in files]
    return sorted(str(path.relative_to(root())) for path in names)


def remove(key: str) -> None:
    """Delete the file's folder with all that is in it."""
    shutil.rmtree(folder(key), ignore_errors=True)


def sweep_incoming(older_than: float = 24 * 3600) -> int:
    """Delete uploads whose request died; returns how many."""
    swept = 0
    for path in (root() / "incoming").glob("*.part"):
        try:
            if path.stat().st_mtime < time.time() - older_than:
                path.unlink()
                swept += 1
        except FileNotFoundError:
            continue  # its request ended meanwhile
    return swept


def keys_in(shelf: int) -> list[str]:
    """Keys of the files on one of the 256 shelves (the first two digits of a key)."""
    folder = root() / f"{shelf:02x}"
    return [entry.name for entry in folder.iterdir() if KEY.match(entry.name)] if folder.is_dir() else []


def age(path: Path) -> float:
    """Seconds since the path was last changed; 0 when it is not there."""
    try:
        return max(0.0, time.time() - path.stat().st_mtime)
    except OSError:
        return 0.0


def size_of(path: Path) -> int:
    """Bytes of all files in the folder; those that go meanwhile do not count."""
    total = 0
    for folder, _, names in os.walk(path):
        for name in names:
            with suppress(OSError):
                total += (Path(folder) / name).stat().st_size
    return total


def free_mb() -> float:
    """Free space where files and database live, in MiB."""
    path = root()
    while not path.exists():
        path = path.parent
    return shutil.disk_usage(path).free / 2**20


class StreamToStorage(FileUploadHandler):
    """Django's upload handler: bytes go from the socket to ``incoming`` without passing through memory or /tmp."""

    receiver: Receiver | None = None

    def new_file(self, *args: Any, **kwargs: Any) -> None:
        if not self.is_wanted():
            raise StopUpload(connection_reset=True)
        super().new_file(*args, **kwargs)
        self.receiver = Receiver(self.file_name or "", self.content_type)

    def is_wanted(self) -> bool:
        """Views that take files read their request themselves, once they know who sends it. Of all others the form is
        read before any view is asked, by the check of its CSRF token: there, anybody could fill the disk."""
        found = getattr(self.request, "resolver_match", None)
        return found is None or bool(getattr(found.func, "csrf_exempt", False))

    def receive_data_chunk(self, raw_data: bytes, start: int) -> None:
        assert self.receiver is not None  # noqa: S101  (new_file always came first)
        try:
            self.receiver.write(raw_data)
        except UploadTooLarge:
            self.receiver = None
            self.too_large()

    def too_large(self) -> None:
        if self.request is not None:
            self.request.upload_too_large = True  # type: ignore[attr-defined]
        raise StopUpload(connection_reset=True)  # answers now instead of reading the rest

    def file_complete(self, file_size: int) -> Any:
        if self.receiver is None:
            return None
        upload, self.receiver = self.receiver.finish(), None
        return upload

    def upload_interrupted(self) -> None:
        if self.receiver is not None:
            self.receiver.abort()
            self.receiver = None
