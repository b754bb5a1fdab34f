"""Groups of failures: what counts as the same reason, and what is advised."""

import pytest
from django.db import connection
from hypothesis import given
from hypothesis import strategies as st

from ingestion import failures
from ingestion.fingerprint import LENGTH, fingerprint, pattern_of
from ingestion.models import FileRegistry, FileStatus
from plugins.videos import youtube
from tests.ingestion.factories import make_collection, make_job

SAME = [
    ("report.pdf is encrypted.", "Übersicht 2.pdf is encrypted."),
    ("https://a.org/x?y=1 answered 503.", "http://b.org answered 503."),
    ("Nothing moved for 360 seconds.", "Nothing moved for 1,200.5 seconds."),
    ("There is no server named 'a.example'.", 'There is no server named "b".'),
    ("Run 3f2504e0-4f89-11d3-9a0c-0305e82c3301 broke.", "Run 0123456789abcdef broke."),
]


@pytest.mark.parametrize(("one", "other"), SAME)
def test_messages_that_differ_in_names_and_numbers_have_one_fingerprint(one, other):
    assert pattern_of(one).replace("2", "") and len(fingerprint(one)) == LENGTH
    assert fingerprint(one).isalnum()
    assert fingerprint(other.replace("Übersicht 2", "Übersicht")) == fingerprint(one)


def test_other_sentences_have_other_fingerprints():
    assert fingerprint("The file is damaged.") != fingerprint("The file is encrypted.")
    assert fingerprint("") == ""


@given(st.text(max_size=300))
def test_any_text_has_a_fingerprint(text):
    assert len(fingerprint(text)) in {0, LENGTH}


def test_no_message_is_slow_to_read():
    hostile = "'" * 50_000 + "a." * 20_000 + "0a" * 20_000
    assert len(fingerprint(hostile)) == LENGTH


@pytest.mark.parametrize("code", [*failures._REMEDIES, "never_heard_of"])
def test_each_code_has_a_remedy_in_words(code):
    remedy = failures.remedy_for(code)
    assert remedy.action in {"retry", "retry_with", "mend_vendor", "mend_server", "nothing"}
    assert remedy.sentence.endswith(".")
    assert remedy.advice.endswith(".")


@pytest.mark.django_db
def test_a_group_has_another_example_when_its_latest_is_retried_while_it_is_read():
    collection = make_collection()
    first, latest = (make_job(collection, FileStatus.FAILED) for _ in range(2))
    FileRegistry.objects.update(error_fingerprint="abc")
    retried = []

    def retry_between(execute, sql, params, many, context):
        answer = execute(sql, params, many, context)
        if "GROUP BY" in sql and not retried:
            retried.append(latest.pk)
            latest.retry({})
        return answer

    with connection.execute_wrapper(retry_between):
        (group,) = failures.groups()
    assert retried
    assert group.example == first
    assert failures.as_object(group)["message"] == "The file is damaged."


def test_a_remedy_speaks_of_what_went_wrong():
    """A certificate is no parameter, a status may be 403 or 503, and more computing time has a setting of its own."""
    assert failures.remedy_for("tls_failed").action == "mend_server"
    assert "does not open" in failures.remedy_for("http_status").advice
    assert "KB_PLUGIN_CPU_SECONDS" in failures.remedy_for("cpu_limit").sentence
    assert "update" in failures.remedy_for("youtube_changed").advice


@pytest.mark.parametrize("code", ["fetch_failed", "failed_before_import", *youtube._WORDS])
def test_the_codes_of_fetching_are_known(code):
    assert failures.is_known(code)
