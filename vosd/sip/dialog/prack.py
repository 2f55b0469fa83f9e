"""Retransmission of a reliable provisional response until its PRACK arrives (RFC 3262 section 3)."""

import re
from typing import Final, NamedTuple

from vosd.base.clock import Instant
from vosd.sip.events import ProvisionalUnacknowledged
from vosd.sip.owners import ProvisionalOwner
from vosd.sip.transaction.retry import OF_PROVISIONAL, Retry
from vosd.sip.transaction.store import TransactionStore
from vosd.sip.wire.compose import Peer
from vosd.sip.wire.errors import ParseError
from vosd.sip.wire.flaws import Flaw
from vosd.sip.wire.message import Request, Response

_RACK: Final = re.compile(r"(\d{1,10})\s+(\d{1,10})\s+INVITE\Z", re.ASCII)


class Rack(NamedTuple):
    """The provisional response that a PRACK acknowledges: its RSeq, and the CSeq of the INVITE."""

    response: int
    invite: int

    @classmethod
    def of(cls, request: Request) -> "Rack":
        """Read the RAck of a PRACK.

        Raises:
            ParseError: 400.
        """
        match = _RACK.match(request.header("rack") or "")
        if not match:
            raise ParseError(400, Flaw.BAD_RACK, request)
        return cls(int(match[1]), int(match[2]))


def rseq_of(response: Response) -> int | None:
    """Return the RSeq of a reliable provisional response; None for a response that requires no PRACK."""
    value = response.header("rseq")
    if value is None or response.status == 100:
        return None
    if not (value.isascii() and value.isdigit() and len(value) <= 10):
        return None
    if "100rel" not in (tag.lower() for tag in response.headers("require")):
        return None
    return int(value)


class ReliableProvisional:
    """Wait for the PRACK of one provisional response."""

    __slots__ = ("_owner", "_retry", "has_session", "number")

    def __init__(
        self,
        store: TransactionStore,
        peer: Peer,
        data: bytes,
        number: int,
        owner: ProvisionalOwner,
        now: Instant,
        *,
        has_session: bool,
    ) -> None:
        self._owner = owner
        self.number = number
        self.has_session = has_session
        """Whether it has a session description: then no 2xx may be sent before its PRACK (RFC 3262 section 3)."""
        self._retry = Retry(store, self, peer, data, OF_PROVISIONAL, now)

    def stop(self) -> None:
        """Stop: the PRACK has arrived, or is not needed any more."""
        self._retry.stop(self)

    def transport_failed(self, now: Instant) -> None:
        """Do nothing: the next retransmission opens a connection, if the peer accepts one."""

    def timer_due(self, now: Instant) -> ProvisionalUnacknowledged | None:
        """Retransmit the response, or report that there was no PRACK in time."""
        return None if self._retry.due(self, now) else ProvisionalUnacknowledged(self._owner, now)
