"""Whole calls of parties behind NAT: their private addresses are not forwarded, and all messages reach them."""

import pytest
from doubles.conformance import faults_of
from doubles.data.builders import catalogue, mapping_gateway, phone
from doubles.data.registering import register_request
from doubles.races import UPDATING
from doubles.sockets.login import Login, answer_to
from doubles.sockets.loopback import Endpoint as Address
from doubles.sockets.peer import ANSWER, OFFER, Message, compose
from doubles.virtual.customer import KNOWS_UPDATE, Caller, Intent
from doubles.virtual.exchange import SWITCH
from doubles.virtual.relay import VirtualRelay
from doubles.virtual.scene import CALLEE, CUSTOMER, VENDORS, Scene, vendor_gateway
from doubles.virtual.ua import UserAgent
from doubles.virtual.vendor import RINGS, Line, Script, Vendor, answers
from doubles.virtual.wire import Packet

from vosd.base.nat import Nat
from vosd.engine.registration.bindings import RegistrantKind
from vosd.sip.flows import Listener
from vosd.sip.settings import RegistrarSettings, SipSettings
from vosd.sip.wire.outgoing import Peer
from vosd.trunks.dialect import CalleeDialect, CallerDialect
from vosd.trunks.media import MediaEngine, MediaMode, MediaParameters

HOME = Address("192.168.1.100", 5060)
OUTSIDE = Address(CUSTOMER.host, 40_000)
REMAPPED = Address(CUSTOMER.host, 41_111)
MOVED = Address("198.51.100.99", 40_000)
OFFER_AT_HOME = OFFER.replace("192.0.2.10", HOME.host)
OFFER_OUTSIDE = OFFER.replace("192.0.2.10", CUSTOMER.host)
VENDOR_INSIDE = Address("10.9.9.9", 5060)
ANSWER_INSIDE = ANSWER.replace("192.0.2.20", VENDOR_INSIDE.host)
ANSWER_OUTSIDE = ANSWER.replace("192.0.2.20", VENDORS[0].host)
FROM_HOME = Intent(offer=OFFER_AT_HOME)


def at_home(nat: Nat = Nat.AUTO) -> Scene:
    """Set the stage with a customer behind NAT, whose trunk is configured so."""
    customer = mapping_gateway("acme", f"{CUSTOMER.host}/32", dialect=CallerDialect(nat=nat))
    scene = Scene(catalogue([customer, *(vendor_gateway(index) for index in range(2))]))
    scene.caller = Caller(scene.wire, HOME, SWITCH)
    scene.wire.hide(HOME, OUTSIDE)
    return scene


def written_down(scene: Scene) -> list[tuple[str, int]]:
    """Return where the journal says that the sides of the only call are."""
    [kept] = scene.exchange.sink.open.values()
    return [(leg.seen_at.host, leg.seen_at.port) for leg in kept.legs]


@pytest.fixture
def home():
    """Give the stage; a strict peer must have found no fault with what the switch said."""
    scene = at_home()
    yield scene
    assert faults_of(scene.wire.packets, SWITCH) == []
    assert scene.exchange.endpoint.dialogs._by_user == {}, "nothing is kept of calls that are over"


def test_a_call_from_behind_nat_is_set_up_and_ended_by_the_other_side(home):
    call, there = home.talk(FROM_HOME)
    assert there.theirs == OFFER_OUTSIDE, "with the address where the phone is seen"
    there.hang_up()
    home.wire.run_until(lambda: call.is_over)
    (bye,) = call.asked["BYE"]
    assert bye.start_line == f"BYE sip:{HOME} SIP/2.0", "the Contact as it was said"
    assert home.close().hangup_source == "callee"
    assert HOME.host not in home.bytes_to(VENDORS[0]).decode()


def test_without_nat_the_contact_is_followed_and_the_session_goes_through_untouched():
    """The control: this is what becomes of such a phone otherwise."""
    scene = at_home(Nat.NO)
    call, there = scene.talk(FROM_HOME)
    assert there.theirs == OFFER_AT_HOME
    scene.hang_up(there, wait_ms=60_000)
    assert not call.is_over
    assert scene.exchange.residue() == {}


@pytest.mark.parametrize("method", ["INVITE", "UPDATE"])
def test_a_refresh_from_behind_nat_does_not_involve_the_other_side(home, method):
    """What is compared with what was heard is what was heard: with the address replaced in both."""
    call, there = home.talk(FROM_HOME._replace(headers=KNOWS_UPDATE), UPDATING)
    call.ask(method, body=call.mine)
    home.wire.run_for(1_000)
    assert call.got == {method: [200]}
    assert there.asked[method] == []
    home.finish(call)


@pytest.mark.parametrize("method", ["INVITE", "UPDATE"])
def test_hold_of_either_side_is_forwarded(home, method):
    call, there = home.talk(FROM_HOME._replace(headers=KNOWS_UPDATE), UPDATING)
    for side, other in ((call, there), (there, call)):
        for attributes in (("a=sendonly",), ()):
            offer = side.propose(*attributes, method=method)
            home.wire.run_for(1_000)
            assert other.theirs == offer.replace(HOME.host, CUSTOMER.host)
            assert side.theirs == other.mine.replace(HOME.host, CUSTOMER.host)
    home.finish(call)


def test_a_mapping_that_changes_takes_the_call_with_it(home):
    """The phone says something from its new port: from then on it is asked there."""
    call, there = home.talk(FROM_HOME)
    home.wire.hide(HOME, REMAPPED)
    call.ask("INVITE", body=call.mine)
    home.wire.run_for(1_000)
    assert there.asked["INVITE"] == [], "nothing has changed for the other side"
    assert (REMAPPED.host, REMAPPED.port) in written_down(home), "a BYE after a crash finds it there"
    there.hang_up()
    home.wire.run_until(lambda: call.is_over)
    assert [packet.target for packet in home.wire.packets if packet.data.startswith(b"BYE")][-1] == REMAPPED
    home.close()


