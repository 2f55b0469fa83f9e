"""Two media ports of a worker that are connected, with sockets whose packets a test gives."""

from collections.abc import Callable, Collection, Sequence
from typing import Any, cast

from msgspec.structs import replace

from doubles.sockets.relay import source
from vosd.media.keys import PressedKey
from vosd.media.latch import Address
from vosd.media.record import RECORD_BYTES
from vosd.media.source import RelayPort
from vosd.relay.media_port import MediaPort
from vosd.relay.peer_sender import PeerSender
from vosd.relay.protocol import OpenPort
from vosd.relay.sockets import PlainSocket

ONE, OTHER = ("198.51.100.1", 4_000), ("198.51.100.2", 4_000)


class GivenSocket:
    """A socket with packets that are given to it."""

    def __init__(self) -> None:
        self.waiting: list[tuple[bytes, Address]] = []
        self.sent: list[tuple[bytes, Address]] = []

    def recvfrom(self, _size: int) -> tuple[bytes, Address]:
        if not self.waiting:
            raise BlockingIOError
        return self.waiting.pop(0)

    def recv(self, size: int) -> bytes:
        return self.recvfrom(size)[0]

    def sendto(self, data: bytes, target: Address) -> int:
        self.sent.append((data, target))
        return len(data)

    def setsockopt(self, *_: object) -> None:
        """Take any option."""


class FreeOwner:
    """A worker that may send anywhere but to its own ports."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def open_ports(self, own_host: str, host: str, ports: Sequence[int]) -> Collection[int]:
        return () if host == own_host else ports

    def source_found(self, port: int, leg: int, host: str) -> None:
        self.asked.append(host)

    def key_pressed(self, port: int, pressed: PressedKey) -> None:
        raise AssertionError("no keys are reported")

    def sends_itself(self, sender: PeerSender, due_ns: int) -> None:
        """Send nothing by itself."""

    def changed(self, port: MediaPort) -> None:
        """Write nothing."""

    def serve(self, sock: PlainSocket, handler: Callable[[], None]) -> None:
        """Serve nothing by itself."""

    def take_back(self, *ports: MediaPort) -> None:
        """Take nothing back: the kernel forwards nothing."""

    def left_over(self, port: MediaPort) -> None:
        """Take nothing back: the kernel forwards nothing."""


class ConnectedPorts:
    """Two connected ports."""

    def __init__(self, *, has_control: bool = False, **more: Any) -> None:
        self.owner = FreeOwner()
        self.ports: list[MediaPort] = []
        self.sockets: list[GivenSocket] = []
        self.controls: list[GivenSocket] = []
        """Sockets of RTCP, where that has its own."""
        for number, (host, port) in enumerate((ONE, OTHER)):
            rtp, control = GivenSocket(), GivenSocket() if has_control else None
            order = OpenPort(RelayPort(number, "192.0.2.1", 6_000, 6_001 if has_control else None), 0, 0)
            sockets = cast(PlainSocket, rtp), cast(PlainSocket | None, control)
            made = MediaPort(order, *sockets, memoryview(bytearray(RECORD_BYTES)), self.owner)
            described = source(host, port, rtcp=port + 1 if has_control else None, **more)
            made.expect(replace(described, has_handshake=True), None)
            self.ports.append(made)
            self.sockets.append(rtp)
            if control is not None:
                self.controls.append(control)
        self.ports[0].connect(self.ports[1])

    def give(self, number: int, data: bytes, address: Address) -> list[tuple[bytes, Address]]:
        """Let a packet come to a port; return what the other one sends."""
        self.sockets[number].waiting.append((data, address))
        self.ports[number].receive()
        sent, self.sockets[1 - number].sent = self.sockets[1 - number].sent, []
        return sent
