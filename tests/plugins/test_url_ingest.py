"""The web source as a whole: what it is told, what it yields, and what it says about pages that cannot be read."""

import re
import time

import psutil
import pytest

from plugins.base import PluginError
from plugins.catalogue import build_catalogue
from plugins.host_client import Done, HostProcess, HostSettings, Progress, RunRequest, Warned
from plugins.net import Limits
from plugins.parameters import validate
from plugins.spool import read_spool
from plugins.url_ingest import WARNINGS_EACH, UrlIngest
from plugins.web.crawl_tally import LISTED
from plugins.web.web_pages import html_of
from tests.plugins import documents
from tests.support.site import Site, fill_handbook

TEXT = "The library opens at nine and closes at six, and on Fridays it stays open until eight."
METADATA_SERVICE = "http://169.254.169.254/latest/meta-data/"


@pytest.fixture
def site(monkeypatch):
    monkeypatch.setattr("plugins.web.polite.ROBOTS_PAUSE", 0.01)
    monkeypatch.setenv("KB_FETCH_ALLOW_PRIVATE", "127.0.0.0/8")
    with Site() as running:
        yield running


class Run:
    """One run of the plugin; ``error`` instead of an exception."""

    def __init__(self, file_path, **params):
        self.told, self.warnings, self.stats, self.error = [], [], {}, None
        callbacks = {
            "progress_callback": lambda *step: self.told.append(step),
            "warning_callback": lambda *warning: self.warnings.append(warning),
            "stats_callback": self.stats.update,
        }
        try:
            self.chunks = list(UrlIngest().ingest(str(file_path), **{"delay": 0, **callbacks, **params}))
        except PluginError as error:
            self.error = error

    @property
    def text(self):
        return "\n".join(chunk["text"] for chunk in self.chunks)

    @property
    def pages(self):
        return list(dict.fromkeys(chunk["metadata"]["page_url"].split("/", 3)[3] for chunk in self.chunks))

    @property
    def codes(self):
        return [data["code"] for _, data in self.warnings]


@pytest.fixture
def ingest(tmp_path):
    return lambda **params: Run(tmp_path, **params)


# -- What it yields ---------------------------------------------------------------------------------


