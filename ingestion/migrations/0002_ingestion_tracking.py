"""Adds what tracking needs: timing, progress, errors, leases, the diary and the workers. No row is rewritten."""

import django.db.models.deletion
import django.db.models.functions.datetime
from django.db import migrations, models

from ingestion.migrations._operations import AddColumn


class Migration(migrations.Migration):
    dependencies = [("ingestion", "0001_file_registry")]

    operations = [
        migrations.AlterModelOptions(
            name="fileregistry",
            options={"verbose_name": "job"},
        ),
        AddColumn(
            model_name="fileregistry",
            name="attempt",
            field=models.PositiveIntegerField(db_default=0, default=0),
        ),
        AddColumn(
            model_name="fileregistry",
            name="content_hash",
            field=models.CharField(blank=True, db_default="", default="", max_length=64),
        ),
        AddColumn(
            model_name="fileregistry",
            name="error_code",
            field=models.CharField(blank=True, db_default="", default="", max_length=50),
        ),
        AddColumn(
            model_name="fileregistry",
            name="error_details",
            field=models.JSONField(blank=True, null=True),
        ),
        AddColumn(
            model_name="fileregistry",
            name="error_message",
            field=models.TextField(blank=True, null=True),
        ),
        AddColumn(
            model_name="fileregistry",
            name="heartbeat_at",
            field=models.DateTimeField(blank=True, null=True),
        ),
        AddColumn(
            model_name="fileregistry",
            name="kind",
            field=models.CharField(
                choices=[("ingestion", "Ingestion")], db_default="ingestion", default="ingestion", max_length=20
            ),
        ),
        AddColumn(
            model_name="fileregistry",
            name="lease_until",
            field=models.DateTimeField(blank=True, null=True),
        ),
        AddColumn(
            model_name="fileregistry",
            name="lost_leases",
            field=models.PositiveIntegerField(db_default=0, default=0),
        ),
        AddColumn(
            model_name="fileregistry",
            name="not_before",
            field=models.DateTimeField(blank=True, null=True),
        ),
        AddColumn(
            model_name="fileregistry",
            name="postponed_since",
            field=models.DateTimeField(blank=True, null=True),
        ),
        AddColumn(
            model_name="fileregistry",
            name="priority",
            field=models.SmallIntegerField(db_default=0, default=0),
        ),
        AddColumn(
            model_name="fileregistry",
            name="processing_completed_at",
            field=models.DateTimeField(blank=True, null=True),
        ),
        AddColumn(
            model_name="fileregistry",
            name="processing_started_at",
            field=models.DateTimeField(blank=True, null=True),
        ),
        AddColumn(
            model_name="fileregistry",
            name="processing_stats",
            field=models.JSONField(blank=True, null=True),
        ),
        AddColumn(
            model_name="fileregistry",
            name="progress_current",
            field=models.IntegerField(db_default=0, default=0),
        ),
        AddColumn(
            model_name="fileregistry",
            name="progress_message",
            field=models.CharField(blank=True, db_default="", default="", max_length=255),
        ),
        AddColumn(
            model_name="fileregistry",
            name="progress_overall",
            field=models.FloatField(db_default=0.0, default=0),
        ),
        AddColumn(
            model_name="fileregistry",
            name="progress_total",
            field=models.IntegerField(db_default=0, default=0),
        ),
        AddColumn(
            model_name="fileregistry",
            name="progress_unit",
            field=models.CharField(
                choices=[("stage", "Stage"), ("url", "Url"), ("video", "Video"), ("chunk", "Chunk")],
                db_default="stage",
                default="stage",
                max_length=10,
            ),
        ),
        AddColumn(
            model_name="fileregistry",
            name="run_id",
            field=models.UUIDField(blank=True, null=True),
        ),
        AddColumn(
            model_name="fileregistry",
            name="storage_key",
            field=models.CharField(blank=True, max_length=32, null=True),
        ),
        AddColumn(
            model_name="fileregistry",
            name="transient_failures",
            field=models.PositiveIntegerField(db_default=0, default=0),
        ),
        migrations.AlterField(
            model_name="fileregistry",
            name="status",
            field=models.CharField(
                choices=[
                    ("pending", "Pending"),
                    ("processing", "Processing"),
                    ("completed", "Completed"),
                    ("failed", "Failed"),
                    ("cancelled", "Cancelled"),
                    ("deleted", "Deleted"),
                ],
                default="pending",
                max_length=20,
            ),
        ),
        migrations.CreateModel(
            name="JobCount",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("collection_id", models.BigIntegerField()),
                ("status", models.CharField(max_length=20)),
                ("jobs", models.BigIntegerField(default=0)),
            ],
            options={
                "constraints": [models.UniqueConstraint(fields=("collection_id", "status"), name="job_count_once")],
            },
        ),
        migrations.CreateModel(
            name="JobEvent",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("job_id", models.BigIntegerField()),
                ("name", models.CharField(max_length=255)),
                ("owner", models.CharField(max_length=255)),
                ("at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                (
                    "kind",
                    models.CharField(
                        choices=[
                            ("submitted", "Submitted"),
                            ("claimed", "Claimed"),
                            ("stage", "Stage"),
                            ("warning", "Warning"),
                            ("retry_scheduled", "Retry Scheduled"),
                            ("retried", "Retried"),
                            ("released", "Released"),
                            ("rescued", "Rescued"),
                            ("cancelled", "Cancelled"),
                            ("failed", "Failed"),
                            ("completed", "Completed"),
                            ("deleted", "Deleted"),
                        ],
                        max_length=20,
                    ),
                ),
                ("attempt", models.PositiveIntegerField(default=0)),
                ("message", models.CharField(blank=True, default="", max_length=1000)),
                ("data", models.JSONField(blank=True, default=dict)),
            ],
            options={
                "indexes": [models.Index(fields=["job_id", "id"], name="event_by_job")],
            },
        ),
        migrations.CreateModel(
            name="Worker",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("host", models.CharField(max_length=255)),
                ("boot_id", models.CharField(max_length=64)),
                ("pid", models.PositiveIntegerField()),
                ("process_started", models.FloatField()),
                ("supervisor", models.CharField(blank=True, default="", max_length=32)),
                ("started_at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ("beat_at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ("stopped_at", models.DateTimeField(blank=True, null=True)),
            ],
            options={
                "indexes": [
                    models.Index(
                        condition=models.Q(("stopped_at__isnull", True)), fields=["beat_at"], name="worker_living"
                    )
                ],
                "constraints": [
                    models.UniqueConstraint(fields=("host", "boot_id", "pid", "process_started"), name="worker_once")
                ],
            },
        ),
        AddColumn(
            model_name="fileregistry",
            name="worker",
            field=models.ForeignKey(
                blank=True,
                db_index=False,
                null=True,
                on_delete=django.db.models.deletion.SET_NULL,
                related_name="jobs",
                to="ingestion.worker",
            ),
        ),
    ]
