"""A small server that answers as YouTube does, behind a proxy that leads every request to it.

Whoever sets ``proxy_url`` to its proxy and ``SSL_CERT_FILE`` to its certificates talks to ``https://www.youtube.com``
and reaches this server, with nothing changed in between: names, TLS and HTTP are real. Started by itself, for a
demonstration::

    python -m tests.support.youtube
"""

import argparse
import contextlib
import datetime
import gzip
import html
import ipaddress
import json
import re
import select
import socket
import ssl
import tempfile
import threading
from base64 import b64encode
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.support.serving import Serving

WATCH, PLAYER, TIMEDTEXT, TRANSLATION = "/watch", "/youtubei/v1/player", "/api/timedtext", "translation"
SORRY = "/sorry/index"
HOSTS = ("www.youtube.com", "youtube.com", "consent.youtube.com", "www.google.com", "localhost")
API_KEY = "AIzaSyTheKeyOfThePage_-01"


@dataclass(frozen=True)
class Track:
    """One transcript. ``lines``: start, duration, text; ``more`` is added to its address."""

    language: str
    lines: tuple[tuple[float, float, str], ...]
    automatic: bool = False
    translatable: bool = True
    more: str = ""


@dataclass(frozen=True)
class Fault:
    """How a request is answered instead.

    ``kind``: answer, drip (bytes without end), headers (the same before the body), huge, bomb (the same, compressed),
    cut (in the middle of the body), silent
    """

    status: int = 200
    body: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    kind: str = "answer"


@dataclass(frozen=True)
class Video:
    """A video and how it may be played; ``faults`` by path. Without tracks it has no captions."""

    title: str = "A talk"
    tracks: tuple[Track, ...] = ()
    status: str = "OK"
    reason: str = ""
    subreason: str = ""
    translations: tuple[str, ...] = ("de", "en", "es", "fr")
    faults: dict[str, Fault] = field(default_factory=dict)


def spoken(*texts: str, every: float = 5.0) -> tuple[tuple[float, float, str], ...]:
    """Lines of a transcript: one each *every* seconds, shown a little longer than that, as automatic ones are."""
    return tuple((number * every, every + 1.0, text) for number, text in enumerate(texts))


RECAPTCHA = '<html><form><div class="g-recaptcha" data-sitekey="x"></div></form></html>'
CONSENT = """
<html><title>Before you continue to YouTube</title><form action="https://consent.youtube.com/s" method="POST">
<input type="hidden" name="gl" value="DE">
<input type="hidden" name="v" value="cb.20210328-17-p0.de+FX+917"></form></html>"""

BOT = "Sign in to confirm you’re not a bot"
AGE = "This video may be inappropriate for some users."
GONE = "This video is unavailable"


class YouTube:
    """The running server; use it as a context.

    ``videos`` by id; any other id is unavailable. ``faults`` by path hold for all videos. ``consent``: ``asks`` until
    a cookie gives it, ``insists`` for ever, or ``formless``.
    """

    def __init__(self, folder: Path, port: int = 0) -> None:
        self.ca_file, self._key_file = certificates(folder)
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(self._key_file)
        self.stopping = threading.Event()
        self.reset()
        self._plain, self._secure = _Quiet(_Handler, port, youtube=self), _Quiet(_Handler, youtube=self)
        self._secure.socket = self.context.wrap_socket(self._secure.socket, server_side=True)

    def reset(self) -> None:
        """As new: no videos, no faults, nothing received."""
        self.videos: dict[str, Video] = {}
        self.faults: dict[str, Fault] = {}
        self.consent = ""
        self.credentials = ""  # what the proxy asks for, as "user:password"
        self.connects: list[str] = []  # where the proxy was asked to connect to
        self.requests: list[str] = []  # what the server was asked for
        self.proxy_headers: list[dict[str, str]] = []

    @property
    def proxy(self) -> str:
        """The proxy, which also is a plain web server."""
        return self._plain.url

    @property
    def tls_port(self) -> int:
        """Of the server itself, without a proxy before it; it also is a proxy that speaks TLS."""
        return self._secure.port

    def paths(self) -> list[str]:
        return [urlsplit(request).path for request in self.requests]

    def __enter__(self) -> "YouTube":
        for server in (self._plain, self._secure):
            server.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self.stopping.set()
        for server in (self._plain, self._secure):
            server.__exit__()


