"""Races on the usual stage: written once, gone through in every order, and judged alike whatever the order was."""

from collections import Counter
from collections.abc import Callable, Hashable
from typing import Final, NamedTuple

from doubles.crossing import Crossing, Orders
from doubles.data.builders import applied_rate
from doubles.sockets.peer import ANSWER
from doubles.virtual.customer import KNOWS_UPDATE, Intent, OutgoingCall
from doubles.virtual.scene import CALLEE, Scene
from doubles.virtual.side import Side
from doubles.virtual.vendor import RINGS, IncomingCall, Line, Script
from vosd.billing.rater import rate_call

SELL: Final = applied_rate("0.60")
UPDATING: Final = Script((Line(0, 100), Line(0, 180), Line(1_000, 200, ANSWER, KNOWS_UPDATE)))
"""A vendor that answers after a second and knows UPDATE."""
LONG_MS: Final = 40_000
"""Time after which every party has given up."""
GLARE_MS: Final = 15_000
"""By then proposals that crossed have been made again."""


class Race(NamedTuple):
    """A scene in which something is about to happen."""

    scene: Scene
    start: Callable[[], object]
    """Puts the packets on their way."""
    judge: Callable[[], Hashable]
    """Checks that nothing went wrong, and returns how the call ended."""


def in_every_order(race: Callable[[], Race], depth: int = 5) -> Counter[Hashable]:
    """Run a race with every order in which its first ``depth`` packets may arrive; count how it ended."""
    outcomes: Counter[Hashable] = Counter()
    for order in Orders(depth):
        scene, start, judge = race()
        crossing = Crossing(scene.wire, order)
        start()
        if not crossing.settle():
            continue
        try:
            outcomes[judge()] += 1
        except AssertionError as error:
            error.add_note("\n".join(scene.wire.transcript()))
            raise
    return outcomes


def ended(scene: Scene, *parties: Side) -> tuple[str, str]:
    """Require that both sides know of the end, that the money is right and nothing is left; return how it ended."""
    scene.wire.run_for(LONG_MS)
    record = scene.close()
    assert all(party.is_over for party in parties)
    assert record.fee == (rate_call(SELL, record.hold_time_ms).total if record.answered_at else 0)
    assert (record.sip_code == 200) == (record.answered_at is not None)
    return record.end_reason, record.hangup_source


def agreed(scene: Scene, call: OutgoingCall, there: IncomingCall) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Require that the call lives on and both ends agree, and end it.

    Return the final statuses of both sides' re-INVITEs, and those of their UPDATEs; the caller's come first.
    """
    scene.wire.run_for(GLARE_MS)
    assert call.agrees_with(there)
    assert (call.asking, there.asking, call.is_over) == ([], [], False)
    record = scene.finish(call)
    assert (record.end_reason, record.hangup_source) == ("Normal", "caller")
    invites, updates = ((*call.got.get(method, ()), *there.got.get(method, ())) for method in ("INVITE", "UPDATE"))
    return invites, updates


def in_talk() -> tuple[Scene, OutgoingCall, IncomingCall]:
    """Bring two ends that both know UPDATE into talk."""
    scene = Scene()
    return scene, *scene.talk(Intent(headers=KNOWS_UPDATE), UPDATING)


def ringing(script: Script = RINGS) -> tuple[Scene, OutgoingCall, IncomingCall]:
    """Let a call ring, or do what ``script`` says."""
    scene = Scene()
    scene.vendor.script = script
    call = scene.caller.call(CALLEE)
    scene.wire.run_until(lambda: call.responses and scene.vendor.calls)
    scene.wire.run_for(100)
    return scene, call, scene.vendor.only_call
