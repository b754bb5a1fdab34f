"""The registry as it was before ingestions were tracked: one row a file, with a status and nothing about the work."""

import django.db.models.deletion
from django.db import migrations, models
from django.db.models.functions import Now


class Migration(migrations.Migration):
    initial = True
    dependencies = [("collections_app", "0001_initial")]
    operations = [
        migrations.CreateModel(
            name="FileRegistry",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("original_filename", models.CharField(max_length=255)),
                ("file_path", models.CharField(blank=True, default="", max_length=500)),
                ("file_url", models.CharField(blank=True, default="", max_length=2000)),
                ("file_size", models.BigIntegerField(default=0)),
                ("content_type", models.CharField(blank=True, max_length=255, null=True)),
                ("plugin_name", models.CharField(max_length=100)),
                ("plugin_params", models.JSONField(blank=True, default=dict)),
                (
                    "status",
                    models.CharField(
                        choices=[
                            ("pending", "Pending"),
                            ("processing", "Processing"),
                            ("completed", "Completed"),
                            ("failed", "Failed"),
                            ("deleted", "Deleted"),
                        ],
                        default="pending",
                        max_length=20,
                    ),
                ),
                ("document_count", models.PositiveIntegerField(default=0)),
                ("owner", models.CharField(max_length=255)),
                ("created_at", models.DateTimeField(db_default=Now())),
                ("updated_at", models.DateTimeField(db_default=Now())),
                (
                    "collection",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="files",
                        to="collections_app.collection",
                    ),
                ),
            ],
        ),
    ]
