"""The pages by themselves: who sees what, what is refused, what hostile values become, what they cost."""

import json
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import OperationalError, connection
from django.template.loader import render_to_string
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from collections_app.models import Collection
from ingestion import outlook, presence, steps, storage
from ingestion.models import FileRegistry, FileStatus, JobKind
from ingestion.ui import words
from ingestion.ui.ask import excerpt, highlighted, link, place
from ingestion.ui.fields import entered, fields
from ingestion.ui.jobs import timed
from ingestion.ui.listing import PAGE, Wanted, listed
from ingestion.ui.pages import CONTENT_SECURITY_POLICY
from plugins.catalogue import build_catalogue
from plugins.registry import plugin_modules
from tests.collections_app.factories import fill, unit_rows
from tests.ingestion.factories import make_collection, make_job

pytestmark = pytest.mark.django_db
HOSTILE = '"><script>alert(1)</script>{{ 7 }}'


@pytest.fixture(autouse=True)
def own_place(settings: Any, tmp_path: Path) -> None:
    settings.MEDIA_ROOT = tmp_path / "files"
    settings.KB_MIN_FREE_MB = 0


def base(collection: Collection) -> str:
    return f"/ui/collections/{collection.pk}"


def text_of(response: Any) -> str:
    assert response.status_code == 200, response.status_code
    text: str = response.content.decode()
    return text


# -- Who sees what ----------------------------------------------------------------------------------


def test_who_is_not_logged_in_is_sent_to_log_in_and_scripts_are_told_so(client: Client, collection: Collection) -> None:
    answer = client.get(f"{base(collection)}?status=failed")
    assert answer.status_code == 302
    assert answer["Location"] == f"/ui/login?next={base(collection)}%3Fstatus%3Dfailed"
    assert client.get(f"{base(collection)}/live", HTTP_X_REQUESTED_WITH="fetch").status_code == 401


READS = ["", "/live", "/jobs/{job}", "/jobs/{job}/chunks", "/ask", "/add", "/change", "/delete"]
WRITES = ["/change", "/delete", "/many", "/add/file", "/add/addresses", "/add/text", "/jobs/{job}/retry",
          "/jobs/{job}/cancel", "/jobs/{job}/delete"]  # fmt: skip


@pytest.mark.parametrize("address", READS)
def test_what_somebody_else_has_is_not_there(ben: Client, collection: Collection, address: str) -> None:
    job = make_job(collection)
    assert ben.get(base(collection) + address.format(job=job.pk)).status_code == 404


@pytest.mark.parametrize("address", WRITES)
def test_only_its_owner_and_staff_change_a_collection(ben: Client, collection: Collection, address: str) -> None:
    job = make_job(collection, FileStatus.FAILED)
    target = base(collection) + address.format(job=job.pk)
    body = {"sure": "1", "verb": "delete", "jobs": [str(job.pk)], "text": "x", "addresses": "https://example.org",
            "name": "mine"}  # fmt: skip
    assert ben.post(target, body).status_code == 404
    Collection.objects.update(visibility="public")
    assert ben.post(target, body).status_code == 403
    assert ben.get(base(collection)).status_code == 200
    assert Collection.objects.filter(pk=collection.pk, name="notes", deleted_at=None).exists()
    assert list(FileRegistry.objects.values_list("pk", "status")) == [(job.pk, "failed")]


def test_a_job_of_another_collection_is_not_reached_through_ones_own(ana: Client, collection: Collection) -> None:
    theirs = make_job(make_collection("x", owner="ben"), FileStatus.FAILED)
    for address in (f"/jobs/{theirs.pk}", f"/jobs/{theirs.pk}/chunks"):
        assert ana.get(base(collection) + address).status_code == 404
    for verb in ("retry", "cancel", "delete"):
        assert ana.post(f"{base(collection)}/jobs/{theirs.pk}/{verb}", {"sure": "1"}).status_code == 404
    ana.post(f"{base(collection)}/many", {"verb": "delete", "jobs": [theirs.pk], "sure": "1"})
    assert FileRegistry.objects.get(pk=theirs.pk).status == "failed"


def test_a_deleted_collection_is_gone_for_everybody(ana: Client, staff: Client, collection: Collection) -> None:
    assert ana.post(f"{base(collection)}/delete").status_code == 302
    for reader in (ana, staff):
        assert reader.get(base(collection)).status_code == 404
        assert "notes" not in text_of(reader.get("/ui/")).split("<main")[1]


def test_staff_create_for_an_owner_and_others_only_for_themselves(ana: Client, staff: Client) -> None:
    for reader in (ana, staff):
        reader.post("/ui/collections/new", {"name": "made", "visibility": "private", "for_owner": "ben"})
    assert sorted(Collection.objects.values_list("owner", flat=True)) == ["ana", "ben"]


