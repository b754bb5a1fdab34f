"""The crawler among real servers: where it goes, how it behaves, and what becomes of each address."""

import ipaddress
import time
from email.utils import formatdate
from itertools import pairwise

import pytest

from plugins.kept import Kept
from plugins.net import Fetcher, Guard, Limits
from plugins.web import polite, robots
from plugins.web.addresses import Rules
from plugins.web.crawl import Crawl, Duplicate, Elsewhere, Failed, Order, Read
from plugins.web.frontier import Frontier, Target
from plugins.web.robots import orders
from tests.support.site import Answer, Site

LOCAL = [ipaddress.ip_network("127.0.0.0/8")]
NAMES = {"site.example": "127.0.0.1", "www.site.example": "127.0.0.1", "docs.site.example": "127.0.0.1"}
TEXT = "The library opens at nine and closes at six, and on Fridays it stays open until eight."


@pytest.fixture
def site():
    with Site() as running:
        yield running


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch):
    monkeypatch.setattr(polite, "ROBOTS_PAUSE", 0.01)


class Run:
    """One crawl to its end, with names that only tests know."""

    def __init__(self, order, kept=None, limits=None):
        self.told = []
        guard = Guard(LOCAL, lambda host, port: [NAMES.get(host, host)])
        limits = limits or Limits(content_bytes=2_000_000, seconds=0.5, silence_seconds=0.3)
        with Fetcher(guard, limits) as fetcher:
            self.crawl = Crawl(order, fetcher, Kept(kept), lambda *step: self.told.append(step))
            self.outcomes = list(self.crawl.run())

    def of(self, kind):
        return [outcome for outcome in self.outcomes if isinstance(outcome, kind)]

    @property
    def read(self):
        return [read.address.partition("/")[2].partition("/")[2].partition("/")[2] for read in self.of(Read)]

    @property
    def codes(self):
        return {"/" + failed.address.split("/", 3)[3]: failed.code for failed in self.of(Failed)}


def crawl(site, start="/", *, kept=None, limits=None, host="127.0.0.1", **order):
    settings = {"delay": 0, **order}
    return Run(Order(starts=(f"http://{host}:{site.port}{start}",), **settings), kept, limits)


def read_alone(site, *paths, **order):
    return Run(Order(singles=tuple(f"{site.url}{path}" for path in paths), **{"delay": 0, **order}))


# -- Where it goes ----------------------------------------------------------------------------------


def test_links_are_followed_breadth_first_and_no_page_is_fetched_twice(site):
    site.article("/", f"Start. {TEXT}", "/a", "/b", "/a#part", "./a?utm_source=x", "/missing")
    site.article("/a", f"A. {TEXT}", "/", "/c", "/b", "b")
    site.article("/b", f"B. {TEXT}", "/c", "/a")
    site.article("/c", f"C. {TEXT}", "/d")
    site.article("/d", f"D. {TEXT}")
    run = crawl(site)
    assert run.read == ["", "a", "b", "c"]  # d is three links away
    assert run.codes == {"/missing": "http_status"}
    assert site.paths() == ["/", "/a", "/b", "/missing", "/c"]
    assert crawl(site, depth=3).read == ["", "a", "b", "c", "d"]
    assert crawl(site, depth=0).read == [""]


def test_progress_grows_with_what_is_found_and_never_passes_its_total(site):
    for number in range(12):
        site.article(f"/{number}", f"Page {number}. {TEXT}", f"/{number * 2 + 1}", f"/{number * 2 + 2}")
    run = crawl(site, "/0", depth=9, limit=9)
    assert [step[0] for step in run.told] == list(range(9))
    totals = [step[1] for step in run.told]
    assert totals[0] == 1
    assert totals == sorted(totals)
    assert totals[-1] == 9
    assert all(done < total <= 9 for done, total, _ in run.told)
    assert run.told[0][2] == f"Crawling {site.url}/0"
    assert run.crawl.left_out == 10


def test_named_pages_are_read_alone_each_once_and_whatever_the_limit(site):
    for name in "abc":
        site.article(f"/{name}", f"{name}. {TEXT}", "/linked")
    run = read_alone(site, "/a", "/b", "/a", "/a#x", "/b?utm_source=y", "/c", limit=1)
    assert run.read == ["a", "b", "c"]
    assert site.paths() == ["/a", "/b", "/c"]


def test_a_crawl_can_be_kept_below_its_start_and_to_some_paths(site):
    site.article(
        "/docs/start",
        f"Start. {TEXT}",
        "/docs/start/a",
        "/docs/start/old/b",
        "/docs/other",
        "/blog/c",
        "/docs/start/d.x",
    )
    for path in ("/docs/start/a", "/docs/start/old/b", "/docs/other", "/blog/c", "/docs/start/d.x"):
        site.article(path, f"{path}. {TEXT}")
    below = crawl(site, "/docs/start", rules=Rules(entire_domain=False))
    assert set(below.read) == {"docs/start", "docs/start/a", "docs/start/old/b", "docs/start/d.x"}
    assert len(crawl(site, "/docs/start").read) == 6


