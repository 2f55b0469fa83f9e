"""Per-source rate limits, applied before parsing.

A source that the rules of access deny may send what belongs to calls, and nothing else.
Known sources (gateways, authenticated users) have generous limits, for new requests and for those that change calls
(re-INVITE, UPDATE, INFO): what sets up and ends calls passes. Unknown sources have a low limit; junk and known scanners
are dropped; a source that keeps sending far above its limit is blocked for a while. Pure: time is an argument, in
seconds of the monotonic clock.
"""

import re
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

from vosd.base.bucket import Allowance, Bucket
from vosd.base.host import source_of
from vosd.sip.drops import Drop, Drops
from vosd.sip.wire.classify import NEVER_LIMITED, MessageKind, Rank

SOURCES_MAX: Final = 16_384
"""Most sources remembered, known and unknown each; the one looked up longest ago is forgotten first."""
BLOCK_PER_S: Final = 2_000
"""Block a source only above this rate of dropped messages: UDP sources can be forged, and a block then hits the owner.
"""
_COUNTED_BYTES: Final = 1_024
"""A dropped message counts once for each so many bytes: a longer one takes longer to match with the calls."""
BLOCK_TIMES_RATE: Final = 4.0
"""Nor below this multiple of its rate limit."""
UNMATCHED_PER_S: Final = 500
"""Rate limit for a known source's responses and in-dialog requests that match nothing of ours: late ones, or forged."""
CHANGES_PER_S: Final = 2_000
CHANGES_AT_ONCE: Final = 4_000
"""Rate limit for a known source's requests within calls that neither set them up nor end them: each costs as much as a
new call, and a carrier that offers 1,000 calls a second sends two for each.
"""
WITHIN_PER_S: Final = 500
WITHIN_AT_ONCE: Final = 1_000
"""Rate limit for an unknown source's messages that do match a call: the far end of a dialog may be at an address that
no gateway has.
"""
LOOKUP_VALID_S: Final = 10.0
"""For how long the result of a lookup is used: gateways and phones come and go."""
_AGENT: Final = re.compile(rb"\nUser-Agent[ \t]*+:[ \t]*+([^\r\n]*+)", re.IGNORECASE)
_HEAD_BYTES: Final = 2_048

SCANNERS: Final = ("friendly-scanner", "sipvicious", "sundayddr", "sipcli", "pplsip", "sip-scan", "vaxsipuseragent")
"""Parts of the User-Agent of known SIP scanners, in lower case."""


@dataclass(frozen=True, slots=True)
class ShieldSettings:
    """Rate limits of sources; rates are in requests a second, 0 = no limit."""

    unknown_rate: int = 50
    unknown_burst: int = 250
    """Most requests at once, after a silence."""
    gateway_rate: int = 5_000
    """Rate limit of a known source for new requests; messages within a call do not count."""
    block_s: int = 30
    """Seconds for which a source far above its limit is blocked; 0 = never."""
    scanners: tuple[str, ...] = SCANNERS


class ShieldAnswer(Enum):
    """Result for a message that is not served."""

    REFUSE = auto()
    """Answer 503: the sender is a known source and may retry."""
    SILENCE = auto()


class _Source:
    """State of one address (unknown IPv6 sources: one /64)."""

    __slots__ = ("allowance", "blocked_until", "excess", "is_denied", "judged_at", "requests", "unmatched", "within")

    def __init__(self, burst: float, now: float) -> None:
        self.requests = Bucket(burst, now)
        self.unmatched: Bucket | None = None
        """A bucket of its own, so that messages forged in a source's name do not use up its requests."""
        self.within: Bucket | None = None
        """Remaining messages of an unknown source that match a call, or requests of a known one that change calls."""
        self.excess: Bucket | None = None
        """Remaining dropped messages before the source is blocked."""
        self.allowance: Allowance | None = None
        """Rate limit shared with the other addresses of its gateway; None = no such limit."""
        self.judged_at = now
        """Time of the last lookup."""
        self.is_denied = False
        """Whether its requests from outside of calls are dropped."""
        self.blocked_until = 0.0


