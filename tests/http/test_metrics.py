"""``/metrics``: what Prometheus reads, who may read it, and what it costs."""

import re
import time
from datetime import timedelta
from pathlib import Path

import pytest
from django.db import connection
from django.db.models.functions import Now
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from prometheus_client.parser import text_string_to_metric_families

from collections_app.models import Document, VendorState
from ingestion import metrics, tally
from ingestion.models import FileRegistry, FileStatus, Tally, Worker
from tests.http.shapes import is_error
from tests.ingestion.factories import make_collection, make_job

pytestmark = [pytest.mark.django_db, pytest.mark.engine]


@pytest.fixture(autouse=True)
def _nothing_remembered():
    metrics.forget()
    yield
    metrics.forget()


def samples(api, **headers):
    """``{(name, labels as a sorted tuple of pairs): value}``"""
    metrics.forget()
    answer = api.get("/metrics", **headers)
    assert answer.status_code == 200, answer.content
    families = text_string_to_metric_families(answer.content.decode())
    return {(s.name, tuple(sorted(s.labels.items()))): s.value for family in families for s in family.samples}


def value(found, name, **labels):
    return found[(name, tuple(sorted(labels.items())))]


# -- Who may read -----------------------------------------------------------------------------------


def test_metrics_need_a_token_unless_they_are_made_public(api, anyone, settings):
    assert is_error(anyone.get("/metrics"), 401) == "Not authenticated"
    assert anyone.get("/metrics")["WWW-Authenticate"] == "Bearer"
    assert api.get("/metrics").status_code == 200
    settings.KB_METRICS_PUBLIC = True
    assert anyone.get("/metrics").status_code == 200
    assert anyone.get("/metrics", HTTP_AUTHORIZATION="Bearer wrong").status_code == 200


def test_the_token_for_metrics_opens_nothing_else(anyone, settings):
    settings.KB_METRICS_TOKEN = "only-to-look-0123"
    header = {"HTTP_AUTHORIZATION": "Bearer only-to-look-0123"}
    assert anyone.get("/metrics", **header).status_code == 200
    is_error(anyone.get("/collections", **header), 401)
    is_error(anyone.get("/metrics", HTTP_AUTHORIZATION="Bearer only-to-look"), 401)


def test_without_a_token_of_their_own_an_empty_one_does_not_open_metrics(anyone):
    assert anyone.get("/metrics", HTTP_AUTHORIZATION="Bearer ").status_code == 401


@pytest.mark.parametrize(
    ("accept", "kind"), [("", "text/plain"), ("application/openmetrics-text; version=1.0.0", "application/openmetrics")]
)
def test_metrics_come_in_the_format_that_the_reader_prefers(api, accept, kind):
    assert api.get("/metrics", HTTP_ACCEPT=accept)["Content-Type"].startswith(kind)


# -- What is true now -------------------------------------------------------------------------------


def test_jobs_are_counted_by_status_plugin_and_code(api, collection):
    for status in (FileStatus.COMPLETED, FileStatus.COMPLETED, FileStatus.FAILED, FileStatus.CANCELLED):
        make_job(collection, status)
    make_job(collection, FileStatus.COMPLETED, plugin_name="url_ingest")
    found = samples(api)
    assert value(found, "kb_jobs", status="completed", plugin="simple_ingest", code="") == 2
    assert value(found, "kb_jobs", status="completed", plugin="url_ingest", code="") == 1
    assert value(found, "kb_jobs", status="failed", plugin="simple_ingest", code="corrupt") == 1


def test_series_of_jobs_are_bounded_and_no_job_is_lost_by_that(api, collection, monkeypatch):
    monkeypatch.setattr(metrics, "MOST_SERIES", 5)
    for number in range(20):
        make_job(collection, plugin_name=f"made_up_{number}")
    found = {key: count for key, count in samples(api).items() if key[0] == "kb_jobs"}
    assert len(found) == 6
    assert sum(found.values()) == 20


