"""Reading text of any common encoding as a stream of ``str`` blocks, so that memory stays bounded."""

import codecs
import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from charset_normalizer import from_bytes

from plugins.base import PluginError

BLOCK_BYTES = 256 * 1024
SAMPLE_BYTES = 32 * 1024

_BOMS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_BINARY_KINDS = (
    (b"%PDF-", "a PDF"),
    (b"PK\x03\x04", "an archive or office document"),
    (b"\xd0\xcf\x11\xe0", "an old office document"),
    (b"\x89PNG", "a picture"),
    (b"\xff\xd8\xff", "a picture"),
    (b"GIF8", "a picture"),
    (b"\x1f\x8b", "compressed data"),
    (b"\x7fELF", "a program"),
)
# What detectors report, and the superset that real files use.
_SUPERSETS = {
    "ascii": "utf-8",
    "latin_1": "cp1252",
    "shift_jis": "cp932",
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "euc_kr": "cp949",
    "big5": "cp950",
}
_DECLARED = re.compile(rb"""(?:charset|encoding)\s*=\s*["']?\s*([A-Za-z0-9_.:-]{2,40})""")


def read_text(path: str | Path, *, declared: bool = False) -> Iterator[str]:
    """Yield the text of a file in blocks, with every kind of line end as ``\\n``.

    :param declared: heed the encoding that HTML and XML name in their first lines
    :raises PluginError: ``not_text`` for binary data, ``no_text`` when there is nothing but white space
    """
    with Path(path).open("rb") as file:
        yield from read_stream(file, declared=declared)


def decode(data: bytes, *, declared: bool = False) -> str:
    """The text of *data*; see :func:`read_text`."""
    return "".join(read_stream(io.BytesIO(data), declared=declared))


def read_stream(file: BinaryIO, *, declared: bool = False) -> Iterator[str]:
    """Like :func:`read_text`, for a seekable binary stream."""
    encoding = detect_encoding(file, declared=declared)
    file.seek(0)
    # Whole files were found to be UTF-8; other encodings were judged by a sample, so one odd byte far behind it
    # must not lose the rest.
    decoder = io.IncrementalNewlineDecoder(codecs.getincrementaldecoder(encoding)("replace"), translate=True)
    blank = True
    while data := file.read(BLOCK_BYTES):
        if text := decoder.decode(data):
            blank = blank and not text.strip("\0 \t\n\f\v\ufeff\xa0")
            yield text
    if text := decoder.decode(b"", final=True):
        blank = blank and text.isspace()
        yield text
    if blank:
        raise PluginError("no_text", "The file holds no text.", hint="Check that the right file was uploaded.")


def detect_encoding(file: BinaryIO, *, declared: bool = False) -> str:
    """Name the encoding of a seekable stream: byte order mark, UTF-8, what it declares, UTF-16, then a good guess.

    :raises PluginError: ``not_text`` for binary data
    """
    file.seek(0)
    head = file.read(SAMPLE_BYTES)
    for mark, encoding in _BOMS:
        if head.startswith(mark):
            return encoding
    if wide := _utf16_without_mark(head):
        return wide
    _refuse_binary(head)
    wrong = _first_invalid_utf8(file)
    if wrong is None:
        return "utf-8"
    named = _declared_encoding(head) if declared else None
    return named or _guess(_sample_around(file, wrong))


