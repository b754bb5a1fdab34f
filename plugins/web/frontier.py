"""What a crawl knows about addresses: which wait, which were visited, and which turned out to be the same page."""

import hashlib
import re
import zlib
from array import array
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit

from plugins.web.addresses import Scope, host_of, key_of_page
from plugins.web.html_markdown import WebPage

MOST_NEW = 100  # characters that a double may have for itself, such as "For printers"; never a number
SHARE_NEW = 0.25  # of its text, at most
_SENTENCES = re.compile(r"[.!?…][ \n]|[。！？\n]")
_NUMBER = re.compile(r"\d")


@dataclass(frozen=True, slots=True)
class Target:
    """An address to visit. *start* is the named one that led to it; without *scope* none of its links is followed."""

    address: str
    start: str
    scope: Scope | None = None
    depth: int = 0


class Frontier:
    """The addresses that wait, in the order in which they were found. It holds *capacity* of them and no more.

    :param ignore_query: count addresses that differ in their parameters only as one
    """

    def __init__(self, capacity: int, ignore_query: bool) -> None:
        self._capacity = capacity
        self._ignore_query = ignore_query
        self._overflown = 0
        self._waiting: deque[Target] = deque()
        self._known: set[str] = set()
        self._visited: set[str] = set()

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def left_out(self) -> int:
        """How many addresses were found and have not had their turn."""
        return self._overflown + sum(self.key(target.address) not in self._visited for target in self._waiting)

    def key(self, address: str) -> str:
        return key_of_page(address, self._ignore_query)

    def add(self, target: Target) -> None:
        """Let *target* wait for its turn, unless it has had it or waits already."""
        key = self.key(target.address)
        if key in self._known:
            return
        if len(self._waiting) >= self._capacity:
            self._overflown += 1
            return
        self._known.add(key)
        self._waiting.append(target)

    def pop(self) -> Target | None:
        """The next address that was not visited yet, by a redirect for example. It counts as visited from now on."""
        while self._waiting:
            target = self._waiting.popleft()
            if self.visit(target.address):
                return target
        return None

    def put_back(self, target: Target) -> None:
        """Let *target* wait again: its turn came to nothing."""
        self._visited.discard(self.key(target.address))
        self._waiting.appendleft(target)

    def visit(self, address: str) -> bool:
        """Note that *address* is visited now; False when it was before."""
        key = self.key(address)
        if key in self._visited:
            return False
        self._known.add(key)
        self._visited.add(key)
        return True


class Sentences:
    """The sentences of a text, four bytes each: enough to measure what another text has that it has not."""

    def __init__(self, text: str) -> None:
        self._known = array("I", {_digest(sentence) for sentence in _sentences(text)})

    def hold(self, text: str) -> bool:
        """Whether *text* has next to nothing that is not here. A sentence with a number in it is something."""
        known, most = set(self._known), min(MOST_NEW, SHARE_NEW * len(text))
        new = [sentence for sentence in _sentences(text) if _digest(sentence) not in known]
        return sum(map(len, new)) <= most and not any(map(_NUMBER.search, new))


@dataclass(frozen=True, slots=True)
class _Named:
    """A page that goes by a name."""

    address: str
    title: str
    sentences: Sentences


class PagesRead:
    """Which pages were read, to tell those that come under a second address.

    Two are the same when their texts are, or when one names the other as its canonical address, both have the same
    title, and the second has next to nothing that the first has not. The link alone is not believed: sites that name
    one address for all of their pages are common, and so are lists whose every page names the first.

    :param key: what the spellings of an address have in common
    """

    def __init__(self, key: Callable[[str], str]) -> None:
        self._key = key
        self._texts: dict[bytes, str] = {}
        self._names: dict[str, _Named] = {}  # by key of the name

    def twin(self, address: str, page: WebPage) -> str:
        """The address under which *page* was read before; empty when it is new, and then it counts as read."""
        digest = hashlib.blake2b(" ".join(page.markdown.split()).encode("utf-8", "replace"), digest_size=16).digest()
        names = [self._key(address)]
        if _is_believable(page.canonical, address):
            names.append(self._key(page.canonical))
        same = self._texts.get(digest) or self._namesake(names, page)
        if not same:
            self._texts[digest] = address
            named = _Named(address, page.title, Sentences(page.markdown))
            for name in names:
                self._names.setdefault(name, named)
        return same

    def _namesake(self, names: list[str], page: WebPage) -> str:
        for name in names:
            named = self._names.get(name)
            if named and page.title and named.title == page.title and named.sentences.hold(page.markdown):
                return named.address
        return ""


def _sentences(text: str) -> Iterator[str]:
    return (" ".join(part.split()).rstrip(".!?…") for part in _SENTENCES.split(text))


def _digest(sentence: str) -> int:
    return zlib.crc32(sentence.encode("utf-8", "replace"))


def _is_believable(canonical: str, address: str) -> bool:
    if not canonical or host_of(canonical).removeprefix("www.") != host_of(address).removeprefix("www."):
        return False
    return urlsplit(canonical).path.strip("/") != "" or urlsplit(address).path.strip("/") == ""
