"""The main part of a web page: its text without navigation, notices and what nobody sees.

Which part that is, is a guess, so it is made with care: nothing that holds more than half of the prose is ever taken
for decoration, nor are the headers, forms and other frames of the page when they do so together, but for the lighter
kinds of them; and a page of which too little would be left is read whole. Links count apart from prose, since menus
are made of links. Of what is hidden ``plugins.web.html_hidden`` tells what a reader can open.

Where a page marks its main part (``<main>``, ``role="main"``; the longest of several), that is taken, unless

* more prose stands outside it than it has text, not counting what is decoration by its name, however long; or
* it holds less than a tenth of all prose, that of such decoration included; or
* it has fewer than ``ENOUGH`` characters.

Otherwise an ``<article>`` with more than 60 % of the prose is the main part, or else the page.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from bs4 import BeautifulSoup
from bs4.element import PreformattedString, Tag

from plugins.web.html_hidden import (
    DIALOGS,
    Openings,
    controlled_by,
    is_hidden,
    is_opener,
    names_of,
    words_of,
)
from plugins.web.html_tree import parsed
from plugins.web.html_writer import HEADINGS, attribute, write_markdown

ENOUGH = 30  # characters; fewer are hardly what a page is about
_LETTERS = re.compile(r"\w")


def tags_of(root: Tag) -> Iterator[Tag]:
    """*root* and the tags below it, in the order of the page."""
    stack = [root]
    while stack:
        tag = stack.pop()
        yield tag
        if tag.contents:
            stack += [child for child in reversed(tag.contents) if isinstance(child, Tag)]


def _take_out(root: Tag, unwanted: Callable[[Tag], bool]) -> None:
    """Take out the tags below *root* that are *unwanted*.

    From the back and by their index: a tag that is told to take itself out looks for itself among its siblings first.
    """
    stack = [root]
    while stack:
        contents = stack.pop().contents
        for index in reversed(range(len(contents))):
            child = contents[index]
            if isinstance(child, Tag):
                if unwanted(child):
                    child.extract(index)
                elif child.contents:
                    stack.append(child)


def depth_of(root: Tag) -> int:
    """How deep the tags are nested."""
    depth, level = 0, [root]
    while level:
        level = [child for tag in level for child in tag.contents if isinstance(child, Tag)]
        depth += 1
    return depth


def main_text(soup: BeautifulSoup, text: str, base: str, scripted: bool) -> str:
    """The Markdown of the page's main part; of more, where that is too little to be it.

    :param soup: the page without what is invisible; it is changed
    :param text: the same as HTML
    :param base: what its links are relative to
    :param scripted: whether little text is no surprise, since scripts would bring it
    """
    body = soup.body or soup
    openings = Openings(list(tags_of(body)))
    before = _weigh(body)
    title = _page_title(body)
    spared = _drop_decoration(body, before, openings)
    _settle_buttons(body)
    weights = _weigh(body)
    part = _main_part(body, weights, spared)
    _drop_doubles(part, weights)
    markdown = write_markdown(part, base)
    if len(markdown) < ENOUGH and part is not body:
        markdown = write_markdown(body, base)
    only_links = not _LETTERS.search(markdown) and not scripted
    if len(markdown) < ENOUGH and (only_links or before[id(body)].prose > len(markdown) + 100):
        whole = parsed(text)
        drop_invisible(whole)
        return write_markdown(whole.body or whole, base)
    if title and not part.find("h1") and _LETTERS.search(markdown):
        markdown = f"# {title}\n\n{markdown}"
    return markdown


def _page_title(body: Tag) -> str:
    """The first heading of the page, which many sites put above its main part; not one that is the site's logo."""
    heading = body.find("h1")
    if heading is None or heading.find("a", href=True):
        return ""
    return " ".join(heading.get_text(" ").split())


# -- What is invisible ------------------------------------------------------------------------------

# fmt: off
INVISIBLE = frozenset({
    "script", "style", "template", "noscript", "svg", "canvas", "iframe", "frame", "object", "embed", "audio", "video",
    "map", "input", "select", "textarea", "datalist", "progress", "meter", "dialog", "head", "meta", "link", "base",
    "title",
})
# fmt: on
_LABELS = HEADINGS | {"summary", "dt", "legend"}  # a button in them names what it opens
_MOUNTS = frozenset({"root", "app", "__next", "__nuxt", "___gatsby", "svelte"})  # ids in which scripts build the page


