"""Codes of languages, such as ``en``, ``pt-BR`` or ``zh-Hant``: how near one comes to another that was asked for."""

import re
from enum import IntEnum

# YouTube has both old and new codes.
_TODAY = {"iw": "he", "in": "id", "ji": "yi", "jw": "jv", "nb": "no"}
# Of languages that are written in several scripts: what a code without one means, and what places tell.
_SCRIPTS = {
    **{"az": "latn", "bs": "latn", "ha": "latn", "kk": "cyrl", "ks": "arab", "ku": "latn", "mn": "cyrl", "ms": "latn"},
    **{"pa": "guru", "sd": "arab", "sr": "cyrl", "ug": "arab", "uz": "latn", "zh": "hans"},
    **{"az-ir": "arab", "mn-cn": "mong", "pa-pk": "arab", "sr-me": "latn", "uz-af": "arab"},
    **{"zh-tw": "hant", "zh-hk": "hant", "zh-mo": "hant"},
}


class Nearness(IntEnum):
    """How near a language comes to the one that was asked for; less is better."""

    ASKED = 0  # the very one, or a variant of it where no variant was asked for
    SCRIPT = 1  # of another region, but written in the same script
    LANGUAGE = 2  # written in another script
    OTHER = 3


def language_of(code: str) -> str:
    """The language without script and region, by its code of today: ``he`` of ``iw-IL``."""
    base = _subtags(code)[0]
    return _TODAY.get(base, base)


def nearness(code: str, asked: str) -> Nearness:
    """How near *code* comes to the code *asked*, in whatever case they are written."""
    if language_of(code) != language_of(asked):
        return Nearness.OTHER
    wanted = _subtags(asked)[1:]
    if not wanted or wanted == _subtags(code)[1:]:
        return Nearness.ASKED
    return Nearness.SCRIPT if _script(code) == _script(asked) else Nearness.LANGUAGE


def rank(code: str, asked: str) -> tuple[Nearness, bool, bool, bool]:
    """A key to sort codes by: the nearest first, then the very code, the plain language, its usual script."""
    same = _subtags(code)[1:] == _subtags(asked)[1:]
    return nearness(code, asked), not same, "-" in code or "_" in code, _script(code) != _script(language_of(code))


def _subtags(code: str) -> list[str]:
    return re.split(r"[-_]", code.strip().lower())


def _script(code: str) -> str:
    """The script of a code, four letters; empty when there is but one to think of."""
    language, (_, *further) = language_of(code), _subtags(code)
    written = [tag for tag in further if len(tag) == 4 and tag.isalpha()]
    placed = [_SCRIPTS[f"{language}-{tag}"] for tag in further if f"{language}-{tag}" in _SCRIPTS]
    return [*written, *placed, _SCRIPTS.get(language, "")][0]
