from collections.abc import Iterator

import pytest

from collections_app import search
from tests.support.vendor import Vendor


@pytest.fixture
def vendor() -> Iterator[Vendor]:
    with Vendor() as running:
        yield running


@pytest.fixture(autouse=True)
def _fresh_search() -> Iterator[None]:
    """Tests roll back and use ids again; a search engine lives as long as its process and never sees that."""
    search.engine.cache_clear()
    yield
    search.engine.cache_clear()
