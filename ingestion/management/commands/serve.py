"""``manage.py serve``: the web server alone, as ``up`` starts it."""

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand
from granian import Granian
from granian.constants import Interfaces
from granian.log import LogLevels

from ingestion import boot


class Command(BaseCommand):
    help = "Run the web server in the foreground. Usually started by `up`."

    def handle(self, *args: Any, **options: Any) -> None:
        boot.follow_supervisor()
        Granian(
            "kbproject.wsgi:application",
            address=settings.HOST,
            port=settings.PORT,
            interface=Interfaces.WSGI,
            workers=settings.KB_WEB_PROCESSES,
            blocking_threads=settings.KB_WEB_THREADS,
            respawn_failed_workers=True,
            websockets=False,
            log_level=LogLevels.error,
            log_dictconfig=settings.LOGGING,
        ).serve()