def test_a_bye_from_a_new_port_is_accepted_and_answered_there(home):
    call, there = home.talk(FROM_HOME)
    home.wire.hide(HOME, REMAPPED)
    call.hang_up()
    home.wire.run_until(lambda: call.is_over and there.is_over)
    assert call.got == {"BYE": [200]}
    home.close()


@pytest.mark.parametrize("mapping", [REMAPPED, MOVED], ids=["another port", "another address"])
def test_a_bye_whose_answer_was_lost_with_its_mapping_is_answered_at_the_next_one(home, mapping):
    """Later there is no trace of the call, and its retransmission gets 481."""
    call, there = home.talk(FROM_HOME)
    call.hang_up()
    home.wire.hide(HOME, mapping)  # the response to the old port arrives nowhere
    home.wire.run_until(lambda: call.is_over)
    assert call.got == {"BYE": [200]}
    home.wire.run_for(40_000)
    assert there.is_over
    home.close()


def test_a_call_whose_invite_comes_again_from_another_port_is_set_up_and_ended_there(home):
    call = home.begun_call(FROM_HOME, script=answers(2_000))
    home.wire.hide(HOME, REMAPPED)  # no response to the first one arrives
    home.wire.run_until(lambda: call.final is not None)
    assert call.final == 200
    home.wire.run_for(1_000)
    assert (REMAPPED.host, REMAPPED.port) in written_down(home), "a BYE after a crash finds it there"
    home.hang_up(home.vendor.only_call, wait_ms=1_000)
    assert call.is_over
    home.close()


@pytest.mark.parametrize(("hosts", "answered_at"), [("", REMAPPED), (f"@{OUTSIDE.port}", OUTSIDE)])
def test_an_invite_that_comes_again_from_another_port_is_answered_there_where_that_is_of_its_trunk(hosts, answered_at):
    """Else one that shares the address with the trunk could have the responses sent to itself."""
    trunk = mapping_gateway("acme", f"{CUSTOMER.host}{hosts}")
    scene = Scene(catalogue([trunk, vendor_gateway(0)]))
    scene.caller = Caller(scene.wire, HOME, SWITCH)
    scene.wire.hide(HOME, OUTSIDE)
    call = scene.begun_call(FROM_HOME, script=RINGS, after_ms=100)
    scene.wire.send(REMAPPED, SWITCH, scene.wire.packets[0].data)
    scene.wire.run_for(100)
    assert scene.wire.packets[-1].target == answered_at
    scene.wire.hide(HOME, answered_at)
    call.cancel()
    scene.wire.run_until(lambda: call.is_over)
    assert call.final == 487


def test_a_new_public_address_is_forwarded_in_the_session_description(home):
    call, there = home.talk(FROM_HOME)
    home.wire.hide(HOME, MOVED)
    call.ask("INVITE", body=call.mine)
    home.wire.run_for(1_000)
    assert f"c=IN IP4 {MOVED.host}" in there.theirs
    assert there.theirs.partition("s=-")[0].endswith(f"o=- 1 2 IN IP4 {CUSTOMER.host}\r\n"), "the next of its origin"
    home.finish(call)


def with_public_contact() -> Scene:
    """Set the stage with a relayed customer whose telephone writes its public address into Contact, not into SDP."""
    hosts = f"{CUSTOMER.host}/32", f"{MOVED.host}/32"
    media = MediaParameters(engine=MediaEngine.RELAY, mode=MediaMode.ON)
    trunk = mapping_gateway("acme", *hosts, dialect=CallerDialect(nat=Nat.AUTO))
    return Scene(catalogue([trunk, vendor_gateway(0)], media=media), relay=VirtualRelay())


@pytest.mark.parametrize("method", ["INVITE", "UPDATE"])
def test_a_private_description_is_believed_from_where_the_latest_offer_came_from(method):
    """Requests go to the Contact all the same, which is not private."""
    scene = with_public_contact()
    call, there = scene.talk(FROM_HOME._replace(headers=KNOWS_UPDATE), UPDATING)
    scene.wire.hide(CUSTOMER, MOVED)
    scene.propose(call, method=method)
    (live,) = scene.exchange.switch.services.running.all()
    leg = live.call.caller.leg
    (source,) = leg.facts.media.sources
    assert (source.host, source.sip_host) == (HOME.host, MOVED.host)
    assert (MOVED.host, MOVED.port) in written_down(scene)
    assert leg.dialog.peer.host == CUSTOMER.host
    scene.wire.hide(CUSTOMER, CUSTOMER)
    there.hang_up()
    scene.end_of(call)


@pytest.mark.parametrize("nat", [Nat.YES, Nat.AUTO])
def test_a_public_description_is_believed_from_where_sip_comes_behind_nat_alone(nat):
    """Companies and mobile networks use addresses inside that are public elsewhere."""
    media = MediaParameters(engine=MediaEngine.RELAY, mode=MediaMode.ON)
    customer = mapping_gateway("acme", f"{CUSTOMER.host}/32", dialect=CallerDialect(nat=nat))
    vendor = vendor_gateway(0, dialect=CalleeDialect(nat=nat))
    relay = VirtualRelay()
    scene = Scene(catalogue([customer, vendor], media=media), relay=relay)
    inside = OFFER.replace("192.0.2.10", "25.0.0.4"), ANSWER.replace("192.0.2.20", "25.0.0.5")
    call, _there = scene.talk(Intent(offer=inside[0]), answers(body=inside[1]))
    callee, caller = (port.source.hosts() for port in relay.open_ports.values())
    if nat is Nat.YES:
        assert (caller, callee) == ({"25.0.0.4", CUSTOMER.host}, {"25.0.0.5", VENDORS[0].host})
    else:
        assert (caller, callee) == ({"25.0.0.4"}, {"25.0.0.5"})
    scene.finish(call)


