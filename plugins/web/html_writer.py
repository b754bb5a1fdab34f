"""Writing a part of a web page as Markdown: ATX headings, absolute links, tables, fenced code."""

import re
from collections.abc import Iterator
from typing import Any

from bs4.element import NavigableString, PageElement, PreformattedString, Tag
from markdownify import ATX, MarkdownConverter

from plugins.web.addresses import resolved
from plugins.web.html_scripts import lowered, raised
from plugins.web.html_tables import Cell, Row, aligned, cell

MOST_STEPS = 50  # to the text before a mark
MOST_INDENTED = 1_000_000  # characters; a long text in many nested quotes or lists would grow with each
HEADINGS = frozenset({"h1", "h2", "h3", "h4", "h5", "h6"})
_TABLE_PARTS = frozenset({"tbody", "thead", "tfoot", "tr", "td", "th", "caption"})
_NO_CELL = HEADINGS | {"table", "pre"}
_LETTERS = re.compile(r"\w")


def attribute(tag: Tag, name: str) -> str:
    """An attribute as text; empty when there is none."""
    value = tag.attrs.get(name) or ""
    return value if isinstance(value, str) else " ".join(value)


def write_markdown(part: Tag, base: str) -> str:
    """The Markdown of *part*, which is changed.

    :param base: the address that its links are relative to
    """
    for table in [part, *part.find_all("table")]:
        if table.name == "table" and _is_layout(table):
            _unframe(table)
    markdown = str(_Converter(base).process_tag(part))
    return re.sub(r"\n{3,}", "\n\n", "\n".join(line.rstrip() for line in markdown.split("\n"))).strip()


def _is_layout(table: Tag) -> bool:
    """Whether a table only places things on the page: its cells hold what no cell of Markdown can."""
    if attribute(table, "role") in {"presentation", "none"}:
        return True
    widest = 0
    for tag in table.descendants:
        if isinstance(tag, Tag):
            if tag.name in _NO_CELL:
                return True
            if tag.name == "tr":
                widest = max(widest, sum(isinstance(cell, Tag) for cell in tag.contents))
    return widest < 2


def _unframe(table: Tag) -> None:
    """Make the cells of a table, but not of those inside it, into plain blocks."""
    table.name = "div"
    waiting = [table]
    while waiting:
        for child in waiting.pop().contents:
            if isinstance(child, Tag) and child.name != "table":
                child.name = "div" if child.name in _TABLE_PARTS else child.name
                waiting.append(child)


_Markdownify: Any = MarkdownConverter  # its stubs know no methods


