"""An answer that the journal cannot store: not forwarded, BYE to the vendor, no charge."""

from decimal import Decimal

import pytest
import structlog
from doubles.sockets.peer import ANSWER
from doubles.virtual.customer import SUPPORTS_100REL, Intent
from doubles.virtual.scene import VENDORS
from doubles.virtual.vendor import Line, Script


@pytest.mark.parametrize("sdp", [True, False])
def test_an_answer_that_cannot_be_written_down_is_a_refused_call(scene, sdp):
    scene.exchange.sink.takes_answers = False
    with structlog.testing.capture_logs() as logged:
        call = scene.whole_call(Intent() if sdp else Intent(offer=""))
        scene.wire.run_for(100)
    record = scene.close()
    assert call.final == 503
    assert 200 not in call.statuses
    assert scene.vendor.only_call.is_over
    assert scene.bytes_to(VENDORS[0]).count(b"\nACK ") >= 1
    assert (record.end_reason, record.sip_code, record.hangup_source) == ("Overload", 503, "switch")
    assert (record.answered_at, record.fee, record.cost, record.postings) == (None, Decimal(0), Decimal(0), ())
    assert [(attempt.code, attempt.reason) for attempt in record.attempts] == [(200, "Not Written Down")]
    assert [line["call_id"] for line in logged if line["event"] == "answered_call_refused"] == [record.call_id]


def test_an_answer_that_waited_and_cannot_be_written_down_costs_what_the_vendor_bills(scene):
    scene.vendor.script = Script((Line(0, 183, ANSWER), Line(10, 200, ANSWER)))
    call = scene.begun_call(Intent(headers=SUPPORTS_100REL, pracks=False), after_ms=3_000)
    scene.exchange.sink.takes_answers = False
    call.remote, call.target = call.response(183)["To"], call.response(183).target
    call.ask("PRACK", headers=(f"RAck: {call.response(183)['RSeq']} 1 INVITE",))
    scene.wire.run_until(lambda: call.is_over)
    scene.wire.run_for(100)
    assert call.final == 503
    assert scene.vendor.only_call.is_over
    record = scene.close()
    assert (record.end_reason, record.answered_at, record.fee) == ("Overload", None, 0)
    assert (record.vendor_billed_seconds, record.cost) == (3, Decimal("0.015"))
