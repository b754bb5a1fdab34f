"""Parents and children: nothing lost, every child within its parent, ids that stay the same."""

import itertools
import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plugins.base import PluginError
from plugins.documents.parents import Family, children
from plugins.hierarchical_ingest import HierarchicalIngest
from plugins.markitdown_hierarchical_ingest import MarkItDownHierarchicalIngest
from tests.plugins import documents
from tests.plugins.documents import PAGE_END, docx, save
from tests.plugins.test_passages import is_covered, is_kept, texts


def ingest(path, plugin=HierarchicalIngest, **kwargs):
    return list(plugin().ingest(str(path), **kwargs))


def sections(text, **kwargs):
    """``(section_title, parent_text)`` of each parent, in order."""
    found = children(lambda: [text], Family(**kwargs), "id")
    return [(title, parent) for (_, title, parent), _ in itertools.groupby(found, key=_parent)]


def _parent(child):
    return child.metadata["parent_chunk_id"], child.metadata["section_title"], child.metadata["parent_text"]


sizes = st.tuples(st.sampled_from([30, 80, 2000]), st.sampled_from([10, 40, 400]), st.integers(0, 9))


@settings(max_examples=300, deadline=None)
@given(text=texts, numbers=sizes, by_headings=st.booleans(), cut=st.integers(1, 40))
def test_no_text_is_lost_and_every_child_is_within_its_parent(text, numbers, by_headings, cut):
    blocks = [text[start : start + cut] for start in range(0, len(text), cut)]
    found = list(children(lambda: blocks, Family(*numbers, by_headings), "id"))
    assert is_kept(text, [child.text for child in found])
    for child in found:
        assert child.text in child.metadata["parent_text"]
        assert text[child.start : child.end] == child.text
        assert len(child.text) <= numbers[1]
        assert len(child.metadata["parent_text"]) <= numbers[0]
    assert len({child.metadata["child_chunk_id"] for child in found}) == len(found)
    for _, family in itertools.groupby(found, key=_parent):
        counts = [child.metadata["children_in_parent"] for child in family]
        assert set(counts) == {len(counts)}


def some_words(least, most):
    return st.integers(least, most).map(lambda count: " ".join(f"word{number}" for number in range(count)))


stacks = st.lists(st.tuples(st.integers(1, 4), some_words(1, 35)), max_size=4).map(
    lambda headings: "\n\n".join(f"{'#' * level} {title}" for level, title in headings)
)
books = st.lists(st.tuples(stacks, some_words(0, 400)), max_size=5).map(
    lambda parts: "\n\n".join(itertools.chain(*parts))
)


@settings(max_examples=200, deadline=None)
@given(
    text=books,
    numbers=st.sampled_from([(2000, 400, 50), (500, 400, 200), (2000, 400, 150), (300, 100, 10)]),
    by_headings=st.booleans(),
)
def test_every_place_of_the_text_is_in_a_child(text, numbers, by_headings):
    found = list(children(lambda: [text], Family(*numbers, by_headings), "id"))
    assert is_covered(text, found)
    assert all(child.text in child.metadata["parent_text"] for child in found)


def test_chapters_before_the_first_section_have_their_own_names():
    text = "Before.\n\n# One\n\nText.\n\n# Two\n\nMore.\n\n## Deep\n\nEnd."
    assert sections(text) == [
        ("Preamble", "Before."),
        ("One", "# One\n\nText."),
        ("Two", "# Two\n\nMore."),
        ("Deep", "## Deep\n\nEnd."),
    ]
    found = list(children(lambda: [text], Family(), "id"))
    assert [child.metadata.get("heading_path") for child in found] == [None, ["One"], ["Two"], ["Two", "Deep"]]


def test_sizes_that_would_store_the_text_a_thousand_times_are_refused(tmp_path):
    path = save(tmp_path, "a.md", b"text")
    with pytest.raises(PluginError, match=r"parent_chunk_size \(100000\) makes more than 200 children") as caught:
        ingest(path, parent_chunk_size=100_000, child_chunk_size=5, child_chunk_overlap=0)
    assert (caught.value.code, bool(caught.value.hint)) == ("bad_parameter", True)
    assert ingest(path, parent_chunk_size=8000, child_chunk_size=100, child_chunk_overlap=60)


