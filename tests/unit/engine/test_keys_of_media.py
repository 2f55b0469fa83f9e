"""Keys of relayed calls: from telephone events to INFO and tones, and back."""

import pytest
from doubles.data.builders import account, catalogue, mapping_gateway
from doubles.keypad_scene import KEYS as TRANSFERS, TARGET
from doubles.sockets.peer import ANSWER, OFFER
from doubles.virtual.customer import SUPPORTS_100REL, Intent
from doubles.virtual.relay import VirtualRelay
from doubles.virtual.scene import CALLEE, CUSTOMER, Scene, vendor_gateway
from doubles.virtual.side import SILENCE, Reply
from doubles.virtual.vendor import Line, Script
from structlog.testing import capture_logs

from vosd.b2bua.information import KEYS_WAITING
from vosd.engine.calls import media_events
from vosd.media.keys import REPEATED_MS
from vosd.sdp.media import media_of, with_events
from vosd.trunks.dialect import CallerDialect
from vosd.trunks.media import KeyWay, MediaEngine, MediaMode, MediaParameters, MediaSettings

PLAIN = ANSWER.replace("RTP/AVP 0 101", "RTP/AVP 0").replace("a=rtpmap:101 telephone-event/8000\r\n", "")


class KeyScene:
    """A relayed call whose customer and vendor have their own ways of keys."""

    def __init__(
        self,
        caller: KeyWay,
        vendor: KeyWay,
        *,
        mode: MediaMode = MediaMode.ON,
        offer: str = OFFER,
        answer: str = ANSWER,
        early_ms: int = 0,
        intent: Intent | None = None,
    ) -> None:
        """``early_ms`` = time for which the vendor speaks before it answers."""
        self.relay = VirtualRelay()
        trunks = [
            mapping_gateway(
                "acme", f"{CUSTOMER.host}/32", media=MediaSettings(dtmf=caller),
                dialect=CallerDialect(transfer_keys=TRANSFERS),
            ),
            vendor_gateway(0, media=MediaSettings(dtmf=vendor)),
        ]  # fmt: skip
        parameters = MediaParameters(engine=MediaEngine.RELAY, mode=mode)
        self.scene = Scene(catalogue(trunks, media=parameters), relay=self.relay)
        early = (Line(0, 183, answer),) if early_ms else ()
        self.scene.vendor.script = Script((*early, Line(early_ms, 200, answer)))
        self.call = self.scene.caller.call(CALLEE, intent or Intent(offer))
        if not early_ms:
            self.scene.wire.run_until(lambda: self.call.final == 200)
        self.scene.wire.run_for(1_000)
        self.there = self.scene.vendor.calls[0]
        told = self.call.theirs or self.call.responses[-1].body
        self.of_caller, self.of_callee = (
            (self.at(told), self.at(self.there.theirs)) if self.relay.open_ports else (None, None)
        )

    def at(self, session: str):
        return self.relay.at(media_of(session.encode())[0].port)

    def event(self, port, key: str, ms: int = 100) -> None:
        """Let a key come as a telephone event."""
        exchange = self.scene.exchange
        exchange.switch.media_events.key_pressed(port.port.id, key, ms, exchange.clock.now())
        exchange.flush()

    def info(self, side, key: str) -> None:
        side.ask("INFO", body=f"Signal={key}\r\nDuration=120\r\n", kind="application/dtmf-relay")

    def infos(self, side) -> list[str]:
        self.scene.wire.run_for(500)
        return [info.body for info in side.asked["INFO"]]

    def finish(self) -> None:
        self.scene.finish(self.call)
        assert self.relay.open_ports == {}


KEY = "crypto:1 AES_CM_128_HMAC_SHA1_80 inline:" + "A" * 40 + "\r\n"
CHOICE = f"a=tcap:1 RTP/SAVP\r\na=acap:1 {KEY}a=pcfg:1 t=1 a=1\r\n"
SEALED_ANSWER = f"{ANSWER.replace('RTP/AVP', 'RTP/SAVP')}a={KEY}"