class Shield:
    """Table of sources with the rest of their allowances."""

    def __init__(
        self,
        settings: ShieldSettings,
        knows: Callable[[str], bool],
        belongs: Callable[[MessageKind, bytes], bool],
        block: Callable[[str, float], None],
        dropped: Drops,
        allowance_at: Callable[[str], Allowance | None] = lambda _host: None,
        is_denied: Callable[[str], bool] = lambda _host: False,
        report_denied: Callable[[str], None] = lambda _host: None,
    ) -> None:
        """Create an empty table.

        Args:
            settings: the rate limits.
            knows: return whether an address is a known source.
            belongs: return whether a message matches a transaction or dialog of ours, whatever its source.
            block: called with an address to block and the time of its release.
            dropped: counts dropped messages by reason.
            allowance_at: return the rate limit shared by all addresses of the gateway at an address.
            is_denied: return whether requests from an address are dropped.
            report_denied: called with the address of a known source whose request was dropped for that.
        """
        self._knows = knows
        self._belongs = belongs
        self._block = block
        self._dropped = dropped
        self._allowance_at = allowance_at
        self._is_denied = is_denied
        self._report_denied = report_denied
        self._gateways: dict[str, Bucket] = {}
        """Remaining requests of each gateway with a limit of its own; known sources bound their number."""
        self._known: OrderedDict[str, _Source] = OrderedDict()
        self._unknown: OrderedDict[str, _Source] = OrderedDict()
        self.settings = settings

    @property
    def settings(self) -> ShieldSettings:
        """The rate limits in force."""
        return self._settings

    @settings.setter
    def settings(self, settings: ShieldSettings) -> None:
        """Change the limits; all sources are looked up again and unblocked."""
        self._settings = settings
        scanners = [re.escape(name.encode().lower()) for name in settings.scanners]
        self._scanner = re.compile(b"|".join(scanners)) if scanners else None
        self._gateways.clear()
        self._known.clear()
        self._unknown.clear()

    def look_again(self) -> None:
        """Look every source up for its next message, for gateways have come or gone; what it has used up counts on.

        Limits of gateways that have no known source any more are forgotten: reloads may remove any number of gateways.
        """
        for sources in (self._known, self._unknown):
            for source in sources.values():
                source.judged_at = -LOOKUP_VALID_S
        sent = {source.allowance.gateway for source in self._known.values() if source.allowance is not None}
        self._gateways = {name: bucket for name, bucket in self._gateways.items() if name in sent}

    def has_become_known(self, host: str) -> bool:
        """Return whether a blocked address is a known source by now."""
        return self._knows(host)

    def release(self, host: str) -> None:
        """Unblock a source."""
        source = self._unknown.get(source_of(host))
        if source is not None:
            source.blocked_until = 0.0

    def recognise(self, host: str) -> None:
        """Look a source up for its next message: it has become a known one since it was looked up."""
        unknown = self._unknown.get(host)  # the addresses of an IPv6 /64 are looked up for each message
        if unknown is not None:
            unknown.judged_at = -LOOKUP_VALID_S

    def __len__(self) -> int:
        """Return how many sources are remembered."""
        return len(self._known) + len(self._unknown)

    def knows(self, host: str, now: float) -> bool:
        """Return whether an address is a known source that is not denied, by a lookup that still holds."""
        source = self._known.get(host)
        return source is not None and now - source.judged_at < LOOKUP_VALID_S and not source.is_denied

    def judge(self, kind: MessageKind, data: bytes, host: str, now: float) -> Rank | ShieldAnswer:
        """Return the queue for a message, or that it is refused or dropped."""
        source = self._known.get(host)
        if source is not None and now - source.judged_at < LOOKUP_VALID_S:
            if source.is_denied:
                return self._judge_denied(source, kind, data, host, now)
            return self._judge_known(source, kind, data, now)
        key = source_of(host) if ":" in host else host
        unknown = self._unknown.get(key)
        # Within an IPv6 /64 of an unknown source, single addresses may be gateways: there each address is looked up.
        if unknown is not None and key == host and now - unknown.judged_at < LOOKUP_VALID_S:
            if unknown.is_denied:
                return self._judge_denied(unknown, kind, data, host, now)
            return self._judge_unknown(unknown, kind, data, host, now)
        if self._knows(host):
            source = self._looked_up(self._known, host, source, self._settings.gateway_rate, now)
            source.allowance = self._allowance_at(host)
            source.is_denied = self._is_denied(host)
            if not source.is_denied:
                return self._judge_known(source, kind, data, now)
            return self._judge_denied(source, kind, data, host, now)
        self._known.pop(host, None)
        unknown = self._looked_up(self._unknown, key, unknown, self._settings.unknown_burst, now)
        unknown.is_denied = self._is_denied(host)
        if not unknown.is_denied:
            return self._judge_unknown(unknown, kind, data, host, now)
        return self._judge_denied(unknown, kind, data, host, now)

    def _looked_up(
        self, sources: OrderedDict[str, _Source], key: str, source: _Source | None, burst: float, now: float
    ) -> _Source:
        """Return the entry of a source that was looked up just now; add it where it is missing."""
        if source is None:
            if len(sources) >= SOURCES_MAX:
                sources.popitem(last=False)
            source = sources[key] = _Source(burst, now)
        else:
            sources.move_to_end(key)
            source.judged_at = now
        return source

    def _judge_denied(
        self, source: _Source, kind: MessageKind, data: bytes, host: str, now: float
    ) -> Rank | ShieldAnswer:
        """Accept what belongs to a call, as of other sources, and drop the rest."""
        if now < source.blocked_until:
            self._dropped[Drop.BLOCKED] += 1
            return ShieldAnswer.SILENCE
        is_known = self._known.get(host) is source
        if (kind is MessageKind.RESPONSE or kind is MessageKind.WITHIN) and self._belongs(kind, data):
            return self._in_call(source, data, now) if is_known else self._within(source, data, host, now)
        if not is_known:
            return self._drop(source, Drop.DENIED, data, host, now)
        self._dropped[Drop.DENIED] += 1
        if kind is MessageKind.CALL or kind is MessageKind.OTHER:
            self._report_denied(host)
        return ShieldAnswer.SILENCE

    def _judge_known(self, source: _Source, kind: MessageKind, data: bytes, now: float) -> Rank | ShieldAnswer:
        if kind is MessageKind.RESPONSE or kind is MessageKind.WITHIN:
            # Set-up and end of calls are never limited: a dropped BYE or ACK bills on, a dropped 200 loses a call.
            if self._belongs(kind, data):
                return self._in_call(source, data, now)
            if source.unmatched is None:
                source.unmatched = Bucket(UNMATCHED_PER_S, now)
            if source.unmatched.take(1, UNMATCHED_PER_S, UNMATCHED_PER_S, now):
                return Rank.OTHER
            self._dropped[Drop.UNMATCHED] += 1
            return ShieldAnswer.SILENCE
        if kind is MessageKind.JUNK or kind is MessageKind.KEEP_ALIVE:
            self._dropped[Drop.NOT_SIP if kind is MessageKind.JUNK else Drop.KEEP_ALIVE] += 1
            return ShieldAnswer.SILENCE
        rate = self._settings.gateway_rate
        if not source.requests.take(1, rate, rate, now):
            self._dropped[Drop.GATEWAY_RATE] += 1
            return ShieldAnswer.REFUSE
        if source.allowance is not None and not self._takes(source.allowance, now):
            self._dropped[Drop.GATEWAY_LIMIT] += 1
            return ShieldAnswer.REFUSE
        return Rank.CALL if kind is MessageKind.CALL else Rank.OTHER

    def _in_call(self, source: _Source, data: bytes, now: float) -> Rank | ShieldAnswer:
        """Accept a message of a known source within a call; of requests that change one ``CHANGES_PER_S``.

        What is dropped is repeated by its sender.
        """
        if data[:4] in NEVER_LIMITED:
            return Rank.RUNNING
        if source.within is None:
            source.within = Bucket(CHANGES_AT_ONCE, now)
        if source.within.take(1, CHANGES_PER_S, CHANGES_AT_ONCE, now):
            return Rank.RUNNING
        self._dropped[Drop.CHANGES_RATE] += 1
        return ShieldAnswer.SILENCE

    def _takes(self, allowance: Allowance, now: float) -> bool:
        """Count a request against the limit shared by a gateway's addresses; return whether it is within."""
        name, rate = allowance
        bucket = self._gateways.get(name)
        if bucket is None:
            bucket = self._gateways[name] = Bucket(rate, now)
        return bucket.take(1, rate, rate, now)

    def _judge_unknown(
        self, source: _Source, kind: MessageKind, data: bytes, host: str, now: float
    ) -> Rank | ShieldAnswer:
        if now < source.blocked_until:
            self._dropped[Drop.BLOCKED] += 1
            return ShieldAnswer.SILENCE
        rate, burst = self._settings.unknown_rate, self._settings.unknown_burst
        if kind is MessageKind.RESPONSE or kind is MessageKind.WITHIN:
            if self._belongs(kind, data):
                return self._within(source, data, host, now)
            if source.unmatched is None:
                source.unmatched = Bucket(burst, now)
            bucket, why = source.unmatched, Drop.UNMATCHED
        elif kind is MessageKind.JUNK:
            return self._drop(source, Drop.NOT_SIP, data, host, now)
        elif kind is MessageKind.KEEP_ALIVE:
            return self._drop(source, Drop.KEEP_ALIVE, data, host, now)
        elif self._is_scanner(data):
            return self._drop(source, Drop.SCANNER, data, host, now)
        else:
            bucket, why = source.requests, Drop.UNKNOWN_RATE
        if bucket.take(1, rate, burst, now):
            return Rank.UNKNOWN
        return self._drop(source, why, data, host, now)

    def _within(self, source: _Source, data: bytes, host: str, now: float) -> Rank | ShieldAnswer:
        """Accept a message of an unknown source within a call, up to ``WITHIN_PER_S``, and drop the rest."""
        if source.within is None:
            source.within = Bucket(WITHIN_AT_ONCE, now)
        if source.within.take(1, WITHIN_PER_S, WITHIN_AT_ONCE, now):
            return Rank.RUNNING
        return self._drop(source, Drop.UNKNOWN_RATE_IN_CALLS, data, host, now)

    def _is_scanner(self, data: bytes) -> bool:
        if self._scanner is None:
            return False
        agent = _AGENT.search(data, 0, _HEAD_BYTES)
        return agent is not None and self._scanner.search(agent[1].lower()) is not None

    def _drop(self, source: _Source, why: Drop, data: bytes, host: str, now: float) -> ShieldAnswer:
        """Drop a message, and block its source at a rate of dropped messages that would load the switch."""
        self._dropped[why] += 1
        settings = self._settings
        if not settings.block_s:
            return ShieldAnswer.SILENCE
        threshold = max(BLOCK_TIMES_RATE * settings.unknown_rate, BLOCK_PER_S)
        if source.excess is None:
            source.excess = Bucket(threshold, now)
        # Looked up again before blocking: within LOOKUP_VALID_S it may have registered, and a /64 may hold a gateway.
        cost = len(data) // _COUNTED_BYTES + 1
        if not source.excess.take(cost, threshold, threshold, now) and not self._knows(host):
            source.excess = None
            source.blocked_until = now + settings.block_s
            self._block(host, source.blocked_until)
        return ShieldAnswer.SILENCE
