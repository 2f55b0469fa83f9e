"""Addresses of routing gateways that rest because calls to them failed in a row: a passive circuit breaker.

An address rests after ``SILENCES`` attempts in a row without ringing or refusal, or after ``REFUSALS`` in a row with
codes that concern the vendor itself. After the rest one call is let through as a probe: if it rings, or is refused for
its number, the address is well again; if it fails, the rest doubles (ADR 26).

A customer that dials numbers which never ring must not take a vendor away from other customers. So a failure that the
call itself may have caused counts for its payer, and for all only where the failure before it was another payer's. A
caller cannot cause complete silence, so that counts for all at once.
"""

from collections.abc import Callable
from enum import Enum
from typing import Final, NamedTuple

from vosd.base.host import bracketed
from vosd.routing.routes import Cause
from vosd.trunks.gateways import Address, RoutingGateway

SILENCES: Final = 3
"""Few, because each costs its caller ``response_timeout`` or ``progress_timeout``."""
REFUSALS: Final = 20
"""Many, because a refusal costs a round trip only, and busy wholesale routes give some in a row."""
REST_MS: Final = 10_000
REST_MAX_MS: Final = 120_000
PROBE_MS: Final = 15_000
"""For how long no second call is let through beside the probe."""
CIRCUITS_MAX: Final = 4_096
"""Addresses with failures that are kept; a new one replaces the oldest."""
DEFAULT_PORT: Final = 5_060

FAILURES: Final = frozenset({408, 500, 502, 503, 504})
"""Final codes that concern the vendor and not the called number."""
NORMAL_CAUSES: Final = range(1, 32)
"""Causes of Q.850's class "normal event": they concern the called number, whatever the code is."""

UNREACHED: Final = "calls in a row could not be delivered: a closed port, no route or no connection"
SILENT: Final = "calls in a row got neither ringing nor a refusal in time"
REFUSED: Final = "calls in a row were refused with 408, 500, 502, 503 or 504"


class BreakerPlace(NamedTuple):
    """One address of a gateway, for all or for the calls of one payer."""

    gateway: str
    host: str
    port: int
    payer: str = ""
    """Empty = for all."""

    def __str__(self) -> str:
        return f"{bracketed(self.host)}:{self.port}"


def place_of(gateway: RoutingGateway, address: Address, payer: str = "") -> BreakerPlace:
    """Return the key under which failures at an address are counted."""
    return BreakerPlace(gateway.name, address.host, address.port or DEFAULT_PORT, payer)


class Circuit(Enum):
    """The new state of an address."""

    RESTING = "resting"
    WELL = "well"
    GONE = "gone"
    """Calls go there no more, or its failures are forgotten for those of others."""


def counts_as_failure(code: int, q850: int | None) -> bool:
    """Return whether a refusal concerns the vendor itself."""
    return code in FAILURES and q850 not in NORMAL_CAUSES


class _Row:
    """The failures in a row at one address, and its rest."""

    __slots__ = (
        "asked_until", "began_at", "payer", "probed_until", "refusals", "rest_ms", "silences", "undelivered", "until",
    )  # fmt: skip

    def __init__(self) -> None:
        self.silences = 0
        self.undelivered = 0
        """The latest failures in a row, also during a rest, of which the network has said that they reached nothing."""
        self.refusals = 0
        self.payer = ""
        """The payer of the failure that was counted last."""
        self.rest_ms = 0
        """Duration of the present rest; 0 = it does not rest."""
        self.began_at = 0
        self.until = 0
        """The end of the rest because of failures."""
        self.asked_until = 0
        """Until when the address has asked for a rest, which no failure and no success makes shorter."""
        self.probed_until = 0
        """Until when no second call is let through beside the probe."""

    @property
    def ends_at(self) -> int:
        return max(self.until, self.asked_until)

    @property
    def matters_until(self) -> int:
        """Until when a rest matters to an address that may get no further call: one after failures doubles."""
        return max(self.asked_until, self.until + REST_MAX_MS) if self.until > self.asked_until else self.asked_until

    def begin(self, rest_ms: int, mono_ms: int) -> None:
        self.rest_ms, self.began_at, self.until, self.probed_until = rest_ms, mono_ms, mono_ms + rest_ms, 0


