import pytest

from collections_app import crypto
from collections_app.errors import SecretUnreadable


def test_what_was_encrypted_comes_back():
    stored = crypto.encrypt("sk-sehr-geheim-ß")
    assert "geheim" not in stored
    assert crypto.is_encrypted(stored)
    assert crypto.decrypt(stored) == "sk-sehr-geheim-ß"


def test_the_same_secret_is_never_stored_as_the_same_text():
    assert crypto.encrypt("sk-1") != crypto.encrypt("sk-1")


def test_no_secret_is_stored_as_nothing():
    assert crypto.encrypt("") == ""
    assert crypto.decrypt("") == ""


def test_a_replaced_secret_key_still_opens_what_it_closed(settings):
    stored = crypto.encrypt("sk-1")
    settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY]
    settings.SECRET_KEY = "a new one, long enough to be taken"
    assert crypto.decrypt(stored) == "sk-1"


def test_a_lost_secret_key_is_told_without_the_secret(settings):
    stored = crypto.encrypt("sk-1")
    settings.SECRET_KEY = "a new one, long enough to be taken"
    with pytest.raises(SecretUnreadable) as caught:
        crypto.decrypt(stored)
    assert caught.value.code == "secret_unreadable"
    assert "sk-1" not in str(caught.value) + caught.value.hint


@pytest.mark.parametrize(
    ("secret", "shown"),
    [
        ("", None),
        ("abc", "***"),
        ("12345678", "********"),
        ("123456789", "1234" + "*" * 32 + "6789"),
        ("sk-abcdefghijklmnopqrstuvwxyz", "sk-a" + "*" * 32 + "wxyz"),
    ],
)
def test_a_secret_is_shown_as_the_contract_says(secret, shown):
    assert crypto.mask(secret) == shown
