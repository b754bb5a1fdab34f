"""What embedders over HTTP share: batches, requests in flight, retries, and vendors' failures put into words."""

import abc
import asyncio
import random
import re
import threading
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any, ClassVar

import httpx
import numpy as np
import orjson

from collections_app.embeddings import meter
from collections_app.embeddings.base import Embedder, Vector, Vectors, VendorError, normalised
from collections_app.embeddings.endpoints import request_url, shown
from collections_app.embeddings.network import network

TRANSIENT_STATUSES = {408, 409, 425, 429}  # and all from 500 on
HEADER_TEXT = re.compile(r"[\x21-\x7e]*")
EXCERPT = 200  # characters of a vendor's own words in an error
REMEMBERED_QUERIES = 128


@dataclass(frozen=True)
class Patience:
    """How long one request is tried.

    :param tries: requests sent at most
    :param read_seconds: for one answer, complete
    :param total_seconds: no try begins later than this
    :param backoff_seconds: doubled from try to try; the wait is a random part of it ("full jitter")
    :param longest_wait: a ``Retry-After`` above it is handed to the caller instead of waited for
    """

    tries: int = 4
    connect_seconds: float = 5.0
    read_seconds: float = 60.0
    total_seconds: float = 90.0
    backoff_seconds: float = 0.5
    longest_wait: float = 10.0

    def wait(self, failed_tries: int, error: VendorError) -> float | None:
        """Seconds to wait before the next try; None when there is none."""
        if not error.transient or failed_tries >= self.tries:
            return None
        jitter = random.uniform(0, self.backoff_seconds * 2 ** (failed_tries - 1))  # noqa: S311  (not a secret)
        if error.retry_after is None:
            return jitter
        return error.retry_after + jitter if error.retry_after <= self.longest_wait else None


class TooLarge(VendorError):
    """413: fewer texts in one request may pass."""


