"""What records keep of how the route was found, and how ``vosd cdr show --why`` tells it."""

import msgspec
import pytest
from doubles.data.builders import applied_rate, catalogue, mapping_gateway, rate_group, routing_gateway
from doubles.data.records import answered_call
from doubles.virtual.customer import Intent
from doubles.virtual.scene import CALLEE, CUSTOMER, Scene, vendor_gateway
from doubles.virtual.vendor import answers, refuses

from vosd.admin.why import why
from vosd.base.clock import Instant
from vosd.callcontrol.call_request import CallRequest
from vosd.callcontrol.explain import _why
from vosd.callcontrol.verdicts import LEFT_MAX, Verdicts, reason, verdicts
from vosd.cdr.columns import RECORD_COLUMNS
from vosd.routing.capacity import Occupancy
from vosd.routing.rest import Rests
from vosd.routing.routes import Cause, LeftOut, RouteRequest


class NoState:
    """Vendors of which nothing is known."""

    def paused_ms(self, gateway, mono_ms):
        return 0

    def resting_ms(self, gateway, mono_ms, payer=""):
        return 0

    def why_resting(self, gateway, mono_ms, payer=""):
        return "failed"

    def down_ms(self, gateway, mono_ms):
        return 0


def content(**parameters):
    """The first of three vendors is disabled."""
    gateways = [vendor_gateway(0, enabled=False), vendor_gateway(1), vendor_gateway(2)]
    groups = [rate_group("sell", applied_rate("0.60")), rate_group("buy", applied_rate("0.30"))]
    return catalogue([mapping_gateway("acme", f"{CUSTOMER.host}/32"), *gateways], rate_groups=groups, **parameters)


def record_of(scene, *scripts, callee=CALLEE):
    for vendor, script in zip(scene.vendors, scripts, strict=False):
        vendor.script = script
    scene.whole_call(Intent(hang_up_after_ms=6_000), callee=callee)
    return scene.close()


def test_a_call_that_failed_keeps_who_was_left_out_and_who_was_tried_last():
    found = why(record_of(Scene(content(verdicts_one_in=0)), answers(0), refuses(503), refuses(486)))
    assert found["result"] == "Busy"
    assert found["is_kept"]
    assert found["left"] == [{"routing_gateway": "vendor-0", "reason": "disabled: by the configuration"}]
    assert [each["routing_gateway"] for each in found["candidates"]] == ["vendor-1", "vendor-2"]
    assert found["candidates"][1]["position"] == 2
    assert found["candidates"][1]["reason"].startswith("tried: 486 after ")
    assert found["chosen"] == {
        "routing_gateway": "vendor-2", "prefix": "44", "priority": 2, "weight": 100, "cost": "0.30",
    }  # fmt: skip


def test_a_call_that_was_refused_keeps_the_reason_in_words():
    record = record_of(Scene(content(verdicts_one_in=0)), callee="99123")
    assert record.end_reason == "No Matching Rate"
    assert why(record)["refusal"] == "sell rates no 99123"
    assert why(record)["candidates"] == []


def test_a_call_to_a_locked_prefix_keeps_which_one_it_is():
    sell = rate_group("sell", applied_rate("0.60", prefix="*"), applied_rate("6.00", prefix="4490", locked=True))
    barring = catalogue([mapping_gateway("acme", f"{CUSTOMER.host}/32"), vendor_gateway(0)], rate_groups=[sell])
    record = record_of(Scene(barring), callee="449012")
    assert record.end_reason == "No Matching Rate"
    assert why(record)["refusal"] == "sell rates no 449012: prefix 4490 is locked"


@pytest.mark.parametrize(("one_in", "is_kept"), [(1, True), (0, False)])
def test_answered_calls_are_sampled(one_in, is_kept):
    record = record_of(Scene(content(verdicts_one_in=one_in)), answers(0), answers(0))
    assert record.answered_at is not None
    found = why(record)
    assert found["is_kept"] is is_kept
    assert [each["routing_gateway"] for each in found["candidates"]] == ["vendor-1"]
    assert bool(found["left"]) is is_kept


@pytest.mark.parametrize("cause", Cause)
def test_each_reason_begins_with_the_word_that_explain_uses(cause):
    left = LeftOut(routing_gateway("carrier"), cause, "the detail")
    request = RouteRequest("4420", "", Instant(0, 0))
    explained = _why(left, request, Occupancy(), Rests(), NoState())
    assert reason(left) == f"{cause.word}: the detail"
    assert explained.partition(":")[0] == cause.word


def test_the_document_is_bounded():
    call = CallRequest("192.0.2.1", 5060, 70, at=Instant(0, 0), refusal="x" * 5_000)
    call.left = [LeftOut(routing_gateway(f"{number:0>64}"), Cause.LOSS, "y" * 500) for number in range(LEFT_MAX + 7)]
    document = verdicts(call, None)
    assert document is not None
    assert len(document) < 20_000
    found = msgspec.json.decode(document, type=Verdicts)
    assert (len(found.left), found.more_left) == (LEFT_MAX, 7)


def test_the_longest_document_fits_its_column():
    """Control characters take six characters each in JSON."""
    call = CallRequest("192.0.2.1", 5060, 70, at=Instant(0, 0), refusal="\x01" * 5_000)
    call.left = [LeftOut(routing_gateway("g" * 64), Cause.CALLER, "\x01" * 500)] * LEFT_MAX
    (column,) = [each for each in RECORD_COLUMNS if each.name == "verdicts"]
    document = verdicts(call, None)
    assert document is not None
    assert 30_000 < len(document) <= column.size


def test_text_that_is_not_utf_8_is_escaped():
    call = CallRequest("192.0.2.1", 5060, 70, at=Instant(0, 0), refusal="sell rates no \udcff")
    document = verdicts(call, None)
    assert document is not None
    assert msgspec.json.decode(document, type=Verdicts).refusal == r"sell rates no \udcff"


def test_damaged_verdicts_do_not_hide_the_attempts():
    found = why(answered_call(1, verdicts='{"left": 7'))
    assert not found["is_kept"]
    assert found["candidates"]
