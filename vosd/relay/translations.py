"""Flows whose addresses this machine translates: what connection tracking says of packets that a worker sends."""

import errno
import socket
import struct
from ipaddress import ip_address
from typing import Final

from vosd.relay.netlink import Netlink, attribute, attributes_of, nested

_SUBSYSTEM: Final = 1
_GET_FLOW: Final = 1
_NEW_FLOW: Final = 0
_GENERAL: Final = struct.Struct(">BBH")
"""Family, version, resource."""
_ORIGINAL, _REPLY = 1, 2
"""The two directions of a flow."""
_ADDRESSES, _PROTOCOL = 1, 2
_PORT: Final = struct.Struct(">H")
_UNKNOWN: Final = frozenset({errno.EINVAL, errno.EOPNOTSUPP})
"""Errors of a kernel without this part of connection tracking."""


class Translations:
    """Questions to the kernel about single flows."""

    def __init__(self, questions: Netlink) -> None:
        """``questions`` is a connection to netfilter, which stays its owner's."""
        self._questions = questions
        self._is_known = True
        """Whether the kernel can be asked: if not, each question would look for a module."""

    def has(self, own: tuple[str, int], peer: tuple[str, int]) -> bool:
        """Return whether packets from one of our ports to a peer leave from another place, or reach another one.

        So it is as well for answers to packets that came to another address, or port, of this machine.
        """
        if not self._is_known:
            return False
        here, there = ip_address(own[0]), ip_address(peer[0])
        family, first = (socket.AF_INET, 1) if here.version == 4 else (socket.AF_INET6, 3)
        addresses = attribute(first, here.packed) + attribute(first + 1, there.packed)
        ports = attribute(2, _PORT.pack(own[1])) + attribute(3, _PORT.pack(peer[1]))
        protocol = attribute(1, bytes((socket.IPPROTO_UDP,))) + ports
        flow = nested(_ORIGINAL, nested(_ADDRESSES, addresses), nested(_PROTOCOL, protocol))
        question = self._questions.message(_SUBSYSTEM << 8 | _GET_FLOW, 0, _GENERAL.pack(family, 0, 0) + flow)
        try:
            said = self._questions.request([question])
        except OSError as error:
            self._is_known = error.errno not in _UNKNOWN
            return self._is_known and error.errno != errno.ENOENT  # which is no such flow, as where nothing is tracked
        return any(kind == _SUBSYSTEM << 8 | _NEW_FLOW and _is_translated(content) for kind, content in said)


def _is_translated(content: bytes) -> bool:
    """Return whether the answers of a flow come from elsewhere than its packets go to, or go elsewhere."""
    found = dict(attributes_of(content, _GENERAL.size))
    return _ends(found[_ORIGINAL]) != _ends(found[_REPLY])[::-1]


def _ends(direction: bytes) -> tuple[tuple[bytes, ...], ...]:
    """Return source and destination of a direction: address and port of each."""
    parts = dict(attributes_of(direction))
    addresses, protocol = dict(attributes_of(parts[_ADDRESSES])), dict(attributes_of(parts[_PROTOCOL]))
    hosts = [addresses[each] for each in sorted(addresses)]
    return (hosts[0], protocol[2]), (hosts[1], protocol[3])
