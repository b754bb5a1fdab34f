"""The list of files, their text, and the stored files themselves (contract, 8; decision P9)."""

import re
from datetime import UTC, datetime
from urllib.parse import urlsplit

import pytest

from collections_app import links
from ingestion import storage
from ingestion.models import FileRegistry, FileStatus
from tests.collections_app.factories import fill, unit_rows
from tests.http.conftest import TOKEN
from tests.http.shapes import FILE, has_shape, is_error, is_invalid
from tests.ingestion.factories import make_collection, make_job

pytestmark = pytest.mark.django_db


# -- The list ---------------------------------------------------------------------------------------


def test_files_are_a_bare_array_in_the_order_of_their_rows(api, collection):
    jobs = [make_job(collection, status) for status in FileStatus.values]
    files = api.get(f"/collections/{collection.pk}/files").json()
    assert [file["id"] for file in files] == [job.pk for job in jobs]
    for file in files:
        has_shape(file, FILE, exactly=True)


@pytest.mark.parametrize("status", FileStatus.values)
def test_files_are_filtered_by_status(api, collection, status):
    for each in FileStatus.values:
        make_job(collection, each)
    files = api.get(f"/collections/{collection.pk}/files?status={status}").json()
    assert [file["status"] for file in files] == [status]


def test_files_can_be_paged(api, collection):
    jobs = [make_job(collection) for _ in range(4)]
    files = api.get(f"/collections/{collection.pk}/files?limit=2&offset=1").json()
    assert [file["id"] for file in files] == [jobs[1].pk, jobs[2].pk]
    is_invalid(api.get(f"/collections/{collection.pk}/files?limit=0"), "query", "limit")


def test_an_unknown_status_is_400_and_a_missing_collection_404(api, collection):
    is_error(api.get(f"/collections/{collection.pk}/files?status=lost"), 400)
    is_error(api.get("/collections/999/files"), 404)
    assert api.get(f"/collections/{collection.pk}/files").json() == []


# -- Their text -------------------------------------------------------------------------------------


def test_the_text_of_a_file_is_its_own_even_if_others_have_its_name(api, collection):
    one, other = (make_job(collection, FileStatus.COMPLETED) for _ in range(2))
    fill(collection, unit_rows(3), file_id=one.pk, word="moon")
    fill(collection, unit_rows(2), file_id=other.pk, word="bread")
    shown = api.get(f"/files/{one.pk}/content").json()
    assert shown["content"] == "moon 0\nmoon 1\nmoon 2"
    assert (shown["file_id"], shown["original_filename"]) == (one.pk, "report.txt")
    assert (shown["content_type"], shown["chunk_count"]) == ("markdown", 3)
    assert shown["timestamp"].endswith("Z")


def test_a_file_without_text_is_404(api, collection):
    assert "pending" in is_error(api.get(f"/files/{make_job(collection).pk}/content"), 404)
    is_error(api.get("/files/999/content"), 404)


# -- Stored files -----------------------------------------------------------------------------------


@pytest.fixture
def uploaded(api, collection):
    receipt = api.upload(collection.pk, "Nötiz: 1.txt", b"0123456789").json()
    return FileRegistry.objects.get(pk=receipt["id"])


@pytest.fixture
def link(api, uploaded):
    """The link of the upload, as others follow it."""
    address = urlsplit(api.get(f"/collections/{uploaded.collection_id}/files").json()[0]["file_url"])
    return f"{address.path}?{address.query}"


def bare(link):
    return link.partition("?")[0]


def body_of(answer):
    return b"".join(answer.streaming_content) if answer.streaming else answer.content


def test_a_signed_link_opens_the_upload_for_anyone_as_a_download(anyone, link):
    answer = anyone.get(link)
    assert body_of(answer) == b"0123456789"
    assert answer["Content-Disposition"] == "attachment; filename*=UTF-8''N%C3%B6tiz%3A%201.txt"
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert answer["Content-Security-Policy"].startswith("sandbox;")
    assert answer["Content-Length"] == "10"


def test_a_link_is_the_same_every_time(api, uploaded):
    path = f"/collections/{uploaded.collection_id}/files"
    assert api.get(path).json()[0]["file_url"] == api.get(path).json()[0]["file_url"]


def test_the_token_and_a_staff_session_open_it_too(anyone, browser, link):
    assert anyone.get(bare(link), HTTP_AUTHORIZATION=f"Bearer {TOKEN}").status_code == 200
    assert browser.get(bare(link)).status_code == 200


