"""The quality gate: each of its rules, and texts that must pass."""

import time

import pytest

from plugins.base import PluginError
from plugins.documents.pages import Document
from plugins.host_client import Done, Stats, Warned
from plugins.markitdown_ingest import MarkItDownIngest
from plugins.quality import TextGate, judge_pages, number_ranges, own_texts, says_something
from tests.plugins.documents import image, pdf, save

WORDS = "The library opens at nine and closes at eight. "
ANÉ = "La biblioteca abre también los sábados, según el año y la estación; “quizá” más tarde – 50 €. "


def findings(*texts, name="", path=""):
    gate = TextGate()
    for text in texts:
        gate.see(text)
    return [(finding.code, finding.fatal) for finding in gate.findings(name, path)]


def about(*pages, scanned=()):
    return [(finding.code, finding.fatal) for finding in judge_pages(Document.of_pages(pages, scanned))]


@pytest.mark.parametrize(
    "text",
    [
        WORDS,
        ANÉ * 50,
        "AÇÃO, MANHÃ… SÃO “JOÃO” – À L’ÂGE, Å–Ö, STRASSE: Spaß“, 5\u00a0×\u00a06, Ø\u00a012, ESPAÑA" * 20,
        "図書館は午前九時に開館し、午後八時に閉館します。" * 20,
        "volume 5 Å³, area 7 Å², «IKKE TA DET PÅ», «ORÐ» og 3 Ø² ± 1" * 20,
        "« Déjà » – l’été…», «É», «À», “CAFÉ”, naïveté –, jäääär, MANHû, Å°, öööö" * 20,
        "“«Y pasó…”» «Lo vio…”» Öl 2×½, ÉTÉ…" * 20,
        "Привет, библиотека открыта." * 20,
        "Η βιβλιοθήκη είναι ανοιχτή." * 20,
        "• \uf0b7 first point of the list\n\uf0b7 second point of the list, which is longer",
        "Page 3 of the report says more.",
        "x",
        "| 1990 | 5 |\n| 1991 | 7 | total",
        "a" * 30_000,
        "One sign \ufffd was lost. " + WORDS * 30,
    ],
)
def test_ordinary_text_passes(text):
    assert findings(text) == []


def test_no_text_is_left_to_the_host():
    assert findings() == []


@pytest.mark.parametrize(
    "texts",
    [["1\n\n2\n\n3"], ["- 7 -", "- 8 -"], ["Page 1 of 3", "Page 2 of 3"], ["Página 2", "Página 3"], ["1/9 2/9"]],
)
def test_page_numbers_alone_fail_where_there_are_pages(texts):
    assert findings(*texts, name="a.PDF") == [("no_text", True)]
    assert findings(*texts, path="/x/a.pptx") == [("no_text", True)]
    assert findings(*texts, name="a.csv", path="/x/a.pdf") in ([], [("no_words", False)])


@pytest.mark.parametrize(
    "text", ["\n".join(map(str, range(1001, 1030))), "2019\n2020\n2021\n2022", "12/05/2024", "42", "👍🎉", "∑ ∞", "٣"]
)
@pytest.mark.parametrize("name", ["a.csv", "a.md", "a.pdf", ""])
def test_numbers_and_symbols_that_count_no_pages_do_not_fail(text, name):
    assert findings(text, name=name) == [("no_words", False)]


@pytest.mark.parametrize("text", ["—— * * *", "...", "|---|---|"])
def test_signs_alone_fail(text):
    assert findings(text) == [("no_text", True)]


def test_numbers_alone_need_attention():
    assert findings("| 17 | 3 | 912 |\n| 4 | 88 | 5 |") == [("no_words", False)]
    assert findings(*["| 17 | 3 | 912 | 4 | 88 | 5 |" * 40] * 40) == [("no_words", False)]


def spoiled(text):
    return text.encode().decode("cp1252", "replace")


@pytest.mark.parametrize(
    ("text", "code", "fatal"),
    [
        (spoiled(ANÉ) * 20, "mojibake", False),
        (spoiled("It’s “fine” – really, isn’t it? ") * 20, "mojibake", False),
        ((WORDS + "caf\ufffd, a\ufffdo. ") * 20, "mojibake", False),
        ((WORDS * 2 + "(cid:23)") * 20, "mojibake", False),
        ((WORDS + "\ue012\ue013\ue014\ue015") * 20, "mojibake", False),
        (spoiled("библиотека открыта каждый день") * 20, "garbled", True),
        ("библиотека открыта каждый день. ".encode().decode("latin-1") * 20, "garbled", True),
        ("библиотека открыта каждый день. ".encode("cp1251").decode("latin-1") * 20, "garbled", True),
        ("βιβλιοθήκη είναι ανοιχτή κάθε ημέρα. ".encode("cp1253").decode("latin-1") * 20, "garbled", True),
        ("図書館は午前九時に開館し。".encode().decode("latin-1") * 20, "garbled", True),
        ("图书馆上午九点开门。".encode().decode("latin-1") * 20, "garbled", True),
        ("도서관은 아침에 문을 엽니다. ".encode().decode("latin-1") * 20, "garbled", True),
        ("הספרייה פתוחה בבוקר. ".encode().decode("latin-1") * 20, "garbled", True),
        ("ห้องสมุดเปิดเช้า ".encode().decode("latin-1") * 20, "garbled", True),
        ("पुस्तकालय सुबह खुलता है। ".encode().decode("latin-1") * 20, "garbled", True),
        ((WORDS * 2 + "図書館".encode().decode("latin-1")) * 20, "mojibake", False),
        ((WORDS * 2 + "Привет мир".encode("cp1251").decode("latin-1")) * 20, "mojibake", False),
        ((WORDS * 2 + "😀".encode().decode("cp1252", "replace")) * 20, "mojibake", False),
        ("(cid:12)(cid:7)(cid:190) (cid:33)" * 50, "garbled", True),
        ("\ue012\ue013 \ue014\ue015\ue016 text" * 50, "garbled", True),
        ("\ufffd\ufffd\ufffd words" * 50, "garbled", True),
    ],
)
def test_damaged_letters_are_named(text, code, fatal):
    assert findings(text) == [(code, fatal)]


