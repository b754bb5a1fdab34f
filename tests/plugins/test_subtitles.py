"""Reading subtitle files and grouping their cues: no spoken word is lost, and no noise is kept."""

import time
from itertools import pairwise

import pysubs2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plugins.base import PluginError
from plugins.videos.subtitles import (
    MAX_CHARACTERS,
    Cue,
    is_subtitles,
    passages,
    read_subtitles,
    tidy,
    timestamp,
    without_noises,
)

SRT = """1
00:00:01,000 --> 00:00:03,500
Good morning,
and welcome.

2
00:00:04,000 --> 00:00:06,000
The answer is
42

3
00:01:00,000 --> 00:01:02,000
42
"""

# As youtube-dl and the like save automatic captions: each line comes word by word, stays, and moves up.
ROLLING = """WEBVTT
Kind: captions
Language: es

00:00:00.160 --> 00:00:02.389 align:start position:0%
 
hola<00:00:00.480><c> a</c><00:00:00.880><c> todos</c>

00:00:02.389 --> 00:00:02.399 align:start position:0%
hola a todos
 

00:00:02.399 --> 00:00:04.550 align:start position:0%
hola a todos
bienvenidos<00:00:02.639><c> a</c>

00:00:04.550 --> 00:00:04.560 align:start position:0%
bienvenidos a
 

00:00:04.560 --> 00:00:06.000 align:start position:0%
bienvenidos a
no

00:00:06.000 --> 00:00:06.010 align:start position:0%
no
 

00:00:06.010 --> 00:00:08.000 align:start position:0%
no
no

00:00:08.000 --> 00:00:08.010 align:start position:0%
no
 
"""  # noqa: W293  (lines of one blank are part of the format)


def texts(cues):
    return [" ".join(cue.text.split()) for cue in cues]


def said(cues):
    return " ".join(texts(cues))


# -- Files ------------------------------------------------------------------------------------------


def test_the_cues_of_an_srt_file_are_read_with_their_times():
    read = read_subtitles(SRT)
    assert (read.form, read.language, read.damaged) == ("srt", "", 0)
    assert texts(read.cues) == ["Good morning, and welcome.", "The answer is 42", "42"]
    assert [(cue.start, cue.end) for cue in read.cues] == [(1.0, 3.5), (4.0, 6.0), (60.0, 62.0)]


def test_numbers_at_the_end_of_a_cue_are_no_counters():
    last = SRT.rstrip().removesuffix("\n42") + "\nforty\n2"
    assert texts(read_subtitles(last).cues)[-1] == "forty 2"
    uncounted = "WEBVTT\n\n00:01.000 --> 00:02.000\nThe answer is\n42\n\n00:02.000 --> 00:03.000\nIndeed\n7\n"
    assert texts(read_subtitles(uncounted).cues) == ["The answer is 42", "Indeed 7"]


def test_notes_styles_and_names_of_cues_are_not_spoken():
    read = read_subtitles(
        "WEBVTT - a talk\nLanguage: en-GB\n\nSTYLE\n::cue { color: red }\n\nNOTE checked by\nIrene\n\nopening\n"
        "00:00:01.000 --> 00:00:02.000 line:0\n<v Irene>Good <c.loud>morning</c></v>\n\n"
        "the end\n00:00:03.000 --> 00:00:04.000\nNOTE that this is spoken\n\nNOTE done\n"
    )
    assert (read.form, read.language) == ("vtt", "en-GB")
    assert texts(read.cues) == ["Good morning", "NOTE that this is spoken"]


def test_formatting_goes_and_what_only_looks_like_it_stays():
    spoken = r"Use {name} in C:\New, if a < b and c > d, &amp; call f() at 10:00:00,000 or 11:00:00,000"
    read = read_subtitles(f"1\n00:00:01,000 --> 00:00:02,000\n{{\\an8}}<i><font color='red'>{spoken}</font></i><br>end")
    assert texts(read.cues) == [spoken.replace("&amp;", "&") + " end"]


def test_a_file_of_another_name_or_with_blanks_around_its_lines_is_read_all_the_same():
    assert texts(
        read_subtitles("\ufeff\n\n" + SRT.replace("\n", "  \n  ").replace("\n  \n", "\n \n \n \n")).cues
    ) == texts(read_subtitles(SRT).cues)
    assert is_subtitles(SRT)
    assert is_subtitles("WEBVTT")
    assert not is_subtitles("https://youtu.be/dQw4w9WgXcQ\nA --> B")


def times(read):
    return [(cue.start, cue.end) for cue in read.cues]


def test_a_cue_whose_times_are_damaged_lies_between_its_neighbours():
    read = read_subtitles(SRT.replace("00:00:04,000 --> 00:00:06,000", "00:0:4x --> 00:00:06,0O0"))
    assert read.damaged == 1
    assert texts(read.cues) == ["Good morning, and welcome.", "The answer is 42", "42"]
    assert times(read) == [(1.0, 3.5), (3.5, 60.0), (60.0, 62.0)]


