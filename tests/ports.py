"""Ports for what has to be told its port before it listens, or listens on it again."""

import itertools
import os
import socket

# Below those the system gives to whoever connects or asks for any port, on Linux and on macOS. One
# of those may be taken by a connection of any test in the moment before it is listened on.
_FIRST, _COUNT = 10_000, 22_000
# Far from where a process begins that was started just before: they do not ask for the same port.
_turns = itertools.count(os.getpid() * 7919)


def free_port() -> int:
    """Return a port that nobody listens on, another one at each call."""
    for turn in itertools.islice(_turns, _COUNT):
        port = _FIRST + turn % _COUNT
        try:
            socket.create_server(("127.0.0.1", port)).close()
        except OSError:
            continue
        return port
    raise RuntimeError(f"no port from {_FIRST} to {_FIRST + _COUNT - 1} is free")
