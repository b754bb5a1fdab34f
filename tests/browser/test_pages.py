"""What teachers do on the pages: feed, watch, understand, mend, cancel, ask. With real jobs, workers and browser."""

import itertools
import re
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from axe_playwright_python.base import AXE_SCRIPT
from playwright.sync_api import Browser, Page, Request, expect

from tests.browser.conftest import FLAGS, Site, browser_path
from tests.support.site import Site as WebSite

PASSWORD = "correct horse battery"
REFRESH = 1
PHONE = {"viewport": {"width": 390, "height": 844}, "is_mobile": True, "has_touch": True, "device_scale_factor": 2}
TEXT = "\n\n".join(f"Paragraph {number} speaks of mitochondria and the energy of the cell." for number in range(40))


@pytest.fixture(scope="module")
def site(make_site: Callable[..., Site]) -> Site:
    site = make_site(INGESTION_JOB_REFRESH_RATE=REFRESH, KB_FETCH_ALLOW_PRIVATE="127.0.0.0/8")
    site.add_users(PASSWORD, ana=["plain"], ben=["plain"], olga=["superuser"])
    return site


@pytest.fixture
def web() -> Iterator[WebSite]:
    with WebSite() as running:
        yield running


@pytest.fixture(scope="module")
def sessions() -> dict[str, Any]:
    """The cookies of those who have logged in, by their names."""
    return {}


@pytest.fixture
def enter(site: Site, sessions: dict[str, Any], make_page: Callable[..., Page]) -> Callable[..., Page]:
    """A page of somebody who is logged in."""

    def enter(name: str = "ana", **options: Any) -> Page:
        page = make_page(storage_state=sessions.get(name), **options)
        if name in sessions:
            page.goto(f"{site.url}/ui/")
            expect(page).to_have_url(f"{site.url}/ui/")
        else:
            log_in(page, site, name)
        sessions[name] = page.context.storage_state()
        return page

    return enter


def log_in(page: Page, site: Site, name: str = "ana") -> None:
    page.goto(f"{site.url}/ui/login")
    page.locator("[name=username]").fill(name)
    page.locator("[name=password]").fill(PASSWORD)
    page.locator("form:has([name=password]) button").click()
    expect(page).to_have_url(f"{site.url}/ui/")


@pytest.fixture
def page(enter: Callable[..., Page]) -> Page:
    return enter()


def row(page: Page, job: int) -> Any:
    return page.locator(f"#row-{job}")


def dialog(page: Page) -> Any:
    return page.locator("dialog#job")


def slow(site: Site, collection: int, name: str = "slow.txt", seconds: float = 4.0, steps: int = 20) -> int:
    return site.upload(collection, name, TEXT.encode(), "slow_ingest", {"seconds": seconds, "steps": steps})


def ticks(page: Page) -> list[float]:
    """Moments of the requests with which the page keeps itself fresh, as they come."""
    asked: list[float] = []

    def note(request: Request) -> None:
        if "/live?" in request.url:
            asked.append(time.monotonic())

    page.on("request", note)
    return asked


def read_slowly(page: Page) -> None:
    """In the form for files: three seconds for each."""
    page.get_by_label("Plugin").select_option("slow_ingest")
    settings = page.locator("fieldset[data-plugin=slow_ingest]")
    settings.get_by_label("how long the conversion takes").fill("3")
    settings.get_by_label("in how many steps it reports").fill("15")


# -- Feeding and watching ---------------------------------------------------------------------------


def test_files_are_dropped_in_and_watched_until_they_are_completed(
    page: Page, site: Site, tmp_path: Path, picture: Any
) -> None:
    page.get_by_role("link", name="New collection").first.click()
    page.get_by_label("Name").fill("Cell biology")
    page.get_by_label("Description").fill("Lecture notes of the first year.")
    page.get_by_role("button", name="Create").click()
    expect(page.get_by_text("“Cell biology” is ready")).to_be_visible()

    files = []
    for name in ("one.txt", "two.md", "empty.txt"):
        (tmp_path / name).write_text("" if name == "empty.txt" else TEXT + name)
        files.append(tmp_path / name)
    read_slowly(page)
    picture(page, "pages-add")
    page.locator("#pick-files").set_input_files(files)
    expect(page.locator("#sending-count")).to_have_text("2 of 3 taken in")
    expect(page.locator("#uploads li").filter(has_text="empty.txt")).to_contain_text("The file is empty.")
    picture(page, "pages-uploads")
    page.get_by_role("link", name="Watch them").click()

    rows = page.locator("#jobs tbody tr")
    expect(rows).to_have_count(2)
    bar = rows.filter(has_text="one.txt").locator("progress")
    seen = set()
    expect(bar).to_be_visible()
    picture(page, "pages-running")
    while rows.filter(has_text="one.txt").get_attribute("data-status") != "completed":
        if bar.count():
            seen.add(float(bar.get_attribute("value", timeout=2000) or 0))
        page.wait_for_timeout(200)
    assert len(seen) >= 2, seen
    expect(rows.filter(has_text="one.txt")).to_contain_text("Completed")
    expect(rows.filter(has_text="two.md")).to_contain_text("Completed")
    expect(page.locator(".tile").first).to_contain_text("80")
    picture(page, "pages-completed")

    # The same file again is there already.
    page.get_by_role("link", name="Add", exact=True).click()
    read_slowly(page)
    page.locator("#pick-files").set_input_files(files[:1])
    expect(page.locator("#uploads li")).to_contain_text("Is there already")


def test_many_uploads_are_stopped_and_tried_again_together(page: Page, site: Site, tmp_path: Path) -> None:
    collection = site.create_collection("Broken off", owner="ana")
    files = [tmp_path / f"{number}.txt" for number in range(6)]
    for file in files:
        file.write_text(f"{file.name} {TEXT}")
    page.goto(f"{site.url}/ui/collections/{collection}/add")
    rows = page.locator("#uploads li")
    page.context.set_offline(True)
    page.locator("#pick-files").set_input_files(files)
    expect(rows.filter(has_text="The connection broke off.")).to_have_count(6)
    page.context.set_offline(False)
    files[0].unlink()
    page.get_by_role("button", name="Try all again").click()
    expect(page.locator("#sending-count")).to_have_text("5 of 6 taken in")
    expect(rows.filter(has_text="It cannot be read.")).to_have_count(1)

    page.route("**/add/file", lambda route: None)  # never answered
    page.locator("#pick-files").set_input_files(files[1:])
    page.get_by_role("button", name="Stop all").click()
    expect(rows.filter(has_text="Stopped")).to_have_count(5)
    page.unroute("**/add/file")
    assert site.expect("GET", f"/collections/{collection}/ingestion-jobs")["total"] == 5


