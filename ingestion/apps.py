from typing import Any

from django.apps import AppConfig
from django.core.signals import request_finished
from django.db import connections
from django.db.models.signals import post_migrate


class IngestionConfig(AppConfig):
    name = "ingestion"
    verbose_name = "Ingestion"

    def ready(self) -> None:
        from ingestion import tally

        request_finished.connect(tally.keep_now_and_then)
        post_migrate.connect(forget_emptied_counts, sender=self)


def forget_emptied_counts(using: str, **_options: Any) -> None:
    """``manage.py flush`` empties the counts before the jobs, whose triggers then count them off once more."""
    from ingestion.models import JobCount

    if JobCount._meta.db_table in connections[using].introspection.table_names():
        JobCount.objects.using(using).filter(jobs__lt=0).delete()
