"""From a call to its record: durations, prices and postings, whichever way the call ended."""

from decimal import Decimal

import msgspec
import pytest
from doubles.data.builders import applied_rate, mapping_gateway, rating_policy, routing_gateway
from doubles.data.records import call_id
from doubles.recomputed import recompute

from vosd.b2bua.stamps import Arrival, Ending, Journey
from vosd.base.cause import EndReason, HangupSource
from vosd.base.clock import Instant
from vosd.billing.accounts import Account, AccountType
from vosd.billing.currencies import Currencies
from vosd.billing.exchange import ExchangeRate
from vosd.billing.parties import CallSide, Party
from vosd.billing.rates import AppliedRate
from vosd.callcontrol.bookkeeping import conclude, draft, lost, opened
from vosd.callcontrol.call_request import CallRequest
from vosd.callcontrol.open_call import OpenCall
from vosd.cdr.record import AGENT, CUSTOMER, VENDOR, Attempt, CallRecord, ChargeRow, Posting
from vosd.routing.pipeline import RouteChoice

ARRIVED = Instant(5_000, 1_790_000_000_000)
RANG = ARRIVED.plus(900)
ANSWERED = ARRIVED.plus(4_000)
SELL = applied_rate("0.60", tax_rate="10")
BUY = applied_rate("0.30", 60)


APPLICATION = CallRequest(
    caller="4930", callee="4420", source_host="192.0.2.10", source_port=5060, hops=69, at=ARRIVED,
    callee_billing="4420", mapping=mapping_gateway("acme-pbx", "192.0.2.10"), rate=SELL, hold=None,
    account=Account("acme", AccountType.DIRECT, "sell", Decimal(0), "USD"),
)  # fmt: skip
ARRIVAL = Arrival(call_id(1), "+4930", "+4420", "in@them", "192.0.2.10:5060", ARRIVED)


def journey(answered: Instant | None, vendor_answered: Instant | None = None, buy: AppliedRate | None = BUY) -> Journey:
    """Return what happened to a call that rang."""
    return Journey(
        ringing_at=RANG, answered_at=answered, vendor_answered_at=vendor_answered or answered, progress_at=RANG,
        codec="PCMU", vendor_codec="PCMU", attempts=[Attempt("carrier-trunk", 200, 4_000, 900, "Answered")],
        choice=RouteChoice(routing_gateway("carrier-trunk", "44"), "44", "4420", "4930", buy),
        sip_call_ids_out=["out@us"], destination_address="198.51.100.7:5060",
    )  # fmt: skip


def kept(
    sell: AppliedRate | None = SELL,
    buy: AppliedRate | None = BUY,
    answered: Instant | None = ANSWERED,
    vendor_answered: Instant = ANSWERED,
    *,
    recorded: bool = True,
) -> OpenCall:
    """Return the journal's copy of the call since it was answered."""
    what = journey(answered, vendor_answered, buy)
    call = opened("sw1", ARRIVAL, APPLICATION, what, recorded=recorded)
    assert call is not None
    return msgspec.structs.replace(call, customer_rate=sell)


def ended(held_ms: int = 61_500, call: OpenCall | None = None, *, wall_jump: int = 0) -> CallRecord:
    """Let the caller end the call after ``held_ms``."""
    end = ANSWERED.plus(held_ms)
    at = Instant(end.mono, end.wall + wall_jump)
    return conclude(
        call or kept(), Ending(EndReason.NORMAL, HangupSource.CALLER, at, 200, 16), "PCMU", "PCMU", recorded=True
    )


def test_a_record_has_parties_times_and_reason():
    record = ended()
    assert (record.mapping_gateway, record.routing_gateway) == ("acme-pbx", "carrier-trunk")
    assert (record.customer_account, record.vendor_account, record.currency) == ("acme", "carrier-trunk", "USD")
    assert (record.started_at, record.ringing_at, record.answered_at) == (ARRIVED.wall, RANG.wall, ANSWERED.wall)
    assert (record.pdd_ms, record.hold_time_ms) == (900, 61_500)
    assert (record.end_reason, record.hangup_source, record.sip_code, record.q850_cause) == (
        "Normal",
        "caller",
        200,
        16,
    )


def test_durations_are_those_of_the_monotonic_clock():
    """A wall clock that is set back in mid-call changes no bill."""
    record = ended(wall_jump=-3_600_000)
    assert record.hold_time_ms == 61_500
    assert record.ended_at == ANSWERED.wall + 61_500


