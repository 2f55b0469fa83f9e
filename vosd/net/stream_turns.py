"""Turns of the connections of all TCP and TLS listeners: some milliseconds of work in a turn of the event loop.

The connections of one source take one turn together, so that many of them get no more than one. A connection of whose
messages most were refused is not read from for a while, the longer the more of its source there are: TCP then slows the
sender. The other connections of that source may be those of running calls, and go on.
"""

import asyncio
import time
from collections import OrderedDict, deque
from typing import Final, Protocol

from vosd.net.entrance import LATE_S

TURN_S: Final = 0.004
"""Longest time for messages of connections before other sockets are read, but for the step that exceeds it."""
REST_S: Final = 0.1
"""Time after which the next one of a source's connections goes on of whose messages most were refused."""
LEFT_S: Final = 5.0
"""After a source has had connections waiting for so long without a break, those that its peer has closed are dropped:
it sends more than can be served, and no longer waits for the answers.
"""

BEHIND_S: Final = 5.0
"""For so long after such a time without a message the kernel is asked when messages came."""


class HeldConnection(Protocol):
    """A connection with received bytes that wait for their turn; it is not read from meanwhile."""

    def go_on(self) -> None:
        """Pass on a few of the messages; wait again if more are left."""

    def drop_if_closed(self) -> bool:
        """Drop what was received and was not passed on if the peer has closed; return whether nothing is left."""


class HeldConnections:
    """Connections of one source, those that wait the longest first."""

    def __init__(self) -> None:
        self.connections: deque[HeldConnection] = deque()
        self.since = time.monotonic()
        """Time from which on there has always been one."""


class StreamTurns:
    """The connections that wait, by source (an IPv6 address: /64)."""

    def __init__(self) -> None:
        self._waiting: OrderedDict[str, HeldConnections] = OrderedDict()
        """The source that goes on next is first."""
        self._resting: dict[str, HeldConnections] = {}
        """Connections of whose messages most were refused: of each source, one goes on every ``REST_S``."""
        self._is_scheduled = False
        """Whether ``_take_turn`` is called in the next turn of the event loop."""
        self._until = 0.0
        """End of the time for messages that are passed on as they are read; it may last for several turns of the event
        loop.
        """
        self._read_at = 0.0
        """Time at which a connection was read last."""
        self._behind_until = 0.0

    def may_pass(self) -> bool:
        """Return whether messages may be passed on as they are read, else the connection must ``wait``."""
        if self._waiting:
            return False
        now = time.monotonic()
        if now < self._until:
            return True
        if self._is_scheduled:
            return False
        # Not for each read: a further turn of the event loop costs as much as a message.
        self._until = now + TURN_S
        self._schedule()
        return True

    def stood_still(self, now: float) -> bool:
        """Note that a connection is read; return whether what it brings may have waited, for lack of a reader."""
        if now - self._read_at > LATE_S:
            self._behind_until = now + BEHIND_S
        self._read_at = now
        return now < self._behind_until

    def wait(self, source: str, connection: HeldConnection) -> None:
        """Have a connection go on in a later turn of the event loop, after the others."""
        self._schedule()
        held = self._waiting.get(source)
        if held is None:
            held = self._waiting[source] = HeldConnections()
        held.connections.append(connection)

    def rest(self, source: str, connection: HeldConnection) -> None:
        """Have a connection go on after ``REST_S``, and after all others of the source that rest."""
        held = self._resting.get(source)
        if held is None:
            held = self._resting[source] = HeldConnections()
            asyncio.get_running_loop().call_later(REST_S, self._wake, source)
        held.connections.append(connection)

    def _wake(self, source: str) -> None:
        """Let the connection of a source go on that has rested the longest, and drop those that are closed."""
        held = self._resting.pop(source)
        try:
            held.connections = deque([each for each in held.connections if not each.drop_if_closed()])
        finally:
            if held.connections:
                self.wait(source, held.connections.popleft())
            if held.connections:
                self._resting[source] = held
                asyncio.get_running_loop().call_later(REST_S, self._wake, source)

    def _schedule(self) -> None:
        if not self._is_scheduled:
            self._is_scheduled = True
            asyncio.get_running_loop().call_soon(self._take_turn)

    def _take_turn(self) -> None:
        """Let waiting connections go on, one of each source after another, for ``TURN_S``."""
        self._is_scheduled = False
        waiting, now = self._waiting, time.monotonic()
        self._until = until = now + TURN_S
        try:
            while waiting and now < until:
                source, held = waiting.popitem(last=False)
                connection = held.connections.popleft()
                if held.connections:
                    waiting[source] = held
                try:
                    if now - held.since >= LEFT_S:
                        connection.drop_if_closed()
                finally:
                    connection.go_on()
                now = time.monotonic()
        finally:  # after an error in one message, the others must still be served
            if waiting:
                self._schedule()
