"""Converted text, kept beside the original: a run that changes only how it is split starts from it.

An entry is JSON under a key that names everything it depends on: the source's bytes (or address), the plugin and its
version, and the parameters that the conversion heeds, but none that only the splitting does.
"""

import gzip
import hashlib
import json
import os
import threading
import zlib
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

FOLDER = "kept"
DRAFT = ".part"  # the ending of an entry that is being written
MAX_ENTRY = 256 * 1024**2  # characters of JSON; more is converted again rather than held in memory twice


class Kept:
    """The entries of one job. Without a folder it remembers nothing, so plugins need not ask whether there is one."""

    def __init__(self, folder: str | Path | None) -> None:
        self.folder = Path(folder) if folder else None

    @classmethod
    def of(cls, kwargs: Mapping[str, Any]) -> "Kept":
        """The entries that the host names in a plugin's keyword arguments (``kept_folder``)."""
        return cls(kwargs.get("kept_folder") or None)

    def get(self, key: str) -> Any | None:
        """The entry *key*; None when there is none that can be read whole."""
        if self.folder is None:
            return None
        try:
            with gzip.open(self.folder / f"{key}.json.gz", "rt", encoding="ascii") as file:
                text = file.read(MAX_ENTRY + 1)
            return json.loads(text) if len(text) <= MAX_ENTRY else None
        except (OSError, EOFError, ValueError, zlib.error):
            return None

    def put(self, key: str, value: Any) -> None:
        """Keep *value* (plain JSON) as *key*. It appears only when it is whole.

        A disk that is full costs the next run some time, but not this run its success: nothing is raised for it.
        """
        if self.folder is None:
            return
        draft = self.folder / f"{key}.{os.getpid()}.{threading.get_ident()}{DRAFT}"
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with gzip.open(draft, "wt", compresslevel=1, encoding="ascii") as file:
                json.dump(value, file)
            draft.replace(self.folder / f"{key}.json.gz")
        except OSError:
            pass
        finally:
            with suppress(OSError):
                draft.unlink(missing_ok=True)

    def forget(self, key: str) -> None:
        """Keep *key* no longer in this folder; jobs that share the entry have it still."""
        if self.folder is not None:
            with suppress(OSError):
                (self.folder / f"{key}.json.gz").unlink(missing_ok=True)


def key_of(*parts: Any) -> str:
    """A name (64 hex digits) for what *parts*, plain JSON values, say."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()


def conversion_key(kwargs: Mapping[str, Any], plugin: str, version: int, *parameters: Any) -> str:
    """The key of a file's conversion by *plugin*.

    :param version: raised whenever the plugin would convert the same bytes differently
    :param parameters: values of those that the conversion heeds
    """
    return key_of(kwargs.get("content_hash") or kwargs.get("file_url"), plugin, version, *parameters)