def test_an_unanswered_call_costs_nothing_and_posts_nothing():
    cancelled = Ending(EndReason.CANCELLED, HangupSource.CALLER, ARRIVED.plus(2_000), 487, 16)
    record = draft("sw1", ARRIVAL, APPLICATION, journey(None), cancelled)
    assert (record.fee, record.tax, record.cost, record.cost_tax, record.postings) == (0, 0, 0, 0, ())
    assert record.answered_at is None
    assert (record.hold_time_ms, record.ended_at) == (0, ARRIVED.wall + 2_000)


def test_both_sides_of_an_answered_call_are_charged_and_posted():
    record = ended()
    assert (record.billed_seconds, record.fee, record.tax) == (62, Decimal("0.62"), Decimal("0.062"))
    assert (record.vendor_billed_seconds, record.cost, record.cost_tax) == (120, Decimal("0.60"), 0)
    assert record.vendor_rate_prefix == "44"
    assert record.postings == (
        Posting("acme", Decimal("-0.682"), record.postings[0].reference, "USD"),
        Posting("carrier-trunk", Decimal("-0.60"), record.postings[1].reference, "USD"),
    )
    assert len({posting.reference for posting in record.postings}) == 2
    assert all(record.call_id in posting.reference for posting in record.postings)
    assert msgspec.json.decode(record.fee_breakdown).keys() == {"customer", "vendor"}


def test_everyone_who_pays_or_is_paid_has_a_charge():
    record = ended()
    assert record.charges == (
        ChargeRow(
            *("acme", CUSTOMER, 0, "sell", "v1", "44", Decimal("0.60"), "minute", 62),
            *(Decimal("0.62"), Decimal("0.062"), "USD"),
            tax_rate=Decimal(10),
        ),
        ChargeRow(
            *("carrier-trunk", VENDOR, 0, "sell", "v1", "44", Decimal("0.30"), "minute", 120),
            *(Decimal("0.60"), Decimal(0), "USD"),
            tax_rate=Decimal(0),
        ),
    )


def test_every_agent_above_the_customer_is_charged_by_its_own_rate():
    agents = (
        Party("reseller", CallSide.AGENT, 1, applied_rate("0.50", tax_rate="10")),
        Party("wholesaler", CallSide.AGENT, 2, applied_rate("0.40", 60)),
    )
    record = ended(call=msgspec.structs.replace(kept(), agents=agents))
    charged = [(each.account, each.role, each.level, each.fee, each.tax) for each in record.charges]
    assert charged == [
        ("acme", CUSTOMER, 0, Decimal("0.62"), Decimal("0.062")),
        ("reseller", AGENT, 1, Decimal("0.516667"), Decimal("0.051667")),
        ("wholesaler", AGENT, 2, Decimal("0.80"), Decimal(0)),
        ("carrier-trunk", VENDOR, 0, Decimal("0.60"), Decimal(0)),
    ]
    assert [(each.account, each.amount, each.reference.partition("/")[2]) for each in record.postings] == [
        ("acme", Decimal("-0.682"), "customer"),
        ("reseller", Decimal("-0.568334"), "agent-1"),
        ("wholesaler", Decimal("-0.80"), "agent-2"),
        ("carrier-trunk", Decimal("-0.60"), "vendor"),
    ]
    assert msgspec.json.decode(record.fee_breakdown).keys() == {"customer", "vendor"}
    for each in record.charges[1:3]:
        assert each.breakdown is not None
        again = recompute(msgspec.json.decode(each.breakdown))
        assert (again.fee, again.tax) == (each.fee, each.tax)


def test_agents_pay_nothing_for_a_call_that_was_not_answered_for_the_caller():
    call = kept(answered=None)
    with_agent = msgspec.structs.replace(call, agents=(Party("reseller", CallSide.AGENT, 1, SELL),))
    assert [each.role for each in ended(call=with_agent).charges] == [VENDOR]


def test_an_account_that_is_both_sides_of_a_call_gets_two_entries_of_that_call():
    call = kept()
    both = msgspec.structs.replace(call, record=msgspec.structs.replace(call.record, customer_account="carrier-trunk"))
    assert ended(call=both).postings == (
        Posting("carrier-trunk", Decimal("-0.682"), f"{call_id(1)}/customer", "USD"),
        Posting("carrier-trunk", Decimal("-0.60"), f"{call_id(1)}/vendor", "USD"),
    )


