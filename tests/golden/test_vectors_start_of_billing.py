"""The worked examples of when billing starts, through whole calls: it starts with the answer."""

import pytest

from golden.test_vectors_billing import VECTORS
from vosd.testing.data.builders import applied_rate, catalogue, mapping_gateway, rate_group
from vosd.testing.virtual.customer import Intent
from vosd.testing.virtual.scene import CALLEE, CUSTOMER, Scene, vendor_gateway
from vosd.testing.virtual.vendor import RINGS, answers

FROM_THE_ANSWER = [
    pytest.param(each["given"], each["expect"], id=each["id"])
    for each in VECTORS
    if each["rule"] == "start_billing" and each["given"]["SS_STARTBILLINGTIME"] == 0
]


@pytest.mark.parametrize(("given", "expect"), FROM_THE_ANSWER)
def test_ringing_costs_nothing(given, expect):
    by_the_minute = [rate_group(name, applied_rate("0.60", given["billing_unit_s"])) for name in ("sell", "buy")]
    gateways = [mapping_gateway("acme", f"{CUSTOMER.host}/32"), vendor_gateway(0)]
    scene = Scene(catalogue(gateways, rate_groups=by_the_minute))
    ring_ms = 1_000 * given["ring_s"]
    if given["answered"]:
        scene.vendor.script = answers(ring_ms)
        intent = Intent(hang_up_after_ms=1_000 * given["talk_s"])
    else:
        scene.vendor.script = RINGS
        intent = Intent(cancel_after_ms=ring_ms)
    call = scene.caller.call(CALLEE, intent)
    scene.wire.run_until(lambda: call.is_over)
    record = scene.close()
    assert (record.answered_at is not None) is given["answered"]
    assert record.hold_time_s == given.get("talk_s", 0)
    assert (record.billed_seconds, record.vendor_billed_seconds) == (expect["billed_s"], expect["billed_s"])
    assert bool(record.fee or record.cost) is expect.get("charged", True)
    assert bool(record.postings) is expect.get("charged", True)
