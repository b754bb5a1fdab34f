"""The spool: whole or not there."""

import json

import pytest

from plugins.base import PluginError
from plugins.spool import SpoolWriter, Summary, read_spool, spool_summary


@pytest.fixture
def spool(tmp_path):
    path = tmp_path / "spool.jsonl"
    with SpoolWriter(path, "key") as writer:
        for number in range(5):
            writer.write(f"chunk {number} – ñ\n日", {"chunk_index": number, "tags": ["a", None]})
        writer.finish({"content_length": 9})
    return path


def test_what_was_written_is_read(spool):
    chunks = list(read_spool(spool, "key"))
    assert chunks[3] == {
        "text": "chunk 3 – ñ\n日",
        "metadata": {"chunk_index": 3, "tags": ["a", None], "chunk_count": 5},
    }
    summary = spool_summary(spool, "key")
    assert summary is not None
    assert summary == Summary(5, 5 * 13, {"content_length": 9}, summary.conversion)
    assert len(summary.conversion) == 16
    assert [chunk["metadata"]["chunk_index"] for chunk in read_spool(spool, "key", start=3)] == [3, 4]
    assert list(read_spool(spool, "key", start=9)) == []


def test_another_key_is_another_spool(spool):
    assert spool_summary(spool, "other") is None
    with pytest.raises(PluginError) as caught:
        next(read_spool(spool, "other"))
    assert (caught.value.code, caught.value.transient) == ("spool_lost", True)


def test_a_torn_spool_is_no_spool(spool, tmp_path):
    whole = spool.read_bytes()
    torn = tmp_path / "torn"
    for length in range(len(whole)):
        torn.write_bytes(whole[:length])
        assert spool_summary(torn, "key") is None
    torn.write_bytes(whole + b"\x00\x00\n")
    assert spool_summary(torn, "key") is None
    assert spool_summary(tmp_path / "missing", "key") is None
    assert spool_summary(tmp_path, "key") is None


def test_a_damaged_line_is_noticed(spool):
    lines = spool.read_bytes().split(b"\n")
    lines[2] = b"x" * len(lines[2])
    spool.write_bytes(b"\n".join(lines))
    with pytest.raises(PluginError):
        list(read_spool(spool, "key"))


def test_nothing_is_left_behind_when_writing_fails(tmp_path):
    with pytest.raises(KeyError), SpoolWriter(tmp_path / "spool", "key") as writer:
        writer.write("text", {})
        raise KeyError
    assert list(tmp_path.iterdir()) == []


def test_an_unfinished_spool_does_not_replace_a_whole_one(spool):
    with SpoolWriter(spool, "key") as writer:
        writer.write("other", {})
    assert spool_summary(spool, "key").chunks == 5


def test_a_full_disk_is_worth_a_retry(tmp_path):
    (tmp_path / "spool.part").symlink_to("/dev/full")  # every write to it fails as on a full disk
    with pytest.raises(PluginError) as caught, SpoolWriter(tmp_path / "spool", "key") as writer:
        writer.write("text", {})
        writer.finish({})
    assert (caught.value.code, caught.value.transient) == ("no_space", True)
    assert list(tmp_path.iterdir()) == []


def test_the_summary_of_a_long_spool_is_cheap(tmp_path):
    path = tmp_path / "long"
    with SpoolWriter(path, "key") as writer:
        for number in range(20_000):
            writer.write("word " * 40, {"chunk_index": number})
        writer.finish({"text": "x" * 200_000})
    assert path.stat().st_size > 4_000_000
    assert spool_summary(path, "key").chunks == 20_000


def test_too_many_chunks_are_refused_with_a_hint_that_fits_any_plugin(tmp_path):
    with pytest.raises(PluginError) as caught, SpoolWriter(tmp_path / "spool", "key", limit=1024**2) as writer:
        writer.write("x" * 1024**2, {})
    assert (caught.value.code, "1 MB" in caught.value.message) == ("too_large", True)
    assert "repeat less" in caught.value.hint
    assert "chunk_overlap" not in caught.value.hint


def test_lines_are_json_that_anyone_can_read(spool):
    lines = [json.loads(line) for line in spool.read_text().splitlines()]
    assert (lines[0]["spool"], lines[0]["key"]) == (1, "key")
    assert lines[-1] == {"end": {"chunks": 5, "characters": 65, "stats": {"content_length": 9}}}
