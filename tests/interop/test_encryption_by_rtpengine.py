"""Calls whose sides are encrypted differently, through the real daemon and a real rtpengine."""

import cmath
import math
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from doubles.daemon import Daemon
from doubles.data.wavs import tone, wav
from doubles.sockets.login import Login
from doubles.sockets.loopback import Endpoint
from doubles.sockets.peer import ANSWER, Message, OutgoingCall, Peer
from doubles.sockets.rtp import RtpPeer
from doubles.sockets.secure_rtp import SHORT_TAGGED, SecureRtpPeer
from doubles.sockets.web_media import WebMedia
from doubles.telephone import Telephone
from doubles.websocket_peer import WebSocketPeer
from e2e.addresses import CUSTOMERS, NETWORK, VENDORS
from e2e.conditions import eventually
from e2e.stage import Stage, configuration
from e2e.test_media import described, place

from vosd.media.g711 import linear

from .rtpengine import Rtpengine
from .test_media_by_rtpengine import BEEPS, WARNS, beeps_in

SWITCH, WEBSOCKET = Endpoint(f"{NETWORK}.1", 15_140), Endpoint(f"{NETWORK}.1", 15_141)
ENGINE, OTHER_ENGINE = Endpoint(f"{NETWORK}.84", 2_223), Endpoint(f"{NETWORK}.85", 2_223)
DOOMED_SWITCH, DOOMED_WEBSOCKET = Endpoint(f"{NETWORK}.1", 15_300), Endpoint(f"{NETWORK}.1", 15_301)
BURST = 10
UNREAD_SUITE = f"a=crypto:9 AEAD_AES_256_GCM_8 inline:{59 * 'A'}="
BY_DTLS = f"a=fingerprint:sha-256 {':'.join(['4A'] * 32)}\r\na=setup:actpass"
REFUSED = "m=audio 0 RTP/AVP 0\r\n"
TONE = tone(1_000)
"""Music on hold, and sound of calls to numbers that do not exist."""


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rtpengine]:
    with Rtpengine(tmp_path_factory.mktemp("engine"), "one", ENGINE, (20_000, 20_199)) as engine:
        yield engine


@contextmanager
def switch(
    directory: Path, address: Endpoint, *engines: Rtpengine, websocket: Endpoint = WEBSOCKET, of_callers: str = ""
) -> Iterator[Stage]:
    text = configuration("encrypted.yaml", address).replace("$websocket", str(websocket))
    text = text.replace("account: acme, ", f"account: acme, {of_callers}")
    pool = ", ".join(f"{{name: {each.config.name}, address: '{each.control}'}}" for each in engines)
    (directory / "gone.wav").write_bytes(wav(TONE.tobytes()))
    with Daemon(directory, text.replace("POOL", pool)) as daemon:
        yield Stage(daemon, address)


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory, engine: Rtpengine) -> Iterator[Stage]:
    with switch(tmp_path_factory.mktemp("encrypted"), SWITCH, engine) as stage:
        yield stage


def party(customer: str, *, encrypts: bool, ssrc: int) -> RtpPeer:
    return SecureRtpPeer(customer, ssrc) if encrypts else RtpPeer(customer, ssrc=ssrc)


def session_of(one: RtpPeer, *lines: str, version: int = 1) -> str:
    if isinstance(one, SecureRtpPeer):
        return one.described(*lines, version=version)
    return described(one).replace("o=- 1 1", f"o=- 1 {version}") + "".join(f"{line}\r\n" for line in lines)


def in_plain(one: RtpPeer) -> str:
    """Return its media without encryption, as FreeSWITCH offers them behind the encrypted ones, at the same port."""
    return f"m=audio {one.port} RTP/AVP 0 101\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:101 telephone-event/8000\r\n"


