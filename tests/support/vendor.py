"""A small embedding server that speaks OpenAI's and Ollama's tongue, and fails on command.

Vectors are made of hashed words: equal texts have equal vectors on every machine, and texts that share words are
nearer to each other than texts that share none.
"""

import hashlib
import json
import select
import threading
from collections import deque
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any

from tests.support.serving import Serving

DIMENSION = 32


def vector_of(text: str, dimension: int = DIMENSION) -> list[float]:
    """The embedding of *text*, not normalised."""
    numbers = [0.0] * dimension
    for word in text.lower().split():
        digest = hashlib.blake2b(word.encode(), digest_size=8).digest()
        numbers[digest[0] % dimension] += 1.0 if digest[1] & 1 else -1.0
        numbers[digest[2] % dimension] += 1.0
    if not any(numbers):
        numbers[0] = 1.0
    return numbers


@dataclass(frozen=True)
class Fault:
    """How one request is answered.

    ``kind``: status, hang, slow, close (in the middle of the body), html, wrong_count, shuffled, nan, zeros, ragged,
    no_embeddings
    """

    kind: str
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: Any = None
    seconds: float = 0.0


@dataclass(frozen=True)
class Received:
    path: str
    headers: dict[str, str]
    body: dict[str, Any]

    @property
    def texts(self) -> list[str]:
        given = self.body["input"]
        return [given] if isinstance(given, str) else given


class Vendor(Serving):
    """The running server. ``faults`` answer the next requests, one each; ``standing`` all that follow."""

    def __init__(self) -> None:
        super().__init__(_Handler, vendor=self)
        self.faults: deque[Fault] = deque()
        self.standing: Fault | None = None
        self.max_inputs: int | None = None  # more in one request are answered 413
        self.dimension = DIMENSION
        self.received: list[Received] = []
        self.most_in_flight = 0
        self.arrived = threading.Event()  # a request that will hang has arrived
        self.hung_up = threading.Event()  # its client has closed the connection
        self.guard = threading.Lock()
        self._in_flight = 0

    def fail(self, kind: str, times: int = 1, **details: Any) -> None:
        self.faults.extend([Fault(kind, **details)] * times)

    def fail_with(self, status: int, times: int = 1, **details: Any) -> None:
        self.fail("status", times, status=status, **details)

    def next_fault(self) -> Fault | None:
        with self.guard:
            return self.faults.popleft() if self.faults else self.standing

    def entered(self, change: int) -> None:
        with self.guard:
            self._in_flight += change
            self.most_in_flight = max(self.most_in_flight, self._in_flight)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    vendor: Vendor

    def log_message(self, *_: object) -> None:
        pass

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers.get("Content-Length", 0))))
        received = Received(self.path, {name.lower(): value for name, value in self.headers.items()}, body)
        with self.vendor.guard:
            self.vendor.received.append(received)
        self.vendor.entered(+1)
        try:
            self._answer(received, self.vendor.next_fault())
        finally:
            self.vendor.entered(-1)

    def _answer(self, received: Received, fault: Fault | None) -> None:
        kind = fault.kind if fault else ""
        if self.vendor.max_inputs is not None and len(received.texts) > self.vendor.max_inputs:
            self._send(413, {"error": "batch too large"})
        elif fault and kind == "status":
            self._send(fault.status, fault.body or {"error": {"message": f"fault {fault.status}"}}, fault.headers)
        elif kind == "hang":
            self._hang()
        elif kind == "html":
            self._send_bytes(200, b"<html><body>Welcome</body></html>", {"Content-Type": "text/html"})
        elif kind == "close":
            self.send_response(200)
            self.send_header("Content-Length", "100000")
            self.end_headers()
            self.wfile.write(b'{"data": [')
            self.close_connection = True
        else:
            if fault and kind == "slow":
                self.vendor.closing.wait(fault.seconds)
            self._embed(received, kind)

    def _hang(self) -> None:
        """Say nothing until the client hangs up or the server stops."""
        self.vendor.arrived.set()
        while not self.vendor.closing.is_set():
            readable, _, _ = select.select([self.connection], [], [], 0.02)
            if readable:
                self.vendor.hung_up.set()
                break
        self.close_connection = True

    def _embed(self, received: Received, kind: str) -> None:
        rows: list[Any] = [vector_of(text, self.vendor.dimension) for text in received.texts]
        if kind == "wrong_count":
            rows = rows[:-1]
        elif kind == "nan":
            rows[0][0] = float("nan")
        elif kind == "zeros":
            rows[0] = [0.0] * self.vendor.dimension
        elif kind == "ragged":
            rows[-1] = rows[-1][:-1]
        elif kind == "wrong_dimension":
            rows = [[*row, 1.0] for row in rows]
        self._send(200, {"object": "nothing"} if kind == "no_embeddings" else self._shaped(received, rows, kind))

    def _shaped(self, received: Received, rows: list[Any], kind: str) -> dict[str, Any]:
        if received.path == "/api/embed":
            return {"model": received.body["model"], "embeddings": rows}
        data = [{"object": "embedding", "index": index, "embedding": row} for index, row in enumerate(rows)]
        return {"object": "list", "data": data[::-1] if kind == "shuffled" else data}

    def _send(self, status: int, body: Any, headers: dict[str, str] | None = None) -> None:
        self._send_bytes(status, json.dumps(body).encode(), {"Content-Type": "application/json", **(headers or {})})

    def _send_bytes(self, status: int, content: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(content))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)
