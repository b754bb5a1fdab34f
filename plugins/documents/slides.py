"""Presentations as Markdown, slide by slide.

MarkItDown converts a presentation in one go, without a word meanwhile; here each slide is a page, and one that cannot
be read does not take the others along.
"""

from collections.abc import Iterable, Iterator
from hashlib import sha256
from itertools import zip_longest
from typing import Any

from lxml import etree  # type: ignore[import-untyped]

from plugins.documents.archives import corrupt
from plugins.documents.pages import Document, picture, plain
from plugins.documents.tables import cell_text, table_lines
from plugins.quality import pages_of_pictures
from plugins.source import Source

_DRAWN = "http://schemas.openxmlformats.org/drawingml/2006/"
_RELATION = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}"


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
    return Document.of_pages(texts, pages_of_pictures(texts), unit="slide")


def _slide(slide: Any) -> str:
    # The element, since the numbers of shapes within groups may be those of others
    title = None if slide.shapes.title is None else slide.shapes.title.element
    parts = [_shape(shape, shape.element is title) for shape in _in_order(slide.shapes)]
    if slide.has_notes_slide and (frame := slide.notes_slide.notes_text_frame) is not None and frame.text.strip():
        parts.append(f"### Notes:\n\n{_plain(frame.text)}")
    return "\n\n".join(part for part in parts if part)


def _in_order(shapes: Iterable[Any]) -> Iterator[Any]:
    """From top to bottom, then from left to right; groups are entered."""
    for shape in sorted(shapes, key=lambda shape: (_place(shape.top), _place(shape.left))):
        if hasattr(shape, "shapes"):  # the parser lets nothing be nested deeper than 256 times
            yield from _in_order(shape.shapes)
        else:
            yield shape


def _place(length: int | None) -> float:
    return float("-inf") if length is None else length


def _shape(shape: Any, is_title: bool) -> str:
    if getattr(shape, "has_table", False):
        return "\n".join(table_lines([cell.text for cell in row.cells] for row in shape.table.rows))
    if getattr(shape, "has_chart", False):
        return _chart(shape.chart)
    if diagram := _diagram(shape):
        return diagram
    if data := _picture_data(shape):
        return picture(_description(shape), sha256(data).hexdigest()[:16])
    if not shape.has_text_frame or not shape.text_frame.text.strip():
        return ""
    text = shape.text_frame.text
    return f"# {' '.join(text.split())}" if is_title else _plain(text)


def _plain(text: str) -> str:
    return plain(text.replace("\v", "\n").strip())


def _diagram(shape: Any) -> str:
    """The words of a SmartArt, which lie in a file of their own."""
    found = shape.element.find(f".//{{{_DRAWN}diagram}}relIds")
    if found is None:
        return ""
    data = etree.fromstring(
        shape.part.related_part(found.get(f"{_RELATION}dm")).blob,
        etree.XMLParser(resolve_entities=False, no_network=True),
    )
    lines = ("".join(paragraph.itertext()).strip() for paragraph in data.iter(f"{{{_DRAWN}main}}p"))
    return plain("\n".join(filter(None, lines)))


def _picture_data(shape: Any) -> bytes | None:
    try:
        return bytes(shape.image.blob)
    except Exception:  # no picture, one that is only linked, or of a kind that the library does not know
        return None


def _description(shape: Any) -> str:
    return next(iter(shape.element.xpath("./*/p:cNvPr/@descr")), "")


def _chart(chart: Any) -> str:
    """The numbers behind a chart, as a table."""
    title = (
        " ".join(chart.chart_title.text_frame.text.split())
        if chart.has_title and chart.chart_title.has_text_frame
        else ""
    )
    try:
        rows = _points(chart) or _categories(chart)
    except (ValueError, IndexError, AttributeError):  # a kind of chart that the library does not know
        return f"### Chart: {title}" if title else ""
    return "\n\n".join([f"### Chart: {title}" if title else "### Chart", "\n".join(table_lines(rows))])


def _categories(chart: Any) -> list[list[str]]:
    series = [(one.name, list(one.values)) for one in chart.series]
    categories = [str(category.label) for category in chart.plots[0].categories]
    rows = [["Category", *(str(name) for name, _ in series)]]
    for index in range(max([len(categories), *(len(values) for _, values in series)])):
        values = [cell_text(row[index]) if index < len(row) else "" for _, row in series]
        rows.append([categories[index] if index < len(categories) else "", *values])
    return rows


def _points(chart: Any) -> list[list[str]]:
    """The points of a chart with two axes of numbers; nothing for any other."""
    series = [(str(one.name), _numbers(one, "xVal"), list(one.values)) for one in chart.series]
    if not any(places for _, places, _ in series):
        return []
    rows = [["Series", "X", "Y"]]
    for name, places, values in series:
        for place, value in zip_longest(places, values):
            rows.append([name, cell_text(place), cell_text(value)])
    return rows


def _numbers(series: Any, name: str) -> list[Any]:
    """What a series has of *name*, in its order."""
    points = series._element.xpath(f"c:{name}//c:pt")
    values = {int(point.get("idx")): "".join(point.xpath("c:v/text()")) for point in points}
    return [_number(values[index]) for index in sorted(values)]


def _number(text: str | None) -> Any:
    try:
        return None if text is None else float(text)
    except ValueError:
        return text
