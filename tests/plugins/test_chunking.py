"""Splitting: nothing lost, sizes kept, streams and long texts alike."""

import itertools
import time
import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plugins.base import PluginError
from plugins.chunking import (
    SPLITTERS,
    TITLE_CHARACTERS,
    UNITS,
    SplitOptions,
    markdown_blocks,
    regular_blocks,
    split,
    split_options,
    tokenizer,
)

WAYS = [("", splitter, False) for splitter in SPLITTERS] + [("", SPLITTERS[0], True)]
WAYS += [(unit, SPLITTERS[0], False) for unit in UNITS]

words = st.sampled_from(
    ["a", "words", "río", "日本語", "😀", "#", "##", "```", "---", "|", "long" * 9, "e\u0301", ".", "x_y"]
)
gaps = st.sampled_from([" ", "  ", "\n", "\n\n", "\n \n", "\t", "\n\n\n", ""])
texts = st.lists(st.tuples(words, gaps), max_size=60).map(lambda pairs: "".join(itertools.chain(*pairs)))
sizes = st.integers(1, 60).flatmap(lambda size: st.tuples(st.just(size), st.integers(0, size - 1)))


def blocks_of(text, length):
    return [text[i : i + length] for i in range(0, len(text), length)]


def uncovered(text, pieces):
    """What of *text* lies in none of the slices that the pieces say they are."""
    seen = bytearray(len(text))
    for piece in pieces:
        assert text[piece.start : piece.start + len(piece.text)] == piece.text
        seen[piece.start : piece.start + len(piece.text)] = b"\1" * len(piece.text)
    return "".join(char for char, found in zip(text, seen, strict=True) if not found and not char.isspace())


@pytest.mark.parametrize(("unit", "splitter", "markdown"), WAYS)
@settings(max_examples=150, deadline=None)
@given(text=texts, numbers=sizes, block=st.integers(1, 50))
def test_no_text_is_lost_and_every_piece_is_a_slice_of_the_source(unit, splitter, markdown, text, numbers, block):
    options = SplitOptions(*numbers, splitter, unit, markdown=markdown)
    pieces = list(split(blocks_of(text, block), options))

    assert all(piece.text.strip() for piece in pieces)
    assert uncovered(text, pieces) == ""
    assert [piece.start for piece in pieces] == sorted(piece.start for piece in pieces)


def some_words(least, most):
    return st.integers(least, most).map(lambda count: " ".join(f"word{number}" for number in range(count)))


stacks = st.lists(st.tuples(st.integers(1, 4), some_words(1, 35)), max_size=5).map(
    lambda headings: "\n\n".join(f"{'#' * level} {title}" for level, title in headings)
)
books = st.lists(st.tuples(stacks, some_words(0, 400)), max_size=5).map(
    lambda sections: "\n\n".join(itertools.chain(*sections))
)
USUAL = [(1000, 200), (1000, 100), (400, 50), (300, 30), (250, 200), (60, 10)]


@settings(max_examples=300, deadline=None)
@given(text=books, numbers=st.sampled_from(USUAL))
def test_stacks_of_headings_lose_nothing(text, numbers):
    pieces = list(split([text], SplitOptions(*numbers, markdown=True)))
    assert uncovered(text, pieces) == ""
    assert all(len(piece.text) <= numbers[0] for piece in pieces)
    assert [piece.start for piece in pieces] == sorted(piece.start for piece in pieces)


def test_a_heading_that_the_next_piece_repeats_is_no_piece_of_its_own():
    text = "End of the text before.\n\n## Short\n\n" + "A sentence of words. " * 60
    pieces = list(split([text], SplitOptions(1000, 200, markdown=True)))
    assert not any(piece.text.endswith("## Short") for piece in pieces)
    assert any("## Short\n\nA sentence" in piece.text for piece in pieces)


