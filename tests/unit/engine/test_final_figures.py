"""Figures that an rtpengine has of a call with the answer to the order that ends it."""

import json

import pytest
from doubles.data.builders import catalogue, mapping_gateway
from doubles.sockets.peer import ANSWER
from doubles.virtual.customer import Intent
from doubles.virtual.pooled_rtpengines import PooledRtpEngines
from doubles.virtual.rtpengines import VirtualRtpEngines
from doubles.virtual.scene import CALLEE, CUSTOMER, Scene, vendor_gateway
from doubles.virtual.vendor import Line, Script, refuses

from vosd.cdr.columns import iso_utc
from vosd.media.leg_media import REPLACED_MAX
from vosd.media.rtpengine_orders import RtpDelete, RtpPeerFigures, RtpPeerReports, RtpQuery
from vosd.sdp.media import media_of
from vosd.trunks.media import MediaEngine, MediaMode, MediaParameters


class Late:
    """The records that wait for figures."""

    def __init__(self) -> None:
        self.awaited: set[str] = set()
        self.documents: dict[str, str | None] = {}

    def expect(self, call_id: str) -> None:
        self.awaited.add(call_id)

    def came(self, call_id: str, document: str | None) -> None:
        assert call_id in self.awaited
        assert call_id not in self.documents
        self.documents[call_id] = document


def scene_with(engines=None, vendors=1):
    engines = engines or VirtualRtpEngines()
    trunks = [mapping_gateway("acme", f"{CUSTOMER.host}/32"), *(vendor_gateway(index) for index in range(vendors))]
    scene = Scene(catalogue(trunks, media=MediaParameters(engine=MediaEngine.RTPENGINE, mode=MediaMode.ON)),
                  rtpengines=engines)  # fmt: skip
    scene.exchange.media.calls.late = late = Late()
    return scene, engines, late


def port_in(session):
    return media_of(session.encode())[0].port


def hear(scene, engines, side, packets, report=None):
    """Let packets come from a party, and a report of it about those that it has received."""
    port = port_in(side.theirs)
    engines.packets[port] = packets
    engines.last_packet_s[port] = scene.exchange.clock.now().wall // 1_000
    if report is not None:
        engines.reports[port] = report


def legs_of(document):
    legs = json.loads(document)["legs"]
    return legs["caller"], legs["callee"]


@pytest.mark.parametrize("kind", [VirtualRtpEngines, PooledRtpEngines])
def test_a_call_that_was_shorter_than_the_interval_of_questions_has_its_figures(kind):
    scene, engines, late = scene_with(kind())
    call, there = scene.talk()
    hear(scene, engines, call, 150, RtpPeerReports(2, RtpPeerFigures(40_000, 7, 1, samples=2)))
    hear(scene, engines, there, 140)
    record = scene.finish(call)
    scene.wire.run_for(2_000)
    assert [each["packets_in"] for each in legs_of(record.media)] == [0, 0]
    assert late.documents.keys() == {record.call_id}
    caller, callee = legs_of(late.documents[record.call_id])
    assert (caller["packets_in"], callee["packets_in"]) == (150, 140)
    assert (caller["octets_in"], callee["octets_in"]) == (150 * 172, 140 * 172)
    assert (caller["peer"], callee["peer"]) == ({"lost_percent": 1.0, "jitter_ms": 7.0}, None)
    assert (caller["round_trip_ms"], callee["mos"] is None) == (40.0, False)
    assert len(scene.exchange.rtp_calls._ports) == 0


def test_one_order_ends_a_call_of_two_legs_and_asks_for_its_figures():
    scene, engines, _ = scene_with()
    call, _ = scene.talk()
    before = len(engines.orders)
    scene.finish(call)
    scene.wire.run_for(2_000)
    (ended,) = engines.orders[before:]
    assert isinstance(ended, RtpDelete)
    assert isinstance(ended.leg, str)


def test_a_call_that_has_had_another_gateway_is_asked_for_its_figures_before_it_is_ended():
    """An order about one leg of three would leave the others there."""
    scene, engines, late = scene_with(vendors=2)
    scene.vendors[0].script = refuses(503)
    scene.vendors[1].script = Script((Line(0, 200, ANSWER),))
    call = scene.settled_call()
    scene.wire.run_for(1_000)
    hear(scene, engines, call, 150)
    before = len(engines.orders)
    record = scene.finish(call)
    scene.wire.run_for(2_000)
    asked, ended = engines.orders[before:]
    assert isinstance(asked, RtpQuery)
    assert isinstance(ended, RtpDelete)
    assert not isinstance(ended.leg, str)
    assert [each["packets_in"] for each in legs_of(late.documents[record.call_id])] == [150, 0]
    assert engines.calls == {}


def test_of_a_call_in_a_journal_of_an_earlier_version_it_is_not_known_which_legs_it_has_had():
    scene, engines, late = scene_with()
    call, there = scene.talk()
    (live,) = scene.exchange.switch.services.running.all()
    for leg in live.call.conversation.all_legs:
        leg.facts.media.rtp_partner = 0
    hear(scene, engines, there, 140)
    before = len(engines.orders)
    record = scene.finish(call)
    scene.wire.run_for(2_000)
    assert [type(each) for each in engines.orders[before:]] == [RtpQuery, RtpDelete]
    assert [each["packets_in"] for each in legs_of(late.documents[record.call_id])] == [0, 140]