def test_a_side_that_costs_nothing_posts_nothing_and_shows_its_steps():
    record = ended(call=kept(applied_rate("0", 60, tax_rate="10"), applied_rate("0", 60)))
    assert record.postings == ()
    assert msgspec.json.decode(record.fee_breakdown).keys() == {"customer", "vendor"}


@pytest.mark.parametrize(("sell", "buy", "accounts"), [(SELL, None, ["acme"]), (None, BUY, ["carrier-trunk"])])
def test_a_side_without_a_rate_posts_nothing(sell, buy, accounts):
    assert [posting.account for posting in ended(call=kept(sell, buy)).postings] == accounts


@pytest.mark.parametrize(
    ("sell", "buy", "seconds"),
    [
        (None, applied_rate("0.30", policy=rating_policy(hold_time_precision_ms=600)), 61),
        (None, BUY, 62),
        (None, None, 62),
        (SELL, None, 62),
    ],
)
def test_a_conversation_has_whole_seconds_also_where_no_customer_pays_for_it(sell, buy, seconds):
    record = ended(call=kept(sell, buy))
    assert (record.hold_time_ms, record.hold_time_s) == (61_500, seconds)
    assert lost(kept(None, None), ANSWERED.mono).hold_time_s == 0


def test_a_lost_call_lasts_to_the_last_recorded_instant():
    record = lost(kept(), ANSWERED.mono + 61_500)
    assert record.hold_time_ms == 61_500
    assert record.ended_at == ANSWERED.wall + 61_500
    assert (record.end_reason, record.hangup_source) == ("Lost", "switch")
    assert record.q850_cause == EndReason.LOST.q850_cause


@pytest.mark.parametrize("last_mono", [0, ANSWERED.mono - 1, ANSWERED.mono])
def test_a_lost_call_without_recorded_instant_has_no_duration(last_mono):
    record = lost(kept(), last_mono)
    assert (record.hold_time_ms, record.ended_at) == (0, ANSWERED.wall)
    assert (record.fee, record.cost, record.billed_seconds) == (0, 0, 0)


@pytest.mark.parametrize("held_ms", [1, 999, 1_000, 59_999, 61_500, 3_600_000])
def test_a_lost_call_costs_what_the_same_call_costs_that_ended(held_ms):
    """One calculator: only reason and side of the end differ."""
    told = ended(held_ms)
    gone = lost(kept(), ANSWERED.mono + held_ms)
    assert (
        msgspec.structs.replace(
            gone, end_reason=told.end_reason, hangup_source=told.hangup_source, q850_cause=told.q850_cause
        )
        == told
    )


def test_what_the_journal_keeps_is_what_it_gives_back():
    call = kept()
    wire = msgspec.msgpack.encode(call)
    assert msgspec.msgpack.decode(wire, type=OpenCall) == call
    assert lost(msgspec.msgpack.decode(wire, type=OpenCall), 70_000) == lost(call, 70_000)


def test_a_running_call_in_two_currencies_is_charged_after_a_kill_by_the_exchange_rate_of_its_start():
    euros = {"exchange_rate": Decimal("0.9215"), "paid_in": "EUR"}
    call = kept(msgspec.structs.replace(SELL, **euros), msgspec.structs.replace(BUY, **euros))
    wire = msgspec.msgpack.encode(call)
    record = lost(msgspec.msgpack.decode(wire, type=OpenCall), ANSWERED.mono + 60_000)
    assert (record.fee, record.tax, record.cost) == (Decimal("0.552900"), Decimal("0.055290"), Decimal("0.276450"))
    assert {row.currency for row in record.charges} == {"EUR"}
    assert [(each.amount, each.currency) for each in record.postings] == [
        (Decimal("-0.608190"), "EUR"),
        (Decimal("-0.276450"), "EUR"),
    ]


def test_the_customer_pays_from_our_answer_and_the_vendor_is_paid_from_his_own():
    record = ended(10_000, kept(vendor_answered=ANSWERED.plus(-2_000), buy=applied_rate("0.30", 1)))
    assert (record.vendor_answered_at, record.answered_at) == (ANSWERED.wall - 2_000, ANSWERED.wall)
    assert (record.hold_time_ms, record.billed_seconds, record.fee) == (10_000, 10, Decimal("0.10"))
    assert (record.vendor_billed_seconds, record.cost) == (12, Decimal("0.06"))


