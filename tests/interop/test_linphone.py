"""linphone calls linphone through the switch, as far as it goes without a sound card."""

import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from doubles.sockets.loopback import Endpoint
from e2e.stage import CALLER, Stage

from .addresses import CUSTOMER_PHONE, OTHER_VENDOR_PHONE, SWITCH, VENDOR_PHONE
from .linphone import Linphone

pytestmark = pytest.mark.skipif(
    shutil.which("linphone-daemon") is None, reason="linphone is not installed: `make interop` installs it"
)

PLAIN: Mapping[str, str] = {}
KEYS_IN_SOUND = {"use_info": "0", "use_rfc2833": "1"}
KEYS_IN_INFO = {"use_info": "1", "use_rfc2833": "0"}
EARLY_MEDIA = {"incoming_calls_early_media": "1", "100rel_support_level": "2"}


class Pair:
    """A customer's telephone and a vendor's, and a call from one to the other."""

    def __init__(self, stage: Stage, start: Callable[[str, Endpoint], Linphone]) -> None:
        self._stage = stage
        self.number = stage.number("441")
        self.caller = start(CALLER, CUSTOMER_PHONE)
        self.callee = start(self.number, VENDOR_PHONE)

    def ring(self) -> None:
        """Dial, until it rings on both sides."""
        self.caller.dial(self.number, SWITCH)
        self.callee.expect("IncomingReceived")
        self.caller.expect("OutgoingRinging")

    def establish(self) -> None:
        """Dial and answer, until sound would run on both sides."""
        self.ring()
        self.callee.accept()
        self.caller.expect("StreamsRunning")
        self.callee.expect("StreamsRunning")

    def sides(self, who: str) -> tuple[Linphone, Linphone]:
        """Return the telephone of ``caller`` or ``callee``, and the other one."""
        return (self.caller, self.callee) if who == "caller" else (self.callee, self.caller)

    def record(self) -> dict[str, Any]:
        """Return the CDR of the call, once nothing of it is left."""
        self._stage.expect_nothing_left()
        self._stage.expect_books_in_order()
        return self._stage.record_of(self.number)


@pytest.fixture(params=[PLAIN], ids=["plain"])
def settings(request: pytest.FixtureRequest) -> Mapping[str, str]:
    """How the telephones are set up."""
    chosen: Mapping[str, str] = request.param
    return chosen


@pytest.fixture
def linphone(tmp_path: Path, settings: Mapping[str, str]) -> Iterator[Callable[[str, Endpoint], Linphone]]:
    """Start telephones; they are switched off after the test."""
    with ExitStack() as running:

        def start(number: str, address: Endpoint) -> Linphone:
            directory = tmp_path / number
            directory.mkdir()
            return running.enter_context(Linphone(directory, number, address, settings))

        yield start


@pytest.fixture
def pair(stage: Stage, linphone: Callable[[str, Endpoint], Linphone]) -> Pair:
    """A customer's and a vendor's telephone."""
    return Pair(stage, linphone)


@pytest.mark.parametrize("who", ["caller", "callee"])
def test_an_answered_call_is_ended_by_either_side(pair: Pair, who: str) -> None:
    pair.establish()
    first, second = pair.sides(who)
    first.hang_up()
    second.expect("End")
    first.expect("Released")

    record = pair.record()
    assert (record["end_reason"], record["hangup_source"], record["sip_code"]) == ("Normal", who, 200)
    assert record["codec"] == "opus"


def test_a_telephone_that_refuses_ends_the_call(pair: Pair) -> None:
    pair.ring()
    pair.callee.hang_up()
    pair.caller.expect("End")

    record = pair.record()
    assert (record["end_reason"], record["hangup_source"], record["sip_code"]) == ("Rejected", "callee", 603)


def test_a_caller_that_gives_up_is_heard_at_the_other_end(pair: Pair) -> None:
    pair.ring()
    pair.caller.hang_up()
    pair.callee.expect("End")
    pair.caller.expect("Released")

    record = pair.record()
    assert (record["end_reason"], record["hangup_source"], record["sip_code"]) == ("Cancelled", "caller", 487)


@pytest.mark.parametrize("who", ["caller", "callee"])
def test_hold_and_resume_reach_the_other_side(pair: Pair, who: str) -> None:
    pair.establish()
    holder, held = pair.sides(who)
    holder.hold()
    held.expect("PausedByRemote")
    holder.expect("Paused")
    holder.resume()
    held.expect("StreamsRunning")
    holder.expect("StreamsRunning")
    held.hang_up()
    holder.expect("Released")

    assert pair.record()["end_reason"] == "Normal"


@pytest.mark.parametrize("settings", [KEYS_IN_SOUND, KEYS_IN_INFO], indirect=True, ids=["sound", "info"])
def test_keys_reach_the_other_side(pair: Pair) -> None:
    pair.establish()
    pair.caller.press("5")
    pair.callee.expect("5")
    pair.callee.press("7")
    pair.caller.expect("7")
    pair.caller.hang_up()
    pair.callee.expect("End")

    assert pair.record()["end_reason"] == "Normal"


@pytest.mark.parametrize("settings", [EARLY_MEDIA], indirect=True, ids=["early-media"])
def test_early_media_is_acknowledged_on_both_legs(pair: Pair) -> None:
    pair.caller.dial(pair.number, SWITCH)
    pair.callee.expect("IncomingEarlyMedia")
    pair.caller.expect("OutgoingEarlyMedia")
    pair.callee.accept()
    pair.caller.expect("StreamsRunning")
    pair.callee.expect("StreamsRunning")
    pair.caller.hang_up()
    pair.callee.expect("End")

    record = pair.record()
    assert (record["end_reason"], record["codec"]) == ("Normal", "opus")
    assert (pair.caller.traced("PRACK"), pair.callee.traced("PRACK")) == (1, 1)


def test_an_attended_transfer_connects_the_two_who_stay(
    pair: Pair, stage: Stage, linphone: Callable[[str, Endpoint], Linphone]
) -> None:
    number = stage.number("443")
    target = linphone(number, OTHER_VENDOR_PHONE)
    pair.establish()
    pair.caller.dial(number, SWITCH)
    target.expect("IncomingReceived")
    target.accept()
    target.expect("StreamsRunning")
    pair.caller.expect("StreamsRunning")
    pair.caller.transfer(1, 2)
    pair.caller.expect("Released")
    pair.caller.expect("Released")
    pair.callee.expect("StreamsRunning")
    target.hang_up()
    pair.callee.expect("End")

    first, second = pair.record(), stage.record_of(number)
    assert (first["end_reason"], second["end_reason"]) == ("Normal", "Normal")
    assert first["ended_at"] >= second["answered_at"]
