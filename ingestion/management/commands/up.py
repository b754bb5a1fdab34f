"""``manage.py up``: the whole server as one foreground command."""

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from collections_app import catalogue
from ingestion import boot, queue, rescue
from ingestion.supervisor import AlreadyRunning, Supervisor, alone_on_data_directory, end_leftovers


class Command(BaseCommand):
    help = "Run web server, workers and rescue. Migrates first; Ctrl-C drains and stops."
    requires_system_checks = "__all__"

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            held = alone_on_data_directory()
            if ended := end_leftovers():
                self.say(f"Ended {ended} processes that a killed predecessor left behind.")
            boot.check()
        except (AlreadyRunning, boot.CannotStart) as error:
            raise CommandError(str(error)) from error
        boot.make_folders()
        if boot.migrate():
            self.say("Database is up to date.")
        first = boot.first_start()
        for broken in catalogue.refresh().broken:
            self.say(self.style.WARNING(f"Plugin module {broken.module} does not work: {broken.reason}"))
        rescue.rescue_dead()  # an earlier server was killed with all its workers
        queue.forget_bells()
        Supervisor(ready=lambda: self.welcome(first), say=self.say).run()
        self.say("Stopped.")
        del held

    def say(self, line: str) -> None:
        self.stdout.write(line)
        self.stdout.flush()

    def welcome(self, first: boot.FirstStart | None) -> None:
        bold = self.style.MIGRATE_HEADING
        lines = ["", bold(f"KB Server {settings.VERSION}") + f" is ready at {settings.HOME_URL}"]
        lines.append(f"  admin   {settings.HOME_URL}/admin/")
        if first:
            lines.append(f"  login   {boot.ADMIN} / {bold(first.password)}   (shown only now)")
            if first.token:
                lines.append(f"  token   {bold(first.token)}   (kept in {settings.KB_DATA_DIR / 'api.token'})")
        lines += [f"  data    {settings.KB_DATA_DIR}", "  Ctrl-C drains and stops.", ""]
        self.say("\n".join(lines))
        if first and (count := boot.ingest_samples()):
            self.say(f"Ingesting {count} sample documents into the collection “{boot.WELCOME}”.")
