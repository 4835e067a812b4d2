"""The socket on which a server listens: the supervisor opens it, and all workers accept from it.

A port has one such socket, so of two servers that are started at once one is refused; with a
socket for each worker (SO_REUSEPORT) the workers of both would share the port. And a worker
that dies takes no caller with it: who waits to be accepted waits for another worker.
"""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator

BACKLOG = 1024


class PortTaken(Exception):
    """Somebody else listens there."""


@contextlib.contextmanager
def listening(host: str, port: int) -> Iterator[socket.socket]:
    """Listens until the end of the block; port 0 means any. Raises PortTaken."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        try:
            listener.bind((host, port))
            listener.listen(BACKLOG)  # Only now is the port taken: two can bind, one listens.
        except OSError as error:
            raise PortTaken(f"Cannot listen on {host}:{port}: {error.strerror}.") from None
        yield listener
