"""Finding the chunks that are nearest to a question: one file an engine."""

from functools import lru_cache

from collections_app.search.base import Hit, SearchEngine
from collections_app.search.sqlite import SqliteSearch

__all__ = ["Hit", "SearchEngine", "engine"]


@lru_cache(maxsize=1)
def engine() -> SearchEngine:
    """This process's search engine."""
    return SqliteSearch()
