"""Cells of an HTML table in the columns of Markdown, which knows no spans.

A cell that spans columns or rows stands in each of them again: a row then says what it is about also where it is read
alone, as the first of a chunk may be. What spans add is bounded by what the table holds, whatever they claim:
values of more than ``LONGEST_REPEATED`` characters leave blanks, and so do all when repeating has made the table
``MOST_GROWTH`` times longer; at last spans are ignored.
"""

import re
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

LONGEST_REPEATED = 200  # characters; longer ones are descriptions, not what a row is called
MOST_GROWTH = 10
_ENDLESS = 65_534  # rows; the most that HTML knows
_WIDEST = 1000  # columns; likewise
_FRAME = 3  # characters around the value of a cell


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell, and how many columns and rows it claims; its text is one line."""

    text: str
    columns: int = 1
    rows: int = 1


@dataclass(frozen=True, slots=True)
class Row:
    """The cells of a row, and in which group of rows (head, body, foot) it is: no cell reaches out of its group."""

    cells: Sequence[Cell]
    group: int = 0


def cell(text: str, colspan: str, rowspan: str) -> Cell:
    """A cell with its spans as they are written in HTML; those that are no numbers are 1."""
    rows = _number(rowspan)
    return Cell(text, min(_number(colspan) or 1, _WIDEST), _ENDLESS if rows == 0 else min(rows, _ENDLESS))


def _number(span: str) -> int:
    found = re.match(r"\s*\+?(\d{1,9})", span, re.ASCII)
    return int(found[1]) if found else 1


def aligned(rows: Sequence[Row]) -> list[list[str]]:
    """The values of each row that has any, each in its column; rows may end early.

    Columns in which no cell begins are left out: they come of spans that are wider than the table.
    """
    return _Grid(rows).values()


@dataclass(frozen=True, slots=True)
class _Placed:
    """A cell from the column *start* up to *stop*, which reaches *rows* rows down, its own among them."""

    text: str
    start: int
    stop: int
    rows: int


class _Grid:
    def __init__(self, rows: Sequence[Row]) -> None:
        self._rows = rows
        self._spare = MOST_GROWTH * sum(len(cell.text) + _FRAME for row in rows for cell in row.cells)

    def values(self) -> list[list[str]]:
        placed = list(self._place())
        columns = sorted({cell.start for row in placed for cell in row})
        return [self._fill(row, columns) for row in placed]

    def _place(self) -> Iterator[list[_Placed]]:
        hanging, group = list[_Placed](), -1
        for row in self._rows:
            if row.group != group:
                hanging, group = [], row.group
            hanging = list(self._carried(hanging))
            placed = sorted([*hanging, *_beside(row.cells, hanging)], key=lambda cell: cell.start)
            if row.cells:
                yield placed
            hanging = [replace(cell, rows=cell.rows - 1) for cell in placed if cell.rows > 1]

    def _carried(self, hanging: list[_Placed]) -> Iterator[_Placed]:
        for cell in hanging:
            for text in self._repeated(cell.text, 1):
                yield replace(cell, text=text)

    def _fill(self, row: list[_Placed], columns: list[int]) -> list[str]:
        values = list[str]()
        for cell in row:
            first, last = bisect_left(columns, cell.start), bisect_left(columns, cell.stop)
            values += self._repeated("", max(first - len(values), 0))
            values.append(cell.text)
            values += self._repeated(cell.text, last - first - 1)
        return values

    def _repeated(self, text: str, times: int) -> list[str]:
        """The *text* again, or as many blanks, or nothing: what can still be afforded."""
        for value in (text, ""):
            cost = times * (len(value) + _FRAME)
            if len(value) <= LONGEST_REPEATED and cost <= self._spare:
                self._spare -= cost
                return [value] * times
        return []


def _beside(cells: Sequence[Cell], hanging: list[_Placed]) -> Iterator[_Placed]:
    """The cells of a row, each in the next columns that no cell from above takes."""
    ahead, column = hanging[::-1], 0
    for cell in cells:
        while ahead and ahead[-1].start <= column:
            column = max(column, ahead.pop().stop)
        stop = min(column + cell.columns, ahead[-1].start if ahead else column + cell.columns)
        yield _Placed(cell.text, column, stop, cell.rows)
        column = stop
