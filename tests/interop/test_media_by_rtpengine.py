"""Media of the real daemon by real rtpengines: sound both ways, silence, kills of an rtpengine and of the switch."""

import cmath
import math
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from doubles.daemon import Daemon
from doubles.sockets.loopback import Endpoint
from doubles.sockets.peer import OutgoingCall, Peer
from doubles.sockets.rtp import RtpPeer
from e2e.addresses import CUSTOMERS, NETWORK, VENDORS
from e2e.conditions import eventually
from e2e.stage import Stage, configuration
from e2e.test_media import calling, described, expect_no_attacker, impatient, is_heard, place

from vosd.media.g711 import linear

from .many_calls import ManyCalls
from .rtpengine import Rtpengine

SWITCH, DOOMED_SWITCH = Endpoint(f"{NETWORK}.1", 15_121), Endpoint(f"{NETWORK}.1", 15_122)
ONE, TWO, THREE = (Endpoint(f"{NETWORK}.{number}", 2_223) for number in (81, 82, 83))

NEXT_VENDOR = f"""  - {{name: carrier-b, account: vendors, address: "{VENDORS["carrier-b"]}", priority: 2}}
"""


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rtpengine]:
    with Rtpengine(tmp_path_factory.mktemp("one"), "one", ONE, (20_000, 20_199)) as engine:
        yield engine


WARNS = "max_call_seconds: 60, end_warning: 57, "
"""Keys of a trunk or phone whose callers are warned three seconds after the answer."""
BEEPS = [{"to": "caller", "sound": "end_warning", "codec": "PCMU", "ms": 900}]


def beeps_in(packets: Iterable[bytes]) -> int:
    """Return how many packets have the tone that warns of the end: 1,000 Hz and nothing else."""
    return sum(_is_beep(linear(each[12:], "PCMU")) for each in packets)


def _is_beep(samples: Sequence[int]) -> bool:
    wave = sum(each * cmath.exp(-1j * math.tau * 1_000 * at / 8_000) for at, each in enumerate(samples))
    power = sum(each * each for each in samples)
    return 2 * abs(wave) ** 2 > 0.95 * len(samples) * power > 0


@contextmanager
def switch(
    directory: Path, address: Endpoint, *engines: Rtpengine, gateways: str = "", of_customer: str = ""
) -> Iterator[Stage]:
    pool = ", ".join(f"{{name: {each.config.name}, address: '{each.control}'}}" for each in engines)
    text = configuration("media.yaml", address).replace("PORTS_OF_THE_RELAY", "21900,21999")
    text = text.replace(', sounds: {gone: gone.wav}, announcements: {"Not Found": gone}, music_on_hold: gone', "")
    text = text.replace("engine: relay, mode: on", f"engine: rtpengine, mode: on, rtpengine: [{pool}]")
    text = text.replace("name: acme-pbx, ", f"name: acme-pbx, {of_customer}")
    if gateways:
        text = text.replace("record: 100", "priority: 1, failover_after_ringing: yes") + gateways
    with Daemon(directory, text) as daemon:
        yield Stage(daemon, address)


@pytest.fixture(scope="module")
def relaying(tmp_path_factory: pytest.TempPathFactory, one: Rtpengine) -> Iterator[Stage]:
    with switch(tmp_path_factory.mktemp("media"), SWITCH, one) as stage:
        yield stage
        stage.expect_books_in_order()


def test_both_parties_hear_each_other_through_an_rtpengine(relaying: Stage) -> None:
    with calling(relaying) as call:
        assert call.of_caller[0] == call.of_callee[0] == ONE.host
        call.talk()
        call.offer_fax_in_vain(2)
        call.talk()
        places = [f"{party.host}:{party.port}" for party in (call.caller, call.callee)]
        media = call.hang_up(3)
    assert media["engine"] == "rtpengine"
    assert [media["legs"][side]["address"] for side in ("caller", "callee")] == places
    assert all(media["legs"][side]["packets_in"] for side in ("caller", "callee")), "it was shorter than 5 s"
    relaying.expect_nothing_left()


def test_an_attacker_hears_nothing_and_is_not_heard(relaying: Stage) -> None:
    expect_no_attacker(relaying, ONE.host, range(20_000, 20_200))


def test_a_call_whose_media_stop_ends_with_no_media(relaying: Stage) -> None:
    with impatient(relaying), calling(relaying) as call:
        call.talk()
        call.customer.reply(call.customer.expect("BYE", 30), 200)
        call.vendor.reply(call.vendor.expect("BYE"), 200)
        record = call.record()
    assert (record["end_reason"], record["hangup_source"]) == ("No Media", "switch")


def test_a_vendor_that_has_refused_is_not_heard_in_the_call_of_the_next_one(tmp_path: Path, one: Rtpengine) -> None:
    with (
        switch(tmp_path, DOOMED_SWITCH, one, gateways=NEXT_VENDOR) as stage,
        Peer(stage.endpoint_of("acme")) as customer,
        Peer(VENDORS["carrier-a"]) as first,
        Peer(VENDORS["carrier-b"]) as second,
        closing(RtpPeer(CUSTOMERS["acme"], ssrc=1)) as caller,
        closing(RtpPeer(VENDORS["carrier-a"].host, ssrc=2)) as refusing,
        closing(RtpPeer(VENDORS["carrier-b"].host, ssrc=3)) as answering,
    ):
        call = OutgoingCall(customer, stage.address, stage.number("4410"))
        call.send(call.request("INVITE", body=described(caller)))
        invite = first.expect("INVITE")
        first.reply(invite, 183, tag="first", body=described(refusing))
        eventually(lambda: is_heard(refusing, place(invite), caller), "early media are heard")
        first.reply(invite, 503, tag="first")
        first.expect("ACK")
        incoming = second.expect("INVITE")
        second.reply(incoming, 200, tag="second", body=described(answering))
        call.answered()
        second.expect("ACK")
        eventually(lambda: is_heard(answering, place(incoming), caller), "the vendor is heard that has answered")
        caller.taken()
        refusing.send(place(invite), 10)
        eventually(lambda: is_heard(answering, place(incoming), caller), "it is heard alone")
        assert {int.from_bytes(packet[8:12], "big") for packet in caller.taken()} == {answering.ssrc}
        call.send(call.request("BYE", 2))
        second.reply(second.expect("BYE"), 200)
        stage.expect_nothing_left()


