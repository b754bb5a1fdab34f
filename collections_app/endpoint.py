"""The base of every view."""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from inspect import getdoc
from typing import Any, ClassVar

from django.db.models import QuerySet
from rest_framework import viewsets
from rest_framework.renderers import BrowsableAPIRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import BaseSerializer, Serializer
from rest_framework.utils.formatting import markup_description

from collections_app.fields import as_integer
from collections_app.http import JSONParser, JSONRenderer, Negotiation, content_length
from collections_app.http_errors import Invalid, entries_of, invalid
from collections_app.models import Collection

LARGEST_ID = 2**63 - 1


class Endpoint(viewsets.GenericViewSet[Any]):
    """The base of every view: reads and writes JSON, takes GET, POST, PUT, PATCH and DELETE, and nothing else.

    * ``domain_errors``: status of each exception that its services raise; the first that fits counts
    * ``forms``: serializer of the form that browsers see, by action
    * ``rights``: permissions that a member of staff in a browser needs, by action; see ``collections_app.http``
    """

    http_method_names = ["get", "post", "put", "patch", "delete"]  # noqa: RUF012  (HEAD and OPTIONS are 405)
    parser_classes: Any = (JSONParser,)
    renderer_classes = (JSONRenderer, BrowsableAPIRenderer)
    content_negotiation_class = Negotiation
    domain_errors: ClassVar[Mapping[type[Exception], int]] = {}
    forms: ClassVar[Mapping[str, type[Serializer[Any]]]] = {}
    rights: ClassVar[Mapping[str, Sequence[str]]] = {}
    pagination_class: Any = None
    filter_backends: Any = ()

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        content_length(request)  # a body of unknown length would pass for none
        # The same dict that the handler is called with: from here on ids are numbers.
        self.kwargs.update({name: path_id(name, value) for name, value in self.kwargs.items() if name.endswith("_id")})

    def finalize_response(self, request: Request, response: Any, *args: Any, **kwargs: Any) -> Any:
        response = super().finalize_response(request, response, *args, **kwargs)
        if isinstance(response, Response):  # otherwise the web server sends it in chunks
            response.add_post_render_callback(announce_length)
        return response

    def get_queryset(self) -> QuerySet[Any]:
        """None: views read for themselves, but pages with filters ask for one."""
        return Collection.objects.none()

    def get_view_description(self, html: bool = False) -> Any:
        """What the page's address does: words of the action, where there is one, rather than of the whole view."""
        names = dict.fromkeys((getattr(self, "action_map", None) or {}).values())
        action = self.action or next(iter(names), "")
        text = getdoc(getattr(self, action, None)) if action else None
        if not text:
            return super().get_view_description(html)
        text = text.replace("``", "")
        return markup_description(text) if html else text

    def get_serializer_class(self) -> type[BaseSerializer[Any]]:
        return self.forms.get(self.action or "", Serializer)


def announce_length(response: Any) -> None:
    response.headers["Content-Length"] = str(len(response.content))


def path_id(name: str, value: str | int) -> int:
    """:raises Invalid: when it is no integer. One that no row can have becomes -1, which no row has either."""
    number = as_integer(value)
    if number is None:
        raise invalid("path", name, "int_parsing", f"{name} must be a whole number.", value)
    return number if 0 <= number <= LARGEST_ID else -1


@lru_cache(maxsize=64)
def _defaults(serializer: type[Serializer[Any]]) -> dict[str, Any]:
    """What an empty query means. Making a serializer takes longer than reading the job that is polled."""
    reader = serializer(data={})
    reader.is_valid(raise_exception=True)
    return dict(reader.validated_data)


def checked(serializer: type[Serializer[Any]], data: Any, where: str = "body") -> dict[str, Any]:
    """*data* as *serializer* reads it.

    :raises Invalid: naming each wrong value
    """
    if where == "query" and not any(name in serializer._declared_fields for name in data):
        return dict(_defaults(serializer))
    reader = serializer(data=data)
    if not reader.is_valid():
        raise Invalid(list(entries_of(reader.errors, data, [where])))
    return dict(reader.validated_data)
