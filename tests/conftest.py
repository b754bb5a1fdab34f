"""What every test stands on. The data directory is chosen before Django reads its settings."""

import os
import tempfile

os.environ.pop("DATABASE_URL", None) if "KB_TEST_DATABASE" not in os.environ else None
os.environ["KB_DATA_DIR"] = tempfile.mkdtemp(prefix="kb-tests-")
os.environ["LAMB_API_KEY"] = "test-token-0123456789"
for name in ("EMBEDDINGS_VENDOR", "EMBEDDINGS_MODEL", "EMBEDDINGS_ENDPOINT", "EMBEDDINGS_APIKEY", "HOME_URL"):
    os.environ.pop(name, None)
