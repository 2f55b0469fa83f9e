"""Retransmission of a reliable provisional response until its PRACK arrives (RFC 3262 section 3)."""

from typing import Generic

import msgspec

from vosd.base.clock import Instant
from vosd.sip.events import ProvisionalUnacknowledged
from vosd.sip.forms import RetryT
from vosd.sip.owners import ProvisionalOwner
from vosd.sip.transaction.pace import OF_PROVISIONAL
from vosd.sip.transaction.retry import Retry
from vosd.sip.transaction.server import InviteServer
from vosd.sip.wire.message import Response
from vosd.sip.wire.outgoing import over_connection


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


class ReliableState(msgspec.Struct, Generic[RetryT], array_like=True):
    """The wait for the PRACK of one provisional response."""

    number: int
    """The RSeq."""
    has_session: bool
    """Whether it has a session description: then no 2xx may be sent before its PRACK (RFC 3262 section 3)."""
    retry: RetryT | None = None
    """The response; None = it has not been sent."""


class ReliableProvisional(ReliableState[Retry], eq=False, kw_only=True):
    """The wait of this process."""

    owner: ProvisionalOwner
    is_wanted: bool = True
    """Whether a PRACK is waited for."""

    def begin(self, transaction: InviteServer, status: int, tag: str, headers: str, body: bytes, now: Instant) -> None:
        """Answer the INVITE with this response, and retransmit it until its PRACK."""
        data = transaction.prepare(status, tag, headers, body)
        self.retry = Retry(transaction.store, transaction.stem.peer, data)
        self.retry.begin(self, OF_PROVISIONAL, now)

    def stop(self) -> None:
        """Stop: the PRACK has arrived, or is not needed any more."""
        self.is_wanted = False
        if self.retry is not None:
            self.retry.stop(self)

    def transport_failed(self, now: Instant) -> None:
        """Do nothing: the next retransmission opens a connection, if the peer accepts one."""

    def timer_due(self, now: Instant) -> ProvisionalUnacknowledged | None:
        """Retransmit the response, or report that there was no PRACK in time."""
        if self.retry is not None:
            self._follow(self.retry)
            if not self.retry.due(self, now):
                return ProvisionalUnacknowledged(self.owner, now)
        return None

    def _follow(self, retry: Retry) -> None:
        """Retransmit over the connection on which a user behind NAT has registered since, as responses go."""
        after = None if self.owner.dialog is None else self.owner.dialog.moved_over(retry.sent.peer)
        if after is not None and retry.is_reliable:
            retry.move(self, over_connection(retry.sent, after))