def drop_invisible(soup: BeautifulSoup) -> bool:
    """Take out what no reader sees; True when the page looks as if scripts were to build it."""
    signs = set[str]()

    def is_invisible(tag: Tag) -> bool:
        if tag.get("id") in _MOUNTS or (tag.name == "noscript" and "javascript" in tag.get_text().lower()):
            signs.add("scripted")
        if tag.name == "math":
            _write_formula(tag)
        elif tag.name == "script":
            signs.add("script")
        return tag.name in INVISIBLE or (tag.name == "button" and not _may_be_label(tag))

    _take_out(soup, is_invisible)
    return signs == {"script", "scripted"}


def _may_be_label(button: Tag) -> bool:
    return _is_inside(button, _LABELS) or is_opener(button) or any(controlled_by(button))


def _is_inside(tag: Tag, names: frozenset[str]) -> bool:
    return any(parent.name in names for parent in tag.parents)


def _write_formula(math: Tag) -> None:
    """A formula as its author wrote it, instead of its symbols one by one and that again."""
    annotation = math.find("annotation")
    formula = attribute(math, "alttext") or (annotation.get_text() if annotation else "")
    if formula.strip():
        math.string = formula.strip()


# -- What is decoration -----------------------------------------------------------------------------

_FRAMES = frozenset({"header", "footer", "aside", "form"})
_FRAME_ROLES = frozenset({"banner", "contentinfo", "complementary", "search"})
# fmt: off
_FRAME_WORDS = frozenset({
    "sidebar", "footer", "breadcrumb", "breadcrumbs", "pagination", "navbar", "navigation", "masthead", "topbar",
})
# fmt: on
_BESIDE_FRAMES = re.compile(r"(?<![a-z])(?:has|with|without|no)[-_][\w-]*", re.IGNORECASE)  # what frames stand beside
_MENU_WORDS = frozenset({"nav", "menu", "menubar", "pager", "share", "sharing", "social", "skip", "toolbar"})
_MENU_ROLES = frozenset({"navigation", "menu", "menubar", "toolbar", "tablist"})
_FOR_THE_EAR = frozenset({"sr-only", "visually-hidden", "visuallyhidden", "screen-reader-text", "skiplink"})
_LISTS = frozenset({"div", "ul", "ol", "table", "td"})
_ARTICLES = frozenset({"main", "article", "section"})
_NOTICES = re.compile(
    r"cookie[-_ ]?(?:banner|consent|notice|bar|popup|law|message|modal|overlay|wall|dialog)|onetrust|cybotcookiebot"
    r"|(?:gdpr|consent)[-_ ]?(?:banner|popup|modal|overlay|notice|bar)",
    re.IGNORECASE,
)
_TRIFLES = frozenset(
    {"mw-editsection", "linenos", "linenodiv", "lineno", "line-numbers-rows", "line-number", "gl-line-number"}
)


_PRIME = 2**61 - 1
_BASE = 1_000_003


@dataclass(slots=True)
class _Weight:
    """How many characters an element holds: prose, and the text of links; and a number that tells its text from others.

    The number is a polynomial of the hashes of its pieces, from the first to the last.
    """

    prose: int = 0
    linked: int = 0
    links: int = 0
    pieces: int = 0
    mark: int = 0

    def append(self, mark: int, pieces: int) -> None:
        factor = _BASE if pieces == 1 else pow(_BASE, pieces, _PRIME)
        self.mark = (self.mark * factor + mark) % _PRIME
        self.pieces += pieces

    @property
    def text(self) -> int:
        return self.prose + self.linked

    @property
    def mostly_links(self) -> bool:
        return self.linked > self.prose


_Weights = dict[int, _Weight]  # by id(tag), in the order of the page


