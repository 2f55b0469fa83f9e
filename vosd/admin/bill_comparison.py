"""Compare the calls of a vendor's file with ours: sums by class, and the calls that differ in compressed chunks."""

import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from decimal import Decimal
from operator import attrgetter
from typing import Final

import msgspec

from vosd.admin.foreign_calls import ForeignCall
from vosd.admin.shadow_rating import CdrMap
from vosd.admin.sorted_calls import SortedCalls
from vosd.base.money import EXACT, ZERO, format_amount
from vosd.billing.rater import Step
from vosd.billing.rates import AppliedRate
from vosd.billing.stored_rate import rate_of_steps
from vosd.callcontrol.rates_again import RatesAgain
from vosd.catalogue.catalogue import Catalogue
from vosd.cdr.columns import iso_utc
from vosd.cdr.record import VENDOR
from vosd.clearing.beginnings import BeginningPairing
from vosd.clearing.calls import ANY_NUMBER, BillClass, BilledCall, CallPair, SentCall, comparable, comparable_beginning
from vosd.clearing.explanations import MATCHED, Judge, PriceExplanation, PriceTerms, RowVerdict
from vosd.clearing.sums import BillSums
from vosd.clearing.time_shift import TimeShift
from vosd.storage.reconciliations import TriedCall, VendorCall
from vosd.storage.unrecorded_calls import UnrecordedCall

CHUNK: Final = 2_000
"""Calls of a compressed chunk."""
GROUPS_MAX: Final = 50
"""Rate groups of a vendor that are tried for a call that nothing else explains."""
_DAY_MS: Final = 86_400_000
_OTHER_DAYS: Final = (-1, -7, -30, -90, 1, 7, 30)
LOOKED_UP_MAX: Final = 10_000
"""Calls of a file that we did not send, which are looked up among attempts that failed; of more, the zone or the map
of the file is wrong."""
_REPEATED: Final = "billed twice"
_OUTSIDE: Final = "outside of the period"
_WITHOUT_CDR: Final = "our call has left no CDR"
_WHOLE_SECOND_MS: Final = 1_000
_encode: Final = msgspec.msgpack.Encoder().encode


class DifferingCall(msgspec.Struct, gc=False, array_like=True):
    """A call whose books differ; of a call that is missing on one side the fields of that side are empty."""

    result: BillClass
    explanation: str
    callee: str
    line: int | None = None
    their_start: int | None = None
    their_ms: int | None = None
    their_billed_s: int | None = None
    their_price: Decimal | None = None
    call_id: str | None = None
    our_start: int | None = None
    our_ms: int | None = None
    our_billed_s: int | None = None
    our_cost: Decimal | None = None
    rate_prefix: str = ""
    gateway: str = ""


CSV_COLUMNS: Final = (
    "result", "explanation", "difference", "callee", "line", "their_start", "their_seconds", "their_billed_seconds",
    "their_price", "call_id", "our_start", "our_seconds", "our_billed_seconds", "our_cost", "rate_prefix", "gateway",
)  # fmt: skip


def csv_row(call: DifferingCall) -> list[str]:
    """Return the cells of a call under ``CSV_COLUMNS``."""
    theirs, ours = call.their_price, call.our_cost
    cells = (
        call.result.value,
        call.explanation,
        None if theirs is None and call.line is not None else _difference(theirs, ours),
        call.callee,
        call.line,
        None if call.their_start is None else iso_utc(call.their_start),
        None if call.their_ms is None else _seconds(call.their_ms),
        call.their_billed_s,
        None if theirs is None else format_amount(theirs),
        call.call_id,
        None if call.our_start is None else iso_utc(call.our_start),
        None if call.our_ms is None else _seconds(call.our_ms),
        call.our_billed_s,
        None if ours is None else format_amount(ours),
        call.rate_prefix,
        call.gateway,
    )
    return ["" if cell is None else str(cell) for cell in cells]


def _difference(theirs: Decimal | None, ours: Decimal | None) -> str:
    return format_amount(EXACT.subtract(theirs or ZERO, ours or ZERO))


def _seconds(ms: int) -> str:
    return f"{Decimal(ms).scaleb(-3).normalize():f}"


def read_chunk(compressed: bytes) -> Sequence[DifferingCall]:
    """Return the calls of a chunk."""
    return _decode(zlib.decompress(compressed))


_decode: Final = msgspec.msgpack.Decoder(list[DifferingCall]).decode


def billed_call(line: int, call: ForeignCall) -> BilledCall:
    """Return a row of a vendor's file as it is compared."""
    number, caller = comparable(call.callee), comparable(call.caller)
    return BilledCall(
        call.started_at, number, line, caller, call.duration_ms, call.billed_seconds, call.price, call.again_ms
    )


