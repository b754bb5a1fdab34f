"""Where fetching may lead, and where not: hostile addresses, rebinding names, redirects to the inside."""

import contextlib
import gzip
import http.server
import ipaddress
import time

import httpx
import pytest

from plugins import net
from plugins.net import AddressBlocked, Fetcher, FetchError, Guard, GuardedTransport, Limits, NameNotFound
from tests.support.serving import Serving

METADATA = "169.254.169.254"

NO_WEB_ADDRESSES = [
    "file:///etc/passwd", "file://localhost/etc/passwd", "gopher://example.org/_x", "ftp://example.org/", "dict://example.org",
    "ldap://example.org", "jar:http://example.org!/", "data:text/plain,x", "javascript:alert(1)", "unix:/run/x.sock",
    "//example.org/", "example.org", "http://", "http:///etc", "https://:443/", "", " ", "http:127.0.0.1", "http://[::1",
    "http://exa mple.org/", "http://example.org:0/", "http://example.org:99999/", "http://example.org:x/",
    "http://user@example.org/", "http://user:secret@example.org/", "http://example.org@127.0.0.1/",
    "http://127.0.0.1:80\\@example.org/", "\x00http://example.org/", "http://example.org\r\nHost: inside/",
    "http://0177.0.0.1/", "http://0251.0376.0251.0376/", "http://１２７.0.0.1/", "http://①②⑦.0.0.1/", "http://[fe80::1%25eth0]/",
    "http://xn--7a/", "http://xn--a/",
]  # fmt: skip

INSIDE = [
    "127.0.0.1", "127.1", "127.0.1", "127.255.255.254", "2130706433", "0x7f000001", "0x7f.0.0.1", "017700000001",
    "0", "0.1.2.3", "localhost", "localhost.", "LOCALHOST", "any.localhost", "10.0.0.1", "10.1", "172.16.0.1",
    "172.31.255.255", "192.168.0.1", "192.168.1", "3232235521", "0xc0a80001", METADATA, "2852039166", "0xa9fea9fe",
    "100.64.0.1", "100.100.100.200", "192.0.0.1", "192.0.2.1", "198.18.0.1", "198.51.100.7", "203.0.113.9", "224.0.0.1",
    "240.0.0.1", "255.255.255.255", "[::1]", "[::]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[::127.0.0.1]",
    "[::ffff:169.254.169.254]", "[64:ff9b::7f00:1]", "[64:ff9b::a9fe:a9fe]", "[2002:7f00:1::]", "[2002:a9fe:a9fe::1]",
    "[2001:0:4136:e378:8000:63bf:f5ff:fffe]", "[fe80::1]", "[fec0::1]", "[fc00::1]", "[fd00:ec2::254]", "[ff02::1]",
    "[2001:db8::1]", "[100::1]", "127。0。0。1", "168.63.129.16", "0xa83f8110", "192.0.0.192", "192.0.0.9",
    "[::ffff:168.63.129.16]", "[64:ff9b::a83f:8110]", "[64:ff9b:1::1]", "[64:ff9b:1:ffff::7f00:1]", "[3fff::1]",
    "[3fff:fff:ffff::1]", "[5f00::1]", "[feff::1]", "[2001:470::5efe:7f00:1]", "[2001:470::200:5efe:a9fe:a9fe]",
    "[fd00::5efe:808:808]",
]  # fmt: skip


@pytest.mark.parametrize("url", NO_WEB_ADDRESSES)
def test_what_is_no_plain_web_address_is_refused_by_its_form(url):
    with pytest.raises(AddressBlocked) as caught:
        Guard().check_url(url)
    assert caught.value.hint
    assert "secret" not in caught.value.message


@pytest.mark.parametrize("host", INSIDE)
def test_an_address_inside_is_refused_before_anything_is_sent(host):
    with httpx.Client(transport=GuardedTransport(Guard()), timeout=5) as client, pytest.raises(AddressBlocked):
        client.get(f"http://{host}:9/")


@pytest.mark.parametrize(
    "address",
    [
        "1.1.1.1",
        "8.8.8.8",
        "168.63.129.17",
        "2606:4700:4700::1111",
        "::ffff:8.8.8.8",
        "64:ff9b::808:808",
        "2001:470::200:5efe:808:808",
    ],
)
def test_public_addresses_are_permitted(address):
    assert Guard().permits(ipaddress.ip_address(address))


def test_an_intranet_is_permitted_when_the_operator_allows_it(monkeypatch):
    monkeypatch.setenv(net.ALLOWED_SETTING, "10.1.0.0/16, fd00::/8")
    guard = net.guard_of_environment()
    for address, permitted in {"10.1.2.3": True, "10.2.0.1": False, "fd00::1": True, "::ffff:10.1.2.3": True}.items():
        assert guard.permits(ipaddress.ip_address(address)) is permitted


