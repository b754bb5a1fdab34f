"""The page of a job's chunks: every one is reached, at the same cost."""

import re
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from collections_app.models import Chunk, Collection, Document
from ingestion.models import FileStatus
from ingestion.ui.jobs import CHUNKS
from tests.ingestion.factories import make_job

pytestmark = pytest.mark.django_db
PAGES = 2500  # more than a list of jobs has


@pytest.fixture
def address(collection: Collection) -> str:
    """Of the chunks of a large job."""
    job = make_job(collection, FileStatus.COMPLETED)
    count = PAGES * CHUNKS - 7
    document = Document.objects.create(
        collection=collection, file_id=job.pk, chunk_count=count, published_at=job.created_at
    )
    rows = (Chunk(document=document, position=place, text=f"passage {place}") for place in range(count))
    Chunk.objects.bulk_create(rows, batch_size=5000)
    return f"/ui/collections/{collection.pk}/jobs/{job.pk}/chunks"


def shown(client: Client, address: str, page: Any) -> list[int]:
    text = client.get(address, {"page": page}).content.decode()
    return [int(number) for number in re.findall(r"passage (\d+)<", text)]


def test_every_page_is_reached_from_any_other(ana: Client, address: str) -> None:
    assert shown(ana, address, 2400) == list(range(2399 * CHUNKS, 2400 * CHUNKS))
    last = list(range((PAGES - 1) * CHUNKS, PAGES * CHUNKS - 7))
    assert shown(ana, address, PAGES) == shown(ana, address, 10**17) == last
    for nonsense in ("", "0", "-1", "x", "²", "9" * 5000):
        assert shown(ana, address, nonsense) == list(range(CHUNKS))
    page = ana.get(address, {"page": 2400}).content.decode()
    links = re.findall(r'href="\?page=(\d+)"', page)
    assert links == ["1", "2399", "2401", "2500"]
    assert re.search(r'<input[^>]* name="page" type="number"[^>]* max="2500" value="2400"', page)


def test_the_last_page_costs_what_the_first_does(ana: Client, address: str) -> None:
    def reading(page: int) -> str:
        with CaptureQueriesContext(connection) as queries:
            assert ana.get(address, {"page": page}).status_code == 200
        (found,) = [one["sql"] for one in queries if '"collections_app_chunk"' in one["sql"]]
        return found

    for page in (1, PAGES):
        sql = reading(page)
        assert "OFFSET" not in sql
        with connection.cursor() as cursor:
            cursor.execute(f"EXPLAIN QUERY PLAN {sql}")
            plan = " ".join(str(row[3]) for row in cursor.fetchall())
        assert "position>? AND position<?" in plan
        assert "TEMP B-TREE" not in plan


def test_a_job_without_chunks_says_so(ana: Client, collection: Collection) -> None:
    job = make_job(collection)
    text = ana.get(f"/ui/collections/{collection.pk}/jobs/{job.pk}/chunks?page=3").content.decode()
    assert "It has no chunks" in text