@pytest.mark.parametrize(
    ("offer", "answer"),
    [
        (f"{OFFER}a={KEY}", f"{ANSWER}a={KEY}"),
        (f"{OFFER.replace('RTP/AVP', 'RTP/SAVP')}a={KEY}", SEALED_ANSWER),
        (OFFER + CHOICE, f"{SEALED_ANSWER}a=acfg:1 t=1 a=1\r\n"),
    ],
    ids=["beside RTP/AVP", "RTP/SAVP", "the choice of RFC 5939"],
)
def test_nothing_is_converted_in_media_that_the_parties_encrypt(offer, answer):
    keys = KeyScene(KeyWay.INFO, KeyWay.EVENTS, offer=offer, answer=answer)
    assert keys.of_caller.keys == keys.of_callee.keys == (False, False)
    keys.info(keys.call, "5")
    assert keys.infos(keys.there) == ["Signal=5\r\nDuration=120\r\n"]
    assert keys.of_callee.sent_keys == []
    keys.finish()


def test_keys_are_converted_where_the_choice_to_encrypt_is_not_taken():
    keys = KeyScene(KeyWay.AUTO, KeyWay.INFO, offer=OFFER + CHOICE, answer=PLAIN)
    assert keys.of_caller.keys == (True, True)
    assert "a=pcfg:1" in keys.there.theirs
    keys.finish()


def test_nothing_is_converted_where_no_trunk_says_so():
    keys = KeyScene(KeyWay.AUTO, KeyWay.AUTO)
    assert keys.of_callee.keys == (False, False)
    keys.info(keys.call, "5")
    assert keys.infos(keys.there) == ["Signal=5\r\nDuration=120\r\n"]
    assert keys.of_callee.sent_keys == []
    keys.finish()


def test_an_event_becomes_an_info_and_leaves_the_media():
    keys = KeyScene(KeyWay.AUTO, KeyWay.INFO, answer=PLAIN)
    assert keys.of_caller.keys == (True, True)
    keys.event(keys.of_caller, "7", 240)
    assert keys.infos(keys.there) == ["Signal=7\r\nDuration=240\r\n"]
    keys.finish()


def test_a_flash_becomes_an_info_and_the_side_that_sends_events_is_told_that_it_may():
    keys = KeyScene(KeyWay.AUTO, KeyWay.INFO, answer=PLAIN)
    assert "a=fmtp:101 0-16\r\n" in keys.call.theirs
    keys.event(keys.of_caller, "!", 300)
    assert keys.infos(keys.there) == ["Signal=16\r\nDuration=300\r\n"]
    keys.finish()


@pytest.mark.parametrize("written", ["16", "!"])
@pytest.mark.parametrize(
    ("way", "events", "is_sent"),
    [
        (KeyWay.EVENTS, "a=fmtp:101 0-16\r\n", True),
        (KeyWay.EVENTS, "a=fmtp:101 0-11,16\r\n", True),
        (KeyWay.EVENTS, "a=fmtp:101 0-15\r\n", False),
        (KeyWay.EVENTS, "", False),
        (KeyWay.TONES, "a=fmtp:101 0-16\r\n", False),
    ],
)
def test_an_info_with_a_flash_goes_into_media_of_a_side_that_names_it_and_passes_to_others(
    way, events, is_sent, written
):
    keys = KeyScene(KeyWay.INFO, way, answer=ANSWER + events)
    keys.info(keys.call, written)
    assert keys.infos(keys.there) == ([] if is_sent else [f"Signal={written}\r\nDuration=120\r\n"])
    assert keys.of_callee.sent_keys == ([("!", 120, False)] if is_sent else [])
    assert keys.call.got["INFO"] == [200]
    keys.finish()


def test_a_flash_is_no_key_of_a_transfer():
    keys = KeyScene(KeyWay.AUTO, KeyWay.INFO)
    for key in "*!1":
        keys.event(keys.of_caller, key)
    keys.scene.wire.run_for(500)
    keys.event(keys.of_caller, "!")
    assert keys.infos(keys.there)[-1].startswith("Signal=16\r\n")
    keys.scene.wire.run_for(10_000)
    keys.finish()


def test_the_side_that_sends_events_is_told_that_it_may():
    keys = KeyScene(KeyWay.AUTO, KeyWay.INFO, answer=PLAIN)
    assert "telephone-event" in media_of(keys.call.theirs.encode())[0].codecs
    assert 101 in keys.of_caller.source.payloads
    keys.finish()


def test_an_info_becomes_an_event_with_its_duration():
    keys = KeyScene(KeyWay.INFO, KeyWay.EVENTS)
    keys.info(keys.call, "#")
    assert keys.infos(keys.there) == []
    assert keys.of_callee.sent_keys == [("#", 120, False)]
    assert keys.call.got["INFO"] == [200]
    keys.finish()


