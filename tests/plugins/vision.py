"""A small server that describes pictures as OpenAI's chat completions do, and fails on command."""

import base64
import hashlib
import json
from collections import deque
from http.server import BaseHTTPRequestHandler
from typing import Any

from tests.support.serving import Serving


class Vision(Serving):
    """The running server. ``faults`` answer the next requests: ``(status, body, headers)`` each."""

    def __init__(self) -> None:
        super().__init__(_Handler, vision=self)
        self.faults: deque[tuple[int, Any, dict[str, str]]] = deque()
        self.requests: list[dict[str, Any]] = []
        self.keys: list[str] = []

    @property
    def url(self) -> str:
        return f"{super().url}/v1"

    def fail(self, status: int, times: int = 1, code: str = "", **headers: str) -> None:
        body = {"error": {"code": code, "message": "Incorrect key sk-sec***: ask your administrator."}}
        self.faults.extend([(status, body, headers)] * times)

    def answer(self, body: Any) -> None:
        self.faults.append((200, body, {}))

    def pictures(self) -> list[bytes]:
        """The bytes of the pictures that were asked about."""
        found = []
        for request in self.requests:
            url = request["messages"][0]["content"][1]["image_url"]["url"]
            found.append(base64.b64decode(url.partition(",")[2]))
        return found


def words_for(picture: bytes) -> str:
    """What the server says about a picture."""
    return f"A picture of {hashlib.sha256(picture).hexdigest()[:8]}."


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    vision: Vision

    def log_message(self, *_: object) -> None:
        pass

    def do_POST(self) -> None:
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.vision.requests.append(request)
        self.vision.keys.append(self.headers["Authorization"])
        if self.vision.faults:
            self.respond(*self.vision.faults.popleft())
        elif self.path != "/v1/chat/completions":
            self.respond(404, {"error": {"code": "not_found"}}, {})
        else:
            text = f"{words_for(self.vision.pictures()[-1])}\n\nWith [brackets] | and lines."
            message = {"role": "assistant", "content": text}
            self.respond(200, {"choices": [{"message": message}], "usage": {"total_tokens": 77}}, {})

    def respond(self, status: int, body: Any, headers: dict[str, str]) -> None:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)
