"""Hosts and what plugins do to them: real processes, killed, crashed, starved and filled with noise."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from plugins import host_client
from plugins.base import PluginError
from plugins.host_client import Done, HostDied, Progress, Stats, Warned
from plugins.spool import read_spool, spool_summary
from tests.support.until import until


def outcome(host, request):
    """All reports of a run, without the ticks."""
    return [report for report in host.run(request) if report is not None]


def failure(host, request):
    with pytest.raises(PluginError) as caught:
        outcome(host, request)
    return caught.value


def gone(pid):
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def open_handles():
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


# -- Runs -------------------------------------------------------------------------------------------


def test_a_run_yields_progress_and_ends_with_done(start_host, request_for, tmp_path):
    host = start_host()
    reports = outcome(host, request_for("words"))
    assert reports[-1] == Done(chunks=5, characters=19, stats={})
    assert Progress(0, 100, "word 0", "stage") in reports
    chunks = list(read_spool(tmp_path / "spool.jsonl", "key"))
    assert [chunk["text"] for chunk in chunks] == ["one", "two", "three", "four", "five"]
    assert chunks[4]["metadata"] == {"chunk_index": 4, "chunk_count": 5}
    assert host.alive


def test_a_host_is_used_again_and_has_aged_after_its_runs(start_host, request_for):
    host = start_host(max_runs=3)
    for run in "123":
        assert not host.aged
        assert outcome(host, request_for("words", run=run))[0] == Progress(0, 100, "word 0", "stage")
    assert host.aged
    assert not host.needs_replacement  # it may work until another one is ready


def test_warming_up_loads_the_modules_and_survives_a_bad_one(start_host, modules, request_for):
    modules(broken="raise SystemExit('no')")
    host = start_host(modules=("broken", "bad"), warm_up=True)
    until(lambda: host.warm)
    assert outcome(host, request_for("words"))[-1].chunks == 5


def test_a_host_that_babbles_while_it_warms_up_is_never_warm(start_host, modules):
    modules(babbler="import os, sys\nos.write(int(sys.argv[sys.argv.index('--report') + 1]), b'what?\\n')")
    host = start_host(modules=("babbler",), warm_up=True)
    until(lambda: not host.warm and not host.alive)


def test_plugins_of_lamb_work_as_they_are(start_host, request_for, tmp_path):
    request = request_for(
        "lamb_ingest",
        params={"chunk_size": 8},
        context={"file_url": "/u", "collection_owner": "7", "openai_api_key": "sk"},
    )
    assert outcome(start_host(), request)[-1].chunks == 3
    first = next(read_spool(tmp_path / "spool.jsonl", "key"))
    assert first == {
        "text": "one two ",
        "metadata": {"file_url": "/u", "key": "sk", "chunk_count": 9, "chunk_index": 0},
    }


def test_nonsense_from_a_plugin_is_made_storable(start_host, request_for, tmp_path):
    reports = outcome(start_host(), request_for("strange"))
    progress = [report for report in reports if isinstance(report, Progress)]
    assert all(len(report.message) <= 255 and "\0" not in report.message for report in progress)
    assert (2, 10) in [(report.current, report.total) for report in progress] or progress[-1].total == 0
    stats = [report.stats for report in reports if isinstance(report, Stats)]
    assert stats[0] == {"path": "/x", "nan": "nan", "5": [1]}
    assert Warned("careful", {"why": 1}) in reports
    first, second = read_spool(tmp_path / "spool.jsonl", "key")
    assert first["text"] == "nul lone\ufffd text"
    assert first["metadata"] == {
        "path": '"/x"',
        "nan": "nan",
        "deep": '{"a": [1]}',
        "tags": ["a", 1, None],
        "big": str(10**30),
        "none": None,
        "ok": True,
        "chunk_index": 0,
        "chunk_count": 2,
    }
    assert second["text"] == "no metadata"


def test_progress_is_throttled_and_its_latest_value_comes_while_the_plugin_goes_on(start_host, request_for):
    host = start_host()
    seen = []
    for report in host.run(request_for("fast_progress", params={"pause": 0.6})):
        if isinstance(report, Progress):
            seen.append((time.monotonic(), report.current))
        if isinstance(report, Done):
            done = time.monotonic()
    assert len(seen) < 100
    assert seen[-1][1] == 20_000
    assert done - seen[-1][0] > 0.3


def test_ticks_come_while_nothing_happens(start_host, request_for):
    host = start_host()
    run = host.run(request_for("hangs"), tick=0.05)
    ticks = 0
    while ticks < 5:
        ticks += next(run) is None
    run.close()
    assert not host.alive


def test_what_plugins_print_disturbs_nothing(start_host, request_for):
    lines = []
    host = start_host(on_line=lines.append)
    assert outcome(host, request_for("prints"))[-1].chunks == 1
    assert "more" in host.output
    assert len(host.output) <= 64 * 1024
    host.kill()
    assert any("more" in line for line in lines)
    assert all("\n" not in line and len(line) <= 8 * 1024 for line in lines)


def test_plugins_see_no_secrets_and_have_a_folder_of_their_own(start_host, request_for, tmp_path, monkeypatch):
    for name in ("DATABASE_URL", "LAMB_API_KEY", "KB_SECRET_KEY", "EMBEDDINGS_APIKEY", "MAIL_PASSWORD"):
        monkeypatch.setenv(name, "hidden")
    monkeypatch.setenv("FIRECRAWL_API_URL", "http://crawler")
    host = start_host()
    outcome(host, request_for("tells_environment", context={"openai_api_key": "sk", "file_url": "u"}))
    facts = next(read_spool(tmp_path / "spool.jsonl", "key"))["metadata"]
    assert not [name for name in facts["names"] if name.startswith(("KB_", "EMBEDDINGS_", "LAMB_", "DATABASE", "MAIL"))]
    assert "FIRECRAWL_API_URL" in facts["names"]
    assert facts["tmp"].startswith(str(tmp_path / "work"))
    assert facts["key"] is None
    assert facts["session"]
    assert facts["nice"] >= 5
    host.kill()
    assert list((tmp_path / "work").iterdir()) == []


# -- Failures that are explained --------------------------------------------------------------------


def test_a_plugins_own_error_comes_whole(start_host, request_for, tmp_path):
    host = start_host()
    error = failure(host, request_for("explains"))
    assert (error.code, error.message, error.hint, error.transient) == (
        "encrypted",
        "It is locked.",
        "Unlock it.",
        True,
    )
    assert error.context["page"] == 3
    assert error.context["exception_type"] == "PluginError"
    assert not isinstance(error, HostDied)
    assert host.alive
    assert spool_summary(tmp_path / "spool.jsonl", "key") is None
    assert not list(tmp_path.glob("spool*"))


def test_other_exceptions_are_described_without_server_paths(start_host, request_for, tmp_path):
    error = failure(start_host(), request_for("fails"))
    assert error.code == "plugin_error"
    assert error.context["exception_type"] == "ValueError"
    assert "cannot read …/source.txt" in error.message
    assert len(error.context["traceback"]) <= 2000
    assert "ValueError" in error.context["traceback"]
    assert str(tmp_path) not in error.context["traceback"] + error.message
    assert sys.prefix not in error.context["traceback"]


@pytest.mark.parametrize(
    ("plugin", "code", "kind"),
    [
        ("sys_exits", "plugin_error", "SystemExit"),
        ("recurses", "plugin_error", "RecursionError"),
        ("empty", "no_text", "PluginError"),
        ("nothing", "no_text", "PluginError"),
        ("no_chunk", "plugin_error", "PluginError"),
        ("full_disk", "no_space", "OSError"),
        ("missing", "unknown_plugin", "PluginError"),
    ],
)
def test_each_failure_has_its_code_and_leaves_the_host_usable(start_host, request_for, plugin, code, kind):
    host = start_host()
    error = failure(host, request_for(plugin))
    assert (error.code, error.context["exception_type"]) == (code, kind)
    assert error.transient == (code == "no_space")
    assert outcome(host, request_for("words", run="2"))[-1].chunks == 5


def test_a_memory_hog_is_stopped_and_its_host_replaced(start_host, request_for):
    host = start_host(memory_mb=600)
    error = failure(host, request_for("hogs"))
    assert error.code == "out_of_memory"
    assert host.needs_replacement


def test_a_host_that_keeps_memory_wants_to_be_replaced(start_host, request_for):
    host = start_host(max_rss_mb=250)
    outcome(host, request_for("words"))
    assert not host.needs_replacement
    outcome(host, request_for("leaks", run="2"))
    assert host.needs_replacement


def test_a_spool_that_grows_too_large_is_refused(start_host, request_for, tmp_path):
    (tmp_path / "source.txt").write_text("word " * 200_000)
    error = failure(start_host(), request_for("words", limits={"spool_mb": 1}))
    assert error.code == "too_large"


# -- Hosts that die ---------------------------------------------------------------------------------


def test_a_segfault_is_named_and_shows_what_was_printed_last(start_host, request_for, tmp_path):
    host = start_host()
    error = failure(host, request_for("segfaults"))
    assert isinstance(error, HostDied)
    assert error.code == "plugin_crashed"
    assert "SIGSEGV" in error.message
    assert not error.transient
    assert "last words" in error.context["output"]
    assert "Segmentation fault" in error.context["output"]
    assert not host.alive
    assert host.needs_replacement


def test_a_plugin_that_ends_the_process_is_a_crash(start_host, request_for):
    error = failure(start_host(), request_for("exits"))
    assert (error.code, error.context["exit_code"]) == ("plugin_crashed", 7)


@pytest.mark.parametrize("oom_kills", [0, 7])
def test_a_kill_from_outside_is_worth_a_retry(start_host, request_for, monkeypatch, oom_kills):
    """However often memory ran out somewhere on the machine before the run: a host may have waited for days."""
    host = start_host()
    monkeypatch.setattr(host_client, "_oom_kills", lambda: oom_kills)  # what the counter of a real kernel may say
    run = host.run(request_for("hangs"))
    next(report for report in run if isinstance(report, Stats))
    os.kill(host.pid, signal.SIGKILL)
    with pytest.raises(HostDied) as caught:
        list(run)
    assert caught.value.code == "plugin_crashed"
    assert "SIGKILL" in caught.value.message
    assert caught.value.transient


@pytest.mark.slow
def test_a_busy_loop_meets_its_cpu_limit_and_each_run_gets_its_own(start_host, request_for):
    host = start_host()
    outcome(host, request_for("words", limits={"cpu_seconds": 1}))
    error = failure(host, request_for("burns", run="2", limits={"cpu_seconds": 1}))
    assert error.code == "cpu_limit"


@pytest.mark.parametrize("plugin", ["garbles", "endless_line"])
def test_a_report_that_makes_no_sense_ends_the_host(start_host, request_for, plugin):
    host = start_host()
    error = failure(host, request_for(plugin))
    assert isinstance(error, HostDied)
    assert error.code == "plugin_crashed"
    assert not host.alive


# -- Killing ----------------------------------------------------------------------------------------


def test_a_plugin_that_hangs_is_killed_with_its_grandchildren(start_host, request_for):
    host = start_host()
    run = host.run(request_for("hangs"))
    stats = next(report for report in run if isinstance(report, Stats))
    pids = [host.pid, *stats.stats["pids"]]
    assert not any(gone(pid) for pid in pids)
    started = time.monotonic()
    host.kill()
    assert time.monotonic() - started < 2
    until(lambda: all(gone(pid) for pid in pids))


def test_a_stuck_c_loop_is_killed_at_once(start_host, request_for):
    host = start_host()
    run = host.run(request_for("hangs_in_c"))
    next(report for report in run if isinstance(report, Progress))
    started = time.monotonic()
    run.close()
    assert time.monotonic() - started < 2
    assert not host.alive


def test_killing_twice_or_the_dead_does_no_harm_and_frees_every_handle(start_host, request_for):
    start_host().kill()
    before = open_handles()
    for plugin in ("words", "exits", "explains"):
        host = start_host()
        with contextlib.suppress(PluginError):
            outcome(host, request_for(plugin))
        host.kill()
        host.kill()
        assert not host.alive
        with pytest.raises(HostDied):
            next(host.events())
    assert open_handles() == before


PARENT = """
import sys, threading
from plugins.host_client import HostProcess, HostSettings, RunRequest, Stats
host = HostProcess.start(HostSettings(modules=("bad",), env={"PYTHONPATH": sys.argv[1]}, warm_up=False))
if sys.argv[2] == "busy":
    run = host.run(RunRequest("1", "hangs", sys.argv[3], {}, sys.argv[4], "key"))
    report = next(report for report in run if isinstance(report, Stats))
