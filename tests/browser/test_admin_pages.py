"""What an operator does in the admin when jobs have failed: find them, read why, mend it, see them complete."""

import re
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Site
from tests.support.vendor import Vendor

FILES = ("minutes.txt", "syllabus.txt", "timetable.txt", "reading list.txt")
PASSWORD = "correct horse battery"


@pytest.fixture(scope="module")
def vendor() -> Iterator[Vendor]:
    with Vendor() as running:
        yield running


@pytest.fixture(scope="module")
def site(make_site: Callable[..., Site], vendor: Vendor) -> Site:
    site = make_site(
        EMBEDDINGS_VENDOR="openai", EMBEDDINGS_ENDPOINT=f"{vendor.url}/v1", EMBEDDINGS_APIKEY="sk-of-this-test"
    )
    site.add_users(PASSWORD, olga=["superuser"], rita=["staff", "view_fileregistry"])
    return site


def log_in(page: Page, site: Site, name: str) -> None:
    page.goto(f"{site.url}/admin/")
    page.get_by_label("Username").fill(name)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()


def in_status(site: Site, collection: int, status: str) -> list[str]:
    jobs = site.expect("GET", f"/ingestion-jobs?collection={collection}&status={status}&ordering=id")["items"]
    return [job["original_filename"] for job in jobs]


def test_failed_jobs_are_found_explained_and_retried_in_a_group(
    page: Page, site: Site, vendor: Vendor, picture: Callable[[Page, str], None]
) -> None:
    collection = site.create_collection("Biology 101", owner="ana")
    vendor.fail_with(401, 100, body={"error": {"message": "Incorrect API key provided"}})
    jobs = [site.upload(collection, name, f"The text of {name}.".encode() * 20) for name in FILES]
    broken = site.upload(collection, "slides.pdf", b"%PDF-1.7 and then nothing", plugin="markitdown_ingest")
    for job in (*jobs, broken):
        assert site.wait(collection, job)["status"] == "failed"
    vendor.faults.clear()  # somebody has mended the key

    log_in(page, site, "olga")
    expect(page.get_by_role("heading", name="Failures by reason")).to_be_visible()
    picture(page, "admin-start")
    failed = page.get_by_role("listitem").filter(has_text="failed")
    expect(failed).to_contain_text("5")
    failed.get_by_role("link").click()
    expect(page.locator("#result_list tbody tr")).to_have_count(5)
    picture(page, "admin-list")

    page.get_by_role("link", name="syllabus.txt").click()
    expect(page.get_by_text("What went wrong")).to_be_visible()
    expect(page.locator(".field-error_code")).to_contain_text("vendor_rejected")
    expect(page.locator(".field-hint .readonly")).not_to_be_empty()
    picture(page, "admin-job")

    page.goto(f"{site.url}/admin/ingestion/fileregistry/failures/")
    group = page.get_by_role("row").filter(has_text="vendor_rejected")
    expect(group.locator(".kb-number")).to_have_text(str(len(FILES)))
    picture(page, "admin-failures")
    group.get_by_role("button", name="Retry all…").click()
    expect(page.locator(".kb-count").first).to_contain_text(f"{len(FILES)} jobs will be queued again")
    picture(page, "admin-confirm")
    page.get_by_role("button", name="Yes, retry them").click()
    expect(page.get_by_role("status")).to_contain_text(f"{len(FILES)} jobs were queued again")
    picture(page, "admin-done")

    for job in jobs:
        assert site.wait(collection, job)["status"] == "completed"
    page.get_by_role("link", name="Back to the list").click()
    page.goto(f"{site.url}/admin/ingestion/fileregistry/?collection={collection}&status=completed")
    expect(page.locator("#result_list tbody tr")).to_have_count(len(FILES))
    picture(page, "admin-completed")
    assert in_status(site, collection, "completed") == list(FILES)
    assert in_status(site, collection, "failed") == ["slides.pdf"]


def test_who_may_only_look_is_offered_nothing_to_do(page: Page, site: Site) -> None:
    collection = site.create_collection("Look only", owner="ana")
    job = site.upload(collection, "broken.pdf", b"not a PDF", plugin="markitdown_ingest")
    assert site.wait(collection, job)["status"] == "failed"
    log_in(page, site, "rita")
    page.goto(f"{site.url}/admin/ingestion/fileregistry/?collection={collection}")
    expect(page.locator("#result_list tbody tr")).to_have_count(1)
    expect(page.locator("select[name=action]")).to_have_count(0)
    page.goto(f"{site.url}/admin/ingestion/fileregistry/{job}/change/")
    expect(page.locator(".field-error_code")).to_be_visible()
    expect(page.get_by_role("button", name=re.compile("Retry|Cancel|Delete"))).to_have_count(0)


def test_chunks_are_reached_from_the_job(page: Page, site: Site, picture: Callable[[Page, str], None]) -> None:
    collection = site.create_collection("Chunks", owner="ana")
    text = "\n\n".join(f"Paragraph {number} speaks of mitochondria and the energy of the cell." for number in range(60))
    job = site.upload(collection, "cells.txt", text.encode(), params={"chunk_size": 300})
    assert site.wait(collection, job)["status"] == "completed"
    log_in(page, site, "olga")
    page.goto(f"{site.url}/admin/ingestion/fileregistry/{job}/change/")
    page.get_by_role("link", name="Its documents").click()
    page.locator("#result_list tbody tr").get_by_role("link").first.click()
    picture(page, "admin-document")
    page.get_by_role("link", name="All of them").click()
    rows = page.locator("#result_list tbody tr")
    expect(rows.first).to_contain_text("1 of")
    picture(page, "admin-chunks")
    rows.nth(1).get_by_role("link").first.click()
    expect(page.locator(".field-whole_text")).to_contain_text("mitochondria")
    picture(page, "admin-chunk")
    page.get_by_role("link", name="the next one").click()
    expect(page.locator(".field-place")).to_contain_text("3 of")