def test_chunks_carry_where_they_come_from(site, ingest):
    head = '<meta name="description" content="When we open"><meta property="og:title" content="Hours!">'
    site.article("/hours", f"{TEXT} {TEXT}", "/more?b=2", title="Opening hours", head=head)
    site.page("/more?b=2", f"<h1>More</h1><h2>Fridays</h2><p>{TEXT}</p>")
    run = ingest(
        url=f"{site.url}/hours", file_url="/static/a/url.txt", citation="Town, 2024", chunk_size=100, chunk_overlap=0
    )
    first = run.chunks[0]["metadata"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", first.pop("retrieval_timestamp"))
    assert first == {
        "ingestion_plugin": "url_ingest",
        "plugin_version": "1.0",
        "source_url": f"{site.url}/hours",
        "page_url": f"{site.url}/hours",
        "start_url": f"{site.url}/hours",
        "filename": "Opening hours",
        "title": "Opening hours",
        "language": "en",
        "status_code": 200,
        "file_url": "/static/a/url.txt",
        "limit": 100,
        "max_discovery_depth": 2,
        "crawl_entire_domain": True,
        "crawler_api_url": "",
        "chunking_strategy": "langchain_recursivecharactertextsplitter",
        "chunk_size": 100,
        "chunk_overlap": 0,
        "og_title": "Hours!",
        "description": "When we open",
        "citation": "Town, 2024",
        "chunk_index": 0,
        "chunk_count": 2,
    }
    last = run.chunks[-1]["metadata"]
    assert (last["page_url"], last["start_url"]) == (f"{site.url}/more?b=2", f"{site.url}/hours")
    assert last["heading_path"] == ["More", "Fridays"]
    assert last["filename"] == "More"
    assert [c["metadata"]["chunk_index"] for c in run.chunks if c["metadata"]["page_url"] == last["page_url"]] == list(
        range(last["chunk_count"])
    )


def test_a_description_that_a_person_gave_comes_before_the_pages_own(site, ingest):
    site.article("/", TEXT, head='<meta name="description" content="own">')
    assert ingest(url=site.url, description=" given ").chunks[0]["metadata"]["description"] == "given"


def test_progress_counts_pages_and_ends_with_a_sum(site, ingest):
    site.article("/", f"Start. {TEXT}", "/a", "/b", "/missing")
    site.article("/a", f"A. {TEXT}")
    site.article("/b", f"B. {TEXT}")
    run = ingest(url=site.url)
    assert [step[:2] for step in run.told] == [(0, 1), (1, 4), (2, 4), (3, 4), (4, 4)]
    assert run.told[0][2] == f"Crawling {site.url}/"
    assert run.told[-1][2] == "Read 3 pages, 1 could not be read"


def test_statistics_have_the_keys_of_lambs_window_and_tell_of_each_page(site, ingest):
    site.article("/", f"Start. {TEXT}", "/a", "/copy", "/missing", "/moved", "/x.png")
    site.article("/a", f"A. {TEXT}")
    site.article("/copy", f"A. {TEXT}")
    site.page("/moved", status=301, Location="http://other.example/")
    run = ingest(url=site.url, file_url="/static/x")
    assert run.stats["chunk_stats"] == {"count": 2, "avg_size": 91.0, "min_size": 89, "max_size": 93}
    assert run.stats["content_length"] == sum(len(chunk["text"]) for chunk in run.chunks)
    assert run.stats["markdown_preview"].startswith("Start. The library")
    assert [timing["stage"] for timing in run.stats["stage_timings"]] == ["fetching", "conversion"]
    assert run.stats["output_files"]["original_file_url"] == "/static/x"
    assert run.stats["pages"] == {
        "read": 2,
        "unchanged": 0,
        "stale": 0,
        "failed": 1,
        "duplicates": 1,
        "skipped_by_robots": 0,
        "redirected_elsewhere": 1,
        "links_to_no_text": 1,
        "left_out": 0,
        "ended_by_timeout": False,
        "failures_by_code": {"http_status": 1},
        "failures": [
            {
                "url": f"{site.url}/missing",
                "code": "http_status",
                "message": f"{site.url}/missing could not be fetched: the server answered 404.",
                "status": 404,
            }
        ],
        "duplicate_pages": [{"url": f"{site.url}/copy", "of": f"{site.url}/a"}],
    }


def test_a_page_that_fails_for_the_moment_is_taken_as_it_was_the_last_time(site, ingest, tmp_path):
    site.article("/", f"{TEXT} Home.", "/a", "/b")
    site.article("/a", f"{TEXT} Page a.")
    site.article("/b", f"{TEXT} Page b.")
    kept = str(tmp_path / "kept")
    first = ingest(url=site.url, kept_folder=kept)
    site.page("/a", "<p>Out of order</p>", status=500)
    site.page("/b", "<p>Gone</p>", status=410)
    second = ingest(url=site.url, kept_folder=kept)
    assert "Page a." in first.text
    assert "Page a." in second.text
    assert "Page b." not in second.text
    pages = second.stats["pages"]
    assert (pages["read"], pages["stale"], pages["failed"]) == (2, 1, 1)
    assert any("last time" in message and data["stale"] for message, data in second.warnings if "/a" in message)


def test_a_site_that_is_down_fails_the_run_although_its_pages_are_kept(site, ingest, tmp_path):
    site.article("/", f"{TEXT} Home.")
    kept = str(tmp_path / "kept")
    ingest(url=site.url, kept_folder=kept)
    site.page("/", "<p>Out of order</p>", status=500)
    run = ingest(url=site.url, kept_folder=kept)
    assert (run.error.code, run.error.transient) == ("http_status", True)


def test_a_wall_in_place_of_a_page_is_a_warning_and_the_text_of_the_last_time_stays(site, ingest, tmp_path):
    site.article("/", f"{TEXT} Home.", "/a")
    site.article("/a", f"{TEXT} Page a.")
    kept = str(tmp_path / "kept")
    ingest(url=site.url, kept_folder=kept)
    site.page("/a", WALL)
    run = ingest(url=site.url, kept_folder=kept)
    assert "Page a." in run.text
    assert run.codes == ["bot_wall"]
    assert "last time" in run.warnings[0][0]
    assert run.stats["pages"]["stale"] == 1
    site.page("/", WALL)
    run = ingest(url=site.url, kept_folder=kept)
    assert (run.error.code, run.error.transient) == ("bot_wall", False)


def test_a_second_run_says_what_has_not_changed(site, ingest, tmp_path):
    fill_handbook(site, 5)
    first = ingest(url=site.url, kept_folder=str(tmp_path / "kept"), max_discovery_depth=5)
    site.forget()
    second = ingest(url=site.url, kept_folder=str(tmp_path / "kept"), max_discovery_depth=5)
    assert second.told[-1][2] == "Read 5 pages, 5 unchanged since the last time"
    assert [chunk["text"] for chunk in second.chunks] == [chunk["text"] for chunk in first.chunks]
    assert site.statuses.count(304) == 5
    again = ingest(url=site.url, kept_folder=str(tmp_path / "kept"), max_discovery_depth=5, chunk_size=300)
    assert len(again.chunks) > len(first.chunks)


# -- What it is told --------------------------------------------------------------------------------


def test_one_address_is_crawled_and_several_are_read_alone(site, ingest):
    for name, link in (("a", "/linked"), ("b", "/linked"), ("c", "/d")):
        site.article(f"/{name}", f"{name}. {TEXT}", link)
    site.article("/linked", f"Linked. {TEXT}")
    site.article("/d", f"D. {TEXT}")
    assert ingest(urls=[f"{site.url}/a", f"{site.url}/b"]).pages == ["a", "b"]
    assert ingest(url=f"{site.url}/c", urls=[f"{site.url}/a"]).pages == ["c", "a", "d"]
    assert ingest(url=f"{site.url}/c,\n{site.url}/a").pages == ["c", "a", "d", "linked"]


def test_the_lines_of_an_uploaded_list_are_read_when_nothing_else_is_named(site, tmp_path):
    site.article("/a", f"A. {TEXT}")
    site.article("/b", f"B. {TEXT}")
    upload = tmp_path / "list.txt"
    upload.write_text(f"\ufeff# my pages\n\n  {site.url}/a \r\n{site.url}/b\n", encoding="utf-8")
    assert Run(upload).pages == ["a", "b"]
    assert Run(upload, url=f"{site.url}/b").pages == ["b"]


def test_without_an_address_it_says_how_to_give_one(tmp_path, ingest):
    (tmp_path / "empty.txt").write_text("\n")
    for run in (ingest(), ingest(url=" ", urls=["", " "]), Run(tmp_path / "empty.txt"), Run(tmp_path / "missing")):
        assert run.error.code == "no_address"
        assert run.error.hint


def test_patterns_choose_among_links_but_not_among_named_pages(site, ingest):
    site.article("/start", f"Start. {TEXT}", "/docs/a", "/docs/old/b", "/blog/c", "/report.pdf")
    for path in ("/docs/a", "/docs/old/b", "/blog/c"):
        site.article(path, f"{path}. {TEXT}")
    run = ingest(url=f"{site.url}/start", include_paths=["/docs/*"], exclude_paths=["old/.*"])
    assert run.pages == ["start", "docs/a"]
    assert ingest(url=f"{site.url}/start", include_paths=["(a+)+[b]"]).error.code == "bad_parameter"


def test_every_parameter_of_the_contract_is_declared_and_its_default_is_valid():
    specs = UrlIngest().get_parameters()
    contract = {
        "max_discovery_depth": 2, "limit": 100, "crawl_entire_domain": True, "chunk_size": 1000, "chunk_overlap": 200,
        "timeout": 300, "allow_subdomains": False, "ignore_query_parameters": False,
    }  # fmt: skip
    assert {name: specs[name]["default"] for name in contract} == contract
    for name in ("url", "urls", "api_url", "api_key", "include_paths", "exclude_paths", "description", "citation"):
        assert "default" not in specs[name]
    assert all(spec["description"] for spec in specs.values())
    sent = {
        "url": "https://example.org",
        "api_url": "https://api.example",
        "api_key": "k",
        "include_paths": "/a\n/b",
        "limit": "5",
    }
    clean, errors = validate(specs, sent)
    assert not errors
    assert clean["include_paths"] == ["/a", "/b"]
    wrong = {"max_discovery_depth": 99, "limit": 0, "delay": -1, "timeout": 0}
    assert [error.name for error in validate(specs, wrong)[1]] == list(wrong)


# -- Pages that cannot be read ----------------------------------------------------------------------

WALL = "<title>Just a moment...</title><p>Enable JavaScript and cookies to continue</p>"
SHELL = (
    '<div id="root">Loading…</div><noscript>You need to enable JavaScript.</noscript><script src="/app.js"></script>'
)


def test_each_page_that_cannot_be_read_is_a_warning_with_its_reason(site, ingest):
    site.page("/robots.txt", "User-agent: *\nDisallow: /forbidden\n")
    unread = "missing broken login forbidden empty shell wall walled picture data style round damaged.pdf nothing"
    site.article("/", f"Start. {TEXT}", *[f"/{path}" for path in unread.split()], "/inside", "/after")
    site.page("/broken", status=500)
    site.page("/login", "<p>Please log in</p>", status=401)
    site.page("/empty", "<title>Nothing</title><body> &nbsp; <img src='a.png'></body>")
    site.page("/shell", SHELL)
    site.page("/wall", WALL)
    site.page("/walled", WALL, status=403)
    site.page("/picture", b"\x89PNG...", Content_Type="image/png")
    site.page("/data", bytes(range(256)), Content_Type="application/octet-stream")
    site.page("/style", "p { color: red }", Content_Type="text/css")
    site.page("/round", status=302, Location="/round")
    site.page("/damaged.pdf", b"%PDF-1.7 no more", Content_Type="application/pdf")
    site.page("/nothing", status=204)
    site.page("/inside", status=302, Location=METADATA_SERVICE)
    site.article("/after", f"After. {TEXT}")
    run = ingest(url=site.url)
    assert run.pages == ["", "after"]
    assert {data["url"].rpartition("/")[2]: data["code"] for _, data in run.warnings} == {
        "missing": "http_status",
        "broken": "http_status",
        "login": "http_status",
        "forbidden": "robots",
        "empty": "no_text",
        "shell": "no_text",
        "wall": "bot_wall",
        "walled": "bot_wall",
        "picture": "unsupported",
        "data": "unsupported",
        "style": "unsupported",
        "round": "too_many_redirects",
        "damaged.pdf": "corrupt",
        "nothing": "no_text",
    }
    assert all(data["url"] in message and data["hint"] for message, data in run.warnings)
    assert all(message.endswith(".") for message, _ in run.warnings)
    shell = next(message for message, data in run.warnings if data["url"].endswith("/shell"))
    assert "JavaScript" in shell
    assert run.stats["pages"]["failed"] == 14
    assert run.stats["pages"]["redirected_elsewhere"] == 1  # nobody went there
    assert run.told[-1][2] == "Read 2 pages, 14 could not be read"


@pytest.mark.parametrize(
    "named",
    [
        METADATA_SERVICE,
        "http://localhost:1/",
        "http://[::1]/",
        "file:///etc/passwd",
        "javascript:x",
        "http://[",
        "http://u:p@h.example/",
    ],
)
def test_addresses_inside_are_blocked_whatever_leads_there(site, ingest, monkeypatch, named):
    run = ingest(urls=[named])
    if named.startswith("http://localhost"):
        assert run.error.code == "fetch_failed"  # allowed here, but nobody is there
    else:
        assert run.error.code == "address_blocked"
        assert not run.error.transient
    monkeypatch.delenv("KB_FETCH_ALLOW_PRIVATE")
    site.page("/", status=302, Location=named)
    run = ingest(urls=[site.url])
    assert run.error.code == "address_blocked"
    assert site.asked == []


def test_a_password_in_an_address_is_told_to_nobody(site, ingest):
    site.article("/a", f"A. {TEXT}", "http://me:sesame@127.0.0.1/b")
    run = ingest(urls=["http://me:sesame@h.example/x", f"{site.url}/a"])
    assert run.codes == ["address_blocked"]
    assert run.warnings[0][1]["url"] == "http://h.example/x"
    assert "sesame" not in repr([run.warnings, run.stats, run.told, run.chunks])
    run = ingest(urls=["me:sesame@h.example/x", "me:sesame@[", f"{site.url}/a"])
    assert [data["url"] for _, data in run.warnings] == ["h.example/x", "["]
    assert "sesame" not in repr([run.warnings, run.stats, run.told, run.chunks])


def test_a_named_page_that_redirects_inside_is_a_warning(site, ingest):
    site.page("/out", status=302, Location=METADATA_SERVICE)
    site.article("/a", TEXT)
    run = ingest(urls=[f"{site.url}/out", f"{site.url}/a"])
    assert run.pages == ["a"]
    assert run.codes == ["address_blocked"]


@pytest.mark.parametrize(
    ("body", "answer", "code", "transient", "words"),
    [
        (TEXT, {"status": 404}, "http_status", False, "answered 404"),
        (TEXT, {"status": 503}, "http_status", True, "answered 503"),
        (WALL, {}, "bot_wall", False, "check for robots"),
        (SHELL, {}, "no_text", False, "JavaScript"),
        ("", {}, "no_text", False, "holds no text"),
        (b"\0\1\2" * 99, {"Content_Type": "text/html"}, "not_text", False, "not text"),
    ],
)
def test_a_crawl_that_reads_nothing_fails_with_the_reason(site, ingest, body, answer, code, transient, words):
    site.page("/", body, **answer)
    run = ingest(url=site.url)
    assert (run.error.code, run.error.transient) == (code, transient)
    assert words in run.error.message
    assert f"{site.url}/" in run.error.message
    assert run.error.hint
    assert run.stats["pages"]["read"] == 0
    assert run.error.context["failures"][0]["code"] == code


def test_of_several_failures_the_first_that_may_pass_is_told(site, ingest):
    site.page("/b", status=503)
    run = ingest(urls=[f"{site.url}/a", f"{site.url}/b"])
    assert run.error.message == (
        f"None of 2 pages could be read. {site.url}/b could not be fetched: the server answered 503."
    )
    assert run.error.transient
    assert [failure["status"] for failure in run.error.context["failures"]] == [404, 503]


def test_many_failures_of_one_kind_are_told_in_a_sum(site, ingest):
    site.article("/", f"Start. {TEXT}", *[f"/missing/{number}" for number in range(LISTED + 10)])
    run = ingest(url=site.url)
    assert len(run.warnings) == WARNINGS_EACH + 1
    assert run.warnings[-1][0].startswith(f"{LISTED + 10 - WARNINGS_EACH} more pages")
    assert run.stats["pages"]["failed"] == LISTED + 10
    assert len(run.stats["pages"]["failures"]) == LISTED


def test_what_was_left_out_is_told(site, ingest):
    site.article("/", f"Start. {TEXT}", *[f"/{number}" for number in range(9)])
    for number in range(9):
        site.article(f"/{number}", f"Page {number}. {TEXT}")
    run = ingest(url=site.url, limit=4)
    assert len(run.pages) == 4
    assert run.warnings == [
        (
            "The crawl ended because the limit was reached: 6 further addresses were left out.",
            {"code": "limit", "left_out": 6},
        )
    ]
    run = ingest(url=site.url, timeout=0.3, delay=0.1)
    assert run.codes == ["timeout"]
    assert run.stats["pages"]["ended_by_timeout"]


def test_a_page_too_large_and_one_that_drips_are_failures_of_their_own(site, ingest, monkeypatch):
    monkeypatch.setattr("plugins.web.web_pages.MAX_HTML", 10_000)
    monkeypatch.setattr("plugins.url_ingest.LIMITS", Limits(seconds=0.5))
    site.article("/", f"Start. {TEXT}", "/large", "/dripping")
    site.page("/large", f"<p>{TEXT}</p>" * 1000)
    site.answers["/dripping"] = lambda handler: handler.drip(5)
    run = ingest(url=site.url)
    assert run.pages == [""]
    assert run.codes == ["too_large", "fetch_timeout"]


@pytest.mark.parametrize(
    ("statuses", "links", "code", "transient"),
    [
        ([404, 503, 503], [], 503, True),  # one that is gone makes the others no worse
        ([503, 404], [], 503, True),
        ([404, 410], [], 404, False),
        ([200], [503, 503], 0, False),  # an empty page whose links fail for now
    ],
)
def test_a_crawl_that_read_nothing_is_tried_again_when_a_named_page_may_come(
    site, ingest, statuses, links, code, transient
):
    for number, status in enumerate([*statuses, *links]):
        site.page(f"/{number}", status=status)
    menu = "".join(f'<a href="/{number}"></a>' for number in range(len(statuses), len(statuses) + len(links)))
    if links:
        site.page("/0", menu)
    run = ingest(url="\n".join(f"{site.url}/{number}" for number in range(len(statuses))))
    assert run.error.transient is transient
    assert run.error.code == ("http_status" if code else "no_text")
    assert not code or str(code) in run.error.message
    assert run.stats["pages"]["failed"] == len(statuses) + len(links)


# -- Characters -------------------------------------------------------------------------------------

JAPANESE = "図書館は九時に開きます。金曜日は八時まで開いています。"
FRENCH = "La bibliothèque ouvre à neuf heures — l’été, elle ferme à dix-huit heures… 5 €"


@pytest.mark.parametrize(
    ("text", "encoding", "header", "meta"),
    [
        (FRENCH, "utf-8", "", ""),
        (FRENCH, "utf-8", "iso-8859-1", ""),  # as many servers say by mistake
        (FRENCH, "utf-8", "", '<meta charset="iso-8859-1">'),
        (FRENCH, "windows-1252", "windows-1252", ""),
        (FRENCH, "windows-1252", "iso-8859-1", ""),
        (FRENCH, "windows-1252", "", '<meta charset="latin1">'),
        (FRENCH, "windows-1252", "", ""),
        (FRENCH, "utf-16", "", ""),
        (FRENCH, "utf-8-sig", "windows-1252", ""),
        (JAPANESE, "shift_jis", "Shift_JIS", ""),
        (JAPANESE, "shift_jis", "", '<meta http-equiv="Content-Type" content="text/html; charset=Shift_JIS">'),
        (JAPANESE * 5, "shift_jis", "", ""),
        (JAPANESE, "euc_jp", "", '<meta charset="euc-jp">'),
        (JAPANESE, "iso2022_jp", "iso-2022-jp", ""),
        (JAPANESE, "iso2022_jp", "", '<meta charset="iso-2022-jp">'),
        ("Библиотека открыта с девяти часов", "windows-1251", "windows-1251", ""),
    ],
)
def test_pages_are_read_in_their_encoding(site, ingest, text, encoding, header, meta):
    html = f"<html><head>{meta}<title>t</title></head><body><p>{text}</p></body></html>"
    site.page("/", html.encode(encoding), Content_Type=f"text/html; charset={header}" if header else "text/html")
    assert ingest(url=site.url).text == text


@pytest.mark.parametrize("charset", ["nonsense", "hex", "unicode_escape", "idna", "undefined", "utf-7", '"', "utf-16"])
def test_an_encoding_that_is_none_is_not_followed(charset):
    assert html_of("<p>Größe</p>".encode(), f"text/html; charset={charset}") == "<p>Größe</p>"


# -- Linked files -----------------------------------------------------------------------------------


def test_documents_that_are_linked_are_converted(site, ingest):
    site.article(
        "/", f"Start. {TEXT}", "/report.pdf", "/rules.docx", "/download?id=1", "/data.csv", "/notes.md", "/feed"
    )
    site.page("/report.pdf", documents.pdf(["The annual report."]), Content_Type="application/pdf")
    site.page(
        "/rules.docx",
        documents.docx([("Heading1", "Rules"), ("", "No smoking.")]),
        Content_Type="application/octet-stream",
    )
    site.page("/download?id=1", documents.pdf(["Minutes of May."]), Content_Type="application/octet-stream",
              Content_Disposition='attachment; filename="Minutes May.pdf"')  # fmt: skip
    site.page("/data.csv", "Branch;Hours\nNorth;9\n", Content_Type="text/plain")
    site.page("/notes.md", "# Notes\n\nRemember.", Content_Type="text/plain")
    site.page("/feed", f"<!DOCTYPE html><p>Feeds. {TEXT}</p>", Content_Type="text/xml")
    run = ingest(url=site.url)
    names = {chunk["metadata"]["page_url"].rpartition("/")[2]: chunk["metadata"]["filename"] for chunk in run.chunks}
    assert names == {
        "": "/", "report.pdf": "report.pdf", "rules.docx": "rules.docx", "download?id=1": "Minutes May.pdf",
        "data.csv": "data.csv", "notes.md": "notes.md", "feed": f"{site.url}/feed",
    }  # fmt: skip
    for words in ("The annual report.", "No smoking.", "Minutes of May.", "| North | 9 |", "Remember.", "Feeds."):
        assert words in run.text
    assert next(c["metadata"]["heading_path"] for c in run.chunks if "smoking" in c["text"]) == ["Rules"]


def test_a_document_that_has_not_changed_is_not_converted_again(site, ingest, tmp_path):
    site.page("/report.pdf", documents.pdf(["The annual report."]), Content_Type="application/pdf", validated=False)
    first, second = (ingest(url=f"{site.url}/report.pdf", kept_folder=str(tmp_path / "kept")) for _ in range(2))
    assert first.text == second.text
    assert second.stats["pages"]["unchanged"] == 1


# -- In a plugin host -------------------------------------------------------------------------------


def test_it_is_in_the_catalogue_as_the_only_one_that_speaks_of_addresses():
    info = build_catalogue(["plugins.url_ingest"]).ingest["url_ingest"]
    assert (info.kind, info.progress_unit, info.supports_progress) == ("remote-ingest", "url", True)
    assert info.supported_file_types == ("txt",)
    assert "url" in info.description.lower()


@pytest.fixture
def host(tmp_path):
    settings = HostSettings(
        modules=("plugins.url_ingest",), env={"KB_FETCH_ALLOW_PRIVATE": "127.0.0.0/8"}, work_dir=tmp_path / "work"
    )
    process = HostProcess.start(settings)
    yield process
    process.kill()


def request(tmp_path, **params):
    clean, errors = validate(UrlIngest().get_parameters(), {"delay": 0, **params})
    assert not errors
    return RunRequest(
        run="1", plugin="url_ingest", path=str(tmp_path), params=clean, spool=str(tmp_path / "spool"), spool_key="key",
        context={"kept_folder": str(tmp_path / "kept")},
    )  # fmt: skip


def test_a_host_crawls_a_site_into_its_spool(site, host, tmp_path):
    fill_handbook(site, 20)
    reports = list(
        host.run(request(tmp_path, url=f"{site.url}/missing", urls=[f"{site.url}/page/1", f"{site.url}/page/2"]))
    )
    assert isinstance(reports[-1], Done)
    assert any(isinstance(report, Progress) and report.unit == "url" for report in reports)
    assert [report.data["code"] for report in reports if isinstance(report, Warned)] == ["http_status"]
    chunks = list(read_spool(tmp_path / "spool", "key"))
    assert {chunk["metadata"]["page_url"] for chunk in chunks} == {f"{site.url}/page/1", f"{site.url}/page/2"}


@pytest.mark.parametrize("kind", ["delayed", "dripping", "busy"])
def test_a_crawl_can_be_killed_whatever_it_waits_for_and_leaves_no_spool(site, host, tmp_path, kind):
    site.article("/", f"Start. {TEXT}", "/a", "/b")
    site.answers["/a"] = {
        "delayed": lambda handler: handler.send(TEXT.encode()),
        "dripping": lambda handler: handler.drip(20),
        "busy": lambda handler: handler.send(b"", 429, {"Retry-After": "50"}),
    }[kind]
    run = host.run(request(tmp_path, url=site.url, delay=30 if kind == "delayed" else 0, respect_robots=False))
    sign = {"delayed": "Waiting 30 s", "dripping": f"Crawling {site.url}/a", "busy": "Waiting 50 s"}[kind]
    for report in run:
        if isinstance(report, Progress) and report.message.startswith(sign):
            break
    began = time.monotonic()
    run.close()
    host.kill()
    assert time.monotonic() - began < 1
    assert not psutil.pid_exists(host.pid)
    assert not (tmp_path / "spool").exists()
