"""The job row and its whole state machine, its diary, and the workers that hold jobs.

    pending ── claim ──▶ processing ── complete ──▶ completed
       ▲  ▲                │  │  └──── fail ──────▶ failed ── retry ──▶ pending
       │  └── postpone ────┘  └─────── cancel ────▶ cancelled         (also from pending)
       └──── lose_lease, release        any ── delete ──▶ deleted

Each move is one guarded UPDATE with its diary entry in the same transaction. A move returns False when no row
matched: another hand was first, and nothing was written. Whoever runs a job says its ``run_id`` in every write, so a
run that lost its lease cannot touch the job again.
"""

import uuid
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, ClassVar, Self

from django.conf import settings
from django.db import models, transaction
from django.db.models import Case, F, Q, When
from django.db.models.functions import Coalesce, Greatest, Now

from collections_app.models import Collection
from ingestion.fingerprint import fingerprint


class FileStatus(models.TextChoices):
    PENDING = "pending"
    PROCESSING = "processing"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    DELETED = "deleted"


LIVE = (FileStatus.PENDING, FileStatus.PROCESSING)
ENDED = (FileStatus.COMPLETED, FileStatus.FAILED, FileStatus.CANCELLED)
MESSAGE_LENGTH = 255


class JobKind(models.TextChoices):
    INGESTION = "ingestion"
    PREVIEW = "preview"  # shows how a source would be cut, stores nothing; see ingestion.preview


class ProgressUnit(models.TextChoices):
    STAGE = "stage"
    URL = "url"
    VIDEO = "video"
    CHUNK = "chunk"


class Worker(models.Model):
    """A process that runs jobs. Pid and start time together name it for good, on its host and boot."""

    host = models.CharField(max_length=255)
    boot_id = models.CharField(max_length=64)
    pid = models.PositiveIntegerField()
    process_started = models.FloatField()  # see plugins.process.started_at
    supervisor = models.CharField(max_length=32, blank=True, default="")
    started_at = models.DateTimeField(db_default=Now())
    beat_at = models.DateTimeField(db_default=Now())
    stopped_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["host", "boot_id", "pid", "process_started"], name="worker_once"),
        ]
        indexes: ClassVar = [
            models.Index(fields=["beat_at"], condition=Q(stopped_at__isnull=True), name="worker_living"),
        ]

    def __str__(self) -> str:
        return f"{self.host}:{self.pid}"


class JobQuerySet(models.QuerySet["FileRegistry"]):
    def pending(self) -> Self:
        return self.filter(status=FileStatus.PENDING)

    def due(self) -> Self:
        """Pending, and not waiting for its next automatic try."""
        return self.pending().filter(Q(not_before__isnull=True) | Q(not_before__lte=Now()))

    def processing(self) -> Self:
        return self.filter(status=FileStatus.PROCESSING)

    def live(self) -> Self:
        return self.filter(status__in=LIVE)

    def failed(self) -> Self:
        return self.filter(status=FileStatus.FAILED)

    def expired(self) -> Self:
        """Processing, but nobody has prolonged the lease in time."""
        return self.processing().filter(lease_until__lt=Now())

    def of_live_collections(self) -> Self:
        """Those of a deleted collection are gone for every reader; their rows are reaped afterwards."""
        return self.filter(collection__deleted_at__isnull=True)

    def previews(self) -> Self:
        return self.filter(kind=JobKind.PREVIEW)

    def ingestions(self) -> Self:
        """What people mean by jobs: all but previews.

        By their ids, of which there are few at any time, and not by a condition on the kind: that would have SQLite
        walk the index that begins with it, and read rows where another index answers alone.
        """
        return self.exclude(pk__in=FileRegistry.objects.previews().values("pk"))

    def in_queue_order(self) -> Self:
        return self.order_by("-priority", "id")


def changed() -> dict[str, Any]:
    """What every change that a reader can see writes too."""
    return {"updated_at": Now(), "version": F("version") + 1}


