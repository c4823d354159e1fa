"""Listening sockets on the loopback interface: taken by one process, perhaps served by another."""

import errno
import socket

from local_runtime.errors import StartupError

_LOOPBACK = "127.0.0.1"


def listen(port: int, option: str) -> socket.socket:
    """Take a port, 0 for a free one, and listen on it.

    Args:
        port: The port's number.
        option: The command line option that chooses another port, for the message.

    Raises:
        StartupError: The port is in use, or may not be used.
    """
    # The protocol is named because asyncio turns Nagle's algorithm off only where it is: without,
    # each answer on a kept connection would come 40 ms late.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    # Without this a restart would find the port taken by its own closed connections.
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((_LOOPBACK, port))
        # Two may have bound one port with SO_REUSEADDR: only listening makes it ours.
        listener.listen(1024)
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            raise StartupError(
                f"port {port} on {_LOOPBACK} is in use by another program. "
                f"Stop that program, or choose another port with {option}."
            ) from error
        raise StartupError(
            f"cannot listen on port {port} of {_LOOPBACK}: {error.strerror}. "
            f"Choose another port with {option}."
        ) from error
    return listener


def adopt(descriptor: int) -> socket.socket:
    """Take over the listening socket that the parent process has passed to this one."""
    # Named in full for the same reason as above.
    listener = socket.socket(
        socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, fileno=descriptor
    )
    # Else a process that the app starts would keep the port taken after everything has stopped.
    listener.set_inheritable(False)
    return listener


def port_of(listener: socket.socket) -> int:
    """Return the port's number."""
    return int(listener.getsockname()[1])
