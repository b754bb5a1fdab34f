"""Pages in a real browser (the system's Chromium, without a window), before a real server with real workers.

``KB_SCREENSHOTS=DIR`` takes pictures of what tests come by.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, expect, sync_playwright

from bench.server import ROOT, Server
from tests.server.conftest import QUICK

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = [
    "--no-sandbox",  # CI runs as root, where Chromium refuses its own
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]
PATIENCE = 20_000  # milliseconds that a page may take to show something, on a busy machine
expect.set_options(timeout=PATIENCE)
ADD_USERS = """
import django, json, sys
django.setup()
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
password, users = sys.argv[1], json.loads(sys.argv[2])
for name, (kind, *permissions) in users.items():
    user = get_user_model().objects.create_user(
        name, password=password, is_staff=kind != "plain", is_superuser=kind == "superuser"
    )
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
"""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.slow)


class Site(Server):
    """A server that people can log in to."""

    def add_users(self, password: str, **users: list[str]) -> None:
        """Of each the kind: plain, staff (with the permissions that follow only) or superuser."""
        self.run_script(ADD_USERS, password, json.dumps(users))

    def run_script(self, script: str, *arguments: str) -> None:
        """In a process of its own, with the server's settings and database."""
        environment = {**self.environment, "DJANGO_SETTINGS_MODULE": "kbproject.settings"}
        subprocess.run([sys.executable, "-c", script, *arguments], cwd=ROOT, env=environment, check=True)


@pytest.fixture(scope="module")
def make_site(tmp_path_factory: pytest.TempPathFactory, begun: Path) -> Iterator[Callable[..., Site]]:
    """Running servers with settings of their own; they end with the file's tests."""
    made: list[Site] = []

    def make(**settings: Any) -> Site:
        folder = tmp_path_factory.mktemp("site")
        shutil.copytree(begun, folder / "data")
        made.append(Site(folder, **{**QUICK, **settings}))
        made[-1].start()
        return made[-1]

    yield make
    for site in made:
        site.end()


def browser_path() -> str | None:
    return next((path for name in BROWSERS if (path := shutil.which(name))), None)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One for the tests of a file: Django forbids its database to a thread in which Playwright's loop runs."""
    found = browser_path()
    if not found:
        pytest.skip("no Chromium is installed")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=FLAGS)
        yield browser
        browser.close()


def is_trouble(said: ConsoleMessage) -> bool:
    """Answers of 4xx and broken connections are what some tests are about."""
    return said.type == "error" and not said.text.startswith("Failed to load resource")


@pytest.fixture
def make_page(browser: Browser) -> Iterator[Callable[..., Page]]:
    """Pages of separate visitors. Whatever a page says in the console or throws fails the test."""
    trouble: list[str] = []
    contexts = []

    def make(**options: Any) -> Page:
        context = browser.new_context(**{"viewport": {"width": 1280, "height": 900}, **options})
        contexts.append(context)
        context.set_default_timeout(PATIENCE)
        page = context.new_page()
        page.on("pageerror", lambda error: trouble.append(str(error)))
        page.on("console", lambda said: trouble.append(said.text) if is_trouble(said) else None)
        page.on(
            "response", lambda answer: trouble.append(f"{answer.status} {answer.url}") if answer.status >= 500 else None
        )
        return page

    yield make
    for context in contexts:
        context.close()
    assert not trouble, trouble


@pytest.fixture
def page(make_page: Callable[..., Page]) -> Page:
    return make_page()


@pytest.fixture
def picture() -> Callable[[Page, str], None]:
    """Keep what the page shows as ``{name}.png``, where somebody wants to see it."""
    wanted = os.environ.get("KB_SCREENSHOTS")

    def picture(page: Page, name: str) -> None:
        if wanted:
            Path(wanted).mkdir(parents=True, exist_ok=True)
            page.screenshot(path=Path(wanted) / f"{name}.png", full_page=True)

    return picture
