"""The keys of one host, in a file of its data folder.

Of a key's value only a fingerprint is kept: it can be told once, when it is made. One value has to
be told again and again, in the management URLs of instances, after a restart too: that of the
system key `durabletask_extension`. It is derived from a random secret in the same file.
"""

import logging
from collections.abc import Callable
from pathlib import Path

from local_runtime.errors import StartupError
from local_runtime.functions_host.keys.key_ring import SYSTEM_KEYS, WEBHOOK, KeyRing
from local_runtime.functions_host.keys.key_values import new_value
from local_runtime.functions_host.keys.shared_file import NO_FILE, Stamp, locked, stamp_of
from local_runtime.whole_file import write_whole

FILE_NAME = "keys.json"

logger = logging.getLogger("local_runtime.host")


class KeyStore:
    """Reads and changes the keys; a change by another process is seen at the next call."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / FILE_NAME
        self._ring: KeyRing | None = None
        self._stamp: Stamp = NO_FILE

    def ring(self) -> KeyRing:
        """Return the keys as they are now; without a file there are none.

        Raises:
            StartupError: The file is damaged or cannot be read. It is left as it is.
        """
        try:
            stamp = stamp_of(self.path)
            if self._ring is None or stamp != self._stamp or stamp == NO_FILE:
                self._ring, self._stamp = self._read(stamp), stamp
        except OSError as error:
            raise StartupError(f"{self.path} cannot be read: {error.strerror}.") from error
        return self._ring

    def kept_ring(self) -> KeyRing:
        """Return the keys as they are now, and make the file if there is none.

        Raises:
            StartupError: The file is damaged, or cannot be read or written.
        """
        ring = self.ring()
        return self._change(lambda kept: kept) if self._stamp == NO_FILE else ring

    def webhook_value(self) -> str:
        """Return the key that management URLs carry.

        Raises:
            StartupError: As `kept_ring`.
        """
        return self.kept_ring().webhook_value

    def make(self, scope: str, name: str) -> tuple[str, bool]:
        """Give a key a new value; return it, and whether the key itself is new.

        Raises:
            StartupError: As `kept_ring`.
        """
        is_new = self.ring().find(scope, name) is None
        if (scope, name.lower()) == (SYSTEM_KEYS, WEBHOOK):
            value = self._change(lambda ring: ring.without(scope, name)).webhook_value
        else:
            value = new_value()
            self._change(lambda ring: ring.with_key(scope, name, value))
        logger.info("key %r of %s was %s", name, scope, "made" if is_new else "made anew")
        return value, is_new

    def put(self, scope: str, name: str, value: str) -> bool:
        """Give a key this value; return whether the key itself is new.

        Raises:
            StartupError: As `kept_ring`.
        """
        is_new = self.ring().find(scope, name) is None
        self._change(lambda ring: ring.with_key(scope, name, value))
        logger.info("key %r of %s was set", name, scope)
        return is_new

    def delete(self, scope: str, name: str) -> bool:
        """Make a key open nothing any more; return False if there is none of this name.

        Raises:
            StartupError: As `kept_ring`.
        """
        if self.ring().find(scope, name) is None:
            return False
        self._change(lambda ring: ring.without(scope, name))
        logger.info("key %r of %s was deleted", name, scope)
        return True

    def _change(self, change: Callable[[KeyRing], KeyRing]) -> KeyRing:
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with locked(self.path):
                # Read again inside the lock: another process may have been here first.
                kept = self.ring()
                changed = change(kept)
                if changed is not kept or self._stamp == NO_FILE:
                    write_whole(self.path, changed.to_json())
                self._ring, self._stamp = changed, stamp_of(self.path)
                return changed
        except OSError as error:
            raise StartupError(
                f"{self.path} cannot be written: {error.strerror}. "
                "Choose another folder with --data."
            ) from error

    def _read(self, stamp: Stamp) -> KeyRing:
        if stamp == NO_FILE:
            return KeyRing.new()
        try:
            return KeyRing.parse(self.path.read_text(encoding="utf-8"))
        except ValueError as problem:
            reason = "it is not text" if isinstance(problem, UnicodeDecodeError) else problem
            raise StartupError(
                f"{self.path} holds the keys of this host, and cannot be used: {reason}. It was "
                "left as it is. Put back a copy of it, or move it away: then the keys have to be "
                "made again, and URLs that were handed out are void."
            ) from None
