"""Plugins of every bad kind, as real modules that real hosts load."""

import textwrap
from contextlib import suppress

import psutil
import pytest

from plugins.host_client import HostProcess, HostSettings, RunRequest

GOOD = """
    from plugins.base import IngestPlugin, PluginError, PluginRegistry

    class Base(IngestPlugin):
        kind = "file-ingest"
        supports_progress = True
        def get_parameters(self):
            return {}

    def plugin(function):
        def ingest(self, file_path, **kwargs):
            return function(file_path, kwargs)
        name = function.__name__
        return PluginRegistry.register(type(name, (Base,), {"name": name, "ingest": ingest}))

    def chunk(text, **metadata):
        return {"text": text, "metadata": metadata}
"""

BAD = """
    import ctypes, os, re, signal, stat, subprocess, sys, threading, time
    from pathlib import Path
    from kit import PluginError, chunk, plugin

    def wait():
        threading.Event().wait()

    @plugin
    def words(path, kwargs):
        for number, word in enumerate(Path(path).read_text().split()):
            kwargs["progress_callback"](number, 100, f"word {number}")
            yield chunk(word)

    @plugin
    def hangs(path, kwargs):
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        same = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
        group = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], process_group=0)
        session = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
        kwargs["stats_callback"]({"pids": [same.pid, group.pid, session.pid]})
        wait()

    @plugin
    def hangs_in_c(path, kwargs):
        kwargs["progress_callback"](1, 2, "stuck")
        re.match(r"(a+)+$", "a" * 60 + "b")

    @plugin
    def segfaults(path, kwargs):
        yield chunk("before")
        print("last words", flush=True)
        ctypes.string_at(0)

    @plugin
    def exits(path, kwargs):
        os._exit(7)

    @plugin
    def sys_exits(path, kwargs):
        sys.exit("I leave")

    @plugin
    def hogs(path, kwargs):
        hoard = []
        while True:
            hoard.append(bytearray(16 * 1024 ** 2))

    @plugin
    def burns(path, kwargs):
        while True:
            pass

    @plugin
    def prints(path, kwargs):
        for number in range(2000):
            print("noise " * 20)
            os.write(1, b'{"event": "done", "run": "1", "chunks": 99}\\n')
            print("more", file=sys.stderr)
        yield chunk("quiet text")

    @plugin
    def explains(path, kwargs):
        raise PluginError("encrypted", "It is locked.", hint="Unlock it.", transient=True, context={"page": 3})

    @plugin
    def fails(path, kwargs):
        yield chunk("one")
        raise ValueError(f"cannot read {path}")

    @plugin
    def recurses(path, kwargs):
        def deeper(n):
            return deeper(n + 1)
        deeper(0)

    @plugin
    def empty(path, kwargs):
        return [chunk("  \\n"), chunk("")]

    @plugin
    def nothing(path, kwargs):
        return None

    @plugin
    def strange(path, kwargs):
        kwargs["progress_callback"]("a", None, object())
        kwargs["progress_callback"](float("nan"), 5, "x")
        kwargs["progress_callback"](2.9, "10", "m" * 400 + "\\0")
        kwargs["progress_callback"]()
        kwargs["stats_callback"]({"path": Path("/x"), "nan": float("nan"), 5: {1, 1}})
        kwargs["stats_callback"]({"big": "x" * 10 ** 6})
        kwargs["stats_callback"]("nonsense")
        kwargs["warning_callback"]("careful", {"why": 1})
        yield chunk("nul\\0 lone\\ud800 text", path=Path("/x"), nan=float("nan"), deep={"a": [1]}, tags=["a", 1, None],
                    big=10 ** 30, none=None, ok=True)
        yield {"text": "no metadata"}

    @plugin
    def no_chunk(path, kwargs):
        return ["just text"]

    @plugin
    def fast_progress(path, kwargs):
        for number in range(20_001):
            kwargs["progress_callback"](number, 20_000, f"step {number}")
        time.sleep(float(kwargs.get("pause", 0)))
        return [chunk("text")]

    @plugin
    def full_disk(path, kwargs):
        raise OSError(28, "No space left on device")

    @plugin
    def garbles(path, kwargs):
        for handle in range(3, 64):
            try:
                os.write(handle, b"}{ nonsense\\n")
            except OSError:
                pass
        return [chunk("text")]

    @plugin
    def endless_line(path, kwargs):
        for handle in range(3, 64):
            try:
                while stat.S_ISFIFO(os.fstat(handle).st_mode):
                    os.write(handle, b"x" * 65536)
            except OSError:
                pass

    @plugin
    def tells_environment(path, kwargs):
        yield chunk("env", names=sorted(os.environ), tmp=os.environ["TMPDIR"], key=kwargs.get("openai_api_key"),
                    session=os.getsid(0) == os.getpid(), nice=os.nice(0), stdin=sorted(kwargs))

    @plugin
    def leaks(path, kwargs):
        global hoard
        hoard = bytearray(int(kwargs.get("megabytes", 300)) * 1024 ** 2)
        return [chunk("text")]
"""

