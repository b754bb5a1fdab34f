"""Previews, with a real plugin host: they say how a source would be cut, leave nothing behind, and are seen nowhere."""

import io
import threading
from contextlib import suppress
from datetime import timedelta

import pytest
from django.db import connection
from django.db.models.functions import Now
from django.test import override_settings

from collections_app import search
from collections_app import services as collections
from collections_app.models import Document
from ingestion import (
    bulk,
    failures,
    hosts,
    housekeeping,
    metrics,
    outlook,
    preview,
    prune,
    reads,
    services,
    storage,
    worker,
)
from ingestion.duplicates import same_source
from ingestion.filters import chosen, jobs_by_status
from ingestion.models import FileRegistry, FileStatus, JobCount, JobEvent, JobKind, Tally
from ingestion.services import DuplicateFound, WrongPluginKind, WrongState
from plugins.kept import FOLDER, Kept
from tests.ingestion.factories import bring_to, make_collection, make_job, work
from tests.plugins import documents
from tests.support.race import race
from tests.support.site import Site
from tests.support.until import until
from tests.support.vendor import Vendor

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.engine,
    pytest.mark.slow,
    pytest.mark.usefixtures("own_folders"),
]

TEXT = "Mercury is the smallest planet.\n\nVenus is the hottest.\n\nEarth has one moon."
REPORT = documents.docx([("Normal", f"Paragraph {number} of the report.") for number in range(40)])


@pytest.fixture(autouse=True)
def _fresh():
    """Ids start anew with each test here, so what is remembered would be of other rows; and so would be counts, which
    the emptying of the tables between tests leaves below zero."""
    JobCount.objects.all().delete()
    search.engine.cache_clear()
    outlook.past.forget()
    metrics.forget()


@pytest.fixture(scope="module", autouse=True)
def _intranet():
    """A host whose fetching may reach this machine."""
    with override_settings(KB_FETCH_ALLOW_PRIVATE=["127.0.0.0/8"]):
        hosts.discard()
        yield
    hosts.discard()


@pytest.fixture
def vendor():
    with Vendor() as running:
        yield running


@pytest.fixture
def remote(vendor):
    """A collection whose vectors come from the embedding server."""
    return make_collection(embedding_vendor="openai", embedding_model="m", embedding_endpoint=vendor.url)


def start(collection, plugin="slow_ingest", content=TEXT, name="planets.txt", **params):
    upload = storage.receive(io.BytesIO(content if isinstance(content, bytes) else content.encode()), name)
    defaults = {"seconds": 0, "steps": 1} if plugin == "slow_ingest" else {}
    return preview.submit(collection, plugin, {**defaults, **params}, upload=upload)


def ingest(collection, plugin="slow_ingest", content=TEXT, name="planets.txt", on_duplicate="allow", **params):
    upload = storage.receive(io.BytesIO(content if isinstance(content, bytes) else content.encode()), name)
    defaults = {"seconds": 0, "steps": 1} if plugin == "slow_ingest" else {}
    return services.submit(collection, plugin, {**defaults, **params}, upload=upload, on_duplicate=on_duplicate)


def shown(job):
    return job.processing_stats["preview"]


def files():
    return sorted(path.name for path in storage.root().rglob("*") if path.is_file())


def found(collection):
    collection.refresh_from_db()
    return [row["data"] for row in collections.search(collection, "planet", 20)]


def expire(*jobs):
    FileRegistry.objects.filter(pk__in=[job.pk for job in jobs]).update(created_at=Now() - preview.PREVIEW_KEPT)


# -- What it says -----------------------------------------------------------------------------------


def test_a_preview_says_how_a_source_would_be_cut_and_stores_nothing(remote, vendor):
    job = work(start(remote))
    assert (job.kind, job.status, job.document_count) == (JobKind.PREVIEW, FileStatus.COMPLETED, 0)
    assert (job.progress_message, job.progress_overall) == ("Would make 3 chunks", 100)
    assert shown(job)["chunks"] == 3
    assert shown(job)["sizes"]["max"] == len("Mercury is the smallest planet.")
    assert [chunk["text"] for chunk in shown(job)["first"]] == TEXT.split("\n\n")
    assert shown(job)["first"][0]["metadata"]["source"] == "slow"
    assert shown(job)["note"] is None
    assert vendor.received == []
    assert not Document.objects.exists()
    assert found(remote) == []
    assert list(storage.work_folder(job.storage_key).iterdir()) == []


def test_a_preview_that_makes_no_chunks_is_told_why():
    job = work(start(make_collection(), plugin="simple_ingest", content=b"   "))
    assert (job.status, job.error_code) == (FileStatus.FAILED, "no_text")


