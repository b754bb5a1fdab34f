"""A throw-away server directory for benchmarks: import it before anything of Django's."""

import atexit
import os
import shutil
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FOLDER = Path(tempfile.mkdtemp(prefix="kb-bench-"))

sys.path.insert(0, str(ROOT))
os.environ.pop("DATABASE_URL", None)
os.environ.setdefault("LAMB_API_KEY", "benchmark-token-0123456789")
if "KB_BENCH_CHILD" not in os.environ:
    os.environ["KB_DATA_DIR"] = str(FOLDER)
    atexit.register(shutil.rmtree, FOLDER, ignore_errors=True)
os.environ["DJANGO_SETTINGS_MODULE"] = "kbproject.settings"

import django  # noqa: E402

django.setup()

if "KB_BENCH_CHILD" not in os.environ:
    from django.core.management import call_command

    call_command("migrate", verbosity=0)
