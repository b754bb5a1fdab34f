"""Pictures inside documents: which are taken, where they go, how they are mentioned."""

import io

import pytest
from PIL import Image

from plugins.base import PluginError
from plugins.documents import images
from plugins.documents.convert import to_document
from plugins.documents.images import clear, extract, placed
from plugins.documents.pages import Document
from plugins.source import Source
from tests.plugins import documents
from tests.plugins.documents import docx, drawing, image, pdf, pptx, save, xlsx, zipped

KEY = "0123456789abcdef" * 2


def taken(tmp_path, extension, data, warned=None):
    path = save(tmp_path, f"{KEY}.{extension}", data)
    with path.open("rb") as file:
        warn = (lambda *what: warned.append(what)) if warned is not None else (lambda *_: None)
        return extract(Source(file, extension, "x", warn=warn), path)


def stored(tmp_path):
    return sorted(path.name.removeprefix(f"{KEY}.") for path in tmp_path.iterdir() if ".img" in path.name)


def encoded(picture, kind, **options):
    stream = io.BytesIO()
    picture.save(stream, kind, **options)
    return stream.getvalue()


def with_media(data, media):
    """A docx or xlsx with more members."""
    import zipfile

    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return zipped({name: archive.read(name) for name in archive.namelist()} | media)


def test_pictures_of_a_word_document_are_stored_beside_it(tmp_path):
    pictures = {"rId7": image(1), "rId8": image(2, "JPEG")}
    found = taken(tmp_path, "docx", docx([("", drawing("rId7", "A door"))], pictures=pictures))
    assert [(one.name, one.path.read_bytes()) for one in found] == [
        ("img001.png", image(1)),
        ("img002.jpg", image(2, "JPEG")),
    ]
    assert stored(tmp_path) == ["img001.png", "img002.jpg"]


def test_stored_names_are_of_the_shape_that_is_served(tmp_path):
    from ingestion.storage import STORED_NAME

    (found,) = taken(tmp_path, "pptx", pptx([("a", "b")], pictures={1: image(1)}))
    assert STORED_NAME.match(found.path.name)


def test_pictures_of_a_pdf_know_their_page_and_are_taken_once(tmp_path):
    first, second = image(1, "JPEG"), image(2, "JPEG")
    found = taken(tmp_path, "pdf", pdf(["a", "b", "c", "d"], pictures={2: first, 3: second, 4: first}))
    assert [(one.name, one.page, one.path.read_bytes()) for one in found] == [
        ("img001.jpg", 2, first),
        ("img002.jpg", 3, second),
    ]


def test_pictures_that_are_not_jpegs_inside_a_pdf_become_png(tmp_path):
    picture = Image.open(io.BytesIO(image(3, size=(200, 200)))).convert("1")
    (found,) = taken(tmp_path, "pdf", encoded(picture, "PDF"))
    assert found.name == "img001.png"
    assert Image.open(found.path).convert("1").tobytes() == picture.tobytes()


def test_books_and_workbooks_have_pictures_too(tmp_path):
    assert len(taken(tmp_path, "xlsx", with_media(xlsx([["a"]]), {"xl/media/image1.png": image(1)}))) == 1
    book = with_media(documents.epub(["text"]), {"OEBPS/pics/map.jpg": image(2, "JPEG")})
    assert [one.origin for one in taken(tmp_path, "epub", book)] == ["map.jpg"]


