"""Previews on the pages: begun from the form, compared, and taken in without being sent again."""

import re
from datetime import timedelta
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from collections_app.models import Collection, Document
from ingestion import preview, services, storage
from ingestion.housekeeping import expire_previews
from ingestion.models import FileRegistry, FileStatus, JobKind
from tests.ingestion.factories import work

pytestmark = pytest.mark.django_db(transaction=True)  # a run looks at its row from a thread of its own
TEXT = "\n\n".join(f"Paragraph {number} speaks of the energy of the cell." for number in range(60))


@pytest.fixture(autouse=True)
def own_place(own_folders: Any) -> None:
    """Where the runs of real plugin hosts leave their files."""


def begin(client: Client, collection: Collection, **form: Any) -> Any:
    return client.post(f"/ui/collections/{collection.pk}/preview", form)


def of_file(client: Client, collection: Collection, **form: str) -> FileRegistry:
    file = SimpleUploadedFile("cells.txt", TEXT.encode(), "text/plain")
    answer = begin(client, collection, file=file, plugin="simple_ingest", **form)
    job = FileRegistry.objects.latest("pk")
    assert answer["Location"] == f"/ui/collections/{collection.pk}/preview/{job.pk}"
    return job


def shown(client: Client, job: FileRegistry, beside: FileRegistry | None = None, **options: Any) -> Any:
    query = f"?beside={beside.pk}" if beside else ""
    return client.get(f"/ui/collections/{job.collection_id}/preview/{job.pk}{query}", **options)


def test_a_limit_that_was_set_before_the_preview_holds_when_it_is_taken_in(ana: Client, collection: Collection) -> None:
    answer = begin(ana, collection, kind="web", addresses="https://example.org/a", **{"param-limit": "50"})
    job = FileRegistry.objects.get()
    assert answer["Location"].endswith(f"/preview/{job.pk}?param-limit=50")
    page = ana.get(answer["Location"]).content.decode()
    assert re.search(r'<input[^>]* name="param-limit"[^>]* value="50"', page)
    ana.post(f"/ui/collections/{collection.pk}/preview/{job.pk}/take-in", {"param-limit": "50"})
    assert FileRegistry.objects.latest("pk").plugin_params["limit"] == 50


@pytest.mark.parametrize(("wish", "replaces"), [("replace", True), ("allow", False)])
def test_what_becomes_of_a_source_that_is_there_is_carried_through_the_preview(
    ana: Client, collection: Collection, wish: str, replaces: bool
) -> None:
    earlier = of_file(ana, collection)
    work(earlier)
    work(preview.ingest(earlier, {}))
    file = SimpleUploadedFile("cells.txt", TEXT.encode(), "text/plain")
    answer = begin(ana, collection, file=file, plugin="simple_ingest", on_duplicate=wish)
    page = ana.get(answer["Location"]).content.decode()
    assert f'name="on_duplicate" value="{wish}"' in page
    job = FileRegistry.objects.latest("pk")
    work(job)
    beside = ana.post(
        f"/ui/collections/{collection.pk}/preview/{job.pk}/again", {"first": job.pk, "on_duplicate": wish}
    )
    assert f"on_duplicate={wish}" in beside["Location"]
    work(FileRegistry.objects.latest("pk"))
    ana.post(f"/ui/collections/{collection.pk}/preview/{job.pk}/take-in", {"on_duplicate": wish})
    taken = FileRegistry.objects.ingestions().latest("pk")
    assert work(taken).status == FileStatus.COMPLETED
    assert taken.replaces_duplicates is replaces
    assert Document.objects.published().filter(collection=collection).count() == (1 if replaces else 2)


def test_two_settings_are_compared_and_one_is_taken_in(ana: Client, collection: Collection) -> None:
    first = of_file(ana, collection, **{"param-chunk_size": "300", "param-chunk_overlap": "0"})
    assert first.kind == JobKind.PREVIEW
    waiting = shown(ana, first, HTTP_X_REQUESTED_WITH="fetch").content.decode()
    assert 'data-live="1"' in waiting
    assert "<html" not in waiting
    assert work(first).status == FileStatus.COMPLETED
    form = {"first": str(first.pk), "param-chunk_size": "900", "param-chunk_overlap": "0"}
    answer = ana.post(f"/ui/collections/{collection.pk}/preview/{first.pk}/again", form)
    second = FileRegistry.objects.latest("pk")
    assert answer["Location"].endswith(f"/preview/{first.pk}?beside={second.pk}")
    assert work(second).status == FileStatus.COMPLETED
    counts = [job.processing_stats["preview"]["chunks"] for job in (first, second)]
    assert counts[0] > counts[1] > 1
    page = shown(ana, first, second).content.decode()
    assert 'data-live="0"' in page
    assert all(f'<dd class="cut-count">{count}</dd>' in page for count in counts)
    assert "Paragraph 0 speaks" in page

    answer = ana.post(f"/ui/collections/{collection.pk}/preview/{second.pk}/take-in")
    made = FileRegistry.objects.latest("pk")
    assert answer["Location"] == f"/ui/collections/{collection.pk}/jobs/{made.pk}"
    assert made.kind == JobKind.INGESTION
    assert made.plugin_params["chunk_size"] == 900
    assert not Document.objects.exists()
    assert work(made).document_count == counts[1]
    assert (storage.root() / made.file_path).read_text() == TEXT

    again = ana.post(f"/ui/collections/{collection.pk}/preview/{second.pk}/take-in", follow=True)
    assert "is there already" in again.content.decode()
    assert FileRegistry.objects.ingestions().count() == 1


