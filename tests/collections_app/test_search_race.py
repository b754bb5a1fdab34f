import os
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.slow
def test_searches_find_exactly_what_is_published_while_others_publish_withdraw_and_reap(tmp_path):
    """On a database file, since the tests' own database lives in memory and knows no concurrent writers."""
    root = Path(__file__).resolve().parents[2]
    environment = {**os.environ, "KB_DATA_DIR": str(tmp_path), "PYTHONPATH": str(root)}
    environment.pop("DATABASE_URL", None)
    environment["DJANGO_SETTINGS_MODULE"] = "kbproject.settings"
    done = subprocess.run(
        [sys.executable, "-m", "tests.collections_app.search_race", "5"],
        cwd=root,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    *broken, searches = done.stdout.split("\n")[:-1]
    assert broken == []
    assert int(searches) > 500
    assert "Traceback" not in done.stderr, done.stderr