def test_small_equal_foreign_and_damaged_pictures_are_left_out(tmp_path, monkeypatch):
    monkeypatch.setattr(images, "MOST_PIXELS", 200 * 200)
    whole = image(1)
    media = {
        "word/media/a.png": whole,
        "word/media/same.png": whole,
        "word/media/few_bytes.png": b"\x89PNG\r\n\x1a\n",
        "word/media/thin.png": image(2, size=(2000, 20)),
        "word/media/b.emf": b"\x01\0\0\0" * 1000,
        "word/media/c.svg": b"<svg>" + b" " * 2000 + b"</svg>",
        "word/media/cut.png": whole[: len(whole) // 2],
        "word/media/large.png": image(3, size=(300, 300)),
        "word/media/old.bmp": image(4, "BMP"),
        "docProps/thumbnail.jpeg": image(5, "JPEG"),
    }
    warned = []
    found = taken(tmp_path, "docx", with_media(docx([("", "text")]), media), warned)
    assert [(one.origin, one.name) for one in found] == [("a.png", "img001.png"), ("old.bmp", "img002.png")]
    counts = {"damaged": 1, "of another kind": 2, "too large": 1}
    assert warned == [("Some pictures were left out: 1 damaged, 2 of another kind, 1 too large.", counts)]


def test_a_picture_that_unpacks_without_end_is_left_out(tmp_path):
    bomb = encoded(Image.new("1", (10_000, 10_000)), "PNG")
    media = {"word/media/bomb.png": bomb}
    warned = []
    assert taken(tmp_path, "docx", with_media(docx([("", "text")]), media), warned) == []
    assert warned[0][1] == {"too large": 1}


def test_there_is_a_most_of_pictures(tmp_path, monkeypatch):
    monkeypatch.setattr(images, "MOST_IMAGES", 3)
    warned = []
    data = pptx([("a", "b")] * 5, pictures={number: image(number) for number in range(1, 6)})
    assert len(taken(tmp_path, "pptx", data, warned)) == 3
    assert "too many" in warned[0][1]


def test_what_an_earlier_run_stored_is_removed_and_nothing_else(tmp_path):
    upload = save(tmp_path, f"{KEY}.pdf", b"x")
    for name in ("img001.png", "img999.jpg"):
        save(tmp_path, f"{KEY}.{name}", b"x")
    others = [f"{KEY}.md", f"{KEY}.html", "ff.img001.png", f"{KEY}.img001.html"]
    for name in others:
        save(tmp_path, name, b"x")
    clear(upload)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([upload.name, *others])


def test_pictures_of_an_archive_that_is_a_bomb_are_not_taken(tmp_path):
    with pytest.raises(PluginError) as caught:
        taken(tmp_path, "docx", zipped({"word/media/a.png": bytes(64 * 1024**2)}))
    assert caught.value.code == "too_large"


# -- Mentions ---------------------------------------------------------------------------------------


def mentioned(tmp_path, extension, data, describe=""):
    found = taken(tmp_path, extension, data)
    for picture in found:
        picture.description = describe
    return placed(to_document(Source(io.BytesIO(data), extension, "x")), found)


def test_a_picture_is_mentioned_where_it_is(tmp_path):
    text = [("", f"before {drawing('rId7', 'A door')} between {drawing('rId8', '')} after")]
    data = docx(text, pictures={"rId7": image(1), "rId8": image(2)})
    assert mentioned(tmp_path, "docx", data).markdown == "before ![A door](img001.png) between ![](img002.png) after"


def test_a_picture_that_is_shown_again_is_described_once(tmp_path):
    data = docx([("", drawing("rId7", "Logo")), ("", drawing("rId7", "Logo"))], pictures={"rId7": image(1)})
    text = mentioned(tmp_path, "docx", data, "Two [birds] | on\na roof").markdown
    assert text == "![Logo – Two birds on a roof](img001.png)\n\n![Logo](img001.png)"


def test_pictures_without_a_place_come_at_the_end_of_their_page(tmp_path):
    data = pdf(["one", "two", ""], pictures={1: image(1, "JPEG"), 3: image(2, "JPEG")})
    document = mentioned(tmp_path, "pdf", data, "A bird")
    assert [page.markdown for page in document.pages] == [
        "one\n\n![A bird](img001.jpg)\n\n",
        "two\n\n",
        "![A bird](img002.jpg)\n\n",
    ]


def test_the_logo_of_a_layout_is_no_picture_of_the_presentation(tmp_path):
    from pptx import Presentation

    show = Presentation(io.BytesIO(pptx([("a", "b")], pictures={1: image(1)})))
    for seed in (1, 2):  # the first one is shown on the slide, too
        show.slide_layouts[1].part.get_or_add_image_part(io.BytesIO(image(seed)))
    stream = io.BytesIO()
    show.save(stream)
    assert [one.path.read_bytes() for one in taken(tmp_path, "pptx", stream.getvalue())] == [image(1)]


def test_pictures_of_a_book_are_known_by_their_names(tmp_path):
    book = with_media(
        documents.epub(['<img src="../pics/map.jpg" alt="The map"/> text']), {"OEBPS/pics/map.jpg": image(2, "JPEG")}
    )
    assert "![The map](img001.jpg) text" in mentioned(tmp_path, "epub", book).markdown


def test_pictures_that_were_left_out_keep_their_description(tmp_path):
    data = docx([("", f"a {drawing('rId7', 'A dot')} b")], pictures={"rId7": b"small"})
    assert mentioned(tmp_path, "docx", data).markdown == "a ![A dot]() b"
    assert placed(Document(("no pictures",)), []).markdown == "no pictures"