def test_a_preview_neither_replaces_nor_keeps_out_a_duplicate():
    collection = make_collection()
    old = work(ingest(collection))
    work(start(collection))
    assert len(found(collection)) == 3
    with pytest.raises(DuplicateFound) as caught:
        ingest(collection, on_duplicate="skip")
    assert caught.value.job.pk == old.pk
    services.delete(old)
    assert ingest(collection, on_duplicate="skip").pk  # the preview does not have the source
    newer = ingest(collection, on_duplicate="replace")
    assert not same_source(collection, "slow_ingest", newer.source_hash).filter(kind=JobKind.PREVIEW).exists()


# -- Where it is not seen ---------------------------------------------------------------------------


def previews_in_all_statuses(collection):
    done = work(start(collection))
    jobs = {FileStatus.COMPLETED: done}
    for status in (FileStatus.FAILED, FileStatus.CANCELLED, FileStatus.DELETED, FileStatus.PROCESSING):
        jobs[status] = start(collection)
        bring_to(jobs[status], status)
    jobs[FileStatus.PENDING] = start(collection)
    return jobs


def test_previews_are_in_no_list_count_group_or_choice():
    collection = make_collection()
    previews_in_all_statuses(collection)
    assert not JobCount.objects.filter(jobs__gt=0).exists()
    assert set(jobs_by_status().values()) == {0}
    counts = reads.counts(collection.pk)
    assert counts is not None
    assert counts.total == 0
    assert reads.rows(collection.pk, limit=50) == []
    assert reads.latest_failures(collection.pk) == []
    assert reads.longest_running(collection.pk) is None
    for wanted in ({}, {"status": "failed"}, {"kind": "ingestion"}, {"collection": [collection.pk]}):
        assert not chosen(wanted).exists(), wanted
    assert failures.groups() == []
    assert list(bulk.retry(chosen({}).failed())) == []
    assert not prune.ended_jobs(list(prune.PRUNABLE), Now() + timedelta(days=1)).exists()


def test_previews_are_found_where_their_kind_is_asked_for():
    jobs = previews_in_all_statuses(make_collection())
    assert set(chosen({"kind": "preview"})) == set(jobs.values())
    for status, job in jobs.items():
        assert chosen({"kind": "preview", "status": status}).get() == job
    both = chosen({"kind": "preview", "status": "failed,completed"})
    assert set(both) == {jobs[FileStatus.FAILED], jobs[FileStatus.COMPLETED]}
    assert failures.groups({"kind": "preview"})[0].jobs == 1


def test_previews_are_in_no_figure():
    collection = make_collection()
    work(start(collection, plugin="bad_ingest"))
    previews_in_all_statuses(collection)
    assert not Tally.objects.exclude(metric="kb_rescues").exists()
    text = metrics.exposition()[0].decode()
    assert 'kb_queue_jobs{state="due"} 0.0' in text
    assert 'kb_queue_jobs{state="waiting"} 0.0' in text
    assert "kb_jobs{" not in text
    assert (outlook.read_samples("slow_ingest"), outlook.read_seconds()) == ([], [])


def test_counts_are_right_beside_previews_through_every_move():
    collection = make_collection()
    for status in FileStatus.values:
        make_job(collection, status)
    previews = previews_in_all_statuses(collection)
    counts = reads.counts(collection.pk)
    assert counts is not None
    assert counts.by_status == dict.fromkeys(FileStatus.values, 1)
    for job in previews.values():
        services.delete(job)
    FileRegistry.objects.all().delete()
    counts = reads.counts(collection.pk)
    assert counts is not None
    assert counts.total == 0


# -- Its place in the queue -------------------------------------------------------------------------


def test_a_preview_goes_before_ingestions_and_is_counted_by_those_behind_it():
    collection = make_collection()
    first = ingest(collection)
    waiting = start(collection)
    shown_first = reads.job(collection.pk, first.pk)
    assert shown_first is not None
    assert shown_first["queue_position"] == 2
    work(waiting)
    work(first)


def test_of_many_previews_of_one_owner_only_some_go_first():
    collection = make_collection()
    priorities = [start(collection).priority for _ in range(preview.HURRIED + 2)]
    assert priorities == [preview.PRIORITY] * preview.HURRIED + [0, 0]
    assert start(make_collection("others", owner="bo")).priority == preview.PRIORITY
    work(FileRegistry.objects.filter(owner="ana").order_by("pk")[0])
    assert start(collection).priority == preview.PRIORITY


# -- The source of another job ----------------------------------------------------------------------


