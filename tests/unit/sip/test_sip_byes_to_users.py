"""A BYE to a registered user over a connection that is lost: it waits until the user has registered again."""

import msgspec
import pytest
from doubles.virtual.probe import LISTENER, Probe, reply

from vosd.base.credentials import Login
from vosd.base.nat import Nat
from vosd.base.secret import Secret
from vosd.sip.device import Device
from vosd.sip.dialog.dialog import Dialog
from vosd.sip.dialog.table import from_none
from vosd.sip.digest.answer import Answers
from vosd.sip.endpoint_snapshot import EndpointSnapshot
from vosd.sip.events import NoResponse
from vosd.sip.flows import Listener
from vosd.sip.transaction.bye_to_user import MOST_OF_A_USER, WAIT_MS
from vosd.sip.transaction.store import RegisteredPlace
from vosd.sip.wire.outgoing import Peer

LISTENERS = (LISTENER, Listener("192.0.2.1", 5060, "tcp"), Listener("192.0.2.1", 5061, "tls"))
TCP, TLS = 1, 2
USER, CONTACT = "1001", "sip:1001@192.168.1.20:5060;transport=tcp"
ELSEWHERE = Peer(TCP, "198.51.100.77", 42_000)
SEEN, AGAIN = Peer(TCP, "203.0.113.9", 40_000), Peer(TCP, "203.0.113.9", 41_000)


class Unclaimed:
    """Receives the failures of requests without an owner."""

    def response_came(self, _event):
        """Do nothing."""

    def no_response(self, _event):
        """Do nothing."""


@pytest.fixture
def probe() -> Probe:
    probe = Probe(listeners=LISTENERS)
    probe.endpoint.set_unclaimed_owner(Unclaimed())
    return probe


OURS = Device("", "registrations@home")
"""The device that has the call."""
THEIRS = Device("", "registrations@elsewhere")


def dialog_with(
    probe: Probe,
    *,
    user: str = USER,
    contact: str = CONTACT,
    routes: tuple[str, ...] = (),
    device: Device | None = OURS,
) -> Dialog:
    return Dialog(
        "in@home", "<sip:us>;tag=ours", "<sip:1001@home>;tag=theirs", contact, routes, 1, SEEN, not routes,
        "ours", "theirs", probe.endpoint.flows.next_hop, None, 1, Nat.AUTO, user, device,
    )  # fmt: skip


def hung_up(probe: Probe, device: Device | None = OURS) -> None:
    """Send a BYE to a user whose connection is gone."""
    probe.endpoint.client.send_bye(dialog_with(probe, device=device), "", probe.now)
    assert probe.titles() == ["BYE"]
    assert probe.fail(SEEN) == []


def register(
    probe: Probe,
    at: Peer = AGAIN,
    contact: str = CONTACT,
    elsewhere: tuple[RegisteredPlace, ...] = (),
    device: Device = OURS,
) -> list[Peer]:
    """Let the user register; return where BYEs were sent to."""
    place = RegisteredPlace(at, contact, device)
    probe.endpoint.dialogs.connected_again(USER, place, (place, *elsewhere), probe.now)
    return [each.peer for each in probe.sent()]


def is_empty(probe: Probe) -> bool:
    store = probe.endpoint.store
    return not (store.clients or store.streams or store.byes_to_users or len(store.wheel) - store.finished.timers)


def test_it_is_sent_over_the_next_connection_of_the_device(probe):
    hung_up(probe)
    assert probe.advance(120_000) == []
    assert register(probe) == [AGAIN]
    first, second = [each.data for each in probe.log]
    assert first == second
    probe.receive(reply(probe.log[-1], 200), AGAIN)
    assert is_empty(probe)


def test_it_is_sent_over_a_connection_that_opens_before_the_old_one_is_known_to_be_gone(probe):
    """A connection to an address behind NAT is tried for seconds."""
    probe.endpoint.client.send_bye(dialog_with(probe), "", probe.now)
    probe.sent()
    assert register(probe) == [AGAIN]
    assert probe.fail(SEEN) == []
    assert probe.sent() == []


