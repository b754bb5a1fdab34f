"""Checking the parameters that people set, against what a plugin declares.

Web forms send text and LAMB guesses types from it (all digits become a number, "true" a boolean), so a value is first
read as the declared type and only then judged.
"""

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from plugins.net import AddressBlocked, Guard
from plugins.web.addresses import named_address

SIMPLIFIED = "SIMPLIFIED"
# What remains settable in simplified mode besides required parameters and those without default.
ALWAYS_SETTABLE = frozenset({"url", "urls", "video_url", "language", "top_k", "threshold"})
ADDRESS_PARAMETERS = ("url", "urls", "video_url", "video_urls")
NOTICE = "info"
_OVERLAPS = (("chunk_size", "chunk_overlap"), ("child_chunk_size", "child_chunk_overlap"))


@dataclass(frozen=True, slots=True)
class ParameterError:
    """One wrong parameter. ``type`` is a stable slug in pydantic's words; ``input`` is the value as it came."""

    name: str
    type: str
    message: str
    input: Any


def overlap_sentence(size: int, overlap: int) -> str:
    """Why an overlap as large as its chunk is refused."""
    return f"chunk_overlap ({overlap}) must be smaller than chunk_size ({size}), or the text would never advance."


class _Wrong(ValueError):
    def __init__(self, slug: str, message: str) -> None:
        super().__init__(message)
        self.slug = slug


def validate(
    specs: Mapping[str, Mapping[str, Any]], params: Mapping[str, Any], mode: str = "ADVANCED"
) -> tuple[dict[str, Any], list[ParameterError]]:
    """Read *params* as *specs* declare them.

    :param mode: in ``SIMPLIFIED`` mode whatever the form hides is ignored and its default applies
    :return: every declared parameter that has a value, sent or default, and what is wrong (then use none of them)
    """
    clean: dict[str, Any] = {}
    errors = [_unknown(name, params[name], specs) for name in params if name not in specs and not name.startswith("_")]
    for name, spec in specs.items():
        if is_notice(name, spec):
            continue
        value = params.get(name) if mode != SIMPLIFIED or settable_in_simplified(name, spec) else None
        if value is None or value == "":
            if spec.get("default") is not None:
                clean[name] = spec["default"]
            elif spec.get("required"):
                errors.append(ParameterError(name, "missing", f"{name} is required.", value))
            continue
        try:
            clean[name] = _limited(name, spec, _formed(name, spec, _read(name, spec, value)))
        except _Wrong as wrong:
            errors.append(ParameterError(name, wrong.slug, str(wrong), value))
    if not errors:
        errors = _settle_overlaps(clean, params)
    return clean, errors


def addresses_in(params: Mapping[str, Any]) -> list[str]:
    """The addresses that parameters of a fetching plugin name, in their order, without blanks around them."""
    found: list[str] = []
    for name in ADDRESS_PARAMETERS:
        given = params.get(name)
        words = given if isinstance(given, list | tuple) else str(given or "").split()
        found += [word.strip() for word in words if isinstance(word, str) and word.strip()]
    return found


def is_notice(name: str, spec: Mapping[str, Any]) -> bool:
    """True for what the form shows but nobody can set."""
    return name.startswith("_") or spec.get("type") == NOTICE


def settable_in_simplified(name: str, spec: Mapping[str, Any]) -> bool:
    return bool(spec.get("required")) or spec.get("default") is None or name in ALWAYS_SETTABLE


def _unknown(name: str, value: Any, specs: Mapping[str, Mapping[str, Any]]) -> ParameterError:
    known = ", ".join(sorted(known for known, spec in specs.items() if not is_notice(known, spec))) or "none"
    return ParameterError(name, "extra_forbidden", f"{name} is no parameter of this plugin. It knows: {known}.", value)


# -- Types ------------------------------------------------------------------------------------------


def _read(name: str, spec: Mapping[str, Any], value: Any) -> Any:
    reader = _READERS.get(str(spec.get("type")))
    return reader(name, value) if reader else value


_INTEGER = re.compile(r"[+-]?\d{1,18}(?:\.0*)?", re.ASCII)


_GREATEST = 10**18  # what databases and JSON readers of other languages hold exactly enough


