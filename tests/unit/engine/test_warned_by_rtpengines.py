"""Warnings of the end of a call by an rtpengine, which plays the tone while the other side is blocked."""

import json
from decimal import Decimal

import pytest
from doubles.data.builders import account, applied_rate, catalogue, mapping_gateway, phone, rate_group, rating_policy
from doubles.data.sessions import revised
from doubles.desk_scene import DESK, MATE, called, registered
from doubles.keypad_scene import KEYS as TRANSFER_KEYS, press
from doubles.killed import KilledScene
from doubles.sockets.peer import ANSWER, OFFER
from doubles.virtual.customer import Intent
from doubles.virtual.pooled_rtpengines import PooledRtpEngines
from doubles.virtual.rtpengines import VirtualRtpEngines
from doubles.virtual.scene import CALLEE, CUSTOMER, Scene, vendor_gateway
from doubles.virtual.vendor import Line, Script, answers

from vosd.media.rtpengine_orders import RtpPlay, RtpPlayContent
from vosd.media.sounds import READY_MADE, Sound, encoded_frames
from vosd.media.warning_tone import BEEPS, TONE_MS, beep_file
from vosd.rtpengine.pool import DELETES_AT_ONCE
from vosd.trunks.dialect import CallerDialect
from vosd.trunks.media import MediaEngine, MediaMode, MediaParameters, MediaSettings, MediaWatch

UNWATCHED = MediaSettings(watch=MediaWatch.OFF)
SOUNDS = {
    "soon": Sound("soon", {"g729": encoded_frames(bytes(500), READY_MADE["g729"])}, "/srv/soon.wav"),
    "music": Sound("music", {}, "/srv/music.wav"),
}
BEEPING = (beep_file(), BEEPS)
PLAYED = [{"to": "caller", "sound": "end_warning", "codec": "PCMU", "ms": TONE_MS}]
KEYS = "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz\r\n"
SAVP = OFFER.replace("RTP/AVP", "RTP/SAVP") + KEYS
DTLS = (
    OFFER.replace("RTP/AVP", "UDP/TLS/RTP/SAVP") + "a=setup:actpass\r\na=fingerprint:sha-256 " + 31 * "AB:" + "CD\r\n"
)
UNKNOWN = OFFER.replace("RTP/AVP", "RTP/SAVP") + f"a=crypto:1 AEAD_AES_256_GCM_8 inline:{59 * 'A'}=\r\n"


class Warned:
    """A call of a minute at an rtpengine, whose caller is to be warned 30 s before its end."""

    def __init__(self, engines=None, *, kind=Scene, sound="", offer=OFFER, answer="", balance="0.60", **terms) -> None:
        self.engines = engines or VirtualRtpEngines()
        sell = rate_group("sell", applied_rate("0.60", policy=rating_policy(hold_time_precision_ms=0)))
        dialect = CallerDialect(end_warning_ms=1_000 * terms.pop("seconds", 30))
        trunks = [
            mapping_gateway("acme", f"{CUSTOMER.host}/32", media=UNWATCHED, dialect=dialect),
            vendor_gateway(0, media=UNWATCHED),
        ]
        media = MediaParameters(
            engine=MediaEngine.RTPENGINE, mode=MediaMode.ON, end_warning_sound=sound, music_on_hold="music"
        )
        content = catalogue(trunks, media=media, accounts=[account("acme", **terms)], rate_groups=[sell], sounds=SOUNDS)
        self.scene = kind(content, balance=balance, rtpengines=self.engines)
        self.call = self.scene.caller.call(CALLEE, Intent(offer))
        self.scene.vendor.script = answers(body=answer or offer.replace("192.0.2.10", "192.0.2.20"))
        self.scene.wire.run_until(lambda: self.call.final == 200)
        self.answered_ms = self.now_ms

    @property
    def now_ms(self) -> int:
        return self.scene.exchange.clock.now().mono

    @property
    def vendors_call(self):
        return self.scene.vendor.only_call

    def at(self, second: float) -> list[tuple[str | bytes, int]]:
        """Go on until this second of the call; return what the rtpengines play."""
        while (left := self.answered_ms + int(1_000 * second) - self.now_ms) > 0:
            self.scene.wire.run_for(min(100, left))
            if not getattr(self.scene, "is_down", False):
                self.scene.exchange.poll_rtpengines()
        self.scene.wire.run_for(20)
        return list(self.engines.playing.values())

    @property
    def warnings(self) -> int:
        return sum(isinstance(each, RtpPlayContent) for each in self.engines.orders)

    def played(self):
        """Wait for the end; return what the record says that was played."""
        record = self.scene.end_of(self.call)
        assert (record.end_reason, record.hold_time_ms) == ("Balance Exhausted", 60_000)
        assert self.engines.calls == {}
        return json.loads(record.media)["played"]