def test_it_is_sent_again_from_the_same_port(probe):
    hung_up(probe)
    probe.endpoint.dialogs.registered_again(USER, RegisteredPlace(SEEN, CONTACT, OURS), probe.now)
    assert [each.peer for each in probe.sent()] == [SEEN]
    probe.endpoint.dialogs.registered_again(USER, RegisteredPlace(SEEN, CONTACT, OURS), probe.now)
    assert probe.sent() == []


def test_the_port_of_a_connection_in_the_contact_may_change(probe):
    hung_up(probe)
    assert register(probe, contact="<sip:1001@192.168.1.20:41234;transport=tcp>") == [AGAIN]


@pytest.mark.parametrize(
    ("at", "contact"),
    [(AGAIN, "<sip:1001@192.168.1.21:5060>"), (AGAIN._replace(flow=TLS), CONTACT), (AGAIN, "nonsense")],
    ids=["another device", "another transport", "no address"],
)
def test_another_device_does_not_get_it(probe, at, contact):
    hung_up(probe)
    assert register(probe, at, contact) == []


@pytest.mark.parametrize("device", [OURS, THEIRS], ids=["a further flow", "another device"])
def test_a_connection_that_is_open_is_not_left(probe, device):
    probe.endpoint.client.send_bye(dialog_with(probe), "", probe.now)
    probe.sent()
    assert register(probe, elsewhere=(RegisteredPlace(SEEN, CONTACT, OURS),), device=device) == []


def test_it_is_given_up_after_a_bounded_time(probe):
    hung_up(probe)
    assert probe.advance(WAIT_MS - 1) == []
    [event] = probe.advance(1)
    assert isinstance(event, NoResponse)
    assert is_empty(probe)
    assert register(probe) == []


def test_it_is_given_up_where_the_next_connection_does_not_answer(probe):
    hung_up(probe)
    register(probe)
    [event] = probe.advance(32_000)
    assert isinstance(event, NoResponse)
    assert is_empty(probe)


def test_it_waits_again_where_the_next_connection_is_lost_and_no_longer_than_before(probe):
    hung_up(probe)
    probe.advance(WAIT_MS - 10_000)
    register(probe)
    assert probe.fail(AGAIN) == []
    assert len(probe.advance(10_000)) == 1
    assert is_empty(probe)


def test_a_user_has_only_so_many_that_wait(probe):
    for _ in range(MOST_OF_A_USER + 8):
        probe.endpoint.client.send_bye(dialog_with(probe), "", probe.now)
    assert len(probe.fail(SEEN)) == 8
    assert len(register(probe)) == (MOST_OF_A_USER + 8) + MOST_OF_A_USER


@pytest.mark.parametrize(
    "terms", [{"user": ""}, {"routes": ("<sip:proxy@203.0.113.9;transport=tcp;lr>",)}], ids=["trunk", "proxy"]
)
def test_only_that_to_a_registered_user_waits(probe, terms):
    probe.endpoint.client.send_bye(dialog_with(probe, **terms), "", probe.now)
    if "routes" in terms:  # section 12.2.1.1: the first route says where to connect to
        assert probe.fail(probe.sent()[0].peer) == []
    peer = probe.sent()[0].peer
    while not (given_up := probe.fail(peer)):  # a place that can be asked again is asked each T2
        assert probe.advance(4_000) == []
    assert len(given_up) == 1
    assert is_empty(probe)


def test_it_waits_where_the_end_that_its_contact_names_accepts_no_connection(probe):
    """Phones name the port of the connection that they have opened."""
    dialog = dialog_with(probe, contact=f"sip:1001@{SEEN.host}:{SEEN.port};transport=tcp")
    probe.endpoint.client.send_bye(dialog, "", probe.now)
    assert probe.fail(SEEN) == []
    assert [each.peer for each in probe.sent()] == [SEEN, SEEN]
    assert probe.fail(SEEN) == []
    assert register(probe, contact=f"<{dialog.target}>") == [AGAIN]


