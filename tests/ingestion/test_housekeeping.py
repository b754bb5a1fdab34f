"""What is removed, and what must not be."""

import uuid
from datetime import timedelta

import numpy as np
import pytest
from django.db import transaction
from django.db.models.functions import Now
from django.utils import timezone

from collections_app import services as collections
from collections_app.models import Chunk, ChunkVector, Collection, Document, VendorState
from ingestion import housekeeping, services
from ingestion.models import FileRegistry, FileStatus, JobCount, JobEvent
from tests.ingestion.factories import make_collection, make_job

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def own_files(settings, tmp_path):
    settings.MEDIA_ROOT = tmp_path / "files"


def store(job, chunks=3, published=False):
    with transaction.atomic():
        document = collections.begin_document(job.collection, job.pk, job.run_id or uuid.uuid4(), "key")
        vectors = np.eye(chunks, 4, dtype=np.float32)
        collections.store_batch(document, 0, [{"text": f"{n}", "metadata": {}} for n in range(chunks)], vectors)
        if published:
            collections.publish(document)
    Document.objects.filter(pk=document.pk).update(created_at=Now() - timedelta(minutes=1))
    return document


def sweep():
    while housekeeping.sweep(seconds=0.2):
        pass


def test_what_a_cancelled_job_stored_is_reaped_to_the_last_row():
    job = make_job(make_collection(), FileStatus.PROCESSING)
    store(job)
    services.cancel(job)
    sweep()
    assert (Document.objects.count(), Chunk.objects.count(), ChunkVector.objects.count()) == (0, 0, 0)


@pytest.mark.parametrize("status", [FileStatus.PROCESSING, FileStatus.FAILED])
def test_what_a_run_may_still_go_on_from_is_kept(status):
    job = make_job(make_collection(), FileStatus.PROCESSING)
    store(job)
    if status == FileStatus.FAILED:
        job.fail(job.run_id, "vendor_unavailable", "Down.")
    sweep()
    assert Chunk.objects.count() == 3


def test_what_a_failed_job_stored_goes_after_a_day():
    job = make_job(make_collection(), FileStatus.PROCESSING)
    store(job)
    job.fail(job.run_id, "vendor_unavailable", "Down.")
    FileRegistry.objects.filter(pk=job.pk).update(updated_at=Now() - timedelta(hours=25))
    sweep()
    assert Chunk.objects.count() == 0


def test_a_document_whose_job_is_gone_is_withdrawn_unless_it_has_just_begun():
    job = make_job(make_collection(), FileStatus.PROCESSING)
    document = store(job)
    FileRegistry.objects.filter(pk=job.pk).delete()
    Document.objects.filter(pk=document.pk).update(created_at=Now())
    sweep()
    assert Chunk.objects.count() == 3
    Document.objects.filter(pk=document.pk).update(created_at=Now() - timedelta(minutes=1))
    sweep()
    assert Chunk.objects.count() == 0


def test_published_documents_are_left_alone():
    job = make_job(make_collection(), FileStatus.PROCESSING)
    store(job, published=True)
    job.complete(job.run_id, 3, "3 chunks added")
    sweep()
    assert Chunk.objects.count() == 3


def test_a_deleted_collection_goes_with_its_jobs_and_keeps_its_diary():
    collection, other = make_collection(), make_collection("other")
    running = make_job(collection, FileStatus.PROCESSING)
    store(running)
    done = make_job(collection, FileStatus.PROCESSING)
    store(done, published=True)
    done.complete(done.run_id, 3, "3 chunks added")
    kept = make_job(other)

    deletion = services.delete_collection(collection, by="ana")

    assert deletion.chunks == 6
    running.refresh_from_db()
    assert running.status == FileStatus.CANCELLED
    assert not Collection.objects.live().filter(pk=collection.pk).exists()
    sweep()
    assert list(Collection.objects.values_list("pk", flat=True)) == [other.pk]
    assert list(FileRegistry.objects.values_list("pk", flat=True)) == [kept.pk]
    assert not JobCount.objects.filter(collection_id=collection.pk).exists()
    assert Chunk.objects.count() == 0
    assert JobEvent.objects.filter(job_id=running.pk).exists()


def test_a_job_submitted_while_its_collection_was_deleted_is_stopped_too():
    collection = make_collection()
    services.delete_collection(collection)
    late = make_job(collection)
    sweep()
    assert not FileRegistry.objects.filter(pk=late.pk).exists()
    assert not Collection.objects.filter(pk=collection.pk).exists()


def test_deleting_a_collection_twice_does_nothing_the_second_time():
    collection = make_collection()
    make_job(collection)
    services.delete_collection(collection)
    assert services.delete_collection(collection).chunks == 0


def test_the_name_of_a_deleted_collection_is_free_at_once():
    collection = make_collection("notes")
    services.delete_collection(collection)
    assert make_collection("notes").pk > collection.pk


def test_what_waits_for_a_far_time_after_the_clock_was_set_back_is_tried_now():
    collection = make_collection()
    far, near = make_job(collection), make_job(collection)
    FileRegistry.objects.filter(pk=far.pk).update(not_before=Now() + timedelta(days=3))
    FileRegistry.objects.filter(pk=near.pk).update(not_before=Now() + timedelta(minutes=10))
    VendorState.objects.create(key="a", vendor="openai", failures=4, open_until=Now() + timedelta(days=3))
    VendorState.objects.create(key="b", vendor="openai", failures=4, open_until=Now() + timedelta(minutes=5))
    version = FileRegistry.objects.get(pk=far.pk).version
    housekeeping.bring_near()
    assert list(FileRegistry.objects.due()) == [far]
    assert FileRegistry.objects.get(pk=far.pk).version > version  # readers see it by their ETag
    assert VendorState.objects.get(key="a").open_until <= timezone.now()
    assert VendorState.objects.get(key="b").open_until > timezone.now()