@pytest.mark.parametrize("offer", [OFFER, PLAIN.replace("192.0.2.20", "192.0.2.10")])
def test_a_side_without_events_gets_the_info(offer):
    """It is not sent events because the other side takes them."""
    keys = KeyScene(KeyWay.AUTO, KeyWay.EVENTS, offer=offer, answer=PLAIN)
    keys.info(keys.call, "1")
    assert keys.infos(keys.there) == ["Signal=1\r\nDuration=120\r\n"]
    assert keys.of_callee.sent_keys == []
    keys.finish()


def in_g729(session: str) -> str:
    return session.replace("AVP 0", "AVP 18").replace("a=rtpmap:0 PCMU", "a=rtpmap:18 G729")


@pytest.mark.parametrize("offer", [in_g729(OFFER), OFFER.replace("AVP 0", "AVP 0 18")])
def test_events_pass_where_the_call_has_no_codec_for_tones(offer):
    keys = KeyScene(KeyWay.AUTO, KeyWay.TONES, offer=offer, answer=in_g729(ANSWER))
    assert keys.of_caller.keys == (True, False), "the caller may transfer the call by them"
    assert keys.of_callee.keys == (False, False)
    keys.info(keys.call, "4")
    assert keys.infos(keys.there) == ["Signal=4\r\nDuration=120\r\n"]
    keys.event(keys.of_caller, "5")
    assert keys.of_callee.sent_keys == []
    keys.finish()


def test_an_event_that_has_passed_is_no_tone_as_well_where_only_one_side_has_a_codec_for_tones():
    keys = KeyScene(KeyWay.AUTO, KeyWay.TONES, offer=in_g729(OFFER), answer=in_g729(ANSWER))
    keys.there.mine = ANSWER.replace("o=- 1 1", "o=- 1 2").replace("AVP 0", "AVP 0 18")
    keys.there.propose()
    keys.scene.wire.run_for(1_000)
    assert keys.of_callee.source.payloads == (0, 18, 101)
    assert keys.of_caller.keys == (True, False)
    keys.event(keys.of_caller, "7")
    assert keys.of_callee.sent_keys == []
    keys.finish()


def test_a_side_without_a_codec_for_tones_does_not_ask_for_events_to_be_made_tones():
    keys = KeyScene(KeyWay.AUTO, KeyWay.TONES, offer=OFFER.replace("AVP 0", "AVP 0 18"), answer=in_g729(PLAIN))
    assert "telephone-event" not in media_of(keys.call.theirs.encode())[0].codecs
    keys.finish()


def test_events_are_taken_again_once_a_call_has_a_codec_for_tones():
    keys = KeyScene(KeyWay.AUTO, KeyWay.TONES, offer=OFFER.replace("AVP 0", "AVP 0 18"), answer=in_g729(ANSWER))
    keys.there.mine = ANSWER.replace("o=- 1 1", "o=- 1 2")
    keys.there.propose()
    keys.scene.wire.run_for(1_000)
    assert keys.of_caller.keys == (True, True)
    keys.finish()


@pytest.mark.parametrize("way", [KeyWay.INFO, KeyWay.TONES])
def test_keys_for_an_announcement_before_the_answer_go_by_the_way_of_its_vendor(way):
    keys = KeyScene(KeyWay.AUTO, way, early_ms=5_000)
    for key in "*1":
        keys.event(keys.of_caller, key)
    assert [body[:8] for body in keys.infos(keys.there)] == (["Signal=*", "Signal=1"] if way is KeyWay.INFO else [])
    assert keys.of_callee.sent_keys == ([] if way is KeyWay.INFO else [("*", 100, True), ("1", 100, True)])
    keys.scene.wire.run_until(lambda: keys.call.final == 200)
    keys.scene.wire.run_for(1_000)
    keys.event(keys.of_caller, "2")
    keys.scene.wire.run_for(500)
    assert len(keys.there.asked["INFO"]) + len(keys.of_callee.sent_keys) == 3
    keys.finish()