@pytest.mark.parametrize("first", [start, ingest])
def test_another_preview_of_the_same_source_needs_no_upload_and_no_conversion(first):
    collection = make_collection()
    one = work(first(collection, "markitdown_ingest", REPORT, "report.docx", chunk_size=2000))
    assert "kept from an earlier run" not in str(one.processing_stats["stage_timings"])
    other = work(preview.submit(collection, "", {"chunk_size": 200, "chunk_overlap": 0}, source_job=one))
    assert other.status == FileStatus.COMPLETED, other.error_message
    assert "kept from an earlier run" in str(other.processing_stats["stage_timings"])
    assert (other.original_filename, other.file_size) == ("report.docx", len(REPORT))
    assert other.plugin_params["chunk_size"] == 200
    assert shown(other)["chunks"] > one.progress_total
    assert shown(other)["sizes"]["max"] <= 200


def test_an_ingestion_starts_from_what_its_preview_has_converted():
    collection = make_collection()
    work(start(collection, "markitdown_ingest", REPORT, "report.docx"))
    job = work(ingest(collection, "markitdown_ingest", REPORT, "report.docx", chunk_size=300, chunk_overlap=0))
    assert job.status == FileStatus.COMPLETED
    assert "kept from an earlier run" in str(job.processing_stats["stage_timings"])


def test_what_is_shared_outlives_the_job_that_it_came_from():
    collection = make_collection()
    one = work(start(collection, content=TEXT))
    other = preview.submit(collection, "", {}, source_job=one)
    assert other.storage_key != one.storage_key
    services.delete(one)
    assert files() == [f"{other.storage_key}.txt"]
    assert shown(work(other))["chunks"] == 3


def test_another_plugin_reads_the_same_source_with_parameters_of_its_own():
    collection = make_collection()
    one = work(start(collection))
    other = work(preview.submit(collection, "simple_ingest", {"chunk_size": 40, "chunk_overlap": 0}, source_job=one))
    assert other.status == FileStatus.COMPLETED, other.error_message
    assert "seconds" not in other.plugin_params
    assert shown(other)["sizes"]["max"] <= 40


def test_a_source_that_is_gone_is_told_and_leaves_nothing():
    collection = make_collection()
    deleted, lost, address = start(collection), start(collection), make_job(collection)
    deleted.delete_softly()
    deleted.refresh_from_db()
    (storage.root() / lost.file_path).unlink()
    before = FileRegistry.objects.count()
    for job in (deleted, lost):
        with pytest.raises(WrongState, match="no longer on the server"):
            preview.submit(collection, "", {}, source_job=job)
    with pytest.raises(WrongPluginKind):
        preview.submit(collection, "simple_ingest", {}, source_job=address)
    assert FileRegistry.objects.count() == before
    assert len(list(storage.root().glob("??/*"))) == 2


def test_a_job_of_another_collection_lends_nothing():
    with pytest.raises(WrongState, match="another collection"):
        preview.submit(make_collection("other"), "", {}, source_job=start(make_collection()))
    assert FileRegistry.objects.count() == 1


def test_of_a_source_that_is_deleted_at_this_moment_all_is_read_or_nothing_begun():
    collection = make_collection()
    taken = []

    def again(job):
        with suppress(WrongState):
            taken.append(preview.submit(collection, "", {}, source_job=job))

    for _ in range(8):
        job = start(collection)
        race(lambda job=job: services.delete(job), lambda job=job: again(job))
    for job in taken:
        assert (storage.root() / job.file_path).read_text() == TEXT
    assert FileRegistry.objects.count() == len(taken)


# -- What has to be fetched -------------------------------------------------------------------------


@pytest.fixture
def site():
    with Site() as running:
        for number in range(10):
            running.article(f"/{number}", f"The text of page {number}, long enough to be read.", f"/{number + 1}")
        yield running


def test_a_crawl_is_previewed_by_its_first_pages(site):
    collection = make_collection()
    params = {"url": f"{site.url}/0", "delay": 0, "limit": 50, "max_discovery_depth": 9}
    job = preview.submit(collection, "url_ingest", params, name=site.url, url=site.url)
    assert job.plugin_params["limit"] == preview.MOST_SOURCES
    assert job.progress_message == f"Queued. {preview.ONLY_SOME}"
    job = work(job)
    assert job.status == FileStatus.COMPLETED, job.error_message
    assert job.processing_stats["pages"]["read"] == preview.MOST_SOURCES
    assert shown(job)["note"] == preview.ONLY_SOME
    again = preview.submit(collection, "", {"chunk_size": 300}, source_job=job)
    assert again.plugin_params["url"] == f"{site.url}/0"
    assert (again.original_filename, again.file_path) == (f"{site.url}/0", "")
    assert work(again).status == FileStatus.COMPLETED


