"""Who tries passwords without end is not listened to for a while, in the admin and on the pages alike."""

import threading
import time
from collections import OrderedDict
from typing import Any

from django.contrib.auth.backends import ModelBackend
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest

FAILURES = 10  # of one name from one address
WITHIN = 300.0  # seconds
REMEMBERED = 10_000  # pairs of name and address

Pair = tuple[str, str]


class Failures:
    """Failed tries of the last minutes, in this process: each web process counts for itself."""

    def __init__(self) -> None:
        self._at: OrderedDict[Pair, list[float]] = OrderedDict()
        self._guard = threading.Lock()

    def too_many(self, pair: Pair) -> bool:
        with self._guard:
            return len(self._recent(pair)) >= FAILURES

    def add(self, pair: Pair) -> None:
        with self._guard:
            self._at[pair] = [*self._recent(pair), time.monotonic()][-FAILURES:]
            self._at.move_to_end(pair)
            while len(self._at) > REMEMBERED:
                self._at.popitem(last=False)

    def forget(self, pair: Pair) -> None:
        with self._guard:
            self._at.pop(pair, None)

    def _recent(self, pair: Pair) -> list[float]:
        horizon = time.monotonic() - WITHIN
        return [at for at in self._at.get(pair, ()) if at > horizon]


failures = Failures()


class PatientBackend(ModelBackend):
    """Django's own, until somebody has failed too often: then also the right password is refused for a while."""

    def authenticate(
        self, request: HttpRequest | None, username: str | None = None, password: str | None = None, **options: Any
    ) -> Any:
        if request is None or username is None or password is None:
            return super().authenticate(request, username, password, **options)
        pair = (username[:255], request.META.get("REMOTE_ADDR", ""))
        if failures.too_many(pair):
            raise PermissionDenied
        user = super().authenticate(request, username, password, **options)
        if user is None:
            failures.add(pair)
        else:
            failures.forget(pair)
        return user
