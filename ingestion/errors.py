"""What is kept of an error for operators, without secrets and without paths of the server."""

import re
import traceback
from pathlib import Path
from typing import Any

from django.conf import settings

from ingestion.models import FileRegistry
from plugins.base import PluginError

TRACEBACK_LENGTH = 2000
SECRET = re.compile(r"(?i)\b(bearer\s+|sk-|api[_-]?key[\"'=:\s]+|password[\"'=:\s]+|token[\"'=:\s]+)[^\s\"',;&]{4,}")


def details_of(job: FileRegistry, problem: PluginError, error: Exception) -> dict[str, Any]:
    """``error_details`` of a failed job: type, traceback, stage, hint and context."""
    context = dict(problem.context)
    trace = context.pop("traceback", None) or "".join(traceback.format_exception(error))
    return {
        "exception_type": context.pop("exception_type", None) or type(error).__name__,
        "traceback": scrub(trace[-TRACEBACK_LENGTH:], job),
        "file_path": job.file_path,
        "plugin_name": job.plugin_name,
        "stage": job.progress_message or "unknown",
        "hint": problem.hint,
        "context": {key: scrub(value, job) if isinstance(value, str) else value for key, value in context.items()},
    }


def scrub(text: str, job: FileRegistry) -> str:
    """*text* without the server's paths, its secrets and those in the job's own parameters."""
    for folder, name in (
        (str(settings.KB_DATA_DIR), "<data>"),
        (str(settings.BASE_DIR), "<server>"),
        (str(Path.home()), "~"),
    ):
        text = text.replace(folder, name)
    for secret in (settings.LAMB_API_KEY, settings.SECRET_KEY, settings.EMBEDDINGS_APIKEY):
        if secret:
            text = text.replace(secret, "***")
    for key, value in job.plugin_params.items():
        if isinstance(value, str) and len(value) >= 4 and re.search(r"(?i)key|token|secret|password|proxy", key):
            text = text.replace(value, "***")
    return SECRET.sub(lambda match: f"{match[1]}***", text)
