"""Telling a page that keeps robots out from the page that was asked for.

Such walls answer with status 200 often enough, and would be ingested as if they were the text. Others only speak of
walls: help pages, news, documentation, a form with a captcha at its end. A wall speaks to its reader, of nothing else,
and its orders begin a sentence: "Checking your browser before ..." says a wall, "I keep getting Checking your browser
before ..." somebody who met one. Rules, on text without markup:

1. More than ``LONGEST_WALL`` characters are no wall.
2. A title that only walls have is enough.
3. What is quoted, in quotation marks or as code, does not count; and a text *about* walls is none: one that explains,
   that tells how to set something up, or that speaks of users, of researchers or of what happened to "me".
4. A sentence that only walls say is enough.
5. A title that walls share with stories, or an order to prove that one is human within the first ``OPENING``
   characters, is enough when the whole text has at most ``BRIEF``. Such a title counts as a hint, too.
6. Otherwise two different hints, in a text of at most ``LONGEST_HINTED`` characters. The subject alone, the word
   captcha or the names of vendors, is one hint, however many of them there are.
"""

import re

LONGEST_WALL = 2500
LONGEST_HINTED = 900
BRIEF = 120
OPENING = 80

_TITLES = re.compile(
    r"""(?x) ^(?:
      (?:just\ a\ moment | (?:un|einen|nur\ einen|um)\ momento?(?:\ bitte)? | un\ instant | un\ attimo)\ ?(?:\.\.|…)
    | attention\ required!?(?:\ \|\ cloudflare)? | ddos-guard | pardon\ our\ interruption
    | (?:vercel\ )?security\ checkpoint | making\ sure\ you(?:'re|\ are)\ not\ a\ bot | client\ challenge
    | radware\ (?:bot\ manager\ )?captcha | (?:one\ more\ step|please\ wait)\ ?(?:\.\.\.)?\ \|\ cloudflare
    )[.…!?\ ]*$"""
)
_SHARED_TITLES = re.compile(
    r"""(?x) ^(?:
      just\ a\ moment | (?:un|einen|nur\ einen|um)\ momento?\ bitte
    | are\ you\ (?:a\ )?(?:human|robot) | robot\ or\ human | robot\ check | bot\ verification | human\ verification
    | verify(?:ing)?\ (?:that\ )?you\ are\ (?:a\ )?human | checking\ your\ browser
    )[.…!?\ ]*$"""
)

_HUMAN = r"you(?:'re|\ are)\ (?:actually\ |really\ )?(?:a\ )?(?:human|real\ person|not\ a\ (?:ro)?bot)"
_BEGIN = r"""(?:^ | \n | [.!?…:;|\#*>•–—-]\s* | \.[a-z]{2,10}\s)  # the last is the name of the site
    (?:(?:sorry,?|please|kindly|let's|first,?|(?:in\ order\ )?to\ continue,?
    | we\ (?:just\ |first\ )?(?:need|want|have)\ to)\ ){0,3}"""


def _said(phrases: str) -> re.Pattern[str]:
    """Phrases with which a sentence begins, but for words of politeness."""
    return re.compile(rf"(?x) {_BEGIN} (?:{phrases})")