def _integer(name: str, value: Any) -> int:
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) < _GREATEST:
        return value
    if isinstance(value, float) and value.is_integer() and abs(value) < _GREATEST:
        return int(value)
    if isinstance(value, str) and _INTEGER.fullmatch(value.strip()):
        return int(value.strip().split(".")[0])
    raise _Wrong("int_parsing", f"{name} must be a whole number, such as 5.")


def _number(name: str, value: Any) -> float | int:
    if isinstance(value, str):
        try:
            value = float(value.strip().replace("_", "x"))  # float() would take 1_0 for 10
        except ValueError:
            value = None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _Wrong("float_parsing", f"{name} must be a number, such as 0.5.")
    if (isinstance(value, float) and not math.isfinite(value)) or abs(value) >= _GREATEST:
        raise _Wrong("finite_number", f"{name} must be a finite number.")
    return value


_TRUE = frozenset({"true", "1", "yes", "on", "t", "y"})
_FALSE = frozenset({"false", "0", "no", "off", "f", "n"})


def _boolean(name: str, value: Any) -> bool:
    word = str(value).strip().lower() if isinstance(value, str | int) else ""
    if word in _TRUE | _FALSE:
        return word in _TRUE
    raise _Wrong("bool_parsing", f"{name} must be true or false.")


def _string(name: str, value: Any) -> str:
    if isinstance(value, bool):
        value = str(value).lower()  # LAMB's form turns the typed text "true" into a boolean
    if isinstance(value, int):
        value = str(value)
    if not isinstance(value, str):
        raise _Wrong("string_type", f"{name} must be text.")
    if "\0" in value:
        raise _Wrong("string_type", f"{name} must not contain NUL characters.")
    return value


def _array(name: str, value: Any) -> list[str]:
    if isinstance(value, list | tuple):
        return [_string(name, item) for item in value]
    if isinstance(value, str | int):
        return [line.strip() for line in _string(name, value).splitlines() if line.strip()]
    raise _Wrong("list_type", f"{name} must be a list, or text with one entry a line.")


_READERS: dict[str, Callable[[str, Any], Any]] = {
    "integer": _integer,
    "number": _number,
    "boolean": _boolean,
    "string": _string,
    "long-string": _string,
    "array": _array,
}


# -- Formats ----------------------------------------------------------------------------------------

WEB_ADDRESS = "web-address"  # http or https; where it leads is checked when it is fetched


def _formed(name: str, spec: Mapping[str, Any], value: Any) -> Any:
    if spec.get("format") != WEB_ADDRESS:
        return value
    if isinstance(value, list):
        return [_web_address(name, item) for item in value]
    return "\n".join(_web_address(name, line) for line in value.strip().splitlines())


def _web_address(name: str, text: str) -> str:
    """*text* as an address; people leave out the scheme."""
    address = named_address(text)
    if not {".", "[", "/"} & set(text):  # a word, and no address without its scheme
        raise _Wrong("url_parsing", f"{name} must be a web address, such as https://example.org/page.")
    try:
        Guard().check_url(address)
    except AddressBlocked as refused:
        raise _Wrong("url_parsing", f"{name}: {refused.message} {refused.hint}") from refused
    return address


# -- Limits -----------------------------------------------------------------------------------------


def _limited(name: str, spec: Mapping[str, Any], value: Any) -> Any:
    if isinstance(value, int | float) and not isinstance(value, bool):
        if (low := spec.get("min")) is not None and value < low:
            raise _Wrong("greater_than_equal", f"{name} must be at least {low}.")
        if (high := spec.get("max")) is not None and value > high:
            raise _Wrong("less_than_equal", f"{name} must be at most {high}.")
    choices = spec.get("enum")
    if choices:
        for item in value if isinstance(value, list) else [value]:
            if str(item) not in map(str, choices):
                raise _Wrong("enum", f"{name} must be one of: {', '.join(map(str, choices))}.")
    return value


def _settle_overlaps(clean: dict[str, Any], params: Mapping[str, Any]) -> list[ParameterError]:
    """An overlap must be smaller than its chunk. A default one gives way to a small size that was asked for."""
    errors = []
    for size_name, overlap_name in _OVERLAPS:
        size, overlap = clean.get(size_name), clean.get(overlap_name)
        if not isinstance(size, int) or not isinstance(overlap, int) or overlap < size:
            continue
        if params.get(overlap_name) in (None, ""):
            clean[overlap_name] = size // 5
        else:
            errors.append(
                ParameterError(overlap_name, "less_than", overlap_sentence(size, overlap), params[overlap_name])
            )
    return errors
