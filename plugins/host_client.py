"""The parent's side of a plugin host: start it, give it runs, hear its reports, kill it with everything it started."""

import contextlib
import json
import os
import selectors
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from plugins.base import PluginError

LINE_BYTES = 2 * 1024 * 1024  # longest report; the host keeps its own below a quarter of it
OUTPUT_BYTES = 64 * 1024  # what is kept of what plugins print
PRINTED_BYTES = 8 * 1024  # of one line
LINES_AT_ONCE = 200  # of those that came together: a plugin that prints without end keeps nobody busy
_ROOT = Path(__file__).resolve().parent.parent

# What plugins have no business with. Everything else is inherited, since third-party plugins may need it.
_SECRET_NAMES = frozenset({"DATABASE_URL", "REDIS_URL", "LAMB_API_KEY", "SECRET_KEY", "PGPASSWORD"})
_SECRET_PREFIXES = ("KB_", "EMBEDDINGS_", "DJANGO_", "LAMB_")
_SECRET_ENDINGS = ("_PASSWORD", "_SECRET", "_SECRET_KEY", "_DATABASE_URL", "_REDIS_URL")
_FIXED_ENV = {
    # One conversion uses one core; more threads would only add address space and fight with other workers.
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "MALLOC_ARENA_MAX": "2",
    "PYTHONUNBUFFERED": "1",
    "PYTHONIOENCODING": "utf-8:replace",
}


@dataclass(frozen=True)
class Progress:
    current: int
    total: int
    message: str
    unit: str


@dataclass(frozen=True)
class Stats:
    """The plugin's statistics so far, merged."""

    stats: dict[str, Any]


@dataclass(frozen=True)
class Warned:
    message: str
    data: Any = None


@dataclass(frozen=True)
class Done:
    chunks: int
    characters: int
    stats: dict[str, Any]


Report = Progress | Stats | Warned | Done


class HostDied(PluginError):
    """The host ended, or can no longer be understood, while it was needed. It is already killed."""


@dataclass(frozen=True)
class HostSettings:
    """How hosts are started.

    :param modules: plugin modules to load, as in ``Catalogue.modules``
    :param memory_mb: address space of the process (``RLIMIT_AS``)
    :param cpu_seconds: CPU time of one run, unless its limits say otherwise
    :param env: variables on top of the scrubbed environment
    :param work_dir: folder for temporary files; each host gets one of its own in it, removed when it ends
    :param on_line: called with each line that plugins print
    :param max_runs: a host that did this many runs is ``aged``
    :param max_rss_mb: one that holds more memory than this while idle needs replacement
    :param warm_up: load the modules and their slow imports at start
    """

    modules: tuple[str, ...] = ()
    memory_mb: int = 2048
    cpu_seconds: float = 3600
    env: Mapping[str, str] = field(default_factory=dict)
    python: str = sys.executable
    work_dir: Path | None = None
    on_line: Callable[[str], None] | None = None
    max_runs: int = 200
    max_rss_mb: int = 768
    warm_up: bool = True


@dataclass(frozen=True)
class RunRequest:
    """One run of one plugin.

    :param run: id of the run; reports of any other are ignored
    :param path: the stored upload
    :param params: clean parameters (``plugins.parameters.validate``)
    :param context: further keyword arguments, such as ``file_url`` and ``original_filename``
    :param spool: file to write the chunks to, marked with ``spool_key``
    :param limits: ``cpu_seconds``, ``spool_mb``
    """

    run: str
    plugin: str
    path: str
    params: Mapping[str, Any]
    spool: str
    spool_key: str
    context: Mapping[str, Any] = field(default_factory=dict)
    limits: Mapping[str, float] = field(default_factory=dict)


