"""The backfill: rows of the old registry, one of each status, through the real migrations and back."""

from datetime import UTC, datetime
from importlib import import_module

import pytest
from django.core.management import call_command
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.engine, pytest.mark.slow]

BEFORE, TRACKED, FILLED = "0001_file_registry", "0002_ingestion_tracking", "0003_backfill_tracking"
LATEST = "0004_tighten_tracking"
CREATED, UPDATED = datetime(2024, 3, 1, 9, tzinfo=UTC), datetime(2024, 3, 1, 10, tzinfo=UTC)


def migrate(name):
    executor = MigrationExecutor(connection)
    executor.migrate([("ingestion", name)])
    return MigrationExecutor(connection).loader.project_state([("ingestion", name)]).apps


@pytest.fixture
def old_apps():
    yield migrate(BEFORE)
    call_command("migrate", "ingestion", verbosity=0)


def add_rows(apps, statuses, number=1):
    collection = apps.get_model("collections_app", "Collection").objects.create(
        name="old", owner="ana", embedding_vendor="local", embedding_model="m"
    )
    registry = apps.get_model("ingestion", "FileRegistry")
    registry.objects.bulk_create(
        [
            registry(
                collection=collection,
                original_filename=f"{status}.txt",
                plugin_name="simple_ingest",
                owner="ana",
                status=status,
                document_count=7 if status == "completed" else 0,
                created_at=CREATED,
                updated_at=UPDATED,
            )
            for _ in range(number)
            for status in statuses
        ],
        batch_size=5000,
    )
    return collection


OLD_STATUSES = ["pending", "processing", "completed", "failed", "deleted"]


def test_old_rows_of_each_status_get_times_and_messages(old_apps):
    add_rows(old_apps, OLD_STATUSES)
    apps = migrate(LATEST)
    rows = {row.original_filename[:-4]: row for row in apps.get_model("ingestion", "FileRegistry").objects.all()}

    assert {name: row.status for name, row in rows.items()} == {
        "pending": "failed",
        "processing": "failed",
        "completed": "completed",
        "failed": "failed",
        "deleted": "deleted",
    }
    assert rows["pending"].processing_started_at is None
    assert all(rows[name].processing_started_at == CREATED for name in OLD_STATUSES if name != "pending")
    assert all(rows[name].processing_completed_at == UPDATED for name in OLD_STATUSES if name != "deleted")
    assert rows["deleted"].processing_completed_at is None
    assert all(row.progress_message for row in rows.values())
    assert (rows["completed"].progress_current, rows["completed"].progress_total) == (7, 7)
    assert rows["completed"].progress_overall == 100
    assert rows["processing"].error_code == "interrupted"
    assert "upgrade" in rows["processing"].error_message
    events = apps.get_model("ingestion", "JobEvent").objects.filter(kind="failed")
    assert sorted(events.values_list("name", flat=True)) == ["pending.txt", "processing.txt"]
    counts = apps.get_model("ingestion", "JobCount").objects.values_list("status", "jobs")
    assert dict(counts) == {"failed": 3, "completed": 1, "deleted": 1}


def test_gaps_between_ids_and_unknown_statuses_are_no_obstacle(old_apps):
    add_rows(old_apps, ["completed", "QUEUED"])
    old_apps.get_model("ingestion", "FileRegistry").objects.filter(status="completed").update(id=10**12)
    rows = migrate(LATEST).get_model("ingestion", "FileRegistry").objects
    assert sorted(rows.values_list("status", flat=True)) == ["completed", "failed"]
    assert rows.get(status="failed").error_details["status_before_upgrade"] == "QUEUED"


def test_an_interrupted_backfill_goes_on_where_it_stopped(old_apps):
    add_rows(old_apps, OLD_STATUSES)
    apps = migrate(TRACKED)
    registry = apps.get_model("ingestion", "FileRegistry")
    done = registry.objects.get(status="completed")
    registry.objects.filter(pk=done.pk).update(
        progress_message="Written before the interruption", processing_completed_at=UPDATED
    )

    rows = migrate(FILLED).get_model("ingestion", "FileRegistry").objects
    assert rows.get(pk=done.pk).progress_message == "Written before the interruption"
    assert not rows.filter(progress_message="").exists()


def test_the_backfill_can_be_taken_back_and_done_again(old_apps):
    add_rows(old_apps, OLD_STATUSES)
    apps = migrate(LATEST)
    apps.get_model("ingestion", "FileRegistry").objects.filter(status="completed").update(status="cancelled")

    old = migrate(BEFORE).get_model("ingestion", "FileRegistry").objects
    assert {row.original_filename[:-4]: row.status for row in old.all()} == {
        "pending": "pending",
        "processing": "processing",
        "completed": "failed",  # cancelled by now, which the old registry did not know
        "failed": "failed",
        "deleted": "deleted",
    }
    assert migrate(LATEST).get_model("ingestion", "FileRegistry").objects.count() == 5


def test_rows_of_several_batches_are_all_backfilled(old_apps, monkeypatch):
    monkeypatch.setattr(import_module(f"ingestion.migrations.{FILLED}"), "BATCH", 20)
    add_rows(old_apps, OLD_STATUSES, number=9)  # 45 rows
    rows = migrate(LATEST).get_model("ingestion", "FileRegistry").objects
    assert not rows.filter(progress_message="").exists()
    assert rows.filter(status="failed").count() == 27


def test_previews_are_not_counted_any_more_and_triggers_stay_when_that_is_taken_back(old_apps):
    add_rows(old_apps, ["completed", "failed"])
    apps = migrate("0008_tally")
    registry = apps.get_model("ingestion", "FileRegistry")
    registry.objects.filter(status="failed").update(kind="preview")
    counts = apps.get_model("ingestion", "JobCount").objects.filter(jobs__gt=0).values_list("status", "jobs")
    assert dict(counts) == {"completed": 1, "failed": 1}

    migrate("0009_previews")
    assert dict(counts.all()) == {"completed": 1}
    registry.objects.filter(status="failed").update(status="deleted")
    assert dict(counts.all()) == {"completed": 1}

    migrate("0008_tally")
    registry.objects.filter(status="completed").update(status="deleted")
    assert dict(counts.all()) == {"deleted": 1}
    registry.objects.all().delete()
    assert dict(counts.all()) == {}
