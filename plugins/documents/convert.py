"""Turning documents into Markdown with MarkItDown's converters, checked before and explained after.

The converters are called one by one: MarkItDown's own front door guesses types, answers with an empty text for scans,
and knows how to fetch addresses, transcribe speech with a third party and load plugins; none of that is wanted here.
"""

import html
import io
import re
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, BinaryIO

from plugins.base import PluginError
from plugins.documents.archives import OLE_MAGIC, ZIP_MAGIC, corrupt, count_parts, encrypted, open_zip
from plugins.documents.packed import archive_markdown
from plugins.documents.pages import Document, plain, tidy, without_data
from plugins.documents.pdf_pages import pdf_document
from plugins.documents.slides import slides_document
from plugins.documents.tables import csv_markdown, workbook_markdown
from plugins.documents.word_pages import word_document
from plugins.normalise import counted
from plugins.source import Source
from plugins.text import decode, read_stream

if TYPE_CHECKING:
    from markitdown import DocumentConverter

MAX_TEXT = 64 * 1024**2
MAX_HTML = 16 * 1024**2  # its tree takes about thirty times the room


def to_document(source: Source) -> Document:
    """The document as Markdown, with its pages when its kind knows pages. It may be without text.

    :raises PluginError: ``unsupported``, ``encrypted``, ``corrupt``, ``too_large``, ``not_text`` or ``no_text``
    """
    convert, what = _converter(source)
    try:
        made = convert(source)
    except (PluginError, MemoryError):
        raise
    except Exception as error:
        # The readers fail on damaged files in every way there is: KeyError, struct.error, XMLSyntaxError, …
        raise corrupt(what) from error
    return made if isinstance(made, Document) else Document((tidy(made),))


def _with_text(source: Source) -> Document:
    """:raises PluginError: as :func:`to_document`, and ``no_text`` when there is none"""
    document = to_document(source)
    if not document.has_text():
        raise no_text(source.extension)
    return document


def to_markdown(source: Source) -> str:
    """The document as Markdown, its pictures left out.

    :raises PluginError: as :func:`to_document`, and ``no_text`` when there is none
    """
    return _with_text(source).without_pictures().markdown


def _converter(source: Source) -> "tuple[Callable[[Source], Document | str], str]":
    if source.extension not in _CONVERTERS:
        raise PluginError(
            "unsupported",
            f"Files of type .{source.extension or '?'} cannot be converted.",
            hint=f"Upload one of: {', '.join(SUPPORTED)}.",
        )
    return _CONVERTERS[source.extension]


def no_text(extension: str) -> PluginError:
    if extension == "pdf":
        return PluginError(
            "no_text",
            "The PDF holds no text: its pages are probably scanned pictures.",
            hint="Run text recognition (OCR) on it, or export it again from the program that made it.",
        )
    what = _CONVERTERS[extension][1] if extension in _CONVERTERS else "file"
    return PluginError("no_text", f"The {what} holds no text.", hint="Check that the right file was uploaded.")


# -- Text that is read as a stream ------------------------------------------------------------------


def text_stream(source: Source) -> Iterator[str]:
    """The Markdown of a file of a kind in ``STREAMED``, in blocks: memory does not grow with the file.

    :raises PluginError: ``not_text``, ``no_text`` or ``corrupt``
    """
    blocks = _watched(source)
    return csv_markdown(blocks) if source.extension == "csv" else blocks


def _watched(source: Source) -> Iterator[str]:
    """The text of the file, told about by the bytes that were read."""
    source.stream.seek(0, io.SEEK_END)
    size = source.stream.tell()
    for block in read_stream(source.stream):
        source.tell(f"{source.stream.tell() / 1e6:.1f} of {size / 1e6:.1f} MB read")
        yield block


# -- Converters -------------------------------------------------------------------------------------


def _with(converter: "DocumentConverter", stream: BinaryIO, extension: str) -> str:
    from markitdown import StreamInfo

    stream.seek(0)
    return str(converter.convert(stream, StreamInfo(extension=f".{extension}")).markdown)


