"""What came back for an address, as text: web pages, and the files that are linked beside them."""

import codecs
import io
import re
from collections.abc import Callable, Collection
from dataclasses import replace
from email.message import Message
from urllib.parse import unquote, urlsplit

import httpx
from w3lib.encoding import html_body_declared_encoding, http_content_type_encoding, to_unicode

from plugins.base import PluginError
from plugins.documents.convert import MAX_HTML, to_markdown
from plugins.net import Fetched
from plugins.source import Source
from plugins.text import detect_encoding
from plugins.web.addresses import extension_of
from plugins.web.html_markdown import WebPage, read_html
from plugins.web.robots import orders

_OFFICE = "application/vnd.openxmlformats-officedocument."
_KINDS = {
    "text/html": "html",
    "application/xhtml+xml": "html",
    "application/pdf": "pdf",
    "application/x-pdf": "pdf",
    f"{_OFFICE}wordprocessingml.document": "docx",
    f"{_OFFICE}presentationml.presentation": "pptx",
    f"{_OFFICE}spreadsheetml.sheet": "xlsx",
    "application/vnd.ms-excel": "xls",
    "application/vnd.ms-outlook": "msg",
    "application/epub+zip": "epub",
    "text/plain": "txt",
    "text/markdown": "md",
    "text/x-markdown": "md",
    "text/csv": "csv",
    "application/json": "json",
    "text/xml": "xml",
    "application/xml": "xml",
}
_UNTOLD = frozenset({
    "", "application/octet-stream", "binary/octet-stream", "application/download", "application/x-download",
    "application/force-download", "application/x-msdownload",
})  # fmt: skip
_BY_NAME = frozenset({"pdf", "docx", "pptx", "xlsx", "xls", "msg", "epub", "txt", "md", "csv", "json", "xml"})
# What names and types tell of what holds no text. Pages may be called node.js, so scripts are not among the names.
# fmt: off
UNREADABLE = frozenset({
    "jpg", "jpeg", "png", "gif", "svg", "webp", "avif", "ico", "bmp", "tif", "tiff", "heic", "psd", "eps", "mp3",
    "wav", "ogg", "oga", "flac", "m4a", "aac", "wma", "mp4", "m4v", "mov", "avi", "mkv", "webm", "wmv", "flv", "mpg",
    "mpeg", "zip", "gz", "tgz", "bz2", "xz", "zst", "7z", "rar", "tar", "jar", "iso", "dmg", "pkg", "deb", "rpm",
    "apk", "exe", "msi", "dll", "woff", "woff2", "ttf", "otf", "eot", "swf", "torrent",
})
# fmt: on
_UNREADABLE_TYPES = re.compile(
    r"(?:image|audio|video|font)/|application/(?:x-)?(?:zip|gzip|tar|rar|7z|javascript)|text/(?:css|javascript)"
)


def is_unreadable(headers: httpx.Headers) -> bool:
    """Whether an answer with these headers holds no text, so that its body need not be fetched."""
    return _UNREADABLE_TYPES.match(headers.get("Content-Type", "").strip().lower()) is not None


def read_answer(answer: Fetched, *, heed_robots: bool = True, tell: Callable[[str], None] = lambda _: None) -> WebPage:
    """The text of a successful answer. It may be empty for web pages.

    :param heed_robots: do as the page tells robots
    :param tell: hears how the conversion of a long file goes on
    :raises PluginError: ``unsupported``, ``not_text``, ``too_large`` and what ``plugins.documents.convert`` raises
    """
    kind = _kind_of(answer)
    if not kind:
        raise unsupported(f"{answer.url} is no text but {_type_of(answer) or 'of an unknown type'}.")
    page = _html_page(answer, heed_robots) if kind == "html" else _file_page(answer, kind, tell)
    return obedient(page, orders(answer.headers.get_list("X-Robots-Tag"))) if heed_robots else page


def obedient(page: WebPage, told: Collection[str]) -> WebPage:
    """*page* as the orders ``noindex`` and ``nofollow`` leave it, where they were *told*."""
    if "nofollow" in told:
        page = replace(page, links=[])
    return replace(page, noindex=True) if "noindex" in told else page


