"""Jobs in every status, made by the moves that make them in real life."""

from typing import Any

from collections_app.models import Collection
from ingestion import worker
from ingestion.models import FileRegistry, FileStatus


def make_collection(name: str = "notes", owner: str = "ana", **fields: Any) -> Collection:
    defaults = {"embedding_vendor": "local", "embedding_model": "wordllama-l2-supercat-256"}
    return Collection.objects.create(name=name, owner=owner, **{**defaults, **fields})


def make_job(collection: Collection, status: str = FileStatus.PENDING, **fields: Any) -> FileRegistry:
    defaults: dict[str, Any] = {
        "original_filename": "report.txt",
        "plugin_name": "simple_ingest",
        "plugin_params": {"chunk_size": 1000},
        "owner": collection.owner,
        "content_hash": "0" * 64,
    }
    job = FileRegistry.objects.create(collection=collection, **{**defaults, **fields})
    bring_to(job, status)
    return job


def bring_to(job: FileRegistry, status: str) -> None:
    if status in {FileStatus.PROCESSING, FileStatus.COMPLETED, FileStatus.FAILED}:
        assert job.claim(None)
        assert job.run_id is not None
    if status == FileStatus.COMPLETED:
        assert job.complete(job.run_id, 3, "3 chunks added")
    elif status == FileStatus.FAILED:
        assert job.fail(job.run_id, "corrupt", "The file is damaged.", {"hint": "Upload it again."})
    elif status == FileStatus.CANCELLED:
        assert job.cancel()
    elif status == FileStatus.DELETED:
        assert job.delete_softly()
    job.refresh_from_db()
    assert job.status == status


def work(job: FileRegistry) -> FileRegistry:
    """Claim and run the job once, as a worker would. Needs the fixture ``own_folders``."""
    FileRegistry.objects.filter(pk=job.pk).update(not_before=None)
    claimed = worker.claim_next(None)
    assert claimed is not None
    assert claimed.pk == job.pk
    worker.run_job(claimed)
    job.refresh_from_db()
    return job