def test_uploads_go_on_after_the_session_ended_and_somebody_logged_in_again(
    page: Page, site: Site, tmp_path: Path
) -> None:
    collection = site.create_collection("Session", owner="ana")
    (tmp_path / "late.txt").write_text(TEXT)
    page.goto(f"{site.url}/ui/collections/{collection}/add")
    page.context.clear_cookies(name="kb_session")
    page.locator("#pick-files").set_input_files(tmp_path / "late.txt")
    expect(page.locator("#uploads li")).to_contain_text("You are logged out.")
    other = page.context.new_page()
    other.goto(f"{site.url}/ui/login")
    other.get_by_label("User name").fill("ana")
    other.get_by_label("Password").fill(PASSWORD)
    other.get_by_role("button", name="Log in").click()
    expect(other.get_by_role("heading", name="Collections")).to_be_visible()
    page.get_by_role("button", name="Try again").click()
    expect(page.locator("#sending-count")).to_have_text("1 of 1 taken in")


def test_a_job_is_watched_in_a_dialog_with_an_address_of_its_own(page: Page, site: Site, picture: Any) -> None:
    collection = site.create_collection("Watched", owner="ana")
    job = site.upload(collection, "long.txt", TEXT.encode() * 100, "slow_ingest", {"seconds": 3, "steps": 30})
    page.goto(f"{site.url}/ui/collections/{collection}")
    page.get_by_role("link", name="long.txt").first.click()
    expect(page).to_have_url(re.compile(rf"/ui/collections/{collection}/jobs/{job}$"))
    expect(dialog(page).get_by_role("heading", name="long.txt")).to_be_visible()
    expect(dialog(page).locator(".saying")).to_contain_text(re.compile(r"Step \d+ of 30"))
    expect(dialog(page).locator("#job-chunks")).to_have_count(0)  # stages are no chunks
    picture(page, "pages-job-running")
    expect(dialog(page).locator(".job-state")).to_contain_text("Completed")
    expect(dialog(page).locator(".diary")).to_contain_text("Started by worker")
    picture(page, "pages-job-completed")
    page.keyboard.press("Escape")
    expect(dialog(page)).not_to_be_visible()
    expect(page).to_have_url(f"{site.url}/ui/collections/{collection}")
    page.go_forward()
    expect(dialog(page).get_by_role("heading", name="long.txt")).to_be_visible()
    page.reload()
    expect(dialog(page).get_by_role("heading", name="long.txt")).to_be_visible()
    dialog(page).get_by_role("link", name=re.compile("Its .* chunks")).click()
    expect(page.locator(".passages li")).to_have_count(20)
    expect(page.locator(".passages li").first).to_contain_text("mitochondria")
    picture(page, "pages-chunks")


def test_a_job_that_is_opened_at_once_after_another_was_closed_stays_open(page: Page, site: Site) -> None:
    collection = site.create_collection("Quickly", owner="ana")
    jobs = [site.upload(collection, f"{name}.txt", f"{name} {TEXT}".encode()) for name in ("one", "two")]
    for job in jobs:
        site.wait(collection, job)
    page.goto(f"{site.url}/ui/collections/{collection}")
    row(page, jobs[0]).get_by_role("link").click()
    expect(dialog(page).get_by_role("heading", name="one.txt")).to_be_visible()
    page.evaluate(
        "number => { const job = document.getElementById('job');"
        " job.addEventListener('close', () => document.querySelector(`#row-${number} a`).click(), { once: true });"
        " job.close(); }",
        jobs[1],
    )
    expect(dialog(page).get_by_role("heading", name="two.txt")).to_be_visible()
    page.go_back()
    expect(dialog(page)).not_to_be_visible()
    expect(page).to_have_url(f"{site.url}/ui/collections/{collection}")


def test_chunks_are_counted_only_while_they_are_added(page: Page, site: Site) -> None:
    collection = site.create_collection("Counted", owner="ana")
    site.upload(collection, "huge.txt", TEXT.encode() * 4000, params={"chunk_size": 300, "chunk_overlap": 0})
    page.goto(f"{site.url}/ui/collections/{collection}")
    page.get_by_role("link", name="huge.txt").first.click()
    expect(dialog(page).locator("#job-chunks")).to_have_text(re.compile(r"[\d,]+ / [\d,]+ chunks added"))
    page.keyboard.press("Escape")


def test_a_job_that_fails_says_why_and_is_retried_with_what_helps(
    page: Page, site: Site, web: WebSite, picture: Any
) -> None:
    web.page("/robots.txt", "User-agent: *\nDisallow: /", Content_Type="text/plain")
    web.article("/course", "The course begins in September and ends in June. " * 20)
    page.goto(f"{site.url}/ui/collections/new")
    page.get_by_label("Name").fill("Web")
    page.get_by_role("button", name="Create").click()
    page.get_by_role("link", name="Web pages").click()
    picture(page, "pages-web")
    page.get_by_label("Addresses of web pages").fill(f"{web.url}/course")
    page.get_by_label("How many links away").fill("0")
    page.get_by_role("button", name="Fetch").click()
    expect(dialog(page).locator(".failure")).to_contain_text("robots.txt")
    expect(dialog(page).locator(".remedy")).to_contain_text("Do as the site asks robots")
    picture(page, "pages-job-failed")
    expect(
        dialog(page).get_by_role("button", name="Retry with these")
    ).to_be_visible()  # unfolded, since it is what helps
    dialog(page).get_by_text("More settings").click()
    expect(dialog(page).locator("[name=param-respect_robots]")).not_to_be_checked()  # set as the remedy says
    dialog(page).get_by_role("button", name="Retry with these").click()
    expect(dialog(page).locator(".job-state")).to_contain_text("Completed")
    expect(dialog(page).locator(".diary")).to_contain_text("Queued again")
    assert "/course" in web.paths()