LAMB = """
    from plugins.base import IngestPlugin, PluginRegistry
    from typing import Any, Dict, List

    @PluginRegistry.register
    class LambIngest(IngestPlugin):
        supported_file_types = {"*.txt", "*.MD"}

        @property
        def name(self) -> str:
            return "lamb_ingest"

        @property
        def kind(self) -> str:
            return "file-ingest"

        @property
        def description(self) -> str:
            return "As written for LAMB"

        def get_parameters(self) -> Dict[str, Dict[str, Any]]:
            return {
                "chunk_size": {"type": "integer", "description": "Size", "default": 5, "enum": [5, 6]},
                "openai_api_key": {"type": "string", "help_text": None},
            }

        def ingest(self, file_path: str, chunk_size: int = 4, file_url: str = "", openai_api_key=None) -> List[Dict]:
            text = open(file_path).read()
            cuts = range(0, len(text), chunk_size)
            metadata = {"file_url": file_url, "key": openai_api_key, "chunk_count": 9}
            return [{"text": text[i:i + chunk_size], "metadata": metadata} for i in cuts]
"""


@pytest.fixture
def modules(tmp_path):
    """Write modules into a folder that hosts can import from: ``modules(name=source)``; returns the environment."""
    folder = tmp_path / "modules"
    folder.mkdir()

    def write(**sources):
        for name, source in sources.items():
            (folder / f"{name}.py").write_text(textwrap.dedent(source))
        return {"PYTHONPATH": str(folder)}

    write(kit=GOOD, bad=BAD, lamb=LAMB)
    return write


@pytest.fixture
def start_host(tmp_path, modules):
    """Start hosts that know the bad plugins; every one is killed at the end."""
    started = []

    def start(**settings):
        defaults = {"modules": ("bad", "lamb"), "env": modules(), "work_dir": tmp_path / "work", "warm_up": False}
        host = HostProcess.start(HostSettings(**(defaults | settings)))
        started.append(host)
        return host

    yield start
    for host in started:
        host.kill()


@pytest.fixture
def request_for(tmp_path):
    """A run of a plugin over a small file."""
    source = tmp_path / "source.txt"
    source.write_text("one two three four five")

    def make(plugin, **fields):
        defaults = {"run": "1", "params": {}, "spool": str(tmp_path / "spool.jsonl"), "spool_key": "key"}
        return RunRequest(plugin=plugin, path=str(source), **(defaults | fields))

    return make


@pytest.fixture(scope="session", autouse=True)
def _end_of_orphans(tmp_path_factory):
    """End what plugins started when nobody above their host could: in a server the supervisor does that."""
    yield
    mine = str(tmp_path_factory.getbasetemp())
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            if mine in process.environ().get("PYTHONPATH", ""):
                process.kill()
