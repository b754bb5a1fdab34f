"""The address guard: which of the addresses that users name this server connects to.

A host name is resolved and every address behind it is checked: the inside of a network, the machine itself and the
metadata service of a cloud are no web sites, however they are spelled.
"""

import ipaddress
import os
import socket
from collections.abc import Callable, Iterable

import httpx

from plugins.base import PluginError
from plugins.passwords import address_without_password

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Resolver = Callable[[str, int], list[str]]

ALLOWED_SETTING = "KB_FETCH_ALLOW_PRIVATE"
FORBIDDEN = frozenset(" %\\<>\"'`{}|^")  # no host name has these; the % of an IPv6 zone is for the own network
TRANSLATED = ipaddress.IPv6Network("64:ff9b::/96")  # NAT64: an IPv4 address in the last 32 bits
_ISATAP, _ITS_BITS = 0x5EFE, 0xFCFFFFFF  # what its interface ids begin with, whatever their flags (RFC 5214)
# What lies inside although some version of Python's own list lets it through.
_INSIDE = tuple(
    ipaddress.ip_network(text)
    for text in (
        "100.64.0.0/10",  # shared by the customers of one provider (RFC 6598), and the metadata service of Alibaba
        "168.63.129.16/32",  # the host beneath a machine of Azure
        "192.0.0.0/24",  # protocol assignments (RFC 6890), and the metadata service of Oracle
        "3fff::/20",  # documentation (RFC 9637)
        "5f00::/16",  # segment routing (RFC 9602)
        "64:ff9b:1::/48",  # NAT64 of one network (RFC 8215)
        "fec0::/10",  # what fc00::/7 was before (RFC 3879)
    )
)


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
            host = parsed.host  # may fail too: it is decoded from punycode
        except (httpx.InvalidURL, ValueError) as error:
            raise AddressBlocked(f"This is not a web address: {shortened(url)}.") from error
        if parsed.scheme not in {"http", "https"} or not host or FORBIDDEN & set(host):
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
        """Whether *address* is public or allowed. An IPv4 address inside an IPv6 one is judged as what it is.

        ISATAP is built upon addresses of any network, so that both have to be permitted.
        """
        inner = embedded(address)
        if inner is not None:
            return self.permits(inner)
        if (tunnelled := _isatap(address)) is not None and not self.permits(tunnelled):
            return False
        return is_public(address) or _is_in(address, self.allowed)


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
    return address.is_global and not inside and not _is_in(address, _INSIDE)


def _is_in(address: Address, networks: Iterable[Network]) -> bool:
    return any(address.version == network.version and address in network for network in networks)


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


def _isatap(address: Address) -> ipaddress.IPv4Address | None:
    """The IPv4 address of the machine to which an ISATAP address is tunnelled."""
    if address.version == 4 or int(address) >> 32 & _ITS_BITS != _ISATAP:
        return None
    return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)


def system_resolver(host: str, port: int) -> list[str]:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(place[0]) for *_, place in found]


def shortened(url: str) -> str:
    """*url* for a message."""
    url = address_without_password(url)
    return repr(url if len(url) <= 200 else url[:200] + "…")


def guard_of_environment() -> Guard:
    """As the operator has set it; plugin hosts are given the setting in their environment."""
    networks = os.environ.get(ALLOWED_SETTING, "").split(",")
    return Guard(ipaddress.ip_network(text.strip(), strict=False) for text in networks if text.strip())