def test_a_cancel_asks_first_and_then_really_stops(page: Page, site: Site, picture: Any) -> None:
    collection = site.create_collection("Cancelled", owner="ana")
    job = slow(site, collection, "endless.txt", seconds=100, steps=1000)
    page.goto(f"{site.url}/ui/collections/{collection}/jobs/{job}")
    expect(dialog(page).locator(".job-state")).to_contain_text("Processing")
    dialog(page).get_by_role("button", name="Cancel").click()
    question = page.locator("dialog#sure")
    expect(question).to_contain_text("Cancel “endless.txt”?")
    picture(page, "pages-sure")
    question.get_by_role("button", name="Keep it as it is").click()
    assert site.job(collection, job)["status"] == "processing"
    dialog(page).get_by_role("button", name="Cancel").click()
    question.get_by_role("button", name="Cancel the job").click()
    expect(dialog(page).locator(".job-state")).to_contain_text("Cancelled")
    assert site.job(collection, job)["status"] == "cancelled"


def test_a_collection_is_renamed_and_deleted_with_its_consequences_named(page: Page, site: Site, picture: Any) -> None:
    collection = site.create_collection("Old name", owner="ana")
    site.wait(collection, site.upload(collection, "notes.txt", TEXT.encode()))
    page.goto(f"{site.url}/ui/collections/{collection}")
    page.get_by_role("link", name="Change").click()
    page.get_by_label("Name").fill("New name")
    page.get_by_label("Everybody who can log in").check()
    page.get_by_role("button", name="Keep changes").click()
    expect(page.get_by_role("heading", name="New name", level=1)).to_be_visible()
    assert site.expect("GET", f"/collections/{collection}")["visibility"] == "public"
    page.get_by_role("link", name="Delete").click()
    expect(page.locator("main")).to_contain_text("1 source, with its file")
    expect(page.locator("main")).to_contain_text("4 chunks: nothing of them is found any more")
    picture(page, "pages-delete")
    page.get_by_role("button", name="Delete the collection").click()
    expect(page.get_by_text("“New name” is deleted, with 4 chunks.")).to_be_visible()
    assert site.call("GET", f"/collections/{collection}")[0] == 404


def test_a_question_about_a_job_that_ended_meanwhile_does_nothing(page: Page, site: Site) -> None:
    collection = site.create_collection("Too late", owner="ana")
    job = slow(site, collection, "quick.txt", seconds=4)
    page.goto(f"{site.url}/ui/collections/{collection}/jobs/{job}")
    dialog(page).get_by_role("button", name="Cancel").click()
    question = page.locator("dialog#sure")
    expect(question).to_contain_text("Cancel “quick.txt”?")
    expect(page.locator("dialog#job .job-state")).to_contain_text("Completed")
    question.get_by_role("button", name="Cancel the job").click()
    expect(question).to_contain_text("It has ended or changed meanwhile. Nothing was done.")
    expect(question.locator("#sure-yes")).not_to_be_visible()
    page.keyboard.press("Escape")
    assert site.job(collection, job)["status"] == "completed"


# -- Polling ----------------------------------------------------------------------------------------


def test_the_page_asks_as_often_as_the_server_says_and_stops_when_all_have_ended(page: Page, site: Site) -> None:
    collection = site.create_collection("Ticks", owner="ana")
    jobs = [slow(site, collection, f"{number}.txt", seconds=5) for number in range(2)]
    page.goto(f"{site.url}/ui/collections/{collection}")
    asked = ticks(page)
    for job in jobs:
        expect(row(page, job)).to_have_attribute("data-status", "completed")
    between = [later - earlier for earlier, later in itertools.pairwise(asked)]
    assert len(between) >= 3
    assert min(between) >= 0.9 * REFRESH, between  # one request a tick, however many rows
    count = len(asked)
    page.wait_for_timeout(3000 * REFRESH)
    assert len(asked) == count


def test_nothing_is_asked_while_the_page_is_hidden_and_it_catches_up_on_return(page: Page, site: Site) -> None:
    collection = site.create_collection("Hidden", owner="ana")
    job = slow(site, collection, seconds=4)
    page.goto(f"{site.url}/ui/collections/{collection}")
    expect(row(page, job).locator("progress")).to_be_visible()
    turn = "value => { Object.defineProperty(document, 'hidden', { get: () => value, configurable: true });" \
        " document.dispatchEvent(new Event('visibilitychange')); }"  # fmt: skip
    page.evaluate(turn, True)
    page.wait_for_timeout(500)  # one may be under way
    asked = ticks(page)
    assert site.wait(collection, job)["status"] == "completed"
    assert asked == []
    expect(row(page, job)).to_have_attribute("data-status", "processing")
    page.evaluate(turn, False)
    expect(row(page, job)).to_have_attribute("data-status", "completed")
    assert len(asked) == 1


def test_a_server_that_is_away_is_said_and_asked_less_often_until_it_is_back(
    make_page: Any, site: Site, enter: Any
) -> None:
    page = enter()
    collection = site.create_collection("Away", owner="ana")
    job = slow(site, collection, seconds=100, steps=1000)
    page.goto(f"{site.url}/ui/collections/{collection}")
    expect(row(page, job).locator("progress")).to_be_visible()
    page.context.set_offline(True)
    away = page.locator("#connection")
    expect(away).to_contain_text(f"Next try in {REFRESH} s.")
    expect(away).to_contain_text(f"Next try in {4 * REFRESH} s.")
    page.context.set_offline(False)
    expect(away).not_to_be_visible()
    site.call("POST", f"/collections/{collection}/ingestion-jobs/{job}/cancel")
    expect(row(page, job)).to_have_attribute("data-status", "cancelled")


def test_in_a_dialog_too_it_is_said_that_the_server_is_away_and_what_has_ended(enter: Any, site: Site) -> None:
    page = enter()
    collection = site.create_collection("Away in a dialog", owner="ana")
    first = slow(site, collection, "first.txt", seconds=100, steps=1000)
    other = slow(site, collection, "other.txt", seconds=100, steps=1000)
    page.goto(f"{site.url}/ui/collections/{collection}")
    row(page, first).get_by_role("link").click()
    expect(dialog(page).locator("progress")).to_be_visible()
    page.context.set_offline(True)
    expect(dialog(page).locator("#connection")).to_contain_text("The server does not answer.")
    dialog(page).get_by_role("button", name="Try now").click()  # nothing covers it
    page.keyboard.press("Escape")
    row(page, other).get_by_role("link").click()
    expect(dialog(page).get_by_role("heading", name="Loading…")).to_be_focused()
    dialog(page).get_by_role("button", name="Close").click()
    expect(dialog(page)).not_to_be_visible()
    expect(page.locator("#connection")).to_be_visible()
    row(page, other).get_by_role("link").click()
    page.context.set_offline(False)
    expect(dialog(page).get_by_role("heading", name="other.txt")).to_be_visible()
    for job in (first, other):
        site.call("POST", f"/collections/{collection}/ingestion-jobs/{job}/cancel")
    expect(dialog(page).locator("#announcer")).to_contain_text("other.txt: Cancelled")