def test_a_device_that_challenges_it_gets_the_answer_over_its_present_connection(probe):
    dialog = dialog_with(probe)
    dialog.answers = Answers(Login("us", Secret("sesame")))
    probe.endpoint.client.send_bye(dialog, "", probe.now)
    probe.sent()
    probe.fail(SEEN)
    assert register(probe) == [AGAIN]
    challenge = 'WWW-Authenticate: Digest realm="phone", nonce="n", algorithm=MD5, qop="auth"\r\n'
    probe.receive(reply(probe.log[-1], 401, headers=challenge), AGAIN)
    [proven] = probe.sent()
    assert (proven.peer, b"Authorization:" in proven.data) == (AGAIN, True)
    probe.receive(reply(probe.log[-1], 200), AGAIN)
    assert is_empty(probe)


def test_another_process_goes_on_to_wait(probe):
    """Connections end with a process: what was sent and not answered is sent again."""
    ours, theirs = Device("ours", "registrations@home"), Device("theirs", "registrations@elsewhere")
    probe.endpoint.client.send_bye(dialog_with(probe, device=ours), "", probe.now)
    [sent] = probe.sent()
    kept = msgspec.msgpack.encode(EndpointSnapshot.of(probe.endpoint))
    after = Probe(listeners=LISTENERS)
    after.endpoint.set_unclaimed_owner(Unclaimed())
    snapshot = msgspec.msgpack.decode(kept, type=EndpointSnapshot)
    snapshot.restored(after.endpoint, lambda _gateway: None).finish()
    assert after.advance(100_000) == []
    assert register(after, ELSEWHERE, device=theirs) == []
    assert register(after, device=ours) == [AGAIN]
    assert after.log[-1].data == sent.data
    assert len(after.advance(WAIT_MS)) == 1
    assert is_empty(after)


def test_it_is_sent_at_once_over_another_connection_at_which_the_device_is_registered(probe):
    """A device may have several flows (RFC 5626), and its dialog another one than it has registered last."""
    places = [RegisteredPlace(SEEN, CONTACT, OURS), RegisteredPlace(AGAIN, CONTACT, OURS)]
    probe.endpoint.dialogs.find_users_by({USER: places}.__getitem__, from_none)
    hung_up(probe)
    assert [each.peer for each in probe.sent()] == [AGAIN]
    assert probe.fail(AGAIN) == []
    assert probe.sent() == [], "each is tried once"
    assert len(probe.advance(WAIT_MS)) == 1
    assert is_empty(probe)


@pytest.mark.parametrize(
    ("peer", "contact", "device"),
    [
        (AGAIN, "sip:1001@192.168.1.21:5060;transport=tcp", OURS),
        (AGAIN._replace(flow=TLS), CONTACT, OURS),
        (AGAIN, CONTACT, THEIRS),
    ],
    ids=["another host", "another transport", "another device"],
)
def test_it_is_not_sent_at_once_to_another_device(probe, peer, contact, device):
    """Two homes may have the same private addresses: the other device would answer 481, and this one learn nothing."""
    probe.endpoint.dialogs.find_users_by(lambda _user: [RegisteredPlace(peer, contact, device)], from_none)
    hung_up(probe)
    assert probe.sent() == []
    assert register(probe, AGAIN._replace(port=41_001)) == [AGAIN._replace(port=41_001)]


def test_a_device_that_is_known_to_be_another_one_never_gets_it(probe):
    hung_up(probe, Device("ours", "registrations@home"))
    assert register(probe, device=Device("theirs", "registrations@home")) == []
    assert register(probe, device=Device("ours", "after a restart")) == [AGAIN]


def test_a_device_that_may_be_that_of_the_call_gets_it(probe):
    """It has restarted, and has another Call-ID."""
    hung_up(probe)
    assert register(probe, device=THEIRS) == [AGAIN]


