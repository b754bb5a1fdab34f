"""Passwords in addresses are hidden, in whatever form, and what only looks like one is left as it is."""

import time

import pytest

from plugins.base import PluginError
from plugins.guard import Guard
from plugins.parameters import validate
from plugins.passwords import address_without_password, without_passwords
from plugins.url_ingest import UrlIngest
from plugins.web.addresses import shown


@pytest.mark.parametrize(
    ("address", "left"),
    [
        ("https://me:sesame@example.org/x", "https://example.org/x"),
        ("https://me@example.org/x", "https://example.org/x"),
        ("//me:sesame@example.org/x", "//example.org/x"),
        ("me:sesame@example.org/x", "example.org/x"),
        ("me:sesame@intranet", "intranet"),
        ("me:sesame@[::1]:80/x", "[::1]:80/x"),
        ("me@here.org:sesame@example.org", "me@example.org"),
        ("http:/me:sesame@example.org", "example.org"),
        ("https://me:s@same@example.org/x", "https://example.org/x"),
        ("https://me:sesame/open?#@example.org/x", "https://example.org/x"),
        ("me:sesame/open@example.org/x", "example.org/x"),
        (" https://me:sesame open@example.org/x ", "https://example.org/x"),
        ("https://example.org/?to=//me:sesame@example.org", "https://example.org/?to=//example.org"),
        ("https://example.org/?to=https://me:sesame@b.example", "https://example.org/?to=https://b.example"),
        ("https://here@example.org/?to=https://me:sesame@b.example", "https://example.org/?to=https://b.example"),
    ],
)
def test_a_password_is_hidden_in_whatever_form_its_address_is_written(address, left):
    assert address_without_password(address) == left
    assert shown(address) == left


@pytest.mark.parametrize("secret", ["eyJ" + "a1B2" * 2000, "eyJ" + "a/B2" * 2000], ids=["token", "with slashes"])
@pytest.mark.parametrize("before", ["https://", "//", ""])
def test_a_long_password_is_hidden_too(before, secret):
    address = f"{before}me:{secret}@example.org/x"
    assert address_without_password(address) == f"{before}example.org/x"
    assert without_passwords(f"See {address} there") == f"See {before}example.org/x there"


@pytest.mark.parametrize(
    "address",
    [
        "https://example.org/?q=a:b@c.org",
        "https://example.org/?q=c.org",
        "https://example.org/?t=12:30@room",
        "https://example.org/wiki/A:b@c",
        "https://example.org/a//b@c",
        "https://example.org//@ana/1",
        "https://example.org/#/@ana:example.org",
        "https://example.org:8080/@ana",
        "https://example.org/?next=https://other.example:8080/@ana",
        "//example.org/?q=a:b@c.org",
    ],
)
def test_an_address_without_a_password_is_not_changed(address):
    assert address_without_password(address, "***@") == address


@pytest.mark.parametrize(
    "text",
    [
        "https://example.org/@ana/1",
        "https://example.org:8080/@ana",
        "example.org:8080/@ana",
        "https://example.org/a:b@c",
        "https://example.org/?next=https://other.example/@ana",
        "http://[::1]:80/@ana",
        "Write to ana@example.org, or mailto:ana@example.org: [Ana](mailto:ana@example.org).",
        "npm:@scope/package",
        "12:30 @ room 5",
    ],
)
def test_what_is_no_password_stays(text):
    assert without_passwords(text) == text


def test_every_password_of_a_text_is_hidden():
    text = 'Neither "https://a:b1@x.example/" nor c:d1@y.example,\nnor (e:f1@z.example) could be read.'
    assert without_passwords(text, "***@") == (
        'Neither "https://***@x.example/" nor ***@y.example,\nnor (***@z.example) could be read.'
    )


HOSTILE = [",", "a:", "//", "@", "//a:", "//a:b", "a:b,", "a:b@", "a:1/", "a:b/", "!", "a:@", "a: ", "@//", ":@"]


@pytest.mark.parametrize("end", ["", "@", "@b", " @"])
@pytest.mark.parametrize("part", HOSTILE)
def test_a_hostile_text_costs_little(part, end):
    text = part * (1_000_000 // len(part)) + end
    began = time.process_time()
    without_passwords(text)
    address_without_password(text)
    address_without_password(f"https://{text}")
    assert time.process_time() - began < 5


@pytest.mark.parametrize("address", ["http://me:ses%ame@exa<mple.org", "http://me:sesame@h:99999/", "me:sesame@h"])
def test_the_guard_does_not_repeat_a_password(address):
    with pytest.raises(PluginError) as caught:
        Guard().check_url(address)
    assert "ame" not in caught.value.message.replace("name", "")


def test_a_wrong_parameter_does_not_repeat_it_in_its_message():
    (error,) = validate(UrlIngest().get_parameters(), {"url": "me:sesame@example.org/x"})[1]
    assert "sesame" not in error.message
