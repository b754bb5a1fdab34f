"""Uploads (contract, 6.1): order of checks, hostile names, limits, and what lies on the disk afterwards."""

import io
import json
from pathlib import Path
from urllib.parse import quote

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from collections_app.errors import CollectionGone
from collections_app.models import Collection
from ingestion import services, storage
from ingestion.models import FileRegistry, FileStatus, JobEvent
from tests.http.shapes import RECEIPT, has_shape, is_error, is_invalid
from tests.ingestion.factories import make_collection

pytestmark = pytest.mark.django_db


def stored_files() -> set[Path]:
    return {path for path in storage.root().rglob("*") if path.is_file()}


@pytest.fixture(autouse=True)
def _own_files(settings, tmp_path):
    settings.MEDIA_ROOT = tmp_path / "files"


# -- The answer -------------------------------------------------------------------------------------


def test_an_upload_is_answered_at_once_with_its_job(api, collection):
    answer = api.upload(collection.pk, "Notes.TXT", b"Tides follow the moon.")
    assert answer.status_code == 200
    receipt = answer.json()
    has_shape(receipt, {**RECEIPT, "status": str, "file_path": str, "file_url": str, "file_registry_id": int})
    assert receipt["id"] == receipt["job_id"] == receipt["file_registry_id"]
    assert receipt["status"] == "processing"
    assert receipt["documents_added"] == 0
    assert receipt["original_filename"] == "Notes.TXT"
    assert receipt["file_url"].startswith("http://localhost:9090/static/ana/handbook/")
    assert not Path(receipt["file_path"]).is_absolute()


def test_the_row_waits_for_a_worker_and_the_file_is_on_the_disk_with_its_hash(api, collection):
    receipt = api.upload(collection.pk, content=b"Tides follow the moon.").json()
    job = FileRegistry.objects.get(pk=receipt["id"])
    assert job.status == FileStatus.PENDING
    assert job.file_size == 22
    assert len(job.content_hash) == 64
    assert (storage.root() / job.file_path).read_bytes() == b"Tides follow the moon."
    assert [event.kind for event in JobEvent.objects.filter(job_id=job.pk)] == ["submitted"]
    assert stored_files() == {storage.root() / job.file_path}


def test_advertised_defaults_apply_when_no_parameters_are_sent(api, collection):
    """``lamb kb upload`` sends none."""
    job = FileRegistry.objects.get(pk=api.upload(collection.pk).json()["id"])
    assert job.plugin_params["chunk_size"] == 1000
    assert job.plugin_params["chunk_overlap"] == 200


def test_other_parts_of_the_form_are_ignored(api, collection):
    """LAMB adds the collection and its owner; its older form also adds chunk sizes, which had no effect."""
    extra = {"collection_id": "9", "owner": "x", "chunk_size": "5", "chunk_unit": "char", "chunk_overlap": "1"}
    job = FileRegistry.objects.get(pk=api.upload(collection.pk, **extra).json()["id"])
    assert job.collection_id == collection.pk
    assert job.owner == collection.owner
    assert job.plugin_params["chunk_size"] == 1000


def test_values_that_lamb_sends_as_text_are_read_as_the_declared_type(api, collection):
    params = json.dumps({"chunk_size": "500", "chunk_overlap": "50"})
    job = FileRegistry.objects.get(pk=api.upload(collection.pk, plugin_params=params).json()["id"])
    assert (job.plugin_params["chunk_size"], job.plugin_params["chunk_overlap"]) == (500, 50)


def test_the_same_file_twice_makes_two_jobs(api, collection):
    one, other = api.upload(collection.pk).json(), api.upload(collection.pk).json()
    assert one["id"] != other["id"]
    assert one["file_path"] != other["file_path"]


def test_an_empty_file_is_taken(api, collection):
    assert api.upload(collection.pk, content=b"").status_code == 200


def test_the_order_of_the_parts_does_not_matter(api, collection):
    body = (
        b'--m\r\nContent-Disposition: form-data; name="file"; filename="a.txt"\r\n\r\nfirst\r\n'
        b'--m\r\nContent-Disposition: form-data; name="plugin_name"\r\n\r\nsimple_ingest\r\n--m--\r\n'
    )
    answer = api.generic("POST", f"/collections/{collection.pk}/ingest-file", body, "multipart/form-data; boundary=m")
    assert answer.status_code == 200


# -- What is refused, and leaves nothing ------------------------------------------------------------