@pytest.mark.parametrize(
    ("network", "address"),
    [
        ("168.63.129.16", "168.63.129.16"),
        ("168.63.129.16", "::ffff:168.63.129.16"),
        ("192.0.0.0/24", "192.0.0.192"),
        ("100.64.0.0/10", "100.100.100.200"),
        ("3fff::/20", "3fff::1"),
        ("5f00::/16", "5f00::1"),
        ("64:ff9b:1::/48", "64:ff9b:1::a00:1"),
        ("fec0::/10", "fec0::1"),
        ("10.0.0.0/8", "2001:470::5efe:a00:1"),
        ("10.0.0.0/8,fd00::/8", "fd00::5efe:a00:1"),
    ],
)
def test_every_network_can_be_opened_by_the_operator(monkeypatch, network, address):
    assert not Guard().permits(ipaddress.ip_address(address))
    monkeypatch.setenv(net.ALLOWED_SETTING, network)
    assert net.guard_of_environment().permits(ipaddress.ip_address(address))


def test_a_name_that_leads_outside_and_inside_is_refused():
    guard = Guard(resolve=lambda host, port: ["1.1.1.1", METADATA])
    with pytest.raises(AddressBlocked, match="private network"):
        guard.addresses("both.example", 80)


@pytest.mark.parametrize("host", ["no-such-host.invalid", "x" * 300, "a..b"])
def test_a_name_that_nobody_knows_is_said_to_be_unknown(host):
    with pytest.raises(NameNotFound) as caught:
        Guard().addresses(host, 80)
    assert caught.value.transient


# -- Real connections --------------------------------------------------------------------------------


BOMB = gzip.compress(bytes(50_000_000))


class Pages(http.server.BaseHTTPRequestHandler):
    """A site with every fault: ``/to?URL`` redirects, the others do what their name says."""

    server: "Site"

    def do_GET(self):
        self.server.paths.append(self.path)
        name, _, argument = self.path.lstrip("/").partition("?")
        answer = getattr(self, f"answer_{name}", None)
        if answer:
            answer(argument)
        elif name == "missing":
            self.answer(404, b"not here")
        elif self.headers.get("If-None-Match") == '"1"':
            self.answer(304)
        else:
            self.answer(200, b"a page", ETag='"1"')

    def answer(self, status, body=b"", **headers):
        self.send_response(status)
        for key, value in {"Content_Length": str(len(body)), **headers}.items():
            self.send_header(key.replace("_", "-"), value)
        self.end_headers()
        with contextlib.suppress(OSError):  # the client has gone, as it should
            self.wfile.write(body)

    def answer_to(self, address):
        self.answer(302, Location=address)

    def answer_round(self, _):
        self.answer(302, Location="/round")

    def answer_cookie(self, _):
        self.answer(200, self.headers.get("Cookie", "").encode(), Set_Cookie="seen=1")

    def answer_announced(self, _):
        self.answer(200, Content_Length=str(10**12))

    def answer_bomb(self, _):
        self.answer(200, BOMB, Content_Encoding="gzip")

    def answer_packed(self, _):
        body, coding = self.server.packed
        self.answer(200, body, Content_Encoding=coding)

    def answer_garbled(self, _):
        self.answer(200, b"this is no gzip", Content_Encoding="gzip")

    def answer_cut(self, _):
        self.answer(200, b"half", Content_Length="8")
        self.close_connection = True

    def answer_silent(self, _):
        self.server.closing.wait(20)

    def answer_dripping(self, _):
        self.answer(200, Content_Length="1000")
        with contextlib.suppress(OSError):
            while not self.server.closing.wait(0.05):
                self.wfile.write(b".")

    def answer_headers(self, _):
        with contextlib.suppress(OSError):
            self.wfile.write(b"HTTP/1.0 200 OK\r\nX-Slow: ")
            while not self.server.closing.wait(0.05):
                self.wfile.write(b".")

    def log_message(self, *_):
        pass


class Site(Serving):
    paths: list[str]
    packed: tuple[bytes, str]


@pytest.fixture
def site():
    with Site(Pages) as server:
        server.paths = []
        yield server


LOCAL = [ipaddress.ip_network("127.0.0.0/8")]


def test_the_connection_goes_to_the_address_that_was_checked(site):
    """A name that means another machine each time it is asked for is asked for once a connection."""
    asked = []

    def rebinding(host, port):
        asked.append(host)
        return ["127.0.0.1"] if len(asked) == 1 else [METADATA]

    with httpx.Client(transport=GuardedTransport(Guard(LOCAL, rebinding))) as client:
        answer = client.get(f"http://rebinding.example:{site.server_port}/page", headers={"Connection": "close"})
        assert answer.status_code == 200
        assert asked == ["rebinding.example"]
        with pytest.raises(AddressBlocked):
            client.get(f"http://rebinding.example:{site.server_port}/page")
    assert site.paths == ["/page"]


