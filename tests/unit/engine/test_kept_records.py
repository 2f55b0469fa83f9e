"""The record of a call that rings while the switch is stopped with ``keep`` is the one it would have left without."""

import pytest
from doubles.data.builders import account, applied_rate, catalogue, mapping_gateway, rate_group
from doubles.killed import KilledScene
from doubles.virtual.scene import CUSTOMER, vendor_gateway
from doubles.virtual.vendor import Line, Script
from msgspec.structs import replace

from vosd.base.margin import LossGuard
from vosd.billing.accounts import AccountType

TRUNK = mapping_gateway("acme", f"{CUSTOMER.host}/32")
RINGS_AND_ANSWERS = Script((Line(0, 180), Line(6_000, 200)))
DEAR = rate_group("dear", applied_rate("9.00"))
"""More than the customer pays."""


def records_of(scene, script, *, gone=False, is_kept):
    """Return the record of a call that rings while the switch is stopped, without what differs between two runs."""
    scene.vendors[2].script = script
    call = scene.begun_call(after_ms=2_000)
    if gone:
        scene.content = catalogue([TRUNK, vendor_gateway(2)])
    if is_kept:
        scene.stop_and_keep()
    scene.wire.run_until(lambda: call.final is not None)
    if call.final == 200:
        scene.wire.run_for(1_000)
        call.hang_up()
    scene.wire.run_for(1_000)
    [record] = scene.sink.records
    return replace(record, call_id="", sip_call_id_in="", sip_call_id_out="", fee_breakdown="")


@pytest.mark.parametrize("script", [Script((Line(0, 180), Line(6_000, 486))), RINGS_AND_ANSWERS], ids=["486", "200"])
@pytest.mark.parametrize("one_in", [0, 1], ids=["", "sampled"])
@pytest.mark.parametrize("gone", [False, True], ids=["", "gone"])
def test_the_record_of_a_call_that_rings_has_the_gateways_that_were_left_out(tmp_path, script, one_in, gone):
    vendors = [vendor_gateway(0, enabled=False), vendor_gateway(1, account="dear"), vendor_gateway(2)]
    dear = account("dear", type=AccountType.CLEARING, rate_group="dear", overdraft_limit=None)
    acme = account("acme", loss_guard=LossGuard())
    content = catalogue([TRUNK, *vendors], accounts=[dear, acme], rate_groups=[DEAR], verdicts_one_in=one_in)
    whole = records_of(KilledScene(tmp_path / "whole", content), script, is_kept=False)
    kept = records_of(KilledScene(tmp_path / "kept", content), script, gone=gone, is_kept=True)
    assert [attempt.gateway for attempt in whole.attempts] == ["vendor-2"]
    assert '"vendor-0"' in whole.verdicts
    assert '"loss: ' in whole.verdicts
    assert kept == whole
