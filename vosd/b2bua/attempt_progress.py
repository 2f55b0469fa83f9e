"""Progress of an attempt at a gateway, as the journal keeps it."""

import msgspec

from vosd.base.clock import Instant
from vosd.trunks.gateways import RoutingGateway


class AttemptProgress(msgspec.Struct, omit_defaults=True):
    """Facts of one attempt: a field of it is written to snapshots and read from them without another line."""

    started_at: Instant
    rang: bool = False
    rang_at: Instant | None = None
    """Time of the first 18x or 200."""
    tried_at: Instant | None = None
    """Time of the first provisional response that was not a 18x."""
    q850: int | None = None
    """The cause that the gateway gave for its refusal."""
    product: str | None = None
    """Server or User-Agent header of the gateway, where other attempts are in progress beside it."""
    is_settled: bool = False
    """Whether offer and answer were exchanged before the 200 (RFC 3262 section 5)."""
    acknowledged: bool = False
    """Whether the gateway's 200 has its ACK."""
    owed_rack: str = ""
    """RAck line of the PRACK that waited for the caller's answer when the gateway sent its 200."""
    newcomer: str = ""
    """The trunk or phone that has taken the place of the callee (RFC 3891): it has SIP settings of its own."""
    has_referred: bool = False
    """Whether a REFER has come in its dialog."""
    intervals_refused: int = 0
    """Number of 422 responses that were followed by an INVITE with a longer session interval."""
    has_left: bool = False
    """Whether the callee has transferred the call and left it: the leg has ended, and its caller talks to another."""

    @property
    def pdd_ms(self) -> int | None:
        """Milliseconds to the first 18x or 200; None while there is none."""
        return None if self.rang_at is None else self.rang_at.mono - self.started_at.mono

    def rings_until_ms(self, gateway: RoutingGateway) -> int:
        """Return the end of the trunk's ``ring_timeout``."""
        return self.started_at.mono + gateway.ring_timeout_ms

    def waits_until_ms(self, gateway: RoutingGateway) -> int:
        """Return the deadline of the attempt after a provisional response."""
        rings_until_ms = self.started_at.mono + gateway.ring_timeout_ms
        if self.rang or self.tried_at is None or gateway.progress_timeout_ms is None:
            return rings_until_ms
        return min(rings_until_ms, self.tried_at.mono + gateway.progress_timeout_ms)

    def is_only_trying(self, gateway: RoutingGateway) -> bool:
        """Return whether the gateway has sent 100 and nothing more, on a trunk with ``progress_timeout``."""
        return self.tried_at is not None and not self.rang and gateway.progress_timeout_ms is not None