class _Quiet(Serving):
    def handle_error(self, *_: object) -> None:
        """Clients that hang up are part of the tests."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    youtube: YouTube

    def log_message(self, *_: object) -> None:
        pass

    # -- The proxy ----------------------------------------------------------------------------------

    def do_CONNECT(self) -> None:
        self.youtube.connects.append(self.path)
        self.youtube.proxy_headers.append({name.lower(): value for name, value in self.headers.items()})
        if self.youtube.credentials and not self._authorised():
            self.close_connection = True
            return self._send(407, "", {"Proxy-Authenticate": 'Basic realm="proxy"'})
        if self.path.rpartition(":")[0] not in HOSTS:
            self.close_connection = True
            return self._send(502, "no such host")
        self.send_response_only(200, "Connection established")
        self.end_headers()
        self.close_connection = True
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.youtube.tls_port)) as far:
            self._tunnel(self.connection, far)
        return None

    def _tunnel(self, near: socket.socket, far: socket.socket) -> None:
        """Carry bytes both ways until one side hangs up."""
        others = {near: far, far: near}
        while not self.youtube.stopping.is_set():
            decrypted = isinstance(near, ssl.SSLSocket) and near.pending()
            ready = [near] if decrypted else select.select([near, far], [], [], 0.05)[0]
            for source in ready:
                data = source.recv(65536)
                if not data:
                    return
                others[source].sendall(data)

    def _authorised(self) -> bool:
        wanted = b64encode(self.youtube.credentials.encode()).decode()
        return self.headers.get("Proxy-Authorization") == f"Basic {wanted}"

    # -- The server ---------------------------------------------------------------------------------

    def do_GET(self) -> None:
        self.youtube.requests.append(self.path)
        parts = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        path = TRANSLATION if parts.path == TIMEDTEXT and "tlang" in query else parts.path
        if self._faulty(path, query.get("v", "")):
            return
        if parts.path == WATCH:
            self._watch(query.get("v", ""))
        elif parts.path == TIMEDTEXT:
            self._timedtext(query)
        elif parts.path == SORRY:
            self._send(429, RECAPTCHA)
        else:
            self._send(404, "nothing here")

    def do_POST(self) -> None:
        self.youtube.requests.append(self.path)
        body = json.loads(self.rfile.read(int(self.headers.get("Content-Length", 0))))
        video_id = str(body.get("videoId"))
        if self._faulty(urlsplit(self.path).path, video_id):
            return
        if parse_qs(urlsplit(self.path).query).get("key") != [API_KEY] or "clientName" not in str(body.get("context")):
            self._send(400, json.dumps({"error": {"code": 400, "message": "Precondition check failed."}}))
        else:
            self._send(200, json.dumps(player(video_id, self.youtube.videos.get(video_id))), _JSON)

    def _faulty(self, path: str, video_id: str) -> bool:
        own = self.youtube.videos.get(video_id, Video()).faults
        fault = own.get(path) or self.youtube.faults.get(path)
        if fault:
            getattr(self, f"_{fault.kind}")(fault)
        return fault is not None

    def _watch(self, video_id: str) -> None:
        agreed = "CONSENT=YES" in self.headers.get("Cookie", "")
        if self.youtube.consent == "insists" or (self.youtube.consent and not agreed):
            form = CONSENT if self.youtube.consent != "formless" else CONSENT.replace('name="v"', 'name="w"')
            return self._send(200, form)
        title = html.escape(self.youtube.videos.get(video_id, Video("")).title)
        settings = json.dumps({"INNERTUBE_API_KEY": API_KEY, "INNERTUBE_CONTEXT": {"client": {"hl": "en"}}})
        page = f"<html><head><title>{title} - YouTube</title></head><body><script>ytcfg.set({settings});</script>"
        return self._send(200, page + "<!-- as long as YouTube's pages -->" * 5000)

    def _timedtext(self, query: dict[str, str]) -> None:
        for track in self.youtube.videos.get(query.get("v", ""), Video()).tracks:
            if track.language == query.get("lang") and track.automatic == (query.get("kind") == "asr"):
                return self._send(
                    200, timedtext(track, query.get("tlang", "")), {"Content-Type": "text/xml; charset=UTF-8"}
                )
        return self._send(404, "")

    # -- Answers ------------------------------------------------------------------------------------

    def _send(self, status: int, body: str, headers: dict[str, str] | None = None) -> None:
        content = body.encode()
        self.send_response(status)
        for name, value in {"Content-Type": "text/html; charset=utf-8", **(headers or {})}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _answer(self, fault: Fault) -> None:
        self._send(fault.status, fault.body, fault.headers)

    def _silent(self, _: Fault) -> None:
        self.youtube.stopping.wait(20)
        self.close_connection = True

    def _cut(self, _: Fault) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "1000")
        self.end_headers()
        self.wfile.write(b"half")
        self.close_connection = True

    def _drip(self, _: Fault) -> None:
        self._endless(b".", 0.05)

    def _huge(self, _: Fault) -> None:
        self._endless(b"x" * 1_000_000, 0)

    def _bomb(self, _: Fault) -> None:
        content = gzip.compress(bytes(50_000_000), 1)
        self.send_response(200)
        self.send_header("Content-Encoding", "gzip")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _headers(self, _: Fault) -> None:
        self.close_connection = True
        with contextlib.suppress(OSError):
            self.wfile.write(b"HTTP/1.1 200 OK\r\nX-Slow: ")
            while not self.youtube.stopping.wait(0.05):
                self.wfile.write(b".")

    def _endless(self, piece: bytes, pause: float) -> None:
        self.close_connection = True
        with contextlib.suppress(OSError):
            self.send_response(200)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.end_headers()
            while not self.youtube.stopping.wait(pause):
                self.wfile.write(piece)


_XML = {"Content-Type": "text/xml; charset=UTF-8"}
_JSON = {"Content-Type": "application/json; charset=UTF-8"}


def player(video_id: str, video: Video | None) -> dict[str, Any]:
    """The answer of the player's API."""
    if video is None:
        return {"playabilityStatus": {"status": "ERROR", "reason": GONE}}
    status: dict[str, Any] = {"status": video.status}
    if video.reason:
        status["reason"] = video.reason
    if video.subreason:
        runs = {"runs": [{"text": video.subreason}]}
        status["errorScreen"] = {"playerErrorMessageRenderer": {"subreason": runs}}
    answer: dict[str, Any] = {"playabilityStatus": status, "videoDetails": {"videoId": video_id, "title": video.title}}
    if video.tracks:
        languages = [{"languageCode": code, "languageName": runs_of(code)} for code in video.translations]
        tracks = [track_of(video_id, track) for track in video.tracks]
        listed = {"captionTracks": tracks, "translationLanguages": languages}
        answer["captions"] = {"playerCaptionsTracklistRenderer": listed}
    return answer