def _utf16_without_mark(head: bytes) -> str | None:
    """ASCII-heavy UTF-16 has a zero in every second byte, always on the same side."""
    even, odd = head[0::2].count(0), head[1::2].count(0)
    half = max(len(head) // 2, 1)
    if odd > half * 0.4 and even < half * 0.05:
        return "utf-16-le"
    if even > half * 0.4 and odd < half * 0.05:
        return "utf-16-be"
    return None


_CONTROLS = bytes(set(range(32)) - set(b"\t\n\r\f\v\b\x1a\x1b")) + b"\x7f"


def _refuse_binary(head: bytes) -> None:
    kind = next((name for magic, name in _BINARY_KINDS if head.startswith(magic)), "")
    controls = len(head) - len(head.translate(None, _CONTROLS))
    if kind or controls > max(len(head) // 100, 1):
        raise PluginError(
            "not_text",
            f"The file is not text: it looks like {kind}." if kind else "The file is not text but binary data.",
            hint="Upload it with its own extension, or choose a plugin that reads this kind of file.",
        )


def _first_invalid_utf8(file: BinaryIO) -> int | None:
    """Where the stream stops being UTF-8 (byte offset), or None. One pass at about 1 GB/s."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    file.seek(0)
    offset = 0
    while True:
        data = file.read(BLOCK_BYTES)
        pending = len(decoder.getstate()[0])
        try:
            decoder.decode(data, final=not data)
        except UnicodeDecodeError as error:
            return max(offset - pending + error.start, 0)
        if not data:
            return None
        offset += len(data)


def _declared_encoding(head: bytes) -> str | None:
    """The encoding named by ``<meta charset=…>`` or ``<?xml encoding=…?>``."""
    if found := _DECLARED.search(head[:4096]):
        try:
            name = codecs.lookup(found[1].decode("ascii")).name
        except LookupError:
            return None
        name = _SUPERSETS.get(name.replace("-", "_").replace("iso8859_1", "latin_1"), name)
        # "utf-8" is known to be wrong here, and codecs such as rot13 or hex do not decode to text
        if name not in {"utf-8", "utf-16", "utf-32"} and codecs.lookup(name)._is_text_encoding:
            return name
    return None


def _sample_around(file: BinaryIO, offset: int) -> bytes:
    """Bytes around *offset*, from the start of a line so that no character is cut."""
    start = max(offset - SAMPLE_BYTES // 4, 0)
    file.seek(start)
    sample = file.read(SAMPLE_BYTES)
    if start:
        sample = sample[sample.find(b"\n", 0, offset - start) + 1 :]
    last = sample.rfind(b"\n")
    return sample[: last + 1] if last > offset - start and len(sample) > SAMPLE_BYTES // 2 else sample


def _guess(sample: bytes) -> str:
    if _mostly_utf8(sample):
        return "utf-8"
    if _western(sample):
        return "cp1252"
    best = from_bytes(sample).best()
    if best is None:
        return "cp1250" if _central_european(sample) else "cp1252"
    return _SUPERSETS.get(best.encoding, best.encoding)


def _mostly_utf8(sample: bytes) -> bool:
    """UTF-8 with a few damaged bytes is read as such."""
    text = sample.decode("utf-8", "replace")
    bad = text.count("\ufffd")
    return bad * 10 < sum(char > "\x7f" for char in text) - bad


_WESTERN = frozenset(
    "áéíóúàèìòùâêîôûäëïöüãõñåæøœçßÿýðþÁÉÍÓÚÀÈÌÒÙÂÊÎÔÛÄËÏÖÜÃÕÑÅÆØŒÇÝÐÞŸ¿¡ºª«»°§²³µ·€£©®™¹½¼¾×±–—‘’“”„•…\xa0´"
)


def _central_european(sample: bytes) -> bool:
    text = sample.decode("cp1250", "replace")
    return all(char.isalpha() or char in _WESTERN for char in text if char > "\x7f")


# Three accents in a row, a symbol or a capital inside a word: signs of another alphabet.
_UNLIKELY_WESTERN = re.compile(r"[^\W\d_a-zA-Z]{3}|[^\W\d_][¿¡¹²³°±´¼½¾][^\W\d_]|[a-zß-öø-ÿ][ÁÉÍÓÚÀÈÌÒÙŠŽŸÐÞ¿¡]")


def _western(sample: bytes) -> bool:
    """Tell Windows-1252 from what only looks like it: single accents among plain letters, no runs of them.

    š and ž count as foreign: Czech and Croatian have them at the same place in cp1250. Detectors call short Spanish
    or French texts cp1250 or worse, since most of their letters agree.
    """
    try:
        text = sample.decode("cp1252")
    except UnicodeDecodeError:
        return False
    foreign = [char for char in text if char > "\x7f"]
    if any(char not in _WESTERN for char in foreign):
        return False
    letters = sum(char.isalpha() for char in text)
    accents = sum(char.isalpha() for char in foreign)
    return accents <= letters * 0.3 and not _UNLIKELY_WESTERN.search(text)
