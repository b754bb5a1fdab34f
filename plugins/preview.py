"""The HTML page that shows a converted document. Nothing in the document can become a tag, a script or a request."""

import html
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token

from plugins.chunking import markdown_blocks

# Rendering takes about a second and a half a million characters; the rest is shown as plain text.
RENDERED_CHARACTERS = 1_000_000
SHOWN_CHARACTERS = 10_000_000  # no browser shows more without pain; the upload itself is linked beside the page
_BLOCK_CHARACTERS = 50_000

_HEAD = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<meta name="referrer" content="no-referrer">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
body {{ font: 1rem/1.6 system-ui, sans-serif; max-width: 46rem; margin: 2rem auto; padding: 0 1rem; color: #1f2933; }}
h1, h2, h3, h4 {{ line-height: 1.25; margin: 2rem 0 .75rem; }}
table {{ border-collapse: collapse; display: block; overflow-x: auto; margin: 1rem 0; }}
th, td {{ border: 1px solid #cbd2d9; padding: .35rem .6rem; text-align: left; vertical-align: top; }}
th {{ background: #f0f4f8; }}
pre, code {{ font-family: ui-monospace, monospace; background: #f0f4f8; border-radius: .25rem; }}
pre {{ padding: .75rem; white-space: pre-wrap; overflow-wrap: anywhere; }}
blockquote {{ border-left: .25rem solid #cbd2d9; margin-left: 0; padding-left: 1rem; color: #52606d; }}
header {{ border-bottom: 1px solid #cbd2d9; color: #52606d; }}
@media (prefers-color-scheme: dark) {{
  body {{ background: #11181f; color: #e4e7eb; }}
  th, pre, code {{ background: #1f2933; }}
  th, td, header, blockquote {{ border-color: #3e4c59; }}
  header, blockquote {{ color: #9aa5b1; }}
  a {{ color: #7cc4fa; }}
}}
</style>
</head>
<body>
<header><p>{title}</p></header>
<main>
"""
_FOOT = "</main>\n</body>\n</html>\n"


def write_preview(
    blocks: Iterable[str], title: str, path: Path, tell: Callable[[str], None] = lambda message: None
) -> None:
    """Write the page for a stream of Markdown to *path*; it appears only when it is whole.

    Of a stream that is longer than the page may be, the rest is not read.
    """
    part = path.with_name(path.name + ".part")
    try:
        with part.open("w", encoding="utf-8", errors="replace") as file:
            file.write(_HEAD.format(title=html.escape(title)))
            for piece in _body(blocks):
                file.write(piece)
                tell("Generating HTML preview...")
            file.write(_FOOT)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def _body(blocks: Iterable[str]) -> Iterator[str]:
    renderer, stream, head = _markdown(), _Stream(blocks), ""
    for block, _ in markdown_blocks(stream.take(RENDERED_CHARACTERS), _BLOCK_CHARACTERS):
        yield str(renderer.render(head + block if block.startswith("|") else block))
        head = _head_of_open_table(block, head)
    if not stream.ended:
        yield "<pre>"
        yield from map(html.escape, stream.take(SHOWN_CHARACTERS - RENDERED_CHARACTERS))
        yield "</pre>\n"
    if not stream.ended:
        yield "<p>The document goes on, but is too long to be shown here.</p>\n"


class _Stream:
    """Hands out a stream of text in portions."""

    def __init__(self, blocks: Iterable[str]) -> None:
        self._blocks = iter(blocks)
        self._held = next(self._blocks, "")

    @property
    def ended(self) -> bool:
        return not self._held

    def take(self, characters: int) -> Iterator[str]:
        while self._held and characters > 0:
            block, self._held = self._held[:characters], self._held[characters:]
            characters -= len(block)
            self._held = self._held or next(self._blocks, "")
            yield block


_TABLE_HEAD = re.compile(r"^\|.*\n\|(?: *:?-+:? *\|)+ *\n", re.MULTILINE)


def _head_of_open_table(block: str, head: str) -> str:
    """The head of the table that *block* ends in: the next block may be the rest of it. *head* is that of the last."""
    if not block.rstrip("\n").rpartition("\n")[2].startswith("|"):
        return ""
    return next(reversed(_TABLE_HEAD.findall(block)), head)


def _markdown() -> MarkdownIt:
    """Markdown with tables, without raw HTML. Pictures become their description: loading one would tell its server."""
    renderer = MarkdownIt("js-default", {"html": False, "linkify": False})
    renderer.add_render_rule("image", _image)
    renderer.add_render_rule("link_open", _link)
    return renderer


def _image(self: RendererHTML, tokens: Sequence[Token], index: int, options: Any, env: Any) -> str:
    text = "".join(child.content for child in tokens[index].children or []) or "picture"
    return f"<em>[{html.escape(text)}]</em>"


def _link(self: RendererHTML, tokens: Sequence[Token], index: int, options: Any, env: Any) -> str:
    tokens[index].attrSet("rel", "noopener noreferrer nofollow")
    return str(self.renderToken(tokens, index, options, env))