def _weigh(root: Tag) -> _Weights:
    """The weight of every element. Children come after their parents, so they are added up backwards."""
    tags = list(tags_of(root))
    weights = {id(tag): _Weight() for tag in tags}
    for tag in reversed(tags):
        own = weights[id(tag)]
        for child in tag.contents:
            if isinstance(child, Tag):
                inner = weights[id(child)]
                if not inner.pieces and not inner.links:
                    continue
                own.prose += inner.prose
                own.linked += inner.linked
                own.links += inner.links
                own.append(inner.mark, inner.pieces)
            elif not isinstance(child, PreformattedString) and (text := str(child).strip()):  # no comment
                own.prose += len(text)
                own.append(hash(text) % _PRIME, 1)
        if tag.name == "a":
            own.linked, own.prose, own.links = own.text, 0, own.links + 1
    return weights


def _drop_decoration(body: Tag, weights: _Weights, openings: Openings) -> list[Tag]:
    """Take out navigation, notices and frames.

    :returns: what is such by its name, but was spared for its prose
    """
    half = weights[id(body)].prose / 2
    unwanted, spared, frames = set[int](), list[Tag](), list[tuple[Tag, bool]]()
    stack = [(body, False)]
    while stack:
        parent, framed = stack.pop()
        for child in parent.contents:
            if not isinstance(child, Tag):
                continue
            weight, inside = weights[id(child)], framed
            kind = _decoration(child, weights, half, openings)
            if kind and weight.prose > half:
                spared.append(child)
            elif kind == _NOISE:
                unwanted.add(id(child))
                continue
            elif kind == _FRAME:
                frames.append((child, framed))
                inside = True
            stack.append((child, inside))
    dropped = _lightest_kinds(frames, weights, half)
    for frame, _ in frames:
        if _kind(frame) in dropped:
            unwanted.add(id(frame))
        else:
            spared.append(frame)
    _take_out(body, lambda tag: id(tag) in unwanted)
    return spared


def _lightest_kinds(frames: list[tuple[Tag, bool]], weights: _Weights, half: float) -> set[str]:
    """The kinds of frames that together hold no more than *half*; with each whether it is within another frame."""
    prose = dict[str, int]()
    for frame, framed in frames:
        prose[_kind(frame)] = prose.get(_kind(frame), 0) + (0 if framed else weights[id(frame)].prose)
    light, total = set[str](), 0
    for kind in sorted(prose, key=lambda kind: prose[kind]):
        total += prose[kind]
        if total > half:
            break
        light.add(kind)
    return light


def _kind(frame: Tag) -> str:
    return frame.name if frame.name in _FRAMES else ""


_NOISE, _FRAME = "noise", "frame"


def _decoration(tag: Tag, weights: _Weights, half: float, openings: Openings) -> str:
    """Whether a tag is noise or a frame; empty when it is neither."""
    if tag.name == "nav" or openings.moved(tag):
        return _NOISE
    weight = weights[id(tag)]
    if not tag.attrs and tag.name not in _FRAMES:  # most tags
        return _FRAME if _is_list_of_links(tag, weight) and not _is_inside(tag, _ARTICLES) else ""
    if openings.closed_for_good(tag):
        return _NOISE
    role, names = attribute(tag, "role").lower(), names_of(tag)
    if role in DIALOGS or attribute(tag, "aria-modal") == "true":
        return _NOISE
    if names and (_NOTICES.search(names) or not _TRIFLES.isdisjoint(names.split())):
        return _NOISE
    if tag.name == "a" and attribute(tag, "href")[:1] == "#" and not _FOR_THE_EAR.isdisjoint(names.split()):
        return _NOISE  # it skips the menu
    if tag.name == "header" and _heads_a_part(tag, weights, half):
        return ""
    frame = tag.name in _FRAMES or role in _FRAME_ROLES or _is_called_frame(names)
    menu = role in _MENU_ROLES or not _MENU_WORDS.isdisjoint(words_of(names))
    if (frame or menu) and weight.mostly_links:
        return _NOISE
    # Within an article a header holds its title, an aside may be a note, and lists of links belong to it
    return _FRAME if (frame or _is_list_of_links(tag, weight)) and not _is_inside(tag, _ARTICLES) else ""


def _is_called_frame(names: str) -> bool:
    if _FRAME_WORDS.isdisjoint(words_of(names)):
        return False
    return not _FRAME_WORDS.isdisjoint(words_of(_BESIDE_FRAMES.sub(" ", names)))