def _text(source: Source) -> str:
    return decode(source.read(MAX_TEXT, "text file"))


def _csv(source: Source) -> str:
    return "".join(csv_markdown([decode(source.read(MAX_TEXT, "CSV file"))]))


def _xml(source: Source) -> str:
    """Feeds as articles, any other XML as it is written: it is not parsed, so no entity is ever resolved."""
    from markitdown import StreamInfo
    from markitdown.converters import RssConverter

    text = decode(source.read(MAX_TEXT, "XML file"), declared=True)
    if re.search(r"<(rss|feed)[\s>]", text[:4096]):
        body = re.sub(r"^\s*<\?xml.*?\?>", "", text, count=1, flags=re.DOTALL)  # it may name another encoding
        stream, info, feed = io.BytesIO(body.encode()), StreamInfo(extension=".xml"), RssConverter()
        if feed.accepts(stream, info):
            return _with(feed, stream, "xml")
    return text


def _html(source: Source) -> str:
    from markitdown.converters import HtmlConverter

    title, page = _title(decode(source.read(MAX_HTML, "web page"), declared=True))
    text = str(HtmlConverter().convert_string(_INPUT.sub(_with_value, page)).markdown)
    return _titled(without_data(text).strip(), title)


# Bounded, so that a page without their ends costs no more than any other.
_INPUT = re.compile(r"<input\b([^<>]{0,2000})>", re.IGNORECASE)
_VALUE = re.compile(r"""\bvalue\s{0,9}=\s{0,9}(?:"([^"]*)"|'([^']*)')""", re.IGNORECASE)
_SECRET = re.compile(r"""\btype\s{0,9}=\s{0,9}["']?(?:hidden|password)""", re.IGNORECASE)
_TITLE = re.compile(r"<title\b[^<>]{0,200}>([^<]{0,1000})</title>", re.IGNORECASE)
_BEFORE_TITLE = 100_000  # characters


def _with_value(tag: re.Match[str]) -> str:
    """A field of a form with what stands in it, which readers of the page see and the converter does not."""
    value = None if _SECRET.search(tag[1]) else _VALUE.search(tag[1])
    return f"{tag[0]}{value[1] or value[2] or ''}" if value else tag[0]


def _title(page: str) -> tuple[str, str]:
    """The title of a page, and the page without it: the converter takes it for text, or drops it."""
    head = re.split(r"<(?:body|svg)\b", page[:_BEFORE_TITLE], maxsplit=1, flags=re.IGNORECASE)[0]
    found = _TITLE.search(head)
    if found is None:
        return "", page
    return " ".join(html.unescape(found[1]).split()), page[: found.start()] + page[found.end() :]


def _titled(text: str, title: str) -> str:
    """The text under its title, unless it says that by itself."""
    if not title or not text or re.search(rf"(?m)^#{{1,6}} {re.escape(title)}$", text):
        return text
    return f"{plain(title)}\n\n{text}" if re.search(r"(?m)^# ", text) else f"# {title}\n\n{text}"


_OFFICE_NAMES = {"docx": "Word document", "pptx": "presentation", "xlsx": "workbook"}
_OFFICE_PARTS = {"docx": "word/", "pptx": "ppt/", "xlsx": "xl/"}


def _docx(source: Source) -> Document:
    _check_office(source, "docx")
    return word_document(source)


def _pptx(source: Source) -> Document:
    _check_office(source, "pptx")
    _warn_of_comments(source, r"ppt/comments/[^/]+\.xml", "slide")
    return slides_document(source)


def _xlsx(source: Source) -> str:
    _check_office(source, "xlsx")
    _warn_of_comments(source, r"xl/comments/?[^/]*\.xml", "sheet")
    return workbook_markdown(source.stream, source.tell, source.warn)


def _warn_of_comments(source: Source, pattern: str, noun: str) -> None:
    if number := count_parts(source.stream, pattern):
        source.warn(f"The comments of {counted(number, noun)} are not read.", {"code": "unread_parts"})


