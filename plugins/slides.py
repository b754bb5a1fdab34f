"""Presentations as Markdown, slide by slide.

MarkItDown converts a presentation in one go, without a word meanwhile; here each slide is a page, and one that cannot
be read does not take the others along.
"""

from collections.abc import Iterable, Iterator
from hashlib import sha256
from typing import Any

from plugins.archives import corrupt
from plugins.pages import Document, picture
from plugins.quality import pages_of_pictures
from plugins.source import Source
from plugins.tables import cell_text, table_lines

_DEEPEST = 20  # groups within groups


def slides_document(source: Source) -> Document:
    """A pptx whose archive was already checked."""
    from pptx import Presentation

    source.stream.seek(0)
    slides = list(Presentation(source.stream).slides)
    texts, unreadable = [], []
    for number, slide in enumerate(slides, 1):
        source.tell(f"Converting slide {number} of {len(slides)}...")
        try:
            texts.append(_slide(slide))
        except Exception:  # its reader fails on damaged slides in every way there is
            texts.append("")
            unreadable.append(number)
    if slides and len(unreadable) == len(slides):
        raise corrupt("presentation")
    if unreadable:
        source.warn(f"{len(unreadable)} of {len(slides)} slides cannot be read.", {"slides": unreadable[:100]})
    return Document.of_pages(texts, pages_of_pictures(texts))


def _slide(slide: Any) -> str:
    title = slide.shapes.title
    parts = [_shape(shape, title is not None and shape.shape_id == title.shape_id) for shape in _in_order(slide.shapes)]
    if slide.has_notes_slide and (frame := slide.notes_slide.notes_text_frame) is not None and frame.text.strip():
        parts.append(f"### Notes:\n\n{_plain(frame.text)}")
    return "\n\n".join(part for part in parts if part)


def _in_order(shapes: Iterable[Any], depth: int = 0) -> Iterator[Any]:
    """From top to bottom, then from left to right; groups are entered."""
    for shape in sorted(shapes, key=lambda shape: (_place(shape.top), _place(shape.left))):
        if hasattr(shape, "shapes") and depth < _DEEPEST:
            yield from _in_order(shape.shapes, depth + 1)
        else:
            yield shape


def _place(length: int | None) -> float:
    return float("-inf") if length is None else length


def _shape(shape: Any, is_title: bool) -> str:
    if getattr(shape, "has_table", False):
        return "\n".join(table_lines([cell.text for cell in row.cells] for row in shape.table.rows))
    if getattr(shape, "has_chart", False):
        return _chart(shape.chart)
    if data := _picture_data(shape):
        return picture(_description(shape), sha256(data).hexdigest()[:16])
    if not shape.has_text_frame or not shape.text_frame.text.strip():
        return ""
    text = shape.text_frame.text
    return f"# {' '.join(text.split())}" if is_title else _plain(text)


def _plain(text: str) -> str:
    return text.replace("\v", "\n").strip()


def _picture_data(shape: Any) -> bytes | None:
    try:
        return bytes(shape.image.blob)
    except Exception:  # no picture, one that is only linked, or of a kind that the library does not know
        return None


def _description(shape: Any) -> str:
    return next(iter(shape.element.xpath("./*/p:cNvPr/@descr")), "")


def _chart(chart: Any) -> str:
    """The numbers behind a chart, as a table."""
    title = chart.chart_title.text_frame.text.strip() if chart.has_title and chart.chart_title.has_text_frame else ""
    try:
        series = [(one.name, list(one.values)) for one in chart.series]
        categories = [str(category.label) for category in chart.plots[0].categories]
    except (ValueError, IndexError, AttributeError):  # a kind of chart that the library does not know
        return f"### Chart: {title}" if title else ""
    rows = [["Category", *(str(name) for name, _ in series)]]
    longest = max([len(categories), *(len(values) for _, values in series)])
    for index in range(longest):
        values = [cell_text(row[index]) if index < len(row) else "" for _, row in series]
        rows.append([categories[index] if index < len(categories) else "", *values])
    return "\n\n".join([f"### Chart: {title}" if title else "### Chart", "\n".join(table_lines(rows))])
