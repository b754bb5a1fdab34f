"""Long polls: a request that is answered when its job changes, instead of asking again and again.

A waiting request holds a thread of the web server. So only half of the threads may wait; who comes on top is answered
at once, and told when to ask again.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from django.conf import settings

LONGEST = 30  # seconds; proxies in between cut silent connections after 60
LOOK_SECONDS = 0.05  # between two looks at the row, 0.1 ms each

_guard = threading.Lock()
_waiting = 0  # requests of this process


def places() -> int:
    """How many requests of this process may wait at once."""
    return max(1, settings.KB_WEB_THREADS // 2)


def taken() -> int:
    """How many wait now."""
    return _waiting


@contextmanager
def place() -> Iterator[bool]:
    """Whether this request may wait; its place is given back at the end."""
    global _waiting
    with _guard:
        has_one = _waiting < places()
        _waiting += has_one
    try:
        yield has_one
    finally:
        with _guard:
            _waiting -= has_one


def until(happened: Callable[[], bool], seconds: float) -> bool:
    """Look until it has *happened*; False when *seconds* are over and it has not."""
    ends = time.monotonic() + seconds
    while not happened():
        left = ends - time.monotonic()
        if left <= 0:
            return False
        time.sleep(min(LOOK_SECONDS, left))
    return True
