"""The number of a request, and the line that tells of it."""

import io
import json
import logging

import pytest

from kbproject.logs import JsonFormatter
from tests.ingestion.factories import make_collection, make_job

pytestmark = pytest.mark.django_db


@pytest.fixture
def lines():
    """The lines that the server's loggers write from now on, as objects."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonFormatter())
    loggers = [logging.getLogger(name) for name in ("kb", "django.request")]
    before = [logger.level for logger in loggers]
    for logger in loggers:
        logger.addHandler(handler)
    loggers[0].setLevel(logging.DEBUG)
    yield lambda: [json.loads(line) for line in stream.getvalue().splitlines()]
    for logger, level in zip(loggers, before, strict=True):
        logger.removeHandler(handler)
        logger.setLevel(level)


def access(lines):
    return [line for line in lines() if line["logger"] == "kb.access"]


@pytest.mark.parametrize("given", ["abc-123", "4bf92f3577b34da6a3ce929d0e0e4736", "Root=1-5759e988-bd862e3fe"])
def test_a_request_keeps_the_number_that_it_came_with(anyone, given, lines):
    assert anyone.get("/health", HTTP_X_REQUEST_ID=given)["X-Request-ID"] == given
    assert access(lines)[0]["request_id"] == given


@pytest.mark.parametrize("given", ["", "a b", "x" * 101, "a\tb", "<script>", "ü", "-", '"'])
def test_a_number_that_is_none_is_replaced(anyone, given):
    made = anyone.get("/health", HTTP_X_REQUEST_ID=given)["X-Request-ID"]
    assert made != given
    assert len(made) == 32


@pytest.mark.parametrize("path", ["/health", "/nowhere", "/collections", "/assets/none.css", "/admin/"])
def test_every_answer_has_a_number_of_its_own(anyone, path):
    assert anyone.get(path)["X-Request-ID"] != anyone.get(path)["X-Request-ID"]


def test_scripts_of_other_origins_may_read_the_number(anyone):
    assert "X-Request-ID" in anyone.get("/health", HTTP_ORIGIN="http://elsewhere")["Access-Control-Expose-Headers"]


def test_a_request_is_told_with_method_path_status_time_and_actor(api, lines):
    api.send("POST", "/collections", {"name": "told", "owner": "ana"})
    [line] = access(lines)
    assert (line["method"], line["path"], line["status"], line["actor"]) == ("POST", "/collections", 201, "API")
    assert line["ms"] > 0
    assert line["level"] == "INFO"


def test_who_is_logged_in_is_told_by_name(browser, lines):
    browser.get("/admin/")
    assert access(lines)[0]["actor"] == "root"


def test_polls_are_told_at_debug_only(api, collection, lines):
    job = make_job(collection)
    api.get(f"/collections/{collection.pk}/ingestion-jobs/{job.pk}")
    api.get("/nowhere")
    assert [line["level"] for line in access(lines)] == ["DEBUG", "DEBUG"]


@pytest.mark.parametrize(("setting", "levels"), [("all", ["INFO"]), ("none", []), ("changes", ["DEBUG"])])
def test_the_setting_says_what_is_told(anyone, settings, lines, setting, levels):
    settings.KB_ACCESS_LOG = setting
    anyone.get("/health")
    assert [line["level"] for line in access(lines)] == levels


def test_a_path_is_told_without_its_query_and_cannot_write_lines(anyone, lines):
    anyone.get("/static/ana/x/0123456789abcdef0123456789abcdef.txt?s=AAAAAAAAAAAAAAAAAAAAAAAA")
    anyone.get("/a%0A2026-01-01 ERROR forged")
    first, second = access(lines)
    assert "AAAA" not in str(first)
    assert second["path"] == "/a%0A2026-01-01%20ERROR%20forged"


def test_an_error_of_the_server_is_told_with_the_requests_number(api, lines, settings, tmp_path):
    settings.KB_CONFIG_PATH = tmp_path / "config.json"
    settings.KB_CONFIG_PATH.write_text("{")
    number = api.get("/config/embeddings")["X-Request-ID"]
    told = {line["logger"]: line for line in lines()}
    assert told["kb.access"]["level"] == "WARNING"
    assert told["django.request"]["request_id"] == number


def test_what_a_request_does_to_a_job_is_told_with_both_numbers(api, collection, lines):
    job = make_job(collection)
    number = api.send("POST", f"/collections/{collection.pk}/ingestion-jobs/{job.pk}/cancel")["X-Request-ID"]
    [line] = [line for line in lines() if line["logger"] == "kb.jobs"]
    assert (line["request_id"], line["job_id"], line["actor"]) == (number, job.pk, "API")


def test_nothing_of_a_request_is_left_for_the_next_line(anyone, lines):
    make_collection()
    anyone.get("/health")
    logging.getLogger("kb.test").info("afterwards")
    assert "request_id" not in lines()[-1]