def sent_call(call: VendorCall, wanted: CdrMap) -> SentCall:
    """Return a call of ours as it is compared with a file of ``wanted``."""
    invited_at = _invited_at(call)
    at = invited_at if wanted.starts_at_invite else call.vendor_answered_at or invited_at
    length = call.vendor_billing_base_ms
    if length is None:
        length = 0 if call.vendor_answered_at is None else max(0, call.ended_at - call.vendor_answered_at)
    rated = call.callee_billing or call.callee_out or ""
    return SentCall(
        at=at,
        number=comparable(call.callee_out or rated, wanted.strip_ours),
        call_id=call.call_id,
        caller=comparable(call.caller_out or ""),
        duration_ms=length,
        from_invite_ms=max(0, call.ended_at - invited_at),
        billed_seconds=call.vendor_billed_seconds,
        cost=EXACT.add(call.cost, call.cost_tax) if wanted.includes_tax else call.cost,
        prefix=call.vendor_rate_prefix or "",
        gateway=call.routing_gateway or "",
        started_at=call.started_at,
        rated_number=rated,
        hides_caller=bool(call.caller_hidden),
    )


def _invited_at(call: VendorCall) -> int:
    """Return the moment of the INVITE to the vendor: gateways before it may have taken the caller's time."""
    if call.vendor_billing_base_ms is not None:
        charged_from = call.ended_at - call.vendor_billing_base_ms
        if call.vendor_answered_at is None or charged_from <= call.vendor_answered_at:
            return charged_from  # else the vendor hung up before the end
    if call.vendor_answered_at is None or call.answered_after_ms is None:
        return call.started_at
    return call.vendor_answered_at - call.answered_after_ms


def unrecorded_call(call: UnrecordedCall, wanted: CdrMap) -> SentCall:
    """Return a call of ours without CDR as it is compared; of its number it has what the prefix of the rate says.

    Its length is in whole seconds, and with ``start: {of: invite}`` it begins with the INVITE of the caller.
    """
    length = 1_000 * call.hold_time_s
    return SentCall(
        at=call.began_at if wanted.starts_at_invite else max(call.began_at, call.ended_at - length),
        number=comparable_beginning(call.prefix, wanted.strip_ours),
        call_id=call.call_id,
        caller="",
        duration_ms=length,
        from_invite_ms=call.ended_at - call.began_at,
        billed_seconds=call.billed_seconds,
        cost=EXACT.add(call.fee, call.tax) if wanted.includes_tax else call.fee,
        prefix=call.prefix,
        gateway="",
        started_at=call.began_at,
        rated_number=call.prefix,
    )


def rated_number(prefix: str, number: str, wanted: CdrMap) -> str:
    """Return the number of a vendor's row as our rate of ``prefix`` has it, with the digits that were taken off."""
    if prefix == ANY_NUMBER or number.startswith(prefix):
        return number
    beginning = comparable_beginning(prefix, wanted.strip_ours)
    whole = next((each for each in wanted.strip_ours if each.startswith(prefix)), prefix)
    return whole + number.removeprefix(beginning)


def rate_of_breakdown(text: str) -> AppliedRate | None:
    """Return the rate by which the vendor is paid for a call, by its stored steps; None = it has none."""
    try:
        return rate_of_steps(_parts(text).vendor)
    except (KeyError, ValueError, TypeError, msgspec.DecodeError):
        return None  # a call without rate, or steps of another version


class _VendorPart(msgspec.Struct):
    """Steps of the vendor in a breakdown; what else it has is passed over: not all of that are steps."""

    vendor: list[Step]


_parts: Final = msgspec.json.Decoder(_VendorPart).decode


