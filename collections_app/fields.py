"""Serializer fields as strict as the wire contract: text is text, numbers may come as text, null is not nothing."""

import math
import re
from collections.abc import Sequence
from typing import Any, ClassVar

from rest_framework import serializers

INTEGER = re.compile(r"\s*[+-]?[0-9]{1,40}(?:\.0*)?\s*", re.ASCII)
TRUE = {"true", "1", "yes", "on", "t", "y"}
FALSE = {"false", "0", "no", "off", "f", "n"}


def as_integer(value: Any) -> int | None:
    """An integer, an integral float or either as text; None for anything else."""
    if isinstance(value, str) and INTEGER.fullmatch(value):
        return int(value.strip().split(".")[0])
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def is_storable(value: Any) -> bool:
    """False where any text holds what no database or answer can carry: NUL, or half characters."""
    try:
        return _all_storable(value)
    except (UnicodeEncodeError, RecursionError):
        return False


def _all_storable(value: Any) -> bool:
    if isinstance(value, str):
        return "\0" not in value and (value.isascii() or bool(value.encode()))
    if isinstance(value, dict):
        return all(map(_all_storable, value)) and all(map(_all_storable, value.values()))
    return all(map(_all_storable, value)) if isinstance(value, list) else True


class TextField(serializers.CharField):
    """Text as it was sent, neither trimmed nor made from a number."""

    default_error_messages: ClassVar[dict[str, Any]] = {
        "string_type": "Must be text.",
        "string_unicode": "Holds characters that are not text.",
    }

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"trim_whitespace": False, "allow_blank": True, **options})

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            self.fail("string_type")
        if not is_storable(data):
            self.fail("string_unicode")
        return data


class IntegerField(serializers.IntegerField):
    default_error_messages: ClassVar[dict[str, Any]] = {"int_parsing": "Must be a whole number."}

    def to_internal_value(self, data: Any) -> int:
        number = as_integer(data)
        if number is None:
            self.fail("int_parsing")
        return number


class NumberField(serializers.FloatField):
    default_error_messages: ClassVar[dict[str, Any]] = {"float_parsing": "Must be a number."}

    def to_internal_value(self, data: Any) -> float:
        try:
            number = math.nan if isinstance(data, bool) else float(data)
        except (TypeError, ValueError, OverflowError):
            number = math.nan
        if not math.isfinite(number):
            self.fail("float_parsing")
        return number


class FlagField(serializers.BooleanField):
    """true/false, 1/0, yes/no, on/off, t/f, y/n in any case: Python clients send ``True``."""

    default_error_messages: ClassVar[dict[str, Any]] = {"bool_parsing": "Must be true or false."}

    def to_internal_value(self, data: Any) -> bool:
        word = str(data).strip().lower()
        if word not in TRUE | FALSE:
            self.fail("bool_parsing")
        return word in TRUE


class AnyObjectField(serializers.JSONField):
    """A JSON object with any content."""

    default_error_messages: ClassVar[dict[str, Any]] = {
        "dict_type": "Must be a JSON object.",
        "string_unicode": "Holds characters that are not text.",
    }

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        if not isinstance(data, dict):
            self.fail("dict_type")
        return data


class ObjectField(AnyObjectField):
    """A JSON object that can be stored as it is."""

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        if not is_storable(super().to_internal_value(data)):
            self.fail("string_unicode")
        return dict(data)


class ChoiceField(serializers.ChoiceField):
    """One of a few words; the error names them."""

    def __init__(self, choices: Sequence[str], **options: Any) -> None:
        message = f"Must be one of: {', '.join(choices)}."
        super().__init__(choices, **{"error_messages": {"invalid_choice": message}, **options})
