"""Two media ports between which a telephone presses keys, on a clock of the test."""

import pytest

from doubles.connected_ports import ONE, OTHER, ConnectedPorts
from doubles.sockets.rtp import rtp
from vosd.media.keys import PressedKey


class PressedPorts:
    """A telephone that sends telephone events, and a gateway to which keys of its INFO are sent as such, on one clock.

    The telephone repeats the last packet of an event.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *, are_taken: bool = False) -> None:
        self.now_ns = 1_000_000_000
        self.ports = ConnectedPorts()
        for module in ("media_port", "peer_sender"):
            monkeypatch.setattr(f"vosd.relay.{module}.monotonic_ns", lambda: self.now_ns)
        self.reported: list[PressedKey] = []
        self.ports.owner.key_pressed = lambda _port, pressed: self.reported.append(pressed)  # type: ignore[assignment]
        self.ports.ports[0].report_keys(are_reported=True, are_taken=are_taken)
        self._sequence, self._begun_ns = 100, 0
        self.arrived: list[bytes] = []
        """Packets that the gateway has received."""

    def passes(self, ms: int) -> None:
        """Let time pass, in which keys are sent."""
        for _ in range(ms // 10):
            self.now_ns += 10_000_000
            self.ports.ports[1].sender.send_due(self.now_ns)
            self.arrived += [data for data, _ in self.ports.sockets[1].sent]
            self.ports.sockets[1].sent.clear()

    def info(self, key: str, ms: int = 100) -> None:
        """Let an INFO of the telephone come."""
        self.ports.ports[1].sender.press(key, ms, as_tone=False)

    def speaks(self, ms: int) -> None:
        """Let audio of the telephone come."""
        for _ in range(ms // 20):
            self.says(bytes(160))

    def says(self, body: bytes, *, ms: int = 20, times: int = 1) -> None:
        """Let so much audio of the telephone come, each packet so often."""
        self._sequence += 1
        for _ in range(times):
            self.give(rtp(self._sequence, self.now_ns // 125_000, body=body))
        self.passes(ms)

    def presses(self, key: int, ms: int, *, begins: bool = True, ends: bool = True) -> None:
        """Let events of one key come, or those of a part of its time."""
        if begins:
            self._begun_ns = self.now_ns
        for _ in range(ms // 20):
            self.passes(20)
            self.give(self.packet(key, 0x0A))
        for _ in range(3 if ends else 0):
            self.give(self.packet(key, 0x8A))

    def packet(self, key: int, flags: int) -> bytes:
        """Return the next packet of the key that is pressed."""
        units = (self.now_ns - self._begun_ns) // 125_000
        segment, units = divmod(units, 0xFFFF)
        self._sequence += 1
        body = bytes((key, flags)) + units.to_bytes(2, "big")
        return rtp(self._sequence, self._begun_ns // 125_000 + 0xFFFF * segment, payload=101, body=body)

    def give(self, data: bytes) -> None:
        """Let a packet of the telephone come."""
        self.arrived += [sent for sent, target in self.ports.give(0, data, ONE) if target == OTHER]

    @property
    def events(self) -> dict[int, int]:
        """The keys that the gateway has received, by their time stamps."""
        events = [data for data in self.arrived if data[1] & 0x7F == 101]
        return {int.from_bytes(data[4:8], "big"): data[12] for data in events}

    @property
    def keys(self) -> list[int]:
        """The keys that the gateway has received."""
        return list(self.events.values())
