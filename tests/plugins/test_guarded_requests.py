"""``requests`` through the guard: where it connects to, by which proxies, how long it waits and how much it reads."""

import ipaddress
import pickle
import time
import traceback

import pytest
import requests

from plugins.base import PluginError
from plugins.guarded_requests import BodyTooLarge, GuardedSession, Limits, Proxy
from plugins.net import AddressBlocked, Guard, NameNotFound
from tests.support.youtube import Fault, YouTube

METADATA = "169.254.169.254"
LOCAL = [ipaddress.ip_network("127.0.0.0/8")]
QUICK = Limits(content_bytes=2_000_000, seconds=0.8, silence_seconds=0.4)
INSIDE = [
    "127.0.0.1", "127.1", "2130706433", "0x7f000001", "0", "localhost", "any.localhost", "10.0.0.1", "192.168.0.1",
    METADATA, "100.64.0.1", "[::1]", "[::ffff:127.0.0.1]", "[64:ff9b::a9fe:a9fe]", "[fe80::1]", "[fd00:ec2::254]",
]  # fmt: skip


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with YouTube(tmp_path_factory.mktemp("server")) as running:
        yield running


@pytest.fixture(autouse=True)
def _trusted(server, monkeypatch):
    server.reset()
    monkeypatch.setenv("SSL_CERT_FILE", str(server.ca_file))


@pytest.fixture
def session():
    """A session that may connect to this machine, where every name leads."""
    with GuardedSession(Guard(LOCAL, lambda host, port: ["127.0.0.1"]), QUICK) as made:
        made.begin()
        yield made


# -- Where it leads ---------------------------------------------------------------------------------


@pytest.mark.parametrize("host", INSIDE)
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_an_address_inside_is_refused_before_anything_is_sent(scheme, host):
    with GuardedSession(Guard()) as session, pytest.raises(AddressBlocked):
        session.get(f"{scheme}://{host}:9/")


@pytest.mark.parametrize(
    "url", ["file:///etc/passwd", "ftp://example.org/", "http://user:secret@example.org/", "http://exa mple.org/"]
)
def test_what_is_no_plain_web_address_is_refused(url):
    with GuardedSession(Guard()) as session, pytest.raises((AddressBlocked, ValueError)):
        session.get(url)


def test_the_connection_goes_to_the_address_that_was_checked(server):
    """A name that means another machine each time it is asked for is asked for once a connection."""
    asked = []

    def rebinding(host, port):
        asked.append(host)
        return ["127.0.0.1"] if len(asked) == 1 else [METADATA]

    address = f"http://rebinding.example:{server.proxy.rpartition(':')[2]}/page"
    with GuardedSession(Guard(LOCAL, rebinding)) as session:
        assert session.get(address).status_code == 404
        assert asked == ["rebinding.example"]
        session.close()  # its connections, so that the next request needs a new one
        with pytest.raises(AddressBlocked):
            session.get(address)
    assert server.requests == ["/page"]


@pytest.mark.parametrize(
    "inside", [f"http://{METADATA}/latest/meta-data/", "http://[::1]/", "https://10.0.0.1/", "file:///etc/passwd"]
)
def test_a_redirect_to_the_inside_is_refused(server, session, inside):
    server.faults["/to"] = Fault(302, headers={"Location": inside})
    with pytest.raises((AddressBlocked, requests.exceptions.InvalidSchema)):
        GuardedSession(Guard(LOCAL)).get(f"{server.proxy}/to")
    assert server.requests == ["/to"]


def test_redirects_have_an_end(server, session):
    server.faults["/round"] = Fault(302, headers={"Location": "/round"})
    with pytest.raises(requests.TooManyRedirects):
        session.get(f"{server.proxy}/round")
    assert len(server.requests) == QUICK.redirects + 1


def test_an_unknown_name_is_said_to_be_unknown():
    with GuardedSession(Guard()) as session, pytest.raises(NameNotFound):
        session.get("https://no-such-host.invalid/")


def test_the_next_address_of_a_name_is_tried(server):
    with GuardedSession(Guard(LOCAL, lambda host, port: ["127.0.0.9", "127.0.0.1"]), QUICK) as session:
        assert session.get(f"http://two.example:{server.proxy.rpartition(':')[2]}/").status_code == 404


def test_proxies_and_passwords_of_the_environment_are_not_used(server, session, monkeypatch, tmp_path):
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login me password secret")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    answer = session.get(f"{server.proxy}/")
    assert answer.status_code == 404
    assert "Authorization" not in answer.request.headers


# -- TLS --------------------------------------------------------------------------------------------


def test_the_certificate_must_be_of_the_name_that_was_asked_for(server, session):
    assert session.get(f"https://www.youtube.com:{server.tls_port}/watch?v=x").status_code == 200
    with pytest.raises(requests.exceptions.SSLError):
        session.get(f"https://www.example.org:{server.tls_port}/")


def test_only_the_authorities_of_the_operator_are_trusted(server, monkeypatch):
    monkeypatch.delenv("SSL_CERT_FILE")
    with GuardedSession(Guard(LOCAL, lambda host, port: ["127.0.0.1"]), QUICK) as session:
        for wanted in (True, False):  # nobody can ask for less
            with pytest.raises(requests.exceptions.SSLError):
                session.get(f"https://www.youtube.com:{server.tls_port}/", verify=wanted)


