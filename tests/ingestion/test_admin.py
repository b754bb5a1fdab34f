"""Jobs in the admin: what is shown and to whom, what its actions do, and what its lists cost."""

import html
import re
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
from ingestion import filters, presence, steps
from ingestion.admin.filters import period_of, unfolded
from ingestion.admin.jobs import DIARY_LENGTH
from ingestion.admin.words import duration, web_link
from ingestion.models import EventKind, FileRegistry, FileStatus, JobEvent, JobKind, Worker
from tests.ingestion.factories import make_collection, make_job

pytestmark = pytest.mark.django_db
JOBS = "/admin/ingestion/fileregistry/"
EVENTS = "/admin/ingestion/jobevent/"
WORKERS = "/admin/ingestion/worker/"
FAILURES = f"{JOBS}failures/"
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
    for number in range(DIARY_LENGTH + 1):
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
    answers.append(act(operator, "retry", waiting, confirmed="1"))
    answers.append(operator.get(FAILURES))
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
    for limit in (0, filters.RARE):  # a status of many jobs, and of few
        monkeypatch.setattr(filters, "RARE", limit)
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
    assert cost() == few <= 10


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


VERBS = {
    "retry": ({"failed"}, "pending", "queued again"),
    "retry_with": ({"failed"}, "pending", "queued again"),
    "cancel": ({"pending", "processing"}, "cancelled", "cancelled"),
    "remove": (set(FileStatus.values), "gone", "deleted"),
}


def status_of(job: FileRegistry) -> str:
    return FileRegistry.objects.filter(pk=job.pk).values_list("status", flat=True).first() or "gone"


def test_who_may_only_look_can_do_nothing_else(collection: Collection) -> None:
    failed, waiting = make_job(collection, FileStatus.FAILED), make_job(collection)
    viewer = logged_in("viewer", "view_fileregistry")
    assert 'name="action"' not in text_of(viewer.get(JOBS))
    assert 'name="action"' not in text_of(viewer.get(FAILURES))
    for job, verb in ((failed, "retry"), (failed, "retry_with"), (waiting, "cancel"), (failed, "remove")):
        assert f'value="{verb}"' not in text_of(viewer.get(page_of(job)))
        act(viewer, verb, job, confirmed="1")
        assert status_of(job) == job.status


@pytest.mark.parametrize(
    ("permission", "verbs"),
    [
        ("retry_fileregistry", {"retry", "retry_with"}),
        ("cancel_fileregistry", {"cancel"}),
        ("delete_fileregistry", {"remove"}),
    ],
)
def test_each_verb_takes_a_permission_of_its_own(collection: Collection, permission: str, verbs: set[str]) -> None:
    someone = logged_in("eva", "view_fileregistry", permission)
    for verb, (allowed, becomes, _) in VERBS.items():
        job = make_job(collection, next(iter(allowed)))
        act(someone, verb, job, confirmed="1")
        assert status_of(job) == (becomes if verb in verbs else job.status), verb
    if "retry" in verbs:
        assert JobEvent.objects.filter(kind=EventKind.RETRIED).latest("pk").message == "Retried by eva"


# -- Actions ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", FileStatus.values)
@pytest.mark.parametrize("verb", VERBS)
def test_each_verb_on_each_status(operator: Client, collection: Collection, verb: str, status: str) -> None:
    job = make_job(collection, status)
    allowed, becomes, done = VERBS[verb]
    assert (f'name="action" value="{verb}"' in text_of(operator.get(page_of(job)))) is (status in allowed)
    text = text_of(act(operator, verb, job, confirmed="1"))
    assert status_of(job) == (becomes if status in allowed else status)
    if status in allowed:
        assert f"<strong>1</strong> job was {done}" in text
    else:
        assert "<strong>1</strong> was left alone" in text
        assert f"this one is {status}" in text


def test_each_job_that_is_left_alone_is_told_with_its_reason(operator: Client, collection: Collection) -> None:
    failed = [make_job(collection, FileStatus.FAILED) for _ in range(2)]
    done = make_job(collection, FileStatus.COMPLETED, original_filename="done.txt")
    text = text_of(act(operator, "retry", *failed, done, confirmed="1"))
    assert "<strong>2</strong> jobs were queued again; <strong>1</strong> was left alone" in text
    assert "done.txt</td><td>Only failed jobs can be retried; this one is completed." in text
    assert FileRegistry.objects.pending().count() == 2


def test_jobs_of_a_deleted_collection_are_not_queued_again(operator: Client, collection: Collection) -> None:
    job = make_job(collection, FileStatus.FAILED)
    Collection.objects.filter(pk=collection.pk).update(deleted_at=timezone.now())
    assert "The collection of this job was deleted." in text_of(act(operator, "retry", job, confirmed="1"))
    assert status_of(job) == FileStatus.FAILED


