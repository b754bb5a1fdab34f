"""A LAMB KB server is brought over: what it knew, it knows here, under the ids that LAMB remembers."""

import hashlib
import io
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from django.conf import settings as django_settings

from collections_app import crypto
from collections_app import services as collections
from collections_app.models import Chunk, Collection, Document
from collections_app.search import engine
from ingestion import housekeeping, services, storage
from ingestion.lamb_import import values
from ingestion.lamb_import.report import Report
from ingestion.lamb_import.run import bring_over
from ingestion.lamb_import.source import CannotImport
from ingestion.models import FileRegistry, FileStatus, JobEvent
from ingestion.supervisor import alone_on_data_directory
from tests.ingestion.factories import make_collection, make_job
from tests.support.lamb import HOME_URL, HOST, LambServer, upload_metadata
from tests.support.until import until
from tests.support.vendor import Vendor, vector_of

pytest.importorskip("chromadb")
pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("own_folders")]

ROOT = Path(django_settings.BASE_DIR)


@pytest.fixture
def lamb(tmp_path) -> Iterator[LambServer]:
    with LambServer(tmp_path / "lamb" / "backend") as server:
        yield server


def vectors_for(texts: list[str]) -> np.ndarray:
    return np.array([vector_of(text) for text in texts], dtype=np.float32)


def fill(lamb: LambServer, name: str, texts: list[str], **metadata) -> list[str]:
    """Chunks of one file, with its metadata."""
    return lamb.chunks(name, texts, vectors_for(texts), [{**metadata, "chunk_index": n} for n in range(len(texts))])


def imported(lamb: LambServer, **options) -> Report:
    return bring_over(lamb.folder, **options)


def texts_of(file_id: int | None) -> list[str]:
    published = Document.objects.published().filter(file_id=file_id)
    chunks = Chunk.objects.filter(document__in=published).order_by("document", "position")
    return list(chunks.values_list("text", flat=True))


def count(report: Report, code: str) -> int:
    return report.findings[code].count if code in report.findings else 0


# -- Ids, files, chunks -----------------------------------------------------------------------------


def test_collections_and_files_keep_their_ids_and_what_people_see_of_them(lamb):
    lamb.collection(31, "biology", "7", description="Cells", visibility="PUBLIC")
    times = {"processing_started_at": "2025-03-02 09:00:05", "processing_completed_at": "2025-03-02 09:00:45"}
    stem = lamb.file(120, 31, "url:cells.txt", b"All about cells.", document_count=2, **times)
    fill(lamb, "biology", ["a cell", "a nucleus"], **upload_metadata(stem, "biology"))
    report = imported(lamb)
    collection = Collection.objects.get()
    assert (collection.pk, collection.name, collection.owner, collection.visibility, collection.description) == (
        31, "biology", "7", "public", "Cells")  # fmt: skip
    assert collection.creation_date.isoformat() == "2025-03-01T08:00:00.123456+00:00"
    job = FileRegistry.objects.get()
    assert (job.pk, job.original_filename, job.status, job.document_count) == (120, "url:cells.txt", "completed", 2)
    assert job.created_at.isoformat() == "2025-03-02T09:00:00+00:00"
    assert (job.processing_completed_at - job.processing_started_at).total_seconds() == 40
    assert job.content_hash == hashlib.sha256(b"All about cells.").hexdigest()
    assert texts_of(120) == ["a cell", "a nucleus"]
    assert report.written == {"collections": 1, "files": 1, "file_bytes": 16, "chunks": 2}
    assert report.findings == {}


def test_new_collections_and_files_get_ids_above_all_that_lamb_gave(lamb):
    lamb.collection(31, "biology")
    lamb.file(120, 31, "cells.txt")
    lamb.file(500, 99, "lost.txt")  # of a collection that was deleted
    report = imported(lamb)
    assert count(report, "collection_missing") == 1
    Collection.objects.filter(pk=31).update(deleted_at="2026-01-01T00:00:00Z")
    FileRegistry.objects.all().delete()
    while Collection.objects.filter(pk=31).exists():
        housekeeping.reap_collections()
    fresh = make_collection()
    assert fresh.pk > 31
    assert make_job(fresh).pk > 500


