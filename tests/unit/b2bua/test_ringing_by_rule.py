"""Provisional responses that a customer is sent by rule, and sessions that wait for the answer."""

import pytest
from doubles.data.builders import catalogue, mapping_gateway
from doubles.sockets.peer import ANSWER
from doubles.virtual.customer import Intent
from doubles.virtual.scene import CUSTOMER, Scene, vendor_gateway
from doubles.virtual.vendor import Line, Script

from vosd.trunks.dialect import CallerDialect, Passing, Ringing

WITH_MEDIA = Line(0, 183, ANSWER)
WITHOUT = Line(0, 183)
RELIABLY = Line(0, 183, ANSWER, (), True)


def rung(line: Line, **dialect) -> tuple[str, bool]:
    """Return the status of the provisional response that the customer gets, and whether it has a session."""
    customer = mapping_gateway("acme", f"{CUSTOMER.host}/32", dialect=CallerDialect(**dialect))
    scene = Scene(catalogue([customer, vendor_gateway(0)]))
    # The answer to a reliable response is final: the 200 need not repeat it.
    scene.vendor.script = Script((Line(0, 100), line, Line(1_000, 200, "" if line.is_reliable else ANSWER)))
    call = scene.answered_call(Intent(headers=("Supported: 100rel",) if line.is_reliable else ()))
    packets = [packet.data.decode() for packet in scene.wire.packets if packet.target == CUSTOMER]
    scene.finish(call)
    (answer,) = {each for each in packets if each.startswith("SIP/2.0 200") and "1 INVITE" in each}
    assert dialect.get("early_media") is not Passing.STRIP or "m=audio" in answer
    ringing = next(each for each in packets if each.startswith("SIP/2.0 18"))
    return ringing.split()[1], "m=audio" in ringing


@pytest.mark.parametrize(
    ("line", "ringing", "expected"),
    [
        (WITH_MEDIA, Ringing.AS_IS, ("183", True)),
        (WITH_MEDIA, Ringing.RINGING, ("180", True)),
        (WITH_MEDIA, Ringing.BY_MEDIA, ("183", True)),
        (WITHOUT, Ringing.AS_IS, ("183", False)),
        (WITHOUT, Ringing.RINGING, ("180", False)),
        (WITHOUT, Ringing.BY_MEDIA, ("180", False)),
        (Line(0, 180, ANSWER), Ringing.BY_MEDIA, ("183", True)),
    ],
)
def test_180_and_183_by_rule(line, ringing, expected):
    assert rung(line, ringing=ringing) == expected


@pytest.mark.parametrize("line", [WITH_MEDIA, RELIABLY])
def test_without_early_media_the_session_comes_with_the_answer(line):
    assert rung(line, early_media=Passing.STRIP) == ("183", False)
    assert rung(line, early_media=Passing.STRIP, ringing=Ringing.BY_MEDIA) == ("180", False)
