"""Descriptions of pictures by a model of the collection's own vendor, through ``/chat/completions``.

Each call costs money: it is made only when a person has asked for it, and its answer is kept beside the original under
the hash of the picture, so that no retry asks again. A picture that cannot be described costs its description, never
the job.
"""

import base64
import io
import json
import re
import time
from dataclasses import dataclass
from typing import Any

import httpx

from plugins.base import PluginError
from plugins.documents.images import Picture
from plugins.kept import Kept, key_of
from plugins.net import USER_AGENT, Guard, GuardedTransport, guard_of_environment

DEFAULT_MODEL = "gpt-4o-mini"
DEFAULT_BASE_URL = "https://api.openai.com/v1"
PROMPT = (
    "Describe this picture from a document in two to four plain sentences, so that a text search can find it. "
    "Quote the text in it and name what a chart or diagram shows. Answer with the description alone."
)
PROMPT_VERSION = 1
SECONDS = 60.0  # for one answer
WAITS = (1.0, 3.0)  # before the second and the third try; a server may ask for up to ten
LONGEST_WAIT = 10.0
FAILURES_IN_A_ROW = 3
_LIMIT = {"max_tokens": 400}
# What newer models want instead; their thinking is counted in it, and only what is used is paid for.
_NEWER_LIMIT = {"max_completion_tokens": 2000}
LARGEST_SIDE = 1536  # pixels; vendors shrink what is larger, and charge for what is sent
_ANSWER_BYTES = 1_000_000
_DESCRIPTION_CHARACTERS = 2000


class CannotDescribe(Exception):
    """Why one picture has no description, in a few words.

    :param for_all: the next ones will fare no better
    :param alone: it is about this picture, and says nothing about the next ones
    """

    def __init__(self, reason: str, for_all: bool = False, alone: bool = False) -> None:
        super().__init__(reason)
        self.for_all = for_all
        self.alone = alone


@dataclass(frozen=True)
class Answer:
    text: str
    tokens: int | None


class Describer:
    """Asks one model about pictures. Use it as a context.

    :param calls: one entry a call that was made, as in ``llm_calls``
    :param stopped: why no further calls are made; empty while they are
    """

    def __init__(self, key: str, base_url: str, model: str, kept: Kept, guard: Guard | None = None) -> None:
        self.calls: list[dict[str, Any]] = []
        self.reused = 0
        self.stopped = ""
        self._failures = 0
        self._limit = _LIMIT
        self._model = model or DEFAULT_MODEL
        self._url = f"{(base_url or DEFAULT_BASE_URL).rstrip('/')}/chat/completions"
        self._kept = kept
        self._key_is_possible = key.strip().isascii() and key.strip().isprintable()
        authorization = {"Authorization": f"Bearer {key.strip()}"} if self._key_is_possible else {}
        self._transport = GuardedTransport(guard or guard_of_environment())
        self._client = httpx.Client(
            transport=self._transport,
            timeout=SECONDS,
            follow_redirects=False,
            trust_env=False,
            headers={**authorization, "User-Agent": USER_AGENT, "Accept-Encoding": "gzip"},
        )

    def __enter__(self) -> "Describer":
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def describe(self, picture: Picture) -> None:
        """Set the picture's description, from an earlier answer if there is one."""
        key = key_of("picture", PROMPT_VERSION, self._url, self._model, picture.digest)
        known = self._kept.get(key)
        if isinstance(known, dict) and isinstance(known.get("text"), str):
            picture.description = known["text"]
            self.reused += 1
        elif not self.stopped:
            self._ask(picture, key)

    def _ask(self, picture: Picture, key: str) -> None:
        began = time.monotonic()
        answer, error = None, ""
        try:
            answer = self._answer(picture)
            picture.description = answer.text
            self._kept.put(key, {"text": answer.text, "tokens": answer.tokens})
            self._failures = 0
        except CannotDescribe as reason:
            error = str(reason)
            self._failures += not reason.alone
            if reason.for_all or self._failures >= FAILURES_IN_A_ROW:
                self.stopped = error
        self.calls.append(
            {
                "image": picture.name,
                "duration_ms": round((time.monotonic() - began) * 1000),
                "tokens_used": answer.tokens if answer else None,
                "success": answer is not None,
                "error": error or None,
            }
        )

    def _answer(self, picture: Picture) -> Answer:
        """:raises CannotDescribe:"""
        if not self._key_is_possible:
            raise CannotDescribe("the key of the collection holds characters that no key has", for_all=True)
        asked = [{"type": "text", "text": PROMPT}, {"type": "image_url", "image_url": {"url": _data_url(picture)}}]
        body = {"model": self._model, "messages": [{"role": "user", "content": asked}]}
        try:
            return self._patiently(body)
        except _OtherLimit:
            if self._limit is _NEWER_LIMIT:
                raise
            self._limit = _NEWER_LIMIT
            return self._patiently(body)

    def _patiently(self, body: dict[str, Any]) -> Answer:
        """:raises CannotDescribe:"""
        for wait in (*WAITS, None):
            try:
                return _read(*self._post({**body, **self._limit}))
            except _Later as later:
                if wait is None:
                    raise CannotDescribe(str(later)) from later
                time.sleep(min(max(wait, later.seconds), LONGEST_WAIT))
        raise AssertionError("the last try returns or raises")

    def _post(self, body: dict[str, Any]) -> tuple[httpx.Response, bytes]:
        """:raises CannotDescribe, _Later:"""
        self._transport.backend.deadline = time.monotonic() + SECONDS
        try:
            with self._client.stream("POST", self._url, json=body) as response:
                content = bytearray()
                for piece in response.iter_bytes():
                    content += piece
                    if len(content) > _ANSWER_BYTES:
                        raise CannotDescribe("the server's answer is too long")
                return response, bytes(content)
        except PluginError as error:  # of the address guard
            raise CannotDescribe(error.message.rstrip("."), for_all=True) from error
        except httpx.TimeoutException as error:
            raise _Later("the server did not answer in time") from error
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise _Later("the server cannot be reached") from error


