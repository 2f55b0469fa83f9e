"""Counts of a call: its part of the sums that reports are made of (ADR 133).

Sums are kept by quarters of an hour of UTC, because every zone differs from UTC by whole quarters: the days, weeks and
months of any zone are made of them. Four kinds of things are counted: calls, the charges of agents, attempts at routing
gateways, and how long callers waited for the first ringing. Calls are also counted by five minutes, on either side for
itself (ADR 186), and by the first digits of the numbers of either party (ADR 189).
"""

from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from enum import StrEnum
from hashlib import sha256
from typing import Final, NamedTuple

import msgspec

from vosd.base.cause import EndReason
from vosd.base.money import ZERO
from vosd.cdr.record import ELSEWHERE, is_in_vain, was_sent

SLOT_MS: Final = 900_000
FIVE_MS: Final = 300_000
FIVES_OF_SLOT: Final = 3
SLOTS_OF_HOUR: Final = 4
SLOTS_OF_DAY: Final = 96
YEAR_SLOTS: Final = 365 * SLOTS_OF_DAY
"""Quarters of an hour of sums that share their keys: with the last of these sums their keys can go."""
BANDS: Final = (0, 6, 30, 60, 180, 600)
"""Longest hold times in seconds of the bands of answered calls; the last band has all that are longer."""
COUNTS: Final = (
    "calls", "answered", "progressed", "hold_ms", "hold_s", "billed_seconds", "vendor_billed_seconds", "pdd_calls",
    "pdd_ms", "setup_ms", *(f"band_{number}" for number in range(len(BANDS) + 1)), "below_cost", "failed_over",
    "caller_measured", "caller_lost", "callee_measured", "callee_lost",
)  # fmt: skip
"""``caller_measured`` are calls with RTP of the caller whose loss is known, ``caller_lost`` is the sum of their losses
in tenths of a percent."""
LOSSES: Final = COUNTS[-4:]
"""Counts that calls do not have which were added before these were kept."""
AMOUNTS: Final = ("fee", "tax", "cost", "cost_tax", "income", "loss")
MEASURES: Final = (*COUNTS, *AMOUNTS)
_PLACE: Final = {name: place for place, name in enumerate(MEASURES)}
_CALLS: Final = _PLACE["calls"]
_BAND: Final = _PLACE["band_0"]
_VENDOR_SECONDS: Final = _PLACE["vendor_billed_seconds"]
_LOSSES: Final = _PLACE["caller_measured"]
_NOTHING: Final = (0,) * len(COUNTS) + (ZERO,) * len(AMOUNTS)
_CANCELLED: Final = EndReason.CANCELLED.text
_STEPS: Final = ((1_000, 50), (3_000, 100), (10_000, 500), (60_000, 5_000))
"""Steps in which waits are kept: up to so many milliseconds in steps of so many."""


class TrafficKind(StrEnum):
    """Kinds of sums."""

    CALL = "call"
    AGENT = "agent"
    """Charges of one agent, ``party``: ``fee`` and ``tax`` are what it pays, ``income`` is what it is paid, by the
    customer or by the agent below it."""
    ATTEMPT = "attempt"
    """Attempts at ``routing_gateway``; ``sip_code`` and ``end_reason`` are those of the attempt."""
    WAIT = "wait"
    """Calls whose callers waited ``wait_ms`` for the first ringing, rounded down to a step."""
    NO_CDR = "no_cdr"
    """Attempts to call that left no CDR, as the running switch has counted them (ADR 138)."""
    UNKNOWN = "unknown"
    """INVITEs of unknown sources that left no CDR, repetitions included."""
    FIVE_IN = "five_in"
    """Calls by five minutes, account of the customer and mapping gateway."""
    FIVE_OUT = "five_out"
    """Calls that were routed, by five minutes, account of the vendor and routing gateway."""
    CALLEES = "callees"
    """Calls by the first digits of the called number as it was rated, in ``area``: how many, and how long they were."""
    CALLERS = "callers"
    """Calls by the first digits of the calling number as it was received, likewise."""


KIND_NUMBERS: Final[Mapping[str, int]] = {kind.value: number for number, kind in enumerate(TrafficKind)}
"""Numbers of the kinds, as the sums have them."""
RECOUNTED: Final = (
    TrafficKind.CALL, TrafficKind.AGENT, TrafficKind.ATTEMPT, TrafficKind.WAIT, TrafficKind.FIVE_IN,
    TrafficKind.FIVE_OUT, TrafficKind.CALLEES, TrafficKind.CALLERS,
)  # fmt: skip
"""Kinds whose sums follow from the stored calls, and can be made of them again."""


