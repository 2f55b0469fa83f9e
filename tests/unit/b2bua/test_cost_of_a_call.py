"""What a common call costs the switch, in calls of Python functions: budgets that are raised knowingly, or fall.

Time depends on the machine, this does not. Counted is what the switch itself calls from the INVITE to the last timer
of one answered call through one vendor: the parties, the wire and the clock of the test are left out, and so are the
journal and the database.
"""

import gc
import re
import sys
from collections import Counter
from pathlib import Path
from types import FrameType
from typing import Any, Final

import pytest
import yaml
from doubles.data.builders import catalogue, mapping_gateway
from doubles.virtual.customer import Intent
from doubles.virtual.exchange import Exchange
from doubles.virtual.relay import VirtualRelay
from doubles.virtual.rtpengines import VirtualRtpEngines
from doubles.virtual.scene import CUSTOMER, Scene, vendor_gateway

import vosd
from vosd.trunks.media import MediaEngine, MediaMode, MediaParameters

BUDGETS: Final = Path(__file__).with_name("cost_of_a_call.yaml")
"""The most calls for each message, timers included for the whole call. Who raises one says in the commit what for."""
WARM_UP: Final = 5
COUNTED: Final = 20
SLACK: Final = 2 if sys.version_info < (3, 12) else 5
"""A budget may stand this much above what is measured; beyond that it is lowered, so that it holds what was gained.

From Python 3.12 on, comprehensions are no calls: budgets are those of 3.11.
"""
WHOLE_CALL: Final = "whole call"

MEDIA_BUDGETS: Final = {MediaMode.OFF: 42, MediaMode.AUTO: 68, MediaMode.MUST_ON: 105}
"""Most calls for the media of a call, beside all others: not relayed by the mode, not relayed by step 8, relayed."""
RTPENGINE_BUDGET: Final = 278
"""Most calls for media that an rtpengine relays, without those of the pool that asks it."""

_ROOT: Final = f"{Path(vosd.__file__).parent}/"
_RECEIVE: Final = Exchange._receive.__code__
_CSEQ: Final = re.compile(rb"\r\nCSeq: *\d+ (\w+)", re.IGNORECASE)


class StepCounter:
    """A profile function that counts the calls of Python functions in vosd, without its test doubles."""

    def __init__(self) -> None:
        self.calls: Counter[str] = Counter()
        """Calls by the message that was being processed; those of the whole call, timers included, in one more row."""
        self._message: str | None = None

    def __call__(self, frame: FrameType, event: str, _argument: Any) -> None:
        code = frame.f_code
        if code is _RECEIVE:
            self._message = _named(frame.f_locals["packet"].data) if event == "call" else None
        elif event == "call" and code.co_filename.startswith(_ROOT):
            self.calls[WHOLE_CALL] += 1
            if self._message is not None:
                self.calls[self._message] += 1


def _named(data: bytes) -> str:
    """Name a message as the budgets do: a method, or a status with its method."""
    first, second, _ = data.split(b" ", 2)
    if not first.startswith(b"SIP/"):
        return first.decode()
    cseq = _CSEQ.search(data)
    assert cseq is not None
    return f"{second.decode()} to {cseq[1].decode()}"


def make_calls(scene: Scene, number: int) -> None:
    for _ in range(number):
        scene.whole_call(Intent(hang_up_after_ms=10_000))
        scene.wire.run_for(70_000)


def counted(scene: Scene) -> dict[str, float]:
    """Count the Python calls of one call, by message."""
    make_calls(scene, WARM_UP)
    gc.collect()  # generators of earlier scenes that are closed by a collection meanwhile would be counted
    counter = StepCounter()
    earlier = sys.getprofile()
    sys.setprofile(counter)
    try:
        make_calls(scene, COUNTED)
    finally:
        sys.setprofile(earlier)
    assert len(scene.exchange.sink.records) == WARM_UP + COUNTED
    return {message: calls / COUNTED for message, calls in counter.calls.items()}


@pytest.fixture
def measured(scene: Scene) -> dict[str, float]:
    """Python calls of one call, by message."""
    return counted(scene)


def test_no_message_of_a_call_passes_more_functions_than_its_budget(measured):
    budgets = yaml.safe_load(BUDGETS.read_text())
    assert measured.keys() == budgets.keys()
    assert {message: calls for message, calls in measured.items() if calls > budgets[message]} == {}, "over budget"


def test_no_budget_stands_above_what_a_message_costs(measured):
    budgets = yaml.safe_load(BUDGETS.read_text())
    assert {message: calls for message, calls in measured.items() if calls < budgets[message] - SLACK} == {}, "lower it"


@pytest.mark.parametrize("mode", MEDIA_BUDGETS)
def test_media_cost_no_more_than_their_budget_which_is_no_higher_than_needed(mode, measured):
    trunks = [mapping_gateway("acme", f"{CUSTOMER.host}/32"), vendor_gateway(0)]
    media = MediaParameters(engine=MediaEngine.RELAY, mode=mode)
    with_media = counted(Scene(catalogue(trunks, media=media), relay=VirtualRelay()))
    calls = with_media[WHOLE_CALL] - measured[WHOLE_CALL]
    assert MEDIA_BUDGETS[mode] - SLACK <= calls <= MEDIA_BUDGETS[mode]


def test_media_by_an_rtpengine_cost_no_more_than_their_budget_which_is_no_higher_than_needed(measured):
    trunks = [mapping_gateway("acme", f"{CUSTOMER.host}/32"), vendor_gateway(0)]
    media = MediaParameters(engine=MediaEngine.RTPENGINE, mode=MediaMode.MUST_ON)
    with_media = counted(Scene(catalogue(trunks, media=media), rtpengines=VirtualRtpEngines()))
    calls = with_media[WHOLE_CALL] - measured[WHOLE_CALL]
    assert RTPENGINE_BUDGET - SLACK <= calls <= RTPENGINE_BUDGET
