"""The documents in samples/ can be read by the plugins that they are for."""

from pathlib import Path

import pytest

from plugins.markitdown_ingest import MarkItDownIngest
from plugins.simple_ingest import SimpleIngest

SAMPLES = sorted((Path(__file__).resolve().parents[2] / "samples").iterdir())


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda path: path.name)
def test_every_sample_gives_chunks(tmp_path, sample):
    path = tmp_path / sample.name
    path.write_bytes(sample.read_bytes())
    plugins = [
        plugin() for plugin in (SimpleIngest, MarkItDownIngest) if path.suffix[1:] in plugin.supported_file_types
    ]
    assert plugins
    for plugin in plugins:
        chunks = list(plugin.ingest(str(path), original_filename=sample.name))
        assert chunks
        assert all(chunk["metadata"]["filename"] == sample.name for chunk in chunks)


def test_the_samples_stay_small():
    assert 4 <= len(SAMPLES) <= 8
    assert sum(path.stat().st_size for path in SAMPLES) < 200 * 1024
