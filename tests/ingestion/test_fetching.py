"""Sources that are fetched, and conversions that are kept, through a worker and its real plugin host."""

import io

import pytest
from django.test import override_settings

from collections_app.models import Chunk, Document
from ingestion import hosts, services, storage
from ingestion.models import FileStatus, JobEvent
from tests.ingestion.factories import make_collection, work
from tests.plugins import documents
from tests.support.site import Site
from tests.support.youtube import Fault, YouTube, demonstration

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow, pytest.mark.usefixtures("own_folders")]


@pytest.fixture(scope="module")
def tube(tmp_path_factory):
    with YouTube(tmp_path_factory.mktemp("tube")) as running:
        running.videos = demonstration()
        yield running


@pytest.fixture(scope="module", autouse=True)
def _intranet(tube):
    """A host whose fetching may reach this machine, and which trusts the local video site."""
    with override_settings(KB_FETCH_ALLOW_PRIVATE=["127.0.0.0/8"]), pytest.MonkeyPatch.context() as patch:
        patch.setenv("SSL_CERT_FILE", str(tube.ca_file))
        hosts.discard()
        yield
    hosts.discard()


@pytest.fixture
def site():
    with Site() as running:
        running.page("/", status=302, Location="/0")
        for number in range(4):
            running.article(f"/{number}", f"The text of page {number}, long enough to be read.", f"/{number + 1}")
        yield running


def crawl(collection, site, on_duplicate="allow", **params):
    params = {"url": f"{site.url}/0", "delay": 0, "max_discovery_depth": 5, **params}
    return services.submit(collection, "url_ingest", params, name=site.url, url=site.url, on_duplicate=on_duplicate)


def texts(job):
    return sorted(
        Chunk.objects.filter(document__in=Document.objects.published(), document__file_id=job.pk).values_list(
            "text", flat=True
        )
    )


def test_a_crawl_ends_with_its_pages_and_a_word_about_each_that_could_not_be_read(site):
    job = work(crawl(make_collection(), site))
    assert job.status == FileStatus.COMPLETED, job.error_message
    assert len(texts(job)) == 4
    pages = job.processing_stats["pages"]
    assert (pages["read"], pages["failed"]) == (4, 1)
    assert pages["failures"][0]["code"] == "http_status"
    warnings = JobEvent.objects.filter(job_id=job.pk, kind="warning").values_list("message", flat=True)
    assert any("404" in warning for warning in warnings)


def test_a_crawl_that_reads_nothing_fails_and_keeps_its_reasons(site):
    site.answers.clear()
    job = work(crawl(make_collection(), site))
    assert (job.status, job.error_code) == (FileStatus.FAILED, "http_status")
    assert job.error_details["hint"]
    assert job.processing_stats["pages"]["failures"][0]["url"].startswith(site.url)


def test_a_replacement_asks_only_for_what_has_changed(site):
    collection = make_collection()
    first = work(crawl(collection, site))
    site.forget()
    site.article("/2", "Another text of page 2, long enough to be read.", "/3")
    second = work(crawl(collection, site, "replace", chunk_size=500))
    assert site.statuses.count(304) == 3
    assert sum("Another text" in text for text in texts(second)) == 1
    assert len(texts(second)) == 4
    assert texts(first) == []
    assert second.processing_stats["pages"]["unchanged"] == 3


def test_an_address_inside_is_refused_where_the_operator_has_not_allowed_it(site, settings):
    settings.KB_FETCH_ALLOW_PRIVATE = []
    hosts.discard()
    job = work(crawl(make_collection(), site))
    assert (job.status, job.error_code) == (FileStatus.FAILED, "address_blocked")
    assert site.asked == []
    hosts.discard()


def test_a_video_site_that_blocks_is_asked_again_after_the_time_that_it_names(tube):
    video = next(iter(tube.videos))
    tube.faults["/watch"] = Fault(429, headers={"Retry-After": "120"})
    params = {"video_url": video, "proxy_url": tube.proxy}
    job = work(services.submit(make_collection(), "youtube_transcript_ingest", params, name=video))
    assert (job.status, job.error_code) == (FileStatus.PENDING, "youtube_rate_limited")
    assert 100 < (job.not_before - job.updated_at).total_seconds() < 200
    assert tube.proxy not in job.progress_message
    tube.faults.clear()
    job = work(job)
    assert job.status == FileStatus.COMPLETED, job.error_message
    assert job.transient_failures == 0


def test_a_password_in_an_address_is_found_in_nothing_that_a_job_tells():
    address = "me:sesame@vimeo.com/1"
    params = {"video_urls": [address]}
    job = work(services.submit(make_collection(), "youtube_transcript_ingest", params, name=address, url=address))
    assert (job.status, job.error_code) == (FileStatus.FAILED, "unsupported_address")
    told = [job.original_filename, job.file_url, job.error_message, job.error_details, job.processing_stats]
    told += JobEvent.objects.filter(job_id=job.pk).values_list("message", "data")
    assert "sesame" not in repr(told)
    assert "vimeo.com/1" in job.error_message


def test_other_splitting_of_a_document_does_not_convert_it_again():
    collection = make_collection()
    content = documents.pdf([f"Page {number} about planets and their moons." for number in range(3)])

    def submit(**params):
        upload = storage.receive(io.BytesIO(content), "planets.pdf")
        return services.submit(collection, "markitdown_ingest", params, upload=upload, on_duplicate="replace")

    first = work(submit())
    second = work(submit(chunk_size=60, chunk_overlap=0))
    assert second.document_count > first.document_count
    said = [stage["message"] for stage in second.processing_stats["stage_timings"] if stage["stage"] == "conversion"]
    assert "kept" in said[0]
    said = [stage["message"] for stage in first.processing_stats["stage_timings"] if stage["stage"] == "conversion"]
    assert "kept" not in said[0]
