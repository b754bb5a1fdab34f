"""CSV files and workbooks as Markdown tables, row by row."""

import csv
import datetime
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from itertools import chain, islice, zip_longest
from typing import Any, BinaryIO

from plugins.base import PluginError
from plugins.documents.archives import open_zip
from plugins.normalise import counted

_SNIFFED = 16_384
_BLOCK_BYTES = 256 * 1024
_LONGEST_FIELD = 10_000_000
_TOLD_ROWS = 2000
_DECIMAL_COMMA = re.compile(r"[-+]?\d[\d.]*,\d+")
_LOOKED_AHEAD = 50  # rows
_MOST_COLUMNS = 100  # a single cell at the edge of a sheet would bring 16,000 blank ones along in each row
_DELIMITERS = ",;\t|"


def csv_markdown(blocks: Iterable[str]) -> Iterator[str]:
    """A CSV file as one table, in blocks of text. The delimiter is found out: spreadsheets write ``;`` in much of the
    world.

    :raises PluginError: ``corrupt`` when a field is longer than memory should hold
    """
    csv.field_size_limit(_LONGEST_FIELD)
    stream = iter(blocks)
    first = next(stream, "")
    lines, delimiter = _Lines(chain([first], stream)), _delimiter(first[:_SNIFFED])
    rows = csv.reader(lines, delimiter=delimiter)
    try:
        for batch in batched(table_lines(_unglued(rows, lines, delimiter))):
            yield "\n".join(batch) + "\n"
    except csv.Error as error:
        raise PluginError(
            "corrupt",
            f"Near line {rows.line_num} of the CSV file a field does not end.",
            hint="Look there for a quotation mark that is not closed.",
        ) from error


class _Lines:
    """Lines with their ends. A quoted field may hold line ends; the reader puts them together again."""

    def __init__(self, blocks: Iterable[str]) -> None:
        self.ended = False
        self._lines = self._of(blocks)

    def __iter__(self) -> Iterator[str]:
        return self._lines

    def _of(self, blocks: Iterable[str]) -> Iterator[str]:
        rest = ""
        for block in blocks:
            lines = (rest + block).split("\n")
            rest = lines.pop()
            for line in lines:
                yield line + "\n"
            if len(rest) > _LONGEST_FIELD:
                yield rest
                rest = ""
        if rest:
            yield rest
        self.ended = True


def _unglued(rows: Iterable[list[str]], lines: _Lines, delimiter: str) -> Iterator[list[str]]:
    """The rows; one that only the end of the file has ended holds all lines after a quotation mark that is not closed.

    Such lines are read as if the mark were not there.
    """
    for row in rows:
        if lines.ended and row and "\n" in row[-1]:
            last, *more = row[-1].rstrip("\n").split("\n")
            yield [*row[:-1], last]
            yield from csv.reader(more, delimiter=delimiter, quoting=csv.QUOTE_NONE)
        else:
            yield row


def batched(lines: Iterable[str]) -> Iterator[list[str]]:
    """Lines by the thousand, as what follows takes them faster."""
    source = iter(lines)
    while batch := list(islice(source, 1000)):
        yield batch


def _delimiter(sample: str) -> str:
    """The candidate that cuts the most of the first lines into equally many columns."""
    lines = sample.splitlines()[:20]

    def score(delimiter: str) -> tuple[bool, float, bool, int]:
        rows = [row for row in csv.reader(lines, delimiter=delimiter) if row]
        whole = rows[:-1] or rows
        width, count = next(iter(Counter(map(len, whole)).most_common(1)), (0, 0))
        # "1,5;2,5" is cut into equally many columns by its decimal commas as well
        decimal = any(_DECIMAL_COMMA.fullmatch(cell.strip()) for row in whole for cell in row)
        return (True, count / len(whole), decimal, width) if width > 1 else (False, 0, False, 0)

    return max(_DELIMITERS, key=score)


