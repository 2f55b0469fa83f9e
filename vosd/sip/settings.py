"""Settings of the SIP core."""

from dataclasses import dataclass, field

from vosd.base.networks import Network


@dataclass(frozen=True, slots=True)
class Timers:
    """Base timers of RFC 3261 section 17, in milliseconds; all other timers derive from them."""

    t1_ms: int = 500
    t2_ms: int = 4_000
    t4_ms: int = 5_000

    resend_ms: tuple[int, ...] = ()
    """``SS_SIP_RESEND_INTERVAL``: intervals before each retransmission of our requests over UDP; empty = T1 and T2."""

    transaction_ms: int = field(init=False)
    """64·T1: timers B, D, F, H, J, L and M; 32 s by default."""
    give_up_ms: int = field(init=False)
    """Time limit for a response to our requests: 64·T1, or the sum of ``resend_ms``."""
    patience_ms: int = field(init=False)
    """Age at which a non-INVITE request is retransmitted every T2 only; then a 100 is due (RFC 4320 section 4.1)."""

    def __post_init__(self) -> None:
        """Compute the derived timers."""
        waited_ms, interval_ms = 0, self.t1_ms
        while interval_ms < self.t2_ms:
            waited_ms += interval_ms
            interval_ms *= 2
        object.__setattr__(self, "patience_ms", waited_ms)
        object.__setattr__(self, "transaction_ms", 64 * self.t1_ms)
        object.__setattr__(self, "give_up_ms", sum(self.resend_ms) or self.transaction_ms)


@dataclass(frozen=True, slots=True)
class Limits:
    """Size limits of messages; larger ones are refused unparsed."""

    max_message_bytes: int = 65_535
    max_headers: int = 256
    max_line_chars: int = 8_192


@dataclass(frozen=True, slots=True)
class RegistrarSettings:
    """Duration and number of registrations (RFC 3261 section 10.3)."""

    default_s: int = 3_600
    """Duration of a registration whose REGISTER gives none."""
    min_s: int = 60
    """A shorter one gets 423; at most an hour."""
    max_s: int = 7_200
    max_contacts: int = 10
    max_bindings: int = 100_000
    proxies: tuple[Network, ...] = ()
    """Networks of the operator's proxies, whose Path may lead to each other."""


@dataclass(frozen=True, slots=True)
class SipSettings:
    """Timers, limits and product name."""

    timers: Timers = field(default_factory=Timers)
    limits: Limits = field(default_factory=Limits)
    product: str | None = None
    """Text of ``Server`` and ``User-Agent``; None hides both."""
    answers_unknown_sources: bool = False
    """``unknown_source: reject``: answer requests of unknown sources; otherwise drop them."""
    registrar: RegistrarSettings = field(default_factory=RegistrarSettings)