class Conversation:
    """A call between a customer and a vendor, each of which may encrypt."""

    def __init__(
        self,
        stage: Stage,
        customer: Peer,
        vendor: Peer,
        caller: RtpPeer,
        callee: RtpPeer,
        prefix: str,
        *lines: str,
        chosen: str = "",
    ) -> None:
        """The caller offers what it has, with these ``lines``; the callee answers with its key, or one ``chosen``."""
        self.stage, self.customer, self.vendor = stage, customer, vendor
        self.caller, self.callee = caller, callee
        self.call = OutgoingCall(customer, stage.address, stage.number(prefix))
        self.call.send(self.call.request("INVITE", body=session_of(caller, *lines, *filter(None, (chosen,)))))
        self.incoming = vendor.expect("INVITE")
        self.of_callee = self.takes(callee, self.incoming)
        own = session_of(callee)
        if chosen:
            own = own.replace(crypto(own)[0], chosen)
        vendor.reply(self.incoming, 183, tag=f"vendor-{self.call.call_id}", body=own)
        early = customer.expect(183)
        vendor.reply(self.incoming, 200, tag=f"vendor-{self.call.call_id}", body=own)
        answer = self.call.answered()
        self.of_caller = place(answer) if chosen else self.takes(caller, answer)
        self.answer = answer.body
        assert early.body == self.answer
        vendor.expect("ACK")

    def takes(self, party: RtpPeer, message: Message) -> tuple[str, int]:
        """Let a party use what it was told; return the place that it sends to."""
        if isinstance(party, SecureRtpPeer):
            party.takes(message.body)
        return place(message)

    def talk(self) -> None:
        """Let a burst of each party arrive at the other one."""
        ways = ((self.caller, self.of_caller, self.callee), (self.callee, self.of_callee, self.caller))
        for sender, port, listener in ways:
            eventually(lambda s=sender, p=port, t=listener: s.send(p, 2) and t.has(1), "a party hears the other one")
        for sender, port, listener in ways:
            listener.taken()
            sent = sender.send(port, BURST)
            eventually(lambda t=listener: t.has(BURST), "every packet comes")
            assert [each[12:] for each in listener.taken()][-BURST:] == [each[12:] for each in sent]

    def change(self, *lines: str, version: int) -> tuple[str, str]:
        """Offer a change of the caller, which is accepted; return what the vendor and the caller were sent."""
        offer = session_of(self.caller, *lines, version=version)
        self.call.send(self.call.request("INVITE", cseq=version, branch=f"again{version}", body=offer))
        incoming = self.vendor.expect("INVITE")
        self.of_callee = self.takes(self.callee, incoming)
        self.vendor.reply(incoming, 200, body=session_of(self.callee, version=version))
        answer = self.call.answered(cseq=version)
        self.of_caller = self.takes(self.caller, answer)
        self.vendor.expect("ACK")
        return incoming.body, answer.body

    def agree_anew(self, *, leaves_choice: bool = False) -> tuple[str, str]:
        """Take part as the switch has both sides agree on new keys; return what the caller and the vendor were told."""
        plain, refused = (in_plain(self.callee), REFUSED) if leaves_choice else ("", "")
        asked = self.vendor.expect("INVITE", 30)
        assert not asked.body
        for party in (self.caller, self.callee):
            if isinstance(party, SecureRtpPeer):
                party.renew_key()
        self.vendor.reply(asked, 200, body=session_of(self.callee, version=2) + plain)
        offer = self.customer.expect("INVITE")
        self.of_caller = self.takes(self.caller, offer)
        self.customer.reply(offer, 200, body=session_of(self.caller, version=2) + refused)
        self.customer.expect("ACK")
        answer = self.vendor.expect("ACK")
        self.of_callee = self.takes(self.callee, answer)
        return offer.body, answer.body

    def hang_up(self, sequence: int = 2) -> dict[str, Any]:
        """End the call; return the part of its record about media."""
        assert self.call.hang_up(sequence).status == 200
        self.vendor.reply(self.vendor.expect("BYE"), 200)
        media: dict[str, Any] = self.stage.record_of(self.call.callee)["media"]
        self.stage.expect_nothing_left()
        return media


@contextmanager
def calling(
    stage: Stage, customer: str, vendor: str, prefix: str, encrypts: tuple[bool, bool], *lines: str, chosen: str = ""
) -> Iterator[Conversation]:
    with Peer(stage.endpoint_of(customer)) as one, Peer(VENDORS[vendor]) as other:
        caller = party(CUSTOMERS[customer], encrypts=encrypts[0], ssrc=1)
        callee = party(VENDORS[vendor].host, encrypts=encrypts[1], ssrc=2)
        try:
            yield Conversation(stage, one, other, caller, callee, prefix, *lines, chosen=chosen)
        finally:
            caller.close()
            callee.close()


@pytest.fixture
def browser(stage: Stage) -> Iterator[Telephone]:
    with WebSocketPeer(Endpoint(f"{NETWORK}.61", 40_141)) as peer:
        phone = Telephone(peer, WEBSOCKET, Login("4700", "secret"))
        phone.register()
        yield phone
        phone.register(expires_s=0)


@pytest.fixture
def media() -> Iterator[WebMedia]:
    with WebMedia(f"{NETWORK}.61", ssrc=7) as media:
        yield media


def hear_each_other(media: WebMedia, far: RtpPeer, of_far: tuple[str, int]) -> None:
    """Let a browser and a plain party hear each other."""
    eventually(lambda: media.send(2) and far.has(1), "the party hears the browser")
    eventually(lambda: far.send(of_far, 2) and media.has(1), "the browser hears the party")
    media.taken(), far.taken()
    sent, back = media.send(BURST), far.send(of_far, BURST)
    eventually(lambda: far.has(BURST) and media.has(BURST), "every packet comes")
    assert [each[12:] for each in far.taken()][-BURST:] == [each[12:] for each in sent]
    assert [each[12:] for each in media.taken()][-BURST:] == [each[12:] for each in back]


def streams_of(packets: Iterable[bytes]) -> set[int]:
    return {int.from_bytes(each[8:12], "big") for each in packets}


def crypto(session: str) -> list[str]:
    return [line for line in session.splitlines() if line.startswith("a=crypto:")]


def hears_the_tone(listener: RtpPeer) -> bool:
    """Return whether half a second has come that is the sound's 440 Hz and little else."""
    if not listener.has(25):
        return False
    samples = linear(b"".join(each[12:] for each in listener.taken()[-25:]), "PCMU")
    wave = sum(each * cmath.exp(-1j * math.tau * 440 * at / 8_000) for at, each in enumerate(samples))
    return abs(wave) > 0.4 * math.sqrt(len(samples) * sum(each * each for each in samples)) > 0


def encryption(media: dict[str, Any]) -> list[Any]:
    return [media["legs"][side]["encryption"] for side in ("caller", "callee")]


def test_an_encrypted_caller_and_a_plain_vendor_hear_each_other_also_after_a_hold(stage: Stage) -> None:
    with calling(stage, "acme", "carrier-a", "441", (True, False)) as call:
        assert "RTP/AVP" in call.incoming.body
        assert not crypto(call.incoming.body)
        call.talk()
        (key,) = crypto(call.answer)
        call.change("a=sendonly", version=2)
        eventually(lambda: hears_the_tone(call.callee), "the side that is held hears music")
        _, answer = call.change(version=3)
        assert crypto(answer) == [key]
        call.talk()
        assert encryption(call.hang_up(4)) == ["sdes", None]