class HostProcess:
    """One host, for one thread at a time."""

    def __init__(self, settings: HostSettings, process: "subprocess.Popen[bytes]", reports: int, scratch: Path) -> None:
        self.settings = settings
        self.pid = process.pid
        self.runs = 0
        self._process = process
        self._reports = reports
        self._scratch = scratch
        self._buffer = bytearray()
        self._output = bytearray()
        self._line = b""  # printed, and not ended yet
        self._worn = False
        self._warm = False
        self._closed = False
        self._oom_kills = 0
        self._selector = selectors.DefaultSelector()
        for handle in (reports, self._output_handle):
            os.set_blocking(handle, False)
            self._selector.register(handle, selectors.EVENT_READ)

    @property
    def _output_handle(self) -> int:
        assert self._process.stdout is not None  # noqa: S101  (it is a pipe)
        return self._process.stdout.fileno()

    @classmethod
    def start(cls, settings: HostSettings) -> "HostProcess":
        """Start a host and return at once; it gets ready by itself.

        Call it from a thread that lives as long as the host may: on Linux the host dies with that thread.
        """
        if settings.work_dir:
            settings.work_dir.mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(prefix=f"host-{os.getpid()}-", dir=settings.work_dir))
        try:
            read_end, write_end = os.pipe()
        except OSError:
            shutil.rmtree(scratch, ignore_errors=True)
            raise
        arguments = [settings.python, "-P", "-X", "faulthandler", "-m", "plugins.host"]
        arguments += ["--report", str(write_end), "--parent", str(os.getpid())]
        arguments += ["--memory-mb", str(settings.memory_mb), "--cpu-seconds", str(settings.cpu_seconds)]
        try:
            process = subprocess.Popen(
                arguments,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                bufsize=0,
                cwd=scratch,
                env=host_environment(settings, scratch),
                start_new_session=True,
                close_fds=True,
                pass_fds=(write_end,),
            )
        except BaseException:
            os.close(read_end)
            shutil.rmtree(scratch, ignore_errors=True)
            raise
        finally:
            os.close(write_end)
        host = cls(settings, process, read_end, scratch)
        if settings.warm_up and settings.modules:
            host.send({"command": "warm_up", "modules": list(settings.modules)})
        return host

    # -- Talking ------------------------------------------------------------------------------------

    def run(self, request: RunRequest, tick: float = 0.25) -> Generator[Report | None, None, None]:
        """Run a plugin and yield its reports, the last one :class:`Done`; None at least every *tick* seconds.

        A run that is not followed to its end leaves the host killed, since nobody would know what it is doing.

        :raises PluginError: as the plugin reported it, ``exception_type`` and ``traceback`` in its context
        :raises HostDied: ``plugin_crashed``, ``out_of_memory`` or ``cpu_limit``
        """
        self.runs += 1
        self._oom_kills = _oom_kills()  # of the whole machine, so only those during the run tell anything
        ended = False
        try:
            command = {"command": "run", "modules": list(self.settings.modules)}
            self.send(command | {name: getattr(request, name) for name in request.__dataclass_fields__})
            for event in self.events(tick):
                if event is None:
                    yield None
                elif event.get("run") == request.run:
                    ended = event["event"] in {"done", "failed"}
                    report = _report(event)
                    if isinstance(report, PluginError):
                        self._worn = report.code == "out_of_memory"
                        raise report
                    yield report
                    if ended:
                        return
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            ended = False
            raise self._garbled() from error
        finally:
            if not ended:
                self.kill()

    def send(self, command: Mapping[str, Any]) -> None:
        """Give the host a command. A host that died meanwhile is noticed by :meth:`events`."""
        assert self._process.stdin is not None  # noqa: S101  (it is a pipe)
        data = memoryview(json.dumps(command).encode() + b"\n")
        with contextlib.suppress(BrokenPipeError, ValueError):
            while data:
                data = data[self._process.stdin.write(data) or 0 :]

    def events(self, tick: float = 0.25) -> Iterator[dict[str, Any] | None]:
        """Yield the host's reports as they come, and None whenever *tick* seconds passed without one.

        :raises HostDied: when the host has ended, after its last report
        """
        last = time.monotonic()
        while True:
            for event in self._take_events():
                last = time.monotonic()
                yield event
            if self._closed:
                raise HostDied("plugin_crashed", "The plugin host was stopped.", transient=True)
            dead = not self.alive
            self._pump(0 if dead else max(0.0, last + tick - time.monotonic()))
            if b"\n" in self._buffer:
                continue
            if dead:
                raise self._died()
            if time.monotonic() - last >= tick:
                last = time.monotonic()
                yield None

    def _pump(self, timeout: float) -> None:
        """Read what is there, waiting at most *timeout* seconds for it."""
        for key, _ in self._selector.select(timeout):
            try:
                data = os.read(key.fd, 256 * 1024)
            except BlockingIOError:
                continue
            if not data:
                self._selector.unregister(key.fd)
            elif key.fd == self._reports:
                self._buffer += data
                if len(self._buffer) > LINE_BYTES and b"\n" not in self._buffer:
                    raise self._garbled()
            else:
                self._keep_output(data)
        if not self._selector.get_map() and self.alive:
            time.sleep(min(timeout, 0.05))  # both pipes closed by the plugin: only its end is left to wait for

    def _take_events(self) -> Iterator[dict[str, Any]]:
        while (end := self._buffer.find(b"\n")) >= 0:
            line = bytes(self._buffer[:end])
            del self._buffer[: end + 1]
            try:
                event = json.loads(line)
            except ValueError:
                event = None
            if not isinstance(event, dict) or not isinstance(event.get("event"), str):
                raise self._garbled()
            self._warm = self._warm or event["event"] == "warm"
            yield event

    def _keep_output(self, data: bytes) -> None:
        self._output += data
        del self._output[:-OUTPUT_BYTES]
        if self.settings.on_line:
            *lines, self._line = (self._line + data).split(b"\n")
            if len(self._line) > PRINTED_BYTES:
                lines, self._line = [*lines, self._line], b""
            if left_out := max(0, len(lines) - LINES_AT_ONCE):
                self._tell(b"... %d lines left out" % left_out)
            for line in lines[left_out:]:
                self._tell(line)

    def _tell(self, line: bytes) -> None:
        if self.settings.on_line and line.strip():
            self.settings.on_line(line[:PRINTED_BYTES].decode(errors="replace").rstrip())

    @property
    def output(self) -> str:
        """The end of what plugins printed, at most 64 KB."""
        return self._output.decode(errors="replace")

    # -- Life and death -----------------------------------------------------------------------------

    @property
    def alive(self) -> bool:
        if self._closed or self._process.returncode is not None:
            return False
        if not hasattr(os, "waitid"):  # macOS before Python 3.13
            return self._process.poll() is None
        # WNOWAIT: while the dead process is not reaped its pid, and so its session, cannot become another's
        return os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None

    @property
    def warm(self) -> bool:
        """Whether the idle host has said that its modules are loaded."""
        if not self._warm and self.alive:
            with contextlib.suppress(HostDied):  # killed for what it said
                self._pump(0)
                for _ in self._take_events():
                    pass
        return self._warm

    @property
    def aged(self) -> bool:
        """True when the host has done its share of runs. It still works; a fresh one should be made ready."""
        return self.runs >= self.settings.max_runs

    @property
    def needs_replacement(self) -> bool:
        """True when the host must not be given another run: dead, worn, or grown by leaks."""
        if not self.alive or self._worn:
            return True
        try:
            return bool(psutil.Process(self.pid).memory_info().rss > self.settings.max_rss_mb * 1024**2)
        except psutil.Error:
            return True

    def kill(self) -> None:
        """End the host and every process it started, at once, and free what it held. Safe to call again."""
        if self._closed:
            return
        self._closed = True
        _kill_session(self.pid)
        self._tell(self._line)
        self._process.wait()
        self._selector.close()
        for stream in (self._process.stdin, self._process.stdout):
            if stream:
                with contextlib.suppress(OSError):
                    stream.close()
        os.close(self._reports)
        shutil.rmtree(self._scratch, ignore_errors=True)

    def _garbled(self) -> HostDied:
        self.kill()
        return HostDied(
            "plugin_crashed",
            "The plugin host sent something that cannot be understood, and was stopped.",
            hint="A plugin wrote where it must not. Tell its author.",
            context={"output": self.output[-2000:]},
        )

    def _died(self) -> HostDied:
        """Why the host is dead. Kills what it left behind."""
        self.kill()
        exit_code = self._process.returncode  # negative: the signal that ended it
        number = max(-exit_code, 0)
        out_of_memory = _oom_kills() > self._oom_kills and number == signal.SIGKILL
        return _death(number, None if number else exit_code, self.output, out_of_memory)