@pytest.mark.parametrize("missing", ["file", "plugin_name"])
def test_a_missing_part_is_422(api, collection, missing):
    assert is_invalid(api.upload(collection.pk, **{missing: None}), "body", missing)["type"] == "missing"
    assert not stored_files()


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("application/json", b"{}"),
        ("application/x-www-form-urlencoded", b"plugin_name=simple_ingest"),
        ("text/plain", b"hello"),
        ("multipart/form-data", b"no boundary"),
        ("multipart/form-data; boundary=x", b""),
        ("multipart/form-data; boundary=x", b"--x\r\nnonsense"),
        ("multipart/form-data; boundary=" + "x" * 400, b"--x"),
    ],
)
def test_a_body_that_is_no_form_is_422(api, collection, kind, body):
    is_invalid(api.generic("POST", f"/collections/{collection.pk}/ingest-file", body, kind), "body", "file")


def test_a_file_sent_as_a_plain_field_is_422(api, collection):
    answer = api.post(f"/collections/{collection.pk}/ingest-file", {"file": "text", "plugin_name": "simple_ingest"})
    is_invalid(answer, "body", "file")


def test_an_unknown_plugin_is_404_and_leaves_no_file(api, collection):
    assert "nothing_ingest" in is_error(api.upload(collection.pk, plugin_name="nothing_ingest"), 404)
    assert not stored_files()


def test_a_disabled_plugin_is_404(api, collection, settings):
    settings.KB_PLUGIN_MODES = {"SIMPLE_INGEST": "DISABLE"}
    is_error(api.upload(collection.pk), 404)


def test_a_missing_collection_is_404_and_leaves_no_file(api, db):
    is_error(api.upload(999), 404)
    assert not stored_files()


@pytest.mark.parametrize(
    "params", ["{", "nonsense", "[]", '"text"', "5", "null", '{"chunk_size": NaN}', "[" * 20_000, '{"a": "\\ud800"}']
)
def test_plugin_params_that_are_no_json_object_are_400(api, collection, params):
    assert "plugin_params" in is_error(api.upload(collection.pk, plugin_params=params), 400)
    assert not FileRegistry.objects.exists()
    assert not stored_files()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("chunk_size", "big"),
        ("chunk_size", 0),
        ("chunk_size", -5),
        ("chunk_size", 5.5),
        ("chunk_size", True),
        ("chunk_size", 10**30),
        ("splitter_type", "NoSuchSplitter"),
        ("chunk_unit", "page"),
        ("shoe_size", 44),
        ("colour", None),
    ],
)
def test_a_wrong_parameter_is_422_and_named(api, collection, name, value):
    entry = is_invalid(
        api.upload(collection.pk, plugin_params=json.dumps({name: value})), "body", "plugin_params", name
    )
    assert name in entry["msg"]
    assert entry["input"] == value
    assert not stored_files()


def test_every_wrong_parameter_is_named(api, collection):
    answer = api.upload(collection.pk, plugin_params=json.dumps({"chunk_size": "x", "colour": 1}))
    assert {entry["loc"][-1] for entry in answer.json()["detail"]} == {"chunk_size", "colour"}


@pytest.mark.parametrize(
    "name", ["photo.png", "noextension", "archive.tar.gz", "notes.txt.exe", ".txt.", "a." + "x" * 300]
)
def test_a_type_that_the_plugin_does_not_read_is_400_and_names_those_it_does(api, collection, name):
    assert "txt" in is_error(api.upload(collection.pk, name), 400)
    assert not stored_files()


@pytest.mark.parametrize("name", ["NOTES.TXT", "readme.Md", "a.b.c.txt", "page.HTML"])
def test_extensions_are_compared_in_any_case(api, collection, name):
    assert api.upload(collection.pk, name).status_code == 200


def test_a_remote_plugin_takes_lambs_placeholder_whatever_it_lists(api, collection):
    answer = api.upload(
        collection.pk,
        "url:example-org.txt",
        b"https://example.org/",
        plugin_name="address_ingest",
        plugin_params=json.dumps({"url": "https://example.org/"}),
    )
    assert answer.status_code == 200
    assert answer.json()["original_filename"] == "url:example-org.txt"


def test_a_full_disk_is_507_and_leaves_nothing(api, collection, settings):
    settings.KB_MIN_FREE_MB = 10**9
    is_error(api.upload(collection.pk), 507)
    assert not stored_files()
    assert not FileRegistry.objects.exists()


# -- Size -------------------------------------------------------------------------------------------


def test_an_announced_upload_past_the_limit_is_413_before_it_is_read(api, collection, settings):
    settings.KB_MAX_UPLOAD_MB = 1
    answer = api.upload(collection.pk, content=b"x" * (2 * 1024 * 1024 + 1))
    assert "1 MB" in is_error(answer, 413)
    assert not stored_files()


