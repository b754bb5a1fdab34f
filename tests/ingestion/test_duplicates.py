"""The same source twice: taken again, answered with the job there is, or put in the old one's place."""

import io
from dataclasses import replace

import pytest
from django.db import connection, transaction

from collections_app import search
from collections_app import services as collections
from collections_app.models import Document
from ingestion import housekeeping, services, storage
from ingestion.duplicates import lock, replaced_by, retire, same_source, source_hash
from ingestion.models import FileRegistry, FileStatus, JobCount, JobEvent
from ingestion.services import DuplicateFound
from plugins.kept import FOLDER, Kept
from plugins.registry import PluginInfo
from tests.ingestion.factories import bring_to, make_collection, work
from tests.support.race import race

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.engine,
    pytest.mark.slow,
    pytest.mark.usefixtures("own_folders"),
]

TEXT = b"Mercury is the smallest planet.\n\nVenus is the hottest."


@pytest.fixture(autouse=True)
def _fresh_search():
    """Ids start anew with each test here, so what the engine remembers would be of other documents."""
    search.engine.cache_clear()


def submit(collection, on_duplicate="allow", content=TEXT, **params):
    upload = storage.receive(io.BytesIO(content), "planets.txt")
    try:
        return services.submit(collection, "simple_ingest", params, upload=upload, on_duplicate=on_duplicate)
    finally:
        upload.close()


def found(collection):
    collection.refresh_from_db()
    return sorted(row["data"] for row in collections.search(collection, "planet", 20))


def files():
    return sorted(path.name for path in storage.root().rglob("*") if path.is_file())


def test_by_default_the_same_file_is_taken_again():
    collection = make_collection()
    one, two = work(submit(collection)), work(submit(collection))
    assert one.status == two.status == FileStatus.COMPLETED
    assert len(found(collection)) == 2


@pytest.mark.parametrize("status", [FileStatus.PENDING, FileStatus.PROCESSING, FileStatus.COMPLETED])
def test_skip_names_the_job_that_has_the_source_and_keeps_nothing(status):
    collection = make_collection()
    first = submit(collection)
    bring_to(first, status)
    before = files()
    with pytest.raises(DuplicateFound) as caught:
        submit(collection, "skip")
    assert caught.value.job.pk == first.pk
    assert FileRegistry.objects.count() == 1
    assert files() == before


@pytest.mark.parametrize("status", [FileStatus.FAILED, FileStatus.CANCELLED, FileStatus.DELETED])
def test_what_came_to_nothing_does_not_keep_the_source_out(status):
    collection = make_collection()
    bring_to(submit(collection), status)
    assert submit(collection, "skip").pk


def test_skip_tells_bytes_parameters_plugins_and_collections_apart():
    collection = make_collection()
    submit(collection)
    submit(collection, "skip", content=TEXT + b"!")
    submit(collection, "skip", chunk_size=99)
    submit(make_collection("other"), "skip")
    upload = storage.receive(io.BytesIO(TEXT), "planets.txt")
    services.submit(collection, "markitdown_ingest", {}, upload=upload, on_duplicate="skip")
    assert FileRegistry.objects.count() == 5


def test_a_replacement_and_other_moves_of_its_collection_do_not_wait_for_each_other():
    collection = make_collection()
    for _ in range(8):
        bring_to(submit(collection), FileStatus.COMPLETED)
    replacing, failing = [], []
    for _ in range(10):
        replacing.append(submit(collection, "replace"))
        failing.append(submit(collection, content=b"another text"))
    for job in replacing + failing:
        assert job.claim(None)

    def complete():
        for job in replacing:
            with transaction.atomic():
                lock(job)
                job.complete(job.run_id, 0, "done")
                retire(job)

    def fail():
        for job in failing:
            job.fail(job.run_id, "corrupt", "The file is damaged.")

    race(complete, fail)
    assert statuses(*replacing) == ["deleted"] * 9 + ["completed"]


def test_of_many_that_skip_at_once_one_is_taken():
    collection = make_collection()
    taken, refused = [], []

    def take():
        try:
            taken.append(submit(collection, "skip").pk)
        except DuplicateFound as duplicate:
            refused.append(duplicate.job.pk)

    race(*[take] * 6)
    assert len(taken) == 1
    assert refused == taken * 5
    assert len(files()) == 1


def test_the_old_one_serves_until_the_new_one_is_complete():
    collection = make_collection()
    old = work(submit(collection))
    new = submit(collection, "replace", chunk_size=40, chunk_overlap=0)
    assert found(collection) == [TEXT.decode()]
    work(new)
    assert found(collection) == TEXT.decode().split("\n\n")
    old.refresh_from_db()
    assert old.status == FileStatus.DELETED
    assert "replacement" in JobEvent.objects.filter(job_id=old.pk).last().message
    assert [old.pk] in JobEvent.objects.filter(job_id=new.pk).values_list("data__replaced", flat=True)
    assert not storage.folder(old.storage_key).exists()


def test_a_replacement_that_fails_or_is_cancelled_leaves_the_old_one_in_its_place():
    collection = make_collection()
    old = work(submit(collection))
    services.cancel(submit(collection, "replace"))
    failing = submit(collection, "replace")
    (storage.root() / failing.file_path).unlink()
    assert work(failing).status == FileStatus.FAILED
    old.refresh_from_db()
    assert old.status == FileStatus.COMPLETED
    assert found(collection) == [TEXT.decode()]