def test_a_long_heading_is_repeated_in_part_only():
    text = f"# {'word ' * 2000}\n\n" + "".join(f"## {n}\n\nText {n}.\n\n" for n in range(100))
    found = list(children(lambda: [text], Family(), "id"))
    assert is_covered(text, found)
    assert all(
        len(str(child.metadata["heading_path"])) < 400 for child in found if child.metadata["section_title"] == "9"
    )


def test_parents_are_sections_of_level_two_and_three():
    text = "# Book\n\nIntro.\n\n## One\n\nText.\n\n### Deep\n\nMore.\n\n#### Deeper\n\nLess."
    text += "\n\n# Part two\n\nWords.\n\n## Three\n\nEnd."
    assert sections(text) == [
        ("Preamble", "# Book\n\nIntro."),
        ("One", "## One\n\nText."),
        ("Deep", "### Deep\n\nMore.\n\n#### Deeper\n\nLess."),
        ("Part two", "# Part two\n\nWords."),
        ("Three", "## Three\n\nEnd."),
    ]
    assert [title for title, _ in sections(text, by_headings=False)] == ["Document"]
    assert sections("# Only a title\n\nText.") == [("Document", "# Only a title\n\nText.")]
    assert sections("```\n## code\n```") == [("Document", "```\n## code\n```")]


def test_a_section_that_is_too_long_becomes_several_parents():
    text = "## Short\n\nText.\n\n## Long\n\n" + "A sentence of this section. " * 200
    found = list(children(lambda: [text], Family(), "id"))
    parts = [child.metadata.get("section_part") for child in found]
    assert parts[0] is None
    assert list(dict.fromkeys(parts[1:])) == [1, 2, 3]
    assert all(27 < len(child.metadata["parent_text"]) <= 2000 for child in found[1:])
    assert found[1].text.startswith("## Long\n\nA sentence")
    assert found[-1].metadata["heading_path"] == ["Long"]


def test_the_outline_is_a_chunk_of_its_own():
    text = "# Book\n\n## One\n\nText.\n\n### Deep\n\nMore."
    *_, outline = children(lambda: [text], Family(with_outline=True), "id")
    assert outline.text == "- Book\n  - One\n    - Deep"
    assert (outline.metadata["section_title"], outline.metadata["chunk_level"]) == ("Outline", "outline")
    plain = list(children(lambda: ["no headings"], Family(with_outline=True), "id"))
    assert [child.metadata["chunk_level"] for child in plain] == ["child"]


def test_chunks_carry_what_the_contract_names(tmp_path):
    path = save(tmp_path, "0a.md", b"## One\n\nThe first section.")
    (chunk,) = ingest(path, original_filename="guide.md", file_url="/static/a/b/0a.md", content_hash="cd" * 32)
    metadata = chunk["metadata"]
    assert chunk["text"] == "## One\n\nThe first section."
    assert metadata.pop("parent_chunk_id").endswith("-p1")
    assert metadata.pop("child_chunk_id").endswith("-p1-c1")
    assert metadata == {
        "source": "0a.md",
        "filename": "guide.md",
        "extension": "md",
        "file_size": 26,
        "file_url": "/static/a/b/0a.md",
        "chunking_strategy": "hierarchical_parent_child",
        "parent_chunk_size": 2000,
        "child_chunk_size": 400,
        "child_chunk_overlap": 50,
        "chunk_level": "child",
        "parent_text": "## One\n\nThe first section.",
        "children_in_parent": 1,
        "section_title": "One",
        "heading_path": ["One"],
        "chunk_index": 0,
    }


