"""A web page as Markdown, with what it says about itself and where it leads.

The text of its main part comes without the navigation around it (``plugins.web.html_main``), with headings, links,
tables and code (``plugins.web.html_writer``).
"""

import re
import warnings
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from bs4 import BeautifulSoup, XMLParsedAsHTMLWarning
from bs4.element import Tag

from plugins.html_text import plain_text
from plugins.web.addresses import resolved
from plugins.web.html_main import INVISIBLE, depth_of, drop_invisible, main_text, tags_of
from plugins.web.html_tree import parsed
from plugins.web.html_writer import attribute
from plugins.web.robots import orders

MAX_TAGS = 100_000  # a tree takes about 1.5 KB each; pages of more are read as plain text
MAX_DEPTH = 150  # the converter calls itself for each level
MAX_LINKS = 10_000
MAX_LINE = 500  # characters of a title or description
_ROBOT = "kb-server"

warnings.filterwarnings("ignore", category=XMLParsedAsHTMLWarning)  # browsers read XHTML as HTML too


@dataclass(frozen=True)
class WebPage:
    """What a page holds, or a file that a page links to.

    :param canonical: the address under which the page wants to be known; may be empty
    :param refresh: where the page sends its reader at once; may be empty
    :param links: addresses that may be followed, each once, in order
    :param noindex: the page asks robots to leave it out
    :param scripted: the page looks as if scripts were to build it
    """

    markdown: str
    title: str = ""
    description: str = ""
    language: str = ""
    og_title: str = ""
    og_description: str = ""
    canonical: str = ""
    refresh: str = ""
    links: list[str] = field(default_factory=list)
    noindex: bool = False
    scripted: bool = False


def read_html(text: str, address: str, *, heed_robots: bool = True) -> WebPage:
    """Read the page *text* that came from *address*.

    :param heed_robots: leave out links that robots are told not to follow
    """
    text = _XML_DECLARATION.sub("", text.replace("\0", ""), count=1)
    if "<" not in text or text.count("<") > 2 * MAX_TAGS:
        title, markdown = plain_text(text, INVISIBLE)
        return WebPage(markdown, title=_line(title))
    soup = parsed(text)
    tags = _by_name(soup)
    head = _Head(tags, address)
    told = head.orders if heed_robots else frozenset()
    links = [] if "nofollow" in told else list(_links(tags, head.base, heed_robots))
    if depth_of(soup) > MAX_DEPTH:
        markdown, scripted = plain_text(text, INVISIBLE)[1], False
    else:
        scripted = drop_invisible(soup)
        markdown = main_text(soup, text, head.base, scripted)
    return WebPage(
        markdown=markdown,
        title=head.title or _first_heading(markdown),
        description=head.meta("description"),
        language=head.language,
        og_title=head.meta("og:title"),
        og_description=head.meta("og:description"),
        canonical=head.canonical,
        refresh=head.refresh,
        links=links,
        noindex="noindex" in told,
        scripted=scripted,
    )


_XML_DECLARATION = re.compile(r"^\s*<\?xml[^>]{0,200}\?>")


def _first_heading(markdown: str) -> str:
    found = re.search(r"^#{1,3} (.+)$", markdown, re.MULTILINE)
    return _line(found[1]) if found else ""


def _line(text: str) -> str:
    return " ".join(text[: 4 * MAX_LINE].split())[:MAX_LINE]


# -- What a page says about itself ------------------------------------------------------------------

_Tags = Mapping[str, list[Tag]]


def _by_name(soup: BeautifulSoup) -> _Tags:
    """The tags that are looked for, found in one pass."""
    found = defaultdict[str, list[Tag]](list)
    for tag in tags_of(soup):
        if tag.name in _WANTED:
            found[tag.name].append(tag)
    return found


_WANTED = frozenset({"html", "base", "title", "meta", "link", "a", "area", "frame", "iframe"})


class _Head:
    """Title, language and the like."""

    def __init__(self, tags: _Tags, address: str) -> None:
        self._metas: dict[str, str] = {}
        for meta in tags["meta"]:
            name = attribute(meta, "name") or attribute(meta, "property") or attribute(meta, "http-equiv")
            name, content = name.strip().lower(), attribute(meta, "content")
            if name in _OF_ROBOTS and name in self._metas:
                content = f"{self._metas[name]}, {content}"  # all of them hold
                self._metas[name] = content
            self._metas.setdefault(name, content)
        bases = [attribute(tag, "href") for tag in tags["base"]]
        self.base = (resolved(address, bases[0]) if bases and bases[0] else "") or address
        self.title = _line(tags["title"][0].get_text()) if tags["title"] else ""
        self.language = self._language(tags)
        self.canonical = self._canonical(tags)
        self.refresh = self._refresh()
        self.orders = orders([self._metas.get("robots", ""), f"{_ROBOT}: {self._metas.get(_ROBOT, '')}"])

    def meta(self, name: str) -> str:
        return _line(self._metas.get(name, ""))

    def _language(self, tags: _Tags) -> str:
        said = next((attribute(tag, "lang") or attribute(tag, "xml:lang") for tag in tags["html"]), "")
        said = said or self._metas.get("content-language", "") or self._metas.get("og:locale", "")
        said = said.partition(",")[0].strip().replace("_", "-")
        return said if re.fullmatch(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{1,8}){0,3}", said) else ""

    def _canonical(self, tags: _Tags) -> str:
        for link in tags["link"]:
            if "canonical" in attribute(link, "rel").lower().split() and attribute(link, "href"):
                return resolved(self.base, attribute(link, "href"))
        return ""

    def _refresh(self) -> str:
        found = _REFRESH.match(self._metas.get("refresh", "")[:3000])
        return resolved(self.base, found[1].strip("'\" ")) if found else ""


_OF_ROBOTS = frozenset({"robots", _ROBOT})
_REFRESH = re.compile(r"\s*[0-5]?(?:\.\d*)?\s*[;,]\s*url\s*=\s*(\S.*)", re.IGNORECASE)


def _links(tags: _Tags, base: str, heed_robots: bool) -> Iterator[str]:
    """The web addresses that the page leads to, those that robots may follow."""
    references, addresses = set[str](), set[str]()
    for tag in [*tags["a"], *tags["area"], *tags["frame"], *tags["iframe"]]:
        reference = (attribute(tag, "href") or attribute(tag, "src")).strip()
        if not reference or reference.startswith("#") or reference in references:
            continue
        if heed_robots and "nofollow" in attribute(tag, "rel").lower().split():
            continue
        references.add(reference)
        address = resolved(base, reference)
        if address and address not in addresses:
            addresses.add(address)
            yield address
        if len(references) >= MAX_LINKS:
            return
