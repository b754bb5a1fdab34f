"""A crawl: from the named addresses to the pages that they lead to, breadth first and no page twice."""

import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from plugins.base import PluginError
from plugins.bot_walls import bot_wall
from plugins.kept import Kept
from plugins.net import AddressBlocked, Fetched, Fetcher
from plugins.web.addresses import Rules, Scope, cleaned, extension_of, named_address, resolved, shown
from plugins.web.frontier import Frontier, PagesRead, Target
from plugins.web.html_markdown import WebPage
from plugins.web.page_memory import PageMemories, PageMemory
from plugins.web.polite import OutOfTime, PoliteFetcher
from plugins.web.robots import forbidden
from plugins.web.web_pages import UNREADABLE, is_unreadable, read_answer, unsupported

MAX_REDIRECTS = 10
LOADING = 50  # characters; on a page that scripts build, fewer are a sign that says so
BRIEF = 500  # characters of a page that only sends its reader elsewhere
_CLOSED = frozenset({401, 403, 404, 410, 451})  # or gone: what is said of the page itself, and not of the moment
_WALLED = _CLOSED | {405, 429, 503}
_IN_PLACE = frozenset({"bot_wall", "no_text"})  # of the page, which is still there


@dataclass(frozen=True)
class Order:
    """What to crawl.

    :param starts: addresses whose links are followed, *depth* links far
    :param singles: addresses that are read alone
    :param limit: pages that are asked for at most; all that are named are asked for in any case
    :param ignore_query: count addresses that differ in their parameters only as one
    :param delay: seconds between two requests to one host
    :param seconds: that the whole crawl may take
    """

    starts: tuple[str, ...] = ()
    singles: tuple[str, ...] = ()
    depth: int = 2
    limit: int = 100
    rules: Rules = field(default_factory=Rules)
    ignore_query: bool = False
    respect_robots: bool = True
    delay: float = 0.5
    seconds: float = 300.0


# -- Outcomes of a visit ----------------------------------------------------------------------------


@dataclass(frozen=True)
class Read:
    """A page with text. *address* is where it was in the end; *unchanged* when it was kept from an earlier run.

    *stale* says why the page was not to be had this time, when its text of an earlier run stands in for it.
    """

    target: Target
    address: str
    page: WebPage
    status: int
    unchanged: bool
    stale: PluginError | None = None


@dataclass(frozen=True)
class Failed:
    """A page that could not be read, in the words of a :class:`PluginError`; *status* is 0 without an answer.

    *named* when somebody has asked for this page, and not only a link led there.
    """

    address: str
    code: str
    message: str
    hint: str
    transient: bool
    status: int = 0
    named: bool = False

    @classmethod
    def of(cls, address: str, error: PluginError, *, named: bool) -> "Failed":
        told = error.message
        message = told if address in told else f"{address} could not be read. {told}"
        return cls(address, error.code, message, error.hint, error.transient, getattr(error, "status", 0), named)


@dataclass(frozen=True)
class Duplicate:
    """A page that has been read under another address."""

    address: str
    of: str


@dataclass(frozen=True)
class Elsewhere:
    """A link that redirects out of the part of the web that was asked for."""

    address: str
    to: str


Outcome = Read | Failed | Duplicate | Elsewhere


class PageError(PluginError):
    """What is wrong with a page whose server has answered with *status*."""

    def __init__(self, status: int, code: str, message: str, hint: str, *, transient: bool = False) -> None:
        super().__init__(code, message, hint=hint, transient=transient)
        self.status = status


# -- The crawl --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Visit:
    """What one address has answered: a page, or where to look instead."""

    address: str
    status: int = 0
    page: WebPage = field(default_factory=lambda: WebPage(""))
    unchanged: bool = False
    redirects_to: str = ""
    stale: PluginError | None = None

    @classmethod
    def of(
        cls, address: str, memory: PageMemory, *, unchanged: bool = False, stale: PluginError | None = None
    ) -> "_Visit":
        page = memory.page
        refresh = page.refresh if page.refresh != address and len(page.markdown) < BRIEF else ""
        return cls(address, memory.status, page, unchanged, refresh, stale)

    def problem(self) -> PageError | None:
        """What stands in the place of a page's text: a wall, or nothing."""
        page = self.page
        if self.redirects_to:
            return None
        if bot_wall(page.title, page.markdown):
            return _walled(self.address, self.status)
        return _no_text(self.address, self.status, page) if _is_empty(page) and not page.noindex else None


