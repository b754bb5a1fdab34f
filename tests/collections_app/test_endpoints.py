import pytest

from collections_app.embeddings.endpoints import request_url, same_endpoint, shown


@pytest.mark.parametrize(
    "written",
    [
        "http://gpu:11434",
        "http://gpu:11434/",
        "http://gpu:11434/api",
        "http://gpu:11434/api/embeddings",
        "http://gpu:11434/api/embed/",
        "http://gpu:11434/v1",
        "http://gpu:11434/v1/embeddings",
        "gpu:11434",
        "  HTTP://gpu:11434 ",
    ],
)
def test_ollama_is_found_however_its_endpoint_is_written(written):
    assert request_url("ollama", written) == "http://gpu:11434/api/embed"


@pytest.mark.parametrize(
    ("written", "called"),
    [
        ("", "https://api.openai.com/v1/embeddings"),
        ("https://api.openai.com", "https://api.openai.com/v1/embeddings"),
        ("https://api.openai.com/v1/", "https://api.openai.com/v1/embeddings"),
        ("https://api.openai.com/v1/embeddings", "https://api.openai.com/v1/embeddings"),
        ("http://localhost:11434/api/embeddings", "http://localhost:11434/v1/embeddings"),
        ("http://localhost:11434/api/embed", "http://localhost:11434/v1/embeddings"),
        ("https://openrouter.ai/api/v1", "https://openrouter.ai/api/v1/embeddings"),
        ("https://host/v1beta/openai/embeddings?version=2", "https://host/v1beta/openai/embeddings?version=2"),
    ],
)
def test_an_openai_server_is_found_however_its_endpoint_is_written(written, called):
    assert request_url("openai", written) == called


@pytest.mark.parametrize("written", ["ftp://host", "http://", "https:///v1", "http://host:port", "javascript:alert(1)"])
def test_what_is_no_address_is_refused(written):
    with pytest.raises(ValueError):
        request_url("openai", written)


def test_ways_to_write_one_endpoint_are_the_same():
    assert same_endpoint("openai", "", "https://api.openai.com/v1/embeddings")
    assert not same_endpoint("openai", "", "https://example.org/v1")


def test_messages_show_no_password_and_no_query():
    assert shown("https://me:secret@host:8000/v1?key=secret") == "https://host:8000/v1"