def test_little_text_in_a_large_file_needs_attention(tmp_path):
    large, small = save(tmp_path, "a", bytes(300_000)), save(tmp_path, "b", bytes(3000))
    assert findings("A caption.", path=str(large)) == [("little_text", False)]
    assert findings("A caption.", path=str(small)) == []
    assert findings(WORDS * 5, path=str(large)) == []
    assert findings("A caption.", path=str(tmp_path)) == []


def test_a_saved_page_that_asks_for_a_human_needs_attention():
    wall = "Just a moment...\n\nVerify you are human by completing the action below."
    assert findings(wall, name="page.html") == [("bot_wall", False)]
    assert findings(wall, name="notes.txt") == []
    assert findings(WORDS * 9, name="page.html") == []


# -- Pages ------------------------------------------------------------------------------------------


def test_pages_that_hold_numbers_only_fail():
    assert about("1", "", "3", "4") == [("no_text", True)]
    assert about("Page 1 of 2", "Page 2 of 2") == [("no_text", True)]


@pytest.mark.parametrize(
    "pages",
    [
        ["i", "ii", "", "iv"],
        ["xlviii", "xlix", "l"],
        ["45", "46"],
        ["Page 1 of 2", "Page 2 of 2"],
        ["- 1 -", "![](\ue0000123456789abcdef\ue000) 2"],
    ],
)
def test_numbers_of_pages_count_them(pages):
    assert about(*pages) == [("no_text", True)]


@pytest.mark.parametrize(
    "pages", [["1"], ["1001 1002", "1003 1004"], ["10 20", "11 21"], ["17", "4"], ["12/05/2024"], ["I am", "ii"]]
)
def test_other_numbers_do_not_fail(pages):
    assert about(*pages) == []


@pytest.mark.parametrize(
    "pages", [["第1页", "第2页"], ["Стр. 1", "", "Стр. 3"], ["Blz. 7", "Blz. 8"], ["Strona 1 z 2", "Strona 2 z 2"]]
)
def test_page_numbers_with_words_of_any_language_need_attention(pages):
    assert about(*pages) == [("no_words", False)]
    assert about(*pages * 2, scanned=range(1, len(pages) * 2 + 1)) == [("mostly_scanned", False)]
    assert about(*[f"{page} {WORDS}" for page in pages]) == []


@pytest.mark.parametrize(
    "pages",
    [
        ["图书馆概况", "", "开放时间与规定", "借阅", "谢谢"],
        ["Agenda", "Q&A", "Thanks", "Break"],
        ["So much depends", "upon", "a red wheel", "barrow"],
        ["Rent 800\nFood 90", "Rent 750\nFood 80", "Rent 700\nFood 85"],
    ],
)
def test_short_pages_without_pictures_are_not_called_scanned(pages):
    assert about(*pages) == []


def test_pages_are_called_what_they_are():
    slides = Document.of_pages(["A", "", "", ""], [2, 3, 4], unit="slide")
    assert judge_pages(slides)[0].message.startswith("Only 1 of 4 slides hold")


def test_what_stands_on_most_pages_is_not_what_a_page_says():
    stamp = "This content downloaded from 128.32.10.1 on Tue, 05 Jan 2021 12:30 UTC"
    pages = [f"{stamp}\n{WORDS}\nPage 1 of 3", f"{stamp}\nPage 2 of 3", f"{stamp}\n1 2 3 4\nPage 3 of 3"]
    assert own_texts(pages) == [WORDS, "", "1 2 3 4"]
    assert own_texts(pages[:2]) == pages[:2]
    assert own_texts([WORDS, WORDS, "a", "b", "c"])[0] == WORDS


def test_mostly_empty_pages_need_attention():
    assert about(WORDS, "2", "", "4", "5") == [("mostly_scanned", False)]
    assert about(WORDS, WORDS, "", "") == []
    assert about(WORDS, "") == []


