"""What a crawl knows about addresses: which wait, which were visited, and which turned out to be the same page."""

import hashlib
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlsplit

from plugins.web.addresses import Scope, host_of, key_of_page
from plugins.web.html_markdown import WebPage


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


class PagesRead:
    """Which pages were read, to tell those that come under a second address.

    Two are the same when their texts are, or when one names the other as its canonical address and both have the same
    title. Without the title that is not believed: sites that name one address for all of their pages are common.

    :param key: what the spellings of an address have in common
    """

    def __init__(self, key: Callable[[str], str]) -> None:
        self._key = key
        self._texts: dict[bytes, str] = {}
        self._names: dict[str, tuple[str, str]] = {}  # key: title and address of the page that goes by it

    def twin(self, address: str, page: WebPage) -> str:
        """The address under which *page* was read before; empty when it is new, and then it counts as read."""
        digest = hashlib.blake2b(" ".join(page.markdown.split()).encode("utf-8", "replace"), digest_size=16).digest()
        names = [self._key(address)]
        if _is_believable(page.canonical, address):
            names.append(self._key(page.canonical))
        known = [self._names[name] for name in names if name in self._names]
        same = self._texts.get(digest) or next((of for title, of in known if title and title == page.title), "")
        if not same:
            self._texts[digest] = address
            for name in names:
                self._names.setdefault(name, (page.title, address))
        return same


def _is_believable(canonical: str, address: str) -> bool:
    if not canonical or host_of(canonical).removeprefix("www.") != host_of(address).removeprefix("www."):
        return False
    return urlsplit(canonical).path.strip("/") != "" or urlsplit(address).path.strip("/") == ""
