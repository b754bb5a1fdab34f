"""Guarded HTTP: the only way in which addresses that users name are fetched.

A host name is resolved, every address behind it is checked, and the connection goes to one of the addresses that were
checked, so that a name cannot mean one machine while it is checked and another while it is fetched. This happens for
each connection, and so for each redirect too.
"""

import ipaddress
import math
import os
import socket
import ssl
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import httpcore
import httpx

from plugins.base import PluginError

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Resolver = Callable[[str, int], list[str]]

ALLOWED_SETTING = "KB_FETCH_ALLOW_PRIVATE"
FORBIDDEN = frozenset(" %\\<>\"'`{}|^")  # no host name has these; the % of an IPv6 zone is for the own network
TRANSLATED = ipaddress.IPv6Network("64:ff9b::/96")  # NAT64: an IPv4 address in the last 32 bits


class AddressBlocked(PluginError):
    """An address that this server does not fetch from."""

    def __init__(
        self, message: str, hint: str = "Name a public web address that starts with http:// or https://."
    ) -> None:
        super().__init__("address_blocked", message, hint=hint)


class NameNotFound(PluginError):
    """A host name that nobody knows; it may be a passing fault of the network."""

    def __init__(self, host: str) -> None:
        super().__init__(
            "host_not_found",
            f"There is no server named {host!r}.",
            hint="Check the address for typing errors.",
            transient=True,
        )


class Guard:
    """Knows which addresses may be connected to.

    :param allowed: networks that are not public but may be fetched from, such as an intranet
    :param resolve: ``(host, port)`` to addresses as text; raises :class:`OSError` when there are none
    """

    def __init__(self, allowed: Iterable[Network] = (), resolve: Resolver | None = None) -> None:
        self.allowed = tuple(allowed)
        self.resolve = resolve or system_resolver

    def check_url(self, url: str) -> httpx.URL:
        """The parsed *url*, when its form is one that may be fetched. Where it leads is checked at each connection.

        :raises AddressBlocked:
        """
        try:
            parsed = httpx.URL(url.strip())
        except (httpx.InvalidURL, ValueError) as error:
            raise AddressBlocked(f"This is not a web address: {shortened(url)}.") from error
        if parsed.scheme not in {"http", "https"} or not parsed.host or FORBIDDEN & set(parsed.host):
            raise AddressBlocked(f"This is not a web address: {shortened(url)}.")
        if parsed.userinfo:
            raise AddressBlocked(
                "Addresses that contain a user name or password are not fetched.",
                hint="Leave out the part before the @.",
            )
        if parsed.port is not None and not 0 < parsed.port < 65536:
            raise AddressBlocked(f"This is not a web address: {shortened(url)}.")
        return parsed

    def addresses(self, host: str, port: int) -> list[Address]:
        """All addresses of *host*, each of which may be connected to.

        One that is refused refuses all: a name that leads inside and outside at once is a trick or a mistake.

        :raises AddressBlocked:
        :raises NameNotFound:
        """
        name = host.rstrip(".").lower()
        if name == "localhost" or name.endswith(".localhost"):
            host = "127.0.0.1"  # RFC 6761; resolvers differ
        try:
            found = [ipaddress.ip_address(text.partition("%")[0]) for text in self.resolve(host, port)]
        except (OSError, ValueError) as error:  # UnicodeError of a label that is too long is a ValueError
            raise NameNotFound(host) from error
        if not found:
            raise NameNotFound(host)
        for address in found:
            if not self.permits(address):
                raise AddressBlocked(
                    f"{host} leads into a private network ({address}), which this server does not fetch from.",
                    hint=f"If it is meant to, the operator can allow the network with {ALLOWED_SETTING}.",
                )
        return found

    def permits(self, address: Address) -> bool:
        """Whether *address* is public or allowed. An IPv4 address inside an IPv6 one is judged as what it is."""
        inner = embedded(address)
        if inner is not None:
            return self.permits(inner)
        return is_public(address) or any(
            address.version == network.version and address in network for network in self.allowed
        )


def is_public(address: Address) -> bool:
    """Whether *address* is one of the open internet."""
    inside = (
        address.is_multicast
        or address.is_reserved
        or address.is_loopback
        or address.is_link_local
        or address.is_unspecified
        or (isinstance(address, ipaddress.IPv6Address) and address.is_site_local)
    )
    return address.is_global and not inside


def embedded(address: Address) -> ipaddress.IPv4Address | None:
    """The IPv4 address that an IPv6 address stands for, or is tunnelled to."""
    if not isinstance(address, ipaddress.IPv6Address):
        return None
    if address in TRANSLATED:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    if address.teredo:
        return address.teredo[1]
    if int(address) >> 32 == 0 and int(address) > 1:  # ::a.b.c.d, "IPv4-compatible"
        return ipaddress.IPv4Address(int(address))
    return address.ipv4_mapped or address.sixtofour


def system_resolver(host: str, port: int) -> list[str]:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(place[0]) for *_, place in found]


def shortened(url: str) -> str:
    return repr(url if len(url) <= 200 else url[:200] + "…")


def guard_of_environment() -> Guard:
    """As the operator has set it; plugin hosts are given the setting in their environment."""
    networks = os.environ.get(ALLOWED_SETTING, "").split(",")
    return Guard(ipaddress.ip_network(text.strip(), strict=False) for text in networks if text.strip())


# -- HTTP through the guard --------------------------------------------------------------------------


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
        """Seconds that a wait may last; None for ever. :raises error: none"""
        left = min(math.inf if timeout is None else timeout, self.deadline - time.monotonic())
        if left <= 0:
            raise error
        return None if left == math.inf else left

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


@dataclass(frozen=True)
class Limits:
    """What one fetch may cost.

    :param content_bytes: of the body, after decompression
    :param seconds: from the first request to the last byte, redirects included
    :param silence_seconds: without a byte, or for a connection to be made
    :param redirects: how many are followed
    """

    content_bytes: int = 50_000_000
    seconds: float = 60.0
    silence_seconds: float = 15.0
    redirects: int = 10


@dataclass(frozen=True)
class Fetched:
    """An answer with its whole body.

    :param url: where it came from in the end, after redirects
    """

    url: str
    status: int
    headers: httpx.Headers
    content: bytes


class FetchError(PluginError):
    """Nothing usable came back: ``fetch_failed``, ``fetch_timeout``, ``too_large`` or ``too_many_redirects``."""


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

    def get(self, url: str, headers: Mapping[str, str] | None = None) -> Fetched:
        """Fetch *url*, whatever status the answer has.

        :param headers: further ones, such as ``If-None-Match``
        :raises AddressBlocked, NameNotFound: before anything was sent there
        :raises FetchError:
        """
        self.guard.check_url(url)
        self._transport.backend.deadline = time.monotonic() + self.limits.seconds
        try:
            with self._client.stream("GET", url.strip(), headers=headers) as answer:
                content = self._body(answer)
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
        for piece in answer.iter_bytes():
            content += piece
            if len(content) > self.limits.content_bytes:
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
            hint="It is tried again by itself; if it stays slow, ingest fewer pages at once.",
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