def test_a_preview_is_no_job_to_whoever_only_looks(ben: Client, collection: Collection) -> None:
    job = make_job(collection, FileStatus.FAILED, kind=JobKind.PREVIEW, original_filename="draft.txt")
    Collection.objects.update(visibility="public")
    for address in (f"/jobs/{job.pk}", f"/jobs/{job.pk}/chunks"):
        assert ben.get(base(collection) + address).status_code == 404
    assert "draft.txt" not in text_of(ben.get(f"{base(collection)}/live?job={job.pk}"))


def test_a_form_sent_after_the_session_ended_leads_back_to_its_page(client: Client, collection: Collection) -> None:
    job = make_job(collection)
    page = f"{base(collection)}/jobs/{job.pk}?status=pending"
    target = f"{base(collection)}/jobs/{job.pk}/cancel"
    answer = client.post(target, HTTP_REFERER=f"http://testserver{page}")
    assert answer["Location"] == f"/ui/login?next={page.replace('?', '%3F').replace('=', '%3D')}"
    for elsewhere in ("", "http://evil.example/ui/", "javascript:alert(1)", "http://testserver/admin/"):
        assert client.post(target, HTTP_REFERER=elsewhere)["Location"] == "/ui/login?next=/ui/"


def test_an_address_that_is_only_sent_to_is_answered_by_a_page(ana: Client, collection: Collection) -> None:
    for address in (f"{base(collection)}/many", f"{base(collection)}/add/text", "/ui/logout"):
        answer = ana.get(address)
        assert answer.status_code == 405
        assert "This was not done" in answer.content.decode()


@pytest.mark.parametrize("address", [*READS, "/ui/", "/ui/collections/new", "/ui/login"])
def test_what_can_be_looked_at_answers_those_who_ask_for_its_head(
    ana: Client, client: Client, collection: Collection, address: str
) -> None:
    job = make_job(collection)
    reader = client if address == "/ui/login" else ana
    target = address if address.startswith("/ui/") else base(collection) + address.format(job=job.pk)
    answer = reader.head(target)
    assert answer.status_code == 200
    assert answer.content == b""
    assert answer["Content-Security-Policy"] == CONTENT_SECURITY_POLICY


def test_a_page_that_was_sent_a_form_offers_no_way_back_to_it(ana: Client, collection: Collection) -> None:
    job = make_job(collection, FileStatus.PROCESSING)
    text = text_of(ana.post(f"{base(collection)}/jobs/{job.pk}/delete"))
    assert 'name="next" value="/ui/"' in text
    assert f'href="{base(collection)}">Keep it as it is' in text


@pytest.mark.parametrize("address", ["/ui/login", "/admin/login/", "/ui/collections/1/add/text"])
def test_nobody_fills_the_disk_through_a_form_that_takes_no_file(collection: Collection, address: str) -> None:
    client = Client(enforce_csrf_checks=True)
    client.get("/ui/login")
    token = client.cookies["kb_csrf"].value
    client.post(address, {"csrfmiddlewaretoken": token, "x": SimpleUploadedFile("a.txt", b"x" * 100_000)})
    assert not (storage.root() / "incoming").exists()


# -- Rules for the browser --------------------------------------------------------------------------


def test_every_page_comes_with_strict_rules_and_obeys_them(ana: Client, client: Client, collection: Collection) -> None:
    job = make_job(collection, FileStatus.FAILED)
    for reader, address in [
        (client, "/ui/login"),
        *((ana, base(collection) + one.format(job=job.pk)) for one in READS),
        (ana, "/ui/"),
        (ana, "/ui/nowhere"),
    ]:
        answer = reader.get(address)
        assert answer["Content-Security-Policy"] == CONTENT_SECURITY_POLICY, address
        text = answer.content.decode()
        assert not re.search(r"\sstyle=|\son[a-z]+=|<script(?![^>]*\ssrc=)|<style", text), address
        assert "private" in answer["Cache-Control"]


def test_forms_need_their_token(collection: Collection, django_user_model: Any) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(django_user_model.objects.create_user("ana"))
    job = make_job(collection, FileStatus.FAILED)
    for address in WRITES:
        answer = client.post(base(collection) + address.format(job=job.pk), {"sure": "1", "verb": "delete"})
        assert answer.status_code == 403, address
        assert "You may not do this" in answer.content.decode()


