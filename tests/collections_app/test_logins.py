"""Guessing passwords: what is refused after some failures, for whom, and for how long."""

import time
from typing import Any

import pytest
from django.test import Client

from collections_app import logins

pytestmark = pytest.mark.django_db
PASSWORD = "correct horse battery"


@pytest.fixture(autouse=True)
def _fresh(monkeypatch: Any, django_user_model: Any) -> None:
    monkeypatch.setattr(logins, "failures", logins.Failures())
    monkeypatch.setattr(logins, "FAILURES", 3)
    for name in ("ana", "ben"):
        django_user_model.objects.create_user(name, password=PASSWORD, is_staff=True)


def log_in(page: str = "/ui/login", name: str = "ana", password: str = PASSWORD, address: str = "10.0.0.1") -> bool:
    answer = Client(REMOTE_ADDR=address).post(page, {"username": name, "password": password})
    return answer.status_code == 302


@pytest.mark.parametrize("page", ["/ui/login", "/admin/login/"])
def test_after_some_failures_even_the_right_password_is_refused_for_a_while(page: str, monkeypatch: Any) -> None:
    for _ in range(3):
        assert not log_in(page, password="guess")
    assert not log_in(page)
    assert log_in(page, name="ben")  # somebody else
    assert log_in(page, address="10.0.0.2")  # somewhere else
    later = time.monotonic() + logins.WITHIN + 1
    monkeypatch.setattr(time, "monotonic", lambda: later)
    assert log_in(page)


def test_a_success_forgets_the_failures_before_it() -> None:
    for _ in range(3):
        assert not log_in(password="typo")
        assert not log_in(password="typo")
        assert log_in()


def test_what_is_remembered_is_bounded(monkeypatch: Any) -> None:
    monkeypatch.setattr(logins, "REMEMBERED", 5)
    for number in range(50):
        logins.failures.add((f"name {number}", "10.0.0.1"))
    assert len(logins.failures._at) == 5
