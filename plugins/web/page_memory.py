"""What is kept of a page from one run to the next, so that only what has changed is fetched and converted again."""

import hashlib
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from plugins.kept import Kept, key_of
from plugins.net import Fetched
from plugins.web.html_markdown import WebPage
from plugins.web.robots import orders
from plugins.web.web_pages import obedient

EXTRACTION = 2  # raised whenever the same bytes would be read differently


@dataclass(frozen=True)
class PageMemory:
    """A page as it was read, with what its server said to recognise it by.

    :param body: a digest of its bytes
    :param told: the orders to robots in its headers
    """

    page: WebPage
    status: int
    body: str
    etag: str = ""
    modified: str = ""
    told: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, answer: Fetched, page: WebPage) -> "PageMemory":
        etag, modified = (_sendable(answer.headers.get(name, "")) for name in ("ETag", "Last-Modified"))
        return cls(page, answer.status, _digest(answer), etag, modified, _orders(answer))

    def conditions(self) -> dict[str, str]:
        """Headers that ask for the page only if it has changed.

        None where headers held orders to robots: whether they still do is not said by an answer without the page.
        """
        asked = {} if self.told else {"If-None-Match": self.etag, "If-Modified-Since": self.modified}
        return {name: value for name, value in asked.items() if value}

    def is_still(self, answer: Fetched) -> bool:
        """Whether *answer* says, or shows, that the page has not changed. A 304 may hold new orders to robots."""
        same = answer.status == self.status and _digest(answer) == self.body and _orders(answer) == self.told
        return answer.status == 304 or same

    def obeying(self, answer: Fetched) -> "PageMemory":
        """The same page, with the orders to robots in *answer*."""
        told = _orders(answer)
        return self if told in ([], self.told) else replace(self, page=obedient(self.page, told), told=told)


class PageMemories:
    """The memories of one job.

    :param variant: what else the reading of a page depends on
    """

    def __init__(self, kept: Kept, *variant: Any) -> None:
        self._kept = kept
        self._variant = variant

    def get(self, address: str) -> PageMemory | None:
        entry = self._kept.get(self._key(address))
        try:
            return PageMemory(**{**entry, "page": WebPage(**entry["page"])}) if entry else None
        except (TypeError, KeyError, AttributeError):
            return None  # of another version

    def put(self, address: str, memory: PageMemory) -> None:
        self._kept.put(self._key(address), asdict(memory))

    def forget(self, address: str) -> None:
        self._kept.forget(self._key(address))

    def _key(self, address: str) -> str:
        return key_of("page", address, EXTRACTION, *self._variant)


def _sendable(value: str) -> str:
    """A header's value, if it can be sent back as it came."""
    return value if len(value) <= 1000 and value.isascii() and value.isprintable() else ""


def _digest(answer: Fetched) -> str:
    return hashlib.blake2b(answer.content, digest_size=16).hexdigest()


def _orders(answer: Fetched) -> list[str]:
    return sorted(orders(answer.headers.get_list("X-Robots-Tag")))
