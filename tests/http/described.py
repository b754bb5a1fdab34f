"""Holds answers against the schema of the API, so that it cannot lie."""

import json
import re
from functools import cache
from typing import Any

from django.conf import settings
from jsonschema import Draft202012Validator
from jsonschema.validators import validator_for
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

from kbproject import urls

OPEN = {"Passage", "PluginParameter"}  # plugins may add keys to these
SPELLED_TWICE = {"/collections/": "/collections"}
METHODS = {"GET", "POST", "PUT", "PATCH", "DELETE"}


@cache
def schema() -> dict[str, Any]:
    """The kept schema; another test says that it is the one that the code makes."""
    found: dict[str, Any] = json.loads((settings.BASE_DIR / "docs" / "openapi.json").read_text())
    return found


@cache
def closed() -> Registry[Any]:
    """The schema with every object closed: a key that is not described is an error, too."""
    components = json.loads(json.dumps(schema()["components"]))
    for name, component in components["schemas"].items():
        if "properties" in component and name not in OPEN:
            component["additionalProperties"] = False
    known: Registry[Any] = Registry().with_resource("api", Resource({"components": components}, DRAFT202012))
    return known


def fits(value: Any, of: dict[str, Any]) -> None:
    """:raises AssertionError: naming what does not"""
    text = json.dumps(of).replace('"#/components', '"api#/components')
    validator = Draft202012Validator(json.loads(text), registry=closed(), format_checker=checker())
    errors = [f"{'/'.join(map(str, error.absolute_path))}: {error.message}" for error in validator.iter_errors(value)]
    assert not errors, errors


@cache
def checker() -> Any:
    return validator_for({"$schema": Draft202012Validator.META_SCHEMA["$id"]}).FORMAT_CHECKER


def operation(method: str, route: str) -> dict[str, Any] | None:
    """The description of *method* at a route of Django's; None for what is not part of the API.

    :param route: such as ``collections/<collection_id>/files``
    """
    path = "/" + re.sub(r"<(\w+)>", r"{\1}", route)
    item = schema()["paths"].get(SPELLED_TWICE.get(path, path), {})
    found: dict[str, Any] | None = item.get(method.lower())
    return found


def check(method: str, response: Any) -> tuple[str, int] | None:
    """Whether *response* is what the schema says.

    :return: name of the operation and status; None for what is not part of the API
    """
    match = response.resolver_match
    said = operation(method, match.route) if method in METHODS and match.func is not urls.unknown else None
    if said is None:
        return None
    status = response.status_code
    assert str(status) in said["responses"], f"{said['operationId']} does not say that it answers {status}"
    answer = said["responses"][str(status)]
    for name in ("ETag", "Retry-After", "Idempotent-Replayed"):
        assert name not in response.headers or status == 503 or name in answer.get("headers", {}), name
    if "content" not in answer:
        assert not b"".join(response)
    elif not response.streaming:
        kind = response.headers["Content-Type"].partition(";")[0]
        if "application/json" in answer["content"]:
            fits(response.json(), answer["content"][kind]["schema"])
    return said["operationId"], status