class _Converter(_Markdownify):  # type: ignore[misc]
    """markdownify's converter, with absolute links, tables as Markdown knows them, and linear time throughout."""

    def __init__(self, base: str) -> None:
        super().__init__(
            heading_style=ATX,
            escape_asterisks=False,
            escape_underscores=False,
            escape_misc=False,
            wrap=True,  # one line a paragraph, so that no line of prose is taken for a heading or a list
            wrap_width=None,
        )
        self._base = base
        self._numbers: dict[int, int] = {}
        self._cells: list[Cell] = []  # of the row that is being written
        self._rows: list[Row] = []  # of the table that is

    def get_conv_fn(self, tag_name: str) -> Any:
        if tag_name in _BLOCKS:
            return self.convert_div
        if "-" in tag_name or tag_name in {"label", "button", "rt"}:
            return _spaced
        return super().get_conv_fn(tag_name)

    def convert_a(self, el: Tag, text: str, parent_tags: set[str]) -> str:
        if not _LETTERS.search(text) and attribute(el, "href").startswith("#"):
            return ""  # the sign beside a heading that links to it
        if "\n\n" in text:  # a block that is clickable as a whole
            return text
        words = " ".join(text.split())
        target = link_target(self._base, attribute(el, "href"))
        if not target or not words or "_noformat" in parent_tags or not HEADINGS.isdisjoint(parent_tags):
            return text
        before, after = text[: len(text) - len(text.lstrip())], text[len(text.rstrip()) :]
        return f"{before}[{words}]({target}){after}"

    def convert_sup(self, el: Tag, text: str, parent_tags: set[str]) -> str:
        if not text or any(self._is_on_page(tag) for tag in [_link_around(el), *el.contents]):
            return ""  # nothing, or the mark of a footnote
        return raised(text, _character_before(el), _first_character(el.next_sibling))

    def convert_sub(self, el: Tag, text: str, parent_tags: set[str]) -> str:
        return lowered(text, _character_before(el), _first_character(el.next_sibling)) if text else ""

    def _is_on_page(self, node: object) -> bool:
        """Whether it is a link to a place on this page."""
        if not isinstance(node, Tag) or node.name != "a":
            return False
        page, mark, _ = attribute(node, "href").strip().partition("#")
        return bool(mark) and (not page or link_target(self._base, page) == link_target(self._base, self._base))

    def convert_b(self, el: Tag, text: str, parent_tags: set[str]) -> str:
        return text if _stays_plain(text, parent_tags) else str(super().convert_b(el, text, parent_tags))

    def convert_em(self, el: Tag, text: str, parent_tags: set[str]) -> str:
        return text if _stays_plain(text, parent_tags) else str(super().convert_em(el, text, parent_tags))

    convert_strong = convert_b
    convert_i = convert_em

    def convert_img(self, el: Tag, text: str, parent_tags: set[str]) -> str:
        return " ".join(attribute(el, "alt").split())

    def convert_br(self, el: Tag, text: str, parent_tags: set[str]) -> str:
        return " " if "_inline" in parent_tags else "\n"

    def convert_li(self, el: Tag, text: str, parent_tags: set[str]) -> str:
        text = text.strip()
        if not text:
            return "\n"
        bullet = self._number(el.parent) if el.parent is not None and el.parent.name == "ol" else "- "
        if len(text) > MOST_INDENTED:
            return f"{bullet}{text}\n"
        return bullet + text.replace("\n", "\n" + " " * len(bullet)) + "\n"

    def _number(self, parent: Tag) -> str:
        start = attribute(parent, "start")
        first = int(start) if re.fullmatch(r"\d{1,6}", start, re.ASCII) else 1
        self._numbers[id(parent)] = number = self._numbers.get(id(parent), first - 1) + 1
        return f"{number}. "

    def convert_blockquote(self, el: Tag, text: str, parent_tags: set[str]) -> str:
        if len(text) > MOST_INDENTED:
            return f"\n\n{text.strip()}\n\n"
        return str(super().convert_blockquote(el, text, parent_tags))

    def convert_dd(self, el: Tag, text: str, parent_tags: set[str]) -> str:
        return f"{text}\n" if len(text) > MOST_INDENTED else str(super().convert_dd(el, text, parent_tags))

    def convert_pre(self, el: Tag, text: str, parent_tags: set[str]) -> str:
        code = "".join(_code(el)).strip("\n").rstrip()
        if not code.strip():
            return ""
        longest = max((len(run) for run in re.findall(r"`+", code)), default=0)
        fence = "`" * max(3, longest + 1)
        return f"\n\n{fence}{_code_language(el)}\n{code}\n{fence}\n\n"

    def convert_td(self, el: Tag, text: str, parent_tags: set[str]) -> str:
        text = " ".join(text.split())
        if not parent_tags >= {"tr", "table"}:
            return f" {text} "
        self._cells.append(cell(text.replace("|", "\\|"), attribute(el, "colspan"), attribute(el, "rowspan")))
        return ""

    convert_th = convert_td

    def convert_tr(self, el: Tag, text: str, parent_tags: set[str]) -> str:
        if "table" in parent_tags:
            self._rows.append(Row(self._cells, id(el.parent)))
            self._cells = []
        return text

    def convert_table(self, el: Tag, text: str, parent_tags: set[str]) -> str:
        """Of the rows that were met; tables do not nest, since such as hold others are layout."""
        caption, rows = " ".join(text.split()), aligned(self._rows)
        self._rows = []
        if not rows:
            return f"\n\n{caption}\n\n"
        columns = max(len(row) for row in rows)
        head = rows[0] + [""] * (columns - len(rows[0]))
        lines = [head, ["---"] * columns, *rows[1:]]
        return f"\n\n{caption}\n\n" + "\n".join(_table_line(line) for line in lines) + "\n\n"


def _table_line(values: list[str]) -> str:
    return "|" + "".join(f" {value} |" if value else " |" for value in values)


