"""``requests`` through the address guard, for libraries that bring their own calls but take a session.

The same promises as for everything that is fetched: a name is resolved, every address behind it is checked, and the
connection goes to one of those that were checked. That happens for each connection, and so for each redirect too. With
a proxy it is the proxy's address that is checked; the proxy resolves the rest.
"""

import ipaddress
import math
import socket
import ssl
import time
from base64 import b64encode
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote, urlsplit

import httpx
import requests
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import ConnectTimeoutError, NewConnectionError
from urllib3.util.connection import create_connection

from plugins.base import PluginError
from plugins.guard import AddressBlocked, Guard, NameNotFound, guard_of_environment
from plugins.limits import Limits, patience

__all__ = ["BodyTooLarge", "GuardedAdapter", "GuardedSession", "Limits", "Line", "Proxy"]

LIMITS = Limits(content_bytes=20_000_000, redirects=5)
_BLOCK = 64 * 1024


class BodyTooLarge(requests.RequestException):
    """A body is larger than is read."""


@dataclass(frozen=True)
class Proxy:
    """A proxy, its credentials apart, so that they are in no message of any library.

    :param address: ``http://host:port`` or ``https://host:port``
    :param authorization: header that opens it, or empty
    """

    address: str
    authorization: str = field(default="", repr=False)

    @classmethod
    def parse(cls, text: str) -> "Proxy":
        """:raises PluginError: ``bad_proxy``"""
        text = text.strip()
        try:
            parts = urlsplit(text if "://" in text else f"http://{text}")
            host, port = parts.hostname, parts.port
        except ValueError:
            raise _bad_proxy() from None  # its message would repeat the address
        if parts.scheme not in {"http", "https"} or not host:
            raise _bad_proxy()
        shown = f"[{host}]" if ":" in host else host
        address = f"{parts.scheme}://{shown}:{port or (443 if parts.scheme == 'https' else 80)}"
        try:
            Guard().check_url(address)
        except AddressBlocked:
            raise _bad_proxy() from None
        return cls(address, _basic(parts.username, parts.password))


def _basic(username: str | None, password: str | None) -> str:
    if not username and not password:
        return ""
    pair = f"{unquote(username or '')}:{unquote(password or '')}"
    return f"Basic {b64encode(pair.encode()).decode()}"


def _bad_proxy() -> PluginError:
    return PluginError(
        "bad_proxy",
        "proxy_url is not the address of a proxy.",
        hint="It looks like http://name:8080, or http://user:password@name:8080. SOCKS proxies are not supported.",
    )


class GuardedSession(requests.Session):
    """A session whose connections go only where the guard permits. Proxies of the environment are not used."""

    def __init__(self, guard: Guard | None = None, limits: Limits | None = None, proxy: Proxy | None = None) -> None:
        super().__init__()
        self.limits = limits or LIMITS
        self.max_redirects = self.limits.redirects
        self.trust_env = False
        # gzip only: it is everywhere, and what it makes of a piece is bounded
        self.headers["Accept-Encoding"] = "gzip"
        if proxy:
            self.proxies = {"http": proxy.address, "https": proxy.address}
        self._adapter = GuardedAdapter(guard or guard_of_environment(), self.limits, proxy)
        self.mount("http://", self._adapter)
        self.mount("https://", self._adapter)

    def begin(self) -> None:
        """From now on the requests have the whole time of the limits again."""
        self._adapter.line.deadline = time.monotonic() + self.limits.seconds


class GuardedAdapter(HTTPAdapter):
    """requests' own adapter, whose connections go through a :class:`Line` and whose bodies are bounded."""

    def __init__(self, guard: Guard, limits: Limits, proxy: Proxy | None = None) -> None:
        self.line = Line(guard)
        self._limits = limits
        self._authorization = proxy.authorization if proxy else ""
        self._context = httpx.create_ssl_context()  # heeds SSL_CERT_FILE, as all that is fetched here does
        self._context.sslsocket_class = _timed_tls_socket(self.line)
        self._pool_classes = _pool_classes(self.line)
        super().__init__()

    def init_poolmanager(self, connections: int, maxsize: int, block: bool = False, **kwargs: Any) -> None:
        super().init_poolmanager(connections, maxsize, block, ssl_context=self._context, **kwargs)
        self.poolmanager.pool_classes_by_scheme = self._pool_classes

    def proxy_manager_for(self, proxy: str, **kwargs: Any) -> Any:
        own = {"ssl_context": self._context, "proxy_ssl_context": self._context}
        manager = super().proxy_manager_for(proxy, **own, **kwargs)
        manager.pool_classes_by_scheme = self._pool_classes
        return manager

    def proxy_headers(self, proxy: str) -> dict[str, str]:
        return {"Proxy-Authorization": self._authorization} if self._authorization else {}

    def cert_verify(self, conn: Any, url: str, verify: Any, cert: Any) -> None:
        """The context holds the certificates already."""

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
        """As the base class does, with the whole body read.

        :raises PluginError: ``address_blocked``, ``host_not_found`` or ``proxy_failed``, before anything was sent there
        :raises BodyTooLarge:
        """
        self.line.check(str(request.url))
        kwargs |= {"timeout": self._limits.silence_seconds, "verify": True}
        response = super().send(request, *args, **kwargs)
        try:
            response._content = self._body(response)
        except BaseException:
            response.close()
            raise
        return response

    def _body(self, response: requests.Response) -> bytes:
        body = bytearray()
        for piece in response.iter_content(_BLOCK):
            body += piece
            if len(body) > self._limits.content_bytes:
                raise BodyTooLarge(f"more than {self._limits.content_bytes} bytes", response=response)
        return bytes(body)