def test_ids_are_the_same_for_the_same_bytes_and_sizes_alone(tmp_path):
    path = save(tmp_path, "a.md", b"## One\n\nText.\n\n## Two\n\nText.")

    def ids(**kwargs):
        return [chunk["metadata"]["child_chunk_id"] for chunk in ingest(path, **kwargs)]

    assert ids(content_hash="a") == ids(content_hash="a", file_url="/other")
    assert not set(ids(content_hash="a")) & set(ids(content_hash="b"))
    assert not set(ids(content_hash="a")) & set(ids(content_hash="a", parent_chunk_size=900))


@pytest.mark.parametrize("name", ["a.txt", "a.md", "a.markdown"])
def test_plain_text_is_taken_too(tmp_path, name):
    chunks = ingest(save(tmp_path, name, "El café abre a las nueve.".encode("cp1252")))
    assert [chunk["text"] for chunk in chunks] == ["El café abre a las nueve."]
    assert name.partition(".")[2] in HierarchicalIngest.supported_file_types


@pytest.mark.parametrize(("data", "code"), [(b"", "no_text"), (b"%PDF-1.4", "not_text")])
def test_what_is_no_text_is_refused(tmp_path, data, code):
    with pytest.raises(PluginError) as caught:
        ingest(save(tmp_path, "a.md", data))
    assert caught.value.code == code


def test_an_overlap_that_never_advances_is_refused(tmp_path):
    with pytest.raises(PluginError, match=r"child_chunk_overlap .* must be smaller than child_chunk_size"):
        ingest(save(tmp_path, "a.md", b"text"), child_chunk_size=10, child_chunk_overlap=10)


def test_progress_ends_with_its_last_stage(tmp_path):
    told = []
    report = {"progress_callback": lambda *step: told.append(step)}
    ingest(save(tmp_path, "a.md", b"## One\n\nText."), **report)
    assert told[0][:2] == (1, 2)
    assert told[-1] == (2, 2, "Split into 1 chunk")
    told.clear()
    ingest(save(tmp_path, "a.docx", docx([("", "Text.")])), MarkItDownHierarchicalIngest, **report)
    assert list(dict.fromkeys(step[:2] for step in told)) == [(1, 3), (2, 3), (3, 3)]


def test_documents_are_converted_and_split_into_families(tmp_path):
    paragraphs = [("Heading2", "One"), ("", f"Apple.{PAGE_END}"), ("Heading2", "Two"), ("", "Birch.")]
    stats = {}
    path = save(tmp_path, "a.docx", docx(paragraphs))
    chunks = ingest(path, MarkItDownHierarchicalIngest, citation="Ann", stats_callback=stats.update)
    seen = [(chunk["text"], chunk["metadata"]["section_title"], chunk["metadata"]["page"]) for chunk in chunks]
    assert seen == [("## One\n\nApple.", "One", 1), ("## Two\n\nBirch.", "Two", 2)]
    assert chunks[0]["metadata"]["citation"] == "Ann"
    assert stats["chunking_strategy"] == "hierarchical_parent_child"
    assert stats["chunk_stats"]["count"] == 2


def test_text_that_another_plugin_has_converted_is_used(tmp_path):
    from plugins.markitdown_ingest import MarkItDownIngest

    kwargs = {"kept_folder": str(tmp_path / "kept"), "content_hash": "ab" * 32}
    path = save(tmp_path, "a.pdf", documents.pdf(["Words on a page."]))
    ingest(path, MarkItDownIngest, **kwargs)
    path.write_bytes(b"gone")
    assert ingest(path, MarkItDownHierarchicalIngest, **kwargs)[0]["text"] == "Words on a page."


def peak_of(count, paragraph):
    """Most bytes that were in use while so many paragraphs were split into children."""
    tracemalloc.start()
    try:
        assert sum(1 for _ in children(lambda: itertools.repeat(paragraph, count), Family(), "id")) > count
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("heading", ["", "## Section\n\n"])
def test_twice_the_text_needs_no_more_memory(heading):
    paragraph = heading + "Paragraph says that the library opens at nine and closes at eight. " * 20 + "\n\n"
    short, long = peak_of(1000, paragraph), peak_of(2000, paragraph)  # 1,340,000 characters more
    assert long - short < 400_000
    assert long < 8_000_000