@pytest.mark.parametrize("header", ["", "WEBVTT\nLanguage: en\n\n"])
def test_first_cues_without_readable_times_share_the_time_before_the_first_that_has_them(header):
    lost = "1\n00:00:0x,000 --> ??\nFirst\n\n2\n00: --> 00:\nSecond"
    read = read_subtitles(f"{header}{lost}\n\n3\n00:00:08.000 --> 00:00:09.000\nThird\n")
    assert texts(read.cues) == ["First", "Second", "Third"]
    assert times(read) == [(0.0, 4.0), (4.0, 8.0), (8.0, 9.0)]
    assert read.damaged == 2


@pytest.mark.parametrize("head", ["", "1\n", "WEBVTT\nLanguage: en\n\n"])
def test_what_stands_before_the_first_times_is_not_lost(head):
    read = read_subtitles(f"{head}Good morning\n\n00:00:02.000 --> 00:00:03.000\nand welcome")
    assert [(cue.start, cue.text) for cue in read.cues] == [(0.0, "Good morning"), (2.0, "and welcome")]
    assert read.damaged == 1


def test_a_last_cue_without_readable_times_comes_after_the_one_before():
    read = read_subtitles(SRT.replace("00:01:00,000 -->", "00:01:x -->"))
    assert texts(read.cues) == ["Good morning, and welcome.", "The answer is 42", "42"]
    assert times(read)[-1] == (6.0, 6.0)


@pytest.mark.parametrize("head", ["1\n", "WEBVTT\n\n"])
@pytest.mark.parametrize(
    "spoken",
    [
        "Go from\n12:30 --> 13:45 please",
        "ratio\n3:1 --> 2:1 wins",
        "3:1 --> 2:1",
        "so\n\n3:1 --> 2:1 wins",
        "00:00:05.000 --> 00:00:06.000 is the range",
    ],
)
def test_speech_that_looks_like_times_is_heard(head, spoken):
    read = read_subtitles(
        f"{head}00:00:01.000 --> 00:00:02.000 align:start\n{spoken}\n\n00:00:07.000 --> 00:00:08.000\nb"
    )
    assert said(read.cues).split() == [*spoken.split(), "b"]
    assert (read.damaged, times(read)) == (0, [(1.0, 2.0), (7.0, 8.0)])


def test_speech_beside_the_times_is_heard():
    read = read_subtitles("00:00:01.000 --> 00:00:02.000 One\n\n00:00:03.000 --> 00:00:04.000 line: 0 size:5%\ntwo")
    assert texts(read.cues) == ["One", "two"]


@pytest.mark.parametrize(
    ("start", "seconds"),
    [
        ("00:00:01", 1.0),
        ("00:00:01:12", 1.48),
        ("0:0:1,5", 1.5),
        ("00:00:01,2500", 1.25),
        ("1:01.25", 61.25),
        ("00:75:00,000", 4500.0),
        ("100:00:00,000", 360_000.0),
        ("9999:59:59,999", 35_999_999.999),
    ],
)
@pytest.mark.parametrize("form", ["srt", "vtt"])
def test_times_of_unusual_forms_are_read(start, seconds, form):
    text = f"1\n{start} --> {start}\na\n\n2\n{start} --> {start}\nb"
    read = read_subtitles(f"WEBVTT\n\n{text}" if form == "vtt" else text)
    assert (read.form, read.damaged, times(read)) == (form, 0, [(seconds, seconds)] * 2)
    assert texts(read.cues) == ["a", "b"]
    assert is_subtitles(text)


def test_thousands_of_damaged_cues_are_read_in_time():
    text = "\n\n".join(["00:00:01,000 --> 00:00:02,000\na\n\n0:x -->\nb"] * 16_000)
    began = time.process_time()
    assert read_subtitles(text).damaged == 16_000
    assert time.process_time() - began < 5  # it took 21 s when it was quadratic


@pytest.mark.parametrize("text", ["just words", "1\n2\n3", "WEBVTT\n\nNOTE nothing\n", "00:00:01 to 00:00:02\nwords"])
def test_a_file_without_readable_cues_is_said_to_be_corrupt(text):
    with pytest.raises(PluginError) as caught:
        read_subtitles(text)
    assert caught.value.code == "corrupt"
    assert caught.value.hint


def test_strange_files_are_read_in_time():
    read_subtitles("1\n00:00:01,000 --> 00:00:02,000\nwords" + "\n" * 300_000 + " " * 300_000 + "<" * 100_000)
    lines = "\n".join(f"line {number}" for number in range(50_000))
    cues = [Cue(0.0, 1.0, lines), Cue(1.0, 2.0, "other\n" + lines)]
    assert said(tidy(cues)).count("line") == 100_000


