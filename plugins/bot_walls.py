"""Telling a page that keeps robots out from the page that was asked for.

Such walls answer with status 200 often enough, and would be ingested as if they were the text. Rules, on text without
markup:

1. More than ``LONGEST_WALL`` characters are no wall: an article may speak of walls.
2. A sentence that only walls say is enough.
3. A title that only walls have is enough.
4. Otherwise two different hints, in a text of at most ``LONGEST_HINTED`` characters.
"""

import re

LONGEST_WALL = 2500
LONGEST_HINTED = 900

_TITLES = re.compile(
    r"""(?x) ^(?:
      just\ a\ moment | (?:un|einen|nur\ einen|um)\ momento?(?:\ bitte)? | un\ instant | un\ attimo
    | attention\ required!?(?:\ \|\ cloudflare)? | ddos-guard | pardon\ our\ interruption
    | (?:vercel\ )?security\ checkpoint | making\ sure\ you(?:'re|\ are)\ not\ a\ bot
    | are\ you\ (?:a\ )?(?:human|robot) | robot\ check | bot\ verification | human\ verification | client\ challenge
    | verify(?:ing)?\ (?:that\ )?you\ are\ (?:a\ )?human | checking\ your\ browser | radware\ (?:bot\ manager\ )?captcha
    | (?:one\ more\ step|please\ wait)\ ?(?:\.\.\.)?\ \|\ cloudflare
    )[.…!?\ ]*$"""
)
_SENTENCES = re.compile(
    r"""(?x)
      checking\ (?:if\ the\ site\ connection\ is\ secure | your\ browser\ before)
    | (?:verify|confirm|prove)\ (?:that\ )?you\ are\ (?:a\ )?(?:human|not\ a\ (?:ro)?bot)
    | verifying\ (?:that\ )?you\ are\ (?:a\ )?human | performing\ security\ verification
    | needs\ to\ review\ the\ security\ of\ your\ connection
    | enable\ javascript\ and\ cookies\ to\ continue | enable\ cookies\ and\ reload\ the\ page
    | unusual\ traffic\ from\ your\ (?:computer\ )?network | our\ systems\ have\ detected\ unusual\ traffic
    | complete\ the\ (?:security\ check|captcha|challenge)\ (?:below\ )?to\ (?:access|continue|proceed)
    | press\ (?:&|and)\ hold\ (?:the\ button\ )?to\ confirm | incapsula\ incident\ id
    | making\ sure\ you(?:'re|\ are)\ not\ a\ bot | something\ about\ your\ browser\ made\ us\ think\ you
    | to\ discuss\ automated\ access\ to\ amazon\ data
    | enter\ the\ characters\ you\ see\ below .{0,80} not\ a\ robot
    """
)
_HINTS = tuple(
    re.compile(pattern)
    for pattern in (
        r"captcha",
        r"not a (?:ro)?bot\b|are you (?:a )?(?:human|robot)|automated (?:access|requests|queries)",
        r"(?:enable|activate|turn on|requires?) (?:java ?script|cookies)|(?:java ?script|cookies) (?:is|are) disabled",
        r"access (?:to this (?:page|site|resource) )?(?:has been |was |is )?(?:denied|blocked)|you have been blocked"
        r"|you don't have permission to access",
        r"\bray id\b|\bincident id\b|reference #[\da-f.]{6}|\bsupport id\b|\brequest id\b",
        r"cloudflare|akamai|imperva|incapsula|perimeterx|datadome|ddos protection|sucuri|kasada",
        r"unusual (?:activity|traffic)|suspicious (?:activity|traffic)|security check|security service to protect",
        r"your ip (?:address )?(?:has been|is|was)\b",
    )
)


def bot_wall(title: str, text: str) -> bool:
    """Whether a page with this title and text is a wall for robots instead of content."""
    words = _plain(text)
    if len(words) > LONGEST_WALL:
        return False
    if _TITLES.search(_plain(title)) or _SENTENCES.search(words):
        return True
    return len(words) <= LONGEST_HINTED and sum(bool(hint.search(words)) for hint in _HINTS) >= 2


def _plain(text: str) -> str:
    return " ".join(text[: 4 * LONGEST_WALL].lower().replace("’", "'").split())
