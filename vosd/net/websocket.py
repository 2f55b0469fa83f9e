"""SIP over WebSocket (RFC 7118): one message in each WebSocket message, by the sans-I/O protocol of ``websockets``.

Takes the place of ``StreamFramer`` on a connection: bytes in, whole messages out. Only browsers and programs that
connect to us are served; we open no such connection. Compression is not negotiated, so a message costs its bytes.
"""

import logging
from collections.abc import Sequence
from typing import Final

from websockets.exceptions import InvalidOrigin
from websockets.frames import Frame, Opcode
from websockets.http11 import Request
from websockets.protocol import State
from websockets.server import ServerProtocol
from websockets.typing import Origin, Subprotocol

from vosd.net.settings import ANY_ORIGIN
from vosd.sip.settings import Limits
from vosd.sip.wire.stream import PING, PONG

_SUBPROTOCOL: Final = Subprotocol("sip")
_GOING_AWAY: Final = 1001
_INVALID_DATA: Final = 1007
HANDSHAKE_BYTES_MAX: Final = 16_384
"""Longest HTTP request of a handshake: its lists are read at once when it ends, and those of 900 kB took 0.5 s."""
SLICE_BYTES: Final = 512
"""Bytes that are parsed at a time: the smallest frame has 6, and costs as much as one of 500."""
FRAMES_AT_ONCE: Final = 16
"""No further bytes are parsed in the same call of ``feed`` after so many frames."""
IDLE_FRAME_BYTES: Final = 128
"""A frame that completes no message is counted if it is shorter: a ping, a keep-alive, a small fragment."""
_DATA: Final = frozenset({Opcode.TEXT, Opcode.BINARY, Opcode.CONT})
_quiet = logging.getLogger("vosd.net.websocket")
_quiet.setLevel(logging.ERROR)