def test_a_telephone_that_comes_behind_nat_in_mid_call_is_asked_where_it_is():
    """The next Contact is private: judged by the address before, requests would go there."""
    scene = with_public_contact()
    call, there = scene.talk(FROM_HOME)
    scene.wire.hide(CUSTOMER, MOVED)
    written = call.request
    call.request = lambda *terms, **more: written(*terms, **more).replace(f"<sip:{CUSTOMER}>", f"<sip:{HOME}>")
    scene.propose(call)
    there.hang_up()
    scene.wire.run_until(lambda: call.is_over)
    assert {packet.target for packet in scene.wire.packets if packet.data.startswith(f"BYE sip:{HOME}".encode())} == {
        MOVED
    }
    scene.close()


def test_a_request_that_offers_nothing_moves_no_side_that_is_reached_at_its_contact():
    scene = with_public_contact()
    call, there = scene.talk(FROM_HOME)
    scene.wire.hide(CUSTOMER, MOVED)
    call.ask("INFO", body="Signal=1", kind="application/dtmf-relay")
    scene.wire.run_for(1_000)
    assert (CUSTOMER.host, CUSTOMER.port) in written_down(scene)
    call.hang_up()
    scene.wire.run_until(lambda: call.is_over and there.is_over)
    scene.close()


def test_a_late_answer_from_behind_nat_has_the_public_address(home, monkeypatch):
    """The offer is the vendor's, the phone answers in its ACK."""
    monkeypatch.setattr("doubles.virtual.customer.ANSWER", ANSWER.replace("192.0.2.20", HOME.host))
    call, there = home.talk(Intent(offer=""))
    assert there.acks[0].body == ANSWER.replace("192.0.2.20", CUSTOMER.host)
    home.finish(call)


def behind(nat: Nat) -> Scene:
    """Set the stage with a vendor behind NAT, or a gateway that says so of itself."""
    vendor = vendor_gateway(0, dialect=CalleeDialect(nat=nat))
    scene = Scene(catalogue([mapping_gateway("acme", f"{CUSTOMER.host}/32"), vendor]))
    scene.vendor = Vendor(scene.wire, VENDOR_INSIDE, SWITCH, answers(body=ANSWER_INSIDE))
    scene.wire.hide(VENDOR_INSIDE, VENDORS[0])
    return scene


@pytest.mark.parametrize("nat", [Nat.AUTO, Nat.YES])
def test_requests_to_a_vendor_behind_nat_go_where_the_invite_went(nat):
    scene = behind(nat)
    call, there = scene.talk()
    assert call.theirs == ANSWER_OUTSIDE
    assert len(there.acks) == 1
    scene.propose(call, "a=sendonly")
    assert call.got == {"INVITE": [200]}
    scene.propose(there, "a=sendonly")
    assert call.theirs == there.mine.replace(VENDOR_INSIDE.host, VENDORS[0].host)
    scene.finish(call)
    assert there.is_over
    assert faults_of(scene.wire.packets, SWITCH) == []


def test_early_media_of_a_vendor_behind_nat_can_be_reached_before_it_answers():
    scene = behind(Nat.AUTO)
    scene.vendor.script = Script((Line(0, 100), Line(0, 183, ANSWER_INSIDE), Line(1_000, 200, ANSWER_INSIDE)))
    call, _ = scene.talk()
    bodies = [response.body for response in call.responses if response.body]
    assert bodies
    assert all(body == ANSWER_OUTSIDE for body in bodies)
    scene.finish(call)


@pytest.mark.parametrize(("nat", "port"), [(Nat.AUTO, OUTSIDE.port), (Nat.YES, OUTSIDE.port), (Nat.NO, HOME.port)])
def test_a_refusal_goes_to_the_seen_address_without_rport(nat, port):
    """RFC 3581 is 20 years old, but not every phone asks for ``rport``."""
    scene = at_home(nat)
    scene.caller.send(
        f"INVITE sip:999@{SWITCH} SIP/2.0\r\nVia: SIP/2.0/UDP {HOME};branch=z9hG4bK-unasked\r\n"
        f"From: <sip:1@{HOME}>;tag=1\r\nTo: <sip:999@{SWITCH}>\r\nCall-ID: unasked\r\nCSeq: 1 INVITE\r\n"
        f"Contact: <sip:{HOME}>\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n"
    )
    scene.wire.run_for(10)
    (refusal,) = [packet for packet in scene.wire.packets if packet.data.startswith(b"SIP/2.0 403")]
    assert refusal.target == Address(CUSTOMER.host, port)


