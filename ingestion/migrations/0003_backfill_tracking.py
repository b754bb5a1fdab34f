"""Gives old rows the times and messages that tracking would have written, in batches that commit.

Restartable: a batch looks only for rows that still lack what it writes. Reversible: rows that were failed here
remember their old status, and a status that the old schema does not know becomes ``failed``.
"""

import logging

from django.db import migrations, transaction
from django.db.models import Case, F, Value, When
from django.db.models.functions import Now

BATCH = 20_000
logger = logging.getLogger("kb.migrations")

ABANDONED = "This ingestion was interrupted by the upgrade of the server, and no worker owns it any more."
MESSAGES = {
    "completed": "Completed before progress was tracked",
    "failed": "Failed before progress was tracked",
    "deleted": "Deleted before progress was tracked",
}


def batches(rows):
    """Ranges of ids that cover *rows*, of at most ``BATCH`` rows each: ``(first, last)``, both included."""
    ids = rows.order_by("id").values_list("id", flat=True)
    first = ids.first()
    while first is not None:
        last = ids.filter(id__gte=first)[BATCH - 1 : BATCH].first() or ids.last()
        yield first, last
        first = ids.filter(id__gt=last).first()


def backfill(apps, schema_editor):
    registry = apps.get_model("ingestion", "FileRegistry").objects.using(schema_editor.connection.alias)
    events = apps.get_model("ingestion", "JobEvent").objects.using(schema_editor.connection.alias)
    for first, last in batches(registry.all()):
        rows = registry.filter(id__range=(first, last))
        with transaction.atomic(using=schema_editor.connection.alias):
            fail_abandoned(rows.exclude(status__in=[*MESSAGES, "cancelled"]), events)
            rows.filter(status__in=MESSAGES, progress_message="").update(
                processing_started_at=F("created_at"),
                processing_completed_at=Case(
                    When(status__in=["completed", "failed"], then=F("updated_at")), default=Value(None)
                ),
                progress_message=Case(*(When(status=key, then=Value(text)) for key, text in MESSAGES.items())),
                progress_current=Case(When(status="completed", then=F("document_count")), default=Value(0)),
                progress_total=Case(When(status="completed", then=F("document_count")), default=Value(0)),
                progress_unit=Case(When(status="completed", then=Value("chunk")), default=Value("stage")),
                progress_overall=Case(When(status="completed", then=Value(100.0)), default=Value(0.0)),
            )
        logger.info("Backfilled tracking of jobs %d to %d", first, last)


def fail_abandoned(rows, events):
    """Rows that had not ended: their worker and their bell are gone, so nobody would ever end them."""
    abandoned = list(rows.values("id", "original_filename", "owner", "status"))
    for status in {row["status"] for row in abandoned}:  # any other word is one that nobody can go on from, either
        rows.filter(status=status).update(
            status="failed",
            # A pending row never began, and says so.
            processing_started_at=None if status == "pending" else F("created_at"),
            processing_completed_at=F("updated_at"),
            progress_message="Failed",
            error_code="interrupted",
            error_message=ABANDONED,
            error_details={"hint": "Retry it.", "status_before_upgrade": status},
        )
    events.bulk_create(
        [
            events.model(
                job_id=row["id"],
                name=row["original_filename"],
                owner=row["owner"],
                kind="failed",
                message=ABANDONED,
                data={"code": "interrupted", "status_before_upgrade": row["status"]},
            )
            for row in abandoned
        ],
        batch_size=1000,
    )


def restore(apps, schema_editor):
    registry = apps.get_model("ingestion", "FileRegistry").objects.using(schema_editor.connection.alias)
    for first, last in batches(registry.all()):
        rows = registry.filter(id__range=(first, last))
        with transaction.atomic(using=schema_editor.connection.alias):
            interrupted = rows.filter(status="failed", error_code="interrupted")
            for status in ("pending", "processing"):
                interrupted.filter(error_details__status_before_upgrade=status).update(status=status)
            rows.filter(status="cancelled").update(status="failed", updated_at=Now())
            rows.filter(progress_message__in=MESSAGES.values()).update(progress_message="")


class Migration(migrations.Migration):
    atomic = False  # each batch commits, so an interrupted backfill goes on where it stopped
    dependencies = [("ingestion", "0002_ingestion_tracking")]
    operations = [migrations.RunPython(backfill, restore)]