def test_other_hosts_are_left_alone_and_subdomains_too_unless_asked(site):
    port = site.port
    site.article(
        "/",
        f"Start. {TEXT}",
        f"http://docs.site.example:{port}/a",
        f"http://www.site.example:{port}/b",
        f"http://127.0.0.1:{port}/c",
    )
    for path in ("/a", "/b", "/c"):
        site.article(path, f"{path}. {TEXT}")
    assert crawl(site, host="site.example").read == ["", "b"]
    assert crawl(site, host="site.example", rules=Rules(subdomains=True)).read == ["", "a", "b"]


def test_parameters_of_an_address_can_be_ignored(site):
    site.article("/", f"Start. {TEXT}", "/list?page=1", "/list?page=2", "/list")
    for number, path in enumerate(("/list?page=1", "/list?page=2", "/list")):
        site.article(path, f"List {number}. {TEXT}")
    assert crawl(site).read == ["", "list?page=1", "list?page=2", "list"]
    assert crawl(site, ignore_query=True).read == ["", "list?page=1"]


def test_a_trap_of_endless_links_ends_at_the_limit(site):
    def endless(path):
        links = "".join(f'<a href="{path}/{n}">n</a>' for n in range(50))
        return Answer(f"<p>{path} {TEXT}</p>{links}".encode(), 200, {"Content-Type": "text/html"})

    site.fallback = lambda path: endless(path) if path.startswith("/trap") else None
    run = crawl(site, "/trap", depth=20, limit=15)
    assert len(run.read) == 15
    assert run.crawl.left_out > 100


def test_a_page_that_links_to_everything_fills_no_memory():
    frontier = Frontier(1000, ignore_query=False)
    for number in range(30_000):
        frontier.add(Target(f"http://h/{number}", "http://h/"))
    assert len(frontier) == 1000
    assert frontier.left_out == 30_000


def test_pictures_and_archives_are_not_even_asked_for(site):
    site.article("/", f"Start. {TEXT}", "/photo.JPG", "/photo.JPG?x", "/film.mp4", "/all.zip", "/node.js")
    site.article("/node.js", f"What is node.js? {TEXT}")
    run = crawl(site)
    assert run.read == ["", "node.js"]
    assert run.crawl.unreadable_links == 4
    assert read_alone(site, "/photo.jpg").codes == {"/photo.jpg": "unsupported"}
    assert "/photo.jpg" not in site.paths()


def test_old_frames_and_pages_that_only_point_on_are_followed(site):
    site.page("/", '<meta http-equiv="refresh" content="0; url=/frames">')
    site.page("/frames", '<frameset><frame src="/left"><frame src="/right"></frameset>')
    site.article("/left", f"Left. {TEXT}")
    site.page("/right", f'<meta http-equiv="refresh" content="5; url=/right"><p>{TEXT}</p>')
    run = crawl(site)
    assert run.read == ["left", "right"]
    assert run.codes == {"/": "no_text"}


# -- The same page twice ----------------------------------------------------------------------------


def test_a_redirect_to_a_page_that_was_read_is_a_duplicate(site):
    site.article("/", f"Start. {TEXT}", "/old", "/new", "/older", "/away")
    site.page("/old", status=301, Location="/new")
    site.page("/older", status=302, Location="/old")
    site.article("/new", f"New. {TEXT}")
    site.page("/away", status=301, Location="http://other.example/")
    run = crawl(site)
    assert run.read == ["", "new"]
    assert site.paths() == ["/", "/old", "/new", "/older", "/away"]
    assert [(d.address[-6:], d.of) for d in run.of(Duplicate)] == [("/older", f"{site.url}/old")]
    assert [e.to for e in run.of(Elsewhere)] == ["http://other.example/"]
    assert not run.of(Failed)


def test_a_start_that_redirects_to_another_host_is_crawled_there(site):
    port = site.port
    site.page("/short", status=301, Location=f"http://docs.site.example:{port}/long")
    site.article("/long", f"Long. {TEXT}", "/next")
    site.article("/next", f"Next. {TEXT}")
    run = crawl(site, "/short")
    assert run.read == ["long", "next"]
    assert run.of(Read)[1].address == f"http://docs.site.example:{port}/next"


def test_the_same_text_under_two_addresses_is_read_once(site):
    site.article("/", f"Start. {TEXT}", "/a", "/a?session=1")
    site.article("/a", f"A. {TEXT}")
    site.article("/a?session=1", f"A. {TEXT}", "/only-here")
    site.article("/only-here", f"Here. {TEXT}")
    run = crawl(site)
    assert run.read == ["", "a", "only-here"]
    assert [d.of for d in run.of(Duplicate)] == [f"{site.url}/a"]


def test_a_canonical_link_is_believed_when_the_titles_agree(site):
    link = '<link rel="canonical" href="/a">'
    site.article("/", f"Start. {TEXT}", "/print/a", "/a", "/b", "/c")
    site.article("/print/a", f"A for printers. {TEXT}", title="A", head=link)
    site.article("/a", f"A. {TEXT}", title="A", head=link)
    site.article("/b", f"B. {TEXT}", title="B", head=link)  # wrong, as on many sites
    site.article("/c", f"C. {TEXT}", title="/", head='<link rel="canonical" href="/">')
    run = crawl(site)
    assert run.read == ["", "print/a", "b", "c"]
    assert [(d.address, d.of) for d in run.of(Duplicate)] == [(f"{site.url}/a", f"{site.url}/print/a")]