def test_a_server_that_never_answers_counts_as_away(page: Page, site: Site) -> None:
    collection = site.create_collection("Silent", owner="ana")
    job = slow(site, collection, seconds=100, steps=1000)
    page.clock.install()
    page.goto(f"{site.url}/ui/collections/{collection}")
    page.route("**/live?*", lambda route: None)
    page.clock.run_for(2000 * REFRESH)
    page.clock.run_for(31_000)
    expect(page.locator("#connection")).to_contain_text("The server does not answer.")
    page.unroute("**/live?*")
    site.call("POST", f"/collections/{collection}/ingestion-jobs/{job}/cancel")


def test_what_somebody_has_chosen_opened_and_typed_survives_the_ticks(page: Page, site: Site) -> None:
    collection = site.create_collection("Kept", owner="ana")
    site.wait(collection, site.upload(collection, "still.txt", TEXT.encode()))
    job = slow(site, collection, seconds=6)
    page.goto(f"{site.url}/ui/collections/{collection}")
    asked = ticks(page)
    box = row(page, job).get_by_role("checkbox")
    box.check()
    page.get_by_label("Find by name or address").fill("half a wo")
    expect(page.locator("#chosen")).to_have_text("1 chosen")
    count = len(asked)
    while len(asked) < count + 3:
        page.wait_for_timeout(100)
    expect(box).to_be_checked()
    expect(page.get_by_label("Find by name or address")).to_have_value("half a wo")
    expect(page.get_by_label("Find by name or address")).to_be_focused()
    expect(row(page, job)).to_have_attribute("data-status", "completed")
    expect(box).to_be_checked()
    expect(page.locator("#announcer")).to_have_text("slow.txt: Completed")


def test_where_moving_takes_the_focus_away_it_is_given_back(page: Page, site: Site) -> None:
    collection = site.create_collection("Held", owner="ana")
    site.wait(collection, site.upload(collection, "held.txt", TEXT.encode()))
    page.add_init_script("delete Element.prototype.moveBefore")  # as in browsers that have none
    page.goto(f"{site.url}/ui/collections/{collection}")
    page.get_by_role("link", name="held.txt").click()
    expect(dialog(page).locator(".diary")).to_contain_text("Completed")
    expect(dialog(page).get_by_role("heading", name="held.txt")).to_be_focused()


COUNT_CHANGES = """
window.changes = [];
const watched = document.querySelector(".diary");
new MutationObserver((records) => {
  for (const one of records) {
    const old = one.type !== "childList" || one.removedNodes.length || !one.target.matches(".diary");
    if (old && one.target.parentElement.closest(".diary")) window.changes.push(one.type + " " + one.attributeName);
  }
}).observe(watched, { subtree: true, childList: true, characterData: true, attributes: true });
"""


def test_times_are_those_of_the_readers_zone_and_stay_so_with_each_tick(enter: Any, site: Site) -> None:
    collection = site.create_collection("Times", owner="ana")
    job = slow(site, collection, "far away.txt", seconds=100, steps=1000)
    page = enter(timezone_id="Asia/Kolkata")  # five and a half hours before UTC
    page.goto(f"{site.url}/ui/collections/{collection}/jobs/{job}")
    first = dialog(page).locator(".diary time").first
    at = datetime.fromisoformat(first.get_attribute("datetime") or "").astimezone(ZoneInfo("Asia/Kolkata"))
    expect(first).to_have_text(f"{at:%H:%M:%S}")
    expect(first).to_have_attribute("title", re.compile(rf"{at.year}.*{at:%H:%M:%S}.*5:30"))
    expect(row(page, job).locator("time")).to_have_attribute("title", re.compile(rf"{at:%H:%M}.*5:30"))
    expect(dialog(page).get_by_role("heading", name="Diary")).to_have_text(re.compile(r"^Diary\s*$"))
    page.evaluate(COUNT_CHANGES)
    with page.expect_response(lambda answer: "/live?" in answer.url and answer.status == 200):
        pass
    saying = dialog(page).locator(".saying").inner_text()
    expect(dialog(page).locator(".saying")).not_to_have_text(saying)  # it was merged
    assert page.evaluate("window.changes") == []
    expect(first).to_have_text(f"{at:%H:%M:%S}")
    site.call("POST", f"/collections/{collection}/ingestion-jobs/{job}/cancel")
    expect(dialog(page).locator(".diary")).to_contain_text("Cancelled")
    last = dialog(page).locator(".diary time").last
    at = datetime.fromisoformat(last.get_attribute("datetime") or "").astimezone(ZoneInfo("Asia/Kolkata"))
    expect(last).to_have_text(f"{at:%H:%M:%S}")
    expect(dialog(page).locator("[data-utc]")).to_have_count(0)


def test_without_scripts_it_is_said_that_times_are_in_utc(enter: Any, site: Site) -> None:
    collection = site.create_collection("Plain", owner="ana")
    job = site.upload(collection, "plain.txt", TEXT.encode())
    site.wait(collection, job)
    page = enter(timezone_id="Asia/Kolkata", java_script_enabled=False)
    page.goto(f"{site.url}/ui/collections/{collection}/jobs/{job}")
    expect(page.get_by_role("heading", name="Diary")).to_contain_text("times in UTC")
    first = page.locator(".diary time").first
    at = datetime.fromisoformat(first.get_attribute("datetime") or "").astimezone(UTC)
    expect(first).to_have_text(f"{at:%H:%M:%S}")


def test_how_long_a_silent_job_has_taken_is_counted_on(page: Page, site: Site) -> None:
    collection = site.create_collection("Silent job", owner="ana")
    job = slow(site, collection, "silent.txt", seconds=100, steps=1000)
    page.goto(f"{site.url}/ui/collections/{collection}")
    took = row(page, job).locator("[data-since]")
    expect(took).to_have_text(re.compile(r"^\d+ s$"))
    page.route("**/live?*", lambda route: route.fulfill(status=304))
    seen = [int(took.inner_text().split()[0])]
    while seen[-1] < seen[0] + 3:
        page.wait_for_timeout(100)
        seen.append(int(took.inner_text().split()[0]))
    started = site.job(collection, job)["processing_started_at"]
    really = (datetime.now(UTC) - datetime.fromisoformat(started)).total_seconds()
    assert abs(seen[-1] - really) < 2
    page.unroute("**/live?*")
    page.wait_for_timeout(3000 * REFRESH)
    assert int(took.inner_text().split()[0]) >= seen[-1] + 2
    assert seen == sorted(seen)
    site.call("POST", f"/collections/{collection}/ingestion-jobs/{job}/cancel")
    expect(row(page, job)).to_have_attribute("data-status", "cancelled")
    expect(took).to_have_count(0)


