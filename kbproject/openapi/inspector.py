"""Makes the schema: what ``operations`` says of each action, and the errors that follow from its address."""

import inspect
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import uritemplate
from drf_spectacular.extensions import OpenApiAuthenticationExtension, OpenApiSerializerFieldExtension
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, OpenApiResponse
from rest_framework.serializers import ListSerializer

from collections_app.schemas import Error, Invalid
from kbproject.openapi.operation import Operation
from kbproject.openapi.operations import OPERATIONS, STORED_FILE

PATH = {
    "collection_id": ("integer", "The collection"),
    "job_id": ("integer", "The job; the same number as its file"),
    "file_id": ("integer", "The file; the same number as its job"),
    "owner": ("string", "Whose collections"),
}
MISSING = {
    "collection_id": "There is no collection 7.",
    "job_id": "Collection 2 has no job 9.",
    "file_id": "There is no file 9.",
}
MEANINGS = {
    200: "Done",
    201: "Created",
    400: "Well formed, but makes no sense here",
    401: "No token, or a wrong one",
    403: "A browser's session without its CSRF token",
    404: "Not there",
    409: "Taken",
    411: "A body without a Content-Length",
    413: "Larger than this server takes",
    422: "A value of the wrong shape, type or range; each is named",
    500: "What the server stores cannot be read or written",
    503: "Not now; try again in a moment",
    507: "The server's disk is full",
}
SAFE = ("GET",)
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")


class Schema(AutoSchema):
    """Describes an action of a view as ``operations`` says, and nothing that it could guess."""

    view: Any

    @property
    def said(self) -> Operation:
        """:raises KeyError: an action that nobody has described"""
        return OPERATIONS[type(self.view), self.view.action]

    def get_operation_id(self) -> str:
        said = self.said.name
        return f"{said}_put" if (self.view.action, self.method) == ("update", "PUT") and self.is_patched() else said

    def is_patched(self) -> bool:
        """PUT and PATCH are the same action here, and need two names."""
        return "patch" in (getattr(self.view, "action_map", None) or {})

    def get_summary(self) -> str:
        return self.said.summary

    def get_description(self) -> str:  # type: ignore[override]
        return inspect.getdoc(getattr(self.view, self.view.action)) or ""

    def get_tags(self) -> list[str]:
        return [self.said.tag]

    def get_request_serializer(self) -> Any:
        return self.said.takes

    def get_override_parameters(self) -> list[Any]:
        return [*self.said.query, *self.said.headers]

    def get_response_serializers(self) -> Any:
        said = self.said
        answers: dict[Any, Any] = {}
        for status, value in {said.status: said.example, **said.instead}.items():
            example = OpenApiExample(f"Answer {status}", value=value, response_only=True)
            key = (status, said.kind) if said.kind else status
            answers[key] = OpenApiResponse(said.answer, description=MEANINGS[status], examples=[example])
        answers |= {status: OpenApiResponse(description=meaning) for status, meaning in said.empty.items()}
        for status, examples in sorted(self.errors().items()):
            kind = Invalid if status == 422 else Error
            shown = [
                OpenApiExample(f"Error {status}-{number}", value={"detail": detail}, response_only=True)
                for number, detail in enumerate(examples, start=1)
            ]
            answers[status] = OpenApiResponse(kind, description=MEANINGS[status], examples=shown)
        return answers

    def get_examples(self) -> list[OpenApiExample]:
        return [OpenApiExample("Request", value=self.said.sent, request_only=True)] if self.said.sent else []

    def errors(self) -> dict[int, list[Any]]:
        """Details of each error that this operation may answer, by status."""
        found: dict[int, list[Any]] = {}
        for status, detail in self.usual_errors():
            found.setdefault(status, []).append(detail)
        for status, details in self.said.errors.items():
            found.setdefault(status, []).extend([details] if isinstance(details, str) else details)
        return found

    def usual_errors(self) -> Iterator[tuple[int, Any]]:
        names = uritemplate.variables(self.path)
        if not self.view.get_authenticators():
            return
        yield 401, "Not authenticated"
        yield 401, "This token is not valid. Use the one that LAMB_API_KEY holds."
        yield 503, "The database is busy. Try again in a moment."
        for name in names:
            if name in MISSING:
                yield 404, MISSING[name]
        entry = self.said.invalid or next((wrong_id(name) for name in names if name in MISSING), None)
        if entry:
            yield 422, [entry]
        if self.method not in SAFE:
            yield 403, "CSRF Failed: CSRF token missing."
            yield 507, "The server's disk is full. Try again later."
            yield 411, "Send a Content-Length: this server does not take chunked bodies."
        if self.said.takes:
            yield 400, "The request broke off before it was complete. Send it again."
            yield 413, "The body is larger than 64 MB, which is the most this server takes."

    # -- What spectacular would guess -----------------------------------------------------------------

    def _is_list_view(self, serializer: Any = None) -> bool:
        return isinstance(serializer, ListSerializer)

    def _resolve_path_parameters(self, variables: Sequence[str]) -> list[dict[str, Any]]:
        return [path_parameter(name) for name in variables]