@pytest.mark.parametrize("kind", [VirtualRtpEngines, PooledRtpEngines])
def test_the_caller_hears_the_tone_once_and_the_other_side_before_and_after(kind):
    warned = Warned(kind())
    assert (warned.at(29.9), warned.engines.blocked) == ([], set())
    ((content, _),) = warned.at(30.1)
    assert content == beep_file()
    ((engine, name, blocked),) = warned.engines.blocked
    ((played_in, hears),) = warned.engines.playing
    assert (engine, name) == ("one", played_in)
    assert int(hears) < int(blocked), "the leg of the caller is the older one"
    assert len(warned.at(30.85)) == 1
    assert (warned.at(31.2), warned.engines.blocked) == ([], set())
    assert (warned.at(59.9), warned.warnings) == ([], 1)
    assert warned.played() == PLAYED


def test_a_sound_of_the_installation_is_a_file_of_the_rtpengine():
    warned = Warned(sound="soon")
    assert warned.at(30.1) == [("/srv/soon.wav", 1)]
    assert (warned.at(31.2), warned.engines.blocked) == ([], set())
    assert warned.played() == [{"to": "caller", "sound": "soon", "codec": "PCMU", "ms": 500}]


def test_beeps_are_played_where_an_rtpengine_refuses_the_sound_of_the_installation(capsys):
    """The file is missing on the machine of the rtpengine, or of a kind that this does not read."""
    engines = VirtualRtpEngines()
    engines.missing.add("/srv/soon.wav")
    warned = Warned(engines, sound="soon")
    assert warned.at(30.1) == [BEEPING]
    assert len(engines.blocked) == 1
    assert (warned.at(31.2), engines.blocked, warned.warnings) == ([], set(), 1)
    assert capsys.readouterr().out.count("rtpengine_sound_refused") == 1
    assert warned.played() == PLAYED


def test_music_goes_on_behind_the_beeps_in_place_of_a_sound_that_is_refused():
    engines = VirtualRtpEngines()
    engines.missing.add("/srv/soon.wav")
    warned = Warned(engines, sound="soon")
    warned.scene.propose(warned.vendors_call, "a=sendonly")
    warned.at(29.9)
    assert warned.at(30.1) == [BEEPING]
    assert [file for file, _ in warned.at(31.2)] == ["/srv/music.wav"]
    assert [each["sound"] for each in warned.played()] == ["end_warning", "music"]


class NarrowRtpEngines(PooledRtpEngines):
    """Rtpengines whose socket has room for so many orders, and loses those beyond them."""

    room = 1_000_000

    def __init__(self) -> None:
        super().__init__()
        self._came_ms: list[int] = []

    def _sent(self, datagram: bytes, host: str, port: int) -> None:
        now_ms = self._now()
        self._came_ms = [each for each in self._came_ms if each > now_ms - self.after_ms]
        if len(self._came_ms) < self.room:
            self._came_ms.append(now_ms)
            super()._sent(datagram, host, port)


def test_all_are_warned_where_many_calls_end_at_the_same_time():
    """A real one let 135 of 400 hear it that were warned at once: its socket lost the orders for the others."""
    engines = NarrowRtpEngines()
    warned = Warned(engines, balance="1000", max_call_seconds=60)
    warned.scene.hang_up(warned.call)
    calls = [warned.scene.caller.call(CALLEE, Intent(OFFER)) for _ in range(120)]
    warned.scene.wire.run_until(lambda: all(call.final == 200 for call in calls))
    warned.answered_ms = warned.now_ms
    warned.at(29)
    engines.room = 2 * DELETES_AT_ONCE + 10
    assert [content for content, _ in warned.at(30.4)] == 120 * [beep_file()]
    assert (warned.at(32), engines.blocked) == ([], set())
    warned.scene.wire.run_until(lambda: not engines.calls)


@pytest.mark.parametrize("answer", ["refuses", "is silent"])
def test_an_rtpengine_that_plays_nothing_does_no_harm_and_the_log_says_so(answer, capsys):
    warned = Warned()
    warned.at(29)
    if answer == "refuses":
        warned.engines.cannot_play = True
    else:
        warned.engines.is_silent = True
    warned.at(31.5)
    warned.engines.is_silent = False
    assert (warned.at(40), warned.engines.blocked) == ([], set())
    assert capsys.readouterr().out.count("rtpengine_sound_refused") == 1
    assert warned.played() == []


