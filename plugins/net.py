"""Guarded HTTP: the only way in which addresses that users name are fetched.

A host name is resolved, every address behind it is checked, and the connection goes to one of the addresses that were
checked, so that a name cannot mean one machine while it is checked and another while it is fetched. This happens for
each connection, and so for each redirect too.
"""

import math
import ssl
import time
import zlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import httpcore
import httpx

from plugins.base import PluginError
from plugins.guard import (
    ALLOWED_SETTING,
    AddressBlocked,
    Guard,
    NameNotFound,
    guard_of_environment,
    shortened,
)
from plugins.limits import Limits, patience

__all__ = [
    "ALLOWED_SETTING",
    "USER_AGENT",
    "AddressBlocked",
    "FetchError",
    "Fetched",
    "Fetcher",
    "Guard",
    "GuardedTransport",
    "Limits",
    "NameNotFound",
    "guard_of_environment",
]


class GuardedBackend(httpcore.NetworkBackend):
    """Connects to addresses that the guard has checked, and to nothing else.

    ``deadline`` (of ``time.monotonic``) ends every wait: a server that sends a byte now and then keeps nobody longer.
    """

    def __init__(self, guard: Guard) -> None:
        self.deadline = math.inf
        self._guard = guard
        self._plain = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        failed: Exception | None = None
        for address in self._guard.addresses(host, port):
            try:
                patience = self.patience(timeout, httpcore.ConnectTimeout)
                stream = self._plain.connect_tcp(str(address), port, patience, local_address, socket_options)
                return TimedStream(stream, self)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failed = error
        assert failed is not None  # noqa: S101  (there is at least one address)
        raise failed

    def patience(self, timeout: float | None, error: type[Exception]) -> float | None:
        return patience(timeout, self.deadline, error)

    def connect_unix_socket(
        self, path: str, timeout: float | None = None, socket_options: Iterable[Any] | None = None
    ) -> httpcore.NetworkStream:
        raise AddressBlocked("Local sockets are not fetched from.")


class TimedStream(httpcore.NetworkStream):
    """A connection on which no wait outlasts the deadline of its backend."""

    def __init__(self, stream: httpcore.NetworkStream, backend: GuardedBackend) -> None:
        self._stream = stream
        self._backend = backend

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, self._backend.patience(timeout, httpcore.ReadTimeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, self._backend.patience(timeout, httpcore.WriteTimeout))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        patience = self._backend.patience(timeout, httpcore.ConnectTimeout)
        return TimedStream(self._stream.start_tls(ssl_context, server_hostname, patience), self._backend)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


class GuardedTransport(httpx.HTTPTransport):
    """httpx's own transport, whose connections go through the guard. Proxies of the environment are not used."""

    def __init__(self, guard: Guard, verify: ssl.SSLContext | None = None, connections: int = 10) -> None:
        context = verify or httpx.create_ssl_context()
        super().__init__(verify=context, trust_env=False)
        self.backend = GuardedBackend(guard)
        self._guard = guard
        self._pool.close()
        self._pool = httpcore.ConnectionPool(
            ssl_context=context, max_connections=connections, network_backend=self.backend
        )

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        self._guard.check_url(str(request.url))  # also of each redirect
        return super().handle_request(request)


# -- Fetching ----------------------------------------------------------------------------------------

USER_AGENT = "KB-Server/0.1 (knowledge base ingestion)"
REDIRECTS = frozenset({301, 302, 303, 307, 308})


@dataclass(frozen=True)
class Fetched:
    """An answer with its whole body.

    :param url: where it came from in the end, after redirects
    """

    url: str
    status: int
    headers: httpx.Headers
    content: bytes

    @property
    def redirects_to(self) -> str:
        """Where the answer sends its client, as it was written; empty when it is no redirect."""
        return str(self.headers.get("Location", "")) if self.status in REDIRECTS else ""


class FetchError(PluginError):
    """Nothing usable came back: ``fetch_failed``, ``fetch_timeout``, ``too_large`` or ``too_many_redirects``."""


def unpacker(answer: httpx.Response) -> Callable[[bytes, int], tuple[bytes, bytes]]:
    """A function that takes a piece of the body and the most that may come of it: that text, and the rest of the piece.

    One coding at most, and never more than was asked for: httpx itself unpacks a piece of any codings whole, and a
    kilobyte that was packed twice holds a gigabyte.

    :raises FetchError: the body is packed in a way that was not asked for
    """
    coding = answer.headers.get("Content-Encoding", "").strip().lower()
    if coding in {"", "identity"}:
        return lambda piece, most: (piece[:most], b"")
    if coding not in {"gzip", "x-gzip"}:
        raise httpx.DecodingError(f"Content-Encoding {coding[:50]}")
    reader = zlib.decompressobj(wbits=31)

    def unpack(piece: bytes, most: int) -> tuple[bytes, bytes]:
        try:
            return reader.decompress(piece, most), reader.unconsumed_tail
        except zlib.error as error:
            raise httpx.DecodingError(str(error)) from error

    return unpack


