"""The worked examples of routing prefixes, free numbers and numbers without CDR, through the set-up of calls."""

from decimal import Decimal

from doubles.data.builders import applied_rate, catalogue, mapping_gateway, rate_group
from doubles.virtual.scene import CALLEE, Scene, usual_catalogue

from golden.worked import BILLING, of
from vosd.base.clock import Instant
from vosd.base.errors import Refusal
from vosd.billing.free_numbers import FREE_NUMBER
from vosd.billing.rater import rate_call
from vosd.callcontrol.admission import Admission
from vosd.callcontrol.call_request import CallRequest
from vosd.callcontrol.number_billing import bill_number
from vosd.callcontrol.sell_rate import rate_in
from vosd.config.reader.e164s import e164s
from vosd.routing.special_numbers import SpecialNumbers

HOUR_MS = 3_600_000
FREE, NO_CDR = "SERVER_BILLING_FREE_E164S", "SERVER_BILLING_NO_CDR_E164S"


def numbers_of(given) -> SpecialNumbers:
    read = e164s().read
    free, no_cdr = read(given.get(FREE, "")), read(given.get(NO_CDR, ""))
    return SpecialNumbers(given.get("SERVER_BILLING_GATEWAY_ROUTE_PREFIX", 0), free, no_cdr)


def billed(given) -> CallRequest:
    """Return a call to a number after the step that finds what is billed."""
    content = catalogue([mapping_gateway("acme", "192.0.2.1/32")], special_numbers=numbers_of(given))
    call = CallRequest(
        source_host="192.0.2.1", source_port=5060, hops=69, at=Instant(0, 0),
        callee=given["called"], callee_billing=given["called"], mapping=content.mapping_gateways["acme"],
        account=content.accounts["acme"],
    )  # fmt: skip
    admission = Admission.__new__(Admission)
    admission.catalogue = content
    assert bill_number(admission, call) is None
    return call


@of("strip_prefix", BILLING)
def test_rates_are_found_behind_the_routing_prefix(given, expect):
    call = billed(given)
    assert call.callee_billing == expect["billing_number"]
    assert call.callee == given["called"], "routing never sees the shortened number"
    rates = rate_group("sell", *(applied_rate(prefix=prefix) for prefix in given.get("prefixes", ["44"])))
    rated = rate_in(rates, call.callee_rated or call.callee, 0)
    if "matched_prefix" in expect:
        assert (None if isinstance(rated, Refusal) else rated.prefix) == expect["matched_prefix"]
    if "uk_44_rate_matches" in expect:
        assert isinstance(rated, Refusal) is not expect["uk_44_rate_matches"]


@of("pattern_match", BILLING, having="called")
def test_a_number_is_free_or_leaves_no_cdr_where_a_pattern_fits(given, expect):
    call = billed(given)
    is_free = call.rate is not None and call.rate.group == FREE_NUMBER and not call.leaves_no_cdr
    assert is_free == expect.get("free", False)
    assert call.leaves_no_cdr == expect.get("no_cdr", False)
    assert_billed_as(call, expect)


def assert_billed_as(call: CallRequest, expect) -> None:
    """Check what a vector says of the record, of the rates that were looked into, and of the fee of a long call."""
    assert (not call.leaves_no_cdr) == expect.get("cdr", not call.leaves_no_cdr)
    if "fee" in expect:
        fee = None if call.leaves_no_cdr else rate_call(call.rate, HOUR_MS).fee
        assert fee == (None if expect["fee"] is None else Decimal(expect["fee"]))
    if "rate_lookup" in expect:
        assert (call.rate.group != FREE_NUMBER) == expect["rate_lookup"]


@of("pattern_list_parse")
def test_a_list_of_patterns_is_read(given, expect):
    patterns = e164s().read(",".join(filter(None, (given["patterns"], given.get("emergency", "")))))
    assert bool(patterns) == expect.get("valid", True)
    assert len(patterns) == expect["pattern_count"]
    if "wildcards" in expect:
        wildcards = sum(each.endswith("*") for each in patterns)
        assert (wildcards, len(patterns) - wildcards) == (expect["wildcards"], expect["exact"])


@of("free_precedence")
def test_free_numbers_need_no_rate_and_numbers_without_cdr_win_over_them(given, expect):
    call = billed(given)
    assert call.rate is not None
    assert call.rate.group == FREE_NUMBER, "no rate group was looked into"
    assert_billed_as(call, expect)


@of("pattern_list", having="no_cdr")
def test_the_list_that_wins_is_found_first(given, expect):
    call = billed({NO_CDR: given["no_cdr"], FREE: given["free"], "called": given["number"]})
    assert ("no_cdr" if call.leaves_no_cdr else "free") == expect["first_hit"]


@of("cdr_count")
def test_calls_to_numbers_without_cdr_leave_nothing(given, expect):
    """A thousandth of the calls, through the switch."""

    def records_with(numbers: SpecialNumbers):
        scene = Scene(usual_catalogue(special_numbers=numbers))
        for _ in range(given["free_calls_per_hour"] // 1_000):
            call, _there = scene.talk()
            scene.hang_up(call)
        return scene.exchange.sink.records

    without_list, records = records_with(SpecialNumbers()), records_with(SpecialNumbers(no_cdr=(CALLEE,)))
    assert sum(record.recorded for record in without_list) * 1_000 == expect["cdr_inserts_without_no_cdr"]
    assert sum(record.recorded for record in records) == expect["cdr_inserts_with_no_cdr"]
    assert all(not record.postings and not record.charges for record in records)
