"""Collect the sentences of engine and plugins, which know no other language than English, for their translation.

``python locale/harvest.py`` writes them to ``ingestion/ui/phrase_list.py``, where ``makemessages`` finds them; with
``--check`` it only tells whether that file is what the sources say. A sentence, or a part of one, is a string of more
than one word; what is none, or reaches nobody on a page, stands in ``NOT_SHOWN``, and single words in ``WORDS``.
"""

import ast
import re
import sys
from collections.abc import Iterator
from itertools import product
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TARGET = ROOT / "ingestion" / "ui" / "phrase_list.py"
FOLDERS = ("plugins", "collections_app/embeddings")
FILES = (
    "collections_app/errors.py", "collections_app/query.py", "collections_app/services.py",
    "collections_app/storing.py", "ingestion/bulk.py", "ingestion/duplicates.py", "ingestion/failures.py",
    "ingestion/lamb_import/target.py", "ingestion/models.py", "ingestion/outlook.py", "ingestion/pipeline.py",
    "ingestion/preview.py", "ingestion/rescue.py", "ingestion/services.py", "ingestion/sources.py",
    "ingestion/storage.py",
    "ingestion/supervisor.py", "ingestion/watch.py", "ingestion/watchdog.py", "ingestion/worker.py",
)  # fmt: skip
NOT_SHOWN = (  # by how they begin
    "%(jobs)s %(status)s in ", "%(module)s could not ", "%(plugin)s could not warm up", "Another server is running",
    "%(file)s: %(size)s bytes", "%(owner)s has a collection", "Basic ", "Bearer ", "Can cancel", "Can retry",
    "Cannot allocate", "Chroma cannot read", "Collection %(id)s is", "Content-Encoding", "DataAndFiles",
    "Describe this picture", "File %(id)s ", "KB-Server/", "collection %(id)s", "documents[", "file descriptor ",
    "late progress", "memory allocation", "no element found", "noopener", "out of memory", "process id of ",
    "the last try returns",
)  # fmt: skip
WORDS = (
    "Cancelled", "Cancelled by %(name)s", "Deleted", "Deleted by %(name)s", "Failed", "Queued", "Retried",
    "Retried by %(name)s", "Started", "archive", "cancelled", "completed", "converted", "deleted", "e-book", "failed",
    "message", "page", "pending", "presentation", "processing", "section", "sheet", "slide", "workbook",
    "%(first)s and %(second)s", "%(first)s: %(second)s", "%(first)s, %(second)s", "%(number)s too large",
    "%(number)s too many", "The embedding server at %(url)s %(message)s.",
    "child_chunk_overlap (%(overlap)s) must be smaller than child_chunk_size (%(size)s), or the text would never"
    " advance.",
)  # fmt: skip
NOUNS = ("chart", "diagram", "sheet", "slide")  # that are counted under another name in the source
CODE = re.compile(r"[<>\\|={\n]|SELECT|INSERT|DELETE|WHERE")
OTHER_CALLS = ("logger.", "re.", "ValueError", "RuntimeError", "TypeError", "ImproperlyConfigured", "self.say")
OTHER_KEYWORDS = ("help_text", "verbose_name", "verbose_name_plural", "default_auto_field")
PLAIN = {"len", "str", "min", "max", "round", "sorted", "map", "join", "counted", "shortened", "shown", "self"}


def main() -> None:
    made = text_of(sorted(phrases()))
    if "--check" in sys.argv:
        sys.exit(0 if TARGET.read_text(encoding="utf-8") == made else "phrase_list.py is stale: run `make words`.")
    TARGET.write_text(made, encoding="utf-8")


def text_of(found: list[str]) -> str:
    lines = [
        '"""What engine and plugins say. Written by ``locale/harvest.py``; see ``phrases``."""',
        "",
        "# ruff: noqa: E501",
        "",
        "from django.utils.translation import gettext_noop as _",
        "",
        "PHRASES = (",
        *(f"    _({quoted(phrase)})," for phrase in found),
        ")  # fmt: skip",
    ]
    return "\n".join(lines) + "\n"


