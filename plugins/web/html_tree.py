"""HTML as a tree, as browsers would build it."""

from itertools import dropwhile
from typing import Any

from bs4 import BeautifulSoup
from bs4.element import Tag

from plugins.web.html_streamed import join_pieces

_OF_THE_HEAD = frozenset({"title", "meta", "link", "base", "style", "script", "noscript", "template"})


class _Tag(Tag):
    """A tag that looks for its parents by name without building a filter for it: the converter asks it of each tag."""

    def find_parent(self, name: Any = None, attrs: Any = None, **others: Any) -> Tag | None:
        if not isinstance(name, str) or attrs or others:
            return super().find_parent(name, attrs, **others)
        return next((parent for parent in self.parents if parent.name == name), None)


def parsed(text: str) -> BeautifulSoup:
    """The tree of *text*, with its pieces where they belong."""
    soup = BeautifulSoup(text, "lxml", element_classes={Tag: _Tag})
    _empty_head(soup)
    join_pieces(soup, text)
    return soup


def _empty_head(soup: BeautifulSoup) -> None:
    """Put into the body what belongs there.

    The parser knows no ``<main>``, ``<article>`` and the like, and leaves them in the head of pages that write no
    ``<body>``, which HTML allows. With what follows them there they go to the body's start.
    """
    if soup.head is None:
        return
    strays = list(dropwhile(lambda node: not isinstance(node, Tag) or node.name in _OF_THE_HEAD, soup.head.contents))
    first = len(soup.head.contents) - len(strays)
    if strays and soup.html is not None:
        body = soup.body or soup.html.append(soup.new_tag("body")) or soup.html.find("body")
        if isinstance(body, Tag):
            for index in reversed(range(len(strays))):  # from the back, by its index: no search among siblings
                body.insert(0, strays[index].extract(first + index))