def other_rates(catalogue: Catalogue, vendor: str) -> Iterator[PriceExplanation]:
    """Yield explanations by rates that the configuration has for a vendor: those of other days, then its other groups.

    Groups of others are not tried: the vendor reads the explanations, and is not to learn what others pay or are paid.
    """
    again = RatesAgain(catalogue)

    def found_at(ours: SentCall, at: int) -> AppliedRate | None:
        return again.of_vendor(vendor, ours.gateway, ours.rated_number, at, ours.rated_caller)

    def of_day(days: int) -> PriceExplanation:
        def found(_rate: AppliedRate, ours: SentCall, _theirs: BilledCall) -> PriceTerms | None:
            at = ours.started_at + days * _DAY_MS
            other = found_at(ours, at)
            return None if other is None else PriceTerms(other, ours.duration_ms)

        when = f"{abs(days)} day{'s' if abs(days) > 1 else ''} {'before' if days < 0 else 'after'}"
        return PriceExplanation(BillClass.RATE_DIFFERS, f"our rate of {when}", found)

    def of_now() -> PriceExplanation:
        def found(_rate: AppliedRate, ours: SentCall, _theirs: BilledCall) -> PriceTerms | None:
            other = found_at(ours, ours.started_at)
            return None if other is None else PriceTerms(other, ours.duration_ms)

        return PriceExplanation(BillClass.RATE_DIFFERS, "our rate as it is configured now", found)

    yield of_now()
    yield from map(of_day, _OTHER_DAYS)
    account = catalogue.accounts.get(vendor)
    if account is None:
        return
    gateways = [each for each in catalogue.routing_gateways.values() if each.account == vendor]
    names = [account.rate_group, account.private_rate_group]
    names += [name for each in gateways for name in (each.rate_group, each.private_rate_group)]
    own = [catalogue.rate_groups[name] for name in dict.fromkeys(names) if name and name in catalogue.rate_groups]
    for group in [each for each in own if each.currency == account.currency][:GROUPS_MAX]:

        def in_group(
            rate: AppliedRate, ours: SentCall, _theirs: BilledCall, find: Callable[..., AppliedRate | None] = group.find
        ) -> PriceTerms | None:
            other = find(ours.rated_number, ours.started_at, ours.rated_caller)
            return None if other is None or other.group == rate.group else PriceTerms(other, ours.duration_ms)

        yield PriceExplanation(BillClass.RATE_DIFFERS, f"rate group {group.name}", in_group)


def tried_number(call: TriedCall, wanted: CdrMap) -> frozenset[str]:
    """Return the forms of the called number by which a vendor may have an attempt of ours."""
    numbers = (call.callee_out, call.callee_billing, call.callee_in)
    return frozenset(comparable(each, wanted.strip_ours) for each in numbers if each)


