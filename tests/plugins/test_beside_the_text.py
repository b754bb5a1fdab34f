"""Text that stands beside the text: it is read, or it is said that it was not."""

import io
import zipfile

import pytest

from plugins.documents.convert import to_document
from plugins.source import Source
from tests.plugins import documents
from tests.plugins.documents import PAGE_END, docx, raw, zipped

WORD = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'
BOX = (
    '<w:drawing><wps:wsp xmlns:wps="http://schemas.microsoft.com/office/word/2010/wordprocessingShape"><wps:txbx>'
    "<w:txbxContent><w:p><w:r><w:t>In a box</w:t></w:r></w:p></w:txbxContent></wps:txbx></wps:wsp></w:drawing>"
)
COMPATIBLE = 'xmlns:mc="http://schemas.openxmlformats.org/markup-compatibility/2006"'


def read(extension, data):
    warned = []
    document = to_document(Source(io.BytesIO(data), extension, "x", warn=lambda *what: warned.append(what)))
    return document, warned


def part(kind, *paragraphs):
    return f"<w:{kind} {WORD}>{''.join(f'<w:p>{text}</w:p>' for text in paragraphs)}</w:{kind}>"


def words(text):
    return f"<w:r><w:t>{text}</w:t></w:r>"


# -- Word -------------------------------------------------------------------------------------------


def test_headers_footers_and_comments_of_word_come_once_at_the_end():
    number = '<w:r><w:fldChar w:fldCharType="begin"/></w:r><w:r><w:instrText> PAGE </w:instrText></w:r>'
    number += '<w:r><w:fldChar w:fldCharType="separate"/></w:r><w:r><w:t>7</w:t></w:r>'
    number += '<w:r><w:fldChar w:fldCharType="end"/></w:r>'
    comment = (
        f'<w:comment w:id="0" w:author="Ann"><w:p>{words("Check this.")}</w:p><w:p>{words("Soon.")}</w:p></w:comment>'
    )
    parts = {
        "word/header1.xml": part("hdr", words("# Acme"), words("")),
        "word/header2.xml": part("hdr", words("# Acme")),
        "word/footer1.xml": part("ftr", words("Page ") + number, words("Confidential report of the year ") + number),
        "word/footer2.xml": "<broken",
        "word/comments.xml": f"<w:comments {WORD}>{comment}</w:comments>",
    }
    document, warned = read("docx", docx([("", f"One.{PAGE_END}Two.")], parts=parts))
    said = "Header: # Acme\n\nFooter: Confidential report of the year\n\nComment (Ann): Check this. Soon."
    assert [page.markdown for page in document.pages] == ["One.", f"Two.\n\n{said}"]
    assert warned == []
    long = "words and " * 400
    document, _ = read("docx", docx([("", long)], parts=parts))
    assert document.markdown == f"{long.strip()}\n\n{said}"


@pytest.mark.parametrize(
    "box",
    [
        BOX,
        f'<mc:AlternateContent {COMPATIBLE}><mc:Choice Requires="wps">{BOX}</mc:Choice></mc:AlternateContent>',
        f'<mc:AlternateContent {COMPATIBLE}><mc:Choice Requires="wps">{BOX}</mc:Choice><mc:Fallback><w:pict>'
        f"<w:txbxContent><w:p>{words('In a box')}</w:p></w:txbxContent></w:pict></mc:Fallback></mc:AlternateContent>",
    ],
    ids=["drawing", "choice", "both"],
)
def test_text_boxes_of_word_are_read_once(box):
    document, _ = read("docx", docx([raw(f"<w:p>{words('Before.')}<w:r>{box}</w:r></w:p>"), ("", "After.")]))
    assert document.markdown.split("\n\n") == ["Before.", "In a box", "After."]


def test_charts_and_diagrams_of_word_are_named_as_unread():
    parts = {"word/charts/chart1.xml": "<c/>", "word/diagrams/data1.xml": "<d/>", "word/diagrams/data2.xml": "<d/>"}
    _, ((message, data),) = read("docx", docx([("", "Text")], parts=parts))
    assert message == "The text of 1 chart and 2 diagrams is not read; in a PDF of the document it is."
    assert data == {"code": "unread_parts"}