def test_a_browser_calls_a_plain_vendor(stage: Stage, browser: Telephone, media: WebMedia) -> None:
    browser.offer = media.described()
    with Peer(VENDORS["carrier-a"]) as vendor:
        callee = RtpPeer(VENDORS["carrier-a"].host, ssrc=2)
        call = browser.call(stage.number("441"))
        incoming = vendor.expect("INVITE")
        sent = incoming.body
        assert "RTP/AVP 111 0" in sent
        assert not any(
            word in sent for word in ("fingerprint", "ice-", "candidate", "mid:", "msid", "ssrc", "rtcp-mux")
        )
        vendor.reply(incoming, 200, tag="vendor", body=described(callee))
        response = browser.peer.final_response("2 INVITE", call.call_id)
        call.adopt(response)
        call.send(call.request("ACK", 2))
        vendor.expect("ACK")
        media.connect(response.body)
        hear_each_other(media, callee, place(incoming))
        call.send(call.request("BYE", 3))
        vendor.reply(vendor.expect("BYE"), 200)
        browser.peer.final_response("3 BYE", call.call_id)
        assert encryption(stage.record_of(call.callee)["media"]) == ["dtls", None]
        callee.close()


def test_a_plain_caller_calls_a_browser(stage: Stage, browser: Telephone, media: WebMedia) -> None:
    with Peer(stage.endpoint_of("poor")) as customer:
        caller = RtpPeer(CUSTOMERS["poor"], ssrc=1)
        call = OutgoingCall(customer, stage.address, "4700")
        call.send(call.request("INVITE", body=described(caller)))
        invite = browser.peer.expect("INVITE")
        browser.peer.reply(invite, 200, tag="browser", body=media.described("active"))
        answer = call.answered()
        browser.peer.expect("ACK")
        media.connect(invite.body)
        hear_each_other(media, caller, place(answer))
        assert call.hang_up().status == 200
        browser.peer.reply(browser.peer.expect("BYE"), 200)
        caller.close()


def test_a_vendor_that_has_to_encrypt_is_offered_keys_and_the_call_outlives_a_kill_of_the_switch(
    tmp_path: Path, engine: Rtpengine
) -> None:
    """A switch of its own: after a kill one says BYE again on legs that had just ended, and so in other tests."""
    with (
        switch(tmp_path, DOOMED_SWITCH, engine, websocket=DOOMED_WEBSOCKET) as stage,
        calling(stage, "poor", "carrier-b", "442", (False, True)) as call,
    ):
        offered = [line.split()[1] for line in crypto(call.incoming.body)]
        assert offered[-2:] == ["AES_CM_128_HMAC_SHA1_80", "AES_CM_128_HMAC_SHA1_32"]
        assert {"NULL", "F8"}.isdisjoint(name.split("_")[0] for name in offered)
        assert not crypto(call.answer)
        call.talk()
        stage.daemon.kill()
        call.talk()
        stage.daemon.start()
        call.call.send(call.call.request("ACK"))  # the 200 is repeated: the journal may not have the ACK
        kept = crypto(call.incoming.body)[offered.index("AES_CM_128_HMAC_SHA1_80")].split()[2]
        incoming, _ = call.change("a=sendonly", version=2)
        assert kept in incoming
        eventually(lambda: hears_the_tone(call.callee), "the side that is held hears music, encrypted")
        call.change(version=3)
        call.talk()
        assert encryption(call.hang_up(4)) == [None, "sdes"]


@pytest.mark.parametrize(("vendor", "prefix"), [("carrier-a", "441"), ("carrier-b", "442")])
def test_a_caller_that_leaves_the_choice_to_encrypt_is_heard_as_a_plain_one(
    stage: Stage, vendor: str, prefix: str
) -> None:
    """By RFC 5939: were the choice passed on, the parties would encrypt, and the rtpengine would not know it."""
    choice = f"a=acap:1 crypto:1 AES_CM_128_HMAC_SHA1_80 inline:{40 * 'A'}"
    with calling(
        stage, "poor", vendor, prefix, (False, vendor == "carrier-b"), "a=tcap:1 RTP/SAVP", choice, "a=pcfg:1 t=1 a=1"
    ) as call:
        assert not any(word in call.incoming.body for word in ("tcap", "acap", "pcfg"))
        call.talk()
        call.hang_up()


def test_a_caller_that_has_to_encrypt_and_does_not_is_refused(stage: Stage) -> None:
    with Peer(stage.endpoint_of("acme")) as customer:
        call = OutgoingCall(customer, stage.address, stage.number("441"))
        call.invite()
        assert call.refused().status == 488
    record = stage.record_of(call.callee)
    assert (record["end_reason"], record["sip_code"]) == ("No Common Codec", 488)


def test_a_vendor_that_has_to_encrypt_and_answers_without_is_hung_up(stage: Stage) -> None:
    with Peer(stage.endpoint_of("poor")) as customer, Peer(VENDORS["carrier-b"]) as vendor:
        call = OutgoingCall(customer, stage.address, stage.number("442"))
        call.invite()
        vendor.reply(vendor.expect("INVITE"), 200, tag="vendor", body=ANSWER)
        vendor.expect("ACK")
        vendor.reply(vendor.expect("BYE"), 200)
        assert call.refused().status == 488
        records = eventually(
            lambda: len(found := stage.records("--callee", call.callee)) == 2 and found, "both records"
        )
        assert {each["end_reason"] for each in records} == {"No Common Codec", "Cancelled"}, "the vendor charges"


