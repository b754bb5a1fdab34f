"""What is stored and found: collections, the documents in them, their chunks and vectors.

Queries see published documents only. A document is one run's output; it stays invisible until that run completes,
and is withdrawn (never found again, its rows reaped later) when the run ends any other way or a newer one replaces it.
"""

import uuid
from typing import ClassVar

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now


class Visibility(models.TextChoices):
    PRIVATE = "private"
    PUBLIC = "public"


class CollectionQuerySet(models.QuerySet["Collection"]):
    def live(self) -> "CollectionQuerySet":
        """Those that nobody has deleted. A deleted one is gone for every reader; its rows are reaped afterwards."""
        return self.filter(deleted_at__isnull=True)


class Collection(models.Model):
    """A named set of documents that share one embedding model.

    The model is pinned at the first chunk: ``embedding_dimension`` is null until then.
    """

    name = models.CharField(max_length=255)
    description = models.TextField(null=True, blank=True)  # noqa: DJ001  (null and "" are distinct on the wire)
    owner = models.CharField(max_length=255)
    visibility = models.CharField(max_length=10, choices=Visibility, default=Visibility.PRIVATE)
    creation_date = models.DateTimeField(db_default=Now())
    deleted_at = models.DateTimeField(null=True, blank=True)

    embedding_vendor = models.CharField(max_length=20)
    embedding_model = models.CharField(max_length=255)
    embedding_endpoint = models.CharField(max_length=2000, blank=True, default="")
    embedding_api_key = models.TextField(blank=True, default="")  # encrypted; see collections_app.crypto
    embedding_dimension = models.PositiveIntegerField(null=True, blank=True)

    objects: ClassVar[models.Manager["Collection"]] = CollectionQuerySet.as_manager()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["owner", "name"], condition=Q(deleted_at__isnull=True), name="collection_name_per_owner"
            ),
        ]
        indexes: ClassVar = [
            models.Index(fields=["deleted_at"], condition=Q(deleted_at__isnull=False), name="collection_deleted"),
        ]

    def __str__(self) -> str:
        return self.name


class DocumentQuerySet(models.QuerySet["Document"]):
    def published(self) -> "DocumentQuerySet":
        return self.filter(published_at__isnull=False, withdrawn_at__isnull=True)

    def unfinished(self) -> "DocumentQuerySet":
        """Begun by a run, neither published nor given up."""
        return self.filter(published_at__isnull=True, withdrawn_at__isnull=True)

    def withdrawn(self) -> "DocumentQuerySet":
        return self.filter(withdrawn_at__isnull=False)

    def withdraw(self) -> int:
        """Nothing of these is found from now on; the reaper deletes their rows later."""
        return self.filter(withdrawn_at__isnull=True).update(withdrawn_at=Now())


class Document(models.Model):
    """What one run made of one source. At most one document of a file is published."""

    collection = models.ForeignKey(Collection, on_delete=models.PROTECT, related_name="documents")
    file_id = models.BigIntegerField(null=True, blank=True, db_index=True)  # of the job; no arrow runs up
    run_id = models.UUIDField(unique=True, default=uuid.uuid4)
    source_key = models.CharField(max_length=64, blank=True, default="")  # what its chunks were cut from, and how
    chunk_count = models.PositiveIntegerField(default=0)  # stored so far
    created_at = models.DateTimeField(db_default=Now())
    published_at = models.DateTimeField(null=True, blank=True)
    withdrawn_at = models.DateTimeField(null=True, blank=True)

    objects: ClassVar[DocumentQuerySet] = DocumentQuerySet.as_manager()  # type: ignore[assignment]

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["file_id"],
                condition=Q(published_at__isnull=False, withdrawn_at__isnull=True, file_id__isnull=False),
                name="document_one_published_per_file",
            ),
        ]
        indexes: ClassVar = [
            models.Index(
                fields=["collection", "id"],
                condition=Q(published_at__isnull=False, withdrawn_at__isnull=True),
                name="document_published",
            ),
            models.Index(fields=["withdrawn_at"], condition=Q(withdrawn_at__isnull=False), name="document_withdrawn"),
            models.Index(
                fields=["created_at"],
                condition=Q(published_at__isnull=True, withdrawn_at__isnull=True),
                name="document_unfinished",
            ),
        ]

    def __str__(self) -> str:
        return f"document {self.pk} of file {self.file_id}"


class Chunk(models.Model):
    """A passage of a document, as it is found and cited."""

    document = models.ForeignKey(Document, on_delete=models.PROTECT, related_name="chunks", db_index=False)
    position = models.PositiveIntegerField()  # 0-based, in reading order
    text = models.TextField()
    metadata = models.JSONField(default=dict)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["document", "position"], name="chunk_position_once"),
        ]

    def __str__(self) -> str:
        return f"chunk {self.position} of {self.document_id}"


class ChunkVector(models.Model):
    """A chunk's embedding: float32, little-endian, length 1, beside its text so that reading vectors reads no text."""

    chunk = models.OneToOneField(Chunk, on_delete=models.PROTECT, primary_key=True, related_name="vector")
    document = models.ForeignKey(Document, on_delete=models.PROTECT, related_name="vectors")
    vector = models.BinaryField()

    def __str__(self) -> str:
        return f"vector of chunk {self.pk}"


class VendorState(models.Model):
    """The breaker of one embedding vendor and endpoint, shared by all workers.

    Closed while ``open_until`` is null. Open: nobody calls the vendor before ``open_until``; then one caller probes.
    """

    key = models.CharField(max_length=64, primary_key=True)  # SHA-256 of vendor and endpoint
    vendor = models.CharField(max_length=20)
    endpoint = models.CharField(max_length=2000, blank=True, default="")
    failures = models.PositiveIntegerField(default=0)  # in a row
    failing_since = models.DateTimeField(null=True, blank=True)
    open_until = models.DateTimeField(null=True, blank=True)
    last_error = models.CharField(max_length=500, blank=True, default="")
    updated_at = models.DateTimeField(db_default=Now())

    def __str__(self) -> str:
        return f"{self.vendor} {self.endpoint}".strip()