def workbook_markdown(stream: BinaryIO, tell: Callable[[str], None], warn: Callable[[str, Any], None]) -> str:
    """An Excel workbook (xlsx), each sheet a heading and a table; formulas as the values last computed.

    Read row by row: the usual way through data frames and HTML needs a hundred times the file's size in memory.
    Programs other than spreadsheets write formulas without values; those are shown as they are.
    """
    from openpyxl import load_workbook

    missing = _without_value(stream)
    books = [load_workbook(stream, read_only=True, data_only=True)]
    if missing:
        books.append(load_workbook(stream, read_only=True))
        warn(
            f"The workbook holds no values for {counted(missing, 'formula')}, so the formulas are shown instead.",
            {"code": "no_values", "hint": "Open the workbook in a spreadsheet program, save it and upload it again."},
        )
    try:
        parts = []
        for sheets in zip(*(book.worksheets for book in books), strict=True):
            for sheet in sheets:
                sheet.reset_dimensions()  # what the file says about its size is often wrong
            lines = list(table_lines(_rows(sheets, tell)))
            if lines:
                parts.append(f"## {sheets[0].title}\n\n" + "\n".join(lines))
        return "\n\n".join(parts)
    finally:
        for book in books:
            book.close()


# A cell with a formula and without a value. Text of no length (t="str") is a value too.
_NO_VALUE = re.compile(rb"""<c\b(?![^<>]{0,200}\bt="str")[^<>]{0,200}>\s{0,9}<f\b[^<>]{0,200}
    (?:/>|>[^<]{0,9000}</f>)\s{0,9}(?:<v\s?/>|<v></v>)?\s{0,9}</c>""", re.VERBOSE)  # fmt: skip


def _without_value(stream: BinaryIO) -> int:
    """How many formulas of a workbook have no value."""
    count = 0
    with open_zip(stream, "workbook") as archive:
        for member in archive.infolist():
            if member.filename.startswith("xl/worksheets/") and member.filename.endswith(".xml"):
                rest = b""
                with archive.open(member) as sheet:
                    while block := sheet.read(_BLOCK_BYTES):
                        whole, end, cut = (rest + block).rpartition(b"</c>")
                        count += len(_NO_VALUE.findall(whole + end))
                        rest = cut[-_BLOCK_BYTES:]
    stream.seek(0)
    return count


def _rows(sheets: tuple[Any, ...], tell: Callable[[str], None]) -> Iterator[list[str]]:
    """The rows of a sheet; of a second reading of it what the first has no value for."""
    first, *more = (sheet.iter_rows(values_only=True) for sheet in sheets)
    for number, row in enumerate(first):
        if number % _TOLD_ROWS == 0:
            tell(f"Converting the sheet {sheets[0].title}: {number:,} rows so far...")
        for formulas in (next(rows, ()) for rows in more):
            row = [one if value is None else value for value, one in zip_longest(row, formulas)]
        yield [cell_text(value) for value in row]


def table_lines(rows: Iterable[Iterable[str]]) -> Iterator[str]:
    """The lines of a Markdown table; the first row that is not blank is its head.

    Markdown drops cells beyond the head's, so the head is as wide as the widest row near it: above many tables stands
    a title of one cell. Short rows stay short: filled up they may be thousands of times longer than they were.
    """
    filled = (cells for row in rows if (cells := _cells(row)))
    first = list(islice(filled, _LOOKED_AHEAD))
    if not first:
        return
    width = max(map(len, first))
    head = first[0]
    yield _line(head + [""] * (width - len(head)))
    yield _line(["---"] * width)
    yield from map(_line, chain(first[1:], filled))


def _cells(row: Iterable[str]) -> list[str]:
    """The cells of a row up to the last one that is not blank; far to the right, blank ones are left out."""
    cells = [_escaped(cell) for cell in row]
    if len(cells) > _MOST_COLUMNS:
        cells[_MOST_COLUMNS:] = filter(None, cells[_MOST_COLUMNS:])
    while cells and not cells[-1]:
        cells.pop()
    return cells


def _line(cells: list[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _escaped(cell: str) -> str:
    return " ".join(cell.replace("\\", "\\\\").replace("|", "\\|").split())


def cell_text(value: Any) -> str:
    if value is None:
        return ""
    value = getattr(value, "text", value)  # a formula over many cells
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    if isinstance(value, datetime.datetime):
        return value.date().isoformat() if value.time() == datetime.time() else value.isoformat(" ", "seconds")
    return str(value)
