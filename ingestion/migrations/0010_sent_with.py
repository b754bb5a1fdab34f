"""Lets a preview know the addresses that were sent with its own."""

from django.db import migrations, models

from ingestion.migrations._operations import AddColumn


class Migration(migrations.Migration):
    dependencies = [("ingestion", "0009_previews")]

    operations = [
        AddColumn(model_name="fileregistry", name="sent_with", field=models.JSONField(blank=True, null=True)),
    ]
