"""The plain question: the nearest chunks by cosine similarity."""

from typing import Any

from plugins.base import ParameterSpecs, PluginRegistry, QueryPlugin


@PluginRegistry.register
class SimpleQuery(QueryPlugin):
    name = "simple_query"
    description = "The chunks most similar to the question"

    def query(self, collection_id: int, query_text: str, **kwargs: Any) -> list[dict[str, Any]]:
        """The threshold is applied after the best ``top_k`` were taken, so fewer may be answered, never others."""
        top_k = int(kwargs.get("top_k", 5))
        threshold = float(kwargs.get("threshold", 0.0))
        rows = kwargs["search"](query_text, top_k)
        return [row for row in rows if row["similarity"] >= threshold]

    def get_parameters(self) -> ParameterSpecs:
        return {
            "top_k": {"type": "integer", "default": 5, "min": 1, "description": "How many chunks at most"},
            "threshold": {"type": "number", "default": 0.0, "description": "Least similarity, from -1 to 1"},
        }
