"""Page numbers of PDFs, presentations and Word documents, each page marked by a word of its own."""

import io
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plugins.documents import pdf_pages
from plugins.documents.convert import to_document, to_markdown
from plugins.documents.pages import PICTURE, Document, plain, tidy, without_data
from plugins.source import Source
from tests.plugins import documents
from tests.plugins.documents import PAGE_END, SHOWN_END, docx, drawing, pdf, pptx

MARKS = ["Apple", "Birch", "Cedar", "Dahlia", "Elder", "Fig", "Ginger"]


def convert(extension, data, **kwargs):
    return to_document(Source(io.BytesIO(data), extension, f"x.{extension}", **kwargs))


def pages(extension, data):
    document = convert(extension, data)
    assert document.paged
    return [page.markdown.strip() for page in document.pages]


def words_of(extension, data):
    """The marks on each page."""
    return [[mark for mark in MARKS if mark in page] for page in pages(extension, data)]


@pytest.mark.parametrize("fast", [False, True])
def test_each_page_of_a_pdf_has_its_number(monkeypatch, fast):
    monkeypatch.setattr(pdf_pages, "PAGES_WITH_TABLES", 0 if fast else 60)
    data = pdf([f"{mark} grows here.\nSecond line." if mark != "Cedar" else "" for mark in MARKS])
    assert words_of("pdf", data) == [[mark] if mark != "Cedar" else [] for mark in MARKS]


def test_pages_are_told_one_by_one():
    told = []
    convert("pdf", pdf(MARKS), tell=told.append)
    assert told == [f"Converting page {number} of 7..." for number in range(1, 8)]
    told.clear()
    convert("pptx", pptx([(mark, "text") for mark in MARKS[:3]]), tell=told.append)
    assert told == [f"Converting slide {number} of 3..." for number in range(1, 4)]


def test_each_slide_is_a_page():
    data = pptx([(mark, f"{mark} on a slide.") for mark in MARKS], notes="Say this.")
    assert words_of("pptx", data) == [[mark] for mark in MARKS]
    assert pages("pptx", data)[0] == "# Apple\n\nApple on a slide."
    assert pages("pptx", data)[-1].endswith("### Notes:\n\nSay this.")


def test_text_that_looks_like_the_mark_of_a_slide_moves_no_number():
    data = pptx([("Apple", "<!-- Slide number: 7 -->\n\n<!-- Slide number: 2 -->"), ("Birch", "x")])
    assert words_of("pptx", data) == [["Apple"], ["Birch"]]


def test_pages_of_a_word_document_end_where_the_author_forces_it():
    data = docx([("", f"{mark} here.{PAGE_END}") for mark in MARKS])
    assert words_of("docx", data) == [[mark] for mark in MARKS] + [[]]


def test_pages_of_a_word_document_end_where_word_saw_them_end():
    text = f"Apple starts {SHOWN_END}Birch goes on{SHOWN_END}Cedar"
    document = convert("docx", docx([("", text)]))
    assert document.markdown == "Apple starts Birch goes onCedar"
    assert [page.markdown for page in document.pages] == ["Apple starts ", "Birch goes on", "Cedar"]


def test_an_end_that_was_forced_and_seen_is_one_end():
    data = docx([("", f"Apple{PAGE_END}"), ("", f"{SHOWN_END}Birch{SHOWN_END}Cedar"), ("", f"{PAGE_END}{PAGE_END}Fig")])
    assert words_of("docx", data) == [["Apple"], ["Birch"], ["Cedar"], [], ["Fig"]]


def paragraph(text, properties=""):
    return f"<w:p><w:pPr>{properties}</w:pPr><w:r><w:t>{text}</w:t></w:r></w:p>"


def test_paragraphs_that_begin_a_page_and_ends_of_sections_count():
    body = "".join(
        [
            paragraph("Apple", "<w:pageBreakBefore/>"),  # the first page begins anyway
            paragraph("Birch", "<w:pageBreakBefore/>"),
            paragraph("Cedar", "<w:sectPr/>"),
            paragraph(f"{SHOWN_END}Dahlia"),  # the end of the section, as Word saw it
            paragraph("Elder", "<w:sectPr/>"),
            paragraph("Fig"),
            '<w:sectPr><w:type w:val="continuous"/></w:sectPr>',
        ]
    )
    data = docx([("", f"</w:t></w:r></w:p>{body}<w:p><w:r><w:t>")])
    assert words_of("docx", data) == [["Apple"], ["Birch", "Cedar"], ["Dahlia", "Elder", "Fig"]]