@pytest.mark.parametrize("says", [HOME, Address("198.51.100.7", 5060)], ids=["private", "public"])
@pytest.mark.parametrize("nat", [Nat.AUTO, Nat.YES, Nat.NO])
def test_what_no_call_decides_about_is_answered_as_the_trunk_says(nat, says):
    """OPTIONS, a refusal before the trunk is known, and a CANCEL that cancels nothing: none asks for ``rport``."""
    scene = at_home(nat)
    is_seen = nat is Nat.YES or (nat is Nat.AUTO and says is HOME)
    for method, more in (
        ("OPTIONS", f"Contact: <sip:{says}>\r\n"),
        ("INVITE", f"Contact: <sip:{says}>\r\nRequire: precondition\r\n"),
        ("CANCEL", ""),
    ):
        scene.caller.send(
            f"{method} sip:999@{SWITCH} SIP/2.0\r\nVia: SIP/2.0/UDP {says};branch=z9hG4bK-{method}\r\n"
            f"From: <sip:1@{says}>;tag=1\r\nTo: <sip:999@{SWITCH}>\r\nCall-ID: {method}\r\nCSeq: 1 {method}\r\n"
            f"{more}Max-Forwards: 70\r\nContent-Length: 0\r\n\r\n"
        )
        scene.wire.run_for(10)
    answers = [packet for packet in scene.wire.packets if packet.data.startswith(b"SIP/2.0 ")]
    assert [answer.data[8:11] for answer in answers] == [b"200", b"420", b"481"]
    port = OUTSIDE.port if is_seen else says.port
    assert {answer.target for answer in answers} == {Address(CUSTOMER.host, port)}


SAYS_OUTSIDE = OUTSIDE._replace(port=HOME.port)
INVITATION = {"body": OFFER, "kind": "application/sdp"}


class Unasking(UserAgent):
    """A phone at home whose requests have no ``rport``, and which takes responses wherever they are sent.

    With ``is_served`` it sends them by a proxy, which writes ``says`` into its Via.
    """

    def __init__(self, nat: Nat, says: Address = HOME, *, is_served: bool = False) -> None:
        known = phone("7001", dialect=CallerDialect(nat=nat), messages_per_minute=60)
        self.scene = Scene(catalogue([vendor_gateway(0)], phones=[known, phone("7002", messages_per_minute=60)]))
        super().__init__(self.scene.wire, HOME, SWITCH)
        self.says = says
        self.below = f", SIP/2.0/UDP {HOME};branch=z9hG4bK-served" if is_served else ""
        self.wire.hide(HOME, OUTSIDE)

    def ask(self, method: str, user: str, number: int, *headers: str, body: str = "", kind: str = "") -> Message:
        """Send a request; return the last response."""
        head = (
            f"{method} sip:{user}@{SWITCH} SIP/2.0",
            f"Via: SIP/2.0/UDP {self.says};branch=z9hG4bK-unasking-{number}{self.below}",
            f"From: <sip:7001@{SWITCH.host}>;tag=1",
            f"To: <sip:{user}@{SWITCH.host}>",
            "Call-ID: unasking",
            f"CSeq: {number} {method}",
            "Max-Forwards: 70",
        )
        self.send(compose([*head, *headers], body, kind))
        self.wire.run_for(100)
        return Message(self.packets[-1].data, OUTSIDE)

    def prove(self, method: str, user: str, *headers: str, body: str = "", kind: str = "") -> Message:
        """Send a request that is challenged, and again with the password."""
        challenge = self.ask(method, user, 1, *headers, body=body, kind=kind)
        proof = answer_to(challenge, Login("7001", "secret"), method, f"sip:{user}@{SWITCH}")
        assert proof is not None
        return self.ask(method, user, 2, *headers, proof, body=body, kind=kind)

    def repeat(self, source: Address) -> list[tuple[int, Address]]:
        """Send the last request once more, from ``source``; return the responses of the next three seconds."""
        asked = [each for each in self.wire.packets if each.target == SWITCH and not each.data.startswith(b"SIP/2.0 ")]
        before = len(self.answers)
        self.wire.send(source, SWITCH, asked[-1].data)
        self.wire.run_for(3_000)
        return self.answers[before:]

    @property
    def packets(self) -> list[Packet]:
        return [each for each in self.wire.packets if each.source == SWITCH and each.data.startswith(b"SIP/2.0 ")]

    @property
    def answers(self) -> list[tuple[int, Address]]:
        """Status of each response, and where it was sent."""
        return [(int(each.data[8:11]), each.target) for each in self.packets]


@pytest.mark.parametrize(("nat", "proven_at"), [(Nat.AUTO, OUTSIDE), (Nat.YES, OUTSIDE), (Nat.NO, SAYS_OUTSIDE)])
@pytest.mark.parametrize(
    ("method", "user", "status"), [("MESSAGE", "7002", 480), ("REGISTER", "7001", 200)], ids=["a text", "a query"]
)
def test_requests_of_phones_without_contact_are_answered_at_the_seen_address_without_rport(
    method, user, status, nat, proven_at
):
    """The phone is not known yet when its request is challenged."""
    desk = Unasking(nat)
    text = {"body": "Hello", "kind": "text/plain"} if method == "MESSAGE" else {}
    desk.prove(method, user, **text)
    assert desk.answers == [(401, OUTSIDE), (status, proven_at)]


@pytest.mark.parametrize("headers", [("Contact: *", "Expires: 0"), ("Contact: <tel:+4420>",)], ids=["all", "a number"])
def test_a_register_whose_contact_names_no_host_is_answered_where_its_via_says_that_the_phone_is(headers):
    desk = Unasking(Nat.AUTO)
    desk.prove("REGISTER", "7001", *headers)
    assert {target for _, target in desk.answers} == {OUTSIDE}


@pytest.mark.parametrize("host", [CUSTOMER.host, f"[::ffff:{CUSTOMER.host}]"])
def test_a_phone_whose_router_writes_the_public_address_but_not_the_port_into_via_is_answered_where_it_is_seen(host):
    """The private Contact is its own: there is no Via of another below, so no proxy has passed it on."""
    desk = Unasking(Nat.AUTO, Address(host, 5060))
    desk.prove("REGISTER", "7001", f"Contact: <sip:7001@{HOME}>")
    assert desk.answers == [(401, OUTSIDE), (200, OUTSIDE)]


