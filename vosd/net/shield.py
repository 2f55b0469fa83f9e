"""How much of us one source may have, judged before anything is read.

Whoever sends from an address of ours is limited generously, and only in what asks for something new: what belongs to
a call passes. A stranger gets little, junk and scanners nothing, and one who goes on for all that is not heard for a
while. Pure: time is an argument, in seconds of the monotonic clock.
"""

import re
from collections import Counter, OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

from vosd.base.bucket import Allowance, Bucket
from vosd.base.host import source_of
from vosd.sip.wire.classify import KEPT_ALIVE, Kind, Rank

SOURCES_MAX: Final = 16_384
"""Sources that are remembered, of each kind; the one not heard for longest makes room."""
BLOCK_PER_S: Final = 2_000
"""A source is blocked for so much a second that comes to nothing, and no sooner: anybody can send in its name."""
BLOCK_TIMES_RATE: Final = 4.0
"""And for no less than that many times its rate."""
UNMATCHED_PER_S: Final = 500
"""What a peer may send as if it belonged to something of ours: what came too late, or is a stranger's to us."""
WITHIN_PER_S: Final = 500
WITHIN_AT_ONCE: Final = 1_000
"""What a stranger may send that does belong: the far end of a dialog need not be where its gateway is."""
LOOKUP_VALID_S: Final = 10.0
"""How long a source is taken for what it was: gateways and phones come and go."""
_AGENT: Final = re.compile(rb"\nUser-Agent[ \t]*+:[ \t]*+([^\r\n]*+)", re.IGNORECASE)
_HEAD_BYTES: Final = 2_048

SCANNERS: Final = ("friendly-scanner", "sipvicious", "sundayddr", "sipcli", "pplsip", "sip-scan", "vaxsipuseragent")
"""User-Agents of programs that look for switches to abuse, in lower case."""


@dataclass(frozen=True, slots=True)
class ShieldSettings:
    """What a source may ask; rates are in requests a second, 0 = no limit."""

    unknown_rate: int = 50
    unknown_burst: int = 250
    """At once, after silence."""
    gateway_rate: int = 5_000
    """Of new things: what belongs to a call is not counted."""
    block_s: int = 30
    """For how long a source is not heard that goes far beyond its rate; 0 = it is never blocked."""
    scanners: tuple[str, ...] = SCANNERS
    """What the User-Agent of a stranger may not contain."""


class Answer(Enum):
    """What becomes of a message that is not served."""

    REFUSE = auto()
    """503: the sender is a peer of ours and may come again."""
    SILENCE = auto()


class _Source:
    """One address, or the /64 that an IPv6 address is in."""

    __slots__ = ("allowance", "blocked_until", "excess", "judged_at", "requests", "unmatched", "within")

    def __init__(self, burst: float, now: float) -> None:
        self.requests = Bucket(burst, now)
        self.unmatched: Bucket | None = None
        """Apart, so that what is forged in a source's name leaves it its requests."""
        self.within: Bucket | None = None
        """What a stranger may still send that belongs to something."""
        self.excess: Bucket | None = None
        """What it may still send beyond its rate before it is blocked."""
        self.allowance: Allowance | None = None
        """What its gateway has beside its own; None = no such limit."""
        self.judged_at = now
        """When we looked whether it is known."""
        self.blocked_until = 0.0


