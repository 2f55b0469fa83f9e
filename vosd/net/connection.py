"""One connection of a TCP or TLS listener, accepted or opened by us.

Owns the bytes of an unfinished message and the time limits: a peer that is silent, too slow to finish a message or does
not read is disconnected.
"""

import asyncio
import struct
from collections import OrderedDict
from collections.abc import Coroutine, Mapping
from socket import IPPROTO_TCP, SO_RCVBUF, SOL_SOCKET, TCP_INFO
from typing import Any, Final, NamedTuple, Protocol, cast

from vosd.base.bucket import Bucket
from vosd.base.host import source_of
from vosd.net.entrance import LATE_S
from vosd.net.settings import ConnectionLimits
from vosd.net.slots import ConnectionOrigin
from vosd.net.stream_turns import StreamTurns
from vosd.net.tls_bytes import LOOK_S, UNKNOWN_LOOK_S, TlsBytes

MESSAGE_S: Final = 10.0
"""Time limit for a message from its first byte to its last, and for the first message of an accepted connection."""
PROOF_S: Final = 30.0
"""Time limit for the peer of an accepted connection to become a known source, or to send a message of a call; also how
long the connection of an unknown source may be kept after the end of its call.
"""
ELSEWHERE_S: Final = 300.0
"""Longest time without a message for which a connection of ours to a place that no gateway has is kept: an INVITE may
ring so long without a word.
"""
UNUSED_S: Final = 32.0
"""A connection without a message for so long (64·T1) is not used: no answer but that to an INVITE is awaited on it."""
UNREAD_BYTES_MAX: Final = 512 * 1024
"""Most bytes that may wait in the write buffer for a peer that does not read."""
CLOSE_S: Final = 2.0
"""Time for the last bytes to be written before a closing connection is aborted."""
AT_ONCE_S: Final = 2.0
"""Time within which a peer that does not accept our certificate closes the connection: some round trips."""
IDLE_FRAMES_PER_S: Final = 10
IDLE_FRAMES_AT_ONCE: Final = 50
"""Rate limit for WebSocket frames that complete no message, each of which costs as much as a message, and for
keep-alives of a stream beyond one for each message: nothing else limits them.
"""
BRANCHES_MAX: Final = 4_096
"""Most branches of requests that are noted of a connection; the oldest is forgotten first."""
LAST_RECEIVED: Final = struct.Struct("@B51xI")
"""Linux: beginning of ``tcp_info``, the state of a connection and the milliseconds since its last bytes came."""
_ESTABLISHED: Final = 1
"""Linux: state of a TCP connection that neither side has closed, first byte of ``tcp_info``."""


class PeerEnd(NamedTuple):
    """The peer's end of a connection."""

    host: str
    port: int


class Owner(Protocol):
    """Owner of connections: called when they open, receive a message and close."""

    def opened(self, connection: "Connection") -> None:
        """Called when a connection can be written to."""

    def message_came(self, connection: "Connection", data: bytes) -> bool:
        """Called with each complete message; return whether it is served, not refused or dropped."""

    def serve(self) -> None:
        """Called after ``message_came`` was called with all messages of a turn."""

    def knows(self, connection: "Connection") -> bool:
        """Return whether the peer is a gateway or a registered user by now, and update ``connection.origin``."""

    def is_known(self, connection: "Connection") -> bool:
        """Return whether the peer is a gateway or a registered user now, also on a connection that we opened."""

    def has_call(self, connection: "Connection") -> bool:
        """Return whether the connection has brought one of the last messages of a call that has not ended."""

    def closed(self, connection: "Connection", why: str | None, *, in_doubt: bool) -> None:
        """Called when a connection is closed; ``why`` is given where its peer misbehaved.

        ``in_doubt``: the bytes sent last may not have been delivered.
        """


