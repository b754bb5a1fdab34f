"""One form for each address, and which addresses belong to a crawl."""

import contextlib
import time

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plugins.base import PluginError
from plugins.net import Guard
from plugins.web.addresses import (
    Rules,
    Scope,
    cleaned,
    extension_of,
    key_of_page,
    named_address,
    path_patterns,
    resolved,
)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("HTTP://Example.ORG:80", "http://example.org/"),
        ("https://example.org:443/a#part", "https://example.org/a"),
        ("http://example.org:8080/a?", "http://example.org:8080/a"),
        ("https://example.org/?utm_source=x&id=3&fbclid=y&UTM_Medium=z", "https://example.org/?id=3"),
        ("https://example.org/a;jsessionid=0F?PHPSESSID=1&b=2", "https://example.org/a?b=2"),
        ("https://exämple.org/ü x", "https://xn--exmple-cua.org/%C3%BC%20x"),
        ("https://example.org/?Main_Page", "https://example.org/?Main_Page"),
    ],
)
def test_an_address_is_cleaned_of_what_says_nothing_about_the_page(url, expected):
    assert cleaned(url) == expected
    assert cleaned(expected) == expected


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("http://example.org/a?b=2&a=1", "http://example.org/a?a=1&b=2"),
        ("http://example.org/%7euser/%c3%bc", "http://example.org/~user/ü"),
        ("http://example.org/x/../a", "http://example.org/a"),
        ("http://example.org", "HTTP://EXAMPLE.org:80/#top"),
    ],
)
def test_spellings_of_one_address_have_one_key(one, other):
    assert key_of_page(cleaned(one)) == key_of_page(cleaned(other))


def test_different_pages_have_different_keys():
    pages = ["http://h/a", "http://h/A", "http://h/a/", "https://h/a", "http://h/a?b", "http://h/a?b=1", "http://h:8/a"]
    assert len({key_of_page(cleaned(page)) for page in pages}) == len(pages)
    assert key_of_page("http://h/a?b=1", True) == key_of_page("http://h/a?c=2", True)


@pytest.mark.parametrize(
    "reference",
    [
        "mailto:a@b.example",
        "javascript:x()",
        "data:,x",
        "http://[::1",
        "ftp://x.example/",
        "http://u:p@x.example/",
        "x" * 2001,
    ],
)
def test_what_is_no_web_address_resolves_to_nothing(reference):
    assert resolved("http://example.org/a", reference) == ""


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (" example.org/x ", "https://example.org/x"),
        ("//example.org", "https://example.org"),
        ("http://example.org", "http://example.org"),
        ("example.org:8080", "https://example.org:8080"),
        ("javascript:alert(1)", "javascript:alert(1)"),
        ("file:///etc/passwd", "file:///etc/passwd"),
    ],
)
def test_a_typed_address_is_taken_as_https_where_it_does_not_say(text, expected):
    assert named_address(text) == expected


@pytest.mark.parametrize(
    ("path", "extension"),
    [
        ("/a/report.PDF?x=1.txt", "pdf"),
        ("/all.tar.gz", "gz"),
        ("/v1.2/all.7z", "7z"),
        ("/1.0.zip", "zip"),
        ("/film.mp4#t=1.5", "mp4"),
        ("/docs/5.2", ""),
        ("/v1.2", ""),
        ("/python-3.14", ""),
        ("/1.0.0rc1", ""),
        ("/docs/3.x", ""),
        ("/docs/2.0.dev", ""),
        ("/wiki/St._Louis", ""),
        ("/.well-known", ""),
        ("/.zip", ""),
        ("/a.zip/", ""),
        ("/", ""),
    ],
)
def test_the_number_of_a_version_is_no_type_of_a_file(path, extension):
    assert extension_of(f"https://example.org{path}") == extension


# -- Scope ------------------------------------------------------------------------------------------


def allowed(start, address, **rules):
    return Scope(start, Rules(**rules)).allows(address)


def test_a_crawl_stays_on_its_host():
    assert allowed("http://example.org/a", "http://example.org/b")
    assert allowed("http://example.org/a", "https://www.example.org/b")
    assert not allowed("http://example.org/a", "http://other.example/b")
    assert not allowed("http://example.org/a", "http://example.org:8080/b")
    assert not allowed("http://example.org/a", "http://example.org.evil.example/b")
    assert not allowed("http://example.org/a", "http://docs.example.org/b")


def test_subdomains_can_be_allowed():
    assert allowed("http://www.example.org/", "http://docs.example.org/b", subdomains=True)
    assert not allowed("http://docs.example.org/", "http://example.org/b", subdomains=True)
    assert not allowed("http://example.org/", "http://badexample.org/", subdomains=True)


