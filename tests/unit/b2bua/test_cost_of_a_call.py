"""What a common call costs the switch, in calls of Python functions: a number that is raised knowingly, or falls.

Time depends on the machine, this does not. Counted is what the switch itself calls from the INVITE to the last timer
of one answered call through one vendor: the parties, the wire and the clock of the test are left out, and so are the
journal and the database.
"""

import sys
from pathlib import Path
from types import FrameType
from typing import Any, Final

import vosd
from vosd.testing.virtual.customer import Intent
from vosd.testing.virtual.scene import CALLEE, Scene

CALLS_MAX: Final = 1_206
"""Function calls of one call. Measure before and after a change; say in its commit what the more is for."""
WARM_UP: Final = 5
COUNTED: Final = 20

_ROOT: Final = f"{Path(vosd.__file__).parent}/"
_DOUBLES: Final = f"{_ROOT}testing/"


class Counter:
    """A profile function that counts the calls of Python functions in vosd, without its test doubles."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, frame: FrameType, event: str, _argument: Any) -> None:
        name = frame.f_code.co_filename
        if event == "call" and name.startswith(_ROOT) and not name.startswith(_DOUBLES):
            self.calls += 1


def make_calls(scene: Scene, number: int) -> None:
    for _ in range(number):
        call = scene.caller.call(CALLEE, Intent(hang_up_after_ms=10_000))
        scene.wire.run_until(lambda call=call: call.is_over)
        scene.wire.run_for(70_000)


def test_a_call_passes_no_more_functions_than_it_did(scene):
    make_calls(scene, WARM_UP)
    counter = Counter()
    earlier = sys.getprofile()
    sys.setprofile(counter)
    try:
        make_calls(scene, COUNTED)
    finally:
        sys.setprofile(earlier)
    assert len(scene.exchange.sink.records) == WARM_UP + COUNTED
    assert 1_000 < counter.calls / COUNTED <= CALLS_MAX