DIGITS_SUMMED: Final[Mapping[TrafficKind, int]] = {TrafficKind.CALLEES: 4, TrafficKind.CALLERS: 3}
"""Kinds that are kept by first digits of numbers, with how many of them: by more, a row would have few calls."""
REASONS_BY_FIVE: Final = frozenset({"Busy", "No Answer", "Rejected"})
"""Reasons that are kept of calls by five minutes; the sums have no other one."""


_DIGEST_LENGTH: Final = 32


class TrafficKey(NamedTuple):
    """Values that calls have in common which are added up; empty and 0 = nothing."""

    kind: str
    party: str = ""
    customer_account: str = ""
    vendor_account: str = ""
    mapping_gateway: str = ""
    routing_gateway: str = ""
    billing_method: str = ""
    area: str = ""
    """Area of the customer's rate; where its rate has none, the rate's prefix."""
    rate_type: str = ""
    currency: str = ""
    vendor_currency: str = ""
    income_currency: str = ""
    end_reason: str = ""
    sip_code: int = 0
    """Final code of an unanswered call; 0 for answered ones."""
    hangup_source: str = ""
    """Side that ended an unanswered call; empty for answered ones."""
    wait_ms: int = 0
    minute: int = 0
    """Minute of the quarter of an hour at which the five minutes begin, of kinds that are kept by five minutes."""

    @property
    def digest(self) -> str:
        """The key in 32 characters, by which a database finds it; keys of minute 0 have the digest of before."""
        values = self if self.minute else self[:-1]
        return sha256("\x1f".join(map(str, values)).encode()).hexdigest()[:_DIGEST_LENGTH]


def digest_of(year: int, digest: str = "") -> str:
    """Return the digest of a key for the sums of a year of ``YEAR_SLOTS``, or the least that any of its keys may have.

    They are in the order of their years.
    """
    return f"y{year:04}{digest}"[:_DIGEST_LENGTH]


class TrafficCall(NamedTuple):
    """The columns of a CDR that are counted; times are UTC milliseconds."""

    started_at: int
    ringing_at: int | None
    answered_at: int | None
    customer_account: str | None
    vendor_account: str | None
    mapping_gateway: str | None
    routing_gateway: str | None
    billing_method: str | None
    rate_area: str | None
    rate_prefix: str | None
    rate_type: str | None
    currency: str | None
    vendor_currency: str | None
    end_reason: str
    sip_code: int | None
    hangup_source: str
    pdd_ms: int | None
    hold_time_ms: int
    hold_time_s: int
    billed_seconds: int
    vendor_billed_seconds: int
    fee: Decimal
    tax: Decimal
    cost: Decimal
    cost_tax: Decimal
    loss: Decimal | None
    caller_in: str
    callee_in: str
    callee_billing: str | None
    media: str | None = None
    loss_currency: str | None = None

    @property
    def is_test(self) -> bool:
        """Whether it is a test call: a vendor was called, and not for any customer (ADR 63)."""
        return self.mapping_gateway is None and self.routing_gateway is not None

    @property
    def is_cost_of_another(self) -> bool:
        """Whether it has the cost of an answer in vain alone; calls that a gateway sends have a customer otherwise."""
        return (
            self.customer_account is None
            and self.mapping_gateway is not None
            and self.routing_gateway is not None
            and self.end_reason == _CANCELLED
        )


class TrafficAttempt(NamedTuple):
    """The columns of an attempt that are counted."""

    gateway: str
    code: int
    pdd_ms: int | None
    reason: str


class TrafficCharge(NamedTuple):
    """The columns of an agent's charge that are counted."""

    account: str
    level: int
    billed_seconds: int
    fee: Decimal
    tax: Decimal
    currency: str | None


class _Leg(msgspec.Struct):
    packets_in: int = 0
    lost_percent: float | None = None


class _Legs(msgspec.Struct):
    caller: _Leg | None = None
    callee: _Leg | None = None


class _Media(msgspec.Struct):
    legs: _Legs = msgspec.field(default_factory=_Legs)


_read_media: Final = msgspec.json.Decoder(_Media).decode
Counted = list[tuple[int, int]]
"""Places in ``MEASURES``, each with what is added there."""


