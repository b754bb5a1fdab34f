"""What fetching may cost, and how long it may wait."""

import math
import time
from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """What one fetch may cost, or all requests of a session from one ``begin`` to the next.

    :param content_bytes: of each body, after decompression
    :param seconds: from the first request to the last byte, redirects included
    :param silence_seconds: without a byte, or for a connection to be made
    :param redirects: how many are followed
    """

    content_bytes: int = 50_000_000
    seconds: float = 60.0
    silence_seconds: float = 15.0
    redirects: int = 10


def patience(timeout: float | None, deadline: float, error: type[Exception]) -> float | None:
    """Seconds that one wait may last; None for ever.

    :param deadline: of ``time.monotonic``; no wait outlasts it, so that a server which drips keeps nobody
    :raises error: the deadline is over
    """
    left = min(math.inf if timeout is None else timeout, deadline - time.monotonic())
    if left <= 0:
        raise error("the time for all requests is used up")
    return None if left == math.inf else left