@pytest.mark.parametrize("way", [KeyWay.INFO, KeyWay.TONES])
def test_keys_while_the_200_waits_for_a_prack_are_sent_in_their_order(way):
    """Media pass already: the caller has its answer in the reliable response."""
    intent = Intent(headers=SUPPORTS_100REL, pracks=False)
    keys = KeyScene(KeyWay.AUTO, way, early_ms=500, intent=intent)
    assert (len(keys.there.acks), keys.call.final) == (1, None)
    for key in "12":
        keys.event(keys.of_caller, key)
    sent = [body[7] for body in keys.infos(keys.there)] or [key for key, *_ in keys.of_callee.sent_keys]
    assert sent == ["1", "2"]
    reliable = keys.call.response(183)
    keys.call.remote, keys.call.target = reliable["To"], reliable.target
    keys.call.ask("PRACK", headers=(f"RAck: {reliable['RSeq']} {reliable['CSeq']}",))
    keys.scene.wire.run_until(lambda: keys.call.final == 200)
    keys.finish()


@pytest.mark.parametrize("by", ["event", "info"])
def test_keys_become_tones(by):
    keys = KeyScene(KeyWay.AUTO, KeyWay.TONES)
    if by == "event":
        keys.event(keys.of_caller, "4", 120)
    else:
        keys.info(keys.call, "4")
    assert keys.infos(keys.there) == []
    assert keys.of_callee.sent_keys == [("4", 120, True)]
    keys.finish()


@pytest.mark.parametrize(
    ("caller", "vendor", "answer", "keys", "reads_tones"),
    [
        (KeyWay.TONES, KeyWay.INFO, PLAIN, (True, True), True),
        (KeyWay.TONES, KeyWay.EVENTS, ANSWER, (True, True), True),
        (KeyWay.TONES, KeyWay.EVENTS, PLAIN, (True, False), True),  # they may transfer the call
        (KeyWay.TONES, KeyWay.TONES, ANSWER, (True, True), True),
        (KeyWay.TONES, KeyWay.AUTO, ANSWER, (True, False), True),
        (KeyWay.AUTO, KeyWay.INFO, ANSWER, (True, True), False),
    ],
)
def test_tones_of_a_side_whose_way_they_are_are_read_where_that_matters(caller, vendor, answer, keys, reads_tones):
    scene = KeyScene(caller, vendor, answer=answer)
    assert (scene.of_caller.keys, scene.of_caller.reads_tones) == (keys, reads_tones)
    scene.finish()


def test_tones_of_a_vendor_are_not_read_where_they_go_on_as_audio():
    for caller in (KeyWay.AUTO, KeyWay.TONES):
        scene = KeyScene(caller, KeyWay.TONES)
        assert not scene.of_callee.reads_tones
        scene.finish()


def test_a_tone_becomes_an_event():
    keys = KeyScene(KeyWay.TONES, KeyWay.EVENTS)
    keys.event(keys.of_caller, "8", 100)
    assert keys.of_callee.sent_keys == [("8", 100, False)]
    assert keys.infos(keys.there) == []
    keys.finish()


def test_the_callee_is_converted_as_well():
    keys = KeyScene(KeyWay.INFO, KeyWay.EVENTS)
    keys.event(keys.of_callee, "9")
    assert keys.infos(keys.call) == ["Signal=9\r\nDuration=100\r\n"]
    keys.finish()


@pytest.mark.parametrize(("way", "after_ms", "sent"), [
    (KeyWay.EVENTS, 0, 0), (KeyWay.EVENTS, REPEATED_MS - 50, 0), (KeyWay.EVENTS, REPEATED_MS + 50, 1),
])  # fmt: skip
def test_a_key_by_two_ways_counts_once(way, after_ms, sent):
    keys = KeyScene(KeyWay.AUTO, way)
    keys.event(keys.of_caller, "5")
    keys.scene.wire.run_for(after_ms)
    keys.info(keys.call, "5")
    keys.scene.wire.run_for(300)
    assert len(keys.of_callee.sent_keys) == sent
    assert keys.call.got["INFO"] == [200]
    keys.finish()


@pytest.mark.parametrize("way", [KeyWay.INFO, KeyWay.EVENTS])
@pytest.mark.parametrize("held_ms", [100, 250, 2_000])
def test_a_key_whose_info_comes_when_it_is_pressed_counts_once_however_long_it_is_held(way, held_ms):
    """Events are reported at their end."""
    keys = KeyScene(KeyWay.AUTO, way)
    for _ in range(2):
        keys.info(keys.call, "5")
        keys.scene.wire.run_for(held_ms)
        keys.event(keys.of_caller, "5", held_ms)
        keys.scene.wire.run_for(300)
    assert len(keys.infos(keys.there)) + len(keys.of_callee.sent_keys) == 2
    keys.finish()