def test_hostile_names_and_texts_stay_text(ana: Client, collection: Collection) -> None:
    Collection.objects.filter(pk=collection.pk).update(name=HOSTILE, description=HOSTILE)
    make_job(collection, FileStatus.PENDING, original_filename=HOSTILE, plugin_params={"chunk_size": HOSTILE})
    job = make_job(collection, original_filename=HOSTILE, file_url="javascript:alert(1)")
    FileRegistry.objects.filter(pk=job.pk).update(
        status="failed", error_code="corrupt", error_message=HOSTILE,
        error_details={"hint": HOSTILE, "traceback": HOSTILE}, processing_started_at=job.created_at,
        processing_completed_at=job.created_at, attempt=1,
        processing_stats={"markdown_preview": HOSTILE, "output_files": {"markdown_url": "javascript:x"},
                          "stage_timings": [{"stage": HOSTILE, "duration_ms": 1}, "nonsense"]},
    )  # fmt: skip
    for address in READS:
        text = text_of(ana.get(base(collection) + address.format(job=job.pk)))
        assert "<script>alert" not in text
        assert "javascript:" not in text
    assert "<script>alert" not in text_of(ana.get("/ui/"))


@pytest.mark.parametrize(
    "query",
    ["page=0", "page=-1", "page=99999999999", "page=²", "page=x", "sort=nonsense", "status=nonsense", "q=%00%27",
     "job=9999999999999999999", "job=x", "q=" + "a" * 5000, "reverse=2"],
)  # fmt: skip
def test_nonsense_in_the_address_is_taken_for_the_usual(ana: Client, collection: Collection, query: str) -> None:
    make_job(collection)
    assert ana.get(f"{base(collection)}?{query}").status_code == 200
    assert ana.get(f"{base(collection)}/live?{query}").status_code == 200


def test_addresses_that_are_not_there_are_answered_by_a_page(ana: Client, client: Client) -> None:
    answer = ana.get("/ui/collections/0/jobs/1")
    assert answer.status_code == 404
    assert "There is nothing here" in answer.content.decode()
    assert client.get("/ui/nowhere").status_code == 302
    assert client.get("/ui", HTTP_ACCEPT="text/html")["Location"] == "/ui/"
    assert client.get("/", HTTP_ACCEPT="text/html")["Location"] == "/ui/"


def test_an_error_of_ours_is_said_in_the_same_dress(ana: Client, collection: Collection, monkeypatch: Any) -> None:
    def breaks(*args: Any) -> None:
        raise RuntimeError("of this test")

    monkeypatch.setattr("ingestion.ui.figures.days", breaks)
    ana.raise_request_exception = False
    answer = ana.get(base(collection))
    assert answer.status_code == 500
    assert "Something broke" in answer.content.decode()
    assert "of this test" not in answer.content.decode()


def test_a_busy_database_is_said_in_the_same_dress(ana: Client, collection: Collection, monkeypatch: Any) -> None:
    def breaks(*args: Any) -> None:
        raise OperationalError("database is locked")

    monkeypatch.setattr("ingestion.ui.figures.days", breaks)
    answer = ana.get(base(collection))
    assert answer.status_code == 503
    assert "Something broke" in answer.content.decode()


def test_a_form_that_is_too_large_is_refused_by_a_page(ana: Client, collection: Collection, settings: Any) -> None:
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 100
    answer = ana.post(f"{base(collection)}/add/text", {"text": "x" * 1000})
    assert answer.status_code == 400
    assert "This was not taken in" in answer.content.decode()


def test_scripts_are_told_in_a_sentence_what_is_wrong(client: Client, ben: Client, collection: Collection) -> None:
    for reader, status, said in ((client, 401, "logged out"), (ben, 404, "not there any more")):
        answer = reader.post(f"{base(collection)}/add/file", HTTP_X_REQUESTED_WITH="fetch")
        assert answer.status_code == status
        assert said in answer.json()["detail"]


# -- Staying fresh ----------------------------------------------------------------------------------


def test_what_has_not_changed_is_answered_with_304(ana: Client, collection: Collection) -> None:
    job = make_job(collection, FileStatus.PROCESSING)
    other = make_job(collection, FileStatus.PROCESSING)
    address = f"{base(collection)}/live?job={job.pk}"

    def ask(tag: str = "") -> Any:
        return ana.get(address, **({"HTTP_IF_NONE_MATCH": tag} if tag else {}))

    answer = ask()
    assert 'data-live="1"' in text_of(answer)
    tag = answer["ETag"]
    assert ask(tag).status_code == 304
    assert other.report(other.run_id, current=1, total=2, message="Half", unit="stage", overall=15)
    changed = ask(tag)
    assert "Half" in text_of(changed)
    assert job.fail(job.run_id, "corrupt", "The file is damaged.")
    assert "The file is damaged." in text_of(ask(changed["ETag"]))


def test_why_the_open_job_waits_is_told_when_it_changes(ana: Client, collection: Collection) -> None:
    job = make_job(collection)
    address = f"{base(collection)}/live?status=completed&job={job.pk}"
    answer = ana.get(address)
    assert "No worker is running" in text_of(answer)
    presence.this_worker()
    outlook.past.forget()
    assert "Next in line" in text_of(ana.get(address, HTTP_IF_NONE_MATCH=answer["ETag"]))


