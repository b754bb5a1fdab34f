"""HTML as a tree, as browsers would build it."""

from itertools import dropwhile

from bs4 import BeautifulSoup
from bs4.element import Tag

_OF_THE_HEAD = frozenset({"title", "meta", "link", "base", "style", "script", "noscript", "template"})


def parsed(text: str) -> BeautifulSoup:
    """The tree of *text*.

    The parser knows no ``<main>``, ``<article>`` and the like, and leaves them in the head of pages that write no
    ``<body>``, which HTML allows. With what follows them there they go to the body's start.
    """
    soup = BeautifulSoup(text, "lxml")
    if soup.head is None:
        return soup
    strays = list(dropwhile(lambda node: not isinstance(node, Tag) or node.name in _OF_THE_HEAD, soup.head.contents))
    first = len(soup.head.contents) - len(strays)
    if strays and soup.html is not None:
        body = soup.body or soup.html.append(soup.new_tag("body")) or soup.html.find("body")
        if isinstance(body, Tag):
            for index in reversed(range(len(strays))):  # from the back, by its index: no search among siblings
                body.insert(0, strays[index].extract(first + index))
    return soup
