"""What an operator may set of the SIP engine (INTERFACES section 3, ``sip``)."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Timers:
    """The base timers of RFC 3261 section 17, in milliseconds; every other timer is made of them."""

    t1_ms: int = 500
    """Estimate of the round trip; the first retransmission comes after it."""
    t2_ms: int = 4_000
    """Longest wait between retransmissions of anything but INVITE."""
    t4_ms: int = 5_000
    """Longest time a message stays in the network."""

    resend_ms: tuple[int, ...] = ()
    """``SS_SIP_RESEND_INTERVAL``: the waits before each repetition of a request of ours over UDP; empty = T1 and T2."""

    transaction_ms: int = field(init=False)
    """64·T1: timers B, D, F, H, J, L and M; 32 s by default."""
    give_up_ms: int = field(init=False)
    """How long a request of ours waits for its response: 64·T1, or the sum of ``resend_ms`` (SIP-04, SIP-05)."""
    patience_ms: int = field(init=False)
    """After how long a request other than INVITE comes every T2 only: then it is owed a 100 (RFC 4320 4.1)."""

    def __post_init__(self) -> None:
        """Work out once what every transaction asks for."""
        waited_ms, interval_ms = 0, self.t1_ms
        while interval_ms < self.t2_ms:
            waited_ms += interval_ms
            interval_ms *= 2
        object.__setattr__(self, "patience_ms", waited_ms)
        object.__setattr__(self, "transaction_ms", 64 * self.t1_ms)
        object.__setattr__(self, "give_up_ms", sum(self.resend_ms) or self.transaction_ms)


@dataclass(frozen=True, slots=True)
class Limits:
    """How large a message may be before it is refused unread."""

    max_message_bytes: int = 65_535
    max_headers: int = 256
    max_line_chars: int = 8_192


@dataclass(frozen=True, slots=True)
class RegistrarSettings:
    """For how long, and how many, registrations are kept (RFC 3261 section 10.3)."""

    default_s: int = 3_600
    """Where a REGISTER does not say for how long."""
    min_s: int = 60
    """Below it a REGISTER gets 423; never more than an hour."""
    max_s: int = 7_200
    """No registration is granted for longer."""
    max_contacts: int = 10
    """Of one user; one more takes the place of the one that would end first."""
    max_bindings: int = 100_000
    """Of all users together; whoever would be beyond gets 503."""


@dataclass(frozen=True, slots=True)
class SipSettings:
    """Timers, limits and what we say of ourselves."""

    timers: Timers = field(default_factory=Timers)
    limits: Limits = field(default_factory=Limits)
    product: str | None = None
    """Text of ``Server`` and ``User-Agent``; None hides both."""
    answers_unknown_sources: bool = False
    """``unknown_source: reject``: requests of unknown sources get an answer; otherwise silence."""
    registrar: RegistrarSettings = field(default_factory=RegistrarSettings)