def test_a_replacement_ends_older_ones_in_any_status_but_never_a_newer_one():
    collection = make_collection()
    waiting, failed = submit(collection), submit(collection)
    bring_to(failed, FileStatus.FAILED)
    waiting_after = submit(collection, "replace")
    newest = submit(collection, "replace")
    FileRegistry.objects.filter(pk=waiting_after.pk).update(priority=1)
    work(waiting_after)
    assert statuses(waiting, failed, waiting_after, newest) == ["deleted", "deleted", "completed", "pending"]
    work(newest)
    assert statuses(waiting_after, newest) == ["deleted", "completed"]
    assert Document.objects.published().get().file_id == newest.pk


def test_a_newer_replacement_that_is_first_ends_the_older_one_for_good():
    collection = make_collection()
    older, newer = submit(collection, "replace"), submit(collection, "replace")
    FileRegistry.objects.filter(pk=newer.pk).update(priority=1)
    work(newer)
    assert statuses(older, newer) == ["deleted", "completed"]


def test_a_replacement_starts_from_what_the_old_one_has_converted():
    collection = make_collection()
    old = work(submit(collection))
    kept = Kept(storage.folder(old.storage_key) / FOLDER)
    kept.put("pages", ["one", "two"])
    new = work(submit(collection, "replace"))
    assert Kept(storage.folder(new.storage_key) / FOLDER).get("pages") == ["one", "two"]


def test_a_cancelled_job_keeps_nothing():
    job = submit(make_collection())
    Kept(storage.folder(job.storage_key) / FOLDER).put("pages", ["one"])
    services.cancel(job)
    assert files() == [f"{job.storage_key}.txt"]


def test_files_that_a_replacement_could_not_remove_are_swept_later(settings, monkeypatch):
    job = submit(make_collection())
    assert job.delete_softly()  # as a process that dies right after its commit leaves it
    monkeypatch.setattr(housekeeping, "STRAY_SECONDS", -1)
    for _ in range(housekeeping.SHELVES):
        housekeeping.sweep_shelf()
    assert not storage.folder(job.storage_key).exists()


PAGES = PluginInfo("p_ingest", "remote-ingest", "", (), {}, True, "url", "p")


def test_addresses_are_one_source_in_any_order_and_form_whatever_placeholder_names_them():
    one = source_hash(
        PAGES, {"urls": ["https://a.example/", "https://b.example/x?b=1&a=2"], "limit": 3}, "aa", "url:a.txt"
    )
    assert one == source_hash(PAGES, {"urls": ["HTTPS://B.example/x?a=2&b=1#top", "a.example"]})
    assert one != source_hash(PAGES, {"url": "https://a.example/"})
    assert source_hash(PAGES, {"chunk_size": 5}, "aa", "list.txt") == "aa"


def test_a_video_is_one_source_in_every_form_of_its_address():
    forms = ["https://youtu.be/abcdefghijk?t=5", "https://www.youtube.com/watch?v=abcdefghijk&list=x", "abcdefghijk"]
    assert len({source_hash(PAGES, {"video_url": form}) for form in forms}) == 1


def test_a_file_is_its_bytes_also_where_an_address_stands_beside_it():
    params = {"video_url": "https://youtu.be/abcdefghijk"}
    assert source_hash(PAGES, params, "aa", "talk.srt") == "aa"
    assert source_hash(replace(PAGES, kind="file-ingest"), {"url": "https://a.example/"}, "aa", "notes.txt") == "aa"


def test_a_retry_with_another_address_is_another_source_and_replaces_nothing():
    collection = make_collection()

    def crawl(address, on_duplicate="allow"):
        named = {"name": address, "url": address, "on_duplicate": on_duplicate}
        return services.submit(collection, "url_ingest", {"url": address}, **named)

    old, new = crawl("https://a.example/"), crawl("https://a.example/", "replace")
    bring_to(old, FileStatus.COMPLETED)
    bring_to(new, FileStatus.FAILED)
    services.retry(new, {"url": "https://b.example/"})
    assert (new.file_url, new.original_filename) == ("https://b.example/", "https://b.example/")
    assert not replaced_by(new).exists()
    with pytest.raises(DuplicateFound) as caught:
        crawl("https://b.example/", "skip")
    assert caught.value.job.pk == new.pk
    later = crawl("https://a.example/", "replace")
    assert [job.pk for job in replaced_by(later)] == [old.pk]


def test_a_retry_with_other_splitting_still_replaces():
    collection = make_collection()
    old, new = submit(collection), submit(collection, "replace")
    bring_to(new, FileStatus.FAILED)
    services.retry(new, {"chunk_size": 300})
    assert [job.pk for job in replaced_by(new)] == [old.pk]


def test_skip_names_no_job_that_is_about_to_be_replaced():
    collection = make_collection()
    old = work(submit(collection))
    submit(collection, "replace", chunk_size=300)
    assert submit(collection, "skip").pk > old.pk


def test_many_duplicates_are_replaced_in_a_few_statements(django_assert_max_num_queries):
    collection = make_collection()
    for _ in range(30):
        submit(collection)
    new = submit(collection, "replace")
    FileRegistry.objects.filter(pk=new.pk).update(priority=1)
    new.claim(None)
    with django_assert_max_num_queries(8), transaction.atomic():
        assert len(retire(new)) == 30
    assert FileRegistry.objects.filter(status=FileStatus.DELETED).count() == 30
    assert JobEvent.objects.filter(kind="deleted").count() == 30
    assert JobCount.objects.get(collection_id=collection.pk, status="deleted").jobs == 30


def test_finding_the_same_source_is_answered_from_its_index():
    found = same_source(make_collection(), "simple_ingest", "aa").exclude(status=FileStatus.DELETED)
    plan = found.explain()
    assert "job_by_source" in plan or connection.vendor != "sqlite"


def statuses(*jobs):
    rows = dict(FileRegistry.objects.values_list("pk", "status"))
    return [rows[job.pk] for job in jobs]