class Fetcher:
    """Fetches addresses within limits; keeps connections open. Use it as a context, from one thread."""

    def __init__(self, guard: Guard | None = None, limits: Limits | None = None) -> None:
        self.guard = guard or guard_of_environment()
        self.limits = limits or Limits()
        self._transport = GuardedTransport(self.guard)
        self._client = httpx.Client(
            transport=self._transport,
            timeout=self.limits.silence_seconds,
            follow_redirects=True,
            max_redirects=self.limits.redirects,
            trust_env=False,
            # gzip only: what it makes of a piece is bounded by a factor of a thousand, and it is everywhere
            headers={"User-Agent": USER_AGENT, "Accept-Encoding": "gzip"},
        )

    def __enter__(self) -> "Fetcher":
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def forget(self) -> None:
        """Forget the cookies: what one page has set is not told to the next."""
        self._client.cookies.clear()

    def get(
        self,
        url: str,
        headers: Mapping[str, str] | None = None,
        *,
        follow: bool = True,
        unwanted: Callable[[httpx.Headers], bool] = lambda _: False,
        until: float = math.inf,
    ) -> Fetched:
        """Fetch *url*, whatever status the answer has.

        :param headers: further ones, such as ``If-None-Match``
        :param follow: whether redirects are followed, or handed to the caller
        :param unwanted: tells by an answer's headers that its body is not fetched; it is empty then
        :param until: of ``time.monotonic``; ends the fetch where that is sooner than the limits do
        :raises AddressBlocked, NameNotFound: before anything was sent there
        :raises FetchError:
        """
        self.guard.check_url(url)
        self._transport.backend.deadline = min(time.monotonic() + self.limits.seconds, until)
        try:
            with self._client.stream("GET", url.strip(), headers=headers, follow_redirects=follow) as answer:
                content = b"" if unwanted(answer.headers) else self._body(answer)
                return Fetched(str(answer.url), answer.status_code, answer.headers, content)
        except httpx.TooManyRedirects as error:
            raise FetchError(
                "too_many_redirects",
                f"{shortened(url)} redirects more than {self.limits.redirects} times.",
                hint="Open it in a browser and use the address where it ends.",
            ) from error
        except httpx.TimeoutException as error:
            raise self._timeout(url) from error
        except httpx.UnsupportedProtocol as error:
            raise AddressBlocked(f"{shortened(url)} redirects to something that is no web address.") from error
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise FetchError(
                "fetch_failed",
                f"{shortened(url)} could not be fetched: {reason_of(error)}.",
                hint="Is the address right, and does the site answer in a browser?",
                transient=True,
            ) from error

    def _body(self, answer: httpx.Response) -> bytes:
        announced = answer.headers.get("Content-Length", "")
        if announced.isdecimal() and int(announced) > self.limits.content_bytes:
            raise self._too_large(str(answer.url))
        content = bytearray()
        most = self.limits.content_bytes + 1
        unpack = unpacker(answer)
        for piece in answer.iter_raw():
            while piece:
                text, piece = unpack(piece, most - len(content))
                content += text
                if len(content) >= most:
                    raise self._too_large(str(answer.url))
        return bytes(content)

    def _too_large(self, url: str) -> FetchError:
        most = self.limits.content_bytes // 1_000_000
        return FetchError(
            "too_large", f"{shortened(url)} is larger than {most} MB, which is the most that is fetched.",
            hint="Download it, split it and upload the parts.",
        )  # fmt: skip

    def _timeout(self, url: str) -> FetchError:
        return FetchError(
            "fetch_timeout",
            f"{shortened(url)} did not answer in time.",
            hint="Try again later; if it stays slow, ingest fewer pages at once.",
            transient=True,
        )


def reason_of(error: Exception) -> str:
    """The few words that fit into a sentence."""
    match error:
        case httpx.ConnectError():
            return "the server cannot be reached"
        case httpx.DecodingError():
            return "its content is not compressed as it says"
        case httpx.RemoteProtocolError() | httpx.ReadError():
            return "the connection broke off"
        case _:
            return "the connection failed"