def test_it_is_said_when_nothing_goes_on_any_more(ana: Client, collection: Collection) -> None:
    make_job(collection, FileStatus.COMPLETED)
    assert 'data-live="0"' in text_of(ana.get(f"{base(collection)}/live"))
    make_job(collection)
    assert 'data-live="1"' in text_of(ana.get(f"{base(collection)}/live?status=completed"))


def test_a_job_that_was_deleted_meanwhile_is_said(ana: Client, collection: Collection) -> None:
    assert "This job is not there any more" in text_of(ana.get(f"{base(collection)}/live?job=12345"))


@pytest.mark.parametrize("address", ["", "/live?job={job}"])
def test_a_page_of_50_jobs_costs_as_many_queries_as_one_of_two(
    ana: Client, collection: Collection, address: str
) -> None:
    presence.this_worker()
    job = make_job(collection, FileStatus.FAILED)
    target = base(collection) + address.format(job=job.pk)

    def cost() -> int:
        ana.get(target)  # what is remembered a while
        with CaptureQueriesContext(connection) as queries:
            assert ana.get(target).status_code == 200
        assert not any("embedding_api_key" in query["sql"] for query in queries)
        return len(queries)

    make_job(collection, FileStatus.PROCESSING)
    make_job(collection)
    few = cost()
    for _ in range(20):
        make_job(collection, FileStatus.PROCESSING)
        make_job(collection)
        make_job(collection, FileStatus.FAILED)
    assert few <= 25
    assert cost() <= few + 1  # how many workers live is remembered for a second only


# -- The list ---------------------------------------------------------------------------------------


def test_jobs_are_listed_by_status_text_order_and_page(collection: Collection) -> None:
    jobs = [make_job(collection, original_filename=f"{name}.txt", file_size=size) for name, size in
            (("b", 3), ("a", 1), ("c", 2))]  # fmt: skip
    gone = make_job(collection, FileStatus.DELETED, original_filename="gone.txt")
    make_job(make_collection("other"), original_filename="a.txt")
    counts = {**dict.fromkeys(FileStatus.values, 0), "pending": 3, "deleted": 1}

    def names(**wanted: Any) -> list[str]:
        return [item["original_filename"][0] for item in listed(collection, Wanted(**wanted), counts).items]

    assert names() == ["c", "a", "b"]
    assert names(reverse=True) == ["b", "a", "c"]
    assert names(sort="name") == ["a", "b", "c"]
    assert names(sort="name", reverse=True) == ["c", "b", "a"]
    assert names(sort="size") == ["b", "c", "a"]
    assert names(text="A.TX") == ["a"]
    assert names(text=f"#{jobs[0].pk}") == ["b"]
    assert names(status="deleted") == ["g"]
    assert names(status="failed") == []
    assert gone.pk not in [item["id"] for item in listed(collection, Wanted(), counts).items]


def test_a_page_behind_the_last_is_the_last(collection: Collection) -> None:
    FileRegistry.objects.bulk_create(
        FileRegistry(collection=collection, owner="ana", original_filename=f"{n}", plugin_name="simple_ingest")
        for n in range(PAGE + 1)
    )
    counts = {**dict.fromkeys(FileStatus.values, 0), "pending": PAGE + 1}
    found = listed(collection, Wanted(page=77), counts)
    assert (found.wanted.page, found.pages, len(found.items), found.total) == (2, 2, 1, PAGE + 1)


# -- Acting -----------------------------------------------------------------------------------------


def test_what_destroys_is_asked_for_unless_it_was_agreed_to(ana: Client, collection: Collection) -> None:
    job = make_job(collection, FileStatus.PROCESSING)
    for verb in ("cancel", "delete"):
        text = text_of(ana.post(f"{base(collection)}/jobs/{job.pk}/{verb}"))
        assert 'name="sure" value="1"' in text
        assert FileRegistry.objects.get().status == "processing"
    assert ana.post(f"{base(collection)}/jobs/{job.pk}/cancel", {"sure": "1"}).status_code == 302
    assert FileRegistry.objects.get().status == "cancelled"


def test_all_that_match_the_filter_are_meant_not_only_those_on_the_page(ana: Client, collection: Collection) -> None:
    meant = [make_job(collection, FileStatus.FAILED, original_filename=f"a{n}.pdf") for n in range(3)]
    other = make_job(collection, FileStatus.FAILED, original_filename="b.pdf")
    completed = make_job(collection, FileStatus.COMPLETED, original_filename="a9.pdf")
    target = f"{base(collection)}/many?q=a"
    assert "Retry 3 failed jobs?" in text_of(ana.post(target, {"verb": "retry", "all": "1"}))
    answer = ana.post(target, {"verb": "retry", "all": "1", "sure": "1"}, follow=True)
    assert "3 jobs are queued again." in answer.content.decode()
    statuses = dict(FileRegistry.objects.values_list("pk", "status"))
    assert {statuses[job.pk] for job in meant} == {"pending"}
    assert (statuses[other.pk], statuses[completed.pk]) == ("failed", "completed")