@pytest.mark.parametrize("verb", VERBS)
def test_every_action_asks_first_and_counts(operator: Client, collection: Collection, verb: str) -> None:
    allowed, _, done = VERBS[verb]
    jobs = [make_job(collection, next(iter(allowed))) for _ in range(2)]
    others = [] if verb == "remove" else [make_job(collection, FileStatus.COMPLETED)]
    text = text_of(act(operator, verb, *jobs, *others))
    assert f"<strong>2</strong> jobs will be {done}" in text
    if others:
        assert "1 other of those chosen is not in a status for this" in text
    assert [status_of(job) for job in jobs] == [job.status for job in jobs]


def test_where_nothing_can_be_done_there_is_no_button(operator: Client, collection: Collection) -> None:
    text = text_of(act(operator, "cancel", make_job(collection, FileStatus.COMPLETED)))
    assert "None of the chosen jobs can be cancelled" in text
    assert 'name="confirmed"' not in text


def test_jobs_are_retried_with_other_parameters(operator: Client, collection: Collection) -> None:
    job = make_job(collection, FileStatus.FAILED, plugin_params={"chunk_size": 1000, "chunk_overlap": 10})
    asked = text_of(act(operator, "retry_with", job))
    assert "&quot;chunk_overlap&quot;: 10" in asked
    act(operator, "retry_with", job, confirmed="1", params='{"chunk_size": 400}')
    job.refresh_from_db()
    assert job.plugin_params["chunk_size"] == 400
    assert job.plugin_params["chunk_overlap"] == 10


@pytest.mark.parametrize("params", ["{", "[1]", '"x"', "[" * 5_000, '{"a": "\\ud800"}'])
def test_parameters_that_are_no_object_are_asked_for_again(
    operator: Client, collection: Collection, params: str
) -> None:
    job = make_job(collection, FileStatus.FAILED)
    text = text_of(act(operator, "retry_with", job, confirmed="1", params=params))
    assert "no JSON object" in text
    assert html.escape(params) in text
    assert status_of(job) == FileStatus.FAILED


def test_parameters_that_the_plugin_does_not_take_leave_the_job_alone(operator: Client, collection: Collection) -> None:
    job = make_job(collection, FileStatus.FAILED)
    assert "colour" in text_of(act(operator, "retry_with", job, confirmed="1", params='{"colour": "red"}'))
    assert status_of(job) == FileStatus.FAILED


def test_a_masked_secret_stays_what_it_is(operator: Client, collection: Collection) -> None:
    job = make_job(
        collection, FileStatus.FAILED, plugin_name="url_ingest", plugin_params={"url": "https://a.org", "api_key": "k1"}
    )
    asked = text_of(act(operator, "retry_with", job))
    assert "k1" not in asked
    act(operator, "retry_with", job, confirmed="1", params='{"api_key": "********", "limit": 3}')
    job.refresh_from_db()
    assert (job.plugin_params["api_key"], job.plugin_params["limit"]) == ("k1", 3)


def test_the_buttons_of_a_job_lead_back_to_it(operator: Client, collection: Collection) -> None:
    job = make_job(collection)
    assert 'name="from_page"' in text_of(act(operator, "cancel", job, from_page="1"))
    answer = act(operator, "cancel", job, from_page="1", confirmed="1")
    assert answer.url == page_of(job)
    assert said(answer) == [f"Job {job.pk} was cancelled."]
    again = said(act(operator, "cancel", job, from_page="1", confirmed="1"))
    assert again[-1].startswith(f"Job {job.pk} was not cancelled.")
    assert act(operator, "remove", job, from_page="1", confirmed="1").url == JOBS


def test_all_that_a_filter_matches_can_be_chosen(operator: Client, collection: Collection) -> None:
    for _ in range(60):
        make_job(collection)
    kept = make_job(collection, plugin_name="url_ingest")
    chosen = FileRegistry.objects.earliest("pk")
    address = f"{JOBS}?plugin=simple_ingest"
    asked = text_of(act(operator, "cancel", chosen, address=address, select_across="1"))
    assert "<strong>60</strong> jobs will be cancelled" in asked
    assert "… and 40 more" in asked
    text = text_of(act(operator, "cancel", chosen, address=address, select_across="1", confirmed="1"))
    assert "<strong>60</strong> jobs were cancelled" in text
    assert status_of(kept) == FileStatus.PENDING


