"""A call of the journal that cannot be gone on with ends as lost; it stops neither other calls nor the start."""

import pytest
from doubles import killed
from doubles.data.builders import catalogue, mapping_gateway
from doubles.killed import KilledScene
from doubles.virtual.scene import CALLEE, CUSTOMER, vendor_gateway
from msgspec.structs import replace
from structlog.testing import capture_logs

from vosd.engine.calls.resumption import Resumption
from vosd.engine.calls.saved import SavedSwitch
from vosd.engine.journal import Journal, Remains


class OddJournal(Journal):
    """The first open call lacks its legs."""

    def open(self) -> Remains:
        remains = super().open()
        for call_id in list(remains.open_calls)[:1]:
            remains.open_calls[call_id] = replace(remains.open_calls[call_id], legs=())
        return remains


@pytest.fixture
def scene(tmp_path) -> KilledScene:
    """A switch with two calls that were answered."""
    trunk = mapping_gateway("acme", f"{CUSTOMER.host}/32")
    scene = KilledScene(tmp_path, catalogue([trunk, *map(vendor_gateway, range(2))]))
    for _ in range(2):
        scene.caller.call(CALLEE)
    scene.wire.run_for(10_000)
    return scene


def test_a_call_without_legs_is_lost_and_the_other_goes_on(scene, monkeypatch):
    monkeypatch.setattr(killed, "new_journal", OddJournal)
    with capture_logs() as logged:
        scene.kill(then_ms=5_000)
    assert len(scene.lost) == 1
    assert len(scene.exchange.switch.calls()) == 1
    why = [line["why"] for line in logged if line["event"] == "call_not_continued"]
    assert why == ["IndexError('tuple index out of range')"]


def test_a_call_that_is_given_up_after_it_was_restored_occupies_nothing(scene):
    scene.kill(then_ms=1_000)
    switch, exchange = scene.exchange.switch, scene.exchange
    now = exchange.clock.now()
    resumption = Resumption(switch._endpoint, switch.services, switch._intake, switch._intake.settings, now)
    assert exchange.leftovers()["places"] > 0
    saved, _ = SavedSwitch.of(switch._endpoint, switch.services)
    for each in saved.calls:
        resumption._drop(each)
    left = exchange.leftovers()
    assert left == {"open in the journal": 2}