def test_a_verb_that_fits_none_of_the_chosen_says_so(ana: Client, collection: Collection) -> None:
    job = make_job(collection, FileStatus.COMPLETED)
    answer = ana.post(f"{base(collection)}/many", {"verb": "cancel", "jobs": [job.pk]}, follow=True)
    assert "None of the chosen jobs" in answer.content.decode()
    assert ana.post(f"{base(collection)}/many", {"verb": "rename", "jobs": [job.pk]}).status_code == 403


@pytest.mark.parametrize(
    ("query", "known"),
    [("", [2, 3, 6]), ("status=failed", [2, 0, 2]), ("status=pending", [0, 2, 2]), ("q=report", [None, None, 6])],
)
def test_the_buttons_know_how_many_of_all_that_match_they_are_for(
    ana: Client, collection: Collection, query: str, known: list[int | None]
) -> None:
    for status in ("failed", "failed", "pending", "pending", "processing", "cancelled", "deleted"):
        make_job(collection, status)
    page = text_of(ana.get(f"{base(collection)}?{query}"))
    found = re.findall(r'<button[^>]* name="verb" value="(\w+)"[^>]* data-all="(\d*)"', page)
    assert found == [
        (verb, "" if number is None else str(number))
        for verb, number in zip(("retry", "cancel", "delete"), known, strict=True)
    ]


@pytest.mark.parametrize("language", ["en", "es"])
def test_the_script_asks_in_the_words_of_the_server(ana: Client, collection: Collection, language: str) -> None:
    job = make_job(collection, FileStatus.FAILED)
    other = make_job(collection, FileStatus.FAILED)
    page = text_of(ana.get(base(collection), headers={"accept-language": language}))
    for verb, jobs in (("delete", [job.pk]), ("retry", [job.pk, other.pk])):
        form = {"verb": verb, "jobs": jobs}
        asked = unescape(text_of(ana.post(f"{base(collection)}/many", form, headers={"accept-language": language})))
        attribute = "one" if len(jobs) == 1 else "many"
        found = re.search(rf'value="{verb}"[^>]* data-{attribute}="([^"]*)"', page)
        assert found
        title, consequence, yes = json.loads(unescape(found[1]))
        assert f"<h1>{title.replace('{number}', str(len(jobs)))}</h1>" in asked
        assert f"<p>{consequence}</p>" in asked
        assert f">{yes}</button>" in asked


@pytest.mark.parametrize("number", ["9" * 5000, "9" * 19, "-1", "²", "x", ""])
def test_numbers_that_no_job_can_have_choose_none(ana: Client, collection: Collection, number: str) -> None:
    job = make_job(collection, FileStatus.FAILED)
    form = {"verb": "delete", "jobs": [number], "sure": "1"}
    assert "None of the chosen jobs" in ana.post(f"{base(collection)}/many", form, follow=True).content.decode()
    assert ana.get(f"{base(collection)}/live", {"job": number[:2000]}).status_code == 200
    assert FileRegistry.objects.filter(pk=job.pk).exists()


def test_a_retry_changes_only_what_was_changed_in_the_form(ana: Client, collection: Collection) -> None:
    job = make_job(collection, FileStatus.FAILED, plugin_params={"chunk_size": 1000, "chunk_overlap": 200})
    form = {"with-parameters": "1", "param-chunk_size": "700", "param-chunk_overlap": "200", "param-splitter_type": ""}
    ana.post(f"{base(collection)}/jobs/{job.pk}/retry", form)
    job.refresh_from_db()
    assert job.status == "pending"
    assert (job.plugin_params["chunk_size"], job.plugin_params["chunk_overlap"]) == (700, 200)


def test_a_retry_with_a_wrong_parameter_is_refused_in_words(ana: Client, collection: Collection) -> None:
    job = make_job(collection, FileStatus.FAILED)
    form = {"with-parameters": "1", "param-chunk_size": "many"}
    answer = ana.post(f"{base(collection)}/jobs/{job.pk}/retry", form, follow=True)
    assert "chunk_size must be a whole number" in answer.content.decode()
    assert FileRegistry.objects.get().status == "failed"


def test_all_that_match_are_those_that_the_page_could_show(ana: Client, collection: Collection) -> None:
    seen = make_job(collection, FileStatus.FAILED)
    page = text_of(ana.get(base(collection)))
    assert f'data-newest="{seen.pk}"' in page
    later = make_job(collection, FileStatus.FAILED)
    ana.post(f"{base(collection)}/many", {"verb": "delete", "all": "1", "newest": str(seen.pk), "sure": "1"})
    assert list(FileRegistry.objects.values_list("pk", flat=True)) == [later.pk]