@pytest.mark.parametrize("line", ["# a" + " " * 50_000 + "b", "# a" + " #" * 30_000 + "b", "# " + "#" * 50_000 + "b"])
def test_long_headings_take_no_time(line):
    started = time.perf_counter()
    ((_, (heading,)),) = markdown_blocks([line])
    assert (len(heading.title), heading.title[-1]) == (TITLE_CHARACTERS, "…")
    assert time.perf_counter() - started < 2  # it took 20 s when it was quadratic


@pytest.mark.parametrize(
    ("line", "title"),
    [
        ("# One", "One"),
        ("## One ##", "One"),
        ("# One #two", "One #two"),
        ("# C#", "C#"),
        ("   #\tOne\t#  ", "One"),
        ("#One", None),
        ("#", None),
        ("# #", None),
        ("## ## ##", None),
        ("####### One", None),
        ("    # One", None),
    ],
)
def test_titles_are_read_without_what_closes_them(line, title):
    ((_, headings),) = markdown_blocks([line])
    assert [heading.title for heading in headings] == ([] if title is None else [title])


@pytest.mark.parametrize(
    ("text", "titles"),
    [
        ("---\n# comment\n---\n# One", ["One"]),
        ("---\n\n# One\n\nText.", ["One"]),
        ("---\n\n# One\n\n---\n\n# Two", ["One", "Two"]),
        ("---\nkey: value\n# One\n" + "more\n" * 200 + "\n---\n# Two", ["One", "Two"]),
        ("---", []),
        ("", []),
    ],
)
def test_front_matter_is_what_is_closed(text, titles):
    found = [heading.title for _, headings in markdown_blocks([text]) for heading in headings]
    assert found == titles
    assert "".join(block for block, _ in markdown_blocks(blocks_of(text, 3))) == text


@pytest.mark.parametrize(("unit", "splitter", "markdown"), WAYS)
@settings(max_examples=60, deadline=None)
@given(text=texts, numbers=sizes)
def test_pieces_do_not_depend_on_how_the_stream_was_cut(unit, splitter, markdown, text, numbers):
    options = SplitOptions(*numbers, splitter, unit, markdown=markdown)
    assert list(split([text], options)) == list(split(blocks_of(text, 3), options))


@pytest.mark.parametrize(("splitter", "markdown"), [(SPLITTERS[0], False), (SPLITTERS[0], True), (SPLITTERS[1], False)])
@settings(max_examples=150, deadline=None)
@given(text=texts, numbers=sizes)
def test_a_chunk_with_its_overlap_stays_within_the_chunk_size(splitter, markdown, text, numbers):
    options = SplitOptions(*numbers, splitter, markdown=markdown)
    assert all(len(piece.text) <= options.size for piece in split([text], options))


def test_each_chunk_begins_with_whole_words_of_the_one_before():
    text = " ".join(f"word{number}" for number in range(500))
    pieces = list(split([text], SplitOptions(200, 50)))
    for before, after in itertools.pairwise(pieces):
        shared = before.start + len(before.text) - after.start
        assert 30 < shared <= 50
        assert text[after.start - 1] == " "


def test_words_and_lines_make_exact_windows():
    text = "one two  three\nfour five\nsix seven\n\neight"
    assert [p.text for p in split([text], SplitOptions(3, 1, unit="word"))] == [
        "one two  three",
        "three\nfour five",
        "five\nsix seven",
        "seven\n\neight",
    ]
    assert [p.text for p in split([text], SplitOptions(2, 0, unit="line"))] == [
        "one two  three\nfour five\n",
        "six seven\n\n",
        "eight",
    ]
    assert [p.text for p in split(["abcdefg"], SplitOptions(4, 2, unit="char"))] == ["abcd", "cdef", "efg"]


def test_tokens_are_counted_by_the_bundled_tokenizer():
    text = "The committee will meet on the first Monday of every month. " * 40
    pieces = list(split([text], SplitOptions(50, 10, "TokenTextSplitter")))
    assert len(pieces) > 10
    for piece in pieces:
        assert len(tokenizer().encode(piece.text, add_special_tokens=False).ids) <= 52  # the cut may split a word