@pytest.mark.parametrize(("nat", "proven_at"), [(Nat.AUTO, SAYS_OUTSIDE), (Nat.YES, OUTSIDE), (Nat.NO, SAYS_OUTSIDE)])
def test_a_proxy_gets_all_answers_to_the_invite_of_a_phone_at_home_at_the_port_in_its_via(nat, proven_at):
    """RFC 3261 section 18.2.2. It adds no Record-Route, so the requests of the call go to the phone."""
    desk = Unasking(nat, SAYS_OUTSIDE, is_served=True)
    desk.scene.vendor.script = Script((Line(0, 180),))
    desk.prove("INVITE", CALLEE, f"Contact: <sip:7001@{HOME}>", **INVITATION)
    desk.ask("CANCEL", CALLEE, 2)
    assert desk.answers[:3] == [(401, SAYS_OUTSIDE), (100, proven_at), (180, proven_at)]
    assert desk.answers[3:] == [(200, proven_at), (487, proven_at)]


@pytest.mark.parametrize(("callee", "more", "status"), [("0", "X: y", 403), (CALLEE, "Session-Expires: 30", 422)])
def test_a_proxy_gets_the_refusal_of_the_invite_of_a_phone_at_home_at_the_port_in_its_via(callee, more, status):
    desk = Unasking(Nat.AUTO, SAYS_OUTSIDE, is_served=True)
    desk.prove("INVITE", callee, f"Contact: <sip:7001@{HOME}>", "Supported: timer", more, **INVITATION)
    assert desk.answers == [(401, SAYS_OUTSIDE), (status, SAYS_OUTSIDE)]


def test_the_cancel_of_a_phone_is_answered_where_its_invite_is():
    """The phone is set to be behind NAT, and a CANCEL has no credentials."""
    desk = Unasking(Nat.YES, Address("198.51.100.7", 5060))
    desk.scene.vendor.script = Script((Line(0, 180),))
    desk.prove("INVITE", CALLEE, f"Contact: <sip:7001@{desk.says}>", **INVITATION)
    before = len(desk.answers)
    desk.ask("CANCEL", CALLEE, 2)
    assert desk.answers[before:] == [(200, OUTSIDE), (487, OUTSIDE)]


CONTACT_AT_HOME = f"Contact: <sip:7001@{HOME}>"
RINGS_AND_ANSWERS = Script((Line(0, 180), Line(2_000, 200, ANSWER)))


@pytest.mark.parametrize("nat", Nat)
@pytest.mark.parametrize(
    ("method", "user", "headers", "content"),
    [
        ("REGISTER", "7001", [CONTACT_AT_HOME], {}),
        ("MESSAGE", "7002", [], {"body": "Hello", "kind": "text/plain"}),
        ("INVITE", CALLEE, [CONTACT_AT_HOME], INVITATION),
    ],
    ids=["REGISTER", "MESSAGE", "INVITE"],
)
def test_a_repetition_from_the_same_place_is_answered_where_the_request_was(nat, method, user, headers, content):
    desk = Unasking(nat)
    desk.scene.vendor.script = RINGS_AND_ANSWERS
    desk.prove(method, user, *headers, **content)
    _, answered_at = desk.answers[-1]
    assert answered_at == (SAYS_OUTSIDE if nat is Nat.NO else OUTSIDE)
    assert {target for _, target in desk.repeat(OUTSIDE)} == {answered_at}


@pytest.mark.parametrize(("other", "own", "port"), [(Nat.YES, Nat.NO, HOME.port), (Nat.NO, Nat.YES, OUTSIDE.port)])
def test_of_two_trunks_at_one_host_that_of_the_call_says_where_a_repetition_is_answered(other, own, port):
    trunks = [
        mapping_gateway("other", CUSTOMER.host, tech_prefix="11", dialect=CallerDialect(nat=other)),
        mapping_gateway("acme", CUSTOMER.host, dialect=CallerDialect(nat=own)),
    ]
    scene = Scene(catalogue([*trunks, vendor_gateway(0)]))
    scene.vendor.script = RINGS_AND_ANSWERS
    invite = compose(
        [
            f"INVITE sip:{CALLEE}@{SWITCH} SIP/2.0",
            f"Via: SIP/2.0/UDP {HOME};branch=z9hG4bK-7",
            "From: <sip:12025550100@x>;tag=a",
            f"To: <sip:{CALLEE}@x>",
            "Call-ID: of two",
            "CSeq: 1 INVITE",
            f"Contact: <sip:{HOME}>",
            "Max-Forwards: 70",
        ],
        OFFER,
    )
    for _ in range(2):
        scene.wire.send(OUTSIDE, SWITCH, invite.encode())
        scene.wire.run_for(100)
    scene.wire.run_for(2_000)
    to_caller = [each for each in scene.wire.packets if each.source == SWITCH and each.target.host == CUSTOMER.host]
    assert [each.data[8:11] for each in to_caller[:4]] == [b"100", b"180", b"180", b"200"]
    assert {each.target.port for each in to_caller} == {port}


