"""What people have put onto the pages of a PDF: values of form fields, and comments.

Neither is part of a page's text. What a program has drawn into the text as well is not told twice.
"""

import ctypes
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

MOST = 5_000  # fields and comments of a document
MOST_CHARACTERS = 500_000  # of all of them together
MOST_FIELDS = 10_000  # empty ones among them: the time that pdfium takes to find them grows with their square, 3 s
_MOST_OPTIONS = 1_000  # of a list to choose from
_LONG = 30  # characters; comments as long do not stand in the text by chance
_MOST_COMPARED = 50_000  # characters of a page: finding those at one place takes 20 ns for each of them
_ROW = 6.0  # points; fields of a row are seldom exactly as high as each other

# Numbers of the PDF standard
_HIDDEN = 2 | 32  # flags of an annotation: hidden, not on the screen
_PASSWORD = 1 << 13  # flag of a text field
_NOTE, _FREE_TEXT, _WIDGET = 1, 3, 20
_COMMENTS = frozenset({_NOTE, _FREE_TEXT, *range(4, 16)})  # notes, shapes, marked text, stamps, ink
_CHECKBOX, _RADIO, _COMBO, _LIST, _TEXT = 2, 3, 4, 5, 6
_MEANINGLESS = re.compile(r"on|yes|\d*", re.IGNORECASE)  # what programs call a box that is ticked
_PLUMBING = re.compile(r"\[\d+\]|#\w+(?:\[\d+\])?\.")  # of names of fields


@dataclass(frozen=True)
class _Said:
    """
    :param box: left, bottom, right and top on the page, in points
    :param field: its full name, which says more than the label; empty for comments
    """

    box: tuple[float, float, float, float]
    label: str
    text: str
    is_field: bool
    field: str = ""

    @property
    def line(self) -> str:
        return f"{self.label}: {self.text}" if self.label else self.text

    @property
    def key(self) -> tuple[object, ...]:
        """What doubles have in common: a field may be shown at several places, with one value."""
        return self.field or self.box, self.label, self.text


class PdfFields:
    """Reads fields and comments page by page. Use it as a context, as long as the document is open.

    ``left_out`` counts those that were too many.
    """

    def __init__(self, pdf: Any) -> None:
        self._pdf = pdf
        self._form: Any = None
        self._read = self._characters = self.left_out = 0

    def __enter__(self) -> "PdfFields":
        from pypdfium2 import raw

        kinds = {index: _kinds(self._pdf, index) for index in range(len(self._pdf))}
        count = sum(kind == _WIDGET for found in kinds.values() for kind in found.values())
        if 0 < count <= MOST_FIELDS:
            # not by init_forms(): then each opening of a page would prepare its fields for the screen
            self._config = raw.FPDF_FORMFILLINFO(version=2)
            self._form = raw.FPDFDOC_InitFormFillEnvironment(self._pdf, self._config)
        self.left_out = 0 if self._form else count
        wanted = _COMMENTS | {_WIDGET} if self._form else _COMMENTS
        self._numbers = {
            index: [number for number, kind in found.items() if kind in wanted] for index, found in kinds.items()
        }
        return self

    def __exit__(self, *_: object) -> None:
        from pypdfium2 import raw

        if self._form:
            raw.FPDFDOC_ExitFormFillEnvironment(self._form)

    def of_page(self, index: int) -> str:
        """``Name of the field: value`` and ``Comment by somebody: text``, one a line, from top to bottom."""
        if not self._numbers[index]:
            return ""
        with _page(self._pdf, index) as page:
            found = list(self._said(page, self._numbers[index])) if page else []
            lines = {said.key: said.line for said in _fresh(page, found)} if found else {}
        return "\n".join(line for line in lines.values() if self._has_room(line))

    def _has_room(self, line: str) -> bool:
        if self._characters + len(line) > MOST_CHARACTERS:
            self.left_out += 1
            return False
        self._characters += len(line)
        return True

    def _said(self, page: Any, numbers: list[int]) -> Iterator[_Said]:
        for number in numbers:
            if self._read >= MOST:
                self.left_out += 1
                continue
            with _annotation(page, number) as annotation:
                said = self._of(annotation) if annotation else None
            if said:
                self._read += 1
                yield said

    def _of(self, annotation: Any) -> _Said | None:
        from pypdfium2 import raw

        if raw.FPDFAnnot_GetFlags(annotation) & _HIDDEN:
            return None
        kind = raw.FPDFAnnot_GetSubtype(annotation)
        if kind == _WIDGET:
            label, text = _field(self._form, annotation)
            field = _string(raw.FPDFAnnot_GetFormFieldName, self._form, annotation) if text else ""
        else:
            (label, text), field = _comment(annotation, kind), ""
        return _Said(_box(annotation), label, text, kind == _WIDGET, field) if text else None


@contextmanager
def _page(pdf: Any, index: int) -> Iterator[Any]:
    """A page; None when it cannot be opened."""
    import pypdfium2

    try:
        page = pdf[index]
    except pypdfium2.PdfiumError:
        yield None
        return
    try:
        yield page
    finally:
        page.close()


@contextmanager
def _annotation(page: Any, number: int) -> Iterator[Any]:
    """An annotation; None when it cannot be read."""
    from pypdfium2 import raw

    annotation = raw.FPDFPage_GetAnnot(page, number)
    try:
        yield annotation or None
    finally:
        if annotation:
            raw.FPDFPage_CloseAnnot(annotation)


