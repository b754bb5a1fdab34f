"""Word documents as Markdown, with the pages that the file tells about.

A Word file is one stream of text; only Word itself decides where pages end. It leaves a mark at each place where a page
ended when it last showed the document, and authors force ends of their own. Both are turned into words that no document
contains before MarkItDown converts it, and found again afterwards. Pictures take the same way: their bytes never pass
through HTML.
"""

import io
import re
import secrets
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from itertools import pairwise
from posixpath import join, normpath
from typing import Any, BinaryIO

from lxml import etree  # type: ignore[import-untyped]

from plugins.documents.archives import open_zip, read_member
from plugins.documents.pages import Document, picture, tidy, without_data
from plugins.documents.word_margins import margins, open_boxes, parsed, unreadable, visible
from plugins.quality import pages_of_pictures
from plugins.source import Source

ONE_PAGE = 3000  # characters that surely fit on one page, so a text without any mark is page 1
MOST_ON_PAGE = 3 * ONE_PAGE  # what a page of small print holds
_WORD = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
_RELATION = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}"
_DRAWING = "{http://schemas.openxmlformats.org/drawingml/2006/main}"
_PLACE = "{http://schemas.openxmlformats.org/drawingml/2006/wordprocessingDrawing}"
_BODY = "word/document.xml"
_MEDIA = "word/media/"


def word_document(source: Source) -> Document:
    """A docx whose archive was already checked."""
    from markitdown import StreamInfo
    from markitdown.converters import DocxConverter

    marks = _Marks()
    with open_zip(source.stream, "Word document") as archive:
        prepared = _prepared(archive, marks)
        said = _pages_said(archive)
        beside, lost = margins(archive), unreadable(archive)
    if lost:
        source.warn(f"The text of {lost} is not read; in a PDF of the document it is.", {"code": "unread_parts"})
    markdown = str(DocxConverter().convert(prepared, StreamInfo(extension=".docx")).markdown)
    text, _, notes = tidy(_with_pictures(without_data(markdown), marks)).partition(marks.end)
    pages = _cut(text, marks.page)
    if marks.shown or _plausible(pages, said):
        pages = _with_notes(pages, notes)
        pages[-1] = f"{pages[-1].rstrip()}\n\n{beside}".strip() if beside else pages[-1]
        return Document(tuple(pages), True, tuple(pages_of_pictures(pages)))
    return Document(("\n\n".join(filter(None, ("".join(pages).strip(), notes.strip(), beside))),))


def _plausible(pages: list[str], said: int | None) -> bool:
    """Whether ends that authors forced are all there are. Only Word writes where the others are; other programs don't.

    :param said: how many pages the file says it has, which those programs copy from wherever they have it
    """
    most = MOST_ON_PAGE if said == len(pages) else ONE_PAGE
    return all(len(page) <= most for page in pages)


# -- Before the conversion --------------------------------------------------------------------------


@dataclass
class _Marks:
    """Words that stand for what Markdown cannot say. Random, so that no document can contain them."""

    token: str = field(default_factory=lambda: secrets.token_hex(8))
    pictures: list[str] = field(default_factory=list)
    shown: bool = False  # whether Word has written where pages ended when it showed them

    @property
    def page(self) -> str:
        return f"\ue001{self.token}\ue001"

    @property
    def end(self) -> str:
        """Where the text ends; the converter puts footnotes behind it."""
        return f"\ue003{self.token}\ue003"

    def picture(self, markdown: str) -> str:
        self.pictures.append(markdown)
        return f"\ue002{self.token}{len(self.pictures) - 1}\ue002"


