"""How a line of log looks, and what it does not show."""

import json
import logging
import sys
import threading
import time

import pytest

from collections_app import context
from collections_app.scrub import scrub
from kbproject.logs import JsonFormatter, LineFormatter, PluginLog


def record(message, *args, **more):
    made = logging.LogRecord("kb.test", logging.WARNING, __file__, 1, message, args, more.pop("exc_info", None))
    made.__dict__.update(more)
    return made


def in_json(made):
    return json.loads(JsonFormatter().format(made))


def test_a_line_for_machines_is_one_object_with_what_is_known():
    with context.about(request_id="r-1", job_id=5):
        line = in_json(record("Job %s\nwaits", 5, attempt=2))
    assert line["message"] == "Job 5\nwaits"
    assert (line["level"], line["logger"]) == ("WARNING", "kb.test")
    assert (line["request_id"], line["job_id"], line["attempt"]) == ("r-1", 5, 2)
    assert line["time"].endswith("+00:00")
    assert line["pid"] > 0


def test_a_line_for_people_ends_with_what_is_known():
    with context.about(job_id=5, worker=None):
        line = LineFormatter().format(record("It waits"))
    assert line.endswith("WARNING kb.test · It waits [job 5]")


def test_a_message_cannot_begin_a_line_of_its_own():
    line = LineFormatter().format(record("%s uploaded", "a\n2026-01-01 ERROR forged\x1b[31m\u2028.txt"))
    assert len(line.splitlines()) == 1
    assert "\x1b" not in line


def test_a_traceback_cannot_begin_a_line_of_log():
    try:
        raise ValueError("a\n2026-01-01 00:00:00,000 ERROR   kb.jobs · forged\x1b[2J\x9b2J")
    except ValueError:
        first, *rest = LineFormatter().format(record("It broke", exc_info=sys.exc_info())).split("\n")
    assert first.endswith("It broke")
    assert "ERROR   kb.jobs · forged" in "".join(rest)
    assert all(line.startswith("  ") for line in rest)
    assert not set("\x1b\x9b") & set("".join(rest))


def test_a_name_cannot_obey_a_terminal_either():
    with context.about(actor="eva\x1b[2J\n\x9b"):
        line = LineFormatter().format(record("It waits"))
    assert "actor eva" in line
    assert not set("\x1b\n\x9b") & set(line)


@pytest.mark.parametrize("formatter", [LineFormatter(), JsonFormatter()])
def test_a_traceback_is_told_without_secrets(formatter):
    try:
        raise ValueError("refused hunter2-hunter2 at https://ana:pass-word@host/x")
    except ValueError:
        with context.about(secrets=["hunter2-hunter2"]):
            line = formatter.format(record("It broke", exc_info=sys.exc_info()))
    assert "ValueError" in line
    assert "hunter2" not in line
    assert "pass-word" not in line


@pytest.mark.parametrize("value", ["\ud800", {"a": object()}, b"bytes", float("nan")])
def test_any_value_can_be_told(value):
    assert in_json(record("%s", value, job_id=value))["message"]


@pytest.mark.parametrize(
    "text",
    [
        "Authorization: Bearer SECRET-1234",
        "authorization=Basic SECRET-1234",
        "Cookie: kb_session=SECRET-1234; x=1",
        '{"api_key": "SECRET-1234"}',
        "http://ana:SECRET-1234@proxy:3128/",
        "https://x/?token=SECRET-1234&a=1",
        "the key sk-SECRET-1234 is wrong",
        "known SECRET-1234.",
    ],
)
def test_what_looks_like_a_secret_is_not_shown(text):
    assert "SECRET-1234" not in scrub(text, ["SECRET-1234"] if text.startswith("known") else [])


def test_the_servers_own_secrets_are_not_shown(settings):
    settings.DATABASE_URL = "postgresql://kb:p%40ss-word@db/kb"
    settings.EMBEDDINGS_APIKEY, settings.KB_METRICS_TOKEN = "vendor-key-1", "metrics-token-1"
    hidden = [settings.SECRET_KEY, settings.LAMB_API_KEY, "vendor-key-1", "metrics-token-1", "p%40ss-word"]
    shown = scrub(" and ".join(hidden))
    assert not [secret for secret in hidden if secret in shown]


def test_a_signature_is_taken_out_of_a_link():
    assert scrub("/static/a/b/c.txt?s=ABCDEFGHIJKLMNOPQRSTUVWX&e=1") == "/static/a/b/c.txt?s=***&e=1"


@pytest.mark.parametrize(
    "text", ["a." * 40_000, "://" * 20_000, "bearer " * 10_000, "?s=" * 20_000, "token" + " " * 60_000]
)
def test_no_text_is_slow_to_scrub(text):
    began = time.process_time()
    scrub(text, ["x" * 20])
    assert time.process_time() - began < 1


def test_a_thread_knows_what_its_starter_knew():
    seen = []
    with context.about(job_id=7):
        thread = threading.Thread(target=context.carried(lambda: seen.append(dict(context.facts()))))
    thread.start()
    thread.join()
    assert seen == [{"job_id": 7}]
    assert context.facts() == {}


def test_the_log_of_plugins_begins_anew_when_it_is_full(settings, tmp_path):
    settings.KB_RUN_DIR = tmp_path
    handler = PluginLog()
    handler.setFormatter(LineFormatter())
    for number in range(300):
        handler.emit(record("%s %s", number, "x" * 8000))
    log = tmp_path / "plugins.log"
    assert log.stat().st_size < 1_100_000
    assert "299 x" in log.read_text()