# fmt: off
_BLOCKS = frozenset({
    "main", "header", "footer", "nav", "aside", "address", "figure", "figcaption", "details", "summary", "fieldset",
    "legend", "form", "hgroup", "center", "body", "html", "search", "menu", "frameset", "noframes",
})
# fmt: on


_BREAKS = _BLOCKS | HEADINGS | {"p", "div", "ul", "ol", "dl", "table", "pre", "blockquote", "br", "hr", "img"}
_PHRASES = frozenset({"span", "b", "strong", "i", "em", "a", "var", "small", "font", "u", "code", "nobr", "wbr"})


def _link_around(el: Tag) -> Tag | None:
    """The parent of a mark, when the mark is all the text that it holds."""
    beside = el.parent.contents if el.parent is not None else []
    alone = len(beside) <= 3 and all(node is el or (isinstance(node, str) and not node.strip()) for node in beside)
    return el.parent if alone else None


def _character_before(el: Tag) -> str:
    """The character that stands before an element in its line; empty at the start of a line.

    Of more than ``MOST_STEPS`` nodes without text it is not looked for behind them, but there is one: a space.
    """
    node: PageElement = el
    for _ in range(MOST_STEPS):
        while node.previous_sibling is None:
            if node.parent is None or node.parent.name not in _PHRASES:
                return ""
            node = node.parent
        node = node.previous_sibling
        while isinstance(node, Tag) and node.contents and node.name not in _BREAKS:
            node = node.contents[-1]
        if isinstance(node, Tag) and node.name in _BREAKS:
            return ""
        if isinstance(node, NavigableString) and not isinstance(node, PreformattedString) and node:
            return node[-1]
    return " "


def _first_character(node: PageElement | None) -> str:
    return node[:1] if isinstance(node, NavigableString) else ""


def _spaced(el: Tag, text: str, parent_tags: set[str]) -> str:
    """Elements that stand apart on the page, though no space says so."""
    return f" {text} " if text.strip() else text


def _stays_plain(text: str, parent_tags: set[str]) -> bool:
    """Whether bold and italic would only disturb: in headings, and around whole blocks."""
    return not HEADINGS.isdisjoint(parent_tags) or "\n" in text.strip()


def link_target(base: str, reference: str) -> str:
    """What a link in Markdown leads to: web and mail addresses; empty for scripts, data and places on the page."""
    reference = reference.strip()
    if not reference or reference.startswith("#"):
        return ""
    if re.match(r"mailto:[^\s()<>]+$", reference, re.IGNORECASE):
        return reference
    address = resolved(base, reference)
    _, mark, fragment = reference.partition("#")
    if address and mark and re.fullmatch(r"[\w.:-]{1,200}", fragment, re.ASCII):
        address += f"#{fragment}"
    return address.replace("(", "%28").replace(")", "%29")


# -- Code -------------------------------------------------------------------------------------------


def _code(pre: Tag) -> Iterator[str]:
    """The characters of a code block; some sites write its lines as elements without line ends."""
    ended = True
    for node in pre.descendants:
        if isinstance(node, Tag):
            if node.name == "br" or (node.name in {"div", "li", "tr", "p"} and not ended):
                yield "\n"
                ended = True
        elif not isinstance(node, PreformattedString) and (text := str(node)):
            yield text
            ended = text.endswith("\n")


_CODE_CLASS = re.compile(r"(?:^|\s)(?:language|lang|highlight-source|highlight|brush:)[-\s]?([A-Za-z][\w+#-]{0,20})")
_NO_LANGUAGE = frozenset({"default", "text", "plaintext", "plain", "none", "notranslate", "highlight", "wrapper"})


def _code_language(pre: Tag) -> str:
    around = [pre, *pre.find_all("code", limit=1), *[tag for tag in list(pre.parents)[:2] if tag.name != "body"]]
    for tag in around:
        said = attribute(tag, "data-lang") or attribute(tag, "data-language")
        found = _CODE_CLASS.search(attribute(tag, "class"))
        language = said or (found[1] if found else "")
        if language and language.lower() not in _NO_LANGUAGE and re.fullmatch(r"[\w+#-]{1,20}", language):
            return language
    return ""