# -- Cleaning ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("[Music]", ""),
        ("(applause)", ""),
        ("[upbeat music playing] Hello", "Hello"),
        ("[Música de fondo] Hola [APLAUSOS]", "Hola"),
        ("【音楽】 こんにちは (拍手)", "こんにちは"),
        ("♪ happy birthday ♪", "happy birthday"),
        ("well [ __ ] that", "well that"),
        ("call f() and a[0] (see chapter 3)", "call f() and a[0] (see chapter 3)"),
        ("(the sound of music) [the dean] said", "(the sound of music) [the dean] said"),
        ("[soft\nlaughter] two\n\nlines", "two\nlines"),
    ],
)
def test_noises_go_and_speech_in_brackets_stays(text, clean):
    assert without_noises(text) == clean


def test_lines_that_rolling_captions_show_twice_are_told_once():
    read = read_subtitles(ROLLING)
    assert read.language == "es"
    cues = tidy(read.cues)
    assert texts(cues) == ["hola a todos", "bienvenidos a", "no", "no"]
    assert [cue.start for cue in cues] == [0.16, 2.399, 4.56, 6.01]


def test_people_who_repeat_themselves_are_heard():
    cues = [Cue(number, number + 1.0, text) for number, text in enumerate(["no", "no", "no, no", "yes", "yes", "no"])]
    assert said(tidy(cues)) == "no no no, no yes yes no"


@given(
    st.lists(
        st.lists(st.sampled_from(["so", "yes", "no", "we", "go"]), min_size=1, max_size=4), min_size=8, max_size=30
    )
)
def test_rolling_captions_tell_every_line_once_however_often_words_repeat(lines):
    spoken = [" ".join(line) for line in lines]
    shown = [
        Cue(number, number + 1.0, "\n".join(spoken[max(number - 1, 0) : number + 1])) for number in range(len(spoken))
    ]
    assert said(tidy(shown)) == " ".join(spoken)


# -- Grouping ---------------------------------------------------------------------------------------


def test_cues_are_grouped_until_the_duration_is_reached():
    cues = [Cue(start, start + 4.0, f"at {start}") for start in (0.0, 5.0, 10.0, 15.0, 20.0, 300.0, 305.0)]
    found = passages(tidy(cues), 14)
    assert [(passage.start, passage.end) for passage in found] == [(0.0, 14.0), (15.0, 24.0), (300.0, 309.0)]
    assert found[0].text == "at 0.0 at 5.0 at 10.0"


def test_a_passage_stays_within_what_can_be_embedded():
    many = [Cue(0.0, 0.0, "word " * 200)] * 100
    endless = [Cue(10.0, 20.0, "word " * 20_000)]
    for cues in (many, endless):
        found = passages(tidy(cues), 3600)
        assert max(len(passage.text) for passage in found) < 2 * MAX_CHARACTERS
        assert sum(passage.text.count("word") for passage in found) == 20_000


def test_a_time_is_shown_in_hours_minutes_and_seconds():
    assert [timestamp(seconds) for seconds in (0, 59.99, 61, 3600, 360_000)] == [
        "00:00:00", "00:00:59", "00:01:01", "01:00:00", "100:00:00",
    ]  # fmt: skip


SECONDS = st.floats(0, 20_000, allow_nan=False)
WORD = st.text(st.sampled_from("aeñ中ß1.,<>&{}\\:'"), min_size=1, max_size=8)


@st.composite
def talks(draw):
    """Cues at any times, of words that occur once each: so no cue repeats another."""
    shapes = draw(st.lists(st.tuples(SECONDS, st.floats(0, 100), st.lists(WORD, min_size=1, max_size=6)), max_size=40))
    return [
        Cue(start, start + length, " ".join(f"{number}w{place}{word}" for place, word in enumerate(words)))
        for number, (start, length, words) in enumerate(shapes)
    ]


@settings(deadline=None)
@given(talks(), st.floats(5, 3600))
def test_no_spoken_word_is_lost_and_times_only_grow(cues, seconds):
    found = passages(tidy(cues), seconds)
    words = [word for cue in sorted(cues, key=lambda cue: cue.start) for word in cue.text.split()]
    assert [word for passage in found for word in passage.text.split()] == words
    assert all(passage.start <= passage.end for passage in found)
    assert all(one.start <= other.start and one.end <= max(other.start, one.start) for one, other in pairwise(found))


PLAIN = st.text(st.sampled_from("aeñ中ß1.,:'\\"), min_size=1, max_size=8)


@settings(deadline=None)
@given(st.lists(st.lists(PLAIN, min_size=1, max_size=5), min_size=1, max_size=10), st.sampled_from(["srt", "vtt"]))
def test_a_file_that_the_library_wrote_is_read_back_word_for_word(cues, form):
    file = pysubs2.SSAFile()
    for number, words in enumerate(cues):
        text = "\n".join(f"x{word}" for word in words).replace("\\N", "n").replace("\\n", "n")
        file.append(pysubs2.SSAEvent(start=number * 1000, end=number * 1000 + 900, text=text.replace("\n", "\\N")))
    read = read_subtitles(file.to_string(form, keep_ssa_tags=True))
    assert [cue.text.split() for cue in read.cues] == [[f"x{word}" for word in words] for words in cues]