def test_a_page_of_a_list_that_names_the_first_as_its_canonical_address_is_read(site):
    """A common mistake: the second page of a list is not the first."""
    for number in range(1, 4):
        entries = "".join(f"<li>Entry {number}{letter}: what was found in room {number}.</li>" for letter in "abcdef")
        more = f'<a href="/list?page={number + 1}">Next</a>' if number < 3 else ""
        site.page(
            f"/list?page={number}" if number > 1 else "/list",
            f'<title>Findings</title><link rel="canonical" href="/list"><body><main><h1>Findings</h1><p>{TEXT * 3}</p>'
            f"<ul>{entries}</ul>{more}</main>",
        )
    run = crawl(site, "/list")
    assert run.read == ["list", "list?page=2", "list?page=3"]


@pytest.mark.parametrize(
    ("other", "is_double"),
    [
        (f"{TEXT} For printers.", True),
        (f"{TEXT} " * 9 + "Printed from our site, with all of its pictures.", True),
        (f"{TEXT} " * 9 + "The maximum is 8 bar.", False),
        (TEXT.split(",", maxsplit=1)[0], False),  # no sentence of the first
        (f"{TEXT} " * 9 + "The annex, which is for members, opens at noon and closes at four; its door is in the yard "
         "behind the mill.", False),
        ("Closed.", False),
    ],
)  # fmt: skip
def test_no_text_is_lost_to_a_canonical_link(site, other, is_double):
    head = '<link rel="canonical" href="/a">'
    site.article("/", f"Start. {TEXT}", "/a", "/b")
    site.article("/a", TEXT, title="A", head=head)
    site.article("/b", other, title="A", head=head)
    run = crawl(site)
    assert run.read == (["", "a"] if is_double else ["", "a", "b"])


@pytest.mark.parametrize("loop", [{"/x": "/x"}, {"/x": "/y", "/y": "/x"}])
def test_a_redirect_that_never_ends_does(site, loop):
    for path, to in loop.items():
        site.page(path, status=302, Location=to)
    assert read_alone(site, "/x").codes == {"/x": "too_many_redirects"}


def test_a_site_may_send_in_a_circle_to_see_cookies(site):
    def wants_cookie(handler):
        if handler.headers.get("Cookie"):
            handler.send(f"<p>{TEXT}</p>".encode(), headers={"Content-Type": "text/html"})
        else:
            handler.send(b"", 302, {"Location": "/x", "Set-Cookie": "seen=1"})

    site.answers["/x"] = wants_cookie
    site.article("/y", TEXT * 2)
    assert read_alone(site, "/x", "/y").read == ["x", "y"]
    assert "cookie" not in site.asked[-1].headers


# -- Manners ----------------------------------------------------------------------------------------


def test_robots_txt_is_asked_once_and_heeded(site):
    site.page("/robots.txt", "User-agent: *\nDisallow: /private\nAllow: /private/open$\n", Content_Type="text/plain")
    site.article("/", f"Start. {TEXT}", "/private/a", "/private/open", "/b")
    for path in ("/private/a", "/private/open", "/b"):
        site.article(path, f"{path}. {TEXT}")
    run = crawl(site, limit=3)
    assert run.read == ["", "private/open", "b"]  # what was not asked for does not count
    assert run.codes == {"/private/a": "robots"}
    assert [asked.path for asked in site.asked].count("/robots.txt") == 1
    assert len(crawl(site, respect_robots=False).read) == 4


def test_rules_for_this_robot_by_name_come_before_those_for_all(site):
    site.page("/robots.txt", "User-agent: *\nDisallow: /\n\nUser-agent: kb-server\nDisallow: /b\n")
    site.article("/", f"Start. {TEXT}", "/b")
    run = crawl(site)
    assert run.read == [""]
    assert run.codes == {"/b": "robots"}


@pytest.mark.parametrize(
    ("status", "headers", "read"),
    [
        (404, {}, True),
        (403, {}, True),
        (500, {}, False),
        (503, {}, False),
        (429, {"Retry_After": "99999"}, False),
        (302, {"Location": "/robots.txt"}, True),
    ],
)
def test_a_robots_txt_that_is_missing_allows_and_one_that_fails_forbids(site, status, headers, read):
    site.page("/robots.txt", "User-agent: *\nDisallow: /", status=status, **headers)
    site.article("/", TEXT)
    run = crawl(site)
    assert run.read == ([""] if read else [])
    if not read:
        assert run.codes == {"/": "robots"}
        assert run.of(Failed)[0].transient
        assert str(status) in run.of(Failed)[0].message


def fails(times, failure, then):
    """An answer of *failure* some times, and of *then* from then on."""
    failures = iter(range(times))
    return lambda handler: then(handler) if next(failures, None) is None else failure(handler)


def breaks_off(handler):
    handler.close_connection = True


FAILURES = {
    "500": lambda handler: handler.send(b"", 500),
    "429": lambda handler: handler.send(b"", 429),
    "a pause": lambda handler: handler.send(b"", 503, {"Retry-After": "0"}),
    "broken connection": breaks_off,
    "silence": lambda handler: handler.site.closing.wait(0.6),
}