# -- Many, and finding them -------------------------------------------------------------------------


def test_jobs_are_filtered_sorted_and_acted_on_together(page: Page, site: Site, picture: Any) -> None:
    collection = site.create_collection("Many", owner="ana")
    for name in ("apple.txt", "banana.txt", "cherry.txt"):
        site.wait(collection, site.upload(collection, name, f"{name} {TEXT}".encode()))
    for number in range(2):
        job = site.upload(collection, f"broken {number}.pdf", b"nothing", plugin="markitdown_ingest")
        assert site.wait(collection, job)["status"] == "failed"
    page.goto(f"{site.url}/ui/collections/{collection}")
    names = page.locator("#jobs tbody .source a")
    page.get_by_role("columnheader").get_by_role("link", name="Source").click()
    expect(names.first).to_have_text("apple.txt")
    page.get_by_role("columnheader").get_by_role("link", name="Source").click()
    expect(names.first).to_have_text("cherry.txt")
    page.get_by_label("Find by name or address").fill("an")
    page.get_by_role("button", name="Find").click()
    expect(names).to_have_text(["banana.txt"])
    page.goto(f"{site.url}/ui/collections/{collection}")
    page.locator(".filters").get_by_role("link", name="Failed").click()
    expect(names).to_have_count(2)
    page.get_by_label("Choose all on this page").check()
    expect(page.locator("#chosen")).to_have_text("2 chosen")
    picture(page, "pages-chosen")
    page.locator("#bulk-bar").get_by_role("button", name="Delete").click()
    expect(page.locator("dialog#sure")).to_contain_text("Delete 2 jobs?")
    page.locator("dialog#sure").get_by_role("button", name="Delete them").click()
    expect(page.get_by_text("2 jobs are deleted.")).to_be_visible()
    expect(page.get_by_role("heading", name="No job fits")).to_be_visible()
    assert len(site.expect("GET", f"/collections/{collection}/ingestion-jobs")["items"]) == 3


def test_the_question_names_how_many_jobs_it_is_about(page: Page, enter: Any, site: Site) -> None:
    collection = site.create_collection("Named", owner="ana")
    site.run_script(MANY, str(collection), "5000")
    failed = site.upload(collection, "broken.pdf", b"nothing", plugin="markitdown_ingest")
    site.wait(collection, failed)
    page.goto(f"{site.url}/ui/collections/{collection}")
    bar, question = page.locator("#bulk-bar"), page.locator("dialog#sure")

    def asked(name: str) -> Any:
        bar.get_by_role("button", name=name).click()
        return question.get_by_role("heading")

    row(page, failed).get_by_role("checkbox").check()
    expect(asked("Delete")).to_have_text("Delete 1 job?")
    expect(question).to_contain_text("Its file and all its chunks are removed for good.")
    question.get_by_role("button", name="Keep it as it is").click()
    page.get_by_label("Choose all on this page").check()
    expect(asked("Delete")).to_have_text("Delete 50 jobs?")
    page.keyboard.press("Escape")
    expect(asked("Retry")).to_have_text("Retry 1 failed job?")  # the others did not fail
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Choose all 5,001 that match").click()
    expect(asked("Delete")).to_have_text("Delete 5,001 jobs?")
    page.keyboard.press("Escape")
    expect(asked("Retry")).to_have_text("Retry 1 failed job?")
    page.keyboard.press("Escape")
    bar.get_by_role("button", name="Cancel").click()  # none goes on: there is nothing to ask
    expect(page.get_by_text("None of the chosen jobs is in a status for this.")).to_be_visible()

    page.goto(f"{site.url}/ui/collections/{collection}?q=file")
    page.get_by_label("Choose all on this page").check()
    page.get_by_role("button", name="Choose all 5,000 that match").click()
    bar.get_by_role("button", name="Retry").click()  # nobody has counted those that failed among them
    expect(page.get_by_text("None of the chosen jobs is in a status for this.")).to_be_visible()

    spanish = enter(locale="es-ES")
    spanish.goto(f"{site.url}/ui/collections/{collection}")
    spanish.get_by_label("Elegir todos los de esta página").check()
    spanish.get_by_role("button", name=re.compile("5.001")).click()
    spanish.locator("#bulk-bar").get_by_role("button", name="Eliminar").click()
    expect(spanish.locator("dialog#sure")).to_contain_text("¿Eliminar 5.001 trabajos?")


# -- Coming back ------------------------------------------------------------------------------------


@pytest.fixture
def remembering(browser: Browser) -> Iterator[Browser]:
    """A browser that keeps the pages that were left, as people's do: under Playwright it is told not to."""
    found = str(browser_path())
    kept = browser.browser_type.launch(
        executable_path=found, args=FLAGS, ignore_default_args=["--disable-back-forward-cache"]
    )
    yield kept
    kept.close()


def test_a_page_that_the_browser_had_kept_is_fresh_at_once(remembering: Browser, site: Site) -> None:
    collection = site.create_collection("Come back", owner="ana")
    job = slow(site, collection, "left.txt", seconds=100, steps=1000)
    page = remembering.new_page()
    log_in(page, site)
    page.goto(f"{site.url}/ui/collections/{collection}")
    page.get_by_role("link", name="left.txt").first.click()
    expect(dialog(page).locator(".job-state")).to_contain_text("Processing")
    dialog(page).get_by_role("button", name="Cancel").click()
    expect(page.locator("dialog#sure")).to_be_visible()
    page.evaluate("window.mine = true; addEventListener('pageshow', event => { window.kept = event.persisted })")
    page.goto(f"{site.url}/ui/")
    site.call("POST", f"/collections/{collection}/ingestion-jobs/{job}/cancel")
    page.go_back(wait_until="commit")
    expect(dialog(page).locator(".job-state")).to_contain_text("Cancelled")
    assert page.evaluate("[window.mine, window.kept]") == [True, True]  # it is the page that was left
    expect(page.locator("dialog#sure")).not_to_be_visible()  # its question is of no use any more
    expect(row(page, job)).to_have_attribute("data-status", "cancelled")
    page.keyboard.press("Escape")
    expect(dialog(page)).not_to_be_visible()
    expect(page).to_have_url(f"{site.url}/ui/collections/{collection}")


