"""A throw-away server directory for benchmarks: import it before anything of Django's."""

import atexit
import os
import shutil
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CHILD = "KB_BENCH_CHILD" in os.environ  # started by a benchmark, on its directory
FOLDER = Path(os.environ["KB_DATA_DIR"] if CHILD else tempfile.mkdtemp(prefix="kb-bench-"))

sys.path.insert(0, str(ROOT))
os.environ.pop("DATABASE_URL", None)
os.environ.setdefault("LAMB_API_KEY", "benchmark-token-0123456789")
if not CHILD:
    os.environ["KB_DATA_DIR"] = str(FOLDER)
    atexit.register(shutil.rmtree, FOLDER, ignore_errors=True)
os.environ["DJANGO_SETTINGS_MODULE"] = "kbproject.settings"

import django  # noqa: E402

django.setup()

if not CHILD:
    from django.core.management import call_command

    call_command("migrate", verbosity=0)
