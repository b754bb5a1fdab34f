"""What a page hides, and what of that its reader can open: answers, tabs, slides, the rest of a text.

Hidden is what has the attribute ``hidden``, ``aria-hidden="true"`` or a style of its own that says so; style sheets are
not read, so that what only they hide is kept. A reader can open what is hidden when

1. something on the page names its id as what it controls: ``aria-controls``, a link or another attribute that is
   ``#id``, ``data-target``, a handler of clicks;
2. or it is a tab by its role, or its classes or id, or those of its parent, say that it opens (``OPENING``);
3. or its label stands right before it: a heading, a term, what is a button for more (``is_opener``).

Never text: what comes up by itself or over the page (``POPUPS``), and icons in a line. All else that is hidden is
dropped, since nobody is meant to read it: messages for later, templates, spam, words for machines.
"""

import re
from collections.abc import Iterator
from itertools import islice

from bs4.element import NavigableString, PreformattedString, Tag

from plugins.web.html_writer import HEADINGS, attribute

# fmt: off
OPENING = frozenset({
    "accordion", "accordions", "collapse", "collapsible", "collapsed", "collapsable", "expand", "expandable",
    "expander", "expanded", "toggle", "disclosure", "spoiler", "details", "faq", "faqs", "answer", "more", "readmore",
    "tab", "tabs", "tabpanel", "tabpane", "tabcontent", "carousel", "slide", "slides", "slick", "swiper",
})
POPUPS = frozenset({
    "modal", "dialog", "popup", "popover", "tooltip", "offcanvas", "drawer", "lightbox", "overlay", "toast", "template",
    "tpl", "search", "login", "newsletter", "cart", "error", "loading", "loader", "spinner", "print", "clone", "cloned",
    "duplicate",
})
# fmt: on
_BUTTONS = frozenset({"accordion", "collapsible", "disclosure", "faq", "spoiler"})  # others say what they do
DIALOGS = frozenset({"dialog", "alertdialog"})
_POPUP_ROLES = DIALOGS | {"alert", "status", "tooltip", "menu", "listbox", "navigation", "search"}
_LABEL_TAGS = HEADINGS | {"summary", "dt"}
_LABEL_ROLES = frozenset({"button", "tab", "heading"})
_PHRASES = frozenset({"span", "i", "b", "em", "strong", "small", "a"})
_TOGGLES = frozenset({"collapse", "tab", "pill"})  # of Bootstrap
_TARGETS = frozenset({"data-target", "data-bs-target"})
_LONGEST_LABEL = 100  # characters
_HIDING = frozenset({"hidden", "aria-hidden", "style"})
_STYLE = re.compile(r"display\s*:\s*none|visibility\s*:\s*hidden", re.IGNORECASE)


def names_of(tag: Tag) -> str:
    """Its classes and its id."""
    return f"{attribute(tag, 'class')} {attribute(tag, 'id')}".strip()


def words_of(names: str) -> set[str]:
    """The words in classes and ids, in small letters."""
    return set(re.split(r"[^a-z]+", names.lower())) if names else set()


def controlled_by(tag: Tag) -> Iterator[str]:
    """The ids that a tag names as what it controls: without or with ``#`` before them."""
    if "aria-controls" in tag.attrs:
        yield from attribute(tag, "aria-controls").split()
    if "onclick" in tag.attrs:
        yield from re.findall(r"['\"]#?([\w-]{1,100})['\"]", attribute(tag, "onclick"))
    for name, value in tag.attrs.items():
        if isinstance(value, str) and (value[:1] == "#" or name in _TARGETS):
            yield value.removeprefix("#")


def is_opener(tag: Tag) -> bool:
    """Whether a button or the like says that it shows more of the page, rather than that it does something."""
    if tag.get("aria-haspopup", "false") != "false":
        return False
    if tag.has_attr("aria-expanded") or _toggle(tag) in _TOGGLES or _is_tab(tag):
        return True
    return tag.name == "button" and not _BUTTONS.isdisjoint(words_of(names_of(tag)))


def _toggle(tag: Tag) -> str:
    return attribute(tag, "data-toggle") or attribute(tag, "data-bs-toggle")


def _is_tab(tag: Tag) -> bool:
    return attribute(tag, "role") == "tab" or _toggle(tag) in {"tab", "pill"}


def _says_it_opens(tag: Tag) -> bool:
    return not OPENING.isdisjoint(words_of(names_of(tag)))


def is_hidden(tag: Tag) -> bool:
    if _HIDING.isdisjoint(tag.attrs):
        return False
    if tag.has_attr("hidden") and attribute(tag, "hidden") != "until-found":
        return True
    return attribute(tag, "aria-hidden") == "true" or bool(_STYLE.search(attribute(tag, "style")))


class Openings:
    """What on a page opens what."""

    def __init__(self, tags: list[Tag]) -> None:
        tags = [tag for tag in tags if tag.attrs]
        self._named = {name for tag in tags for name in controlled_by(tag)}
        self._labels = set[int]()
        self._name_panels(tags)

    def closed_for_good(self, tag: Tag) -> bool:
        """Whether it is hidden and no reader can open it."""
        return is_hidden(tag) and not self._can_be_opened(tag)

    def moved(self, tag: Tag) -> bool:
        """Whether it is a tab whose words stand in its panel now."""
        return id(tag) in self._labels

    def _can_be_opened(self, tag: Tag) -> bool:
        role, words = attribute(tag, "role").lower(), words_of(names_of(tag))
        if role in _POPUP_ROLES or not POPUPS.isdisjoint(words):
            return False
        if tag.name in _PHRASES and attribute(tag, "aria-hidden") == "true":
            return False
        if role == "tabpanel" or attribute(tag, "id") in self._named or not OPENING.isdisjoint(words):
            return True
        return (tag.parent is not None and _says_it_opens(tag.parent)) or _has_label(tag)

    def _name_panels(self, tags: list[Tag]) -> None:
        """Put the words of each tab at the head of its panel: far from it, in a row of tabs, they say nothing."""
        panels = {attribute(tag, "id"): tag for tag in tags if tag.has_attr("id")}
        for tab in tags:
            if not _is_tab(tab):
                continue
            panel = next((panels.pop(name) for name in controlled_by(tab) if name in panels), None)
            if panel is None or panel is tab:
                continue
            words = " ".join(_first_words(tab))
            if not 0 < len(words) <= _LONGEST_LABEL:
                continue
            self._labels.add(id(tab))
            if words not in _first_words(panel)[:1]:
                label = Tag(name="p")
                label.string = words
                panel.insert(0, label)


def _has_label(tag: Tag) -> bool:
    """Whether a label stands right before it, itself or at the head of what does."""
    before = tag.previous_sibling
    while before is not None and not isinstance(before, Tag):
        if not isinstance(before, PreformattedString) and str(before).strip():
            return False
        before = before.previous_sibling
    for _ in range(3):
        if not isinstance(before, Tag):
            return False
        if before.name in _LABEL_TAGS or attribute(before, "role") in _LABEL_ROLES or is_opener(before):
            return True
        before = next((child for child in before.contents if isinstance(child, Tag)), None)
    return False


def _first_words(tag: Tag) -> list[str]:
    """Its first pieces of text, of which those of a label are all."""
    nodes = [node for node in islice(tag.descendants, 50) if isinstance(node, NavigableString)]
    pieces = [" ".join(node.split()) for node in nodes if not isinstance(node, PreformattedString)]
    return [piece for piece in pieces if piece]