def test_a_page_at_rest_asks_once_when_it_is_shown_again(remembering: Browser, site: Site) -> None:
    collection = site.create_collection("At rest", owner="ana")
    site.wait(collection, site.upload(collection, "first.txt", TEXT.encode()))
    page = remembering.new_page()
    log_in(page, site)
    page.goto(f"{site.url}/ui/collections/{collection}")
    expect(page.locator("#jobs tbody tr")).to_have_count(1)
    page.evaluate("window.mine = true")
    asked = ticks(page)
    page.goto(f"{site.url}/ui/")
    site.wait(collection, site.upload(collection, "second.txt", f"2 {TEXT}".encode()))
    page.go_back(wait_until="commit")
    expect(page.locator("#jobs tbody tr")).to_have_count(2)
    assert page.evaluate("window.mine")
    assert len(asked) == 1
    # Chromium also says that the page is visible again. Where a browser does not, this alone has to do.
    site.wait(collection, site.upload(collection, "third.txt", f"3 {TEXT}".encode()))
    page.evaluate("dispatchEvent(new PageTransitionEvent('pageshow', { persisted: true }))")
    expect(page.locator("#jobs tbody tr")).to_have_count(3)


# -- Who sees what ----------------------------------------------------------------------------------


def test_two_people_cannot_see_each_others_collections(enter: Any, site: Site, picture: Any) -> None:
    hers = site.create_collection("Hers alone", owner="ana")
    job = site.upload(hers, "secret.txt", TEXT.encode())
    shared = site.create_collection("For everybody", owner="ana", visibility="public")
    ben = enter("ben")
    expect(ben.get_by_role("link", name="For everybody")).to_be_visible()
    expect(ben.get_by_role("link", name="Hers alone")).to_have_count(0)
    for address in ("", f"/jobs/{job}", f"/jobs/{job}/chunks", "/live", "/ask?q=mitochondria", "/add", "/delete"):
        answer = ben.request.get(f"{site.url}/ui/collections/{hers}{address}")
        assert answer.status == 404, address
        assert "secret.txt" not in answer.text()
    ben.goto(f"{site.url}/ui/collections/{shared}")
    expect(ben.get_by_role("link", name="Add", exact=True)).to_have_count(0)
    assert ben.request.get(f"{site.url}/ui/collections/{shared}/add").status == 403
    staff = enter("olga")
    expect(staff.get_by_role("link", name="Hers alone")).to_be_visible()
    staff.get_by_label("Owner").select_option("ana")
    staff.get_by_role("button", name="Search").click()
    expect(staff.get_by_role("link", name="Hers alone")).to_be_visible()


def test_whoever_is_logged_out_meanwhile_is_told_and_led_back(page: Page, site: Site) -> None:
    collection = site.create_collection("Logged out", owner="ana")
    job = slow(site, collection, seconds=100, steps=1000)
    page.goto(f"{site.url}/ui/collections/{collection}")
    expect(row(page, job).locator("progress")).to_be_visible()
    page.context.clear_cookies(name="kb_session")
    expect(page.locator("#connection")).to_contain_text("You are logged out.")
    site.call("POST", f"/collections/{collection}/ingestion-jobs/{job}/cancel")
    page.locator("#connection").get_by_role("link", name="Log in").click()
    page.get_by_label("User name").fill("ana")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()
    expect(page).to_have_url(f"{site.url}/ui/collections/{collection}")


# -- Text, videos, asking, languages ----------------------------------------------------------------


def test_pasted_text_is_read_and_answers_questions_with_its_place(page: Page, site: Site, picture: Any) -> None:
    collection = site.create_collection("Pasted", owner="ana")
    page.goto(f"{site.url}/ui/collections/{collection}/add?kind=text")
    page.get_by_label("Title").fill("Opening hours")
    page.get_by_label("Text", exact=True).fill(
        "# Library\n\nThe library opens at nine and closes at eight.\n\n# Café\n\nThe café sells soup & <b>bread</b>."
    )
    page.get_by_role("button", name="Add the text").click()
    expect(dialog(page).locator(".job-state")).to_contain_text("Completed")
    page.keyboard.press("Escape")
    page.get_by_role("link", name="Ask", exact=True).click()
    page.get_by_label("What do you want to know?").fill("When does the library close?")
    page.get_by_role("button", name="Ask").click()
    best = page.locator(".passages li").first
    expect(best).to_contain_text("closes at eight")
    expect(best.locator("mark").first).to_have_text(re.compile("library|Library|closes"))
    expect(best).to_contain_text("opening-hours.md")
    expect(best.get_by_role("link", name="Open the source")).to_have_attribute("href", re.compile(r"/static/"))
    expect(page.locator("main")).to_contain_text("<b>bread</b>")
    picture(page, "pages-ask")


def test_on_a_phone_the_button_to_ask_is_as_wide_as_its_question(enter: Any, site: Site) -> None:
    page = enter(**PHONE)
    page.goto(f"{site.url}/ui/collections/{site.create_collection('Thumb', owner='ana')}/ask")
    button = page.get_by_role("button", name="Ask", exact=True)
    box, line = button.bounding_box(), page.locator("#q").bounding_box()
    assert box
    assert line
    assert box["width"] == line["width"]
    middle = button.evaluate(
        "node => { const words = document.createRange(); words.selectNodeContents(node);"
        " const box = words.getBoundingClientRect(); return box.left + box.width / 2; }"
    )
    assert abs(middle - (box["x"] + box["width"] / 2)) < 2


def test_the_pages_speak_spanish_to_whoever_does(make_page: Any, site: Site, picture: Any) -> None:
    page = make_page(locale="es-ES")
    page.goto(f"{site.url}/ui/login")
    expect(page.locator("html")).to_have_attribute("lang", "es")
    page.get_by_label("Nombre de usuario").fill("ana")
    page.get_by_label("Contraseña").fill(PASSWORD)
    page.get_by_role("button", name="Entrar").click()
    expect(page.get_by_role("heading", name="Colecciones")).to_be_visible()
    picture(page, "pages-spanish")
    page.get_by_role("button", name="English").click()
    expect(page.get_by_role("heading", name="Collections")).to_be_visible()
    expect(page.locator("html")).to_have_attribute("lang", "en")


