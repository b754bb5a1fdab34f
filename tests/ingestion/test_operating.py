"""The operators' commands on many jobs: what they choose, say, change and leave alone."""

import io
import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.utils import timezone

from bench.server import ROOT
from ingestion import bulk, prune, services, storage
from ingestion.management.options import moment
from ingestion.models import FileRegistry, FileStatus, JobEvent
from tests.ingestion.factories import make_collection, make_job

pytestmark = pytest.mark.django_db


@pytest.fixture
def collection():
    return make_collection()


@pytest.fixture
def run(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")

    def run(*arguments):
        call_command(*map(str, arguments))
        return capsys.readouterr().out

    return run


def status_of(job):
    return FileRegistry.objects.get(pk=job.pk).status


def refused(run, *arguments):
    """What a command says that does nothing, with its exit code."""
    with pytest.raises(CommandError) as error:
        run(*arguments)
    return str(error.value)


# -- retry_failed -----------------------------------------------------------------------------------


def test_failed_jobs_are_retried_as_the_filters_choose(run, collection):
    here = make_job(collection, FileStatus.FAILED)
    other = make_job(make_collection("x", owner="ben"), FileStatus.FAILED)
    assert "1 job retried" in run("retry_failed", "--owner", "ben")
    assert (status_of(here), status_of(other)) == ("failed", "pending")
    assert "0 jobs retried" in run("retry_failed", "--code", "vendor_timeout")
    assert "0 jobs retried" in run("retry_failed", "--since", "2020-01-01", "--before", "2021-01-01")
    assert "1 job retried" in run("retry_failed", "--since", "1h", "--collection", collection.pk)


def test_a_group_is_retried_with_other_parameters(run, collection):
    jobs = [make_job(collection, FileStatus.FAILED) for _ in range(2)]
    group = json.loads(run("jobs", "--failures", "--json"))[0]["group"]
    assert "2 jobs retried" in run("retry_failed", "--group", group, "--param", "chunk_size=700")
    assert {FileRegistry.objects.get(pk=job.pk).plugin_params["chunk_size"] for job in jobs} == {700}


def test_jobs_that_do_not_take_the_parameters_are_left_alone_and_said_so(run, collection):
    job = make_job(collection, FileStatus.FAILED)
    said = run("retry_failed", "--param", "colour=red")
    assert "0 jobs retried" in said
    assert "1 job left alone" in said
    assert "colour" in said
    assert status_of(job) == "failed"


def test_only_so_many_of_the_oldest_are_retried(run, collection):
    jobs = [make_job(collection, FileStatus.FAILED) for _ in range(3)]
    assert "2 jobs retried" in run("retry_failed", "--limit", 2)
    assert [status_of(job) for job in jobs] == ["pending", "pending", "failed"]


def test_a_dry_run_names_the_jobs_and_changes_nothing(run, collection):
    job = make_job(collection, FileStatus.FAILED, original_filename="[odd] name.txt")
    said = run("retry_failed", "--dry-run")
    assert "1 job would be retried" in said
    assert "[odd] name.txt" in said
    assert "corrupt" in said
    assert status_of(job) == "failed"


def test_machines_get_json(run, collection):
    job = make_job(collection, FileStatus.FAILED)
    expected = {"job_id": job.pk, "done": True, "status": "pending", "detail": None}
    assert json.loads(run("retry_failed", "--json")) == {"dry_run": False, "done": 1, "refused": 0, "items": [expected]}


@pytest.mark.parametrize("arguments", [["--collection", "x"], ["--group", "\0"], ["--param", "broken"]])
def test_wrong_filters_are_refused(run, arguments):
    with pytest.raises(CommandError) as error:
        run("retry_failed", *arguments)
    assert error.value.returncode == 2


# -- cancel_jobs ------------------------------------------------------------------------------------


def test_live_jobs_are_cancelled_when_told_so(run, collection):
    waiting, running = make_job(collection), make_job(collection, FileStatus.PROCESSING)
    assert "1 job cancelled" in run("cancel_jobs", "--status", "pending", "--yes")
    assert (status_of(waiting), status_of(running)) == ("cancelled", "processing")
    assert "1 job cancelled" in run("cancel_jobs", "--all", "--yes")


def test_nothing_is_cancelled_without_a_choice_or_a_yes(run, collection):
    job = make_job(collection)
    for arguments in (["--yes"], ["--all"], ["--all", "--json"]):
        with pytest.raises(CommandError):
            run("cancel_jobs", *arguments)
    assert status_of(job) == "pending"
    assert "1 job would be cancelled" in run("cancel_jobs", "--all", "--dry-run")
    assert status_of(job) == "pending"


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize(("answer", "status"), [("y\n", "cancelled"), ("\n", "pending"), ("no\n", "pending")])
def test_on_a_terminal_it_is_asked_first(run, collection, monkeypatch, answer, status):
    job = make_job(collection)
    monkeypatch.setattr("sys.stdin", Terminal(answer))
    if status == "cancelled":
        run("cancel_jobs", "--all")
    else:
        with pytest.raises(CommandError, match="Nothing was done"):
            run("cancel_jobs", "--all")
    assert status_of(job) == status


# -- jobs -------------------------------------------------------------------------------------------


def test_jobs_are_listed_with_the_reason_of_those_that_failed_or_wait(run, collection):
    make_job(collection, FileStatus.FAILED, original_filename="broken.pdf")
    make_job(collection)
    said = run("jobs")
    for word in ("broken.pdf", "failed", "The file is damaged.", "corrupt", "pending", "No worker is running"):
        assert word in said, word
    assert "broken.pdf" not in run("jobs", "--status", "pending")
    assert [job["status"] for job in json.loads(run("jobs", "--json", "--sort=id"))] == ["failed", "pending"]
    assert "No job meets this" in run("jobs", "--owner", "nobody")


def test_a_job_is_shown_with_its_diary(run, collection):
    job = make_job(collection, FileStatus.FAILED)
    said = run("jobs", job.pk)
    for word in ("report.txt", "The file is damaged.", "Upload it again.", "claimed", "notes"):
        assert word in said, word
    assert json.loads(run("jobs", job.pk, "--json"))["events"][-1]["kind"] == "failed"
    with pytest.raises(CommandError, match="no job 999"):
        run("jobs", 999)


def test_failures_are_listed_in_groups_with_what_helps(run, collection):
    assert "Nothing has failed" in run("jobs", "--failures")
    make_job(collection, FileStatus.FAILED)
    said = run("jobs", "--failures")
    assert "The file is damaged." in said
    assert "uploaded again" in said
    assert "corrupt:" in said


def test_secrets_are_in_no_listing(run, collection):
    params = {"api_key": "sk-planted", "url": "https://u:planted@a.org"}
    job = make_job(collection, FileStatus.FAILED, plugin_params=params)
    for arguments in (["jobs", job.pk], ["jobs", job.pk, "--json"], ["jobs", "--json"], ["retry_failed", "--dry-run"]):
        assert "planted" not in run(*arguments)


# -- watch ------------------------------------------------------------------------------------------


def test_jobs_that_have_ended_are_told_at_once(run, collection):
    done = make_job(collection, FileStatus.COMPLETED)
    assert "completed" in run("watch", done.pk)
    assert "No job waits or runs" in run("watch")
    failed = make_job(collection, FileStatus.FAILED)
    with pytest.raises(SystemExit) as end:
        run("watch", done.pk, failed.pk)
    assert end.value.code == 1


def test_an_imported_job_that_does_not_say_when_it_began_is_told_too(run, collection):
    job = make_job(collection, FileStatus.COMPLETED)
    FileRegistry.objects.update(processing_started_at=None)
    assert "3 chunks" in run("watch", job.pk)


# -- Names from anybody -----------------------------------------------------------------------------


HOSTILE = "a\x1b[2J\x1b]0;title\x07\x9b2J\u202egnp [/bold] [red]"


def test_a_terminal_obeys_no_name_and_no_message(run, collection):
    home = make_collection(HOSTILE, owner=HOSTILE)
    job = make_job(home, original_filename=HOSTILE, plugin_name="p[/dim]", progress_message=HOSTILE)
    assert job.claim(None)
    assert job.fail(job.run_id, "code[/dim]", HOSTILE, {"hint": HOSTILE})
    for arguments in (["jobs"], ["jobs", job.pk], ["jobs", "--failures"], ["retry_failed", "--dry-run"]):
        said = run(*arguments)
        assert "gnp [/bold] [red]" in said.replace("\n", ""), arguments
        assert not set("\x1b\x07\x9b\u202e") & set(said), arguments
    with pytest.raises(SystemExit):
        run("watch", job.pk)


# -- Wrong words ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "arguments",
    [
        ["retry_failed", "--limit", "-1"],
        ["cancel_jobs", "--all", "--yes", "--limit", "0"],
        ["retry_failed", "--since", "999999w"],
        ["retry_failed", "--since", "0001-01-01T00:00:00+14:00"],
        ["retry_failed", "--text", "x" * 60_000],
        ["retry_failed", "--owner", "\udcff"],
        ["watch", "9" * 30],
        ["jobs", "--limit", "x"],
        ["retry_failed", "--watch", "--json"],
        # A script's unset variable must not mean the jobs of everybody.
        ["retry_failed", "--owner", ""],
        ["cancel_jobs", "--owner", "", "--yes"],
        ["cancel_jobs", "--collection", " ", "--yes"],
        ["prune", "--older-than", "0s", "--status", "completed", "--collection", "", "--yes"],
        ["prune", "--older-than", "2999-01-01", "--yes"],
    ],
)
def test_what_cannot_be_meant_is_refused_in_a_sentence(run, collection, arguments):
    jobs = [make_job(collection, status) for status in (FileStatus.FAILED, FileStatus.PENDING, FileStatus.COMPLETED)]
    assert refused(run, *arguments)
    assert [status_of(job) for job in jobs] == [job.status for job in jobs]


