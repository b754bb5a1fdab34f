"""The server's settings for tests: a data directory of their own, and nothing from the developer's environment.

A settings module and not a conftest, because pytest-django reads settings before it reads any conftest.
"""

import atexit
import os
import shutil
import tempfile

FOLDER = tempfile.mkdtemp(prefix="kb-tests-")
atexit.register(shutil.rmtree, FOLDER, ignore_errors=True)

for name in [
    name for name in os.environ if name.startswith(("KB_", "EMBEDDINGS_", "PLUGIN_", "INGESTION_", "MAX_CONC"))
]:
    if name not in {"KB_TEST_DATABASE", "KB_FORBID_SKIPS", "KB_SCREENSHOTS"}:
        del os.environ[name]
for name in ("DATABASE_URL", "REDIS_URL", "HOME_URL", "HOST", "PORT"):
    os.environ.pop(name, None)
os.environ["KB_DATA_DIR"] = FOLDER
os.makedirs(f"{FOLDER}/run/static")  # noqa: PTH103  (whitenoise warns for each request without it)
os.environ["LAMB_API_KEY"] = "test-token-0123456789"
if "KB_TEST_DATABASE" in os.environ:  # set by the test that runs the engine's tests on PostgreSQL
    os.environ["DATABASE_URL"] = os.environ["KB_TEST_DATABASE"]

from kbproject.settings import *  # noqa: E402, F403

# A slow hash is meant to be slow: 0.3 s for each user that a test makes. Servers that tests start have the real one.
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
# Otherwise each client of a test reads all 180 files below /assets/ before its first request.
WHITENOISE_AUTOREFRESH = True