def test_long_work_goes_on_from_step_to_step(ana: Client, collection: Collection, monkeypatch: Any) -> None:
    """A step ends when its time is over; here that is after each batch."""
    monkeypatch.setattr(steps, "STEP_SECONDS", 0.0)
    for _ in range(120):
        make_job(collection, FileStatus.FAILED)
    target = f"{base(collection)}/many?status=failed"
    form: dict[str, Any] = {
        "verb": "retry",
        "all": "1",
        "newest": str(FileRegistry.objects.latest("pk").pk),
        "sure": "1",
    }
    texts = []
    while (answer := ana.post(target, form)).status_code == 200:
        texts.append(text_of(answer))
        assert 'action="' + target + '"' in texts[-1]
        form = dict(re.findall(r'<input type="hidden" name="([a-z_]+)" value="([^"]*)"', texts[-1]))
        form = {name: unescape(value) for name, value in form.items()}
        make_job(collection, FileStatus.FAILED)  # what comes meanwhile was not meant
    assert ["50 of 120 jobs" in texts[0], "100 of 120 jobs" in texts[1], len(texts)] == [True, True, 2]
    said = ana.get(answer["Location"]).content.decode()
    assert "120 jobs are queued again." in said
    assert FileRegistry.objects.pending().count() == 120


# -- Adding -----------------------------------------------------------------------------------------


def send(
    client: Client, collection: Collection, name: str = "a.txt", content: bytes = b"Some text.", **form: str
) -> Any:
    file = SimpleUploadedFile(name, content, "text/plain")
    return client.post(f"{base(collection)}/add/file", {**form, "file": file})


def test_a_file_becomes_a_job_of_the_plugin_that_fits(ana: Client, collection: Collection) -> None:
    answer = send(ana, collection, on_duplicate="allow")
    assert answer.status_code == 201
    job = FileRegistry.objects.get()
    assert answer.json() == {"job": job.pk, "name": "a.txt", "address": f"{base(collection)}/jobs/{job.pk}"}
    assert (job.plugin_name, job.owner, job.status) == ("simple_ingest", "ana", "pending")


def test_the_same_file_again_is_skipped_unless_asked_otherwise(ana: Client, collection: Collection) -> None:
    first = send(ana, collection).json()
    again = send(ana, collection)
    assert again.json() == {**first, "skipped": True}
    assert send(ana, collection, on_duplicate="allow").status_code == 201
    assert FileRegistry.objects.count() == 2


@pytest.mark.parametrize(
    ("form", "status", "words"),
    [
        ({"plugin": "nonsense"}, 400, "no plugin named"),
        ({"plugin": "mockai_json_ingest"}, 400, "does not read this kind of file"),
        ({"plugin": "simple_ingest", "param-chunk_size": "0"}, 422, "chunk_size"),
    ],
)
def test_a_file_that_cannot_be_taken_in_is_refused_in_words(
    ana: Client, collection: Collection, form: dict[str, str], status: int, words: str
) -> None:
    answer = send(ana, collection, **form)
    assert answer.status_code == status
    assert words in answer.json()["detail"]
    assert not FileRegistry.objects.exists()
    assert not any(path.is_file() for path in storage.root().rglob("*"))


def test_an_upload_of_somebody_else_is_refused_before_it_is_read(
    ben: Client, collection: Collection, settings: Any
) -> None:
    assert send(ben, collection).status_code == 404
    assert not storage.root().exists() or not list(storage.root().rglob("*.part"))
    settings.KB_MAX_UPLOAD_MB = 1
    Collection.objects.update(owner="ben")
    answer = send(ben, collection, content=b"x" * (3 * 2**20))
    assert answer.status_code == 413


def test_each_address_becomes_a_job_and_its_links_are_followed(ana: Client, collection: Collection) -> None:
    addresses = "https://example.org/a\nhttps://example.org/b https://example.org/a"
    form = {"kind": "web", "addresses": addresses, "plugin": "url_ingest", "param-limit": "7"}
    answer = ana.post(f"{base(collection)}/add/addresses", form)
    assert answer["Location"] == base(collection)
    params = [job.plugin_params for job in FileRegistry.objects.order_by("pk")]
    assert [(one["url"], one["limit"]) for one in params] == [
        ("https://example.org/a", 7),
        ("https://example.org/b", 7),
    ]
    answer = ana.post(f"{base(collection)}/add/addresses", form, follow=True)
    assert "2 are there already." in answer.content.decode()


