"""Chunks that somebody else has made: JSON objects with a ``text``, taken as they are."""

import json
import zipfile
from collections.abc import Callable, Iterator, Mapping, Set
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import chain, count
from pathlib import Path, PurePosixPath
from typing import Any

from plugins.base import Chunk, IngestPlugin, ParameterSpecs, PluginError, PluginRegistry
from plugins.documents.archives import ZIP_MAGIC, open_zip, read_member
from plugins.documents.packed import shown_name
from plugins.kept import key_of
from plugins.normalise import counted
from plugins.report import Pace
from plugins.source import Source
from plugins.text import decode

VERSION = "1.0.0"
STAGES = 2
_MAX_JSON = 64 * 1024**2
_HINT = 'Each object needs a field "text" that holds the text of one chunk.'
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
        path, pace, chunks = Path(file_path), Pace(), 0
        self.report_progress(kwargs, 1, STAGES, "Reading JSON...")
        base = _base_metadata(path, kwargs)
        ident = str(kwargs.get("content_hash") or kwargs.get("file_url") or path.name)
        with path.open("rb") as stream:
            for item in _items(Source(stream, "json", path.name, warn=kwargs.get("warning_callback") or _ignore)):
                yield _chunk(item, base, ident, chunks)
                chunks += 1
                if pace():
                    self.report_progress(kwargs, 1, STAGES, f"Reading JSON: {chunks:,} chunks so far...")
        if not chunks:
            raise PluginError("no_text", "No JSON object with a text was found.", hint=_HINT)
        self.report_progress(kwargs, STAGES, STAGES, f"Read {counted(chunks, 'chunk')}")


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
    """The objects of every JSON file of an archive; those that cannot be read are left out with one warning.

    :raises PluginError: ``no_text`` when there is no JSON file, or why none can be read
    """
    left_out: list[tuple[str, PluginError]] = []
    with open_zip(source.stream) as archive:
        members = [member for member in archive.infolist() if _is_json(member)]
        for member in members:
            try:
                if member.file_size > _MAX_JSON:
                    raise PluginError("too_large", f"It is larger than {_MAX_JSON // 1024**2} MB.", hint="Split it.")
                for fields in _objects(read_member(archive, member), shown_name(member.filename), source.warn):
                    yield _Item(fields, member.filename)
            except PluginError as error:
                left_out.append((shown_name(member.filename), error))
    if not members:
        raise PluginError("no_text", "The archive holds no JSON file.", hint="Names of JSON files end with .json.")
    if len(left_out) == len(members):
        first = left_out[0][1]
        raise PluginError(first.code, f"Nothing in the archive can be read. {first.message}", hint=first.hint)
    if left_out:
        names = ", ".join(f"{name} ({error.code})" for name, error in left_out[:3])
        more = ", …" if len(left_out) > 3 else ""
        data = {"code": "left_out", "left_out": [f"{name}: {error.code}" for name, error in left_out[:50]]}
        source.warn(f"{len(left_out)} of {counted(len(members), 'JSON file')} left out: {names}{more}.", data)


def _is_json(member: zipfile.ZipInfo) -> bool:
    name = member.filename
    return not member.is_dir() and name.lower().endswith(".json") and not name.startswith("__MACOSX/")


def _objects(data: bytes, name: str, warn: Warn) -> Iterator[Mapping[str, Any]]:
    """The objects with a text, of a file that holds one object or a list of them.

    :raises PluginError: ``corrupt``, ``not_text``, ``no_text``
    """
    try:
        value = json.loads(decode(data), parse_int=_whole_number)
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
        name = PurePosixPath(name).name
        one = f"1 entry of {name} has no text and was left out."
        several = f"{without} entries of {name} have no text and were left out."
        warn(one if without == 1 else several, {"code": "no_text"})


def _whole_number(digits: str) -> int | str:
    """Python converts no numbers of thousands of digits, and nobody calculates with them."""
    return int(digits) if len(digits) < 1000 else digits


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
    return {"text": item.fields["text"], "metadata": {**_named(fields, own), **own}}


def _named(fields: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of an object under names of their own: none takes the place of another."""
    given = {name: _flat_value(value) for name, value in fields.items() if not _is_renamed(name, value, own)}
    for name, value in fields.items():
        if not _is_renamed(name, value, own):
            continue
        for key, one in _flat(value, name):
            wanted = f"original_{key}" if key in own or key == "old_text" else key
            given[_free(wanted, given.keys() | own.keys())] = one
    return given


def _is_renamed(name: str, value: Any, own: Mapping[str, Any]) -> bool:
    return isinstance(value, Mapping) or name in own or name == "old_text"


def _free(name: str, taken: Set[str]) -> str:
    """*name*, or with a number behind it when it is taken."""
    names = chain([name], (f"{name}_{number}" for number in count(2)))
    return next(one for one in names if one not in taken)


def _flat(value: Any, name: str, depth: int = 0) -> Iterator[tuple[str, Any]]:
    """Objects within objects as ``parent_child``, their values as text, as are lists."""
    if isinstance(value, Mapping) and depth < _DEEPEST:
        for key, one in value.items():
            yield from _flat(one, f"{name}_{key}", depth + 1)
    elif depth and not isinstance(value, list):
        yield name, _text(value)
    else:
        yield name, _flat_value(value)


def _flat_value(value: Any) -> Any:
    return ", ".join(_text(item) for item in value[:_LISTED]) if isinstance(value, list) else value


def _text(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
