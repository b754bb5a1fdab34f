"""What is converted: a stream, what kind of file it is, and who hears how it goes."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, BinaryIO

from plugins.base import PluginError
from plugins.documents.archives import Budget


def _ignore(*_: Any) -> None:
    pass


@dataclass(frozen=True)
class Source:
    """What to convert: a seekable stream, the extension (without dot) that says what it is, and the name people know.

    ``tell(message)`` hears what happens now, ``warn(message, data)`` what was left out. ``depth`` and ``budget`` are
    for archives: how deep this one lies, and what all within the outermost may still hold.
    """

    stream: BinaryIO
    extension: str
    name: str
    tell: Callable[[str], None] = _ignore
    warn: Callable[[str, Any], None] = _ignore
    depth: int = field(default=0, kw_only=True)
    budget: Budget = field(default_factory=Budget, kw_only=True)

    def head(self, length: int = 8) -> bytes:
        self.stream.seek(0)
        data = self.stream.read(length)
        self.stream.seek(0)
        return data

    def read(self, limit: int, what: str) -> bytes:
        self.stream.seek(0)
        data = self.stream.read(limit + 1)
        if len(data) > limit:
            raise PluginError(
                "too_large",
                f"The {what} is larger than {limit // 1024**2} MB.",
                hint="Upload it with simple_ingest, which reads text in pieces, or split it.",
            )
        return data
