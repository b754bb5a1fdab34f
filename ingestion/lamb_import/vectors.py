"""Chroma's vectors, read with Chroma's own library from a copy of its folder.

The library is an extra (requirements-import.txt) and is imported only here. It may change the files that it opens, so
it never sees the original. It calls nobody: its telemetry is off, and no embedding function is built.
"""

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ingestion.lamb_import.source import CannotImport

AT_ONCE = 500
COSINE = "cosine"


@dataclass(frozen=True)
class StoredChunk:
    """A chunk as Chroma holds it. ``vector`` has shape (dimension,), of any length; None when it has none."""

    id: str
    text: str | None
    metadata: dict[str, Any]
    vector: NDArray[np.float64] | None


@dataclass(frozen=True)
class VectorCollection:
    id: str
    name: str
    space: str
    _collection: Any

    def __len__(self) -> int:
        return int(self._collection.count())

    def ids(self) -> list[str]:
        """The ids of all its chunks, in the order in which they were added."""
        return list(self._collection.get(include=[])["ids"])

    def chunks(self, ids: Sequence[str]) -> Iterator[StoredChunk]:
        """The chunks with these *ids*, in their order, without those that cannot be read."""
        for start in range(0, len(ids), AT_ONCE):
            part = ids[start : start + AT_ONCE]
            try:
                read = self._read(part)
            except Exception:  # one damaged chunk spoils its batch; whatever Chroma raises, the others are wanted
                read = {}
                for one in part:
                    with suppress(Exception):
                        read |= self._read([one])
            yield from (read[one] for one in part if one in read)

    def _read(self, ids: Sequence[str]) -> dict[str, StoredChunk]:
        got = self._collection.get(ids=list(ids), include=["documents", "metadatas", "embeddings"])
        count = len(got["ids"])
        texts, metadatas = got["documents"] or [None] * count, got["metadatas"] or [None] * count
        vectors = got["embeddings"] if got["embeddings"] is not None else [None] * count
        return {
            chunk_id: StoredChunk(chunk_id, text, dict(metadata or {}), _vector(vector))
            for chunk_id, text, metadata, vector in zip(got["ids"], texts, metadatas, vectors, strict=True)
        }


def _vector(value: Any) -> NDArray[np.float64] | None:
    return None if value is None or len(value) == 0 else np.asarray(value, dtype=np.float64)


def is_usable(vector: NDArray[np.float64] | None) -> bool:
    """True for a vector that has a direction."""
    return vector is not None and bool(np.isfinite(vector).all()) and bool(np.any(vector))


def require_library() -> None:
    """:raises CannotImport: chromadb is not installed"""
    try:
        import chromadb  # noqa: F401
    except ImportError as error:
        raise CannotImport(
            "Reading LAMB's vectors needs the chromadb library: run `pip install -r requirements-import.txt` first."
        ) from error


@contextmanager
def opened(folder: Path) -> Iterator[list[VectorCollection]]:
    """The collections of the store in *folder*, which is brought up to date for this library's release.

    :raises CannotImport: it cannot be opened
    """
    import chromadb
    from chromadb.config import Settings

    try:
        client = chromadb.PersistentClient(str(folder), settings=Settings(anonymized_telemetry=False))
        collections = [_opened(collection) for collection in client.list_collections()]
    except Exception as error:  # whatever its Rust part raises
        raise CannotImport(f"Chroma cannot open its store: {error}") from error
    with closing(client):
        yield collections


def _opened(collection: Any) -> VectorCollection:
    settings = collection.configuration_json.get("hnsw") or {}
    space = (collection.metadata or {}).get("hnsw:space") or settings.get("space") or "l2"
    return VectorCollection(str(collection.id), str(collection.name), str(space), collection)