class TrafficSums:
    """Sums of calls by quarter of an hour and key."""

    def __init__(self) -> None:
        self.rows: Final[dict[tuple[int, TrafficKey], list[int | Decimal]]] = {}
        """Values in the order of ``MEASURES`` by slot (quarters since 1970) and key."""
        self.prefixes: Final[dict[str, str]] = {}
        """Digits with which the prefixes of all rates of an area begin, by the name of the area."""

    def add(self, call: TrafficCall, attempts: Iterable[TrafficAttempt], agents: Iterable[TrafficCharge]) -> None:
        """Add a call that has a CDR, with its attempts in order and the charges of its agents.

        Of a test call only what the vendor charges is added, and so of an answer in vain, whose call has a CDR of its
        own.
        """
        five = call.started_at // FIVE_MS
        slot = five // FIVES_OF_SLOT
        key = _key_of(call)
        if call.rate_area:
            self._note_area(call.rate_area, call.rate_prefix or "")
        top = max(agents, key=lambda agent: agent.level, default=None)
        # Where the vendor alone has answered there is no charge of an agent, and the loss is in its currency.
        income, paid_in = (call.fee, call.loss_currency or call.currency) if top is None else (top.fee, top.currency)
        is_call = not call.is_test and not call.is_cost_of_another
        counts = _counts_of(call) if is_call else [(_VENDOR_SECONDS, call.vendor_billed_seconds)]
        values = self._values(slot, key._replace(income_currency=paid_in or ""))
        for place, count in counts:
            values[place] += count
        for place, amount in _amounts_of(call, income):
            values[place] += amount
        if not is_call:
            return
        for each in _keys_by_five(key, five % FIVES_OF_SLOT * 5):
            values = self._values(slot, each)
            for place, count in counts:
                values[place] += count
        self._add_numbers(slot, call)
        self._add_agents(slot, call, key, agents)
        sent = (each for each in attempts if was_sent(each.reason, each.code, each.pdd_ms))
        tried = [each for each in sent if not is_in_vain(each.reason, call.end_reason, call.answered_at)]
        self._add_attempts(slot, key, tried)
        if call.pdd_ms is not None:
            waited = TrafficKey(
                TrafficKind.WAIT, customer_account=key.customer_account, mapping_gateway=key.mapping_gateway,
                routing_gateway=key.routing_gateway, wait_ms=step_of(call.pdd_ms),
            )  # fmt: skip
            self._values(slot, waited)[_CALLS] += 1

    def add_counted(self, slot: int, key: TrafficKey, calls: int, answered: int, rang: int) -> None:
        """Add calls that have no CDR; ``rang`` are those that were not answered, which have other keys."""
        self._add(slot, key, {"calls": calls, "answered": answered, "progressed": rang}, {})

    def _note_area(self, area: str, prefix: str) -> None:
        before = self.prefixes.get(area)
        if before is None:
            self.prefixes[area] = prefix
        elif not prefix.startswith(before):
            self.prefixes[area] = common_prefix(before, prefix)

    def _add_numbers(self, slot: int, call: TrafficCall) -> None:
        # What it cost is left out: a correction of a call whose numbers were masked meanwhile then changes nothing.
        counts = [(_CALLS, 1)]
        if call.answered_at is not None:
            held = (_PLACE["hold_ms"], call.hold_time_ms), (_BAND + band_of(call.hold_time_s), 1)
            counts += ((_PLACE["answered"], 1), *held)
        callee = call.callee_in if call.callee_billing is None else call.callee_billing
        for kind, number in ((TrafficKind.CALLEES, callee), (TrafficKind.CALLERS, call.caller_in)):
            values = self._values(slot, TrafficKey(kind, area=number[: DIGITS_SUMMED[kind]]))
            for place, count in counts:
                values[place] += count

    def _add_agents(self, slot: int, call: TrafficCall, key: TrafficKey, agents: Iterable[TrafficCharge]) -> None:
        paid, paid_in = call.fee, call.currency
        for agent in sorted(agents, key=lambda agent: agent.level):
            charged = key._replace(
                kind=TrafficKind.AGENT, party=agent.account, currency=agent.currency or "",
                income_currency=paid_in or "", end_reason="", sip_code=0, hangup_source="", vendor_account="",
                routing_gateway="", vendor_currency="",
            )  # fmt: skip
            counts = {"calls": 1, "answered": int(call.answered_at is not None), "billed_seconds": agent.billed_seconds}
            self._add(slot, charged, counts, {"fee": agent.fee, "tax": agent.tax, "income": paid})
            paid, paid_in = agent.fee, agent.currency

    def _add_attempts(self, slot: int, key: TrafficKey, attempts: list[TrafficAttempt]) -> None:
        for number, attempt in enumerate(attempts, start=1):
            tried = TrafficKey(
                TrafficKind.ATTEMPT, customer_account=key.customer_account, mapping_gateway=key.mapping_gateway,
                routing_gateway=attempt.gateway, area=key.area, end_reason=attempt.reason, sip_code=attempt.code,
            )  # fmt: skip
            is_answered, is_last = 200 <= attempt.code < 300, number == len(attempts)
            has_failed_over = not is_last and attempt.reason not in ELSEWHERE
            counts = {"calls": 1, "answered": int(is_answered), "failed_over": int(has_failed_over)}
            if attempt.pdd_ms is not None:
                counts |= {"pdd_calls": 1, "pdd_ms": attempt.pdd_ms}
            self._add(slot, tried, counts, {})

    def _add(self, slot: int, key: TrafficKey, counts: Mapping[str, int], amounts: Mapping[str, Decimal]) -> None:
        values = self._values(slot, key)
        for name, count in counts.items():
            values[_PLACE[name]] += count
        for name, amount in amounts.items():
            values[_PLACE[name]] += amount

    def _values(self, slot: int, key: TrafficKey) -> list[int | Decimal]:
        """Return the values of a row; one that is missing is made."""
        values = self.rows.get((slot, key))
        if values is None:
            values = self.rows[slot, key] = list(_NOTHING)
        return values


