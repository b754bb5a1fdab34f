"""The same addresses in a browser: pages with forms for staff, and nothing for anybody else."""

import re

import pytest
from django.contrib.auth.models import Permission
from django.test import Client

from ingestion.models import FileRegistry, FileStatus
from tests.ingestion.factories import make_job

pytestmark = pytest.mark.django_db

PAGE = "text/html; charset=utf-8"


def csrf_of(page) -> str:
    found = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"|csrfToken["\']?: ["\'](\w+)', page.content.decode())
    assert found
    return found[1] or found[2]


@pytest.mark.parametrize(
    "path",
    [
        "/collections",
        "/collections/C",
        "/collections/C/files",
        "/collections/C/ingestion-jobs",
        "/collections/C/ingestion-jobs?status=failed&limit=1",
        "/collections/C/ingestion-jobs/J",
        "/collections/C/ingestion-jobs/J/events",
        "/collections/C/ingestion-status",
        "/ingestion/plugins",
        "/config/embeddings",
        "/ingestion-jobs",
        "/ingestion-jobs?status=failed&limit=1",
        "/ingestion-jobs/J",
        "/ingestion/failures",
        "/database/status",
        "/health",
    ],
)
def test_what_answers_get_has_a_page(browser, collection, path):
    job = make_job(collection, FileStatus.FAILED)
    make_job(collection, FileStatus.FAILED)
    answer = browser.get(path.replace("C", str(collection.pk)).replace("J", str(job.pk)))
    assert answer.status_code == 200
    assert answer["Content-Type"] == PAGE
    assert b"KB Server" in answer.content


@pytest.mark.parametrize(
    ("path", "holds"),
    [
        ("/collections", b"embeddings_model"),
        ("/collections/C", b"description"),
        ("/collections/C/ingest-file", b'type="file"'),
        ("/collections/C/ingest-url", b"urls"),
        ("/collections/C/preview", b"source_job"),
        ("/collections/C/query", b"query_text"),
        ("/collections/C/documents", b"metadata"),
        ("/collections/C/ingestion-jobs/J/retry", b"override_params"),
        ("/collections/C/ingestion-jobs/J/cancel", b"POST"),
        ("/ingestion-jobs/retry", b"override_params"),
        ("/ingestion-jobs/cancel", b"dry_run"),
        ("/config/embeddings", b"api_endpoint"),
        ("/collections/owner/7/embeddings", b"apikey"),
    ],
)
def test_what_takes_something_has_a_form_for_it(browser, collection, path, holds):
    job = make_job(collection, FileStatus.FAILED)
    answer = browser.get(path.replace("C", str(collection.pk)).replace("J", str(job.pk)))
    assert answer.status_code in {200, 405}
    assert answer["Content-Type"] == PAGE
    assert holds in answer.content


def test_a_stranger_is_sent_to_the_login_and_back(collection):
    answer = Client(HTTP_ACCEPT="text/html").get(f"/collections/{collection.pk}/files?status=failed")
    assert answer.status_code == 302
    assert answer["Location"] == f"/admin/login/?next=%2Fcollections%2F{collection.pk}%2Ffiles%3Fstatus%3Dfailed"


def test_who_is_logged_in_but_no_staff_stays_outside(collection, django_user_model):
    client = Client()
    client.force_login(django_user_model.objects.create_user("visitor", password="a-long-password"))
    assert client.get(f"/collections/{collection.pk}").status_code == 401


def test_staff_who_left_stay_outside(collection, staff, browser):
    staff.is_active = False
    staff.save()
    assert browser.get(f"/collections/{collection.pk}", HTTP_ACCEPT="*/*").status_code == 401


@pytest.mark.parametrize("method", ["post", "put", "patch", "delete"])
def test_changes_from_a_browser_need_the_csrf_token(browser, collection, method):
    path = "/collections" if method == "post" else f"/collections/{collection.pk}"
    answer = getattr(browser, method)(path, data="{}", content_type="application/json", HTTP_ACCEPT="*/*")
    assert answer.status_code == 403
    assert "CSRF" in answer.json()["detail"]


def test_a_form_sent_with_its_csrf_token_is_taken_and_named_in_the_diary(browser, collection):
    job = make_job(collection, FileStatus.PENDING)
    page = browser.get(f"/collections/{collection.pk}/ingestion-jobs/{job.pk}")
    assert page.status_code == 200
    path = f"/collections/{collection.pk}/ingestion-jobs/{job.pk}/cancel"
    token = browser.cookies["kb_csrf"].value
    answer = browser.post(path, data="{}", content_type="application/json", HTTP_X_CSRFTOKEN=token)
    assert answer.status_code == 200
    events = browser.get(f"/collections/{collection.pk}/ingestion-jobs/{job.pk}/events", HTTP_ACCEPT="*/*").json()
    assert events["items"][-1]["message"] == "Cancelled by root"


