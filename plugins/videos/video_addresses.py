"""Videos by their addresses: every form that people copy, in and out of sentences, and bare ids."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import parse_qs, urlsplit

from plugins.base import PluginError

_ID = re.compile(r"[A-Za-z0-9_-]{11}")
_ID_AT_START = re.compile(r"([A-Za-z0-9_-]{11})(?![A-Za-z0-9_-])")
_HOSTS = re.compile(r"(?:.+\.)?(?:youtube\.com|youtube-nocookie\.com|youtubekids\.com|youtube\.googleapis\.com)")
_SHORT_HOSTS = frozenset({"youtu.be", "www.youtu.be"})
_VIDEO_PATHS = frozenset({"watch", "shorts", "embed", "live", "v", "vi", "e"})
_WRAPPED_IN = ("u", "url", "continue", "next")  # links that lead to the video by way of another page
_LIKE_AN_ADDRESS = re.compile(r"//|youtu[\w.-]*/", re.I)
_BETWEEN = re.compile(r"[\s,;<>()\[\]{}\"'`«»“”„]+")  # also of links in Markdown and HTML
_CREDENTIALS = re.compile(r"//[^/]*@")
_LONGEST = 2000


@dataclass(frozen=True)
class Wanted:
    """What one address asks for: a video, or *error* says why it names none."""

    address: str
    video_id: str = ""
    error: PluginError | None = None


def wanted(texts: Iterable[str]) -> list[Wanted]:
    """The videos that *texts* name, each once and in their order.

    A line may hold several addresses. Words beside them are taken for remarks; so are lines that begin with #.
    """
    lines = (line.strip() for text in texts for line in text.splitlines())
    found: dict[str, Wanted] = {}
    for address in (word for line in lines if not line.startswith("#") for word in _addresses(line)):
        one = _wanted(address)
        found.setdefault(one.video_id or address, one)
    return list(found.values())


def _addresses(line: str) -> list[str]:
    parts = _BETWEEN.split(line.replace("&amp;", "&"))
    words = [_CREDENTIALS.sub("//", word) for word in (part.strip(".!") for part in parts) if word]
    if addresses := [word for word in words if _LIKE_AN_ADDRESS.search(word)]:
        return addresses
    # "mathematics" could be an id, so words are ids only among ids
    return words if all(_ID.fullmatch(word) for word in words) else [line]


def _wanted(address: str) -> Wanted:
    try:
        return Wanted(address, video_id_of(address))
    except PluginError as error:
        return Wanted(address, error=error)


def video_id_of(address: str) -> str:
    """The id of the video that *address* leads to.

    :raises PluginError: ``unsupported_address`` or ``invalid_video``
    """
    if _ID.fullmatch(address):
        return address
    host, path, query = _parts(address)
    if host in _SHORT_HOSTS:
        return _id_in(path, address)
    if not _HOSTS.fullmatch(host):
        raise _unsupported(address, "is no address of a YouTube video")
    kind, _, rest = path.partition("/")
    named = query.get("v") or rest
    if kind in _VIDEO_PATHS and named and named != "videoseries":
        return _id_in(named, address)
    for inner in (query[name] for name in _WRAPPED_IN if query.get(name)):
        return video_id_of(f"youtube.com{inner}" if inner.startswith("/") else inner)
    if kind == "playlist" or "list" in query:
        raise _unsupported(address, "is a playlist, which is not read as a whole")
    raise _unsupported(address, "is no single video")


def _parts(address: str) -> tuple[str, str, dict[str, str]]:
    """Host, path without slashes around it, and query; empty when *address* is none."""
    try:
        parts = urlsplit(address.replace("&amp;", "&") if "//" in address else f"//{address}")
        host = (parts.hostname or "").lower() if len(address) <= _LONGEST else ""
        return host, parts.path.strip("/"), {name: values[0] for name, values in parse_qs(parts.query).items()}
    except ValueError:
        return "", "", {}


def _id_in(text: str, address: str) -> str:
    if found := _ID_AT_START.match(text):
        return found[1]
    raise PluginError(
        "invalid_video",
        f"{_shown(address)} names no video: a video's id has 11 letters, digits, - or _.",
        hint="Open the video in a browser and copy its whole address.",
    )


def _unsupported(address: str, what: str) -> PluginError:
    return PluginError(
        "unsupported_address",
        f"{_shown(address)} {what}.",
        hint="Name videos one by one, such as https://www.youtube.com/watch?v=… or https://youtu.be/….",
    )


def _shown(address: str) -> str:
    return repr(address if len(address) <= 100 else address[:100] + "…")
