"""People in front of the pages: the owner of a collection, somebody else, and staff."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.test import Client

from collections_app import catalogue, search
from collections_app.models import Collection
from ingestion import outlook, presence
from tests.ingestion.conftest import _end_of_host, own_folders  # noqa: F401  (fixtures)
from tests.ingestion.factories import make_collection


@pytest.fixture(scope="package", autouse=True)
def _plugins() -> None:
    if not catalogue.path().exists():
        catalogue.refresh()


@pytest.fixture(autouse=True)
def _fresh() -> Iterator[None]:
    """What a process remembers of rows that a test rolls back."""
    forget()
    yield
    forget()


def forget() -> None:
    outlook.past.forget()
    search.engine.cache_clear()
    presence._worker = None


def person(name: str, **options: Any) -> Client:
    client = Client()
    client.force_login(get_user_model().objects.create_user(name, password="x", **options))
    return client


@pytest.fixture
def ana(db: None) -> Client:
    return person("ana")


@pytest.fixture
def ben(db: None) -> Client:
    return person("ben")


@pytest.fixture
def staff(db: None) -> Client:
    return person("olga", is_staff=True)


@pytest.fixture
def collection(db: None) -> Collection:
    """Of ana."""
    return make_collection()
