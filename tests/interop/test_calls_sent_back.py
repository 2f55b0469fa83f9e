"""Kamailio sends calls of the switch back to it, to another number: both calls are made, and charged (ADR 247)."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from e2e.stage import Stage

from .addresses import FORWARDING_PROXY, SWITCH
from .baresip import Baresip
from .kamailio import Kamailio
from .telephones import Pair, expect_sound, hold_and_resume

TO_THE_MOBILE = '$rU = "447" + $(rU{s.substr,3,0});'


@pytest.fixture
def proxy(tmp_path: Path) -> Iterator[Kamailio]:
    """The proxy of a customer, whose numbers begin with 448; those of its mobiles with 447."""
    directory = tmp_path / "forwarding"
    directory.mkdir()
    with Kamailio(directory, FORWARDING_PROXY, SWITCH, change=TO_THE_MOBILE) as running:
        yield running


@pytest.fixture
def pair(stage: Stage, proxy: Kamailio, baresip: Callable[..., Baresip]) -> Pair:
    """A telephone, and the mobile that the number it dials is forwarded to."""
    return Pair(stage, baresip, "447", SWITCH, is_relayed=True)


def forwarded(pair: Pair) -> str:
    """Return the number that is forwarded to the mobile."""
    return f"448{pair.number[3:]}"


def dial(pair: Pair) -> None:
    pair.caller.dial(forwarded(pair), SWITCH)
    pair.callee.expect("CALL_INCOMING")
    pair.caller.expect("CALL_RINGING")


@pytest.mark.parametrize("who", ["caller", "callee"])
def test_a_forwarded_call_carries_sound_is_held_and_ends(pair: Pair, who: str) -> None:
    dial(pair)
    pair.callee.accept()
    pair.caller.expect("CALL_ESTABLISHED")
    pair.callee.expect("CALL_ESTABLISHED")
    expect_sound(pair.caller)
    expect_sound(pair.callee)
    first, second = pair.sides(who)
    hold_and_resume(first, second)
    first.hang_up()
    second.expect("CALL_CLOSED", param="Connection reset by peer")

    mobile, office = pair.record(), pair.stage.record_of(forwarded(pair))
    assert (office["mapping_gateway"], office["routing_gateway"]) == ("phone", "forwarding")
    assert (mobile["mapping_gateway"], mobile["routing_gateway"]) == ("forwarding", "vendor-phone-relayed")
    for record in (office, mobile):
        assert (record["end_reason"], record["hangup_source"]) == ("Normal", who)
        assert (record["fee"], record["cost"]) == ("0.60", "0.30")


def test_a_forwarded_call_that_is_given_up_is_cancelled(pair: Pair) -> None:
    dial(pair)
    pair.caller.hang_up()
    pair.callee.expect("CALL_CLOSED")
    assert pair.record()["end_reason"] == "Cancelled"
    assert pair.stage.record_of(forwarded(pair))["end_reason"] == "Cancelled"


def test_a_refusal_of_the_mobile_ends_both_calls(pair: Pair) -> None:
    dial(pair)
    pair.callee.hang_up()
    assert pair.caller.expect("CALL_CLOSED")["param"].startswith("486 ")
    assert pair.record()["end_reason"] == "Busy"
    assert pair.stage.record_of(forwarded(pair))["end_reason"] == "Busy"