def test_a_file_past_the_limit_is_413_also_when_its_form_is_just_within(api, collection, settings):
    settings.KB_MAX_UPLOAD_MB = 1
    answer = api.upload(collection.pk, content=b"x" * (1024 * 1024 + 1))
    assert "1 MB" in is_error(answer, 413)
    assert not stored_files()


def test_a_file_of_exactly_the_limit_is_taken(api, collection, settings):
    settings.KB_MAX_UPLOAD_MB = 1
    assert api.upload(collection.pk, content=b"x" * 1024 * 1024).status_code == 200


def test_a_field_that_is_no_file_may_not_fill_the_memory(api, collection, settings):
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 1024
    is_error(api.upload(collection.pk, plugin_params="x" * 4096), 413)


def test_too_many_fields_are_400(api, collection, settings):
    settings.DATA_UPLOAD_MAX_NUMBER_FIELDS = 10
    is_error(api.upload(collection.pk, **{f"f{n}": "x" for n in range(20)}), 400)
    assert not stored_files()


def test_a_request_that_breaks_off_leaves_nothing(api, collection):
    body = b'--m\r\nContent-Disposition: form-data; name="file"; filename="a.txt"\r\n\r\nhalf of i'
    answer = api.generic("POST", f"/collections/{collection.pk}/ingest-file", body, "multipart/form-data; boundary=m")
    assert answer.status_code == 422
    answer.close()
    assert not stored_files()


# -- Names ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("../../../etc/passwd.txt", "passwd.txt"),
        ("/etc/cron.d/x.txt", "x.txt"),
        ("C:\\Windows\\win.txt", "win.txt"),
        ("....//....//x.txt", "x.txt"),
        ("yt:some-video.txt", "yt:some-video.txt"),
        ("a b+c%20d&e.txt", "a b+c%20d&e.txt"),
        ("<script>.txt", "<script>.txt"),
        ("名前.txt", "名前.txt"),
        ("e\u0301.txt", "é.txt"),
        ("line\nbreak.txt", "linebreak.txt"),
        ("nul\x00byte.txt", "nulbyte.txt"),
        ("\u202egpj.txt", "gpj.txt"),
        ("x" * 300 + ".txt", "x" * 251 + ".txt"),
        (" spaces .txt", "spaces .txt"),
        ("'quotes\u2019.txt", "'quotes\u2019.txt"),
    ],
)
def test_a_hostile_name_is_only_a_name(api, collection, sent, kept):
    # RFC 5987, so that every character arrives.
    answer = api.upload_raw(
        collection.pk, f"form-data; name=\"file\"; filename*=UTF-8''{quote(sent, safe='')}".encode()
    )
    assert answer.status_code == 200, answer.content
    assert answer.json()["original_filename"] == kept
    [path] = stored_files()
    assert path.is_relative_to(storage.root())
    assert path.name == f"{path.parent.name}.txt"


def test_a_name_in_plain_utf8_is_kept(api, collection):
    answer = api.upload_raw(collection.pk, 'form-data; name="file"; filename="Größe 名.txt"'.encode())
    assert answer.json()["original_filename"] == "Größe 名.txt"


@pytest.mark.parametrize("name", ["", ".", "..", "/", "a/"])
def test_a_part_without_a_usable_name_is_no_file(api, collection, name):
    answer = api.upload_raw(collection.pk, f'form-data; name="file"; filename="{name}"'.encode())
    is_invalid(answer, "body", "file")
    assert not stored_files()


def test_a_hostile_content_type_is_only_text(api, collection):
    body = (
        b'--m\r\nContent-Disposition: form-data; name="file"; filename="a.txt"\r\n'
        b"Content-Type: " + b"x" * 900 + b"/<b>\r\n\r\nx\r\n"
        b'--m\r\nContent-Disposition: form-data; name="plugin_name"\r\n\r\nsimple_ingest\r\n--m--\r\n'
    )
    answer = api.generic("POST", f"/collections/{collection.pk}/ingest-file", body, "multipart/form-data; boundary=m")
    assert answer.status_code == 200
    assert len(FileRegistry.objects.get().content_type or "") <= 255


# -- Sources without a file -------------------------------------------------------------------------