@pytest.mark.parametrize(
    ("start", "inside", "outside"),
    [
        ("/docs", ["/docs", "/docs/", "/docs/a/b"], ["/", "/docsearch", "/blog"]),
        ("/docs/", ["/docs/", "/docs/a"], ["/docs", "/blog"]),
        ("/docs/index.html", ["/docs/index.html", "/docs/a", "/docs/"], ["/blog", "/doc"]),
        ("/docs/5.2", ["/docs/5.2", "/docs/5.2/a"], ["/docs/5.1", "/docs/5.1/a", "/docs/a"]),
        ("/v1.2", ["/v1.2/a"], ["/v1.3", "/blog"]),
        ("/docs/5.2.1rc1", ["/docs/5.2.1rc1/a"], ["/docs/5.2.1/a"]),
        ("/wiki/St._Louis", ["/wiki/St._Louis/a"], ["/wiki/a"]),
        ("/", ["/", "/a"], []),
    ],
)
def test_a_crawl_can_be_kept_below_its_start(start, inside, outside):
    for path in inside:
        assert allowed(f"http://h{start}", f"http://h{path}", entire_domain=False), path
    for path in outside:
        assert not allowed(f"http://h{start}", f"http://h{path}", entire_domain=False), path


def test_where_the_start_redirects_to_is_in_scope():
    scope = Scope("http://short.example/x", Rules())
    scope.widen("https://long.example/y")
    assert scope.allows("https://long.example/z")


@pytest.mark.parametrize(
    ("pattern", "matching", "others"),
    [
        ("/docs/*", ["/docs", "/docs/", "/docs/a/b"], ["/docsearch", "/x/docs/a"]),
        ("/docs", ["/docs", "/docs/a"], ["/docsearch"]),
        ("docs", ["/docs", "/x/docs/y"], ["/mydocs"]),
        ("*.pdf", ["/a.pdf", "/x/y.pdf"], ["/pdf", "/a.pdfx"]),
        ("/*/2024/*", ["/news/2024/a"], ["/2024/a"]),
        ("^/blog/.*$", ["/blog/a"], ["/x"]),
        ("blog/.+", ["/blog/a", "/x/blog/a"], ["/ablog/x"]),
        ("https://example.org/docs/*", ["/docs/a"], ["/x"]),
        ("/año/*", ["/a%C3%B1o/x"], ["/ano/x"]),
        ("/wiki/C++_(language)", ["/wiki/C++_(language)"], ["/wiki/C"]),
        ("/", ["/", "/x"], []),
    ],
)
def test_paths_are_matched_with_asterisks(pattern, matching, others):
    rules = Rules(include=path_patterns("include_paths", [pattern]))
    scope = Scope("http://h/", rules)
    assert [path for path in matching if not scope.allows(f"http://h{path}")] == []
    assert [path for path in others if scope.allows(f"http://h{path}")] == []


def test_excluding_is_stronger_than_including():
    rules = Rules(include=path_patterns("i", ["/docs/*"]), exclude=path_patterns("e", ["/docs/old/*", " "]))
    scope = Scope("http://h/", rules)
    assert scope.allows("http://h/docs/new")
    assert not scope.allows("http://h/docs/old/a")
    assert not scope.allows("http://h/blog")


@pytest.mark.parametrize("patterns", [["(a+)+[bc]"], ["a|b"], ["/x?y"], ["/a{2}"], ["/" + "a" * 3000], ["/x"] * 101])
def test_patterns_that_are_no_paths_are_refused(patterns):
    with pytest.raises(PluginError) as caught:
        path_patterns("include_paths", patterns)
    assert caught.value.code == "bad_parameter"
    assert "include_paths" in caught.value.message
    assert caught.value.hint


def test_a_hostile_pattern_costs_nothing():
    patterns = path_patterns("include_paths", ["*a" * 500 + "b", "*" * 1900 + "b", "*a*" * 300 + "b"])
    began = time.monotonic()
    assert not any(pattern.match("/" + "a" * 1900) for pattern in patterns)
    assert time.monotonic() - began < 0.5


@settings(deadline=None)
@given(st.text(max_size=80) | st.from_regex(r"(https?:)?//[^\s]{0,60}", fullmatch=True))
def test_whatever_a_page_links_to_is_an_address_or_nothing(reference):
    address = resolved("http://example.org/a/b", reference)
    assert address == "" or address.startswith(("http://", "https://"))
    if address:
        assert resolved(address, address) in {address, ""}
        key_of_page(address)
        Scope(address, Rules(entire_domain=False)).allows(address)
        with contextlib.suppress(PluginError):
            Guard().check_url(address)


@pytest.mark.parametrize(
    ("path", "asked"),
    [
        ("/x/../secret", "/secret"),
        ("/../../a", "/a"),
        ("/a/./b/", "/a/b/"),
        ("/a/b/..", "/a/"),
        ("/a/.", "/a/"),
        ("/..", "/"),
        ("/.well-known/x", "/.well-known/x"),
        ("/a/..b/c.", "/a/..b/c."),
        ("/a//../b", "/a/b"),
    ],
)
def test_an_address_is_judged_as_it_is_asked_for(path, asked):
    address = cleaned(f"https://example.org{path}")
    assert address == f"https://example.org{asked}"
    assert httpx.URL(address).path == asked
