"""LAMB KB servers as its releases leave them on disk, made with plain SQLite and the real chromadb library.

with LambServer(folder) as lamb:
    lamb.collection(3, "biology", owner="7")
    stem = lamb.file(12, 3, "cells.txt", b"...", status="COMPLETED")
    lamb.chunks("biology", ["a cell"], vectors, [{"filename": f"{stem}.txt"}])
"""

import hashlib
import json
import sqlite3
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

HOST = "/opt/lamb/lamb-kb-server-stable/backend"  # where LAMB ran, which is not where it is imported
HOME_URL = "http://old-kb.example.org:9090"
OLLAMA = {"vendor": "ollama", "model": "nomic-embed-text", "api_endpoint": "", "apikey": ""}

COLLECTIONS = """
CREATE TABLE collections (
    id INTEGER NOT NULL PRIMARY KEY, name VARCHAR(255) NOT NULL, description TEXT, creation_date DATETIME,
    owner VARCHAR(255) NOT NULL, visibility VARCHAR(7) NOT NULL, embeddings_model JSON NOT NULL,
    chromadb_uuid VARCHAR(36), UNIQUE (chromadb_uuid), CONSTRAINT uix_collection_name_owner UNIQUE (name, owner));
CREATE INDEX ix_collections_name ON collections (name);
CREATE INDEX ix_collections_owner ON collections (owner);
"""
FILES = """
CREATE TABLE file_registry (
    id INTEGER NOT NULL PRIMARY KEY, collection_id INTEGER NOT NULL, original_filename VARCHAR(255) NOT NULL,
    file_path VARCHAR(255) NOT NULL, file_url VARCHAR(255) NOT NULL, file_size INTEGER NOT NULL,
    content_type VARCHAR(100), plugin_name VARCHAR(100) NOT NULL, plugin_params JSON NOT NULL,
    status VARCHAR(10) NOT NULL, document_count INTEGER NOT NULL, created_at DATETIME NOT NULL,
    updated_at DATETIME NOT NULL, owner VARCHAR(255) NOT NULL{tracking},
    FOREIGN KEY(collection_id) REFERENCES collections (id) ON DELETE CASCADE);
"""
TRACKING = """, processing_started_at DATETIME, processing_completed_at DATETIME, progress_current INTEGER,
    progress_total INTEGER, progress_message VARCHAR(255), error_message TEXT, error_details JSON,
    processing_stats TEXT"""


def stem_of(number: int) -> str:
    return hashlib.md5(f"upload {number}".encode(), usedforsecurity=False).hexdigest()


def client_of(folder: Path) -> Any:
    import chromadb
    from chromadb.config import Settings

    path = str(folder / "data" / "chromadb")
    return chromadb.PersistentClient(path, settings=Settings(anonymized_telemetry=False))