def test_addresses_become_a_job(api, collection):
    body = {
        "urls": ["https://example.org/a"],
        "plugin_name": "address_ingest",
        "plugin_params": {"api_key": "k-123456"},
    }
    receipt = api.send("POST", f"/collections/{collection.pk}/ingest-url", body).json()
    has_shape(receipt, {**RECEIPT, "file_registry_id": int})
    assert receipt["status"] == "processing"
    job = FileRegistry.objects.get(pk=receipt["id"])
    assert job.file_url == "https://example.org/a"
    assert job.plugin_params == {"url": "https://example.org/a", "api_key": "k-123456", "limit": 10}
    assert job.content_type == "text/markdown"
    assert api.get(f"/collections/{collection.pk}/ingestion-jobs/{job.pk}").json()["file_url"] == job.file_url


def test_an_address_without_a_password_is_shown_as_it_was_given(api, collection):
    address = "https://example.org/?q=a:b@c.org"
    body = {"urls": [address], "plugin_name": "address_ingest"}
    job = api.send("POST", f"/collections/{collection.pk}/ingest-url", body).json()
    assert FileRegistry.objects.get(pk=job["id"]).file_url == address
    shown = api.get(f"/collections/{collection.pk}/ingestion-jobs/{job['id']}").json()
    assert (shown["file_url"], shown["original_filename"]) == (address, address)


def test_several_addresses_go_to_a_plugin_that_takes_several(api, collection):
    urls = ["https://example.org/a", "https://example.org/b"]
    body = {"urls": urls, "plugin_name": "addresses_ingest"}
    job = FileRegistry.objects.get(pk=api.send("POST", f"/collections/{collection.pk}/ingest-url", body).json()["id"])
    assert job.plugin_params["urls"] == urls


def test_several_addresses_for_a_plugin_that_takes_one_are_400_instead_of_dropped(api, collection):
    body = {"urls": ["https://a.example/", "https://b.example/"], "plugin_name": "address_ingest"}
    is_error(api.send("POST", f"/collections/{collection.pk}/ingest-url", body), 400)


@pytest.mark.parametrize("scheme", ["https://", ""])
def test_a_password_in_an_address_is_not_shown(api, collection, scheme):
    body = {"urls": [f"{scheme}me:sk-1234@example.org/a"], "plugin_name": "address_ingest"}
    answer = api.send("POST", f"/collections/{collection.pk}/ingest-url", body)
    assert answer.status_code == 200
    assert b"sk-1234" not in answer.content
    assert b"sk-1234" not in api.get(f"/collections/{collection.pk}/ingestion-jobs").content
    job = FileRegistry.objects.get(pk=answer.json()["id"])
    assert job.original_filename == f"{scheme}example.org/a"
    assert "sk-1234" not in job.file_url  # which chunks repeat


def test_an_address_that_is_refused_for_its_password_is_not_shown_either(api, collection):
    body = {"urls": ["me:sk-1234@example.org/a"], "plugin_name": "url_ingest"}
    answer = api.send("POST", f"/collections/{collection.pk}/ingest-url", body)
    assert answer.status_code == 422
    assert b"sk-1234" not in answer.content


def test_an_address_that_is_too_long_is_refused(api, collection):
    address = "https://example.org/" + "a" * 2000
    path = f"/collections/{collection.pk}"
    is_invalid(
        api.send("POST", f"{path}/ingest-url", {"urls": [address], "plugin_name": "address_ingest"}), "body", "urls"
    )
    body = {"plugin_name": "address_ingest", "plugin_params": {"url": address}}
    is_error(api.send("POST", f"{path}/ingest-base", body), 400)


def test_no_addresses_are_taken_as_the_original_did(api, collection):
    body = {"urls": [], "plugin_name": "address_ingest", "plugin_params": {"url": "https://example.org/"}}
    assert api.send("POST", f"/collections/{collection.pk}/ingest-url", body).status_code == 200


@pytest.mark.parametrize(
    "body", [{}, {"urls": None}, {"urls": "https://x"}, {"urls": [5]}, {"urls": [], "plugin_params": []}]
)
def test_addresses_of_a_wrong_shape_are_422(api, collection, body):
    is_invalid(api.send("POST", f"/collections/{collection.pk}/ingest-url", body), "body")


def test_a_wrong_parameter_of_an_address_is_422(api, collection):
    body = {"urls": ["https://x.example/"], "plugin_name": "address_ingest", "plugin_params": {"limit": 0}}
    is_invalid(api.send("POST", f"/collections/{collection.pk}/ingest-url", body), "body", "plugin_params", "limit")


def test_a_source_is_taken_from_its_plugins_parameters(api, collection):
    body = {"plugin_name": "address_ingest", "plugin_params": {"url": "https://example.org/a"}}
    receipt = api.send("POST", f"/collections/{collection.pk}/ingest-base", body).json()
    assert FileRegistry.objects.get(pk=receipt["id"]).file_url == "https://example.org/a"


