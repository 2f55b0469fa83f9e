"""The tone by which callers are warned of the end of a call: when, how often, and in which media.

One cent a second; the account reserves a minute at a time.
"""

from decimal import Decimal

import pytest
from doubles.data.builders import account, applied_rate, catalogue, mapping_gateway, rate_group, rating_policy
from doubles.killed import KilledScene
from doubles.sockets.peer import ANSWER, OFFER
from doubles.virtual.customer import Intent
from doubles.virtual.relay import OpenPort, VirtualRelay
from doubles.virtual.scene import CALLEE, CUSTOMER, Scene, vendor_gateway
from doubles.virtual.vendor import answers
from msgspec.structs import replace

from vosd.base.session_timer import SessionTimerSettings
from vosd.media.figures import PortFigures
from vosd.media.sounds import G711, READY_MADE, EncodedSound, Sound, encoded_frames
from vosd.media.warning_tone import TONE_MS
from vosd.trunks.dialect import CalleeDialect, CallerDialect
from vosd.trunks.media import MediaEngine, MediaMode, MediaParameters, MediaSettings, MediaWatch

G729 = OFFER.replace("RTP/AVP 0 101", "RTP/AVP 18 101").replace("a=rtpmap:0 PCMU/8000", "a=rtpmap:18 G729/8000")
BOTH = OFFER.replace("RTP/AVP 0 101", "RTP/AVP 18 8 101").replace(
    "a=rtpmap:0 PCMU/8000", "a=rtpmap:18 G729/8000\r\na=rtpmap:8 PCMA/8000"
)
QUIET = OFFER.replace("RTP/AVP 0 101", "RTP/AVP 0 13 101")
KEYS = "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz\r\n"
SAVP = OFFER.replace("RTP/AVP", "RTP/SAVP") + KEYS
UNWATCHED = MediaSettings(watch=MediaWatch.OFF)
"""No packet comes on the virtual wire."""

SOUNDS = {
    "both": Sound(
        "both", {"g729": encoded_frames(bytes(40), READY_MADE["g729"]), "pcma": EncodedSound(G711[1], bytes(320))}
    ),
    "ready": Sound("ready", {"g729": encoded_frames(bytes(60), READY_MADE["g729"])}),
}


class Warned:
    """A relayed call whose caller is to be warned 30 s before its end."""

    def __init__(
        self,
        balance: str,
        *,
        seconds: int = 30,
        mode: MediaMode = MediaMode.ON,
        sound: str = "",
        kind=Scene,
        limits: tuple[int, int] = (0, 0),
        **terms,
    ) -> None:
        """``limits`` are those of the customer and the vendor without session timer; 0 = there is none."""
        self.relay = VirtualRelay()
        sell = rate_group("sell", applied_rate("0.60", policy=rating_policy(hold_time_precision_ms=0)))
        timer, vendors_timer = (SessionTimerSettings(no_timer_limit_s=each) for each in limits)
        dialect = CallerDialect(end_warning_ms=1_000 * seconds, session_timer=timer)
        trunks = [
            mapping_gateway("acme", f"{CUSTOMER.host}/32", media=UNWATCHED, dialect=dialect),
            vendor_gateway(0, media=UNWATCHED, dialect=CalleeDialect(session_timer=vendors_timer)),
        ]
        media = MediaParameters(engine=MediaEngine.RELAY, mode=mode, end_warning_sound=sound)
        parts = {"accounts": [account("acme", **terms)], "rate_groups": [sell], "sounds": SOUNDS}
        content = catalogue(trunks, media=media, **parts)
        self.scene = kind(content, balance=balance, relay=self.relay)
        self.answered_ms = 0

    def talk(self, offer: str = OFFER, answer: str = ANSWER) -> "Warned":
        """Make a call."""
        self.call = self.scene.caller.call(CALLEE, Intent(offer))
        self.scene.vendor.script = answers(body=answer)
        self.scene.wire.run_until(lambda: self.call.final == 200)
        self.answered_ms = self.now_ms
        return self

    def at(self, second: float) -> list[int]:
        """Go on until this second of the call; return what the caller was warned by."""
        self.scene.wire.run_for(self.answered_ms + int(1_000 * second) - self.now_ms)
        return self.of_caller.warnings

    @property
    def now_ms(self) -> int:
        return self.scene.exchange.clock.now().mono

    @property
    def of_caller(self) -> OpenPort:
        return self.port("192.0.2.10")

    def port(self, host: str) -> OpenPort:
        (found,) = (each for each in self.relay.open_ports.values() if each.source and each.source.host == host)
        return found

    def pay(self, balance: str) -> None:
        """Let the account have another balance."""
        self.scene.exchange.credits["acme"].committed(Decimal(balance), 2)

    def end(self):
        """Wait for the end; return the record."""
        return self.scene.end_of(self.call)