class Shield:
    """The sources, and what is left of their allowances."""

    def __init__(
        self,
        settings: ShieldSettings,
        knows: Callable[[str], bool],
        belongs: Callable[[Kind, bytes], bool],
        block: Callable[[str, float], None],
        dropped: Counter[str],
        allowance_at: Callable[[str], Allowance | None] = lambda _host: None,
    ) -> None:
        """``knows`` tells peers of ours by address, ``belongs`` what is sent within our calls, whoever sends it.

        ``allowance_at`` tells what the gateway at an address may ask from all its addresses. ``block`` hears of an
        address that is not heard until the given time; ``dropped`` counts what came to nothing.
        """
        self._knows = knows
        self._belongs = belongs
        self._block = block
        self._dropped = dropped
        self._allowance_at = allowance_at
        self._gateways: dict[str, Bucket] = {}
        """What each gateway with a limit of its own has left; the catalogue bounds their number."""
        self._known: OrderedDict[str, _Source] = OrderedDict()
        self._unknown: OrderedDict[str, _Source] = OrderedDict()
        self.settings = settings

    @property
    def settings(self) -> ShieldSettings:
        """What a source may ask."""
        return self._settings

    @settings.setter
    def settings(self, settings: ShieldSettings) -> None:
        """Change it; whom we know is looked up anew, and nobody stays blocked."""
        self._settings = settings
        scanners = [re.escape(name.encode().lower()) for name in settings.scanners]
        self._scanner = re.compile(b"|".join(scanners)) if scanners else None
        self._gateways.clear()
        self._known.clear()
        self._unknown.clear()

    def release(self, host: str) -> None:
        """Take messages of a source again that is blocked."""
        source = self._unknown.get(source_of(host))
        if source is not None:
            source.blocked_until = 0.0

    def __len__(self) -> int:
        """Return how many sources are remembered."""
        return len(self._known) + len(self._unknown)

    def judge(self, kind: Kind, data: bytes, host: str, now: float) -> Rank | Answer:
        """Say whose turn a message waits for, or that it is not served."""
        source = self._known.get(host)
        if source is not None and now - source.judged_at < LOOKUP_VALID_S:
            return self._judge_known(source, kind, data, now)
        key = source_of(host) if ":" in host else host
        unknown = self._unknown.get(key)
        # Of a /64 that sends, one address may be a gateway's: there each is looked up.
        if unknown is not None and key == host and now - unknown.judged_at < LOOKUP_VALID_S:
            return self._judge_unknown(unknown, kind, data, host, now)
        if self._knows(host):
            source = self._looked_up(self._known, host, source, self._settings.gateway_rate, now)
            source.allowance = self._allowance_at(host)
            return self._judge_known(source, kind, data, now)
        self._known.pop(host, None)
        unknown = self._looked_up(self._unknown, key, unknown, self._settings.unknown_burst, now)
        return self._judge_unknown(unknown, kind, data, host, now)

    # -- inside -------------------------------------------------------------------------------------------------

    def _looked_up(
        self, sources: OrderedDict[str, _Source], key: str, source: _Source | None, burst: float, now: float
    ) -> _Source:
        """Return a source whose standing was looked up just now."""
        if source is None:
            if len(sources) >= SOURCES_MAX:
                sources.popitem(last=False)
            source = sources[key] = _Source(burst, now)
        else:
            sources.move_to_end(key)
            source.judged_at = now
        return source

    def _judge_known(self, source: _Source, kind: Kind, data: bytes, now: float) -> Rank | Answer:
        if kind is Kind.RESPONSE or kind is Kind.WITHIN:
            if self._belongs(kind, data):
                return Rank.RUNNING
            if source.unmatched is None:
                source.unmatched = Bucket(UNMATCHED_PER_S, now)
            if source.unmatched.take(1, UNMATCHED_PER_S, UNMATCHED_PER_S, now):
                return Rank.OTHER
            self._dropped["too much of no call of ours"] += 1
            return Answer.SILENCE
        if kind is Kind.JUNK or kind is Kind.KEEP_ALIVE:
            self._dropped["not SIP" if kind is Kind.JUNK else KEPT_ALIVE] += 1
            return Answer.SILENCE
        rate = self._settings.gateway_rate
        if not source.requests.take(1, rate, rate, now):
            self._dropped["too many requests of a gateway"] += 1
            return Answer.REFUSE
        if source.allowance is not None and not self._takes(source.allowance, now):
            self._dropped["more than max_requests of a gateway"] += 1
            return Answer.REFUSE
        return Rank.CALL if kind is Kind.CALL else Rank.OTHER

    def _takes(self, allowance: Allowance, now: float) -> bool:
        """Count a request against what its gateway may ask from all its addresses; say whether that allows it."""
        name, rate = allowance
        bucket = self._gateways.get(name)
        if bucket is None:
            bucket = self._gateways[name] = Bucket(rate, now)
        return bucket.take(1, rate, rate, now)

    def _judge_unknown(self, source: _Source, kind: Kind, data: bytes, host: str, now: float) -> Rank | Answer:
        if source.blocked_until:
            if now < source.blocked_until:
                self._dropped["blocked source"] += 1
                return Answer.SILENCE
            source.blocked_until = 0.0
        rate, burst = self._settings.unknown_rate, self._settings.unknown_burst
        if kind is Kind.RESPONSE or kind is Kind.WITHIN:
            if self._belongs(kind, data):
                return self._within(source, host, now)
            if source.unmatched is None:
                source.unmatched = Bucket(burst, now)
            bucket, why = source.unmatched, "too much of no call of ours"
        elif kind is Kind.JUNK:
            return self._drop(source, "not SIP", host, now)
        elif kind is Kind.KEEP_ALIVE:
            return self._drop(source, KEPT_ALIVE, host, now)
        elif self._is_scanner(data):
            return self._drop(source, "scanner", host, now)
        else:
            bucket, why = source.requests, "too many requests of a stranger"
        if bucket.take(1, rate, burst, now):
            return Rank.UNKNOWN
        return self._drop(source, why, host, now)

    def _within(self, source: _Source, host: str, now: float) -> Rank | Answer:
        """Let a stranger take part in a call of ours, in measure: who has one call is no reason to neglect others."""
        if source.within is None:
            source.within = Bucket(WITHIN_AT_ONCE, now)
        if source.within.take(1, WITHIN_PER_S, WITHIN_AT_ONCE, now):
            return Rank.RUNNING
        return self._drop(source, "too much of a stranger's calls", host, now)

    def _is_scanner(self, data: bytes) -> bool:
        if self._scanner is None:
            return False
        agent = _AGENT.search(data, 0, _HEAD_BYTES)
        return agent is not None and self._scanner.search(agent[1].lower()) is not None

    def _drop(self, source: _Source, why: str, host: str, now: float) -> Answer:
        """Drop a message, and block its source where that alone would keep us busy."""
        self._dropped[why] += 1
        settings = self._settings
        if not settings.block_s:
            return Answer.SILENCE
        threshold = max(BLOCK_TIMES_RATE * settings.unknown_rate, BLOCK_PER_S)
        if source.excess is None:
            source.excess = Bucket(threshold, now)
        if not source.excess.take(1, threshold, threshold, now) and not self._knows(host):
            source.excess = None
            source.blocked_until = now + settings.block_s
            self._block(host, source.blocked_until)
        return Answer.SILENCE