class Breakers:
    """The addresses at which calls have failed lately; they outlive a reload."""

    def __init__(self) -> None:
        self.failing: dict[BreakerPlace, _Row] = {}
        """Addresses that have failed since a call last succeeded there."""
        self.resting: dict[str, int] = {}
        """Number of addresses that rest, by gateway: mostly none, so that callers can skip the look-up."""
        self._named: dict[str, dict[BreakerPlace, None]] = {}
        """Addresses that rest, or have rested, and that only a 3xx names, by gateway."""
        self.on_change: Callable[[BreakerPlace, Circuit, int], None] = _ignore
        """Called with every change, with the milliseconds of the rest."""

    def failed(
        self,
        place: BreakerPlace,
        *,
        is_silent: bool,
        began_ms: int,
        mono_ms: int,
        is_undelivered: bool = False,
        is_doubtful: bool = False,
        is_named: bool = False,
    ) -> None:
        """Count an attempt that began at ``began_ms`` and failed because of the vendor.

        ``is_undelivered``: the network has said so, and no time was waited for; such an attempt is silent, too.
        ``is_doubtful``: perhaps because of the called number or the content, so that calls of other payers may succeed.
        ``is_named``: as in ``ask_for_rest``.
        """
        for_all = place._replace(payer="")
        if is_doubtful and place.payer:
            self._count(place, is_silent=is_silent, is_undelivered=is_undelivered, began_ms=began_ms, mono_ms=mono_ms)
            if is_named:
                self._note_named(place)
            row = self.failing.get(for_all) or self._remember(for_all)
            if row.payer == place.payer and not row.rest_ms:
                return
            row.payer = place.payer
        self._count(for_all, is_silent=is_silent, is_undelivered=is_undelivered, began_ms=began_ms, mono_ms=mono_ms)
        if is_named:
            self._note_named(place)

    def ask_for_rest(self, place: BreakerPlace, ms: int, mono_ms: int, *, is_named: bool = False) -> None:
        """Begin the pause of an address that asked for it with Retry-After, or make it longer: no call goes there.

        ``is_named``: a 3xx of the gateway has named it, and may never name it again.
        """
        row = self.failing.get(place) or self._remember(place)
        if is_named:
            self._named.setdefault(place.gateway, {})[place] = None
        row.asked_until = max(row.asked_until, mono_ms + ms)
        if not row.rest_ms:
            self._rest(place, row, mono_ms, 0)

    def succeeded(self, place: BreakerPlace, began_ms: int) -> None:
        """Note the success of an attempt that began at ``began_ms``: the failures in a row end.

        It rang, was answered, or was refused for its number. If it began before the end of a rest that the address has
        asked for, it shows nothing about that.
        """
        for each in _rows_of(place):
            row = self.failing.get(each)
            if row is None:
                continue
            if began_ms < row.asked_until:
                row.silences = row.undelivered = row.refusals = row.until = 0
                row.rest_ms = REST_MS
            elif self._forget(each):
                self.on_change(each, Circuit.WELL, 0)
        named = self._named.get(place.gateway)
        for each in [each for each in named if self.failing[each].matters_until <= began_ms] if named else ():
            self._drop(each)  # the gateway may send no call there again, which would end its rest

    def remaining_ms(self, place: BreakerPlace, mono_ms: int) -> int:
        """Return the remaining milliseconds in which no call goes there; 0 = one may."""
        remaining_ms = 0
        for each in _rows_of(place):
            row = self.failing.get(each)
            if row is not None and row.rest_ms:
                remaining_ms = max(row.ends_at - mono_ms, row.probed_until - mono_ms, remaining_ms)
        return remaining_ms

    def paused_ms(self, place: BreakerPlace, mono_ms: int) -> int:
        """Return the remaining milliseconds for which an address has asked to be left alone; 0 = it has not."""
        row = self.failing.get(place._replace(payer=""))
        return 0 if row is None else max(row.asked_until - mono_ms, 0)

    def reason(self, place: BreakerPlace) -> str:
        """Return why an address rests, for all or for the payer; empty = it does not."""
        rows = [row for each in _rows_of(place) if (row := self.failing.get(each)) is not None and row.rest_ms]
        if not rows:
            return ""
        row = max(rows, key=lambda each: each.ends_at)
        if row.asked_until > row.until:
            return Cause.RESTING.detail
        if row.undelivered >= SILENCES:
            return UNREACHED
        return SILENT if row.silences >= SILENCES else REFUSED

    def resting_of(self, gateway: str, mono_ms: int) -> list[BreakerPlace]:
        """Return the addresses of a gateway that rest, for all or for a payer."""
        if gateway not in self.resting:
            return []
        return [each for each in self.failing if each.gateway == gateway and self.remaining_ms(each, mono_ms)]

    def begin(self, place: BreakerPlace, mono_ms: int) -> None:
        """Note that an attempt begins: after a rest it is the probe."""
        for each in _rows_of(place):
            row = self.failing.get(each)
            if row is not None and row.rest_ms and row.ends_at <= mono_ms:
                row.probed_until = mono_ms + PROBE_MS

    def cancelled(self, place: BreakerPlace, began_ms: int) -> None:
        """Note that an attempt was cancelled: if it was the probe, the next call may be one at once."""
        for each in _rows_of(place):
            row = self.failing.get(each)
            if row is not None and row.probed_until == began_ms + PROBE_MS:
                row.probed_until = 0

    def is_named(self, place: BreakerPlace) -> bool:
        """Return whether an address that rests, or has rested, is known by a 3xx of the gateway alone."""
        return place in self._named.get(place.gateway, ())

    def keep(self, is_called: Callable[[BreakerPlace], bool]) -> None:
        """Forget the addresses to which no call goes any more."""
        for place in [place for place in self.failing if not is_called(place)]:
            self._drop(place)

    def _count(
        self, place: BreakerPlace, *, is_silent: bool, is_undelivered: bool, began_ms: int, mono_ms: int
    ) -> None:
        row = self.failing.get(place) or self._remember(place)
        row.undelivered = row.undelivered + 1 if is_undelivered else 0
        if row.rest_ms:
            if began_ms > row.began_at:  # one that began before the rest shows nothing new
                row.begin(min(2 * row.rest_ms, REST_MAX_MS), mono_ms)
            return
        row.refusals += 1
        row.silences = row.silences + 1 if is_silent else 0
        if row.silences >= SILENCES or row.refusals >= REFUSALS:
            self._rest(place, row, mono_ms, REST_MS)

    def _note_named(self, place: BreakerPlace) -> None:
        """Note that only a 3xx names an address, if that rests."""
        for each in _rows_of(place):
            if (row := self.failing.get(each)) is not None and row.rest_ms:
                self._named.setdefault(place.gateway, {})[each] = None

    def _rest(self, place: BreakerPlace, row: _Row, mono_ms: int, lasts_ms: int) -> None:
        """Begin a rest; one after a failed probe doubles ``REST_MS``, however long this one lasts."""
        row.begin(REST_MS, mono_ms)
        row.until = mono_ms + lasts_ms
        self.resting[place.gateway] = self.resting.get(place.gateway, 0) + 1
        self.on_change(place, Circuit.RESTING, row.ends_at - mono_ms)

    def _remember(self, place: BreakerPlace) -> _Row:
        if len(self.failing) >= CIRCUITS_MAX:
            self._drop(next(iter(self.failing)))
        row = self.failing[place] = _Row()
        return row

    def _drop(self, place: BreakerPlace) -> None:
        if self._forget(place):
            self.on_change(place, Circuit.GONE, 0)

    def _forget(self, place: BreakerPlace) -> bool:
        """Forget the failures at an address; return whether it rested."""
        row, named = self.failing.pop(place), self._named.get(place.gateway)
        if named is not None:
            named.pop(place, None)
            if not named:
                del self._named[place.gateway]
        if not row.rest_ms:
            return False
        left = self.resting.pop(place.gateway) - 1
        if left:
            self.resting[place.gateway] = left
        return True


def _rows_of(place: BreakerPlace) -> tuple[BreakerPlace, ...]:
    """Return the keys under which failures count for a payer at an address."""
    return (place, place._replace(payer="")) if place.payer else (place,)


def _ignore(_place: BreakerPlace, _state: Circuit, _rest_ms: int) -> None:
    """Do nothing: the default of ``on_change``."""