def test_a_source_without_an_address_gets_a_name(api, collection):
    body = {"plugin_name": "repository_ingest"}
    receipt = api.send("POST", f"/collections/{collection.pk}/ingest-base", body).json()
    assert receipt["original_filename"].startswith("repository_ingest_")
    assert receipt["file_url"] == ""


def test_a_plugin_that_fetches_addresses_must_be_told_one(api, collection):
    body = {"plugin_name": "address_ingest"}
    is_error(api.send("POST", f"/collections/{collection.pk}/ingest-base", body), 400)


# -- The same source again --------------------------------------------------------------------------


def test_skip_answers_with_the_job_that_has_the_same_source(api, collection):
    first = api.upload(collection.pk).json()
    assert first["skipped"] is False
    again = api.upload(collection.pk, on_duplicate="skip").json()
    has_shape(again, RECEIPT)
    assert again == {**first, "skipped": True}
    FileRegistry.objects.get().claim(None)
    job = FileRegistry.objects.get()
    assert job.complete(job.run_id, 1, "1 chunk added")
    assert api.upload(collection.pk, on_duplicate="skip").json()["status"] == "completed"


def test_addresses_are_compared_too(api, collection):
    path = f"/collections/{collection.pk}"
    body = {"urls": ["https://example.org/a"], "plugin_name": "address_ingest", "on_duplicate": "skip"}
    first = api.send("POST", f"{path}/ingest-url", body).json()
    source = {"plugin_params": {"url": "https://example.org/a"}, **body}
    assert api.send("POST", f"{path}/ingest-base", source).json() == {**first, "skipped": True}


@pytest.mark.parametrize("address", ["file:///etc/passwd", "gopher://example.org/", "http://me:secret@example.org/"])
def test_what_the_crawler_could_never_fetch_is_refused_at_once(api, collection, address):
    is_invalid(
        api.send("POST", f"/collections/{collection.pk}/ingest-url", {"urls": [address]}), "body", "plugin_params"
    )
    body = {"plugin_name": "url_ingest", "plugin_params": {"url": address}}
    is_invalid(api.send("POST", f"/collections/{collection.pk}/ingest-base", body), "body", "plugin_params", "url")
    assert not FileRegistry.objects.exists()


def test_an_unknown_way_with_duplicates_is_422(api, collection):
    is_invalid(api.upload(collection.pk, on_duplicate="merge"), "body", "on_duplicate")
    body = {"urls": ["https://example.org/a"], "plugin_name": "address_ingest", "on_duplicate": "merge"}
    is_invalid(api.send("POST", f"/collections/{collection.pk}/ingest-url", body), "body", "on_duplicate")
    assert not FileRegistry.objects.exists()


@pytest.mark.parametrize("path", ["ingest-url", "ingest-base"])
def test_a_plugin_that_needs_a_file_is_400_and_says_where_to_go(api, collection, path):
    body = {"urls": [], "plugin_name": "simple_ingest"}
    is_error(api.send("POST", f"/collections/{collection.pk}/{path}", body), 400)


@pytest.mark.parametrize("path", ["ingest-url", "ingest-base"])
def test_unknown_collections_and_plugins_are_404(api, collection, path):
    body = {"urls": [], "plugin_name": "nothing_ingest"}
    is_error(api.send("POST", f"/collections/{collection.pk}/{path}", body), 404)
    is_error(api.send("POST", f"/collections/999/{path}", {**body, "plugin_name": "address_ingest"}), 404)


def test_a_source_needs_a_plugin(api, collection):
    is_invalid(api.send("POST", f"/collections/{collection.pk}/ingest-base", {}), "body", "plugin_name")


@pytest.mark.parametrize("field", ["plugin_name", "plugin_params"])
def test_a_field_sent_as_a_file_is_refused_by_its_name(api, collection, field):
    answer = api.upload(collection.pk, **{field: SimpleUploadedFile("p.json", b"{}")})
    is_invalid(answer, "body", field)
    assert "Upload(" not in answer.content.decode()


@pytest.mark.django_db(transaction=True)
def test_an_upload_whose_collection_is_deleted_meanwhile_keeps_nothing(api):
    """The row goes between the look at the collection and the insert."""
    collection = make_collection("short lived")
    upload = storage.receive(io.BytesIO(b"text"), "notes.txt")
    Collection.objects.filter(pk=collection.pk).delete()
    with pytest.raises(CollectionGone):
        services.submit(collection, "simple_ingest", {}, upload=upload)
    assert not storage.folder(upload.key).exists()