def test_a_hold_within_the_tone_has_its_music_and_its_end_the_holder():
    warned = Warned()
    assert warned.at(30.1) == [BEEPING]
    warned.scene.propose(warned.vendors_call, "a=sendonly", wait_ms=100)
    assert [file for file, _ in warned.engines.playing.values()] == ["/srv/music.wav"]
    assert [file for file, _ in warned.at(35)] == ["/srv/music.wav"]
    assert len(warned.engines.blocked) == 1
    warned.scene.propose(warned.vendors_call)
    assert (warned.at(40), warned.engines.blocked) == ([], set())
    assert [each["sound"] for each in warned.played()] == ["end_warning", "music"]


def test_music_on_hold_begins_again_behind_the_tone():
    warned = Warned()
    warned.scene.propose(warned.vendors_call, "a=sendonly")
    assert [file for file, _ in warned.at(29.9)] == ["/srv/music.wav"]
    assert warned.at(30.1) == [BEEPING]
    assert [file for file, _ in warned.at(31.2)] == ["/srv/music.wav"]
    assert len(warned.engines.blocked) == 1
    warned.scene.propose(warned.vendors_call)
    assert (warned.engines.playing, warned.engines.blocked) == ({}, set())
    assert [each["sound"] for each in warned.played()] == ["end_warning", "music"]


def test_music_that_begins_again_blocks_no_holder_who_consults_meanwhile():
    """The target heard nothing of a telephone that had held the caller, and consulted it behind the tone."""
    terms = {"account": "office", "media": UNWATCHED, "dialect": CallerDialect(transfer_keys=TRANSFER_KEYS)}
    media = MediaParameters(engine=MediaEngine.RTPENGINE, mode=MediaMode.ON, music_on_hold="music")
    warned = CallerDialect(end_warning_ms=30_000)
    trunk = mapping_gateway("acme", f"{CUSTOMER.host}/32", media=UNWATCHED, dialect=warned, max_call_seconds=60)
    offices = [account("office", overdraft_limit=None)]
    phones = [phone(DESK, **terms), phone(MATE, **terms)]
    engines = VirtualRtpEngines()
    scene = Scene(
        catalogue([trunk, vendor_gateway(0)], phones=phones, accounts=offices, media=media, sounds=SOUNDS),
        rtpengines=engines,
    )
    desk, mate = registered(scene)
    mate.script = Script((Line(0, 180), Line(1_700, 200, ANSWER.replace("192.0.2.20", "192.0.2.30"))))
    call, at_desk = called(scene, desk)
    scene.propose(at_desk, "a=sendonly", wait_ms=27_000)
    (holder,) = (tag for *_, tag in engines.blocked)
    press(scene, at_desk, f"*2{MATE}#", 50)
    scene.wire.run_until(lambda: BEEPING in engines.playing.values())
    assert holder in {tag for *_, tag in engines.blocked}
    scene.wire.run_until(lambda: holder not in {tag for *_, tag in engines.blocked}, within_ms=TONE_MS - 200)
    assert list(engines.playing.values()) == [BEEPING], "the target has answered within the tone"
    for _ in range(20):
        scene.wire.run_for(100)
        scene.exchange.poll_rtpengines()
    assert [file for file, _ in engines.playing.values()] == ["/srv/music.wav"]
    assert holder not in {tag for *_, tag in engines.blocked}
    scene.hang_up(call, wait_ms=1_000)


def test_music_goes_on_where_the_tone_cannot_be_played():
    """An rtpengine that fails to play a content plays nothing any more (seen with 10.5.3)."""
    warned = Warned()
    warned.scene.propose(warned.vendors_call, "a=sendonly")
    warned.at(29.9)
    warned.engines.cannot_play = True
    warned.scene.wire.run_until(lambda: warned.warnings == 1)
    warned.engines.cannot_play = False
    assert [file for file, _ in warned.at(30.5)] == ["/srv/music.wav"]
    assert [each["sound"] for each in warned.played()] == ["music"]


def test_a_caller_that_holds_takes_no_media_and_is_played_nothing():
    warned = Warned()
    warned.scene.propose(warned.call, "a=sendonly")
    assert [file for file, _ in warned.at(31)] == ["/srv/music.wav"]
    assert warned.warnings == 0
    warned.scene.propose(warned.call)
    assert [each["sound"] for each in warned.played()] == ["music"]


