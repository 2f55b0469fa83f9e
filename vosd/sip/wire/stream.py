"""Split a byte stream into messages (RFC 3261 section 18.3), and count keep-alives (RFC 5626 section 4.4.1).

Owns where a message ends; does not read its content. After a framing error the stream is useless, and the owner closes
the connection.
"""

import re
from typing import Final

from vosd.sip.settings import Limits
from vosd.sip.wire.grammar import TOKEN

PING: Final = b"\r\n\r\n"
"""A keep-alive."""
PONG: Final = b"\r\n"
"""The answer to one keep-alive."""
MESSAGES_AT_ONCE: Final = 16
"""Most messages that one call of ``feed`` returns."""

_HEAD_END: Final = b"\r\n\r\n"
_BLANK_LINES: Final = re.compile(rb"(?:\r\n)+")
_START_LINE: Final = re.compile(rf"(?:SIP/\d+\.\d+ \d|{TOKEN} [^\r\n]+ SIP/\d+\.\d+ *\r?\n)".encode(), re.IGNORECASE)
_FIRST_WORD: Final = re.compile(rf"{TOKEN}(?:[ /]|\Z)".encode())
_LENGTH: Final = re.compile(
    rb"^(?:Content-Length|l)[ \t]*:([^\r\n]*(?:\r?\n[ \t][^\r\n]*)*)", re.IGNORECASE | re.MULTILINE
)
_LENGTH_DIGITS_MAX: Final = 9
_TYPE: Final = re.compile(rb"^(?:Content-Type|c)[ \t]*:", re.IGNORECASE | re.MULTILINE)