@pytest.mark.parametrize("is_lost", [False, True])
def test_the_figures_that_were_asked_for_last_stand_where_no_answer_comes(is_lost):
    scene, engines, late = scene_with()
    call, there = scene.talk()
    hear(scene, engines, there, 100)
    for _ in range(60):
        scene.wire.run_for(100)
        scene.exchange.poll_rtpengines()
    hear(scene, engines, there, 140)
    engines.is_silent = True
    if is_lost:
        engines.up = dict.fromkeys(engines.up, False)
    record = scene.finish(call)
    scene.wire.run_for(3_000)
    assert late.documents == {record.call_id: None}
    assert [each["packets_in"] for each in legs_of(record.media)] == [0, 100]
    assert len(scene.exchange.rtp_calls._ports) == 0


def test_a_call_that_no_gateway_answers_waits_for_nothing():
    scene, _, late = scene_with()
    scene.vendors[0].script = Script((Line(0, 183, ANSWER), Line(1_000, 486)))
    scene.whole_call()
    scene.wire.run_for(3_000)
    assert scene.record.media is None
    assert late.awaited == set()
    assert len(scene.exchange.rtp_calls._ports) == 0


def test_the_last_moment_of_media_is_not_behind_the_end_of_the_call():
    """An rtpengine counts whole seconds, and its answer comes after the end."""
    scene, engines, late = scene_with(VirtualRtpEngines(after_ms=300))
    call, there = scene.talk()
    hear(scene, engines, there, 140)
    record = scene.finish(call)
    scene.wire.run_for(2_000)
    _, callee = legs_of(late.documents[record.call_id])
    assert callee["last_at"] == iso_utc(record.ended_at)


def test_losses_that_a_side_reports_count_for_the_one_that_has_sent_the_stream():
    """The callee's report is about the customer's packets; the counter is believed within the percent that is named."""
    scene, engines, _ = scene_with()
    call, there = scene.talk()
    hear(scene, engines, call, 5_000, RtpPeerReports(176, RtpPeerFigures(0, 7, 4, samples=9)))
    hear(scene, engines, there, 4_000, RtpPeerReports(16_000_000, RtpPeerFigures(0, 7, 1, samples=9)))
    scene.finish(call)
    scene.wire.run_for(2_000)
    parts, now = scene.exchange.media.parts, scene.exchange.clock.now().mono
    assert dict(parts.losses.percents(now)) == {"vendor-0": 100 * 176 / 4_000}
    assert dict(parts.customer_losses.percents(now)) == {"acme": 2.0}


def test_both_records_of_calls_that_a_transfer_has_joined_have_the_figures_of_the_end():
    """The first of them is over a moment before the call at the rtpengine is: it is asked once more."""
    scene, engines, late = scene_with()
    scene.vendor.script = Script((Line(0, 200, ANSWER),))
    first, second = (scene.caller.call(CALLEE) for _ in range(2))
    scene.wire.run_until(lambda: first.final == second.final == 200)
    scene.wire.run_for(1_000)
    party, target = scene.vendor.calls
    hear(scene, engines, first, 50)
    hear(scene, engines, second, 40)
    first.ask("REFER", headers=[f"Refer-To: <sip:1@192.0.2.1?Replaces={second.replaces_in_uri}>"])
    scene.wire.run_for(3_000)
    assert first.is_over
    assert second.is_over
    hear(scene, engines, party, 300)
    hear(scene, engines, target, 290)
    scene.hang_up(party, wait_ms=3_000)
    assert engines.calls == {}
    assert len(scene.exchange.sink.records) == len(late.documents) == 2
    legs = [legs_of(each) for each in late.documents.values() if each]
    assert sorted((caller["packets_in"], callee["packets_in"]) for caller, callee in legs) == [(40, 290), (50, 300)]
    assert len(scene.exchange.rtp_calls._ports) == 0


@pytest.mark.parametrize(
    ("phones", "is_asked"), [(1, False), (2, False), (REPLACED_MAX, False), (REPLACED_MAX + 4, True)]
)
def test_the_record_has_the_last_figures_of_phones_whose_place_others_have_taken(phones, is_asked):
    """Each has packets that no answer had before; of the first ones of many the record has those that were known."""
    scene, engines, late = scene_with()
    call, there = scene.talk()
    for number in range(phones):
        before = call
        hear(scene, engines, before, 50 + number)
        if is_asked:
            scene.poll_rtpengines()
        call = scene.begun_call(Intent(headers=(f"Replaces: {before.replaces}",)), after_ms=3_000)
        assert before.is_over
    hear(scene, engines, call, 7)
    scene.hang_up(there, wait_ms=3_000)
    (document,) = late.documents.values()
    caller, _ = legs_of(document)
    assert caller["packets_in"] == sum(50 + number for number in range(phones)) + 7
    assert len(scene.exchange.rtp_calls._ports) == 0
