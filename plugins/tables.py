"""CSV files and workbooks as Markdown tables, row by row."""

import csv
import datetime
from collections.abc import Callable, Iterable, Iterator
from itertools import chain, islice
from typing import Any, BinaryIO

from plugins.base import PluginError

_SNIFFED = 16_384
_LONGEST_FIELD = 10_000_000
_TOLD_ROWS = 2000
_DELIMITERS = ",;\t|"


def csv_markdown(blocks: Iterable[str]) -> Iterator[str]:
    """A CSV file as one table, in blocks of text. The delimiter is found out: spreadsheets write ``;`` in much of the
    world.

    :raises PluginError: ``corrupt`` when a quotation mark is never closed
    """
    csv.field_size_limit(_LONGEST_FIELD)
    stream = iter(blocks)
    first = next(stream, "")
    rows = csv.reader(_lines(chain([first], stream)), delimiter=_delimiter(first[:_SNIFFED]))
    try:
        for lines in batched(table_lines(rows)):
            yield "\n".join(lines) + "\n"
    except csv.Error as error:
        raise PluginError(
            "corrupt",
            f"Near line {rows.line_num} of the CSV file a field does not end.",
            hint="Look there for a quotation mark that is not closed.",
        ) from error


def _lines(blocks: Iterable[str]) -> Iterator[str]:
    """Lines with their ends. A quoted field may hold line ends; the reader puts them together again."""
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


def batched(lines: Iterable[str]) -> Iterator[list[str]]:
    """Lines by the thousand, as what follows takes them faster."""
    source = iter(lines)
    while batch := list(islice(source, 1000)):
        yield batch


def _delimiter(sample: str) -> str:
    """The candidate that cuts the first lines into the most columns, each line into equally many."""

    def score(delimiter: str) -> tuple[bool, int]:
        rows = [row for row in csv.reader(sample.splitlines()[:20], delimiter=delimiter) if row]
        widths = {len(row) for row in rows[:-1] or rows}
        return len(widths) == 1, min(widths, default=0)

    return max(_DELIMITERS, key=score)


def workbook_markdown(stream: BinaryIO, tell: Callable[[str], None]) -> str:
    """An Excel workbook (xlsx), each sheet a heading and a table; formulas as the values last computed.

    Read row by row: the usual way through data frames and HTML needs a hundred times the file's size in memory.
    """
    from openpyxl import load_workbook

    workbook = load_workbook(stream, read_only=True, data_only=True)
    try:
        parts = []
        for sheet in workbook.worksheets:
            sheet.reset_dimensions()  # what the file says about its size is often wrong
            lines = list(table_lines(_rows(sheet, tell)))
            if lines:
                parts.append(f"## {sheet.title}\n\n" + "\n".join(lines))
        return "\n\n".join(parts)
    finally:
        workbook.close()


def _rows(sheet: Any, tell: Callable[[str], None]) -> Iterator[list[str]]:
    for number, row in enumerate(sheet.iter_rows(values_only=True)):
        if number % _TOLD_ROWS == 0:
            tell(f"Converting the sheet {sheet.title}: {number:,} rows so far...")
        yield [cell_text(value) for value in row]


def table_lines(rows: Iterable[Iterable[str]]) -> Iterator[str]:
    """The lines of a Markdown table; the first row that is not blank is its head."""
    width = 0
    for row in rows:
        cells = [_escaped(cell) for cell in row]
        while cells and not cells[-1]:
            cells.pop()
        if not cells:
            continue
        if not width:
            width = len(cells)
            yield _line(cells)
            yield _line(["---"] * width)
        else:
            yield _line(cells + [""] * (width - len(cells)))


def _line(cells: list[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _escaped(cell: str) -> str:
    return " ".join(cell.replace("\\", "\\\\").replace("|", "\\|").split())


def cell_text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    if isinstance(value, datetime.datetime):
        return value.date().isoformat() if value.time() == datetime.time() else value.isoformat(" ", "seconds")
    return str(value)
