"""The plain text of web pages that are too large or too deep for a tree, in one pass."""

import re
from typing import Any

from lxml import etree  # type: ignore[import-untyped, unused-ignore]

from plugins.html_main import INVISIBLE

_LINES = frozenset({"br", "li", "tr", "dt", "dd"})
# fmt: off
_PARAGRAPHS = frozenset({
    "p", "div", "section", "article", "main", "header", "footer", "nav", "aside", "blockquote", "pre", "ul", "ol", "dl",
    "table", "h1", "h2", "h3", "h4", "h5", "h6", "figure", "figcaption", "address", "details", "summary", "form", "hr",
})
# fmt: on


def plain_text(html: str) -> tuple[str, str]:
    """Title and text of a page."""
    parser = etree.HTMLParser(target=_Reader(), huge_tree=True)
    parser.feed(html)
    title, text = parser.close()
    lines = "\n".join(line.strip() for line in text.split("\n"))
    return title, re.sub(r"\n{3,}", "\n\n", lines).strip()


class _Reader:
    """Hears of the tags one by one; the parser closes what the page has left open."""

    def __init__(self) -> None:
        self._parts: list[str] = []
        self._title: list[str] = []
        self._inside_title = False
        self._hidden = 0

    def start(self, tag: str, attributes: Any) -> None:
        self._inside_title = tag == "title" and not self._title
        if self._hidden or tag in INVISIBLE:
            self._hidden += tag != "head"  # what is visible may have slipped into it
        else:
            self._break(tag)

    def end(self, tag: str) -> None:
        self._inside_title = False
        if self._hidden:
            self._hidden -= tag != "head"
        else:
            self._break(tag)

    def data(self, text: str) -> None:
        if self._inside_title:
            self._title.append(text)
        if not self._hidden:
            self._parts.append(re.sub(r"\s+", " ", text))

    def close(self) -> tuple[str, str]:
        return " ".join("".join(self._title).split()), "".join(self._parts)

    def _break(self, tag: str) -> None:
        if tag in _LINES:
            self._parts.append("\n")
        elif tag in _PARAGRAPHS:
            self._parts.append("\n\n")
        elif tag in {"td", "th"}:
            self._parts.append(" ")
