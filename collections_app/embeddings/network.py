"""The one thread that talks to vendors, so that whoever waits for an answer can leave at once.

A blocking read in a thread cannot be interrupted; a task can. So requests run as tasks of an event loop in a daemon
thread, and cancelling a task closes its connection, which also tells the vendor to stop working.
"""

import asyncio
import concurrent.futures
import os
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

import httpx

from collections_app.embeddings.base import Abandoned

Answer = TypeVar("Answer")

CANCEL_POLL_SECONDS = 0.05
MAX_CONNECTIONS = 32  # of one process, all vendors together


class Network:
    """An event loop in a thread of its own, and the HTTP client that lives in it."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._client: httpx.AsyncClient | None = None
        threading.Thread(target=self._loop.run_forever, name="embedding-network", daemon=True).start()

    @property
    def client(self) -> httpx.AsyncClient:
        """Shared by all embedders: connections are kept alive. To be used inside the loop only."""
        if self._client is None:
            limits = httpx.Limits(max_connections=MAX_CONNECTIONS, max_keepalive_connections=8, keepalive_expiry=30)
            # A redirect could carry the key to another host, so none is followed.
            self._client = httpx.AsyncClient(limits=limits, follow_redirects=False)
        return self._client

    def run(self, work: Coroutine[Any, Any, Answer], cancel: threading.Event | None) -> Answer:
        """What *work* returns or raises.

        :raises Abandoned: *cancel* was set first; the task is cancelled and closes its connections by itself
        """
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            while not future.done():
                concurrent.futures.wait([future], timeout=CANCEL_POLL_SECONDS if cancel else None)
                if cancel and cancel.is_set() and not future.done():
                    raise Abandoned
            return future.result()
        finally:
            future.cancel()


_network: Network | None = None
_guard = threading.Lock()


def network() -> Network:
    """This process's network thread; started at first use."""
    global _network
    with _guard:
        if _network is None:
            _network = Network()
        return _network


def _forget_after_fork() -> None:
    """Threads do not survive a fork: the child starts its own."""
    global _network, _guard
    _network, _guard = None, threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_after_fork)
