"""The worked examples of when billing starts, through whole calls: with the answer, or with the INVITE to a gateway."""

from doubles.data.builders import applied_rate, catalogue, mapping_gateway, rate_group
from doubles.virtual.customer import Intent
from doubles.virtual.scene import CUSTOMER, Scene, vendor_gateway
from doubles.virtual.vendor import RINGS, answers

from golden.test_vectors_billing import of


@of("start_billing")
def test_ringing_costs_nothing_or_as_much_as_talking(given, expect):
    by_the_minute = [rate_group(name, applied_rate("0.60", given["billing_unit_s"])) for name in ("sell", "buy")]
    gateways = [mapping_gateway("acme", f"{CUSTOMER.host}/32"), vendor_gateway(0)]
    charges_ringing = given["SS_STARTBILLINGTIME"] == 1
    scene = Scene(catalogue(gateways, rate_groups=by_the_minute, charges_ringing=charges_ringing))
    ring_ms, talk_ms = 1_000 * given["ring_s"], 1_000 * given.get("talk_s", 0)
    if given["answered"]:
        scene.vendor.script = answers(ring_ms)
        intent = Intent(hang_up_after_ms=talk_ms)
    else:
        scene.vendor.script = RINGS
        intent = Intent(cancel_after_ms=ring_ms)
    scene.whole_call(intent)
    record = scene.close()
    assert (record.answered_at is not None) is given["answered"]
    assert record.hold_time_s == given.get("talk_s", 0)
    assert (record.billed_seconds, record.vendor_billed_seconds) == (expect["billed_s"], expect["billed_s"])
    assert bool(record.fee and record.cost) is expect.get("charged", True)
    assert len(record.postings) == (2 if expect.get("charged", True) else 0)
    assert record.billing_base_ms == (record.ended_at - record.started_at if charges_ringing else None)
    assert record.vendor_billing_base_ms == record.billing_base_ms
