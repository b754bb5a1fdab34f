"""One example of everything that is answered. Tests hold them against the schema that they illustrate."""

from typing import Any

COLLECTION: dict[str, Any] = {
    "id": 2,
    "name": "handbook",
    "description": "Rules and habits of the house",
    "visibility": "private",
    "owner": "ana",
    "creation_date": "2026-01-31T09:00:00.123456Z",
    "embeddings_model": {
        "model": "wordllama-l2-supercat-256",
        "vendor": "local",
        "api_endpoint": None,
        "apikey_configured": False,
    },
}
FILE: dict[str, Any] = {
    "id": 8,
    "collection_id": 2,
    "original_filename": "lighthouse-guide.pdf",
    "file_path": "1f/1f0c2b6d5e8a4f7f9a3b2c1d0e9f8a7b/1f0c2b6d5e8a4f7f9a3b2c1d0e9f8a7b.pdf",
    "file_url": "http://localhost:9090/static/ana/handbook/1f0c2b6d5e8a4f7f9a3b2c1d0e9f8a7b.pdf?s=Qm9vabcdefghijklmnopqr",
    "file_size": 40210,
    "content_type": "application/pdf",
    "plugin_name": "markitdown_ingest",
    "plugin_params": {"chunk_size": 2000, "chunk_overlap": 200},
    "status": "completed",
    "document_count": 40,
    "created_at": "2026-01-31T09:00:05.000001Z",
    "updated_at": "2026-01-31T09:00:07.500001Z",
    "owner": "ana",
}
JOB: dict[str, Any] = {
    **FILE,
    "job_id": 8,
    "collection_name": "handbook",
    "kind": "ingestion",
    "processing_started_at": "2026-01-31T09:00:05.100001Z",
    "processing_completed_at": "2026-01-31T09:00:07.500001Z",
    "processing_duration_seconds": 2.4,
    "progress": {
        "current": 40,
        "total": 40,
        "percentage": 100.0,
        "message": "40 chunks added",
        "unit": "chunk",
        "overall": 100.0,
    },
    "error_message": None,
    "error_code": None,
    "error_details": None,
    "processing_stats": {
        "content_length": 40210,
        "chunk_stats": {"count": 40, "avg_size": 1005.2, "min_size": 200, "max_size": 1990},
        "stage_timings": [
            {"stage": "conversion", "duration_ms": 1200, "message": "done", "timestamp": "2026-01-31T09:00:06Z"}
        ],
    },
    "attempt": 1,
    "queue_position": None,
    "next_attempt_at": None,
    "waiting_reason": None,
    "eta_seconds": None,
    "eta_low_seconds": None,
    "eta_high_seconds": None,
    "stalled": False,
}
IDLE = {"current": 0, "total": 0, "percentage": 0.0, "message": None, "unit": "stage", "overall": 0.0}
RUNNING: dict[str, Any] = {
    **JOB,
    "status": "processing",
    "document_count": 0,
    "processing_completed_at": None,
    "processing_duration_seconds": None,
    "progress": {**IDLE, "current": 1, "total": 3, "percentage": 33.33, "message": "Converting", "overall": 16.67},
    "processing_stats": None,
    "eta_seconds": 1.5,
    "eta_low_seconds": 1.0,
    "eta_high_seconds": 3.0,
}
WAITING: dict[str, Any] = {
    **RUNNING,
    "status": "pending",
    "processing_started_at": None,
    "progress": {**IDLE, "message": "Queued"},
    "attempt": 0,
    "queue_position": 3,
    "waiting_reason": {"code": "queued", "message": "Behind 2 jobs.", "jobs_ahead": 2, "until": None},
    "eta_seconds": 9.5,
    "eta_low_seconds": 6.0,
    "eta_high_seconds": 19.0,
}
PREVIEW_WAITING: dict[str, Any] = {
    **WAITING,
    "id": 10,
    "job_id": 10,
    "kind": "preview",
    "queue_position": 1,
    "waiting_reason": {"code": "queued", "message": "Next in line.", "jobs_ahead": 0, "until": None},
    "eta_seconds": 1.5,
    "eta_low_seconds": 1.0,
    "eta_high_seconds": 3.0,
}
FAILED: dict[str, Any] = {
    **JOB,
    "status": "failed",
    "document_count": 0,
    "progress": {**IDLE, "current": 1, "total": 3, "percentage": 33.33, "message": "Converting", "overall": 16.67},
    "error_message": "The file is damaged.",
    "error_code": "corrupt",
    "error_details": {"hint": "Open it, save it again, and upload the new file.", "stage": "conversion"},
    "processing_stats": None,
}
CANCELLED: dict[str, Any] = {
    **RUNNING,
    "status": "cancelled",
    "processing_completed_at": "2026-01-31T09:00:06.100001Z",
    "processing_duration_seconds": 1.0,
    "eta_seconds": None,
    "eta_low_seconds": None,
    "eta_high_seconds": None,
}
STATUS = {
    "collection_id": 2,
    "collection_name": "handbook",
    "total_jobs": 3,
    "by_status": {"pending": 0, "processing": 1, "completed": 1, "failed": 1, "cancelled": 0, "deleted": 0},
    "currently_processing": 1,
    "recent_failures": [FAILED],
    "oldest_processing_job": RUNNING,
}
DIARY = {
    "items": [
        {
            "id": 21,
            "at": "2026-01-31T09:00:05.000001Z",
            "kind": "submitted",
            "attempt": 0,
            "message": "Submitted",
            "data": None,
        }
    ],
    "total": 1,
    "after": 0,
    "limit": 200,
    "has_more": False,
}
OUTCOMES = {
    "dry_run": False,
    "done": 1,
    "refused": 1,
    "items": [
        {"job_id": 8, "collection_id": 2, "done": True, "status": "pending", "detail": None},
        {"job_id": 9, "collection_id": None, "done": False, "status": None, "detail": "There is no such job."},
    ],
    "has_more": False,
    "after": 8,
}
FAILURES = {
    "total": 1,
    "groups": [
        {
            "group": "vendor_timeout:5c1f0a9e",
            "error_code": "vendor_timeout",
            "message": "The embedding service did not answer in 30 seconds.",
            "hint": "Check that it runs.",
            "jobs": 412,
            "first_at": "2026-01-31T09:00:07.500001Z",
            "last_at": "2026-01-31T09:20:07.500001Z",
            "example": {
                "job_id": 8,
                "collection_id": 2,
                "collection_name": "handbook",
                "original_filename": "lighthouse-guide.pdf",
                "plugin_name": "markitdown_ingest",
            },
            "remedy": {
                "action": "mend_vendor",
                "message": "Check that the embedding service runs and can be reached, then retry them all.",
                "override_params": {},
            },
        }
    ],
}
RECEIPT = {
    "collection_id": 2,
    "collection_name": "handbook",
    "documents_added": 0,
    "success": True,
    "status": "processing",
    "skipped": False,
    "id": 8,
    "job_id": 8,
    "file_registry_id": 8,
    "file_path": FILE["file_path"],
    "file_url": FILE["file_url"],
    "original_filename": "lighthouse-guide.pdf",
    "plugin_name": "markitdown_ingest",
}
ADDRESS_RECEIPT = {
    **RECEIPT,
    "file_path": "",
    "file_url": "https://example.org/",
    "original_filename": "https://example.org/",
    "plugin_name": "url_ingest",
}
DOCUMENTS_RECEIPT = {
    "collection_id": 2,
    "collection_name": "handbook",
    "documents_added": 1,
    "success": True,
    **dict.fromkeys(("status", "file_path", "file_url", "original_filename", "plugin_name", "file_registry_id")),
}
QUERY_ANSWER = {
    "results": [
        {
            "similarity": 0.8123,
            "data": "The lamp is lit at dusk.",
            "metadata": {"filename": "lighthouse-guide.pdf", "page": 3, "chunk_index": 7},
        }
    ],
    "count": 1,
    "timing": {"total_seconds": 0.0123, "total_ms": 12.3},
    "query": "When is the lamp lit?",
}
COLLECTION_DELETED = {
    "id": 2,
    "name": "handbook",
    "deleted_embeddings": 40,
    "chroma_collection": None,
    "removed_files": [FILE["file_path"]],
    "status": "deleted",
}
FILE_DELETED = {
    "file_id": 8,
    "collection_id": 2,
    "deleted_embeddings": 40,
    "removed_files": [FILE["file_path"]],
    "status": "deleted",
}
FILE_CONTENT = {
    "file_id": 8,
    "original_filename": "lighthouse-guide.pdf",
    "content": "# The lighthouse\n\nThe lamp is lit at dusk.",
    "content_type": "markdown",
    "chunk_count": 1,
    "timestamp": "2026-01-31T09:00:07.500001Z",
}
EMBEDDINGS_CONFIG = {
    "vendor": "openai",
    "model": "text-embedding-3-small",
    "api_endpoint": None,
    "apikey_configured": True,
    "apikey_masked": "sk-a********************************3456",
    "config_source": "file",
}
OWNER_KEY_CHANGED = {
    "total": 1,
    "updated": 1,
    "failed": 0,
    "collections": [{"id": 2, "name": "handbook"}],
    "error": None,
}
READY = {
    "status": "ready",
    "checks": [
        {"name": "database", "ok": True, "detail": "It answers."},
        {"name": "workers", "ok": True, "detail": "3 of 3 workers live."},
    ],
}
NOT_READY = {
    "status": "not_ready",
    "checks": [
        {"name": "database", "ok": True, "detail": "It answers."},
        {"name": "workers", "ok": False, "detail": "0 of 3 workers live."},
    ],
}
METRICS = 'kb_jobs{status="failed"} 3.0\n'
DATABASE = {
    "sqlite_status": {"initialized": True, "schema_valid": True, "errors": []},
    "chromadb_status": {"initialized": True, "collections_count": 2},
    "collections_count": 2,
}
PLUGIN = {
    "name": "simple_ingest",
    "kind": "file-ingest",
    "description": "Plain text, split into chunks",
    "supported_file_types": ["html", "md", "txt"],
    "parameters": {
        "chunk_size": {"type": "integer", "default": 1000, "min": 1, "description": "Size of a chunk"},
    },
    "supports_progress": True,
    "progress_unit": "stage",
}
