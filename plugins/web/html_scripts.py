"""Superscripts and subscripts in one line of plain text.

``10<sup>6</sup>`` is written ``10^6`` and ``x<sub>i</sub>`` ``x_i``, as everybody types formulas; of several signs,
``x^(n+1)``. To full-text search the marks are spaces, so that both parts are found. Where people type no mark there is
none: ordinals (1st, XIXe), numbers of atoms (H2O), fractions (1 1/2), signs (Na+). A raised mark of a footnote, which
is bracketed or follows the end of a clause, says nothing away from its note and is left out.
"""

import re

LONGEST = 40  # characters; more is small print rather than an exponent
_LINK = re.compile(r"\[([^\[\]]*|\[[^\[\]]*\])\]\([^()\s]*\)")
_FOOTNOTE = re.compile(r"\[[^\[\]]+\]")
_NUMBERS = re.compile(r"\d+(?:[,–-]\d+)*")
_CLAUSE_ENDS = frozenset('.,;:!?"”»…。')
_ONE_WORD = re.compile(r"[+−-]?\w+(?:[.,]\w+)*[+−-]?")
_ORDINALS = re.compile(r"st|nd|rd|th|ers?|[èe]re|nde|[èe]mes?|os|as|mm?e|mes|lle|tm|sm", re.IGNORECASE)
_ORDINALS_OF_NUMBERS = re.compile(r"[eoè]", re.IGNORECASE)


def raised(text: str, before: str, after: str) -> str:
    """The superscript *text*.

    :param before: the character before it, empty at the start of a block
    :param after: the character behind it
    """
    text = text.strip()
    if len(text) > 8 * LONGEST:  # of which a link may take most
        return f" {text} "
    words = _LINK.sub(r"\1", text)
    if _FOOTNOTE.fullmatch(words) or (before in _CLAUSE_ENDS and _NUMBERS.fullmatch(words)):
        return ""
    if not before or before.isspace() or not re.search(r"\w", words):
        return text
    if words != text or len(words) > LONGEST:
        return f" {text} "
    if after in {"/", "⁄"} and before.isdigit():
        return f" {text}"
    number = before.isdigit() or before in "IVXLCnN"
    if _ORDINALS.fullmatch(words) or (number and _ORDINALS_OF_NUMBERS.fullmatch(words)):
        return text
    return f"^{_bracketed(text)}"


def lowered(text: str, before: str) -> str:
    """The subscript *text*; *before* as with ``raised``."""
    text = text.strip()
    if len(text) > LONGEST or "](" in text:
        return f" {text} "
    of_atoms = text.isdigit() and not before.isdigit()
    if of_atoms or not (before.isalnum() or before in {")", "]"}) or not re.search(r"\w", text):
        return text
    return f"_{_bracketed(text)}"


def _bracketed(text: str) -> str:
    return text if _ONE_WORD.fullmatch(text) or re.fullmatch(r"\([^()]*\)", text) else f"({text})"
