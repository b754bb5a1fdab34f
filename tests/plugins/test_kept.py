"""Kept conversions: whole or not there, and never a reason to fail."""

import gzip
from functools import partial

import pytest

from plugins import kept
from plugins.kept import Kept, conversion_key, key_of
from tests.support.race import race


def packed(data):
    return gzip.compress(data, mtime=0)


@pytest.fixture
def store(tmp_path):
    return Kept(tmp_path / "file" / "kept")


@pytest.mark.parametrize(
    "value", ["text", "", {"pages": ["uno", "größer", "𝄞"]}, [1, None, True], "line\nline\r\n", "\ud83d alone"]
)
def test_what_is_put_is_got(store, value):
    store.put("a", value)
    assert store.get("a") == value
    assert store.get("b") is None


def test_a_new_entry_takes_the_place_of_the_old_one_and_leaves_no_drafts(store):
    store.put("a", 1)
    store.put("a", 2)
    assert store.get("a") == 2
    assert [path.name for path in store.folder.iterdir()] == ["a.json.gz"]


@pytest.mark.parametrize("damage", [b"", b"no gzip", packed(b"{cut"), packed(b"\xff\xfe"), None])
def test_a_damaged_entry_counts_as_none(store, damage):
    store.put("a", "x" * 5000)
    path = store.folder / "a.json.gz"
    path.write_bytes(path.read_bytes()[:-9] if damage is None else damage)
    assert store.get("a") is None


def test_an_entry_that_is_too_long_is_not_read(store, monkeypatch):
    store.put("a", "x" * 100)
    monkeypatch.setattr(kept, "MAX_ENTRY", 50)
    assert store.get("a") is None


def test_where_nothing_can_be_written_nothing_is_kept_and_nothing_fails(tmp_path):
    (tmp_path / "kept").write_text("a file where the folder should be")
    store = Kept(tmp_path / "kept")
    store.put("a", 1)
    assert store.get("a") is None


def test_without_a_folder_nothing_is_remembered():
    for store in (Kept(None), Kept.of({}), Kept.of({"kept_folder": ""})):
        store.put("a", 1)
        assert store.get("a") is None


def test_many_writers_of_one_entry_leave_one_whole_one(store):
    def write(number):
        for _ in range(20):
            store.put("a", [number] * 1000)

    race(*(partial(write, number) for number in range(4)))
    found = store.get("a")
    assert len(found) == 1000
    assert len(set(found)) == 1


def test_a_key_says_source_plugin_version_and_parameters_whatever_their_order():
    file = {"content_hash": "aa", "chunk_size": 5}
    key = conversion_key(file, "p_ingest", 1, {"images": "none", "pages": 2})
    assert key == conversion_key({**file, "chunk_size": 9}, "p_ingest", 1, {"pages": 2, "images": "none"})
    others = [
        conversion_key({"content_hash": "ab"}, "p_ingest", 1, {"images": "none", "pages": 2}),
        conversion_key(file, "q_ingest", 1, {"images": "none", "pages": 2}),
        conversion_key(file, "p_ingest", 2, {"images": "none", "pages": 2}),
        conversion_key(file, "p_ingest", 1, {"images": "llm", "pages": 2}),
        key_of(),
    ]
    assert len({key, *others}) == 6
