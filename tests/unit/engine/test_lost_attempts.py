"""The record of a call that a kill has cut off before its answer, by what became of its INVITEs."""

from decimal import Decimal
from types import SimpleNamespace

import pytest
from doubles.data.builders import applied_rate
from doubles.data.records import call_id
from doubles.left_legs import INVITE
from doubles.virtual.clock import ManualClock
from msgspec.structs import replace

from vosd.cdr.record import Attempt, CallRecord
from vosd.engine.calls.lost_attempts import LostAttempts
from vosd.engine.journal.entries import LeftOver
from vosd.sip.transaction.states import TransactionState
from vosd.traffic.live_counts import AttemptsWithoutCdr

NOW = ManualClock().now()
REFUSED_FIRST = Attempt("first", 486, 40, None, "Refused")


def end(state, refused_with=0):
    return SimpleNamespace(state=state, refused_with=refused_with)


ANSWERED, SILENT, REFUSED = (
    end(TransactionState.ACCEPTED),
    end(TransactionState.TERMINATED),
    end(TransactionState.COMPLETED, 487),
)


def invite(gateway):
    return replace(INVITE, gateway=gateway, call_id=f"of-{gateway}".encode())


def left(gateway, **changes):
    record = CallRecord(
        call_id=call_id(1), node="sw1", routing_gateway="second", sip_call_id_out="of-second", started_at=1_000,
        ended_at=NOW.wall - 250, hangup_source="switch", end_reason="Lost", sip_code=503, **changes,
    )  # fmt: skip
    return LeftOver(call_id(1), invites=(invite(gateway),), record=record)


@pytest.fixture
def written():
    return []


@pytest.fixture
def lost(written):
    return LostAttempts(written.append, SimpleNamespace(records_zero=True))


@pytest.mark.parametrize(
    ("transaction", "row"),
    [(ANSWERED, (200, "Late Answer")), (SILENT, (0, "Lost")), (None, (0, "Lost")), (REFUSED, (487, "Lost"))],
)
def test_the_attempt_says_whether_the_vendor_may_bill_it(lost, written, transaction, row):
    lost.add(b"k", left("second"))
    lost.over(b"k", left("second"), transaction, NOW)
    [record] = written
    assert [(each.gateway, each.code, each.reason, each.ms) for each in record.attempts] == [("second", *row, 250)]
    assert record.ended_at == NOW.wall
    assert (lost.answered, lost.unknown) == (row[0] == 200, row[0] == 0)


def test_an_attempt_that_had_ended_before_the_kill_is_not_doubted(lost, written):
    """The INVITE is cancelled all the same, and is unknown at the gateway by then."""
    first, second = (left(name, attempts=(REFUSED_FIRST,)) for name in ("first", "second"))
    lost.add(b"1", first)
    lost.add(b"2", second)
    lost.over(b"2", second, REFUSED, NOW)
    assert written == []
    lost.over(b"1", first, SILENT, NOW)
    assert [(each.gateway, each.code) for each in written[0].attempts] == [("first", 486), ("second", 487)]
    assert lost.unknown == 0


def test_of_phones_that_rang_together_each_counts(lost, written):
    for key, name in ((b"1", "first"), (b"2", "second")):
        lost.add(key, left(name))
    lost.over(b"1", left("first"), ANSWERED, NOW)
    lost.over(b"2", left("second"), SILENT, NOW)
    assert [(each.gateway, each.code) for each in written[0].attempts] == [("first", 200), ("second", 0)]


def test_a_call_that_was_surely_refused_leaves_a_record_like_any_other_without_talk(written):
    without = AttemptsWithoutCdr()
    services = SimpleNamespace(records_zero=False, notices=SimpleNamespace(without_cdr=without))
    lost = LostAttempts(written.append, services)
    for key, transaction in ((b"1", REFUSED), (b"2", SILENT)):
        lost.add(key, left("second"))
        lost.over(key, left("second"), transaction, NOW)
    assert [record.attempts[-1].code for record in written] == [0]
    (counted,) = without.take()
    assert (counted.calls, counted.key.end_reason) == (1, "Lost")


def test_what_the_vendor_of_a_late_answer_charges_is_in_the_record(lost, written):
    """The first second has begun: by 60/60 that is a minute. An answer of another gateway has no known price."""
    whole_minutes = applied_rate("0.06", billing_cycle=60)
    named = left("second", vendor_account="carrier", vendor_currency="USD", customer_account="acme", currency="USD")
    priced = replace(named, vendor_rate=whole_minutes)
    lost.add(b"k", priced)
    lost.over(b"k", priced, ANSWERED, NOW)
    [record] = written
    assert (record.end_reason, record.sip_code, record.fee) == ("Lost", 503, 0)
    assert (record.cost, record.vendor_billed_seconds, record.vendor_answered_at) == (Decimal("0.06"), 60, NOW.wall)
    assert [(each.account, each.amount) for each in record.postings] == [("carrier", Decimal("-0.06"))]
    assert [(each.gateway, each.reason) for each in record.attempts] == [("second", "Late Answer")]
    lost.add(b"1", priced)
    lost.add(b"2", replace(priced, invites=(invite("first"),)))
    lost.over(b"2", replace(priced, invites=(invite("first"),)), ANSWERED, NOW)
    lost.over(b"1", priced, REFUSED, NOW)
    assert (written[1].cost, written[1].postings) == (0, ())


def test_a_call_with_another_record_gets_none(lost, written):
    other = replace(left("second"), record=None)
    lost.add(b"k", other)
    lost.over(b"k", other, ANSWERED, NOW)
    assert written == []


@pytest.mark.parametrize("is_waiting", [False, True])
def test_the_late_answer_of_an_earlier_vendor_is_not_written_again_while_its_record_waits(written, is_waiting):
    """A start that was cut off may have written it, and not that its INVITE is over."""
    sink = SimpleNamespace(has_ended=lambda _call_id: is_waiting)
    lost = LostAttempts(written.append, SimpleNamespace(records_zero=True, sink=sink))
    part = replace(left("first", vendor_account="carrier").record, call_id=call_id(2))
    priced = replace(left("first"), part=part, vendor_rate=applied_rate("0.06"))
    lost.add(b"1", priced)
    lost.over(b"1", priced, ANSWERED, NOW)
    ids = [record.call_id for record in written]
    assert ids == ([call_id(1)] if is_waiting else [call_id(2), call_id(1)])