# -- Keyboard, screen readers, weight ---------------------------------------------------------------


def test_all_is_done_by_keyboard(page: Page, site: Site) -> None:
    collection = site.create_collection("By keyboard", owner="ana")
    job = slow(site, collection, "keys.txt", seconds=100, steps=1000)
    page.goto(f"{site.url}/ui/collections/{collection}")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    page.keyboard.press("Enter")
    until_focused(page, row(page, job).get_by_role("link"))
    page.keyboard.press("Enter")
    expect(dialog(page).locator("#job-title")).to_have_text("keys.txt")
    until_focused(page, dialog(page).get_by_role("button", name="Cancel"))
    page.keyboard.press("Enter")
    expect(page.locator("dialog#sure").get_by_role("button", name="Keep it as it is")).to_be_focused()
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Enter")
    expect(dialog(page).locator(".job-state")).to_contain_text("Cancelled")
    page.keyboard.press("Escape")
    expect(dialog(page)).not_to_be_visible()
    until_focused(page, row(page, job).get_by_role("checkbox"))
    page.keyboard.press("Space")
    expect(page.locator("#chosen")).to_have_text("1 chosen")


def until_focused(page: Page, target: Any, most: int = 60) -> None:
    for _ in range(most):
        if target.evaluate("node => node === document.activeElement"):
            return
        page.keyboard.press("Tab")
    raise AssertionError(f"{target} is not reached by the keyboard")


@pytest.mark.parametrize("device", ["desk", "phone"])
def test_no_page_breaks_a_rule_of_accessibility(
    enter: Any, make_page: Any, site: Site, device: str, picture: Any
) -> None:
    collection = site.create_collection(f"Rules {device}", owner="ana", description="What is seen by everybody")
    done = site.upload(collection, "done.txt", TEXT.encode(), params={"chunk_size": 100, "chunk_overlap": 0})
    failed = site.upload(collection, "failed.pdf", b"nothing", plugin="markitdown_ingest")
    for job in (done, failed):
        site.wait(collection, job)
    going = slow(site, collection, "going.txt", seconds=100, steps=1000)
    options = PHONE if device == "phone" else {}
    visitor = make_page(**options)
    visitor.goto(f"{site.url}/ui/login")
    checked(visitor, f"{device}-login", picture)
    page = enter(**options)
    base = f"/ui/collections/{collection}"
    for name, address in {
        "shelf": "/ui/",
        "collection": base,
        "job-going": f"{base}/jobs/{going}",
        "job-done": f"{base}/jobs/{done}",
        "job-failed": f"{base}/jobs/{failed}",
        "chunks": f"{base}/jobs/{done}/chunks",
        "files": f"{base}/add",
        "web": f"{base}/add?kind=web",
        "video": f"{base}/add?kind=video",
        "text": f"{base}/add?kind=text",
        "ask": f"{base}/ask?q=energy+of+the+cell",
        "new": "/ui/collections/new",
        "change": f"{base}/change",
        "delete": f"{base}/delete",
        "preview-gone": f"{base}/preview/1",
    }.items():
        page.goto(f"{site.url}{address}")
        checked(page, f"{device}-{name}", picture)
    site.call("POST", f"/collections/{collection}/ingestion-jobs/{going}/cancel")


LOOKS: dict[Any, dict[str, Any]] = {"light": {}, "dark": {"runOnly": ["color-contrast"]}}


def checked(page: Page, name: str, picture: Any) -> None:
    """All rules in light colours; in dark ones those of contrast, since nothing else differs."""
    page.evaluate(AXE_SCRIPT)
    for look, rules in LOOKS.items():
        page.emulate_media(color_scheme=look)
        picture(page, f"{name}-{look}")
        found = page.evaluate("options => axe.run(options)", {"resultTypes": ["violations"], **rules})
        told = [
            f"{one['id']}: {one['help']}: {[node['html'][:160] for node in one['nodes'][:3]]}"
            for one in found["violations"]
        ]
        assert not told, (name, look, told)
        assert "color-contrast" in [one["id"] for one in found["passes"]], (name, look)  # there was something to see
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), f"{name} is wider than the screen"


def test_the_first_load_is_light_and_nothing_comes_from_elsewhere(page: Page, site: Site) -> None:
    collection = site.create_collection("Light", owner="ana")
    sizes: dict[str, int] = {}
    page.on(
        "response", lambda answer: sizes.update({answer.url: len(answer.body())}) if "/assets/" in answer.url else None
    )
    others: list[str] = []
    page.on("request", lambda request: others.append(request.url) if not request.url.startswith(site.url) else None)
    page.goto(f"{site.url}/ui/collections/{collection}", wait_until="networkidle")
    page.goto(f"{site.url}/ui/collections/{collection}/add", wait_until="networkidle")
    assert sum(sizes.values()) < 100_000, sizes
    assert others == []


MANY = """
import django, sys
django.setup()
from collections_app.models import Collection
from ingestion.models import FileRegistry
collection = Collection.objects.get(pk=sys.argv[1])
FileRegistry.objects.bulk_create(
    FileRegistry(collection=collection, owner="ana", original_filename=f"file {n}.txt", plugin_name="simple_ingest",
                 status="cancelled", processing_completed_at=collection.creation_date)
    for n in range(int(sys.argv[2]))
)
"""
WATCH_LONG_TASKS = """
window.longTasks = [];
new PerformanceObserver(list => { for (const one of list.getEntries()) window.longTasks.push(one.duration); })
  .observe({type: "longtask", buffered: true});
"""


def test_a_table_of_5000_jobs_stays_smooth(make_page: Any, enter: Any, site: Site) -> None:
    collection = site.create_collection("Five thousand", owner="ana")
    site.run_script(MANY, str(collection), "5000")
    job = slow(site, collection, "ticking.txt", seconds=100, steps=1000)
    page = enter()
    page.add_init_script(WATCH_LONG_TASKS)
    page.goto(f"{site.url}/ui/collections/{collection}")
    asked = ticks(page)
    expect(page.locator(".filters")).to_contain_text("5,001")
    while len(asked) < 5:
        page.wait_for_timeout(200)
    assert page.locator("#jobs tbody tr").count() == 50
    assert max(page.evaluate("window.longTasks"), default=0) < 500  # milliseconds, on a machine that others use too
    page.get_by_role("link", name="Next").click()
    expect(page.locator(".pager")).to_contain_text("Page 2 of 101")
    site.call("POST", f"/collections/{collection}/ingestion-jobs/{job}/cancel")