# -- What it may cost -------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["silent", "drip", "headers"])
@pytest.mark.parametrize("way", ["plain", "tls", "tunnel", "tls tunnel"])
def test_no_server_keeps_a_session_longer_than_its_deadline(server, kind, way):
    server.faults["/slow"] = Fault(kind=kind)
    port = server.tls_port if way == "tls" else server.proxy.rpartition(":")[2]
    proxies = {"tunnel": server.proxy, "tls tunnel": f"https://localhost:{server.tls_port}"}
    proxy = Proxy.parse(proxies[way]) if way in proxies else None
    host = "127.0.0.1" if way == "plain" else "www.youtube.com"
    address = f"{'http' if way == 'plain' else 'https'}://{host}" + ("" if proxy else f":{port}")
    guard = Guard(LOCAL, lambda host, port: ["127.0.0.1"])
    limits = Limits(seconds=0.4, silence_seconds=0.3)
    with GuardedSession(guard, limits, proxy) as session:
        session.begin()
        began = time.monotonic()
        with pytest.raises(requests.RequestException):
            session.get(f"{address}/slow")
        assert time.monotonic() - began < 2
        session.begin()  # the next one has its time again
        assert session.get(f"{address}/other").status_code == 404


@pytest.mark.parametrize("kind", ["huge", "bomb"])
def test_a_body_is_read_only_so_far(server, kind):
    server.faults["/large"] = Fault(kind=kind)
    limits = Limits(content_bytes=2_000_000)  # and time enough for a busy machine to make it
    guard = Guard(LOCAL, lambda host, port: ["127.0.0.1"])
    with GuardedSession(guard, limits) as session, pytest.raises(BodyTooLarge):
        session.get(f"{server.proxy}/large")


def test_a_body_that_breaks_off_is_no_body(server, session):
    server.faults["/cut"] = Fault(kind="cut")
    with pytest.raises(requests.RequestException):
        session.get(f"{server.proxy}/cut")


# -- Proxies ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "address", "opened"),
    [
        ("http://proxy.example:8080", "http://proxy.example:8080", False),
        ("proxy.example:8080", "http://proxy.example:8080", False),
        (" https://proxy.example ", "https://proxy.example:443", False),
        ("http://me:s%40fe@proxy.example/", "http://proxy.example:80", True),
        ("me:secret@[2001:4860::1]:99", "http://[2001:4860::1]:99", True),
    ],
)
def test_the_address_of_a_proxy_is_kept_apart_from_what_opens_it(text, address, opened):
    proxy = Proxy.parse(text)
    assert proxy.address == address
    assert bool(proxy.authorization) is opened
    assert "Basic" not in repr(proxy)


@pytest.mark.parametrize(
    "text", ["socks5://x:1", "http://", "http://me:secret@", "http://x:port", "http://[::1", "a b:1"]
)
def test_what_is_no_proxy_is_refused_without_repeating_it(text):
    with pytest.raises(PluginError) as caught:
        Proxy.parse(text)
    assert caught.value.code == "bad_proxy"
    assert "secret" not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize("tls", [False, True])
def test_a_proxy_is_asked_with_its_password_and_resolves_the_name(server, tls):
    server.credentials = "me:s@fe"
    address = f"https://me:s%40fe@localhost:{server.tls_port}" if tls else server.proxy.replace("//", "//me:s%40fe@")
    with GuardedSession(Guard(LOCAL), QUICK, Proxy.parse(address)) as session:
        assert session.get("https://www.youtube.com/watch?v=x").status_code == 200
    assert server.connects == ["www.youtube.com:443"]
    assert "proxy-authorization" in server.proxy_headers[0]


def test_a_proxy_that_refuses_is_an_error_of_the_proxy(server):
    server.credentials = "me:secret"
    proxy = Proxy.parse(server.proxy.replace("//", "//me:wrong-one@"))
    refused = pytest.raises(requests.exceptions.ProxyError, match="407")
    with GuardedSession(Guard(LOCAL), QUICK, proxy) as session, refused as caught:
        session.get("https://www.youtube.com/")
    assert "wrong-one" not in "".join(traceback.format_exception(caught.value))


def test_a_proxy_inside_is_refused_and_not_named(server):
    with GuardedSession(Guard(), QUICK, Proxy.parse(server.proxy)) as session, pytest.raises(AddressBlocked) as caught:
        session.get("https://www.youtube.com/")
    assert "127.0.0.1" not in "".join(traceback.format_exception(caught.value))
    assert not server.connects


def test_a_proxy_that_nobody_knows_is_not_named():
    proxy = Proxy.parse("http://no-such-proxy.invalid:1")
    with GuardedSession(Guard(), QUICK, proxy) as session, pytest.raises(PluginError) as caught:
        session.get("https://www.youtube.com/")
    assert caught.value.code == "proxy_failed"
    assert "no-such-proxy" not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize("inside", [f"https://{METADATA}/", "http://[::1]/"])
def test_a_proxy_is_not_asked_for_addresses_inside(server, inside):
    with GuardedSession(Guard(LOCAL), QUICK, Proxy.parse(server.proxy)) as session, pytest.raises(AddressBlocked):
        session.get(inside)
    assert not server.connects


def test_a_proxy_that_is_not_there_is_an_error_of_the_proxy():
    proxy = Proxy.parse("http://127.0.0.1:9")
    with GuardedSession(Guard(LOCAL), QUICK, proxy) as session, pytest.raises(requests.exceptions.ProxyError):
        session.get("https://www.youtube.com/")


def test_an_answer_can_be_read_after_its_session_is_closed(server):
    with GuardedSession(Guard(LOCAL)) as session:
        answer = session.get(f"{server.proxy}/page")
    assert pickle.loads(pickle.dumps(answer)).text == answer.text == "nothing here"  # noqa: S301
