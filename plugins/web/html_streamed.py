"""Pages that are sent in pieces: React writes what was slow behind the page, hidden, and a script that moves it.

Where a piece belongs stands ``<!--$?--><template id="B:0"></template>Loading...<!--/$-->``; the piece is
``<div hidden id="S:0">``, and the script ``$RC("B:0","S:0")``. Parts of a piece come likewise, without comments:
``<template id="P:1">`` and ``$RS("S:1","P:1")``.
"""

import re

from bs4 import BeautifulSoup
from bs4.element import Comment, PageElement, Tag

MOST_MOVED = 200  # pieces; each is looked for among its siblings. More stay where they are
_MOVE = re.compile(r"""\$R[CRS]\(\s*["']([BPS]:[0-9a-f]{1,8})["']\s*,\s*["']([BPS]:[0-9a-f]{1,8})["']""")
_PIECE = re.compile(r"[BPS]:[0-9a-f]{1,8}")


def join_pieces(soup: BeautifulSoup, text: str) -> None:
    """Show the pieces of the page, each where it belongs.

    :param text: the page as it was sent, with its scripts
    """
    if 'id="S:' not in text and "id='S:" not in text:
        return
    parts = {str(tag["id"]): tag for tag in soup.find_all(id=_PIECE)}
    for name, part in parts.items():
        if name.startswith("S:"):
            del part["hidden"]
    for move in list(_MOVE.findall(text))[:MOST_MOVED]:
        names = sorted(move)  # S is behind B and P
        if names[1][:1] == "S" and parts.keys() >= set(names):
            _move(parts.pop(names[1]), parts.pop(names[0]))


def _move(piece: Tag, place: Tag) -> None:
    if place.name != "template" or place.parent is None or any(tag is piece for tag in place.parents):
        return
    piece.extract()
    contents, first = place.parent.contents, place.parent.index(place)
    for index in reversed(range(first + 1, _end_of_wait(contents, first))):
        contents[index].extract(index)
    place.replace_with(piece)


def _end_of_wait(contents: list[PageElement], first: int) -> int:
    """Where what is shown until the piece has come ends; it stands between comments, and may hold others of them."""
    if first == 0 or not _says(contents[first - 1], "$"):
        return first + 1
    depth = 1
    for index in range(first + 1, len(contents)):
        depth += _says(contents[index], "$") - _says(contents[index], "/$")
        if depth == 0:
            return index
    return first + 1


def _says(node: PageElement, mark: str) -> bool:
    return isinstance(node, Comment) and node.startswith(mark)
