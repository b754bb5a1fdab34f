"""Fetching pages the way a guest behaves: by the rules of robots.txt, with pauses, and not where nobody answers.

All of it ends: a request by the fetcher's limits, the visit of a page with its redirects, tries and pauses after
``VISIT`` seconds and ``PAUSES`` delays, and everything with the crawl.
"""

import math
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from plugins.base import PluginError
from plugins.net import Fetched, Fetcher, FetchError
from plugins.web.addresses import host_of
from plugins.web.robots import Robots, is_failing
from plugins.web.web_pages import is_unreadable

TRIES = 3
PAUSE = 5.0  # seconds after a 429 that names none; more with each try
LONGEST_PAUSE = 60.0  # seconds; a site that asks for more is not waited for
TOLD_PAUSE = 3.0  # seconds; shorter ones are not worth a message
VISIT = 120.0  # seconds that one page may take, besides the delays that were asked for
PAUSES = 4  # of them: before the page, and before three redirects
ROBOTS = 60.0  # seconds that a robots.txt may take, besides the delays between its tries
ROBOTS_PAUSE = 1.0  # seconds before it is asked for again; twice as many each time
STRIKES = 3  # pages in a row that a host did not give in time, before it is left alone


class OutOfTime(Exception):
    """The crawl is over before the turn of an address, which was not asked for."""


class PoliteFetcher:
    """Fetches addresses one after the other.

    :param delay: seconds between the starts of two requests to one host; its robots.txt may ask for more
    :param until: of ``time.monotonic``; no pause and no request lasts longer
    :param tell: hears of long pauses
    """

    def __init__(
        self, fetcher: Fetcher, *, delay: float, respect_robots: bool, until: float, tell: Callable[[str], None]
    ) -> None:
        self._fetcher = fetcher
        self._delay = delay
        self._until = until
        self._tell = tell
        self._visit_until = until
        self._robots = Robots(self._rules) if respect_robots else None
        self._next: dict[str, float] = {}  # host: when it may be asked again
        self._strikes: dict[str, list[str]] = {}  # host: codes of what went wrong, since it last gave a page

    def begin(self) -> None:
        """The next request is for another page."""
        self._fetcher.forget()
        self._visit_until = min(time.monotonic() + VISIT + PAUSES * self._delay, self._until)

    def get(self, address: str, headers: Mapping[str, str]) -> Fetched:
        """The answer for *address*, whatever its status; redirects are not followed.

        :raises PluginError: ``robots``, or why nothing came back
        :raises OutOfTime: its turn would come after the end of the crawl
        """
        try:
            return self._get(address, headers)
        except OutOfTime:
            if self._visit_until >= self._until:
                raise
            raise _too_slow(address) from None

    def _get(self, address: str, headers: Mapping[str, str]) -> Fetched:
        host = host_of(address)
        strikes = self._strikes.setdefault(host, [])
        if len(strikes) >= STRIKES:
            raise _left_alone(address, host, strikes[-1])
        delay = self._delay
        if self._robots:
            self._robots.check(address)
            delay = max(delay, self._robots.delay(address))
        try:
            answer = self._try(address, headers, delay)
        except FetchError as error:
            if error.code == "fetch_timeout":
                strikes.append(error.code)
            raise
        if _is_refusal(answer):
            strikes.append("http_status")
        else:
            strikes.clear()
        return answer

    def _try(self, address: str, headers: Mapping[str, str], delay: float) -> Fetched:
        """Ask again when the connection broke off, or when the server asks for a pause."""
        for number in range(1, TRIES):
            try:
                answer = self._ask(address, headers, delay, self._visit_until)
            except FetchError as error:
                if error.code != "fetch_failed" or not self._postpone(address, 0, self._visit_until):
                    raise
                continue
            if not _is_refusal(answer):
                return answer
            if not self._postpone(address, _asked_pause(answer, PAUSE * number), self._visit_until):
                return answer
        return self._ask(address, headers, delay, self._visit_until)

    def _rules(self, address: str) -> Fetched:
        """A site's robots.txt. Whatever may pass is tried again, since without its rules the whole site is left out.

        :raises OutOfTime: the visit is over, which says nothing about the site
        """
        until = min(time.monotonic() + ROBOTS + TRIES * self._delay, self._visit_until)
        for number in range(1, TRIES):
            pause = ROBOTS_PAUSE * 2 ** (number - 1)
            try:
                answer = self._ask(address, {}, self._delay, until, follow=True)
            except FetchError as error:
                if self._visit_until <= time.monotonic() < self._until:
                    raise OutOfTime from error
                if not error.transient or not self._postpone(address, pause, until):
                    raise
                continue
            if not is_failing(answer):
                return answer
            if not self._postpone(address, max(pause, _asked_pause(answer, pause)), until):
                return answer
        return self._ask(address, {}, self._delay, until, follow=True)

    def _postpone(self, address: str, pause: float, until: float) -> bool:
        """Let *address* be asked for again after *pause* seconds; False when that is too late."""
        host = host_of(address)
        turn = max(self._next.get(host, 0.0), time.monotonic() + pause)
        if turn >= until:
            return False
        self._next[host] = turn
        return True

    def _ask(
        self, address: str, headers: Mapping[str, str], delay: float, until: float, *, follow: bool = False
    ) -> Fetched:
        """:raises OutOfTime: its turn would come later than *until*"""
        host = host_of(address)
        now = time.monotonic()
        wait = max(self._next.get(host, 0.0) - now, 0.0)
        if now + wait >= until:
            raise OutOfTime
        if wait > TOLD_PAUSE:
            self._tell(f"Waiting {wait:.0f} s before {host} is asked again")
        time.sleep(wait)
        self._next[host] = time.monotonic() + delay
        return self._fetcher.get(address, headers, follow=follow, unwanted=is_unreadable, until=until)


def _is_refusal(answer: Fetched) -> bool:
    """Whether the server has had enough of us for now."""
    return answer.status == 429 or (answer.status == 503 and "Retry-After" in answer.headers)


def _asked_pause(answer: Fetched, otherwise: float) -> float:
    """Seconds after which the server wants to be asked again; infinite when that is too late, or cannot be read.

    :param otherwise: when it does not say
    """
    said = answer.headers.get("Retry-After", "").strip()
    if not said:
        return otherwise
    pause = math.inf
    if said.isdecimal():
        pause = float(said[:9])
    else:
        with suppress(ValueError, OverflowError, TypeError):  # what dates of other worlds raise
            at = parsedate_to_datetime(said)
            pause = max((at.replace(tzinfo=at.tzinfo or UTC) - datetime.now(UTC)).total_seconds(), 0.0)
    return pause if pause <= LONGEST_PAUSE else math.inf


def _too_slow(address: str) -> FetchError:
    return FetchError(
        "fetch_timeout",
        f"{address} was given up: its redirects and the pauses that the site asks for take longer than a page may.",
        hint="Try again later, or use the address where it ends.",
        transient=True,
    )


def _left_alone(address: str, host: str, code: str) -> PluginError:
    return PluginError(
        code,
        f"{address} was left out: {host} has failed {STRIKES} times in a row and is not asked any more.",
        hint="Try again later, with a longer delay.",
        transient=True,
    )