@pytest.mark.parametrize("failure", FAILURES.values(), ids=FAILURES)
def test_a_robots_txt_that_fails_for_the_moment_is_asked_for_again_with_growing_pauses(site, monkeypatch, failure):
    monkeypatch.setattr(polite, "ROBOTS_PAUSE", 0.1)
    rules = b"User-agent: *\nDisallow: /private\n"
    site.answers["/robots.txt"] = fails(2, failure, lambda handler: handler.send(rules))
    site.article("/", f"Start. {TEXT}", "/private", "/b")
    site.article("/b", f"B. {TEXT}")
    run = crawl(site)
    assert run.read == ["", "b"]
    assert run.codes == {"/private": "robots"}
    assert [asked.path for asked in site.asked][:4] == ["/robots.txt"] * 3 + ["/"]
    assert gaps(site)[0] > 0.09
    assert gaps(site)[1] > 0.19


def test_a_robots_txt_that_goes_on_failing_is_given_up_and_asked_for_no_more(site):
    site.page("/robots.txt", status=500)
    run = read_alone(site, "/a", "/b")
    assert set(run.codes.values()) == {"robots"}
    assert all(failed.transient for failed in run.of(Failed))
    assert [asked.path for asked in site.asked] == ["/robots.txt"] * 3


@pytest.mark.parametrize("answer", [{"status": 404}, {"status": 403}, {"status": 302, "Location": "/robots.txt"}])
def test_a_robots_txt_that_is_not_there_is_asked_for_once(site, answer):
    site.page("/robots.txt", **answer)
    site.article("/", TEXT)
    assert crawl(site).read == [""]
    assert [asked.path for asked in site.asked].count("/robots.txt") == (11 if "Location" in answer else 1)


def test_a_robots_txt_is_not_waited_for_past_the_end_of_the_crawl(site, monkeypatch):
    monkeypatch.setattr(polite, "ROBOTS_PAUSE", 30.0)
    site.page("/robots.txt", status=500)
    site.article("/", TEXT)
    began = time.monotonic()
    run = crawl(site, seconds=20)
    assert time.monotonic() - began < 5
    assert run.codes == {"/": "robots"}


def test_a_site_that_cannot_be_reached_is_said_to_be_that():
    run = Run(Order(singles=("http://127.0.0.1:9/a", "http://127.0.0.1:9/b", "http://no-such.invalid/c"), delay=0))
    assert run.codes == {"/a": "fetch_failed", "/b": "fetch_failed", "/c": "host_not_found"}


def test_noindex_and_nofollow_are_heeded(site):
    site.article("/", f"Start. {TEXT}", "/a", "/b", head='<meta name="robots" content="noindex">')
    site.page("/a", f'<p>A. {TEXT}</p><a href="/c">c</a>', X_Robots_Tag="nofollow")
    site.page("/b", f'<p>B. {TEXT}</p><a rel="nofollow" href="/c">c</a>', X_Robots_Tag="otherbot: noindex")
    site.article("/c", f"C. {TEXT}")
    run = crawl(site)
    assert run.read == ["a", "b"]
    assert run.codes == {"/": "robots"}
    assert crawl(site, respect_robots=False).read == ["", "a", "b", "c"]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (["noindex, nofollow"], {"noindex", "nofollow"}),
        (["NONE"], {"noindex", "nofollow"}),
        (["otherbot: noindex", "kb-server: nofollow"], {"nofollow"}),
        (["index,follow", "", "unavailable_after: 25 Jun 2030 15:00:00 PST"], set()),
    ],
)
def test_orders_to_robots_are_read(values, expected):
    assert orders(values) == expected


def gaps(site):
    times = [asked.at for asked in site.asked]
    return [later - earlier for earlier, later in pairwise(times)]


def test_requests_to_one_host_keep_their_distance(site):
    site.article("/", f"Start. {TEXT}", "/a", "/b")
    site.article("/a", f"A. {TEXT}")
    site.article("/b", f"B. {TEXT}")
    crawl(site, delay=0.2)
    assert len(site.asked) == 4
    assert sum(gaps(site)) > 0.55
    assert min(gaps(site)) > 0.1


def test_a_site_may_ask_for_more_distance_but_not_for_any(site, monkeypatch):
    monkeypatch.setattr(robots, "MOST_DELAY", 0.3)
    site.page("/robots.txt", "User-agent: *\nCrawl-delay: 3600\n")
    site.article("/", f"Start. {TEXT}", "/a", "/b")
    site.article("/a", f"A. {TEXT}")
    site.article("/b", f"B. {TEXT}")
    assert len(crawl(site).read) == 3
    assert sum(gaps(site)[1:]) > 0.5  # the server is slow to see a request at times
    assert min(gaps(site)[1:]) > 0.15
    assert max(gaps(site)) < 2