def test_a_wrong_token_does_not_spoil_a_good_signature(anyone, link):
    assert anyone.get(link, HTTP_AUTHORIZATION="Bearer wrong").status_code == 200


@pytest.mark.parametrize("query", ["", "?s=", "?s=wrong", "?s=%FF", "?e=99999", "?s=é", "?s[]=x"])
def test_without_a_right_it_looks_as_if_nothing_were_there(anyone, link, query):
    absent = anyone.get(f"/static/ana/handbook/{'0' * 32}.txt{query}")
    answer = anyone.get(bare(link) + query)
    assert is_error(answer, 404) == "Not Found"
    assert answer.content == absent.content


def test_a_signature_opens_its_own_file_only(anyone, api, collection, link):
    other = api.upload(collection.pk).json()["file_path"]
    query = link.partition("?")[2]
    is_error(anyone.get(f"/static/ana/handbook/{other.rpartition('/')[2]}?{query}"), 404)


@pytest.mark.parametrize(
    "path", ["/static/x/y/NAME", "/static/%2E%2E/handbook/NAME", "/static/ana/renamed%20since/NAME"]
)
def test_owner_and_collection_of_the_address_may_be_out_of_date(anyone, link, path):
    name, _, query = link.rpartition("/")[2].partition("?")
    assert anyone.get(f"{path.replace('NAME', name)}?{query}").status_code == 200


@pytest.mark.parametrize(
    "name",
    [
        "..",
        "%2e%2e%2fkb.sqlite3",
        "..%2f..%2fsecret.key",
        "secret.key",
        "scratch",
        "KEY",
        "KEY.txt/",
        "KEY.exe",
        "KEY.txt%00.html",
        "KEY.txt.txt.txt",
        "work%2fspool.jsonl",
        "KEY%2fwork%2fspool.jsonl",
        "%00",
    ],
)
def test_names_that_are_none_of_ours_are_404_even_with_the_token(api, uploaded, name):
    answer = api.get(f"/static/ana/handbook/{name.replace('KEY', uploaded.storage_key)}")
    assert answer.status_code in {404, 307}
    if answer.status_code == 404:
        is_error(answer, 404)


@pytest.mark.parametrize("path", ["/static/ana", "/static/ana/handbook", "/static/ana/handbook/a/b"])
def test_folders_are_404(api, path):
    is_error(api.get(path), 404)


def test_deleting_the_file_or_its_collection_closes_its_links(anyone, api, uploaded, link):
    copy = (storage.root() / uploaded.file_path).read_bytes()
    api.delete(f"/collections/{uploaded.collection_id}/files/{uploaded.pk}?hard=false")
    is_error(anyone.get(link), 404)
    (storage.root() / uploaded.file_path).parent.mkdir(parents=True, exist_ok=True)
    (storage.root() / uploaded.file_path).write_bytes(copy)  # as if its removal had failed
    is_error(anyone.get(link), 404)


def test_a_deleted_collection_closes_its_links_before_its_files_go(anyone, api, uploaded, link):
    api.delete(f"/collections/{uploaded.collection_id}")
    assert (storage.root() / uploaded.file_path).exists()
    is_error(anyone.get(link), 404)


def test_another_secret_key_revokes_all_links(anyone, link, settings):
    settings.SECRET_KEY = "another secret key of the server, long enough"
    is_error(anyone.get(link), 404)


def test_pages_that_we_made_are_shown_in_a_sandbox(anyone, uploaded, link):
    page = (storage.root() / uploaded.file_path).with_suffix(".html")
    page.write_text("<script>alert(1)</script>")
    answer = anyone.get(link.replace(".txt?", ".html?"))
    assert answer["Content-Disposition"] == "inline"
    assert answer["Content-Type"] == "text/html; charset=utf-8"
    assert "allow-scripts" not in answer["Content-Security-Policy"]
    assert answer["X-Content-Type-Options"] == "nosniff"


def test_an_uploaded_page_is_never_shown(anyone, api, collection):
    name = api.upload(collection.pk, "evil.html", b"<script>").json()["file_path"].rpartition("/")[2]
    answer = api.get(f"/static/ana/handbook/{name}")
    assert answer["Content-Disposition"].startswith("attachment")


