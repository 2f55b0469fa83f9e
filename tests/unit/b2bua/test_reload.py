"""What a reload in the middle of a call changes: nothing for that call."""

from doubles.data.builders import account, applied_rate, catalogue, mapping_gateway, rate_group
from doubles.virtual.customer import Intent
from doubles.virtual.scene import CUSTOMER, usual_catalogue, vendor_gateway
from doubles.virtual.vendor import SILENT, answers

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