def test_a_caller_is_warned_once_so_long_before_its_credit_ends_and_the_call_lasts_as_long_as_it_pays():
    warned = Warned("1.50").talk()
    assert warned.at(119.9) == []
    assert warned.at(120.1) == [0]
    assert warned.at(149.9) == [0]
    assert warned.port("192.0.2.20").warnings == []
    record = warned.end()
    assert (record.end_reason, record.hold_time_ms, record.fee) == ("Balance Exhausted", 150_000, Decimal("1.50"))
    assert f'"played":[{{"to":"caller","sound":"end_warning","codec":"PCMU","ms":{TONE_MS}}}]' in record.media


@pytest.mark.parametrize("advance_s", [7, 30, 60, 600])
@pytest.mark.parametrize("seconds", [5, 45, 100])
def test_the_moment_does_not_depend_on_how_much_is_reserved_at_a_time(advance_s, seconds):
    warned = Warned("6.41", seconds=seconds, advance_s=advance_s).talk()
    assert warned.at(641 - seconds - 0.1) == []
    assert warned.at(641 - seconds + 0.1) == [0]
    assert warned.at(640.9) == [0]
    assert warned.end().hold_time_ms == 641_000


def test_no_one_is_warned_by_default():
    warned = Warned("1.50", seconds=0).talk()
    assert warned.at(149.9) == []
    assert warned.end().hold_time_ms == 150_000


def test_money_that_comes_before_the_warning_withdraws_it_until_that_ends():
    warned = Warned("1.50").talk()
    warned.at(110)
    warned.pay("3.00")
    assert warned.at(269.9) == []
    assert warned.at(270.1) == [0]
    assert warned.end().hold_time_ms == 300_000


@pytest.mark.parametrize("seconds", [30, 100])
def test_money_that_comes_after_the_warning_lets_the_next_end_be_warned_of(seconds):
    """With 100 s what is reserved at a time is less than the time of the warning."""
    warned = Warned("2.00", seconds=seconds).talk()
    assert warned.at(201 - seconds) == [0]
    warned.pay("10.00")
    assert warned.at(999.9 - seconds) == [0]
    assert warned.at(1_000.1 - seconds) == [0, 0]
    assert warned.end().hold_time_ms == 1_000_000


def test_a_few_more_seconds_after_the_warning_are_no_reason_for_another_one():
    warned = Warned("1.50").talk()
    warned.at(130)
    warned.pay("1.70")
    assert warned.at(169.9) == [0]
    assert warned.end().hold_time_ms == 170_000


@pytest.mark.parametrize(("balance", "ends_s"), [("0.20", 20), ("0.30", 30)])
def test_a_call_that_begins_with_less_is_warned_of_a_second_later(balance, ends_s):
    warned = Warned(balance, advance_s=15).talk()
    assert warned.at(0.9) == []
    assert warned.at(1.1) == [0]
    assert warned.at(ends_s - 0.1) == [0]
    assert warned.end().hold_time_ms == 1_000 * ends_s


def test_the_longest_duration_of_a_call_is_warned_of_as_well():
    warned = Warned("100", max_call_seconds=200).talk()
    assert warned.at(169.9) == []
    assert warned.at(170.1) == [0]
    record = warned.end()
    assert (record.end_reason, record.hold_time_ms) == ("Maximum Duration", 200_000)


@pytest.mark.parametrize("limits", [(200, 0), (0, 200), (300, 200)])
def test_the_limit_of_a_side_without_session_timer_is_warned_of_as_well(limits):
    """Money is reserved beyond it meanwhile."""
    warned = Warned("100", limits=limits).talk()
    assert warned.at(169.9) == []
    assert warned.at(170.1) == [0]
    assert warned.at(199.9) == [0]
    record = warned.end()
    assert (record.end_reason, record.hold_time_ms) == ("Maximum Duration", 200_000)


