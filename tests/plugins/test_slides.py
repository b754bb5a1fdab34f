"""Presentations: what is a heading, and which words lie elsewhere than in the text of a shape."""

import io

from pptx import Presentation
from pptx.chart.data import CategoryChartData, XyChartData
from pptx.enum.chart import XL_CHART_TYPE
from pptx.opc.package import Part
from pptx.opc.packuri import PackURI

from plugins.chunking import markdown_blocks
from plugins.documents.convert import to_document
from plugins.source import Source
from tests.plugins.documents import pptx

DIAGRAM = "http://schemas.openxmlformats.org/drawingml/2006/diagram"
MAIN = "http://schemas.openxmlformats.org/drawingml/2006/main"
RELATIONS = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"


def read(show):
    data = show
    if not isinstance(show, bytes):
        stream = io.BytesIO()
        show.save(stream)
        data = stream.getvalue()
    return to_document(Source(io.BytesIO(data), "pptx", "x")).markdown.strip()


def one_slide(layout=5):
    show = Presentation()
    return show, show.slides.add_slide(show.slide_layouts[layout])


def test_only_titles_are_headings():
    text = "# install it\n```\nTotal\n-----\n===\n~~~ a"
    markdown = read(pptx([("Title", text), ("Next", "Words")], notes="# a note"))
    lines = [line for line in markdown.splitlines() if line.startswith("#")]
    assert lines == ["# Title", "# Next", "### Notes:"]
    assert "\\# install it" in markdown
    assert "```" not in [line[:3] for line in markdown.splitlines()]
    assert len(list(markdown_blocks(iter([markdown]), 10_000))) >= 1


def test_a_shape_with_the_number_of_the_title_is_no_second_title():
    show, slide = one_slide()
    slide.shapes.title.text = "Title"
    group = slide.shapes.add_group_shape()
    box = group.shapes.add_textbox(0, 5_000_000, 100, 100)
    box.text_frame.text = "In a group"
    box.element.nvSpPr.cNvPr.set("id", str(slide.shapes.title.shape_id))
    assert read(show) == "# Title\n\nIn a group"


def test_groups_are_read_however_deep_they_are():
    show, slide = one_slide(6)
    shapes = slide.shapes
    for _ in range(40):
        shapes = shapes.add_group_shape().shapes
    shapes.add_textbox(0, 0, 100, 100).text_frame.text = "Deep"
    assert read(show) == "Deep"


def test_charts_with_two_axes_of_numbers_show_both():
    show, slide = one_slide(6)
    data = XyChartData()
    series = data.add_series("Growth")
    series.add_data_point(1.5, 10)
    series.add_data_point(2, 20)
    slide.shapes.add_chart(XL_CHART_TYPE.XY_SCATTER, 0, 0, 100, 100, data)
    assert read(show).endswith("| Series | X | Y |\n| --- | --- | --- |\n| Growth | 1.5 | 10 |\n| Growth | 2 | 20 |")


def test_charts_with_categories_show_these():
    show, slide = one_slide(6)
    data = CategoryChartData()
    data.categories = ["North", "South"]
    data.add_series("Books", (3, 4))
    slide.shapes.add_chart(XL_CHART_TYPE.COLUMN_CLUSTERED, 0, 0, 100, 100, data)
    assert read(show).endswith("| Category | Books |\n| --- | --- |\n| North | 3 |\n| South | 4 |")


def test_diagrams_show_their_words():
    from lxml import etree  # type: ignore[import-untyped]

    show, slide = one_slide(6)
    points = "".join(f"<a:p><a:r><a:t>{text}</a:t></a:r></a:p>" for text in ("Plan", "# Do", ""))
    xml = f'<d:dataModel xmlns:d="{DIAGRAM}" xmlns:a="{MAIN}">{points}</d:dataModel>'
    kind = "application/vnd.openxmlformats-officedocument.drawingml.diagramData+xml"
    part = Part(PackURI("/ppt/diagrams/data1.xml"), kind, slide.part.package, xml.encode())
    relation = slide.part.relate_to(part, f"{RELATIONS}/diagramData")
    frame = slide.shapes.add_table(1, 1, 0, 0, 100, 100)._element
    graphic = frame.find(f".//{{{MAIN}}}graphicData")
    graphic.clear()
    graphic.set("uri", DIAGRAM)
    graphic.append(etree.fromstring(f'<d:relIds xmlns:d="{DIAGRAM}" xmlns:r="{RELATIONS}" r:dm="{relation}"/>'))
    assert read(show) == "Plan\n\\# Do"
