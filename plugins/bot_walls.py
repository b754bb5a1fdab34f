"""Telling a page that keeps robots out from the page that was asked for.

Such walls answer with status 200 often enough, and would be ingested as if they were the text. Others only speak of
walls: help pages, news, documentation, a form with a captcha at its end. A wall speaks to its reader, of nothing else,
and its orders begin a sentence: "Checking your browser before ..." says a wall, "I keep getting Checking your browser
before ..." somebody who met one. Rules, on text without markup:

1. More than ``LONGEST_WALL`` characters are no wall.
2. A title that only walls have is enough.
3. What is quoted, in quotation marks or as code, does not count. What only the maker of a wall signs with is enough.
4. Otherwise a text *about* walls is none: one that explains, that tells how to set something up, or that speaks of
   users, of researchers or of what happened to "me".
5. A sentence that only walls say is enough.
6. A title that walls share with stories and a word about checks, or an order to prove that one is human within the
   first ``OPENING`` characters, are enough when the whole text has at most ``BRIEF``.
7. So is a sentence that denies access, with the number of the case or the name of who keeps robots out, in a text of at
   most ``LONGEST_DENIAL``. The name of a vendor, a captcha, or a number alone says nothing.

Where in doubt it is a page: one that is lost is worse than a wall that is kept.
"""

import re

LONGEST_WALL = 2500
LONGEST_DENIAL = 900
BRIEF = 120
OPENING = 80

_TITLES = re.compile(
    r"""(?x) ^(?:
      (?:just\ a\ moment | (?:un|einen|nur\ einen|um)\ momento?(?:\ bitte)? | un\ instant | un\ attimo)\ ?(?:\.\.|…)
    | attention\ required!?(?:\ \|\ cloudflare)? | ddos-guard | pardon\ our\ interruption
    | (?:vercel\ )?security\ checkpoint | making\ sure\ you(?:'re|\ are)\ not\ a\ bot | client\ challenge
    | shieldsquare\ captcha | radware\ (?:bot\ manager\ )?captcha
    | (?:one\ more\ step|please\ wait)\ ?(?:\.\.\.)?\ \|\ cloudflare
    )[.…!?\ ]*$"""
)
_SHARED_TITLES = re.compile(
    r"""(?x) ^(?:
      just\ a\ moment | (?:un|einen|nur\ einen|um)\ momento?\ bitte
    | are\ you\ (?:a\ )?(?:human|robot) | robot\ or\ human | robot\ check | bot\ verification | human\ verification
    | verify(?:ing)?\ (?:that\ )?you\ are\ (?:a\ )?human | checking\ your\ browser
    )[.…!?\ ]*$"""
)

_OF_CHECKS = re.compile(r"captcha|\brobot|\ba bot\b|browser|java ?script|cookies|security|characters you see")
_HUMAN = r"you(?:'re|\ are)\ (?:actually\ |really\ )?(?:a\ )?(?:human|real\ person|not\ a\ (?:ro)?bot)"
_BEGIN = r"""(?:^ | \n | [.!?…:;|\#*>•–—-]\s* | \.[a-z]{2,10}\s)  # the last is the name of the site
    (?:(?:sorry,?|please|kindly|let's|first,?|(?:in\ order\ )?to\ continue,?
    | we\ (?:just\ |first\ )?(?:need|want|have)\ to)\ ){0,3}"""


def _said(phrases: str) -> re.Pattern[str]:
    """Phrases with which a sentence begins, but for words of politeness."""
    return re.compile(rf"(?x) {_BEGIN} (?:{phrases})")