class HttpEmbedder(Embedder, abc.ABC):
    """An embedder that asks a server. Subclasses say how a request and an answer look."""

    request_texts: int  # in one request; falls when the vendor finds it too large
    request_characters: int = 100_000  # in one request, unless a single text is longer
    in_flight: int  # requests at a time within one call
    patience: ClassVar[Patience]

    def __init__(self, model: str, endpoint: str = "", api_key: str = "", **patience: Any) -> None:
        """
        :param endpoint: as people write it; blank means the vendor's own
        :param patience: fields of :class:`Patience` that differ from the vendor's
        :raises VendorError: ``vendor_not_found`` for an endpoint that is no address
        """
        self.model = model
        self._api_key = api_key
        try:
            self.url = request_url(self.vendor, endpoint)
        except ValueError as error:
            raise VendorError("vendor_not_found", f"The embedding endpoint {error}.", hint=ENDPOINT_HINT) from error
        self._patience = replace(self.patience, **patience)
        self._query_patience = replace(
            self._patience,
            tries=2,
            read_seconds=min(20.0, self._patience.read_seconds),
            total_seconds=20.0,
            longest_wait=2.0,
        )
        self._queries: OrderedDict[str, Vector] = OrderedDict()
        self._queries_guard = threading.Lock()

    # -- What vendors differ in --------------------------------------------------------------------

    @abc.abstractmethod
    def _request(self, texts: list[str]) -> dict[str, Any]:
        """The JSON body that asks for the vectors of *texts*."""

    @abc.abstractmethod
    def _rows(self, body: Any, count: int) -> list[Any]:
        """The *count* vectors in the vendor's answer, in the order of the request.

        :raises ValueError: with what is wrong, in words
        :raises (AttributeError, KeyError, TypeError): the answer has another shape
        """

    def _not_found_hint(self) -> str:
        return "Check the model's name and the endpoint of this collection."

    # -- The way of a call -------------------------------------------------------------------------

    def _vectors(self, texts: list[str], cancel: threading.Event | None) -> Vectors:
        net = network()
        return net.run(self._embed(net.client, texts, self._patience), cancel)

    def embed_query(self, text: str) -> Vector:
        """See :meth:`Embedder.embed_query`. Remembered: one question is often asked of several collections."""
        with self._queries_guard:
            if (known := self._queries.get(text)) is not None:
                self._queries.move_to_end(text)
                return known
        net = network()
        vectors = net.run(self._embed(net.client, _sendable([text]), self._query_patience), None)
        self.dimension = vectors.shape[1]
        vector: Vector = vectors[0]
        with self._queries_guard:
            self._queries[text] = vector
            while len(self._queries) > REMEMBERED_QUERIES:
                self._queries.popitem(last=False)
        return vector

    async def _embed(self, client: httpx.AsyncClient, texts: list[str], patience: Patience) -> Vectors:
        """All *texts*, with up to ``in_flight`` requests at a time; the first failure stops the others."""
        gate = asyncio.Semaphore(self.in_flight)

        async def one(part: list[str]) -> list[Vectors]:
            async with gate:
                return await self._part(client, part, patience)

        tasks = [asyncio.create_task(one(part)) for part in self._parts(_sendable(texts))]
        try:
            answers = await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        blocks = [block for answer in answers for block in answer]
        if len({block.shape[1] for block in blocks}) > 1:
            raise self._nonsense("vectors of different lengths")
        return np.concatenate(blocks)

    def _parts(self, texts: list[str]) -> Iterator[list[str]]:
        part: list[str] = []
        characters = 0
        for text in texts:
            if part and (len(part) >= self.request_texts or characters + len(text) > self.request_characters):
                yield part
                part, characters = [], 0
            part.append(text)
            characters += len(text)
        yield part

    async def _part(self, client: httpx.AsyncClient, texts: list[str], patience: Patience) -> list[Vectors]:
        """The vectors of one request's texts; in halves when the vendor finds them too many."""
        if len(texts) <= self.request_texts:
            try:
                return [await self._persist(client, texts, patience)]
            except TooLarge:
                if len(texts) == 1:
                    raise
                self.request_texts = max(1, len(texts) // 2)
        half = len(texts) // 2
        first = await self._part(client, texts[:half], patience)
        return first + await self._part(client, texts[half:], patience)

    async def _persist(self, client: httpx.AsyncClient, texts: list[str], patience: Patience) -> Vectors:
        """One request, tried again as *patience* says."""
        clock = asyncio.get_running_loop().time
        last_start = clock() + patience.total_seconds
        failed_tries = 0
        while True:
            try:
                with meter.request(self.vendor):
                    return await self._try(client, texts, patience)
            except VendorError as error:
                failed_tries += 1
                wait = patience.wait(failed_tries, error)
                if wait is None or clock() + wait > last_start:
                    raise
                await asyncio.sleep(wait)

    async def _try(self, client: httpx.AsyncClient, texts: list[str], patience: Patience) -> Vectors:
        limits = httpx.Timeout(patience.read_seconds, connect=patience.connect_seconds)
        try:
            # The client's own read limit starts anew with every byte; this one holds for the whole answer.
            async with asyncio.timeout(patience.connect_seconds + patience.read_seconds):
                response = await client.post(
                    self.url, json=self._request(texts), headers=self._headers(), timeout=limits
                )
        except (httpx.TimeoutException, TimeoutError) as error:
            raise self._failure("vendor_timeout", "did not answer in time", hint=WAIT_HINT, transient=True) from error
        except httpx.RequestError as error:
            raise self._unreachable(error) from error
        if not response.is_success:
            raise self._refusal(response)
        return self._checked(response, len(texts))

    def _headers(self) -> dict[str, str]:
        if not self._api_key:
            return {}
        if not HEADER_TEXT.fullmatch(self._api_key):
            raise self._failure(
                "vendor_rejected", "cannot be given this API key: it holds blanks or unusual characters", hint=KEY_HINT
            )
        return {"Authorization": f"Bearer {self._api_key}"}

    # -- Answers ------------------------------------------------------------------------------------

    def _checked(self, response: httpx.Response, count: int) -> Vectors:
        """The vectors in *response*, shape (count, dimension), of length 1.

        :raises VendorError: ``vendor_nonsense``
        """
        try:
            body = orjson.loads(response.content)
        except ValueError as error:
            kind = response.headers.get("content-type", "no content type").split(";")[0]
            raise self._nonsense(f"something that is not JSON ({kind})") from error
        try:
            rows = self._rows(body, count)
        except (AttributeError, KeyError, TypeError) as error:
            raise self._nonsense("JSON without embeddings") from error
        except ValueError as error:
            raise self._nonsense(str(error)) from error
        try:
            vectors = np.array(rows, dtype=np.float64)
        except (TypeError, ValueError) as error:
            raise self._nonsense("vectors of different lengths, or not of numbers") from error
        if vectors.ndim != 2 or not vectors.shape[1]:
            raise self._nonsense("embeddings that are not lists of numbers")
        try:
            return normalised(vectors)
        except ValueError as error:
            raise self._nonsense(str(error)) from error

    # -- Failures in words ----------------------------------------------------------------------------

    @property
    def _server(self) -> str:
        return f"The embedding server at {shown(self.url)}"

    def _failure(self, code: str, what: str, **more: Any) -> VendorError:
        context = {"vendor": self.vendor, "model": self.model, **more.pop("context", {})}
        return VendorError(code, self._safe(f"{self._server} {what}."), context=context, **more)

    def _nonsense(self, what: str) -> VendorError:
        return self._failure(
            "vendor_nonsense", f"answered with {what}", hint="Check that the endpoint serves embeddings for this model."
        )

    def _unreachable(self, error: httpx.RequestError) -> VendorError:
        reason = str(error) or type(error).__name__
        # A certificate does not mend itself while one waits.
        transient = "CERTIFICATE_VERIFY_FAILED" not in reason
        hint = "Check that it runs and that this server can reach it." if transient else "Check its certificate."
        return self._failure(
            "vendor_unavailable", "cannot be reached", hint=hint, transient=transient,
            context={"reason": self._safe(reason)[:EXCERPT]},
        )  # fmt: skip

    def _refusal(self, response: httpx.Response) -> VendorError:
        """The error for an answer whose status is not 2xx."""
        status = response.status_code
        complaint, slug = _complaint(response)
        said = self._safe(complaint)[:EXCERPT]  # in this order: half a key is no longer recognised
        known: dict[str, Any] = {"context": {"status": status, "said": said}}
        answered = f"answered {status} {_phrase(status)}".rstrip() + (f" ({said})" if said else "")
        if status == HTTPStatus.TOO_MANY_REQUESTS and slug == "insufficient_quota":
            # Not a matter of waiting, and other keys at the same address still work.
            return self._failure("vendor_rejected", "says that the quota of this API key is used up",
                                 hint="Check the plan and billing of the key, then retry.", **known)  # fmt: skip
        if status == HTTPStatus.TOO_MANY_REQUESTS:
            return self._failure("vendor_rate_limited", "asks for fewer requests", hint=WAIT_HINT, transient=True,
                                 retry_after=_retry_after(response), **known)  # fmt: skip
        if status in {HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.GATEWAY_TIMEOUT}:
            return self._failure("vendor_timeout", answered, hint=WAIT_HINT, transient=True,
                                 retry_after=_retry_after(response), **known)  # fmt: skip
        if status in TRANSIENT_STATUSES or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            return self._failure("vendor_unavailable", answered, hint=WAIT_HINT, transient=True,
                                 retry_after=_retry_after(response), **known)  # fmt: skip
        if status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
            return self._failure("vendor_rejected", f"refused the API key ({status})", hint=KEY_HINT, **known)
        if status in {HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED}:
            return self._failure("vendor_not_found", f"has no model {self.model!r}, or serves no embeddings there"
                                 f" ({status})", hint=self._not_found_hint(), **known)  # fmt: skip
        if response.is_redirect:
            return self._failure("vendor_not_found", f"points to another address ({status})",
                                 hint=self._safe(f"Use {shown(response.headers.get('location', ''))} as endpoint."),
                                 **known)  # fmt: skip
        if status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
            plain = self._failure("vendor_bad_request", "finds a chunk too long", hint=CHUNK_HINT, **known)
            return TooLarge(plain.code, plain.message, hint=plain.hint, context=plain.context)
        return self._failure("vendor_bad_request", answered, hint=CHUNK_HINT, **known)

    def _safe(self, text: str) -> str:
        """*text* without the key, which some servers repeat."""
        return text.replace(self._api_key, "***") if self._api_key else text


ENDPOINT_HINT = "Write it like http://localhost:11434 or https://api.openai.com/v1."
KEY_HINT = "Set a valid API key for this collection."
WAIT_HINT = "It is tried again by itself; if it goes on, check that server."
CHUNK_HINT = "Check the model's name; if it says that the input is too long, use a smaller chunk_size."


def _sendable(texts: list[str]) -> list[str]:
    """Vendors refuse an empty string, and with it all other texts of the request."""
    return [text if text else " " for text in texts]


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return ""


def _complaint(response: httpx.Response) -> tuple[str, str]:
    """What the vendor says is wrong, on one line, and its own slug for it; both may be empty."""
    try:
        body = orjson.loads(response.content)
    except ValueError:
        return "", ""
    error = body.get("error", body) if isinstance(body, dict) else body
    if isinstance(error, str):
        return " ".join(error.split()), ""
    if not isinstance(error, dict):
        return "", ""
    said = error.get("message") or error.get("detail") or ""
    return " ".join(str(said).split()), str(error.get("code") or error.get("type") or "")


def _retry_after(response: httpx.Response) -> float | None:
    """Seconds, from a header that holds seconds or a date."""
    value = response.headers.get("retry-after", "").strip()
    if not value:
        return None
    if value.isdigit():
        return float(value)
    try:
        moment = parsedate_to_datetime(value)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max(0.0, (moment - datetime.now(UTC)).total_seconds())