def test_the_age_of_the_queue_is_that_of_the_job_that_could_have_run_longest(api, collection):
    make_job(collection, FileStatus.COMPLETED)
    assert value(samples(api), "kb_queue_oldest_due_seconds") == 0
    old, young, later = (make_job(collection) for _ in range(3))
    FileRegistry.objects.filter(pk=old.pk).update(updated_at=Now() - timedelta(seconds=100))
    FileRegistry.objects.filter(pk=young.pk).update(
        updated_at=Now() - timedelta(seconds=900), not_before=Now() - timedelta(seconds=30)
    )
    FileRegistry.objects.filter(pk=later.pk).update(
        updated_at=Now() - timedelta(seconds=900), not_before=Now() + timedelta(seconds=30)
    )
    found = samples(api)
    assert value(found, "kb_queue_jobs", state="due") == 2
    assert value(found, "kb_queue_jobs", state="waiting") == 1
    assert value(found, "kb_queue_oldest_due_seconds") == pytest.approx(100, abs=5)


def test_workers_reaper_vendors_and_disk_are_told(api, collection):
    Worker.objects.create(host="elsewhere", boot_id="b", pid=7, process_started=1.0)
    Worker.objects.create(host="elsewhere", boot_id="b", pid=8, process_started=1.0, stopped_at=timezone.now())
    Document.objects.create(collection=collection, chunk_count=7, withdrawn_at=timezone.now())
    Document.objects.create(collection=collection, chunk_count=5)
    VendorState.objects.create(
        key="a", vendor="openai", endpoint="https://user:hunter2@x", failures=4,
        open_until=timezone.now() + timedelta(minutes=1), failing_since=timezone.now() - timedelta(minutes=5),
    )  # fmt: skip
    VendorState.objects.create(key="b", vendor="openai", failures=1)
    found = samples(api)
    assert value(found, "kb_workers_living") == 1
    assert value(found, "kb_reaper_documents") == 1
    assert value(found, "kb_reaper_chunks") == 7
    assert value(found, "kb_vendor_endpoints", vendor="openai", state="open") == 1
    assert value(found, "kb_vendor_endpoints", vendor="openai", state="failing") == 1
    assert value(found, "kb_vendor_endpoints", vendor="ollama", state="open") == 0
    assert value(found, "kb_vendor_failing_seconds", vendor="openai") == pytest.approx(300, abs=5)
    assert value(found, "kb_storage_free_bytes") > 0
    assert "hunter2" not in api.get("/metrics").content.decode()


# -- What was counted over time ---------------------------------------------------------------------


def test_a_histogram_is_cumulative_and_its_numbers_add_up_over_runs(api, collection):
    for seconds in (0.02, 0.3, 700.0, 5000.0):
        counts = tally.RunCounts(make_job(collection))
        counts.stage("conversion", seconds)
        counts.stored(10)
        counts.keep(tally.COMPLETED)
    found = samples(api)
    bucket = {le: value(found, "kb_stage_seconds_bucket", plugin="simple_ingest", stage="conversion", le=le)
              for le in ("0.05", "0.5", "300.0", "1800.0", "+Inf")}  # fmt: skip
    assert bucket == {"0.05": 1, "0.5": 2, "300.0": 2, "1800.0": 3, "+Inf": 4}
    assert value(found, "kb_stage_seconds_count", plugin="simple_ingest", stage="conversion") == 4
    total = value(found, "kb_stage_seconds_sum", plugin="simple_ingest", stage="conversion")
    assert total == pytest.approx(5700.32)
    assert value(found, "kb_chunks_stored_total", plugin="simple_ingest") == 40
    assert value(found, "kb_runs_total", plugin="simple_ingest", outcome="completed", code="") == 4


def test_a_bucket_of_an_earlier_version_is_counted_into_the_next_larger_one(api):
    Tally.objects.create(metric="kb_stage_seconds", labels="simple_ingest|conversion", part="0.07", value=3)
    found = samples(api)
    labels = {"plugin": "simple_ingest", "stage": "conversion"}
    assert value(found, "kb_stage_seconds_bucket", le="0.05", **labels) == 0
    assert value(found, "kb_stage_seconds_bucket", le="0.1", **labels) == 3


def test_labels_are_of_what_the_server_knows(api, collection):
    tally.RunCounts(make_job(collection, plugin_name="no such|plugin")).keep(tally.FAILED, "made\nup")
    assert value(samples(api), "kb_runs_total", plugin="other", outcome="failed", code="other") == 1


