"""A client with the API's token, a catalogue with a few plugins more, and collections to talk about."""

import json
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from collections_app import catalogue, search
from collections_app.models import Collection
from ingestion import outlook
from tests.http import described
from tests.ingestion.factories import make_collection

TOKEN = "test-token-0123456789"


class Api(Client):
    """Django's test client, with the token and JSON bodies. What is answered has to be what the schema says."""

    def __init__(self, token: str | None = TOKEN, **defaults: Any) -> None:
        super().__init__(**({"HTTP_AUTHORIZATION": f"Bearer {token}"} if token else {}), **defaults)

    def request(self, **request: Any) -> Any:
        response = super().request(**request)
        if "text/html" not in request.get("HTTP_ACCEPT", ""):
            described.check(request["REQUEST_METHOD"], response)
        return response

    def send(self, method: str, path: str, body: Any = None, **extra: Any) -> Any:
        data = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        return self.generic(method, path, data, "application/json", **extra)

    def upload(self, collection: int, name: str = "notes.txt", content: bytes = b"Some text.", **fields: Any) -> Any:
        form = {"file": SimpleUploadedFile(name, content, "text/plain"), "plugin_name": "simple_ingest", **fields}
        form = {key: value for key, value in form.items() if value is not None}
        return self.post(f"/collections/{collection}/ingest-file", form)

    def upload_raw(self, collection: int, disposition: bytes, content: bytes = b"x") -> Any:
        """A form whose file part has this Content-Disposition, byte for byte."""
        mark = uuid.uuid4().hex.encode()
        body = (
            b"--" + mark + b'\r\nContent-Disposition: form-data; name="plugin_name"\r\n\r\nsimple_ingest\r\n'
            b"--" + mark + b"\r\nContent-Disposition: " + disposition + b"\r\n\r\n" + content + b"\r\n"
            b"--" + mark + b"--\r\n"
        )
        return self.generic(
            "POST", f"/collections/{collection}/ingest-file", body, f"multipart/form-data; boundary={mark.decode()}"
        )


@pytest.fixture(scope="package", autouse=True)
def _plugins() -> Iterator[None]:
    """The catalogue with the plugins of the tests, for the tests of this folder."""
    before = django_settings.KB_PLUGIN_MODULES
    django_settings.KB_PLUGIN_MODULES = [*before, "tests.support.http_plugins"]
    catalogue.refresh()
    yield
    django_settings.KB_PLUGIN_MODULES = before
    catalogue.path().unlink(missing_ok=True)


@pytest.fixture(autouse=True)
def _fresh_search() -> Iterator[None]:
    """Tests roll back and use ids again, which a search engine never sees in life."""
    search.engine.cache_clear()
    outlook.past.forget()
    yield
    search.engine.cache_clear()


@pytest.fixture
def api() -> Api:
    return Api()


@pytest.fixture
def anyone() -> Api:
    return Api(token=None)


@pytest.fixture
def collection(db: None) -> Collection:
    return make_collection("handbook")


@pytest.fixture
def staff(db: None, django_user_model: Any) -> Any:
    return django_user_model.objects.create_superuser("root", password="a-long-password")


@pytest.fixture
def browser(staff: Any) -> Client:
    """A member of staff in a browser."""
    client = Client(enforce_csrf_checks=True, HTTP_ACCEPT="text/html,application/xhtml+xml,*/*;q=0.8")
    client.force_login(staff)
    return client
