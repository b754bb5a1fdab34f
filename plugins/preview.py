"""The HTML page that shows a converted document. Nothing in the document can become a tag, a script or a request."""

import html
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token

from plugins.chunking import markdown_blocks

# Rendering takes about a second and a half a million characters; the rest is shown as plain text.
RENDERED_CHARACTERS = 1_000_000
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


def write_preview(markdown: str, title: str, path: Path) -> None:
    """Write the page for *markdown* to *path*; it appears only when it is whole."""
    part = path.with_name(path.name + ".part")
    try:
        with part.open("w", encoding="utf-8", errors="replace") as file:
            file.write(_HEAD.format(title=html.escape(title)))
            file.writelines(_body(markdown))
            file.write(_FOOT)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def _body(markdown: str) -> Iterator[str]:
    renderer = _markdown()
    for block, _ in markdown_blocks([markdown[:RENDERED_CHARACTERS]], _BLOCK_CHARACTERS):
        yield str(renderer.render(block))
    rest = markdown[RENDERED_CHARACTERS:]
    if rest:
        yield f"<pre>{html.escape(rest)}</pre>\n"


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