@pytest.mark.parametrize(
    ("balance", "at_s", "reason", "ends_s"),
    [("1.90", 160, "Balance Exhausted", 190), ("2.10", 170, "Maximum Duration", 200)],
)
def test_of_the_end_of_the_credit_and_a_limit_the_first_one_is_warned_of_and_no_other(balance, at_s, reason, ends_s):
    warned = Warned(balance, limits=(200, 0)).talk()
    assert warned.at(at_s - 0.1) == []
    assert warned.at(at_s + 0.1) == [0]
    assert warned.at(ends_s - 0.1) == [0]
    record = warned.end()
    assert (record.end_reason, record.hold_time_ms) == (reason, 1_000 * ends_s)


def test_money_behind_the_warning_of_a_limit_is_no_reason_for_another_one():
    warned = Warned("100", seconds=100, limits=(200, 0), advance_s=30).talk()
    assert warned.at(99.9) == []
    assert warned.at(100.1) == [0]
    assert warned.at(199.9) == [0]
    assert warned.end().hold_time_ms == 200_000


def test_a_limit_that_is_nearer_than_the_warning_is_warned_of_a_second_behind_the_answer():
    warned = Warned("100", limits=(20, 0)).talk()
    assert warned.at(0.9) == []
    assert warned.at(1.1) == [0]
    assert warned.at(19.9) == [0]
    assert warned.end().hold_time_ms == 20_000


@pytest.mark.parametrize(("at_s", "before"), [(100, []), (175, [0])])
def test_a_restart_before_or_behind_the_warning_of_a_limit_warns_once(at_s, before, tmp_path):
    warned = Warned("100", limits=(200, 0), kind=lambda *a, **k: KilledScene(tmp_path, *a, **k)).talk()
    assert warned.at(at_s) == before
    warned.scene.kill(1_000)
    assert warned.at(max(at_s + 2, 171)) == [0]
    assert warned.at(199.9) == [0]
    assert warned.end().hold_time_ms == 200_000


def test_two_calls_of_an_account_are_warned_and_spend_all_of_it_and_no_more():
    warned = Warned("4.00")
    calls = [warned.scene.caller.call(CALLEE) for _ in range(2)]
    warned.scene.wire.run_until(lambda: all(each.final == 200 for each in calls))
    ports = [each for each in warned.relay.open_ports.values() if each.source.host == "192.0.2.10"]
    warned.scene.wire.run_until(lambda: all(each.is_over for each in calls))
    warned.scene.expect_nothing_left(within_ms=10)
    assert [each.warnings for each in ports] == [[0], [0]]
    assert sum(record.fee for record in warned.scene.exchange.sink.records) == Decimal("4.00")


@pytest.mark.parametrize("ends", ["kill", "stop_and_keep"])
@pytest.mark.parametrize(("at_s", "before"), [(100, []), (135, [0])])
def test_a_restart_warns_once_whether_it_comes_before_or_after(ends, at_s, before, tmp_path):
    warned = Warned("1.50", kind=lambda *a, **k: KilledScene(tmp_path, *a, **k)).talk()
    assert warned.at(at_s) == before
    getattr(warned.scene, ends)(1_000)
    assert warned.at(max(at_s + 2, 121)) == [0]
    assert warned.at(149.9) == [0]
    assert warned.end().hold_time_ms == 150_000


def test_a_restart_behind_money_that_came_after_a_warning_forgets_neither(tmp_path):
    warned = Warned("1.50", kind=lambda *a, **k: KilledScene(tmp_path, *a, **k)).talk()
    warned.at(140)
    warned.pay("3.00")
    assert warned.at(160) == [0]
    warned.scene.balances["acme"].committed(Decimal("3.00"), 2)
    warned.scene.kill(1_000)
    assert warned.at(269.9) == [0]
    assert warned.at(270.1) == [0, 0]
    assert warned.end().hold_time_ms == 300_000


@pytest.mark.parametrize(
    ("offer", "answer", "in_use", "warnings"),
    [
        (OFFER, ANSWER, 0, [0]),
        (OFFER, ANSWER, 18, [0]),  # of a description before
        (OFFER, ANSWER, 101, [0]),  # keys alone have come
        (QUIET, QUIET.replace("192.0.2.10", "192.0.2.20"), 13, [0]),  # comfort noise, mostly
        (BOTH, BOTH.replace("192.0.2.10", "192.0.2.20"), 8, [8]),
        (BOTH, BOTH.replace("192.0.2.10", "192.0.2.20"), None, [8]),
        (BOTH, BOTH.replace("192.0.2.10", "192.0.2.20"), 18, []),
        (G729, G729.replace("192.0.2.10", "192.0.2.20"), 18, []),
        (SAVP, SAVP.replace("192.0.2.10", "192.0.2.20"), 0, []),
    ],
)
def test_only_audio_in_g711_that_the_parties_do_not_encrypt_has_the_tone(offer, answer, in_use, warnings):
    warned = Warned("0.60").talk(offer, answer)
    far = warned.port("192.0.2.20")
    far.figures = replace(PortFigures(far.port.id), payload=in_use)
    assert warned.at(40) == warnings
    assert ("end_warning" in warned.end().media) is bool(warnings)