def test_the_upload_and_what_was_made_from_it_are_copied_and_the_old_links_lead_to_them(lamb, client):
    lamb.collection(31, "biology")
    beside = {"{stem}.html": b"<p>Cells</p>", "{stem}.pdf.json": b"[]", "{stem}/page1.png": b"PNG"}
    stem = lamb.file(120, 31, "cells.pdf", b"%PDF", beside=beside)
    link = f"{HOME_URL}/static/7/biology/{stem}.html"
    fill(lamb, "biology", ["a cell"], **{**upload_metadata(stem, "biology", extension="pdf"), "file_url": link})
    before = {path: path.read_bytes() for path in lamb.folder.rglob("static/**/*") if path.is_file()}
    imported(lamb)
    folder = storage.folder(stem)
    assert (folder / f"{stem}.pdf").read_bytes() == b"%PDF"
    assert (folder / f"{stem}.pdf.json").read_bytes() == b"[]"
    assert (folder / stem / "page1.png").read_bytes() == b"PNG"
    assert {path: path.read_bytes() for path in before} == before
    metadata = Chunk.objects.get().metadata
    assert metadata["file_url"] == f"/static/7/biology/{stem}.html"
    assert metadata["source"] == f"{stem}.pdf"
    token = {"HTTP_AUTHORIZATION": f"Bearer {django_settings.LAMB_API_KEY}"}
    assert b"".join(client.get(f"/static/7/biology/{stem}.html", **token)) == b"<p>Cells</p>"


def test_chunks_keep_their_own_ids_and_metadata(lamb):
    lamb.collection(31, "biology")
    stem = lamb.file(120, 31, "cells.txt")
    titles = {"section_titles": ["# Cells", "## Walls"], "page": 4, "score": 0.5, "draft": True}
    ids = fill(lamb, "biology", ["a cell"], **upload_metadata(stem, "biology"), **titles)
    imported(lamb)
    metadata = Chunk.objects.get().metadata
    assert metadata["document_id"] == ids[0]
    assert metadata["ingestion_timestamp"] == "2025-03-02T09:00:30.000000"
    assert {key: metadata[key] for key in titles} == titles


def test_chunks_come_in_reading_order_page_by_page(lamb):
    lamb.collection(31, "biology")
    stem = lamb.file(120, 31, "site.txt", plugin_name="url_ingest")
    rows = [("b1", "/b", 1), ("a1", "/a", 1), ("a0", "/a", 0), ("b0", "/b", 0)]
    lamb.chunks("biology", [text for text, *_ in rows], vectors_for([text for text, *_ in rows]), [
        {**upload_metadata(stem, "biology"), "page_url": page, "chunk_index": index} for _, page, index in rows
    ])  # fmt: skip
    imported(lamb)
    assert texts_of(120) == ["b0", "b1", "a0", "a1"]


# -- Linking ----------------------------------------------------------------------------------------


def test_a_chunk_is_linked_by_the_stored_name_wherever_a_plugin_wrote_it(lamb):
    lamb.collection(31, "biology")
    keys = ["source", "filename", "file_url", "original_file_url", "markdown_file_url", "source_file"]
    for number, key in enumerate(keys):
        stem = lamb.file(number, 31, f"{key}.txt", document_count=1)
        fill(lamb, "biology", [key], **{key: f"{HOME_URL}/static/7/biology/{stem}.md"})
    report = imported(lamb)
    assert [texts_of(number) for number in range(len(keys))] == [[key] for key in keys]
    assert report.findings == {}


def test_what_was_fetched_from_an_address_is_linked_by_the_address_and_by_nothing_like_it(lamb):
    lamb.collection(31, "biology")
    page = {"file_path": f"{HOST}/static/7/biology/url_ingest_1.md", "plugin_name": "url_ingest", "file_size": 0,
            "plugin_params": '{"urls": ["https://example.org/"]}'}  # fmt: skip
    lamb.file(5, 31, "https://example.org/", None, file_url="https://example.org/", document_count=1, **page)
    fill(lamb, "biology", ["an example"], source_url="https://example.org/", page_url="https://example.org/")
    fill(lamb, "biology", ["another page"], source_url="https://example.org/other")
    report = imported(lamb)
    job = FileRegistry.objects.get()
    assert (job.file_url, job.file_path, job.plugin_params["urls"]) == (
        "https://example.org/", "", ["https://example.org/"])  # fmt: skip
    assert texts_of(5) == ["an example"]
    assert texts_of(None) == ["another page"]
    assert count(report, "chunks_without_file") == 1
    assert count(report, "file_missing") == 0


