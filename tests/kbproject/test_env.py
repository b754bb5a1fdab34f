"""Settings: bad values are refused by name, secrets are made once, and each variable is documented."""

import re
from pathlib import Path

import pytest
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from kbproject import env
from tests.support.race import race


@pytest.mark.parametrize(
    ("read", "value"),
    [
        (lambda: env.integer("KB_X", 3), "three"),
        (lambda: env.integer("KB_X", 3), "3.5"),
        (lambda: env.integer("KB_X", 3, low=1), "0"),
        (lambda: env.integer("KB_X", 3, high=5), "6"),
        (lambda: env.number("KB_X", 3), "nan"),
        (lambda: env.number("KB_X", 3), "inf"),
        (lambda: env.flag("KB_X"), "maybe"),
        (lambda: env.choice("KB_X", "a", {"a", "b"}), "c"),
        (lambda: env.networks("KB_X"), "10.0.0.0/8, everything"),
    ],
)
def test_a_bad_value_is_refused_with_the_variables_name(monkeypatch, read, value):
    monkeypatch.setenv("KB_X", value)
    with pytest.raises(ImproperlyConfigured, match="KB_X"):
        read()


@pytest.mark.parametrize("blank", [None, "", "   "])
def test_an_unset_or_blank_variable_means_its_default(monkeypatch, blank):
    monkeypatch.delenv("KB_X", raising=False)
    if blank is not None:
        monkeypatch.setenv("KB_X", blank)
    assert env.integer("KB_X", 7) == 7
    assert env.text("KB_X", "d") == "d"
    assert env.flag("KB_X", default=True) is True
    assert env.items("KB_X") == []


def test_of_two_first_starts_both_get_the_same_secret(tmp_path):
    path = tmp_path / "new" / "secret.key"
    secrets = race(*[lambda: env.kept_secret(path)] * 8)
    assert len(set(secrets)) == 1
    assert path.stat().st_mode & 0o777 == 0o600
    assert [entry.name for entry in path.parent.iterdir()] == ["secret.key"]


def test_a_damaged_secret_is_not_taken_for_one(tmp_path):
    path = tmp_path / "secret.key"
    path.write_text("\n")
    with pytest.raises(ImproperlyConfigured, match="Delete it"):
        env.kept_secret(path)


def test_every_variable_that_is_read_is_documented_and_no_other():
    source = (Path(settings.BASE_DIR) / "kbproject" / "settings.py").read_text()
    read = set(re.findall(r'env\.(?:text|integer|number|flag|choice|items|networks)\(\s*"([A-Z_]+)"', source))
    documented = set(
        re.findall(r"^\| `([A-Z_<>]+)`", (Path(settings.BASE_DIR) / "docs" / "settings.md").read_text(), re.M)
    )
    assert documented - {"PLUGIN_<NAME>"} == read
