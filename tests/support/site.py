"""A local web site, for tests and benchmarks: pages by path, every request remembered.

    with Site() as site:
        site.page("/", "<p>Welcome.</p>")
        site.page("/old", status=301, Location="/")

Pages have an ``ETag`` made of their content unless they bring headers of their own that say otherwise.
"""

import contextlib
import hashlib
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler

from tests.support.serving import Serving

HTML = "text/html; charset=utf-8"


@dataclass(frozen=True)
class Answer:
    """What a path answers. With *validated* it has an ETag and answers 304 to those who know it."""

    body: bytes = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    validated: bool = True

    @property
    def etag(self) -> str:
        return f'"{hashlib.blake2b(self.body, digest_size=8).hexdigest()}"'


@dataclass(frozen=True)
class Asked:
    """A request that came in. *at* is ``time.monotonic``."""

    path: str
    headers: dict[str, str]
    at: float


class Site(Serving):
    """The running site. What has no page answers 404; ``fallback(path)`` may make up others."""

    def __init__(self) -> None:
        super().__init__(Handler, site=self)
        self.answers: dict[str, Answer | Callable[[Handler], None]] = {}
        self.fallback: Callable[[str], Answer | None] = lambda path: None
        self.asked: list[Asked] = []
        self.statuses: list[int] = []

    def page(
        self, path: str, body: str | bytes = b"", *, status: int = 200, validated: bool = True, **headers: str
    ) -> None:
        """Put a page at *path*; HTML unless ``Content_Type`` says otherwise. ``{url}`` in *body* is the site's."""
        content = body.replace("{url}", self.url).encode() if isinstance(body, str) else body
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        self.answers[path] = Answer(content, status, {"Content-Type": HTML, **named}, validated)

    def article(self, path: str, text: str, *links: str, title: str = "", head: str = "") -> None:
        """A page with *text* in its main part and *links* in its navigation."""
        menu = "".join(f'<li><a href="{link}">Go to {link}</a></li>' for link in links)
        self.page(
            path,
            f'<!doctype html><html lang="en"><head><title>{title or path}</title>{head}</head><body>'
            f"<nav><ul>{menu}</ul></nav><main><p>{text}</p></main></body></html>",
        )

    def paths(self) -> list[str]:
        """What was asked for, in order, without robots.txt."""
        return [asked.path for asked in self.asked if asked.path != "/robots.txt"]

    def forget(self) -> None:
        self.asked.clear()
        self.statuses.clear()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # one packet an answer
    disable_nagle_algorithm = True
    site: Site

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.site.asked.append(Asked(self.path, headers, time.monotonic()))
        found = self.site.answers.get(self.path) or self.site.fallback(self.path)
        with contextlib.suppress(OSError):  # the client has gone
            if callable(found):
                found(self)
            else:
                self.answer(found or Answer(b"<h1>Not found</h1>", 404, {"Content-Type": HTML}, validated=False))
            self.wfile.flush()

    def answer(self, answer: Answer) -> None:
        body, status, headers = answer.body, answer.status, dict(answer.headers)
        if answer.validated and status == 200:
            headers.setdefault("ETag", answer.etag)
            if self.headers.get("If-None-Match") == headers["ETag"]:
                body, status = b"", 304
        self.send(body, status, headers)

    def send(self, body: bytes, status: int = 200, headers: dict[str, str] | None = None) -> None:
        self.site.statuses.append(status)
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **(headers or {})}.items():
            if value:
                self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def drip(self, seconds: float = 60.0) -> None:
        """Begin a long answer and send a byte of it now and then."""
        self.send(b"", headers={"Content-Length": "100000", "Content-Type": HTML})
        until = time.monotonic() + seconds
        while time.monotonic() < until and not self.site.closing.wait(0.05):
            self.wfile.write(b".")
            self.wfile.flush()


# -- A larger site ----------------------------------------------------------------------------------

_VOCABULARY = (
    "annual archive assessment branch budget calendar campus catalogue chapter citizen city class collection committee "
    "course data department device digital document education energy exam faculty field garden grant guide history "
    "hour index journal knowledge laboratory language lecture lesson library licence list location market measure "
    "member method museum network note office opening paper person plan policy practice project question reader "
    "record report research result rule school science season section semester server service source staff standard "
    "student study subject summary system table teacher term text theory title tool topic town university visit "
    "volume water week work workshop writer year"
)
WORDS = _VOCABULARY.split()


def handbook_page(number: int, pages: int, version: int = 0) -> str:
    """A page of a made-up handbook of about 25 KB: menus, headings, prose, links, a table and code."""
    chance = random.Random(number * 1000 + version)

    def prose(words: int) -> str:
        return " ".join(chance.choices(WORDS, k=words)).capitalize() + "."

    menu = "".join(f'<li><a href="/page/{other}">{prose(3)}</a></li>' for other in range(min(60, pages)))
    sections = []
    for _ in range(6):
        paragraphs = "".join(
            f'<p>{prose(55)} See <a href="/page/{chance.randrange(pages)}?utm_source=menu#part">{prose(2)}</a> and '
            f"<b>{prose(2)}</b> {prose(30)}</p>"
            for _ in range(4)
        )
        sections.append(f"<h2>{prose(4)}</h2>{paragraphs}")
    rows = "".join(
        "<tr>" + "".join(f"<td>{prose(2)}</td>" for _ in range(4)) + "</tr>" for _ in range(chance.randint(5, 15))
    )
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Page {number}: {prose(4)}</title>'
        f'<meta name="description" content="{prose(12)}"><link rel="canonical" href="/page/{number}">'
        f'<script>{"var x = 1;" * 200}</script></head><body><header><a href="/page/0">Handbook</a></header>'
        f"<nav><ul>{menu}</ul></nav><main><h1>Page {number}</h1>{''.join(sections)}"
        f"<table><thead><tr><th>One</th><th>Two</th><th>Three</th><th>Four</th></tr></thead><tbody>{rows}</tbody></table>"
        f'<pre><code class="language-python">print({number})\n</code></pre>'
        f'<p><a href="/page/{(number * 2 + 1) % pages}">Next</a> '
        f'<a href="/page/{(number * 2 + 2) % pages}">After</a></p>'
        f"</main><footer>{prose(20)} <a href='/page/0'>Home</a></footer></body></html>"
    )


def fill_handbook(site: Site, pages: int, version_of: Callable[[int], int] = lambda number: 0) -> None:
    """Put the handbook's pages on *site*; with another version a page has another text."""
    site.page("/", status=302, Location="/page/0")
    for number in range(pages):
        site.page(f"/page/{number}", handbook_page(number, pages, version_of(number)))