def test_a_key_by_two_ways_is_one_info():
    keys = KeyScene(KeyWay.AUTO, KeyWay.INFO)
    keys.info(keys.call, "5")
    keys.event(keys.of_caller, "5")
    keys.event(keys.of_caller, "5")
    assert [body[:8] for body in keys.infos(keys.there)] == ["Signal=5", "Signal=5"]
    keys.finish()


def test_keys_are_sent_one_after_the_other_and_only_so_many_wait():
    keys = KeyScene(KeyWay.AUTO, KeyWay.INFO)
    keys.there.will("INFO", Reply(200, after_ms=100), *[Reply(200)] * 40)
    for number in range(KEYS_WAITING + 5):
        keys.event(keys.of_caller, "0123456789"[number % 10])
    assert len(keys.there.asked["INFO"]) <= 1
    keys.scene.wire.run_for(5_000)
    got = "".join(body[7] for body in keys.infos(keys.there))
    assert got == ("0123456789" * 4)[: KEYS_WAITING + 1]
    keys.finish()


def test_keys_in_media_beyond_the_limit_of_their_account_are_lost_and_those_of_others_are_not(monkeypatch):
    monkeypatch.setattr(media_events, "KEYS_PER_S", 1)
    monkeypatch.setattr(media_events, "KEYS_AT_ONCE", 3)
    keys = KeyScene(KeyWay.AUTO, KeyWay.INFO, answer=PLAIN)
    with capture_logs() as log:
        for key in "12345":
            keys.event(keys.of_caller, key)
    assert [body[7] for body in keys.infos(keys.there)] == ["1", "2", "3"]
    assert [(each["event"], each["account"]) for each in log] == [("keys_over_limit", "acme")]
    keys.scene.exchange.switch.calls()[0].call_request.account = account("other")
    keys.event(keys.of_caller, "6")
    keys.scene.exchange.switch.calls()[0].call_request.account = account("acme")
    keys.scene.wire.run_for(1_000)
    keys.event(keys.of_caller, "7")
    assert [body[7] for body in keys.infos(keys.there)] == ["1", "2", "3", "6", "7"]
    keys.finish()


def test_a_side_that_answers_no_info_ends_no_call():
    keys = KeyScene(KeyWay.AUTO, KeyWay.INFO)
    keys.there.will("INFO", SILENCE, Reply(415))
    keys.event(keys.of_caller, "1")
    keys.event(keys.of_caller, "2")
    keys.scene.wire.run_for(40_000)
    assert [body[7] for body in keys.infos(keys.there)][-1] == "2"
    keys.finish()


@pytest.mark.parametrize("reply", [SILENCE, Reply(200, after_ms=700)])
@pytest.mark.parametrize("is_vendor", [False, True])
def test_keys_that_wait_when_their_call_ends_are_sent_no_more(reply, is_vendor):
    keys = KeyScene(KeyWay.AUTO, KeyWay.INFO)
    keys.there.will("INFO", reply)
    keys.event(keys.of_caller, "1")
    keys.event(keys.of_caller, "2")
    keys.scene.wire.run_for(100)
    (keys.there if is_vendor else keys.call).hang_up()
    keys.scene.wire.run_for(40_000)
    assert [body[7] for body in keys.infos(keys.there)] == ["1"]
    keys.finish()


def test_a_call_that_is_not_relayed_keeps_its_keys():
    keys = KeyScene(KeyWay.INFO, KeyWay.EVENTS, mode=MediaMode.OFF)
    keys.info(keys.call, "3")
    assert keys.infos(keys.there) == ["Signal=3\r\nDuration=120\r\n"]
    keys.finish()


def test_keys_in_the_media_transfer_a_call():
    keys = KeyScene(KeyWay.AUTO, KeyWay.AUTO)
    assert keys.of_caller.keys == (True, False)
    for key in f"*1{TARGET}#":
        keys.event(keys.of_caller, key)
        keys.scene.wire.run_for(300)
    keys.scene.wire.run_for(3_000)
    party, target = keys.scene.vendor.calls
    assert target.invite.start_line.startswith(f"INVITE sip:{TARGET}@")
    assert keys.call.is_over
    assert party.asked["INFO"] == []
    target.hang_up()
    keys.scene.wire.run_for(40_000)
    assert keys.relay.open_ports == {}


