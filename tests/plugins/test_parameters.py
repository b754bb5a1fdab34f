"""Parameters as forms, LAMB and programs send them."""

import math

import pytest

from plugins.chunking import split_parameters
from plugins.parameters import validate

SPECS = {
    "_notice": {"type": "info", "description": "Read this"},
    "privacy": {"type": "info", "default": "shown"},
    "size": {"type": "integer", "default": 10, "min": 1, "max": 100},
    "threshold": {"type": "number", "default": 0.5, "min": 0, "max": 1},
    "deep": {"type": "boolean", "default": True},
    "title": {"type": "string"},
    "notes": {"type": "long-string"},
    "mode": {"type": "string", "enum": ["a", "b"], "default": "a"},
    "level": {"type": "integer", "enum": ["1", "2"]},
    "paths": {"type": "array"},
    "url": {"type": "string", "required": True},
    "language": {"type": "string", "default": "en"},
}
URL = {"url": "https://example.org"}


def clean(**params):
    values, errors = validate(SPECS, URL | params)
    assert errors == []
    return values


def wrong(**params):
    _, errors = validate(SPECS, URL | params)
    return [(error.name, error.type) for error in errors]


def test_defaults_apply_when_a_parameter_is_absent_null_or_empty():
    expected = {"size": 10, "threshold": 0.5, "deep": True, "mode": "a", "language": "en"} | URL
    assert clean() == clean(size="", title=None, paths="") == expected


@pytest.mark.parametrize(
    ("name", "sent", "value"),
    [
        ("size", "5", 5),
        ("size", " 5.0 ", 5),
        ("size", 5.0, 5),
        ("level", "2", 2),
        ("threshold", "0.25", 0.25),
        ("threshold", 1, 1),
        ("deep", "false", False),
        ("deep", "ON", True),
        ("deep", 0, False),
        ("title", 2024, "2024"),
        ("title", True, "true"),
        ("notes", "two\nlines", "two\nlines"),
        ("paths", "a\n b \n\n", ["a", "b"]),
        ("paths", "single", ["single"]),
        ("paths", 7, ["7"]),
        ("paths", ["a", 7], ["a", "7"]),
        ("mode", "b", "b"),
    ],
)
def test_values_are_read_as_the_declared_type(name, sent, value):
    read = clean(**{name: sent})[name]
    assert read == value
    assert type(read) is type(value)


@pytest.mark.parametrize(
    ("name", "sent", "slug"),
    [
        ("size", "five", "int_parsing"),
        ("size", "5.5", "int_parsing"),
        ("size", 5.5, "int_parsing"),
        ("size", True, "int_parsing"),
        ("size", [5], "int_parsing"),
        ("size", "٥", "int_parsing"),
        ("size", 0, "greater_than_equal"),
        ("size", "101", "less_than_equal"),
        ("threshold", "nan", "finite_number"),
        ("threshold", math.inf, "finite_number"),
        ("size", 10**400, "int_parsing"),
        ("threshold", 10**400, "finite_number"),
        ("threshold", "1_0", "float_parsing"),
        ("threshold", False, "float_parsing"),
        ("deep", "maybe", "bool_parsing"),
        ("deep", 2, "bool_parsing"),
        ("title", 1.5, "string_type"),
        ("title", {"a": 1}, "string_type"),
        ("title", "nul\0", "string_type"),
        ("paths", {"a": 1}, "list_type"),
        ("paths", [["nested"]], "string_type"),
        ("mode", "c", "enum"),
        ("colour", "red", "extra_forbidden"),
    ],
)
def test_wrong_values_are_named(name, sent, slug):
    assert wrong(**{name: sent}) == [(name, slug)]


def test_every_error_carries_a_sentence_and_what_was_sent():
    _, errors = validate(SPECS, {"size": "x", "colour": 1})
    assert {(error.name, error.input) for error in errors} == {("size", "x"), ("colour", 1), ("url", None)}
    assert all(error.name in error.message and error.message.endswith(".") for error in errors)


def test_notices_are_no_inputs():
    assert "_notice" not in clean(_notice="x", privacy="y", _other=1)
    assert "privacy" not in clean(privacy="y")


def test_simplified_mode_ignores_what_its_form_hides():
    values, errors = validate(SPECS, URL | {"size": 99, "title": "kept", "language": "es"}, "SIMPLIFIED")
    assert errors == []
    assert (values["size"], values["title"], values["language"]) == (10, "kept", "es")


def test_an_overlap_as_large_as_its_chunk_is_refused():
    _, errors = validate(split_parameters(), {"chunk_size": 100, "chunk_overlap": "100"})
    assert [(error.name, error.type) for error in errors] == [("chunk_overlap", "less_than")]
    assert "must be smaller than chunk_size (100)" in errors[0].message


def test_a_default_overlap_gives_way_to_a_small_chunk_size():
    values, errors = validate(split_parameters(), {"chunk_size": 100})
    assert errors == []
    assert values["chunk_overlap"] == 20


# -- Web addresses ----------------------------------------------------------------------------------

ADDRESSES = {"page": {"type": "string", "format": "web-address"}, "pages": {"type": "array", "format": "web-address"}}


@pytest.mark.parametrize(
    ("sent", "read"),
    [
        ("https://example.org/a?b=c#d", "https://example.org/a?b=c#d"),
        (" example.org/a ", "https://example.org/a"),
        ("example.org:8080", "https://example.org:8080"),
        ("example.org/go?to=https://other.example/x", "https://example.org/go?to=https://other.example/x"),
        ("//example.org/x", "https://example.org/x"),
        ("http://wiki/page", "http://wiki/page"),
        ("<https://example.org/>", "https://example.org/"),
        ("[2606:4700::1111]/x", "https://[2606:4700::1111]/x"),
        ("http://[2606:4700::1111]/", "http://[2606:4700::1111]/"),
        ("https://müller.example/straße", "https://müller.example/straße"),
    ],
)
def test_an_address_is_read_as_people_write_it(sent, read):
    assert validate(ADDRESSES, {"page": sent}) == ({"page": read}, [])
    assert validate(ADDRESSES, {"pages": f"{sent}\n{sent}"}) == ({"pages": [read, read]}, [])


def test_one_parameter_may_hold_several_addresses_one_a_line():
    sent = {"page": " example.org/a \n\thttps://example.org/b\n"}
    assert validate(ADDRESSES, sent) == ({"page": "https://example.org/a\nhttps://example.org/b"}, [])
    assert [error.type for error in validate(ADDRESSES, {"page": "example.org\nfile:///x"})[1]] == ["url_parsing"]


@pytest.mark.parametrize(
    "sent",
    [
        "file:///etc/passwd", "gopher://example.org/", "javascript:alert(1)", "mailto:me@example.org",
        "data:text/plain,x.y", "http://user:secret@example.org/",
        "user:secret@example.org", "no address", "http://", "https://exa mple.org/",
        "http://example.org:99999/", "localhost",
    ],
)  # fmt: skip
def test_what_is_no_web_address_is_refused_at_upload_and_says_no_secret(sent):
    for params in ({"page": sent}, {"pages": ["https://example.org/", sent]}):
        clean, errors = validate(ADDRESSES, params)
        assert [error.type for error in errors] == ["url_parsing"]
        assert clean == {}
        assert "secret" not in errors[0].message