def test_what_was_taken_in_outlives_its_preview(ana: Client, collection: Collection) -> None:
    first = work(of_file(ana, collection))
    made = preview.ingest(first, {})
    services.delete(first)
    assert work(made).status == FileStatus.COMPLETED


def test_pasted_text_and_addresses_are_previewed_too(ana: Client, collection: Collection) -> None:
    begin(ana, collection, kind="text", title="Cells", text=TEXT)
    job = FileRegistry.objects.latest("pk")
    assert (job.kind, job.original_filename, job.plugin_name) == (JobKind.PREVIEW, "cells.md", "simple_ingest")
    begin(ana, collection, kind="web", addresses="https://example.org/a https://example.org/b", **{"param-limit": "50"})
    job = FileRegistry.objects.latest("pk")
    assert job.kind == JobKind.PREVIEW
    assert job.plugin_params["url"] == "https://example.org/a"
    assert job.plugin_params["limit"] == preview.MOST_SOURCES
    made = preview.ingest(job, {})
    assert made.plugin_params["limit"] == 100  # the limit of previews holds for previews


@pytest.mark.parametrize(
    ("form", "said"),
    [({"kind": "web", "addresses": ""}, "at least one address"), ({"kind": "text", "text": " "}, "some text first"),
     ({"kind": "files"}, "No file arrived"), ({"kind": "web", "addresses": "x.org", "param-limit": "many"}, "limit")],
)  # fmt: skip
def test_what_cannot_be_previewed_is_said(ana: Client, collection: Collection, form: Any, said: str) -> None:
    answer = ana.post(f"/ui/collections/{collection.pk}/preview", form, follow=True)
    assert said in answer.content.decode()
    by_script = ana.post(f"/ui/collections/{collection.pk}/preview", form, HTTP_X_REQUESTED_WITH="fetch")
    assert said in by_script.json()["detail"]
    assert not FileRegistry.objects.exists()


def test_a_preview_is_its_owners_alone_and_in_no_list(ana: Client, ben: Client, collection: Collection) -> None:
    job = of_file(ana, collection)
    assert shown(ben, job).status_code == 404
    for verb in ("again", "take-in"):
        assert ben.post(f"/ui/collections/{collection.pk}/preview/{job.pk}/{verb}").status_code == 404
    Collection.objects.update(visibility="public")
    assert shown(ben, job).status_code == 403
    page = ana.get(f"/ui/collections/{collection.pk}").content.decode()
    assert "cells.txt" not in page
    assert "Nothing here yet" in page


def test_of_a_preview_that_is_gone_it_is_said_where_to_begin_anew(
    ana: Client, ben: Client, collection: Collection
) -> None:
    job = of_file(ana, collection)
    base = f"/ui/collections/{collection.pk}"
    FileRegistry.objects.update(created_at=job.created_at - preview.PREVIEW_KEPT - timedelta(minutes=1))
    expire_previews()  # cancels what still waits
    expire_previews()
    for answer in (
        shown(ana, job),
        ana.post(f"{base}/preview/{job.pk}/again"),
        ana.post(f"{base}/preview/{job.pk}/take-in"),
    ):
        assert answer.status_code == 404
        page = answer.content.decode()
        assert "A preview is kept for an hour" in page
        assert f'href="{base}/add"' in page
    assert shown(ana, job, HTTP_X_REQUESTED_WITH="fetch").status_code == 404
    hidden = shown(ben, job).content.decode()
    assert "There is nothing here" in hidden
    assert "preview is kept" not in hidden
    assert "preview is kept" not in ana.get(f"{base}/jobs/{job.pk}").content.decode()


def field_named(page: str, name: str, value: str) -> list[str]:
    return [tag for tag in re.findall(r"<input[^>]*>", page) if f'name="param-{name}"' in tag and f'"{value}"' in tag]


