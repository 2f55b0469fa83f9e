"""A TCP port that answers nothing, as behind a firewall that drops what it does not let through."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from doubles.sockets.loopback import Endpoint

ANYWHERE: Final = Endpoint("127.0.0.1", 0)
_CALLERS: Final = 3
"""More than wait in a queue of the smallest size: Linux then answers no further SYN."""


@contextmanager
def filtered(address: Endpoint = ANYWHERE) -> Iterator[Endpoint]:
    """Keep a port full of connections that are not accepted; yield where it is."""
    with socket.socket() as full:
        full.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        full.bind(address)
        full.listen(0)
        callers = [socket.socket() for _ in range(_CALLERS)]
        for caller in callers:
            caller.setblocking(False)
            caller.connect_ex(full.getsockname())
        yield Endpoint(*full.getsockname())
        for caller in callers:
            caller.close()