NEVER_TOLD = {"answered": None, "vendor_answered": ANSWERED}


def test_a_call_that_never_was_answered_for_the_caller_costs_him_nothing_and_us_what_the_vendor_asks():
    ending = Ending(EndReason.CANCELLED, HangupSource.CALLER, ANSWERED.plus(5_000), 487, 16)
    record = conclude(kept(**NEVER_TOLD), ending, "PCMU", "PCMU", recorded=True)
    assert (record.answered_at, record.vendor_answered_at) == (None, ANSWERED.wall)
    assert (record.fee, record.tax, record.billed_seconds, record.hold_time_ms) == (0, 0, 0, 0)
    assert (record.cost, record.vendor_billed_seconds) == (Decimal("0.30"), 60)
    assert [posting.account for posting in record.postings] == ["carrier-trunk"]
    assert record.ended_at == ANSWERED.wall + 5_000


def test_a_lost_call_without_answer_to_the_caller_is_recorded_as_such():
    record = lost(kept(**NEVER_TOLD), ANSWERED.mono + 1_000)
    assert (record.end_reason, record.answered_at, record.sip_code, record.fee) == ("Lost", None, None, 0)
    assert (record.cost, record.ended_at) == (Decimal("0.30"), ANSWERED.wall + 1_000)


def test_a_call_without_answer_to_the_caller_has_a_record_however_it_ended():
    """Answered calls that the switch ended may leave none; this one was not answered."""
    ending = Ending(EndReason.SHUTDOWN, HangupSource.SWITCH, ANSWERED.plus(5_000), 503, 41)
    assert conclude(kept(**NEVER_TOLD, recorded=False), ending, None, None, recorded=False).recorded


def test_a_record_of_a_version_that_knew_one_answer_counts_it_for_both():
    old = msgspec.structs.replace(kept(buy=applied_rate("0.30", 1)), vendor_answered_mono=None)
    record = ended(10_000, old)
    assert (record.billed_seconds, record.vendor_billed_seconds) == (10, 10)


@pytest.mark.parametrize("jump", [-86_400_000, -5, 5, 86_400_000])
def test_no_time_of_a_record_comes_before_another_when_the_wall_clock_is_set(jump):
    """One reading of the wall clock, at the INVITE; everything after it goes by the monotonic clock."""

    def after(ms: int) -> Instant:
        return Instant(ARRIVED.mono + ms, ARRIVED.wall + ms + jump)

    what = journey(after(4_000), after(3_900))
    what.ringing_at = after(900)
    call = opened("sw1", ARRIVAL, APPLICATION, what, recorded=True)
    assert call is not None
    record = ended(61_500, call, wall_jump=jump)
    times = record.started_at, record.ringing_at, record.vendor_answered_at, record.answered_at, record.ended_at
    assert times == tuple(ARRIVED.wall + ms for ms in (0, 900, 3_900, 4_000, 65_500))


def test_an_unanswered_call_ends_by_the_monotonic_clock():
    at = Instant(ARRIVED.mono + 2_000, ARRIVED.wall - 86_400_000)
    record = draft("sw1", ARRIVAL, APPLICATION, journey(None), Ending(EndReason.BUSY, HangupSource.CALLEE, at, 486, 17))
    assert record.ended_at == ARRIVED.wall + 2_000


def test_a_record_names_the_currencies_of_both_sides_and_so_do_its_entries():
    euro = msgspec.structs.replace(BUY, currency="EUR")
    record = ended(call=kept(buy=euro))
    assert (record.currency, record.vendor_currency) == ("USD", "EUR")
    assert [posting.currency for posting in record.postings] == ["USD", "EUR"]
    failed = Ending(EndReason.BUSY, HangupSource.CALLEE, ARRIVED.plus(2_000), 486, 17)
    record = draft("sw1", ARRIVAL, APPLICATION, journey(None, buy=euro), failed)
    assert (record.currency, record.vendor_currency) == ("USD", "EUR")


def test_terms_that_call_control_did_not_give_out_are_not_booked():
    class Terms:
        price_per_minute = Decimal("0.01")

    what = journey(ANSWERED)
    what.choice = RouteChoice(routing_gateway("carrier-trunk", "44"), "44", "4420", "4930", Terms())
    with pytest.raises(TypeError, match="Terms"):
        opened("sw1", ARRIVAL, APPLICATION, what, recorded=True)


