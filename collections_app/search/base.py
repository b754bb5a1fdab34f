"""What a search engine is."""

from typing import NamedTuple, Protocol

from collections_app.embeddings.base import Vector
from collections_app.models import Collection


class Hit(NamedTuple):
    chunk_id: int
    similarity: float  # cosine, -1 to 1


class SearchEngine(Protocol):
    def nearest(self, collection: Collection, query: Vector, top_k: int) -> list[Hit]:
        """The *top_k* chunks of published documents that are nearest to *query* (length 1), nearest first.

        Equal similarities come in the order of the chunks' ids. Fewer hits when the collection holds fewer chunks.
        """

    def matching(self, collection: Collection, text: str, query: Vector, top_k: int) -> list[Hit]:
        """The *top_k* chunks of published documents that share words with *text*, best first; rare words count most.

        Chunks that share the same words come in the order of their similarity to *query*, the vector of *text*, then
        of their ids. No hits for a text without words, or where no chunk holds any of them.
        """