def test_a_wrong_setting_is_said_at_its_field_and_the_other_side_stays(ana: Client, collection: Collection) -> None:
    first = of_file(ana, collection, **{"param-chunk_size": "300", "param-chunk_overlap": "0"})
    target = f"/ui/collections/{collection.pk}/preview"
    ana.post(f"{target}/{first.pk}/again", {"first": first.pk, "param-chunk_size": "900"})
    second = FileRegistry.objects.latest("pk")
    page = shown(ana, first, second).content.decode()
    both = f'name="first" value="{first.pk}"><input type="hidden" name="beside" value="{second.pk}"'
    assert page.count(both) == 2  # in the form of each side
    form = {"first": first.pk, "beside": second.pk, "param-chunk_size": "800", "param-chunk_overlap": "850"}
    answer = ana.post(f"{target}/{second.pk}/again", form)
    assert answer.status_code == 422
    page = answer.content.decode()
    assert FileRegistry.objects.count() == 2
    assert page.count('class="card side"') == 2
    assert f'data-address="{target}/{first.pk}?beside={second.pk}"' in page
    assert field_named(page, "chunk_size", "300")  # the first side as it was
    assert field_named(page, "chunk_size", "800")  # the other as it was entered
    (wrong,) = field_named(page, "chunk_overlap", "850")
    said = f"wrong-side-{second.pk}-chunk_overlap"
    assert 'aria-invalid="true" autofocus' in wrong
    assert f'aria-describedby="{said}"' in wrong
    assert re.search(rf'id="{said}">chunk_overlap \(850\) must be smaller than chunk_size \(800\)', page)
    assert page.count("must be smaller than") == 1  # there, and nowhere else
    opened = re.search(rf'id="side-{second.pk}-settings" open', page)
    assert opened
    assert f'id="side-{first.pk}-settings">' in page

    # What is no fault of a field is said above, and both sides stay too.
    answer = ana.post(f"{target}/{second.pk}/again", {**form, "plugin": "nonsense"})
    page = answer.content.decode()
    assert "There is no plugin named" in page
    assert page.count('class="card side"') == 2


def test_a_folded_field_that_is_wrong_is_unfolded(ana: Client, collection: Collection) -> None:
    first = of_file(ana, collection)
    form = {"param-splitter_type": "Nonsense"}
    page = ana.post(f"/ui/collections/{collection.pk}/preview/{first.pk}/again", form).content.decode()
    assert re.search(rf'id="more-side-{first.pk}" open', page)
    assert re.search(r'<select[^>]* name="param-splitter_type"[^>]* aria-invalid="true"', page)


def test_a_preview_that_is_not_taken_in_keeps_the_other_side(
    ana: Client, collection: Collection, settings: Any
) -> None:
    first = of_file(ana, collection)
    target = f"/ui/collections/{collection.pk}/preview"
    ana.post(f"{target}/{first.pk}/again", {"first": first.pk, "param-chunk_size": "900"})
    second = FileRegistry.objects.latest("pk")
    settings.KB_MIN_FREE_MB = 2**40
    answer = ana.post(f"{target}/{second.pk}/take-in", {"first": first.pk, "beside": second.pk})
    assert answer["Location"] == f"{target}/{first.pk}?beside={second.pk}"


ADDRESSES = ["https://example.org/a", "https://example.org/b?k=1", "example.org/c"]


def test_all_addresses_are_taken_in_as_the_preview_of_the_first_decides(ana: Client, collection: Collection) -> None:
    form = {"kind": "web", "addresses": "\n".join([*ADDRESSES, ADDRESSES[0]]), "plugin": "url_ingest",
            "param-limit": "50"}  # fmt: skip
    address = begin(ana, collection, **form)["Location"]
    first = FileRegistry.objects.get()
    assert first.plugin_params["url"] == ADDRESSES[0]
    page = ana.get(address).content.decode()
    assert "This is a preview of the first of 3 addresses." in page
    assert all(f"<li>{one}</li>" in page for one in ADDRESSES)

    target = f"/ui/collections/{collection.pk}/preview"
    again = {"first": first.pk, "param-chunk_size": "700", "param-limit": "50"}
    ana.post(f"{target}/{first.pk}/again", again)
    second = FileRegistry.objects.latest("pk")
    assert "first of 3 addresses" in shown(ana, first, second).content.decode()
    choice = {"first": first.pk, "beside": second.pk, "param-limit": "50"}
    answer = ana.post(f"{target}/{second.pk}/take-in", choice, follow=True)
    assert "3 sources are taken in." in answer.content.decode()
    made = FileRegistry.objects.ingestions().order_by("pk")
    assert [job.plugin_params["url"] for job in made] == [*ADDRESSES[:2], f"https://{ADDRESSES[2]}"]
    assert [job.original_filename for job in made] == ADDRESSES
    for job in made:
        assert (job.plugin_params["chunk_size"], job.plugin_params["limit"]) == (700, 50)

    answer = ana.post(f"{target}/{second.pk}/take-in", choice, follow=True)
    assert "3 are there already." in answer.content.decode()
    assert made.count() == 3


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ("ftp://example.org/file", "ftp://example.org/file: "),
        ("https://ben:secret@example.org/c", "https://example.org/c: url: Addresses that contain a user name"),
        ("https://example.org/a\0b", "NUL"),
        (f"https://example.org/{'x' * 2000}", "longer than 2000 characters"),
    ],
)
def test_a_wrong_address_is_named_before_the_preview_and_nothing_of_the_form_is_lost(
    ana: Client, collection: Collection, wrong: str, said: str
) -> None:
    answer = begin(ana, collection, kind="web", addresses=f"{ADDRESSES[0]} {wrong} {ADDRESSES[1]}")
    page = answer.content.decode()
    assert said in page
    assert ADDRESSES[0] in page
    assert not FileRegistry.objects.exists()