@pytest.mark.parametrize("ends", ["kill", "stop_and_keep"])
@pytest.mark.parametrize("at_s", [20, 30.3, 35])
def test_the_next_process_warns_no_second_time_and_lets_the_other_side_pass(ends, at_s, tmp_path):
    warned = Warned(kind=lambda *a, **k: KilledScene(tmp_path, *a, **k))
    warned.at(at_s)
    if at_s == 30.3:
        assert len(warned.engines.blocked) == 1
    getattr(warned.scene, ends)(1_000)
    warned.at(45)
    assert warned.engines.blocked == set()
    assert warned.warnings == 1
    assert warned.played() == PLAYED


def test_the_next_process_plays_music_again_in_place_of_which_there_was_the_tone(tmp_path):
    """The side that was held heard nothing until the hold ended."""
    warned = Warned(kind=lambda *a, **k: KilledScene(tmp_path, *a, **k))
    warned.scene.propose(warned.vendors_call, "a=sendonly")
    assert warned.at(30.3) == [BEEPING]
    warned.scene.kill(1_000)
    assert [file for file, _ in warned.at(35)] == ["/srv/music.wav"]
    assert len(warned.engines.blocked) == 1
    warned.scene.propose(warned.vendors_call)
    assert (warned.engines.playing, warned.engines.blocked) == ({}, set())
    assert [each["sound"] for each in warned.played()] == ["end_warning", "music"]


def test_the_next_process_does_not_begin_music_again_of_a_side_that_was_not_warned(tmp_path):
    warned = Warned(kind=lambda *a, **k: KilledScene(tmp_path, *a, **k))
    warned.scene.propose(warned.vendors_call, "a=sendonly")
    warned.at(20)
    orders = sum(isinstance(each, RtpPlay) for each in warned.engines.orders)
    warned.scene.kill(1_000)
    assert [file for file, _ in warned.at(25)] == ["/srv/music.wav"]
    assert sum(isinstance(each, RtpPlay) for each in warned.engines.orders) == orders == 1


@pytest.mark.parametrize(("offer", "is_warned"), [(SAVP, True), (DTLS, False), (UNKNOWN, False)])
def test_a_caller_is_warned_as_its_media_are_encrypted_also_behind_a_version_that_did_not_note_it(
    tmp_path, offer, is_warned
):
    warned = Warned(kind=lambda *a, **k: KilledScene(tmp_path, *a, **k), offer=offer)
    warned.at(1)
    forget_which_keys_pass(warned.scene)
    warned.scene.stop_and_keep(1_000)
    assert bool(warned.at(30.1)) is is_warned
    warned.at(40)
    assert warned.played() == (PLAYED if is_warned else [])


def test_an_rtpengine_reads_keys_again_also_behind_a_version_that_did_not_note_it(tmp_path):
    """That version gave it offers of several suites as they were: their keys passed, whichever was chosen."""
    answer = SAVP.replace("192.0.2.10", "192.0.2.20")
    warned = Warned(kind=lambda *a, **k: KilledScene(tmp_path, *a, **k), offer=UNKNOWN + KEYS, answer=answer)
    warned.at(1)
    forget_which_keys_pass(warned.scene)
    warned.scene.stop_and_keep(1_000)
    warned.at(5)
    warned.call.mine = revised(SAVP)
    before = len(warned.engines.sessions)
    warned.scene.propose(warned.call)
    given = [("no-passthrough" in each.flags, each.sdp.count("a=crypto")) for each in warned.engines.sessions[before:]]
    assert given == [(False, 1), (True, 1), (True, 1), (False, 1)], "it forgets the keys of the first one that it reads"
    warned.scene.finish(warned.call)


def forget_which_keys_pass(scene):
    for each in scene.exchange.switch.calls():
        for leg in each.call.conversation.all_legs:
            leg.facts.media.passes_keys = None


def test_a_call_that_has_moved_to_another_rtpengine_is_warned_there():
    warned = Warned()
    warned.at(10)
    warned.engines.lose("one")
    warned.at(29.9)
    assert warned.at(30.1) == [BEEPING]
    assert [engine for engine, *_ in warned.engines.blocked] == ["two"]
    assert (warned.at(31.2), warned.engines.blocked) == ([], set())
    assert warned.played() == PLAYED


def test_an_rtpengine_that_is_lost_within_the_tone_leaves_no_one_blocked():
    warned = Warned()
    assert warned.at(30.1) == [BEEPING]
    warned.engines.lose("one")
    warned.engines.blocked.clear()
    warned.at(40)
    assert warned.engines.blocked == set()
    assert warned.engines.playing == {}
    assert warned.played() == PLAYED


