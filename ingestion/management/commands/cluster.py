"""``manage.py cluster``: the worker pool alone, as ``up`` starts it."""

from typing import Any

from django.core.management.base import BaseCommand

from ingestion import boot, queue, worker


class Command(BaseCommand):
    help = "Run the worker pool in the foreground. Usually started by `up`, which also rescues and restarts."

    def handle(self, *args: Any, **options: Any) -> None:
        boot.follow_supervisor()
        queue.run_cluster(on_worker_start=worker.start)
