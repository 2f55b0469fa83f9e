"""The kernel's routes: by which device, and to which neighbour, a packet leaves that has not been sent yet."""

import errno
import fcntl
import socket
import struct
from contextlib import suppress
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Final, NamedTuple

from vosd.relay.netlink import DUMP, IPSEC, ROUTES, Netlink, attribute, attributes_of

_GET_ROUTE: Final = 26
_NEW_ROUTE: Final = 24
_GET_RULES: Final = 34
_NEW_RULE: Final = 32
_GET_FLAGS, _GET_MTU, _GET_ADDRESS = 0x8913, 0x8921, 0x8927
"""Questions about a device (netdevice(7))."""
_DELETE_LINK: Final = 17
_ROUTE: Final = struct.Struct("=8BI")
"""Family, bits of destination and source, TOS, table, protocol, scope, type; flags."""
_LINK: Final = struct.Struct("=BxHiII")
"""Family, kind of device, number, flags, change mask."""
_INDEX: Final = struct.Struct("=I")
_DESTINATION: Final = 1
_SOURCE: Final = 2
_DEVICE: Final = 4
_GATEWAY: Final = 5
_PREFERRED_SOURCE: Final = 7
_METRICS, _METRIC_MTU = 8, 2
_MARK: Final = 16
_VIA: Final = 18
_ENCAPSULATION: Final = 22
_PROTOCOL, _SOURCE_PORT, _DESTINATION_PORT = 27, 28, 29
_OF_DEVICE: Final = 3
"""Attribute of a rule for packets that come in by a device: those that this machine sends come by the loopback one."""
_OWN: Final = b"lo\0"
_OF_MARK, _OF_BITS_OF_MARK = 10, 16
"""A rule for packets without a mark, or without some bits of one, has these bits alone."""
_OF_PROTOCOL, _OF_OWN_PORTS, _OF_PEER_PORTS = 22, 23, 24
_MASK_OF_PORTS: Final = {_OF_OWN_PORTS: 28, _OF_PEER_PORTS: 29}
_WHOLE_PORT: Final = b"\xff\xff"
_POLICY_INFO: Final = 0x24
_GET_POLICY_INFO: Final = 0x25
_POLICY_COUNTS: Final = 1
_COUNTS: Final = struct.Struct("=3I")
"""Numbers of policies for packets that come in, go out, are forwarded."""
HAS_POLICIES: Final = errno.ENOKEY
"""Error number for a machine with policies of IPsec."""
_NAME_BYTES: Final = 16
_REQUEST_BYTES: Final = 40
_SHORT: Final = struct.Struct("=H")
_RANGE: Final = struct.Struct("=HH")
_PORT: Final = struct.Struct(">H")
_UNICAST: Final = 1
_LOCAL: Final = 2
_ETHERNET: Final = 1
_UP: Final = 0x1
_LOOPBACK: Final = 0x8
_USUAL_MTU: Final = 1_500
"""Packets are not divided where the kernel forwards them: devices, and routes, that take less are left out. A route
has the MTU that was learnt of the path as well."""
_CHANGES: Final = 0x1 | 0x10 | 0x40 | 0x80 | 0x100 | 0x400 | 1 << 18 | 1 << 31
"""Groups of notes: links, addresses, routes and rules, those of IPv6 as well, and next hops that routes share: where
one is replaced, a kernel that need not be compatible (``nexthop_compat_mode``) says nothing of its routes."""


class Route(NamedTuple):
    """Next hop of packets to an address."""

    device: int
    """Number of the device."""
    neighbour: bytes
    """Address of the gateway, or of the destination itself."""
    own: str = ""
    """Address of this machine that packets leave from whose socket is bound to all; empty = the kernel did not say."""


def is_local(host: str) -> bool:
    """Return whether packets to an IP address stay on this machine; False where the kernel does not say."""
    try:
        questions = Netlink(ROUTES)
    except OSError:
        return False
    try:
        said = questions.request([questions.message(_GET_ROUTE, 0, _question_about(ip_address(host)))])
    except OSError:
        return False
    finally:
        questions.close()
    return any(kind == _NEW_ROUTE and _ROUTE.unpack_from(answer)[7] == _LOCAL for kind, answer in said)