def test_an_address_that_looks_like_a_stored_file_is_an_address_all_the_same(lamb):
    lamb.collection(31, "biology")
    address = "https://example.org/static/page.html"
    lamb.file(5, 31, address, None, file_url=address, file_path=f"{HOST}/static/7/biology/url_ingest_1.md",
              plugin_name="url_ingest", document_count=1)  # fmt: skip
    fill(lamb, "biology", ["an example"], source_url=address)
    report = imported(lamb)
    assert FileRegistry.objects.get().file_url == address
    assert texts_of(5) == ["an example"]
    assert report.findings == {}


def test_chunks_of_an_archive_are_linked_by_the_names_inside_unless_two_archives_have_them(lamb):
    lamb.collection(31, "biology")
    for pk, names in ((1, ["cards/one.json", "both.json"]), (2, ["two.json", "both.json"])):
        lamb.file(pk, 31, f"cards{pk}.zip", zipped(names), plugin_name="mockai_json_ingest", document_count=1)
    lamb.file(3, 31, "broken.zip", b"PK", plugin_name="mockai_json_ingest")
    for name in ("cards/one.json", "two.json", "both.json"):
        fill(lamb, "biology", [name], source_file=name, ingestion_plugin="mockai_json_ingest")
    fill(lamb, "biology", ["posted"], source_file="two.json")
    imported(lamb)
    assert (texts_of(1), texts_of(2)) == (["cards/one.json"], ["two.json"])
    assert sorted(texts_of(None)) == ["both.json", "posted"]


def zipped(names: list[str]) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name in names:
            archive.writestr(name, '{"text": "a card"}')
    return content.getvalue()


def test_chunks_that_no_file_owns_are_found_all_the_same(lamb):
    lamb.collection(31, "biology")
    lamb.file(9, 31, "cards.zip", None, plugin_name="mockai_json_ingest")
    fill(lamb, "biology", ["from a zip"], source_file="cards/one.json", ingestion_plugin="mockai_json_ingest")
    fill(lamb, "biology", ["posted as it was"])
    gone = lamb.file(10, 31, "gone.txt", None, status="DELETED")
    fill(lamb, "biology", ["left behind"], **upload_metadata(gone, "biology"))
    report = imported(lamb)
    assert sorted(texts_of(None)) == ["from a zip", "left behind", "posted as it was"]
    assert count(report, "chunks_without_file") == 2
    assert count(report, "chunks_of_deleted_file") == 1
    assert FileRegistry.objects.get(pk=10).status == FileStatus.DELETED
    collection = Collection.objects.get()
    hits = engine().nearest(collection, vectors_for(["left behind"])[0], 3)
    assert len(hits) == 3
    hits = engine().matching(collection, "posted", vectors_for(["posted"])[0], 3)
    assert [Chunk.objects.get(pk=hit.chunk_id).text for hit in hits] == ["posted as it was"]


def test_two_collections_of_one_name_each_keep_their_own_chunks(lamb):
    lamb.collection(1, "notes", "7")
    lamb.collection(2, "notes", "8", chroma=False)
    fill(lamb, "notes", ["of seven"])
    report = imported(lamb)
    assert Document.objects.published().get().collection_id == 1
    assert Collection.objects.get(pk=2).owner == "8"
    assert report.findings["vectors_missing"].examples == ["collection 2 notes"]


# -- What is odd ------------------------------------------------------------------------------------


def test_jobs_that_nobody_will_finish_come_as_failed_and_can_be_retried(lamb):
    lamb.collection(31, "biology")
    running = lamb.file(1, 31, "running.txt", b"half", status="PROCESSING", processing_started_at="2025-03-02 09:00:05",
                        progress_current=3, progress_total=8, plugin_params='{"chunk_size": "500"}')  # fmt: skip
    lamb.file(2, 31, "waiting.txt", status="PENDING")
    fill(lamb, "biology", ["half of it"], **upload_metadata(running, "biology"))
    report = imported(lamb)
    assert count(report, "dead_job") == 2
    for job in FileRegistry.objects.all():
        assert (job.status, job.error_code) == (FileStatus.FAILED, "interrupted")
        assert job.processing_completed_at is not None
        assert "Retry" in job.error_details["hint"]
    assert texts_of(1) == ["half of it"]  # it answered until now, and does until the retry takes its place
    retried = services.retry(FileRegistry.objects.get(pk=1))
    assert retried.status == FileStatus.PENDING
    assert retried.plugin_params["chunk_size"] == 500


