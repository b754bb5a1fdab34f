"""Holds the invariants of the state machine in the database, counts jobs by status, and indexes what is polled."""

from django.db import migrations, models

from ingestion.migrations._operations import AddCheckConstraints, CountJobs


class Migration(migrations.Migration):
    dependencies = [("ingestion", "0003_backfill_tracking")]

    operations = [
        migrations.AddIndex(
            model_name="fileregistry",
            index=models.Index(fields=["collection", "original_filename", "id"], name="job_by_name"),
        ),
        migrations.AddIndex(
            model_name="fileregistry",
            index=models.Index(fields=["collection", "file_size", "id"], name="job_by_size"),
        ),
        migrations.AddIndex(
            model_name="fileregistry",
            index=models.Index(fields=["collection", "created_at", "id"], name="job_by_age"),
        ),
        migrations.AddIndex(
            model_name="fileregistry",
            index=models.Index(fields=["collection", "status", "created_at", "id"], name="job_by_status_age"),
        ),
        migrations.AddIndex(
            model_name="fileregistry",
            index=models.Index(
                condition=models.Q(("status", "pending")),
                fields=["-priority", "id", "owner", "not_before"],
                name="job_queue",
            ),
        ),
        migrations.AddIndex(
            model_name="fileregistry",
            index=models.Index(
                condition=models.Q(("status", "processing")),
                fields=["lease_until", "owner", "worker"],
                name="job_leases",
            ),
        ),
        migrations.AddIndex(
            model_name="fileregistry",
            index=models.Index(
                condition=models.Q(("status", "failed")),
                fields=["collection", "-updated_at", "-id"],
                name="job_latest_failures",
            ),
        ),
        migrations.AddIndex(
            model_name="fileregistry",
            index=models.Index(
                condition=models.Q(("status", "processing")),
                fields=["collection", "processing_started_at"],
                name="job_longest_running",
            ),
        ),
        # Before the indexes would be slower: on SQLite this copies the table.
        AddCheckConstraints(
            "fileregistry",
            [
                models.CheckConstraint(
                    condition=models.Q(
                        ("status", "deleted"),
                        models.Q(
                            ("processing_completed_at__isnull", False),
                            ("status__in", ("completed", "failed", "cancelled")),
                        ),
                        models.Q(("processing_completed_at__isnull", True), ("status__in", ("pending", "processing"))),
                        _connector="OR",
                    ),
                    name="job_ended_has_end_time",
                ),
                models.CheckConstraint(
                    condition=models.Q(
                        models.Q(("progress_current__gte", 0), ("progress_total__lte", 0)),
                        models.Q(("progress_current__gte", 0), ("progress_current__lte", models.F("progress_total"))),
                        _connector="OR",
                    ),
                    name="job_progress_within_total",
                ),
                models.CheckConstraint(
                    condition=models.Q(("progress_overall__gte", 0), ("progress_overall__lte", 100)),
                    name="job_overall_is_percentage",
                ),
                models.CheckConstraint(
                    condition=models.Q(
                        models.Q(("lease_until__isnull", False), ("run_id__isnull", False), ("status", "processing")),
                        models.Q(models.Q(("status", "processing"), _negated=True), ("lease_until__isnull", True)),
                        _connector="OR",
                    ),
                    name="job_processing_has_lease",
                ),
            ],
        ),
        migrations.AddConstraint(
            model_name="fileregistry",
            constraint=models.UniqueConstraint(
                condition=models.Q(("storage_key__isnull", False)), fields=("storage_key",), name="job_storage_key_once"
            ),
        ),
        CountJobs(),
    ]
