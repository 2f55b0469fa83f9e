"""The user agents of the tests reject what a real peer rejects."""

import pytest
from doubles.data.sessions import follows
from doubles.sockets.loopback import Endpoint
from doubles.sockets.peer import OFFER, Message, compose
from doubles.virtual.clock import ManualClock
from doubles.virtual.vendor import Line, Script, Vendor, answers, answers_reliably, refuses
from doubles.virtual.wire import Packet, Wire

SWITCH, VENDOR = Endpoint("192.0.2.1", 5060), Endpoint("203.0.113.1", 5060)
GIVEN_UP_MS = 40_000
"""Longer than 64 T1."""


class Switch:
    """What the vendor talks to: it says what the test tells it, right or wrong."""

    def __init__(self, script: Script) -> None:
        self.wire = Wire(ManualClock())
        self.vendor = Vendor(self.wire, VENDOR, SWITCH, script)
        self.came: list[Message] = []
        self.wire.attach(SWITCH, self._note)
        self.remote = f"<sip:442071111111@{VENDOR}>"

    def _note(self, packet: Packet) -> None:
        self.came.append(Message(packet.data, packet.source))

    def say(self, method: str, cseq: int = 1, branch: str = "first", *headers: str, body: str = "") -> None:
        named = method.partition(" ")[0]
        lines = [
            f"{named} sip:442071111111@{VENDOR} SIP/2.0",
            f"Via: SIP/2.0/UDP {SWITCH};branch=z9hG4bK-{branch}",
            f"From: <sip:caller@{SWITCH}>;tag=switch",
            f"To: {self.remote}",
            "Call-ID: call",
            f"CSeq: {cseq} {method.rpartition(' ')[2]}",
            f"Contact: <sip:{SWITCH}>",
            "Max-Forwards: 70",
            *headers,
        ]
        self.wire.send(SWITCH, VENDOR, compose(lines, body).encode())
        self.wire.run_for(5)

    def invite(self, *headers: str) -> None:
        """Send an INVITE, and take the dialog from what comes first with a tag."""
        self.say("INVITE", 1, "first", *headers, body=OFFER)
        self.wire.run_for(1_100)
        self.remote = next(message["To"] for message in self.came if message.to_tag)

    def statuses(self, method: str) -> list[int | None]:
        return [each.status for each in self.came if each.status and each["CSeq"].endswith(f" {method}")]

    def requests(self, method: str) -> int:
        return sum(message.method == method for message in self.came)


@pytest.fixture
def talking() -> Switch:
    """A call that the vendor has answered."""
    switch = Switch(answers(0))
    switch.invite()
    switch.say("ACK", 1, "ack")
    return switch


def test_a_request_with_the_tag_of_no_dialog_gets_481(talking: Switch) -> None:
    talking.remote = talking.remote.replace("tag=vendor", "tag=other")
    talking.say("BYE", 2, "bye")
    assert talking.statuses("BYE") == [481]


@pytest.mark.parametrize("method", ["UPDATE", "BYE"])
def test_a_request_with_a_lower_cseq_gets_500(talking: Switch, method: str) -> None:
    talking.say("INFO", 7, "info")
    talking.say(method, 6, "lower")
    assert talking.statuses(method) == [500]


def test_a_cseq_of_another_method_gets_400(talking: Switch) -> None:
    talking.say("BYE INFO", 2, "bye")
    assert talking.statuses("INFO") == [400]


def test_the_ack_of_a_2xx_with_the_branch_of_the_invite_is_none() -> None:
    switch = Switch(answers(0))
    switch.invite()
    switch.say("ACK", 1, "first")
    switch.wire.run_for(GIVEN_UP_MS)
    assert switch.requests("BYE") > 0


@pytest.mark.parametrize(("branch", "is_taken"), [("first", True), ("own", False)])
def test_the_ack_of_a_refusal_needs_the_branch_of_the_invite(branch: str, is_taken: bool) -> None:
    switch = Switch(refuses(486))
    switch.invite()
    switch.say("ACK", 1, branch)
    before = len(switch.statuses("INVITE"))
    switch.wire.run_for(GIVEN_UP_MS)
    assert (len(switch.statuses("INVITE")) == before) is is_taken


def test_a_cancel_with_a_branch_of_its_own_gets_481_and_cancels_nothing() -> None:
    switch = Switch(Script((Line(0, 180),)))
    switch.invite()
    switch.remote = switch.remote.partition(";")[0]
    switch.say("CANCEL", 1, "own")
    assert switch.statuses("CANCEL") == [481]
    assert switch.statuses("INVITE") == [180]
    switch.say("CANCEL", 1, "first")
    assert switch.statuses("CANCEL") == [481, 200]
    assert 487 in switch.statuses("INVITE")


@pytest.mark.parametrize(("change", "status"), [(0, 200), (1, 481)])
def test_a_prack_has_to_name_the_reliable_response(change: int, status: int) -> None:
    switch = Switch(answers_reliably())
    switch.say("INVITE", 1, "first", "Supported: 100rel", body=OFFER)
    response = next(message for message in switch.came if message.status == 183)
    switch.remote = response["To"]
    switch.say("PRACK", 2, "prack", f"RAck: {int(response['RSeq']) + change} 1 INVITE")
    assert switch.statuses("PRACK") == [status]


@pytest.mark.parametrize(
    ("origin", "status"), [("- 1 1", 200), ("- 1 2", 200), ("- 1 0", 488), ("- 2 2", 488), ("other 1 2", 488)]
)
def test_an_offer_needs_the_origin_of_the_session_and_a_later_version(
    talking: Switch, origin: str, status: int
) -> None:
    hold = "" if origin == "- 1 1" else "a=sendonly\r\n"
    talking.say("UPDATE", 2, "update", body=OFFER.replace("o=- 1 1", f"o={origin}") + hold)
    assert talking.statuses("UPDATE") == [status]


def test_a_change_without_a_new_version_does_not_follow() -> None:
    assert follows(OFFER, OFFER)
    assert not follows(OFFER, f"{OFFER}a=sendonly\r\n")
    assert not follows(OFFER, "v=0\r\no=- 1 2 IN IP4 192.0.2.10\r\n")
    assert follows(OFFER, "v=0\r\n"), "no description: it was cut off"
