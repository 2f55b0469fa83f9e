"""A call that is made again from its snapshot goes on as the original: the same packets at the same instants, one CDR.

Each plan of a call is carried out twice. The second time the switch is replaced, at moments that are drawn, by another
one that was given nothing but the encoded snapshot. Whatever is under way then goes on: ringing gateways, requests that
were retransmitted once, INFOs without an answer, a BYE that waits for an ACK.
"""

from copy import deepcopy
from functools import partial
from itertools import count
from random import Random

import msgspec
import pytest
import test_switch_midcall as midcall
from call_plans import INTENTS, LASTS_MS, RAW, SCRIPTS, Plan, do, keyed_plans, plans_with_moments, staged
from doubles.exploring import examples
from doubles.guarded_scene import GuardedScene
from doubles.sockets.peer import ANSWER
from doubles.successor import replace_node
from doubles.virtual import customer, ua, vendor
from doubles.virtual.customer import INSISTS_ON_RELIABLE, Intent
from doubles.virtual.scene import CALLEE, Scene
from doubles.virtual.vendor import Line, Script
from doubles.virtual.wire import Storm
from hypothesis import given, settings, strategies as st
from test_switch_challenges import guards

from vosd.engine.calls.saved import SavedSwitch

CODECS = {"json": msgspec.json, "msgpack": msgspec.msgpack}


def carry_out(plan, moments=(), codec=msgspec.msgpack):
    """Carry a plan out and replace the switch at these moments; return all packets and records."""
    scene, _ = staged(plan, Scene)
    for at_ms in moments:
        scene.wire.after(at_ms, partial(replace_node, scene, codec))
    scene.wire.run_for(LASTS_MS)
    exchange = scene.exchange
    packets = [(packet.sent_at, packet.source, packet.target, packet.data) for packet in scene.wire.packets]
    return packets, exchange.sink.records, exchange.leftovers(), {a: c.available for a, c in exchange.credits.items()}


def a_day(seed, monkeypatch, *, replaced):
    """Let a day of ``test_switch_midcall`` pass; return all packets and records."""
    customer._numbers = vendor._numbers = ua._numbers = count(1)

    def scene(*content, **terms):
        made = Scene(*content, **terms)
        draw = Random(seed)
        for _ in range(40 if replaced else 0):
            made.wire.after(draw.randrange(midcall.DAY_MS), partial(replace_node, made, msgspec.msgpack))
        return made

    monkeypatch.setattr(midcall, "Scene", scene)
    day = midcall.Day(seed)
    day.judge()
    packets = [(packet.sent_at, packet.source, packet.target, packet.data) for packet in day.scene.wire.packets]
    return packets, day.scene.exchange.sink.records


def a_guarded_call(guard, intent, script, seed, moments):
    """Make a call through a vendor that challenges requests; return all packets and records."""
    customer._numbers = vendor._numbers = ua._numbers = count(1)
    scene = GuardedScene(deepcopy(guard))
    if seed is not None:
        scene.wire.delays = Storm(seed, loss=0.1, doubling=0.2, jitter_ms=40)
    call = scene.begun_call(INTENTS[intent], script=SCRIPTS[script])
    scene.wire.after(9_000, partial(do, scene, call, "caller", "proposes"))
    scene.wire.after(20_000, partial(do, scene, call, "caller", "hangs up"))
    for at_ms in moments:
        scene.wire.after(at_ms, partial(replace_node, scene, msgspec.msgpack))
    scene.wire.run_for(LASTS_MS)
    packets = [(packet.sent_at, packet.source, packet.target, packet.data) for packet in scene.wire.packets]
    return packets, scene.exchange.sink.records


def a_call_with_late_pracks(lines, moments):
    """Make a call whose caller insists on reliable responses; the switch receives its PRACKs after 2.4 s alone."""
    customer._numbers = vendor._numbers = ua._numbers = count(1)
    scene = Scene()
    scene.vendor.script = Script(lines)
    heard_at = scene.exchange.clock.now().mono + 2_400
    is_lost = lambda packet: packet.data.startswith(b"PRACK") and packet.sent_at < heard_at  # noqa: E731
    scene.wire.delays = lambda packet: () if is_lost(packet) else (1,)
    call = scene.caller.call(CALLEE, Intent(headers=INSISTS_ON_RELIABLE, hang_up_after_ms=9_000))
    for at_ms in moments:
        scene.wire.after(at_ms, partial(replace_node, scene))
    scene.wire.run_for(60_000)
    return [(packet.sent_at, packet.data) for packet in scene.wire.packets], scene.record, call.statuses, call.got