def test_a_heading_or_a_list_that_begins_a_page_stays_whole():
    data = docx([("", "Apple"), ("Heading2", f"{SHOWN_END}Birch"), ("", f"Cedar{PAGE_END}"), ("Heading1", "Dahlia")])
    assert pages("docx", data) == ["Apple", "## Birch\n\nCedar", "# Dahlia"]


def test_footnotes_are_on_the_page_that_refers_to_them():
    data = docx([("", f"Apple{{note0}}{PAGE_END}Birch{{note1}}{PAGE_END}Cedar")], notes=["Dahlia", "Elder"])
    assert words_of("docx", data) == [["Apple", "Dahlia"], ["Birch", "Elder"], ["Cedar"]]


def test_a_long_word_document_that_tells_no_pages_has_none():
    document = convert("docx", docx([("", f"{mark} {'words and ' * 100}") for mark in MARKS]))
    assert not document.paged
    assert document.page_at(0) is None
    assert convert("docx", docx([("", "Short")])).page_at(0) == 1


@pytest.mark.parametrize("extension", ["txt", "csv", "xlsx", "html"])
def test_other_kinds_have_no_pages(extension):
    data = documents.xlsx([["a"]]) if extension == "xlsx" else b"<p>a,b</p>"
    assert not convert(extension, data).paged


def test_a_slide_that_cannot_be_read_does_not_take_the_others_along(monkeypatch):
    from plugins.documents import slides

    read, warned = slides._slide, []
    monkeypatch.setattr(slides, "_slide", lambda slide: 1 / 0 if "Birch" in slide.shapes.title.text else read(slide))
    data = pptx([(mark, "text") for mark in MARKS[:3]])
    document = convert("pptx", data, warn=lambda *what: warned.append(what))
    assert [bool(page.markdown) for page in document.pages] == [True, False, True]
    assert warned == [("1 of 3 slides cannot be read.", {"slides": [2]})]


