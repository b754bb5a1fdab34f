"""A form made of what a plugin declares of its parameters, and what people entered in it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.http import QueryDict

from ingestion.ui.phrases import translated
from ingestion.wire import MASK, is_secret_name
from plugins.catalogue import PluginInfo
from plugins.parameters import ADDRESS_PARAMETERS, SIMPLIFIED, is_notice, settable_in_simplified

PREFIX = "param-"
NOTICE = "notice"  # the kind of what is shown and cannot be set
# What most people look at, in this order; everything else is folded away until somebody opens it.
PROMINENT = (
    "url", "urls", "video_url", "video_urls", "max_discovery_depth", "limit", "crawl_entire_domain", "language",
    "chunk_duration", "chunking_mode", "pages_per_chunk", "headings_per_chunk", "parent_chunk_size",
    "child_chunk_size", "chunk_size", "chunk_overlap", "image_descriptions",
)  # fmt: skip


@dataclass(frozen=True)
class Field:
    """One parameter as a form shows it.

    :param kind: ``notice``, ``checkbox``, ``select``, ``number``, ``textarea``, ``secret`` or ``text``
    :param shown_when: JSON of what other parameters must be, empty for always
    """

    name: str
    kind: str
    label: str
    help: str
    value: Any
    choices: tuple[tuple[str, str], ...] = ()
    min: Any = ""
    max: Any = ""
    step: str = ""
    placeholder: str = ""
    shown_when: str = ""
    prominent: bool = False
    error: str = ""

    @property
    def input(self) -> str:
        """Its name in the form."""
        return f"{PREFIX}{self.name}"


def fields(
    info: PluginInfo,
    values: Mapping[str, Any] | None = None,
    *,
    addresses: bool = False,
    errors: Mapping[str, str] | None = None,
) -> list[Field]:
    """All that people may set of *info*.

    :param values: what is set already; otherwise the defaults stand there
    :param addresses: with the parameters that name what is to be fetched
    :param errors: what is wrong, by the name of the parameter
    """
    mode = settings.KB_PLUGIN_MODES.get(info.name.upper(), "ADVANCED")
    found = [
        field(name, spec, (values or {}).get(name), (errors or {}).get(name, ""))
        for name, spec in info.parameters.items()
        if (addresses or name not in ADDRESS_PARAMETERS)
        and (mode != SIMPLIFIED or is_notice(name, spec) or settable_in_simplified(name, spec))
    ]
    return sorted(found, key=lambda one: PROMINENT.index(one.name) if one.name in PROMINENT else len(PROMINENT))


def field(name: str, spec: Mapping[str, Any], value: Any = None, error: str = "") -> Field:
    default = spec.get("default")
    given = default if value is None else value
    choices = tuple((str(key), translated(spec.get("enum_labels", {}).get(key, key))) for key in spec.get("enum", ()))
    return Field(
        name,
        kind_of(name, spec),
        translated(spec.get("description") or name.replace("_", " ")),
        translated(spec.get("help_text", "")),
        "\n".join(map(str, given)) if isinstance(given, list | tuple) else "" if given is None else given,
        choices if default is not None else (("", "–"), *choices),
        spec.get("min", ""),
        spec.get("max", ""),
        "any" if spec.get("type") == "number" else "1",
        "" if default is None or isinstance(default, bool | list) else str(default),
        json.dumps(spec["visible_when"]) if spec.get("visible_when") else "",
        name in PROMINENT or is_notice(name, spec) or bool(spec.get("required")),
        error,
    )


def kind_of(name: str, spec: Mapping[str, Any]) -> str:
    kind = spec.get("type")
    if is_notice(name, spec):
        return NOTICE
    if spec.get("enum"):
        return "select"
    if kind == "boolean":
        return "checkbox"
    if kind in {"integer", "number"}:
        return "number"
    if kind in {"array", "long-string"}:
        return "textarea"
    return "secret" if is_secret_name(name) else "text"


def entered(info: PluginInfo, form: QueryDict | Mapping[str, str]) -> dict[str, Any]:
    """What people entered for *info*; what they left empty is left out, so that its default applies.

    A checkbox that is off sends nothing; its hidden twin ``{name}-shown`` says that it was there. A secret that comes
    back masked was not changed.
    """
    found: dict[str, Any] = {}
    for name, spec in info.parameters.items():
        key = f"{PREFIX}{name}"
        kind = kind_of(name, spec)
        if kind == "checkbox":
            if f"{key}-shown" in form:
                found[name] = key in form
        elif kind != NOTICE and (value := form.get(key, "").strip()) and value != MASK:
            found[name] = value.splitlines() if spec.get("type") == "array" else value
    return found