def assert_same(plan, moments, codec=msgspec.msgpack):
    untouched, replaced = carry_out(plan), carry_out(plan, moments, codec)
    for number, (there, here) in enumerate(zip(untouched[0], replaced[0], strict=False)):
        assert here == there, f"packet {number}"
    assert replaced == untouched


@pytest.mark.parametrize("codec", CODECS.values(), ids=CODECS)
def test_a_talking_call_goes_on_as_the_original(codec):
    plan = Plan("plain", ("answers", "answers"), ((90_000, "callee", "hangs up"),))
    assert_same(plan, [30_000, 60_000], codec)


@given(planned=plans_with_moments())
@settings(max_examples=examples(30, 100), deadline=None)
def test_any_call_at_any_moment_goes_on_as_the_original(planned):
    assert_same(*planned)


def test_text_that_is_no_utf8_comes_back_unchanged():
    plan = Plan("is no UTF-8", ("fails in no UTF-8", "answers late"), ((20_000, "caller", "hangs up in no UTF-8"),))
    assert_same(plan, [500, 4_000, 15_000])
    packets, (record,), *_ = carry_out(plan)
    assert record.reason_text == "Jrgen \xe9"  # what cannot be printed is left out
    assert any(RAW.encode(errors="surrogateescape") in data for *_, data in packets)


@pytest.mark.parametrize(
    ("lines", "statuses"),
    [
        ((Line(0, 180), Line(0, 183, ANSWER), Line(0, 180), Line(4_000, 200, ANSWER)), [180, 183, 200]),
        ((Line(0, 180), Line(1_000, 200, ANSWER)), [180, 200]),
    ],
    ids=["responses wait for it", "the answer overtakes it"],
)
def test_a_prack_that_comes_late_is_taken_as_by_the_original(lines, statuses):
    untouched = a_call_with_late_pracks(lines, [])
    assert list(dict.fromkeys(untouched[2])) == statuses
    assert {*untouched[3]["PRACK"]} == {200}
    assert a_call_with_late_pracks(lines, [500, 2_000]) == untouched


@given(
    guard=guards,
    intent=st.sampled_from(["plain", "late offer", "gives up"]),
    script=st.sampled_from(["answers", "early media", "hangs up"]),
    seed=st.none() | st.integers(0, 2**16),
    moments=st.lists(st.integers(0, 3_000) | st.integers(9_000, 22_000), min_size=1, max_size=6).map(sorted),
)
@settings(max_examples=examples(20, 40), deadline=None)
def test_a_call_through_a_vendor_that_challenges_goes_on_as_the_original(guard, intent, script, seed, moments):
    guarded = partial(a_guarded_call, guard, intent, script, seed)
    assert guarded(moments) == guarded([])


@pytest.mark.parametrize("seed", range(examples(6, 12)))
def test_a_day_of_transfers_takeovers_and_falsehoods_goes_on_as_the_original(seed, monkeypatch):
    assert a_day(seed, monkeypatch, replaced=True) == a_day(seed, monkeypatch, replaced=False)


def test_a_call_between_two_requests_takes_less_than_four_kilobytes():
    scene = Scene()
    scene.talk()
    scene.wire.run_for(60_000)
    saved, left = SavedSwitch.of(scene.exchange.endpoint, scene.exchange.switch.services)
    assert left == []
    assert len(msgspec.msgpack.encode(saved.calls[0].parts)) < 4_000
    assert saved.endpoint.finished == saved.endpoint.clients == ()


@given(plan=keyed_plans(), moments=st.lists(st.integers(3_000, 30_000), min_size=1, max_size=4).map(sorted))
@settings(max_examples=examples(20, 60), deadline=None)
def test_a_transfer_by_keys_goes_on_as_the_original(plan, moments):
    assert_same(plan, moments)


@pytest.mark.parametrize("moment", [30_000, 60_000])
def test_a_call_over_connections_goes_on_as_the_original(moment):
    doings = (
        (30_500, "caller", "loses its connection"),
        (59_999, "callee", "proposes"),
        (90_000, "callee", "hangs up"),
    )
    assert_same(Plan("knows all", ("knows timer", "answers"), doings, transport="tcp"), [moment])
