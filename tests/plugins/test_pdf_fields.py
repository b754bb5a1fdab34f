"""What is filled into the forms of PDFs, and what people have noted on their pages."""

import contextlib
import io
import random
import time

import pytest

from plugins.base import PluginError
from plugins.documents import pdf_fields, pdf_pages
from plugins.documents.convert import to_document
from plugins.source import Source
from tests.plugins.documents import field, image, note, pdf


def convert(data, **kwargs):
    return to_document(Source(io.BytesIO(data), "pdf", "x.pdf", **kwargs))


def pages(data, **kwargs):
    return [page.markdown.strip() for page in convert(data, **kwargs).pages]


def lines(*annotations, text="Form", **kwargs):
    """What is said beside the text of a page with *annotations*."""
    (page,) = pages(pdf([text], annotations={1: list(annotations)}, **kwargs))
    assert page.startswith(text)
    return page.removeprefix(text).strip().split("\n")


@pytest.mark.parametrize("fast", [False, True])
def test_the_values_of_a_form_are_read_on_their_page(monkeypatch, fast):
    monkeypatch.setattr(pdf_pages, "PAGES_WITH_TABLES", 0 if fast else 60)
    first = [field("Tx", "name", (72, 500), "/V (Ana P\xe9rez) /TU (Full name:)")]
    second = [field("Tx", "form1[0].#subform[0].Address[0].Street[0]", (72, 500), "/V (12 Elm Street)")]
    assert pages(pdf(["Apple", "Birch"], annotations={1: first, 2: second})) == [
        "Apple\n\nFull name: Ana Pérez",
        "Birch\n\nform1.Address.Street: 12 Elm Street",
    ]


def test_text_beyond_latin_and_of_several_lines_is_read():
    wide = "你好\r世界".encode("utf-16-be").hex()
    assert lines(field("Tx", "greeting", (72, 500), f"/V <feff{wide}>")) == ["greeting: 你好", "世界"]


def test_boxes_are_told_when_they_are_ticked():
    def box(name, place, state, on="Yes"):
        return field("Btn", name, place, f"/AP << /N << /{on} 3 0 R /Off 3 0 R >> >> /AS /{state} /V /{state}")

    told = lines(
        box("Agreed", (72, 500), "Yes"),
        box("Newsletter", (72, 480), "Off"),
        box("Colour", (72, 460), "Green", "Green"),
        field("Btn", "Print", (72, 440), f"/Ff {1 << 16} /MK << /CA (Print) >>"),
    )
    assert told == ["Agreed: yes", "Colour: Green"]


def test_of_buttons_that_exclude_each_other_the_chosen_one_is_told():
    """Its label is an option of the field, of which the buttons are the numbers."""
    group = f"/FT /Btn /Ff {1 << 15} /T (Payment) /V /1 /Opt [(Cash) (Card)]"
    buttons = [
        f"/Subtype /Widget /Parent 4 0 R /Rect [72 {500 - 20 * n} 92 {514 - 20 * n}] /AP << /N << /{n} 3 0 R >> >>"
        f" /AS /{state}"
        for n, state in enumerate(["Off", "1"])
    ]
    assert lines(f"{group} /Kids [5 0 R 6 0 R]", *buttons) == ["Payment: Card"]


def test_choices_are_told_as_people_see_them():
    options = "/Opt [[(es) (Spain)] [(fr) (France)] [(it) (Italy)]]"
    told = lines(
        field("Ch", "Country", (72, 500), f"/Ff {1 << 17} {options} /V (fr)"),
        field("Ch", "Visited", (72, 480), f"/Ff {1 << 21} {options} /V [(es) (it)]"),
        field("Ch", "Other", (72, 460), f"/Ff {3 << 17} {options} /V (Malta)"),
        field("Ch", "Next", (72, 440), f"/Ff {1 << 17} {options}"),
    )
    assert told == ["Country: France", "Visited: Spain, Italy", "Other: Malta"]


