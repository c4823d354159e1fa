"""The values of keys: how they are made, and what is kept of them. Pure but for the randomness."""

import base64
import hmac
import secrets
from collections.abc import Iterable

_VALUE_BYTES = 40
_SECRET_BYTES = 32


def new_value() -> str:
    """Return a value that nobody can guess, fit for a URL as it is."""
    return secrets.token_urlsafe(_VALUE_BYTES)


def new_secret() -> bytes:
    """Return bytes to derive or to salt with."""
    return secrets.token_bytes(_SECRET_BYTES)


def fingerprint(value: str, salt: bytes) -> bytes:
    """Return what is kept of a value: it can be compared with a value, and not turned back."""
    return hmac.digest(salt, value.encode("utf-8", "surrogatepass"), "sha256")


def derived_value(secret: bytes, name: str) -> str:
    """Return the value of a key that can be told again after a restart: it follows from a secret.

    The salt of the fingerprints is no such secret: what is derived must not follow from what
    is kept to compare with.
    """
    digest = hmac.digest(secret, f"key:{name}".encode(), "sha512")
    return base64.urlsafe_b64encode(digest[:_VALUE_BYTES]).decode().rstrip("=")


def match(found: bytes, kept: Iterable[bytes]) -> bool:
    """Say whether a fingerprint is one of those that are kept.

    Each comparison takes the same time whatever it finds, and all of them are made: the time of a
    refusal tells nothing of how near a guess was, or to which key.
    """
    return any([hmac.compare_digest(found, one) for one in kept])
