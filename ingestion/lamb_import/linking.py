"""Which chunk came from which file.

LAMB's chunks carry no file id. What they share with a file is the 32 hex digits under which the upload was stored, or
for fetched sources the address.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from ingestion.lamb_import.source import SourceFile
from ingestion.models import FileStatus

# Where the stored name stands, the surest first.
NAME_KEYS = ("source", "filename", "file_url", "original_file_url", "markdown_file_url", "source_file")
STEM = re.compile(r"(?<![0-9a-f])[0-9a-f]{32}(?![0-9a-f])")
# Remote plugins count the chunks of each page or video from 0.
PART_KEYS = ("page_url", "video_id")
AFTER_ALL = float("inf")
JSON_PLUGIN = "mockai_json_ingest"  # its chunks name the member of an archive, not the archive


def is_fetched(file: SourceFile) -> bool:
    """Whether LAMB fetched the source from an address by itself: that is its URL then, and no upload was stored."""
    if not file.file_url.lower().startswith(("http://", "https://")):
        return False
    name = last_part(file.file_url)
    return name != last_part(file.file_path) and not STEM.match(name.lower())


def stored_name(file: SourceFile) -> str:
    """The name under which LAMB stored the upload; empty when the row does not say."""
    return last_part(file.file_path) or ("" if is_fetched(file) else last_part(file.file_url))


def last_part(path: str) -> str:
    return path.replace("\\", "/").rpartition("/")[2]


def stem_of(file: SourceFile) -> str:
    """The 32 hex digits of the stored name; empty when it has another shape."""
    found = STEM.match(stored_name(file).lower())
    return found[0] if found else ""


class Links:
    """Finds the file of a chunk, within one collection.

    :param members: name inside an archive of JSON files → that archive, where only one has such a name
    """

    def __init__(self, files: Iterable[SourceFile], members: Mapping[str, SourceFile]) -> None:
        self.members = members
        self.stems: dict[str, SourceFile] = {}
        self.names: dict[str, SourceFile] = {}
        self.addresses: dict[str, SourceFile] = {}
        for file in sorted(files, key=_most_likely):
            if stem := stem_of(file):
                self.stems.setdefault(stem, file)
            elif name := stored_name(file):
                self.names.setdefault(name, file)
            if is_fetched(file):
                self.addresses.setdefault(file.file_url, file)

    def file_of(self, metadata: Mapping[str, Any]) -> SourceFile | None:
        values = [value for key in NAME_KEYS if isinstance(value := metadata.get(key), str)]
        for value in values:
            for stem in STEM.findall(value.lower()):
                if stem in self.stems:
                    return self.stems[stem]
        for value in values:
            if (file := self.names.get(last_part(value))) is not None:
                return file
        if metadata.get("ingestion_plugin") == JSON_PLUGIN:
            return self.members.get(str(metadata.get("source_file")))
        addresses = (metadata.get("source_url"), metadata.get("file_url"))
        return next((self.addresses[one] for one in addresses if isinstance(one, str) and one in self.addresses), None)


def _most_likely(file: SourceFile) -> tuple[bool, bool, int]:
    """Of several files with one name or address: a completed one that is not deleted, the newest."""
    return file.status == FileStatus.DELETED, file.status != FileStatus.COMPLETED, -file.id


class Reading:
    """The chunks of one file, or those without one, brought into reading order."""

    def __init__(self) -> None:
        self._parts: dict[str, int] = {}  # page or video → in which order they were first seen
        self._chunks: list[tuple[int, float, int, str]] = []

    def __len__(self) -> int:
        return len(self._chunks)

    def add(self, chunk_id: str, part: str, index: float) -> None:
        place = self._parts.setdefault(part, len(self._parts))
        self._chunks.append((place, index, len(self._chunks), chunk_id))

    def ids(self) -> list[str]:
        return [chunk_id for *_, chunk_id in sorted(self._chunks)]


def part_of(metadata: Mapping[str, Any]) -> str:
    """The page or video that a chunk came from; empty for other sources."""
    return next((value for key in PART_KEYS if isinstance(value := metadata.get(key), str)), "")


def index_of(metadata: Mapping[str, Any]) -> float:
    """Its place within that part; behind all others where it says none."""
    index = metadata.get("chunk_index")
    return float(index) if isinstance(index, int | float) and not isinstance(index, bool) else AFTER_ALL