def test_a_file_can_be_uploaded_from_the_page(browser, collection, tmp_path, settings):
    settings.MEDIA_ROOT = tmp_path
    path = f"/collections/{collection.pk}/ingest-file"
    page = browser.get(path)
    with (tmp_path / "notes.txt").open("w+b") as file:
        file.write(b"Some text.")
        file.seek(0)
        form = {"file": file, "plugin_name": "simple_ingest", "plugin_params": "{}"}
        answer = browser.post(path, {**form, "csrfmiddlewaretoken": csrf_of(page)})
    assert answer.status_code == 200, answer.content
    assert FileRegistry.objects.get().original_filename == "notes.txt"


def test_text_of_users_is_escaped_on_pages(browser, collection):
    job = make_job(collection, FileStatus.PENDING, original_filename="<script>alert(1)</script>.txt")
    for path in (f"/ingestion-jobs/{job.pk}", "/ingestion-jobs", "/files"):
        assert b"<script>alert(1)" not in browser.get(f"/collections/{collection.pk}{path}").content


def test_admin_works_with_and_without_its_slash(browser):
    assert browser.get("/admin")["Location"] == "/admin/"
    assert browser.get("/admin/").status_code == 200
    missing = browser.get("/admin/no/such/page/")
    assert missing.status_code == 404
    assert missing["Content-Type"].startswith("text/html")


def test_the_servers_own_static_files_live_under_assets(browser):
    assert b"/assets/rest_framework/" in browser.get("/collections").content


@pytest.mark.parametrize("path", ["/ingestion-jobs", "/ingestion/failures"])
def test_lists_across_collections_show_their_filters(browser, collection, path):
    make_job(collection, FileStatus.FAILED)
    page = browser.get(path).content.decode()
    assert 'id="filtersModal"' in page
    for name in ("status", "code", "created_after"):
        assert f'name="{name}"' in page
    assert "invalid name" not in page


def test_a_long_list_of_all_jobs_links_to_its_next_page(browser, collection):
    for _ in range(2):
        make_job(collection, FileStatus.FAILED)
    page = browser.get("/ingestion-jobs?limit=1&status=failed").content.decode()
    following = re.search(r'href="(/ingestion-jobs\?[^"]*cursor=[^"]+)"', page)
    assert following
    assert browser.get(following[1].replace("&amp;", "&")).status_code == 200
    assert "cursor=" not in re.sub(r"<pre.*?</pre>", "", browser.get("/ingestion-jobs").content.decode(), flags=re.S)


def test_a_page_says_what_its_address_does(browser, collection):
    assert b"Failed jobs in groups" in browser.get("/ingestion/failures").content
    assert b"Queue failed jobs again" in browser.get("/ingestion-jobs/retry").content


RIGHTS = {
    "retry_fileregistry": {"retry"},
    "cancel_fileregistry": {"cancel"},
    "delete_fileregistry": {"delete", "delete the collection"},
    "change_fileregistry": {"settings"},
    "view_fileregistry": set(),
}


@pytest.mark.parametrize("permission", RIGHTS)
def test_each_verb_takes_the_right_that_the_admin_asks_for(collection, django_user_model, permission):
    user = django_user_model.objects.create_user("eva", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename=permission))
    client = Client()
    client.force_login(user)
    failed, waiting = make_job(collection, "failed"), make_job(collection)
    asked = {
        "retry": ("post", "/ingestion-jobs/retry", {"ids": [failed.pk]}),
        "cancel": ("post", f"/collections/{collection.pk}/ingestion-jobs/{waiting.pk}/cancel", {}),
        "settings": ("put", "/config/embeddings", {"vendor": "none of these"}),
        "delete": ("delete", f"/collections/{collection.pk}/files/{failed.pk}", None),
        "delete the collection": ("delete", f"/collections/{collection.pk}", None),
        "any of them": ("put", f"/collections/files/{failed.pk}/status?status=deleted", None),
    }
    statuses = {
        verb: getattr(client, method)(path, body, content_type="application/json").status_code
        for verb, (method, path, body) in asked.items()
    }
    assert {verb for verb, status in statuses.items() if status != 401} == RIGHTS[permission]
