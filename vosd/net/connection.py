"""One connection of a TCP or TLS listener, from its opening to its end; who opened it makes no difference here.

Owns what has come and does not yet make a message, and how long a peer may take: one that is silent, slow to finish
a message or does not read is closed.
"""

import asyncio
from typing import Final, NamedTuple, Protocol, cast

from vosd.net.settings import ConnectionLimits
from vosd.net.slots import Origin
from vosd.sip.settings import Limits
from vosd.sip.wire.stream import PONG, StreamFramer

MESSAGE_S: Final = 10.0
"""What a message may take from its first byte to its last, and an accepted connection until its first message."""
UNREAD_BYTES_MAX: Final = 512 * 1024
"""What may wait for a peer that does not read."""
CLOSE_S: Final = 2.0
"""What a peer gets to take the last bytes before a connection is cut."""


class Address(NamedTuple):
    """A peer's end of a connection."""

    host: str
    port: int


class Owner(Protocol):
    """Whoever keeps connections."""

    def opened(self, connection: "Connection") -> None:
        """Hear that a connection can be written to."""
        ...

    def message_came(self, connection: "Connection", data: bytes) -> None:
        """Take one whole message."""
        ...

    def knows(self, connection: "Connection") -> bool:
        """Say whether the peer is a gateway or a registered user by now; ``connection.origin`` follows."""
        ...

    def closed(self, connection: "Connection", why: str | None, *, in_doubt: bool) -> None:
        """Hear that a connection is no more, and ``why`` where its peer misbehaved.

        ``in_doubt``: it is not known to have delivered what was last sent.
        """
        ...


class Connection(asyncio.Protocol):
    """One open connection."""

    def __init__(self, peer: Address, origin: Origin, owner: Owner, limits: Limits, patience: ConnectionLimits) -> None:
        self.peer = peer
        self.origin = origin
        self._owner = owner
        self._framer = StreamFramer(limits)
        self._patience = patience
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        """None before it is made and after it is lost."""
        self.was_made = False
        """Whether its owner has heard of it, and will hear of its end."""
        self._timer: asyncio.TimerHandle | None = None
        self._busy_at = self._began_at = self._loop.time()
        """When the last byte went either way, of an unknown source the last message; when the message began that is
        not whole yet, or the connection."""
        self._awaits_message = origin is not Origin.SWITCH
        """Whether the peer has connected and not yet sent a message: a connection alone holds no place for long.

        A keep-alive does as well where the peer is known.
        """
        self._sent_last = False
        """Whether we have said something since the peer last did."""
        self._is_ending = False
        """Whether we have begun to end it; the transport says so only later."""
        self._why: str | None = None
        self._is_cut = False
        """Whether we ended it with things unsaid."""

    @property
    def is_open(self) -> bool:
        """Whether what is sent now can still arrive."""
        return self._transport is not None and not self._is_ending and not self._transport.is_closing()

    def send(self, data: bytes) -> None:
        """Write; a peer that does not read loses its connection."""
        self._busy_at = self._loop.time()
        self._write(data)

    def close(self, why: str | None = None) -> None:
        """End it once everything is written, ``why`` where its peer misbehaved."""
        if self._transport is None or self._is_ending:
            return
        self._is_ending = True
        self._why = why
        self._transport.close()
        self._wake_at(self._loop.time() + CLOSE_S)

    def cut(self, why: str) -> None:
        """End it at once."""
        if self._transport is not None:
            self._is_ending = self._is_cut = True
            self._why = self._why or why
            self._transport.abort()

    # -- asyncio.Protocol ---------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's are no subclasses
        self.was_made = True
        self._busy_at = self._began_at = self._loop.time()
        self._wake_at(self._deadline())
        self._owner.opened(self)

    def data_received(self, data: bytes) -> None:
        """Pass every message on that is now whole."""
        if self._is_ending:
            return
        now = self._loop.time()
        self._sent_last = False
        framer = self._framer
        was_amid = framer.is_amid_message
        messages = framer.feed(data)
        pings = framer.take_pings()
        if pings:
            self._write(PONG * pings)
        for message in messages:
            self._owner.message_came(self, message)
            if not self.is_open:  # closed on a stranger, after its first
                return
        if framer.lost is not None:
            self.close(framer.lost)
            return
        # Blank lines keep only the connection of a known peer: anybody can send them for ever.
        is_known = self.origin is not Origin.UNKNOWN or self._owner.knows(self)
        if messages or is_known:
            self._busy_at = now
        if messages or (pings and is_known):
            self._awaits_message = False
        if messages or not (was_amid or self._awaits_message):
            self._began_at = now
        self._wake_by(self._deadline())

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the owner."""
        self._transport = None
        if self._timer is not None:
            self._timer.cancel()
        in_doubt = exc is not None or self._is_cut or (self._sent_last and not self._is_ending)
        self._owner.closed(self, self._why, in_doubt=in_doubt)

    def _write(self, data: bytes) -> None:
        """Write, and give a peer up that does not read."""
        transport = self._transport
        if transport is None or self._is_ending:
            return
        transport.write(data)
        self._sent_last = True
        if transport.get_write_buffer_size() > UNREAD_BYTES_MAX:
            self.cut("the peer does not read")

    def _break_off(self) -> None:
        """End what has been closed and takes too long: the peer does not read, or leaves TLS without a farewell."""
        transport = self._transport
        if transport is not None and transport.get_write_buffer_size():
            self.cut("the peer does not read")
        elif transport is not None:
            transport.abort()

    # -- time ---------------------------------------------------------------------------------------------------

    def _deadline(self) -> float:
        """Return when patience ends, as things stand."""
        if self._framer.is_amid_message or self._awaits_message:
            return self._began_at + MESSAGE_S
        return self._busy_at + self._patience.idle_ms / 1000

    def _wake_by(self, deadline: float) -> None:
        """Wake at a deadline that is nearer than the one we sleep for; a farther one is seen on waking."""
        if not self._is_ending and (self._timer is None or self._timer.when() > deadline):
            self._wake_at(deadline)

    def _wake_at(self, at: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_at(at, self._check_deadline)

    def _check_deadline(self) -> None:
        """End what has outlived its time; what was busy meanwhile is looked at again later."""
        self._timer = None
        if self._is_ending:
            self._break_off()
            return
        deadline = self._deadline()
        if self._loop.time() < deadline:
            self._wake_at(deadline)
        elif self._framer.is_amid_message:
            self.cut("a message came too slowly")
        elif self._awaits_message:
            self.cut("no message came")
        else:
            self.close()
