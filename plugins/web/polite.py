"""Fetching pages the way a guest behaves: by the rules of robots.txt, with pauses, and not where nobody answers."""

import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from plugins.base import PluginError
from plugins.net import Fetched, Fetcher, FetchError
from plugins.web.addresses import host_of
from plugins.web.robots import Robots
from plugins.web.web_pages import is_unreadable

TRIES = 3
PAUSE = 5.0  # seconds after a 429 that names none; more with each try
LONGEST_PAUSE = 60.0  # seconds; a site that asks for more is not waited for
TOLD_PAUSE = 3.0  # seconds; shorter ones are not worth a message
STRIKES = 3  # pages in a row that a host did not give in time, before it is left alone


class PoliteFetcher:
    """Fetches addresses one after the other.

    :param delay: seconds between the starts of two requests to one host; its robots.txt may ask for more
    :param until: of ``time.monotonic``; no pause lasts longer
    :param tell: hears of long pauses
    """

    def __init__(
        self, fetcher: Fetcher, *, delay: float, respect_robots: bool, until: float, tell: Callable[[str], None]
    ) -> None:
        self._fetcher = fetcher
        self._delay = delay
        self._until = until
        self._tell = tell
        self._robots = Robots(lambda address: self._ask(address, {}, delay, follow=True)) if respect_robots else None
        self._next: dict[str, float] = {}  # host: when it may be asked again
        self._strikes: dict[str, list[str]] = {}  # host: codes of what went wrong, since it last gave a page

    def begin(self) -> None:
        """The next request is for another page."""
        self._fetcher.forget()

    def get(self, address: str, headers: Mapping[str, str]) -> Fetched:
        """The answer for *address*, whatever its status; redirects are not followed.

        :raises PluginError: ``robots``, or why nothing came back
        """
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
                answer = self._ask(address, headers, delay)
            except FetchError as error:
                if error.code != "fetch_failed":
                    raise
                continue
            pause = _asked_pause(answer, number)
            if pause is None or time.monotonic() + pause > self._until:
                return answer
            self._next[host_of(address)] = time.monotonic() + pause
        return self._ask(address, headers, delay)

    def _ask(self, address: str, headers: Mapping[str, str], delay: float, *, follow: bool = False) -> Fetched:
        host = host_of(address)
        wait = min(self._next.get(host, 0.0), self._until) - time.monotonic()
        if wait > TOLD_PAUSE:
            self._tell(f"Waiting {wait:.0f} s before {host} is asked again")
        if wait > 0:
            time.sleep(wait)
        self._next[host] = time.monotonic() + delay
        return self._fetcher.get(address, headers, follow=follow, unwanted=is_unreadable)


def _is_refusal(answer: Fetched) -> bool:
    """Whether the server has had enough of us for now."""
    return answer.status == 429 or (answer.status == 503 and "Retry-After" in answer.headers)


def _asked_pause(answer: Fetched, number: int) -> float | None:
    """Seconds after which the server wants to be asked again; None when it does not, or too late."""
    if not _is_refusal(answer):
        return None
    said = answer.headers.get("Retry-After", "").strip()
    pause: float | None = None
    if said.isdecimal():
        pause = float(said[:9])
    elif said:
        with suppress(ValueError, OverflowError, TypeError):  # what dates of other worlds raise
            at = parsedate_to_datetime(said)
            pause = max((at.replace(tzinfo=at.tzinfo or UTC) - datetime.now(UTC)).total_seconds(), 0.0)
    else:
        pause = PAUSE * number
    return pause if pause is not None and pause <= LONGEST_PAUSE else None


def _left_alone(address: str, host: str, code: str) -> PluginError:
    return PluginError(
        code,
        f"{address} was left out: {host} has failed {STRIKES} times in a row and is not asked any more.",
        hint="Try again later, with a longer delay.",
        transient=True,
    )