def _kinds(pdf: Any, index: int) -> dict[int, int]:
    """What the annotations of a page are, by their number."""
    from pypdfium2 import raw

    kinds: dict[int, int] = {}
    with _page(pdf, index) as page:
        for number in range(raw.FPDFPage_GetAnnotCount(page) if page else 0):
            with _annotation(page, number) as annotation:
                kinds[number] = raw.FPDFAnnot_GetSubtype(annotation) if annotation else 0
    return kinds


def _field(form: Any, widget: Any) -> tuple[str, str]:
    """Name and value of a field; no value when it is empty, a secret, or a button."""
    from pypdfium2 import raw

    kind, value = raw.FPDFAnnot_GetFormFieldType(form, widget), ""
    if kind == _TEXT and not raw.FPDFAnnot_GetFormFieldFlags(form, widget) & _PASSWORD:
        value = _string(raw.FPDFAnnot_GetFormFieldValue, form, widget)
    elif kind in (_COMBO, _LIST):
        value = _chosen(form, widget) or _string(raw.FPDFAnnot_GetFormFieldValue, form, widget)
    elif kind in (_CHECKBOX, _RADIO) and _string(raw.FPDFAnnot_GetStringValue, widget, b"AS") not in ("", "Off"):
        value = _string(raw.FPDFAnnot_GetFormFieldValue, form, widget)
        value = "yes" if _MEANINGLESS.fullmatch(value) else value
    if not value:
        return "", ""
    name = _string(raw.FPDFAnnot_GetFormFieldAlternateName, form, widget)
    name = name or _PLUMBING.sub("", _string(raw.FPDFAnnot_GetFormFieldName, form, widget))
    return " ".join(name.split()).rstrip(" :"), value


def _chosen(form: Any, widget: Any) -> str:
    """What is chosen of a list, as people see it."""
    from pypdfium2 import raw

    options = range(min(raw.FPDFAnnot_GetOptionCount(form, widget), _MOST_OPTIONS))
    chosen = [number for number in options if raw.FPDFAnnot_IsOptionSelected(form, widget, number)]
    return ", ".join(_string(raw.FPDFAnnot_GetOptionLabel, form, widget, number) for number in chosen)


def _comment(annotation: Any, kind: int) -> tuple[str, str]:
    """Whose comment it is, and its text. Free text is written onto the page for everybody, so it needs no name."""
    from pypdfium2 import raw

    if raw.FPDFAnnot_HasKey(annotation, b"StateModel"):  # what a review thinks of a comment: "accepted", "done"
        return "", ""
    text = _string(raw.FPDFAnnot_GetStringValue, annotation, b"Contents")
    author = " ".join(_string(raw.FPDFAnnot_GetStringValue, annotation, b"T").split())
    return "" if kind == _FREE_TEXT else f"Comment by {author}" if author else "Comment", text


def _string(call: Callable[..., int], *args: Any) -> str:
    """What *call* writes into a buffer, in UTF-16, without blanks around its lines."""
    from pypdfium2 import raw

    size = call(*args, None, 0)
    if size <= 2:
        return ""
    buffer = ctypes.create_string_buffer(size)
    call(*args, ctypes.cast(buffer, ctypes.POINTER(raw.FPDF_WCHAR)), size)
    text = buffer.raw.decode("utf-16-le", "replace").replace("\0", "").replace("\r\n", "\n").replace("\r", "\n")
    return "\n".join(line for line in map(str.strip, text.split("\n")) if line)


def _box(annotation: Any) -> tuple[float, float, float, float]:
    from pypdfium2 import raw

    box = raw.FS_RECTF()
    raw.FPDFAnnot_GetRect(annotation, box)
    return min(box.left, box.right), min(box.bottom, box.top), max(box.left, box.right), max(box.bottom, box.top)


def _fresh(page: Any, found: list[_Said]) -> list[_Said]:
    """Those that the page's text does not hold at their place, in the order in which people see them.

    On very long pages nobody looks at their place; better told twice than not at all.
    """
    text_page = page.get_textpage()
    try:
        whole = _words(text_page.get_text_range())
        fresh = [said for said in found if not _is_drawn(said, text_page, whole)]
    finally:
        text_page.close()
    return _ordered(fresh, page.get_rotation())


def _is_drawn(said: _Said, text_page: Any, whole: str) -> bool:
    words = _words(said.text)
    if words not in whole:
        return False
    if not said.is_field and len(words) >= _LONG:
        return True
    return len(whole) <= _MOST_COMPARED and words in _words(text_page.get_text_bounded(*said.box))


def _words(text: str) -> str:
    return "".join(text.split())


def _ordered(found: list[_Said], turned: int) -> list[_Said]:
    """Row by row, and each from left to right.

    :param turned: by how many degrees, clockwise, the page is shown
    """
    rows: list[tuple[float, list[tuple[float, _Said]]]] = []
    for down, along, said in sorted(((*_place(said.box, turned), said) for said in found), key=lambda one: one[:2]):
        if not rows or down - rows[-1][0] > _ROW:
            rows.append((down, []))
        rows[-1][1].append((along, said))
    return [said for _, row in rows for _, said in sorted(row, key=lambda one: one[0])]


def _place(box: tuple[float, float, float, float], turned: int) -> tuple[float, float]:
    """How far down the page, and how far to the right, from anywhere."""
    left, bottom, right, top = box
    return {90: (left, bottom), 180: (bottom, -right), 270: (-right, -top)}.get(turned, (-top, left))