def test_secrets_empty_fields_and_what_is_hidden_are_not_read():
    told = lines(
        field("Tx", "Password", (72, 500), f"/Ff {1 << 13} /V (hunter22)"),
        field("Tx", "Empty", (72, 480), "/V ( )"),
        field("Tx", "Hidden", (72, 460), "/F 2 /V (token)"),
        note("Text", "gone", (72, 440), "/F 2"),
        note("Link", "a link", (72, 440)),
        note("Popup", "shown twice", (72, 420)),
        note("Text", "Accepted set by Ana", (72, 400), "/StateModel (Review) /State (Accepted)"),
    )
    assert told == [""]


def test_comments_are_read_with_their_author():
    told = lines(
        note("FreeText", "Moved to room 214", (72, 500), "/T (Ana)"),
        note("Text", "Is this\\rstill true?", (72, 480), "/T (Ana)"),
        note("Highlight", "Ask the dean", (72, 460)),
        note("Square", "", (72, 440)),
    )
    assert told == ["Moved to room 214", "Comment by Ana: Is this", "still true?", "Comment: Ask the dean"]


@pytest.mark.parametrize(("rotate", "order"), [(0, "abcd"), (90, "cadb"), (180, "dcba"), (270, "bdac")])
def test_they_come_in_the_order_of_the_page_as_it_is_shown(rotate, order):
    places = {"d": (300, 300), "b": (300, 502), "c": (72, 300), "a": (72, 500)}
    fields = [field("Tx", name, place, f"/V (value {name})") for name, place in places.items()]
    assert lines(*fields, rotate=rotate, text="") == [f"{name}: value {name}" for name in order]


def test_what_the_text_of_the_page_holds_at_the_place_of_a_field_is_not_told_twice():
    text = "Name: Ana\nAna"  # the second line has its base at 704 points
    drawn = field("Tx", "name", (72, 700), "/V (Ana)")
    elsewhere = field("Tx", "witness", (72, 300), "/V (Ana)")
    marked = note("Highlight", "Name: Ana", (72, 716))
    assert lines(drawn, elsewhere, marked, text=text) == ["witness: Ana"]
    printed = "The reviewers ask for a second look at this page."
    told = lines(
        note("Text", printed, (500, 100)),
        note("Text", "look", (500, 80)),
        field("Tx", "wish", (72, 60), f"/V ({printed})"),
        text=printed,
    )
    assert told == ["Comment: look", f"wish: {printed}"]


def test_a_row_is_read_from_left_to_right_though_its_fields_are_not_exactly_as_high():
    places = [("c", (400, 503)), ("a", (72, 500)), ("b", (230, 505)), ("d", (72, 480))]
    told = lines(*(field("Tx", name, place, "/V (x)") for name, place in places))
    assert told == ["a: x", "b: x", "c: x", "d: x"]


def test_a_field_that_is_shown_twice_on_a_page_is_told_once():
    twice = [field("Tx", "name", (72, bottom), "/V (Ana)") for bottom in (500, 300)]
    assert lines(*twice) == ["name: Ana"]


def test_rows_of_a_form_keep_all_of_their_values():
    rows = [("Apple", "1"), ("Pear", "1"), ("Plum", "2")]
    fields = [
        field("Tx", f"form1[0].Row[{row}].{name}[0]", (left, 500 - 20 * row), f"/V ({value})")
        for row, values in enumerate(rows)
        for name, left, value in zip(("Item", "Qty"), (72, 272), values, strict=True)
    ]
    told = [line.removeprefix("form1.Row.") for line in lines(*fields)]
    assert told == ["Item: Apple", "Qty: 1", "Item: Pear", "Qty: 1", "Item: Plum", "Qty: 2"]


def test_equal_comments_are_doubles_at_one_place_only():
    places = [(72, 500), (72, 500), (72, 400)]
    assert lines(*(note("Text", "ok", place) for place in places)) == ["Comment: ok", "Comment: ok"]