def _xls(source: Source) -> str:
    from markitdown.converters import XlsConverter

    head = source.head()
    if head.startswith(ZIP_MAGIC):
        return _xlsx(source)
    if not head.startswith(OLE_MAGIC):
        return _html(source) if b"<" in head else _csv(source)  # what other programs export under this name
    _refuse_encrypted_ole(source, "workbook")
    try:
        return _with(XlsConverter(), source.stream, "xls")
    except Exception as error:
        if "encrypted" in str(error).lower():
            raise encrypted("workbook") from error
        raise


def _msg(source: Source) -> str:
    import olefile
    from markitdown.converters import OutlookMsgConverter

    # Without its properties it is no message, but the converter would answer with empty headings
    if not source.head().startswith(OLE_MAGIC):
        raise corrupt("message")
    message = olefile.OleFileIO(source.stream)
    if not message.exists(_MSG_PROPERTIES):
        raise corrupt("message")
    attached = {path[0] for path in message.listdir(streams=True, storages=True) if path[0].startswith(_MSG_ATTACHMENT)}
    if attached:
        what = counted(len(attached), "attachment")
        source.warn(f"Not read of the message: {what}.", {"code": "left_out", "hint": _ATTACHED})
    return _with(OutlookMsgConverter(), source.stream, "msg")


_MSG_PROPERTIES = "__properties_version1.0"
_MSG_ATTACHMENT = "__attach_version1.0_#"
_ATTACHED = "Save the attachments and upload them as files of their own."


def _epub(source: Source) -> str:
    from markitdown.converters import EpubConverter

    with open_zip(source.stream, "e-book") as archive:
        if {"META-INF/rights.xml", "META-INF/license.lcpl"} & set(archive.namelist()):
            raise encrypted("e-book")
    return without_data(_with(EpubConverter(), source.stream, "epub"))


def _check_office(source: Source, extension: str) -> None:
    what = _OFFICE_NAMES[extension]
    if source.head().startswith(OLE_MAGIC):
        _refuse_encrypted_ole(source, what)
        raise PluginError(
            "unsupported",
            f"The {what} is in the format of Office 2003 or older, whatever its name says.",
            hint=f"Open it and save it as .{extension}.",
        )
    with open_zip(source.stream, what) as archive:
        names = archive.namelist()
        if not any(name.lower().startswith(_OFFICE_PARTS[extension]) for name in names):
            raise corrupt(what)
        for name in names:
            if name.endswith((".xml", ".rels")):
                with archive.open(name) as part:
                    _refuse_entities(part.read(65_536), what)


def _refuse_entities(start: bytes, what: str) -> None:
    """Office never declares entities; who does, wants them expanded or fetched. The parsers refuse that as well."""
    if b"<!ENTITY" in start.replace(b"\0", b""):
        raise corrupt(what)


def _refuse_encrypted_ole(source: Source, what: str) -> None:
    import olefile

    source.stream.seek(0)
    container = olefile.OleFileIO(source.stream)
    if container.exists("EncryptedPackage"):
        raise encrypted(what)
    source.stream.seek(0)


def _zip(source: Source) -> str:
    return archive_markdown(source, _with_text)


_CONVERTERS: dict[str, tuple[Callable[[Source], Document | str], str]] = {
    "pdf": (pdf_document, "PDF"),
    "docx": (_docx, "Word document"),
    "pptx": (_pptx, "presentation"),
    "xlsx": (_xlsx, "workbook"),
    "xls": (_xls, "workbook"),
    "msg": (_msg, "message"),
    "epub": (_epub, "e-book"),
    "zip": (_zip, "archive"),
    "html": (_html, "web page"),
    "htm": (_html, "web page"),
    "csv": (_csv, "CSV file"),
    "json": (_text, "JSON file"),
    "xml": (_xml, "XML file"),
    "txt": (_text, "text file"),
    "md": (_text, "Markdown file"),
}
SUPPORTED = tuple(sorted(set(_CONVERTERS) - {"htm"}))
STREAMED = frozenset({"csv", "json", "md", "txt"})
