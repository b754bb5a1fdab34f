"""PDFs as Markdown, page by page."""

import io
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

from plugins.documents.archives import corrupt, encrypted
from plugins.documents.pages import Document, plain
from plugins.documents.pdf_fields import PdfFields
from plugins.quality import own_texts, says_something
from plugins.source import Source

# MarkItDown looks for tables on each page, 0.3 s a page; longer documents get the fast reader, 0.01 s a page.
PAGES_WITH_TABLES = 60
# Pages with more characters get it too: MarkItDown needs 2 GB for a million of them.
CHARACTERS_WITH_TABLES = 50_000
COVERED = 0.5  # share of a page from which on its pictures are the page
_FPDF_ERR_PASSWORD = 4
_UNREAD = {"code": "unread_parts"}


def pdf_document(source: Source) -> Document:
    """The pages of a PDF.

    :raises PluginError: ``encrypted``, ``corrupt``
    """
    pdf = open_pdf(source)
    try:
        with PdfFields(pdf) as fields:
            return _pages(pdf, source, fields)
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


def _pages(pdf: Any, source: Source, fields: PdfFields) -> Document:
    count = len(pdf)
    texts, beside, unreadable = [], [], []
    for index in range(count):
        source.tell(f"Converting page {index + 1} of {count}...")
        text = _page_text(pdf, index, tables=count <= PAGES_WITH_TABLES)
        texts.append(plain(text or ""))
        beside.append(plain(fields.of_page(index)))
        if text is None:
            unreadable.append(index + 1)
    if count and len(unreadable) == count:
        raise corrupt("PDF")
    if fields.left_out:
        source.warn(f"There are more form fields and comments than are read; left out: {fields.left_out}.", _UNREAD)
    if unreadable:
        source.warn(f"{len(unreadable)} of {count} pages cannot be read.", {"pages": unreadable[:100]})
    silent = [index for index, own in enumerate(own_texts(texts)) if not says_something(own)]
    shares = {index + 1: _share_of_pictures(pdf, index) for index in silent}
    covered = [number for number, share in shares.items() if share >= COVERED]
    # on a page with a few words a smaller picture is a logo; on one without any it may be the scan of a card
    scanned = [number for number, share in shares.items() if share > 0 and not texts[number - 1].strip()]
    whole = [f"{text}\n\n{more}" if more else text for text, more in zip(texts, beside, strict=True)]
    return Document.of_pages(whole, sorted({*covered, *scanned}), covered=covered)


def _page_text(pdf: Any, index: int, tables: bool) -> str | None:
    """The page's text, with tables as Markdown; None when it cannot be read."""
    if tables and _characters(pdf, index) <= CHARACTERS_WITH_TABLES and (text := _with_tables(pdf, index)):
        return text
    return _quickly(pdf, index)


@contextmanager
def _text_page(pdf: Any, index: int) -> Iterator[Any]:
    """:raises pypdfium2.PdfiumError: the page is damaged"""
    with closing(pdf[index]) as page, closing(page.get_textpage()) as text_page:
        yield text_page


def _characters(pdf: Any, index: int) -> int:
    import pypdfium2

    try:
        with _text_page(pdf, index) as text_page:
            return int(text_page.count_chars())
    except pypdfium2.PdfiumError:
        return 0


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
        with _text_page(pdf, index) as text_page:
            text = str(text_page.get_text_range())
    except pypdfium2.PdfiumError:
        return None
    # U+FFFE marks a hyphen that only the line's end put there
    return text.replace("\r\n", "\n").replace("\ufffe\n", "").replace("\ufffe", "")


def _share_of_pictures(pdf: Any, index: int) -> float:
    """How much of the page its pictures take together, since scanners may cut theirs into strips."""
    import pypdfium2

    try:
        page = pdf[index]
        try:
            width, height = page.get_size()
            pictures = page.get_objects(filter=(pypdfium2.raw.FPDF_PAGEOBJ_IMAGE,), max_depth=3)
            return sum(_area(picture) for picture in pictures) / max(float(width * height), 1.0)
        finally:
            page.close()
    except pypdfium2.PdfiumError:
        return 0.0


def _area(picture: Any) -> float:
    """What a picture takes of its page. Forms, in which it may lie, give its place in their own measure."""
    bounds, form = picture.get_bounds(), picture.container
    while form is not None:
        bounds, form = form.get_matrix().on_rect(*bounds), form.container
    left, bottom, right, top = bounds
    return float((right - left) * (top - bottom))
