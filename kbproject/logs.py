"""How lines of log look, for people or for machines, and what they must not show."""

import json
import logging
import re
import traceback
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
from django.conf import settings

from collections_app import context
from collections_app.scrub import scrub

MORE = ("method", "path", "status", "ms")  # what a line may carry beyond the names of the context
CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")  # what terminals obey
BUT_LINES = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
PLUGIN_LOG_BYTES = 1024 * 1024


class Formatter(logging.Formatter):
    """What both formats share: the facts that a line carries, and no secret in any of its parts."""

    def facts(self, record: logging.LogRecord) -> dict[str, Any]:
        """Of the line itself, of its request, or of what goes on here."""
        found = dict(context.facts())
        # Django writes some of its lines when the request has left the middleware.
        if number := getattr(getattr(record, "request", None), "request_id", None):
            found.setdefault("request_id", number)
        own = {name: getattr(record, name) for name in (*context.NAMES, *MORE) if hasattr(record, name)}
        return {name: self.clean(value) for name, value in (found | own).items()}

    def clean(self, value: Any) -> Any:
        return scrub(value, context.secrets()) if isinstance(value, str) else value

    def message(self, record: logging.LogRecord) -> str:
        return scrub(record.getMessage(), context.secrets())

    def trouble(self, record: logging.LogRecord) -> str:
        """The traceback, blank where there is none."""
        text = ""
        if record.exc_info and record.exc_info[0]:
            text = "".join(traceback.format_exception(*record.exc_info)).rstrip()
        if record.stack_info:
            text = f"{text}\n{record.stack_info}".strip()
        return scrub(text, context.secrets())


class LineFormatter(Formatter):
    """``time LEVEL logger · message [job 5 · run …]``, a traceback below it."""

    def format(self, record: logging.LogRecord) -> str:
        at = datetime.fromtimestamp(record.created, UTC)
        message = CONTROL.sub(escaped, self.message(record))  # no line is forged
        facts = self.facts(record)
        known = [
            f"{name.removesuffix('_id')} {CONTROL.sub(escaped, str(facts[name]))}"
            for name in context.NAMES
            if facts.get(name) not in (None, "")
        ]
        line = f"{at:%Y-%m-%d %H:%M:%S},{at.microsecond // 1000:03d} {record.levelname:<7} {record.name} · {message}"
        line += f" [{' · '.join(known)}]" if known else ""
        trouble = BUT_LINES.sub(escaped, self.trouble(record))
        return "\n  ".join(filter(None, (line, *trouble.splitlines())))  # set in, so that none passes for a line of log


def escaped(found: re.Match[str]) -> str:
    return ascii(found[0])[1:-1]


class JsonFormatter(Formatter):
    """One JSON object a line: time (UTC), level, logger, message, pid, and what else is known."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": self.message(record),
            "pid": record.process,
            **self.facts(record),
        }
        if trouble := self.trouble(record):
            line["exception"] = trouble
        try:
            return orjson.dumps(line, default=str).decode()
        except TypeError:  # half characters
            return json.dumps(line, default=str)


class PluginLog(logging.Handler):
    """Into ``plugins.log`` of the run directory, which begins anew at 1 MB: plugins print as much as they like.

    Opened for each line, since many processes write to it.
    """

    def emit(self, record: logging.LogRecord) -> None:
        with (
            suppress(OSError),
            (Path(settings.KB_RUN_DIR) / "plugins.log").open("a", encoding="utf-8", errors="replace") as log,
        ):
            if log.tell() > PLUGIN_LOG_BYTES:
                log.truncate(0)
            log.write(self.format(record) + "\n")
