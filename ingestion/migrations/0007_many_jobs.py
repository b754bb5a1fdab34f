"""What looking at many jobs needs: a version for each row, groups of failures, and indexes across collections."""

from django.db import migrations, models

from ingestion.fingerprint import fingerprint
from ingestion.migrations._operations import AddColumn

ROWS_AT_ONCE = 2000


def group_failures(apps, schema_editor):
    """Give the failures of earlier versions their fingerprint; each row is read and written once."""
    registry = apps.get_model("ingestion", "FileRegistry")
    failed = registry.objects.using(schema_editor.connection.alias).filter(status="failed").order_by("pk")
    after = 0
    while rows := list(failed.filter(pk__gt=after).values_list("pk", "error_message")[:ROWS_AT_ONCE]):
        with schema_editor.connection.cursor() as cursor:
            cursor.executemany(
                f"UPDATE {registry._meta.db_table} SET error_fingerprint = %s WHERE id = %s",  # noqa: S608
                [(fingerprint(message or ""), pk) for pk, message in rows],
            )
        after = rows[-1][0]


class Migration(migrations.Migration):
    dependencies = [("ingestion", "0006_idempotency")]

    operations = [
        migrations.AlterModelOptions(
            name="fileregistry",
            options={
                "permissions": (("retry_fileregistry", "Can retry jobs"), ("cancel_fileregistry", "Can cancel jobs")),
                "verbose_name": "job",
            },
        ),
        AddColumn(
            model_name="fileregistry",
            name="version",
            field=models.BigIntegerField(db_default=0, default=0),
        ),
        AddColumn(
            model_name="fileregistry",
            name="error_fingerprint",
            field=models.CharField(blank=True, db_default="", default="", max_length=12),
        ),
        AddColumn(
            model_name="fileregistry",
            name="stage_started_at",
            field=models.DateTimeField(blank=True, null=True),
        ),
        migrations.RunPython(group_failures, migrations.RunPython.noop),
        migrations.AddIndex(
            model_name="fileregistry",
            index=models.Index(fields=["owner", "id"], name="job_by_owner"),
        ),
        migrations.AddIndex(
            model_name="fileregistry",
            index=models.Index(
                condition=models.Q(("status", "completed")), fields=["plugin_name", "id"], name="job_history"
            ),
        ),
        migrations.AddIndex(
            model_name="fileregistry",
            index=models.Index(
                condition=models.Q(("status", "failed")),
                fields=["error_code", "error_fingerprint", "processing_completed_at", "id"],
                name="job_failure_groups",
            ),
        ),
    ]
