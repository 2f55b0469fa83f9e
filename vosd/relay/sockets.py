"""UDP sockets of media ports, which the switch never reads, and where the kernel would send their packets."""

import errno
import socket
from collections.abc import Sequence
from enum import Enum, auto
from ipaddress import ip_address
from time import monotonic_ns
from typing import Final

from vosd.relay.routes import is_local

_SKIPPED: Final = frozenset({errno.EADDRINUSE, errno.EACCES})
"""Another program has the port, or it is one of the privileged."""
_DISCARD: Final = 9
"""Any port: routes do not depend on it."""


REACH_KEPT_NS: Final = 1_000_000_000
"""Time for which it is known where packets to a host would come: asking the kernel takes sockets."""
_VERSION4: Final = int(socket.AF_INET)
_VERSION6: Final = int(socket.AF_INET6)
_KIND: Final = int(socket.SOCK_DGRAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK)

PlainSocket = socket.SocketType
"""A socket without the methods that Python adds: it is made and closed in half the time."""


def bound_sockets(host: str, ports: Sequence[int]) -> list[PlainSocket] | None:
    """Return sockets bound to ports of an address; None if one of the ports is not to be had.

    Raises:
        OSError: the address is none of this machine, or there are no more descriptors.
    """
    version = _VERSION6 if ":" in host else _VERSION4
    made: list[PlainSocket] = []
    try:
        for port in ports:
            sock = PlainSocket(version, _KIND)
            made.append(sock)
            if version == _VERSION6:
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            sock.bind((host, port))
    except OSError as error:
        for sock in made:
            sock.close()
        if error.errno in _SKIPPED:
            return None
        raise
    return made


def received_socket(host: str, descriptor: int) -> PlainSocket:
    """Return a socket of ``bound_sockets`` in another process, which need not ask the kernel what it is."""
    return PlainSocket(_VERSION6 if ":" in host else _VERSION4, _KIND, 0, descriptor)


def address_towards(own: str) -> str:
    """Return the address that packets to one of our addresses come from, of a socket that is bound to all of them.

    Packets to it reach that socket from there.
    """
    try:
        with socket.socket(_VERSION6 if ":" in own else _VERSION4, socket.SOCK_DGRAM) as probe:
            probe.connect((own, _DISCARD))
            return str(probe.getsockname()[0])
    except OSError:  # this machine does not have it, now, or no descriptor is free: other calls go on
        return own


class MediaReach(Enum):
    """Hosts that a packet to an address would come to."""

    HERE = auto()
    """This machine has the address."""
    ELSEWHERE = auto()
    REFUSED = auto()
    """A broadcast address of one of our networks, or one that a route prohibits."""


def reach_of(host: str) -> MediaReach:
    """Return where a packet to an IP address would go, as the kernel's routes are now; nothing is sent."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((host, _DISCARD))
        except PermissionError:  # no socket here may send to several receivers (SO_BROADCAST)
            return MediaReach.REFUSED
        except OSError:  # there is no route now; there may be one when packets come
            return MediaReach.ELSEWHERE
        # The first address of a device is reached from itself, others from that one; binding to an address may be
        # allowed for those of other machines.
        there = ip_address(host)
        is_first = there.is_loopback or probe.getsockname()[0] == str(there)
    return MediaReach.HERE if is_first or is_local(host) else MediaReach.ELSEWHERE


class KnownReaches:
    """Answers of ``reach_of``; the kernel is asked again after ``REACH_KEPT_NS``, since routes may have changed."""

    def __init__(self) -> None:
        self._reaches: dict[str, MediaReach] = {}
        self._until_ns = 0

    def of(self, host: str) -> MediaReach:
        """Return where packets to an IP address would go."""
        now_ns = monotonic_ns()
        if now_ns >= self._until_ns:
            self._reaches.clear()
            self._until_ns = now_ns + REACH_KEPT_NS
        reach = self._reaches.get(host)
        if reach is None:
            reach = self._reaches[host] = reach_of(host)
        return reach

    def is_here(self, host: str) -> bool:
        """Return whether this machine has an IP address (``sip.flows.IsHere``)."""
        return self.of(host) is MediaReach.HERE
