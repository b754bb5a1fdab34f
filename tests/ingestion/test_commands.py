"""The commands, as an operator calls them: output, exit code, and what they leave in the database."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command

from ingestion.models import FileRegistry

ROOT = Path(settings.BASE_DIR)


@pytest.fixture(scope="module")
def migrated(tmp_path_factory):
    folder = tmp_path_factory.mktemp("migrated")
    manage(folder, "migrate", "-v0")
    return folder


@pytest.fixture(scope="module")
def data(migrated, tmp_path_factory):
    return shutil.copytree(migrated, tmp_path_factory.mktemp("commands") / "data")


def manage(folder, *arguments):
    environment = {
        **os.environ,
        "KB_DATA_DIR": str(folder),
        "COLUMNS": "200",
        "DJANGO_SETTINGS_MODULE": "kbproject.settings",
    }
    return subprocess.run(
        [sys.executable, "manage.py", *arguments],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=100,
    )


def write(folder, **files):
    folder.mkdir(exist_ok=True)
    for name, text in files.items():
        (folder / f"{name}.txt").write_text(text)
    return folder


pytestmark = pytest.mark.slow


def test_a_folder_is_ingested_without_a_running_server(data, tmp_path):
    source = write(tmp_path / "in", one="The first text.", two="The second text.", three="The third text.")
    (source / ".hidden").write_text("not this one")
    run = manage(data, "ingest", str(source), "--collection", "Try", "--param", "chunk_size=500")
    assert run.returncode == 0, run.stderr
    assert "3 submitted to Try" in run.stdout
    assert run.stdout.count("completed") == 3
    assert "1 chunk," in run.stdout


def test_sources_that_the_collection_has_are_skipped_on_demand(data, tmp_path):
    source = write(tmp_path / "in", one="The only text.")
    arguments = ["ingest", str(source), "--collection", "Again", "--on-duplicate", "skip"]
    assert "1 submitted" in manage(data, *arguments).stdout
    again = manage(data, *arguments)
    assert again.returncode == 0
    assert "0 submitted to Again" in again.stdout
    assert "1 skipped" in again.stdout


def test_a_file_that_fails_makes_exit_code_1_and_says_why(data, tmp_path):
    source = write(tmp_path / "in", empty="")
    run = manage(data, "ingest", str(source / "empty.txt"), "--collection", "Try")
    assert run.returncode == 1
    assert "failed" in run.stdout
    assert "(no_text)" in run.stdout


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["missing.txt", "--collection", "Try"], "no file or folder"),
        (["README.md", "--collection", "999"], "no collection 999"),
        (["README.md", "--collection", "Try", "--plugin", "nonsense"], "nonsense"),
        (["README.md", "--collection", "Try", "--param", "chunk_size"], "KEY=VALUE"),
        (["README.md", "--collection", "Try", "--param", "chunk_size=many"], "chunk_size"),
        (["README.md", "--collection", "Try", "--param", "colour=red"], "colour"),
        (["http://[::1", "--collection", "Try"], "web address"),
        (["https://", "--collection", "Try"], "web address"),
        ([f"https://example.org/{'a' * 2000}", "--collection", "Try"], "longer than 2000"),
        (["https://example.org/", "--collection", "Try", "--plugin", "simple_ingest"], "takes no addresses"),
        (["https://example.org/", "--collection", "Try", "--param", "url=https://example.net/"], "not both"),
    ],
)
@pytest.mark.django_db
def test_wrong_usage_is_refused_with_exit_code_2_and_submits_nothing(own_folders, monkeypatch, arguments, says):
    monkeypatch.chdir(ROOT)
    with pytest.raises(CommandError) as refused:
        call_command("ingest", *arguments)
    assert refused.value.returncode == 2
    assert says in str(refused.value)
    assert not FileRegistry.objects.exists()


def test_the_exit_code_of_a_refusal_is_that_of_the_process(data):
    run = manage(data, "ingest", "missing.txt", "--collection", "Try")
    assert run.returncode == 2
    assert "no file or folder" in run.stderr
    assert "submitted" not in run.stdout


def test_failed_jobs_are_retried_and_a_dry_run_changes_nothing(migrated, tmp_path):
    data = shutil.copytree(migrated, tmp_path / "data")
    source = write(tmp_path / "in", empty="", blank="   ")
    manage(data, "ingest", str(source), "--collection", "Try")
    dry = manage(data, "retry_failed", "--dry-run")
    assert dry.returncode == 0
    assert "2 jobs would be retried" in dry.stdout
    assert "no_text" in dry.stdout
    assert "0 jobs retried" in manage(data, "retry_failed", "--collection", "99").stdout
    assert "2 jobs retried" in manage(data, "retry_failed", "--collection", "1").stdout
    assert "0 jobs retried" in manage(data, "retry_failed").stdout


def test_two_starts_at_once_migrate_once_and_both_go_on(tmp_path):
    code = "import django; django.setup(); from ingestion import boot; print(boot.migrate())"
    environment = {**os.environ, "KB_DATA_DIR": str(tmp_path / "data"), "DJANGO_SETTINGS_MODULE": "kbproject.settings"}
    starts = [
        subprocess.Popen(
            [sys.executable, "-c", code],
            cwd=ROOT,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(3)
    ]
    answers = [start.communicate(timeout=100) for start in starts]
    assert [start.returncode for start in starts] == [0, 0, 0], answers
    assert sorted(out.strip() for out, _ in answers) == ["False", "False", "True"]
