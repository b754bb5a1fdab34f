"""The spool: a file that holds the chunks of one run, so that they are converted once and stored in batches.

JSON lines: a header, one line a chunk, and an end line with the counts. The file appears under its name only when it
is complete, so a spool that exists can be trusted; its key tells whether it is still the right one.
"""

import errno
import json
import os
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self

from plugins.base import PluginError

FORMAT = 1
_END_BYTES = 1024 * 1024  # the end line, statistics included, is shorter than this


@dataclass(frozen=True)
class Summary:
    """What a complete spool holds. ``stats`` are the plugin's, merged; ``conversion`` names the run of the plugin that
    made it, since the same source may be read differently the next time."""

    chunks: int
    characters: int
    stats: dict[str, Any] = field(default_factory=dict)
    conversion: str = ""


class SpoolWriter:
    """Writes one spool; leaves nothing behind unless :meth:`finish` was reached.

    :param limit: greatest size in bytes; a plugin that writes more is stopped with ``too_large``
    """

    def __init__(self, path: str | Path, key: str, *, limit: int = 4 * 1024**3) -> None:
        self.path = Path(path)
        self.part = self.path.with_name(self.path.name + ".part")
        self.limit = limit
        self.chunks = self.characters = self.bytes = 0
        self._file: BinaryIO | None = None
        self._key = key

    def __enter__(self) -> Self:
        with _no_space():
            self._file = self.part.open("wb")
        self._line({"spool": FORMAT, "key": self._key, "conversion": secrets.token_hex(8)})
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file is not None:
            file, self._file = self._file, None
            with suppress(OSError):  # what is buffered may not fit on a full disk, and is thrown away anyway
                file.close()
            self.part.unlink(missing_ok=True)

    def write(self, text: str, metadata: Mapping[str, Any]) -> None:
        self._line({"text": text, "metadata": metadata})
        self.chunks += 1
        self.characters += len(text)

    def finish(self, stats: Mapping[str, Any]) -> Summary:
        """Make the spool appear under its name, durably."""
        summary = Summary(self.chunks, self.characters, dict(stats))
        self._line({"end": {"chunks": self.chunks, "characters": self.characters, "stats": summary.stats}})
        assert self._file is not None  # noqa: S101  (opened by __enter__)
        with _no_space():
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()
            self._file = None
            self.part.replace(self.path)
            _sync_folder(self.path.parent)
        return summary

    def _line(self, value: Mapping[str, Any]) -> None:
        line = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode() + b"\n"
        self.bytes += len(line)
        if self.bytes > self.limit:
            raise PluginError(
                "too_large",
                f"The source makes more than {self.limit // 1024**2} MB of chunks.",
                hint="Split the source into smaller files, or split it so that its chunks repeat less of each other.",
            )
        assert self._file is not None  # noqa: S101  (opened by __enter__)
        with _no_space():
            self._file.write(line)


def spool_summary(path: str | Path, key: str) -> Summary | None:
    """What the spool holds, read from its two ends; None when it is missing, torn, or of another *key*."""
    try:
        with Path(path).open("rb") as file:
            conversion = _conversion(file.readline(_END_BYTES), key)
            if conversion is None:
                return None
            file.seek(0, os.SEEK_END)
            file.seek(max(file.tell() - _END_BYTES, 0))
            summary = _summary(file.read())
            return summary and replace(summary, conversion=conversion)
    except OSError:
        return None


def read_spool(path: str | Path, key: str, start: int = 0) -> Iterator[dict[str, Any]]:
    """Yield the chunks from number *start* (0-based) on: ``{"text": str, "metadata": dict}``.

    ``chunk_count`` is added to metadata that lack it, since only the complete spool knows it.

    :raises PluginError: ``spool_lost`` (transient: a retry converts again) when the spool is not there or not whole
    """
    summary = spool_summary(path, key)
    if summary is None:
        raise PluginError("spool_lost", "The converted text is no longer there.", transient=True)
    with Path(path).open("rb") as file:
        file.readline()
        for number in range(summary.chunks):
            line = file.readline()
            if number < start:
                continue
            try:
                chunk = json.loads(line)
                chunk["metadata"].setdefault("chunk_count", summary.chunks)
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                raise PluginError("spool_lost", "The converted text is damaged.", transient=True) from error
            yield chunk


def _conversion(line: bytes, key: str) -> str | None:
    """The conversion that a header line names; None when it is no header, or one of another key."""
    try:
        header = json.loads(line)
    except ValueError:
        return None
    if not isinstance(header, dict) or header.get("spool") != FORMAT or header.get("key") != key:
        return None
    return str(header.get("conversion", ""))


def _summary(tail: bytes) -> Summary | None:
    if not tail.endswith(b"\n"):
        return None
    try:
        end = json.loads(tail[tail.rfind(b"\n", 0, -1) + 1 :])["end"]
        return Summary(int(end["chunks"]), int(end["characters"]), dict(end["stats"]))
    except (ValueError, KeyError, TypeError):
        return None


def _sync_folder(folder: Path) -> None:
    """Make a rename survive a power loss, where the system can."""
    try:
        handle = os.open(folder, os.O_RDONLY)
    except OSError:
        return
    with suppress(OSError):
        os.fsync(handle)
    os.close(handle)


@contextmanager
def _no_space() -> Iterator[None]:
    """Turn a full disk into an error that is retried."""
    try:
        yield
    except OSError as error:
        if is_no_space(error):
            raise no_space() from error
        raise


def is_no_space(error: OSError) -> bool:
    return error.errno in {errno.ENOSPC, errno.EDQUOT}


def no_space() -> PluginError:
    return PluginError(
        "no_space",
        "There is no space left on the server's disk.",
        hint="The job goes on by itself once there is space again.",
        transient=True,
    )
