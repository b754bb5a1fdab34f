"""What is kept of an error: for people and operators, without secrets and without paths of the server."""

import os
import traceback
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from django.conf import settings

from collections_app import crypto
from collections_app.errors import SecretUnreadable
from collections_app.scrub import SHORTEST, passwords_in, scrub
from ingestion.models import FileRegistry
from ingestion.wire import is_secret_name
from plugins.base import PluginError

TRACEBACK_LENGTH = 2000
CODE_LENGTH = 50


class Scrubber:
    """Takes the server's paths, its secrets, and those of one job out of texts."""

    def __init__(self, job: FileRegistry) -> None:
        self.replacements = {
            str(settings.KB_DATA_DIR): "<data>",
            str(settings.BASE_DIR): "<server>",
            os.environ.get("HOME", ""): "~",
        }
        self.secrets = secrets_of(job)

    def text(self, text: str) -> str:
        for found, shown in self.replacements.items():
            if len(found) >= SHORTEST:
                text = text.replace(found, shown)
        return scrub(text, self.secrets)

    def value(self, value: Any) -> Any:
        """Any JSON value, all the way down."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, dict):
            return {key: self.value(inner) for key, inner in value.items()}
        return [self.value(inner) for inner in value] if isinstance(value, list | tuple) else value

    def problem(self, problem: PluginError) -> PluginError:
        """The same error, made fit to be shown."""
        problem.code = problem.code[:CODE_LENGTH]
        problem.message, problem.hint = self.text(problem.message), self.text(problem.hint)
        problem.context = self.value(problem.context)
        return problem


def secrets_of(job: FileRegistry) -> list[str]:
    """Secrets of this job that its texts could hold; the longest first, since one may be part of another."""
    known = [*secrets_in(job.plugin_params), *passwords_in(job.collection.embedding_endpoint)]
    with suppress(SecretUnreadable):  # then nobody can have put it into a text either
        known.append(crypto.decrypt(job.collection.embedding_api_key))
    return sorted(filter(None, known), key=len, reverse=True)


def secrets_in(value: Any, name: str = "") -> Iterator[str]:
    """What plugin parameters hold in secret: by their names, and passwords within addresses."""
    if isinstance(value, str):
        if is_secret_name(name):
            yield value
        if "://" in value:
            yield from passwords_in(value)
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from secrets_in(inner, name if is_secret_name(name) else str(key))
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from secrets_in(inner, name)


def details_of(job: FileRegistry, problem: PluginError, error: Exception) -> dict[str, Any]:
    """``error_details`` of a failed job: type, traceback, stage, hint and context. *problem* is scrubbed already."""
    context = dict(problem.context)
    trace = context.pop("traceback", None) or Scrubber(job).text("".join(traceback.format_exception(error)))
    return {
        "exception_type": context.pop("exception_type", None) or type(error).__name__,
        "traceback": trace[-TRACEBACK_LENGTH:],
        "file_path": job.file_path,
        "plugin_name": job.plugin_name,
        "stage": job.progress_message or "unknown",
        "hint": problem.hint,
        "context": context,
    }
