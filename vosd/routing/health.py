"""Judge whether routing gateways are up, by OPTIONS and by answers to calls, with hysteresis.

A gateway is up at first, goes down after a number of failures in a row, and comes back after a number of answers in a
row: one lost packet does not take it down, and a single answer of a failing vendor does not bring calls back.
"""

from collections.abc import Callable
from enum import Enum
from typing import Final

from vosd.trunks.gateways import Ping

NOT_THERE: Final = frozenset({408, 502, 503, 504})
"""Final codes that do not show that a vendor is up: a proxy on the way may send them for it.

Every other code does, refusals included: most vendors answer OPTIONS with 403, 404 or 405.
"""


class Trunk(Enum):
    """Whether calls go to a gateway."""

    UP = "up"
    DOWN = "down"


class _Record:
    """The state of one gateway, and how many results contradict it."""

    __slots__ = ("contrary", "ping", "state")

    def __init__(self, ping: Ping) -> None:
        self.ping = ping
        self.state = Trunk.UP
        self.contrary = 0
        """Results in a row that contradict the state."""


class GatewayHealth:
    """The gateways that get OPTIONS, by name; a reload keeps the state of those that stay."""

    def __init__(self) -> None:
        self._records: dict[str, _Record] = {}
        self.down: dict[str, int] = {}
        """Since when each gateway that is down is down, in monotonic milliseconds; mostly empty."""
        self.on_change: Callable[[str, Trunk], None] = _ignore
        """Called with every change."""

    def watch(self, gateway: str, ping: Ping) -> None:
        """Begin to keep the state of a gateway, or change its settings."""
        record = self._records.get(gateway)
        if record is None:
            self._records[gateway] = _Record(ping)
        else:
            record.ping = ping

    def forget(self, gateway: str) -> None:
        """Keep the state of a gateway no longer; it counts as up."""
        self._records.pop(gateway, None)
        self.down.pop(gateway, None)

    def answered(self, gateway: str, mono_ms: int) -> None:
        """Note that a gateway answered a request of any kind."""
        record = self._records.get(gateway)
        if record is not None:
            self._note(gateway, record, Trunk.UP, record.ping.up_after, mono_ms)

    def failed(self, gateway: str, mono_ms: int) -> None:
        """Note that an OPTIONS got no answer."""
        record = self._records.get(gateway)
        if record is not None:
            self._note(gateway, record, Trunk.DOWN, record.ping.down_after, mono_ms)

    def down_ms(self, gateway: str, mono_ms: int) -> int | None:
        """Return for how long a gateway has been down; None = it is up."""
        since = self.down.get(gateway)
        return None if since is None else mono_ms - since

    def _note(self, gateway: str, record: _Record, sign: Trunk, wanted: int, mono_ms: int) -> None:
        if sign is record.state:
            record.contrary = 0
            return
        record.contrary += 1
        if record.contrary >= wanted:
            record.state, record.contrary = sign, 0
            if sign is Trunk.DOWN:
                self.down[gateway] = mono_ms
            else:
                self.down.pop(gateway)
            self.on_change(gateway, sign)


def _ignore(_gateway: str, _state: Trunk) -> None:
    """Do nothing: the default of ``on_change``."""
