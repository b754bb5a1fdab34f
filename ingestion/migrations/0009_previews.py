"""Jobs that are previews: they store nothing, are gone after an hour, and are not counted."""

from django.db import migrations, models

from ingestion.migrations._operations import CountJobs


class Migration(migrations.Migration):
    dependencies = [("ingestion", "0008_tally")]

    operations = [
        migrations.AlterField(
            model_name="fileregistry",
            name="kind",
            field=models.CharField(
                choices=[("ingestion", "Ingestion"), ("preview", "Preview")],
                db_default="ingestion",
                default="ingestion",
                max_length=20,
            ),
        ),
        CountJobs(again=True),
    ]
