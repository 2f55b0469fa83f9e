"""Judge a failed attempt: whether the next gateway is tried, and what the caller is sent in the end.

The rules stand in ``docs/routing.md``. How many attempts a call may make, and until when, is decided in ``b2bua``.
"""

from collections.abc import Sequence
from enum import Enum
from typing import Final, NamedTuple

from vosd.base.cause import EndReason, q850_of_status
from vosd.trunks.dialect import Redirects
from vosd.trunks.gateways import RoutingGateway


class AttemptEnd(Enum):
    """The end of an attempt without an answer."""

    FINAL = "final"
    """With a final response."""
    SILENT = "silent"
    """Without any response within ``response_timeout``."""
    UNREACHABLE = "unreachable"
    """Without reaching the gateway: no connection, no route, no open port (RFC 3261 section 8.1.3.1)."""
    RING_TIMEOUT = "ring timeout"
    """Without a final response within ``ring_timeout``."""
    WITHHELD = "withheld"
    """Without an INVITE: its media could not be had."""


class AttemptOutcome(NamedTuple):
    """The end of one attempt; made by ``final``, ``silent``, ``unreachable`` or ``ring_timeout``."""

    end: AttemptEnd
    code: int
    """The gateway's final code; 0 = none."""
    rang: bool
    """A 18x was received."""
    q850: int | None = None
    """The cause that the gateway gave with its code (RFC 6432)."""
    text: str | None = None
    """The text of its Reason header."""
    had_media: bool = False
    """The caller was sent a session of its: it may have played early media."""
    reason: EndReason | None = None
    """Why its INVITE was not sent."""

    @classmethod
    def final(
        cls, code: int, *, rang: bool = False, q850: int | None = None, text: str | None = None, had_media: bool = False
    ) -> "AttemptOutcome":
        """Describe an attempt that a final code of 300 or above ended."""
        return cls(AttemptEnd.FINAL, code, rang, q850, text, had_media)

    @classmethod
    def silent(cls) -> "AttemptOutcome":
        """Describe an attempt without any response."""
        return cls(AttemptEnd.SILENT, 0, rang=False)

    @classmethod
    def unreachable(cls) -> "AttemptOutcome":
        """Describe an attempt whose INVITE could not be delivered."""
        return cls(AttemptEnd.UNREACHABLE, 0, rang=False)

    @classmethod
    def ring_timeout(cls, *, rang: bool, had_media: bool = False) -> "AttemptOutcome":
        """Describe an attempt that was ended because no final response arrived in time."""
        return cls(AttemptEnd.RING_TIMEOUT, 0, rang, had_media=had_media)

    @classmethod
    def withheld(cls, reason: EndReason) -> "AttemptOutcome":
        """Describe an attempt whose INVITE was not sent."""
        return cls(AttemptEnd.WITHHELD, 0, rang=False, reason=reason)


class Verdict(NamedTuple):
    """The end of a call without answer: the CDR's reason and the status for the caller."""

    reason: EndReason
    status: int
    q850: int | None = None
    """The Q.850 cause of the gateway; without a response of it, that of the time-out or the error."""
    text: str | None = None
    """The text of its Reason header."""


FAILOVER_CODES: Final = frozenset({401, 402, 403, 404, 407, 408, 428, 436, 437, 438, 480, 488, *range(500, 600)})
"""Final codes after which the next gateway is tried, where the configuration has no others."""
FLOW_FAILED: Final = 430
"""A proxy has lost the flow to a telephone, which other flows or devices of it may have (RFC 5626 section 11.5)."""
BUSY_CODES: Final = frozenset({486, 600})
EVERY_CODE: Final = frozenset(range(300, 700))
LOOP_CODES: Final = frozenset({482, 483})
"""The call goes in a circle: another gateway may be on it, too, and each would try all of its own again."""

_REASON_OF_CODE: Final = {
    486: EndReason.BUSY,
    600: EndReason.BUSY,
    403: EndReason.REJECTED,
    603: EndReason.REJECTED,
    607: EndReason.REJECTED,
    608: EndReason.REJECTED,
    404: EndReason.NOT_FOUND,
    410: EndReason.NOT_FOUND,
    604: EndReason.NOT_FOUND,
}