class Framer(Protocol):
    """Cuts what a connection brings into messages: ``StreamFramer`` or ``WebSocketFramer``."""

    lost: str | None
    """Why nothing more can be read."""
    has_more: bool
    """Whether ``feed`` may return further messages without further bytes."""
    is_websocket: bool

    @property
    def idle_frames(self) -> int:
        """Number of keep-alives and short frames beyond messages, in the last call of ``feed``."""

    @property
    def is_ready(self) -> bool:
        """Return whether messages can be sent."""

    @property
    def is_over(self) -> bool:
        """Return whether the peer has closed in the way of the protocol."""

    @property
    def is_amid_message(self) -> bool:
        """Return whether a message has begun and not ended."""

    def feed(self, data: bytes) -> list[bytes]:
        """Add received bytes; return messages completed by now, so few that a turn of the event loop stays short."""

    def take_pings(self) -> int:
        """Return the number of keep-alives of the peer since the last call."""

    def take_pong(self) -> bool:
        """Return whether a keep-alive of ours was answered since the last call."""

    def answer(self, pings: int) -> bytes:
        """Return the bytes that the peer is owed, with answers to so many keep-alives."""

    def framed(self, message: bytes) -> bytes:
        """Return the bytes of a message to send."""

    def ping(self) -> bytes:
        """Return the bytes of a keep-alive of ours."""

    def expect_no_pong(self) -> None:
        """Take nothing received from now on for the answer to it."""

    def closing_bytes(self) -> bytes:
        """Return the last bytes of a connection that we close."""


class NamedUse:
    """The use of a connection for vendors whose names lead to its place."""

    def __init__(self) -> None:
        self.name = ""
        """The vendor's name that it was opened for; empty = none is known."""
        self.is_further = False
        """Whether it was opened for that name beside an open one, which is another vendor's."""
        self.names: set[str] = set()
        """Names whose messages it carried: an empty one for requests without one, ``OF_RESPONSES`` for responses."""
        self.branches: OrderedDict[str, None] = OrderedDict()
        """Branches of requests on it, where another connection is with its place or may come to be, the latest last."""

    def note(self, branch: str) -> None:
        """Note a request on it: its responses, or its CANCEL and ACK, take the same connection."""
        self.branches[branch] = None
        if len(self.branches) > BRANCHES_MAX:
            self.branches.popitem(last=False)