def track_of(video_id: str, track: Track) -> dict[str, Any]:
    query = {"v": video_id, "lang": track.language} | ({"kind": "asr"} if track.automatic else {})
    return {
        "baseUrl": f"https://www.youtube.com{TIMEDTEXT}?{urlencode(query)}{track.more}&fmt=srv3",
        "name": runs_of(track.language),
        "languageCode": track.language,
        "isTranslatable": track.translatable,
        **({"kind": "asr"} if track.automatic else {}),
    }


def runs_of(text: str) -> dict[str, Any]:
    return {"runs": [{"text": f"Language {text}"}]}


def timedtext(track: Track, into: str) -> str:
    """The transcript as XML, whose text YouTube escapes twice."""
    words = [(start, length, f"{into}: {text}" if into else text) for start, length, text in track.lines]
    lines = "".join(
        f'<text start="{start}" dur="{length}">{html.escape(html.escape(text))}</text>' for start, length, text in words
    )
    return f'<?xml version="1.0" encoding="utf-8" ?><transcript>{lines}</transcript>'


# -- Certificates -----------------------------------------------------------------------------------


def certificates(folder: Path) -> tuple[Path, Path]:
    """A new authority, and a certificate and key of the hosts that it vouches for; as files in *folder*."""
    authority, server = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Authority of the tests")])
    names: list[x509.GeneralName] = [x509.DNSName(host) for host in HOSTS]
    names.append(x509.IPAddress(ipaddress.ip_address("127.0.0.1")))
    signs = x509.KeyUsage(True, False, False, False, False, True, True, False, False)
    root = _certificate(name, name, authority, authority, [x509.BasicConstraints(ca=True, path_length=None), signs])
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, HOSTS[0])])
    basics = x509.BasicConstraints(ca=False, path_length=None)
    leaf = _certificate(subject, name, server, authority, [basics, x509.SubjectAlternativeName(names)])
    pem = serialization.Encoding.PEM
    key = server.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    ca_file, key_file = folder / "ca.pem", folder / "server.pem"
    ca_file.write_bytes(root.public_bytes(pem))
    key_file.write_bytes(key + leaf.public_bytes(pem))
    return ca_file, key_file


