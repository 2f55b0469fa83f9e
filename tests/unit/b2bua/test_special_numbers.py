"""Calls to free numbers, to numbers without CDR, and behind a routing prefix, through the switch."""

from decimal import Decimal

import msgspec
import pytest
from doubles.data.builders import account, applied_rate, catalogue, mapping_gateway, rate_group
from doubles.recomputed import recompute
from doubles.sockets.loopback import Endpoint
from doubles.virtual.customer import Intent
from doubles.virtual.scene import CALLEE, CUSTOMER, Scene, usual_catalogue, vendor_gateway
from doubles.virtual.vendor import answers, refuses

from vosd.base.margin import LossGuard
from vosd.routing.special_numbers import SpecialNumbers
from vosd.sip.settings import SipSettings

ACME = mapping_gateway("acme", f"{CUSTOMER.host}/32")
TOLL_FREE = SpecialNumbers(free=("4420*",))


def called(scene, number=CALLEE, intent=None):
    call = scene.whole_call(intent or Intent(hang_up_after_ms=61_500), callee=number)
    scene.wire.run_for(10)
    return call


def test_a_free_number_costs_the_customer_nothing_and_its_vendor_is_paid():
    scene = Scene(usual_catalogue(special_numbers=TOLL_FREE))
    called(scene)
    record = scene.close()
    assert (record.fee, record.tax, record.cost) == (0, 0, Decimal("0.31"))
    assert [each.account for each in record.postings] == [record.vendor_account]
    assert (record.rate_group, record.rate_prefix, record.hold_time_s) == ("free number", "4420*", 62)
    assert [(each.role, each.fee) for each in record.charges] == [("customer", 0), ("vendor", Decimal("0.31"))]
    steps = msgspec.json.decode(record.fee_breakdown)["customer"]
    assert recompute(steps).total == 0


def test_a_free_number_needs_neither_rate_nor_money_nor_a_margin():
    poor = account("acme", overdraft_limit=Decimal(0), expires_at=1)
    gateways = [ACME, vendor_gateway(0)]
    content = catalogue(
        gateways, accounts=[poor], rate_groups=[rate_group("sell", applied_rate(prefix="1"))], special_numbers=TOLL_FREE
    )
    scene = Scene(content, balance="-7")
    assert called(scene).final == 200
    assert scene.close().end_reason == "Normal"


@pytest.mark.parametrize("guard", [LossGuard(), LossGuard(max_price_per_second=Decimal("0.0001"))])
def test_no_vendor_is_too_dear_for_an_emergency_number(guard):
    rates = [rate_group("sell", applied_rate("0.10")), rate_group("buy", applied_rate("0.60"))]
    gateways = [msgspec.structs.replace(ACME, loss_guard=guard), vendor_gateway(0)]
    assert called(Scene(catalogue(gateways, rate_groups=rates))).final == 503
    emergency = SpecialNumbers(emergency=frozenset({CALLEE}))
    scene = Scene(catalogue(gateways, rate_groups=rates, special_numbers=emergency))
    assert called(scene).final == 200
    assert scene.close().loss > 0


def test_a_call_to_a_free_number_still_ends_at_the_longest_duration():
    scene = Scene(usual_catalogue(special_numbers=TOLL_FREE, max_call_seconds=30), balance="0")
    scene.whole_call()
    record = scene.close()
    assert (record.end_reason, record.hold_time_s) == ("Maximum Duration", 30)


def test_other_numbers_are_refused_for_money_as_before():
    scene = Scene(usual_catalogue(special_numbers=SpecialNumbers(free=("1800*",))), balance="0")
    assert called(scene).final == 402
    assert scene.close().end_reason == "Insufficient Balance"


def test_a_blocked_account_may_not_call_free_numbers():
    """Who is disabled by hand is not refused for money."""
    content = catalogue([ACME, vendor_gateway(0)], accounts=[account("acme", enabled=False)], special_numbers=TOLL_FREE)
    assert called(Scene(content)).final == 403


@pytest.mark.parametrize("free", [(), ("44*",)])
def test_a_number_without_cdr_is_carried_and_costs_no_one_anything(free):
    scene = Scene(usual_catalogue(special_numbers=SpecialNumbers(free=free, no_cdr=("4420*",))))
    assert called(scene).final == 200
    record = scene.close()
    assert not record.recorded
    assert (record.postings, record.charges, record.fee, record.cost) == ((), (), 0, 0)
    assert scene.exchange.switch.notices.totals()["calls_without_cdr"] == 1


def test_a_refused_call_to_a_number_without_cdr_leaves_none_either():
    scene = Scene(usual_catalogue(vendors=1, special_numbers=SpecialNumbers(no_cdr=("4420*",))))
    scene.vendor.script = refuses(486)
    assert called(scene).final == 486
    assert not scene.close().recorded


