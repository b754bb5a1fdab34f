"""A real server on a data directory of its own, for benchmarks and fault tests: start, talk to it, end it."""

import http.client
import json
import os
import socket
import subprocess
import sys
import time
import uuid
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil

ROOT = Path(__file__).resolve().parent.parent
TOKEN = "bench-token-0123456789"  # noqa: S105  (of servers that live for a test)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Server:
    """``manage.py up`` as a child in its own session, with settings of its own."""

    def __init__(self, folder: Path, **settings: Any) -> None:
        self.folder = folder
        self.folder.mkdir(parents=True, exist_ok=True)
        self.port = free_port()
        self.environment = {
            **{k: v for k, v in os.environ.items() if not k.startswith(("KB_", "EMBEDDINGS_", "DJANGO_", "PYTEST_"))},
            "KB_DATA_DIR": str(folder / "data"),
            "PORT": str(self.port),
            "LAMB_API_KEY": TOKEN,
            "PYTHONUNBUFFERED": "1",
            **{key: str(value) for key, value in settings.items()},
        }
        self.environment.pop("DATABASE_URL", None)
        self.log = folder / "server.log"
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self, wait: float = 60.0) -> float:
        """Start and wait until it answers; returns the seconds it took."""
        began = time.monotonic()
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "manage.py", "up"],
                cwd=ROOT,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        while time.monotonic() - began < wait:
            if self.process.poll() is not None:
                raise RuntimeError(f"the server ended with code {self.process.returncode}:\n{self.tail()}")
            try:
                if self.call("GET", "/health")[0] == 200:
                    return time.monotonic() - began
            except (OSError, http.client.HTTPException):
                time.sleep(0.05)
        raise TimeoutError(f"the server did not come up in {wait} s:\n{self.tail()}")

    def stop(self, wait: float = 30.0) -> float:
        """Ask it to drain and stop; returns the seconds it took."""
        began = time.monotonic()
        if self.process and self.process.poll() is None:
            self.process.terminate()
            self.process.wait(wait)
        return time.monotonic() - began

    def end(self) -> None:
        """Kill whatever is left, for the end of a test."""
        for process in self.processes():
            process.kill()
        if self.process:
            self.process.wait(10)

    def tail(self, length: int = 3000) -> str:
        return self.log.read_text(errors="replace")[-length:] if self.log.exists() else ""

    def processes(self) -> list[psutil.Process]:
        """Every living process of this server, orphans too.

        Known by the log that they write to, since a process that changes its title loses its environment; plugin
        hosts, whose output goes elsewhere, by the folder of their temporary files.
        """
        mine = []
        for process in psutil.process_iter():
            with suppress(psutil.Error, OSError):
                if process.status() != psutil.STATUS_ZOMBIE and self.is_mine(process):
                    mine.append(process)
        return mine

    def is_mine(self, process: psutil.Process) -> bool:
        if str(Path(f"/proc/{process.pid}/fd/2").readlink()) == str(self.log):
            return True
        return process.environ().get("TMPDIR", "").startswith(self.environment["KB_DATA_DIR"])

    # -- HTTP ---------------------------------------------------------------------------------------

    def call(self, method: str, path: str, body: Any = None, timeout: float = 30.0) -> tuple[int, Any]:
        """One request; returns status and decoded JSON."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        headers = {"Authorization": f"Bearer {TOKEN}"}
        data = None
        if isinstance(body, tuple):
            data, headers["Content-Type"] = body
        elif body is not None:
            data, headers["Content-Type"] = json.dumps(body).encode(), "application/json"
        try:
            connection.request(method, path, body=data, headers=headers)
            answer = connection.getresponse()
            raw = answer.read()
            return answer.status, json.loads(raw) if raw else None
        finally:
            connection.close()

    def expect(self, method: str, path: str, body: Any = None, timeout: float = 30.0) -> Any:
        status, answer = self.call(method, path, body, timeout)
        if status >= 400:
            raise RuntimeError(f"{method} {path}: {status} {answer}")
        return answer

    def create_collection(self, name: str, owner: str = "bench", **fields: Any) -> int:
        return int(self.expect("POST", "/collections", {"name": name, "owner": owner, **fields})["id"])

    def upload(
        self,
        collection: int,
        name: str,
        content: bytes,
        plugin: str = "simple_ingest",
        params: dict[str, Any] | None = None,
    ) -> int:
        body = multipart({"plugin_name": plugin, "plugin_params": json.dumps(params or {})}, name, content)
        return int(self.expect("POST", f"/collections/{collection}/ingest-file", body)["id"])

    def job(self, collection: int, job: int) -> dict[str, Any]:
        answer: dict[str, Any] = self.expect("GET", f"/collections/{collection}/ingestion-jobs/{job}")
        return answer

    def wait(self, collection: int, job: int, until: Any = None, limit: float = 60.0) -> dict[str, Any]:
        """Poll until *until(job)* holds; by default until the job has ended."""
        until = until or (lambda job: job["status"] in {"completed", "failed", "cancelled", "deleted"})
        deadline = time.monotonic() + limit
        while True:
            state = self.job(collection, job)
            if until(state):
                return state
            if time.monotonic() > deadline:
                raise TimeoutError(f"job {job} is {state['status']}: {state['progress']}\n{self.tail()}")
            time.sleep(0.02)


def multipart(fields: dict[str, str], name: str, content: bytes) -> tuple[bytes, str]:
    mark = uuid.uuid4().hex
    parts = [
        f'--{mark}\r\nContent-Disposition: form-data; name="{key}"\r\n\r\n{value}\r\n'.encode()
        for key, value in fields.items()
    ]
    parts.append(
        f'--{mark}\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n'
        "Content-Type: application/octet-stream\r\n\r\n".encode()
    )
    return b"".join([*parts, content, f"\r\n--{mark}--\r\n".encode()]), f"multipart/form-data; boundary={mark}"