def test_a_caller_that_offers_keys_beside_plain_media_gets_them(stage: Stage) -> None:
    with Peer(stage.endpoint_of("narrow")) as customer, Peer(VENDORS["carrier-a"]) as vendor:
        caller = SecureRtpPeer(CUSTOMERS["narrow"], 1, "RTP/AVP")
        callee = RtpPeer(VENDORS["carrier-a"].host, ssrc=2)
        call = Conversation(stage, customer, vendor, caller, callee, "441")
        assert "RTP/AVP" in call.answer
        call.talk()
        assert encryption(call.hang_up()) == ["sdes", None]
        caller.close()
        callee.close()


@pytest.mark.parametrize("encrypts", [(True, True), (False, False)])
def test_sides_that_may_encrypt_are_encrypted_each_by_itself(stage: Stage, encrypts: tuple[bool, bool]) -> None:
    """The vendor is offered keys beside RTP/AVP (RFC 8643), with which it may answer."""
    with calling(stage, "narrow", "carrier-c", "443", encrypts) as call:
        assert "RTP/AVP" in call.incoming.body
        assert crypto(call.incoming.body)
        assert bool(crypto(call.answer)) is encrypts[0]
        call.talk()
        assert encryption(call.hang_up()) == ["sdes" if each else None for each in encrypts]


@pytest.mark.parametrize(("encrypts", "leaves_choice"), [(True, False), (True, True), (False, False)])
def test_a_caller_hears_why_its_call_fails(stage: Stage, encrypts: bool, leaves_choice: bool) -> None:
    with Peer(stage.endpoint_of("narrow")) as customer, Peer(VENDORS["carrier-a"]) as vendor:
        caller = party(CUSTOMERS["narrow"], encrypts=encrypts, ssrc=1)
        call = OutgoingCall(customer, stage.address, stage.number("441"))
        body = session_of(caller) + (in_plain(caller) if leaves_choice else "")
        call.send(call.request("INVITE", body=body))
        vendor.reply(vendor.expect("INVITE"), 404, tag="vendor")
        vendor.expect("ACK")
        early = customer.expect(183)
        if isinstance(caller, SecureRtpPeer):
            caller.takes(early.body)
        eventually(lambda: hears_the_tone(caller), "the caller hears the sound")
        assert call.refused().status == 404
        caller.close()
    (played,) = stage.record_of(call.callee)["media"]["played"]
    assert (played["to"], played["sound"]) == ("caller", "gone")
    stage.expect_nothing_left()


def test_a_caller_hears_ring_back_and_then_the_vendor(stage: Stage) -> None:
    with Peer(stage.endpoint_of("narrow")) as customer, Peer(VENDORS["carrier-a"]) as vendor:
        caller, callee = SecureRtpPeer(CUSTOMERS["narrow"], 1), RtpPeer(VENDORS["carrier-a"].host, ssrc=2)
        call = OutgoingCall(customer, stage.address, stage.number("441"))
        call.send(call.request("INVITE", body=session_of(caller)))
        incoming = vendor.expect("INVITE")
        vendor.reply(incoming, 180, tag="vendor")
        rings = customer.expect(180)
        caller.takes(rings.body)
        eventually(lambda: hears_the_tone(caller), "the caller hears ring-back")
        vendor.reply(incoming, 200, tag="vendor", body=session_of(callee))
        answer = call.answered()
        vendor.expect("ACK")
        assert place(answer) == place(rings)
        caller.takes(answer.body)
        for sender, port, listener in ((caller, place(answer), callee), (callee, place(incoming), caller)):
            eventually(lambda s=sender, p=port, t=listener: s.send(p, 2) and t.has(1), "a party hears the other one")
        assert call.hang_up().status == 200
        vendor.reply(vendor.expect("BYE"), 200)
        stage.expect_nothing_left()
        caller.close()
        callee.close()


def test_early_media_go_on_while_the_vendor_rings_again(stage: Stage) -> None:
    with Peer(stage.endpoint_of("narrow")) as customer, Peer(VENDORS["carrier-a"]) as vendor:
        caller, callee = SecureRtpPeer(CUSTOMERS["narrow"], 1), RtpPeer(VENDORS["carrier-a"].host, ssrc=2)
        call = OutgoingCall(customer, stage.address, stage.number("441"))
        call.send(call.request("INVITE", body=session_of(caller)))
        incoming = vendor.expect("INVITE")
        vendor.reply(incoming, 183, tag="vendor", body=session_of(callee))
        early = customer.expect(183)
        caller.takes(early.body)
        vendor.reply(incoming, 180, tag="vendor")
        assert customer.expect(180).body == ""
        for sender, port, listener in ((caller, place(early), callee), (callee, place(incoming), caller)):
            eventually(lambda s=sender, p=port, t=listener: s.send(p, 2) and t.has(1), "a party hears the other one")
        vendor.reply(incoming, 200, tag="vendor", body=session_of(callee))
        assert place(call.answered()) == place(early)
        vendor.expect("ACK")
        assert call.hang_up().status == 200
        vendor.reply(vendor.expect("BYE"), 200)
        stage.expect_nothing_left()
        caller.close()
        callee.close()