def test_a_number_is_rated_behind_its_routing_prefix_and_routed_with_it():
    gateways = [ACME, vendor_gateway(0, prefixes=("99",))]
    scene = Scene(catalogue(gateways, special_numbers=SpecialNumbers(strip_digits=2)))
    called(scene, f"99{CALLEE}")
    record = scene.close()
    assert (record.callee_in, record.callee_out) == (f"99{CALLEE}", f"99{CALLEE}")
    assert record.callee_billing == CALLEE
    assert (record.fee, record.cost) == (Decimal("0.62"), Decimal("0.31"))


@pytest.mark.parametrize("ending", ["", "#", "*"])
def test_no_sign_behind_a_number_keeps_the_routing_prefix_on_it(ending):
    """The call would be sold, barred and watched by its routing prefix, and the vendor calls the number behind it."""
    cheap, dear = applied_rate("0.10", prefix="9"), applied_rate("6.00", prefix="44")
    sell, barred = rate_group("sell", cheap, dear), account("barred", denied_prefixes=("44",))
    gateways = [ACME, vendor_gateway(0, prefixes=("99",))]
    terms = {"rate_groups": [sell], "special_numbers": SpecialNumbers(strip_digits=2)}
    scene = Scene(catalogue(gateways, **terms))
    called(scene, f"99{CALLEE}{ending.replace('#', '%23')}")
    record = scene.close()
    assert (record.callee_billing, record.rate_prefix, record.fee) == (CALLEE + ending, "44", Decimal("6.20"))
    gateways[0] = msgspec.structs.replace(ACME, account="barred")
    scene = Scene(catalogue(gateways, accounts=[barred], **terms))
    assert called(scene, f"99{CALLEE}{ending.replace('#', '%23')}").final == 403


@pytest.mark.parametrize(("digits", "status"), [(None, 200), (0, 403), (2, 200), (4, 403)])
def test_a_mapping_gateway_has_a_routing_prefix_of_its_own(digits, status):
    gateways = [
        mapping_gateway("acme", f"{CUSTOMER.host}/32", billing_strip_digits=digits),
        vendor_gateway(0, prefixes=("99",)),
    ]
    scene = Scene(catalogue(gateways, special_numbers=SpecialNumbers(strip_digits=2)))
    assert called(scene, f"99{CALLEE}").final == status


class TestStripping:
    numbers = SpecialNumbers(strip_digits=2)

    @pytest.mark.parametrize(
        ("number", "digits", "expected"),
        [
            ("00441234", 2, "441234"),
            ("9112", 2, "9112"),
            ("91123", 2, "123"),
            ("911", 0, "911"),
            ("999", 0, "999"),
            ("alice1234", 2, "alice1234"),
            ("00441234#", 2, "441234#"),
            ("00441234*#", 2, "441234*#"),
            ("9112#", 2, "9112#"),
            ("#31#441234", 2, "#31#441234"),
            ("*21*441234#", 2, "*21*441234#"),
            ("12345", 5, "12345"),
            ("12345678", 5, "678"),
        ],
    )
    def test_short_numbers_and_names_keep_all_digits(self, number, digits, expected):
        assert self.numbers.billed(number, digits) == expected

    def test_emergency_numbers_do_too_however_long(self):
        assert SpecialNumbers(emergency=frozenset({"110110"})).billed("110110", 2) == "110110"

    def test_a_short_code_is_free_with_its_routing_prefix_as_well(self):
        numbers = SpecialNumbers(free=("116117", "1800*"))
        assert numbers.free_by("6117", "116117") == "116117"
        assert numbers.free_by("18001", "0018001") == "1800*"
        assert numbers.free_by("01", "180001") is None