def _certificate(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    signer: ec.EllipticCurvePrivateKey,
    extensions: list[x509.ExtensionType],
) -> x509.Certificate:
    now = datetime.datetime.now(datetime.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=30))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False)
    )
    for extension in extensions:
        builder = builder.add_extension(extension, critical=isinstance(extension, x509.BasicConstraints))
    return builder.sign(signer, hashes.SHA256())


# -- A demonstration --------------------------------------------------------------------------------

TALK = (
    "Welcome to the second lecture on gardens in dry places.",
    "Last week we saw how a stone wall keeps the warmth of the day.",
    "[Music]",
    "Today we speak about water, and about how little of it is enough.",
    "A clay pot that is buried in the ground gives water slowly to the roots.",
    "People in many dry countries have used such pots for two thousand years.",
    "You fill the pot once a week, and cover it with a flat stone.",
    "Beans, melons and young trees grow well beside it.",
    "Next week we look at mulch: straw, leaves and bark that cover the soil.",
    "Please bring a handful of soil from your own garden. Thank you.",
)
VORTRAG = (
    "Willkommen zur zweiten Vorlesung über Gärten in trockenen Gegenden.",
    "Heute sprechen wir über Wasser und darüber, wie wenig davon genügt.",
    "Ein Tontopf, der in der Erde vergraben ist, gibt sein Wasser langsam ab.",
)


def demonstration() -> dict[str, Video]:
    """A video for each thing that can happen, with an id that says which."""
    english = Track("en", spoken(*TALK, every=12.0))
    heard = Track("en", spoken(*(text.lower() for text in TALK), every=12.0), automatic=True)
    german = Track("de", spoken(*VORTRAG, every=12.0), automatic=True)
    login = "LOGIN_REQUIRED"
    too_many = Fault(429, "", {"Retry-After": "60"})
    return {
        "LECTURE_ENG": Video("Gardens in dry places, 2", (english, heard)),
        "LECTURE_GER": Video("Gärten in trockenen Gegenden", (german,)),
        "ONLY_HEARD_": Video("Gardens, recognised by ear", (heard,)),
        "NO_CAPTIONS": Video("A silent walk"),
        "PRIVATE_VID": Video("Not for you", status=login, reason="This is a private video."),
        "AGE_GATED_V": Video("Only for adults", status=login, reason=AGE),
        "BLOCKED_BOT": Video("Blocked", status=login, reason=BOT),
        "CAPTCHA_VID": Video("Captcha", faults={WATCH: Fault(body=RECAPTCHA)}),
        "TOO_MANY_RQ": Video("Too many requests", (english,), faults={WATCH: too_many}),
        "MEMBERS_ONL": Video("For members", status="UNPLAYABLE", reason="Join this channel to get access"),
        "GEO_BLOCKED": Video(
            "Elsewhere", status="UNPLAYABLE", reason="Video unavailable",
            subreason="The uploader has not made this video available in your country",
        ),
        "EMPTY_WORDS": Video("Empty captions", (english,), faults={TIMEDTEXT: Fault()}),
        "PO_TOKEN_VD": Video("Only for players", (Track("en", english.lines, more="&exp=xpe"),)),
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--port", type=int, default=8765, help="where the proxy listens on 127.0.0.1")
    with tempfile.TemporaryDirectory() as folder, YouTube(Path(folder), parser.parse_args().port) as server:
        server.videos = demonstration()
        assert re.fullmatch(r"[\w-]{11}", next(iter(server.videos)))
        print(f"proxy_url    {server.proxy}")  # noqa: T201
        print(f"Start the KB server with SSL_CERT_FILE={server.ca_file} KB_FETCH_ALLOW_PRIVATE=127.0.0.0/8")  # noqa: T201
        print("Videos:      " + " ".join(server.videos) + "; any other id is not found.")  # noqa: T201
        with contextlib.suppress(KeyboardInterrupt):
            threading.Event().wait()


if __name__ == "__main__":
    main()