_ORDER_OF_REASONS: Final = (
    EndReason.BUSY, EndReason.NO_ANSWER, EndReason.REJECTED, EndReason.NOT_FOUND, EndReason.UNAVAILABLE,
    EndReason.UNREACHABLE, EndReason.NO_COMMON_CODEC, EndReason.NO_MEDIA_PORT,
)  # fmt: skip

_NO_USER_RESPONDING: Final = 18
_NO_ANSWER_FROM_USER: Final = 19
"""Cause where the called party was alerted; it is 18 otherwise (Q.850)."""

OUR_CREDENTIALS: Final = frozenset({401, 402, 407})
"""Codes about our own credentials at a vendor; the caller gets 503 instead."""
OURS_TO_SETTLE: Final = OUR_CREDENTIALS | {420, 421, 422, 423, 489, 494}
"""Codes about our credentials, and the form of our requests: extensions, intervals. Their headers are not passed on."""


def stops(gateway: RoutingGateway, outcome: AttemptOutcome) -> bool:
    """Return whether no other gateway and no other address is tried after ``outcome``, whatever its code is."""
    if outcome.rang and gateway.stop_after_ringing:
        return True
    if outcome.had_media and gateway.stop_after_early_media:
        return True
    return outcome.q850 in gateway.stop_causes


def tries_next(gateway: RoutingGateway, outcome: AttemptOutcome) -> bool:
    """Return whether the next gateway is tried after ``outcome`` on ``gateway``."""
    if stops(gateway, outcome):
        return False
    match outcome.end:
        case AttemptEnd.SILENT | AttemptEnd.UNREACHABLE | AttemptEnd.WITHHELD:
            return True
        case AttemptEnd.RING_TIMEOUT:
            return gateway.failover_after_ringing or not outcome.rang
        case AttemptEnd.FINAL:
            if outcome.q850 in gateway.failover_causes:
                return True
            if outcome.code < 400 and gateway.dialect.redirects is Redirects.FOLLOW:
                return True  # as at a place that cannot be reached: no contact that it has named has taken the call
            if outcome.code == FLOW_FAILED and gateway.is_phone:
                return True
            codes = FAILOVER_CODES if gateway.failover_codes is None else gateway.failover_codes
            return outcome.code in codes


def is_reached(outcome: AttemptOutcome) -> bool:
    """Return whether a phone of several was reached: it is busy, declines, or has rung in vain."""
    if outcome.end is AttemptEnd.FINAL:
        return outcome.code not in FAILOVER_CODES and outcome.code != FLOW_FAILED
    return outcome.end is AttemptEnd.RING_TIMEOUT and outcome.rang


def verdict(outcomes: Sequence[AttemptOutcome]) -> Verdict:
    """Return the end of a call from all its attempts: the most specific reason, and the last status with it.

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
    """Return the end of a call with this attempt alone."""
    match outcome.end:
        case AttemptEnd.SILENT:
            return Verdict(EndReason.NO_ANSWER, 408, q850_of_status(408))
        case AttemptEnd.UNREACHABLE:
            return Verdict(EndReason.UNREACHABLE, 503, EndReason.UNREACHABLE.q850_cause)
        case AttemptEnd.WITHHELD:
            reason = outcome.reason or EndReason.UNAVAILABLE
            return Verdict(reason, reason.sip_status or 503, reason.q850_cause)
        case AttemptEnd.RING_TIMEOUT:
            cause = _NO_ANSWER_FROM_USER if outcome.rang else _NO_USER_RESPONDING
            return Verdict(EndReason.NO_ANSWER, 480, cause)
        case AttemptEnd.FINAL:
            code = outcome.code
            reason = _REASON_OF_CODE.get(code, EndReason.UNAVAILABLE)
            return Verdict(reason, _status_for_caller(code), outcome.q850, outcome.text)


def _status_for_caller(code: int) -> int:
    if code < 400:
        return 480
    return 503 if code in OURS_TO_SETTLE else code