def unsupported(message: str) -> PluginError:
    return PluginError("unsupported", message, hint="Name pages, or documents such as PDF and Office files.")


def _html_page(answer: Fetched, heed_robots: bool) -> WebPage:
    if len(answer.content) > MAX_HTML:
        raise PluginError(
            "too_large",
            f"{answer.url} is a web page of more than {MAX_HTML // 1024**2} MB.",
            hint="Download it and upload it with simple_ingest, which reads text in pieces.",
        )
    try:
        text = html_of(answer.content, answer.headers.get("Content-Type", ""))
        return read_html(text, answer.url, heed_robots=heed_robots)
    except (PluginError, MemoryError):
        raise
    except Exception as error:  # parsers and converters fail on hostile pages in every way there is
        raise PluginError(
            "corrupt",
            f"{answer.url} could not be read: its HTML is damaged.",
            hint="Save it from a browser as text or PDF and upload that.",
        ) from error


def _file_page(answer: Fetched, kind: str, tell: Callable[[str], None]) -> WebPage:
    name = _name_of(answer)
    return WebPage(to_markdown(Source(io.BytesIO(answer.content), kind, name, tell=tell)), title=name)


# -- What it is -------------------------------------------------------------------------------------


def _type_of(answer: Fetched) -> str:
    return str(answer.headers.get("Content-Type", "")).partition(";")[0].strip().lower()


def _kind_of(answer: Fetched) -> str:
    """The extension that says what the content is; empty when it is nothing that can be read."""
    said, head = _type_of(answer), answer.content[:1024]
    if head.startswith(b"%PDF-"):
        return "pdf"
    name = extension_of(f"http://x/{_name_of(answer)}")
    if is_unreadable(answer.headers):
        return ""
    if said in _UNTOLD:
        return "html" if _looks_like_html(head) else name if name in _BY_NAME else ""
    kind = _KINDS.get(said) or _kind_of_family(said)
    if kind in {"txt", "xml"} and _looks_like_html(head):
        return "html"
    return name if kind == "txt" and name in {"md", "csv", "json", "xml"} else kind


def _kind_of_family(said: str) -> str:
    if said.endswith(("+json", "+xml")):
        return said.rpartition("+")[2]
    return "txt" if said.startswith("text/") else ""


def _looks_like_html(head: bytes) -> bool:
    start = head.removeprefix(codecs.BOM_UTF8).lstrip()
    if start.startswith(b"<?xml"):
        start = start.partition(b">")[2].lstrip()
    return start[:14].lower().startswith((b"<!doctype html", b"<html"))


def _name_of(answer: Fetched) -> str:
    """The file's name: as the server gives it, else as the address ends."""
    message = Message()
    message["Content-Disposition"] = answer.headers.get("Content-Disposition", "")
    given = message.get_filename("") or unquote(urlsplit(answer.url).path).rstrip("/")
    return " ".join(given.rpartition("/")[2].split())[:200] or urlsplit(answer.url).netloc


# -- Characters -------------------------------------------------------------------------------------

_SHIFTING = frozenset({"iso2022_jp", "iso2022_kr", "hz"})  # all their bytes are ASCII


def html_of(content: bytes, content_type: str) -> str:
    """The characters of a page: by its byte order mark, as UTF-8 if it is, as the header says, as the page says, or
    as they look. What is valid UTF-8 is never anything else by accident, whatever the header says.

    :raises PluginError: ``not_text``
    """
    said = http_content_type_encoding(content_type)
    named = _codec(said) or _codec(html_body_declared_encoding(content))
    if named in _SHIFTING:
        return to_unicode(content, named)
    found = detect_encoding(io.BytesIO(content), declared=True)
    if said and not found.startswith("utf"):
        found = _codec(said) or found
    return to_unicode(content, found)


def _codec(name: str | None) -> str:
    """Python's name of an encoding of text; empty for what is none."""
    if not name:
        return ""
    try:
        b"ab".decode(name)
        return codecs.lookup(name).name
    except (LookupError, UnicodeError):
        return ""