def test_long_work_shows_how_far_it_is_and_goes_on_by_itself(enter: Any, site: Site, picture: Any) -> None:
    collection = site.create_collection("Fifteen hundred", owner="ana")
    site.run_script(MANY, str(collection), "1500")
    page = enter()
    page.goto(f"{site.url}/ui/collections/{collection}")
    page.locator("#choose-page").check()
    page.locator("#choose-all").click()
    page.get_by_role("button", name="Delete", exact=True).last.click()
    page.get_by_role("button", name="Delete them").click()
    expect(page.locator("#kb-continue")).to_be_visible()
    picture(page, "working")
    expect(page.locator(".message.success")).to_have_text("1,500 jobs are deleted.", timeout=100_000)
    expect(page.locator(".empty")).to_be_visible()


def test_pages_that_are_not_there_look_like_ours(page: Page, site: Site, make_page: Any) -> None:
    answer = page.request.get(f"{site.url}/ui/nowhere")
    assert answer.status == 404
    assert "There is nothing here" in answer.text()
    assert "script-src 'self'" in answer.headers["content-security-policy"]


# -- Looking first ----------------------------------------------------------------------------------


def test_two_ways_to_cut_are_compared_before_one_is_taken_in(
    page: Page, site: Site, tmp_path: Path, picture: Any
) -> None:
    collection = site.create_collection("Compared", owner="ana")
    (tmp_path / "cells.md").write_text(f"# Cells\n\n{TEXT}")
    page.goto(f"{site.url}/ui/collections/{collection}/add")
    page.get_by_label("Plugin").select_option("simple_ingest")
    settings = page.locator("fieldset[data-plugin=simple_ingest]")
    settings.get_by_label("Greatest length of a chunk").fill("400")
    settings.get_by_label("How much of the previous chunk").fill("0")
    page.locator("#pick-preview").set_input_files(tmp_path / "cells.md")
    first = page.locator(".side").first
    expect(first.locator(".cut-count")).to_have_text(re.compile(r"\d+"))
    expect(first.locator(".cuts li").first).to_contain_text("mitochondria")
    first.get_by_text("Try other settings").click()
    first.get_by_label("Greatest length of a chunk").fill("900")
    first.get_by_role("button", name="Compare with these").click()
    second = page.locator(".side").nth(1)
    expect(second.locator(".cut-count")).to_have_text(re.compile(r"\d+"))
    counts = [int(side.locator(".cut-count").inner_text()) for side in (first, second)]
    assert counts[0] > counts[1]
    picture(page, "pages-preview")
    checked(page, "desk-preview", picture)
    assert site.expect("GET", f"/collections/{collection}/ingestion-jobs")["total"] == 0
    second.get_by_role("button", name="Take it in like this").click()
    expect(dialog(page).locator(".job-state")).to_contain_text(f"{counts[1]} chunks")


def test_a_wrong_setting_keeps_the_comparison_while_it_goes_on(
    page: Page, site: Site, tmp_path: Path, picture: Any
) -> None:
    collection = site.create_collection("Mistaken", owner="ana")
    (tmp_path / "cells.txt").write_text(TEXT)
    page.goto(f"{site.url}/ui/collections/{collection}/add")
    read_slowly(page)
    page.locator("#pick-preview").set_input_files(tmp_path / "cells.txt")
    expect(page.locator(".side progress")).to_be_visible()
    page.locator(".side").get_by_text("Try other settings").click()
    steps = page.get_by_label("in how many steps it reports")
    steps.fill("1.5")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(f"{request.method} {request.url}"))
    # At once: a tick would take the attribute away again.
    page.locator("#sides .params").evaluate("form => { form.noValidate = true; form.requestSubmit() }")
    expect(steps).to_have_attribute("aria-invalid", "true")
    expect(steps).to_be_focused()
    expect(steps).to_have_value("1.5")
    expect(page).to_have_url(re.compile(r"/preview/\d+$"))
    expect(page.locator(".side .cut-count")).to_be_visible()  # it was kept fresh
    expect(page.locator(".field .wrong")).to_contain_text("steps")
    expect(steps).to_have_value("1.5")
    checked(page, "desk-preview-wrong", picture)
    page.reload()
    expect(page.locator(".side .cut-count")).to_be_visible()
    assert [one.split()[0] for one in asked].count("POST") == 1


def test_a_preview_asks_again_where_an_answer_never_came(page: Page, site: Site, tmp_path: Path) -> None:
    collection = site.create_collection("Lost answer", owner="ana")
    (tmp_path / "cells.txt").write_text(TEXT)
    page.goto(f"{site.url}/ui/collections/{collection}/add")
    read_slowly(page)
    page.locator("#pick-preview").set_input_files(tmp_path / "cells.txt")
    expect(page.locator(".side progress")).to_be_visible()
    page.clock.install()
    page.reload()
    expect(page.locator(".side progress")).to_be_visible()
    lost: list[Any] = []
    page.route("**/preview/*", lambda route: route.continue_() if lost else lost.append(route))
    with page.expect_request("**/preview/*"):
        page.clock.run_for(1000 * REFRESH)
    page.clock.run_for(31_000)
    page.clock.resume()
    expect(page.locator(".side .cut-count")).to_be_visible()


def test_of_several_addresses_the_first_is_previewed_and_all_are_taken_in(
    enter: Any, site: Site, web: WebSite, picture: Any
) -> None:
    collection = site.create_collection("Several", owner="ana")
    for name in ("one", "two"):
        web.article(f"/{name}", f"The course {name} begins in September and ends in June. " * 20)
    page = enter(**PHONE)
    page.goto(f"{site.url}/ui/collections/{collection}/add?kind=web")
    page.get_by_label("Addresses of web pages").fill(f"{web.url}/one\n{web.url}/two")
    page.get_by_label("How many links away").fill("0")
    page.get_by_role("button", name="Preview the first").click()
    expect(page.locator(".note")).to_contain_text("This is a preview of the first of 2 addresses.")
    page.get_by_text("All 2 addresses").click()
    expect(page.locator(".note li")).to_have_text([f"{web.url}/one", f"{web.url}/two"])
    page.get_by_role("button", name="Take all 2 in like this").wait_for()
    checked(page, "phone-preview-several", picture)
    page.get_by_role("button", name="Take all 2 in like this").click()
    expect(page.get_by_text("2 sources are taken in.")).to_be_visible()
    expect(page.locator("#jobs tbody tr[data-status=completed]")).to_have_count(2)
