"""No peer can negotiate a session so long that the loss of the peer is never detected."""

import pytest
from doubles.timed_scene import KNOWS_ALL, TIMED, TimedScene
from doubles.virtual.customer import Intent
from doubles.virtual.side import Reply
from doubles.virtual.vendor import answers_timed

UPDATES = ("Allow: INVITE, ACK, BYE, CANCEL, UPDATE",)


@pytest.mark.parametrize("refresher", ["uac", "uas"])
@pytest.mark.parametrize(
    ("interval", "length_s"),
    [("300", 300), ("600", 600), ("601", 600), ("86400", 600), ("4000000", 600), ("9999999999", 600)],
)
def test_a_vendor_may_shorten_what_was_offered_and_never_lengthen_it(interval, length_s, refresher):
    scene = TimedScene()
    _, there = scene.answered(KNOWS_ALL, answers_timed(f"{interval};refresher={refresher}"))
    there.gone = 0
    assert scene.end() == (length_s, "Session Timeout")


def test_a_vendor_that_would_refresh_too_late_is_refreshed():
    scene = TimedScene()
    call, there = scene.answered(KNOWS_ALL, answers_timed("1800;refresher=uas"))
    scene.run(4_000)
    assert scene.exchange.sink.records == []
    assert len(there.asked["UPDATE"]) == 13
    call.hang_up()
    assert scene.end()[1] == "Normal"


@pytest.mark.parametrize(
    ("headers", "length_s"),
    [
        (("Min-SE: 90",), 600),
        (("Min-SE: 1800",), 1_800),
        (("Min-SE: 86401",), 600),
        (("Min-SE: 4000000",), 600),
        (("Session-Expires: 4000000", "Min-SE: 4000000"), 600),
        (("Session-Expires: 4000000;refresher=uac", "Min-SE: 9999999999"), 600),
        (("Session-Expires: 300", "Min-SE: 4000000"), 300),
    ],
)
def test_a_caller_with_an_absurd_smallest_interval_gets_ours(headers, length_s):
    scene = TimedScene()
    call, _ = scene.answered(Intent(headers=("Supported: timer", *UPDATES, *headers)))
    call.gone = 0
    assert scene.end() == (length_s, "Session Timeout")


@pytest.mark.parametrize("headers", [("Session-Expires: 4000000",), ("Session-Expires: 4000000", "Min-SE: 4000000")])
def test_no_request_within_a_call_lengthens_it_either(headers):
    scene = TimedScene()
    call, _ = scene.answered()
    scene.run(100)
    call.ask("UPDATE", headers=("Supported: timer", *headers))
    scene.run(1)
    call.gone = 0
    assert scene.end() == (700, "Session Timeout")


def test_nor_does_an_answer_to_a_refresh_of_ours():
    scene = TimedScene()
    _, there = scene.answered(KNOWS_ALL, TIMED)
    there.knows_timer = False
    there.will("UPDATE", Reply(200, headers=("Require: timer", "Session-Expires: 4000000;refresher=uac")))
    scene.run(301)
    assert len(there.asked["UPDATE"]) == 1
    there.gone = 0
    assert scene.end() == (900, "Session Timeout")
