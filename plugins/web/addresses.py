"""Addresses of pages: one form for each, and which of them belong to a crawl."""

import fnmatch
import functools
import re
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import SplitResult, unquote, urljoin, urlsplit, urlunsplit

from w3lib.url import canonicalize_url, safe_url_string

from plugins.base import PluginError
from plugins.passwords import address_without_password

MAX_LENGTH = 2000
MAX_PATTERNS = 100
_WEB = frozenset({"http", "https"})
_DEFAULT_PORTS = {"http": ":80", "https": ":443"}
# What tells a site where its visitor comes from, and nothing about the page.
_TRACKING = re.compile(
    r"utm_\w+|(?:fb|g|dc|ms|y|tt|tw)clid|gbraid|wbraid|mc_[ce]id|igshid|_g[al]|_hs(?:enc|mi)"
    r"|phpsessid|jsessionid|aspsessionid\w*",
    re.IGNORECASE,
)
# With slashes any; without them those that are known, since "name:secret@example.org" and "example.org:80" have colons
_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*://|(?:mailto|javascript|data|tel|file|about|blob|urn):", re.IGNORECASE)
# Numbers of versions such as 5.2, v1.2.0rc1 or 3.x are no types of files, and neither is what holds other characters
_EXTENSION = re.compile(r"[^.]\.(7z|3gp|3g2|(?!(?:x|dev|alpha|beta|rc)$)[a-z][a-z0-9]{0,9})$")
_SESSION_PATH = re.compile(r";jsessionid=[^/;?]*", re.IGNORECASE)


@functools.lru_cache(maxsize=4096)  # a site's pages share most of their links
def cleaned(url: str) -> str:
    """*url* as it is fetched and cited: without fragment, tracking, session and default port.

    :raises ValueError: no web address, one with a password, or longer than any that works
    """
    parts = urlsplit(safe_url_string(url.strip()))
    if parts.scheme not in _WEB or not parts.hostname or "@" in parts.netloc or len(url) > MAX_LENGTH:
        raise ValueError("no web address")
    netloc = parts.netloc.lower().removesuffix(_DEFAULT_PORTS[parts.scheme])
    path = _without_dots(_SESSION_PATH.sub("", parts.path) or "/")
    query = "&".join(part for part in parts.query.split("&") if not _TRACKING.fullmatch(part.partition("=")[0]))
    return urlunsplit(SplitResult(parts.scheme, netloc, path, query, ""))


def _without_dots(path: str) -> str:
    """*path* as it is asked for in the end: ``/a/../b`` is ``/b``, also for robots.txt and for patterns."""
    if "/." not in path:
        return path
    kept: list[str] = []
    for part in path.split("/")[1:]:
        if part == "..":
            del kept[-1:]
        elif part != ".":
            kept.append(part)
    return "/" + "/".join([*kept, ""] if path.endswith(("/.", "/..")) else kept)


@functools.lru_cache(maxsize=4096)
def key_of_page(address: str, ignore_query: bool = False) -> str:
    """The same text for all addresses that differ in spelling or order of parameters only."""
    return str(canonicalize_url(address.partition("?")[0] if ignore_query else address))


@functools.lru_cache(maxsize=4096)
def resolved(base: str, reference: str) -> str:
    """The web address that *reference* means on the page *base*, cleaned; empty when it means none."""
    try:
        return cleaned(urljoin(base, reference.strip()))
    except ValueError:
        return ""


def named_address(text: str) -> str:
    """What a person has typed, as an address: ``example.org/x`` means ``https://example.org/x``."""
    text = text.strip().removeprefix("<").removesuffix(">")
    if text.startswith("//"):
        return f"https:{text}"
    return text if _SCHEME.match(text) else f"https://{text}"


def shown(text: str) -> str:
    """What was meant as an address, without the password that it may hold, short enough for a message."""
    return address_without_password(text)[:200]


def host_of(address: str) -> str:
    """Name and port: what a server is known by."""
    return urlsplit(address).netloc


