"""What a Word document says beside its text: headers, footers, comments, text boxes. The converter reads none of it."""

import re
import zipfile
from collections.abc import Iterator
from typing import Any

from lxml import etree  # type: ignore[import-untyped]

from plugins.documents.archives import read_member
from plugins.documents.pages import plain
from plugins.normalise import counted

_WORD = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
_COMPATIBLE = "{http://schemas.openxmlformats.org/markup-compatibility/2006}"
_CHOICE, _FALLBACK = f"{_COMPATIBLE}Choice", f"{_COMPATIBLE}Fallback"
_UNSEEN = frozenset({_CHOICE, f"{_WORD}del", f"{_WORD}moveFrom"})
_KINDS = (("Header", re.compile(r"word/header\d*\.xml")), ("Footer", re.compile(r"word/footer\d*\.xml")))
_COMMENTS = re.compile(r"word/comments\.xml")
_UNREADABLE = (
    ("chart", re.compile(r"word/charts/chart\d*\.xml")),
    ("diagram", re.compile(r"word/diagrams/data\d*\.xml")),
)
_NUMBER = re.compile(r"^\s*(?:PAGE|NUMPAGES|SECTIONPAGES)\b")
_LEAST_BESIDE_NUMBER = 12  # letters; "Page 3 of 9" is no text


def parsed(xml: bytes) -> Any:
    """:raises XMLSyntaxError:"""
    return etree.fromstring(xml, etree.XMLParser(resolve_entities=False, no_network=True))


def visible(root: Any) -> Iterator[Any]:
    """Elements in reading order, without what was deleted and how things were formatted before.

    Of alternatives the converter reads the last one, so the first is passed over.
    """
    walk = etree.iterwalk(root, events=("start",), tag="{*}*")
    for _, element in walk:
        if element.tag in _UNSEEN or (element.tag.startswith(_WORD) and element.tag.endswith("Change")):
            walk.skip_subtree()
        else:
            yield element


def open_boxes(root: Any) -> None:
    """Text boxes where the converter finds them: it knows only the older way of drawing them, which many files lack."""
    for choice in root.findall(f".//{_CHOICE}"):
        if choice.getparent().find(_FALLBACK) is None:
            choice.tag = _FALLBACK
    for shape in root.findall(f".//{_WORD}drawing"):
        boxes = [] if _is_passed_over(shape) else shape.findall(f".//{_WORD}txbxContent")
        if boxes and shape.getparent() is not None:
            frame = etree.Element(f"{_WORD}pict")
            frame.extend(boxes)
            shape.addnext(frame)


def _is_passed_over(element: Any) -> bool:
    return any(parent.tag in _UNSEEN for parent in element.iterancestors())


def margins(archive: zipfile.ZipFile) -> str:
    """Headers, footers and comments, each text once: Word stores one header for first, odd and even pages."""
    said: dict[str, None] = {}
    for label, pattern in _KINDS:
        for root in _parts(archive, pattern):
            for text in _paragraphs(root):
                said.setdefault(f"{label}: {text}")
    for root in _parts(archive, _COMMENTS):
        for comment in root.iter(f"{_WORD}comment"):
            author = " ".join((comment.get(f"{_WORD}author") or "").split())
            if text := " ".join(_paragraphs(comment)):
                said.setdefault(f"Comment ({author}): {text}" if author else f"Comment: {text}")
    return "\n\n".join(map(plain, said))


def unreadable(archive: zipfile.ZipFile) -> str:
    """Charts and diagrams, in words; empty when there are none."""
    names = archive.namelist()
    counts = [(sum(bool(pattern.fullmatch(name)) for name in names), noun) for noun, pattern in _UNREADABLE]
    return " and ".join(counted(count, noun) for count, noun in counts if count)


def _parts(archive: zipfile.ZipFile, pattern: re.Pattern[str]) -> Iterator[Any]:
    for member in archive.infolist():
        if pattern.fullmatch(member.filename):
            try:
                yield parsed(read_member(archive, member, "Word document"))
            except etree.XMLSyntaxError:
                continue


def _paragraphs(root: Any) -> Iterator[str]:
    for paragraph in visible(root):
        if paragraph.tag == f"{_WORD}p":
            text, is_numbered = _words(paragraph)
            letters = sum(map(str.isalpha, text))
            if letters >= (_LEAST_BESIDE_NUMBER if is_numbered else 1):
                yield text


def _words(paragraph: Any) -> tuple[str, bool]:
    """The text of a paragraph without numbers of pages, and whether there are any."""
    words, fields = list[str](), list[str]()
    is_numbered = False
    for element in visible(paragraph):
        if next(element.iterancestors(f"{_WORD}p"), paragraph) is not paragraph:
            continue  # of a text box, whose paragraphs come by themselves
        match element.tag.removeprefix(_WORD):
            case "fldChar" if element.get(f"{_WORD}fldCharType") == "begin":
                fields.append("")
            case "fldChar" if element.get(f"{_WORD}fldCharType") == "end" and fields:
                fields.pop()
            case "instrText" if fields:
                fields[-1] += element.text or ""
            case "tab" | "br" | "cr":
                words.append(" ")
            case "t":
                simple = next(element.iterancestors(f"{_WORD}fldSimple"), None)
                around = [*fields, "" if simple is None else simple.get(f"{_WORD}instr") or ""]
                if any(map(_NUMBER.match, around)):
                    is_numbered = True
                else:
                    words.append(element.text or "")
    return " ".join("".join(words).split()), is_numbered
