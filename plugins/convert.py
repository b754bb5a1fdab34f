"""Turning documents into Markdown with MarkItDown's converters, checked before and explained after.

The converters are called one by one: MarkItDown's own front door guesses types, answers with an empty text for scans,
and knows how to fetch addresses, transcribe speech with a third party and load plugins; none of that is wanted here.
"""

import io
import re
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from plugins import archives
from plugins.archives import OLE_MAGIC, ZIP_MAGIC, corrupt, encrypted, open_zip, read_member
from plugins.base import PluginError
from plugins.pages import Document, tidy, without_data
from plugins.pdf_pages import pdf_document
from plugins.slides import slides_document
from plugins.source import Source
from plugins.tables import csv_markdown, workbook_markdown
from plugins.text import decode, read_stream
from plugins.word_pages import word_document

if TYPE_CHECKING:
    from markitdown import DocumentConverter

MAX_TEXT = 64 * 1024**2
MAX_NAME = 200  # characters of a file's name inside an archive that are shown
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


def to_markdown(source: Source) -> str:
    """The document as Markdown, its pictures left out.

    :raises PluginError: as :func:`to_document`, and ``no_text`` when there is none
    """
    document = to_document(source)
    if not document.has_text():
        raise no_text(source.extension)
    return document.without_pictures().markdown


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

    text = decode(source.read(MAX_HTML, "web page"), declared=True)
    return without_data(str(HtmlConverter().convert_string(text).markdown))


_OFFICE_NAMES = {"docx": "Word document", "pptx": "presentation", "xlsx": "workbook"}
_OFFICE_PARTS = {"docx": "word/", "pptx": "ppt/", "xlsx": "xl/"}


def _docx(source: Source) -> Document:
    _check_office(source, "docx")
    return word_document(source)


def _pptx(source: Source) -> Document:
    _check_office(source, "pptx")
    return slides_document(source)


def _xlsx(source: Source) -> str:
    _check_office(source, "xlsx")
    return workbook_markdown(source.stream, source.tell)


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
    if not source.head().startswith(OLE_MAGIC) or not olefile.OleFileIO(source.stream).exists(_MSG_PROPERTIES):
        raise corrupt("message")
    return _with(OutlookMsgConverter(), source.stream, "msg")


_MSG_PROPERTIES = "__properties_version1.0"


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
    """Each file of an archive under a heading of its own; what cannot be read is left out with a warning."""
    if source.depth >= archives.MAX_DEPTH:
        raise PluginError(
            "too_large",
            f"The archive holds archives more than {archives.MAX_DEPTH} levels deep.",
            hint="Unpack it and upload what is inside.",
        )
    parts, failures = [], list[tuple[str, PluginError]]()
    with open_zip(source.stream) as archive:
        members = [member for member in archive.infolist() if not member.is_dir() and not _is_noise(member.filename)]
        for number, member in enumerate(members, 1):
            name = " ".join(member.filename.split())[:MAX_NAME]  # a line end in it would begin a heading of its own
            source.tell(f"Converting {name} ({number} of {len(members)})...")
            try:
                parts.append(f"## File: {name}\n\n{_member(archive, member, source)}")
            except PluginError as error:
                failures.append((name, error))
                source.warn(f"{name} was left out: {error.message}", {"code": error.code})
    if not parts and failures:
        name, first = failures[0]
        raise PluginError(
            first.code,
            f"Nothing in the archive can be read. {name}: {first.message}",
            hint=first.hint,
            context={"left_out": [f"{name}: {error.code}" for name, error in failures[:50]]},
        )
    return "\n\n".join(parts)


def _member(archive: zipfile.ZipFile, member: zipfile.ZipInfo, source: Source) -> str:
    extension = Path(member.filename).suffix.lower().lstrip(".")
    if extension not in _CONVERTERS:
        raise PluginError("unsupported", f"Files of type .{extension or '?'} cannot be converted.")
    stream = io.BytesIO(read_member(archive, member))
    if stream.getvalue().startswith(ZIP_MAGIC):
        with open_zip(stream) as inner:
            source.budget.spend(inner.infolist())
    return to_markdown(
        replace(source, stream=stream, extension=extension, name=member.filename, depth=source.depth + 1)
    )


def _is_noise(name: str) -> bool:
    return name.startswith("__MACOSX/") or Path(name).name in {".DS_Store", "Thumbs.db", "desktop.ini"}


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
