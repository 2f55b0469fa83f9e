"""Responses to a caller that wait for PRACKs, in order (RFC 3262 section 3).

One reliable response is repeated at a time: a peer that missed one RSeq discards all higher ones.
"""

from typing import Final

from vosd.sip.dialog.prack import ReliableProvisional
from vosd.sip.wire.message import Message

WAITING_MAX: Final = 8
"""Provisional responses that wait for the PRACK of the one before."""


class PrackQueue:
    """The reliable response that waits for its PRACK, and the responses that follow it."""

    __slots__ = ("answer", "rings", "unacknowledged")

    def __init__(self) -> None:
        self.unacknowledged: ReliableProvisional | None = None
        """The response that is repeated until its PRACK."""
        self.rings: list[tuple[int, bytes, Message | None]] = []
        """Later provisional responses: status, session, and the response that each forwards."""
        self.answer: bytes | None = None
        """Session of the 200, which waits for the PRACK of a response with a session."""

    @property
    def holds_answer(self) -> bool:
        """Whether a 200 has to wait: a session was sent, and its PRACK has not come."""
        return self.unacknowledged is not None and self.unacknowledged.has_session

    def add(self, status: int, session: bytes, forwarded: Message | None) -> None:
        """Queue a provisional response until the PRACK before; a full queue drops the oldest without SDP."""
        rings = self.rings
        if rings and rings[-1][:2] == (status, session):
            return
        if len(rings) >= WAITING_MAX:
            rings.remove(next((each for each in rings if not each[1]), rings[0]))
        rings.append((status, session, forwarded))

    def take_answer(self) -> bytes | None:
        """Take out the answer, before which no provisional response is sent any more; None = there is none."""
        answer, self.answer = self.answer, None
        if answer is not None:
            self.rings.clear()
        return answer

    def next_ring(self) -> tuple[int, bytes, Message | None] | None:
        """Take out the next provisional response; None = there is none, or one waits for its PRACK."""
        return self.rings.pop(0) if self.rings and self.unacknowledged is None else None

    def stop(self) -> int | None:
        """Repeat nothing any more and send nothing of the queue; return the RSeq that was repeated, if there is one."""
        unacknowledged, self.unacknowledged, self.answer = self.unacknowledged, None, None
        self.rings.clear()
        if unacknowledged is None:
            return None
        unacknowledged.stop()
        return unacknowledged.number
