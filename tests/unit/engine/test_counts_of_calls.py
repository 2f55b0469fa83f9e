"""Numbers of running calls of each account, as customer and as vendor."""

from doubles.data.builders import account, catalogue, mapping_gateway
from doubles.virtual.customer import Intent
from doubles.virtual.scene import CUSTOMER, Scene, vendor_gateway

from vosd.control.calls import AccountCalls
from vosd.engine.calls.snapshots import CallCounts


def test_a_call_counts_for_its_customer_and_the_vendor_that_is_tried():
    gateways = [mapping_gateway("acme", f"{CUSTOMER.host}/32"), vendor_gateway(0)]
    scene = Scene(catalogue(gateways, accounts=[account("acme", overdraft_limit=None)]))
    for _ in range(3):
        scene.talk(Intent(hang_up_after_ms=3_600_000))
    calls = scene.exchange.switch.calls()
    vendor = calls[0].call.journey.choice.gateway.account
    counts = CallCounts()
    assert counts.by_account() == {}
    counts.add(calls)
    assert counts.by_account() == {"acme": AccountCalls(as_customer=3), vendor: AccountCalls(as_vendor=3)}