class Connection(asyncio.Protocol):
    """One open connection."""

    _tls: TlsBytes | None = None
    """The bytes that came over TLS; None = it has no TLS."""

    def __init__(
        self,
        peer: PeerEnd,
        origin: ConnectionOrigin,
        owner: Owner,
        framer: Framer,
        patience: ConnectionLimits,
        turns: StreamTurns,
    ) -> None:
        self.peer, self.use = peer, NamedUse()
        """The other end, and the vendors there that it is used for."""
        self.origin = origin
        self._owner = owner
        self._framer, self.is_websocket = framer, framer.is_websocket
        self._patience = patience
        self._turns = turns
        self._source = source_of(peer.host)
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        """None before it is connected and after it is lost."""
        self.was_made = False
        """Whether ``owner.opened`` was called; only then ``owner.closed`` will be."""
        self._timer: asyncio.TimerHandle | None = None
        self._wakes_at = 0.0
        """Time of the timer. It cannot be asked: for a time that is over, uvloop gives a handle without ``when``."""
        self._proven_at = self._busy_at = self._began_at = self._loop.time()
        """Time at which it was made, or its call was found running; time of the last byte in either direction (from an
        unknown source: of the last complete message); time at which the unfinished message began, or the connection.
        """
        self._awaits_message = not origin.is_ours
        """Whether the peer connected and has sent no message yet: a bare connection keeps its slot for ``MESSAGE_S``
        only.

        From a known source a keep-alive counts as a message.
        """
        self.calls: set[str] = set()
        """Our tags of the dialogs that keep the connection of an unknown source (``FarEnds``)."""
        self.has_had_call = False
        """Whether a dialog has kept it at any time."""
        self._sent_last = False
        """Whether we sent something after the last byte received."""
        self._is_ending = False
        """Whether we have begun to close: the transport reports it only later."""
        self._is_held = False
        """Whether it is not read from, because received bytes are left for a later turn of the event loop."""
        self._unread = b""
        """Received bytes that the framer has not got yet."""
        self._idle_frames = Bucket(IDLE_FRAMES_AT_ONCE, self._busy_at)
        self._why: str | None = None
        self._is_cut = False
        """Whether we aborted it with bytes still unsent."""
        self._is_in_doubt = False
        """Whether it was lost, and the bytes sent last may not have been delivered."""
        self.received_ms = 0
        """Time of the last byte of the peer."""
        self.was_left = False
        """Whether its peer had closed it before this process began to accept: no caller waits on it."""
        self.came_at = 0.0
        """Time at which the bytes came that were read last, where they waited for this process to start, or while it
        stood still; 0 = they did not."""
        self.waiting_bytes = 0
        """Number of bytes that waited for its start and were not read yet."""
        self.has_alias = False
        """Whether it is used for requests to another port of its peer (RFC 5923)."""
        self.has_answered = False
        """Whether the peer has answered a keep-alive of ours."""

    async def set_up(self, work: Coroutine[Any, Any, object]) -> None:
        """Have the event loop set it up; where that is given up, it is lost, also if it was made a moment before.

        uvloop closes such a connection without a call of ``connection_lost``.
        """
        try:
            await work
        except BaseException:
            self.connection_lost(None)
            raise

    @property
    def is_open(self) -> bool:
        """Return whether bytes sent now can still arrive."""
        transport = self._transport
        return transport is not None and not self._is_ending and not transport.is_closing() and self._framer.is_ready

    @property
    def certificate(self) -> Mapping[str, Any] | None:
        """Return the verified certificate of the peer, as ``ssl`` describes it; empty or None without one."""
        return None if self._transport is None else self._transport.get_extra_info("peercert")

    @property
    def is_ending(self) -> bool:
        """Return whether we have begun to close it."""
        return self._is_ending

    def send(self, data: bytes) -> None:
        """Write; abort the connection if the peer does not read."""
        self._busy_at = self._loop.time()
        self._write(self._framer.framed(data))

    @property
    def opened_to(self) -> tuple[str, int] | None:
        """The address that we have opened the connection to; None = its peer has opened it."""
        return self.peer if self.origin.is_ours else None

    @property
    def is_fresh_without_word(self) -> bool:
        """Return whether we have opened it less than ``AT_ONCE_S`` ago and its peer has sent nothing on it."""
        return self.origin.is_ours and not self.received_ms and self._loop.time() - self._began_at < AT_ONCE_S

    @property
    def has_unread(self) -> bool:
        """Return whether received bytes wait for their turn, behind which none is read."""
        return self._is_held

    @property
    def is_unused(self) -> bool:
        """Return whether it has carried no message for ``UNUSED_S``."""
        return self._loop.time() - self._busy_at >= UNUSED_S

    def wants_pings(self) -> bool:
        """Return whether keep-alives of ours are sent: the peer is a gateway or a registered user."""
        return self.is_open and self._owner.knows(self) and self._owner.is_known(self)

    def ping(self) -> None:
        """Send a keep-alive (RFC 5626 section 4.4.1). It says nothing about the arrival of the message before it."""
        sent_last = self._sent_last
        self._write(self._framer.ping())
        self._sent_last = sent_last

    def hold_up_to(self, size: int) -> None:
        """Have the kernel hold so many bytes that are not read yet."""
        sock = None if self._transport is None else self._transport.get_extra_info("socket")
        if sock is not None and sock.fileno() >= 0:
            sock.setsockopt(SOL_SOCKET, SO_RCVBUF, size)

    def expect_no_pong(self) -> None:
        """Take nothing received from now on for the answer to the last keep-alive: its time is over."""
        self._framer.expect_no_pong()

    def close(self, why: str | None = None) -> None:
        """Close after everything is written; ``why`` where the peer misbehaved."""
        if self._transport is None or self._is_ending:
            return
        self._write(self._framer.closing_bytes())
        if self.is_ending:  # the peer does not read
            return
        self._is_ending = True
        self._why = why
        self._transport.close()
        self._wake_at(self._loop.time() + CLOSE_S)

    def cut(self, why: str) -> None:
        """Abort at once."""
        if self._transport is not None:
            self._is_ending = self._is_cut = True
            self._why = self._why or why
            self._transport.abort()

    # -- asyncio.Protocol ---------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Register with the owner and start the timer."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's are no subclasses
        self.was_made = True
        if transport.get_extra_info("ssl_object") is not None:
            self._tls = TlsBytes(transport.get_extra_info("socket"))
        self._proven_at = self._busy_at = self._began_at = self._loop.time()
        self._wake_at(self._next_look(self._deadline()))
        self._owner.opened(self)

    def data_received(self, data: bytes) -> None:
        """Pass on messages that are complete by now, or in a later turn of the event loop."""
        if self.is_ending:
            return
        now = self._loop.time()
        if self._tls is not None:
            self._tls.data += len(data)
        if self.waiting_bytes > 0:
            self.waiting_bytes -= len(data)
        else:
            self.came_at = self._came_at(now) if self._turns.stood_still(now) else 0.0
        self.received_ms = round(now * 1_000)
        self._sent_last = self._sent_last and not data
        if self._is_held:
            self._unread += data
        elif self._turns.may_pass():
            self._pass_on(data, now)
        else:
            self._unread = data
            self._hold()

    def _pass_on(self, data: bytes, now: float) -> None:
        """Pass on messages that are complete by now; go on in a later turn of the event loop if they are many."""
        framer = self._framer
        was_amid = framer.is_amid_message
        messages = framer.feed(data)
        pings, is_pong = framer.take_pings(), framer.take_pong()
        self.has_answered = self.has_answered or is_pong
        self._write(framer.answer(pings))
        served = 0
        for message in messages:
            served += self._owner.message_came(self, message)
            if self._is_ending:  # the owner closed it on an unknown source
                break
        if messages:
            self._owner.serve()
        if self._is_ending:
            return
        if framer.lost is not None or framer.is_over:
            self.close(framer.lost)
            return
        if framer.idle_frames and not self._idle_frames.take(
            framer.idle_frames, IDLE_FRAMES_PER_S, IDLE_FRAMES_AT_ONCE, now
        ):
            self.close("too many keep-alives or WebSocket frames without a message")
            return
        if framer.has_more:
            self._hold(is_refused=2 * served < len(messages))
        # Blank lines keep only the connection of a known source alive: any host can send them for ever.
        is_known = self.origin is not ConnectionOrigin.UNKNOWN or self._owner.knows(self)
        # An answer that we asked for keeps a connection of ours only while its peer is one that we mean to reach; no
        # bytes but messages keep one to a place that a peer has named.
        is_kept = is_known and self.origin is not ConnectionOrigin.ELSEWHERE
        if messages or (is_kept and not (is_pong and not self._owner.is_known(self))):
            self._busy_at = now
        if messages or (pings and is_known):
            self._awaits_message = False
        if messages or not (was_amid or self._awaits_message):
            self._began_at = now
        self._wake_by(self._deadline())

    def _came_at(self, now: float) -> float:
        """Return when the kernel got the latest bytes, if that is so long ago that this process stood still, else 0."""
        sock = None if self._transport is None else self._transport.get_extra_info("socket")
        if sock is None:
            return 0.0
        _, ms_ago = LAST_RECEIVED.unpack(sock.getsockopt(IPPROTO_TCP, TCP_INFO, LAST_RECEIVED.size))
        return now - ms_ago / 1_000 if ms_ago > 1_000 * LATE_S else 0.0

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the owner that the connection is gone, after the messages of a known source that were received."""
        if self._transport is None:  # it was never made, or ``set_up`` has seen its end
            return
        self._transport = None
        if self._timer is not None:
            self._timer.cancel()
        # TCP accepts bytes that the peer never reads: after our last message only a byte from the peer shows that it
        # arrived. The core then sends what it must over another connection.
        self._is_in_doubt = exc is not None or self._is_cut or (self._sent_last and not self._is_ending)
        if not self._is_held or self._is_ending or self.origin is ConnectionOrigin.UNKNOWN:
            self._is_held = False
            self._owner.closed(self, self._why, in_doubt=self._is_in_doubt)

    def go_on(self) -> None:
        """Pass on further messages that were received before."""
        if self._is_held:
            self._is_held = False
            data, self._unread = self._unread, b""
            try:
                if not self.is_ending:
                    self._pass_on(data, self._loop.time())
            finally:
                self._release()

    def drop_if_closed(self) -> bool:
        """Drop what was received and was not passed on if the peer has closed; return whether nothing is left.

        Such a peer sends more than can be served.
        """
        if not self._is_held:
            return True
        if self._transport is None:
            self._is_held = False
            self._release()
            return True
        # Below TLS the socket is gone a turn of the event loop before ``connection_lost`` is called.
        sock = self._transport.get_extra_info("socket")
        if sock is not None and sock.getsockopt(IPPROTO_TCP, TCP_INFO, 1)[0] == _ESTABLISHED:
            return False
        self.cut("the peer has closed and left more than could be served")
        return True

    def _hold(self, *, is_refused: bool = False) -> None:
        """Read no more until what is left of the received bytes was passed on in later turns of the event loop.

        ``is_refused``: most of its messages were, so it has to rest.
        """
        self._is_held = True
        if self._transport is not None:
            self._transport.pause_reading()
        (self._turns.rest if is_refused else self._turns.wait)(self._source, self)

    def _release(self) -> None:
        """Read again, or report the loss of the connection, once nothing is left of the received bytes."""
        if self._is_held:
            return
        if self._transport is None:
            self._owner.closed(self, self._why, in_doubt=self._is_in_doubt)
        elif not self._is_ending:
            self._transport.resume_reading()

    def _write(self, data: bytes) -> None:
        """Write, and abort if the peer does not read."""
        transport = self._transport
        if transport is None or self._is_ending or not data:
            return
        transport.write(data)
        self._sent_last = True
        if transport.get_write_buffer_size() > UNREAD_BYTES_MAX:
            self.cut("the peer does not read")

    def _break_off(self) -> None:
        """Abort a closing connection after ``CLOSE_S``: the peer does not read, or sends no TLS close_notify."""
        transport = self._transport
        if transport is not None and transport.get_write_buffer_size():
            self.cut("the peer does not read")
        elif transport is not None:
            transport.abort()

    # -- time ---------------------------------------------------------------------------------------------------

    def _deadline(self) -> float:
        """Return when the current time limit ends."""
        if self._framer.is_amid_message or self._awaits_message:
            return self._began_at + MESSAGE_S
        ends = self._busy_at + self._patience.idle_ms / 1000
        if self.origin is ConnectionOrigin.UNKNOWN:
            return min(ends, self._proven_at + PROOF_S)
        return min(ends, self._busy_at + ELSEWHERE_S) if self.origin is ConnectionOrigin.ELSEWHERE else ends

    def _next_look(self, deadline: float) -> float:
        """Return when the timer fires: at a deadline, or before it for the next look at the bytes of TLS."""
        if self._tls is None:
            return deadline
        return min(deadline, self._loop.time() + (UNKNOWN_LOOK_S if self._is_unknown else LOOK_S))

    def _has_too_much_tls(self) -> bool:
        """Return whether the peer sends no data, but changes of its keys."""
        if self._tls is None or self._is_held:  # nothing is read, and what waits is no data yet
            return False
        return self._tls.has_too_many(is_unknown=self._is_unknown)

    @property
    def _is_unknown(self) -> bool:
        return self.origin is ConnectionOrigin.UNKNOWN

    def _wake_by(self, deadline: float) -> None:
        """Set the timer if the deadline is earlier than the timer's; a later one is found when the timer fires."""
        is_late = self._timer is None or self._wakes_at > deadline
        if is_late and self._transport is not None and not self._is_ending:
            self._wake_at(deadline)

    def _wake_at(self, at: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer, self._wakes_at = self._loop.call_at(at, self._check_deadline), at

    def _check_deadline(self) -> None:
        """Close the connection if its time limit has passed, else set the timer again."""
        if self._is_ending:
            self._break_off()
            return
        if not self._owner.knows(self) and self._owner.has_call(self):
            self._proven_at = self._loop.time()
        deadline = self._deadline()
        if self._has_too_much_tls():
            self.cut("more of TLS than of messages")
        elif self._loop.time() < deadline:
            self._wake_at(self._next_look(deadline))
        elif self._is_held and (self._framer.is_amid_message or self._awaits_message):
            self._wake_at(self._loop.time() + MESSAGE_S)  # the rest of the message may be among the received bytes
        elif self._framer.is_amid_message:
            self.cut("a message came too slowly")
        elif self._awaits_message:
            self.cut("no message came")
        else:
            is_unproven = self.origin is ConnectionOrigin.UNKNOWN and not self.has_had_call
            self.close("the peer has not authenticated" if is_unproven else None)
