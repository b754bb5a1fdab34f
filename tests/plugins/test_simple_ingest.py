"""Text, Markdown and HTML files."""

import time

import pytest

from plugins.base import PluginError
from plugins.html_text import html_text
from plugins.simple_ingest import SimpleIngest
from plugins.simple_query import SimpleQuery
from tests.plugins.documents import save


def ingest(path, **kwargs):
    return list(SimpleIngest().ingest(str(path), **kwargs))


def test_a_text_file_becomes_chunks_with_their_metadata(tmp_path):
    path = save(tmp_path, "0a.txt", ("The café opens at nine. " * 100).encode("cp1252"))
    chunks = ingest(path, chunk_size=200, chunk_overlap=20, original_filename="café.txt", file_url="/static/a/0a.txt")
    assert len(chunks) > 10
    assert all(len(chunk["text"]) <= 200 for chunk in chunks)
    assert "café" in chunks[0]["text"]
    assert chunks[7]["metadata"] == {
        "source": "0a.txt",
        "filename": "café.txt",
        "extension": "txt",
        "file_size": 2400,
        "file_url": "/static/a/0a.txt",
        "chunking_strategy": "langchain_recursivecharactertextsplitter",
        "chunk_size": 200,
        "chunk_overlap": 20,
        "chunk_index": 7,
    }


def test_chunks_come_while_the_file_is_read(tmp_path):
    path = save(tmp_path, "big.txt", b"A sentence of some length, again and again. " * 100_000)
    told = []
    chunks = SimpleIngest().ingest(str(path), progress_callback=lambda *step: told.append(step))
    next(chunks)
    assert told == [(1, 2, "Reading and splitting the text...")]
    assert sum(1 for _ in chunks) > 1000
    assert told[1] == (1, 2, "Splitting the text: 4 million characters read")
    assert told[-1][:2] == (2, 2)


def test_a_page_gives_its_text_without_scripts_and_styles(tmp_path):
    page = (
        "<!doctype html><html><head><meta charset=iso-8859-1><title>Año</title><style>p { color: red }</style></head>"
        "<body><h1>Caf&eacute; &amp; co</h1><script>if (1 < 2) alert('<p>no</p>')</script><p>One\n  two<br>three</p>"
        "<ul><li>a<li>b</ul><table><tr><td>x</td><td>y</td></tr></table><noscript>hidden</noscript>"
        "<pre>kept  as\n  it is</pre><p>año</p></body></html>"
    )
    text = ingest(save(tmp_path, "a.html", page.encode("latin-1")))[0]["text"]
    assert "Café & co" in text
    assert "One two\nthree" in text
    assert "kept  as\n  it is" in text
    assert text.startswith("Año")
    assert text.endswith("año")
    assert not [word for word in ("color", "alert", "hidden", "no</p>") if word in text]


@pytest.mark.parametrize("length", [1, 7, 50])
def test_pages_are_read_the_same_however_they_are_cut(length):
    page = "<p>one &amp; two</p><script>a<b</script><div title='x>y'>three<br/>four</div><style>x</style>end"
    blocks = [page[i : i + length] for i in range(0, len(page), length)]
    assert "".join(html_text(blocks)).split() == ["one", "&", "two", "three", "four", "end"]


@pytest.mark.parametrize(
    "page", ["<a " * 20_000, "<" * 60_000, "<!--" * 20_000, "<div>" * 50_000, "<p title='" * 30_000, "&amp;" * 60_000]
)
def test_no_page_takes_longer_than_its_length_allows(page):
    began = time.monotonic()
    for _ in html_text([page, "<p>end</p>"]):
        pass
    assert time.monotonic() - began < 5  # the standard library's parser takes a minute for the first


def test_text_without_any_tag_is_read_too():
    assert "".join(html_text(["no tag ", "at all"])).split() == ["no", "tag", "at", "all"]
    assert "".join(html_text([])) == "".join(html_text(["", " "])).strip() == ""
    assert "".join(html_text(["<p>one\0two</p>"])).strip() == "onetwo"


def test_an_unclosed_script_or_template_hides_no_more_than_it_must():
    assert "".join(html_text(["<p>a<template>b</p><p>c</p>"])).split() == ["a", "c"]


@pytest.mark.parametrize(
    ("name", "data", "code"),
    [
        ("a.txt", b"", "no_text"),
        ("a.md", b" \n\n", "no_text"),
        ("a.txt", b"\x89PNG\r\n\x1a\n\0\0", "not_text"),
        ("a.html", b"%PDF-1.4", "not_text"),
    ],
)
def test_what_is_no_text_is_refused(tmp_path, name, data, code):
    with pytest.raises(PluginError) as caught:
        ingest(save(tmp_path, name, data))
    assert caught.value.code == code


def test_a_unit_makes_exact_windows(tmp_path):
    path = save(tmp_path, "a.txt", " ".join(map(str, range(100))).encode())
    chunks = ingest(path, chunk_unit="word", chunk_size=30, chunk_overlap=10)
    assert [len(chunk["text"].split()) for chunk in chunks] == [30, 30, 30, 30, 20]
    assert chunks[0]["metadata"]["chunking_strategy"] == "word_windows"


def test_an_overlap_that_never_advances_is_refused(tmp_path):
    with pytest.raises(PluginError, match="must be smaller than chunk_size"):
        ingest(save(tmp_path, "a.txt", b"text"), chunk_size=10, chunk_overlap=10)


def test_the_plain_question_takes_the_best_and_then_the_threshold():
    rows = [{"similarity": s, "data": str(s), "metadata": {}} for s in (0.9, 0.5, -0.1)]
    asked = []

    def search(text, top_k):
        asked.append((text, top_k))
        return rows[:top_k]

    query = SimpleQuery().query
    assert query(1, "why?", search=search, top_k=2, threshold=0.6) == rows[:1]
    assert query(1, "why?", search=search) == rows[:2]
    assert asked == [("why?", 2), ("why?", 5)]
