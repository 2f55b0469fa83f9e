"""How the core applies the verdicts of the authentication gate (``sip.auth_gate``): accepted, challenged, dropped."""

import pytest
from doubles.virtual.probe import LISTENER, SDP, UNKNOWN_SOURCE, Keeper, Probe, request

from vosd.sip.auth_gate import Accepted, Challenged
from vosd.sip.drops import Drop
from vosd.sip.events import CancelArrived, InviteArrived, RegisterArrived, UnknownSourceIgnored
from vosd.sip.flows import Listener
from vosd.sip.wire.outgoing import Peer

ELSEWHERE = UNKNOWN_SOURCE._replace(host="203.0.113.67")
CHALLENGE = Challenged(401, 'WWW-Authenticate: Digest realm="x", nonce="y"\r\n', "tag", Drop.WRONG_CREDENTIALS)
TCP = 1


class GateKeeper:
    """Gives the verdict that the test wants."""

    refusal_of = None

    def __init__(self, verdict=CHALLENGE, *, has_users=True):
        self.verdict = verdict
        self.has_users = self.examines = has_users
        self.shut_to = None
        self.is_home_of_users = False
        self.locked = (UNKNOWN_SOURCE.host,)
        self.examined = []

    def is_locked_out(self, source, _now):
        return source.host == self.shut_to

    def may_have_user_at(self, _source):
        return self.has_users

    def may_prove(self, _source, _now):
        return self.is_home_of_users

    def examine(self, request, source, _now):
        self.examined.append((request.method, source))
        return self.verdict


def probe_with(auth_gate: GateKeeper) -> Probe:
    return Probe(
        auth_gate=auth_gate, knows=lambda _host, _port: False, listeners=(LISTENER, Listener("192.0.2.1", 5060, "tcp"))
    )


@pytest.mark.parametrize("method", ["INVITE", "REGISTER"])
def test_a_challenge_is_sent_and_nothing_is_kept(method):
    probe = probe_with(GateKeeper())
    assert probe.receive(request(method), UNKNOWN_SOURCE) is None
    (sent,) = probe.sent()
    assert (sent.response.status, sent.response.to_tag, sent.peer) == (401, "tag", UNKNOWN_SOURCE)
    assert sent.response.header("www-authenticate") == 'Digest realm="x", nonce="y"'
    assert not any(probe.endpoint.census().values())
    assert probe.receive(request("ACK", to="<sip:4420@192.0.2.1>;tag=tag", cseq="1 ACK"), UNKNOWN_SOURCE) is None
    assert probe.sent() == []
    assert probe.endpoint.dropped == {Drop.WRONG_CREDENTIALS: 1}


def test_a_challenge_over_tcp_goes_back_on_its_connection():
    probe = probe_with(GateKeeper())
    caller = Peer(TCP, UNKNOWN_SOURCE.host, 40_000)
    probe.receive(request("REGISTER", via=f"SIP/2.0/TCP {UNKNOWN_SOURCE.host}:5060;branch=z9hG4bK-1"), caller)
    assert [sent.peer for sent in probe.sent()] == [caller]


@pytest.mark.parametrize("rport", ["", ";rport"])
def test_a_challenge_finds_its_way_through_a_nat(rport):
    probe = probe_with(GateKeeper())
    seen = UNKNOWN_SOURCE._replace(port=41_234)
    via = f"SIP/2.0/UDP 192.168.1.2:5060{rport};branch=z9hG4bK-1"
    probe.receive(request("REGISTER", via=via, headers="Contact: <sip:1001@192.168.1.2:5060>\r\n"), seen)
    (sent,) = probe.sent()
    assert sent.peer == seen


def test_a_challenge_to_who_asks_for_nothing_else_goes_to_the_port_of_its_via():
    probe = probe_with(GateKeeper())
    probe.receive(request("REGISTER", via=f"SIP/2.0/UDP {UNKNOWN_SOURCE.host}:5066;branch=z9hG4bK-1"), UNKNOWN_SOURCE)
    (sent,) = probe.sent()
    assert sent.peer == UNKNOWN_SOURCE._replace(port=5066)