@pytest.mark.parametrize("stored", ["COMPLETED", "completed", "FileStatus.COMPLETED"])
def test_enums_are_understood_however_they_were_stored(lamb, stored):
    lamb.collection(31, "biology", visibility="public")
    lamb.file(1, 31, "cells.txt", status=stored)
    lamb.file(2, 31, "odd.txt", status="EXPLODED")
    report = imported(lamb)
    assert [job.status for job in FileRegistry.objects.order_by("pk")] == [FileStatus.COMPLETED, FileStatus.FAILED]
    assert Collection.objects.get().visibility == "public"
    assert count(report, "status_unknown") == 1


def test_json_is_read_twice_where_it_was_written_twice(lamb):
    twice = json.dumps(json.dumps({"vendor": "openai", "model": "text-embedding-3-small", "apikey": "sk-planted-0001"}))
    lamb.collection(31, "biology", embeddings=twice)
    lamb.file(1, 31, "cells.txt", plugin_params=json.dumps(json.dumps({"chunk_size": 5})),
              processing_stats='{"content_length": 9, "ratio": NaN}')  # fmt: skip
    lamb.file(2, 31, "broken.txt", plugin_params="{not json")
    report = imported(lamb)
    assert Collection.objects.get().embedding_model == "text-embedding-3-small"
    job = FileRegistry.objects.get(pk=1)
    assert (job.plugin_params, job.processing_stats) == ({"chunk_size": 5}, {"content_length": 9, "ratio": None})
    assert FileRegistry.objects.get(pk=2).plugin_params == {}
    assert (count(report, "json_twice"), count(report, "json_broken")) == (2, 1)


def test_a_date_before_the_calendar_is_broken():
    found = []
    assert values.moment("0001-01-01T00:00:00+14:00", found.append) is None
    assert found == ["date_broken"]


def test_parameters_that_are_a_list_are_kept_in_the_diary_alone(lamb):
    lamb.collection(31, "biology")
    lamb.file(1, 31, "cells.txt", plugin_params='[{"api_key": "planted-0002"}, 5]')
    report = imported(lamb)
    assert FileRegistry.objects.get().plugin_params == {}
    assert JobEvent.objects.get().data["plugin_params"] == [{"api_key": "********"}, 5]
    assert count(report, "params_list") == 1


def test_a_database_without_the_newest_columns_is_read(tmp_path):
    with LambServer(tmp_path / "old", tracking=False) as lamb:
        lamb.collection(31, "biology", creation_date=None)
        lamb.file(1, 31, "cells.txt")
        imported(lamb)
    job = FileRegistry.objects.get()
    assert (job.status, job.processing_started_at, job.error_message) == (FileStatus.COMPLETED, None, None)
    assert job.processing_completed_at == job.updated_at
    assert Collection.objects.get().creation_date == job.created_at


def test_a_file_that_is_not_on_the_disk_leaves_its_chunks_and_a_row_that_says_so(lamb):
    lamb.collection(31, "biology")
    stem = lamb.file(1, 31, "lost.txt", None, file_size=70, document_count=1)
    lamb.file(2, 31, "outside.txt", None, file_path=f"{HOST}/static/../data/lamb-kb-server.db", file_url="")
    fill(lamb, "biology", ["still known"], **upload_metadata(stem, "biology"))
    report = imported(lamb)
    assert count(report, "file_missing") == 2
    assert texts_of(1) == ["still known"]
    assert FileRegistry.objects.get(pk=1).file_size == 70
    assert not storage.folder(stem).exists()


def test_chunks_without_text_or_a_vector_with_a_direction_are_named_and_left_out(lamb):
    lamb.collection(31, "biology")
    good = fill(lamb, "biology", ["good"])
    lamb.chunks("biology", [None], vectors_for(["none"]), [{}])
    lamb.chunks("biology", ["zero"], np.zeros((1, 32)), [{}])
    report = imported(lamb)
    assert (count(report, "chunk_no_text"), count(report, "chunk_bad_vector")) == (1, 1)
    assert [chunk.metadata["document_id"] for chunk in Chunk.objects.all()] == good