@pytest.mark.parametrize("nat", [Nat.YES, Nat.NO])
def test_an_invite_and_a_bye_without_rport_are_answered_at_the_next_mapping_also_where_the_first_kept_the_port(nat):
    """The first answers went to the port in the Via either way. Without NAT they stay there (RFC 3261 18.2.2)."""
    answered_at = REMAPPED if nat is Nat.YES else SAYS_OUTSIDE
    desk = Unasking(nat, SAYS_OUTSIDE)
    desk.wire.hide(HOME, SAYS_OUTSIDE)
    desk.scene.vendor.script = RINGS_AND_ANSWERS
    desk.prove("INVITE", CALLEE, f"Contact: <sip:7001@{SAYS_OUTSIDE}>", **INVITATION)
    answers = desk.repeat(REMAPPED)
    assert [status for status, _ in answers[:2]] == [180, 200]
    assert {target for _, target in answers} == {answered_at}
    to = Message(desk.packets[-1].data, OUTSIDE)["To"]
    for method, number in (("ACK", 2), ("BYE", 3)):
        desk.wire.run_for(100)
        desk.send(
            compose(
                [
                    f"{method} sip:{CALLEE}@{SWITCH} SIP/2.0",
                    f"Via: SIP/2.0/UDP {SAYS_OUTSIDE};branch=z9hG4bK-within-{method}",
                    f"From: <sip:7001@{SWITCH.host}>;tag=1",
                    f"To: {to}",
                    "Call-ID: unasking",
                    f"CSeq: {number} {method}",
                    "Max-Forwards: 70",
                ]
            )
        )
    desk.wire.run_for(100)
    assert desk.answers[-1] == (200, SAYS_OUTSIDE)
    assert desk.repeat(REMAPPED) == [(200, answered_at)]


def test_a_caller_whose_port_has_changed_before_it_got_the_2xx_gets_it_at_the_next_one_and_is_released_there():
    """It went to the port from before for 32 seconds, and the call ended as No ACK, with its charge."""
    desk = Unasking(Nat.AUTO)
    desk.wire.hide(HOME, OUTSIDE)
    desk.scene.vendor.script = Script((Line(0, 180), Line(100, 200, ANSWER)))
    desk.prove("INVITE", CALLEE, CONTACT_AT_HOME, **INVITATION)
    desk.wire.run_for(3_000)
    assert desk.answers[-1] == (200, OUTSIDE)
    desk.wire.hide(HOME, REMAPPED)
    assert desk.repeat(REMAPPED)[0] == (200, REMAPPED)
    to = Message(desk.packets[-1].data, OUTSIDE)["To"]
    desk.send(
        compose(
            [
                f"ACK sip:{CALLEE}@{SWITCH} SIP/2.0",
                f"Via: SIP/2.0/UDP {HOME};rport;branch=z9hG4bK-within",
                f"From: <sip:7001@{SWITCH.host}>;tag=1",
                f"To: {to}",
                "Call-ID: unasking",
                "CSeq: 2 ACK",
                "Max-Forwards: 70",
            ]
        )
    )
    desk.wire.run_for(60_000)
    assert not any(each.data.startswith(b"BYE ") for each in desk.wire.packets), "the call goes on"


# -- phones -----------------------------------------------------------------------------------------------------------

NUMBER = "442079461001"
OPEN = Address("203.0.113.200", 5060)


def register(
    scene: Scene,
    contact: Address,
    source: Address,
    cseq: int = 1,
    *,
    number: str = NUMBER,
    path: str = "",
    device: str = "",
    call_id: str = "reg@phone",
) -> None:
    headers, now = [f"Path: {path}"] if path else [], scene.exchange.clock.now()
    wanted = register_request(f"<sip:{number}@{contact}{device or '>'}", cseq=cseq, headers=headers, call_id=call_id)
    scene.exchange.registrations.register(number, RegistrantKind.PHONE, wanted, Peer(0, *source), now)
    scene.exchange.flush()


def phone_at_home(contact: Address = HOME, *, device: str = "", max_contacts: int = 10) -> tuple[Scene, Vendor]:
    """Set the stage with a phone that is registered with this contact, and not there."""
    gateways = [mapping_gateway("acme", f"{CUSTOMER.host}/32"), vendor_gateway(0)]
    settings = SipSettings(registrar=RegistrarSettings(max_contacts=max_contacts))
    scene = Scene(catalogue(gateways, phones=[phone(NUMBER), phone("1002")]), sip=settings)
    at_home = Vendor(scene.wire, contact, SWITCH, answers(body=ANSWER.replace("192.0.2.20", HOME.host)))
    scene.wire.hide(contact, MOVED)
    register(scene, contact, MOVED, device=device)
    return scene, at_home


@pytest.mark.parametrize("contact", [HOME, OPEN], ids=["private", "public, and not where it is seen"])
def test_a_registered_phone_is_called_and_asked_where_it_is_seen(contact):
    """The Request-URI is the Contact as it was registered (RFC 3261 section 16.6)."""
    scene, at_home = phone_at_home(contact)
    call = scene.answered_call(callee=NUMBER)
    there = at_home.only_call
    assert there.invite.start_line == f"INVITE sip:{NUMBER}@{contact} SIP/2.0"
    assert call.theirs == ANSWER.replace("192.0.2.20", MOVED.host)
    assert scene.finish(call).routing_gateway == NUMBER
    assert there.is_over
    assert len(there.acks) == 1
    assert faults_of(scene.wire.packets, SWITCH) == []


def test_a_phone_that_registers_from_another_port_takes_its_call_along():
    """It says nothing within the call; the BYE from afar finds it all the same."""
    scene, at_home = phone_at_home()
    call = scene.answered_call(callee=NUMBER)
    scene.wire.hide(HOME, REMAPPED)
    register(scene, HOME, REMAPPED, cseq=2)
    assert (REMAPPED.host, REMAPPED.port) in written_down(scene)
    assert scene.finish(call).end_reason == "Normal"
    assert at_home.only_call.is_over


