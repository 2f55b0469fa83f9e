"""Whatever a registrar and the network do, a registration of ours stays one, asks with restraint and is never stuck."""

from itertools import pairwise

from doubles.conformance import faults_of
from doubles.exploring import examples
from doubles.guard import Guard
from doubles.registration_stage import GIVE_UP, TERMS, RegistrationStage
from doubles.vendor_registrar import Told
from doubles.virtual.exchange import SWITCH
from doubles.virtual.wire import Storm, delivered
from hypothesis import given, settings, strategies as st

from vosd.base.credentials import Login
from vosd.base.secret import Secret
from vosd.sip.registration.outbound import REFRESH_MIN_MS
from vosd.sip.registration.states import RegistrationState

JITTER_MS = 900
MOST_IN_AN_ATTEMPT = 14
"""REGISTERs with numbers of their own: six rounds, twice where 423 wanted a longer time."""

statuses = st.sampled_from([200, 200, 200, 301, 400, 403, 404, 423, 480, 500, 503, 0])
headers = st.sampled_from(
    [(), ("Retry-After: 1",), ("Retry-After: 90",), ("Min-Expires: 4000",), ("Expires: 0",), ("Expires: 1",),
     ("Contact: <sip:trunk7@192.0.2.1:5060>;expires=7",), ("Contact: junk", "Expires: -1"), ("Min-Expires: x",)]
)  # fmt: skip
told = st.builds(Told, statuses, headers)
moods = st.one_of(
    st.tuples(st.just("always"), st.none() | told),
    st.tuples(st.just("is_silent"), st.booleans()),
    st.tuples(st.just("grants_s"), st.sampled_from([1, 5, 30, 120, 3_600])),
    st.tuples(st.just("uses"), st.sampled_from([0, 1, 3, 1_000])),
    st.tuples(st.just("password"), st.sampled_from(["secret", "another"])),
    st.tuples(st.just("storm"), st.none() | st.integers(0, 1_000)),
    st.tuples(st.just("amend"), st.sampled_from(["secret", "another"])),
)
steps = st.lists(st.tuples(moods, st.integers(0, 400_000)), min_size=1, max_size=12)


class Watched(RegistrationStage):
    """A stage whose registration is looked at after every step."""

    def __init__(self, draw_seed: int) -> None:
        self.guard = Guard(username="alice", methods=frozenset({"REGISTER"}))
        super().__init__(self.guard, draw=lambda most: draw_seed % most)

    def set(self, what: str, value: object) -> None:
        if what in {"always", "is_silent", "grants_s"}:
            setattr(self.vendor, what, value)
        elif what in {"uses", "password"}:
            setattr(self.guard, what, value)
        elif what == "storm":
            self.wire.delays = (
                delivered if value is None else Storm(int(str(value)), loss=0.3, doubling=0.1, jitter_ms=JITTER_MS)
            )
        else:
            self.registrant.amend(TERMS._replace(login=Login("alice", Secret(str(value)))), self.now)

    def check(self) -> None:
        registrant = self.registrant
        under_way = [key for key in self.exchange.endpoint.store.clients if key.endswith(" REGISTER")]
        assert len(under_way) <= 1
        assert under_way or registrant.next_attempt_at is not None, "it would never move again"
        if registrant.is_registered:
            assert registrant.expires_at is not None
            assert registrant.expires_at.mono > self.now.mono - 20
        else:
            assert registrant.expires_at is None

    def let_pass(self, ms: int) -> None:
        while ms > 0:
            self.run(min(ms, 7_000))
            ms -= 7_000
            self.check()


@settings(max_examples=examples(24, 600), deadline=None)
@given(steps=steps, draw_seed=st.integers(0, 10_000))
def test_it_stays_one_asks_with_restraint_and_is_never_stuck(steps, draw_seed):
    stage = Watched(draw_seed)
    amended = 0
    for (what, value), ms in steps:
        stage.set(what, value)
        amended += what == "amend"
        stage.let_pass(ms)
    sent = [packet for packet in stage.wire.packets if packet.source == SWITCH]
    assert faults_of(stage.wire.packets, SWITCH) == []
    numbers = {}
    for packet in sent:
        numbers.setdefault(int(packet.data.split(b"CSeq: ")[1].split(b" ")[0]), packet.sent_at)
    assert len({packet.data.split(b"Call-ID: ")[1].split(b"\r\n")[0] for packet in sent}) <= 1
    assert all(earlier <= later for earlier, later in pairwise(numbers[number] for number in sorted(numbers)))
    times = sorted(numbers.values())
    for first in times:
        crowd = sum(first <= at < first + REFRESH_MIN_MS for at in times)
        assert crowd <= 2 * MOST_IN_AN_ATTEMPT + amended * MOST_IN_AN_ATTEMPT


@settings(max_examples=30, deadline=None)
@given(steps=steps, draw_seed=st.integers(0, 10_000))
def test_once_the_registrar_is_well_it_registers_and_can_be_taken_back(steps, draw_seed):
    stage = Watched(draw_seed)
    for (what, value), ms in steps:
        stage.set(what, value)
        stage.let_pass(ms)
    for what, value in (("always", None), ("is_silent", False), ("grants_s", 60), ("uses", 1_000), ("storm", None)):
        stage.set(what, value)
    stage.set("password", "secret")
    stage.set("amend", "secret")
    stage.vendor.script.clear()
    stage.run(1_000_000)
    assert stage.registrant.is_registered
    assert stage.registrant.contact in stage.vendor.holds
    stage.leave()
    stage.run(GIVE_UP)
    assert stage.registrant.state is RegistrationState.GONE
    assert stage.vendor.holds == []
    assert stage.exchange.residue() == {}
