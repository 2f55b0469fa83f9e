"""Which routing gateways are there, as far as anybody has asked: up and down, with hysteresis.

A gateway is up until it is found to be down, goes down after so many failures in a row, and comes back after so many
answers in a row, so that one lost packet changes nothing and one lucky answer brings no calls to a sick vendor.
"""

from collections.abc import Callable
from enum import Enum
from typing import Final

from vosd.trunks.gateways import Ping

NOT_THERE: Final = frozenset({408, 502, 503, 504})
"""Final codes that prove no life: somebody on the way speaks for a vendor that is silent, or it takes nothing itself.

Any other one does, refusals included: most vendors answer an OPTIONS with 403, 404 or 405.
"""


class Trunk(Enum):
    """Whether calls go to a gateway."""

    UP = "up"
    DOWN = "down"


class _Pulse:
    """What was heard of one gateway."""

    __slots__ = ("changed_at", "contrary", "ping", "state")

    def __init__(self, ping: Ping) -> None:
        self.ping = ping
        self.state = Trunk.UP
        self.contrary = 0
        """Signs in a row that speak against the state."""
        self.changed_at = 0


class Health:
    """The gateways that are asked, by name; a reload changes nothing about those that stay."""

    __slots__ = ("_down", "_pulses", "tell")

    def __init__(self) -> None:
        self._pulses: dict[str, _Pulse] = {}
        self._down = 0
        self.tell: Callable[[str, Trunk], None] = _unheard
        """Is told of every change."""

    def __len__(self) -> int:
        """Return how many are down: mostly none, and then nobody need ask further."""
        return self._down

    def watch(self, gateway: str, ping: Ping) -> None:
        """Begin to keep the state of a gateway, or go on with other figures."""
        pulse = self._pulses.get(gateway)
        if pulse is None:
            self._pulses[gateway] = _Pulse(ping)
        else:
            pulse.ping = ping

    def forget(self, gateway: str) -> None:
        """Keep the state of a gateway no longer; it counts as up."""
        pulse = self._pulses.pop(gateway, None)
        if pulse is not None and pulse.state is Trunk.DOWN:
            self._down -= 1

    def answered(self, gateway: str, mono_ms: int) -> None:
        """Note a sign of life, whatever it was an answer to."""
        pulse = self._pulses.get(gateway)
        if pulse is not None:
            self._note(gateway, pulse, Trunk.UP, pulse.ping.up_after, mono_ms)

    def failed(self, gateway: str, mono_ms: int) -> None:
        """Note that a gateway was asked and is not there."""
        pulse = self._pulses.get(gateway)
        if pulse is not None:
            self._note(gateway, pulse, Trunk.DOWN, pulse.ping.down_after, mono_ms)

    def down_ms(self, gateway: str, mono_ms: int) -> int | None:
        """Return for how long a gateway has been down; None = it is up."""
        pulse = self._pulses.get(gateway)
        return None if pulse is None or pulse.state is Trunk.UP else mono_ms - pulse.changed_at

    def _note(self, gateway: str, pulse: _Pulse, sign: Trunk, wanted: int, mono_ms: int) -> None:
        if sign is pulse.state:
            pulse.contrary = 0
            return
        pulse.contrary += 1
        if pulse.contrary >= wanted:
            pulse.state, pulse.contrary, pulse.changed_at = sign, 0, mono_ms
            self._down += 1 if sign is Trunk.DOWN else -1
            self.tell(gateway, sign)


def _unheard(_gateway: str, _state: Trunk) -> None:
    """Stand in where nobody listens."""
