"""The documents in samples/ can be read by the plugins that they are for."""

from pathlib import Path

import pytest

from plugins.hierarchical_ingest import HierarchicalIngest
from plugins.markitdown_hierarchical_ingest import MarkItDownHierarchicalIngest
from plugins.markitdown_ingest import MarkItDownIngest
from plugins.markitdown_plus_ingest import MarkItDownPlusIngest
from plugins.simple_ingest import SimpleIngest

SAMPLES = sorted((Path(__file__).resolve().parents[2] / "samples").iterdir())
PLUGINS = (
    SimpleIngest,
    HierarchicalIngest,
    MarkItDownIngest,
    MarkItDownPlusIngest,
    MarkItDownHierarchicalIngest,
)
CAPTIONS = ".srt"  # they have a plugin, and tests, of their own


@pytest.mark.parametrize("sample", [path for path in SAMPLES if path.suffix != CAPTIONS], ids=lambda path: path.name)
def test_every_sample_gives_chunks(tmp_path, sample):
    path = tmp_path / sample.name
    path.write_bytes(sample.read_bytes())
    plugins = [plugin() for plugin in PLUGINS if path.suffix[1:] in plugin.supported_file_types]
    assert len(plugins) >= 2
    warned = []
    for plugin in plugins:
        told = {"warning_callback": lambda *what: warned.append(what), "original_filename": sample.name}
        chunks = list(plugin.ingest(str(path), **told))
        assert chunks
        assert all(chunk["metadata"]["filename"] == sample.name for chunk in chunks)
        assert [chunk["metadata"]["chunk_index"] for chunk in chunks] == list(range(len(chunks)))
    assert warned == []


def test_the_guide_is_found_by_its_pages(tmp_path):
    path = tmp_path / "guide.pdf"
    path.write_bytes((SAMPLES[0].parent / "lighthouse-guide.pdf").read_bytes())
    chunks = list(MarkItDownPlusIngest().ingest(str(path), chunking_mode="by_page"))
    assert [chunk["metadata"]["page_range"] for chunk in chunks] == ["1", "2", "3"]
    assert "1,012 prisms" in chunks[1]["text"]


def test_the_samples_stay_small():
    assert 4 <= len(SAMPLES) <= 8
    assert sum(path.stat().st_size for path in SAMPLES) < 200 * 1024
