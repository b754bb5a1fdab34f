"""Where pages of Word documents end: which marks are believed, and where they are put."""

import io

import pytest

from plugins.documents.convert import to_document
from plugins.source import Source
from tests.plugins.documents import PAGE_END, SHOWN_END, docx, raw

NO_HEAD = "|  |  |\n| --- | --- |\n"  # of tables whose first row does not say that it is a head
LONG = "words and " * 400


def document(paragraphs, **kwargs):
    return to_document(Source(io.BytesIO(docx(paragraphs, **kwargs)), "docx", "x"))


def pages(paragraphs, **kwargs):
    found = document(paragraphs, **kwargs)
    assert found.paged
    return [page.markdown.strip().replace(NO_HEAD, "") for page in found.pages]


def said(number):
    return {"parts": {"docProps/app.xml": f"<Properties><Pages>{number}</Pages></Properties>"}}


def table(*rows):
    cells = ("".join(f"<w:tc><w:p><w:r><w:t>{cell}</w:t></w:r></w:p></w:tc>" for cell in row) for row in rows)
    return raw(f"<w:tbl>{''.join(f'<w:tr>{row}</w:tr>' for row in cells)}</w:tbl>")


# -- Which are believed -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "number", "paged"),
    [
        (f"{LONG}{PAGE_END}end", None, False),
        (f"{LONG}{PAGE_END}end", 2, True),
        (f"{LONG}{PAGE_END}end", 7, False),
        (f"{LONG * 5}{PAGE_END}end", 2, False),
        (f"short{PAGE_END}end", None, True),
        (f"{LONG}{PAGE_END}a{SHOWN_END}b", None, True),
        (LONG, 1, True),
        (LONG * 5, 1, False),
        (LONG, None, False),
    ],
)
def test_ends_that_authors_forced_are_believed_only_when_pages_could_be_that_long(text, number, paged):
    found = document([("", text)], **(said(number) if number else {}))
    assert found.paged == paged
    if not paged:
        assert len(found.parts) == 1
    assert found.markdown.startswith("words and " if LONG in text else "short")
    assert "\ue001" not in found.markdown


# -- Where they are put -----------------------------------------------------------------------------


def test_a_row_over_three_pages_begins_on_the_first():
    found = pages([table([f"Apple{SHOWN_END}Birch{SHOWN_END}Cedar", "right"]), ("", "after")])
    assert found == ["| AppleBirchCedar | right |", "", "after"]


def test_a_row_that_goes_on_over_an_end_has_one_end_whatever_its_cells_say():
    rows = [["Head", "b"], [f"Apple{SHOWN_END}Birch", f"Cedar{SHOWN_END}Dahlia"], ["Elder", "f"]]
    found = pages([("", "before"), table(*rows), ("", "after")])
    assert found == [
        "before\n\n| Head | b |\n| AppleBirch | CedarDahlia |",
        "| Elder | f |\n\nafter",
    ]
    joined = document([("", "before"), table(*rows), ("", "after")]).markdown
    assert "CedarDahlia |\n| Elder" in joined


def test_a_row_that_begins_a_page_belongs_to_it():
    found = pages([table(["Head", "b"], [f"{SHOWN_END}Apple", f"Birch{SHOWN_END}Cedar"], ["Elder", "f"])])
    assert found == ["| Head | b |", "| Apple | BirchCedar |\n| Elder | f |"]
    found = pages([table(["Head", "b"], ["", f"{SHOWN_END}Birch"])])
    assert found == ["| Head | b |", "|  | Birch |"]


def test_an_end_behind_a_title_leaves_it_where_it_is():
    assert pages([("Heading1", f"Title{PAGE_END}"), ("", "Text")]) == ["# Title", "Text"]
    assert pages([("", "Text"), ("Heading1", f"{PAGE_END}Title")]) == ["Text", "# Title"]


def test_text_that_looks_like_a_heading_keeps_the_page_it_begins_on():
    found = pages([("", f"First{SHOWN_END}Second"), ("", f"# of items {SHOWN_END}and more"), ("", "Last")])
    assert found[0] == "First"
    assert "# of items" in found[1]
    assert found[2].endswith("Last")


@pytest.mark.parametrize(
    "past",
    [
        "<w:pPrChange><w:pPr><w:pageBreakBefore/></w:pPr></w:pPrChange>",
        "<w:rPr><w:rPrChange><w:pageBreakBefore/></w:rPrChange></w:rPr>",
    ],
)
def test_how_a_paragraph_was_formatted_before_ends_no_page(past):
    body = f"<w:p><w:pPr>{past}</w:pPr><w:r><w:lastRenderedPageBreak/><w:t>Birch</w:t></w:r></w:p>"
    assert pages([("", "Apple"), raw(body)]) == ["Apple", "Birch"]


@pytest.mark.parametrize("tag", ["del", "moveFrom"])
def test_what_was_deleted_ends_no_page(tag):
    gone = f'<w:p><w:{tag}><w:r><w:br w:type="page"/></w:r></w:{tag}><w:r><w:t>Birch</w:t></w:r></w:p>'
    assert pages([("", "Apple"), raw(gone)]) == ["Apple\n\nBirch"]