def test_who_is_let_in_is_named_in_the_event():
    probe = probe_with(GateKeeper(Accepted("1001")))
    invited = probe.receive(request(body=SDP), UNKNOWN_SOURCE)
    registered = probe.receive(request("REGISTER", branch="z9hG4bK-2", call_id="r"), UNKNOWN_SOURCE)
    assert isinstance(invited, InviteArrived)
    assert isinstance(registered, RegisterArrived)
    assert (invited.user, registered.user) == ("1001", "1001")


def test_a_repetition_of_what_was_let_in_is_not_examined_again():
    auth_gate = GateKeeper(Accepted("1001"))
    probe = probe_with(auth_gate)
    probe.receive(request(body=SDP), UNKNOWN_SOURCE)
    assert probe.receive(request(body=SDP), UNKNOWN_SOURCE) is None
    assert len(auth_gate.examined) == 1


def test_the_cancel_of_an_unknown_sources_invite_is_accepted_from_the_same_source():
    probe = probe_with(GateKeeper(Accepted("1001")))
    event = probe.receive(request(body=SDP), UNKNOWN_SOURCE)
    assert isinstance(event, InviteArrived)
    event.transaction.owner = Keeper()
    assert isinstance(probe.receive(request("CANCEL"), ELSEWHERE), UnknownSourceIgnored)
    assert isinstance(probe.receive(request("CANCEL"), UNKNOWN_SOURCE._replace(port=9)), CancelArrived)


@pytest.mark.parametrize("method", ["OPTIONS", "BYE", "SUBSCRIBE", "CANCEL"])
def test_other_methods_of_unknown_sources_are_not_examined(method):
    auth_gate = GateKeeper(Accepted("1001"))
    assert isinstance(probe_with(auth_gate).receive(request(method), UNKNOWN_SOURCE), UnknownSourceIgnored)
    assert auth_gate.examined == []


def test_a_request_of_an_unknown_dialog_is_not_examined():
    auth_gate = GateKeeper(Accepted("1001"))
    again = request(to="<sip:4420@192.0.2.1>;tag=guessed", body=SDP)
    assert isinstance(probe_with(auth_gate).receive(again, UNKNOWN_SOURCE), UnknownSourceIgnored)
    assert auth_gate.examined == []


def test_unknown_sources_are_dropped_where_there_are_no_users():
    auth_gate = GateKeeper(has_users=False)
    assert isinstance(probe_with(auth_gate).receive(request(), UNKNOWN_SOURCE), UnknownSourceIgnored)
    assert auth_gate.examined == []


def test_from_a_locked_out_source_only_accepted_transactions_continue():
    auth_gate = GateKeeper(Accepted("1001"))
    probe = probe_with(auth_gate)
    event = probe.receive(request(body=SDP), UNKNOWN_SOURCE)
    assert isinstance(event, InviteArrived)
    event.transaction.owner = Keeper()
    event.transaction.respond(180, "ours", "", probe.now)
    probe.sent()
    auth_gate.shut_to = UNKNOWN_SOURCE.host
    ignored = probe.receive(request(branch="z9hG4bK-2", call_id="another"), UNKNOWN_SOURCE)
    assert isinstance(ignored, UnknownSourceIgnored)
    assert ignored.why == "locked out source"
    assert probe.sent() == []
    assert probe.receive(request(body=SDP), UNKNOWN_SOURCE) is None
    assert probe.titles() == ["180"]
    assert isinstance(probe.receive(request("CANCEL"), UNKNOWN_SOURCE), CancelArrived)


@pytest.mark.parametrize("method", ["INVITE", "REGISTER", "OPTIONS", "MESSAGE"])
def test_at_a_locked_out_source_where_users_are_at_home_they_may_prove_themselves_and_nothing_else(method):
    auth_gate = GateKeeper()
    auth_gate.shut_to, auth_gate.is_home_of_users = UNKNOWN_SOURCE.host, True
    probe = probe_with(auth_gate)
    probe.receive(request(method), UNKNOWN_SOURCE)
    assert probe.titles() == (["401"] if method in {"INVITE", "REGISTER"} else [])
