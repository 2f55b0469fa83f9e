"""Telephones in browsers (RFC 7118) against the real daemon: registrations, calls both ways, and uninvited visitors."""

import shutil
import socket
from collections.abc import Iterator

import pytest
from doubles.certificates import Authority
from doubles.daemon import Daemon
from doubles.sockets.login import Login
from doubles.sockets.loopback import Endpoint
from doubles.sockets.peer import Message, OutgoingCall, Peer
from doubles.stream_peer import StreamPeer
from doubles.telephone import Telephone
from doubles.websocket_peer import OpCode, WebSocketFaultError, WebSocketPeer, frame

from .addresses import NETWORK, SECURE_WEBSOCKET, WEB_SWITCH, WEBSOCKET
from .conditions import eventually
from .stage import Stage, configuration

BROWSER = Endpoint(f"{NETWORK}.61", 40_061)
DESK = Endpoint(f"{NETWORK}.62", 40_062)
BROWSER_SDP = (
    "v=0\r\no=- 4611 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0\r\n"
    "m=audio 9 UDP/TLS/RTP/SAVPF 111 0\r\nc=IN IP4 0.0.0.0\r\na=rtcp:9 IN IP4 0.0.0.0\r\na=ice-ufrag:Zv9x\r\n"
    "a=ice-pwd:0123456789abcdefghijklmn\r\na=fingerprint:sha-256 4A:AD:B9:B1\r\na=setup:actpass\r\na=mid:0\r\n"
    "a=candidate:1 1 udp 2113937151 192.168.1.5 51000 typ host\r\na=rtpmap:111 opus/48000/2\r\na=rtcp-mux\r\n"
)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def stage(authority: Authority, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    directory = tmp_path_factory.mktemp("websocket")
    certificate = authority.issue("switch", SECURE_WEBSOCKET.host)
    shutil.copy(certificate.file, directory / "switch.pem")
    shutil.copy(certificate.key, directory / "switch.key")
    (directory / "many.yaml").write_text("{}")
    text = configuration("phones.yaml", WEB_SWITCH)
    text = text.replace(
        f'listen: ["udp:{WEB_SWITCH}", "tcp:{WEB_SWITCH}"]',
        f'listen: ["udp:{WEB_SWITCH}", "tcp:{WEB_SWITCH}", "ws:{WEBSOCKET}", "wss:{SECURE_WEBSOCKET}"]\n'
        "  tls: {certificate: switch.pem, private_key: switch.key}\n"
        "  websocket: {origins: https://phone.example.org}\n"
        "  connections: {keepalive: 1}",
    )
    with Daemon(directory, text) as daemon:
        stage = Stage(daemon, WEB_SWITCH)
        stage.pay("family", "100")
        yield stage
        stage.expect_timers_run_out()
        assert daemon.interrupt() == 0


class Browser(WebSocketPeer):
    """A telephone in a browser whose script can answer BYEs by itself, also while it waits for something else."""

    answers_byes = False
    byes = 0

    def receive(self, within_s: float = 2.0) -> Message | None:
        message = super().receive(within_s)
        if message is None or message.method != "BYE" or not self.answers_byes:
            return message
        self.byes += 1
        self.reply(message, 200)
        return super().receive(within_s)


def telephone(peer: Peer, switch: Endpoint, number: str) -> Telephone:
    return Telephone(peer, switch, Login(number, "secret"))


@pytest.fixture(params=[WEBSOCKET, SECURE_WEBSOCKET], ids=["ws", "wss"])
def browser(request: pytest.FixtureRequest, stage: Stage, authority: Authority) -> Iterator[Telephone]:
    client = authority.client_context() if request.param == SECURE_WEBSOCKET else None
    with Browser(BROWSER, client) as peer:
        phone = telephone(peer, request.param, "7001")
        phone.offer = phone.answer = BROWSER_SDP
        assert ".invalid;transport=ws" in phone.register()["Contact"]
        yield phone
        phone.register(expires_s=0)


@pytest.fixture
def desk(stage: Stage) -> Iterator[Telephone]:
    with Peer(DESK) as peer:
        phone = telephone(peer, WEB_SWITCH, "7003")
        phone.register()
        yield phone


def test_a_browser_calls_a_desk_telephone_and_hangs_up(stage: Stage, browser: Telephone, desk: Telephone) -> None:
    call = browser.call("7003")
    taken = desk.pick_up()
    assert taken.invite["Via"].startswith("SIP/2.0/UDP ")
    assert taken.invite.body == BROWSER_SDP, "descriptions of browsers pass as they are"
    browser.talk(call)
    call.send(call.request("BYE", 3))
    desk.peer.reply(desk.peer.expect("BYE", passing=["HELLO"]), 200)
    browser.peer.final_response("3 BYE", call.call_id)
    stage.expect_nothing_left()


def test_a_desk_telephone_calls_a_browser_which_hangs_up(stage: Stage, browser: Telephone, desk: Telephone) -> None:
    call = desk.call("7001")
    taken = browser.pick_up()
    via, contact = taken.invite["Via"], taken.invite["Contact"]
    assert via.startswith(f"SIP/2.0/{browser.peer.transport} ")
    assert contact.endswith(";transport=ws>")
    assert taken.invite.start_line.split()[1].endswith(f"@{browser.peer.contact}")
    desk.talk(call)
    assert taken.ask("BYE").status == 200
    desk.peer.reply(desk.peer.expect("BYE", passing=["HELLO"]), 200)
    assert browser.peer.connections == 1
    stage.expect_nothing_left()


def test_a_desk_telephone_hangs_up_on_a_browser_over_its_own_connection(
    stage: Stage, browser: Telephone, desk: Telephone
) -> None:
    call = desk.call("7001")
    browser.pick_up()
    desk.talk(call)
    call.send(call.request("BYE", 3))
    browser.peer.reply(browser.peer.expect("BYE"), 200)
    desk.peer.final_response("3 BYE", call.call_id)
    stage.expect_nothing_left()


def test_a_browser_sends_its_calls_nowhere_else_by_302(stage: Stage, browser: Telephone, desk: Telephone) -> None:
    """A called phone cannot cause costs to its caller; the failure is acknowledged over its own connection."""
    peer, call = browser.peer, desk.call("7001")
    peer.reply(ringing(browser), 302, tag="telephone", headers=["Contact: <sip:442079460000@elsewhere.example>"])
    peer.expect("ACK")
    refusal = desk.peer.final_response("2 INVITE", call.call_id)
    assert (refusal.status, refusal.every("Contact")) == (480, [])
    acknowledge(call, refusal)
    assert peer.connections == 1
    stage.expect_nothing_left()


def test_a_browser_that_has_left_is_not_called_and_one_that_comes_back_gets_its_bye(
    stage: Stage, browser: Telephone, desk: Telephone
) -> None:
    """Nothing connects to a browser: its call goes on over the next connection that it registers on."""
    peer = browser.peer
    assert isinstance(peer, Browser)
    call = desk.call("7001")
    browser.pick_up()
    desk.talk(call)
    peer.hang_up_on(peer.server)
    call.send(call.request("BYE", 3))
    desk.peer.final_response("3 BYE", call.call_id)
    peer.answers_byes = True
    browser.register()
    eventually(lambda: peer.messages(0.02) == [] and peer.byes == 1, "the BYE over the next connection")
    stage.expect_nothing_left()
    peer.hang_up_on(peer.server)
    refused = desk.call("7001")
    refusal = desk.peer.final_response("2 INVITE", refused.call_id)
    assert refusal.status in {408, 480, 503}
    acknowledge(refused, refusal)
    browser.register()
    stage.expect_nothing_left()


def test_a_browser_that_connects_again_while_it_rings_gets_ack_and_bye_over_its_next_connection(
    stage: Stage, browser: Telephone, desk: Telephone
) -> None:
    peer = browser.peer
    assert isinstance(peer, Browser)
    call = desk.call("7001")
    invite = ringing(browser)
    peer.hang_up_on(peer.server)
    browser.register()
    peer.reply(invite, 200, tag="telephone", headers=["Content-Type: application/sdp"], body=browser.answer)
    peer.expect("ACK")
    desk.talk(call)
    call.send(call.request("BYE", 3))
    peer.reply(peer.expect("BYE"), 200)
    desk.peer.final_response("3 BYE", call.call_id)
    stage.expect_nothing_left()


def test_a_browser_that_connects_again_while_it_rings_is_cancelled_over_its_next_connection(
    stage: Stage, browser: Telephone, desk: Telephone
) -> None:
    peer = browser.peer
    assert isinstance(peer, Browser)
    call = desk.call("7001")
    invite = ringing(browser)
    peer.hang_up_on(peer.server)
    browser.register()
    call.send(call.request("CANCEL", 2, branch="proven"))
    peer.reply(peer.expect("CANCEL"), 200, tag="telephone")
    peer.reply(invite, 487, tag="telephone")
    peer.expect("ACK")
    refusal = desk.peer.final_response("2 INVITE", call.call_id)
    assert refusal.status == 487
    acknowledge(call, refusal)
    stage.expect_nothing_left()


def test_a_browser_that_connects_again_while_its_call_rings_is_answered_over_its_next_connection(
    stage: Stage, browser: Telephone, desk: Telephone
) -> None:
    peer = browser.peer
    assert isinstance(peer, Browser)
    call = browser.call("7003")
    invite = ringing(desk)
    peer.hang_up_on(peer.server)
    browser.register()
    desk.peer.reply(invite, 200, tag="telephone", headers=["Content-Type: application/sdp"], body=desk.answer)
    desk.peer.expect("ACK", passing=["HELLO", "INVITE"])
    browser.talk(call)
    call.send(call.request("BYE", 3))
    desk.peer.reply(desk.peer.expect("BYE", passing=["HELLO"]), 200)
    peer.final_response("3 BYE", call.call_id)
    stage.expect_nothing_left()


def acknowledge(call: OutgoingCall, refusal: Message) -> None:
    """Acknowledge the refusal of a call of a telephone."""
    call.remote_to = refusal["To"]
    call.send(call.request("ACK", 2, branch="proven"))


def ringing(phone: Telephone) -> Message:
    """Let a telephone ring; return the INVITE."""
    invite = phone.peer.expect("INVITE", 15.0, passing=["HELLO"])
    phone.peer.reply(invite, 180, tag="telephone")
    return invite


def test_a_registered_browser_is_pinged_and_its_own_blank_lines_are_answered(browser: Telephone) -> None:
    assert isinstance(browser.peer, Browser)
    line = browser.peer.line_to(browser.peer.server)
    line.write(frame(OpCode.TEXT, b"\r\n\r\n") + frame(OpCode.PING, b"here"))

    def all_came() -> bool:
        assert browser.peer.messages(0.05) == []
        return line.pings > 0 and line.pongs == 1 and line.texts == [b"\r\n"]

    eventually(all_came, "the keep-alives of both sides")


def test_a_page_of_another_origin_is_turned_away(stage: Stage) -> None:
    with (
        WebSocketPeer(BROWSER, origin="https://evil.example") as peer,
        pytest.raises(WebSocketFaultError, match=r"HTTP/1\.1 403 Forbidden"),
    ):
        peer.line_to(WEBSOCKET)


def test_an_unknown_visitor_has_no_connection_left(stage: Stage) -> None:
    with WebSocketPeer(Endpoint(f"{NETWORK}.63", 40_063)) as peer, socket.create_connection(WEBSOCKET) as bare:
        visitor = OutgoingCall(peer, WEBSOCKET, "7001")
        visitor.send(visitor.request("OPTIONS"))
        assert peer.is_left_by(WEBSOCKET)
        bare.sendall(b"GET / HTTP/1.0\r\n\r\n")
        assert bare.makefile("rb").read().startswith(b"HTTP/1.1 505 ")


def test_telephones_that_share_a_connection_are_called_over_it_and_are_gone_with_it(
    stage: Stage, desk: Telephone
) -> None:
    """Their Contacts are behind NAT: no second connection is opened, neither while the first stands nor after it."""
    with StreamPeer(Endpoint(f"{NETWORK}.64", 40_064)) as peer:
        phones = [
            Telephone(peer, WEB_SWITCH, Login(number, "secret"), f"192.168.1.20:5060;transport=tcp;line={number}")
            for number in ("7001", "7002")
        ]
        for phone in phones:
            phone.register()
        for number, phone in zip(("7001", "7002"), phones, strict=True):
            call = desk.call(number)
            taken = phone.pick_up()
            assert taken.invite.start_line.split()[1] == f"sip:{number}@192.168.1.20:5060;transport=tcp;line={number}"
            desk.talk(call)
            call.send(call.request("BYE", 3))
            peer.reply(peer.expect("BYE"), 200)
            desk.peer.final_response("3 BYE", call.call_id)
        assert peer.connections == 1
        peer.hang_up_on(WEB_SWITCH)

        def registered() -> set[object]:
            return {row["name"] for row in stage.daemon.ask("registrations")}

        eventually(lambda: registered().isdisjoint({"7001", "7002"}), "both registrations are gone")
    stage.expect_nothing_left()


@pytest.mark.parametrize("follows", ["ACK", "CANCEL", "CANCEL again"])
def test_a_telephone_whose_connection_closes_while_it_rings_goes_on_over_its_other_one(
    stage: Stage, desk: Telephone, follows: str
) -> None:
    """It has registered over both, as flows of one device behind NAT (RFC 5626)."""
    hosts = [Endpoint(f"{NETWORK}.{host}", 40_000 + host) for host in (65, 66)]
    with StreamPeer(hosts[0]) as preferred, StreamPeer(hosts[1]) as other:
        for number, (peer, q) in enumerate(((preferred, "1"), (other, "0.5")), start=1):
            flow = f';q={q};reg-id={number};+sip.instance="<urn:uuid:00000000-0000-0000-0000-00000000000a>"'
            phone = Telephone(peer, WEB_SWITCH, Login("7005", "secret"), "192.168.1.20:5060;transport=tcp", flow)
            phone.register()
        call = desk.call("7005")
        invite = preferred.expect("INVITE")
        preferred.reply(invite, 180, tag="telephone")
        desk.peer.expect(180, passing=["HELLO", 100])
        if follows == "CANCEL again":
            give_up(call)
            preferred.expect("CANCEL")
            preferred.send(b"\r\n", WEB_SWITCH)
        preferred.hang_up_on(WEB_SWITCH)
        eventually(lambda: len(flows_of(stage, "7005")) == 1, "one flow is gone")
        if follows == "ACK":
            other.reply(invite, 200, tag="telephone", body=phone.answer)
            other.expect("ACK")
            desk.talk(call)
            call.send(call.request("BYE", 3))
            other.reply(other.expect("BYE"), 200)
            desk.peer.final_response("3 BYE", call.call_id)
        else:
            if follows == "CANCEL":
                give_up(call)
            other.reply(other.expect("CANCEL", 1.0), 200, tag="telephone")
            other.reply(invite, 487, tag="telephone")
            other.expect("ACK")
        phone.register(expires_s=0)
    stage.expect_nothing_left()


def give_up(call: OutgoingCall) -> None:
    """Cancel a call of a telephone, and acknowledge its end."""
    call.send(call.request("CANCEL", 2, branch="proven"))
    acknowledge(call, call.peer.final_response("2 INVITE", call.call_id))


def flows_of(stage: Stage, number: str) -> list[dict[str, object]]:
    return [row for row in stage.daemon.ask("registrations") if row["name"] == number]