def _report(event: Mapping[str, Any]) -> Report | PluginError | None:
    match event["event"]:
        case "progress":
            return Progress(int(event["current"]), int(event["total"]), str(event["message"]), str(event["unit"]))
        case "stats":
            return Stats(dict(event["stats"]))
        case "warned":
            return Warned(str(event["message"]), event.get("data"))
        case "done":
            return Done(int(event["chunks"]), int(event["characters"]), dict(event["stats"]))
        case "failed":
            detail = {"exception_type": str(event["exception_type"]), "traceback": str(event["traceback"])}
            return PluginError(
                str(event["code"]),
                str(event["message"]),
                hint=str(event["hint"]),
                transient=bool(event["transient"]),
                context=dict(event["context"]) | detail,
            )
    return None


_MEMORY_SIGNS = ("MemoryError", "std::bad_alloc", "Cannot allocate memory", "memory allocation of ", "out of memory")
_FROM_OUTSIDE = (signal.SIGKILL, signal.SIGTERM, signal.SIGHUP)


def _death(number: int, exit_code: int | None, output: str, oom_killed: bool) -> HostDied:
    context = {"signal": _signal_name(number), "exit_code": exit_code, "output": output[-2000:]}
    if number == getattr(signal, "SIGXCPU", -1):
        return HostDied(
            "cpu_limit",
            "Reading this source used up the computing time that a plugin may have.",
            hint="Split the source into smaller files, or ask the operator to raise KB_PLUGIN_CPU_SECONDS.",
            context=context,
        )
    if oom_killed or any(sign in output[-4000:] for sign in _MEMORY_SIGNS):
        return HostDied(
            "out_of_memory",
            "Reading this source needs more memory than a plugin may use.",
            hint="Split the source into smaller files, or ask the operator to raise KB_PLUGIN_MEMORY_MB.",
            context=context,
        )
    how = f"was ended by {_signal_name(number)}" if number else f"ended by itself with exit code {exit_code}"
    return HostDied(
        "plugin_crashed",
        f"The plugin crashed: its process {how}.",
        hint="The file may be damaged. Try to open it and save it again, or convert it to another format.",
        transient=number in _FROM_OUTSIDE,  # nothing in the source explains it
        context=context,
    )


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name if number else ""
    except ValueError:
        return f"signal {number}"