def test_without_an_rtpengine_calls_are_refused(tmp_path: Path) -> None:
    with Rtpengine(tmp_path, "two", TWO, (20_000, 20_199)) as two, switch(tmp_path, DOOMED_SWITCH, two) as stage:
        two.kill()
        eventually(lambda: "rtpengine_down" in [each["event"] for each in stage.daemon.log()], "the loss is noticed")
        with Peer(stage.endpoint_of("acme")) as customer:
            call = OutgoingCall(customer, stage.address, stage.number("4410"))
            call.invite()
            assert call.refused().status == 503
        assert stage.record_of(call.callee)["end_reason"] == "No Media Port"


def test_calls_move_to_the_next_when_theirs_is_killed(tmp_path: Path, one: Rtpengine) -> None:
    with (
        Rtpengine(tmp_path, "two", TWO, (20_000, 20_199)) as two,
        switch(tmp_path, DOOMED_SWITCH, two, one) as stage,
        calling(stage) as call,
    ):
        assert call.of_caller[0] == TWO.host
        call.talk()
        two.kill()
        call.take_offers()
        assert call.of_caller[0] == call.of_callee[0] == ONE.host
        call.talk()
        call.hang_up()
        stage.expect_nothing_left()


def test_media_go_on_while_the_switch_is_killed_and_the_call_goes_on_in_the_next(tmp_path: Path) -> None:
    """The second time the rtpengine is started anew before the switch is: only the calls that it does not know tell."""
    with (
        Rtpengine(tmp_path, "two", TWO, (20_000, 20_199)) as two,
        switch(tmp_path, DOOMED_SWITCH, two) as stage,
        calling(stage) as call,
    ):
        call.talk()
        stage.daemon.kill()
        call.talk()
        stage.daemon.start()
        call.call.send(call.call.request("ACK", 1))  # the kill may have come before the first was journalled
        call.talk()
        stage.daemon.kill()
        two.kill()
        two.start_anew()
        stage.daemon.start()
        call.call.send(call.call.request("ACK", 1))
        call.take_offers()
        call.talk()
        assert call.hang_up()["engine"] == "rtpengine"
        assert stage.daemon.ask("status")["media_ports"] == 0


def test_many_calls_are_heard_again_after_the_kill_of_their_rtpengine(tmp_path: Path) -> None:
    ports = (20_000, 21_999)
    with (
        Rtpengine(tmp_path, "two", TWO, ports) as two,
        Rtpengine(tmp_path, "three", THREE, ports) as three,
        switch(tmp_path, DOOMED_SWITCH, two, three) as stage,
        Peer(stage.endpoint_of("acme")) as customer,
        Peer(VENDORS["carrier-a"]) as vendor,
    ):
        calls = ManyCalls(stage, customer, vendor, 20)
        assert calls.are_heard()
        two.kill()
        eventually(calls.are_heard, "every party hears the other", 60)
        two.start_anew()
        three.kill()
        eventually(calls.are_heard, "every party hears the other", 60)
        calls.close()


@pytest.mark.parametrize("is_killed", [False, True])
def test_a_caller_is_warned_of_the_end_in_place_of_the_callee_and_the_callee_hears_all(
    tmp_path: Path, one: Rtpengine, is_killed: bool
) -> None:
    """A kill within the tone leaves no one blocked; the next process warns no second time."""
    with switch(tmp_path, DOOMED_SWITCH, one, of_customer=WARNS) as stage, calling(stage) as call:
        call.talk()
        call.callee.body, call.caller.body = b"\xd0" * 160, b"\xd1" * 160
        call.caller.all_received.clear()
        sent = call.caller.sequence

        def beeps() -> int:
            call.callee.send(call.of_callee)
            call.caller.send(call.of_caller)
            call.caller.taken()
            return beeps_in(call.caller.all_received)

        eventually(lambda: beeps() > 4, "the caller hears the tone")
        if is_killed:
            stage.daemon.kill()
            stage.daemon.start()
        eventually(lambda: beeps() >= 28, "it hears all of it")
        eventually(lambda: beeps() and call.caller.all_received[-1][12:] == call.callee.body, "the callee is heard")
        assert beeps() <= 31
        heard = [int.from_bytes(each[8:12], "big") == call.callee.ssrc for each in call.caller.all_received]
        assert [at for at, each in enumerate(heard) if each is not heard[at - 1]] == [
            heard.index(False),
            len(heard) - heard[::-1].index(False),
        ], "one of the two at a time"
        eventually(lambda: call.callee.has(call.caller.sequence - sent), "all of the caller has come")
        numbers = [int.from_bytes(each[2:4], "big") for each in call.callee.taken() if each[12:] == call.caller.body]
        assert numbers == list(range(sent, call.caller.sequence))
        call.talk()
        assert call.hang_up()["played"] == BEEPS
        stage.expect_nothing_left()
