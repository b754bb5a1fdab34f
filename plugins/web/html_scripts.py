"""Superscripts and subscripts in one line of plain text.

``10<sup>6</sup>`` is written ``10^6`` and ``x<sub>i</sub>`` ``x_i``, as everybody types formulas; of several signs,
``x^(n+1)``. To full-text search the marks are spaces, so that both parts are found. Where people type no mark there is
none: ordinals (1st, XIXe), numbers of atoms (H2O), fractions (1 1/2), signs (Na+). A number that another one follows
stands in brackets: ``log_(2)8``. A raised mark of a footnote, which is bracketed at the end of a word or follows the
end of a clause, says nothing away from its note and is left out.
"""

import re

LONGEST = 40  # characters; more is small print rather than an exponent
_LINK = re.compile(r"\[([^\[\]]*|\[[^\[\]]*\])\]\([^()\s]*\)")
_FOOTNOTE = re.compile(r"\[[^\[\]]+\]")
_NUMBERS = re.compile(r"\d+(?:[,–-]\d+)*")
_CLAUSE_ENDS = frozenset('.,;:!?"”»…。')
_ONE_WORD = re.compile(r"[+−-]?\w+(?:[.,]\w+)*[+−-]?")
_ORDINALS = re.compile(r"st|nd|rd|th|ers?|[èe]re|nde|[èe]mes?|os|as|[eoè]", re.IGNORECASE)  # behind a number
_ABBREVIATED = re.compile(r"mm?e|mes|lle|tm|sm", re.IGNORECASE)
_GO_ON = frozenset("([{")  # after them it is no end of a word


def raised(text: str, before: str, after: str) -> str:
    """The superscript *text*.

    :param before: the character before it, empty at the start of a block
    :param after: the character behind it
    """
    text = text.strip()
    if len(text) > 8 * LONGEST:  # of which a link may take most
        return f" {text} "
    words = _LINK.sub(r"\1", text)
    if _is_note(words, before, after):
        return ""
    if not before or before.isspace() or not re.search(r"\w", words):
        return text
    if words != text or len(words) > LONGEST:
        return f" {text} "
    if after in {"/", "⁄"} and before.isdigit():
        return f" {text}"
    number = before.isdigit() or before in "IVXLCnN"
    if _ABBREVIATED.fullmatch(words) or (number and _ORDINALS.fullmatch(words)):
        return text
    return f"^{_bracketed(text, after)}"


def _is_note(words: str, before: str, after: str) -> bool:
    if _FOOTNOTE.fullmatch(words):
        return before != "" and not after.isalnum() and after not in _GO_ON
    return before in _CLAUSE_ENDS and bool(_NUMBERS.fullmatch(words))


def lowered(text: str, before: str, after: str) -> str:
    """The subscript *text*; *before* and *after* as with ``raised``."""
    text = text.strip()
    if len(text) > LONGEST or "](" in text:
        return f" {text} "
    of_atoms = text.isdigit() and not before.isdigit() and not after.isdigit()
    if of_atoms or not (before.isalnum() or before in {")", "]"}) or not re.search(r"\w", text):
        return text
    return f"_{_bracketed(text, after)}"


def _bracketed(text: str, after: str) -> str:
    if text[-1:].isdigit() and after.isdigit():
        return f"({text})"
    return text if _ONE_WORD.fullmatch(text) or re.fullmatch(r"\([^()]*\)", text) else f"({text})"
