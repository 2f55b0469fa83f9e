"""The ladder of a call, as an operator reads it in a terminal or pastes it into a ticket."""

import pytest
from doubles.sockets.peer import ANSWER, OFFER

from vosd.cdr.record import Attempt
from vosd.obs.ladder import COLUMNS, draw, heading, title
from vosd.obs.traced import Direction, TracedCall, TracedMessage, TracedOutcome

CALL_ID = "01a0c450-6c01-7000-8000-000000000002"
AT = 1_790_000_000_000
CALLER = ("198.51.100.10", 5060)


def vendor(index: int) -> tuple[str, int]:
    return (f"203.0.113.{index}", 5060 + index)


def said(
    at_ms: int, way: Direction, leg: int, start: str, *, cseq: str = "1 INVITE", body: str = "", header: str = "",
    remote: tuple[str, int] | None = None, transport: str = "udp",
) -> TracedMessage:  # fmt: skip
    kind = "Content-Type: application/sdp\r\n" if body else ""
    data = (
        f"{start}\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1\r\nFrom: <sip:1@x>;tag=1\r\nTo: <sip:2@x>\r\n"
        f"Call-ID: leg-{leg}\r\nCSeq: {cseq}\r\n{header}{kind}Content-Length: {len(body)}\r\n\r\n{body}"
    ).encode()
    host, port = remote or (CALLER if leg == 0 else vendor(leg))
    return TracedMessage(AT + at_ms, way, leg, transport, "192.0.2.1", 5060, host, port, data)


INVITE = "INVITE sip:442079460000@192.0.2.1 SIP/2.0"
ACK = "ACK sip:442079460000@192.0.2.1 SIP/2.0"


def traced(
    *messages: TracedMessage, gateways: tuple[str, ...] = (), outcome: TracedOutcome | None = None
) -> TracedCall:
    return TracedCall(CALL_ID, "12025550100", "442079460000", "acme", gateways, list(messages), outcome)


def arrows(call: TracedCall) -> list[str]:
    """Return the lines below the names of the lanes, without the ending."""
    lines = list(draw(call))
    first = next(index for index, line in enumerate(lines) if line.startswith("       ms"))
    return [line for line in lines[first + 1 :] if "|" in line]


def test_a_failed_over_call_is_drawn_with_its_attempts_and_its_end():
    busy = TracedOutcome(
        "Busy", "callee", 486, 17, 0,
        (Attempt("carrier-a", 0, 5_000, None, "No Answer"), Attempt("carrier-b", 486, 1_200, 80, "Busy")),
    )  # fmt: skip
    call = traced(
        said(0, Direction.IN, 0, INVITE, body=OFFER),
        said(0, Direction.OUT, 0, "SIP/2.0 100 Trying"),
        said(1, Direction.OUT, 1, INVITE, body=OFFER),
        said(501, Direction.OUT, 1, INVITE, body=OFFER),
        said(5_001, Direction.OUT, 2, INVITE, body=OFFER),
        said(5_081, Direction.IN, 2, "SIP/2.0 183 Session Progress", body=ANSWER),
        said(6_201, Direction.IN, 2, "SIP/2.0 486 Busy Here"),
        said(6_201, Direction.OUT, 2, ACK, cseq="1 ACK"),
        said(6_201, Direction.OUT, 0, "SIP/2.0 486 Busy Here", header='Reason: Q.850;cause=17;text="Busy"\r\n'),
        said(6_230, Direction.IN, 0, ACK, cseq="1 ACK"),
        gateways=("carrier-a", "carrier-b"),
        outcome=busy,
    )
    assert "\n".join(draw(call)) == (
        """\
call 01a0c450-6c01-7000-8000-000000000002: 12025550100 -> 442079460000, 2026-09-21T14:13:20.000Z
  caller  198.51.100.10:5060          acme
  vosd    192.0.2.1:5060
  1       203.0.113.1:5061            carrier-a
  2       203.0.113.2:5062            carrier-b

       ms  caller      vosd        1           2
        0  |---------->|           |           |  INVITE 1
           |           |           |           |    PCMU telephone-event 192.0.2.10:20000
        0  |<----------|           |           |  100 Trying (1 INVITE)
        1  |           |---------->|           |  INVITE 1
           |           |           |           |    PCMU telephone-event 192.0.2.10:20000
      501  |           |---------->|           |  INVITE 1 (again)
     5001  |           |-----------|---------->|  INVITE 1
           |           |           |           |    PCMU telephone-event 192.0.2.10:20000
     5081  |           |<----------|-----------|  183 Session Progress (1 INVITE)
           |           |           |           |    PCMU telephone-event 192.0.2.20:30000
     6201  |           |<----------|-----------|  486 Busy Here (1 INVITE)
     6201  |           |-----------|---------->|  ACK 1
     6201  |<----------|           |           |  486 Busy Here (1 INVITE)
           |           |           |           |    Reason: Q.850;cause=17;text="Busy"
     6230  |---------->|           |           |  ACK 1

Busy: 486 to the caller, Q.850 cause 17, ended by callee
  carrier-a: no final response after 5000 ms: No Answer
  carrier-b: 486 after 1200 ms, rang after 80 ms: Busy"""
    )


