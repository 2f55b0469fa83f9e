"""Phones that ring together, whatever each of them does and whenever: one at most is connected, and nothing is left."""

from functools import partial
from typing import NamedTuple

from doubles.data.builders import catalogue, mapping_gateway, phone
from doubles.exploring import examples
from doubles.sockets.loopback import Endpoint
from doubles.sockets.peer import ANSWER
from doubles.successor import replace_node
from doubles.virtual.customer import SUPPORTS_100REL, Intent
from doubles.virtual.relay import VirtualRelay
from doubles.virtual.scene import CUSTOMER, Scene, vendor_gateway
from doubles.virtual.vendor import Line, Script
from doubles.virtual.wire import Storm
from hypothesis import example, given, settings, strategies as st

from vosd.base.cause import EndReason
from vosd.trunks.dids import Did
from vosd.trunks.media import MediaEngine, MediaMode, MediaParameters
from vosd.trunks.ringing import RingOrder

NUMBER = "4420946000"
RING_MS = 6_000


class Device(NamedTuple):
    """One telephone: what it sends, and when, in tenths of a second."""

    phone: str
    rings: int
    media: int
    """0 = it sends no early media, 1 = unreliably, 2 = reliably."""
    ends: int
    status: int
    """0 = it goes on ringing."""
    takes_cancel: bool

    def script(self) -> Script:
        lines = []
        if self.rings:
            status = 183 if self.media else 180
            lines.append(Line(100 * self.rings, status, ANSWER if self.media else "", (), self.media == 2))
        if self.status:
            lines.append(Line(100 * (self.rings + self.ends), self.status, ANSWER if self.status == 200 else ""))
        return Script(tuple(lines), accepts_cancel=self.takes_cancel)


class Plan(NamedTuple):
    """A call to several telephones."""

    devices: list[Device]
    cancelled_at: int
    """Tenths of a second; 0 = the caller waits for the answer, and hangs up 5 s later."""
    ended_at: int
    """Tenths of a second until an operator ends the call; 0 = none does."""
    replaced_at: list[int]
    """Tenths of a second at which another process goes on with the call."""
    is_reliable: bool
    has_offer: bool
    storm: int
    """Seed of what the network does; 0 = it is perfect."""
    is_relayed: bool = False


DEVICES = st.builds(
    Device,
    st.sampled_from(["7001", "7001", "7002", "7003"]),
    st.integers(0, 30),
    st.integers(0, 2),
    st.integers(0, 30),
    st.sampled_from([0, 200, 200, 200, 404, 480, 486, 500, 503, 600, 603]),
    st.booleans(),
)
PLANS = st.builds(
    Plan,
    st.lists(DEVICES, min_size=1, max_size=5),
    st.sampled_from([0, 0, 0, 1, 5, 10, 20, 40]),
    st.sampled_from([0, 0, 0, 0, 7, 25]),
    st.lists(st.integers(0, 70), max_size=2),
    st.booleans(),
    st.sampled_from([True, True, True, False]),
    st.sampled_from([0, 0, 1, 2, 3]),
    st.booleans(),
)
BOTH = Plan([Device("7001", 1, 0, 9, 200, False), Device("7002", 2, 2, 8, 200, False)], 0, 0, [5], True, True, 0)


def stage(plan: Plan, relay: VirtualRelay) -> tuple[Scene, list]:
    known = [mapping_gateway("acme", f"{CUSTOMER.host}/32"), vendor_gateway(0)]
    names = sorted({device.phone for device in plan.devices})
    phones = [phone(name, max_concurrent=1, ring=RingOrder.TOGETHER) for name in names]
    did = Did(NUMBER, "acme", phones=tuple(names), ring=RingOrder.TOGETHER, ring_timeout_ms=RING_MS)
    media = {"media": MediaParameters(engine=MediaEngine.RELAY, mode=MediaMode.ON)} if plan.is_relayed else {}
    scene = Scene(catalogue(known, phones=phones, dids=[did], **media), relay=relay if plan.is_relayed else None)
    desks = []
    for index, device in enumerate(plan.devices):
        place = Endpoint("203.0.113.66", 40_000 + index)
        desk = scene.exchange.telephone(device.phone, place, script=device.script())
        desk.register(f"<sip:{index}@{place}>")
        desks.append(desk)
    return scene, desks


@settings(max_examples=examples(60, 3_000), deadline=None)
@given(PLANS)
@example(BOTH)
@example(BOTH._replace(cancelled_at=10))
@example(BOTH._replace(has_offer=False))
@example(BOTH._replace(is_relayed=True))
def test_one_phone_at_most_is_connected_and_nothing_is_left(plan):
    relay = VirtualRelay()
    scene, desks = stage(plan, relay)
    if plan.storm:
        scene.wire.delays = Storm(plan.storm, loss=0.05, doubling=0.1, jitter_ms=40)
    headers = SUPPORTS_100REL if plan.is_reliable else ()
    offer = {} if plan.has_offer else {"offer": ""}
    call = scene.caller.call(NUMBER, Intent(headers=headers, hang_up_after_ms=5_000, **offer))
    for tenth in plan.replaced_at:
        scene.wire.after(100 * tenth, partial(replace_node, scene))
    if plan.cancelled_at:
        scene.wire.after(100 * plan.cancelled_at, lambda: call.final or call.cancel())
    if plan.ended_at:
        scene.wire.after(100 * plan.ended_at, lambda: scene.exchange.end_all(EndReason.ADMINISTRATIVE))
    together = 0
    for _ in range(24):
        scene.wire.run_for(500)
        connected = [each for desk in desks for each in desk.calls if each.acks and not each.is_over]
        together = max(together, 0 if plan.storm else len(connected))  # a BYE may be lost in a storm
    scene.wire.run_for(50_000)

    record = scene.close()
    assert call.is_over
    assert together <= 1
    answered = [row for row in record.attempts if row.reason == "Answered"]
    assert len(answered) <= 1
    assert (call.final == 200) == (record.answered_at is not None)
    for desk in desks:
        for each in desk.calls:
            assert each.final is None or each.final >= 300 or each.is_over, "an answered phone was left alone"
    assert relay.open_ports == {}
    assert record.cost == 0
    assert {posting.account for posting in record.postings} <= {"acme"}