def test_keys_and_packets_of_parties_that_encrypt_themselves_pass(stage: Stage) -> None:
    with calling(stage, "hasty", "carrier-a", "441", (True, True)) as call:
        assert [line.split()[2] for line in crypto(call.incoming.body)] == [
            line.split()[2] for line in crypto(session_of(call.caller))
        ]
        assert crypto(call.answer) == crypto(session_of(call.callee))
        call.talk()
        assert encryption(call.hang_up()) == ["sdes", "sdes"]


@pytest.mark.parametrize(
    ("transport", "keys"),
    [
        ("RTP/SAVP", UNREAD_SUITE),
        ("RTP/SAVP", f"{UNREAD_SUITE}\r\na=crypto:2 AES_CM_128_HMAC_SHA1_80 inline:{40 * 'A'}"),
        ("RTP/SAVPF", f"a=fingerprint:sha-256 {':'.join(['4A'] * 32)}\r\na=setup:ROLE"),
        ("UDP/TLS/RTP/SAVP", f"a=fingerprint:sha-256 {':'.join(['4A'] * 32)}\r\na=setup:ROLE"),
    ],
)
@pytest.mark.parametrize("is_multiplexed", [False, True])
def test_handshakes_and_packets_pass_whose_keys_an_rtpengine_cannot_know(
    stage: Stage, transport: str, keys: str, is_multiplexed: bool
) -> None:
    def secured(party: RtpPeer, role: str) -> str:
        lines = (keys.replace("ROLE", role), *(["a=rtcp-mux"] if is_multiplexed else []))
        return session_of(party, *lines[::-1]).replace("RTP/AVP", transport)

    caller, callee = RtpPeer(CUSTOMERS["hasty"], ssrc=1), RtpPeer(VENDORS["carrier-a"].host, ssrc=2)
    with closing(caller), closing(callee), Peer(stage.endpoint_of("hasty")) as one, Peer(VENDORS["carrier-a"]) as other:
        call = OutgoingCall(one, stage.address, stage.number("441"))
        call.send(call.request("INVITE", body=secured(caller, "actpass")))
        incoming = other.expect("INVITE")
        chosen = secured(callee, "active").partition("a=crypto:2")[0]
        if "a=rtcp-mux" not in incoming.body:
            chosen = chosen.replace("a=rtcp-mux\r\n", "")
        other.reply(incoming, 200, tag=f"vendor-{call.call_id}", body=chosen)
        answer = call.answered()
        other.expect("ACK")
        of_caller, of_callee = place(answer), place(incoming)
        assert keys.splitlines()[0] in answer.body
        assert keys.splitlines()[0] in incoming.body
        is_for_both = is_multiplexed and "a=crypto:2" not in keys
        assert ("a=rtcp-mux" in incoming.body) is is_for_both
        if (
            is_for_both or not is_multiplexed
        ):  # else 26.3 asks the caller for two ports, as the callee does, 10.5.3 for one
            assert ("a=rtcp-mux" in answer.body) is is_multiplexed
        if "fingerprint" in keys:
            hello = bytes.fromhex("16fefd0000000000000000002f01") + bytes(46)
            for sender, port, listener in ((callee, of_callee, caller), (caller, of_caller, callee)):
                eventually(
                    lambda s=sender, p=port, t=listener: s.sock.sendto(hello, p) and t.has(1),
                    "the handshake reaches the other party",
                )
                assert set(listener.taken()) == {hello}
        for sender, port, listener in ((callee, of_callee, caller), (caller, of_caller, callee)):
            sent = sender.send(port, BURST)
            eventually(lambda t=listener, last=sent: t.has_last(last), "every packet comes")
            assert listener.taken()[-BURST:] == sent
        assert call.hang_up(2).status == 200
        other.reply(other.expect("BYE"), 200)
        stage.record_of(call.callee)
        stage.expect_nothing_left()


@pytest.mark.parametrize("keys", [UNREAD_SUITE, BY_DTLS])
def test_a_plain_party_that_is_held_hears_music_though_keys_were_offered_that_an_rtpengine_cannot_know(
    stage: Stage, keys: str
) -> None:
    caller, callee = RtpPeer(CUSTOMERS["hasty"], ssrc=1), RtpPeer(VENDORS["carrier-a"].host, ssrc=2)
    with closing(caller), closing(callee), Peer(stage.endpoint_of("hasty")) as one, Peer(VENDORS["carrier-a"]) as other:
        call = OutgoingCall(one, stage.address, stage.number("441"))
        call.send(call.request("INVITE", body=session_of(caller, keys)))
        incoming = other.expect("INVITE")
        other.reply(incoming, 200, tag="vendor", body=session_of(callee))
        of_caller = place(call.answered())
        other.expect("ACK")
        eventually(lambda: caller.send(of_caller, 2) and callee.has(1), "the callee hears the caller")
        eventually(lambda: callee.send(place(incoming), 2) and caller.has(1), "the caller hears the callee")
        hold = session_of(caller, keys, "a=sendonly", version=2)
        call.send(call.request("INVITE", cseq=2, branch="hold", body=hold))
        other.reply(other.expect("INVITE"), 200, body=session_of(callee, "a=recvonly", version=2))
        call.answered(cseq=2)
        other.expect("ACK")
        eventually(lambda: hears_the_tone(callee), "the side that is held hears music")
        assert call.hang_up(3).status == 200
        other.reply(other.expect("BYE"), 200)
        assert [each["to"] for each in stage.record_of(call.callee)["media"]["played"]] == ["callee"]
        stage.expect_nothing_left()