@pytest.mark.parametrize(
    ("sound", "offer", "in_use", "played"),
    [
        ("ready", G729, 18, ("ready", "G729", 60)),
        ("ready", G729, None, ("ready", "G729", 60)),
        ("ready", BOTH, 18, ("ready", "G729", 60)),
        ("ready", BOTH, 8, ("end_warning", "PCMA", TONE_MS)),
        ("both", BOTH, 8, ("both", "PCMA", 40)),
        ("both", OFFER, 0, ("end_warning", "PCMU", TONE_MS)),
        ("gone", OFFER, 0, ("end_warning", "PCMU", TONE_MS)),
        ("gone", G729, 18, None),
        ("ready", G729.replace("18", "96"), 96, ("ready", "G729", 60)),
    ],
)
def test_a_sound_of_the_installation_warns_in_its_codecs_and_beeps_in_g711_else(sound, offer, in_use, played):
    warned = Warned("0.60", sound=sound).talk(offer, offer.replace("192.0.2.10", "192.0.2.20"))
    far = warned.port("192.0.2.20")
    far.figures = replace(PortFigures(far.port.id), payload=in_use)
    assert warned.at(40) == ([] if played is None else [18 if in_use is None else in_use])
    media = warned.end().media
    assert ('"played":[]' in media) is (played is None)
    if played is not None:
        name, codec, ms = played
        assert f'"played":[{{"to":"caller","sound":"{name}","codec":"{codec}","ms":{ms}}}]' in media


def test_each_side_may_have_another_number_for_a_codec():
    """A side is sent the numbers that it has named itself (RFC 3264 section 5.1)."""
    answer = G729.replace("192.0.2.10", "192.0.2.20").replace("18", "97")
    warned = Warned("0.60", sound="ready").talk(G729.replace("18", "96"), answer)
    assert warned.at(40) == [96]
    assert '"sound":"ready","codec":"G729"' in warned.end().media


def test_a_fax_has_no_tone():
    warned = Warned("0.60").talk()
    for side in (warned.call, warned.scene.vendor.only_call):
        side.mine = side.mine.split("m=")[0] + "m=image 20500 udptl t38\r\n"
    warned.scene.propose(warned.call)
    assert warned.at(40) == []
    warned.end()


@pytest.mark.parametrize("side", ["call", "there"])
def test_a_side_that_holds_or_is_held_is_sent_no_packets_that_are_not_forwarded(side):
    warned = Warned("0.60").talk()
    holder = warned.call if side == "call" else warned.scene.vendor.only_call
    warned.scene.propose(holder, "a=sendonly")
    assert warned.at(40) == [-1]
    assert ("end_warning" in warned.end().media) is (side == "there"), "who holds takes no media"


def test_a_worker_of_an_earlier_release_warns_no_one_and_the_record_says_so():
    warned = Warned("0.60").talk()
    warned.relay.can_warn = False
    assert warned.at(40) == []
    assert "end_warning" not in warned.end().media


def test_a_call_that_is_not_relayed_ends_without_a_warning():
    warned = Warned("0.60", mode=MediaMode.OFF).talk()
    assert warned.relay.open_ports == {}
    assert warned.end().hold_time_ms == 60_000


def test_who_is_left_behind_by_a_transfer_is_not_warned():
    warned = Warned("1.50").talk()
    warned.call.ask("REFER", headers=["Refer-To: <sip:442071111111@192.0.2.1>"])
    warned.scene.wire.run_until(lambda: warned.call.is_over)
    warned.scene.wire.run_for(40_000)
    ports = list(warned.relay.open_ports.values())
    assert len(ports) == 2
    warned.scene.wire.run_until(lambda: not warned.relay.open_ports)
    assert [each.warnings for each in ports] == [[], []]
    assert warned.scene.exchange.sink.records[0].end_reason == "Balance Exhausted"