class WebSocketFramer:
    """One WebSocket connection of a peer, from its HTTP request on.

    Its memory is bounded by the limit of a message and one read.
    """

    def __init__(self, limits: Limits, origins: Sequence[str]) -> None:
        """``origins``: those of the pages whose scripts may connect; a program that names none may always."""
        allowed = None if ANY_ORIGIN in origins else [*map(Origin, origins), None]
        self._protocol = ServerProtocol(
            origins=allowed, subprotocols=[_SUBPROTOCOL], max_size=limits.max_message_bytes, logger=_quiet
        )
        self._handshake_bytes = 0
        """Bytes that were parsed of the handshake."""
        self._unread = bytearray()
        """Received bytes that are not parsed yet."""
        self._pending = bytearray()
        """Fragments of a message that is not complete."""
        self._is_text = False
        """Whether that message, or the latest one, is text."""
        self._is_amid_message = False
        self._pings = 0
        self._has_pong = False
        self.is_websocket = True
        self.lost: str | None = None
        """Why the connection is of no use any more."""
        self.is_over = False
        """Whether the peer has closed it."""
        self.has_more = False
        """Whether received bytes are left to be parsed by the next call of ``feed``."""
        self.idle_frames = 0
        """Short frames that completed no message, in the last call of ``feed``."""

    @property
    def is_ready(self) -> bool:
        """Return whether messages can be sent: the handshake is complete, and neither side has closed."""
        return self._protocol.state is State.OPEN

    @property
    def is_amid_message(self) -> bool:
        """Return whether a handshake, a frame or a message has begun and not ended."""
        return self._is_amid_message

    def feed(self, data: bytes) -> list[bytes]:
        """Add received bytes; return the messages completed by now.

        Where ``has_more`` is set the rest follows when it is called again, with no bytes.
        """
        messages: list[bytes] = []
        unread, frames = self._unread, 0
        unread += data
        self.idle_frames = 0
        while unread and frames < FRAMES_AT_ONCE and self.lost is None and not self.is_over:
            piece = bytes(unread[:SLICE_BYTES])
            del unread[:SLICE_BYTES]
            frames += self._parse(piece, messages)
        self.has_more = len(unread) > 0
        return messages

    def _parse(self, data: bytes, messages: list[bytes]) -> int:
        """Parse bytes, add the messages that they complete, and return the number of frames."""
        protocol = self._protocol
        if protocol.state is State.CONNECTING:
            self._handshake_bytes += len(data)
            if self._handshake_bytes > HANDSHAKE_BYTES_MAX:
                self.lost = f"no WebSocket: a request of more than {HANDSHAKE_BYTES_MAX} bytes"
                return 0
        protocol.receive_data(data)
        events = protocol.events_received()
        for event in events:
            if isinstance(event, Request):
                self._protocol.send_response(self._protocol.accept(event))
            elif isinstance(event, Frame) and protocol.subprotocol is not None:
                message = self._take(event)
                if message:
                    messages.append(message)
                elif len(event.data) < IDLE_FRAME_BYTES:
                    self.idle_frames += 1
            if self.lost is not None:
                break
        self._is_amid_message = not events or bool(self._pending)
        if protocol.close_rcvd is not None:
            self.is_over = True
        elif protocol.parser_exc is not None:
            self.lost = f"no WebSocket any more: {type(protocol.parser_exc).__name__}"
        elif protocol.handshake_exc is not None and self.lost is None:
            self.lost = _refusal(protocol.handshake_exc)
        return len(events)

    def take_pings(self) -> int:
        """Return the number of keep-alives of the peer since the last call."""
        pings, self._pings = self._pings, 0
        return pings

    def take_pong(self) -> bool:
        """Return whether a keep-alive of ours was answered since the last call."""
        has_pong, self._has_pong = self._has_pong, False
        return has_pong

    def answer(self, pings: int) -> bytes:
        """Return the bytes that the peer is owed: the response to its handshake, pongs, a close frame."""
        del pings  # each is answered when it is read
        return b"".join(self._protocol.data_to_send())

    def framed(self, message: bytes) -> bytes:
        """Return the bytes of a message to send: a text message, as browsers expect, where it is UTF-8."""
        if _is_utf8(message):
            self._protocol.send_text(message)
        else:
            self._protocol.send_binary(message)
        return self.answer(0)

    def ping(self) -> bytes:
        """Return the bytes of a keep-alive of ours, which browsers answer by themselves."""
        if not self.is_ready:
            return b""
        self._protocol.send_ping(b"")
        return self.answer(0)

    def expect_no_pong(self) -> None:
        """Do nothing: a pong of a WebSocket is nothing else, however late."""

    def closing_bytes(self) -> bytes:
        """Return the last bytes of a connection that we close."""
        if not self.is_ready:
            return b""
        self._protocol.send_close(_GOING_AWAY)
        return self.answer(0)

    def _take(self, frame: Frame) -> bytes | None:
        """Take a frame; return the message that it completes."""
        if frame.opcode is Opcode.PING:
            self._pings += 1
        elif frame.opcode is Opcode.PONG:
            self._has_pong = True
        if frame.opcode not in _DATA:
            return None
        if frame.opcode is not Opcode.CONT:
            self._is_text = frame.opcode is Opcode.TEXT
        if not frame.fin:
            self._pending += frame.data
            return None
        message = bytes(self._pending) + bytes(frame.data)
        self._pending.clear()
        if self._is_text and not _is_utf8(message):
            self._protocol.fail(_INVALID_DATA)  # RFC 6455 section 8.1
            self.lost = "no WebSocket any more: text that is not UTF-8"
            return None
        return self._without_blank_lines(message)

    def _without_blank_lines(self, message: bytes) -> bytes:
        """Answer a keep-alive of blank lines (RFC 5626 section 4.4.1), which libraries for browsers send, too."""
        text = message.lstrip(PONG)
        if not text and message.startswith(PING):
            self._pings += 1
            if self.is_ready:  # a Close of the peer may stand behind it in what was received
                self._protocol.send_text(PONG)
        return text


def _is_utf8(message: bytes) -> bool:
    try:
        message.decode()
    except UnicodeDecodeError:
        return False
    return True


def _refusal(error: Exception) -> str:
    if isinstance(error, InvalidOrigin):
        return "the Origin of a WebSocket is none of sip.websocket.origins"
    return f"no WebSocket: {type(error).__name__}"
