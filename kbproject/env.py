"""Reads settings from the environment, and refuses bad values by the variable's name."""

import ipaddress
import math
import os
import secrets
from pathlib import Path

from django.core.exceptions import ImproperlyConfigured

TRUE = {"1", "true", "yes", "on"}
FALSE = {"0", "false", "no", "off", ""}


def text(name: str, default: str = "") -> str:
    """The variable's text without surrounding blanks; *default* when unset or blank."""
    return os.environ.get(name, "").strip() or default


def integer(name: str, default: int, *, low: int = 0, high: int | None = None) -> int:
    """A whole number between *low* and *high*, both included."""
    number_ = number(name, default, low=low, high=high)
    if number_ != int(number_):
        raise ImproperlyConfigured(f"{name} must be a whole number, not {os.environ[name]!r}.")
    return int(number_)


def number(name: str, default: float, *, low: float = 0, high: float | None = None) -> float:
    """A number between *low* and *high*, both included."""
    raw = text(name, f"{default:g}" if isinstance(default, float) else str(default))
    try:
        value = float(raw)
    except ValueError as error:
        raise ImproperlyConfigured(f"{name} must be a number, not {raw!r}.") from error
    if not (math.isfinite(value) and low <= value <= (value if high is None else high)):
        bounds = f"at least {low}" if high is None else f"between {low} and {high}"
        raise ImproperlyConfigured(f"{name} must be {bounds}, not {raw}.")
    return value


def flag(name: str, default: bool = False) -> bool:
    """true/false, yes/no, on/off or 1/0, in any case."""
    raw = text(name, "true" if default else "false").lower()
    if raw not in TRUE | FALSE:
        raise ImproperlyConfigured(f"{name} must be true or false, not {raw!r}.")
    return raw in TRUE


def choice(name: str, default: str, choices: set[str]) -> str:
    """One of *choices*, in any case."""
    raw = text(name, default)
    for option in choices:
        if raw.lower() == option.lower():
            return option
    raise ImproperlyConfigured(f"{name} must be one of {', '.join(sorted(choices))}, not {raw!r}.")


def items(name: str, default: str = "") -> list[str]:
    """A list separated by commas; blanks around its members and empty members are dropped."""
    return [item.strip() for item in text(name, default).split(",") if item.strip()]


def networks(name: str) -> list[str]:
    """A comma-separated list of networks such as ``10.0.0.0/8``."""
    for item in (listed := items(name)):
        try:
            ipaddress.ip_network(item)
        except ValueError as error:
            raise ImproperlyConfigured(f"{name}: {item!r} is not a network such as 10.0.0.0/8.") from error
    return listed


def kept_secret(path: Path, length: int = 32) -> str:
    """The secret kept in *path*; made at first use, readable by the owner only.

    ``os.link`` puts a finished file in place or fails, so of two first starts both read the same secret.
    """
    if not path.exists():
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(secrets.token_urlsafe(length) + "\n")
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(draft, path)
        except FileExistsError:
            pass  # another process was first; its secret is the one
        finally:
            draft.unlink()
    secret = path.read_text().strip()
    if len(secret) < 16:
        raise ImproperlyConfigured(
            f"{path} should hold a secret of at least 16 characters. Delete it to get a new one."
        )
    return secret


def prefixed(prefix: str) -> dict[str, str]:
    """All variables that begin with *prefix*, without it, in upper case."""
    return {
        name[len(prefix) :].upper(): value.strip().upper()
        for name, value in os.environ.items()
        if name.startswith(prefix) and value.strip()
    }