def _keys_by_five(key: TrafficKey, minute: int) -> Iterator[TrafficKey]:
    """Yield the keys by which a call is counted by five minutes, one for each side.

    A gateway that is on both sides of a call is named on its way out, so that the call can be counted once.
    """
    reason = key.end_reason if key.end_reason in REASONS_BY_FIVE else ""
    yield TrafficKey(
        TrafficKind.FIVE_IN, customer_account=key.customer_account, mapping_gateway=key.mapping_gateway,
        end_reason=reason, minute=minute,
    )  # fmt: skip
    if key.routing_gateway:
        yield TrafficKey(
            TrafficKind.FIVE_OUT, vendor_account=key.vendor_account, routing_gateway=key.routing_gateway,
            mapping_gateway=key.mapping_gateway if key.mapping_gateway == key.routing_gateway else "",
            end_reason=reason, minute=minute,
        )  # fmt: skip


def _key_of(call: TrafficCall) -> TrafficKey:
    is_answered = call.answered_at is not None
    return TrafficKey(
        TrafficKind.CALL,
        "",
        call.customer_account or "",
        call.vendor_account or "",
        call.mapping_gateway or "",
        call.routing_gateway or "",
        call.billing_method or "",
        call.rate_area or call.rate_prefix or "",
        call.rate_type or "",
        call.currency or "",
        call.vendor_currency or "",
        "",
        call.end_reason,
        0 if is_answered else call.sip_code or 0,
        "" if is_answered else call.hangup_source,
    )


def _counts_of(call: TrafficCall) -> Counted:
    counts = [(_CALLS, 1)]
    if call.pdd_ms is not None:
        counts += ((_PLACE["pdd_calls"], 1), (_PLACE["pdd_ms"], call.pdd_ms))
    if call.ringing_at is not None or call.answered_at is not None:
        counts.append((_PLACE["progressed"], 1))
    if call.answered_at is not None:
        counts += (
            (_PLACE["answered"], 1),
            (_PLACE["hold_ms"], call.hold_time_ms),
            (_PLACE["hold_s"], call.hold_time_s),
            (_PLACE["setup_ms"], call.answered_at - call.started_at),
            (_BAND + band_of(call.hold_time_s), 1),
        )
    if call.billed_seconds or call.vendor_billed_seconds:
        counts += ((_PLACE["billed_seconds"], call.billed_seconds), (_VENDOR_SECONDS, call.vendor_billed_seconds))
    if call.loss is not None:
        counts.append((_PLACE["below_cost"], 1))
    if call.media is not None:
        counts += _losses_of(call.media)
    return counts


def _losses_of(media: str) -> Counted:
    """Return the lost packets of each side that are known; a document that is damaged says nothing."""
    try:
        legs = _read_media(media).legs
    except msgspec.DecodeError:
        return []
    counts: Counted = []
    for leg, place in ((legs.caller, _LOSSES), (legs.callee, _LOSSES + 2)):
        if leg is not None and leg.lost_percent is not None and leg.packets_in:
            counts += ((place, 1), (place + 1, round(leg.lost_percent * 10)))
    return counts


def _amounts_of(call: TrafficCall, income: Decimal) -> Iterator[tuple[int, Decimal]]:
    amounts = (call.fee, call.tax, call.cost, call.cost_tax, income, call.loss)
    return ((place, amount) for place, amount in enumerate(amounts, len(COUNTS)) if amount)


def band_of(hold_time_s: int) -> int:
    """Return the band of an answered call by its hold time in seconds."""
    return next((band for band, longest in enumerate(BANDS) if hold_time_s <= longest), len(BANDS))


def common_prefix(one: str, other: str) -> str:
    """Return the characters with which both begin."""
    length = next((place for place, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), len(other))
    return one[:length]


def step_of(wait_ms: int) -> int:
    """Return the step of a wait: the milliseconds from which the step counts."""
    for limit, width in _STEPS:
        if wait_ms < limit:
            return wait_ms // width * width
    return _STEPS[-1][0]
