"""What ``/metrics`` needs: numbers that workers add to, and an index from which jobs are counted."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("ingestion", "0007_many_jobs")]

    operations = [
        migrations.CreateModel(
            name="Tally",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("metric", models.CharField(max_length=40)),
                ("labels", models.CharField(blank=True, max_length=200)),
                ("part", models.CharField(blank=True, max_length=10)),
                ("value", models.FloatField()),
            ],
            options={
                "verbose_name_plural": "tallies",
                "constraints": [
                    models.UniqueConstraint(fields=("metric", "labels", "part"), name="tally_once"),
                ],
            },
        ),
        migrations.AddIndex(
            model_name="fileregistry",
            index=models.Index(fields=["kind", "plugin_name", "status", "error_code"], name="job_numbers"),
        ),
    ]
