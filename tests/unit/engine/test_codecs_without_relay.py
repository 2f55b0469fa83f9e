"""``codecs`` of trunks where the switch relays no media: descriptions are limited, and nothing else of them changes."""

import pytest
from doubles.data.builders import catalogue, mapping_gateway
from doubles.sockets.peer import ANSWER, OFFER
from doubles.virtual.customer import Intent
from doubles.virtual.scene import CALLEE, CUSTOMER, Scene, vendor_gateway
from doubles.virtual.vendor import Line, Script, refuses

from vosd.cdr.record import Attempt
from vosd.engine.peers.call_totals import CallTotals
from vosd.engine.peers.gateways import note_call
from vosd.obs.log import call_line
from vosd.routing.figures import Figures
from vosd.traffic.counted import TrafficAttempt, TrafficCall, TrafficKind, TrafficSums
from vosd.trunks.media import MediaSettings
from vosd.trunks.scope import LimitScope

MANY = OFFER.replace("RTP/AVP 0 101", "RTP/AVP 0 8 18 101")
ONLY_G729 = OFFER.replace("RTP/AVP 0 101", "RTP/AVP 18").replace("a=rtpmap:0 PCMU/8000", "a=rtpmap:18 G729/8000")


def content(caller=(), *vendors):
    """Return a catalogue with the codecs of the customer, and of each vendor."""
    trunks = [
        mapping_gateway("acme", f"{CUSTOMER.host}/32", media=MediaSettings(codecs=caller)),
        *(vendor_gateway(index, media=MediaSettings(codecs=codecs)) for index, codecs in enumerate(vendors or ((),))),
    ]
    return catalogue(trunks)


def test_an_offer_keeps_the_codecs_of_both_trunks_in_the_order_of_the_vendor():
    scene = Scene(content(("PCMA", "PCMU"), ("PCMU", "PCMA", "G729")))
    call, there = scene.talk(Intent(offer=MANY))
    assert there.theirs == MANY.replace("0 8 18 101", "0 8 101")
    assert call.theirs == ANSWER
    record = scene.finish(call)
    assert record.media is None


def test_a_vendor_without_a_codec_of_the_caller_is_sent_nothing_and_the_next_one_is_tried():
    scene = Scene(content((), ("G729",), ("PCMU",)))
    scene.vendors[1].script = Script((Line(0, 200, ANSWER),))
    call = scene.answered_call()
    assert not scene.vendor.calls
    record = scene.finish(call)
    assert [(row.gateway, row.code, row.reason) for row in record.attempts] == [
        ("vendor-0", 0, "No Common Codec"),
        ("vendor-1", 200, "Answered"),
    ]


def test_a_call_without_any_common_codec_ends_with_488():
    scene = Scene(content(("PCMA",), ()))
    call = scene.caller.call(CALLEE, Intent(offer=ONLY_G729))
    scene.wire.run_until(lambda: call.final == 488)
    record = scene.close()
    assert (record.end_reason, record.customer_account) == ("No Common Codec", "acme")
    assert (record.routing_gateway, record.vendor_account, record.caller_out, record.callee_out) == (None,) * 4
    assert (record.sip_call_id_out, record.destination_address) == (None, None)
    assert [(row.gateway, row.was_sent) for row in record.attempts] == [("vendor-0", False)]


def test_the_record_names_the_latest_vendor_that_was_sent_the_call():
    scene = Scene(content((), ("PCMU",), ("G729",)))
    call = scene.begun_call(script=refuses(503))
    scene.wire.run_until(lambda: call.final == 503)
    assert not scene.vendors[1].calls
    record = scene.close()
    assert [(row.gateway, row.code) for row in record.attempts] == [("vendor-0", 503), ("vendor-1", 0)]
    assert (record.routing_gateway, record.destination_address) == ("vendor-0", "203.0.113.1:5060")
    assert record.sip_call_id_out == scene.vendor.only_call.call_id


def test_a_vendor_that_was_sent_nothing_does_not_count_in_figures_nor_in_reports(capsys):
    scene = Scene(content((), ("G729",), ("PCMU",)))
    scene.vendors[1].script = Script((Line(0, 200, ANSWER),))
    call = scene.answered_call()
    record = scene.finish(call)
    figures, totals, sums = Figures(), CallTotals(), TrafficSums()
    figures.adopt(LimitScope.ROUTING, ["vendor-0", "vendor-1"])
    figures.adopt(LimitScope.MAPPING, ["acme"])
    note_call(figures, record, 0)
    assert [figures.last_hour(LimitScope.ROUTING, f"vendor-{index}", 0).attempts for index in range(2)] == [0, 1]
    totals.note(record)
    assert totals.codes == {200: 1}
    counted = TrafficCall(*(getattr(record, name) for name in TrafficCall._fields))
    sums.add(counted, [TrafficAttempt(row.gateway, row.code, row.pdd_ms, row.reason) for row in record.attempts], ())
    assert {key.routing_gateway for _, key in sums.rows if key.kind is TrafficKind.ATTEMPT} == {"vendor-1"}
    call_line(record)
    assert "vendor-0 no common codec, vendor-1 200" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("row", "was_sent"),
    [
        (("No Media Port", 0, None), False),
        (("No Common Codec", 0, 120), True),
        (("No Common Codec", 200, None), True),
        (("No Answer", 0, None), True),
    ],
)
def test_an_invite_was_sent_where_there_was_a_response_or_another_reason(row, was_sent):
    reason, code, pdd_ms = row
    assert Attempt("a", code, 0, pdd_ms, reason).was_sent is was_sent


def test_a_reload_that_limits_codecs_holds_for_calls_that_begin_later():
    scene = Scene(content())
    assert scene.exchange.node.endpoint.doors is None
    before, _ = scene.talk(Intent(offer=MANY))
    scene.exchange.swap_catalogue(content(("PCMU",)))
    later, there = scene.talk(Intent(offer=MANY))
    assert "RTP/AVP 0 101" in there.theirs
    for call in (before, later):
        call.hang_up()
    scene.wire.run_until(lambda: before.is_over and later.is_over)
    assert scene.exchange.leftovers() == {}