def carried(text: str) -> dict[str, Any]:
    """The hidden fields of a page's form."""
    fields: dict[str, Any] = {}
    for name, value in re.findall(r'<input type="hidden" name="([a-z_]+)" value="([^"]*)"', text):
        fields.setdefault(name, []).append(html.unescape(value))
    return fields


def test_long_work_goes_on_from_step_to_step(
    operator: Client, collection: Collection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A step ends when its time is over; here that is after each batch."""
    for n in range(120):
        make_job(collection, FileStatus.FAILED, **({"plugin_name": "gone"} if n % 50 == 49 else {}))
    monkeypatch.setattr(steps, "STEP_SECONDS", 0.0)
    one = str(FileRegistry.objects.earliest("pk").pk)
    form = {"action": "retry_with", "select_across": "1", "_selected_action": one, "confirmed": "1", "total": "120",
            "params": '{"chunk_size": 300}'}  # fmt: skip
    texts = []
    while 'id="kb-continue"' in (text := text_of(operator.post(JOBS, form))):
        texts.append(text)
        form = carried(text)
    assert len(texts) == 2
    assert "<strong>49</strong> of 120 jobs" in texts[0]
    assert "<strong>118</strong> jobs were queued again; <strong>2</strong> were left alone" in text
    assert text.count("no plugin named") == 2
    assert FileRegistry.objects.pending().filter(plugin_params__chunk_size=300).count() == 118


def test_jobs_that_came_after_the_question_are_left_alone(operator: Client, collection: Collection) -> None:
    """Whoever agreed to one deletion has not agreed to the deletion of what is uploaded meanwhile."""
    asked_about = make_job(collection)
    form = carried(text_of(act(operator, "remove", asked_about, select_across="1")))
    later = make_job(collection)
    text_of(operator.post(JOBS, form))
    assert (status_of(asked_about), status_of(later)) == ("gone", "pending")


@pytest.mark.parametrize("query", ["group=%00", "error_code=%00", f"group={'x' * 10_001}", f"q={'a' * 60_000}",
                                   f"q={'a+' * 5_000}", f"owner={'x' * 60_000}"])  # fmt: skip
def test_hostile_filters_find_nothing(operator: Client, collection: Collection, query: str) -> None:
    make_job(collection, FileStatus.FAILED)
    assert listed(operator.get(f"{JOBS}?{query}")) == []


@pytest.mark.parametrize("refused", ["{", "[1]", '[["a"]]', "null", "[" * 5_000, '[["", "a", "b"]]'])
def test_a_form_that_was_tampered_with_does_no_harm(operator: Client, collection: Collection, refused: str) -> None:
    job = make_job(collection, FileStatus.FAILED)
    text_of(act(operator, "retry", job, confirmed="1", refused=refused, after="x", done="-1"))
    assert status_of(job) == FileStatus.PENDING


# -- Failures in groups -----------------------------------------------------------------------------


def test_failures_are_shown_in_groups_with_what_helps(operator: Client, collection: Collection) -> None:
    assert "Nothing has failed" in text_of(operator.get(FAILURES))
    for _ in range(3):
        job = make_job(collection, FileStatus.FAILED)
    text = text_of(operator.get(FAILURES))
    assert "The file is damaged." in text
    assert "the source itself has to be mended" in text
    assert f"#{job.pk} report.txt" in text
    group = f"corrupt:{job.error_fingerprint}"
    assert listed(operator.get(f"{JOBS}?group={group}")) == [job.pk, job.pk - 1, job.pk - 2]
    asked = text_of(act(operator, "retry", job, address=f"{JOBS}?group={group}", select_across="1"))
    assert "<strong>3</strong> jobs will be queued again" in asked


def test_a_remedy_brings_its_parameters(operator: Client, collection: Collection) -> None:
    job = make_job(collection, FileStatus.PROCESSING, plugin_name="url_ingest", plugin_params={"url": "https://a.org"})
    assert job.fail(job.run_id, "robots", "The site asks robots not to read it.")
    page = text_of(operator.get(FAILURES))
    params = carried(page)["params"][0]
    assert params == '{"respect_robots": false}'
    asked = act(operator, "retry_with", job, address=f"{JOBS}?group=robots:{job_group(job)}", select_across="1",
                params=params)  # fmt: skip
    assert "respect_robots" in text_of(asked)


def job_group(job: FileRegistry) -> str:
    job.refresh_from_db()
    return job.error_fingerprint


def test_the_page_of_failures_is_for_those_who_may_see_jobs(collection: Collection) -> None:
    assert logged_in("eva").get(FAILURES).status_code == 403


def test_the_front_page_shows_failures_and_what_workers_do(operator: Client, collection: Collection) -> None:
    make_job(collection, FileStatus.FAILED)
    worker = presence.this_worker()
    running = make_job(collection, original_filename="running.txt")
    assert running.claim(worker)
    text = text_of(operator.get("/admin/"))
    assert "The file is damaged." in text
    assert f"#{running.pk} running.txt" in text


# -- The list's filters by time ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "days"), [("2024", 366), ("2023", 365), ("2024-02", 29), ("2024-12", 31), ("2024-02-29", 1), ("7d", 8)]
)
def test_a_period_has_bounds(value: str, days: int) -> None:
    bounds = period_of(value)
    assert bounds
    assert round((bounds[1] - bounds[0]) / timedelta(days=1)) == days


def test_previews_are_listed_only_where_they_are_asked_for(operator: Client, collection: Collection) -> None:
    job = make_job(collection, FileStatus.FAILED)
    failed = make_job(collection, FileStatus.FAILED, kind=JobKind.PREVIEW)
    waiting = make_job(collection, kind=JobKind.PREVIEW)
    assert listed(operator.get(JOBS)) == [job.pk]
    assert listed(operator.get(f"{JOBS}?collection={collection.pk}&error_code=corrupt")) == [job.pk]
    assert listed(operator.get(f"{JOBS}?kind=preview")) == [waiting.pk, failed.pk]
    for narrower in ("status=failed", "error_code=corrupt", f"collection={collection.pk}&status=failed"):
        assert listed(operator.get(f"{JOBS}?kind=preview&{narrower}")) == [failed.pk], narrower
    assert listed(operator.get(f"{JOBS}?kind=nonsense&error_code=corrupt")) == [job.pk]


def test_the_page_of_a_preview_cancels_it_and_offers_no_retry(operator: Client, collection: Collection) -> None:
    failed = make_job(collection, FileStatus.FAILED, kind=JobKind.PREVIEW)
    assert "Retry" not in text_of(operator.get(page_of(failed))).split("<h2")[0]
    waiting = make_job(collection, kind=JobKind.PREVIEW)
    page = text_of(operator.get(page_of(waiting)))
    found = re.search(r'<form method="post" action="([^"]+)" class="kb-verbs"', page)
    assert found
    assert "Cancel" in text_of(act(operator, "cancel", waiting, address=found[1], from_page="1"))
    act(operator, "cancel", waiting, address=found[1], from_page="1", confirmed="1")
    waiting.refresh_from_db()
    assert waiting.status == FileStatus.CANCELLED


@pytest.mark.parametrize("value", ["2024-13", "2024-02-30", "0000", "x", "99999d", "2024-1-1", "9999-12-31-01"])
def test_what_is_no_period_filters_nothing(operator: Client, collection: Collection, value: str) -> None:
    assert period_of(value) is None
    make_job(collection)
    assert len(listed(operator.get(f"{JOBS}?submitted={value}"))) == 1


def test_a_year_unfolds_into_months_and_a_month_into_days() -> None:
    assert unfolded(["2025", "2024"], "") == ["2025", "2024"]
    assert len(unfolded(["2025", "2024"], "2024")) == 2 + 12
    assert len(unfolded(["2025", "2024"], "2024-02")) == 2 + 12 + 29
    assert "2024-02-29" in unfolded(["2024"], "2024-02-03")


def test_jobs_are_found_by_owner_and_day(operator: Client, collection: Collection) -> None:
    old, new = make_job(collection), make_job(make_collection("other", owner="ben"))
    FileRegistry.objects.filter(pk=old.pk).update(created_at=timezone.now() - timedelta(days=400))
    assert listed(operator.get(f"{JOBS}?owner=ben")) == [new.pk]
    assert listed(operator.get(f"{JOBS}?submitted=24h")) == [new.pk]
    day = f"{timezone.now() - timedelta(days=400):%Y-%m-%d}"
    assert listed(operator.get(f"{JOBS}?submitted={day}")) == [old.pk]
    assert listed(operator.get(f"{JOBS}?submitted={day[:4]}")) == [old.pk]


# -- What pages are made of -------------------------------------------------------------------------


def test_pages_load_nothing_from_other_hosts(operator: Client, collection: Collection) -> None:
    job = make_job(collection, FileStatus.FAILED)
    for address in ("/admin/", JOBS, FAILURES, page_of(job)):
        text = text_of(operator.get(address))
        assert 'src="http' not in text
        assert 'href="http' not in text


def test_the_style_sheet_and_the_icon_are_served(client: Client) -> None:
    for name in ("admin.css", "continue.js", "favicon.svg"):
        assert client.get(f"{settings.STATIC_URL}kb/{name}").status_code == 200