def host_environment(settings: HostSettings, scratch: Path) -> dict[str, str]:
    """The parent's environment without what plugins must not see, with temporary files in *scratch*."""
    env = {name: value for name, value in os.environ.items() if not _is_secret(name.upper())}
    paths = [str(_ROOT), settings.env.get("PYTHONPATH", ""), os.environ.get("PYTHONPATH", "")]
    temporary = dict.fromkeys(("TMPDIR", "TMP", "TEMP"), str(scratch))
    return env | _FIXED_ENV | dict(settings.env) | temporary | {"PYTHONPATH": os.pathsep.join(filter(None, paths))}


def _is_secret(name: str) -> bool:
    return name in _SECRET_NAMES or name.startswith(_SECRET_PREFIXES) or name.endswith(_SECRET_ENDINGS)


def _kill_session(leader: int) -> None:
    """SIGKILL every process of the session, and every descendant that left it while its parents still live."""
    for _ in range(5):
        victims = _session_members(leader)
        for victim in victims:
            with contextlib.suppress(OSError):
                os.kill(victim, signal.SIGKILL)
        if not victims - {leader}:
            break
    with contextlib.suppress(OSError):
        os.killpg(leader, signal.SIGKILL)


def _session_members(leader: int) -> set[int]:
    members = {leader}
    with contextlib.suppress(psutil.Error):
        members |= {child.pid for child in psutil.Process(leader).children(recursive=True)}
    for pid in psutil.pids():
        with contextlib.suppress(OSError):
            if os.getsid(pid) == leader:
                members.add(pid)
    return {pid for pid in members if _lives(pid)}


def _lives(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.Error:
        return False


def _oom_kills() -> int:
    """How many processes the kernel killed for want of memory so far (Linux; elsewhere 0)."""
    try:
        for line in Path("/proc/vmstat").read_text().splitlines():
            if line.startswith("oom_kill "):
                return int(line.split()[1])
    except (OSError, ValueError):
        pass
    return 0
