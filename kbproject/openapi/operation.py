"""How an operation is described: what a view itself does not say."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter
from rest_framework.serializers import BaseSerializer, Serializer


@dataclass(frozen=True)
class Operation:
    """One action of a view.

    :param name: ``operationId``, and so the function of generated clients
    :param answer: serializer of the answer with *status*; *example* is one
    :param takes: serializer of the body; *sent* is an example
    :param query: serializers and parameters of the query
    :param headers: request headers, and headers of answers
    :param errors: a sentence for each status beyond those that follow from the address, or several
    :param invalid: an entry of a 422, where the usual one does not fit
    :param empty: statuses without a body, with their meaning
    :param kind: media type of the answer where it is not JSON
    :param instead: an example of the same answer with another status
    """

    name: str
    tag: str
    summary: str
    answer: type[BaseSerializer[Any]] | BaseSerializer[Any] | OpenApiTypes
    example: Any
    status: int = 200
    takes: type[Serializer[Any]] | None = None
    sent: Mapping[str, Any] | None = None
    query: Sequence[type[Serializer[Any]] | OpenApiParameter] = ()
    headers: Sequence[OpenApiParameter] = ()
    errors: Mapping[int, str | Sequence[str]] = field(default_factory=dict)
    invalid: Mapping[str, Any] | None = None
    empty: Mapping[int, str] = field(default_factory=dict)
    kind: str = ""
    instead: Mapping[int, Any] = field(default_factory=dict)


def parameter(name: str, description: str, kind: Any = str, **options: Any) -> OpenApiParameter:
    """One parameter of the query."""
    return OpenApiParameter(name, kind, OpenApiParameter.QUERY, description=description, **options)


def sent_header(name: str, description: str) -> OpenApiParameter:
    return OpenApiParameter(name, str, OpenApiParameter.HEADER, description=description)


def answered_header(name: str, description: str, *statuses: int) -> OpenApiParameter:
    return OpenApiParameter(
        name, str, OpenApiParameter.HEADER, description=description, response=list(statuses or (200,))
    )
