"""CSV files and workbooks as Markdown tables, row by row."""

import csv
import datetime
import io
from collections.abc import Iterable, Iterator
from typing import Any, BinaryIO

_SNIFFED = 16_384
_DELIMITERS = ",;\t|"


def csv_markdown(text: str) -> str:
    """A CSV file as one table. The delimiter is found out: spreadsheets write ``;`` in much of the world."""
    csv.field_size_limit(10_000_000)
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=_delimiter(text[:_SNIFFED]))
    return "\n".join(table_lines(rows))


def _delimiter(sample: str) -> str:
    """The candidate that cuts the first lines into the most columns, each line into equally many."""

    def score(delimiter: str) -> tuple[bool, int]:
        rows = [row for row in csv.reader(sample.splitlines()[:20], delimiter=delimiter) if row]
        widths = {len(row) for row in rows[:-1] or rows}
        return len(widths) == 1, min(widths, default=0)

    return max(_DELIMITERS, key=score)


def workbook_markdown(stream: BinaryIO) -> str:
    """An Excel workbook (xlsx), each sheet a heading and a table; formulas as the values last computed.

    Read row by row: the usual way through data frames and HTML needs a hundred times the file's size in memory.
    """
    from openpyxl import load_workbook

    workbook = load_workbook(stream, read_only=True, data_only=True)
    try:
        parts = []
        for sheet in workbook.worksheets:
            sheet.reset_dimensions()  # what the file says about its size is often wrong
            lines = list(table_lines([_cell(value) for value in row] for row in sheet.iter_rows(values_only=True)))
            if lines:
                parts.append(f"## {sheet.title}\n\n" + "\n".join(lines))
        return "\n\n".join(parts)
    finally:
        workbook.close()


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


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    if isinstance(value, datetime.datetime):
        return value.date().isoformat() if value.time() == datetime.time() else value.isoformat(" ", "seconds")
    return str(value)