class StreamFramer:
    """Framer of one direction of one connection; its memory is bounded by ``limits.max_message_bytes`` and one read.

    Time is linear in the bytes received, however they are split.
    """

    __slots__ = (
        "_awaits_pong", "_blank_lines", "_free_pings", "_has_pong", "_has_start_line", "_is_behind_message", "_length",
        "_limits", "_pending", "_pings", "_searched", "has_more", "idle_frames", "lost",
    )  # fmt: skip

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._pending = bytearray()
        self._searched = 0
        """Leading bytes of ``_pending`` that are known not to contain the end of the head."""
        self._has_start_line = False
        """Whether ``_pending`` is known to begin with SIP."""
        self._length = 0
        """Length of the message at the start of ``_pending``; 0 until its head is complete."""
        self._blank_lines = 0
        """Blank lines since the last message that do not form a keep-alive yet."""
        self._is_behind_message = False
        """Whether a message was completed by the bytes that were added last."""
        self._pings = 0
        self._free_pings = 0
        """Messages without a keep-alive behind them, ``MESSAGES_AT_ONCE`` at most: some peers send one after each."""
        self._awaits_pong = False
        """Whether a keep-alive of ours is unanswered: then an odd blank line is its answer."""
        self._has_pong = False
        self.lost: str | None = None
        """Why the stream cannot be read any further."""
        self.has_more = False
        """Whether ``feed`` may return further messages without further bytes."""
        self.idle_frames = 0
        """Keep-alives beyond one for each message, in the last call of ``feed``."""

    is_ready = True
    """Messages can be sent from the beginning on."""
    is_over = False
    """A stream has no end but that of its connection."""
    is_websocket = False

    def feed(self, data: bytes) -> list[bytes]:
        """Add received bytes; return the messages completed by now, as one datagram would hold each.

        After ``MESSAGES_AT_ONCE`` of them ``has_more`` is set: the rest follows when it is called again, with no bytes.
        Of a message with a framing error the head is returned if the sender deserves an answer.
        """
        if self.lost is not None:
            return []
        self._pending += data
        if data:
            self._is_behind_message = False
        messages = []
        pings = self._pings
        while self._pending and (message := self._cut()) is not None:
            messages.append(message)
            if len(messages) == MESSAGES_AT_ONCE:
                break
        self.has_more = len(messages) == MESSAGES_AT_ONCE and len(self._pending) > 0
        left = min(self._free_pings + len(messages), MESSAGES_AT_ONCE) - (self._pings - pings)
        self._free_pings, self.idle_frames = max(0, left), max(0, -left)
        return messages

    def take_pings(self) -> int:
        """Return the number of keep-alives since the last call: each needs a ``PONG``."""
        pings, self._pings = self._pings, 0
        return pings

    def answer(self, pings: int) -> bytes:
        """Return the bytes that the peer is owed."""
        return PONG * pings

    def framed(self, message: bytes) -> bytes:
        """Return the bytes of a message to send."""
        return message

    def ping(self) -> bytes:
        """Return the bytes of a keep-alive of ours; the next single blank line is its answer, not half of another."""
        self._awaits_pong = True
        self._blank_lines = 0
        return PING

    def expect_no_pong(self) -> None:
        """Take a single blank line for half of a keep-alive of the peer again: the time for an answer is over."""
        self._awaits_pong = False

    def closing_bytes(self) -> bytes:
        """Return the last bytes of a connection that we close."""
        return b""

    def take_pong(self) -> bool:
        """Return whether a keep-alive of ours was answered since the last call."""
        has_pong, self._has_pong = self._has_pong, False
        return has_pong

    @property
    def is_amid_message(self) -> bool:
        """Return whether a message has begun and not ended."""
        return bool(self._pending)

    def _cut(self) -> bytes | None:
        """Return the next message; None until more bytes arrive."""
        pending = self._pending
        if not self._length:
            self._skip_blank_lines()
            head_end = pending.find(_HEAD_END, self._searched)
            if head_end < 0:
                self._searched = max(0, len(pending) - len(_HEAD_END) + 1)
                return self._judge_unfinished()
            self._measure(head_end + len(_HEAD_END))
        length = self._length
        if not length or len(pending) < length:
            return None
        message = bytes(pending[:length])
        del pending[:length]
        self._length = self._searched = 0
        self._has_start_line = False
        self._is_behind_message = True
        if self.lost is not None:
            # The message was cut at its head; the bytes after it cannot be separated from a body.
            pending.clear()
        return message

    def _skip_blank_lines(self) -> None:
        pending = self._pending
        blank = _BLANK_LINES.match(pending)
        if blank:
            pings, self._blank_lines = divmod(self._blank_lines + blank.end() // 2, 2)
            # A line that came in one piece with the message before it is the end of that: some senders add one.
            if self._blank_lines and self._awaits_pong and not self._is_behind_message:
                self._awaits_pong, self._has_pong, self._blank_lines = False, True, 0
            self._pings += pings
            del pending[: blank.end()]
            self._searched = 0
        # A single CR may be the first half of the next blank line (RFC 5626 section 4.4.1: a ping is CRLF CRLF).
        if pending and pending != b"\r":
            self._blank_lines = 0

    def _judge_unfinished(self) -> bytes | None:
        """Give up a stream as soon as no message of an allowed size can result from it."""
        pending, limits = self._pending, self._limits
        if not self._has_start_line and pending and pending != b"\r":
            self._has_start_line = pending.find(b"\n", 0, limits.max_line_chars) >= 0
            if not (_START_LINE if self._has_start_line else _FIRST_WORD).match(pending):
                self._lose("no SIP")
            elif not self._has_start_line and len(pending) > limits.max_line_chars:
                self._lose("start line too long")
        if len(pending) <= limits.max_message_bytes:
            return None
        oversized = bytes(pending)  # longer than allowed: the parser refuses it with 513
        self._lose("message too large")
        return oversized

    def _measure(self, head_bytes: int) -> None:
        """Compute the length of the message from its head."""
        pending = self._pending
        if not self._has_start_line and not _START_LINE.match(pending):
            self._lose("no SIP")
            return
        lengths = _LENGTH.findall(pending, 0, head_bytes)
        if not lengths and _TYPE.search(pending, 0, head_bytes):
            self._lose("a body without Content-Length")  # the head alone would be another message than was sent
            return
        length = lengths[0].strip() if lengths else b"0"
        self._length = head_bytes
        # Two lengths would let two parsers see two different messages (request smuggling): no later byte is used.
        if len(lengths) > 1 or not length.isdigit() or len(length) > _LENGTH_DIGITS_MAX:
            self.lost = "Content-Length cannot be read"
        elif head_bytes + int(length) > self._limits.max_message_bytes:
            self.lost = "message too large"
        else:
            self._length += int(length)

    def _lose(self, why: str) -> None:
        self.lost = why
        self._pending.clear()