def test_many_fields_on_a_page_of_very_much_text_are_read_in_time():
    text = ("word " * 100 + "\n") * 800
    fields = [field("Tx", f"n{number}", (72, number % 700), "/V (word word)") for number in range(1500)]
    document = pdf([text], annotations={1: fields})
    began = time.process_time()
    (page,) = pages(document)
    assert time.process_time() - began < 10
    assert page.count(": word word") == 1500


def test_a_form_without_any_other_text_is_no_scan_and_notes_do_not_hide_one():
    assert pages(pdf([""], annotations={1: [field("Tx", "name", (72, 500), "/V (Ana)")]})) == ["name: Ana"]
    scan = convert(pdf([""], pictures={1: image(1, "JPEG")}, annotations={1: [note("Text", "Signed", (72, 500))]}))
    assert (scan.scanned, scan.markdown.strip()) == ((1,), "Comment: Signed")


def test_nothing_that_is_filled_in_makes_headings():
    assert lines(note("FreeText", "# Big\\r---", (72, 500))) == ["\\# Big", "\\---"]


def test_thousands_of_fields_are_read_in_time_and_more_are_left_out_with_a_warning(monkeypatch):
    monkeypatch.setattr(pdf_fields, "MOST", 3000)
    fields = [field("Tx", f"field {n}", (72, 790 - n // 10), f"/V (value {n})") for n in range(3100)]
    warned = []
    began = time.monotonic()
    (page,) = pages(pdf(["Form"], annotations={1: fields}), warn=lambda *args: warned.append(args))
    assert time.monotonic() - began < 20
    assert page.count(": value ") == 3000
    ((message, data),) = warned
    assert message.endswith("left out: 100.")
    assert data == {"code": "unread_parts"}


def test_a_few_huge_values_are_left_out_too():
    warned = []
    huge = [field("Tx", f"f{n}", (72, 500 - n * 20), f"/V ({str(n) * 200_000})") for n in range(4)]
    (page,) = pages(pdf(["Form"], annotations={1: huge}), warn=lambda *args: warned.append(args))
    assert len(page) < 500_000
    assert warned[0][0].endswith("left out: 2.")


@pytest.mark.parametrize(
    "damaged",
    [
        "/Subtype /Widget /FT /Tx /T 5 /V 7 /Rect (no)",
        "/Subtype /Widget /FT /Ch /T (x) /Opt 5 /V [[[]]] /Rect [0 0 1 1]",
        "/Subtype /Widget /FT /Tx /T (x) /V 99 0 R /Parent 99 0 R",
        "/Subtype 5 /Contents (x)",
        "/Subtype /Text /Contents [1 2]",
    ],
)
def test_damaged_fields_do_not_keep_the_page_from_being_read(damaged):
    (page,) = pages(pdf(["Apple"], annotations={1: [damaged, field("Tx", "name", (72, 500), "/V (Ana)")]}))
    assert page.startswith("Apple")
    assert page.endswith("name: Ana")


def test_random_damage_to_a_form_is_survived_or_explained():
    options = f"/Ff {1 << 17} /Opt [[(es) (Spain)] [(fr) (France)]] /V (fr)"
    box = "/AP << /N << /Yes 3 0 R >> >> /AS /Yes /V /Yes"
    whole = pdf(
        ["Form"],
        annotations={
            1: [
                field("Tx", "name", (72, 500), "/V (Ana)"),
                field("Ch", "Country", (72, 480), options),
                field("Btn", "Agreed", (72, 460), box),
                note("Text", "Check this", (72, 440), "/T (Ana)"),
            ]
        },
    )
    chance = random.Random(5)
    for _ in range(200):
        data = bytearray(whole)
        for _ in range(chance.randrange(1, 12)):
            place = chance.randrange(len(data))
            data[place : place + chance.choice([0, 1, 4])] = chance.randbytes(chance.choice([0, 1, 4]))
        with contextlib.suppress(PluginError):
            convert(bytes(data))
