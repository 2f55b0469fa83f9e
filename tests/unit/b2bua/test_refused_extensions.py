"""INVITEs refused for what they require, or lack: with a Reason, and with a record once their trunk is known."""

import re

import pytest
from doubles.data.builders import catalogue, mapping_gateway
from doubles.virtual.customer import INSISTS_ON_RELIABLE, Intent
from doubles.virtual.exchange import SWITCH
from doubles.virtual.probe import SDP, request
from doubles.virtual.scene import CALLEE, CUSTOMER, Scene, vendor_gateway
from doubles.virtual.side import Side

from vosd.admin.why import why
from vosd.base.session_timer import SessionTimerSettings
from vosd.trunks.dialect import CallerDialect, ReasonForm, Reliability

NO_TIMER = SessionTimerSettings(enabled=False)
BRIEF = ("Supported: timer", "Session-Expires: 50")


def scene_of(**dialect) -> Scene:
    customer = mapping_gateway("acme", f"{CUSTOMER.host}/32", dialect=CallerDialect(**dialect))
    return Scene(catalogue([customer, vendor_gateway(0)]))


def refused(scene: Scene, headers: tuple[str, ...]) -> Side:
    return scene.whole_call(Intent(headers=headers))


@pytest.mark.parametrize(
    ("dialect", "headers", "status", "explained", "reason"),
    [
        ({"reliability": Reliability.OFF}, INSISTS_ON_RELIABLE, 420, "Unsupported", "Unavailable"),
        ({"reliability": Reliability.REQUIRED}, (), 421, "Require", "Unavailable"),
        ({"session_timer": NO_TIMER}, ("Require: timer",), 420, "Unsupported", "Unavailable"),
        ({}, BRIEF, 422, "Min-SE", "Session Interval Too Small"),
    ],
)
def test_a_call_that_asks_for_what_its_trunk_has_not_gets_a_reason_and_leaves_a_record(
    dialect, headers, status, explained, reason
):
    scene = scene_of(**dialect)
    call = refused(scene, headers)
    assert call.final == status
    assert call.refusal.every(explained)
    assert call.refusal["Reason"] == f'Q.850;cause=127;text="{reason}"'
    record = scene.close()
    assert (record.end_reason, record.hangup_source, record.sip_code) == (reason, "switch", status)
    assert (record.q850_cause, record.attempts, record.fee) == (127, (), 0)
    assert (record.mapping_gateway, record.callee_in) == ("acme", CALLEE)
    assert why(record)["refusal"].startswith(f"{explained}: "), "vosd why says what was refused"


@pytest.mark.parametrize(
    ("form", "said"), [(ReasonForm.NONE, []), (ReasonForm.SIP, ['SIP;cause=422;text="Session Interval Too Small"'])]
)
def test_its_trunk_says_how_the_reason_is_written(form, said):
    scene = scene_of(reasons=form)
    assert refused(scene, BRIEF).refusal.every("Reason") == said
    scene.close()


@pytest.mark.parametrize(
    ("changes", "status", "cause"),
    [
        ({"headers": "Require: foo\r\n"}, 420, 127),
        ({"headers": "Accept: text/plain\r\n"}, 406, 79),
        ({"headers": "Content-Type: text/plain\r\n", "body": b"hello"}, 415, 79),
        ({"headers": "no colon\r\n"}, 400, 41),
        ({"uri": "mailto:a@b"}, 416, 127),
        ({"uri": "sips:4420@192.0.2.1"}, 480, 18),
        ({"uri": "sip:192.0.2.1"}, 484, 28),
        ({"headers": "Replaces: x;to-tag=a;from-tag=b\r\n"}, 481, 41),
    ],
)
def test_a_call_that_is_refused_before_its_trunk_is_known_gets_a_reason(scene, changes, status, cause):
    scene.wire.send(CUSTOMER, SWITCH, request(**{"uri": f"sip:{CALLEE}@192.0.2.1", "body": SDP, **changes}))
    scene.wire.run_for(100)
    [refusal] = {packet.data for packet in scene.wire.packets if packet.data.startswith(b"SIP/2.0 %d " % status)}
    assert re.findall(rb"(?m)^Reason: (.*)\r", refusal) == [b"Q.850;cause=%d" % cause]


def test_the_second_copy_of_a_call_is_a_loop(scene):
    for branch in ("z9hG4bK-1", "z9hG4bK-2"):
        scene.wire.send(CUSTOMER, SWITCH, request(uri=f"sip:{CALLEE}@192.0.2.1", branch=branch, body=SDP))
    scene.wire.run_for(10)
    [refusal] = {packet.data for packet in scene.wire.packets if packet.data.startswith(b"SIP/2.0 482 ")}
    assert b'\r\nReason: Q.850;cause=25;text="Loop"\r\n' in refusal


def test_a_refusal_within_a_call_ends_none_and_gives_no_reason(scene):
    call, _ = scene.talk()
    call.ask("INVITE", body="hello", kind="text/plain")
    scene.wire.run_for(100)
    assert call.got["INVITE"] == [415]
    assert b"Reason:" not in scene.bytes_to(CUSTOMER)
    scene.finish(call)
