"""Vendors that want proof of whatever they like, under loss and disorder: no call is lost, none stays up."""

from doubles.conformance import faults_of
from doubles.exploring import examples
from doubles.guard import EVERYTHING, Guard
from doubles.guarded_scene import GuardedScene
from doubles.virtual.customer import Intent
from doubles.virtual.exchange import SWITCH
from doubles.virtual.scene import CALLEE
from doubles.virtual.vendor import RINGS, SILENT, Script, answers, answers_reliably, refuses
from doubles.virtual.wire import Storm, delivered
from hypothesis import example, given, settings, strategies as st

INTENTS = {
    "hangs up": Intent(hang_up_after_ms=20_000),
    "hangs up at once": Intent(hang_up_after_ms=0),
    "late offer": Intent(offer="", hang_up_after_ms=20_000),
    "cancels": Intent(cancel_after_ms=700, hang_up_after_ms=5_000),
    "cancels at once": Intent(cancel_after_ms=0, hang_up_after_ms=5_000),
}
SCRIPTS = {
    "answers": answers(1_000),
    "answers after all": Script(answers(1_500).lines, accepts_cancel=False),
    "answers reliably": answers_reliably(),
    "hangs up": answers(1_000, hang_up_after_ms=7_000),
    "forks": Script(answers(500).lines, forks=(answers(900),)),
    "refuses": refuses(486, after_ms=200),
    "rings": RINGS,
    "silent": SILENT,
}
guards = st.builds(
    Guard,
    status=st.sampled_from([401, 407]),
    algorithms=st.sampled_from([("MD5",), ("SHA-256", "MD5")]),
    qop=st.sampled_from(["auth", None]),
    methods=st.sets(st.sampled_from(sorted(EVERYTHING))).map(frozenset),
    uses=st.sampled_from([0, 1, 2, 1_000]),
    is_deaf=st.sampled_from([False, False, False, True]),
)


@given(
    guard=guards,
    plans=st.lists(
        st.tuples(st.sampled_from(sorted(INTENTS)), st.sampled_from(sorted(SCRIPTS))), min_size=1, max_size=3
    ),
    seed=st.none() | st.integers(0, 2**32),
)
@example(  # two BYEs with the same nonce, the second overtakes the first
    guard=Guard(methods=frozenset({"BYE"}), uses=2), plans=[("cancels", "forks"), ("hangs up", "answers")], seed=0
)
@settings(max_examples=examples(30, 800), deadline=None)
def test_no_call_is_lost_and_none_stays_up(guard, plans, seed):
    scene = GuardedScene(guard)
    scene.wire.delays = delivered if seed is None else Storm(seed, loss=0.1, doubling=0.2, jitter_ms=60)
    calls = []
    for number, (intent, script) in enumerate(plans):
        for vendor in scene.vendors:
            vendor.by_number = {**vendor.by_number, f"{CALLEE}{number}": SCRIPTS[script]}
        calls.append(scene.caller.call(f"{CALLEE}{number}", INTENTS[intent]))
        scene.wire.run_for(137)
    scene.wire.run_for(140_000)
    assert scene.exchange.leftovers() == {}
    assert scene.exchange.residue() == {}
    assert all(call.is_over for call in calls), scene.wire.transcript()
    records = {record.sip_call_id_in: record for record in scene.exchange.sink.records}
    assert len(records) == len(scene.exchange.sink.records)
    for record in records.values():
        tried = [attempt.gateway for attempt in record.attempts if attempt.reason not in ("Forked", "Late Answer")]
        assert len(tried) == len(set(tried)), "one row a gateway, however often it asked for proof"
    believes_bye = "BYE" not in guard.methods or (not guard.is_deaf and guard.uses > 0)
    if believes_bye:
        assert all(there.is_over for there in scene.guarded.calls if there.final is not None), scene.wire.transcript()
    if seed is None:
        assert faults_of(scene.wire.packets, SWITCH) == []
