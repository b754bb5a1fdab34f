"""Previews on the pages: begun from the form, compared, and taken in without being sent again."""

import re
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from collections_app.models import Collection, Document
from ingestion import preview, services, storage
from ingestion.models import FileRegistry, FileStatus, JobKind
from tests.ingestion.factories import work

pytestmark = pytest.mark.django_db(transaction=True)  # a run looks at its row from a thread of its own
TEXT = "\n\n".join(f"Paragraph {number} speaks of the energy of the cell." for number in range(60))


@pytest.fixture(autouse=True)
def own_place(own_folders: Any) -> None:
    """Where the runs of real plugin hosts leave their files."""


def begin(client: Client, collection: Collection, **form: Any) -> Any:
    return client.post(f"/ui/collections/{collection.pk}/preview", form)


def of_file(client: Client, collection: Collection, **form: str) -> FileRegistry:
    file = SimpleUploadedFile("cells.txt", TEXT.encode(), "text/plain")
    answer = begin(client, collection, file=file, plugin="simple_ingest", **form)
    job = FileRegistry.objects.latest("pk")
    assert answer["Location"] == f"/ui/collections/{collection.pk}/preview/{job.pk}"
    return job


def shown(client: Client, job: FileRegistry, beside: FileRegistry | None = None, **options: Any) -> Any:
    query = f"?beside={beside.pk}" if beside else ""
    return client.get(f"/ui/collections/{job.collection_id}/preview/{job.pk}{query}", **options)


def test_a_limit_that_was_set_before_the_preview_holds_when_it_is_taken_in(ana: Client, collection: Collection) -> None:
    answer = begin(ana, collection, kind="web", addresses="https://example.org/a", **{"param-limit": "50"})
    job = FileRegistry.objects.get()
    assert answer["Location"].endswith(f"/preview/{job.pk}?param-limit=50")
    page = ana.get(answer["Location"]).content.decode()
    assert re.search(r'<input[^>]* name="param-limit"[^>]* value="50"', page)
    ana.post(f"/ui/collections/{collection.pk}/preview/{job.pk}/take-in", {"param-limit": "50"})
    assert FileRegistry.objects.latest("pk").plugin_params["limit"] == 50


def test_two_settings_are_compared_and_one_is_taken_in(ana: Client, collection: Collection) -> None:
    first = of_file(ana, collection, **{"param-chunk_size": "300", "param-chunk_overlap": "0"})
    assert first.kind == JobKind.PREVIEW
    waiting = shown(ana, first, HTTP_X_REQUESTED_WITH="fetch").content.decode()
    assert 'data-live="1"' in waiting
    assert "<html" not in waiting
    assert work(first).status == FileStatus.COMPLETED
    form = {"first": str(first.pk), "param-chunk_size": "900", "param-chunk_overlap": "0"}
    answer = ana.post(f"/ui/collections/{collection.pk}/preview/{first.pk}/again", form)
    second = FileRegistry.objects.latest("pk")
    assert answer["Location"].endswith(f"/preview/{first.pk}?beside={second.pk}")
    assert work(second).status == FileStatus.COMPLETED
    counts = [job.processing_stats["preview"]["chunks"] for job in (first, second)]
    assert counts[0] > counts[1] > 1
    page = shown(ana, first, second).content.decode()
    assert 'data-live="0"' in page
    assert all(f'<dd class="cut-count">{count}</dd>' in page for count in counts)
    assert "Paragraph 0 speaks" in page

    answer = ana.post(f"/ui/collections/{collection.pk}/preview/{second.pk}/take-in")
    made = FileRegistry.objects.latest("pk")
    assert answer["Location"] == f"/ui/collections/{collection.pk}/jobs/{made.pk}"
    assert made.kind == JobKind.INGESTION
    assert made.plugin_params["chunk_size"] == 900
    assert not Document.objects.exists()
    assert work(made).document_count == counts[1]
    assert (storage.root() / made.file_path).read_text() == TEXT

    again = ana.post(f"/ui/collections/{collection.pk}/preview/{second.pk}/take-in", follow=True)
    assert "is there already" in again.content.decode()
    assert FileRegistry.objects.ingestions().count() == 1


def test_what_was_taken_in_outlives_its_preview(ana: Client, collection: Collection) -> None:
    first = work(of_file(ana, collection))
    made = preview.ingest(first, {})
    services.delete(first)
    assert work(made).status == FileStatus.COMPLETED


def test_pasted_text_and_addresses_are_previewed_too(ana: Client, collection: Collection) -> None:
    begin(ana, collection, kind="text", title="Cells", text=TEXT)
    job = FileRegistry.objects.latest("pk")
    assert (job.kind, job.original_filename, job.plugin_name) == (JobKind.PREVIEW, "cells.md", "simple_ingest")
    begin(ana, collection, kind="web", addresses="https://example.org/a https://example.org/b", **{"param-limit": "50"})
    job = FileRegistry.objects.latest("pk")
    assert job.kind == JobKind.PREVIEW
    assert job.plugin_params["url"] == "https://example.org/a"
    assert job.plugin_params["limit"] == preview.MOST_SOURCES
    made = preview.ingest(job, {})
    assert made.plugin_params["limit"] == 100  # the limit of previews holds for previews


@pytest.mark.parametrize(
    ("form", "said"),
    [({"kind": "web", "addresses": ""}, "at least one address"), ({"kind": "text", "text": " "}, "some text first"),
     ({"kind": "files"}, "No file arrived"), ({"kind": "web", "addresses": "x.org", "param-limit": "many"}, "limit")],
)  # fmt: skip
def test_what_cannot_be_previewed_is_said(ana: Client, collection: Collection, form: Any, said: str) -> None:
    answer = ana.post(f"/ui/collections/{collection.pk}/preview", form, follow=True)
    assert said in answer.content.decode()
    by_script = ana.post(f"/ui/collections/{collection.pk}/preview", form, HTTP_X_REQUESTED_WITH="fetch")
    assert said in by_script.json()["detail"]
    assert not FileRegistry.objects.exists()


def test_a_preview_is_its_owners_alone_and_in_no_list(ana: Client, ben: Client, collection: Collection) -> None:
    job = of_file(ana, collection)
    assert shown(ben, job).status_code == 404
    for verb in ("again", "take-in"):
        assert ben.post(f"/ui/collections/{collection.pk}/preview/{job.pk}/{verb}").status_code == 404
    Collection.objects.update(visibility="public")
    assert shown(ben, job).status_code == 403
    page = ana.get(f"/ui/collections/{collection.pk}").content.decode()
    assert "cells.txt" not in page
    assert "Nothing here yet" in page


def test_an_ordinary_job_is_no_preview(ana: Client, collection: Collection) -> None:
    job = of_file(ana, collection)
    FileRegistry.objects.update(kind=JobKind.INGESTION)
    assert shown(ana, job).status_code == 404
    assert ana.get(f"/ui/collections/{collection.pk}/preview/{job.pk}?beside=x").status_code == 404
