"""Passwords in web addresses, which nobody is to see: not in messages, not in names, not in figures."""

import re

# With a scheme all before the @ is hidden, without one what looks like "name:secret@". A secret with a slash in it ends
# where the last @ is, unless what follows the colon is a port. Where it is not sure, too much is hidden.
#
# Each pattern sees a word up to the last @ that may be its end, so that whatever begins to match does: else a hostile
# text would be searched again from each of its characters.
_NAME = r"""[^\s/?#@:=&,;()<>"'\[\]]"""
_NO_PORT = r"(?!\d{1,5}(?:[/?#]|$))"
_NAMED = rf"(?<=//){_NAME}*+:{_NO_PORT}\S*@"
_BEHIND_SLASHES = re.compile(rf"(?<=//)[^\s/?#]*@|{_NAMED}")
_BEHIND_SLASHES_NAMED = re.compile(_NAMED)
_BARE = re.compile(
    rf"(?<!/)(?<!{_NAME})(?!(?:mailto|xmpp|sips?|acct|cid):){_NAME}++:(?!//)"
    rf"(?:[^\s/?#]+|{_NO_PORT}\S+)@(?=[\w\[]|$)",
    re.IGNORECASE,
)
_UP_TO_LAST = re.compile(r"\S*@")
_UP_TO_HOST = re.compile(r"\S*@(?=[\w\[])")
_WITH_SCHEME = re.compile(r"((?:[a-z][a-z0-9+.-]*:)?//)(?:[^/?#]*@)?(.*)", re.IGNORECASE)


def without_passwords(text: str, instead: str = "") -> str:
    """*text* with *instead* for the names and passwords in its addresses, whether these have a scheme or not."""
    return re.sub(r"\S+", lambda word: _hidden(word[0], instead), text) if "@" in text else text


def address_without_password(address: str, instead: str = "") -> str:
    """The same of one *address*, in which blanks are part of the password.

    With a scheme it has a password only where addresses have one, before its path; or inside of it, behind ``//``,
    another address that has one.
    """
    if "@" not in address:
        return address
    address = re.sub(r"\s", "%20", address.strip())
    parts = _WITH_SCHEME.fullmatch(address)
    if not parts:
        return _hidden(address, instead)
    has_user = parts.start(2) > parts.end(1)
    rest = _within(_UP_TO_LAST, _BEHIND_SLASHES_NAMED, f"//{parts[2]}", instead).removeprefix("//")
    return parts[1] + (instead if has_user else "") + rest


def _hidden(word: str, instead: str) -> str:
    if "@" not in word:
        return word
    return _within(_UP_TO_HOST, _BARE, _within(_UP_TO_LAST, _BEHIND_SLASHES, word, instead), instead)


def _within(reach: re.Pattern[str], secret: re.Pattern[str], word: str, instead: str) -> str:
    """*word* without the *secret* in what *reach* matches of it."""
    end = found.end() if (found := reach.match(word)) else 0
    return secret.sub(lambda _: instead, word[:end]) + word[end:]
