"""The Spanish of the pages is complete, and compiled from what is written."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from django.conf import settings
from django.utils import translation

FOLDER = Path(settings.BASE_DIR) / "locale" / "es" / "LC_MESSAGES"


@pytest.fixture(autouse=True)
def _gettext():
    if not shutil.which("xgettext"):
        pytest.skip("gettext is not installed")


def words_of(path):
    """msgid and whether it is translated."""
    blocks = path.read_text().split("\n\n")[1:]
    return {
        re.search(r'^msgid ((?:".*"\n?)+)', block, re.M)[1].strip(): '""' not in block
        for block in blocks
        if "msgid" in block
    }


def test_all_that_the_pages_say_is_translated(tmp_path):
    for name in ("ingestion", "templates", "collections_app", "kbproject"):
        shutil.copytree(Path(settings.BASE_DIR) / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(FOLDER, tmp_path / "locale" / "es" / "LC_MESSAGES")
    command = [
        sys.executable,
        "-m",
        "django",
        "makemessages",
        "--locale=es",
        "--no-obsolete",
        "--no-location",
        "--no-wrap",
    ]
    environment = {name: value for name, value in os.environ.items() if name != "DJANGO_SETTINGS_MODULE"}
    subprocess.run(command, cwd=tmp_path, env=environment, check=True, capture_output=True)
    made = words_of(tmp_path / "locale" / "es" / "LC_MESSAGES" / "django.po")
    assert len(made) > 200
    assert [msgid for msgid, done in made.items() if not done] == []
    assert set(made) == set(words_of(FOLDER / "django.po"))


def test_the_compiled_words_are_those_that_are_written(tmp_path):
    subprocess.run([str(shutil.which("msgfmt")), "-o", tmp_path / "made.mo", FOLDER / "django.po"], check=True)
    assert (tmp_path / "made.mo").read_bytes() == (FOLDER / "django.mo").read_bytes()


def test_numbers_and_plurals_are_spanish():
    with translation.override("es"):
        assert translation.ngettext("%(number)s day ago", "%(number)s days ago", 2) % {"number": 2} == "hace 2 días"
        assert translation.gettext("Log in") == "Entrar"