def test_a_phone_that_registers_from_another_port_takes_along_what_it_has_called_itself():
    scene = Scene(catalogue([vendor_gateway(0)], phones=[phone(NUMBER)]))
    desk = scene.exchange.telephone(NUMBER, HOME)
    scene.wire.hide(HOME, MOVED)
    desk.register()
    call = desk.call(CALLEE)
    scene.wire.run_until(lambda: call.final == 200)
    there = scene.exchange.endpoint.dialogs.owners.get(call.remote.partition(";tag=")[2])
    assert there.dialog.seen_at == Peer(0, *MOVED)
    scene.wire.hide(HOME, REMAPPED)
    desk.register()
    assert there.dialog.peer == Peer(0, *REMAPPED)
    assert scene.finish(call).end_reason == "Normal"


def calls_out(intent: Intent, nat: Nat = Nat.AUTO, registered: object = OPEN, transport: str = "udp"):
    """Let a phone call whose Contact is public and not where it is seen; return the stage, its side and its dialog."""
    trunk = phone(NUMBER, dialect=CallerDialect(nat=nat))
    scene = Scene(catalogue([vendor_gateway(0)], phones=[trunk]), listeners=(Listener(*SWITCH, transport),))
    desk = scene.exchange.telephone(NUMBER, OPEN, contact=f"sip:{NUMBER}@{registered}")
    scene.wire.hide(OPEN, MOVED)
    desk.register()
    call = desk.call(CALLEE, intent)
    scene.wire.run_until(lambda: call.final == 200)
    return scene, call, scene.exchange.endpoint.dialogs.owners[call.remote.partition(";tag=")[2]].dialog


def test_a_registered_phone_that_calls_is_asked_where_it_is_seen():
    """It has learnt its public address by STUN, behind a router with another port for each host."""
    scene, call, _dialog = calls_out(Intent(headers=("Supported: timer", "Session-Expires: 600;refresher=uas")))
    there = scene.vendor.only_call
    there.ask("INFO", body="Signal=1", kind="application/dtmf-relay")
    scene.propose(there, "a=sendonly")
    scene.wire.run_for(310_000)
    assert there.got == {"INFO": [200], "INVITE": [200]}
    assert len(call.asked["INVITE"]) == 2, "the hold, and the refresh of ours"
    there.hang_up()
    scene.wire.run_until(lambda: call.is_over)
    assert [bye.start_line for bye in call.asked["BYE"]] == [f"BYE sip:{OPEN} SIP/2.0"]
    assert scene.close().end_reason == "Normal"


@pytest.mark.parametrize("registered", [f"{OPEN};transport=udp", OPEN.host], ids=["transport", "default port"])
def test_a_phone_that_writes_its_contact_in_another_way_than_it_registered_is_asked_where_it_is_seen(registered):
    scene, call, dialog = calls_out(Intent(), registered=registered)
    assert dialog.peer == Peer(0, *MOVED)
    scene.wire.hide(OPEN, REMAPPED)
    call.agent.register()
    assert dialog.peer == Peer(0, *REMAPPED)
    scene.vendor.only_call.hang_up()
    scene.wire.run_until(lambda: call.is_over)
    assert scene.close().end_reason == "Normal"


def test_a_phone_that_sends_from_another_port_than_it_listens_at_is_asked_at_its_contact():
    """It asks for no answers where it sends from (RFC 3581): its Via has the port at which it listens."""
    scene, sending = Scene(catalogue([vendor_gateway(0)], phones=[phone(NUMBER)])), OPEN._replace(port=45_060)
    desk = scene.exchange.telephone(NUMBER, OPEN)
    desk.via = f"SIP/2.0/UDP {OPEN}"
    scene.wire.hide(OPEN, sending)
    scene.wire.attach(OPEN, desk._receive)
    scene.wire.attach(sending, lambda _packet: None)
    desk.register()
    call = desk.call(CALLEE)
    scene.wire.run_until(lambda: call.final == 200)
    there = scene.vendor.only_call
    there.ask("INFO", body="Signal=1", kind="application/dtmf-relay")
    scene.wire.run_for(1_000)
    there.hang_up()
    scene.wire.run_for(1_000)
    assert there.got == {"INFO": [200], "BYE": [200]}
    assert len(call.asked["BYE"]) == 1
    assert scene.close().end_reason == "Normal"


@pytest.mark.parametrize(
    ("headers", "otherwise"),
    [
        (["Record-Route: <sip:192.0.2.77;lr>"], {}),
        (["Via: SIP/2.0/UDP 192.0.2.77;branch=z9hG4bKbelow"], {}),
        ([], {"registered": MOVED}),
        ([], {"nat": Nat.NO}),
        ([], {"transport": "tcp"}),
    ],
    ids=["a proxy stays", "a proxy was passed", "another contact", "as configured", "a connection"],
)
def test_a_public_contact_is_followed_else(headers, otherwise):
    _scene, _call, dialog = calls_out(Intent(headers=tuple(headers)), **otherwise)
    assert not dialog.is_behind_nat


def test_a_phone_whose_later_contact_shows_its_nat_takes_its_call_along_as_well():
    """The Contact of its INVITE was public, by STUN; that of its hold is private."""
    scene = Scene(catalogue([vendor_gateway(0)], phones=[phone(NUMBER)]))
    desk = scene.exchange.telephone(NUMBER, MOVED, contact=f"sip:{NUMBER}@{HOME}")
    desk.register()
    call = desk.call(CALLEE)
    scene.wire.run_until(lambda: call.final == 200)
    there = scene.exchange.endpoint.dialogs.owners[call.remote.partition(";tag=")[2]]
    assert not there.dialog.is_behind_nat
    written = call.request
    call.request = lambda *terms, **more: written(*terms, **more).replace(f"<sip:{MOVED}>", f"<sip:{NUMBER}@{HOME}>")
    scene.propose(call, "a=sendonly")
    assert there.dialog.is_behind_nat
    scene.wire.hide(MOVED, REMAPPED)
    desk.register()
    assert there.dialog.peer == Peer(0, *REMAPPED)
    assert scene.finish(call).end_reason == "Normal"
    assert scene.exchange.endpoint.dialogs._by_user == {}


