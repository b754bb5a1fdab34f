"""The readable text of an HTML page, as a stream: a tree of the page would need twenty times its size in memory."""

import re
from collections.abc import Iterable, Iterator
from html.parser import HTMLParser

_HIDDEN = frozenset({"script", "style", "template", "noscript", "svg"})
_SECTIONS = {"address", "article", "aside", "body", "div", "footer", "form", "head", "header", "html", "main", "nav"}
_BLOCKS = {"blockquote", "details", "figcaption", "figure", "hr", "p", "pre", "section", "summary", "title", "fieldset"}
_LISTS = {"dd", "dl", "dt", "li", "ol", "ul", "table", "tr"}
_PARAGRAPHS = frozenset(_SECTIONS | _BLOCKS | _LISTS | {"h1", "h2", "h3", "h4", "h5", "h6"})
_SPACES = re.compile(r"[^\S\n]+")
_LINES = re.compile(r" ?\n[ \n]*")


def html_text(blocks: Iterable[str]) -> Iterator[str]:
    """Yield the text between the tags, blocks of a page as paragraphs, scripts and styles left out."""
    reader = _Reader()
    for block in blocks:
        reader.feed(block)
        yield reader.take()
    reader.close()
    yield reader.take()


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self._parts: list[str] = []
        self._hidden: list[str] = []
        self._preformatted = 0

    def take(self) -> str:
        text, self._parts = "".join(self._parts), []
        return text

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in _HIDDEN:
            self._hidden.append(tag)
        elif tag == "br":
            self._add("\n")
        elif tag in {"td", "th"}:
            self._add("\t")
        elif tag in _PARAGRAPHS:
            self._preformatted += tag == "pre"
            self._break(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in _HIDDEN:
            super().handle_startendtag(tag, attrs)

    def handle_endtag(self, tag: str) -> None:
        if tag in _HIDDEN:
            if tag in self._hidden:
                del self._hidden[self._hidden.index(tag) :]
        elif tag in _PARAGRAPHS:
            self._hidden.clear()  # a block that ends around them ends what was left open
            self._preformatted = max(self._preformatted - (tag == "pre"), 0)
            self._break(tag)

    def handle_data(self, data: str) -> None:
        if self._preformatted:
            self._add(data)
        else:
            self._add(_SPACES.sub(" ", _LINES.sub(" ", data)))

    def _break(self, tag: str) -> None:
        self._add("\n" if tag in {"li", "tr", "dt", "dd"} else "\n\n")

    def _add(self, text: str) -> None:
        if not self._hidden:
            self._parts.append(text)