_SENTENCES = _said(
    r"""
      checking\ (?:if\ the\ site\ connection\ is\ secure | your\ browser\ before\ (?:you\ )?access)
    | performing\ security\ verification | verifying\ (?:that\ )?you\ are\ (?:a\ )?human
    | enable\ javascript\ and\ cookies\ to\ continue | enable\ cookies\ and\ reload\ the\ page
    | (?:our\ systems\ have\ detected\ )?unusual\ traffic\ from\ your\ (?:computer\ )?network
    | complete\ the\ (?:security\ check|captcha|challenge)\ (?:below\ )?to\ (?:access|continue|proceed)
    | (?:press|activate)\ (?:&|and)\ hold\ (?:the\ button\ )?to\ confirm | making\ sure\ you(?:'re|\ are)\ not\ a\ bot
    | (?:as\ you\ were\ browsing,?\ )?something\ about\ your\ browser\ made\ us\ think\ you
    | incapsula\ incident\ id | to\ discuss\ automated\ access\ to\ amazon\ data
    | your\ access\ to\ this\ site\ has\ been\ limited\ by\ the\ site\ owner
    | [a-z0-9.-]{4,80}\ needs\ to\ review\ the\ security\ of\ your\ connection
    | enter\ the\ characters\ you\ see\ below (?s:.{0,80}) not\ a\ robot
    """
)
_ORDERS = _said(rf"(?:verify|confirm|prove|make\ sure|check|verifying)\ (?:that\ )?{_HUMAN}")
_HINTS = (
    re.compile(r"captcha|cloudflare|akamai|imperva|incapsula|perimeterx|datadome|ddos protection|sucuri|kasada"),
    re.compile(rf"(?x) {_HUMAN} | are\ you\ (?:a\ )?(?:human|robot) | \byou\b.{{0,30}}\ automat(?:ed|ion)"),
    _said(
        r"""(?:enable|activate|turn\ on)\ (?:java\ ?script|js\b|cookies) | (?:this|it)\ .{0,20}requires\ java\ ?script
        | (?:java\ ?script|cookies)\ (?:is|are)\ disabled
        | .{0,40}make\ sure\ (?:that\ )?(?:cookies|java\ ?script)\ and\ (?:cookies|java\ ?script)\ are\ enabled"""
    ),
    _said(
        r"""access\ (?:to\ this\ (?:page|site|resource)\ )?(?:(?:has\ been\ |is\ )?(?:denied|blocked))(?:\s*[.!\n-]|$)
        | access\ to\ this\ (?:page|site|resource)\ has\ been\ denied | you\ have\ been\ blocked | request\ blocked
        | you\ don't\ have\ permission\ to\ access"""
    ),
    re.compile(
        r"""(?x) \b(?:ray|incident|support|request|reference|block|server)\ (?:id|no\.?)?\W{0,3}
        (?=[a-f-]{0,8}\d)[\da-z.-]{2,}"""
    ),
    _said(
        r"""(?:we(?:'ve|\ have)\ detected\ |.{0,40}\bdetected\ )?(?:unusual|suspicious)\ (?:activity|traffic)
        | (?:additional\ )?security\ check(?:\s*[.!\n]|$|\ is\ required)
        | (?:press|activate)\ (?:&|and)\ hold | this\ website\ is\ using\ a\ security\ service\ to\ protect"""
    ),
    _said(
        r"""(?:complete|solve|pass|enter|fill\ in|proceed\ with)\ (?:the\ |this\ |a\ )?(?:\w+\ )?
        (?:captcha|challenge|security\ check)"""
    ),
    _said(
        r"your\ ip\ (?:address\ )?(?:has\ been|is|was)\ (?:\w+\ )?(?:blocked|banned|denied|flagged|limited|restricted)"
    ),
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
    if _ABOUT_TITLES.search(title) or _ABOUT.search(lines):
        return False
    return bool(_SENTENCES.search(lines)) or _hinted(title, lines)


def _hinted(title: str, lines: str) -> bool:
    titled = bool(_SHARED_TITLES.search(title))
    if len(lines) <= BRIEF and (titled or _ORDERS.search(lines[:OPENING])):
        return True
    return len(lines) <= LONGEST_HINTED and titled + sum(bool(hint.search(lines)) for hint in _HINTS) >= 2


def _plain(text: str) -> str:
    return " ".join(text[: 4 * LONGEST_WALL].lower().replace("’", "'").split())


def _lines(text: str) -> str:
    """The text with its lines, each without more spaces than it needs."""
    return "\n".join(line for line in map(_plain, text[: 4 * LONGEST_WALL].splitlines()) if line)