class LambServer:
    """Its folder ``backend``. *tracking* false: the database of a release before jobs were tracked."""

    def __init__(self, folder: Path, *, tracking: bool = True) -> None:
        self.folder = folder
        (folder / "data").mkdir(parents=True)
        (folder / "static").mkdir()
        self.database = sqlite3.connect(folder / "data" / "lamb-kb-server.db")
        self.database.execute("PRAGMA journal_mode=WAL")
        self.database.executescript(COLLECTIONS + FILES.format(tracking=TRACKING if tracking else ""))
        self.names: dict[int, tuple[str, str]] = {}
        self.chroma = client_of(folder)

    @classmethod
    def existing(cls, folder: Path) -> "LambServer":
        """One that was made before, to be asked."""
        server = cls.__new__(cls)
        server.folder, server.chroma = folder, client_of(folder)
        return server

    def __enter__(self) -> "LambServer":
        return self

    def __exit__(self, *_: object) -> None:
        self.database.commit()
        self.database.close()
        self.chroma.close()

    def collection(
        self, pk: int, name: str, owner: str = "7", *, embeddings: Any = None, chroma: bool = True, **columns: Any
    ) -> None:
        """:param embeddings: what the JSON column holds: an object, or text that is written as it is"""
        made = self.chroma.create_collection(name, metadata={"hnsw:space": "cosine"}) if chroma else None
        said = OLLAMA if embeddings is None else embeddings
        self._insert("collections", {
            "id": pk, "name": name, "description": None, "creation_date": "2025-03-01 08:00:00.123456", "owner": owner,
            "visibility": "PRIVATE", "embeddings_model": said if isinstance(said, str) else json.dumps(said),
            "chromadb_uuid": str(made.id) if made else None, **columns,
        })  # fmt: skip
        self.names[pk] = (owner, name)

    def file(
        self, pk: int, collection: int, name: str, content: bytes | None = b"text", *, beside: Mapping[str, bytes] = {},
        **columns: Any,
    ) -> str:  # fmt: skip
        """A stored upload with its row; its stem. Without *content* it is not on the disk.

        :param beside: what a plugin made, by name; ``{stem}`` stands for the stem
        """
        owner, collection_name = self.names.get(collection, ("7", "gone"))
        stem, extension = stem_of(pk), Path(name).suffix
        folder = self.folder / "static" / owner / collection_name
        if content is not None:
            folder.mkdir(parents=True, exist_ok=True)
            (folder / f"{stem}{extension}").write_bytes(content)
        for made, data in beside.items():
            path = folder / made.format(stem=stem)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        inside = f"static/{owner}/{collection_name}/{stem}{extension}"
        self._insert("file_registry", {
            "id": pk, "collection_id": collection, "original_filename": name, "file_path": f"{HOST}/{inside}",
            "file_url": f"{HOME_URL}/{inside}", "file_size": len(content or b""), "content_type": "text/plain",
            "plugin_name": "simple_ingest", "plugin_params": "{}", "status": "COMPLETED", "document_count": 0,
            "created_at": "2025-03-02 09:00:00", "updated_at": "2025-03-02 09:01:00.500000", "owner": owner, **columns,
        })  # fmt: skip
        return stem

    def chunks(
        self, name: str, texts: Sequence[str | None], vectors: Any, metadatas: Sequence[Mapping[str, Any]]
    ) -> list[str]:
        """Add chunks to the vector collection *name* as LAMB's store step does; their ids."""
        ids = [uuid.uuid4().hex for _ in texts]
        model = {"embedding_vendor": "ollama", "embedding_model": "nomic-embed-text"}
        stamped = [
            {"document_id": pk, "ingestion_timestamp": "2025-03-02T09:00:30.000000", **model, **metadata}
            for pk, metadata in zip(ids, metadatas, strict=True)
        ]
        collection = self.chroma.get_collection(name, embedding_function=None)
        for start in range(0, len(ids), 5000):
            part = slice(start, start + 5000)
            written = list(texts[part])
            collection.add(
                ids=ids[part],
                embeddings=np.asarray(vectors[part], dtype=np.float32),
                documents=None if None in written else written,
                metadatas=stamped[part],
            )
        return ids

    def nearest(self, name: str, vector: Any, count: int) -> list[tuple[str, float]]:
        """What LAMB answers: ids and similarities, nearest first."""
        found = self.chroma.get_collection(name, embedding_function=None).query(
            query_embeddings=np.asarray([vector], dtype=np.float32), n_results=count
        )
        return [(pk, 1 - distance) for pk, distance in zip(found["ids"][0], found["distances"][0], strict=True)]

    def _insert(self, table: str, row: Mapping[str, Any]) -> None:
        columns, marks = ", ".join(row), ", ".join("?" * len(row))
        statement = f"INSERT INTO {table} ({columns}) VALUES ({marks})"  # noqa: S608
        self.database.execute(statement, list(row.values()))
        self.database.commit()


def upload_metadata(stem: str, collection: str, owner: str = "7", extension: str = "txt") -> dict[str, Any]:
    """What LAMB's plugins for files write into each chunk."""
    inside = f"static/{owner}/{collection}/{stem}.{extension}"
    return {"source": f"{HOST}/{inside}", "filename": f"{stem}.{extension}", "extension": extension,
            "file_size": 4, "file_url": f"{HOME_URL}/{inside}", "chunking_strategy": "langchain_recursive"}  # fmt: skip