# -- Workbooks --------------------------------------------------------------------------------------


def test_formulas_that_nobody_has_computed_are_shown_as_they_are():
    document, ((message, data),) = read("xlsx", documents.xlsx([["Sum", "Note"], ["=A1+1", "x"], ["=A2*2"]]))
    assert "| =A1+1 | x |\n| =A2*2 |" in document.markdown
    assert message == "The workbook holds no values for 2 formulas, so the formulas are shown instead."
    assert data["code"] == "no_values"
    assert data["hint"]


def test_formulas_with_a_value_show_it_and_empty_values_stay_empty():
    cell = '<c r="A2"><f>1+1</f><v></v></c>'
    book = documents.xlsx([["Sum"], ["=1+1"], ["end"]])
    for computed, shown in (('<c r="A2"><f>1+1</f><v>2</v></c>', "| 2 |\n"), (cell.replace("<c ", '<c t="str" '), "")):
        document, warned = read("xlsx", with_part(book, "xl/worksheets/sheet1.xml", cell, computed))
        assert document.markdown.endswith(f"| Sum |\n| --- |\n{shown}| end |")
        assert warned == []


def with_part(data, name, old, new):
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    changed = (
        members[name].replace(b"<v />", b"<v></v>").replace(b"<v/>", b"<v></v>").replace(old.encode(), new.encode())
    )
    assert new.encode() in changed
    return zipped({**members, name: changed})


@pytest.mark.parametrize(
    ("extension", "names", "said"),
    [
        ("xlsx", ["xl/comments1.xml", "xl/comments/comment2.xml"], "The comments of 2 sheets are not read."),
        ("pptx", ["ppt/comments/comment1.xml"], "The comments of 1 slide are not read."),
    ],
)
def test_comments_of_workbooks_and_presentations_are_named_as_unread(extension, names, said):
    whole = {"xlsx": documents.xlsx([["Words"]]), "pptx": documents.pptx([("Title", "Words")])}[extension]
    with zipfile.ZipFile(io.BytesIO(whole)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    document, warned = read(extension, zipped(members | dict.fromkeys(names, b"<comments/>")))
    assert "Words" in document.markdown
    assert warned == [(said, {"code": "unread_parts"})]


# -- Web pages --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("page", "text"),
    [
        ("<title>The &amp; title</title><p>Words.</p>", "# The & title\n\nWords."),
        ("<title>Title</title><h1>Other</h1><p>Words.</p>", "Title\n\n# Other\n\nWords."),
        ("<title> Same\nthing </title><h1>Same thing</h1><p>Words.</p>", "# Same thing\n\nWords."),
        ("<title># 1</title><h1>A</h1>", "\\# 1\n\n# A"),
        ("<title></title><svg><title>Icon</title></svg><p>Words.</p>", "Icon\n\nWords."),
    ],
)
@pytest.mark.parametrize("body", ["", "<body>"])
def test_the_title_of_a_page_is_part_of_it(page, text, body):
    title, end, rest = page.partition("</title>")
    document, _ = read("html", f"<html>{title}{end}{body}{rest}".encode())
    assert document.markdown == text


def test_what_stands_in_the_fields_of_a_form_is_read_but_no_secret():
    page = (
        '<p>Name: <input name=a value="Ann &lt;b&gt;"/> City: <INPUT value=\'Oslo\' type="text"></p>'
        '<input type="hidden" value="token"><input type=password value="secret">'
    )
    document, _ = read("html", page.encode())
    assert document.markdown == "Name: Ann <b> City: Oslo"


# -- Messages ---------------------------------------------------------------------------------------


def test_attachments_of_messages_are_named_as_unread():
    _, ((message, data),) = read("msg", documents.ole("__properties_version1.0", "__attach_version1.0_#00000000"))
    assert message == "Not read of the message: 1 attachment."
    assert data["code"] == "left_out"
    assert data["hint"]
    assert read("msg", documents.ole("__properties_version1.0"))[1] == []
