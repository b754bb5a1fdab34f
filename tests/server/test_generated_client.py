"""A client that nobody wrote: made of docs/openapi.json by openapi-python-client, and used against a real server."""

import importlib
import json
import subprocess
import sys
from collections.abc import Iterator
from http import HTTPStatus
from io import BytesIO
from types import SimpleNamespace
from typing import Any

import pytest

from bench.server import ROOT, TOKEN, Server

pytestmark = pytest.mark.slow

PACKAGE = "kb_made_client"
CALLS = {
    "all_jobs": ("list_jobs", "list_failures", "retry_jobs"),
    "collections": ("create_collection", "get_collection"),
    "intake": ("upload_file",),
    "jobs": ("get_collection_job", "list_collection_jobs", "retry_job", "get_job_diary"),
    "questions": ("query_collection",),
}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """The functions of the generated client by their names, with ``models`` and ``types``."""
    folder = tmp_path_factory.mktemp("client")
    (folder / "config.yml").write_text(json.dumps({"post_hooks": []}))
    done = subprocess.run(
        [sys.executable, "-m", "openapi_python_client", "generate", "--meta", "none", "--fail-on-warning",
         "--path", str(ROOT / "docs" / "openapi.json"), "--config", str(folder / "config.yml"),
         "--output-path", str(folder / PACKAGE)],
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    sys.path.insert(0, str(folder))
    yield SimpleNamespace(
        client=importlib.import_module(f"{PACKAGE}.client").AuthenticatedClient,
        models=importlib.import_module(f"{PACKAGE}.models"),
        types=importlib.import_module(f"{PACKAGE}.types"),
        **{
            name: importlib.import_module(f"{PACKAGE}.api.{tag}.{name}")
            for tag, names in CALLS.items()
            for name in names
        },
    )
    sys.path.remove(str(folder))


@pytest.fixture
def client(made: Any, server: Server) -> Any:
    return made.client(base_url=server.url, token=TOKEN)


def create(made: Any, client: Any, name: str) -> Any:
    collection = made.create_collection.sync(client=client, body=made.models.NewCollection(name=name, owner="ana"))
    assert isinstance(collection, made.models.Collection), collection
    return collection


def upload(made: Any, client: Any, collection: Any, name: str, content: bytes) -> Any:
    file = made.types.File(payload=BytesIO(content), file_name=name, mime_type="text/plain")
    body = made.models.Upload(file=file, plugin_name="simple_ingest", plugin_params='{"chunk_size": 200}')
    receipt = made.upload_file.sync(collection.id, client=client, body=body)
    assert isinstance(receipt, made.models.IntakeReceipt), receipt
    return receipt


def ended(made: Any, client: Any, collection: Any, job_id: int) -> Any:
    """The job when it has ended; each answer is waited for, so this polls a few times only."""
    live = {made.models.JobStatus.PENDING, made.models.JobStatus.PROCESSING}
    for _ in range(60):
        job = made.get_collection_job.sync(collection.id, job_id, client=client, wait=5.0)
        if job.status not in live:
            return job
    raise AssertionError(f"job {job_id} is still {job.status}")


def test_a_generated_client_feeds_watches_lists_and_asks(made, client):
    collection = create(made, client, "generated")
    assert made.get_collection.sync(collection.id, client=client) == collection
    receipt = upload(made, client, collection, "lamp.txt", b"The lamp of the lighthouse is lit at dusk.")
    job = ended(made, client, collection, receipt.job_id)
    assert job.status == made.models.JobStatus.COMPLETED, job.error_message
    assert job.progress.overall == 100
    assert job.created_at.tzinfo is not None
    listed = made.list_collection_jobs.sync(collection.id, client=client, status=job.status)
    assert [one.id for one in listed.items] == [job.id]
    assert [one.id for one in made.list_jobs.sync(client=client, collection=[collection.id]).items] == [job.id]
    question = made.models.Question(query_text="When is the lamp lit?", top_k=1)
    answer = made.query_collection.sync(collection.id, client=client, body=question)
    assert "dusk" in answer.results[0].data
    assert made.get_job_diary.sync(collection.id, job.id, client=client).items[-1].message


def test_a_generated_client_understands_errors(made, client, server):
    collection = create(made, client, "errors")
    job_id = upload(made, client, collection, "note.txt", b"A note.").job_id
    ended(made, client, collection, job_id)
    refused = made.retry_job.sync_detailed(collection.id, job_id, client=client, body=made.models.Retry())
    assert refused.status_code == HTTPStatus.BAD_REQUEST
    assert "failed" in refused.parsed.detail
    missing = made.get_collection.sync(999_999, client=client)
    assert isinstance(missing, made.models.Error)
    stranger = made.client(base_url=server.url, token="wrong")
    assert made.get_collection.sync_detailed(collection.id, client=stranger).status_code == HTTPStatus.UNAUTHORIZED


def test_a_generated_client_finds_failures_and_retries_them(made, client):
    collection = create(made, client, "failures")
    job_id = upload(made, client, collection, "binary.txt", bytes(range(256)) * 20).job_id
    assert ended(made, client, collection, job_id).status == made.models.JobStatus.FAILED
    failures = made.list_failures.sync(client=client, collection=[collection.id])
    assert failures.groups[0].example.job_id == job_id
    order = made.models.RetryMany(ids=[job_id, 999_999])
    outcomes = made.retry_jobs.sync(client=client, body=order)
    assert [(one.job_id, one.done) for one in outcomes.items] == [(job_id, True), (999_999, False)]
    assert ended(made, client, collection, job_id).attempt > 0
