"""Lost, doubled and reordered packets lose no call: every call has one record, one end, no residue."""

import pytest
from doubles.data.builders import account, catalogue, phone
from doubles.exploring import examples
from doubles.sockets.login import Login
from doubles.sockets.loopback import Endpoint
from doubles.sockets.peer import ANSWER
from doubles.virtual.customer import Intent
from doubles.virtual.exchange import SWITCH
from doubles.virtual.scene import CALLEE, Scene, vendor_gateway
from doubles.virtual.vendor import RINGS, SILENT, Line, Script, answers, refuses
from doubles.virtual.wire import Directions, DropEvery, Storm, delivered
from hypothesis import given, settings, strategies as st

from vosd.sip.digest.settings import LockOutSettings

INTENTS = {
    "caller hangs up": Intent(hang_up_after_ms=20_000),
    "late offer": Intent(offer="", hang_up_after_ms=20_000),
    "caller hangs up at once": Intent(hang_up_after_ms=0),
    "cancel": Intent(cancel_after_ms=700, hang_up_after_ms=5_000),
}
SCRIPTS = {
    "answers": answers(1_000),
    "answers at once": Script((Line(0, 200, ANSWER),)),
    "hangs up": answers(1_000, hang_up_after_ms=7_000),
    "hangs up at once": answers(1_000, hang_up_after_ms=0),
    "early media, then busy": Script((Line(0, 183, ANSWER), Line(3_000, 486))),
    "fails": refuses(503, after_ms=200),
    "rings": RINGS,
    "silent": SILENT,
}


def carry(scene, plans, caller=None, login=None):
    """Make the calls, a little apart, and let everything come to its end."""
    calls = []
    caller = caller or scene.caller
    for number, (intent, script) in enumerate(plans):
        callee = f"{CALLEE}{number}"
        for vendor in scene.vendors:
            vendor.by_number = {**vendor.by_number, callee: SCRIPTS[script]}
        calls.append(caller.call(callee, INTENTS[intent]._replace(login=login)))
        scene.wire.run_for(137)
    scene.wire.run_for(140_000)
    return calls


def assert_all_agree_that_all_is_over(scene, calls):
    assert scene.exchange.leftovers() == {}
    assert scene.exchange.residue() == {}
    records = {record.sip_call_id_in: record for record in scene.exchange.sink.records}
    assert len(records) == len(scene.exchange.sink.records)
    assert set(records) <= {call.call_id for call in calls}
    for call in calls:
        assert call.is_over, scene.wire.transcript()
        record = records.get(call.call_id)
        if record is None:
            statuses = {response.status for response in call.responses}
            assert statuses <= {401}  # the switch never heard of it, or not of who it was
            continue
        assert call.final in (record.sip_code, None)  # None: every copy of it was lost
        assert (record.sip_code == 200) == (record.answered_at is not None)
    taken = [there for vendor in scene.vendors for there in vendor.calls]
    assert all(there.is_over for there in taken if there.final is not None), scene.wire.transcript()
    answered = {there.call_id for there in taken if there.final == 200}
    assert {record.sip_call_id_out for record in records.values() if record.answered_at is not None} <= answered


plans = st.lists(st.tuples(st.sampled_from(sorted(INTENTS)), st.sampled_from(sorted(SCRIPTS))), min_size=1, max_size=4)


@pytest.mark.parametrize("nth", range(2, 8))
@pytest.mark.parametrize("direction", ["towards the switch", "from the switch", "both"])
def test_losing_every_nth_packet_loses_no_answered_call(nth, direction):
    for spared in range(nth):
        scene = Scene()
        towards = DropEvery(nth, spared) if direction != "from the switch" else delivered
        others = DropEvery(nth, (spared * 3 + 1) % nth) if direction != "towards the switch" else delivered
        scene.wire.delays = Directions(SWITCH, towards, others)
        calls = carry(scene, [("caller hangs up", "answers"), ("caller hangs up", "hangs up")])
        assert [call.final for call in calls] == [200, 200]
        assert {record.end_reason for record in scene.exchange.sink.records} == {"Normal"}
        assert_all_agree_that_all_is_over(scene, calls)


@given(
    plans=plans,
    towards=st.tuples(st.integers(2, 7), st.integers(0, 6)),
    others=st.tuples(st.integers(2, 7), st.integers(0, 6)),
)
@settings(max_examples=examples(40, 600), deadline=None)
def test_losing_every_nth_packet_leaves_nothing_behind(plans, towards, others):
    scene = Scene()
    scene.wire.delays = Directions(SWITCH, DropEvery(*towards), DropEvery(*others))
    assert_all_agree_that_all_is_over(scene, carry(scene, plans))


@given(plans=plans, seed=st.integers(0, 2**32), loss=st.sampled_from([0.0, 0.1, 0.3]))
@settings(max_examples=examples(40, 600), deadline=None)
def test_a_storm_of_loss_doubling_and_disorder_leaves_nothing_behind(plans, seed, loss):
    scene = Scene()
    scene.wire.delays = Storm(seed, loss=loss, doubling=0.3, jitter_ms=80)
    assert_all_agree_that_all_is_over(scene, carry(scene, plans))


@given(plans=plans, seed=st.integers(0, 2**32), loss=st.sampled_from([0.0, 0.1, 0.3]))
@settings(max_examples=examples(40, 600), deadline=None)
def test_a_storm_takes_no_call_from_a_phone_nor_its_good_name(plans, seed, loss):
    """A single failure would lock it out: a repeated or late answer to a challenge is none."""
    lock_out = LockOutSettings(max_retry=1, suspend_ms=3_600_000)
    vendors = [vendor_gateway(0), vendor_gateway(1)]
    scene = Scene(catalogue(vendors, phones=[phone("1001")], accounts=[account("acme")], lock_out=lock_out))
    scene.wire.delays = Storm(seed, loss=loss, doubling=0.3, jitter_ms=80)
    desk = scene.exchange.caller(Endpoint("203.0.113.66", 41_234))
    assert_all_agree_that_all_is_over(scene, carry(scene, plans, desk, Login("1001", "secret")))
    assert scene.exchange.authenticator.locked_out(scene.exchange.clock.now()) == []
    assert "wrong credentials" not in scene.exchange.endpoint.dropped
