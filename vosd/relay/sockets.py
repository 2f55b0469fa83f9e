"""UDP sockets of media ports, which the switch never reads."""

import errno
import socket
from typing import Final

_SKIPPED: Final = frozenset({errno.EADDRINUSE, errno.EACCES})
"""Another program has the port, or it is one of the privileged."""


def bound_sockets(host: str, ports: tuple[int, ...]) -> list[socket.socket] | None:
    """Return sockets bound to ports of an address; None if one of the ports is not to be had.

    Raises:
        OSError: the address is none of this machine, or there are no more descriptors.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    made: list[socket.socket] = []
    try:
        for port in ports:
            sock = socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK)
            made.append(sock)
            if family == socket.AF_INET6:
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            sock.bind((host, port))
    except OSError as error:
        for sock in made:
            sock.close()
        if error.errno in _SKIPPED:
            return None
        raise
    return made
