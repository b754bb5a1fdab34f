"""Passwords in web addresses, which nobody is to see: not in messages, not in names, not in figures."""

import re

# With a scheme all before the @ is hidden, without one what looks like "name:secret@". A secret with a slash in it ends
# where the last @ is, unless what follows the colon is a port. Where it is not sure, too much is hidden.
_NAME = r"""[^\s/?#@:=&,;()<>"'\[\]]"""
_NO_PORT = r"(?!\d{1,5}(?:[/?#\s]|$))"
_SECRET = re.compile(
    rf"(?<=//)(?:[^\s/?#]{{0,500}}@|{_NAME}{{0,100}}:{_NO_PORT}\S{{0,500}}@)"
    rf"|(?<![\w.+%/-])(?!(?:mailto|xmpp|sips?|acct|cid):){_NAME}{{1,100}}:(?!//)"
    rf"(?:[^\s/?#]{{1,500}}|{_NO_PORT}\S{{1,500}})@(?=[\w\[])",
    re.IGNORECASE,
)


def without_passwords(text: str, instead: str = "") -> str:
    """*text* with *instead* for the names and passwords in its addresses, whether these have a scheme or not."""
    return _SECRET.sub(instead, text) if "@" in text else text


def address_without_password(address: str, instead: str = "") -> str:
    """The same of one *address*, in which blanks are part of the password."""
    return without_passwords(re.sub(r"\s", "%20", address.strip()) if "@" in address else address, instead)