def _prepared(archive: zipfile.ZipFile, marks: _Marks) -> BinaryIO:
    """The archive with marks in its text, and without the bytes of pictures, which nobody reads any more."""
    stream = io.BytesIO()
    pictures = _pictures_by_relation(archive)
    with zipfile.ZipFile(stream, "w") as changed:
        for member in archive.infolist():
            data = b"" if member.filename.startswith(_MEDIA) else read_member(archive, member, "Word document")
            if member.filename == _BODY:
                data = _marked(data, pictures, marks)
            changed.writestr(member.filename, data)
    stream.seek(0)
    return stream


def _marked(xml: bytes, pictures: dict[str, str], marks: _Marks) -> bytes:
    try:
        root = parsed(xml)
    except etree.XMLSyntaxError:
        return xml  # the converter says what is wrong
    open_boxes(root)
    elements = list(visible(root))
    sections = [element for element in elements if element.tag == f"{_WORD}sectPr"]
    walk = _Walk(marks, pictures, sections)
    for element in elements:
        walk.visit(element)
    body = root.find(f"{_WORD}body")
    if body is not None:
        body.append(_paragraph(marks.end))
    return bytes(etree.tostring(root, encoding="utf-8", xml_declaration=True))


class _Walk:
    """Puts marks where pages end and where pictures are.

    Word writes its own mark after an end that the author forced: with no text in between both are the same end.
    """

    def __init__(self, marks: _Marks, pictures: dict[str, str], sections: list[Any]) -> None:
        self.marks = marks
        self.pictures = pictures
        self.following = dict(pairwise(sections))
        self.forced = False  # the last thing seen was an end that the author forced
        self.anything = False
        self.section_ends = False  # with the paragraph that is being read

    def visit(self, element: Any) -> None:
        match element.tag.removeprefix(_WORD):
            case "t" if element.text and element.text.strip():
                self.seen()
            case "p" if self.section_ends:
                self.forced, self.section_ends = True, False
            case "br" if element.get(f"{_WORD}type") == "page":
                self.forced = True
                _replace(element, self.marks.page)
            case "lastRenderedPageBreak":
                self.marks.shown = True
                if not self.forced:
                    _replace(element, self.marks.page)
                self.forced = False
            case "pageBreakBefore" if _is_on(element) and self.anything and not self.forced:
                self.forced = True
                element.getparent().addnext(_run(self.marks.page))
            case "sectPr" if self.ends_page(element):
                self.section_ends = True
                element.getparent().getparent().append(_run(self.marks.page))
            case "drawing" | "pict" | "object":
                self.draw(element)

    def draw(self, element: Any) -> None:
        digest = next((self.pictures[name] for name in _embedded(element) if name in self.pictures), None)
        if digest is not None and element.find(f".//{_WORD}txbxContent") is None:
            described = element.find(f".//{_PLACE}docPr")
            alt = "" if described is None else described.get("descr") or ""
            _replace(element, self.marks.picture(picture(alt, digest)))
            self.seen()

    def seen(self) -> None:
        self.anything, self.forced = True, False

    def ends_page(self, section: Any) -> bool:
        """Whether a section ends its page; how, is written at the section that follows."""
        parent, following = section.getparent(), self.following.get(section)
        if parent is None or parent.tag != f"{_WORD}pPr" or parent.getparent() is None:
            return False
        start = None if following is None else following.find(f"{_WORD}type")
        return start is None or start.get(f"{_WORD}val") not in {"continuous", "nextColumn"}


def _is_on(element: Any) -> bool:
    return (element.get(f"{_WORD}val") or "1") not in {"0", "false", "off"}


def _embedded(element: Any) -> Iterator[str]:
    """Names of the relations to pictures below *element*."""
    for node in element.iter(f"{_DRAWING}blip", "{urn:schemas-microsoft-com:vml}imagedata"):
        yield from filter(None, (node.get(f"{_RELATION}embed"), node.get(f"{_RELATION}id")))


def _replace(element: Any, text: str) -> None:
    """Make *element*, a child of a run, the text *text*."""
    tail = element.tail
    element.clear()
    element.tag, element.text, element.tail = f"{_WORD}t", text, tail