def busy(times, headers, status=429):
    """An answer that is refused some times."""
    refusals = iter(range(times))

    def answer(handler):
        if next(refusals, None) is None:
            handler.send(f"<p>At last. {TEXT}</p>".encode(), headers={"Content-Type": "text/html"})
        else:
            handler.send(b"Slow down", status, headers)

    return answer


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (429, lambda: "1"),
        (503, lambda: "0"),
        (429, lambda: formatdate(time.time() + 1, usegmt=True)),
        (429, lambda: None),
    ],
)
def test_a_site_that_asks_for_a_pause_gets_it(site, monkeypatch, status, said):
    monkeypatch.setattr(polite, "PAUSE", 0.2)
    monkeypatch.setattr(polite, "TOLD_PAUSE", 0.1)
    asked = said()
    site.answers["/"] = busy(1, {"Retry-After": asked} if asked else {}, status)
    run = crawl(site)
    assert run.read == [""]
    if asked == "1":
        assert gaps(site)[-1] > 0.9
        assert any(message.startswith("Waiting 1 s before 127.0.0.1") for *_, message in run.told)


def test_a_site_that_wants_too_long_a_pause_is_not_waited_for(site):
    for path in "abcde":
        site.answers[f"/{path}"] = busy(99, {"Retry-After": "86400"})
    run = read_alone(site, "/a", "/b", "/c", "/d", "/e")
    assert set(run.codes.values()) == {"http_status"}
    assert site.paths() == ["/a", "/b", "/c"]  # then it is left alone
    assert "not asked any more" in run.of(Failed)[-1].message
    assert all(failed.transient for failed in run.of(Failed))


def test_a_connection_that_broke_off_is_tried_again(site):
    tries = iter(range(2))

    def breaks(handler):
        if next(tries, None) is None:
            handler.send(f"<p>{TEXT}</p>".encode(), headers={"Content-Type": "text/html"})
        else:
            handler.send(b"half", headers={"Content-Length": "100"})
            handler.close_connection = True

    site.answers["/"] = breaks
    assert crawl(site).read == [""]


def test_a_host_that_never_answers_is_left_alone_and_others_are_not(site):
    for path in ("/a", "/b", "/c", "/d", "/e"):
        site.answers[path] = lambda handler: handler.drip(5)
    with Site() as other:
        other.article("/", TEXT)
        singles = (*[f"{site.url}/{name}" for name in "abcde"], f"{other.url}/")
        began = time.monotonic()
        run = Run(Order(singles=singles, delay=0))
    assert time.monotonic() - began < 3
    assert list(run.codes.values()) == ["fetch_timeout"] * 5
    assert len(run.read) == 1
    assert site.paths() == ["/a", "/b", "/c"]


def test_a_crawl_that_takes_too_long_ends_with_what_it_has(site):
    site.article("/", f"Start. {TEXT}", *[f"/{n}" for n in range(50)])
    for number in range(50):
        site.article(f"/{number}", f"Page {number}. {TEXT}")
    began = time.monotonic()
    run = crawl(site, delay=0.1, seconds=0.6)
    assert time.monotonic() - began < 1.5
    assert 1 <= len(run.read) <= 7
    assert run.crawl.out_of_time
    assert len(run.codes) <= 1  # the page that was asked for when the time ended
    assert run.crawl.left_out == 51 - len(run.read) - len(run.codes)
    assert not crawl(site, "/1", seconds=5).crawl.out_of_time


def test_the_end_of_a_crawl_ends_every_request(site):
    site.article("/", f"Start. {TEXT}", "/a", "/b")
    site.answers["/a"] = lambda handler: handler.drip(20)
    began = time.monotonic()
    run = crawl(site, seconds=1, limits=Limits(seconds=20, silence_seconds=10))
    assert time.monotonic() - began < 3
    assert run.read == [""]
    assert run.codes == {"/a": "fetch_timeout"}
    assert run.crawl.out_of_time
    assert run.crawl.left_out == 1


def test_a_host_whose_turn_comes_too_late_keeps_no_other_from_its_turn(site):
    for path in ("/a", "/b"):
        site.article(path, f"{path}. {TEXT}")
    with Site() as other:
        other.article("/c", f"C. {TEXT}")
        singles = (f"{site.url}/a", f"{site.url}/b", f"{other.url}/c")
        began = time.monotonic()
        run = Run(Order(singles=singles, delay=30, seconds=20, respect_robots=False))
    assert time.monotonic() - began < 5
    assert run.read == ["a", "c"]
    assert run.crawl.out_of_time
    assert run.crawl.left_out == 1
    assert site.paths() == ["/a"]  # not even at the end of the crawl, before its turn


def slow(to):
    """A redirect that takes a while."""

    def answer(handler):
        handler.site.closing.wait(0.2)
        handler.send(b"", 302, {"Location": to})

    return answer


def test_the_visit_of_one_page_ends_however_many_redirects_it_takes(site, monkeypatch):
    monkeypatch.setattr(polite, "VISIT", 0.7)
    for number in range(9):
        site.answers[f"/{number}"] = slow(f"/{number + 1}")
    site.article("/9", TEXT)
    site.article("/a", f"A. {TEXT}")
    began = time.monotonic()
    run = read_alone(site, "/0", "/a", respect_robots=False)
    assert time.monotonic() - began < 1.5
    assert run.codes == {"/0": "fetch_timeout"}
    assert run.of(Failed)[0].transient
    assert run.read == ["a"]
    assert not run.crawl.out_of_time