def test_every_other_oddity_is_named_and_stops_nothing(lamb):
    lamb.collection(31, "biology", visibility="SECRET", chroma=False)
    lamb.chroma.create_collection("biology", metadata={"hnsw:space": "l2"})  # found by its name
    stem = lamb.file(1, 31, "cells.txt", b"text", document_count=8, file_size=9, created_at="yesterday")
    lamb.file(2, 31, "poem.txt", plugin_name="poem_ingest", plugin_params='{"proxy_url": "http://u:planted@h/"}')
    fill(lamb, "biology", ["a cell"], **upload_metadata(stem, "biology"))
    report = imported(lamb)
    assert {code: finding.count for code, finding in report.findings.items()} == dict.fromkeys(
        ("visibility_unknown", "space_other", "count_differs", "size_differs", "date_broken", "plugin_unknown",
         "params_secret"), 1)  # fmt: skip
    assert Collection.objects.get().visibility == "private"
    job = FileRegistry.objects.get(pk=1)
    assert (job.document_count, job.file_size) == (1, 4)
    assert texts_of(1) == ["a cell"]


def test_vector_collections_that_belong_to_nobody_are_named(lamb):
    lamb.collection(31, "biology")
    lamb.chroma.create_collection("left-over", metadata={"hnsw:space": "cosine"})
    fill(lamb, "left-over", ["nobody's"])
    report = imported(lamb)
    assert report.findings["vectors_ownerless"].examples == ["left-over, 1 chunk"]
    assert not Chunk.objects.exists()


# -- Models and secrets -----------------------------------------------------------------------------


def test_a_collection_is_pinned_to_its_model_with_the_dimension_of_its_vectors(lamb):
    said = {"vendor": "local", "model": "nomic-embed-text", "api_endpoint": "http://ollama:11434/api/embeddings"}
    lamb.collection(31, "biology", embeddings=said)
    fill(lamb, "biology", ["a cell"])
    imported(lamb)
    collection = Collection.objects.get()
    assert (collection.embedding_vendor, collection.embedding_model, collection.embedding_endpoint) == (
        "ollama", "nomic-embed-text", "http://ollama:11434/api/embeddings")  # fmt: skip
    assert collection.embedding_dimension == 32


@pytest.mark.parametrize("said", [{}, {"apikey": "sk-planted-0003"}, {"model": "default", "endpoint": "default"}])
def test_a_collection_without_a_model_gets_the_one_that_its_chunks_name(lamb, said):
    lamb.collection(31, "biology", embeddings=said)
    fill(lamb, "biology", ["a cell"])
    report = imported(lamb)
    collection = Collection.objects.get()
    assert (collection.embedding_vendor, collection.embedding_model) == ("ollama", "nomic-embed-text")
    assert count(report, "model_from_chunks") == 1


def test_a_collection_whose_model_nobody_knows_is_named_and_an_empty_one_gets_ours(lamb):
    lamb.collection(31, "biology", embeddings={})
    lamb.collection(32, "empty", embeddings={})
    fill(lamb, "biology", ["a cell"], embedding_vendor="", embedding_model="")
    report = imported(lamb)
    assert count(report, "model_missing") == 1
    assert count(report, "model_default") == 1
    assert Collection.objects.get(pk=31).embedding_vendor == ""
    assert Collection.objects.get(pk=32).embedding_vendor == "local"
    assert texts_of(None) == ["a cell"]


def test_chunks_that_another_model_embedded_are_not_mixed_with_the_others(lamb):
    lamb.collection(31, "biology")
    fill(lamb, "biology", ["a cell", "a nucleus"], embedding_model="nomic-embed-text:latest")
    fill(lamb, "biology", ["a stranger"], embedding_model="other-model")
    report = imported(lamb)
    assert texts_of(None) == ["a cell", "a nucleus"]
    assert count(report, "chunk_other_model") == 1


def test_secrets_are_encrypted_or_masked_and_no_folder_of_the_old_host_is_shown(lamb, client):
    key = "sk-planted-embedding-key"
    lamb.collection(31, "biology", embeddings={"vendor": "openai", "model": "m", "apikey": key})
    lamb.file(
        1, 31, "cells.txt", status="FAILED", plugin_params='{"api_key": "planted-firecrawl", "chunk_size": 500}',
        error_message=f"Cannot open {HOST}/static/7/biology/x.txt with planted-firecrawl",
        error_details=json.dumps({"traceback": f'File "{HOST}/plugins/simple.py" key={key}', "stage": "unknown"}),
    )  # fmt: skip
    report = imported(lamb)
    collection = Collection.objects.get()
    assert crypto.decrypt(collection.embedding_api_key) == key
    assert key not in collection.embedding_api_key
    token = {"HTTP_AUTHORIZATION": f"Bearer {django_settings.LAMB_API_KEY}"}
    addresses = ["", "/files", "/ingestion-jobs", "/ingestion-jobs/1", "/ingestion-jobs/1/events"]
    answers = [client.get(f"/collections/31{address}", **token) for address in addresses]
    assert {answer.status_code for answer in answers} == {200}
    shown = "".join(answer.content.decode() for answer in answers) + json.dumps(report.as_json())
    assert "planted" not in shown
    assert HOST not in shown
    assert (count(report, "key_in_clear"), count(report, "params_refused")) == (1, 1)


