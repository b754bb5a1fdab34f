"""Jobs in the admin: what is shown and to whom, what its actions do, and what its lists cost."""

import html
import socket
from datetime import timedelta
from typing import Any

import pytest
from django.apps import apps
from django.conf import settings
from django.contrib import admin
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.contrib.messages import get_messages
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from collections_app.models import Collection
from ingestion import admin as job_admin
from ingestion.admin import duration, web_link
from ingestion.models import EventKind, FileRegistry, FileStatus, JobEvent, Worker
from tests.ingestion.factories import make_collection, make_job

pytestmark = pytest.mark.django_db
JOBS = "/admin/ingestion/fileregistry/"
EVENTS = "/admin/ingestion/jobevent/"
WORKERS = "/admin/ingestion/worker/"
HOSTILE = "<script>alert(1)</script>.txt"


def logged_in(name: str, *permissions: str) -> Client:
    """A staff member's client, with these permissions only."""
    user = get_user_model().objects.create_user(name, password="x", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    client = Client()
    client.force_login(user)
    return client


@pytest.fixture
def operator() -> Client:
    client = Client()
    client.force_login(get_user_model().objects.create_superuser("root"))
    return client


@pytest.fixture
def collection() -> Collection:
    return make_collection()


def page_of(job: FileRegistry) -> str:
    return f"{JOBS}{job.pk}/change/"


def text_of(response: Any) -> str:
    assert response.status_code == 200
    text: str = response.content.decode()
    return text


def listed(response: Any) -> list[int]:
    return [row.pk for row in response.context["cl"].result_list]


def act(client: Client, action: str, *jobs: FileRegistry, address: str = JOBS, **fields: str) -> Any:
    return client.post(address, {"action": action, "_selected_action": [str(job.pk) for job in jobs], **fields})


def said(response: Any) -> list[str]:
    return [str(message) for message in get_messages(response.wsgi_request)]


# -- Pages ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", FileStatus.values)
def test_a_job_of_each_status_has_its_page(operator: Client, collection: Collection, status: str) -> None:
    job = make_job(collection, status)
    text = text_of(operator.get(page_of(job)))
    assert f'kb-badge kb-{status}">{status}<' in text
    assert f'kb-badge kb-{status}">{status}<' in text_of(operator.get(JOBS))


@pytest.mark.parametrize("address", ["/admin/", "/admin/ingestion/", JOBS, EVENTS, WORKERS])
def test_the_lists_open_when_they_are_empty_too(operator: Client, address: str) -> None:
    assert "KB Server" in text_of(operator.get(address))


def test_the_front_page_counts_jobs_and_says_that_nobody_works(operator: Client, collection: Collection) -> None:
    make_job(collection, FileStatus.FAILED)
    text = text_of(operator.get("/admin/"))
    assert f'<a href="{JOBS}?status=failed"><strong>1</strong>' in text
    assert "No worker is living" in text


def test_the_bells_own_tables_are_not_shown(operator: Client) -> None:
    assert not any(admin.site.is_registered(model) for model in apps.get_app_config("django_q").get_models())
    assert "django_q" not in text_of(operator.get("/admin/"))
    assert operator.get("/admin/django_q/ormq/").status_code == 404


def test_users_are_still_managed_here(operator: Client) -> None:
    assert operator.get("/admin/auth/user/").status_code == 200


def test_a_failed_jobs_page_says_what_happened_and_what_to_do(operator: Client, collection: Collection) -> None:
    job = make_job(collection, FileStatus.PROCESSING)
    assert job.run_id
    details = {"hint": "Save it again.", "traceback": "Traceback: line 7", "stage": "Reading"}
    assert job.fail(job.run_id, "corrupt", "The file is damaged.", details)
    text = text_of(operator.get(page_of(job)))
    for part in ("corrupt", "The file is damaged.", "Save it again."):
        assert part in text
    assert '<summary>Traceback</summary><pre class="kb-pre">Traceback: line 7</pre>' in text


def test_server_paths_in_imported_details_are_not_shown(operator: Client, collection: Collection) -> None:
    job = make_job(collection, FileStatus.FAILED)
    FileRegistry.objects.filter(pk=job.pk).update(error_details={"traceback": f"{settings.KB_DATA_DIR}/x.py"})
    text = text_of(operator.get(page_of(job)))
    assert str(settings.KB_DATA_DIR) not in text
    assert "&lt;data&gt;/x.py" in text


def test_the_diary_is_a_timeline_oldest_first(operator: Client, collection: Collection) -> None:
    job = make_job(collection, FileStatus.FAILED)
    assert job.retry(by="ana")
    text = text_of(operator.get(page_of(job)))
    assert text.index("<strong>claimed</strong>") < text.index("<strong>failed</strong>")
    assert text.index("<strong>failed</strong>") < text.index("<strong>retried</strong> Retried by ana")


def test_a_long_diary_shows_its_end(operator: Client, collection: Collection) -> None:
    job = make_job(collection)
    for number in range(job_admin.DIARY_LENGTH + 1):
        JobEvent.write(job, EventKind.STAGE, f"step <{number}>")
    text = text_of(operator.get(page_of(job)))
    assert "Only the latest 200 entries." in text
    assert "step &lt;0&gt;" not in text
    assert "step &lt;200&gt;" in text


def test_secrets_in_parameters_events_and_addresses_are_masked(operator: Client, collection: Collection) -> None:
    params = {"api_key": "hush-1", "nested": {"password": "hush-2"}, "chunk_size": 77}
    job = make_job(collection, plugin_params=params, file_url="https://ana:hush-3@example.org/a")
    JobEvent.write(job, EventKind.STAGE, "Asked", {"token": "hush-4"})
    event = JobEvent.objects.latest("pk")
    for address in (JOBS, page_of(job), EVENTS, f"{EVENTS}{event.pk}/change/"):
        assert "hush-" not in text_of(operator.get(address))
    assert "&quot;chunk_size&quot;: 77" in text_of(operator.get(page_of(job)))


def test_hostile_names_and_texts_stay_text(operator: Client) -> None:
    collection = make_collection(name=HOSTILE, owner=HOSTILE)
    fields = {"original_filename": HOSTILE, "plugin_name": HOSTILE, "content_type": HOSTILE}
    job = make_job(collection, FileStatus.FAILED, **fields, plugin_params={HOSTILE: HOSTILE}, file_path=f"x/{HOSTILE}")
    FileRegistry.objects.filter(pk=job.pk).update(
        error_code=HOSTILE,
        error_message=HOSTILE,
        error_details={"hint": HOSTILE, "traceback": HOSTILE, "context": {HOSTILE: HOSTILE}},
        processing_stats={HOSTILE: HOSTILE},
        progress_message=f'">{HOSTILE}',
    )
    JobEvent.write(job, EventKind.WARNING, HOSTILE, {HOSTILE: HOSTILE})
    event = JobEvent.objects.latest("pk")
    found = f"{JOBS}?plugin={HOSTILE}&error_code={HOSTILE}&collection={HOSTILE}"
    pages = ["/admin/", JOBS, found, f"{JOBS}?q={HOSTILE}", page_of(job), EVENTS, f"{EVENTS}{event.pk}/change/"]
    answers = [operator.get(page) for page in pages]
    waiting = make_job(collection, original_filename=HOSTILE)
    answers.append(act(operator, "cancel", waiting))
    refused = act(operator, "retry", waiting)
    answers.append(operator.get(refused.url))
    for answer in answers:
        assert "<script>alert(1)" not in text_of(answer)
    assert html.escape(HOSTILE) in text_of(operator.get(page_of(job)))


def test_a_stored_file_is_linked_with_its_signature(operator: Client, collection: Collection) -> None:
    key = "0123456789abcdef" * 2
    job = make_job(collection, file_path=f"01/{key}/{key}.txt")
    assert f'<a href="/static/ana/notes/{key}.txt?s=' in text_of(operator.get(page_of(job)))
    assert job.delete_softly()
    assert f"{key}.txt?s=" not in text_of(operator.get(page_of(job)))


@pytest.mark.parametrize("address", ["javascript:alert(1)", "data:text/html,x", "", "ftp://example.org/", "//["])
def test_addresses_that_a_browser_might_run_are_no_links(address: str) -> None:
    assert "<a" not in web_link(address)


def test_web_addresses_are_links() -> None:
    assert web_link("https://example.org/?a=1&b=2").startswith('<a href="https://example.org/?a=1&amp;b=2"')


@pytest.mark.parametrize(
    ("seconds", "words"), [(0, "0.0 s"), (-5, "0.0 s"), (59.94, "59.9 s"), (60, "1 min 0 s"), (7500, "2 h 5 min")]
)
def test_durations_read_well(seconds: float, words: str) -> None:
    now = timezone.now()
    assert duration(now, now + timedelta(seconds=seconds)) == words


def test_a_job_that_has_not_started_has_no_duration() -> None:
    assert duration(None, None) == "–"


def test_a_worker_says_whether_it_lives_and_what_it_runs(operator: Client, collection: Collection) -> None:
    now = timezone.now()
    living, silent, stopped = (
        Worker.objects.create(host="elsewhere", boot_id="b", pid=pid, process_started=1.0, beat_at=beat, stopped_at=end)
        for pid, beat, end in ((1, now, None), (2, now - timedelta(minutes=5), None), (3, now, now))
    )
    job = make_job(collection)
    assert job.claim(living)
    for worker, state in ((living, "living"), (silent, "silent"), (stopped, "stopped")):
        text = text_of(operator.get(f"{WORKERS}{worker.pk}/change/"))
        assert f">{state}</span>" in text
        assert (page_of(job) in text) is (worker == living)
    assert page_of(job) in text_of(operator.get(WORKERS))


def test_a_worker_of_this_machine_whose_process_is_gone_is_dead(operator: Client) -> None:
    Worker.objects.create(host=socket.gethostname(), boot_id="of another boot", pid=1, process_started=1.0)
    assert ">dead</span>" in text_of(operator.get(WORKERS))


# -- Finding ----------------------------------------------------------------------------------------


def test_jobs_are_found_by_status_plugin_code_collection_name_and_number(
    operator: Client, collection: Collection, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = make_collection("other")
    failed = make_job(collection, FileStatus.FAILED, original_filename="report 2023.txt")
    page = make_job(other, plugin_name="url_ingest", original_filename="page")
    done = make_job(other, FileStatus.COMPLETED, original_filename="100%_done.txt")
    for limit in (0, job_admin.RARE):  # a status of many jobs, and of few
        monkeypatch.setattr(job_admin, "RARE", limit)
        for query, expected in {
            "": [done, page, failed],
            "status=failed": [failed],
            f"status=failed&collection={other.pk}": [],
            "status=pending": [page],
            "status=nonsense": [done, page, failed],
            "plugin=url_ingest": [page],
            "error_code=corrupt": [failed],
            f"error_code=corrupt&collection={collection.pk}": [failed],
            "error_code=timed_out": [],
            f"collection={other.pk}": [done, page],
            "collection=x": [],
            f"collection={10**30}": [],
            "q=REPORT": [failed],
            "q=2023": [failed],
            "q=%25_d": [done],
            f"q={page.pk}": [page],
            f"q=%23{page.pk}": [page],
            "q=%232023999": [],
            f"q={10**30}": [],
        }.items():
            assert listed(operator.get(f"{JOBS}?{query}")) == [job.pk for job in expected], query


def test_counts_are_right_with_and_without_the_databases_counters(operator: Client, collection: Collection) -> None:
    for status in (FileStatus.FAILED, FileStatus.FAILED, FileStatus.COMPLETED):
        make_job(collection, status)
    for query, count in (("", 3), ("?status=failed", 2), ("?status=pending", 0), ("?status=failed&q=report", 2)):
        assert operator.get(f"{JOBS}{query}").context["cl"].result_count == count
    assert "failed (2)" in text_of(operator.get(JOBS))


def test_a_search_counts_no_further_than_it_must(
    operator: Client, collection: Collection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("collections_app.admin.COUNTED", 2)
    for _ in range(3):
        make_job(collection)
    assert operator.get(f"{JOBS}?q=report").context["cl"].result_count == 2


def test_events_are_found_by_job(operator: Client, collection: Collection) -> None:
    job, other = make_job(collection, FileStatus.CANCELLED), make_job(collection, FileStatus.FAILED)
    assert {row.job_id for row in operator.get(f"{EVENTS}?q={job.pk}").context["cl"].result_list} == {job.pk}
    assert listed(operator.get(f"{EVENTS}?q=nonsense")) == []
    assert len(listed(operator.get(EVENTS))) == 1 + JobEvent.objects.filter(job_id=other.pk).count()


@pytest.mark.parametrize("address", [JOBS, EVENTS, WORKERS])
def test_a_list_costs_as_many_queries_for_100_rows_as_for_two(operator: Client, address: str) -> None:
    def grow(first: int, last: int) -> None:
        for number in range(first, last):
            worker = Worker.objects.create(host="elsewhere", boot_id="b", pid=number, process_started=1.0)
            assert make_job(make_collection(f"c{number}")).claim(worker)

    def cost() -> int:
        with CaptureQueriesContext(
            connection,
        ) as queries:
            assert operator.get(address).status_code == 200
        return len(queries)

    grow(0, 2)
    few = cost()
    grow(2, 102)
    assert cost() == few <= 8


def test_no_list_reads_the_key_of_a_collection(operator: Client, collection: Collection) -> None:
    make_job(collection)
    with CaptureQueriesContext(connection) as queries:
        operator.get(JOBS)
    assert not any("embedding_api_key" in query["sql"] for query in queries)


# -- Who may do what --------------------------------------------------------------------------------


def test_nobody_adds_edits_or_deletes_rows(operator: Client, collection: Collection) -> None:
    job = make_job(collection, FileStatus.FAILED)
    event = JobEvent.objects.latest("pk")
    worker = Worker.objects.create(host="h", boot_id="b", pid=1, process_started=1.0)
    for address, pk in ((JOBS, job.pk), (EVENTS, event.pk), (WORKERS, worker.pk)):
        assert operator.get(f"{address}add/").status_code == 403
        assert operator.get(f"{address}{pk}/delete/").status_code == 403
        assert operator.post(f"{address}{pk}/change/", {"status": "completed"}).status_code == 403
        act(operator, "delete_selected", job, address=address, post="yes")
    job.refresh_from_db()
    assert job.status == FileStatus.FAILED
    assert JobEvent.objects.filter(pk=event.pk).exists()
    assert Worker.objects.filter(pk=worker.pk).exists()


def test_staff_without_permissions_see_nothing_of_jobs(collection: Collection) -> None:
    job = make_job(collection, FileStatus.FAILED)
    staff = logged_in("staff")
    for address in (JOBS, page_of(job), EVENTS, WORKERS):
        assert staff.get(address).status_code == 403
    text = text_of(staff.get("/admin/"))
    assert "fileregistry" not in text
    assert act(staff, "retry", job).status_code == 403
    job.refresh_from_db()
    assert job.status == FileStatus.FAILED


def test_visitors_are_asked_to_log_in() -> None:
    assert Client().get(JOBS).headers["Location"].startswith("/admin/login/")


def test_who_may_only_look_cannot_retry_or_cancel(collection: Collection) -> None:
    failed, waiting = make_job(collection, FileStatus.FAILED), make_job(collection)
    viewer = logged_in("viewer", "view_fileregistry")
    assert 'name="action"' not in text_of(viewer.get(JOBS))
    for job, verb in ((failed, "retry"), (waiting, "cancel")):
        assert f'value="{verb}"' not in text_of(viewer.get(page_of(job)))
        act(viewer, verb, job, confirmed="1")
        status = job.status
        job.refresh_from_db()
        assert job.status == status


def test_the_change_permission_is_what_retrying_takes(collection: Collection) -> None:
    job = make_job(collection, FileStatus.FAILED)
    someone = logged_in("eva", "view_fileregistry", "change_fileregistry")
    act(someone, "retry", job)
    job.refresh_from_db()
    assert job.status == FileStatus.PENDING
    assert JobEvent.objects.latest("pk").message == "Retried by eva"


# -- Actions ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", FileStatus.values)
@pytest.mark.parametrize("verb", ["retry", "cancel"])
def test_each_verb_on_each_status(operator: Client, collection: Collection, verb: str, status: str) -> None:
    job = make_job(collection, status)
    allowed = {"retry": {"failed"}, "cancel": {"pending", "processing"}}[verb]
    becomes = {"retry": "pending", "cancel": "cancelled"}[verb] if status in allowed else status
    page = text_of(operator.get(page_of(job)))
    assert (f'name="action" value="{verb}"' in page) is (status in allowed)
    (message,) = said(act(operator, verb, job, confirmed="1"))
    job.refresh_from_db()
    assert job.status == becomes
    if status in allowed:
        assert message == {"retry": "1 job was queued again.", "cancel": "1 job was cancelled."}[verb]
    else:
        assert message.startswith("1 job was not ")
        assert f"this one is {status}" in message


def test_messages_say_how_many_and_which_ones_not(operator: Client, collection: Collection) -> None:
    failed = [make_job(collection, FileStatus.FAILED) for _ in range(2)]
    done = [make_job(collection, FileStatus.COMPLETED, original_filename=f"{n}.txt") for n in range(4)]
    waiting = make_job(collection)
    messages = said(act(operator, "retry", *failed, *done, waiting))
    assert messages[0] == "2 jobs were queued again."
    assert any("4 jobs were not queued again" in text and "and 1 more" in text for text in messages)
    assert any(f"#{waiting.pk} report.txt" in text and "this one is pending" in text for text in messages)
    assert FileRegistry.objects.pending().count() == 3


def test_jobs_of_a_deleted_collection_are_not_queued_again(operator: Client, collection: Collection) -> None:
    job = make_job(collection, FileStatus.FAILED)
    Collection.objects.filter(pk=collection.pk).update(deleted_at=timezone.now())
    assert "Its collection was deleted." in said(act(operator, "retry", job))[0]
    job.refresh_from_db()
    assert job.status == FileStatus.FAILED


def test_cancelling_asks_first(operator: Client, collection: Collection) -> None:
    job, done = make_job(collection), make_job(collection, FileStatus.COMPLETED)
    text = text_of(act(operator, "cancel", job, done))
    assert "Of 2 chosen jobs, 1 can be cancelled now." in text
    job.refresh_from_db()
    assert job.status == FileStatus.PENDING


def test_the_buttons_of_a_job_lead_back_to_it(operator: Client, collection: Collection) -> None:
    job = make_job(collection)
    assert 'name="from_page"' in text_of(act(operator, "cancel", job, from_page="1"))
    assert act(operator, "cancel", job, from_page="1", confirmed="1").url == page_of(job)


def test_all_pages_of_a_filtered_list_can_be_chosen(operator: Client, collection: Collection) -> None:
    for _ in range(60):
        make_job(collection)
    kept = make_job(collection, plugin_name="url_ingest")
    chosen = FileRegistry.objects.earliest("pk")
    address = f"{JOBS}?plugin=simple_ingest"
    asked = text_of(act(operator, "cancel", chosen, address=address, select_across="1"))
    assert asked.count("_selected_action") == 1
    answer = act(operator, "cancel", chosen, address=address, select_across="1", confirmed="1")
    assert said(answer) == ["60 jobs were cancelled."]
    kept.refresh_from_db()
    assert kept.status == FileStatus.PENDING


def test_an_action_stops_at_its_limit_and_says_so(
    operator: Client, collection: Collection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job_admin, "AT_ONCE", 2)
    jobs = [make_job(collection, FileStatus.FAILED) for _ in range(3)]
    messages = said(act(operator, "retry", *jobs))
    assert messages[0] == "2 jobs were queued again."
    assert messages[1].startswith("Only the first 2 were looked at.")
    assert FileRegistry.objects.failed().count() == 1


# -- What pages are made of -------------------------------------------------------------------------


def test_pages_load_nothing_from_other_hosts(operator: Client, collection: Collection) -> None:
    job = make_job(collection, FileStatus.FAILED)
    for address in ("/admin/", JOBS, page_of(job)):
        text = text_of(operator.get(address))
        assert 'src="http' not in text
        assert 'href="http' not in text


def test_the_style_sheet_and_the_icon_are_served(client: Client) -> None:
    for name in ("admin.css", "favicon.svg"):
        assert client.get(f"{settings.STATIC_URL}kb/{name}").status_code == 200
