from django.apps import AppConfig
from django.core.signals import request_finished


class IngestionConfig(AppConfig):
    name = "ingestion"
    verbose_name = "Ingestion"

    def ready(self) -> None:
        from ingestion import tally

        request_finished.connect(tally.keep_now_and_then)