def test_pictures_of_pages_need_attention():
    assert about(*[WORDS] * 9, "", scanned=[10]) == [("scanned_pages", False)]
    assert about(*[WORDS] * 19, "", scanned=[20]) == []
    one_of_many = Document.of_pages([*[WORDS] * 19, ""], [20], covered=[20])
    assert [finding.message for finding in judge_pages(one_of_many)] == [
        "1 of 20 pages are pictures without text (page 20)."
    ]
    (finding,) = judge_pages(Document.of_pages([*[WORDS] * 9, ""], [10]))
    assert "(page 10)" in finding.message
    assert "OCR" in finding.hint


def test_unpaged_and_empty_documents_are_not_judged():
    assert judge_pages(Document(("1",))) == []
    assert about("", "") == []


def test_a_footer_says_nothing():
    assert not says_something("Page 12 of 300")
    assert not says_something("![](\ue0000123456789abcdef\ue000) 5")
    assert says_something(WORDS)


def test_numbers_are_told_as_ranges():
    assert number_ranges([3, 5, 6, 7]) == "3, 5–7"
    assert number_ranges(range(1, 40, 2)).endswith("17, 19, …")


# -- In the host ------------------------------------------------------------------------------------


@pytest.fixture
def host(start_host):
    return start_host(modules=("bad", "plugins.markitdown_ingest", "plugins.simple_ingest"))


def run(host, request):
    return [report for report in host.run(request) if report is not None]


def test_the_gate_asks_every_plugin_and_tells_diary_and_statistics(host, request_for, tmp_path):
    (tmp_path / "source.txt").write_text(spoiled(ANÉ) * 3)
    reports = run(host, request_for("words"))
    (warned,) = [report for report in reports if isinstance(report, Warned)]
    assert warned.data["code"] == "mojibake"
    assert "UTF-8" in warned.data["hint"]
    (entry,) = reports[-1].stats["needs_attention"]
    assert entry == {"code": "mojibake", "message": warned.message, "hint": warned.data["hint"]}
    assert Stats(reports[-1].stats) in reports


def test_worthless_text_fails_the_run_and_leaves_the_host_usable(host, request_for, tmp_path):
    source = tmp_path / "source.txt"
    source.write_text("1001\n1002\n1003\n")
    entry = run(host, request_for("words", run="0"))[-1].stats["needs_attention"][0]
    assert entry["code"] == "no_words"
    source.write_text("... ...")
    with pytest.raises(PluginError) as caught:
        run(host, request_for("words"))
    assert (caught.value.code, bool(caught.value.hint)) == ("no_text", True)
    source.write_text(WORDS)
    (done,) = [report for report in run(host, request_for("words", run="2")) if isinstance(report, Done)]
    assert "needs_attention" not in done.stats


def test_what_the_plugin_found_about_pages_stays(host, request_for, tmp_path):
    pages = [spoiled(ANÉ)[:80].encode("latin-1", "replace").decode("latin-1"), "", "", ""]
    path = save(tmp_path, "a.pdf", pdf(pages))
    request = request_for("markitdown_ingest")
    reports = run(host, type(request)(**{**request.__dict__, "path": str(path)}))
    assert [entry["code"] for entry in reports[-1].stats["needs_attention"]] == ["mostly_scanned", "mojibake"]


def test_the_gate_costs_next_to_nothing():
    texts = [(ANÉ * 9)[:800], (WORDS * 20)[:800]]
    gate, began = TextGate(), time.perf_counter()
    for _ in range(50_000):
        gate.see(texts[0])
        gate.see(texts[1])
    assert (time.perf_counter() - began) / 100_000 < 10e-6  # about half a millionth of a second on a quiet machine


def scan(pages, pictures):
    """A PDF whose pictures cover their pages."""
    data = pdf(pages, pictures=dict.fromkeys(pictures, image(1, "JPEG")))
    return data.replace(b"q 200 0 0 200 72 300 cm", b"q 600 0 0 700 09 009 cm")


def test_stamps_of_scanners_hide_no_scan(tmp_path):
    path = save(tmp_path, "a.pdf", scan(["Scanned with CamScanner"] * 12, range(1, 13)))
    stats = {}
    list(MarkItDownIngest().ingest(str(path), stats_callback=stats.update))
    (entry,) = stats["needs_attention"]
    assert entry["code"] == "mostly_scanned"
    assert entry["message"].startswith("Only 0 of 12 pages")


def test_logos_are_no_scans(tmp_path):
    path = save(tmp_path, "a.pdf", pdf([WORDS, "Part one", WORDS], pictures={2: image(1, "JPEG")}))
    stats = {}
    list(MarkItDownIngest().ingest(str(path), stats_callback=stats.update))
    assert "needs_attention" not in stats


def test_a_scanned_document_is_told_about(tmp_path):
    warned, stats = [], {}
    path = save(tmp_path, "a.pdf", scan([WORDS, WORDS, ""], [3]))
    list(
        MarkItDownIngest().ingest(str(path), warning_callback=lambda *w: warned.append(w), stats_callback=stats.update)
    )
    assert [data["code"] for _, data in warned] == ["scanned_pages"]
    assert [entry["code"] for entry in stats["needs_attention"]] == ["scanned_pages"]