def test_the_tokenizer_is_found_without_importing_its_package():
    import subprocess
    import sys

    code = "import sys; from plugins.chunking import tokenizer; tokenizer(); print('wordllama' in sys.modules)"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "False"


def test_paragraphs_are_kept_whole_while_they_fit():
    text = "First paragraph.\n\nSecond one.\n \nThird, which is much longer than the others are.\n\nLast."
    pieces = [p.text for p in split([text], SplitOptions(40, 0, "CharacterTextSplitter"))]
    assert pieces[0] == "First paragraph.\n\nSecond one."
    assert "".join(pieces[1:-1]).startswith("Third")
    assert all(len(p) <= 40 for p in pieces)


def test_markdown_chunks_know_the_headings_above_them():
    text = (
        "---\ntitle: front matter is no heading\n---\n\nIntro.\n\n# Guide\n\nHello.\n\n## Install ##\n\n"
        "```sh\n# a comment, not a heading\n```\n\nUse\n---\n\nText below a setext heading.\n\n# Other\n\nEnd."
    )
    found = {p.text.split("\n")[0]: p.heading_path for p in split([text], SplitOptions(40, 0, markdown=True))}
    assert found["# Guide"] == ("Guide",)
    assert found["## Install ##"] == ("Guide", "Install")
    assert found["Use"] == ("Guide", "Use")
    assert found["# Other"] == ("Other",)
    assert not any("comment" in title for path in found.values() for title in path)


def test_markdown_blocks_do_not_end_inside_fenced_code():
    code = "```\n" + "line\n\n" * 60 + "```\n\n"
    blocks = [block for block, _ in markdown_blocks(["Text.\n\n" * 10 + code + "After.\n\n" * 30], limit=500)]
    assert len(blocks) > 1
    assert all(block.count("```") in (0, 2) for block in blocks)


def test_blocks_end_at_paragraphs_and_stay_below_the_limit():
    text = ("word " * 30 + "\n\n") * 100
    blocks = list(regular_blocks(blocks_of(text, 777), 1000))
    assert "".join(blocks) == text
    assert all(len(block) <= 1000 and block.endswith("\n\n") for block in blocks)


@pytest.mark.parametrize("bad", [(10, 10), (10, 11), (0, 0), (10, -1)])
def test_sizes_that_make_no_sense_are_refused_with_a_sentence(bad):
    with pytest.raises(PluginError, match="chunk_") as caught:
        SplitOptions(*bad)
    assert caught.value.code == "bad_parameter"


def test_options_come_from_keyword_arguments_and_fall_back_to_defaults():
    assert split_options({}, size=2000) == SplitOptions(2000, 200)
    assert split_options({"chunk_size": 9, "chunk_overlap": 0, "chunk_unit": "word", "x": 1}).strategy == "word_windows"
    with pytest.raises(PluginError):
        split_options({"splitter_type": "NoSuch"})


def sentences(count):
    for number in range(count):
        yield (
            f"Paragraph {number} says that the library opens at nine and closes at eight in the evening. " * 3 + "\n\n"
        )


@pytest.mark.parametrize("markdown", [False, True])
def test_splitting_is_fast(markdown):
    text = "".join(sentences(20_000))[:5_000_000]
    started = time.perf_counter()
    count = sum(1 for _ in split([text], SplitOptions(500, 100, markdown=markdown)))
    assert count / (time.perf_counter() - started) > 10_000  # a busy machine included; about 100,000 alone


def peak_of(paragraphs, options):
    """Most bytes that were in use while so many paragraphs (270 characters each) were split."""
    tracemalloc.start()
    try:
        assert sum(1 for _ in split(sentences(paragraphs), options))
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(("unit", "splitter", "markdown"), WAYS)
def test_twice_the_text_needs_no_more_memory(unit, splitter, markdown):
    options = SplitOptions(500, 100, splitter, unit, markdown=markdown)
    peak_of(10, options)  # what is loaded once is no longer counted
    short, long = peak_of(2000, options), peak_of(4000, options)  # 540,000 characters more
    assert long - short < 200_000
    assert long < 20_000_000
