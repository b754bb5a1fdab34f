"""Small chunks are found, the larger passages around them are answered: for documents split into parents and children.

Such chunks carry the whole passage as ``parent_text``. Each passage is answered once, however many of its children
are near the question; chunks without one stand for themselves.
"""

from collections.abc import Callable
from typing import Any

from plugins.base import ParameterSpecs, PluginRegistry, QueryPlugin

Search = Callable[[str, int], list[dict[str, Any]]]

CHILDREN = 5  # a parent's usual number of them; so many chunks are searched for each passage that is asked for
DEEPEST = CHILDREN**4  # then the question's parents hold hundreds of children each, and fewer of them will do


@PluginRegistry.register
class ParentChildQuery(QueryPlugin):
    name = "parent_child_query"
    description = "The passages around the chunks most similar to the question, each once"

    def query(self, collection_id: int, query_text: str, **kwargs: Any) -> list[dict[str, Any]]:
        """Rows of the best child of each parent. The threshold is applied as in simple_query."""
        top_k = int(kwargs.get("top_k", 5))
        threshold = float(kwargs.get("threshold", 0.0))
        if kwargs.get("return_parent_context", True):
            rows = passages(kwargs["search"], query_text, top_k)
        else:
            rows = kwargs["search"](query_text, top_k)
        return [row for row in rows if row["similarity"] >= threshold]

    def get_parameters(self) -> ParameterSpecs:
        return {
            "top_k": {"type": "integer", "default": 5, "min": 1, "description": "How many passages at most"},
            "threshold": {"type": "number", "default": 0.0, "description": "Least similarity, from -1 to 1"},
            "return_parent_context": {
                "type": "boolean",
                "default": True,
                "description": "Answer the passage around each chunk, and each passage once",
                "help_text": "Otherwise the chunks themselves, as simple_query does.",
            },
        }


def passages(search: Search, text: str, top_k: int) -> list[dict[str, Any]]:
    """The *top_k* best distinct passages, searching deeper while siblings take their places."""
    depth = top_k * CHILDREN
    while True:
        rows = search(text, depth)
        found = merged(rows)
        if len(found) >= top_k or len(rows) < depth or depth >= top_k * DEEPEST:
            return found[:top_k]
        depth *= CHILDREN


def merged(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Each passage where its best child stood, with that child's similarity and metadata."""
    found: dict[tuple[Any, ...], dict[str, Any]] = {}
    for row in rows:
        parent = row["metadata"].get("parent_text")
        if isinstance(parent, str) and parent:  # not their ids: those begin anew in each file, and may be missing
            found.setdefault((row["document_pk"], parent), {**row, "data": parent})
        else:
            found[(row["chunk_pk"],)] = row
    return list(found.values())