@pytest.mark.parametrize("is_info_first", [True, False])
def test_keys_that_a_telephone_sends_by_both_ways_dial_the_target_of_a_transfer_once(is_info_first):
    keys = KeyScene(KeyWay.AUTO, KeyWay.AUTO)
    for key in f"*1{TARGET}#":
        if is_info_first:
            keys.info(keys.call, key)
            keys.scene.wire.run_for(100)
        keys.event(keys.of_caller, key)
        if not is_info_first:
            keys.scene.wire.run_for(100)
            keys.info(keys.call, key)
        keys.scene.wire.run_for(200)
    keys.scene.wire.run_for(3_000)
    party, target = keys.scene.vendor.calls
    assert target.invite.start_line.startswith(f"INVITE sip:{TARGET}@")
    assert keys.call.got["INFO"][: len("*1" + TARGET)] == [200] * len("*1" + TARGET), "the last one may find no call"
    assert [info.body[7] for info in party.asked["INFO"]] == (["*"] if is_info_first else [])
    assert keys.call.is_over
    target.hang_up()
    keys.scene.wire.run_for(40_000)
    assert keys.relay.open_ports == {}


def test_keys_of_sides_that_a_transfer_has_joined_come_again_after_a_restart():
    keys = KeyScene(KeyWay.EVENTS, KeyWay.INFO)
    for key in "*1" + TARGET + "#":
        keys.event(keys.of_caller, key)
        keys.scene.wire.run_for(300)
    keys.scene.wire.run_for(3_000)
    party, target = keys.scene.vendor.calls
    assert keys.call.is_over
    exchange = keys.scene.exchange
    calls = exchange.new_media(exchange.node.endpoint.flows.listeners).calls
    for live in exchange.switch.calls():
        calls.resume(live.call, None)
    calls.all_resumed(exchange.clock.now())
    for side in (party, target):
        assert calls.keys.leg_at(keys.at(side.theirs).port.id) is not None
    target.hang_up()
    keys.scene.wire.run_for(40_000)


def test_a_key_of_a_call_that_is_over_is_ignored():
    keys = KeyScene(KeyWay.AUTO, KeyWay.INFO)
    port = keys.of_caller
    keys.finish()
    keys.event(port, "1")
    assert keys.there.asked["INFO"] == []


def test_a_call_that_does_not_go_on_after_all_leaves_no_keys():
    keys = KeyScene(KeyWay.AUTO, KeyWay.INFO)
    exchange, port = keys.scene.exchange, keys.of_caller.port.id
    (live,) = exchange.switch.services.running.all()
    calls = exchange.new_media(exchange.node.endpoint.flows.listeners).calls
    calls.resume(live.call, None)
    assert calls.keys.leg_at(port) is not None
    calls.leave(live.call)
    assert calls.keys.leg_at(port) is None
    keys.finish()


@pytest.mark.parametrize(
    ("session", "payload", "expected"),
    [
        (PLAIN, 97, PLAIN.replace("RTP/AVP 0", "RTP/AVP 0 97")
         + "a=rtpmap:97 telephone-event/8000\r\na=fmtp:97 0-15\r\n"),
        (PLAIN.rstrip(), None, PLAIN.replace("RTP/AVP 0", "RTP/AVP 0 101").rstrip()
         + "\r\na=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\n"),
        (OFFER, None, OFFER),
        (PLAIN.replace("RTP/AVP 0", "RTP/AVP 0 101"), 101, PLAIN.replace("RTP/AVP 0", "RTP/AVP 0 101 96")
         + "a=rtpmap:96 telephone-event/8000\r\na=fmtp:96 0-15\r\n"),
        (PLAIN.replace("m=audio 30000", "m=audio 0"), None, PLAIN.replace("m=audio 30000", "m=audio 0")),
        ("v=0\r\nm=image 5 udptl t38\r\n", None, "v=0\r\nm=image 5 udptl t38\r\n"),
    ],
)  # fmt: skip
def test_telephone_events_are_added_to_a_description(session, payload, expected):
    assert with_events(session.encode(), payload).decode() == expected
