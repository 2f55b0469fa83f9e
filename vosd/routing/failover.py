"""What a failed attempt means: is the next gateway tried, and what is the caller told in the end.

Owns the rules of INTERFACES section 6 (RTE-40, RTE-41). How many attempts a call may make, and until when, is
the engine's affair.
"""

from collections.abc import Sequence
from enum import Enum
from typing import Final, NamedTuple

from vosd.base.cause import EndReason
from vosd.trunks.gateways import RoutingGateway


class AttemptEnd(Enum):
    """How an attempt came to its end without an answer."""

    FINAL = "final"
    """A final response came."""
    SILENT = "silent"
    """No response of any kind within ``response_timeout``, or the gateway could not be reached."""
    RING_TIMEOUT = "ring timeout"
    """No final response within ``ring_timeout``."""


class AttemptOutcome(NamedTuple):
    """The end of one attempt; made by ``final``, ``silent`` or ``ring_timeout``."""

    end: AttemptEnd
    code: int
    """The gateway's final code; 0 = it gave none."""
    rang: bool
    """A 18x had come."""
    q850: int | None = None
    """The cause that the gateway gave with its code (RFC 6432)."""
    text: str | None = None
    """What it said beside."""

    @classmethod
    def final(
        cls, code: int, *, rang: bool = False, q850: int | None = None, text: str | None = None
    ) -> "AttemptOutcome":
        """Describe an attempt that a final code of 300 or above ended."""
        return cls(AttemptEnd.FINAL, code, rang, q850, text)

    @classmethod
    def silent(cls) -> "AttemptOutcome":
        """Describe an attempt that nobody responded to."""
        return cls(AttemptEnd.SILENT, 0, rang=False)

    @classmethod
    def ring_timeout(cls, *, rang: bool) -> "AttemptOutcome":
        """Describe an attempt that was given up for want of a final response."""
        return cls(AttemptEnd.RING_TIMEOUT, 0, rang)


class Verdict(NamedTuple):
    """What a call without answer ends with: the CDR's reason and the status for the caller."""

    reason: EndReason
    status: int
    q850: int | None = None
    """The cause that the gateway gave."""
    text: str | None = None
    """What it said beside."""


_FAILOVER_CODES: Final = frozenset({401, 402, 403, 404, 407, 408, 480, 488, *range(500, 600)})

_REASON_OF_CODE: Final = {
    486: EndReason.BUSY,
    600: EndReason.BUSY,
    403: EndReason.REJECTED,
    603: EndReason.REJECTED,
    404: EndReason.NOT_FOUND,
    410: EndReason.NOT_FOUND,
    604: EndReason.NOT_FOUND,
}

_ORDER_OF_REASONS: Final = (
    EndReason.BUSY,
    EndReason.NO_ANSWER,
    EndReason.REJECTED,
    EndReason.NOT_FOUND,
    EndReason.UNAVAILABLE,
)

OUR_CREDENTIALS: Final = frozenset({401, 402, 407})
"""A vendor's quarrel with us: the caller can do nothing about it and shall not see it."""
OURS_TO_SETTLE: Final = OUR_CREDENTIALS | {420, 421, 422, 423, 489, 494}
"""The same, with what a vendor wants of our own requests: extensions, intervals. The header that says it stays here."""


def tries_next(gateway: RoutingGateway, outcome: AttemptOutcome) -> bool:
    """Say whether the next gateway is tried after ``outcome`` on ``gateway``."""
    match outcome.end:
        case AttemptEnd.SILENT:
            return True
        case AttemptEnd.RING_TIMEOUT:
            return gateway.failover_after_ringing or not outcome.rang
        case AttemptEnd.FINAL:
            codes = _FAILOVER_CODES if gateway.failover_codes is None else gateway.failover_codes
            return outcome.code in codes


def verdict(outcomes: Sequence[AttemptOutcome]) -> Verdict:
    """Return the end of a call from all its attempts: the most telling reason, and its last status.

    Raises:
        ValueError: without any attempt the end is a refusal, not a verdict.
    """
    verdicts = [_alone(outcome) for outcome in outcomes]
    for reason in _ORDER_OF_REASONS:
        for verdict in reversed(verdicts):
            if verdict.reason is reason:
                return verdict
    raise ValueError("a verdict needs at least one attempt")


def _alone(outcome: AttemptOutcome) -> Verdict:
    """Return what the call would end with if this were its only attempt."""
    match outcome.end:
        case AttemptEnd.SILENT:
            return Verdict(EndReason.NO_ANSWER, 408)
        case AttemptEnd.RING_TIMEOUT:
            return Verdict(EndReason.NO_ANSWER, 480)
        case AttemptEnd.FINAL:
            code = outcome.code
            reason = _REASON_OF_CODE.get(code, EndReason.UNAVAILABLE)
            return Verdict(reason, _status_for_caller(code), outcome.q850, outcome.text)


def _status_for_caller(code: int) -> int:
    if 300 <= code < 400:
        return 480
    if code in OURS_TO_SETTLE or not 400 <= code < 700:
        return 503
    return code
