"""Chunks by page and by section: all text is kept, and every label is right."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plugins.documents import passages
from plugins.documents.pages import Document
from plugins.documents.passages import Passage, headings_of, page_passages, section_passages

words = st.sampled_from(["river", "stone", "Año", "日本語", "`code`", "- item", "| a | b |", "1. one", "x_y", "---"])
fences = st.sampled_from(["```\n# no heading\n```", "~~~py\n## nor this\n~~~"])
headings = st.tuples(st.integers(1, 4), st.sampled_from(["Alpha", "Beta", "Gamma"])).map(
    lambda h: f"{'#' * h[0]} {h[1]}"
)
underlined = st.sampled_from(["Title\n=====", "Topic\n-----"])
blocks = st.one_of(headings, underlined, words, st.lists(words, max_size=12).map(" ".join), fences)
texts = st.lists(blocks, max_size=25).map("\n\n".join)


def is_kept(source, chunks):
    """Every character of *source* that is not white space is found in the chunks, in the same order."""
    found = iter("".join(chunks))
    return all(char in found for char in source if not char.isspace())


def is_covered(source, passages):
    """Whether every character of *source* that is not white space lies in the exact slice of a passage."""
    seen = bytearray(len(source))
    for one in passages:
        own = source[one.start : one.end]
        assert one.text.endswith(own)
        seen[one.start : one.end] = b"\1" * len(own)
    return all(found or char.isspace() for char, found in zip(source, seen, strict=True))


def section_texts(markdown, level=2, per_chunk=1):
    return [passage.text for passage in section_passages(Document((markdown,)), level, per_chunk)]


def labels(markdown, level=2, per_chunk=1):
    found = section_passages(Document((markdown,)), level, per_chunk)
    return [(one.metadata["parent_path"], one.metadata["section_titles"], one.text) for one in found]


@settings(max_examples=300, deadline=None)
@given(text=texts, level=st.integers(1, 4), per_chunk=st.integers(1, 3), longest=st.sampled_from([40, 8000]))
def test_sections_lose_no_text(text, level, per_chunk, longest):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(passages, "LONGEST", longest)
        found = list(section_passages(Document((text,)), level, per_chunk))
    if found:
        assert is_kept(text, [passage.text for passage in found])
        assert [passage.start for passage in found] == sorted(passage.start for passage in found)
        assert all(passage.metadata["section_count"] <= per_chunk for passage in found)


@settings(max_examples=200, deadline=None)
@given(pages=st.lists(texts, min_size=1, max_size=8), per_chunk=st.integers(1, 4), longest=st.sampled_from([40, 8000]))
def test_pages_lose_no_text_and_keep_their_numbers(pages, per_chunk, longest):
    marked = [f"page{number}. {text} end{number}." if text else "" for number, text in enumerate(pages, 1)]
    document = Document.of_pages(marked)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(passages, "LONGEST", longest)
        found = list(page_passages(document, per_chunk))
    assert is_kept("".join(marked), [passage.text for passage in found])
    for passage in found:
        first, _, last = passage.metadata["page_range"].partition("-")
        for number in range(1, len(pages) + 1):
            if f"page{number}." in passage.text or f"end{number}." in passage.text:
                assert int(first) <= number <= int(last or first)
        assert int(last or first) - int(first) < per_chunk


def test_each_section_is_headed_by_its_parents():
    text = "# Guide\n\n## Install\n\nOne.\n\n## Use\n\nTwo.\n\n# Other\n\n## More\n\nThree."
    assert labels(text) == [
        ("Guide", ["## Install"], "# Guide\n\n## Install\n\nOne."),
        ("Guide", ["## Use"], "# Guide\n\n## Use\n\nTwo."),
        ("Other", ["## More"], "# Other\n\n## More\n\nThree."),
    ]


def test_sections_of_different_parents_never_share_a_chunk():
    text = "# A\n\n## 1\n\nx\n\n## 2\n\nx\n\n## 3\n\nx\n\n# A\n\n## 4\n\nx"
    assert [titles for _, titles, _ in labels(text, per_chunk=2)] == [["## 1", "## 2"], ["## 3"], ["## 4"]]


def test_text_outside_of_sections_is_kept_under_its_own_heading():
    text = "Before.\n\n# A\n\nOf A.\n\n## 1\n\nOne.\n\n# B\n\nOf B.\n\n### deep\n\nDeep.\n\n# C"
    assert labels(text) == [
        ("", [], "Before."),
        ("", ["# A"], "# A\n\nOf A."),
        ("A", ["## 1"], "# A\n\n## 1\n\nOne."),
        ("", ["# B"], "# B\n\nOf B.\n\n### deep\n\nDeep."),
        ("", ["# C"], "# C"),
    ]


def test_underlined_headings_count_and_code_does_not():
    text = "Guide\n=====\n\n```\n## no\n```\n\nUse\n---\n\nText."
    assert labels(text) == [
        ("", ["# Guide"], "Guide\n=====\n\n```\n## no\n```"),
        ("Guide", ["## Use"], "Guide\n=====\n\nUse\n---\n\nText."),
    ]


def test_nothing_comes_of_a_text_without_such_a_heading():
    assert section_texts("# Only\n\nlevel one") == []
    assert section_texts("") == []


def test_a_long_section_becomes_parts_that_know_where_they_belong(monkeypatch):
    monkeypatch.setattr(passages, "LONGEST", 60)
    text = "# Book\n\n## One\n\n" + "A sentence of words.\n\n" * 8 + "\n\n## Two\n\nShort."
    found = list(section_passages(Document((text,)), 2, 2))
    assert len(found) > 2
    assert [one.metadata["section_part"] for one in found] == list(range(1, len(found) + 1))
    assert found[0].text.startswith("# Book\n\n## One\n\nA sentence")
    assert found[1].text.startswith("# Book\n\n## One\n\nA sentence")
    assert found[0].metadata["section_titles"] == ["## One"]
    assert found[-1].metadata["section_titles"][-1] == "## Two"


long_words = st.integers(1, 90).map(lambda count: " ".join(f"word{number}" for number in range(count)))
books = st.lists(
    st.one_of(headings, long_words, st.tuples(st.integers(1, 3), long_words).map(lambda h: f"{'#' * h[0]} {h[1]}"))
)


@settings(max_examples=200, deadline=None)
@given(text=books.map("\n\n".join), level=st.integers(1, 3), per_chunk=st.integers(1, 3))
def test_every_place_of_the_text_is_in_a_passage_or_in_headings_that_are_repeated_whole(text, level, per_chunk):
    found = list(section_passages(Document((text,)), level, per_chunk))
    if found:
        assert is_covered(text, [*found, *_headings_in_front(text, found)])


def _headings_in_front(text, found):
    for heading in headings_of(text):
        end = text.find("\n", heading.start)
        line = text[heading.start : end if end >= 0 else len(text)]
        if any(f"{line}\n" in one.text for one in found):
            yield Passage(line, heading.start, heading.start + len(line))


@settings(max_examples=100, deadline=None)
@given(pages=st.lists(books.map("\n\n".join), min_size=1, max_size=5), per_chunk=st.integers(1, 3))
def test_every_place_of_the_pages_is_in_a_passage(pages, per_chunk):
    document = Document.of_pages(pages)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(passages, "LONGEST", 400)
        assert is_covered(document.markdown, page_passages(document, per_chunk))


@pytest.mark.parametrize("heading", ["# {}\n\n", "{}\n===\n\n"])
def test_a_long_heading_is_repeated_in_part_only(heading):
    title = "word " * 40_000
    text = heading.format(title.strip()) + "".join(f"## {n}\n\nText {n}.\n\n" for n in range(500))
    found = list(section_passages(Document((text,)), 2, 1))
    below = [one for one in found if one.metadata["section_titles"][0] != f"# {headings_of(text)[0].title}"]
    assert len(below) == 500
    assert all(len(one.text) + len(str(one.metadata)) < 1500 for one in below)
    assert below[0].text.startswith("# word word")
    assert is_covered(text, found)


def test_page_ranges_name_the_pages_that_hold_the_text():
    document = Document.of_pages(["one", "", "three", "four", "", "", "seven"])
    found = [(one.text, one.metadata["page_range"]) for one in page_passages(document, 2)]
    assert found == [("one", "1"), ("three\n\nfour", "3-4"), ("seven", "7")]
    assert [document.page_at(one.start) for one in page_passages(document, 2)] == [1, 3, 7]


def test_a_long_page_becomes_parts_with_its_number():
    document = Document.of_pages(["short", "A long sentence follows. " * 800, "last"])
    found = list(page_passages(document, 1))
    assert len(found) == 5
    assert all(len(one.text) <= passages.LONGEST for one in found)
    assert [(one.metadata["page_range"], one.metadata.get("page_part")) for one in found] == [
        ("1", None), ("2", 1), ("2", 2), ("2", 3), ("3", None),
    ]  # fmt: skip