@pytest.mark.parametrize("device", [OURS, None], ids=["known", "unknown"])
@pytest.mark.parametrize("status", [481, 404, 500, 0], ids=["481", "404", "500", "no answer"])
def test_its_device_gets_it_where_another_one_did_not_know_the_call(probe, status, device):
    """Both have one Contact and no instance; the other one is asked no more, also over a connection of later."""
    probe.endpoint.dialogs.find_users_by(lambda _user: [RegisteredPlace(ELSEWHERE, CONTACT, THEIRS)], from_none)
    hung_up(probe, device)
    if device is None:  # it is sent to every place that may be it
        assert [each.peer for each in probe.sent()] == [ELSEWHERE]
    else:
        assert register(probe, ELSEWHERE, device=THEIRS) == [ELSEWHERE]
    if status:
        assert probe.receive(reply(probe.log[-1], status), ELSEWHERE) is None
    else:
        assert probe.advance(32_000) == []
    probe.endpoint.dialogs.registered_again(USER, RegisteredPlace(ELSEWHERE, CONTACT, THEIRS), probe.now)
    assert probe.sent() == []
    assert register(probe, ELSEWHERE._replace(port=42_001), device=THEIRS) == []
    assert register(probe) == [AGAIN]
    probe.receive(reply(probe.log[-1], 200), AGAIN)
    assert is_empty(probe)


def test_one_that_another_device_has_refused_waits_no_longer_than_others(probe):
    hung_up(probe)
    probe.advance(WAIT_MS - 10_000)
    assert register(probe, ELSEWHERE, device=THEIRS) == [ELSEWHERE]
    assert probe.receive(reply(probe.log[-1], 481), ELSEWHERE) is None
    [event] = probe.advance(10_000)
    assert isinstance(event, NoResponse)
    assert is_empty(probe)


def test_one_to_its_device_is_over_where_that_has_no_such_call(probe):
    hung_up(probe)
    register(probe)
    assert probe.receive(reply(probe.log[-1], 481), AGAIN) is None
    assert is_empty(probe)


def test_a_user_has_only_so_many_that_another_device_may_refuse(probe):
    """A call that has moved to a place that may be another device's is ended there."""
    dialog = dialog_with(probe)
    dialog.reach_by(ELSEWHERE, is_guessed=True)
    for _ in range(MOST_OF_A_USER + 8):
        probe.endpoint.client.send_bye(dialog, "", probe.now)
    for sent in probe.sent():
        probe.receive(reply(sent, 481), ELSEWHERE)
    assert len(probe.endpoint.store.byes_to_users[USER]) == MOST_OF_A_USER
    assert len(register(probe)) == MOST_OF_A_USER


def test_a_device_that_is_unknown_is_looked_for_at_every_place_that_may_be_it(probe):
    first, second = (RegisteredPlace(each, CONTACT, Device("", each.host)) for each in (ELSEWHERE, AGAIN))
    other = RegisteredPlace(AGAIN._replace(host="198.51.100.78"), CONTACT.replace(".20:", ".21:"), THEIRS)
    probe.endpoint.dialogs.find_users_by(lambda _user: [other, first, second], from_none)
    hung_up(probe, None)
    assert [each.peer for each in probe.sent()] == [ELSEWHERE]
    assert probe.receive(reply(probe.log[-1], 481), ELSEWHERE) is None
    assert [each.peer for each in probe.sent()] == [AGAIN]
    probe.receive(reply(probe.log[-1], 200), AGAIN)
    assert is_empty(probe)


def test_a_device_that_has_registered_before_the_connection_is_lost_gets_it_when_it_registers_again(probe):
    """It has another Call-ID since then: it is not known to be the device, and gets nothing at once."""
    place = RegisteredPlace(AGAIN, CONTACT, THEIRS)
    probe.endpoint.dialogs.find_users_by(lambda _user: [place], from_none)
    hung_up(probe)
    assert probe.sent() == []
    probe.endpoint.dialogs.registered_again(USER, place._replace(contact=CONTACT.replace(".20:", ".21:")), probe.now)
    assert probe.sent() == []
    probe.endpoint.dialogs.registered_again(USER, place, probe.now)
    assert [each.peer for each in probe.sent()] == [AGAIN]


def test_its_device_gets_it_also_where_another_one_has_got_it(probe):
    hung_up(probe)
    assert register(probe, ELSEWHERE, device=THEIRS) == [ELSEWHERE]
    assert register(probe, elsewhere=(RegisteredPlace(ELSEWHERE, CONTACT, THEIRS),)) == [AGAIN]