@pytest.mark.parametrize("unread", [UNREAD_SUITE, BY_DTLS])
def test_a_party_that_is_held_hears_music_encrypted_though_keys_were_offered_as_well_that_an_rtpengine_cannot_know(
    tmp_path: Path, engine: Rtpengine, unread: str
) -> None:
    with (
        switch(tmp_path, DOOMED_SWITCH, engine, websocket=DOOMED_WEBSOCKET) as stage,
        calling(stage, "hasty", "carrier-a", "441", (True, True), unread) as call,
    ):
        call.talk()
        call.change("a=sendonly", version=2)
        eventually(lambda: hears_the_tone(call.callee), "the side that is held hears music")
        call.change(unread, version=3)
        call.talk()
        stage.daemon.kill()
        call.talk()
        stage.daemon.start()
        call.change(unread, "a=sendonly", version=4)
        eventually(lambda: hears_the_tone(call.callee), "the side that is held hears music")
        call.change(version=5)
        call.talk()
        assert isinstance(call.callee, SecureRtpPeer)
        assert call.callee.undecipherable == 0
        assert encryption(call.hang_up(6)) == ["sdes", "sdes"]


@pytest.mark.parametrize("customer", ["acme", "narrow"])
def test_a_caller_that_leaves_the_choice_is_encrypted(stage: Stage, customer: str) -> None:
    with Peer(stage.endpoint_of(customer)) as one, Peer(VENDORS["carrier-a"]) as vendor:
        caller, callee = SecureRtpPeer(CUSTOMERS[customer], 1), RtpPeer(VENDORS["carrier-a"].host, ssrc=2)
        with closing(caller), closing(callee):
            call = OutgoingCall(one, stage.address, stage.number("441"))
            call.send(call.request("INVITE", body=session_of(caller) + in_plain(caller)))
            incoming = vendor.expect("INVITE")
            assert [line.split()[2] for line in incoming.body.splitlines() if line.startswith("m=")] == ["RTP/AVP"] * 2
            assert not crypto(incoming.body)
            vendor.reply(incoming, 200, tag=f"vendor-{call.call_id}", body=session_of(callee) + REFUSED)
            answer = call.answered()
            vendor.expect("ACK")
            assert "m=audio 0 RTP/AVP" in answer.body
            caller.takes(answer.body)
            for sender, port, listener in ((caller, place(answer), callee), (callee, place(incoming), caller)):
                eventually(
                    lambda s=sender, p=port, t=listener: s.send(p, 2) and t.has(1), "a party hears the other one"
                )
            assert call.hang_up(2).status == 200
            vendor.reply(vendor.expect("BYE"), 200)
            assert encryption(stage.record_of(call.callee)["media"]) == ["sdes", None]


@pytest.mark.parametrize(
    ("customer", "vendor", "prefix", "encrypts", "leaves_choice"),
    [
        ("acme", "carrier-a", "441", (True, False), False),
        ("acme", "carrier-b", "442", (True, True), False),
        ("acme", "carrier-b", "442", (True, True), True),
        ("poor", "carrier-b", "442", (False, True), True),
    ],
)
def test_an_encrypted_call_is_heard_again_by_another_rtpengine(
    tmp_path: Path,
    engine: Rtpengine,
    customer: str,
    vendor: str,
    prefix: str,
    encrypts: tuple[bool, bool],
    leaves_choice: bool,
) -> None:
    with (
        Rtpengine(tmp_path, "other", OTHER_ENGINE, (20_000, 20_199)) as other,
        switch(tmp_path, DOOMED_SWITCH, other, engine, websocket=DOOMED_WEBSOCKET) as stage,
        calling(stage, customer, vendor, prefix, encrypts) as call,
    ):
        call.talk()
        other.kill()
        told = call.agree_anew(leaves_choice=leaves_choice)
        assert tuple(bool(crypto(each)) for each in told) == encrypts
        assert call.of_caller[0] == call.of_callee[0] == ENGINE.host
        call.talk()
        assert encryption(call.hang_up()) == ["sdes" if each else None for each in encrypts]


def browser_call(stage: Stage, peer: WebSocketPeer, media: WebMedia, vendor: Peer, callee: RtpPeer) -> OutgoingCall:
    """Register a browser, and return its call with a vendor in which both hear each other."""
    phone = Telephone(peer, DOOMED_WEBSOCKET, Login("4700", "secret"))
    phone.register()
    phone.offer = media.described()
    call = phone.call(stage.number("441"))
    incoming = vendor.expect("INVITE")
    vendor.reply(incoming, 200, tag="vendor", body=described(callee))
    response = peer.final_response("2 INVITE", call.call_id)
    call.adopt(response)
    call.send(call.request("ACK", 2))
    vendor.expect("ACK")
    media.connect(response.body)
    hear_each_other(media, callee, place(incoming))
    return call


def test_a_browser_is_heard_again_by_another_rtpengine(tmp_path: Path, engine: Rtpengine, media: WebMedia) -> None:
    with (
        Rtpengine(tmp_path, "other", OTHER_ENGINE, (20_000, 20_199)) as other,
        switch(tmp_path, DOOMED_SWITCH, other, engine, websocket=DOOMED_WEBSOCKET) as stage,
        WebSocketPeer(Endpoint(f"{NETWORK}.61", 40_142)) as peer,
        Peer(VENDORS["carrier-a"]) as vendor,
    ):
        callee = RtpPeer(VENDORS["carrier-a"].host, ssrc=2)
        call = browser_call(stage, peer, media, vendor, callee)
        other.kill()
        asked = vendor.expect("INVITE", 30)
        assert not asked.body
        vendor.reply(asked, 200, body=session_of(callee, version=2))
        offer = peer.expect("INVITE")
        media.begin_anew()
        peer.reply(offer, 200, body=media.described("active", version=2))
        peer.expect("ACK")
        answer = vendor.expect("ACK")
        media.connect(offer.body)
        hear_each_other(media, callee, place(answer))
        call.send(call.request("BYE", 3))
        vendor.reply(vendor.expect("BYE"), 200)
        assert encryption(stage.record_of(call.callee)["media"]) == ["dtls", None]
        callee.close()