# -- The same answers -------------------------------------------------------------------------------


def test_questions_find_the_same_neighbours_with_the_same_similarity_as_before(lamb):
    words = ["cell", "wall", "root", "leaf", "seed", "stem", "bark", "moss", "fern", "pond"]
    chooser = np.random.default_rng(5)
    texts = [" ".join(chooser.choice(words, 4)) + f" number{n}" for n in range(300)]
    with Vendor() as vendor:
        lamb.collection(31, "biology", embeddings={"vendor": "ollama", "model": "nomic-embed-text",
                                                   "api_endpoint": f"{vendor.url}/api/embeddings"})  # fmt: skip
        stems = [lamb.file(pk, 31, f"part{pk}.txt", document_count=100) for pk in (1, 2, 3)]
        ids = []
        for number, stem in enumerate(stems):
            ids += fill(lamb, "biology", texts[number * 100 : number * 100 + 100], **upload_metadata(stem, "biology"))
        exact = vectors_for(texts)
        exact /= np.linalg.norm(exact, axis=1, keepdims=True)
        imported(lamb)
        collection = Collection.objects.get()
        for question in ("cell wall", "fern moss pond", "seed", "number17 bark"):
            before = dict(lamb.nearest("biology", vector_of(question), 300))
            after = collections.search(collection, question, 300)
            found = {row["metadata"]["document_id"]: row["similarity"] for row in after}
            assert found.keys() == set(ids)
            for pk, similarity in before.items():
                assert found[pk] == pytest.approx(similarity, abs=1e-5)
            assert [round(row["similarity"], 4) for row in after] == sorted(
                (round(row["similarity"], 4) for row in after), reverse=True)  # fmt: skip


# -- Before it begins -------------------------------------------------------------------------------


def test_ids_that_something_else_has_here_refuse_the_whole_import(lamb):
    mine = make_collection("mine")
    lamb.collection(mine.pk, "biology")
    lamb.collection(mine.pk + 1, "mine", "ana")
    with pytest.raises(
        CannotImport, match=r"(?s)must be free here.*'mine' of 'ana' here, and 'biology' in LAMB.*KB_DATA_DIR"
    ):
        imported(lamb)
    assert Collection.objects.count() == 1
    assert not FileRegistry.objects.exists()


def test_an_id_of_a_file_that_was_deleted_here_is_not_given_to_another(lamb):
    job = make_job(make_collection("mine"))
    JobEvent.write(job, "submitted", "Submitted")
    services.delete(job)
    lamb.collection(900, "biology")
    lamb.file(job.pk, 900, "cells.txt")
    with pytest.raises(CannotImport, match="was another one here"):
        imported(lamb)


def test_a_dry_run_reports_the_same_and_writes_nothing(lamb):
    lamb.collection(31, "biology", embeddings={})
    stem = lamb.file(1, 31, "cells.txt", status="PROCESSING", plugin_params='{"api_key": "planted-0004"}')
    lamb.file(2, 31, "lost.txt", None)
    lamb.file(3, 77, "of nobody.txt")
    fill(lamb, "biology", ["a cell"], **upload_metadata(stem, "biology"))
    fill(lamb, "biology", ["alone"])
    lamb.chunks("biology", ["zero"], np.zeros((1, 32)), [{}])
    dry = imported(lamb, dry_run=True)
    for model in (Collection, FileRegistry, JobEvent, Document, Chunk):
        assert not model.objects.exists()
    assert not storage.root().exists()
    real = imported(lamb)
    assert dry.findings.keys() >= {
        "dead_job",
        "file_missing",
        "collection_missing",
        "chunk_bad_vector",
        "params_refused",
    }
    assert dry.findings == real.findings
    assert dry.found == real.found
    assert dry.written == {"collections": 0, "files": 0, "file_bytes": 0, "chunks": 0}