def test_a_pause_that_is_longer_than_a_visit_is_not_waited_for(site, monkeypatch):
    monkeypatch.setattr(polite, "VISIT", 1.0)
    site.answers["/busy"] = busy(99, {"Retry-After": "30"})
    site.page("/moved", status=302, Location="/there")
    site.article("/there", TEXT)
    site.page("/robots.txt", "User-agent: *\nCrawl-delay: 3\n")
    began = time.monotonic()
    run = read_alone(site, "/busy", "/moved")
    assert time.monotonic() - began < 3
    assert run.codes == {"/busy": "http_status", "/moved": "fetch_timeout"}
    assert "longer than a page may" in run.of(Failed)[1].message


# -- What was fetched before ------------------------------------------------------------------------


def test_the_second_run_fetches_only_what_has_changed(site, tmp_path):
    site.article("/", f"Start. {TEXT}", "/a", "/b", "/c")
    site.article("/a", f"A. {TEXT}", "/d", "/gone")
    site.page("/b", f"<p>B. {TEXT}</p>", Last_Modified=formatdate(0, usegmt=True), ETag="")
    site.page("/c", f"<p>C. {TEXT}</p>", validated=False)
    site.article("/d", f"D. {TEXT}")
    site.article("/gone", f"Gone. {TEXT}")
    first = crawl(site, kept=tmp_path)
    assert first.read == ["", "a", "b", "c", "d", "gone"]
    assert not any(read.unchanged for read in first.of(Read))

    site.forget()
    site.article("/a", f"A has changed. {TEXT}", "/d", "/new")
    site.article("/new", f"New. {TEXT}")
    second = crawl(site, kept=tmp_path)
    assert second.read == ["", "a", "b", "c", "d", "new"]
    assert {read.address.rpartition("/")[2]: read.unchanged for read in second.of(Read)} == {
        "": True, "a": False, "b": True, "c": True, "d": True, "new": False,
    }  # fmt: skip
    assert sorted(zip(site.paths(), site.statuses[1:], strict=True)) == [
        ("/", 304), ("/a", 200), ("/b", 200), ("/c", 200), ("/d", 304), ("/new", 200),
    ]  # fmt: skip
    assert [asked.headers.get("if-modified-since") for asked in site.asked if asked.path == "/b"] == [
        formatdate(0, usegmt=True)
    ]
    assert second.of(Read)[0].page.markdown == first.of(Read)[0].page.markdown


def test_a_redirect_with_a_familiar_etag_is_fetched(site, tmp_path):
    """ETags say something about one address only; many servers count them from 1."""
    site.page("/latest", status=302, Location="/v1")
    site.page("/v1", f"<p>Version one. {TEXT}</p>", ETag='"1"')
    site.page("/v2", f"<p>Version two. {TEXT}</p>", ETag='"1"')
    assert "one" in crawl(site, "/latest", kept=tmp_path).of(Read)[0].page.markdown
    site.page("/latest", status=302, Location="/v2")
    run = crawl(site, "/latest", kept=tmp_path)
    assert "two" in run.of(Read)[0].page.markdown
    assert not run.of(Read)[0].unchanged


WALL = "<title>Just a moment...</title><p>Enable JavaScript and cookies to continue</p>"
SHELL = '<div id="root">Loading…</div><script src="/app.js"></script>'
IN_PLACE_OF_A_PAGE = {
    "wall": {"body": WALL},
    "refusing wall": {"body": WALL, "status": 403},
    "wall in the name of the law": {"body": WALL, "status": 451},
    "wall that asks for no index": {"body": WALL, "X_Robots_Tag": "noindex"},
    "nothing": {"status": 204},
    "empty": {"body": "<title>A</title><img src='a.png'>"},
    "shell": {"body": SHELL},
}


@pytest.mark.parametrize("answer", IN_PLACE_OF_A_PAGE.values(), ids=IN_PLACE_OF_A_PAGE)
def test_what_stands_in_a_pages_place_does_not_take_the_place_of_its_text(site, tmp_path, answer):
    site.article("/", f"Start. {TEXT}", "/a")
    site.article("/a", f"A. {TEXT}", "/b")
    site.article("/b", f"B. {TEXT}")
    crawl(site, kept=tmp_path)
    site.page("/a", **answer)
    for _ in range(2):
        run = crawl(site, kept=tmp_path)
        assert run.read == ["", "a", "b"]
        assert run.of(Read)[1].page.markdown == f"A. {TEXT}"
        assert run.of(Read)[1].stale.code in {"bot_wall", "no_text"}
        assert not run.of(Read)[0].stale
    site.article("/a", f"A again. {TEXT}")
    run = crawl(site, kept=tmp_path)
    assert run.of(Read)[1].page.markdown == f"A again. {TEXT}"
    assert not run.of(Read)[1].stale


@pytest.mark.parametrize("answer", [{"body": WALL}, {"status": 503}])
def test_a_redirect_to_a_wall_or_to_an_error_does_not_take_the_place_of_a_text_either(site, tmp_path, answer):
    site.article("/", f"Start. {TEXT}", "/a")
    site.article("/a", f"A. {TEXT}")
    crawl(site, kept=tmp_path)
    site.page("/a", status=302, Location="/check")
    site.page("/check", **answer)
    run = crawl(site, kept=tmp_path)
    assert run.read == ["", "a"]
    assert run.of(Read)[1].stale


