"""``Idempotency-Key``: a client that does not know whether its request arrived sends it again, and nothing is doubled.

The key is stored in the transaction that takes the source in, so there is no moment at which one exists without the
other. The first answer is given again for ``KB_IDEMPOTENCY_HOURS``. Errors are not kept: they may be tried again.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import IntegrityError
from django.db.models.functions import Now
from rest_framework.request import Request
from rest_framework.response import Response

from collections_app.http_errors import invalid
from ingestion.models import IdempotencyKey
from plugins.kept import key_of

HEADER = "Idempotency-Key"
LENGTH = 255
FORGOTTEN_AT_ONCE = 500  # 5 ms of write lock
Answer = dict[str, Any]


@dataclass(frozen=True)
class Once:
    """A request that names a key.

    :param key: names address and key; *fingerprint* what was sent
    """

    key: str
    fingerprint: str

    def earlier(self) -> Answer | None:
        """What this request was answered before.

        :raises Invalid: 422, the key came with another request
        """
        known = IdempotencyKey.objects.filter(pk=self.key).first()
        if known is None:
            return None
        if known.fingerprint != self.fingerprint:
            raise invalid(
                "header",
                HEADER,
                "idempotency_key_reused",
                "This key was sent with another request. Use a new one for each source.",
            )
        return dict(known.answer)

    def remember(self, answer: Answer) -> None:
        """:raises IntegrityError: another request with this key was first"""
        IdempotencyKey(key=self.key, fingerprint=self.fingerprint, answer=answer).save(force_insert=True)


def once(request: Request, place: str, collection_id: int, *sent: Any) -> Once | None:
    """The key of *request*; None when it names none.

    :param place: name of the endpoint; a key is known there, and in one collection
    :param sent: plain JSON values that tell this request from others
    :raises Invalid: 422, no key that can be used
    """
    given = request.headers.get(HEADER)
    if given is None:
        return None
    text = given.strip().strip('"')
    if not text or len(text) > LENGTH or not text.isprintable():
        raise invalid("header", HEADER, "idempotency_key_invalid", f"Send 1 to {LENGTH} printable characters.", given)
    return Once(key_of(place, collection_id, text), key_of(*sent))


def respond(
    once: Once | None,
    act: Callable[[Callable[[Answer], None]], Answer],
    show: Callable[[Answer], Answer] = lambda answer: answer,
) -> Response:
    """Answer as before, or act and answer.

    :param act: does what was asked, and calls what it is given with the answer, in the transaction that does it
    :param show: makes of an answer, which is stored without signatures, what is sent
    """
    if once is None:
        return Response(show(act(lambda answer: None)))
    if answer := once.earlier():
        return replay(show(answer))
    try:
        return Response(show(act(once.remember)))
    except IntegrityError:
        if answer := once.earlier():  # another request with the same key was first
            return replay(show(answer))
        raise


def replay(answer: Answer) -> Response:
    return Response(answer, headers={"Idempotent-Replayed": "true"})


def forget() -> bool:
    """Delete keys that have served their time, some at once; True when more are left."""
    horizon = Now() - timedelta(hours=settings.KB_IDEMPOTENCY_HOURS)
    served = IdempotencyKey.objects.filter(created_at__lt=horizon).values_list("pk", flat=True)[:FORGOTTEN_AT_ONCE]
    gone, _ = IdempotencyKey.objects.filter(pk__in=list(served)).delete()
    return gone == FORGOTTEN_AT_ONCE
