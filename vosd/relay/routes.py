"""The kernel's routes: by which device, and to which neighbour, a packet leaves that has not been sent yet."""

import errno
import fcntl
import socket
import struct
from contextlib import suppress
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Final, NamedTuple

from vosd.relay.netlink import IPSEC, ROUTES, Netlink, attribute, attributes_of

_GET_ROUTE: Final = 26
_NEW_ROUTE: Final = 24
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
_VIA: Final = 18
_ENCAPSULATION: Final = 22
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
_UNICAST: Final = 1
_LOCAL: Final = 2
_ETHERNET: Final = 1
_UP: Final = 0x1
_LOOPBACK: Final = 0x8
_USUAL_MTU: Final = 1_500
"""Packets are not divided where the kernel forwards them: devices that take less are left out."""
_CHANGES: Final = 0x1 | 0x10 | 0x40 | 0x80 | 0x100 | 0x400 | 1 << 18
"""Groups of notes: links, addresses, routes and rules, those of IPv6 as well."""


class Route(NamedTuple):
    """Next hop of packets to an address."""

    device: int
    """Number of the device."""
    neighbour: bytes
    """Address of the gateway, or of the destination itself."""


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


def _question_about(there: IPv4Address | IPv6Address) -> bytes:
    bits, family = there.max_prefixlen, socket.AF_INET if there.version == 4 else socket.AF_INET6
    return _ROUTE.pack(family, bits, bits, 0, 0, 0, 0, 0, 0) + attribute(_DESTINATION, there.packed)


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

    @property
    def descriptor(self) -> int:
        """Descriptor that can be read when something has changed."""
        return self._changes.sock.fileno()

    def read_changes(self) -> set[int] | None:
        """Read the notes of changes, and forget what was known of devices; return those that are gone.

        None = notes were lost, so that any may be.
        """
        self._devices.clear()
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

    def find(self, own: str, peer: str) -> Route | None:
        """Return the route from one of our addresses to a peer; None = there is none by which the kernel can forward.

        So for addresses of this machine, and devices that are not Ethernet.
        """
        here, there = ip_address(own), ip_address(peer)
        content = _question_about(there) + attribute(_SOURCE, here.packed)
        try:
            said = self._questions.request([self._questions.message(_GET_ROUTE, 0, content)])
        except OSError:
            return None
        for kind, answer in said:
            if kind != _NEW_ROUTE or _ROUTE.unpack_from(answer)[7] != _UNICAST:
                continue
            found = dict(attributes_of(answer, _ROUTE.size))
            if _DEVICE not in found or _VIA in found or _ENCAPSULATION in found:
                return None
            (device,) = _INDEX.unpack(found[_DEVICE])
            return Route(device, found.get(_GATEWAY, there.packed)) if self.name_of(device) is not None else None
        return None

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