class Crawl:
    """One crawl. Its outcomes come as they happen: memory holds one page at a time, and the addresses.

    :param kept: entries of earlier runs; what has not changed since is not fetched again
    :param progress: hears ``(done, total, message)``; the total grows as pages are found
    """

    def __init__(self, order: Order, fetcher: Fetcher, kept: Kept, progress: Callable[[int, int, str], None]) -> None:
        self.order = order
        self.done = 0
        self.out_of_time = False
        self.unreadable_links = 0  # to pictures and the like
        self.seconds = {"fetching": 0.0, "conversion": 0.0}
        self._limit = max(order.limit, len(order.starts) + len(order.singles))
        self._asked = 0
        self._until = time.monotonic() + order.seconds
        self._progress = progress
        self._frontier = Frontier(2 * self._limit + 1000, order.ignore_query)
        self._read = PagesRead(self._frontier.key)
        self._memories = PageMemories(kept, order.respect_robots)
        self._http = PoliteFetcher(
            fetcher, delay=order.delay, respect_robots=order.respect_robots, until=self._until, tell=self._tell
        )

    @property
    def left_out(self) -> int:
        """How many addresses were found, but not asked for."""
        return self._frontier.left_out

    def run(self) -> Iterator[Outcome]:
        """Visit page after page, until none is left or a limit is reached."""
        for outcome in self._outcomes():
            self.done += 1
            yield outcome

    def _outcomes(self) -> Iterator[Outcome]:
        yield from self._begin()
        late: list[Target] = []  # of one host perhaps, while others still answer in time
        while self._asked < self._limit and (target := self._frontier.pop()):
            if time.monotonic() >= self._until:
                late.append(target)
                break
            try:
                outcome = self._visit(target)
            except OutOfTime:
                late.append(target)
                continue
            if not isinstance(outcome, Failed) or outcome.code != "robots" or outcome.status:
                self._asked += 1  # robots.txt was heeded without asking
            yield outcome
        self.out_of_time = bool(late)
        for target in reversed(late):
            self._frontier.put_back(target)

    def _begin(self) -> Iterator[Failed]:
        """Let the named addresses wait for their turn; those that are none have failed."""
        follow = [(named, True) for named in self.order.starts] + [(named, False) for named in self.order.singles]
        for named, follows in follow:
            try:
                address = cleaned(named_address(named))
                self._frontier.add(Target(address, address, Scope(address, self.order.rules) if follows else None))
            except ValueError:
                error = AddressBlocked(f"{shown(named)} is no address that can be fetched.")
                yield Failed.of(shown(named), error, named=True)

    def _tell(self, message: str) -> None:
        ahead = max(1, min(len(self._frontier) + 1, self._limit - self._asked))
        self._progress(self.done, self.done + ahead, message)

    def _visit(self, target: Target) -> Outcome:
        """:raises OutOfTime: it was not asked for"""
        try:
            try:
                return self._follow(target)
            except PluginError as error:  # perhaps at an address to which it has redirected
                earlier = self._earlier(target.address, error)
                if earlier.redirects_to:
                    raise
                return self._arrived(target, earlier)
        except PluginError as error:
            return Failed.of(target.address, error, named=not target.depth)

    def _follow(self, target: Target) -> Outcome:
        """Visit *target*, or where it redirects to."""
        if extension_of(target.address) in UNREADABLE:
            raise unsupported(f"{target.address} is no text, as its name tells.")
        address, chain = target.address, set[str]()
        self._http.begin()
        for _ in range(MAX_REDIRECTS + 1):
            self._tell(f"Crawling {address}")
            visit = self._fetch(address)
            if not visit.redirects_to:
                return self._arrived(target, visit)
            chain.add(self._frontier.key(address))
            address = visit.redirects_to
            if target.depth and target.scope and not target.scope.allows(address):
                return Elsewhere(target.address, address)
            # A site may send its visitor in a circle once, to see that cookies are kept
            if self._frontier.key(address) not in chain and not self._frontier.visit(address):
                return Duplicate(target.address, address)
        raise PluginError(
            "too_many_redirects",
            f"{target.address} redirects more than {MAX_REDIRECTS} times.",
            hint="Open it in a browser and use the address where it ends.",
        )

    def _fetch(self, address: str) -> _Visit:
        """What is at *address* now. Where the server fails for the moment, or shows a wall or nothing instead of the
        page, it is what was there in an earlier run: only the page itself takes the place of what is kept of it."""
        memory = self._remembered(address)
        try:
            visit, fresh = self._ask(address, memory)
        except PluginError as error:
            return self._earlier(address, error)
        problem = visit.problem()
        if problem and memory:
            return self._earlier(address, problem)
        if fresh and not problem:
            self._memories.put(address, fresh)
        return visit

    def _earlier(self, address: str, error: PluginError) -> _Visit:
        """The page as it was in an earlier run. That is forgotten when the page is closed or gone by now.

        :raises PluginError: *error*, when there is none, or when *error* is no reason to take it
        """
        if isinstance(error, PageError) and error.code == "http_status" and error.status in _CLOSED:
            self._memories.forget(address)
        memory = self._remembered(address) if error.transient or error.code in _IN_PLACE else None
        if memory is None:
            raise error
        return _Visit.of(address, memory, stale=error)

    def _remembered(self, address: str) -> PageMemory | None:
        memory = self._memories.get(address)
        return memory if memory and not _Visit.of(address, memory).problem() else None

    def _ask(self, address: str, memory: PageMemory | None) -> tuple[_Visit, PageMemory | None]:
        """What the server answers, and what could be kept of it when it is new."""
        with self._timed("fetching"):
            answer = self._http.get(address, memory.conditions() if memory else {})
        if answer.redirects_to:
            return _Visit(address, answer.status, redirects_to=_redirect(answer)), None
        if memory and memory.is_still(answer):
            obeying = memory.obeying(answer) if self.order.respect_robots else memory
            return _Visit.of(address, obeying, unchanged=True), None if obeying is memory else obeying
        with self._timed("conversion"):
            fresh = PageMemory.of(answer, self._page_of(answer))
        return _Visit.of(address, fresh), fresh

    @contextmanager
    def _timed(self, stage: str) -> Iterator[None]:
        began = time.monotonic()
        try:
            yield
        finally:
            self.seconds[stage] += time.monotonic() - began

    def _page_of(self, answer: Fetched) -> WebPage:
        """:raises PluginError: the answer is not the page, or the page cannot be read"""
        if not 200 <= answer.status < 300:
            if answer.status in _WALLED:
                with suppress(PluginError):
                    page = read_answer(answer)
                    if bot_wall(page.title, page.markdown):
                        return page  # it says better what is wrong
            raise _http_error(answer)
        if not answer.content.strip() and not is_unreadable(answer.headers):
            return WebPage("")
        return read_answer(answer, heed_robots=self.order.respect_robots, tell=self._tell)

    def _arrived(self, target: Target, visit: _Visit) -> Outcome:
        """Judge the page that was found, and remember where it leads.

        :raises PageError: there is no text for us on it
        """
        page, address, problem = visit.page, visit.address, visit.problem()
        if problem and problem.code == "bot_wall":
            raise problem
        if target.scope and not target.depth:
            target.scope.widen(address)
        self._note_links(target, page)
        if page.noindex:
            error = forbidden(f"{address} was left out: the page asks robots not to index it.")
            raise PageError(visit.status, error.code, error.message, error.hint)
        if problem:
            raise problem
        twin = self._read.twin(address, page)
        if twin:
            return Duplicate(target.address, twin)
        return Read(target, address, page, visit.status, visit.unchanged, visit.stale)

    def _note_links(self, target: Target, page: WebPage) -> None:
        if target.scope is None or target.depth >= self.order.depth:
            return
        for link in page.links:
            if not target.scope.allows(link):
                continue
            if extension_of(link) in UNREADABLE:
                self.unreadable_links += self._frontier.visit(link)
            else:
                self._frontier.add(Target(link, target.start, target.scope, target.depth + 1))


