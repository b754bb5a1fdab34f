"""Addresses that were sent together: the first is previewed, and all are taken in as its preview decides.

The others are kept in the session of whoever sent them, since a preview's own row names only what it fetches.
"""

from django.http import HttpRequest

from collections_app.models import Collection

KEY = "sent-together"
MOST = 5  # latest previews whose other addresses are kept
LARGEST = 200_000  # characters of all of them; the latest are kept in any case


def keep(request: HttpRequest, found: Collection, preview: int, others: list[str]) -> None:
    """Remember what was sent with the first address, which *preview* is of."""
    if not others:
        return
    kept = [*request.session.get(KEY, []), [found.pk, preview, others]][-MOST:]
    while len(kept) > 1 and sum(len(address) for *_of, addresses in kept for address in addresses) > LARGEST:
        kept.pop(0)  # every page of theirs reads the whole session
    request.session[KEY] = kept


def others(request: HttpRequest, found: Collection, preview: int) -> list[str]:
    """What was sent with the first address; mostly nothing."""
    for collection, number, addresses in request.session.get(KEY, []):
        if (collection, number) == (found.pk, preview):
            return list(addresses)
    return []