@pytest.mark.parametrize(
    ("thief", "path"), [("1002", ""), (NUMBER, "<sip:proxy.example;lr>")], ids=["another user", "another way to it"]
)
def test_a_common_private_contact_steals_no_calls(thief, path):
    """Two homes behind one proxy: the same private Contact, seen at the same place; one of them says it has moved."""
    scene, at_home = phone_at_home()
    register(scene, HOME, MOVED, number=thief, cseq=2, path=path)
    call = scene.answered_call(callee=NUMBER)
    register(scene, HOME, REMAPPED, number=thief, cseq=3, path=path)
    there = scene.exchange.switch.calls()[0].call.callee.leg.dialog
    assert there.peer == there.seen_at == Peer(0, *MOVED)
    scene.finish(call)
    assert at_home.only_call.is_over


@pytest.mark.parametrize(
    ("max_contacts", "device", "other"),
    [(1, ";line=a>", ";line=b>"), (10, '>;+sip.instance="<urn:uuid:1>"', '>;+sip.instance="<urn:uuid:2>"')],
    ids=["the last device wins", "both name themselves"],
)
def test_another_device_of_the_user_with_the_same_private_address_takes_no_call(max_contacts, device, other):
    scene, at_home = phone_at_home(device=device, max_contacts=max_contacts)
    call = scene.answered_call(callee=NUMBER)
    register(scene, HOME, REMAPPED, device=other, call_id="another home")
    there = scene.exchange.switch.calls()[0].call.callee.leg.dialog
    assert there.peer == there.seen_at == Peer(0, *MOVED)
    assert scene.exchange.registrations.is_at(NUMBER, *REMAPPED)
    scene.finish(call)
    assert at_home.only_call.is_over


def test_a_call_of_another_phone_stays_where_it_is():
    """NAT has given the old port to a neighbour, who calls from there; the first phone registers anew."""
    scene, _ = phone_at_home()
    scene.wire.hide(HOME, REMAPPED)
    neighbour = Caller(scene.wire, Address("192.168.1.101", 5060), SWITCH)
    scene.wire.hide(neighbour.address, CUSTOMER)
    register(scene, HOME, CUSTOMER, cseq=2)
    call = neighbour.call(CALLEE, Intent(login=Login("1002", "secret")))
    scene.wire.run_until(lambda: call.final == 200)
    there = scene.exchange.endpoint.dialogs.owners.get(call.remote.partition(";tag=")[2])
    register(scene, HOME, REMAPPED, cseq=3)
    assert there.dialog.seen_at == Peer(0, *CUSTOMER)
    scene.hang_up(call)
    assert scene.exchange.residue() == {}


def test_two_phones_behind_one_nat_get_their_private_addresses():
    """Their router would hardly send back inside what is meant for its outer address."""
    scene, at_home = phone_at_home()
    neighbour = Caller(scene.wire, Address("192.168.1.101", 5060), SWITCH)
    scene.wire.hide(neighbour.address, MOVED._replace(port=40_001))
    gateways = [mapping_gateway("acme", f"{MOVED.host}/32"), vendor_gateway(0)]
    scene.exchange.swap_catalogue(catalogue(gateways, phones=[phone(NUMBER)]))
    offer = OFFER.replace("192.0.2.10", neighbour.address.host)
    call = neighbour.call(NUMBER, Intent(offer=offer))
    scene.wire.run_until(lambda: call.final == 200)
    there = at_home.only_call
    assert there.theirs == offer
    assert call.theirs == ANSWER.replace("192.0.2.20", HOME.host)
    call.propose("a=sendonly")
    scene.propose(there, wait_ms=5_000)
    assert call.agrees_with(there)
    call.hang_up()
    scene.wire.run_until(lambda: call.is_over and there.is_over)
    assert scene.exchange.residue() == {}


# -- names in Contact -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("nat", Nat)
@pytest.mark.parametrize("inside", ["127.0.0.1", "10.0.0.7", "0.0.0.0", "255.255.255.255", "239.1.2.3"])
def test_a_name_in_contact_leads_a_peer_from_outside_neither_to_this_machine_nor_into_our_network(inside, nat):
    """The peer writes what its name resolves to; with ``nat: no`` its Contact is followed into a network alone."""
    content = catalogue(
        [mapping_gateway("acme", f"{CUSTOMER.host}/32", dialect=CallerDialect(nat=nat)), vendor_gateway(0)]
    )
    scene = Scene(content, locate=lambda hop, _: hop._replace(host=inside) if hop.host == "pbx.example" else hop)
    send = scene.caller.send
    scene.caller.send = lambda text: send(text.replace(f"<sip:{CUSTOMER}>", "<sip:1001@pbx.example:22222>"))
    scene.answered_call(script=Script((Line(0, 200, ANSWER),)))
    scene.hang_up(scene.vendor.only_call, wait_ms=100)
    [bye] = [packet for packet in scene.wire.packets if packet.data.startswith(b"BYE") and packet.source == SWITCH]
    assert bye.target == (Address(inside, 22_222) if nat is Nat.NO and inside == "10.0.0.7" else CUSTOMER)
