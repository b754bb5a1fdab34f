"""What a site asks of robots: robots.txt (RFC 9309) and the orders inside its pages.

A robots.txt that is not there (4xx) allows everything; one that the server fails to give (5xx, 429), however often it
is asked, forbids everything for now. When the server cannot be reached at all, that is the reason, not its rules.
"""

from collections.abc import Callable, Iterable
from urllib.parse import urlsplit

from protego import Protego

from plugins.base import PluginError
from plugins.net import USER_AGENT, Fetched

NAME = USER_AGENT.partition("/")[0]
MAX_BYTES = 512 * 1024  # RFC 9309 asks for 500 KiB at least
MOST_DELAY = 30.0  # seconds; a Crawl-delay of an hour means that no robot is wanted


class Robots:
    """The rules of each site, asked for once.

    :param get: fetches an address, redirects included, with as many tries as it deserves
    """

    def __init__(self, get: Callable[[str], Fetched]) -> None:
        self._get = get
        self._rules: dict[str, Protego | PluginError] = {}

    def check(self, address: str) -> None:
        """:raises PluginError: ``robots``, or why the site cannot be asked"""
        rules = self._rules_of(address)
        if isinstance(rules, PluginError):
            raise rules.with_traceback(None)  # the same error for each page; its trace would grow
        if not rules.can_fetch(address, NAME):
            raise forbidden(f"{address} was left out: the site's robots.txt does not allow it.")

    def delay(self, address: str) -> float:
        """Seconds between two requests that the site asks for."""
        rules = self._rules_of(address)
        asked = None if isinstance(rules, PluginError) else rules.crawl_delay(NAME)
        return min(asked or 0.0, MOST_DELAY)

    def _rules_of(self, address: str) -> Protego | PluginError:
        parts = urlsplit(address)
        origin = f"{parts.scheme}://{parts.netloc}"
        if origin not in self._rules:
            try:
                self._rules[origin] = _rules(self._get(f"{origin}/robots.txt"), origin)
            except PluginError as error:
                # Endless redirects and the like count as "not there"
                gone = error.code in {"too_many_redirects", "too_large"}
                self._rules[origin] = Protego.parse("") if gone else error
        return self._rules[origin]


def is_failing(answer: Fetched) -> bool:
    """Whether the server did not give its robots.txt, which does not mean that it has none."""
    return answer.status >= 500 or answer.status == 429


def _rules(answer: Fetched, origin: str) -> Protego | PluginError:
    if is_failing(answer):
        return PluginError(
            "robots",
            f"{origin} was left out: it answers {answer.status} when it is asked for its robots.txt.",
            hint="It is not known whether the site allows robots. Try again later, or switch off respect_robots "
            "if the site is yours.",
            transient=True,
        )
    if not 200 <= answer.status < 300:
        return Protego.parse("")
    content = answer.content
    if len(content) > MAX_BYTES:
        content = content[:MAX_BYTES].rpartition(b"\n")[0]  # half a rule could forbid everything
    return Protego.parse(content.decode("utf-8-sig", "replace"))


_WITH_VALUES = frozenset({"max-snippet", "max-image-preview", "max-video-preview", "unavailable_after"})


def forbidden(message: str) -> PluginError:
    return PluginError("robots", message, hint="Ask the owner of the site. If it is yours, switch off respect_robots.")


def orders(values: Iterable[str]) -> frozenset[str]:
    """The orders in ``X-Robots-Tag`` headers or robots meta elements: of ``noindex`` and ``nofollow``, those given.

    Orders to one robot by name (``otherbot: noindex``) are not for us.
    """
    words = set[str]()
    for value in values:
        robot = NAME.lower()
        for order in value.lower().split(","):
            name, colon, rest = (part.strip() for part in order.partition(":"))
            if colon and name not in _WITH_VALUES:  # the name of a robot, which holds until the next one
                robot, name = name, rest
            if robot == NAME.lower():
                words.add(name)
    if "none" in words:
        return frozenset({"noindex", "nofollow"})
    return frozenset(words & {"noindex", "nofollow"})
