"""A fault in an unused header, in any message of a call, changes nothing.

Neither the record, nor what the call costs, nor a packet that the switch sends, nor when. What confirms or ends
something may be faulty as a whole; what begins something only in the values of headers that are not read.
"""

import re
from typing import Final

import pytest
from doubles.exploring import examples
from doubles.sockets.peer import ANSWER
from doubles.virtual.customer import KNOWS_UPDATE, SUPPORTS_100REL, Intent
from doubles.virtual.exchange import SWITCH
from doubles.virtual.scene import CALLEE, Scene
from doubles.virtual.vendor import Line, Script, answers, answers_reliably
from hypothesis import HealthCheck, given, settings, strategies as st
from msgspec.structs import replace
from structlog.testing import capture_logs

BEGINNINGS: Final = (b"INVITE ", b"UPDATE ", b"INFO ", b"REFER ")

VALUES: Final = (
    b"Date: yesterday\r\n", b"Date: Fri, 01 Jan 2010 16:00:00 EST\r\nDate: never\r\n", b"Timestamp: now\r\n",
    b"Organization: @\x07(\r\n", b"Date: \xff\xfe\r\n", b"Subject: \x00\r\n", b"Subject:\r\n", b"X-Quote: \"\r\n",
    b"Warning: 1812 overture\r\n", b"Call-Info: <<>\r\nPriority: a b\r\n", b"In-Reply-To: ,,;\r\n", b"X-Odd: ;;,,\r\n",
    b"MIME-Version: one\r\n", b"Accept-Language: ;q=\r\n", b"Reply-To: A, B <\r\n", b"Proxy-Require: foo\r\n",
    b"Allow-Events: ,\r\nError-Info: x\r\n", b"Content-Language: \r\n", b"Alert-Info: <ring\r\n", b"P-Odd: \xc3\r\n",
)  # fmt: skip
"""Values that a strict reader refuses, of unused headers."""

LINES: Final = (
    b"no colon at all\r\n", b": no name\r\n", b"two words: x\r\n", b"X-Bare: a\rb: c\r\n", b"Max-Forwards: 70\r\n",
    b"Max-Forwards: 5\r\nMax-Forwards: 6\r\n", b"\xff\xfe\r\n", b"X-Long: " + b"x" * 9_000 + b"\r\n", b"=?\r\n",
    b"Require: foo\r\n", b"Require: ,;,\r\n", b"X-Old: a\n", b"Accept: no/thing\r\n", b"Content-Disposition: @\r\n",
)  # fmt: skip
"""Lines that a strict reader refuses the whole message for."""


def spoilt(data: bytes, line: bytes, position: int) -> bytes:
    """Return a message with another line among its headers, above Content-Length."""
    head, end, body = data.partition(b"\r\n\r\n")
    lines = head.split(b"\r\n")
    at = 1 + position % (len(lines) - 1)
    fault = line.removesuffix(b"\r\n")
    return b"\r\n".join([*lines[:at], fault, *lines[at:]]) + end + body


def without_length(data: bytes, length: bytes) -> bytes:
    return re.sub(rb"(?m)^Content-Length: \d+", b"Content-Length: " + length, data)


def doubled_length(data: bytes) -> bytes:
    return re.sub(rb"(?m)^(Content-Length: \d+\r\n)", rb"\1\1", data)


def without_end(data: bytes) -> bytes:
    """Leave the empty line out that ends the headers."""
    return data.removesuffix(b"\r\n") if data.endswith(b"\r\n\r\n") else data


def without_max_forwards(data: bytes) -> bytes:
    return re.sub(rb"(?m)^Max-Forwards: .*\r\n", b"", data)


def with_line_feeds(data: bytes) -> bytes:
    head, end, body = data.partition(b"\r\n\r\n")
    return head.replace(b"\r\n", b"\n") + end.replace(b"\r\n", b"\n") + body


def with_a_bad_contact(data: bytes) -> bytes:
    """Spoil the Contact of a request that makes no dialog and moves none."""
    return data if data.startswith(b"SIP/2.0") else re.sub(rb"(?m)^Contact: .*\r\n", b"Contact: a?b=;;\r\n", data)


def with_a_blank_at_the_end_of_the_first_line(data: bytes) -> bytes:
    first, end, rest = data.partition(b"\r\n")
    return data if data.startswith(b"SIP/2.0") else first + b" " + end + rest


def without_from(data: bytes) -> bytes:
    """Leave From out of a response: its transaction is known by its branch."""
    return re.sub(rb"(?m)^From: .*\r\n", b"", data) if data.startswith(b"SIP/2.0") else data


WHOLE: Final = (
    lambda data: without_length(data, b"x"), lambda data: without_length(data, b"-1"),
    lambda data: without_length(data, b"99999"), lambda data: without_length(data, b"9" * 50), doubled_length,
    without_end, without_max_forwards, with_line_feeds, with_a_bad_contact, with_a_blank_at_the_end_of_the_first_line,
    without_from,
)  # fmt: skip