class Line:
    """Makes connections to checked addresses; ``deadline`` (of ``time.monotonic``) ends every wait on them."""

    def __init__(self, guard: Guard) -> None:
        self.deadline = math.inf
        self._guard = guard
        self._socket = _timed_socket(self)

    def check(self, url: str) -> None:
        """Refuse what is no web address, and addresses inside that are spelt out, which a proxy would not refuse.

        :raises AddressBlocked:
        """
        host = self._guard.check_url(url).host
        with suppress(ValueError):
            if not self._guard.permits(ipaddress.ip_address(host)):
                self._guard.addresses(host, 0)

    def connect(self, host: str, port: int, timeout: float | None, options: Any) -> socket.socket:
        """:raises AddressBlocked, NameNotFound, OSError:"""
        failed: OSError | None = None
        for address in self._guard.addresses(host, port):
            try:
                patience = self.patience(timeout)
                made = create_connection((str(address), port), patience, socket_options=options)
                connection = self._socket(fileno=made.detach())
                connection.settimeout(patience)
                return connection
            except OSError as error:
                failed = error
        assert failed is not None  # noqa: S101  (there is at least one address)
        raise failed

    def patience(self, timeout: float | None) -> float | None:
        return patience(timeout, self.deadline, TimeoutError)

    def hurry(self, connection: socket.socket) -> None:
        connection.settimeout(self.patience(connection.gettimeout()))


def _timed_socket(line: Line) -> type[socket.socket]:
    class TimedSocket(socket.socket):
        def recv_into(self, *args: Any, **kwargs: Any) -> int:
            line.hurry(self)
            return super().recv_into(*args, **kwargs)

    return TimedSocket


def _timed_tls_socket(line: Line) -> type[ssl.SSLSocket]:
    class TimedTLSSocket(ssl.SSLSocket):
        def recv_into(self, *args: Any, **kwargs: Any) -> int:
            line.hurry(self)
            return super().recv_into(*args, **kwargs)

        def recv(self, *args: Any, **kwargs: Any) -> bytes:  # TLS inside TLS, as with https:// proxies
            line.hurry(self)
            return super().recv(*args, **kwargs)

    return TimedTLSSocket


# -- urllib3 beneath requests ------------------------------------------------------------------------


def _pool_classes(line: Line) -> dict[str, type[HTTPConnectionPool]]:
    """urllib3's pools, with connections that go through *line*."""

    class PlainConnection(HTTPConnection):
        def _new_conn(self) -> socket.socket:
            return _connect(self, line)

    class TLSConnection(HTTPSConnection):
        def _new_conn(self) -> socket.socket:
            return _connect(self, line)

    class PlainPool(HTTPConnectionPool):
        ConnectionCls = PlainConnection

    class TLSPool(HTTPSConnectionPool):
        ConnectionCls = TLSConnection

    return {"http": PlainPool, "https": TLSPool}


def _connect(connection: HTTPConnection, line: Line) -> socket.socket:
    """The one place in urllib3 where a name becomes a connection; its errors are what urllib3 expects there."""
    try:
        port = int(connection.port or 0)
        return line.connect(connection._dns_host, port, connection.timeout, connection.socket_options)
    except (AddressBlocked, NameNotFound) as error:
        if connection.proxy is None:
            raise
        raise _about_proxy(error) from None  # what people say about their proxy is repeated nowhere
    except TimeoutError as error:
        raise ConnectTimeoutError(connection, "no connection in time") from error
    except OSError as error:
        raise NewConnectionError(connection, f"no connection: {error.strerror or error}") from error


def _about_proxy(error: PluginError) -> PluginError:
    if isinstance(error, AddressBlocked):
        return AddressBlocked("The proxy leads into a private network, which this server does not use.", error.hint)
    return PluginError(
        "proxy_failed",
        "There is no proxy of the name that was given.",
        hint="Check proxy_url for typing errors.",
        transient=True,
    )