def test_a_browser_that_restarts_ice_in_a_network_of_the_other_family_is_heard_there(
    tmp_path: Path, media: WebMedia
) -> None:
    """The address in c= is of that family then; an rtpengine of both has candidates of both."""
    with (
        Rtpengine(tmp_path, "both", OTHER_ENGINE, (20_000, 20_199), also=("::1",)) as both,
        switch(tmp_path, DOOMED_SWITCH, both, websocket=DOOMED_WEBSOCKET) as stage,
        WebSocketPeer(Endpoint(f"{NETWORK}.61", 40_142)) as peer,
        Peer(VENDORS["carrier-a"]) as vendor,
    ):
        callee = RtpPeer(VENDORS["carrier-a"].host, ssrc=2)
        call = browser_call(stage, peer, media, vendor, callee)
        media.move("::1")
        call.send(call.request("INVITE", 3, body=media.described(version=2)))
        again = vendor.expect("INVITE")
        vendor.reply(again, 200, body=session_of(callee, version=2))
        response = peer.final_response("3 INVITE", call.call_id)
        assert response.status == 200
        call.send(call.request("ACK", 3))
        vendor.expect("ACK")
        media.connect(response.body)
        hear_each_other(media, callee, place(again))
        call.send(call.request("BYE", 4))
        vendor.reply(vendor.expect("BYE"), 200)
        assert encryption(stage.record_of(call.callee)["media"]) == ["dtls", None]
        callee.close()


def test_a_caller_whose_keys_passed_to_a_gateway_that_refused_is_heard_by_one_whose_encryption_ends_here(
    stage: Stage,
) -> None:
    caller, callee = (
        SecureRtpPeer(CUSTOMERS["hasty"], 1, suite=SHORT_TAGGED),
        SecureRtpPeer(VENDORS["carrier-b"].host, 2),
    )
    with closing(caller), closing(callee), Peer(stage.endpoint_of("hasty")) as one:
        call = OutgoingCall(one, stage.address, stage.number("444"))
        with Peer(VENDORS["carrier-a"]) as busy, Peer(VENDORS["carrier-b"]) as other:
            call.send(call.request("INVITE", body=caller.described(UNREAD_SUITE)))
            busy.reply(busy.expect("INVITE"), 503, tag="busy")
            busy.expect("ACK")
            incoming = other.expect("INVITE")
            callee.takes(incoming.body)
            other.reply(incoming, 200, tag="vendor", body=callee.described())
            answer = call.answered()
            other.expect("ACK")
            caller.takes(answer.body)
            for sender, port, listener in ((callee, place(incoming), caller), (caller, place(answer), callee)):
                eventually(lambda s=sender, p=port, t=listener: s.send(p, 2) and t.has(1), "one hears the other")
            assert call.hang_up(2).status == 200
            other.reply(other.expect("BYE"), 200)
        assert encryption(stage.record_of(call.callee)["media"]) == ["sdes", "sdes"]
        stage.expect_nothing_left()


def test_a_caller_whose_keys_passed_to_a_gateway_that_refused_is_heard_by_one_with_ice(
    stage: Stage, media: WebMedia
) -> None:
    caller = RtpPeer(CUSTOMERS["hasty"], ssrc=1)
    with closing(caller), Peer(stage.endpoint_of("hasty")) as one:
        call = OutgoingCall(one, stage.address, stage.number("445"))
        with Peer(VENDORS["carrier-a"]) as busy, Peer(VENDORS["carrier-c"]) as other:
            call.send(call.request("INVITE", body=session_of(caller, UNREAD_SUITE)))
            busy.reply(busy.expect("INVITE"), 503, tag="busy")
            busy.expect("ACK")
            incoming = other.expect("INVITE")
            other.reply(incoming, 200, tag="vendor", body=media.described("active"))
            answer = call.answered()
            other.expect("ACK")
            media.connect(incoming.body)
            hear_each_other(media, caller, place(answer))
            assert call.hang_up(2).status == 200
            other.reply(other.expect("BYE"), 200)
        assert encryption(stage.record_of(call.callee)["media"]) == [None, "dtls"]
        stage.expect_nothing_left()


def test_a_party_that_is_asked_for_its_offer_while_it_is_transferred_hears_the_transferor(stage: Stage) -> None:
    """The answer to it has the tag that the offer has, although the transferor is not sent that one (RFC 4568)."""
    with calling(stage, "poor", "carrier-b", "442", (False, True)) as call, Peer(VENDORS["carrier-a"]) as target:
        assert isinstance(call.callee, SecureRtpPeer)
        number = stage.number("441")
        refer_to = [f"Refer-To: <sip:{number}@{stage.address}>", "Refer-Sub: false"]
        call.call.send(call.call.request("REFER", 2, headers=refer_to))
        call.customer.expect(202)
        target.reply(target.expect("INVITE"), 488, tag="first")
        target.expect("ACK")
        asked = call.vendor.expect("INVITE")
        assert not asked.body
        call.callee.renew_key()
        call.callee.tag = 1
        call.vendor.reply(asked, 200, body=session_of(call.callee, version=2))
        call.of_callee = call.takes(call.callee, call.vendor.expect("ACK"))
        assert call.callee.tag == 1
        target.reply(target.expect("INVITE"), 180, tag="second")
        call.talk()
        assert call.call.hang_up(3).status == 200
        call.vendor.hang_up(call.incoming, f"vendor-{call.call.call_id}")
        target.reply(target.expect("CANCEL"), 200)
        stage.expect_nothing_left()