class _OtherLimit(CannotDescribe):
    """The model wants the length of its answer limited in another way."""


class _Later(Exception):
    """It may work in a moment. ``seconds``: how long the server asks to wait."""

    def __init__(self, reason: str, seconds: float = 0.0) -> None:
        super().__init__(reason)
        self.seconds = seconds


def _read(response: httpx.Response, content: bytes) -> Answer:
    """What the model says. Of errors only the vendor's code is shown: its sentences repeat parts of the key.

    :raises CannotDescribe, _Later:
    """
    status = response.status_code
    body = _json(content)
    if status in {429, 500, 502, 503, 504} and _code(body) != "insufficient_quota":
        raise _Later(f"the server answered with status {status}", _seconds(response.headers.get("Retry-After", "")))
    if status != 200:
        raise _refusal(status, body)
    try:
        choice = body["choices"][0]
        text = " ".join(_words(choice["message"].get("content")).split())
        tokens = (body.get("usage") or {}).get("total_tokens")
    except (KeyError, IndexError, TypeError, AttributeError) as error:
        raise CannotDescribe("the server's answer cannot be understood") from error
    if not text:
        refused = bool(choice["message"].get("refusal")) or choice.get("finish_reason") == "content_filter"
        raise CannotDescribe(
            "the model refuses this picture" if refused else "the server's answer is empty", alone=refused
        )
    return Answer(text[:_DESCRIPTION_CHARACTERS], tokens if isinstance(tokens, int) else None)


def _words(content: Any) -> str:
    """The text of an answer, which some servers send in parts."""
    if isinstance(content, list):
        return " ".join(str(part.get("text") or "") if isinstance(part, dict) else str(part) for part in content)
    return str(content or "")


# Codes of vendors that speak of the picture: content_policy_violation, content_filter, invalid_image_format, ...
_ABOUT_THE_PICTURE = re.compile(r"content_(?:policy|filter)|moderation|safety|image")


def _refusal(status: int, body: Any) -> CannotDescribe:
    code = _code(body)
    reason = f"the server answered with status {status}" + (f" ({code})" if code else "")
    if code == "unsupported_parameter" and body["error"].get("param") == "max_tokens":
        return _OtherLimit(reason, for_all=True)
    alone = status == 413 or (status == 400 and _ABOUT_THE_PICTURE.search(code) is not None)
    return CannotDescribe(reason, for_all=status in {401, 402, 403, 404, 429}, alone=alone)


def _json(content: bytes) -> Any:
    try:
        return json.loads(content)
    except ValueError:
        return None


def _code(body: Any) -> str:
    error = body.get("error") if isinstance(body, dict) else None
    code = (error.get("code") or error.get("type")) if isinstance(error, dict) else None
    return code if isinstance(code, str) and re.fullmatch(r"[a-z_]{1,40}", code) else ""


def _seconds(text: str) -> float:
    return float(text) if re.fullmatch(r"\d{1,6}(\.\d{1,3})?", text.strip()) else 0.0


def _data_url(picture: Picture) -> str:
    """The picture as it is sent, no larger than it helps.

    :raises CannotDescribe: when it cannot be decoded after all
    """
    from PIL import Image

    data = picture.path.read_bytes()
    try:
        image: Any = Image.open(io.BytesIO(data))
        if max(image.size) > LARGEST_SIDE or len(data) > 4_000_000:
            image.thumbnail((LARGEST_SIDE, LARGEST_SIDE))
            flat = Image.new("RGB", image.size, "white")
            image = image.convert("RGBA")
            flat.paste(image, mask=image.getchannel("A"))
            stream = io.BytesIO()
            flat.save(stream, "JPEG", quality=85)
            return f"data:image/jpeg;base64,{base64.b64encode(stream.getvalue()).decode()}"
    except MemoryError:
        raise
    except Exception as error:  # its decoders fail on damaged pictures in every way there is
        raise CannotDescribe("the picture is damaged", alone=True) from error
    return f"data:{Image.MIME[image.format]};base64,{base64.b64encode(data).decode()}"