def test_the_rescue_counter_is_there_before_the_first_rescue(api):
    assert value(samples(api), "kb_rescues_total") == 0
    tally.rescued()
    assert value(samples(api), "kb_rescues_total") == 1


def test_every_metric_is_documented_and_no_other(api, settings):
    text = (Path(settings.BASE_DIR) / "docs" / "operations.md").read_text()
    table = text[text.index("| Metric |") : text.index("Labels stay few")]
    documented = set(re.findall(r"`(kb_\w+)`", table))
    families = text_string_to_metric_families(api.get("/metrics").content.decode())
    told = {f"{family.name}_total" if family.type == "counter" else family.name for family in families}
    assert told == documented
    rules = text[text.index("### Alerts") :]
    assert set(re.findall(r"\b(kb_\w+)", rules)) <= told


# -- What it costs ----------------------------------------------------------------------------------


def test_a_scrape_costs_the_same_queries_however_many_jobs_there_are(api, collection):
    def queries():
        metrics.forget()
        with CaptureQueriesContext(connection) as captured:
            api.get("/metrics")
        return len(captured)

    make_job(collection)
    few = queries()
    for number in range(60):
        make_job(make_collection(f"c{number}"), FileStatus.values[number % 6], plugin_name=f"plugin_{number % 7}")
    assert queries() == few <= 10


def test_a_second_reader_within_seconds_costs_nothing(api, django_assert_num_queries):
    api.get("/metrics")
    with django_assert_num_queries(0):
        api.get("/metrics")


@pytest.mark.skipif("connection.vendor != 'sqlite'", reason="the plans are SQLite's")
def test_a_scrape_reads_jobs_by_indexes_only(api, collection):
    make_job(collection)
    with CaptureQueriesContext(connection) as captured:
        api.get("/metrics")
    plans = []
    with connection.cursor() as cursor:
        for query in captured.captured_queries:
            cursor.execute(f"EXPLAIN QUERY PLAN {query['sql']}")
            plans += [row[-1] for row in cursor.fetchall()]
    text = "\n".join(plans)
    assert "COVERING INDEX job_numbers" in text, text
    assert "job_queue" in text, text
    assert "job_leases" in text, text
    assert "SCAN ingestion_fileregistry\n" not in text + "\n", text


def multiply(collection, number, **changes):
    """Add so many copies of the collection's first job, of twelve plugins, with *changes* (SQL)."""
    table = FileRegistry._meta.db_table
    changes |= {"plugin_name": "'plugin_' || (numbers.n % 12)", "storage_key": "NULL"}
    columns = [field.column for field in FileRegistry._meta.concrete_fields if not field.primary_key]
    values = ", ".join(changes.get(column, f"first.{column}") for column in columns)
    with connection.cursor() as cursor:
        cursor.execute(
            f"WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < {number}) "  # noqa: S608
            f"INSERT INTO {table} ({', '.join(columns)}) SELECT {values} FROM numbers, "
            f"(SELECT * FROM {table} WHERE collection_id = {collection.pk} ORDER BY id LIMIT 1) AS first"
        )


@pytest.mark.slow
@pytest.mark.skipif("connection.vendor != 'sqlite'", reason="100,000 rows count one by one into the same row there")
def test_a_scrape_of_a_hundred_thousand_jobs_takes_a_fraction_of_a_second(api, collection):
    make_job(collection, FileStatus.COMPLETED, error_message="x" * 200, processing_stats={"kept": "y" * 400})
    multiply(collection, 50_000, status="'completed'")
    multiply(collection, 50_000, status="'pending'", processing_completed_at="NULL")
    took = []
    for _ in range(3):
        metrics.forget()
        began = time.process_time()
        assert api.get("/metrics").status_code == 200
        took.append(time.process_time() - began)
    print(f"scrapes of 100,000 jobs: {', '.join(f'{seconds * 1000:.0f}' for seconds in took)} ms of CPU")  # noqa: T201
    assert min(took) < 0.5  # seconds of CPU: the machine may be busy