def test_an_answered_call_has_its_duration():
    outcome = TracedOutcome("Normal", "caller", 200, 16, 61_250, ())
    lines = list(draw(traced(said(0, Direction.IN, 0, INVITE), outcome=outcome)))
    assert lines[-1] == ("Normal: 200 to the caller, Q.850 cause 16, ended by caller, after 61250 ms of conversation")


def test_a_running_call_is_marked_as_running():
    assert list(draw(traced(said(0, Direction.IN, 0, INVITE))))[-1] == "the call goes on"


def test_a_test_call_begins_with_the_vendors_invite_and_other_calls_do_not():
    messages = [said(0, Direction.OUT, 1, INVITE), said(1, Direction.IN, 1, "SIP/2.0 486 Busy Here")]
    of_test = TracedCall(CALL_ID, "", "442079460000", None, ("carrier-a",), messages)
    assert "no longer kept" not in "".join(draw(of_test))
    assert "no longer kept" in "".join(draw(traced(*messages, gateways=("carrier-a",))))


def test_a_call_without_its_first_messages_is_marked():
    call = traced(said(0, Direction.IN, 1, "BYE sip:x SIP/2.0", cseq="2 BYE"), gateways=("carrier-a",))
    lines = list(draw(call))
    assert lines[1:3] == ["  vosd    192.0.2.1:5060", "  1       203.0.113.1:5061"]
    assert lines[4:7] == [
        "       ms  vosd        1",
        "           |           |  (what was said before is no longer kept)",
        "        0  |<----------|  BYE 2",
    ]
    assert list(draw(traced()))[1] == "  what was said before is no longer kept"


def test_ten_attempts_fit_into_a_hundred_columns():
    messages = [said(0, Direction.IN, 0, INVITE, body=OFFER)]
    for leg in range(1, 11):
        messages += [
            said(leg * 10, Direction.OUT, leg, INVITE, body=OFFER),
            said(
                leg * 10 + 5, Direction.IN, leg, "SIP/2.0 503 Service Unavailable", header="Reason: SIP;cause=503\r\n"
            ),
        ]
    lines = list(draw(traced(*messages, gateways=tuple(f"carrier-{leg}" for leg in range(1, 11)))))
    assert max(map(len, lines)) <= COLUMNS
    assert "  10      203.0.113.10:5070           carrier-10" in lines
    assert any(line.endswith("INVITE 1") and line.count("|") == 12 for line in lines)


def test_a_long_phrase_goes_on_in_the_next_line():
    call = traced(said(0, Direction.IN, 0, f"SIP/2.0 404 {'no user of that name ' * 12}"))
    lines = list(draw(call))
    assert max(map(len, lines)) <= COLUMNS
    assert sum("no user" in line for line in lines) > 2


def test_two_gateways_at_one_address_share_its_lane():
    call = traced(
        said(0, Direction.IN, 0, INVITE),
        said(0, Direction.OUT, 1, INVITE),
        said(9, Direction.OUT, 2, INVITE, remote=vendor(1)),
        gateways=("carrier-a", "carrier-a-premium"),
    )
    assert "  1       203.0.113.1:5061            carrier-a, carrier-a-premium" in list(draw(call))


def test_a_caller_and_a_gateway_at_one_address_have_a_lane_each():
    call = traced(said(0, Direction.IN, 0, INVITE), said(1, Direction.OUT, 1, INVITE, remote=CALLER))
    assert [line[9:].split("  INVITE")[0] for line in arrows(call)] == [
        "  |---------->|           |",
        "  |           |---------->|",
    ]


def test_a_transport_other_than_udp_is_named():
    call = traced(said(0, Direction.IN, 0, INVITE, transport="tls"), said(0, Direction.OUT, 1, INVITE))
    lines = list(draw(call))
    assert lines[1:3] == ["  caller  198.51.100.10:5060 tls      acme", "  vosd    192.0.2.1:5060 tls, 192.0.2.1:5060"]


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"INVITE sip:x SIP/2.0\r\nCSeq: 7 INVITE\r\nFrom", "INVITE 7"),
        (b"\r\nhello there\r\nCall-ID: x\r\n\r\n", "hello there (malformed)"),
        (b"SIP/2.0 200 OK\x1b[31m\r\n\r\n", "SIP/2.0 200 OK\\x1b[31m (malformed)"),
        (b"", " (malformed)"),
    ],
)
def test_what_cannot_be_read_is_shown_and_steers_no_terminal(data, says):
    assert heading(data) == says


def test_control_characters_in_numbers_are_replaced():
    call = traced()
    call.callee = "44\x1b[2J"
    assert title(call).endswith("44\\x1b[2J")
