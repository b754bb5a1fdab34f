"""What tests need that run jobs: folders of their own, and a plugin host that ends with the module."""

import pytest

from collections_app import catalogue
from ingestion import hosts


@pytest.fixture(scope="module")
def _end_of_host():
    yield
    hosts.discard()


@pytest.fixture
def own_folders(_end_of_host, settings, tmp_path, tmp_path_factory):
    settings.MEDIA_ROOT = tmp_path / "files"
    settings.KB_RUN_DIR = tmp_path_factory.getbasetemp() / "run"  # one catalogue for all tests of this process
    settings.KB_PLUGIN_MODULES = ["bench.slow_plugin"]
    settings.KB_RETRY_BASE_SECONDS = 0.01
    if not catalogue.path().exists():
        catalogue.refresh()