def test_a_data_directory_without_a_database_is_named(tmp_path):
    told = manage("jobs", KB_DATA_DIR=tmp_path)
    assert told.returncode == 1
    assert "Traceback" not in told.stderr
    assert f"is not applied. Restart the server with `manage.py up`. The data directory is {tmp_path}" in told.stderr


def test_a_damaged_database_is_a_sentence_too(tmp_path):
    (tmp_path / "kb.sqlite3").write_bytes(b"garbage" * 1000)
    told = manage("retry_failed", KB_DATA_DIR=tmp_path)
    assert (told.returncode, "Traceback" in told.stderr) == (1, False)
    assert "The database is damaged, or what lies in its place is none." in told.stderr
    examined = manage("doctor", "--only", "database", KB_DATA_DIR=tmp_path)
    assert examined.returncode == 2
    assert "restore a backup" in examined.stdout


def test_a_wrong_setting_is_named_and_critical_for_monitoring(tmp_path):
    told = manage("doctor", KB_DATA_DIR=tmp_path, PORT="abc")
    assert (told.returncode, told.stderr) == (2, "PORT must be a number, not 'abc'.\n")


def manage(*arguments, **settings):
    """The command as people run it, in a process of its own."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("KB_", "DJANGO_"))}
    return subprocess.run(
        [sys.executable, "manage.py", *arguments],
        cwd=ROOT,
        env={**environment, **{name: str(value) for name, value in settings.items()}},
        capture_output=True,
        text=True,
        check=False,
    )


# -- Many hands -------------------------------------------------------------------------------------


def test_a_job_that_was_retried_meanwhile_is_not_deleted_with_the_failed_ones(collection):
    first, second = (make_job(collection, FileStatus.FAILED) for _ in range(2))
    begun = []

    def retry_the_second(execute, sql, params, many, context):
        if sql.startswith("SAVEPOINT") and not begun:  # both are chosen, and nothing is done to them yet
            begun.append(sql)
            services.retry(second)
        return execute(sql, params, many, context)

    with connection.execute_wrapper(retry_the_second):
        outcomes = list(bulk.delete(FileRegistry.objects.failed(), by="prune"))
    assert begun
    assert [(outcome.job_id, outcome.done) for outcome in outcomes] == [(first.pk, True), (second.pk, False)]
    assert "it is pending now" in outcomes[1].detail
    assert status_of(second) == "pending"


def test_jobs_that_come_while_many_are_cancelled_are_left_alone(collection):
    """Otherwise it would never end where uploads come faster."""
    job = make_job(collection)
    steps = bulk.cancel(FileRegistry.objects.live())
    assert next(steps).job_id == job.pk
    later = make_job(collection)
    assert list(steps) == []
    assert status_of(later) == "pending"


# -- prune ------------------------------------------------------------------------------------------


def age(job, days):
    FileRegistry.objects.filter(pk=job.pk).update(updated_at=timezone.now() - timedelta(days=days))


def test_ended_jobs_of_some_age_are_removed_and_completed_ones_only_when_named(run, collection):
    jobs = {status: make_job(collection, status) for status in FileStatus.values}
    young = make_job(collection, FileStatus.FAILED)
    for job in jobs.values():
        age(job, 100)
    assert "Would remove 3 jobs" in run("prune", "--older-than", "90d", "--dry-run")
    assert "Removed 3 jobs" in run("prune", "--older-than", "90d", "--yes")
    left = set(FileRegistry.objects.values_list("pk", flat=True))
    assert left == {jobs["pending"].pk, jobs["processing"].pk, jobs["completed"].pk, young.pk}
    assert "Removed 1 job" in run("prune", "--older-than", "90d", "--status", "completed", "--yes")


def test_what_goes_on_is_never_pruned(run):
    with pytest.raises(CommandError, match="go on"):
        run("prune", "--older-than", "1d", "--status", "processing", "--yes")


def test_diaries_are_removed_when_their_jobs_are_gone_and_their_last_entry_is_old(run, collection):
    kept, gone, fresh = (make_job(collection, FileStatus.FAILED) for _ in range(3))
    FileRegistry.objects.filter(pk__in=[gone.pk, fresh.pk]).delete()
    JobEvent.objects.exclude(job_id=fresh.pk).update(at=timezone.now() - timedelta(days=100))
    run("prune", "--older-than", "90d", "--only", "diary", "--yes")
    assert set(JobEvent.objects.values_list("job_id", flat=True)) == {kept.pk, fresh.pk}


def test_folders_without_a_job_are_removed_once_they_are_old(run, collection, own_folders):
    keys = {"stray": "a" * 32, "young": "b" * 32, "owned": "c" * 32}
    for key in keys.values():
        storage.folder(key).mkdir(parents=True)
        (storage.folder(key) / f"{key}.txt").write_text("12345")
    make_job(collection, FileStatus.COMPLETED, storage_key=keys["owned"])
    for name in ("stray", "owned"):
        os.utime(storage.folder(keys[name]), (0, 0))
    found = json.loads(run("prune", "--older-than", "90d", "--only", "files", "--dry-run", "--json"))
    assert (found["folders"], found["folder_bytes"]) == (1, 5)
    run("prune", "--older-than", "90d", "--yes")
    assert [storage.folder(key).exists() for key in keys.values()] == [False, True, True]


def test_a_folder_that_found_an_owner_meanwhile_stays(collection, own_folders):
    """An import that was killed goes on with the folder that it had begun."""
    key = "a" * 32
    storage.folder(key).mkdir(parents=True)
    os.utime(storage.folder(key), (0, 0))
    found = list(prune.strays())
    assert [stray.key for stray in found] == [key]
    make_job(collection, FileStatus.COMPLETED, storage_key=key)
    assert prune.delete_strays(found) == []
    assert storage.folder(key).exists()


def test_pruning_one_collection_touches_nothing_of_others(run, collection):
    job, gone = make_job(collection, FileStatus.FAILED), make_job(make_collection("x"), FileStatus.FAILED)
    FileRegistry.objects.filter(pk=gone.pk).delete()
    JobEvent.objects.update(at=timezone.now() - timedelta(days=100))
    age(job, 100)
    assert "Removed 1 job, 0 diary events" in run(
        "prune", "--older-than", "90d", "--collection", collection.pk, "--yes"
    )
    assert JobEvent.objects.filter(job_id=gone.pk).exists()


def test_nothing_is_removed_without_a_yes(run, collection):
    job = make_job(collection, FileStatus.FAILED)
    age(job, 100)
    with pytest.raises(CommandError, match="--yes"):
        run("prune", "--older-than", "90d")
    assert status_of(job) == "failed"


# -- Ages -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("30m", timedelta(minutes=30)),
        ("2H", timedelta(hours=2)),
        ("7d", timedelta(days=7)),
        ("1 w", timedelta(weeks=1)),
    ],
)
def test_an_age_is_a_moment_so_long_ago(text, expected):
    assert abs(datetime.now(UTC) - moment(text) - expected) < timedelta(seconds=5)


@pytest.mark.parametrize("text", ["2026-01-31", "2026-01-31T00:00:00", "2026-01-31T01:00:00+01:00"])
def test_a_moment_is_in_utc_unless_it_says_otherwise(text):
    assert moment(text) == datetime(2026, 1, 31, tzinfo=UTC)


@pytest.mark.parametrize("text", ["", "soon", "7", "7x", "2026-13-01", "2026-02-30", "9999999d"])
def test_other_ages_are_refused(text):
    with pytest.raises(Exception, match="neither an age"):
        moment(text)
