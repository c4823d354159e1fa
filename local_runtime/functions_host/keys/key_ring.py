"""All keys of one host as its file keeps them. Pure: `key_store` reads and writes the file."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, cast

from local_runtime.functions_host.keys.key_values import (
    derived_value,
    fingerprint,
    match,
    new_secret,
)

HOST_KEYS = "functionkeys"
"""The scope of the keys that open every function."""
SYSTEM_KEYS = "systemkeys"
"""The scope of the keys that open an extension's webhook."""
MASTER = "_master"
WEBHOOK = "durabletask_extension"
"""The system key that management URLs carry."""

MASTER_SCOPE = "master"
"""The scope of the master key alone, which opens everything."""

_FUNCTION_SCOPE = "function:"
_VERSION = 1
_NAME = re.compile(r"[^\x00-\x1f\x7f/\\]{1,127}")
_FINGERPRINT_BYTES = 32

type Fingerprints = Mapping[str, Mapping[str, bytes]]


def function_scope(function: str) -> str:
    """Return the scope of the keys that open one function; its name is compared without case."""
    return _FUNCTION_SCOPE + function.lower()


def is_key_name(name: str) -> bool:
    """Say whether a key may have this name: one step of a path, without control characters."""
    return _NAME.fullmatch(name) is not None


def what_opens(scope: str) -> str:
    """Say what the keys of a scope open, for a person."""
    match scope:
        case "master":
            return "everything"
        case "functionkeys":
            return "all functions"
        case "systemkeys":
            return "the webhook of an extension"
        case _:
            return f"the function {scope.removeprefix(_FUNCTION_SCOPE)}"


@dataclass(frozen=True)
class KeyRing:
    """The fingerprints of all keys, by scope and name, and two secrets."""

    salt: bytes = field(repr=False)
    webhook_secret: bytes = field(repr=False)
    """What the key in management URLs is derived from."""
    fingerprints: Fingerprints = field(repr=False)

    @classmethod
    def new(cls) -> "KeyRing":
        """Return a ring without keys, but for the one in management URLs."""
        return cls(new_secret(), new_secret(), {})

    @property
    def webhook_value(self) -> str:
        """The value of the key in management URLs."""
        return derived_value(self.webhook_secret, WEBHOOK)

    def names(self, scope: str) -> list[str]:
        """Return the names of the keys of a scope, sorted."""
        names = set(self.fingerprints.get(scope, {}))
        return sorted(names | {WEBHOOK} if scope == SYSTEM_KEYS else names)

    def find(self, scope: str, name: str) -> str | None:
        """Return the name of a key as it was given, whatever its case; None if there is none."""
        scope, name = _place(scope, name)
        return next((known for known in self.names(scope) if known.lower() == name.lower()), None)

    def scopes(self) -> list[str]:
        """Return the scopes that hold keys, sorted."""
        return sorted({SYSTEM_KEYS, *self.fingerprints})

    def with_key(self, scope: str, name: str, value: str) -> "KeyRing":
        """Return a ring in which the key `name` has this value, and no other.

        With the name of the key in management URLs, those that were handed out become void; the
        value given here is taken beside the one that new ones carry.
        """
        ring = self.without(scope, name)
        scope, name = _place(scope, name)
        kept = {**ring.fingerprints.get(scope, {}), name: fingerprint(value, self.salt)}
        return replace(ring, fingerprints={**ring.fingerprints, scope: kept})

    def without(self, scope: str, name: str) -> "KeyRing":
        """Return a ring in which the values that the key `name` has had open nothing any more."""
        scope, name = _place(scope, name)
        kept = {
            known: one
            for known, one in self.fingerprints.get(scope, {}).items()
            if known.lower() != name.lower()
        }
        others = {known: keys for known, keys in self.fingerprints.items() if known != scope}
        ring = replace(self, fingerprints={**others, scope: kept} if kept else others)
        is_webhook = (scope, name) == (SYSTEM_KEYS, WEBHOOK)
        return replace(ring, webhook_secret=new_secret()) if is_webhook else ring

    def is_master(self, value: str) -> bool:
        """Say whether this is the value of the master key."""
        return self._is_of(value, self.fingerprints.get(MASTER_SCOPE, {}))

    def is_of_scope(self, value: str, scope: str) -> bool:
        """Say whether this is the value of any key of a scope."""
        return self._is_of(value, self.fingerprints.get(scope, {}))

    def is_of_webhook(self, value: str) -> bool:
        """Say whether this value opens the webhook of durable functions."""
        given = self.fingerprints.get(SYSTEM_KEYS, {}).get(WEBHOOK)
        derived = fingerprint(self.webhook_value, self.salt)
        return match(fingerprint(value, self.salt), [derived, given or derived])

    def _is_of(self, value: str, kept: Mapping[str, bytes]) -> bool:
        return match(fingerprint(value, self.salt), kept.values())

    def to_json(self) -> str:
        """Return the text of the file."""
        keys = {
            scope: {name: one.hex() for name, one in kept.items()}
            for scope, kept in self.fingerprints.items()
        }
        document = {
            "version": _VERSION,
            "salt": self.salt.hex(),
            "webhookSecret": self.webhook_secret.hex(),
            "fingerprints": keys,
        }
        return json.dumps(document, indent=2) + "\n"

    @classmethod
    def parse(cls, text: str) -> "KeyRing":
        """Read the text of the file.

        Raises:
            ValueError: It is damaged, or of another version; the message holds nothing of it.
        """
        try:
            document = cast("dict[str, Any]", json.loads(text))
            if document["version"] != _VERSION:
                raise ValueError("it is of another version")
            scopes = cast("dict[str, dict[str, str]]", document["fingerprints"])
            fingerprints = {
                scope: {name: _bytes(one, _FINGERPRINT_BYTES) for name, one in kept.items()}
                for scope, kept in scopes.items()
            }
            salt, secret = _bytes(document["salt"]), _bytes(document["webhookSecret"])
        except json.JSONDecodeError as error:
            raise ValueError(f"it is not valid JSON (line {error.lineno})") from None
        except (KeyError, TypeError, AttributeError, RecursionError):
            raise ValueError("it does not hold what it should") from None
        return cls(salt, secret, fingerprints)


def _place(scope: str, name: str) -> tuple[str, str]:
    """Return where a key is kept: the two that have a meaning of their own always in one place."""
    if name.lower() == MASTER:
        return MASTER_SCOPE, MASTER
    if (scope, name.lower()) == (SYSTEM_KEYS, WEBHOOK):
        return SYSTEM_KEYS, WEBHOOK
    return scope, name


def _bytes(text: str, length: int = 32) -> bytes:
    try:
        found = bytes.fromhex(text)
    except ValueError:
        raise ValueError("it does not hold what it should") from None
    if len(found) != length:
        raise ValueError("it does not hold what it should")
    return found