def _heads_a_part(header: Tag, weights: _Weights, half: float) -> bool:
    """Whether it holds the title of a part of the page, such as one post of many, and not the name of the site."""
    if header.parent is None or header.find(list(HEADINGS)) is None:
        return False
    if header.find_previous("header") is not None or _is_inside(header, _ARTICLES):
        return True
    part = weights[id(header.parent)].text
    return part <= half and weights[id(header)].text < part / 2


def _is_list_of_links(tag: Tag, weight: _Weight) -> bool:
    """Menus are many short links and hardly a word beside them; the titles in a list of pages are longer."""
    if tag.name not in _LISTS or weight.links < 5:
        return False
    return weight.linked > 9 * weight.prose and weight.linked < 25 * weight.links


def _settle_buttons(body: Tag) -> None:
    """Make buttons paragraphs, as labels of what they open; but take out those of which that is gone, as of menus."""
    if body.find("button") is None:
        return
    targets = {attribute(tag, "id"): tag for tag in tags_of(body) if tag.has_attr("id")}

    def is_idle(tag: Tag) -> bool:
        if tag.name != "button" or _is_inside(tag, _LABELS):
            return False
        named = list(controlled_by(tag))
        opened = [targets[name] for name in named if name in targets]
        idle = named and not opened if is_opener(tag) else not any(is_hidden(target) for target in opened)
        tag.name = tag.name if idle else "p"
        return bool(idle)

    _take_out(body, is_idle)


_SCREENS = re.compile(
    r"(?:^|[\s_-])(?:mobile|desktop|tablet|phone)(?:[\s_-]|$)|\b(?:hidden|visible|d)-(?:xs|sm|md|lg|xl|none)\b"
    r"|\b(?:xs|sm|md|lg|xl):(?:hidden|block|flex|grid|inline)|\b(?:show|hide)-(?:for|on)-",
    re.IGNORECASE,
)
_TABLE_PARTS = frozenset({"table", "tbody", "thead", "tfoot", "tr", "td", "th"})


def _drop_doubles(part: Tag, weights: _Weights) -> None:
    """Take out what stands on the page before, too, for another size of screen or to be opened in another way."""
    first = dict[int, Tag]()
    for tag in tags_of(part):
        first.setdefault(weights[id(tag)].mark, tag)

    def is_double(tag: Tag) -> bool:
        weight = weights[id(tag)]
        if weight.text < ENOUGH or tag.name in _TABLE_PARTS or not (_SCREENS.search(names_of(tag)) or is_hidden(tag)):
            return False
        before = first[weight.mark]
        return before is not tag and all(parent is not before for parent in tag.parents)

    _take_out(part, is_double)


def _main_part(body: Tag, weights: _Weights, spared: list[Tag]) -> Tag:
    """The element that is marked as the page's main part, if it is likely to be.

    :param spared: decoration that may hold more prose than it
    """
    mains, articles = list[Tag](), list[Tag]()
    for tag in tags_of(body):
        if tag.name == "main" or tag.get("role") == "main":
            mains.append(tag)
        elif tag.name == "article":
            articles.append(tag)

    def heaviest(tags: Iterable[Tag]) -> Tag | None:
        return max(tags, key=lambda tag: weights[id(tag)].text, default=None)

    whole, main, article = weights[id(body)], heaviest(mains), heaviest(articles)
    if main and weights[id(main)].text >= ENOUGH and weights[id(main)].prose >= whole.prose / 10:
        around = {id(tag) for tag in [main, *main.parents]}
        outermost = _outermost(tag for tag in spared if id(tag) in weights)  # some were in what was taken out
        beside = sum(weights[id(tag)].prose for tag in outermost if id(tag) not in around)
        if whole.prose - weights[id(main)].prose - beside <= weights[id(main)].text:
            return main
    if article and weights[id(article)].prose > 0.6 * whole.prose:
        return article
    return body


def _outermost(tags: Iterable[Tag]) -> list[Tag]:
    known = {id(tag): tag for tag in tags}
    return [tag for tag in known.values() if not any(id(parent) in known for parent in tag.parents)]
