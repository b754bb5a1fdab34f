"""Text files as people have them: every encoding, cut at every byte, and files that are no text at all."""

import io
import os
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import plugins.text
from plugins.base import PluginError
from plugins.text import BLOCK_BYTES, decode, detect_encoding, read_stream, read_text

SPANISH = "El año pasado, la niña pequeña preguntó: ¿qué pasó con el camión?\n"
FRENCH = "L’élève a reçu une lettre où l’on s’excuse déjà — ça alors…\n"
GERMAN = "Über den Wäldern schließt die Öffnung größerer Übel.\n"
RUSSIAN = "Привет, как дела? Это простой текст для проверки кодировки.\n"
JAPANESE = "名前,年齢,住所\n佐藤太郎,30,東京\n三木英子,25,大阪\n"
CHINESE = "知识库服务器把文件变成可以搜索的集合,并显示每一步。\n"
POLISH = "Zażółć gęślą jaźń, łódź płynie przez źródła i święta.\n"
CZECH = "Dnes je hezký den a všichni žáci šli do školy. Učitelka četla příběh o řece a lesích.\n"

CASES = [
    (SPANISH, "utf-8"),
    (SPANISH, "utf-8-sig"),
    (SPANISH, "utf-16"),
    (SPANISH, "utf-16-le"),
    (SPANISH, "utf-16-be"),
    (SPANISH, "utf-32"),
    (SPANISH, "cp1252"),
    (SPANISH, "latin-1"),
    (FRENCH, "cp1252"),
    (GERMAN, "cp1252"),
    (RUSSIAN, "cp1251"),
    (RUSSIAN, "utf-8"),
    (JAPANESE, "cp932"),
    (JAPANESE, "euc_jp"),
    (JAPANESE, "utf-8"),
    (CHINESE * 3, "gb18030"),
    (CHINESE, "utf-16"),
    (POLISH * 4, "cp1250"),
    (CZECH * 3, "cp1250"),
]


@pytest.mark.parametrize(("text", "encoding"), CASES)
def test_common_encodings_are_read_as_they_were_written(tmp_path, text, encoding):
    file = tmp_path / "file.txt"
    file.write_bytes(text.encode(encoding))
    assert "".join(read_text(file)) == text


def test_one_foreign_byte_far_behind_the_sample_is_noticed(tmp_path):
    text = "plain words " * 100_000 + SPANISH
    assert decode(text.encode("cp1252")) == text


def test_damaged_utf8_stays_utf8():
    data = (JAPANESE * 20).encode() + b"\xff\n" + SPANISH.encode()
    assert decode(data) == JAPANESE * 20 + "\ufffd\n" + SPANISH


@settings(max_examples=60, deadline=None)
@given(
    text=st.text(st.sampled_from("aé日😀\n"), min_size=1, max_size=80).filter(lambda t: t.strip()),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
    block=st.integers(1, 7),
)
def test_a_character_across_a_block_border_is_right(text, encoding, block):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plugins.text, "BLOCK_BYTES", block)
        assert "".join(read_stream(io.BytesIO(text.encode(encoding)))) == text


def test_a_character_across_the_real_block_border_is_right():
    text = "a" * (BLOCK_BYTES - 1) + "日本" * 10
    assert decode(text.encode()) == text


@pytest.mark.parametrize("end", ["\r\n", "\r", "\n"])
def test_line_ends_become_newlines(end):
    assert decode(f"one{end}two{end}".encode()) == "one\ntwo\n"


def test_html_may_name_its_own_encoding():
    page = f'<meta charset="windows-1251"><p>{RUSSIAN[:6]}</p>'
    assert RUSSIAN[:6] in decode(page.encode("cp1251"), declared=True)
    assert decode(b"<meta charset=rot13><p>a\xf1o</p>", declared=True).endswith("año</p>")
    assert decode(f"<meta charset=latin-1>{SPANISH}".encode(), declared=True).endswith(SPANISH)


@pytest.mark.parametrize(
    "data",
    [
        random.Random(1).randbytes(1024),
        b"\x89PNG\r\n\x1a\n" + bytes(100),
        b"%PDF-1.7\n%plain so far",
        b"PK\x03\x04 and so on",
        b"MZ" + bytes(500),
        os.urandom(4096) + b"text " * 10,
    ],
)
def test_binary_data_is_not_text(data):
    with pytest.raises(PluginError) as caught:
        decode(data)
    assert caught.value.code == "not_text"
    assert caught.value.hint


@pytest.mark.parametrize("data", [b"", b"  \n\t\r\n", b"\xef\xbb\xbf", "\ufeff \n".encode("utf-16-le"), b"\xff\xfe"])
def test_blank_files_hold_no_text(data):
    with pytest.raises(PluginError) as caught:
        decode(data)
    assert caught.value.code == "no_text"


def test_detection_reads_a_bounded_sample_of_long_files(tmp_path):
    file = tmp_path / "long.txt"
    file.write_bytes(("x" * 200 + "\n").encode() * 50_000 + SPANISH.encode("cp1252"))
    with file.open("rb") as stream:
        assert detect_encoding(stream) == "cp1252"