def wrong_id(name: str) -> dict[str, Any]:
    message = f"{name} must be a whole number."
    return {"type": "int_parsing", "loc": ["path", name], "msg": message, "input": "seven"}


def path_parameter(name: str) -> dict[str, Any]:
    kind, description = PATH[name]
    schema: dict[str, Any] = {"type": kind}
    if kind == "integer":
        schema |= {"format": "int64", "minimum": 0}
    return {
        "in": OpenApiParameter.PATH,
        "name": name,
        "required": True,
        "schema": schema,
        "description": description,
    }


# -- Hooks ------------------------------------------------------------------------------------------


def in_order(endpoints: list[tuple[str, str, str, Callable[..., Any]]], **_: Any) -> list[Any]:
    """The same order every time: a view's methods come as a set.

    ``/collections`` is served with a slash behind it, too; one of both is enough to be described.
    """
    return sorted(
        (one for one in endpoints if one[0] != "/collections/"), key=lambda one: (one[0], METHODS.index(one[2]))
    )


def with_stored_files(result: dict[str, Any], **_: Any) -> dict[str, Any]:
    """Stored files are served by a view of Django's, which spectacular does not see."""
    result["paths"] |= STORED_FILE
    return result


# -- Fields and authentication ----------------------------------------------------------------------


class ObjectFields(OpenApiSerializerFieldExtension):  # type: ignore[no-untyped-call]
    target_class = "collections_app.fields.AnyObjectField"
    match_subclasses = True

    def map_serializer_field(self, auto_schema: AutoSchema, direction: str) -> dict[str, Any]:
        return {"type": "object", "additionalProperties": {}}


class Bearer(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    target_class = "collections_app.http.BearerAuthentication"
    name = "bearer"

    def get_security_definition(self, auto_schema: AutoSchema) -> dict[str, Any]:
        return {
            "type": "http",
            "scheme": "bearer",
            "description": "The token that `LAMB_API_KEY` holds, or that the server made at its first start.",
        }


class Metrics(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    target_class = "ingestion.api.system.MetricsToken"
    name = "metrics"

    def get_security_definition(self, auto_schema: AutoSchema) -> dict[str, Any]:
        return {
            "type": "http",
            "scheme": "bearer",
            "description": "The API's token, or the one of `KB_METRICS_TOKEN`, which opens nothing else.",
        }


class Session(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    target_class = "collections_app.http.StaffSessionAuthentication"
    name = "session"

    def get_security_definition(self, auto_schema: AutoSchema) -> dict[str, Any]:
        return {
            "type": "apiKey",
            "in": "cookie",
            "name": "kb_session",
            "description": "Staff who are logged in at `/admin/`. What changes something needs the header "
            "`X-CSRFToken` with the value of the cookie `kb_csrf`.",
        }
