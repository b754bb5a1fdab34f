"""The embedding settings that operators store over the API: JSON under ``embeddings`` in ``KB_CONFIG_PATH``.

The file may hold more, and may be written by hand; what is not ours stays as it is.
"""

import json
import os
import secrets
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

from django.conf import settings

from collections_app import crypto
from collections_app.errors import InvalidEmbeddings
from collections_app.locks import hold

KEY = "embeddings"


class ConfigNotSaved(Exception):
    """The file cannot be written; nothing was changed. The message is meant for operators."""


def read() -> Mapping[str, Any] | None:
    """The stored settings, None when nobody stored any. An unreadable file is an error: falling back to the
    environment would give new collections another model without a word.

    :raises InvalidEmbeddings: ``embeddings_config_unreadable``
    """
    stored = _content().get(KEY)
    if stored is None:
        return None
    if not isinstance(stored, Mapping):
        raise _unreadable()
    return {name: value for name, value in stored.items() if isinstance(value, str)}


def write(values: Mapping[str, str]) -> None:
    """Store *values* in place of what was stored. The API key is encrypted.

    :raises ConfigNotSaved:
    :raises InvalidEmbeddings: the file that is there cannot be read, and would be lost
    """
    key = values.get("apikey", "")
    _replace({**values, **({"apikey": crypto.encrypt(key)} if key else {})})


def clear() -> bool:
    """Forget what is stored; False when nothing was.

    :raises ConfigNotSaved:
    """
    return _replace(None)


def _replace(values: Mapping[str, Any] | None) -> bool:
    with _alone():
        content = dict(_content())
        if values is None and KEY not in content:
            return False
        content.pop(KEY, None)
        if values is not None:
            content[KEY] = dict(values)
        _save(settings.KB_CONFIG_PATH, json.dumps(content, indent=2, ensure_ascii=False) + "\n")
    return True


@contextmanager
def _alone() -> Iterator[None]:
    """Of two who change the file at once, the second sees what the first has written."""
    path = Path(settings.KB_CONFIG_PATH)
    try:
        lock = hold(path.with_name(f".{path.name}.lock"), wait=True)
    except OSError as error:
        raise _not_saved(path, error) from error
    with closing(lock):
        yield


def _save(path: Path, text: str) -> None:
    """In one step, so that nobody ever reads half a file; readable by the owner only."""
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    except OSError as error:
        with suppress(OSError):
            draft.unlink(missing_ok=True)
        raise _not_saved(path, error) from error


def _not_saved(path: Path, error: OSError) -> ConfigNotSaved:
    reason = error.strerror or type(error).__name__
    return ConfigNotSaved(
        f"The settings could not be saved: {path.name} (KB_CONFIG_PATH) cannot be written ({reason})."
    )


def _content() -> Mapping[str, Any]:
    try:
        content = json.loads(Path(settings.KB_CONFIG_PATH).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise _unreadable() from error
    if not isinstance(content, Mapping):
        raise _unreadable()
    return content


def _unreadable() -> InvalidEmbeddings:
    return InvalidEmbeddings(
        "embeddings_config_unreadable",
        "The server's stored embedding settings cannot be read.",
        hint=f"The operator has to repair or remove {settings.KB_CONFIG_PATH.name} in the data directory "
        "(KB_CONFIG_PATH).",
    )
