"""``manage.py retry_failed``: queue failed jobs again."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from ingestion import services
from ingestion.models import FileRegistry


class Command(BaseCommand):
    help = "Retry all failed jobs, or those of one collection. Exit code 0 also when there is nothing to retry."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--collection", type=int, metavar="ID", help="only jobs of this collection")
        parser.add_argument("--dry-run", action="store_true", help="say what would be retried, change nothing")

    def handle(self, *args: Any, **options: Any) -> None:
        failed = FileRegistry.objects.failed().filter(collection__deleted_at__isnull=True).order_by("id")
        if options["collection"] is not None:
            failed = failed.filter(collection=options["collection"])
        retried = 0
        for job in failed:
            line = f"job {job.pk}  {job.original_filename}  {job.error_code}: {job.error_message}"
            if options["dry_run"]:
                self.stdout.write(f"would retry {line}")
                continue
            try:
                services.retry(job, by="retry_failed")
            except services.WrongState as error:  # somebody else was first
                self.stdout.write(self.style.WARNING(f"left alone {line} ({error})"))
                continue
            retried += 1
            self.stdout.write(f"retried {line}")
        if options["dry_run"]:
            self.stdout.write(f"{failed.count()} jobs would be retried.")
        else:
            self.stdout.write(self.style.SUCCESS(f"{retried} jobs retried."))