else:
    report = next(event for event in host.events() if event)
print(host.pid, flush=True)
threading.Event().wait()
"""


@pytest.mark.parametrize("state", ["idle", "busy"])
def test_a_host_does_not_outlive_its_parent(modules, tmp_path, state):
    source = tmp_path / "source.txt"
    source.write_text("text")
    arguments = [sys.executable, "-c", PARENT, modules()["PYTHONPATH"], state, str(source), str(tmp_path / "spool")]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) as parent:
        pid = int(parent.stdout.readline())
        assert not gone(pid)
        parent.kill()
    until(lambda: gone(pid))


def test_a_host_notices_its_closed_stdin_in_the_middle_of_a_run(start_host, request_for):
    host = start_host()
    run = host.run(request_for("hangs"))
    stats = next(report for report in run if isinstance(report, Stats))
    host._process.stdin.close()  # what is left where the kernel does not tell children of a dead parent
    until(lambda: not host.alive)
    until(lambda: gone(stats.stats["pids"][0]))


def test_commands_that_are_no_json_are_ignored(start_host, request_for):
    host = start_host()
    host._process.stdin.write(b"what?\n[]\n" + json.dumps({"command": "dance"}).encode() + b"\n")
    assert outcome(host, request_for("words"))[-1].chunks == 5