def test_of_many_addresses_the_first_are_previewed(site):
    addresses = [f"{site.url}/{number}" for number in range(8)]
    named = {"url": f"{site.url}/9", "urls": addresses, "delay": 0, "max_discovery_depth": 0}
    job = preview.submit(make_collection(), "url_ingest", named, name=site.url, url=site.url)
    assert (job.plugin_params["url"], job.plugin_params["urls"]) == (f"{site.url}/9", addresses[:2])
    videos = {"video_url": "abcdefghijk bbcdefghijk", "video_urls": ["cbcdefghijk", "dbcdefghijk"]}
    job = preview.submit(make_collection("videos"), "youtube_transcript_ingest", videos, name="v")
    assert job.plugin_params["video_url"].split() == ["abcdefghijk", "bbcdefghijk"]
    assert job.plugin_params["video_urls"] == ["cbcdefghijk"]


@pytest.mark.parametrize("name", ["list.txt", "list.csv", "list.srt", "list"])
def test_a_list_of_addresses_in_a_file_is_not_previewed(name):
    with pytest.raises(WrongPluginKind):
        start(make_collection(), "url_ingest", "https://a.example/\nhttps://b.example/", name)
    assert not FileRegistry.objects.exists()


def test_subtitles_in_a_file_are_previewed():
    job = start(
        make_collection(), "youtube_transcript_ingest", "1\n00:00:01,000 --> 00:00:04,000\nHello.\n", "talk.srt"
    )
    assert shown(work(job))["chunks"] == 1
    assert shown(job)["note"] is None


# -- When it is stopped, or its worker dies ---------------------------------------------------------


def test_a_preview_is_cancelled_while_it_runs_and_leaves_nothing_but_its_source():
    job = start(make_collection(), seconds=60, steps=100)

    def cancel():
        until(lambda: FileRegistry.objects.filter(pk=job.pk, progress_total__gt=0).exists())
        services.cancel(FileRegistry.objects.get(pk=job.pk))
        connection.close()

    thread = threading.Thread(target=cancel)
    thread.start()
    work(job)
    thread.join()
    assert (job.status, job.processing_stats) == (FileStatus.CANCELLED, None)
    assert files() == [f"{job.storage_key}.txt"]


def test_a_preview_whose_worker_died_is_run_again_and_the_dead_run_writes_nothing():
    job = start(make_collection())
    dead = worker.claim_next(None)
    assert dead is not None
    assert dead.run_id is not None
    assert dead.lose_lease("its process died", process_is_dead=True)
    job = work(job)
    assert (job.status, job.attempt, shown(job)["chunks"]) == (FileStatus.COMPLETED, 2, 3)
    assert not dead.complete(dead.run_id, 7, "too late")
    assert not Document.objects.exists()


def test_a_preview_is_not_retried():
    job = start(make_collection())
    bring_to(job, FileStatus.FAILED)
    with pytest.raises(WrongState, match="new one"):
        services.retry(job)
    (outcome,) = bulk.retry(FileRegistry.objects.filter(pk=job.pk), dry_run=True)
    assert not outcome.done


# -- Its end ----------------------------------------------------------------------------------------


def test_an_hour_later_every_preview_is_gone_with_its_files_and_its_diary():
    collection = make_collection()
    kept = ingest(collection)
    previews = previews_in_all_statuses(collection)
    Kept(storage.folder(previews[FileStatus.COMPLETED].storage_key) / FOLDER).put("pages", ["one"])
    housekeeping.expire_previews()
    assert FileRegistry.objects.previews().count() == len(previews)
    expire(*previews.values())
    housekeeping.expire_previews()  # cancels those that are live
    housekeeping.expire_previews()
    assert FileRegistry.objects.get() == kept
    assert set(JobEvent.objects.values_list("job_id", flat=True)) == {kept.pk}
    assert files() == [f"{kept.storage_key}.txt"]


def test_a_preview_that_expires_while_it_runs_is_stopped_first():
    job = start(make_collection(), seconds=60, steps=100)

    def expire_it():
        until(lambda: FileRegistry.objects.filter(pk=job.pk, progress_total__gt=0).exists())
        expire(job)
        housekeeping.expire_previews()
        connection.close()

    thread = threading.Thread(target=expire_it)
    thread.start()
    work(job)
    thread.join()
    assert job.status == FileStatus.CANCELLED
    housekeeping.expire_previews()
    assert not FileRegistry.objects.exists()
    assert not JobEvent.objects.exists()
    assert files() == []


def test_a_preview_that_is_deleted_takes_its_diary_along():
    job = work(start(make_collection()))
    services.delete(job)
    assert not JobEvent.objects.filter(job_id=job.pk).exists()
    assert files() == []


def test_previews_of_a_deleted_collection_go_with_it():
    collection = make_collection()
    job = start(collection)
    deletion = services.delete_collection(collection)
    assert deletion.files == []
    housekeeping.reap_collections()
    assert not FileRegistry.objects.filter(pk=job.pk).exists()
    assert not JobEvent.objects.filter(job_id=job.pk).exists()
    assert files() == []