class FileRegistry(models.Model):
    """One uploaded file or fetched source, and the job that ingests it."""

    collection = models.ForeignKey(Collection, on_delete=models.PROTECT, related_name="files", db_index=False)
    original_filename = models.CharField(max_length=255)
    file_path = models.CharField(max_length=500, blank=True, default="")  # inside the file storage
    file_url = models.CharField(max_length=2000, blank=True, default="")  # of a source that is a web address
    file_size = models.BigIntegerField(default=0)
    content_type = models.CharField(max_length=255, null=True, blank=True)  # noqa: DJ001  (null on the wire)
    plugin_name = models.CharField(max_length=100)
    plugin_params = models.JSONField(default=dict, blank=True)
    status = models.CharField(max_length=20, choices=FileStatus, default=FileStatus.PENDING)
    document_count = models.PositiveIntegerField(default=0)
    owner = models.CharField(max_length=255)
    created_at = models.DateTimeField(db_default=Now())
    updated_at = models.DateTimeField(db_default=Now())

    # Tracking. Each column that is not null has a default in the database too, so that adding it to a table of a
    # million rows is a change of the catalogue and not a copy of the table.
    kind = models.CharField(
        max_length=20, choices=JobKind, default=JobKind.INGESTION, db_default=JobKind.INGESTION.value
    )
    version = models.BigIntegerField(default=0, db_default=0)  # grows with each change that a reader can see
    storage_key = models.CharField(max_length=32, null=True, blank=True)  # noqa: DJ001  (unique where set)
    content_hash = models.CharField(max_length=64, blank=True, default="", db_default="")  # SHA-256 of the bytes
    source_hash = models.CharField(max_length=64, blank=True, default="", db_default="")  # see ingestion.duplicates
    sent_with = models.JSONField(null=True, blank=True)  # of a preview: further addresses, see ingestion.preview
    replaces_duplicates = models.BooleanField(default=False, db_default=False)  # when it completes
    processing_started_at = models.DateTimeField(null=True, blank=True)
    processing_completed_at = models.DateTimeField(null=True, blank=True)
    progress_current = models.IntegerField(default=0, db_default=0)
    progress_total = models.IntegerField(default=0, db_default=0)
    progress_message = models.CharField(max_length=MESSAGE_LENGTH, blank=True, default="", db_default="")
    progress_unit = models.CharField(
        max_length=10, choices=ProgressUnit, default=ProgressUnit.STAGE, db_default=ProgressUnit.STAGE.value
    )
    stage_started_at = models.DateTimeField(null=True, blank=True)  # when progress_unit came to be what it is
    progress_overall = models.FloatField(default=0, db_default=0.0)  # 0-100, never falls within a run
    error_message = models.TextField(null=True, blank=True)  # noqa: DJ001  (null on the wire)
    error_details = models.JSONField(null=True, blank=True)
    error_code = models.CharField(max_length=50, blank=True, default="", db_default="")
    error_fingerprint = models.CharField(max_length=12, blank=True, default="", db_default="")  # of error_message
    processing_stats = models.JSONField(null=True, blank=True)
    priority = models.SmallIntegerField(default=0, db_default=0)  # higher first
    attempt = models.PositiveIntegerField(default=0, db_default=0)  # runs begun
    lost_leases = models.PositiveIntegerField(default=0, db_default=0)
    transient_failures = models.PositiveIntegerField(default=0, db_default=0)
    run_id = models.UUIDField(null=True, blank=True)
    worker = models.ForeignKey(
        Worker, on_delete=models.SET_NULL, null=True, blank=True, related_name="jobs", db_index=False
    )
    lease_until = models.DateTimeField(null=True, blank=True)
    heartbeat_at = models.DateTimeField(null=True, blank=True)
    not_before = models.DateTimeField(null=True, blank=True)
    postponed_since = models.DateTimeField(null=True, blank=True)  # first of the automatic tries in a row

    objects: ClassVar[JobQuerySet] = JobQuerySet.as_manager()  # type: ignore[assignment]

    class Meta:
        verbose_name = "job"
        permissions = (("retry_fileregistry", "Can retry jobs"), ("cancel_fileregistry", "Can cancel jobs"))
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["storage_key"], condition=Q(storage_key__isnull=False), name="job_storage_key_once"
            ),
            models.CheckConstraint(
                name="job_ended_has_end_time",
                condition=Q(status=FileStatus.DELETED)
                | Q(status__in=ENDED, processing_completed_at__isnull=False)
                | Q(status__in=LIVE, processing_completed_at__isnull=True),
            ),
            models.CheckConstraint(
                name="job_progress_within_total",
                condition=Q(progress_total__lte=0, progress_current__gte=0)
                | Q(progress_current__gte=0, progress_current__lte=F("progress_total")),
            ),
            models.CheckConstraint(
                name="job_overall_is_percentage", condition=Q(progress_overall__gte=0, progress_overall__lte=100)
            ),
            models.CheckConstraint(
                name="job_processing_has_lease",
                condition=Q(status=FileStatus.PROCESSING, run_id__isnull=False, lease_until__isnull=False)
                | (~Q(status=FileStatus.PROCESSING) & Q(lease_until__isnull=True)),
            ),
        ]
        indexes: ClassVar = [
            # A page of a collection's jobs, newest first, with and without a status.
            models.Index(fields=["collection", "created_at", "id"], name="job_by_age"),
            models.Index(fields=["collection", "status", "created_at", "id"], name="job_by_status_age"),
            # Other orders of that page. These columns never change; updated_at does with every report, so it has none.
            models.Index(fields=["collection", "original_filename", "id"], name="job_by_name"),
            models.Index(fields=["collection", "file_size", "id"], name="job_by_size"),
            # Jobs of all collections, newest first, of one owner. None by status: SQLite would take such an index for
            # the queue too, and read all that is pending. See filters.of_statuses.
            models.Index(fields=["owner", "id"], name="job_by_owner"),
            # What completed jobs of a plugin took, to say how long the next ones will take.
            models.Index(fields=["plugin_name", "id"], condition=Q(status=FileStatus.COMPLETED), name="job_history"),
            # Groups of failures are counted from this index alone.
            models.Index(
                fields=["error_code", "error_fingerprint", "processing_completed_at", "id"],
                condition=Q(status=FileStatus.FAILED),
                name="job_failure_groups",
            ),
            # /metrics counts jobs from this index alone. It begins with what no other query asks for: none takes it.
            models.Index(fields=["kind", "plugin_name", "status", "error_code"], name="job_numbers"),
            # What is there already of the same source. No condition: SQLite would not see that a query meets it.
            models.Index(fields=["collection", "source_hash", "id"], name="job_by_source"),
            # The queue: what to claim next. Small, since few jobs are pending.
            models.Index(
                fields=["-priority", "id", "owner", "not_before"],
                condition=Q(status=FileStatus.PENDING),
                name="job_queue",
            ),
            models.Index(
                fields=["lease_until", "owner", "worker"],
                condition=Q(status=FileStatus.PROCESSING),
                name="job_leases",
            ),
            # The summary: latest failures and the longest-running job of a collection.
            models.Index(
                fields=["collection", "-updated_at", "-id"],
                condition=Q(status=FileStatus.FAILED),
                name="job_latest_failures",
            ),
            models.Index(
                fields=["collection", "processing_started_at"],
                condition=Q(status=FileStatus.PROCESSING),
                name="job_longest_running",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.original_filename} ({self.status})"

    @property
    def is_preview(self) -> bool:
        return self.kind == JobKind.PREVIEW

    # -- The moves ---------------------------------------------------------------------------------

    def _move(
        self,
        to: FileStatus,
        *,
        allowed: Q,
        entry: "EventKind",
        message: str,
        data: Mapping[str, Any] | None = None,
        **changes: Any,
    ) -> bool:
        """Move this row to *to* if it still matches *allowed*, and write it in the diary. The only place that does.

        :meth:`retire` moves many at once; :meth:`imported` begins rows whose job ended on another server.
        """
        if to != FileStatus.PROCESSING:
            changes |= {"lease_until": None, "worker": None}
        if "error_message" in changes:
            changes["error_fingerprint"] = fingerprint(changes["error_message"] or "")
        with transaction.atomic():
            moved = FileRegistry.objects.filter(allowed, pk=self.pk).update(status=to, **changed(), **changes)
            if moved:
                JobEvent.write(self, entry, message, data, attempt=changes.get("attempt"))
        return bool(moved)

    def _held_by(self, run_id: uuid.UUID) -> Q:
        return Q(status=FileStatus.PROCESSING, run_id=run_id)

    def claim(self, worker: Worker | None) -> bool:
        """pending → processing, for *worker*. Sets ``run_id``, the fence of everything that this run writes."""
        run_id = uuid.uuid4()
        claimed = self._move(
            FileStatus.PROCESSING,
            allowed=Q(status=FileStatus.PENDING),
            entry=EventKind.CLAIMED,
            message=f"Started by worker {worker}" if worker else "Started",
            run_id=run_id,
            worker=worker,
            attempt=self.attempt + 1,
            lease_until=Now() + timedelta(seconds=settings.KB_LEASE_SECONDS),
            heartbeat_at=Now(),
            processing_started_at=Now(),
            processing_completed_at=None,
            stage_started_at=Now(),
            progress_current=0,
            progress_total=0,
            progress_unit=ProgressUnit.STAGE,
            progress_overall=0,
            progress_message=f"Reading with {self.plugin_name}",
            error_code="",
            not_before=None,
        )
        if claimed:
            self.refresh_from_db()
        return claimed

    def beat(self, run_id: uuid.UUID) -> bool:
        """Prolong the lease. False: this run no longer owns the job."""
        return bool(
            FileRegistry.objects.filter(self._held_by(run_id), pk=self.pk).update(
                lease_until=Now() + timedelta(seconds=settings.KB_LEASE_SECONDS), heartbeat_at=Now()
            )
        )

    def report(
        self,
        run_id: uuid.UUID,
        *,
        current: int,
        total: int,
        message: str,
        unit: str,
        overall: float,
        stats: Mapping[str, Any] | None = None,
        stored: bool = False,
    ) -> bool:
        """Store progress. Values are clamped: a plugin's arithmetic must not break its job.

        :param stored: chunks were stored, so whatever failed before is over: patience and tries start anew
        """
        total = max(0, min(total, 2**31 - 1))
        current = max(0, min(current, total if total else 2**31 - 1))
        changes: dict[str, Any] = {"processing_stats": dict(stats)} if stats is not None else {}
        if stored:
            changes |= {"postponed_since": None, "transient_failures": 0}
        return bool(
            FileRegistry.objects.filter(self._held_by(run_id), pk=self.pk).update(
                progress_current=current,
                progress_total=total,
                progress_message=message[:MESSAGE_LENGTH],
                progress_unit=unit,
                stage_started_at=Case(When(progress_unit=unit, then=F("stage_started_at")), default=Now()),
                progress_overall=Greatest(F("progress_overall"), max(0.0, min(overall, 99.9))),
                **changed(),
                **changes,
            )
        )

    def keep_stats(self, run_id: uuid.UUID, stats: Mapping[str, Any]) -> bool:
        """Store what a run has counted so far."""
        held = FileRegistry.objects.filter(self._held_by(run_id), pk=self.pk)
        return bool(held.update(processing_stats=dict(stats), **changed()))

    def complete(self, run_id: uuid.UUID, chunks: int, message: str, stats: Mapping[str, Any] | None = None) -> bool:
        """processing → completed. The caller publishes the run in the same transaction; of a preview there is nothing
        to publish.

        :param chunks: that the source made
        """
        return self._move(
            FileStatus.COMPLETED,
            allowed=self._held_by(run_id),
            entry=EventKind.COMPLETED,
            message=message,
            data={"chunks": chunks},
            processing_completed_at=Now(),
            document_count=0 if self.is_preview else chunks,
            progress_current=chunks,
            progress_total=chunks,
            progress_unit=ProgressUnit.CHUNK,
            progress_overall=100,
            progress_message=message[:MESSAGE_LENGTH],
            error_message=None,
            error_details=None,
            error_code="",
            transient_failures=0,
            postponed_since=None,
            **({"processing_stats": dict(stats)} if stats is not None else {}),
        )

    def fail(self, run_id: uuid.UUID, code: str, message: str, details: Mapping[str, Any] | None = None) -> bool:
        """processing → failed, for good until somebody retries."""
        return self._move(
            FileStatus.FAILED,
            allowed=self._held_by(run_id),
            entry=EventKind.FAILED,
            message=message,
            data={"code": code, **({"hint": details["hint"]} if details and details.get("hint") else {})},
            processing_completed_at=Now(),
            progress_message="Failed",
            error_code=code,
            error_message=message,
            error_details=dict(details or {}),
        )

    def postpone(
        self,
        run_id: uuid.UUID,
        delay: float,
        code: str,
        message: str,
        *,
        uses_attempt: bool,
        note: str,
    ) -> bool:
        """processing → pending after a transient failure; the next try comes *delay* seconds from now."""
        return self._move(
            FileStatus.PENDING,
            allowed=self._held_by(run_id),
            entry=EventKind.RETRY_SCHEDULED,
            message=message,
            data={"code": code, "delay_seconds": round(delay, 1)},
            not_before=Now() + timedelta(seconds=delay),
            postponed_since=Coalesce(F("postponed_since"), Now()),
            error_code=code,  # why it waits; the message comes only with a failure
            processing_started_at=None,
            progress_message=note[:MESSAGE_LENGTH],
            transient_failures=F("transient_failures") + (1 if uses_attempt else 0),
        )

    def release(self, message: str = "Given back: the server is stopping") -> bool:
        """processing → pending because the worker stops. Uses up no attempt."""
        return self._move(
            FileStatus.PENDING,
            allowed=Q(status=FileStatus.PROCESSING, run_id=self.run_id),
            entry=EventKind.RELEASED,
            message=message,
            processing_started_at=None,
            progress_message="Waiting for a worker",
        )

    def lose_lease(self, reason: str, *, process_is_dead: bool = False) -> bool:
        """processing → pending, or → failed after the last allowed loss. The run that held it is fenced off."""
        allowed = Q(status=FileStatus.PROCESSING, run_id=self.run_id)
        if not process_is_dead:
            allowed &= Q(lease_until__lt=Now())
        losses = self.lost_leases + 1
        if losses >= settings.KB_MAX_LOST_LEASES:
            return self._move(
                FileStatus.FAILED,
                allowed=allowed,
                entry=EventKind.FAILED,
                message=f"Its worker died {losses} times",
                data={"code": "worker_lost", "reason": reason},
                lost_leases=losses,
                processing_completed_at=Now(),
                progress_message="Failed",
                error_code="worker_lost",
                error_message=f"The worker that ran this job died {losses} times, so it is not tried again by itself.",
                error_details={
                    "stage": self.progress_message,
                    "reason": reason,
                    "hint": "Retry it. If it fails again, the file may need more memory than the machine has.",
                },
            )
        return self._move(
            FileStatus.PENDING,
            allowed=allowed,
            entry=EventKind.RESCUED,
            message=f"Taken back from its worker: {reason}",
            data={"losses": losses},
            lost_leases=losses,
            processing_started_at=None,
            progress_message="Waiting for a worker (its first one was lost)",
        )

    def cancel(self, by: str = "") -> bool:
        """pending or processing → cancelled."""
        return self._move(
            FileStatus.CANCELLED,
            allowed=Q(status__in=LIVE),
            entry=EventKind.CANCELLED,
            message="Cancelled" + (f" by {by}" if by else ""),
            processing_completed_at=Now(),
            progress_message="Cancelled",
            not_before=None,
        )

    def delete_softly(self, by: str = "") -> bool:
        """Any status → deleted. The row stays as a record."""
        return self._move(
            FileStatus.DELETED,
            allowed=~Q(status=FileStatus.DELETED),
            entry=EventKind.DELETED,
            message="Deleted" + (f" by {by}" if by else ""),
            progress_message="Deleted",
            not_before=None,
        )

    @classmethod
    def retire(cls, jobs: JobQuerySet, successor: "FileRegistry") -> "list[FileRegistry]":
        """Any status → deleted, for all *jobs* at once, whose place *successor* takes. In the caller's transaction."""
        retired = list(jobs.only("pk", "original_filename", "owner", "attempt", "storage_key"))
        if retired:
            gone = {"lease_until": None, "worker": None, "not_before": None, "progress_message": "Deleted"}
            jobs.update(status=FileStatus.DELETED, **changed(), **gone)
            message, numbers = f"Deleted by its replacement, job {successor.pk}", [old.pk for old in retired]
            JobEvent.objects.bulk_create([JobEvent.of(old, EventKind.DELETED, message) for old in retired])
            place = f"job {numbers[0]}" if len(numbers) == 1 else f"{len(numbers)} jobs"
            JobEvent.write(successor, EventKind.STAGE, f"Took the place of {place}", {"replaced": numbers[:100]})
        return retired

    @classmethod
    def imported(cls, status: FileStatus, message: str, data: Mapping[str, Any], **fields: Any) -> Self:
        """A job that ended on another server, with its diary entry; in the caller's transaction.

        :param status: one that a job rests in
        :param fields: as the row has them, ``id`` included; what the constraints need is filled in
        """
        if status in LIVE:
            raise ValueError(f"a job cannot be imported as {status}: nobody would know its source is complete")
        job = cls(status=status, **fields)
        if job.processing_completed_at is None and status in ENDED:
            job.processing_completed_at = job.updated_at
        job.progress_total = max(0, job.progress_total)
        job.progress_current = max(0, min(job.progress_current, job.progress_total or job.progress_current))
        job.error_fingerprint = fingerprint(job.error_message or "")
        job.save(force_insert=True)
        JobEvent.write(job, EventKind.SUBMITTED, message, data)
        return job

    def retry(
        self, plugin_params: Mapping[str, Any] | None = None, by: str = "", source: Mapping[str, Any] | None = None
    ) -> bool:
        """failed → pending, with both attempt counters at zero. The history stays in the diary.

        :param source: fields that name another source, where the new parameters do
        """
        changes: dict[str, Any] = {} if plugin_params is None else {"plugin_params": dict(plugin_params)}
        changes |= source or {}
        return self._move(
            FileStatus.PENDING,
            allowed=Q(status=FileStatus.FAILED),
            entry=EventKind.RETRIED,
            message="Retried" + (f" by {by}" if by else ""),
            data={"previous_code": self.error_code, "previous_message": self.error_message or ""},
            processing_started_at=None,
            processing_completed_at=None,
            progress_current=0,
            progress_total=0,
            progress_unit=ProgressUnit.STAGE,
            progress_overall=0,
            progress_message="Queued",
            error_code="",
            error_message=None,
            error_details=None,
            processing_stats=None,
            document_count=0,
            lost_leases=0,
            transient_failures=0,
            not_before=None,
            postponed_since=None,
            **changes,
        )


class EventKind(models.TextChoices):
    SUBMITTED = "submitted"
    CLAIMED = "claimed"
    STAGE = "stage"
    WARNING = "warning"
    RETRY_SCHEDULED = "retry_scheduled"
    RETRIED = "retried"
    RELEASED = "released"
    RESCUED = "rescued"
    CANCELLED = "cancelled"
    FAILED = "failed"
    COMPLETED = "completed"
    DELETED = "deleted"


class JobEvent(models.Model):
    """The diary of a job: log view, timeline and audit at once.

    It names the job by plain id, so that a hard delete does not erase it; ``prune`` alone removes entries.
    """

    job_id = models.BigIntegerField()
    name = models.CharField(max_length=255)
    owner = models.CharField(max_length=255)
    at = models.DateTimeField(db_default=Now())
    kind = models.CharField(max_length=20, choices=EventKind)
    attempt = models.PositiveIntegerField(default=0)
    message = models.CharField(max_length=1000, blank=True, default="")
    data = models.JSONField(default=dict, blank=True)

    class Meta:
        indexes: ClassVar = [models.Index(fields=["job_id", "id"], name="event_by_job")]

    def __str__(self) -> str:
        return f"{self.kind}: {self.message}"

    @classmethod
    def of(
        cls,
        job: FileRegistry,
        kind: EventKind,
        message: str,
        data: Mapping[str, Any] | None = None,
        *,
        attempt: int | None = None,
    ) -> Self:
        """An entry that is not written yet."""
        return cls(
            job_id=job.pk,
            name=job.original_filename,
            owner=job.owner,
            kind=kind,
            attempt=job.attempt if attempt is None else attempt,
            message=message[:1000],
            data=dict(data or {}),
        )

    @classmethod
    def write(cls, job: FileRegistry, kind: EventKind, message: str, data: Any = None, *, attempt: Any = None) -> None:
        cls.of(job, kind, message, data, attempt=attempt).save(force_insert=True)


class JobCount(models.Model):
    """How many jobs a collection has in each status, previews apart; kept by database triggers (migration 0009).

    Counting a million index entries takes 74 ms, a summary is polled by everyone who watches.
    """

    collection_id = models.BigIntegerField()
    status = models.CharField(max_length=20)
    jobs = models.BigIntegerField(default=0)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["collection_id", "status"], name="job_count_once"),
        ]

    def __str__(self) -> str:
        return f"{self.jobs} {self.status} in {self.collection_id}"


class IdempotencyKey(models.Model):
    """A request to ingest that was answered, so that sending it again ingests nothing twice."""

    key = models.CharField(max_length=64, primary_key=True)  # SHA-256 of the address and the client's key
    fingerprint = models.CharField(max_length=64)  # of what was sent
    answer = models.JSONField()
    created_at = models.DateTimeField(db_default=Now(), db_index=True)

    def __str__(self) -> str:
        return self.key


class Tally(models.Model):
    """What workers have counted over time: one row a counter, or a bucket of a histogram. See ``ingestion.tally``."""

    metric = models.CharField(max_length=40)
    labels = models.CharField(max_length=200, blank=True)  # values, joined by "|"
    part = models.CharField(max_length=10, blank=True)  # see collections_app.counts.Series
    value = models.FloatField()

    class Meta:
        verbose_name_plural = "tallies"
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["metric", "labels", "part"], name="tally_once"),
        ]

    def __str__(self) -> str:
        return f"{self.metric} {self.labels} {self.part}: {self.value:g}"
