"""Chunks that are ready: taken as they are, whatever else the file holds."""

import json

import pytest

from plugins import mockai_json_ingest
from plugins.base import PluginError
from plugins.mockai_json_ingest import MockAIJsonIngest
from plugins.normalise import normalise_chunk
from tests.plugins.documents import save, zipped


def ingest(path, **kwargs):
    return list(MockAIJsonIngest().ingest(str(path), **kwargs))


def failure(path):
    with pytest.raises(PluginError) as caught:
        ingest(path)
    assert caught.value.hint
    return caught.value.code


def of(tmp_path, value, **kwargs):
    return ingest(save(tmp_path, "0a.json", json.dumps(value).encode()), **kwargs)


def test_an_object_with_a_text_is_a_chunk(tmp_path):
    (chunk,) = of(tmp_path, {"text": "Words.", "topic": "a", "year": 2024}, original_filename="x.json", file_url="/u")
    assert chunk["text"] == "Words."
    metadata = chunk["metadata"]
    assert len(metadata.pop("temp_document_id")) == 32
    assert metadata.pop("ingestion_timestamp").endswith("Z")
    assert metadata == {
        "topic": "a",
        "year": 2024,
        "source": "0a.json",
        "filename": "x.json",
        "file_url": "/u",
        "ingestion_plugin": "mockai_json_ingest",
        "chunking_strategy": "pre_chunked_json",
        "plugin_version": "1.0.0",
        "source_file": "0a.json",
        "chunk_index": 0,
    }


def test_other_fields_become_flat_metadata(tmp_path):
    fields = {
        "author": {"name": "Ann", "born": {"year": 1990}},
        "tags": list(range(12)),
        "empty": None,
        "seen": True,
        "old_text": "before",
        "source_file": "mine",
        "filename": "theirs.txt",
    }
    metadata = of(tmp_path, {"text": "x", **fields})[0]["metadata"]
    assert metadata["author_name"] == "Ann"
    assert metadata["author_born_year"] == "1990"
    assert metadata["tags"] == "0, 1, 2, 3, 4, 5, 6, 7, 8, 9"
    assert metadata["empty"] is None
    assert metadata["seen"] is True
    assert metadata["original_old_text"] == "before"
    assert metadata["original_source_file"] == "mine"
    assert metadata["original_filename"] == "theirs.txt"
    assert metadata["filename"] == metadata["source_file"] == "0a.json"
    assert normalise_chunk({"text": "x", "metadata": metadata})[1] == metadata


def test_a_list_gives_a_chunk_an_object_and_entries_without_text_are_named(tmp_path):
    warned = []
    value = [{"text": "one"}, {"title": "no text"}, "words", {"text": ["x"]}, {"text": " "}, {"text": "two"}]
    chunks = of(tmp_path, value, warning_callback=lambda *args: warned.append(args))
    assert [(chunk["text"], chunk["metadata"]["chunk_index"]) for chunk in chunks] == [("one", 0), ("two", 1)]
    assert len({chunk["metadata"]["temp_document_id"] for chunk in chunks}) == 2
    assert warned == [("4 entries of 0a.json have no text and were left out.", {"code": "no_text"})]


def test_every_json_of_an_archive_is_read_and_bad_ones_are_left_out(tmp_path):
    warned = []
    members = {
        "a/one.json": '{"text": "one"}',
        "b.JSON": '[{"text": "two"}, {"text": "three"}]',
        "broken.json": '{"text": ',
        "picture.json": b"\x89PNG\r\n\x1a\n",
        "notes.txt": "not read",
        "__MACOSX/a.json": "{}",
    }
    chunks = ingest(save(tmp_path, "a.zip", zipped(members)), warning_callback=lambda *args: warned.append(args))
    assert [(chunk["text"], chunk["metadata"]["source_file"]) for chunk in chunks] == [
        ("one", "a/one.json"),
        ("two", "b.JSON"),
        ("three", "b.JSON"),
    ]
    assert [chunk["metadata"]["chunk_index"] for chunk in chunks] == [0, 1, 2]
    ((message, data),) = warned
    assert message == "2 of 4 JSON files left out: broken.json (corrupt), picture.json (not_text)."
    assert data == {"code": "left_out", "left_out": ["broken.json: corrupt", "picture.json: not_text"]}


def test_no_field_takes_the_place_of_another(tmp_path):
    fields = {"a": {"b": 1}, "a_b": 2, "source": "mine", "original_source": "theirs", "a_b_2": 3}
    metadata = of(tmp_path, {"text": "x", **fields})[0]["metadata"]
    assert (metadata["a_b"], metadata["a_b_2"], metadata["a_b_3"]) == (2, 3, "1")
    assert metadata["source"] == "0a.json"
    assert (metadata["original_source"], metadata["original_source_2"]) == ("theirs", "mine")


def test_an_archive_without_a_chunk_says_what_is_wrong_with_it(tmp_path):
    with pytest.raises(PluginError, match=r"Nothing in the archive can be read\. a\.json is no valid JSON") as caught:
        ingest(save(tmp_path, "a.zip", zipped({"a.json": "{", "b.json": "]"})))
    assert caught.value.code == "corrupt"
    assert "JSON viewer" in caught.value.hint
    with pytest.raises(PluginError, match="holds no JSON file"):
        ingest(save(tmp_path, "b.zip", zipped({"a.txt": "x"})))


def test_numbers_of_any_length_are_read(tmp_path):
    (chunk,) = ingest(save(tmp_path, "a.json", b'{"text": "x", "long": ' + b"9" * 5000 + b', "short": -12}'))
    assert chunk["metadata"]["long"] == "9" * 5000
    assert chunk["metadata"]["short"] == -12


def test_one_is_counted_as_one(tmp_path):
    told, warned = [], []
    of(
        tmp_path,
        [{"text": "x"}, {}],
        progress_callback=lambda *step: told.append(step[2]),
        warning_callback=lambda *what: warned.append(what[0]),
    )
    assert told[-1] == "Read 1 chunk"
    assert warned == ["1 entry of 0a.json has no text and was left out."]


@pytest.mark.parametrize(
    ("name", "data", "code"),
    [
        ("a.json", b"{}", "no_text"),
        ("a.json", b"5", "no_text"),
        ("a.json", b"", "no_text"),
        ("a.json", b'{"text": ', "corrupt"),
        ("a.json", b"[" * 100_000, "corrupt"),
        ("a.json", b"\x00\x01\x02" * 50, "not_text"),
        ("a.zip", b"PK\x03\x04 and no more", "corrupt"),
        ("a.zip", zipped({"a.txt": "x"}), "no_text"),
    ],
)
def test_what_holds_no_chunk_is_refused(tmp_path, name, data, code):
    assert failure(save(tmp_path, name, data)) == code


def test_an_archive_that_is_a_bomb_is_refused(tmp_path):
    assert failure(save(tmp_path, "a.zip", zipped({"a.json": bytes(64 * 1024**2)}))) == "too_large"


def test_a_file_that_is_too_large_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(mockai_json_ingest, "_MAX_JSON", 1000)
    assert failure(save(tmp_path, "a.json", json.dumps({"text": "x" * 2000}).encode())) == "too_large"


def test_other_encodings_are_read(tmp_path):
    data = json.dumps({"text": "café"}, ensure_ascii=False).encode("utf-16")
    assert ingest(save(tmp_path, "a.json", data))[0]["text"] == "café"
