"""Chunks that somebody else has made: JSON objects with a ``text``, taken as they are."""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import Any

from plugins.archives import ZIP_MAGIC, open_zip, read_member
from plugins.base import Chunk, IngestPlugin, ParameterSpecs, PluginError, PluginRegistry
from plugins.kept import key_of
from plugins.report import Pace
from plugins.source import Source
from plugins.text import decode

VERSION = "1.0.0"
STAGES = 2
_MAX_JSON = 64 * 1024**2
_LISTED = 10  # items of a list that its text names
_DEEPEST = 8

Warn = Callable[[str, Any], None]


@PluginRegistry.register
class MockAIJsonIngest(IngestPlugin):
    name = "mockai_json_ingest"
    kind = "file-ingest"
    description = "Takes chunks that are ready: JSON objects with a text, one by one, in lists or in an archive"
    supported_file_types = frozenset({"json", "zip"})
    supports_progress = True
    progress_unit = "stage"

    def get_parameters(self) -> ParameterSpecs:
        return {}

    def ingest(self, file_path: str, **kwargs: Any) -> Iterator[Chunk]:
        """Yield one chunk an object that has a ``text``; every other field of it becomes metadata.

        :raises PluginError: ``corrupt``, ``encrypted``, ``too_large``, ``not_text``, ``no_text``
        """
        path, pace, count = Path(file_path), Pace(), 0
        self.report_progress(kwargs, 1, STAGES, "Reading JSON...")
        base = _base_metadata(path, kwargs)
        ident = str(kwargs.get("content_hash") or kwargs.get("file_url") or path.name)
        with path.open("rb") as stream:
            for item in _items(Source(stream, "json", path.name, warn=kwargs.get("warning_callback") or _ignore)):
                yield _chunk(item, base, ident, count)
                count += 1
                if pace():
                    self.report_progress(kwargs, 1, STAGES, f"Reading JSON: {count:,} chunks so far...")
        if not count:
            raise PluginError(
                "no_text",
                "No JSON object with a text was found.",
                hint='Each object needs a field "text" that holds the text of one chunk.',
            )
        self.report_progress(kwargs, STAGES, STAGES, f"Read {count} chunks")


def _ignore(message: str, data: Any = None) -> None:
    pass


# -- Finding the objects ----------------------------------------------------------------------------


@dataclass(frozen=True)
class _Item:
    fields: Mapping[str, Any]
    source_file: str


def _items(source: Source) -> Iterator[_Item]:
    if source.head().startswith(ZIP_MAGIC):
        yield from _members(source)
        return
    for fields in _objects(source.read(_MAX_JSON, "JSON file"), source.name, source.warn):
        yield _Item(fields, source.name)


def _members(source: Source) -> Iterator[_Item]:
    """The objects of every JSON file of an archive; one that cannot be read is left out with a warning."""
    with open_zip(source.stream) as archive:
        for member in archive.infolist():
            name = member.filename
            if member.is_dir() or not name.lower().endswith(".json") or name.startswith("__MACOSX/"):
                continue
            try:
                if member.file_size > _MAX_JSON:
                    raise PluginError("too_large", f"It is larger than {_MAX_JSON // 1024**2} MB.")
                for fields in _objects(read_member(archive, member), name, source.warn):
                    yield _Item(fields, name)
            except PluginError as error:
                source.warn(f"{name} was left out: {error.message}", {"code": error.code})


def _objects(data: bytes, name: str, warn: Warn) -> Iterator[Mapping[str, Any]]:
    """The objects with a text, of a file that holds one object or a list of them.

    :raises PluginError: ``corrupt``, ``not_text``, ``no_text``
    """
    try:
        value = json.loads(decode(data))
    except (ValueError, RecursionError) as error:
        hint = "Check it with any JSON viewer and upload it again."
        raise PluginError("corrupt", f"{PurePosixPath(name).name} is no valid JSON.", hint=hint) from error
    without = 0
    for item in value if isinstance(value, list) else [value]:
        if isinstance(item, dict) and isinstance(item.get("text"), str) and item["text"].strip():
            yield item
        else:
            without += 1
    if without:
        warn(f"{without} entries of {PurePosixPath(name).name} have no text and were left out.", {"code": "no_text"})


# -- Making chunks of them --------------------------------------------------------------------------


def _base_metadata(path: Path, kwargs: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "source": path.name,
        "filename": str(kwargs.get("original_filename") or path.name),
        "file_url": str(kwargs.get("file_url") or ""),
        "ingestion_plugin": MockAIJsonIngest.name,
        "ingestion_timestamp": datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
        "chunking_strategy": "pre_chunked_json",
        "plugin_version": VERSION,
    }


def _chunk(item: _Item, base: Mapping[str, Any], ident: str, index: int) -> Chunk:
    """What the server says about a chunk is not overwritten: such a field of the object gets another name."""
    temp_id = key_of(ident, item.source_file, index)[:32]
    own = {**base, "source_file": item.source_file, "temp_document_id": temp_id, "chunk_index": index}
    fields = {name: value for name, value in item.fields.items() if name != "text"}
    given = {f"original_{name}" if name in own or name == "old_text" else name: v for name, v in _flat(fields).items()}
    return {"text": item.fields["text"], "metadata": {**given, **own}}


def _flat(fields: Mapping[str, Any], prefix: str = "", depth: int = 0) -> dict[str, Any]:
    """Objects within objects as ``parent_child``, their values as text, as are lists."""
    flat: dict[str, Any] = {}
    for name, value in fields.items():
        key = f"{prefix}{name}"
        if isinstance(value, Mapping) and depth < _DEEPEST:
            flat |= _flat(value, f"{key}_", depth + 1)
        elif isinstance(value, list):
            flat[key] = ", ".join(_text(item) for item in value[:_LISTED])
        else:
            flat[key] = _text(value) if prefix else value
    return flat


def _text(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