class BillComparison:
    """Classes of pairs; memory grows with the calls that differ, some 30 bytes each."""

    def __init__(
        self, judge: Judge, since: int, until: int, time_shift: TimeShift, lacking: SortedCalls[BilledCall]
    ) -> None:
        """``since`` and ``until`` are the span in which a call must be in both books.

        ``time_shift`` receives the calls that have no partner, and ``lacking`` those of the file, of the period, which
        ``add_unrecorded`` counts.
        """
        self._judge, self._time_shift = judge, time_shift
        self._since, self._until = since, until
        self._lacking = lacking
        self.sums = BillSums()
        self.attempts = 0
        """Rows without seconds and price: attempts, of which no bill is made."""
        self.lacking = 0
        """Calls of the file, of the period, that have no partner."""
        self.differ = 0
        self._waiting: list[CallPair] = []
        self.unsent: list[BilledCall] = []
        """Calls of the file that we did not send, of the period: ``settle_unsent`` says which were attempts.

        They are the first ``LOOKED_UP_MAX``.
        """
        self._rows: list[DifferingCall] = []
        self.chunks: list[bytes] = []

    @property
    def waiting(self) -> Sequence[CallPair]:
        """Matched calls that differ, whose stored steps are needed to say why."""
        return self._waiting

    def add(self, pair: CallPair) -> None:
        """Compare a pair, or keep it until its steps are read."""
        ours, theirs = pair.ours, pair.theirs
        if ours is not None and theirs is not None:
            if self._judge.is_equal(ours, theirs):
                self._count(pair, MATCHED)
            else:
                self._waiting.append(pair)
        elif theirs is not None:
            self._add_missing_here(pair, theirs)
        elif ours is not None:
            self._time_shift.add_ours(ours)
            if (ours.cost or ours.billed_seconds) and self._since <= ours.at < self._until:
                self._count(pair, RowVerdict(BillClass.MISSING_THERE))

    def judge(self, breakdowns: Mapping[str, str]) -> None:
        """Explain the pairs that wait, by the stored steps of their calls."""
        for pair in self._waiting:
            assert pair.ours is not None
            assert pair.theirs is not None
            rate = rate_of_breakdown(breakdowns.get(pair.ours.call_id, ""))
            self._count(pair, self._judge.verdict(pair.ours, pair.theirs, rate))
        self._waiting = []

    def add_unrecorded(
        self, calls: Sequence[UnrecordedCall], wanted: CdrMap, setup_ms: int, tolerance_ms: int
    ) -> Iterator[None]:
        """Compare our calls without CDR with those of the file that have no partner; yield often.

        Two are one if the number begins with the prefix of our rate, the starts fit, and the lengths or the billed
        seconds are equal. ``setup_ms``: time for which an INVITE may have waited for the one to the vendor. Rows of the
        hour that comes twice are tried by its first time, those without partner by its second.
        """
        late_ms = _WHOLE_SECOND_MS + tolerance_ms
        early_ms = late_ms + (setup_ms if wanted.starts_at_invite else 0)
        ours: list[SentCall] = []
        for each in calls:
            yield
            ours.append(unrecorded_call(each, wanted))
        ours.sort(key=attrgetter("at"))
        pairing = BeginningPairing(ours, early_ms, late_ms, tolerance_ms, self._judge.duration_tolerance_ms)
        again: list[BilledCall] = []
        for theirs in self._lacking:
            yield
            if not pairing.add(theirs):
                if theirs.again_ms:
                    again.append(theirs.moved())
                else:
                    self._lack(theirs, is_repeated=pairing.repeats(theirs))
        for theirs in again:
            yield
            if not pairing.add(theirs):
                self._lack(theirs.moved(), is_repeated=pairing.repeats(theirs))
        breakdowns = {each.call_id: each.breakdown for each in calls}
        for place, call in enumerate(ours):
            yield
            row = pairing.rows.get(place)
            if row is not None:
                rated = rated_number(call.prefix, row.number, wanted)
                self.add(CallPair(msgspec.structs.replace(call, number=row.number, rated_number=rated), row))
                self.judge({call.call_id: f'{{"{VENDOR}":{breakdowns[call.call_id]}}}'})
            elif self._since <= call.at < self._until:
                lost = msgspec.structs.replace(call, number=call.number or call.prefix)
                self._count(CallPair(lost, None), RowVerdict(BillClass.MISSING_THERE, _WITHOUT_CDR))

    def _lack(self, theirs: BilledCall, *, is_repeated: bool) -> None:
        """Count a call of the file that we did not send, or keep it until it is looked up."""
        self.lacking += 1
        if is_repeated:
            self._count(CallPair(None, theirs), RowVerdict(BillClass.MISSING_HERE, _REPEATED))
        elif len(self.unsent) < LOOKED_UP_MAX:
            self.unsent.append(theirs)
        else:
            self._count(CallPair(None, theirs), RowVerdict(BillClass.MISSING_HERE))

    def settle_unsent(self, tried: Mapping[int, TriedCall]) -> None:
        """Count the calls of the file that we did not send; ``tried`` has attempts of ours by lines of the file."""
        for theirs in self.unsent:
            attempt = tried.get(theirs.line)
            why = "" if attempt is None else f"our attempt was not answered: {attempt.code} {attempt.reason}"
            self._count(CallPair(None, theirs), RowVerdict(BillClass.MISSING_HERE, why), attempt)
        self.unsent = []

    def close(self) -> None:
        """Complete the last chunk; calls that were not looked up count as they are."""
        self.settle_unsent({})
        self._end_chunk()

    def _end_chunk(self) -> None:
        if self._rows:
            self.chunks.append(zlib.compress(_encode(self._rows), 6))
            self._rows = []

    def _add_missing_here(self, pair: CallPair, theirs: BilledCall) -> None:
        if not theirs.duration_ms and not theirs.billed_seconds and not theirs.price:
            self.attempts += 1
            return
        self._time_shift.add_theirs(theirs)
        why = _REPEATED if pair.is_repeated else ""
        if not self._since <= theirs.at < self._until:
            why = _OUTSIDE
        if why:
            self._count(pair, RowVerdict(BillClass.MISSING_HERE, why))
        else:
            self._lacking.add(theirs)

    def _count(self, pair: CallPair, verdict: RowVerdict, attempt: TriedCall | None = None) -> None:
        ours, theirs = pair.ours, pair.theirs
        either = ours if ours is not None else theirs
        assert either is not None
        cost = ZERO if ours is None else ours.cost
        price = None if theirs is None else theirs.price
        counted = price or ZERO
        if price is None and ours is not None and theirs is not None:  # a price that the file does not say is not zero
            counted = cost if verdict.amount is None else verdict.amount
        self.sums.add(verdict.result, verdict.explanation, cost, counted)
        if verdict.result is BillClass.MATCHED:
            return
        self.differ += 1
        row = DifferingCall(verdict.result, verdict.explanation, either.number)
        if theirs is not None:
            row.line, row.their_start, row.their_ms = theirs.line, theirs.at, theirs.duration_ms
            row.their_billed_s, row.their_price = theirs.billed_seconds, theirs.price
        if ours is not None:
            row.call_id, row.our_start, row.our_ms = ours.call_id, ours.at, ours.duration_ms
            row.our_billed_s, row.our_cost = ours.billed_seconds, ours.cost
            row.rate_prefix, row.gateway = ours.prefix, ours.gateway
        elif attempt is not None:
            row.call_id, row.our_start, row.gateway = attempt.call_id, attempt.started_at, attempt.gateway
        self._rows.append(row)
        if len(self._rows) >= CHUNK:
            self._end_chunk()
