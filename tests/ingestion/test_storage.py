"""Uploads on their way to the disk, and names that mean harm."""

import hashlib
import io
from pathlib import Path

import pytest

from ingestion import storage

HOSTILE = [
    "../../etc/passwd",
    "..\\..\\boot.ini",
    "/absolute/path.txt",
    "a\x00b.txt",
    ".",
    "..",
    "",
    "   ",
    "x." + "e" * 300,
    "n" * 400 + ".txt",
    "файл данных.txt",
    "文件.pdf",
    "a/b/c\n\r.md",
    "‮gpj.exe",
    "con:colon|pipe?.txt",
]


@pytest.fixture(autouse=True)
def own_root(settings, tmp_path):
    settings.MEDIA_ROOT = tmp_path / "files"
    return settings.MEDIA_ROOT


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_name_changes_nothing_outside_its_folder(name, tmp_path, own_root):
    upload = storage.receive(io.BytesIO(b"hello"), name)
    relative = storage.keep(upload)
    path = own_root / relative
    assert path.read_bytes() == b"hello"
    assert path.resolve().is_relative_to(own_root.resolve())
    assert [entry.name for entry in tmp_path.iterdir()] == ["files"]
    assert len(upload.name) <= 255
    assert upload.name.strip(". ")
    assert not set(upload.name) & {"/", "\\", "\x00", "\n", "\r"}
    assert storage.served_file(path.name) == (upload.key, path)


def test_colons_and_other_letters_of_a_name_are_kept():
    assert storage.clean_name("url:example_com.txt") == "url:example_com.txt"
    assert storage.clean_name("Čeština – poznámky.md") == "Čeština – poznámky.md"


def test_a_long_name_keeps_its_extension():
    name = storage.clean_name("n" * 400 + ".pdf")
    assert len(name) == 255
    assert name.endswith("n.pdf")


def test_an_upload_is_hashed_while_it_is_written():
    data = bytes(range(256)) * 5000
    upload = storage.receive(io.BytesIO(data), "data.bin")
    assert (upload.size, upload.sha256) == (len(data), hashlib.sha256(data).hexdigest())
    assert upload.path.read_bytes() == data


def test_an_upload_past_the_limit_leaves_nothing(settings, own_root):
    settings.KB_MAX_UPLOAD_MB = 1
    with pytest.raises(storage.UploadTooLarge):
        storage.receive(io.BytesIO(b"x" * (1024 * 1024 + 1)), "big.txt")
    assert list((own_root / "incoming").iterdir()) == []


def test_an_upload_whose_stream_breaks_leaves_nothing(own_root):
    class Broken(io.BytesIO):
        def read(self, size=-1):
            if self.tell() > 0:
                raise ConnectionResetError
            return super().read(3)

    with pytest.raises(ConnectionResetError):
        storage.receive(Broken(b"abcdef"), "x.txt")
    assert list((own_root / "incoming").iterdir()) == []


def test_closing_an_upload_that_nobody_kept_discards_it():
    kept, dropped = (storage.receive(io.BytesIO(b"x"), "x.txt") for _ in range(2))
    path = storage.root() / storage.keep(kept)
    kept.close()
    dropped.close()
    assert path.exists()
    assert not dropped.path.exists()


def test_removing_a_file_removes_all_that_was_made_from_it():
    upload = storage.receive(io.BytesIO(b"x"), "x.txt")
    storage.keep(upload)
    storage.work_folder(upload.key).mkdir()
    (storage.work_folder(upload.key) / "spool.jsonl").write_text("chunks")
    (storage.folder(upload.key) / f"{upload.key}.html").write_text("the page that shows it")
    names = [Path(path).name for path in storage.visible(upload.key)]
    storage.remove(upload.key)
    assert names == [f"{upload.key}.html", f"{upload.key}.txt"]  # of the scratch space nobody knows
    assert not storage.folder(upload.key).exists()
    storage.remove(upload.key)
    assert storage.visible(upload.key) == []


@pytest.mark.parametrize(
    "name", ["../x", "a" * 32 + "/../b", "A" * 32 + ".txt", "abc.txt", "0" * 32 + "/scratch/spool"]
)
def test_only_names_of_stored_files_are_served(name):
    assert storage.served_file(name) is None
