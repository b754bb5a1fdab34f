"""Which plugin suits a source, where nobody has chosen one."""

import pytest

from ingestion.sources import is_address, plugin_for_address, plugin_for_file


@pytest.mark.parametrize(
    ("name", "plugin"),
    [
        ("notes.txt", "simple_ingest"),
        ("README.MD", "simple_ingest"),
        ("talk.srt", "youtube_transcript_ingest"),
        ("talk.vtt", "youtube_transcript_ingest"),
        ("page.html", "markitdown_ingest"),
        ("report.pdf", "markitdown_ingest"),
        ("without-extension", "markitdown_ingest"),
    ],
)
def test_a_file_goes_to_the_plugin_that_reads_its_type(name, plugin):
    assert plugin_for_file(name) == plugin


@pytest.mark.parametrize(
    ("address", "plugin"),
    [
        ("https://example.org/", "url_ingest"),
        ("https://youtube.com.example.org/watch?v=abcdefghijk", "url_ingest"),
        ("https://notyoutube.com/", "url_ingest"),
        ("http://[::1", "url_ingest"),
        ("https://www.youtube.com/watch?v=abcdefghijk", "youtube_transcript_ingest"),
        ("HTTPS://M.YOUTUBE.COM/watch?v=abcdefghijk", "youtube_transcript_ingest"),
        ("https://youtu.be/abcdefghijk", "youtube_transcript_ingest"),
    ],
)
def test_an_address_goes_to_the_plugin_that_fetches_its_site(address, plugin):
    assert is_address(address)
    assert plugin_for_address(address) == plugin


@pytest.mark.parametrize("text", ["notes.txt", "/srv/notes", "file:///etc/passwd", "ftp://example.org/"])
def test_other_things_are_files(text):
    assert not is_address(text)
