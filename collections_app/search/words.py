"""A question's words, as FTS5 is asked for them.

Everything is quoted, so that nothing in a question is ever read as the query language of FTS5.
"""

import re
import unicodedata
from collections.abc import Iterator

MOST_TERMS = 32  # each is one lookup; more of a long question says little
MOST_CHARACTERS = 10_000  # of a question that are read
LONGEST_WORD = 128  # a SHA-512 in hexadecimal; longer runs are no words
LONGEST_PHRASE = 8  # words; an address has so many

_PIECE = re.compile(r"[^\s'’]+")
_WORD = re.compile(r"[^\W_]+")

# Words that questions are made of and that no passage is found by. Left out: what is one of them in one language and
# means something in the other (son, sea, era, has, sin, red, once, pie, come).
_ENGLISH = """
    a about all also am an and any are as at be because been being between both but by can could did do does doing for
    from get had have he her here him his how i if in into is it its just ll may me more most must my nor not of off on
    or our out over own re s same shall she should so some such t than that the their them then there these they this
    those through to too under until up us ve very was we were what when where which while who whom whose why will with
    would you your
"""
_SPANISH = """
    al algo algun alguna algunas alguno algunos ante antes asi aun aunque cada como con contra cual cuales cuando
    cuanta cuantas cuanto cuantos de debe deben debo del desde donde dos el ella ellas ellos en entre es esa esas ese
    eso esos esta estan estas este esto estos fue fueron ha hace hacer hacia han hasta hay la las le les lo los mas me
    mi mis mismo mucho muy ni no nos o os otra otras otro otros para pero poco por porque pueda puede pueden puedo pues
    que quien quienes se segun ser si siempre sobre solo su sus tal tambien tan tanto te tiene tienen todo todos tu tus
    un una unas uno unos usted ustedes va y ya yo
"""
STOP_WORDS = frozenset(f"{_ENGLISH} {_SPANISH}".split())


def terms(text: str) -> list[str]:
    """What to look up for *text*: its words, quoted, and what is written together (``"B-204"``) as a phrase as well.

    Stop words are left out if anything else remains. At most ``MOST_TERMS``, in the order of the text. A run of
    letters counts as one word, so scripts without spaces are found only where the very same run stands.
    """
    found: dict[str, str] = {}
    common: dict[str, str] = {}
    for term in _terms(unicodedata.normalize("NFC", text[:MOST_CHARACTERS])):
        folded = _folded(term)
        (common if folded in STOP_WORDS else found).setdefault(folded, f'"{term}"')
        if len(found) >= MOST_TERMS:
            break
    return list((found or common).values())[:MOST_TERMS]


def _terms(text: str) -> Iterator[str]:
    """Each word of *text*, and each phrase as its words with spaces between."""
    for piece in _PIECE.finditer(text):
        words = [word for word in _WORD.findall(piece[0]) if len(word) <= LONGEST_WORD]
        yield from words
        if 1 < len(words) <= LONGEST_PHRASE:
            yield " ".join(words)


def _folded(term: str) -> str:
    """As the index holds it, to tell equal ones: lower case without accents."""
    if term.isascii():
        return term.lower()
    return "".join(letter for letter in unicodedata.normalize("NFD", term.lower()) if not unicodedata.combining(letter))