# -- What is wrong with an answer -------------------------------------------------------------------


def _redirect(answer: Fetched) -> str:
    to = resolved(answer.url, answer.redirects_to)
    if not to:
        raise AddressBlocked(f"{answer.url} redirects to something that is no web address.")
    return to


def _http_error(answer: Fetched) -> PageError:
    status = answer.status
    if status in {401, 403, 407, 451}:
        hint = "The page needs a login, or keeps programs out. Save it from a browser and upload the file."
    elif status in {404, 410}:
        hint = "Check the address in a browser."
    else:
        hint = "Try again later."
    message = f"{answer.url} could not be fetched: the server answered {status}."
    transient = status >= 500 or status in {408, 425, 429}
    return PageError(status, "http_status", message, hint, transient=transient)


def _walled(address: str, status: int) -> PageError:
    return PageError(
        status,
        "bot_wall",
        f"{address} shows a check for robots instead of its text.",
        "Save the page from a browser and upload it, or ask the site's owner to let this server in.",
    )


def _is_empty(page: WebPage) -> bool:
    if page.scripted and len(page.markdown) < LOADING:
        return True
    return not re.search(r"\w", page.markdown)


def _no_text(address: str, status: int, page: WebPage) -> PageError:
    if page.scripted:
        return PageError(
            status,
            "no_text",
            f"{address} holds no text: it is built by JavaScript in the browser.",
            "Save the page from a browser as PDF and upload that, or look for a version without JavaScript.",
        )
    return PageError(status, "no_text", f"{address} holds no text.", "Does it show text in a browser?")