_OWN_SENTENCES = _said(
    r"""
      generated\ by\ wordfence\ at\b
    | your\ access\ to\ this\ service\ has\ been\ limited\.\ \(http\ response\ code\ 503\)
    | (?:request\ unsuccessful\.\ )?incapsula\ incident\ id:\ \d
    | you(?:'ve|\ have)\ been\ blocked\ by\ network\ security\.\s+to\ continue,\ log\ in
    """
)
_SENTENCES = _said(
    r"""
      checking\ (?:if\ the\ site\ connection\ is\ secure | your\ browser\ before\ (?:you\ )?access)
    | performing\ security\ verification | verifying\ (?:that\ )?you\ are\ (?:a\ )?human
    | enable\ javascript\ and\ cookies\ to\ continue | enable\ cookies\ and\ reload\ the\ page
    | (?:(?:our\ systems|we)\ have\ detected\ )?(?:unusual|suspicious)\ (?:traffic|activity)
      \ from\ your\ (?:computer\ )?network
    | complete\ the\ (?:security\ check|captcha|challenge)\ (?:below\ )?to\ (?:access|continue|proceed)
    | complete\ the\ security\ check\ before\ continuing | additional\ security\ check\ is\ required
    | solve\ this\ puzzle\ so\ we\ know\ you\ are\ a\ real\ person | unfortunately,\ bots\ use\ duckduckgo\ too
    | (?:press|activate)\ (?:&|and)\ hold\ (?:the\ button\ )?to\ confirm | making\ sure\ you(?:'re|\ are)\ not\ a\ bot
    | (?:as\ you\ were\ browsing,?\ )?something\ about\ your\ browser\ made\ us\ think\ you
    | to\ discuss\ automated\ access\ to\ amazon\ data
    | your\ access\ to\ this\ site\ has\ been\ limited\ by\ the\ site\ owner
    | [a-z0-9.-]{4,80}\ needs\ to\ review\ the\ security\ of\ your\ connection
    | enable\ js\ and\ disable\ any\ ad\ blocker | verify\ that\ you're\ not\ a\ robot\.\ this\ requires\ javascript
    | enter\ the\ characters\ you\ see\ below (?s:.{0,80}) not\ a\ robot
    """
)
_ORDERS = _said(rf"(?:verify|confirm|prove|make\ sure|check|verifying)\ (?:that\ )?{_HUMAN}")
_DENIED = _said(
    r"""access\ (?:to\ this\ (?:page|site|resource)\ )?(?:has\ been\ |is\ )?(?:denied|blocked)(?:\s*[.!\n-]|$)
    | access\ to\ this\ (?:page|site|resource)\ has\ been\ denied | you(?:'ve|\ have)\ been\ blocked | request\ blocked
    | you\ don't\ have\ permission\ to\ access"""
)
_SIGNED = re.compile(
    r"""(?x)
      \b(?:ray|incident|support|request|reference|block|server)\ (?:(?:id|no\.?)\s?[:\#]\s?\#? | \#)\w
    | \b(?:security|protection|powered|protected|accelerated)\ by
      \ (?:cloudflare|akamai|imperva|incapsula|perimeterx|datadome|sucuri|kasada)
    | sucuri\ website\ firewall"""
)
_ABOUT = re.compile(
    r"""(?x)
      (?<!our\ )\b(?:users|visitors|guests|people|developers|researchers|attackers|scammers|criminals|hackers|victims?
      | students|members|readers|editors|admins|administrators|moderators|webmasters|site\ owners)\b
    | \b(?:said|says|announced|according\ to|invented|introduced|launched|published)\b
    | \b(?:site\ ?key|secret\ key|api\ key|the\ api|widget|dashboard|documentation|tutorial|pip\ install|npm)\b
    | \bthis\ (?:guide|article|post|page\ explains)\b | \bconfigur(?:e|es|ing|ation)\b | \binstall\ (?:it|with)\b
    | captchas\b | \bwhat\ (?:is|are)\ an?\  | protected\ by\ (?:re|h)captcha
    | \bi\ (?:keep|get|see|try|tried|use|was|cannot|can't|am\ (?:getting|using|trying))\b
    | \bmy\ (?:browser|network|computer|site|website|server|code|script|account)\b"""
)
_ABOUT_TITLES = re.compile(
    r"""(?x) ^(?:how|what|why|when)\b
    | \b(?:how\ to|guide|tutorial|glossary|settings?|configuration|documentation|docs|faq|explained
      |fix|bypass|solver|plugin|api|accessibility|news|blog|alternatives?)\b"""
)
_QUOTED = re.compile(
    r"""(?x) "[^"\n]{1,200}" | “[^”\n]{1,200}” | «[^»\n]{1,200}» | „[^“”\n]{1,200}[“”]
    | `[^`\n]{1,200}` | (?<!\w)'[^'\n]{1,80}'(?!\w)"""
)


def bot_wall(title: str, text: str) -> bool:
    """Whether a page with this title and text is a wall for robots instead of content."""
    title, lines = _plain(title), _lines(text)
    if len(lines) > LONGEST_WALL:
        return False
    if _TITLES.search(title):
        return True
    lines = _QUOTED.sub("", lines)
    if _ABOUT_TITLES.search(title):
        return False
    if _OWN_SENTENCES.search(lines):
        return True
    return not _ABOUT.search(lines) and (bool(_SENTENCES.search(lines)) or _is_brief(title, lines) or _denies(lines))


def _is_brief(title: str, lines: str) -> bool:
    titled = _SHARED_TITLES.search(title) and _OF_CHECKS.search(lines)
    return len(lines) <= BRIEF and bool(titled or _ORDERS.search(lines[:OPENING]))


def _denies(lines: str) -> bool:
    return len(lines) <= LONGEST_DENIAL and bool(_DENIED.search(lines) and _SIGNED.search(lines))


def _plain(text: str) -> str:
    return " ".join(text[: 4 * LONGEST_WALL].lower().replace("’", "'").split())


def _lines(text: str) -> str:
    """The text with its lines, each without more spaces than it needs."""
    return "\n".join(line for line in map(_plain, text[: 4 * LONGEST_WALL].splitlines()) if line)
