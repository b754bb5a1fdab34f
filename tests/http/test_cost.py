"""What the polled endpoints cost: queries, and whether each query finds its rows by an index."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from ingestion.models import FileStatus
from tests.ingestion.factories import make_collection, make_job

pytestmark = pytest.mark.django_db


@pytest.fixture
def busy(collection):
    for n in range(60):
        make_job(collection, FileStatus.values[n % 6])
    make_job(make_collection("other"))
    return collection


def job_path(collection, status):
    return f"/collections/{collection.pk}/ingestion-jobs/{collection.files.filter(status=status).first().pk}"


@pytest.mark.parametrize("status", FileStatus.values)
def test_a_job_costs_one_query_and_one_more_while_it_waits(api, busy, status, django_assert_num_queries):
    path = job_path(busy, status)
    api.get(path)  # what is known of the past is read now and then
    with django_assert_num_queries(2 if status == "pending" else 1):
        assert api.get(path).status_code == 200


@pytest.mark.parametrize(
    ("query", "queries"),
    [("", 4), ("?status=failed", 2), ("?status=pending", 4), ("?limit=200&sort_by=updated_at", 4), ("?offset=999", 2)],
)
def test_a_page_of_jobs_costs_the_same_however_many_there_are(api, busy, query, queries, django_assert_num_queries):
    api.get(f"/collections/{busy.pk}/ingestion-jobs")
    with django_assert_num_queries(queries):
        assert api.get(f"/collections/{busy.pk}/ingestion-jobs{query}").status_code == 200


def test_the_summary_costs_three_queries_and_one_when_nothing_runs_or_failed(api, busy, django_assert_num_queries):
    api.get(f"/collections/{busy.pk}/ingestion-status")
    with django_assert_num_queries(3):
        api.get(f"/collections/{busy.pk}/ingestion-status")
    quiet = make_collection("quiet")
    make_job(quiet, FileStatus.COMPLETED)
    with django_assert_num_queries(1):
        api.get(f"/collections/{quiet.pk}/ingestion-status")


def test_the_list_of_files_costs_one_query(api, busy, django_assert_num_queries):
    with django_assert_num_queries(1):
        api.get(f"/collections/{busy.pk}/files")


@pytest.mark.skipif("connection.vendor != 'sqlite'", reason="the plans are SQLite's")
@pytest.mark.parametrize(
    ("path", "indexes"),
    [
        ("JOB", {"PRIMARY KEY"}),
        ("PENDING", {"PRIMARY KEY", "job_queue"}),
        ("/ingestion-jobs", {"job_by_age", "job_queue"}),
        ("/ingestion-jobs?sort_order=asc", {"job_by_age"}),
        ("/ingestion-jobs?status=completed", {"job_by_status_age"}),
        ("/ingestion-jobs?sort_by=status", {"job_by_status_age"}),
        ("/ingestion-jobs?status=failed&sort_by=updated_at", {"job_latest_failures"}),
        ("/ingestion-status", {"SEARCH ingestion_jobcount", "job_latest_failures", "job_longest_running"}),
    ],
)
def test_what_is_polled_is_found_by_an_index_and_never_sorted(api, busy, path, indexes):
    path = {"JOB": job_path(busy, "completed"), "PENDING": job_path(busy, "pending")}.get(
        path, f"/collections/{busy.pk}{path}"
    )
    with CaptureQueriesContext(connection) as captured:
        assert api.get(path).status_code == 200
    plans = []
    with connection.cursor() as cursor:
        for query in captured.captured_queries:
            cursor.execute(f"EXPLAIN QUERY PLAN {query['sql']}")
            plans += [row[-1] for row in cursor.fetchall()]
    text = "\n".join(plans)
    for index in indexes:
        assert index in text, text
    assert "TEMP B-TREE" not in text, text
    assert "SCAN ingestion_fileregistry\n" not in text + "\n", text
