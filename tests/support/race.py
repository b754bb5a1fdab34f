"""Several moves at the same moment."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from django.db import connections

T = TypeVar("T")


def race(*moves: Callable[[], T]) -> list[T]:
    """What each of *moves* returns, in their order; each runs in a thread of its own, and all begin at once.

    :raises Exception: what the first of them raised
    """
    start = threading.Barrier(len(moves))

    def run(move: Callable[[], T]) -> T:
        start.wait(10)
        try:
            return move()
        finally:
            connections.close_all()  # those of this thread

    with ThreadPoolExecutor(len(moves)) as pool:
        return list(pool.map(run, moves))
