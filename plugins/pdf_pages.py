"""PDFs as Markdown, page by page."""

import io
from typing import Any

from plugins.archives import corrupt, encrypted
from plugins.pages import Document
from plugins.quality import says_something
from plugins.source import Source

# MarkItDown looks for tables on each page, 0.3 s a page; longer documents get the fast reader, 0.01 s a page.
PAGES_WITH_TABLES = 60
_FPDF_ERR_PASSWORD = 4


def pdf_document(source: Source) -> Document:
    """The pages of a PDF.

    :raises PluginError: ``encrypted``, ``corrupt``
    """
    pdf = open_pdf(source)
    try:
        return _pages(pdf, source)
    finally:
        pdf.close()


def open_pdf(source: Source) -> Any:
    """The PDF, which the caller closes."""
    import pypdfium2

    source.stream.seek(0)
    try:
        return pypdfium2.PdfDocument(source.stream)
    except pypdfium2.PdfiumError as error:
        if getattr(error, "err_code", None) == _FPDF_ERR_PASSWORD:
            raise encrypted("PDF") from error
        raise corrupt("PDF") from error


def _pages(pdf: Any, source: Source) -> Document:
    count = len(pdf)
    texts, scanned, unreadable = [], [], []
    for index in range(count):
        source.tell(f"Converting page {index + 1} of {count}...")
        text = _page_text(pdf, index, tables=count <= PAGES_WITH_TABLES)
        texts.append(text or "")
        if text is None:
            unreadable.append(index + 1)
        elif not says_something(text) and _holds_pictures(pdf, index):
            scanned.append(index + 1)
    if count and len(unreadable) == count:
        raise corrupt("PDF")
    if unreadable:
        source.warn(f"{len(unreadable)} of {count} pages cannot be read.", {"pages": unreadable[:100]})
    return Document.of_pages(texts, scanned)


def _page_text(pdf: Any, index: int, tables: bool) -> str | None:
    """The page as Markdown; None when it cannot be read."""
    if tables and (text := _with_tables(pdf, index)):
        return text
    return _quickly(pdf, index)


def _with_tables(pdf: Any, index: int) -> str | None:
    """By MarkItDown, which reads whole documents: so the page is made one. None when it fails, or finds nothing."""
    import pypdfium2
    from markitdown import StreamInfo
    from markitdown.converters import PdfConverter

    alone, stream = pypdfium2.PdfDocument.new(), io.BytesIO()
    try:
        alone.import_pages(pdf, [index])
        alone.save(stream)
        stream.seek(0)
        return str(PdfConverter().convert(stream, StreamInfo(extension=".pdf")).markdown).strip("\f\n ")
    except MemoryError:
        raise
    except Exception:  # its readers fail on damaged pages in every way there is
        return None
    finally:
        alone.close()


def _quickly(pdf: Any, index: int) -> str | None:
    import pypdfium2

    try:
        page = pdf[index]
        try:
            text_page = page.get_textpage()
            text = str(text_page.get_text_range())
            text_page.close()
        finally:
            page.close()
    except pypdfium2.PdfiumError:
        return None
    # U+FFFE marks a hyphen that only the line's end put there
    return text.replace("\r\n", "\n").replace("\ufffe\n", "").replace("\ufffe", "")


def _holds_pictures(pdf: Any, index: int) -> bool:
    import pypdfium2

    try:
        page = pdf[index]
        try:
            return any(True for _ in page.get_objects(filter=(pypdfium2.raw.FPDF_PAGEOBJ_IMAGE,), max_depth=3))
        finally:
            page.close()
    except pypdfium2.PdfiumError:
        return False