class TestZeroHoldTime:
    """SERVER_BILLING_RECORD_ZERO_HOLD_TIME=0."""

    def test_a_call_that_no_vendor_takes_leaves_no_cdr_and_counts_for_the_vendor(self):
        scene = Scene(usual_catalogue(vendors=1, record_zero_hold_time=False))
        scene.vendor.script = refuses(486)
        called(scene)
        record = scene.close()
        assert not record.recorded
        assert scene.exchange.switch.notices.totals()["calls_without_cdr"] == 1
        (counted,) = scene.exchange.switch.notices.without_cdr.take()
        assert (counted.key.kind, counted.calls, counted.answered) == ("no_cdr", 1, 0)
        assert (counted.key.mapping_gateway, counted.key.routing_gateway) == ("acme", record.routing_gateway)
        assert (counted.key.end_reason, counted.key.sip_code) == (record.end_reason, 486)
        live = scene.exchange.switch.live
        assert live.quality.figures(record.routing_gateway, scene.exchange.clock.now().mono).attempts == 1

    def test_a_call_that_is_refused_leaves_none_and_nothing_is_written(self):
        scene = Scene(usual_catalogue(record_zero_hold_time=False))
        assert called(scene, "7777").final == 403
        assert scene.exchange.sink.records == []
        assert scene.exchange.switch.notices.totals()["calls_without_cdr"] == 1
        (counted,) = scene.exchange.switch.notices.without_cdr.take()
        assert (counted.key.mapping_gateway, counted.key.sip_code, counted.calls) == ("acme", 403, 1)

    def test_an_answered_call_of_no_second_leaves_none(self):
        scene = Scene(usual_catalogue(record_zero_hold_time=False))
        called(scene, intent=Intent(hang_up_after_ms=20))
        record = scene.close()
        assert (record.hold_time_s, record.recorded) == (0, False)
        (counted,) = scene.exchange.switch.notices.without_cdr.take()
        assert (counted.calls, counted.answered, counted.key.sip_code) == (1, 1, 0)

    def test_ringing_that_is_charged_at_a_price_of_zero_is_no_talk(self):
        free = [rate_group(name, applied_rate("0")) for name in ("sell", "buy")]
        scene = Scene(usual_catalogue(record_zero_hold_time=False, charges_ringing=True, rate_groups=free))
        scene.vendor.script = answers(5_000)
        called(scene, intent=Intent(hang_up_after_ms=20))
        record = scene.close()
        assert (record.hold_time_s, record.billed_seconds, record.recorded) == (0, 5, False)

    def test_a_second_of_talk_that_no_one_pays_for_leaves_one(self):
        free = [rate_group(name, applied_rate("0")) for name in ("sell", "buy")]
        scene = Scene(usual_catalogue(record_zero_hold_time=False, rate_groups=free))
        called(scene, intent=Intent(hang_up_after_ms=1_000))
        record = scene.close()
        assert (record.hold_time_s, record.postings, record.recorded) == (1, (), True)

    def test_a_call_that_costs_something_leaves_one(self):
        scene = Scene(usual_catalogue(record_zero_hold_time=False))
        called(scene, intent=Intent(hang_up_after_ms=1_000))
        record = scene.close()
        assert (record.hold_time_s, record.recorded) == (1, True)


class TestIllegalCalls:
    """SERVER_BILLING_RECORD_ILLEGAL_CALL=1: calls of unknown sources."""

    def ask(self, scene, host="203.0.113.66", call_id="one"):
        scene.exchange.request_client(Endpoint(host, 5060), CALLEE, wait_ms=1).ask(call_id=call_id)

    def test_they_leave_no_record_where_none_is_wanted(self):
        scene = Scene(usual_catalogue())
        self.ask(scene)
        assert scene.exchange.sink.records == []
        (counted,) = scene.exchange.switch.notices.without_cdr.take()
        assert (counted.key.kind, counted.calls, counted.key.mapping_gateway) == ("unknown", 1, "")

    @pytest.mark.parametrize("rejects", [False, True])
    def test_each_leaves_one_however_often_it_is_repeated(self, rejects):
        sip = SipSettings(answers_unknown_sources=rejects)
        scene = Scene(usual_catalogue(record_illegal_calls=True), sip=sip)
        self.ask(scene)
        self.ask(scene)
        (record,) = scene.exchange.sink.records
        assert (record.end_reason, record.source_address) == ("Unknown Source", "203.0.113.66:5060")
        assert (record.callee_in, record.mapping_gateway, record.customer_account) == (CALLEE, None, None)
        counted = scene.exchange.switch.notices.without_cdr.take()
        assert sum(each.calls for each in counted) == 1, "the repetition has no CDR of its own"
        assert (record.sip_code, record.fee) == (403 if rejects else None, 0)

    def test_a_flood_leaves_ten_a_second(self):
        scene = Scene(usual_catalogue(record_illegal_calls=True))
        for number in range(30):
            self.ask(scene, f"203.0.113.{number + 50}")
        assert 10 <= len(scene.exchange.sink.records) < 20


@pytest.mark.parametrize(("number", "status"), [("4421000", 403), ("9994421", 403), ("9991000", 200)])
def test_a_number_section_counts_the_digits_that_are_for_routing_alone(number, status):
    denying = account("acme", denied_prefixes=("44",), overdraft_limit=None)
    rates = [rate_group(name, applied_rate("0.10", prefix="*")) for name in ("sell", "buy")]
    gateways = [ACME, vendor_gateway(0, prefixes=("*",))]
    strips = SpecialNumbers(strip_digits=3)
    scene = Scene(catalogue(gateways, accounts=[denying], rate_groups=rates, special_numbers=strips))
    assert called(scene, number).final == status


@pytest.mark.parametrize(("most", "reason"), [("0.0050", "Normal"), ("0.0049", "No Available Route")])
def test_the_highest_price_of_a_second_holds_for_free_numbers_too(most, reason):
    trunk = mapping_gateway("acme", f"{CUSTOMER.host}/32", loss_guard=LossGuard(max_price_per_second=Decimal(most)))
    scene = Scene(catalogue([trunk, vendor_gateway(0)], special_numbers=TOLL_FREE))
    called(scene)
    assert scene.close().end_reason == reason