def test_addresses_that_are_none_are_refused_in_words(ana: Client, collection: Collection) -> None:
    for addresses, said in (("", "at least one"), ("nonsense", "web address"), ("https://x.org " * 2 + " ".join(
        f"https://x.org/{n}" for n in range(300)), "At most 200")):  # fmt: skip
        form = {"kind": "web", "addresses": addresses}
        assert said in ana.post(f"{base(collection)}/add/addresses", form, follow=True).content.decode()
    assert not FileRegistry.objects.exists()


def test_pasted_text_is_kept_as_a_file(ana: Client, collection: Collection) -> None:
    ana.post(f"{base(collection)}/add/text", {"title": "Año nuevo/..", "text": "# Uvas\n\nDoce."})
    job = FileRegistry.objects.get()
    assert job.original_filename == "año-nuevo.md"
    assert (storage.root() / job.file_path).read_text() == "# Uvas\n\nDoce."


def test_pasted_text_that_is_not_taken_in_leaves_no_file_behind(
    ana: Client, collection: Collection, settings: Any
) -> None:
    for _ in range(2):
        ana.post(f"{base(collection)}/add/text", {"title": "Once", "text": "The same."})
    assert FileRegistry.objects.count() == 1
    assert list((storage.root() / "incoming").iterdir()) == []
    settings.KB_MAX_UPLOAD_MB = 1
    answer = ana.post(f"{base(collection)}/add/text", {"text": "x" * (2**20 + 1)})
    assert "larger than 1 MB" in answer.content.decode()
    settings.KB_MIN_FREE_MB = 2**40
    answer = ana.post(f"{base(collection)}/preview", {"kind": "text", "text": "Something else."})
    assert "disk is almost full" in answer.content.decode()
    assert list((storage.root() / "incoming").iterdir()) == []


@pytest.mark.parametrize("target", ["/add/addresses", "/preview"])
def test_what_was_entered_stays_when_it_is_refused(ana: Client, collection: Collection, target: str) -> None:
    form = {"kind": "web", "addresses": "https://example.org/a\nhttps://example.org/b", "plugin": "url_ingest",
            "param-limit": "many", "on_duplicate": "replace"}  # fmt: skip
    answer = ana.post(base(collection) + target, form)
    text = answer.content.decode()
    assert answer.status_code in {400, 422}
    assert "https://example.org/a\nhttps://example.org/b</textarea>" in text
    assert 'value="many"' in text
    if target != "/preview":
        assert 'value="replace" checked' in text
    assert f'href="{base(collection)}/add?kind=text"' in text


# -- Forms of parameters ----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def installed() -> Any:
    return build_catalogue(plugin_modules([])).ingest


def test_a_form_has_a_field_for_each_parameter_with_what_it_declares(installed: Any) -> None:
    for info in installed.values():
        found = {field.name: field for field in fields(info, addresses=True)}
        assert set(found) == set(info.parameters)
        for name, spec in info.parameters.items():
            field = found[name]
            assert field.label == spec["description"]
            assert bool(field.shown_when) == bool(spec.get("visible_when"))
            assert {key for key, _ in field.choices if key} == set(map(str, spec.get("enum", ())))


def form_of(info: Any, **options: Any) -> str:
    return render_to_string("ui/_fields.html", {"fields": fields(info, **options), "mark": "x"})


def test_settings_are_folded_away_only_behind_others(installed: Any) -> None:
    folded, open_ = '<details class="fold" id="more-x">', '<details class="fold" id="more-x" open>'
    assert folded in form_of(installed["simple_ingest"])
    specs = {"depth": {"type": "integer", "default": 1}}
    odd = replace(installed["simple_ingest"], parameters=specs)
    assert open_ in form_of(odd)
    assert open_ in form_of(replace(odd, parameters={"_note": {"type": "info", "description": "Mind."}, **specs}))
    assert folded in form_of(replace(odd, parameters={"chunk_size": {"type": "integer", "default": 1}, **specs}))
    assert "<details" not in form_of(replace(odd, parameters={"chunk_size": {"type": "integer", "default": 1}}))


def test_a_form_left_as_it_is_says_what_the_defaults_say(installed: Any) -> None:
    from plugins.parameters import validate

    for info in installed.values():
        form = {field.input: str(field.value) for field in fields(info) if field.kind not in {"checkbox", "notice"}}
        for field in fields(info):
            if field.kind == "checkbox":
                form[f"{field.input}-shown"] = "1"
                if field.value:
                    form[field.input] = "true"
        assert validate(info.parameters, entered(info, form)) == validate(info.parameters, {})


def test_a_secret_that_comes_back_masked_was_not_changed(installed: Any) -> None:
    info = installed["url_ingest"]
    assert entered(info, {"param-api_key": "********"}) == {}
    assert entered(info, {"param-api_key": "new"}) == {"api_key": "new"}
    assert next(field for field in fields(info) if field.name == "api_key").kind == "secret"


