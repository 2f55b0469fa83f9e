"""The test messages of RFC 4475 and RFC 5118, received: what a known peer gets back for each over UDP."""

from typing import Final, NamedTuple

import pytest
from doubles.virtual.probe import CUSTOMER, UNKNOWN_SOURCE, Probe

from vosd.sip import ParseError, parse_message
from vosd.sip.events import Event, InviteArrived, InviteRefused, RegisterArrived
from vosd.sip.headers.via import Via
from vosd.sip.registration.registrar import RegisterOutcome, register, user_of
from vosd.sip.settings import RegistrarSettings, SipSettings

from .torture import MESSAGES, name_of

CALL: Final = "a call"
SILENCE: Final = "silence"


class Treatment(NamedTuple):
    """What becomes of a message, and why that is not the first thing the RFC mentions, where it is not."""

    outcome: int | str
    why: str = ""


NO_DIALOG: Final = "the dialog is unknown"

TREATMENTS: Final = {
    # -- RFC 4475 section 3.1.1: well-formed, so only what they ask for may be refused
    "wsinv": Treatment(481, "its To has a tag, and " + NO_DIALOG),
    "intmeth": Treatment(405, "an endpoint may say 501; 405 lists the methods that we know"),
    "esc01": Treatment(CALL),
    "escnull": Treatment(200),
    "esc02": Treatment(405, "RE%47IST%45R is an unknown method, not REGISTER"),
    "lwsdisp": Treatment(200),
    "longreq": Treatment(CALL),
    "dblreq": Treatment(200, "the INVITE behind it is left alone"),
    "semiuri": Treatment(200),
    "transports": Treatment(200),
    "mpart01": Treatment(405, "no messages yet"),
    "unreason": Treatment(SILENCE, "a response to no request of ours"),
    "noreason": Treatment(SILENCE, "a response to no request of ours"),
    # -- section 3.1.2: malformed
    "badinv01": Treatment(400),
    "clerr": Treatment(400),
    "ncl": Treatment(400),
    "scalar02": Treatment(400),
    "scalarlg": Treatment(SILENCE),
    "quotbal": Treatment(400),
    "ltgtruri": Treatment(400),
    "lwsruri": Treatment(400),
    "lwsstart": Treatment(400),
    "trws": Treatment(400),
    "escruri": Treatment(400),
    "baddate": Treatment(CALL, "the Date of an unsigned INVITE is not used, and it is not passed on"),
    "regbadct": Treatment(400),
    "badaspec": Treatment(200, "the blanks are plain enough; the address is not passed on"),
    "baddn": Treatment(200, "the names are plain enough without their quotes; they are not passed on as they are"),
    "badvers": Treatment(505),
    "mismatch01": Treatment(400),
    "mismatch02": Treatment(400, "the RFC leaves the choice between 400 and 501"),
    "bigcode": Treatment(SILENCE),
    # -- section 3.2: transactions
    "badbranch": Treatment(200, "matched by the rule of RFC 2543, as the RFC proposes"),
    # -- section 3.3: what is asked for
    "insuf": Treatment(400),
    "unkscm": Treatment(416),
    "novelsc": Treatment(416),
    "unksm2": Treatment(404, "no user has such an address-of-record"),
    "bext01": Treatment(420),
    "invut": Treatment(415),
    "regaut01": Treatment(200, "whether it has proven anything is judged before (sip.door)"),
    "multi01": Treatment(400),
    "mcl01": Treatment(400),
    "bcast": Treatment(SILENCE),
    "zeromf": Treatment(200, "Max-Forwards is for those who forward; an INVITE would get 483"),
    "cparam01": Treatment(200),
    "cparam02": Treatment(200),
    "regescrt": Treatment(200),
    "sdp01": Treatment(406),
    "inv2543": Treatment(400, "From without tag: peers older than RFC 3261 are not served"),
    # -- RFC 5118
    "ipv6-good": Treatment(200),
    "ipv6-bad": Treatment(400),
    "port-ambiguous": Treatment(200),
    "port-unambiguous": Treatment(200),
    "via-received-param-with-delim": Treatment(481, NO_DIALOG),
    "via-received-param-no-delim": Treatment(200),
    "ipv6-in-sdp": Treatment(CALL),
    "mult-ip-in-header": Treatment(481, NO_DIALOG),
    "mult-ip-in-sdp": Treatment(CALL),
    "ipv4-mapped-ipv6": Treatment(CALL),
    "ipv6-bug-abnf-3-colons": Treatment(200, "the third colon is read over"),
    "ipv6-correct-abnf-2-colons": Treatment(200),
}