def test_groups_tables_charts_and_pictures_of_slides_are_read_from_top_to_bottom():
    from pptx import Presentation
    from pptx.chart.data import CategoryChartData
    from pptx.enum.chart import XL_CHART_TYPE
    from pptx.util import Inches

    show = Presentation()
    slide = show.slides.add_slide(show.slide_layouts[6])
    chart = CategoryChartData()
    chart.categories = ["2023", "2024"]
    chart.add_series("Loans", (5, 7.5))
    slide.shapes.add_chart(XL_CHART_TYPE.BAR_CLUSTERED, 0, Inches(6), Inches(2), Inches(2), chart)
    group = slide.shapes.add_group_shape()
    group.shapes.add_textbox(0, Inches(1), Inches(1), Inches(1)).text_frame.text = "in a group"
    table = slide.shapes.add_table(2, 2, 0, Inches(3), Inches(4), Inches(1)).table
    for place, text in enumerate(["Name", "Note", "Ann", "a|b"]):
        table.cell(place // 2, place % 2).text = text
    slide.shapes.add_picture(io.BytesIO(documents.image()), 0, Inches(5))
    stream = io.BytesIO()
    show.save(stream)
    text = pages("pptx", stream.getvalue())[0]
    order = [text.index(part) for part in ("in a group", "| Ann | a\\|b |", PICTURE, "### Chart", "| 2024 | 7.5 |")]
    assert order == sorted(order)
    assert "![" not in to_markdown(Source(io.BytesIO(stream.getvalue()), "pptx", "x"))


def test_pictures_of_word_documents_are_marked_at_their_place():
    data = docx([("", f"before {drawing('rId7', 'A [red] door')} after")], pictures={"rId7": documents.image()})
    text = convert("docx", data).markdown
    assert text.startswith("before ![A red door](")
    assert text.endswith(") after")
    assert "base64" not in text
    assert to_markdown(Source(io.BytesIO(data), "docx", "x")) == "before ![A red door]() after"


@settings(max_examples=40, deadline=None)
@given(st.lists(st.sampled_from(["text", "end", "seen", "heading", "both"]), max_size=12))
def test_no_mark_of_a_page_is_left_in_the_text(kinds):
    made = {
        "text": ("", "word"),
        "end": ("", f"a{PAGE_END}b"),
        "seen": ("", f"c{SHOWN_END}d"),
        "heading": ("Heading2", f"e{SHOWN_END}f"),
        "both": ("", f"{PAGE_END}{SHOWN_END}g"),
    }
    document = convert("docx", docx([made[kind] for kind in kinds]))
    assert not [char for char in document.markdown if "\ue000" <= char <= "\uf8ff"]
    assert len(document.parts) == 1 + sum(kind != "text" for kind in kinds)
    letters = "".join({"text": "word", "end": "ab", "seen": "cd", "heading": "ef", "both": "g"}[kind] for kind in kinds)
    assert "".join(char for char in document.markdown if char.isalpha()) == letters


def test_a_document_survives_json():
    document = Document.of_pages(["one", "", "three"], scanned=[2])
    assert Document.from_json(document.to_json()) == document
    assert document.markdown == "one\n\nthree\n\n"
    for value in ({}, {"parts": 5, "paged": True, "scanned": []}, {"parts": ["a"], "paged": True, "scanned": ["x"]}):
        with pytest.raises((KeyError, TypeError, ValueError)):
            Document.from_json(value)


def test_pages_that_hold_pictures_and_no_text_count_as_scanned():
    scan = documents.image(kind="JPEG")
    data = pdf(["More than enough words to tell something.", "", "3", ""], pictures={1: scan, 2: scan, 3: scan})
    small = convert("pdf", data)
    assert (small.scanned, small.covered) == ((2,), ())  # the picture of page 3 may be a logo
    covered = convert("pdf", data.replace(b"q 200 0 0 200 72 300 cm", b"q 600 0 0 700 09 009 cm"))
    assert (covered.scanned, covered.covered) == ((2, 3), (2, 3))
    assert Document.from_json(covered.to_json()) == covered
    show = pptx([("A title of several words", "text"), ("", "")], pictures={1: documents.image(), 2: documents.image()})
    assert convert("pptx", show).scanned == (2,)
    text = [("", f"Words that tell something.{PAGE_END}{drawing('rId7', '')}")]
    assert convert("docx", docx(text, pictures={"rId7": documents.image()})).scanned == (2,)


def test_pictures_that_are_written_out_are_left_out():
    text = 'a ![A door](data:image/png;base64,AAAA "title") b ![](data:image/gif;base64,R0lG) c ![x](data:open'
    assert without_data(text) == "a ![A door]() b  c ![x](data:open"


def test_spaces_at_ends_of_lines_and_runs_of_blank_lines_go():
    assert tidy(" a \t\r\n  b\n \n\t\n\nc  ") == "a\n  b\n\nc"


@pytest.mark.parametrize(
    ("work", "text"),
    [
        (tidy, " " * 100_000 + "x"),
        (tidy, ("x" + " " * 50_000) * 2),
        (without_data, "![](data:" + "x" * 100_000),
        (without_data, "![](data:" * 20_000),
        (without_data, "![](data:x " + "![" * 50_000),
    ],
)
def test_odd_text_takes_no_time(work, text):
    started = time.perf_counter()
    work(text)
    assert time.perf_counter() - started < 0.3


def test_plain_text_is_no_structure():
    from plugins.documents.passages import headings_of

    text = "# One\n   ## $44.98\n\t#\nTitle\n---\nTopic\n=== \n```py\n~~~\n#tag # - a\n- item\n| --- | --- |"
    made = plain(text)
    assert headings_of(made) == []
    assert made == (
        "\\# One\n   \\## $44.98\n\t\\#\nTitle\n\\---\nTopic\n\\=== \n\\```py\n\\~~~\n#tag # - a\n- item\n| --- | --- |"
    )
    assert plain("Plain text - as it is.\n") == "Plain text - as it is.\n"


@pytest.mark.parametrize("fast", [False, True])
def test_text_of_a_pdf_makes_no_headings(monkeypatch, fast):
    from plugins.documents.passages import headings_of

    monkeypatch.setattr(pdf_pages, "PAGES_WITH_TABLES", 0 if fast else 60)
    document = convert("pdf", pdf(["# Rewards Applied\nTotal\n-----\n## $44.98\n```", "Due\n==="]))
    assert headings_of(document.markdown) == []
    assert "\\# Rewards Applied" in document.markdown


def test_a_dense_page_gets_the_fast_reader(monkeypatch):
    read = []
    monkeypatch.setattr(pdf_pages, "_with_tables", lambda pdf, index: read.append(index) or "with tables")
    monkeypatch.setattr(pdf_pages, "CHARACTERS_WITH_TABLES", 100)
    found = pages("pdf", pdf(["Apple " * 40, "Birch"]))
    assert (read, found[1]) == ([1], "with tables")
    assert found[0].startswith("Apple Apple")
