"""Create sockets: of the right family, marked, bound to a local address. Reading and writing is done elsewhere."""

import errno
import socket
from typing import Final

from vosd.base.errors import VosError
from vosd.base.host import bracketed
from vosd.net.marking import TrafficClass
from vosd.obs.events import log as _log

_NAMES: Final = {socket.SOCK_DGRAM: "udp", socket.SOCK_STREAM: "tcp"}


class Marker:
    """Marks sockets with one class; if the kernel refuses, traffic goes on unmarked."""

    def __init__(self, traffic_class: TrafficClass) -> None:
        self.traffic_class = traffic_class
        self._is_refused = False

    def mark(self, sock: socket.socket) -> None:
        """Mark the packets of ``sock``; a refusal is logged once."""
        version6 = sock.family == socket.AF_INET6
        level, option = (socket.IPPROTO_IPV6, socket.IPV6_TCLASS) if version6 else (socket.IPPROTO_IP, socket.IP_TOS)
        try:
            sock.setsockopt(level, option, self.traffic_class.byte)
        except OSError as error:
            if not self._is_refused:
                _log.warning("packets_not_marked", wanted=self.traffic_class.name, error=str(error))
            self._is_refused = True


_ADVICE: Final = {
    errno.EADDRINUSE: "change sip.listen or free the port",
    errno.EADDRNOTAVAIL: "this machine does not have the address (ip addr): give it to it, or change sip.listen",
}


class ListenerUnusableError(VosError):
    """An address of ``sip.listen`` cannot be opened."""


def named(transport: str, host: str, port: int) -> str:
    """Return the name by which the service manager keeps a listening socket; it takes no colons."""
    return f"{transport}/{host}/{port}".replace(":", ".")


def bound(kind: socket.SocketKind, host: str, port: int, marker: Marker) -> socket.socket:
    """Return a socket bound to ``host``:``port``.

    Raises:
        ListenerUnusableError: the address is not local, already in use, or not permitted.
    """
    sock = unbound(kind, host, marker)
    try:
        if kind == socket.SOCK_STREAM:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # a restart must not wait for TIME_WAIT
        sock.bind((host, port))
    except OSError as error:
        sock.close()
        where = f"{_NAMES[kind]}:{bracketed(host)}:{port}"
        advice = _ADVICE.get(error.errno or 0, "change sip.listen")
        raise ListenerUnusableError(f"cannot listen on {where}: {error.strerror or error}; {advice}") from error
    return sock


def unbound(kind: socket.SocketKind, host: str, marker: Marker) -> socket.socket:
    """Return a non-blocking socket of the family of ``host``; an IPv6 one accepts no IPv4."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, kind | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK)
    if family == socket.AF_INET6:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    marker.mark(sock)
    return sock


def reachable_address(host: str) -> str:
    """Return the address that peers can use for a socket bound to ``host``: for a wildcard, that of the default route.

    Asks the kernel which source address it would use; nothing is sent.
    """
    wildcard = {"0.0.0.0": "192.0.2.1", "::": "2001:db8::1"}  # documentation addresses, RFC 5737 and RFC 3849
    if host not in wildcard:
        return host
    family = socket.AF_INET6 if host == "::" else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((wildcard[host], 9))
        except OSError:
            return "::1" if host == "::" else "127.0.0.1"
        return str(probe.getsockname()[0])