def test_parties_that_agree_later_on_a_suite_which_an_rtpengine_knows_hear_each_other_and_music(stage: Stage) -> None:
    with calling(stage, "hasty", "carrier-a", "441", (True, True), chosen=UNREAD_SUITE) as call:
        call.change(version=2)
        call.talk()
        call.change("a=sendonly", version=3)
        eventually(lambda: hears_the_tone(call.callee), "the side that is held hears music")
        assert encryption(call.hang_up(4)) == ["sdes", "sdes"]


def test_packets_by_keys_that_an_rtpengine_cannot_know_pass_until_others_are_agreed(stage: Stage) -> None:
    with calling(stage, "hasty", "carrier-a", "441", (True, True), chosen=UNREAD_SUITE) as call:

        def pass_as_they_are() -> None:
            """Let packets come that neither the rtpengine nor the callee can decrypt."""
            before, strange = call.callee.undecipherable, bytes.fromhex("800000010000000100000009") + bytes(180)
            for _ in range(BURST):
                call.caller.sock.sendto(strange, call.of_caller)
            eventually(lambda: call.callee.taken() is not None and call.callee.undecipherable == before + BURST, "all")

        assert isinstance(call.callee, SecureRtpPeer)
        eventually(lambda: call.caller.send(call.of_caller) and call.callee.has(1), "the way is open")
        pass_as_they_are()
        offer = session_of(call.caller, version=2)
        call.call.send(call.call.request("INVITE", cseq=2, branch="again2", body=offer))
        incoming = call.vendor.expect("INVITE")
        pass_as_they_are()
        call.vendor.reply(incoming, 488)
        call.vendor.expect("ACK")
        assert call.customer.final_response("2 INVITE", call.call.call_id).status == 488
        call.call.send(call.call.request("ACK", cseq=2, branch="again2"))
        pass_as_they_are()
        call.change(version=3)
        call.talk()
        assert encryption(call.hang_up(4)) == ["sdes", "sdes"]


@pytest.mark.parametrize(
    ("customer", "encrypts", "lines"),
    [("acme", (True, False), ()), ("hasty", (True, True), ()), ("hasty", (True, True), (UNREAD_SUITE,))],
)
def test_a_caller_is_warned_of_the_end_encrypted_as_its_media_are(
    tmp_path: Path, engine: Rtpengine, customer: str, encrypts: tuple[bool, bool], lines: tuple[str, ...]
) -> None:
    with (
        switch(tmp_path, DOOMED_SWITCH, engine, websocket=DOOMED_WEBSOCKET, of_callers=WARNS) as stage,
        calling(stage, customer, "carrier-a", "441", encrypts, *lines) as call,
    ):
        call.talk()

        def beeps() -> int:
            call.callee.send(call.of_callee)
            call.caller.taken()
            return beeps_in(call.caller.all_received)

        eventually(lambda: beeps() >= 28, "the caller hears the tone")
        eventually(lambda: beeps() and streams_of(call.caller.all_received[-1:]) == {2}, "the callee is heard again")
        call.talk()
        if isinstance(call.caller, SecureRtpPeer):
            assert call.caller.undecipherable == 0
        assert call.hang_up()["played"] == BEEPS


def test_a_browser_is_warned_of_the_end(tmp_path: Path, engine: Rtpengine, media: WebMedia) -> None:
    with (
        switch(tmp_path, DOOMED_SWITCH, engine, websocket=DOOMED_WEBSOCKET, of_callers=WARNS) as stage,
        WebSocketPeer(Endpoint(f"{NETWORK}.61", 40_142)) as peer,
        Peer(VENDORS["carrier-a"]) as vendor,
    ):
        browser = Telephone(peer, DOOMED_WEBSOCKET, Login("4700", "secret"))
        browser.register()
        browser.offer = media.described()
        callee = RtpPeer(VENDORS["carrier-a"].host, ssrc=2)
        call = browser.call(stage.number("441"))
        incoming = vendor.expect("INVITE")
        vendor.reply(incoming, 200, tag="vendor", body=described(callee))
        response = browser.peer.final_response("2 INVITE", call.call_id)
        call.adopt(response)
        call.send(call.request("ACK", 2))
        vendor.expect("ACK")
        media.connect(response.body)
        hear_each_other(media, callee, place(incoming))
        heard: list[bytes] = []

        def beeps() -> int:
            callee.send(place(incoming))
            heard.extend(media.taken())
            return beeps_in(heard)

        eventually(lambda: beeps() >= 28, "the browser hears the tone")
        eventually(lambda: beeps() and streams_of(heard[-1:]) == {2}, "the callee is heard again")
        hear_each_other(media, callee, place(incoming))
        call.send(call.request("BYE", 3))
        vendor.reply(vendor.expect("BYE"), 200)
        browser.peer.final_response("3 BYE", call.call_id)
        assert stage.record_of(call.callee)["media"]["played"] == BEEPS
        callee.close()