# -- Asking -----------------------------------------------------------------------------------------


def test_words_of_the_question_are_marked_and_nothing_else_becomes_markup() -> None:
    assert (
        highlighted("Cells & <b>cell</b>", "the cell")
        == "<mark>Cells</mark> &amp; &lt;b&gt;<mark>cell</mark>&lt;/b&gt;"
    )
    assert highlighted("a < b", "is it?") == "a &lt; b"
    assert highlighted("(x", "(((") == "(x"


def test_a_long_passage_is_shown_from_where_the_words_are() -> None:
    text = "nothing here " * 100 + "the mitochondria work " + "and so on " * 100
    shown = excerpt(text, "mitochondria?")
    assert "mitochondria" in shown
    assert shown.startswith("… ")
    assert shown.endswith(" …")
    assert len(shown) < 600


def test_a_passage_says_where_it_stands_and_leads_there() -> None:
    assert place({"page_range": "3-4", "heading_path": ["A", "B"]}) == "page 3-4 · A › B"
    assert place({"start_timestamp": "00:01:05"}) == "at 00:01:05"
    assert link({"source_url": "https://youtu.be/x?t=65"}) == "https://youtu.be/x?t=65"
    assert link({"source_url": "javascript:x", "file_url": "/static/a/b/c.pdf?sig=1"}) == "/static/a/b/c.pdf?sig=1"
    assert link({"file_url": "data:text/html,x"}) == ""


def test_a_question_to_a_collection_whose_vendor_fails_is_answered_in_words(ana: Client) -> None:
    broken = make_collection("broken", embedding_vendor="openai", embedding_endpoint="http://127.0.0.1:9/v1")
    fill(broken, unit_rows(1))
    text = text_of(ana.get(f"{base(broken)}/ask?q=anything&way=simple_query"))
    assert 'role="alert"' in text


# -- Words ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(None, ""), (0.01, "< 0.1 s"), (0.07, "0.1 s"), (0.44, "0.4 s"), (9.97, "10 s"), (59, "59 s"), (119, "119 s"),
     (180, "3 min"), (7200, "2 h"), (200_000, "2 d")],
)  # fmt: skip
def test_spans_are_said_as_people_say_them(seconds: float | None, said: str) -> None:
    assert words.span(seconds) == said


def test_an_estimate_is_a_range_only_where_it_is_one() -> None:
    assert words.range_of(19.6, 20.3) == "about 20 s"
    assert words.range_of(20, 180) == "20 s – 3 min"


@pytest.mark.parametrize(
    ("seconds", "said"), [(0.2, "1 s"), (3.7, "3 s"), (119.9, "119 s"), (150, "2 min"), (9000, "2 h"), (200_000, "2 d")]
)
def test_what_goes_on_is_told_in_whole_units(seconds: float, said: str) -> None:
    assert words.elapsed(datetime.now(UTC) - timedelta(seconds=seconds)) == said


def test_sizes_are_said_as_people_say_them() -> None:
    assert [words.size(n) for n in (0, 999, 1_960, 2_500, 999_950, 3_400_000, 640_000_000, 10**12)] == [
        "0 B", "999 B", "2.0 KB", "2.5 KB", "1.0 MB", "3.4 MB", "640 MB", "1000.0 GB"
    ]  # fmt: skip


def test_every_address_of_the_pages_has_a_name_and_a_view() -> None:
    assert reverse("ui:job", args=[1, 2]) == "/ui/collections/1/jobs/2"
    assert django_settings.LOGIN_URL == "ui:login"


# -- Stages of a job --------------------------------------------------------------------------------


def timings(*stages: tuple[str, int]) -> dict[str, Any]:
    return {"stage_timings": [{"stage": name, "duration_ms": duration} for name, duration in stages]}


def test_the_reading_stands_before_the_parts_that_the_plugin_timed() -> None:
    found = timed(
        timings(("conversion", 800), ("warning", 0), ("preview", 200), ("chunking", 0), ("conversion", 1000),
                ("embedding", 500))
    )  # fmt: skip
    assert [(stage.name, stage.seconds, stage.share, stage.is_part) for stage in found] == [
        ("reading", 1.0, 100.0, False),
        ("conversion", 0.8, 80.0, True),
        ("preview", 0.2, 20.0, True),
        ("chunking", 0.0, 0.0, True),
        ("embedding", 0.5, 50.0, False),
    ]


@pytest.mark.parametrize(
    "stats", [{}, {"stage_timings": 3}, {"stage_timings": [1, {"duration_ms": "x"}, {"stage": 1}]}]
)
def test_stages_of_other_servers_may_be_anything(stats: dict[str, Any]) -> None:
    assert timed(stats) == []
