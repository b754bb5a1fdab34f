"""The breaker of each vendor and endpoint, shared by all workers through :class:`VendorState`.

After some failures in a row it opens: nobody calls that vendor for a while, so that jobs wait instead of using up
their attempts, and a server that comes back is not trampled. When the while is over one caller probes; its success
closes the breaker, its failure opens it for longer.
"""

import hashlib
import random
import threading
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from django.db import models, transaction
from django.db.models.functions import Now

from collections_app.embeddings.base import VendorError
from collections_app.embeddings.endpoints import DEFAULT_ENDPOINTS, request_url
from collections_app.models import Collection, VendorState


class VendorOpen(VendorError):
    """The breaker is open: the vendor is not to be called before ``until`` (UTC)."""

    def __init__(self, state: VendorState, until: datetime) -> None:
        super().__init__(
            "vendor_unavailable",
            f"The embedding vendor {state.vendor!r} has failed {state.failures} times in a row and is left alone "
            f"until {until:%Y-%m-%d %H:%M:%S} UTC.",
            hint="It is tried again by itself.",
            transient=True,
            retry_after=max(0.0, (until - datetime.now(UTC)).total_seconds()),
            context={"last_error": state.last_error},
        )
        self.until = until


@dataclass
class Breaker:
    """Its parameters, and the three calls around each use of a vendor: check, then succeeded or failed.

    :param threshold: failures in a row that open it
    :param base_seconds: the first time it stays open; doubled with each further failure, up to *longest_seconds*,
        and jittered to between half and the whole so that workers do not come back together
    :param probe_seconds: how long one prober has the vendor for itself before another may try
    """

    threshold: int = 3
    base_seconds: float = 5.0
    longest_seconds: float = 300.0
    probe_seconds: float = 120.0
    # What this process knows, so that a success of a healthy vendor writes nothing and reads nothing.
    _unclean: set[str] = field(default_factory=set)
    _probing: set[str] = field(default_factory=set)
    _guard: threading.Lock = field(default_factory=threading.Lock)

    def check(self, collection: Collection) -> None:
        """Return when the collection's vendor may be called. One read; a write only to win the probe.

        Not to be called inside a transaction: a probe must be seen by others at once.

        :raises VendorOpen: not before its ``until``
        """
        if not (key := _key_of(collection)):
            return
        state = VendorState.objects.filter(pk=key).first()
        self._note(key, unclean=state is not None and _is_unclean(state), probing=False)
        if state is None or state.open_until is None:
            return
        # Compare and set on the database's clock: of all who see that the time is over, one moves the mark.
        won = VendorState.objects.filter(pk=key, open_until=state.open_until, open_until__lte=Now()).update(
            open_until=Now() + timedelta(seconds=self.probe_seconds), updated_at=Now()
        )
        if won:
            self._note(key, unclean=True, probing=True)
            return
        latest = VendorState.objects.filter(pk=key).values_list("open_until", flat=True).first()
        if latest is not None:
            raise VendorOpen(state, latest)

    def failed(self, collection: Collection, error: VendorError) -> datetime | None:
        """Count a failure that may pass (others say nothing about the vendor's health).

        Failures of calls that were under way when the breaker opened are not counted again.

        :returns: until when the breaker is open now, None while it is closed
        """
        key = _key_of(collection)
        if not key or not error.transient or isinstance(error, VendorOpen):
            return None
        with self._guard:
            probing = key in self._probing
            self._probing.discard(key)
            self._unclean.add(key)
        with transaction.atomic():
            VendorState.objects.bulk_create(
                [VendorState(key=key, vendor=collection.embedding_vendor, endpoint=collection.embedding_endpoint)],
                ignore_conflicts=True,
            )
            state = VendorState.objects.select_for_update().annotate(now=_now()).get(pk=key)
            now: datetime = state.now
            if state.open_until is not None and state.open_until > now and not probing:
                return state.open_until
            state.failures += 1
            state.failing_since = state.failing_since or now
            state.last_error = f"{error.code}: {error.message}"[:500]
            state.open_until = now + self._pause(state.failures, error) if state.failures >= self.threshold else None
            state.updated_at = now
            state.save()
        return state.open_until

    def succeeded(self, collection: Collection) -> bool:
        """Forget the failures. True when this closed an open breaker: whoever waits for the vendor can be woken."""
        key = _key_of(collection)
        with self._guard:
            if key not in self._unclean:
                return False
            self._unclean.discard(key)
            self._probing.discard(key)
        clean = {"failures": 0, "failing_since": None, "open_until": None, "last_error": "", "updated_at": Now()}
        closed = VendorState.objects.filter(pk=key, open_until__isnull=False).update(**clean)
        if not closed:
            VendorState.objects.filter(pk=key, failures__gt=0).update(**clean)
        return bool(closed)

    def failing_since(self, collection: Collection) -> datetime | None:
        """When the present row of failures began; None while all is well."""
        key = _key_of(collection)
        return VendorState.objects.filter(pk=key).values_list("failing_since", flat=True).first() if key else None

    def _pause(self, failures: int, error: VendorError) -> timedelta:
        full = min(self.longest_seconds, self.base_seconds * 2 ** min(failures - self.threshold, 32))
        seconds = full * random.uniform(0.5, 1)  # noqa: S311  (not a secret)
        asked = min(error.retry_after or 0.0, self.longest_seconds)
        return timedelta(seconds=max(seconds, asked))

    def _note(self, key: str, *, unclean: bool, probing: bool) -> None:
        with self._guard:
            (self._unclean.add if unclean else self._unclean.discard)(key)
            (self._probing.add if probing else self._probing.discard)(key)


def key_for(vendor: str, endpoint: str) -> str:
    """The breaker's key: the same for all ways to write one endpoint. Blank for ``local``, which has no breaker."""
    if vendor not in DEFAULT_ENDPOINTS:
        return ""
    try:
        address = request_url(vendor, endpoint)
    except ValueError:
        address = endpoint
    return hashlib.sha256(f"{vendor}\n{address}".encode()).hexdigest()


def _key_of(collection: Collection) -> str:
    return key_for(collection.embedding_vendor, collection.embedding_endpoint)


def _is_unclean(state: VendorState) -> bool:
    return state.failures > 0 or state.open_until is not None


def _now() -> "models.ExpressionWrapper[Now]":
    """The database's clock: several machines share the breaker, and theirs may differ."""
    return models.ExpressionWrapper(Now(), output_field=models.DateTimeField())


_shared = Breaker()
check = _shared.check
failed = _shared.failed
succeeded = _shared.succeeded
failing_since = _shared.failing_since
