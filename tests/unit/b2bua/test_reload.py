"""What a reload in the middle of a call changes: nothing for that call."""

from decimal import Decimal

from doubles.data.builders import account, applied_rate, catalogue, mapping_gateway, rate_group
from doubles.virtual.customer import Intent
from doubles.virtual.scene import CUSTOMER, Scene, usual_catalogue, vendor_gateway
from doubles.virtual.vendor import SILENT, answers, refuses

from vosd.billing.exchange import ExchangeRate

NO_GATEWAYS = catalogue([])


def test_a_call_in_talk_outlives_a_catalogue_without_its_gateways_accounts_and_rates(scene):
    call = scene.answered_call(Intent(hang_up_after_ms=100_000))
    scene.exchange.switch.terms.swap(NO_GATEWAYS)
    record = scene.end_of(call)
    assert (record.end_reason, record.fee > 0, record.cost > 0) == ("Normal", True, True)


def test_a_call_that_hunts_goes_on_by_the_catalogue_that_admitted_it(scene):
    """The next gateway's account may be gone by now; its rate was copied with the rest of the old catalogue."""
    call = scene.begun_call(Intent(hang_up_after_ms=1_000), script=SILENT, after_ms=1_000)
    scene.exchange.switch.terms.swap(NO_GATEWAYS)
    record = scene.end_of(call)
    assert (record.routing_gateway, record.vendor_account, record.cost > 0) == ("vendor-1", "carriers", True)


def test_new_calls_go_by_the_new_catalogue(scene):
    scene.exchange.switch.terms.swap(NO_GATEWAYS)
    call = scene.begun_call(after_ms=40_000)
    assert call.responses == []
    scene.exchange.switch.terms.swap(usual_catalogue())
    call = scene.whole_call(Intent(hang_up_after_ms=10))
    assert call.final == 200


def test_a_call_keeps_the_rate_it_was_admitted_with(scene):
    call = scene.answered_call(Intent(hang_up_after_ms=10_000))
    dearer = rate_group("sell", applied_rate("60"))
    gateways = [mapping_gateway("acme", f"{CUSTOMER.host}/32"), vendor_gateway(0)]
    scene.exchange.switch.terms.swap(catalogue(gateways, accounts=[account("acme")], rate_groups=[dearer]))
    scene.wire.run_until(lambda: call.is_over)
    assert str(scene.close().fee) == "0.100000"


def test_a_lower_limit_cuts_no_call_and_counts_the_running_ones(scene):
    scene.vendor.script = scene.vendors[1].script = answers(0)
    first = scene.begun_call(after_ms=100)
    gateways = [mapping_gateway("acme", f"{CUSTOMER.host}/32", max_concurrent=1), vendor_gateway(0)]
    scene.exchange.switch.terms.swap(catalogue(gateways))
    second = scene.begun_call(after_ms=100)
    assert (first.final, first.is_over, second.final) == (200, False, 503)
    scene.expect_nothing_left(first, within_ms=100)


def test_a_call_that_hunts_passes_over_a_vendor_whose_account_has_another_currency_now():
    """The call has its price in the currency of before, in which the account takes no entry any more."""

    def content(currency):
        gateways = [vendor_gateway(index, account=f"carrier-{index}") for index in range(3)]
        other = account("carrier-1", rate_group="buy", overdraft_limit=None, currency=currency)
        euros = [ExchangeRate("EUR", "USD", Decimal("1.25")), ExchangeRate("USD", "EUR", Decimal("0.80"))]
        customer = mapping_gateway("acme", f"{CUSTOMER.host}/32")
        return catalogue([customer, *gateways], accounts=[other], exchange_rates=euros)

    scene = Scene(content("USD"))
    scene.vendors[0].script = refuses(503, after_ms=1_000)
    call = scene.begun_call(Intent(hang_up_after_ms=1_000), after_ms=500)
    scene.exchange.swap_catalogue(content("EUR"))
    record = scene.end_of(call)
    assert (record.routing_gateway, record.end_reason) == ("vendor-2", "Normal")
    assert {each.currency for each in record.postings} == {"USD"}
