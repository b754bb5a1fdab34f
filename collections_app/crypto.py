"""API keys at rest: encrypted with a key derived from the server's secret, shown only as a mask."""

import base64
from functools import lru_cache

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings

from collections_app.errors import SecretUnreadable

# Bound into the derived key, so that what is encrypted here opens nothing else that SECRET_KEY protects.
PURPOSE = b"kb-server: API keys at rest, v1"
MARK = "fernet:"  # tells an encrypted value from one that was written in clear by hand
MASK_ENDS = 4
MASK_STARS = 32


def encrypt(secret: str) -> str:
    """*secret* as text to store; the empty string stays empty, since there is nothing to hide."""
    return MARK + _box(*_secret_keys()).encrypt(secret.encode()).decode() if secret else ""


def decrypt(stored: str) -> str:
    """What :func:`encrypt` was given.

    :raises SecretUnreadable: encrypted under a secret key that the server no longer has, or damaged
    """
    if not stored:
        return ""
    try:
        return _box(*_secret_keys()).decrypt(stored.removeprefix(MARK)).decode()
    except InvalidToken as error:
        raise SecretUnreadable from error


def is_encrypted(stored: str) -> bool:
    return stored.startswith(MARK)


def mask(secret: str) -> str | None:
    """How *secret* is shown: the same text every time, since clients compare it to see whether it was edited."""
    if not secret:
        return None
    if len(secret) <= 2 * MASK_ENDS:
        return "*" * len(secret)
    return secret[:MASK_ENDS] + "*" * MASK_STARS + secret[-MASK_ENDS:]


def _secret_keys() -> tuple[str, ...]:
    return tuple(str(key) for key in (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS))


@lru_cache(maxsize=8)
def _box(*secret_keys: str) -> MultiFernet:
    """Encrypts with the first key, decrypts with any."""
    return MultiFernet([Fernet(_derived(key)) for key in secret_keys])


def _derived(secret_key: str) -> bytes:
    raw = HKDF(algorithm=SHA256(), length=32, salt=None, info=PURPOSE).derive(secret_key.encode())
    return base64.urlsafe_b64encode(raw)