@pytest.mark.parametrize(
    ("wanted", "status", "body", "header"),
    [
        ("bytes=0-3", 206, b"0123", "bytes 0-3/10"),
        ("bytes=7-", 206, b"789", "bytes 7-9/10"),
        ("bytes=-2", 206, b"89", "bytes 8-9/10"),
        ("bytes=-99", 206, b"0123456789", "bytes 0-9/10"),
        ("bytes=5-999", 206, b"56789", "bytes 5-9/10"),
        ("bytes=10-", 416, b"", "bytes */10"),
        ("bytes=5-2", 416, b"", "bytes */10"),
        ("bytes=0-1,3-4", 200, b"0123456789", None),
        ("bytes=-", 200, b"0123456789", None),
        ("lines=1-2", 200, b"0123456789", None),
    ],
)
def test_a_part_of_a_file_can_be_asked_for(anyone, link, wanted, status, body, header):
    answer = anyone.get(link, HTTP_RANGE=wanted)
    assert (answer.status_code, body_of(answer)) == (status, body)
    assert answer.get("Content-Range") == header


def test_head_tells_the_length_without_the_bytes(anyone, link):
    answer = anyone.head(link)
    assert answer.status_code == 200
    assert answer["Content-Length"] == "10"
    assert anyone.post(link).status_code == 405


def test_a_file_costs_one_query(anyone, link, django_assert_num_queries):
    with django_assert_num_queries(1):
        anyone.get(link)
    with django_assert_num_queries(0):
        anyone.get(bare(link))


# -- The signature ----------------------------------------------------------------------------------

KEY = "c" * 32


def test_a_link_without_expiry_holds_for_good_and_one_with_expiry_to_the_end_of_its_day(settings, monkeypatch):
    now = datetime(2026, 3, 1, 12, 0, tzinfo=UTC).timestamp()
    monkeypatch.setattr("collections_app.links.time.time", lambda: now)
    for_good = query_of(links.signature(KEY))
    settings.KB_LINK_TTL = 3600
    dated = links.signature(KEY)
    assert not links.opens(KEY, for_good)  # the operator wants links to expire now
    monkeypatch.setattr("collections_app.links.time.time", lambda: now + 3600)
    assert links.signature(KEY) == dated
    assert links.opens(KEY, query_of(dated))
    monkeypatch.setattr("collections_app.links.time.time", lambda: now + 12 * 3600 - 1)
    assert links.opens(KEY, query_of(dated))
    monkeypatch.setattr("collections_app.links.time.time", lambda: now + 12 * 3600)
    assert not links.opens(KEY, query_of(dated))
    settings.KB_LINK_TTL = 0
    assert links.opens(KEY, for_good)


def test_the_day_cannot_be_changed_or_left_out(settings):
    settings.KB_LINK_TTL = 3600
    query = query_of(links.signature(KEY))
    for changed in (
        {**query, "e": str(int(query["e"]) + 1)},
        {"s": query["s"]},
        {**query, "e": "x"},
        {**query, "e": "²"},
    ):
        assert not links.opens(KEY, changed)
    settings.KB_LINK_TTL = 0
    assert not links.opens(KEY, {"s": query["s"]})


def query_of(text):
    return dict(part.split("=", 1) for part in text.split("&"))


@pytest.mark.parametrize("name", ["", ".", "..", "...", "a/b", "../x", "a?b#c", "ü", "%2e%2e", "a b"])
def test_any_name_is_one_part_of_the_path(name):
    path = links.static_path(name, name, f"{KEY}.txt")
    assert re.fullmatch(r"/static/[^/?#]+/[^/?#]+/c{32}\.txt", path)
    assert "/../" not in path
    assert links.signed(path) == f"{path}?{links.signature(KEY)}"


@pytest.mark.parametrize(
    "link",
    [
        "",
        "https://example.org/static/a/b/" + KEY + ".txt",
        "/static/a/b/notes.txt",
        f"/static/a/{KEY}.txt",
        f"/elsewhere/a/b/{KEY}.txt",
        f"/static/a/b/{KEY}f.txt",
    ],
)
def test_links_to_anything_else_stay_as_they_are(link):
    assert links.signed(link) == link


def test_a_link_that_was_signed_before_is_signed_anew():
    link = f"/static/a/b/{KEY}/page%201.png"
    assert links.signed(f"{link}?s=old&e=1#top") == f"{link}?{links.signature(KEY)}"


def test_a_collections_links_hold_after_it_was_renamed(anyone, api, uploaded, link):
    api.send("PATCH", f"/collections/{uploaded.collection_id}", {"name": "renamed"})
    assert anyone.get(link).status_code == 200
    assert make_collection("handbook")  # and somebody may take the name
    assert anyone.get(link).status_code == 200