def test_the_source_is_not_changed_by_a_byte(tmp_path):
    with LambServer(tmp_path / "lamb") as lamb:
        lamb.collection(31, "biology")
        stem = lamb.file(1, 31, "cells.txt")
        fill(lamb, "biology", ["a cell"], **upload_metadata(stem, "biology"))
    before = contents(lamb.folder)
    imported(lamb)
    assert contents(lamb.folder) == before


def contents(folder: Path) -> dict[Path, tuple[int, bytes]]:
    return {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in folder.rglob("*") if path.is_file()}


# -- Again ------------------------------------------------------------------------------------------


def test_a_second_import_adds_nothing_and_brings_back_nothing_that_was_deleted_here(lamb):
    lamb.collection(31, "biology")
    stems = [lamb.file(pk, 31, f"part{pk}.txt", document_count=1) for pk in (1, 2)]
    for stem in stems:
        fill(lamb, "biology", [stem], **upload_metadata(stem, "biology"))
    fill(lamb, "biology", ["alone"])
    imported(lamb)
    services.delete(FileRegistry.objects.get(pk=1))
    while collections.reap().more:
        pass
    report = imported(lamb)
    assert report.written == {"collections": 0, "files": 0, "file_bytes": 0, "chunks": 0}
    assert report.there_already == {"collections": 1, "files": 1, "chunks": 2}
    assert count(report, "deleted_here") == 1
    assert Document.objects.count() == 2


def test_what_a_server_withdrew_between_two_runs_is_filled_anew(lamb):
    lamb.collection(31, "biology")
    stem = lamb.file(1, 31, "cells.txt", document_count=1)
    fill(lamb, "biology", ["a cell"], **upload_metadata(stem, "biology"))
    imported(lamb)
    # As an interrupted import and a housekeeper leave it
    Document.objects.update(published_at=None, withdrawn_at="2026-01-01T00:00:00Z")
    report = imported(lamb)
    assert report.written["chunks"] == 1
    assert texts_of(1) == ["a cell"]


FILES, EACH, LOOSE = 30, 120, 1500
TOTAL = FILES * EACH + LOOSE


@pytest.fixture(scope="module")
def large(tmp_path_factory) -> Path:
    """A LAMB server with two collections, whose import takes long enough to be interrupted."""
    folder = Path(tmp_path_factory.mktemp("large")) / "backend"
    with LambServer(folder) as lamb:
        lamb.collection(31, "biology")
        lamb.collection(32, "physics")
        texts: dict[str, list[tuple[str, dict[str, Any]]]] = {
            "biology": [],
            "physics": [(f"loose {n}", {}) for n in range(LOOSE)],
        }
        for pk in range(1, FILES + 1):
            collection, name = (31, "biology") if pk % 2 else (32, "physics")
            stem = lamb.file(pk, collection, f"part{pk}.txt", os.urandom(20_000), document_count=EACH)
            texts[name] += [(f"passage {n} of {pk}", upload_metadata(stem, name)) for n in range(EACH)]
        for name, chunks in texts.items():
            lamb.chunks(name, [text for text, _ in chunks], vectors_for([text for text, _ in chunks]),
                        [metadata for _, metadata in chunks])  # fmt: skip
    return folder


@pytest.fixture(scope="module")
def migrated(tmp_path_factory) -> Path:
    """A data directory where a server might start: migrations and plugins are known."""
    data = Path(tmp_path_factory.mktemp("migrated")) / "data"
    code = ("import django; django.setup(); from ingestion import boot; from collections_app import catalogue; "
            "boot.migrate(); catalogue.refresh()")  # fmt: skip
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=environment_of(data), check=True)
    return data