def _run(text: str) -> Any:
    run = etree.Element(f"{_WORD}r")
    etree.SubElement(run, f"{_WORD}t").text = text
    return run


def _paragraph(text: str) -> Any:
    paragraph = etree.Element(f"{_WORD}p")
    paragraph.append(_run(text))
    return paragraph


def _pictures_by_relation(archive: zipfile.ZipFile) -> dict[str, str]:
    """Hashes of the pictures in the text, by the names that the text has for them."""
    members = {member.filename: member for member in archive.infolist()}
    relations = members.get("word/_rels/document.xml.rels")
    if relations is None:
        return {}
    try:
        root = parsed(read_member(archive, relations, "Word document"))
    except etree.XMLSyntaxError:
        return {}
    found = {}
    for relation in root:
        target = normpath(join("word", relation.get("Target") or "")).lstrip("/")
        if target.startswith(_MEDIA) and target in members:
            data = read_member(archive, members[target], "Word document")
            found[relation.get("Id") or ""] = sha256(data).hexdigest()[:16]
    return found


def _pages_said(archive: zipfile.ZipFile) -> int | None:
    try:
        found = re.search(rb"<Pages>(\d{1,6})</Pages>", archive.read("docProps/app.xml"))
    except KeyError:
        return None
    return int(found[1]) if found else None


# -- After the conversion ---------------------------------------------------------------------------


def _with_pictures(markdown: str, marks: _Marks) -> str:
    return re.sub(rf"\ue002{marks.token}(\d+)\ue002", lambda found: marks.pictures[int(found[1])], markdown)


def _cut(markdown: str, mark: str) -> list[str]:
    """The text of each page: joined they are the text without its marks."""
    if mark not in markdown:
        return [markdown]
    pages: list[str] = []
    for piece in "\n".join(_settled(line, mark) for line in markdown.split("\n")).split(mark):
        text = piece.lstrip("\n")
        if pages and text != piece and not pages[-1].endswith("\n"):
            pages[-1] += piece[: len(piece) - len(text)]
        pages.append(text)
    return pages


def _with_notes(pages: list[str], notes: str) -> list[str]:
    """Each footnote at the end of the page that refers to it; what cannot be told apart goes to the end."""
    items = re.split(r"(?m)^(?=\d+\. )", notes.strip())[1:]
    places = [next((n for n, page in enumerate(pages) if f"[[{k}]](#" in page), None) for k in range(1, len(items) + 1)]
    if not items or None in places:
        return [*pages[:-1], f"{pages[-1].rstrip()}\n\n{notes.strip()}".strip()]
    for item, place in zip(items, places, strict=True):
        pages[place or 0] = f"{pages[place or 0].rstrip()}\n\n{item.strip()}\n\n"
    return pages


# Signs that begin a line of Markdown: what stands before a mark among them belongs behind it.
_OPENING = r"(?:[-*+>#|]|\d+[.)]|\s)*"


def _settled(line: str, mark: str) -> str:
    """*line* with its marks where they cut neither a heading, nor a row of a table, nor the sign of a list."""
    if mark not in line:
        return line
    if line.lstrip().startswith(("#", "|")):
        before, after = _ends(line, mark)
        return mark * before + line.replace(mark, "") + mark * after
    return re.sub(rf"^({_OPENING})((?:{mark})+)", r"\2\1", line)


def _ends(line: str, mark: str) -> tuple[int, int]:
    """How many pages end before a heading or row, and how many within it.

    A row that goes on over an end has a mark in each of its cells that does: they all mean the same end.
    """
    cells = [cell.strip(" #") for cell in re.split(r"(?<!\\)\|", line)]
    most = max(cell.count(mark) for cell in cells)
    first = next(filter(None, cells))
    before = min(len(re.match(rf"(?:{mark})*", first)[0]) // len(mark), most)  # type: ignore[index]
    return before, most - before
