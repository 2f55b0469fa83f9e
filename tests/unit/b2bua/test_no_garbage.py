"""A call that is over is freed at once: at 1,000 calls/s whatever waits for the collector turns caches cold."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from vosd.testing.customer import Intent
from vosd.testing.scene import CALLEE, Scene
from vosd.testing.vendor import answers, refuses

OURS = ("vosd.sip", "vosd.b2bua", "vosd.engine", "vosd.base")


@contextmanager
def collected() -> Iterator[set[str]]:
    """Give the names of our own types that only the collector would have freed."""
    names: set[str] = set()
    gc.collect()
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


@pytest.mark.parametrize(
    ("script", "intent"),
    [
        (answers(), Intent(hang_up_after_ms=1_000)),
        (answers(hang_up_after_ms=1_000), Intent()),
        (answers(), Intent(offer="", hang_up_after_ms=1_000)),
        (answers(), Intent(cancel_after_ms=500)),
        (refuses(486), Intent()),
        (refuses(503), Intent(hang_up_after_ms=1_000)),
    ],
    ids=["caller hangs up", "callee hangs up", "late offer", "cancelled", "busy", "failover"],
)
def test_a_finished_call_leaves_nothing_to_the_garbage_collector(script, intent):
    scene = Scene()
    scene.vendor.script = script
    with collected() as names:
        call = scene.caller.call(CALLEE, intent)
        scene.wire.run_until(lambda: call.is_over)
        scene.wire.run_for(100)
        assert scene.exchange.leftovers() == {}
    assert names == set()
