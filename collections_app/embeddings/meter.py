"""How long embedding vendors take and how often they fail, counted by this process until somebody takes it."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from collections_app.counts import Counts, Metric
from collections_app.embeddings.base import VendorError

SECONDS = Metric(
    "kb_vendor_request_seconds",
    "Seconds until an embedding vendor has answered a request, or failed to.",
    ("vendor",),
    (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60),
)
ERRORS = Metric("kb_vendor_errors", "Requests that a vendor did not fulfil, each try counted.", ("vendor", "code"))

counts = Counts()


@contextmanager
def request(vendor: str) -> Iterator[None]:
    """Around one request. One that was abandoned counts for nothing: it tells about us."""
    began = time.monotonic()
    try:
        yield
    except VendorError as error:
        counts.observe(SECONDS, time.monotonic() - began, vendor)
        counts.add(ERRORS, vendor, error.code)
        raise
    counts.observe(SECONDS, time.monotonic() - began, vendor)
