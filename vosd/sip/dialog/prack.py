"""A provisional response that must arrive: repeated until its PRACK comes (RFC 3262 section 3)."""

import re
from typing import Final, NamedTuple

from vosd.base.clock import Instant
from vosd.sip.events import ProvisionalUnacknowledged
from vosd.sip.owners import ProvisionalOwner
from vosd.sip.transaction.retry import Pace, Retry
from vosd.sip.transaction.store import TransactionStore
from vosd.sip.wire.compose import Peer
from vosd.sip.wire.errors import ParseError
from vosd.sip.wire.message import Request, Response

_RACK: Final = re.compile(r"(\d{1,10})\s+(\d{1,10})\s+INVITE\Z", re.ASCII)


class Rack(NamedTuple):
    """Which provisional response a PRACK acknowledges: its RSeq, and the CSeq of the INVITE."""

    response: int
    invite: int

    @classmethod
    def of(cls, request: Request) -> "Rack":
        """Read a PRACK's RAck.

        Raises:
            ParseError: 400.
        """
        match = _RACK.match(request.header("rack") or "")
        if not match:
            raise ParseError(400, "Bad RAck", request)
        return cls(int(match[1]), int(match[2]))


def rseq_of(response: Response) -> int | None:
    """Return the number of a provisional response that wants a PRACK; None for one that does not."""
    value = response.header("rseq")
    if value is None or response.status == 100:
        return None
    if not (value.isascii() and value.isdigit() and len(value) <= 10):
        return None
    if "100rel" not in (tag.lower() for tag in response.headers("require")):
        return None
    return int(value)


class ReliableProvisional:
    """The wait for one PRACK."""

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
        """Whether it carries a session description: then no 2xx may overtake it."""
        self._retry = Retry(store, self, peer, data, Pace.PROVISIONAL, now)

    def stop(self) -> None:
        """The PRACK came, or nobody needs it any more."""
        self._retry.stop(self)

    def transport_failed(self, now: Instant) -> None:
        """The connection is gone: it is repeated on a new one, as far as the peer can be reached."""

    def timer_due(self, now: Instant) -> ProvisionalUnacknowledged | None:
        """Send it again, or report that nobody hears it."""
        return None if self._retry.due(self, now) else ProvisionalUnacknowledged(self._owner, now)