def extension_of(address: str) -> str:
    """``pdf`` of ``https://example.org/a/report.PDF?x=1``; empty when the path has none, or ends in a version."""
    return _extension(urlsplit(address).path)


def _extension(path: str) -> str:
    found = _EXTENSION.search(path.rpartition("/")[2].lower())
    return found[1] if found else ""


# -- Scope ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Rules:
    """Which links of a page are followed.

    :param entire_domain: anywhere on the host; otherwise only at or below the start's path
    :param subdomains: also on hosts whose name ends with the start's
    :param include: patterns of which a path must match one, if there are any
    :param exclude: patterns of which a path must match none
    """

    entire_domain: bool = True
    subdomains: bool = False
    include: tuple[re.Pattern[str], ...] = ()
    exclude: tuple[re.Pattern[str], ...] = ()


class Scope:
    """The part of the web that belongs to one start address."""

    def __init__(self, start: str, rules: Rules) -> None:
        self._rules = rules
        self._places = [_place(start)]

    def widen(self, address: str) -> None:
        """Count *address* as the start too: the start has redirected to it."""
        self._places.append(_place(address))

    def allows(self, address: str) -> bool:
        host, path = _place(address)
        rules = self._rules
        if not any(self._is_within(host, path, place) for place in self._places):
            return False
        plain = unquote(path)
        if any(pattern.match(plain) for pattern in rules.exclude):
            return False
        return not rules.include or any(pattern.match(plain) for pattern in rules.include)

    def _is_within(self, host: str, path: str, place: tuple[str, str]) -> bool:
        home, start = place
        if host != home and not (self._rules.subdomains and host.endswith(f".{home}")):
            return False
        return self._rules.entire_domain or path == start or path.startswith(_folder(start))


def _place(address: str) -> tuple[str, str]:
    """Host and path. ``www.example.org`` counts as ``example.org``: sites use both for the same."""
    parts = urlsplit(address)
    return parts.netloc.removeprefix("www."), parts.path


def _folder(path: str) -> str:
    """What is below *path*: below its folder, when it names a file such as ``index.html``."""
    before, _, last = path.rpartition("/")
    return f"{before}/" if _extension(path) or not last else f"{path}/"


def path_patterns(name: str, texts: Iterable[str]) -> tuple[re.Pattern[str], ...]:
    """Patterns such as ``/docs/*`` as expressions that take linear time, whatever they hold.

    They match a path and all below it. Without a slash in front they may begin at any folder. The spellings ``^``,
    ``$`` and ``.*`` of regular expressions are understood.

    :raises PluginError: ``bad_parameter``
    """
    patterns = [text for text in texts if text.strip()]
    if len(patterns) > MAX_PATTERNS:
        raise _bad_pattern(f"{name} holds more than {MAX_PATTERNS} patterns.")
    return tuple(_pattern(name, text.strip()) for text in patterns)


def _pattern(name: str, text: str) -> re.Pattern[str]:
    path = "/" + text.split("://", 1)[1].partition("/")[2] if "://" in text else text
    path = re.sub(r"\.[*+]", "*", path.removeprefix("^").removesuffix("$"))
    path = re.sub(r"\*{2,}", "*", path.replace("\\.", ".").replace("\\/", "/"))
    if set(path) & set("\\[]{}|^$?") or len(path) > MAX_LENGTH:
        raise _bad_pattern(f"{name} holds {text[:100]!r}, which is no path with asterisks.")
    path = unquote(path).removesuffix("*").rstrip("/") if path.endswith("/*") else unquote(path).rstrip("/")
    if not path.startswith(("/", "*")):
        path = f"*/{path}" if path else "*"
    # fnmatch's expressions do not backtrack from one asterisk into the one before
    return re.compile(f"{fnmatch.translate(path)}|{fnmatch.translate(path + '/*')}")


def _bad_pattern(message: str) -> PluginError:
    return PluginError(
        "bad_parameter",
        message,
        hint="Write paths such as /docs/* or *.pdf, one a line; an asterisk stands for any characters.",
    )