EXPLAINED_BY: Final = {
    400: b"Warning: 399 ", 405: b"Allow: ", 406: b"Accept: ", 415: b"Accept: ", 420: b"Unsupported: ",
}  # fmt: skip


def received(probe: Probe, stem: str) -> Event | None:
    """Receive a message; a REGISTER is answered by the registrar of a user without bindings."""
    event = probe.receive(MESSAGES[stem])
    if not isinstance(event, RegisterArrived):
        return event
    outcome = RegisterOutcome(404, "", ())
    if user_of(event.request) is not None:
        outcome = register((), event.request, event.source, RegistrarSettings(), probe.now)
    event.transaction.respond(outcome.status, "ours", outcome.headers, probe.now)
    return None


def test_every_message_has_its_treatment():
    assert {name_of(stem) for stem in MESSAGES} == TREATMENTS.keys()


@pytest.mark.parametrize("stem", sorted(MESSAGES))
def test_a_message_gets_its_treatment(stem):
    expected = TREATMENTS[name_of(stem)].outcome
    probe = Probe(SipSettings())
    event = received(probe, stem)
    assert isinstance(event, InviteArrived) is (expected == CALL)
    answers = [sent.data for sent in probe.sent()]
    final = [data for data in answers if not data.startswith(b"SIP/2.0 1")]
    if expected in {CALL, SILENCE}:
        assert final == []
        assert expected == CALL or answers == []
        return
    [answer] = final
    assert answer.startswith(b"SIP/2.0 %d " % expected)
    assert b"\r\n" + EXPLAINED_BY.get(expected, b"Via: ") in answer


REPEATED: Final = ("from", "call-id", "cseq")


@pytest.mark.parametrize(
    "stem", [stem for stem in sorted(MESSAGES) if isinstance(TREATMENTS[name_of(stem)].outcome, int)]
)
def test_an_answer_repeats_what_its_request_has(stem):
    """RFC 3261 section 8.2.6.2."""
    probe = Probe(SipSettings())
    received(probe, stem)
    answer = headers_of(probe.sent()[0].data)
    asked = headers_of(MESSAGES[stem])
    for name in REPEATED:
        assert answer.get(name) == asked.get(name)
    repeated, sent = Via.parse(answer["via"]), Via.parse(asked["via"])
    assert (repeated.host, repeated.port, repeated.branch) == (sent.host, sent.port, sent.branch)
    assert repeated.params["received"] == CUSTOMER.host
    assert answer.get("to", "").startswith(asked.get("to", ""))
    assert ("to" in asked) == ("tag" in answer.get("to", ""))


def headers_of(data: bytes) -> dict[str, str]:
    """Return the first value of each header, of a broken message too."""
    try:
        return dict(reversed(parse_message(data).fields))
    except ParseError as error:
        if error.request is not None:
            return dict(reversed(error.request.fields))
    lines = data.decode().split("\r\n")[1:-2]
    return {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in reversed(lines))}


@pytest.mark.parametrize("stem", sorted(MESSAGES))
def test_an_unknown_source_gets_no_answer_to_any_of_them(stem):
    probe = Probe(SipSettings())
    assert not isinstance(probe.receive(MESSAGES[stem], UNKNOWN_SOURCE), InviteArrived)
    assert probe.sent() == []


@pytest.mark.parametrize("stem", sorted(MESSAGES))
def test_nothing_stays_behind_when_its_time_is_over(stem):
    probe = Probe(SipSettings())
    event = received(probe, stem)
    if isinstance(event, InviteArrived):
        event.transaction.respond(486, "ours", "", probe.now)
    probe.advance(70_000)
    assert not any(probe.endpoint.census().values())


def test_the_body_that_is_shorter_than_rfc5118_prints_is_refused_for_its_length():
    """Section 4.6 as printed: over UDP a Content-Length beyond the datagram is 400 (RFC 3261 section 18.3)."""
    printed = MESSAGES["rfc5118_4.6_ipv6-in-sdp"].replace(b"Content-Length: 251", b"Content-Length: 268")
    probe = Probe(SipSettings())
    assert isinstance(probe.receive(printed), InviteRefused)
    [sent] = probe.sent()
    assert sent.response.status == 400


def test_the_call_of_a_message_comes_from_where_it_came_from():
    probe = Probe(SipSettings())
    event = probe.receive(MESSAGES["rfc4475_3.1.1.3_esc01"])
    assert isinstance(event, InviteArrived)
    assert event.source == CUSTOMER
    assert event.request.target.user == "sips:user@example.com"