def quoted(text: str) -> str:
    """As the formatter writes it: in double quotes unless that costs more backslashes."""
    plain = text.replace("\\", "\\\\").replace("\n", "\\n")
    return f"'{plain}'" if '"' in plain and "'" not in plain else '"' + plain.replace('"', '\\"') + '"'


def phrases() -> set[str]:
    found = {*WORDS, *(text for noun in NOUNS for text in counted(noun))}
    for path in sources():
        found.update(sentences(ast.parse(path.read_text(encoding="utf-8"))))
    return {phrase for phrase in found if not phrase.startswith(NOT_SHOWN)}


def sources() -> Iterator[Path]:
    for folder in FOLDERS:
        yield from (path for path in sorted((ROOT / folder).rglob("*.py")) if path.name != "meter.py")
    yield from (ROOT / name for name in FILES)


# -- The sentences of one file ----------------------------------------------------------------------


def sentences(tree: ast.AST) -> Iterator[str]:
    passed = set(not_said(tree))
    for node in ast.walk(tree):
        if id(node) in passed:
            continue
        if isinstance(node, ast.Call) and (noun := noun_of(node)):
            yield from counted(noun)
        for text in texts(node):
            if is_sentence(text):
                yield text


def not_said(tree: ast.AST) -> Iterator[int]:
    """Docstrings, parts of other strings, what goes into the log or to programmers."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            yield id(node.value)
        elif isinstance(node, ast.JoinedStr):
            yield from (id(value) for value in node.values)
        elif isinstance(node, ast.Call) and ast.unparse(node.func).startswith(OTHER_CALLS):
            yield from map(id, ast.walk(node))
        elif isinstance(node, ast.keyword) and node.arg in OTHER_KEYWORDS:
            yield from map(id, ast.walk(node.value))


def counted(noun: str) -> tuple[str, str]:
    return f"1 {noun}", f"%(number)s {noun}s"


def noun_of(call: ast.Call) -> str:
    """Of ``counted(number, "noun")``."""
    if isinstance(call.func, ast.Name) and call.func.id == "counted" and len(call.args) == 2:
        noun = call.args[1]
        return noun.value if isinstance(noun, ast.Constant) and isinstance(noun.value, str) else ""
    return ""


def texts(node: ast.AST) -> Iterator[str]:
    """A string as it is, an f-string with names for its values: ``Read %(number)s pages``."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield re.sub(r"\{([a-z_]*)\}", lambda found: f"%({found[1] or 'value'})s", node.value.replace("%", "%%"))
    elif isinstance(node, ast.JoinedStr):
        for parts in product(*(list(readings(value)) for value in node.values)):
            yield joined(parts)


def readings(part: ast.expr) -> Iterator[str | ast.expr]:
    """What stands at this place: text, a value, or one of two texts."""
    if isinstance(part, ast.Constant):
        yield str(part.value)
        return
    value = part.value if isinstance(part, ast.FormattedValue) else part
    if isinstance(value, ast.IfExp) and all(isinstance(end, ast.Constant) for end in (value.body, value.orelse)):
        yield from (str(end.value) for end in (value.body, value.orelse) if isinstance(end, ast.Constant))
    else:
        yield value


def joined(parts: tuple[str | ast.expr, ...]) -> str:
    names: list[str] = []
    text = ""
    for part in parts:
        if isinstance(part, str):
            text += part.replace("%", "%%")
        else:
            names.append(name_of(part))
            again = names.count(names[-1])
            text += f"%({names[-1]}{again if again > 1 else ''})s"
    return text


def name_of(value: ast.expr) -> str:
    """A word for a translator: what the value is called in the source."""
    nodes = [node for node in ast.walk(value) if isinstance(node, ast.Attribute | ast.Name)]
    words = [(node.attr if isinstance(node, ast.Attribute) else node.id).strip("_").lower() for node in nodes]
    return next((word for word in words if word not in PLAIN and not hasattr(str, word)), "value")


def is_sentence(text: str) -> bool:
    words = re.sub(r"%\(\w+\)s", "%", text)
    return (
        bool(re.match(r"[A-Za-z0-9%“ (,]", words))
        and " " in words.strip()
        and bool(re.search(r"[A-Za-z]{2,}", words))
        and not CODE.search(words)
    )


if __name__ == "__main__":
    main()