def caller_hangs_up(scene):
    call = scene.caller.call(CALLEE, Intent(headers=SUPPORTS_100REL))
    scene.vendor.script = answers_reliably()
    scene.await_answer(call, talk_ms=61_000)
    call.hang_up()


def vendor_hangs_up_after_a_hold(scene):
    call, there = scene.talk(Intent(headers=KNOWS_UPDATE))
    scene.propose(there, "a=sendonly", wait_ms=5_000)
    scene.propose(call, "a=sendrecv", method="UPDATE", wait_ms=40_000)
    there.hang_up()


def answer_in_the_ack(scene):
    call, _ = scene.talk(Intent(offer=""))
    scene.wire.run_for(20_000)
    call.hang_up()


def caller_gives_up(scene):
    scene.vendor.script = Script((Line(0, 100), Line(100, 180), Line(300, 183, ANSWER)))
    scene.caller.call(CALLEE, Intent(cancel_after_ms=4_000))


def first_vendor_refuses(scene):
    scene.vendor.script = Script((Line(0, 100), Line(50, 503)))
    scene.vendors[1].script = answers()
    scene.caller.call(CALLEE, Intent(hang_up_after_ms=30_000))


FLOWS: Final = (caller_hangs_up, vendor_hangs_up_after_a_hold, answer_in_the_ack, caller_gives_up, first_vendor_refuses)

MADE_UP: Final = re.compile(rb"customer-(?:tag-)?\d+|vendor-tag-\d+|z9hG4bK[\w.\-]+|(?<=RAck: )\d+")


class Day:
    """One call, in which one message reaches the switch otherwise than it was sent."""

    def __init__(self, flow, number=-1, spoil=lambda data: data):
        scene = Scene()
        receive = scene.wire._receivers[SWITCH]
        self.came = []

        def received(packet):
            self.came.append(packet.data)
            if len(self.came) == number + 1:
                packet = packet._replace(data=spoil(packet.data))
            receive(packet)

        scene.wire.attach(SWITCH, received)
        with capture_logs() as lines:
            flow(scene)
            scene.wire.run_until(lambda: not scene.exchange.switch.has_calls and scene.exchange.sink.records)
            record = scene.close()
        assert [line for line in lines if line["log_level"] in {"error", "critical"}] == []
        self.record = replace(record, sip_call_id_in="", sip_call_id_out="")
        self.statement = {account: scene.exchange.statement(account) for account in scene.exchange.credits}
        self._names = {}
        said = [packet for packet in scene.wire.packets if packet.source == SWITCH]
        self.said = [(each.sent_at, each.target, MADE_UP.sub(self._name, each.data)) for each in said]

    def _name(self, made_up):
        return self._names.setdefault(made_up[0], b"name-%03d" % len(self._names))


PLAIN: Final = {flow: Day(flow) for flow in FLOWS}


def assert_same(flow, number, spoil):
    plain = PLAIN[flow]
    day = Day(flow, number, spoil)
    assert day.said == plain.said
    assert day.statement == plain.statement
    assert day.record == plain.record


def is_beginning(flow, number):
    return PLAIN[flow].came[number].startswith(BEGINNINGS)


@given(data=st.data())
@settings(max_examples=examples(90, 1_500), deadline=None, suppress_health_check=list(HealthCheck))
def test_a_value_of_an_unused_header_changes_nothing(data):
    flow = data.draw(st.sampled_from(FLOWS))
    number = data.draw(st.integers(0, len(PLAIN[flow].came) - 1))
    line, position = data.draw(st.sampled_from(VALUES)), data.draw(st.integers(0, 12))
    assert_same(flow, number, lambda message: spoilt(message, line, position))


@given(data=st.data())
@settings(max_examples=examples(120, 2_000), deadline=None, suppress_health_check=list(HealthCheck))
def test_a_line_that_spoils_the_message_changes_nothing_where_that_confirms_or_ends_something(data):
    flow = data.draw(st.sampled_from(FLOWS))
    number = data.draw(st.integers(0, len(PLAIN[flow].came) - 1).filter(lambda each: not is_beginning(flow, each)))
    line, position = data.draw(st.sampled_from(LINES)), data.draw(st.integers(0, 12))
    assert_same(flow, number, lambda message: spoilt(message, line, position))


@pytest.mark.parametrize("flow", FLOWS, ids=lambda flow: flow.__name__)
@pytest.mark.parametrize("spoil", WHOLE)
def test_a_fault_of_the_whole_message_changes_nothing_where_that_confirms_or_ends_something(flow, spoil):
    for number in range(len(PLAIN[flow].came)):
        if not is_beginning(flow, number):
            assert_same(flow, number, spoil)


@pytest.mark.parametrize(
    "kind", [b"", b"Content-Type: sdp\r\n", b"Content-Type:\r\n"], ids=["none", "no type", "empty"]
)
@pytest.mark.parametrize("flow", FLOWS, ids=lambda flow: flow.__name__)
def test_a_session_description_is_one_in_any_message_that_does_not_say_so(flow, kind):
    for number in range(len(PLAIN[flow].came)):
        assert_same(flow, number, lambda data: data.replace(b"Content-Type: application/sdp\r\n", kind))