@pytest.fixture
def data(migrated, tmp_path) -> Path:
    return Path(shutil.copytree(migrated, tmp_path / "data"))


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("table", ["collections_app_collection", "ingestion_fileregistry", "collections_app_chunk"])
def test_an_import_that_was_killed_goes_on_and_doubles_nothing(large, data, table):
    child = start_import(large, data)
    until(lambda: child.poll() is not None or rows_in(data, table), seconds=100)
    child.send_signal(signal.SIGKILL)
    child.communicate()
    assert child.returncode == -signal.SIGKILL, "it had ended before it was killed"
    assert rows_in(data, "collections_app_document", PUBLISHED) < FILES + 1
    again = start_import(large, data)
    out, err = again.communicate(timeout=100)
    assert again.returncode == 0, err
    report = json.loads(out)
    assert [finding["code"] for finding in report["findings"]] == ["chunks_without_file"]
    assert report["written"]["chunks"] + report["there_already"]["chunks"] == TOTAL
    assert rows_in(data, "collections_app_collection") == 2
    assert rows_in(data, "ingestion_fileregistry") == rows_in(data, "ingestion_jobevent") == FILES
    assert rows_in(data, "collections_app_chunk") == rows_in(data, "collections_app_chunkvector") == TOTAL
    assert (
        rows_in(data, "collections_app_document") == rows_in(data, "collections_app_document", PUBLISHED) == FILES + 1
    )
    assert len(list((data / "files").glob("*/*/*.txt"))) == FILES
    assert not list((data / "files").rglob("*.part"))
    assert not (data / "run" / "lamb-import").exists()


PUBLISHED = "published_at IS NOT NULL AND withdrawn_at IS NULL"


def environment_of(data: Path, **more: str) -> dict[str, str]:
    return {**os.environ, "KB_DATA_DIR": str(data), "DJANGO_SETTINGS_MODULE": "kbproject.settings", **more}


def start_import(source: Path, data: Path) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "manage.py", "import_lamb", str(source), "--json"],
        cwd=ROOT, env=environment_of(data), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def rows_in(data: Path, table: str, condition: str = "1") -> int:
    with (
        suppress(sqlite3.OperationalError),
        closing(sqlite3.connect(f"file:{data}/kb.sqlite3?mode=ro", uri=True)) as base,
    ):
        return int(base.execute(f"SELECT count(*) FROM {table} WHERE {condition}").fetchone()[0])  # noqa: S608
    return 0


# -- The command ------------------------------------------------------------------------------------


def command(data: Path, *arguments: str, **variables: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "manage.py", "import_lamb", *arguments],
        cwd=ROOT, env=environment_of(data, **variables), capture_output=True, text=True,
    )  # fmt: skip


def test_the_command_shows_what_it_did_and_where_something_was_odd(lamb, data):
    lamb.collection(31, "biology")
    lamb.file(1, 31, "running.txt", status="PROCESSING")
    run = command(data, str(lamb.folder.parent), COLUMNS="200")
    assert run.returncode == 0, run.stderr
    assert "imported now" in run.stdout
    assert "file 1 running.txt" in run.stdout
    assert "Done in" in run.stdout


def test_a_folder_that_holds_no_lamb_server_makes_exit_code_2(data, tmp_path):
    run = command(data, str(tmp_path / "nothing"))
    assert run.returncode == 2
    assert "There is no LAMB KB server" in run.stderr


def test_an_import_that_cannot_copy_a_file_stops_with_exit_code_1_and_goes_on_when_it_can(lamb, data):
    lamb.collection(31, "biology")
    stem = lamb.file(1, 31, "cells.txt", b"All about cells.")
    fill(lamb, "biology", ["a cell"], **upload_metadata(stem, "biology"))
    (data / "files").write_text("in the way of the folder")
    run = command(data, str(lamb.folder))
    assert run.returncode == 1
    assert "Start the same command again" in run.stderr
    assert rows_in(data, "ingestion_fileregistry") == 0
    (data / "files").unlink()
    assert command(data, str(lamb.folder)).returncode == 0
    assert rows_in(data, "collections_app_chunk") == rows_in(data, "ingestion_fileregistry") == 1


def test_without_the_chromadb_library_the_command_says_in_one_sentence_what_to_install(lamb, data, tmp_path):
    (tmp_path / "chromadb.py").write_text("raise ImportError")
    run = command(data, str(lamb.folder), PYTHONPATH=str(tmp_path))
    assert run.returncode == 2
    assert run.stderr.strip() == (
        "CommandError: Reading LAMB's vectors needs the chromadb library: "
        "run `pip install -r requirements-import.txt` first."
    )


def test_nothing_is_imported_while_the_server_runs(lamb):
    held = alone_on_data_directory()
    with pytest.raises(CannotImport, match="Another server is running"):
        imported(lamb)
    held.close()


def test_an_import_on_a_full_disk_does_not_begin(lamb, settings):
    lamb.collection(31, "biology")
    settings.KB_MIN_FREE_MB = 10**9
    with pytest.raises(CannotImport, match="no room"):
        imported(lamb)
    assert not Collection.objects.exists()