@pytest.mark.parametrize("answer", IN_PLACE_OF_A_PAGE.values(), ids=IN_PLACE_OF_A_PAGE)
def test_what_stands_in_a_pages_place_is_not_kept(site, tmp_path, answer):
    site.page("/", **{"ETag": '"1"', **answer})
    crawl(site, kept=tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("status", [401, 403, 404, 410, 451])
def test_a_page_that_is_gone_or_closed_is_not_taken_from_before_that(site, tmp_path, status):
    site.article("/", f"Start. {TEXT}", "/a")
    site.article("/a", f"A. {TEXT}")
    crawl(site, kept=tmp_path)
    for answer in (status, 500):
        site.page("/a", status=answer)
        run = crawl(site, kept=tmp_path)
        assert run.read == [""]
        assert run.of(Failed)[0].status == answer


def test_a_page_that_asks_to_be_left_out_is_not_taken_from_before_that(site, tmp_path):
    site.article("/", f"Start. {TEXT}", "/a")
    site.article("/a", f"A. {TEXT}")
    crawl(site, kept=tmp_path)
    site.page("/a", f"<p>A. {TEXT}</p>", X_Robots_Tag="noindex")
    assert crawl(site, kept=tmp_path).codes == {"/a": "robots"}
    site.page("/a", status=500)
    assert crawl(site, kept=tmp_path).codes == {"/a": "robots"}


def test_a_page_that_redirects_to_nothing_is_not_taken_from_before_that(site, tmp_path):
    site.article("/", f"A. {TEXT}")
    crawl(site, kept=tmp_path)
    site.page("/", status=302, Location="/login")
    site.page("/login", status=403)
    assert crawl(site, kept=tmp_path).of(Failed)[0].status == 403
    site.page("/", status=503)
    assert crawl(site, kept=tmp_path).of(Failed)[0].status == 503


@pytest.mark.parametrize("validated", [True, False])
def test_new_orders_in_the_headers_of_an_unchanged_page_are_heeded(site, tmp_path, validated):
    body = f'<p>A. {TEXT}</p><a href="/b">B</a>'
    site.article("/b", f"B. {TEXT}")
    site.page("/", body, validated=validated)
    for _ in range(2):
        assert crawl(site, kept=tmp_path).read == ["", "b"]
    site.page("/", body, validated=validated, X_Robots_Tag="nofollow")
    for _ in range(2):
        assert crawl(site, kept=tmp_path).read == [""]
    site.page("/", body, validated=validated, X_Robots_Tag="noindex")
    assert crawl(site, kept=tmp_path).codes == {"/": "robots"}
    site.page("/", status=503)
    assert crawl(site, kept=tmp_path).codes == {"/": "robots"}
    site.page("/", body, validated=validated)
    assert crawl(site, kept=tmp_path).read == ["", "b"]
    site.page("/", body, validated=validated, X_Robots_Tag="none")
    assert crawl(site, kept=tmp_path, respect_robots=False).read == ["", "b"]


def test_a_page_that_points_on_is_remembered_as_that(site, tmp_path):
    site.page("/", '<meta http-equiv="refresh" content="0; url=/a">')
    site.article("/a", f"A. {TEXT}")
    crawl(site, kept=tmp_path)
    assert crawl(site, kept=tmp_path).read == ["a"]
    assert site.statuses[-2:] == [304, 304]
    site.page("/", status=500)
    assert crawl(site, kept=tmp_path).read == ["a"]
    site.page("/", '<meta http-equiv="refresh" content="0; url=/b">')
    site.page("/b", status=503)
    assert crawl(site, kept=tmp_path).codes == {"/": "http_status"}


def test_damaged_memories_are_forgotten(site, tmp_path):
    site.article("/", TEXT)
    crawl(site, kept=tmp_path)
    kept = next(tmp_path.iterdir())
    for damage in (b"", b"no gzip", kept.read_bytes()[:-9]):
        kept.write_bytes(damage)
        assert crawl(site, kept=tmp_path).read == [""]
    Kept(tmp_path).put(kept.name.partition(".")[0], {"page": {"strange": 1}})
    assert crawl(site, kept=tmp_path).read == [""]


# -- Hostile sites ----------------------------------------------------------------------------------


def raw(data, *, close=True):
    """An answer byte by byte, as no honest server sends it."""

    def answer(handler):
        handler.wfile.write(data)
        handler.close_connection = close

    return answer


def html_answer(body, *headers):
    lines = ["HTTP/1.1 200 OK", "Content-Type: text/html", f"Content-Length: {len(body)}", *headers]
    return raw("\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body)


PAGE = f"<p>{TEXT}</p>".encode()
HOSTILE = {
    "no-http": raw(b"hello there"),
    "old-http": raw(b"<p>no headers at all</p>"),
    "nothing": raw(b""),
    "bad-status": raw(b"HTTP/1.1 999999 What\r\n\r\n"),
    "early-hints": raw(b"HTTP/1.1 103 Early\r\n\r\n" * 500),
    "long-header": raw(b"HTTP/1.1 200 OK\r\nX: " + b"x" * 500_000 + b"\r\n\r\n"),
    "many-headers": raw(b"HTTP/1.1 200 OK\r\n" + b"X: x\r\n" * 50_000 + b"\r\n"),
    "bad-length": raw(b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\nabc"),
    "two-lengths": raw(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nabcde"),
    "bad-chunks": raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nabc"),
    "bad-gzip": html_answer(b"\x1f\x8b no gzip", "Content-Encoding: gzip"),
    "odd-encoding": html_answer(PAGE, "Content-Encoding: rot13"),
    "odd-type": raw(b"HTTP/1.1 200 OK\r\nContent-Type: ;;;\xff\r\nContent-Length: 3\r\n\r\nabc"),
    "odd-charset": html_answer(PAGE + b"1", "X: y", "Content-Type: text/html; charset=\xff\xfe"),
    "odd-etag": html_answer(PAGE + b"2", "ETag: \xe9\"'", "Last-Modified: never"),
    "odd-cookie": html_answer(PAGE + b"3", *[f"Set-Cookie: c{n}={'x' * 300}" for n in range(80)]),
    "odd-retry": raw(b"HTTP/1.1 429 No\r\nRetry-After: tomorrow\r\nContent-Length: 0\r\n\r\n"),
    "odd-name": html_answer(
        PAGE + b"4", "Content-Disposition: attachment; filename*=UTF-8''%ff%00; filename=\"../../x"
    ),
    "to-nowhere": raw(b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\n\r\n"),
    "to-bytes": raw(b"HTTP/1.1 302 Found\r\nLocation: /\xff\xfe\r\nContent-Length: 0\r\n\r\n"),
    "to-broken": raw(b"HTTP/1.1 302 Found\r\nLocation: http://[::1\r\nContent-Length: 0\r\n\r\n"),
    "to-script": raw(b"HTTP/1.1 302 Found\r\nLocation: javascript:alert(1)\r\nContent-Length: 0\r\n\r\n"),
    "to-port": raw(b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:99999/\r\nContent-Length: 0\r\n\r\n"),
    "to-long": raw(b"HTTP/1.1 302 Found\r\nLocation: /" + b"a" * 5000 + b"\r\nContent-Length: 0\r\n\r\n"),
    "unasked-304": raw(b"HTTP/1.1 304 Not Modified\r\n\r\n"),
    "partial": raw(b"HTTP/1.1 206 Partial\r\nContent-Length: 5\r\n\r\nwords"),
    "odd-page": html_answer(
        b"<base href='http://[bad'><link rel=canonical href='javascript:x'><meta http-equiv=refresh content='0;url=http://['>"
        b"<a href='http://ex%zz/'>a</a><a href='\x00\x01'>b</a><a href='http://\xc3\xa4..b/'>c</a><a href='//'>d</a>"
        b"<a href='http://" + b"x" * 300 + b"/'>e</a><a href='http://127.0.0.1:port/'>f</a>" + PAGE + b"5"
    ),
}


def test_a_site_of_hostile_answers_is_crawled_to_its_end_and_each_page_is_explained(site, tmp_path):
    site.article("/", f"Start. {TEXT}", *[f"/{name}" for name in HOSTILE], "/end")
    for name, answer in HOSTILE.items():
        site.answers[f"/{name}"] = answer
    site.article("/end", f"End. {TEXT}")
    crawl(site, depth=1, kept=tmp_path)
    run = crawl(site, depth=1, kept=tmp_path)  # knows the odd ETags
    assert run.read[0] == ""
    assert run.read[-1] == "end"
    assert set(run.read) | {path[1:] for path in run.codes} == {"", "end", *HOSTILE}
    assert all(failed.message and failed.hint for failed in run.of(Failed))
    expected = "fetch_failed http_status unsupported no_text address_blocked not_text too_many_redirects"
    assert set(run.codes.values()) <= set(expected.split())


@pytest.mark.parametrize(
    "rules",
    [
        b"\xff\xfe\0" * 1000,
        b"<html><body>User-agent: *<br>Disallow: /</body></html>",
        b"User-agent: *\nCrawl-delay: inf\nCrawl-delay: -5\nCrawl-delay: nan\n",
        b"User-agent: *\n" + b"Disallow: /*a*a*a*a*a*a*a*a*a*b\n" * 20_000,
        b"User-agent: *\nDisallow: " + b"*" * 400_000 + b"b\n",
        b"Disallow: /\n" * 1000 + b"\xef\xbb\xbfUser-agent: *",
    ],
)
def test_a_hostile_robots_txt_costs_little(site, rules):
    site.page("/robots.txt", rules, Content_Type="text/plain")
    site.article("/" + "a" * 500, TEXT)
    began = time.monotonic()
    assert len(crawl(site, "/" + "a" * 500).read) == 1
    assert time.monotonic() - began < 4


def test_a_site_that_sends_without_end_stops_nobody(site):
    def endless(handler):
        handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nConnection: close\r\n\r\n")
        while not site.closing.is_set():
            handler.wfile.write(b"<p>more</p>" * 1000)

    site.answers["/endless"] = endless
    site.article("/", f"Start. {TEXT}", "/endless", "/end")
    site.article("/end", f"End. {TEXT}")
    run = crawl(site, limits=Limits(content_bytes=1_000_000, seconds=5, silence_seconds=1))
    assert run.read == ["", "end"]
    assert run.codes == {"/endless": "too_large"}
