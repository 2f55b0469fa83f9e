"""A call that is over is freed at once: at 1,000 calls/s whatever waits for the collector turns caches cold."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from doubles.sockets.peer import ANSWER
from doubles.virtual.customer import KNOWS_UPDATE, SUPPORTS_100REL, Intent
from doubles.virtual.scene import Scene
from doubles.virtual.side import Reply
from doubles.virtual.vendor import Line, Script, answers, answers_reliably, refuses

OURS = ("vosd.sip", "vosd.b2bua", "vosd.engine", "vosd.base")


@contextmanager
def collected() -> Iterator[set[str]]:
    """Give the names of our own types that only the collector would have freed, of things made meanwhile."""
    names: set[str] = set()
    gc.collect()
    gc.freeze()  # a scene of an earlier test may be let go at any moment: it is none of this call's
    gc.disable()
    gc.set_debug(gc.DEBUG_SAVEALL)
    try:
        yield names
        gc.collect()
        names |= {type(thing).__name__ for thing in gc.garbage if type(thing).__module__.startswith(OURS)}
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()


def busy(side):
    """Do what can be done within a call: agreed upon, refused, crossing, given up, and pending when the call ends."""
    side.will("INVITE", Reply(), Reply(488), Reply(491), Reply(), Reply(200, after_ms=5_000))
    for at_ms in range(0, 900, 100):
        side.wire.after(at_ms, side.propose)
    side.wire.after(50, lambda: side.ask("INFO", body="Signal=5\r\n", kind="application/dtmf-relay"))
    side.wire.after(150, lambda: side.propose(method="UPDATE"))
    side.wire.after(250, lambda: side.ask("INVITE"))
    side.wire.after(870, lambda: [asking.cancel() for asking in side.asking if asking.method == "INVITE"])


TALKS = Script((Line(0, 100), Line(0, 180), Line(1_000, 200, ANSWER, KNOWS_UPDATE)), then=busy)
FORKED = Script((Line(0, 183, ANSWER, (), True), Line(500, 200, ANSWER)), forks=(answers(510),))


@pytest.mark.parametrize(
    ("script", "intent"),
    [
        (answers(), Intent(hang_up_after_ms=1_000)),
        (answers(hang_up_after_ms=1_000), Intent()),
        (answers(), Intent(offer="", hang_up_after_ms=1_000)),
        (answers(), Intent(cancel_after_ms=500)),
        (refuses(486), Intent()),
        (refuses(503), Intent(hang_up_after_ms=1_000)),
        (TALKS, Intent(headers=KNOWS_UPDATE, hang_up_after_ms=1_000)),
        (TALKS, Intent(headers=KNOWS_UPDATE, hang_up_after_ms=1_000, then=busy)),
        (answers_reliably(), Intent(headers=SUPPORTS_100REL, hang_up_after_ms=1_000, then=busy)),
        (answers_reliably(), Intent(headers=SUPPORTS_100REL, cancel_after_ms=500)),
        (FORKED, Intent(hang_up_after_ms=1_000)),
    ],
    ids=[
        "caller hangs up",
        "callee hangs up",
        "late offer",
        "cancelled",
        "busy",
        "failover",
        "callee proposes",
        "both propose",
        "media heard reliably",
        "cancelled after that",
        "two phones",
    ],
)
def test_a_finished_call_leaves_nothing_to_the_garbage_collector(script, intent):
    scene = Scene()
    scene.vendor.script = script
    with collected() as names:
        scene.whole_call(intent)
        scene.expect_nothing_left(within_ms=100)
    assert names == set()