def _question_about(there: IPv4Address | IPv6Address, tos: int = 0) -> bytes:
    bits, family = there.max_prefixlen, socket.AF_INET if there.version == 4 else socket.AF_INET6
    return _ROUTE.pack(family, bits, bits, tos, 0, 0, 0, 0, 0) + attribute(_DESTINATION, there.packed)


class _Rules(NamedTuple):
    """Criteria by which rules of this machine choose routes, beside addresses (policy routing)."""

    are_of_ports: bool
    """Whether any is for a protocol or for ports."""
    ranges: tuple[tuple[int, int, int], ...]
    """Ports that rules name: the side, 0 = ours and 1 = the peer's, the first one and the last one."""
    are_masked: bool
    """Whether any chooses by some bits of a port."""
    marks: frozenset[bytes]
    """Marks that a firewall may give to packets which this machine sends, such that a rule takes them for others."""


class KernelRoutes:
    """Questions to the kernel about routes, and whether the answers may have changed."""

    def __init__(self) -> None:
        """Raises OSError."""
        self._questions = Netlink(ROUTES)
        try:
            self._changes = Netlink(ROUTES, _CHANGES)
        except OSError:
            self._questions.close()
            raise
        self._policies: Netlink | None = None
        with suppress(OSError):  # a kernel without IPsec
            self._policies = Netlink(IPSEC)
        self._device_questions = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
        self._devices: dict[int, str | None] = {}
        """Names of devices that were asked for; None = nothing is forwarded by it."""
        self._rules: _Rules | None = None
        """None = they were not asked for since the last change."""

    @property
    def descriptor(self) -> int:
        """Descriptor that can be read when something has changed."""
        return self._changes.sock.fileno()

    def read_changes(self) -> set[int] | None:
        """Read the notes of changes, and forget what was known of devices and rules; return devices that are gone.

        None = notes were lost, so that any may be.
        """
        self._devices.clear()
        self._rules = None
        gone: set[int] = set()
        try:
            while notes := self._changes.receive():
                gone.update(_LINK.unpack_from(content)[2] for kind, content in notes if kind == _DELETE_LINK)
        except OSError:
            return None
        return gone

    def expect_no_policies(self) -> None:
        """Check that this machine encrypts nothing by IPsec: packets that the kernel forwards pass no policies.

        Raises:
            OSError: there are policies (``HAS_POLICIES``), or it cannot be known.
        """
        if self._policies is None:
            return
        for kind, content in self._policies.request([self._policies.message(_GET_POLICY_INFO, 0, _INDEX.pack(0))]):
            found = dict(attributes_of(content, _INDEX.size)) if kind == _POLICY_INFO else {}
            if _POLICY_COUNTS in found and any(_COUNTS.unpack_from(found[_POLICY_COUNTS])):
                raise OSError(HAS_POLICIES, "this machine has policies of IPsec")

    def kind_of(self, own: int, peer: int) -> tuple[int, ...]:
        """Return a kind of ports, ours and the peer's: between two hosts all of one kind have one route."""
        rules, ports = self._known_rules(), (own, peer)
        if rules.are_masked:
            return ports
        return tuple([first <= ports[side] <= last for side, first, last in rules.ranges])

    def find(self, own: tuple[str, int], peer: tuple[str, int], tos: int = 0) -> Route | None:
        """Return the route from one of our ports to a peer; None = there is none by which the kernel can forward.

        So for addresses of this machine, and devices that are not Ethernet; and where the route depends on marks, which
        a firewall gives to what this machine sends, but not to what the kernel forwards.
        """
        here, there = ip_address(own[0]), ip_address(peer[0])
        content = _question_about(there, tos) + attribute(_SOURCE, here.packed)
        rules = self._known_rules()
        if rules.are_of_ports:
            content += attribute(_PROTOCOL, bytes((socket.IPPROTO_UDP,)))
            content += attribute(_SOURCE_PORT, _PORT.pack(own[1])) + attribute(_DESTINATION_PORT, _PORT.pack(peer[1]))
        found = self._found(content, there.packed)
        if found is None or any(
            self._found(content + attribute(_MARK, mark), there.packed) != found for mark in rules.marks
        ):
            return None
        return found

    def _found(self, question: bytes, there: bytes) -> Route | None:
        try:
            said = self._questions.request([self._questions.message(_GET_ROUTE, 0, question)])
        except OSError:
            return None
        for kind, answer in said:
            if kind != _NEW_ROUTE or _ROUTE.unpack_from(answer)[7] != _UNICAST:
                continue
            found = dict(attributes_of(answer, _ROUTE.size))
            if _DEVICE not in found or _VIA in found or _ENCAPSULATION in found:
                return None
            mtu = dict(attributes_of(found.get(_METRICS, b""))).get(_METRIC_MTU)
            (device,) = _INDEX.unpack(found[_DEVICE])
            if self.name_of(device) is None or (mtu is not None and _INDEX.unpack(mtu)[0] < _USUAL_MTU):
                return None
            own = found.get(_PREFERRED_SOURCE)
            return Route(device, found.get(_GATEWAY, there), "" if own is None else str(ip_address(own)))
        return None

    def _known_rules(self) -> _Rules:
        if self._rules is None:
            self._rules = self._asked_rules()
        return self._rules

    def _asked_rules(self) -> _Rules:
        """Ask for the rules of both families; where the kernel has none of that kind, addresses alone choose."""
        are_of_ports = are_masked = False
        ranges, marks = set[tuple[int, int, int]](), set[bytes]()
        for family in (socket.AF_INET, socket.AF_INET6):
            question = _ROUTE.pack(family, 0, 0, 0, 0, 0, 0, 0, 0)
            try:
                said = self._questions.request([self._questions.message(_GET_RULES, DUMP, question)])
            except OSError:
                continue
            for kind, content in said:
                found = dict(attributes_of(content, _ROUTE.size)) if kind == _NEW_RULE else {}
                if found.get(_OF_DEVICE, _OWN) != _OWN:
                    continue
                are_of_ports = are_of_ports or _OF_PROTOCOL in found
                for side, ports in enumerate(_MASK_OF_PORTS):
                    if ports in found:
                        are_of_ports = True
                        ranges.add((side, *_RANGE.unpack_from(found[ports])))
                        are_masked = are_masked or found.get(_MASK_OF_PORTS[ports], _WHOLE_PORT) != _WHOLE_PORT
                mark = found.get(_OF_MARK, found.get(_OF_BITS_OF_MARK))
                marks.update(() if mark is None else (mark,))
        return _Rules(are_of_ports, tuple(ranges), are_masked, frozenset(marks))

    def name_of(self, device: int) -> str | None:
        """Return the name of a device by which the kernel can forward; None for others."""
        if device not in self._devices:
            self._devices[device] = self._asked(device)
        return self._devices[device]

    def _asked(self, device: int) -> str | None:
        """Ask by ioctl, which does not wait for changes of other devices, as netlink's question for one would."""
        try:
            name = socket.if_indextoname(device)
            (what,) = _SHORT.unpack_from(self._asked_for(name, _GET_ADDRESS), _NAME_BYTES)
            (flags,) = _SHORT.unpack_from(self._asked_for(name, _GET_FLAGS), _NAME_BYTES)
            (mtu,) = _INDEX.unpack_from(self._asked_for(name, _GET_MTU), _NAME_BYTES)
        except OSError:
            return None
        is_usual = what == _ETHERNET and flags & _UP and not flags & _LOOPBACK
        return name if is_usual and mtu >= _USUAL_MTU else None

    def _asked_for(self, name: str, question: int) -> bytes:
        return fcntl.ioctl(self._device_questions, question, name.encode().ljust(_REQUEST_BYTES, b"\0"))

    def close(self) -> None:
        """Close the connections to the kernel."""
        self._questions.close()
        self._changes.close()
        if self._policies is not None:
            self._policies.close()
        self._device_questions.close()
