"""What failures of the same kind have in common: their messages without what differs from job to job."""

import hashlib
import re

LENGTH = 12  # hex digits
READ = 500  # characters of a message; the patterns take time that grows with its square
# In this order: an address holds names and numbers, a quoted name may hold numbers.
_VARIABLE = (
    (re.compile(r"\bhttps?://\S+"), "<address>"),
    (re.compile(r"'[^'\n]*'|\"[^\"\n]*\"|“[^”\n]*”|„[^“\n]*“"), "<name>"),
    (re.compile(r"\b[^\s/\\]+\.[a-z][a-z0-9]{1,4}\b"), "<name>"),  # report.pdf, example.org
    (re.compile(r"\b(?=[0-9a-f]*\d)[0-9a-f]{8,}(?:-[0-9a-f]{4,})*\b"), "<id>"),
    (re.compile(r"\d+(?:[.,:]\d+)*"), "<number>"),
)


def pattern_of(message: str) -> str:
    """*message* with a word in place of each address, name, id and number."""
    text = message[:READ].lower()
    for variable, word in _VARIABLE:
        text = variable.sub(word, text)
    return " ".join(text.split())


def fingerprint(message: str) -> str:
    """The same 12 hex digits for all messages that differ only in addresses, names, ids and numbers."""
    return hashlib.sha256(pattern_of(message).encode("utf-8", "replace")).hexdigest()[:LENGTH] if message else ""