@pytest.mark.parametrize(
    "inside", [f"http://{METADATA}/latest/meta-data/", "http://[::1]/", "http://10.0.0.1/", "file:///etc/passwd"]
)
def test_a_redirect_to_the_inside_is_refused(site, inside):
    client = httpx.Client(transport=GuardedTransport(Guard(LOCAL)), follow_redirects=True)
    with client, pytest.raises((AddressBlocked, httpx.UnsupportedProtocol)):
        client.get(f"http://127.0.0.1:{site.server_port}/to?{inside}")
    assert len(site.paths) == 1


def test_a_proxy_of_the_environment_is_not_used(site, monkeypatch):
    for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    with httpx.Client(transport=GuardedTransport(Guard(LOCAL))) as client:
        assert client.get(f"http://127.0.0.1:{site.server_port}/").status_code == 200


# -- Fetching ----------------------------------------------------------------------------------------


@pytest.fixture
def fetcher():
    with Fetcher(Guard(LOCAL), Limits(content_bytes=1_000_000, seconds=1.0, silence_seconds=0.5)) as made:
        yield made


def test_a_page_is_fetched_with_the_address_where_it_was_in_the_end(site, fetcher):
    fetched = fetcher.get(f"http://127.0.0.1:{site.server_port}/to?/page")
    assert (fetched.status, fetched.content) == (200, b"a page")
    assert fetched.url.endswith("/page")
    assert fetcher.get(f"http://127.0.0.1:{site.server_port}/missing").status == 404


def test_a_redirect_can_be_handed_over_instead_of_being_followed(site, fetcher):
    fetched = fetcher.get(f"http://127.0.0.1:{site.server_port}/to?/page", follow=False)
    assert (fetched.status, fetched.redirects_to) == (302, "/page")
    assert site.paths == ["/to?/page"]
    assert fetcher.get(f"http://127.0.0.1:{site.server_port}/page").redirects_to == ""


def test_a_body_that_nobody_wants_is_not_fetched(site, fetcher):
    fetched = fetcher.get(f"http://127.0.0.1:{site.server_port}/announced", unwanted=lambda headers: True)
    assert (fetched.status, fetched.content) == (200, b"")


def test_cookies_are_kept_until_they_are_to_be_forgotten(site, fetcher):
    address = f"http://127.0.0.1:{site.server_port}/cookie"
    assert fetcher.get(address).content == b""
    assert fetcher.get(address).content == b"seen=1"
    fetcher.forget()
    assert fetcher.get(address).content == b""


def test_what_has_not_changed_is_not_fetched_again(site, fetcher):
    first = fetcher.get(f"http://127.0.0.1:{site.server_port}/page")
    again = fetcher.get(first.url, {"If-None-Match": first.headers["ETag"]})
    assert (again.status, again.content) == (304, b"")


@pytest.mark.parametrize(
    ("path", "code", "transient"),
    [
        ("round", "too_many_redirects", False),
        ("announced", "too_large", False),
        ("bomb", "too_large", False),
        ("garbled", "fetch_failed", True),
        ("cut", "fetch_failed", True),
        ("silent", "fetch_timeout", True),
        ("dripping", "fetch_timeout", True),
        ("headers", "fetch_timeout", True),
        ("to?gopher://example.org/", "address_blocked", False),
        (f"to?http://{METADATA}/", "address_blocked", False),
    ],
)
def test_each_way_to_fail_has_its_code_and_ends_in_time(site, fetcher, path, code, transient):
    began = time.monotonic()
    with pytest.raises((FetchError, AddressBlocked)) as caught:
        fetcher.get(f"http://127.0.0.1:{site.server_port}/{path}")
    assert time.monotonic() - began < 5
    assert (caught.value.code, caught.value.transient) == (code, transient)
    assert caught.value.message
    assert caught.value.hint


def test_a_server_that_is_not_there_is_a_passing_fault(fetcher):
    with pytest.raises(FetchError) as caught:
        fetcher.get("http://127.0.0.1:9/")
    assert (caught.value.code, caught.value.transient) == ("fetch_failed", True)


@pytest.mark.parametrize(
    ("coding", "body"),
    [
        ("gzip, gzip", gzip.compress(gzip.compress(b"x" * 1000, mtime=0), mtime=0)),
        ("deflate", b"x"),
        ("br", b"x"),
        ("gzip", b"no gzip"),
    ],
)
def test_a_body_packed_in_another_way_than_asked_for_is_refused(site, fetcher, coding, body):
    site.packed = body, coding
    with pytest.raises(FetchError) as caught:
        fetcher.get(f"http://127.0.0.1:{site.server_port}/packed")
    assert caught.value.code == "fetch_failed"


@pytest.mark.parametrize("size", [0, 1, 65_536, 1_000_000])
def test_a_packed_body_is_read_whole(site, fetcher, size):
    text = bytes(range(256)) * (size // 256) + b"x" * (size % 256)
    site.packed = gzip.compress(text), "gzip"
    assert fetcher.get(f"http://127.0.0.1:{site.server_port}/packed").content == text
