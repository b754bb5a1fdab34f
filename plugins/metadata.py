"""The metadata that every chunk of a file carries, whichever plugin made it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from plugins.base import ParameterSpecs
from plugins.chunking import Piece, SplitOptions


def described_parameters(ui_hint: str = "") -> ParameterSpecs:
    """What people may say about a document; both texts go into the metadata of each chunk."""
    hint = {"ui_hint": ui_hint} if ui_hint else {}
    return {
        "description": {
            "type": "long-string",
            "description": "What the document is about",
            "help_text": "Kept with every chunk.",
            **hint,
        },
        "citation": {
            "type": "long-string",
            "description": "How to cite the document",
            "help_text": "Kept with every chunk.",
            **hint,
        },
    }


def upload_metadata(file_path: str, kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """Source, name, type, size and address of the file, and what people said about it.

    ``filename`` is the name that people know, since citations show it; ``source`` is the stored name, without the
    server's folders.
    """
    path = Path(file_path)
    return {
        "source": path.name,
        "filename": str(kwargs.get("original_filename") or path.name),
        "extension": path.suffix.lower().lstrip("."),
        "file_size": path.stat().st_size,
        "file_url": str(kwargs.get("file_url") or ""),
        **{key: text for key in ("description", "citation") if (text := str(kwargs.get(key) or "").strip())},
    }


def file_metadata(file_path: str, kwargs: Mapping[str, Any], options: SplitOptions) -> dict[str, Any]:
    """:func:`upload_metadata`, and how the text was split."""
    return {
        **upload_metadata(file_path, kwargs),
        "chunking_strategy": options.strategy,
        "chunk_size": options.size,
        "chunk_overlap": options.overlap,
    }


def chunk_of(piece: Piece, metadata: Mapping[str, Any], index: int) -> dict[str, Any]:
    """The chunk that a plugin yields for *piece*."""
    own: dict[str, Any] = {"chunk_index": index}
    if piece.heading_path:
        own["heading_path"] = list(piece.heading_path)
    return {"text": piece.text, "metadata": {**metadata, **own}}
