"""The readable text of an HTML page, as a stream: a tree of the page would need twenty times its size in memory.

lxml's parser reads in one pass, whatever is in the page. The standard library's takes a minute for 60 KB of ``<a ``.
"""

import re
from collections.abc import Collection, Iterable, Iterator
from contextlib import suppress
from typing import Any

from lxml import etree  # type: ignore[import-untyped, unused-ignore]

_HIDDEN = frozenset({"script", "style", "template", "noscript", "svg"})
_LINES = frozenset({"br", "li", "tr", "dt", "dd"})
# fmt: off
_PARAGRAPHS = frozenset({
    "address", "article", "aside", "blockquote", "body", "details", "div", "dl", "fieldset", "figcaption", "figure",
    "footer", "form", "h1", "h2", "h3", "h4", "h5", "h6", "head", "header", "hr", "html", "main", "nav", "ol", "p",
    "pre", "section", "summary", "table", "title", "ul",
})
# fmt: on
_SPACES = re.compile(r"\s+")


def html_text(blocks: Iterable[str]) -> Iterator[str]:
    """Yield the text between the tags, blocks of a page as paragraphs, scripts and styles left out."""
    reader = TextReader()
    parser = etree.HTMLParser(target=reader, huge_tree=True)
    for block in blocks:
        if block:
            parser.feed(block.replace("\0", ""))  # to the parser a NUL is the end
            yield reader.take()
    with suppress(etree.XMLSyntaxError):  # there was nothing at all
        parser.close()
    yield reader.take()


def plain_text(html: str, hidden: Collection[str]) -> tuple[str, str]:
    """Title and text of a page, without what stands in the tags *hidden*."""
    reader = TextReader(hidden)
    parser = etree.HTMLParser(target=reader, huge_tree=True)
    parser.feed(html.replace("\0", ""))
    with suppress(etree.XMLSyntaxError):
        parser.close()
    lines = "\n".join(line.strip() for line in reader.take().split("\n"))
    return " ".join("".join(reader.title).split()), re.sub(r"\n{3,}", "\n\n", lines).strip()


class TextReader:
    """Hears of the tags one by one; the parser closes what the page has left open."""

    def __init__(self, hidden: Collection[str] = _HIDDEN) -> None:
        self.title: list[str] = []
        self._hidden = hidden
        self._parts: list[str] = []
        self._titled = self._in_title = False
        self._depth_hidden = 0
        self._preformatted = 0

    def take(self) -> str:
        """What was read since it was last asked."""
        text, self._parts = "".join(self._parts), []
        return text

    def start(self, tag: str, attributes: Any) -> None:
        self._in_title = tag == "title" and not self._titled
        if self._depth_hidden or tag in self._hidden:
            self._depth_hidden += tag != "head"  # what is visible may have slipped into it
            return
        self._preformatted += tag == "pre"
        self._break(tag)

    def end(self, tag: str) -> None:
        self._titled = self._titled or self._in_title
        self._in_title = False
        if self._depth_hidden:
            self._depth_hidden -= tag != "head"
        elif tag != "br":
            self._preformatted = max(self._preformatted - (tag == "pre"), 0)
            self._break(tag)

    def data(self, text: str) -> None:
        if self._in_title:
            self.title.append(text)
        if not self._depth_hidden:
            self._parts.append(text if self._preformatted else _SPACES.sub(" ", text))

    def close(self) -> None:
        pass

    def _break(self, tag: str) -> None:
        if tag in _LINES:
            self._parts.append("\n")
        elif tag in _PARAGRAPHS:
            self._parts.append("\n\n")
        elif tag in {"td", "th"}:
            self._parts.append("\t")