def test_a_record_names_the_rate_that_priced_the_call_of_several_that_might_have():
    lump = applied_rate("0", first_rate="0.60", first_duration=60, rate_type="net")
    lump = msgspec.structs.replace(lump, group="lump", source="main")
    steady = msgspec.structs.replace(applied_rate("0.30"), group="steady", source="account")
    sell = msgspec.structs.replace(steady, candidates=(steady, lump))
    call = kept(sell, msgspec.structs.replace(sell, rate=msgspec.structs.replace(steady.rate, prefix="4")))
    short, long = ended(60_000, call), ended(600_000, call)
    assert (short.rate_group, short.fee, short.cost) == ("steady", Decimal("0.30"), Decimal("0.30"))
    assert (long.rate_group, long.fee, long.cost) == ("lump", Decimal("0.60"), Decimal("0.60"))
    assert (short.rate_type, long.rate_type, long.vendor_rate_prefix) == (None, "net", "44")
    assert [posting.amount for posting in long.postings] == [Decimal("-0.60"), Decimal("-0.60")]


# -- calls sold below cost ---------------------------------------------------------------------------------------------


def loss_of(call: OpenCall, seconds: int = 5) -> Decimal | None:
    at = ANSWERED.plus(1_000 * seconds)
    return conclude(call, Ending(EndReason.NORMAL, HangupSource.CALLER, at, 200, 16), None, None, recorded=True).loss


def test_a_call_that_costs_more_than_it_is_sold_for_says_by_how_much():
    assert loss_of(kept()) == Decimal("0.25"), "0.05 for five seconds, 0.30 for the begun minute"
    assert loss_of(kept(), 30) is None, "0.30 and 0.30"
    assert loss_of(kept(buy=None)) is None


def test_a_call_below_agents_is_sold_for_what_the_last_of_them_pays():
    """By the customer's fee alone no loss would be seen: what agents charge among themselves is theirs."""
    cheaper, dearer = (Party("top", CallSide.AGENT, 2, applied_rate(price)) for price in ("0.12", "6"))
    middle = Party("middle", CallSide.AGENT, 1, applied_rate("60"))
    for top, loss in ((cheaper, Decimal("0.24")), (dearer, None)):
        call = msgspec.structs.replace(kept(), agents=(middle, top))
        assert loss_of(call, 30) == loss, "0.06 or 3.00 for half a minute, 0.30 for the begun one"
    euros = msgspec.structs.replace(cheaper, applied=msgspec.structs.replace(cheaper.applied, currency="EUR"))
    assert loss_of(msgspec.structs.replace(kept(), agents=(euros,)), 30) is None


def test_a_call_to_a_free_number_is_sold_for_nothing_by_intent_and_a_test_call_is_not_sold():
    free = msgspec.structs.replace(SELL, group="free number", rate=applied_rate("0").rate)
    assert loss_of(kept(sell=free)) is None
    assert loss_of(kept(sell=None)) is None


def test_an_answer_that_the_caller_did_not_get_is_a_loss():
    assert loss_of(kept(answered=None)) == Decimal("0.30")


def test_the_loss_of_such_an_answer_has_the_currency_of_the_last_agent_though_no_charge_names_it():
    terms = msgspec.structs.replace(applied_rate("0.60"), currency="EUR")
    call = msgspec.structs.replace(
        kept(answered=None), agents=(Party("top", CallSide.AGENT, 1, terms),), cost_rate=Decimal("0.5")
    )
    end = Ending(EndReason.NORMAL, HangupSource.CALLER, ANSWERED.plus(5_000), 200, 16)
    record = conclude(call, end, None, None, recorded=True)
    assert [charge.role for charge in record.charges] == ["vendor"]
    assert (record.currency, record.loss, record.loss_currency) == ("USD", Decimal("0.15"), "EUR")


def test_a_loss_between_currencies_is_that_of_the_exchange_rate_of_the_call():
    euros = msgspec.structs.replace(BUY, currency="EUR")
    known = Currencies([ExchangeRate("EUR", "USD", Decimal("1.1"))])
    for currencies, loss, longer in ((known, Decimal("0.28"), Decimal("0.03")), (Currencies(), None, None)):
        what = journey(ANSWERED, ANSWERED, euros)
        call = opened("sw1", ARRIVAL, APPLICATION, what, recorded=True, currencies=currencies)
        assert call is not None
        assert loss_of(call) == loss
        assert loss_of(call, 30) == longer, "0.30 dollars and 0.30 euros"
