"""Lets a job know which others read the same source, and whether it takes their place."""

from django.db import migrations, models
from django.db.models import F

from ingestion.migrations._operations import AddColumn


def backfill(apps, schema_editor):
    """Files are told apart by their bytes. One statement: it reads and writes each row once.

    Rows without bytes stay as they are: no source could be fetched before this migration's version.
    """
    registry = apps.get_model("ingestion", "FileRegistry").objects.using(schema_editor.connection.alias)
    registry.filter(source_hash="").exclude(content_hash="").update(source_hash=F("content_hash"))


class Migration(migrations.Migration):
    dependencies = [("ingestion", "0004_tighten_tracking")]

    operations = [
        AddColumn(
            model_name="fileregistry",
            name="source_hash",
            field=models.CharField(blank=True, db_default="", default="", max_length=64),
        ),
        AddColumn(
            model_name="fileregistry",
            name="replaces_duplicates",
            field=models.BooleanField(db_default=False, default=False),
        ),
        migrations.RunPython(backfill, migrations.RunPython.noop),
        migrations.AddIndex(
            model_name="fileregistry",
            index=models.Index(fields=["collection", "source_hash", "id"], name="job_by_source"),
        ),
    ]