def test_whoever_acts_for_the_owner_takes_all_addresses_in(ana: Client, staff: Client, collection: Collection) -> None:
    begin(ana, collection, kind="web", addresses=" ".join(ADDRESSES[:2]))
    job = FileRegistry.objects.get()
    assert "first of 2 addresses" in shown(staff, job).content.decode()
    staff.post(f"/ui/collections/{collection.pk}/preview/{job.pk}/take-in", {"first": job.pk})
    made = FileRegistry.objects.ingestions().order_by("pk")
    assert [job.plugin_params["url"] for job in made] == ADDRESSES[:2]


def test_each_preview_keeps_the_addresses_of_its_own(ana: Client, collection: Collection) -> None:
    for number in range(8):
        begin(ana, collection, kind="web", addresses=f"https://example.org/{number} https://example.org/{number}/more")
    for job in FileRegistry.objects.previews():
        ana.post(f"/ui/collections/{collection.pk}/preview/{job.pk}/take-in", {"first": job.pk})
    made = FileRegistry.objects.ingestions().order_by("pk").values_list("original_filename", flat=True)
    assert list(made) == [f"https://example.org/{number}{end}" for number in range(8) for end in ("", "/more")]


def test_the_other_setting_keeps_the_addresses_when_the_first_has_expired(ana: Client, collection: Collection) -> None:
    begin(ana, collection, kind="web", addresses=" ".join(ADDRESSES))
    first = FileRegistry.objects.get()
    target = f"/ui/collections/{collection.pk}/preview"
    ana.post(f"{target}/{first.pk}/again", {"first": first.pk, "param-chunk_size": "700"})
    second = FileRegistry.objects.latest("pk")
    FileRegistry.objects.filter(pk=first.pk).update(created_at=first.created_at - preview.PREVIEW_KEPT)
    expire_previews()  # it still waited, and is cancelled first
    expire_previews()
    assert not FileRegistry.objects.filter(pk=first.pk).exists()
    ana.post(f"{target}/{second.pk}/take-in", {"first": first.pk, "beside": second.pk})
    assert [job.original_filename for job in FileRegistry.objects.ingestions().order_by("pk")] == ADDRESSES


def test_another_source_beside_the_first_has_only_itself(ana: Client, collection: Collection) -> None:
    begin(ana, collection, kind="web", addresses=" ".join(ADDRESSES))
    first = FileRegistry.objects.get()
    target = f"/ui/collections/{collection.pk}/preview"
    ana.post(f"{target}/{first.pk}/again", {"first": first.pk, "param-url": ADDRESSES[1]})
    other = FileRegistry.objects.latest("pk")
    assert (other.plugin_params["url"], other.sent_with) == (ADDRESSES[1], None)


def test_of_a_deleted_preview_nothing_is_taken_in(ana: Client, collection: Collection) -> None:
    begin(ana, collection, kind="web", addresses=" ".join(ADDRESSES))
    first = FileRegistry.objects.get()
    services.set_status(first, FileStatus.DELETED)
    answer = ana.post(f"/ui/collections/{collection.pk}/preview/{first.pk}/take-in", {"first": first.pk})
    assert answer.status_code == 404
    assert not FileRegistry.objects.ingestions().exists()


def test_more_addresses_than_can_be_taken_in_are_not_previewed(ana: Client, collection: Collection) -> None:
    many = " ".join(f"https://example.org/{number}" for number in range(201))
    answer = begin(ana, collection, kind="web", addresses=many)
    assert "At most 200 addresses at once." in answer.content.decode()
    assert not FileRegistry.objects.exists()


def test_an_ordinary_job_is_no_preview(ana: Client, collection: Collection) -> None:
    job = of_file(ana, collection)
    FileRegistry.objects.update(kind=JobKind.INGESTION)
    assert shown(ana, job).status_code == 404
    assert ana.get(f"/ui/collections/{collection.pk}/preview/{job.pk}?beside=x").status_code == 404