def test_a_call_whose_rtpengines_are_all_lost_is_not_warned_and_no_one_counts_as_blocked():
    """One that counts so for ever would stay blocked where it is held back later, as by a transfer."""
    warned = Warned()
    warned.at(29)
    warned.engines.lose("one")
    warned.engines.lose("two")
    warned.at(32)
    legs = list(warned.scene.exchange.media.parts.legs.by_number)
    blocked = warned.scene.exchange.media.parts.rtpengines.blocked
    assert len(legs) == 2
    assert [blocked.listeners(number) for number in legs] == [(), ()]
    assert warned.warnings == 0


def test_a_call_that_ends_within_the_tone_is_forgotten():
    warned = Warned()
    assert warned.at(30.1) == [BEEPING]
    record = warned.scene.finish(warned.call)
    assert json.loads(record.media)["played"] == PLAYED
    orders = len(warned.engines.orders)
    for _ in range(20):
        warned.scene.poll_rtpengines()
    assert len(warned.engines.orders) == orders


def test_no_order_is_given_for_calls_without_the_key():
    warned = Warned(seconds=0)
    warned.at(59.9)
    assert not any(isinstance(each, RtpPlay | RtpPlayContent) for each in warned.engines.orders)
    assert warned.played() == []


@pytest.mark.parametrize(("offer", "is_warned"), [(SAVP, True), (DTLS, False), (UNKNOWN, False)])
def test_media_that_the_parties_encrypt_have_the_tone_where_an_rtpengine_knows_the_keys(offer, is_warned):
    warned = Warned(offer=offer)
    assert bool(warned.at(30.1)) is is_warned
    assert bool(warned.played()) is is_warned


def test_media_that_are_plain_though_the_caller_has_offered_keys_have_the_tone():
    warned = Warned(offer=UNKNOWN.replace("RTP/SAVP", "RTP/AVP"), answer=ANSWER)
    warned.at(59.9)
    assert warned.played() == PLAYED


def test_a_fax_has_no_tone():
    warned = Warned()
    for side in (warned.call, warned.vendors_call):
        side.mine = side.mine.split("m=")[0] + "m=image 20500 udptl t38\r\n"
    warned.scene.propose(warned.call)
    assert warned.at(31) == []
    assert warned.played() == []


def test_a_transfer_within_the_tone_leaves_no_one_blocked_who_talks():
    warned = Warned(balance="100", max_call_seconds=60)
    assert warned.at(30.1) == [BEEPING]
    warned.call.ask("REFER", headers=["Refer-To: <sip:442071111111@192.0.2.1>"])
    warned.at(33)
    assert warned.call.is_over
    ((engine, name),) = warned.engines.calls
    legs = [each.facts.media for each in warned.scene.exchange.media.parts.legs.by_number.values()]
    talking = {(engine, name, str(each.number)) for each in legs if each.rtp_call.name == name and not each.is_over}
    assert len(talking) == 2
    assert talking.isdisjoint(warned.engines.blocked)
    warned.scene.wire.run_until(lambda: not warned.engines.calls)


def test_a_fax_that_is_offered_within_the_tone_passes_behind_it():
    warned = Warned()
    assert warned.at(30.1) == [BEEPING]
    for side in (warned.call, warned.vendors_call):
        side.mine = side.mine.split("m=")[0] + "m=image 20500 udptl t38\r\n"
    warned.scene.propose(warned.vendors_call, wait_ms=100)
    assert (warned.at(31.2), warned.engines.blocked) == ([], set())
    assert warned.played() == PLAYED


def test_money_before_the_tone_withdraws_it_and_money_behind_it_has_the_next_end_warned_of():
    warned = Warned()
    warned.at(25)
    warned.scene.exchange.credits["acme"].committed(Decimal("1.00"), 2)
    assert (warned.at(69.9), warned.warnings) == ([], 0)
    assert warned.at(70.1) == [BEEPING]
    warned.at(80)
    warned.scene.exchange.credits["acme"].committed(Decimal("3.00"), 3)
    assert (warned.at(269.9), warned.warnings) == ([], 1)
    assert warned.at(270.1) == [BEEPING]
    record = warned.scene.end_of(warned.call)
    assert record.hold_time_ms == 300_000
    assert json.loads(record.media)["played"] == [{**PLAYED[0], "ms": 2 * TONE_MS}]
