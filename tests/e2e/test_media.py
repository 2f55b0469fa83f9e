"""Media through the real daemon: RTP of both parties, an attacker, silence, kills of the worker and of the switch."""

import ctypes
import os
import re
import signal
import socket
import struct
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from itertools import pairwise
from pathlib import Path
from random import Random
from statistics import mean
from typing import Any, Final

import pytest
from doubles.daemon import Daemon
from doubles.data.wavs import tone, wav
from doubles.sockets.captures import SentPacket, write_capture
from doubles.sockets.loopback import Endpoint
from doubles.sockets.peer import Message, OutgoingCall, Peer
from doubles.sockets.rtp import RtpPeer, rtp
from doubles.sockets.waiting import readable

from vosd.media.g711 import encoded, linear
from vosd.obs.events import Event
from vosd.sdp.media import media_of

from .addresses import CUSTOMERS, DOOMED_RELAYING_SWITCH, NETWORK, RELAYING_SWITCH, SMALL_RELAYING_SWITCH, VENDORS
from .conditions import eventually
from .stage import Caller, Stage, configuration

ATTACKER = f"{NETWORK}.77"
TONE = tone(1_000)
"""Sound of calls to numbers that do not exist."""
SSRC_OF_CALLER, SSRC_OF_CALLEE = bytes((0, 0, 0, 1)), bytes((0, 0, 0, 2))
SO_TIMESTAMPNS: Final = 35
SO_RCVBUFFORCE: Final = 33
SO_ATTACH_FILTER: Final = 26
ETHERTYPE_IPV4: Final = 0x0800
SSRC_OF_CAPTURE: Final = bytes((0, 0, 0, 7))
ROUNDED_MS: Final = 0.1
"""A record has one decimal of a jitter."""
REFUSED_SOURCES = f"""
access:
  rules:
    - {{scope: rtp, networks: {NETWORK}.78, action: block}}
    - {{scope: rtp, networks: {NETWORK}.79, action: ignore}}
"""
BURST = 25
"""Packets of half a second."""


def stream_with_gaps(packets: int) -> list[SentPacket]:
    """Return a stream of G.711 that has lost packets, and whose others come up to 12 ms late."""
    chance = Random(1)
    late = [SentPacket(number, 160 * number, 20_000 * number + chance.randrange(12_000)) for number in range(packets)]
    return [each for each in late if each.sequence % 47 not in (20, 21)]


def watch(wire: socket.socket, source: str, target: str) -> None:
    """Let a packet socket have the packets from one host to another; other tests use loopback, too."""
    code = bytearray()
    for to_drop, offset, host in ((3, 12, source), (1, 16, target)):
        wanted = int.from_bytes(socket.inet_aton(host), "big")
        code += struct.pack("=HBBIHBBI", 0x20, 0, 0, offset, 0x15, 0, to_drop, wanted)
    code += struct.pack("=HBBIHBBI", 0x06, 0, 0, 0xFFFF, 0x06, 0, 0, 0)
    program = ctypes.create_string_buffer(bytes(code), len(code))
    wire.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, struct.pack("HP", len(code) // 8, ctypes.addressof(program)))
    wire.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 4 << 20)
    wire.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
    wire.bind(("lo", ETHERTYPE_IPV4))


def times_of(wire: socket.socket) -> dict[int, float]:
    """Return by time stamp when the packets of the capture were sent that a packet socket has seen, in ms."""
    found: dict[int, float] = {}
    while readable([wire], 0):
        data, ((_, _, stamp), *_), *_ = wire.recvmsg(2_048, 64)
        if data[9] == socket.IPPROTO_UDP and data[36:40] == SSRC_OF_CAPTURE:
            seconds, ns = struct.unpack("=qq", stamp)
            found.setdefault(int.from_bytes(data[32:36], "big"), seconds * 1e3 + ns / 1e6)
    return found


def jitter_between(came: dict[int, float], left: dict[int, float]) -> list[tuple[float, float]]:
    """Return least and greatest jitter (RFC 3550 section 6.4.1) behind each packet that was read between these times.

    A relay that waits for the processor between reading and sending makes them wide, not wrong.
    """
    least = most = 0.0
    found = []
    for before, stamp in pairwise(came):
        even = (stamp - before) / 8
        early, late = came[stamp] - left[before] - even, left[stamp] - came[before] - even
        least += (max(0.0, early, -late) - least) / 16
        most += (max(abs(early), abs(late)) - most) / 16
        found.append((least, most))
    return found


def described(party: RtpPeer) -> str:
    """Return the session description of a party."""
    return (
        f"v=0\r\no=- 1 1 IN IP4 {party.host}\r\ns=-\r\nc=IN IP4 {party.host}\r\nt=0 0\r\n"
        f"m=audio {party.port} RTP/AVP 0 101\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:101 telephone-event/8000\r\n"
    )


def place(message: Message) -> tuple[str, int]:
    """Return the place that a message asks media to be sent to."""
    medium = media_of(message.body.encode())[0]
    return medium.host, medium.port


def is_heard(sender: RtpPeer, port: tuple[str, int], listener: RtpPeer, payload: int = 0) -> bool:
    """Send packets to a port; return whether the other party gets any of them."""
    sender.send(port, 2, payload=payload)
    return listener.has(1)


class RelayedCall:
    """A call whose parties send RTP."""

    def __init__(
        self,
        stage: Stage,
        customer: Peer,
        vendor: Peer,
        while_it_rings: Callable[[], None] = lambda: None,
        parties: tuple[RtpPeer, RtpPeer] | None = None,
    ) -> None:
        self.stage, self.customer, self.vendor = stage, customer, vendor
        if parties is None:
            parties = RtpPeer(CUSTOMERS["acme"], ssrc=1), RtpPeer(VENDORS["carrier-a"].host, ssrc=2)
        self.caller, self.callee = parties
        self.call = OutgoingCall(customer, stage.address, stage.number("4410"))
        self.call.send(self.call.request("INVITE", body=described(self.caller)))
        self.incoming = vendor.expect("INVITE")
        self.of_callee = place(self.incoming)
        while_it_rings()
        self.tag = f"vendor-{self.call.call_id}"
        vendor.reply(self.incoming, 200, tag=self.tag, body=described(self.callee))
        self.of_caller = place(self.call.answered())
        vendor.expect("ACK")

    def talk(self) -> None:
        """Let both parties hear each other, then let a burst of each arrive."""
        eventually(lambda: is_heard(self.caller, self.of_caller, self.callee), "the callee hears the caller")
        eventually(lambda: is_heard(self.callee, self.of_callee, self.caller), "the caller hears the callee")
        for sender, port, listener in (
            (self.caller, self.of_caller, self.callee),
            (self.callee, self.of_callee, self.caller),
        ):
            listener.taken()
            sent = sender.send(port, BURST)
            eventually(lambda listener=listener: listener.has(BURST), "every packet comes")
            assert [each[12:] for each in listener.taken()][-BURST:] == [each[12:] for each in sent]

    def take_offers(self) -> None:
        """Answer an offer of the switch to each side, and note its ports."""
        for peer, party in ((self.customer, self.caller), (self.vendor, self.callee)):
            offer = peer.expect("INVITE", 15)
            peer.reply(offer, 200, body=described(party))
            peer.expect("ACK")
            if party is self.caller:
                self.of_caller = place(offer)
            else:
                self.of_callee = place(offer)

    def change(self, offer: str, sequence: int) -> None:
        """Offer the other side of the caller another description, which is accepted."""
        self.call.send(self.call.request("INVITE", cseq=sequence, branch=f"again{sequence}", body=offer))
        answer = described(self.callee).replace("o=- 1 1", f"o=- 1 {sequence}")
        self.vendor.reply(self.vendor.expect("INVITE"), 200, body=answer)
        self.call.answered(cseq=sequence)
        self.vendor.expect("ACK")

    def offer_fax_in_vain(self, sequence: int) -> None:
        """Offer the other side of the caller a fax, which is refused."""
        fax = described(self.caller).partition("m=")[0] + f"m=image {self.caller.port + 2} udptl t38\r\n"
        branch = f"again{sequence}"
        self.call.send(self.call.request("INVITE", cseq=sequence, branch=branch, body=fax))
        self.vendor.reply(self.vendor.expect("INVITE"), 488)
        self.vendor.expect("ACK")
        assert self.customer.final_response(f"{sequence} INVITE", self.call.call_id).status == 488
        self.call.send(self.call.request("ACK", sequence, branch=branch))

    def hang_up(self, sequence: int = 2) -> dict[str, Any]:
        """End the call; return the part of its record about media."""
        assert self.call.hang_up(sequence).status == 200
        self.vendor.reply(self.vendor.expect("BYE"), 200)
        return self.media()

    def media(self) -> dict[str, Any]:
        """Return the part of the record about media."""
        found: dict[str, Any] = self.record()["media"]
        return found

    def record(self) -> dict[str, Any]:
        """Return the record."""
        return self.stage.record_of(self.call.callee)

    def close(self) -> None:
        self.caller.close()
        self.callee.close()


@pytest.fixture(scope="module")
def relaying(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with switch(tmp_path_factory.mktemp("media")) as stage:
        yield stage
        stage.expect_books_in_order()


@contextmanager
def switch(
    directory: Path, address: Endpoint = RELAYING_SWITCH, ports: str = "31000,31199", of_customer: str = ""
) -> Iterator[Stage]:
    """Start a switch; ``of_customer`` are more keys of the customer's trunk."""
    text = configuration("media.yaml", address).replace("PORTS_OF_THE_RELAY", ports) + REFUSED_SOURCES
    text = text.replace("name: acme-pbx, ", f"name: acme-pbx, {of_customer}")
    (directory / "gone.wav").write_bytes(wav(TONE.tobytes()))
    with Daemon(directory, text) as daemon:
        yield Stage(daemon, address)


@contextmanager
def impatient(stage: Stage) -> Iterator[None]:
    """Have the switch end calls after three seconds without media, which on a busy machine others may be, too."""
    patient = stage.daemon.configuration_file.read_text()
    stage.daemon.configure(patient.replace("media_timeout: 60", "media_timeout: 3"))
    stage.daemon.succeed("reload")
    try:
        yield
    finally:
        stage.daemon.configure(patient)
        stage.daemon.succeed("reload")


def is_bound(sock: socket.socket, address: tuple[str, int]) -> bool:
    """Bind a socket; return whether that was possible."""
    try:
        sock.bind(address)
    except OSError:
        return False
    return True


@contextmanager
def calling(stage: Stage) -> Iterator[RelayedCall]:
    with Peer(stage.endpoint_of("acme")) as customer, Peer(VENDORS["carrier-a"]) as vendor:
        call = RelayedCall(stage, customer, vendor)
        try:
            yield call
        finally:
            call.close()


def test_both_parties_hear_each_other_and_the_record_says_how_well(relaying: Stage) -> None:
    with calling(relaying) as call:
        assert call.of_caller[0] == call.of_callee[0] == RELAYING_SWITCH.host
        call.talk()
        legs = call.hang_up()["legs"]
    for side, party in (("caller", call.caller), ("callee", call.callee)):
        assert legs[side]["latched"] == legs[side]["address"] != ""
        assert (legs[side]["codec"], legs[side]["foreign"], legs[side]["lost_percent"]) == ("PCMU", 0, 0.0)
        assert legs[side]["packets_in"] == party.sequence - 1_000
    relaying.expect_nothing_left()


@pytest.mark.parametrize(
    ("of_called", "events_of_called"), [(98, 96), (101, 97)], ids=["other numbers", "the numbers of the other codec"]
)
def test_a_caller_that_sends_by_the_payload_types_of_the_answer_is_heard(
    relaying: Stage, of_called: int, events_of_called: int
) -> None:
    """A number may be a codec to one side, and telephone events, which are taken out, to the other one."""

    def named(party: RtpPeer, codec: int, events: int) -> str:
        session = described(party).replace("AVP 0 101", f"AVP {codec} {events}").replace(":0 PCMU", f":{codec} iLBC")
        return session.replace(":101", f":{events}")

    with Peer(relaying.endpoint_of("acme")) as customer, Peer(VENDORS["carrier-a"]) as vendor:
        caller, callee = RtpPeer(CUSTOMERS["acme"], ssrc=1), RtpPeer(VENDORS["carrier-a"].host, ssrc=2)
        with closing(caller), closing(callee):
            call = OutgoingCall(customer, relaying.address, relaying.number("4410"))
            call.send(call.request("INVITE", body=named(caller, 97, 101)))
            incoming = vendor.expect("INVITE")
            vendor.reply(incoming, 200, tag=f"vendor-{call.call_id}", body=named(callee, of_called, events_of_called))
            of_caller = place(call.answered())
            vendor.expect("ACK")
            for sender, port, listener, payload in (
                (caller, of_caller, callee, of_called), (callee, place(incoming), caller, 97),
            ):  # fmt: skip
                eventually(
                    lambda sent=(sender, port, listener, payload): is_heard(*sent), "the other party hears the codec"
                )
            assert call.hang_up(2).status == 200
            vendor.reply(vendor.expect("BYE"), 200)
            relaying.record_of(call.callee)


@pytest.mark.parametrize(
    ("transport", "leaves_choice"),
    [("UDP/TLS/RTP/SAVP", False), ("RTP/SAVPF", False), ("RTP/SAVP", False), ("RTP/AVP", False), ("RTP/SAVP", True)],
)
def test_parties_that_encrypt_by_dtls_shake_hands_through_the_relay(
    relaying: Stage, transport: str, leaves_choice: bool
) -> None:
    """The caller ``leaves_choice``: it offers keys in place of plain media (RFC 5939), and the callee takes them."""

    def secured(party: RtpPeer, role: str) -> str:
        fingerprint = ":".join(["4A"] * 32)
        lines = f"a=fingerprint:SHA-256 {fingerprint}\r\na=setup:{role}\r\n"
        if leaves_choice and role == "actpass":
            capable = f"a=acap:1 setup:{role}\r\na=acap:2 fingerprint:SHA-256 {fingerprint}\r\n"
            return f"{described(party)}a=tcap:1 {transport}\r\n{capable}a=pcfg:1 t=1 a=1,2\r\n"
        return described(party).replace("RTP/AVP", transport) + lines

    with Peer(relaying.endpoint_of("acme")) as customer, Peer(VENDORS["carrier-a"]) as vendor:
        caller, callee = RtpPeer(CUSTOMERS["acme"], ssrc=1), RtpPeer(VENDORS["carrier-a"].host, ssrc=2)
        with closing(caller), closing(callee):
            call = OutgoingCall(customer, relaying.address, relaying.number("4410"))
            call.send(call.request("INVITE", body=secured(caller, "actpass")))
            incoming = vendor.expect("INVITE")
            vendor.reply(incoming, 200, tag=f"vendor-{call.call_id}", body=secured(callee, "active"))
            of_caller, of_callee = place(call.answered()), place(incoming)
            vendor.expect("ACK")
            hello = bytes.fromhex("16fefd0000000000000000002f01") + bytes(46)
            for sender, port, listener in ((callee, of_callee, caller), (caller, of_caller, callee)):

                def is_passed(
                    sender: RtpPeer = sender, port: tuple[str, int] = port, listener: RtpPeer = listener
                ) -> bool:
                    sender.sock.sendto(hello, port)
                    return listener.has(1)

                eventually(is_passed, "the handshake reaches the other party")
                assert set(listener.taken()) == {hello}
            eventually(lambda: is_heard(caller, of_caller, callee), "encrypted media follow")
            eventually(lambda: is_heard(callee, of_callee, caller), "encrypted media follow")
            assert call.hang_up(2).status == 200
            vendor.reply(vendor.expect("BYE"), 200)
            relaying.record_of(call.callee)


def test_media_from_a_network_that_access_refuses_are_dropped_or_end_the_call(relaying: Stage) -> None:
    callee = RtpPeer(VENDORS["carrier-a"].host, ssrc=2)
    for host, reason in ((f"{NETWORK}.79", "Normal"), (f"{NETWORK}.78", "Geofence Blocked")):
        caller = RtpPeer(host, ssrc=1)
        with (
            Peer(relaying.endpoint_of("acme")) as customer,
            Peer(VENDORS["carrier-a"]) as vendor,
            closing(caller),
            relaying.expecting(*([] if reason == "Normal" else [Event.ACCESS_REFUSED])),
        ):
            call = RelayedCall(relaying, customer, vendor, parties=(caller, callee))
            eventually(lambda call=call: is_heard(callee, call.of_callee, call.caller), "media reach the caller")
            callee.taken()
            caller.send(call.of_caller, BURST)
            if reason == "Normal":
                caller.send(call.of_caller, BURST)
                call.hang_up()
            else:
                for peer in (customer, vendor):
                    peer.reply(peer.expect("BYE"), 200)
            assert (call.record()["end_reason"], callee.taken()) == (reason, [])
    callee.close()


def expect_no_attacker(stage: Stage, host: str, ports: range) -> int:
    """Let all ports be sprayed before, during and after the set-up of a call; return how many packets were foreign.

    The attacker is sent nothing, and neither party anything of it, also before they have sent themselves.
    """
    with (
        closing(RtpPeer(ATTACKER, ssrc=9)) as attacker,
        Peer(stage.endpoint_of("acme")) as customer,
        Peer(VENDORS["carrier-a"]) as vendor,
    ):

        def spray() -> None:
            for port in ports:
                attacker.send((host, port), 3)

        spray()
        with closing(RelayedCall(stage, customer, vendor, while_it_rings=spray)) as call:
            spray()
            call.talk()
            spray()
            call.talk()
            media = call.hang_up()
            spray()
            heard = [*call.caller.all_received, *call.callee.all_received, *call.caller.taken(), *call.callee.taken()]
            assert {packet[8:12] for packet in heard} == {SSRC_OF_CALLER, SSRC_OF_CALLEE}
            assert attacker.taken() == []
    return sum(leg["foreign"] or 0 for leg in media["legs"].values())


def test_an_attacker_hears_nothing_and_is_not_heard(relaying: Stage) -> None:
    """Three packets in sequence would make a source believed."""
    foreign = expect_no_attacker(relaying, RELAYING_SWITCH.host, range(31_000, 31_200))
    assert foreign == 3 * 3 * 2 * 2, "while it rings, before and after the parties send; both legs, RTP and RTCP"


def test_a_key_in_the_media_reaches_the_vendor_as_info(relaying: Stage) -> None:
    """Three packets of the end, as RFC 4733 has them, are one key."""
    with calling(relaying) as call:
        call.talk()
        for duration, end in ((160, 0), (800, 0x80), (800, 0x80), (800, 0x80)):
            body = bytes((11, end | 10)) + duration.to_bytes(2, "big")
            call.caller.sock.sendto(rtp(call.caller.sequence, 5, payload=101, ssrc=1, body=body), call.of_caller)
            call.caller.sequence += 1
        info = call.vendor.expect("INFO")
        assert (info["Content-Type"], info.body) == ("application/dtmf-relay", "Signal=#\r\nDuration=100\r\n")
        call.vendor.reply(info, 200)
        call.talk()
        call.hang_up()


def test_a_recorded_call_has_its_file_and_the_record_names_it(relaying: Stage) -> None:
    with calling(relaying) as call:
        call.talk()
        recording = call.hang_up()["recording"]
        sent = call.caller.sequence - 1_000 + call.callee.sequence - 1_000
    path = relaying.daemon.directory / "var" / "recordings" / recording
    assert path.stat().st_mode & 0o777 == 0o600
    packet = 16 + 28 + 172
    eventually(lambda: path.stat().st_size >= 24 + sent * packet, "all packets of both sides are written")


def test_a_caller_hears_ring_back_while_the_vendor_rings_without_media(relaying: Stage) -> None:
    caller = RtpPeer(CUSTOMERS["acme"], ssrc=1)
    with Peer(relaying.endpoint_of("acme")) as customer, Peer(VENDORS["carrier-a"]) as vendor:
        call = OutgoingCall(customer, relaying.address, relaying.number("4410"))
        call.send(call.request("INVITE", body=described(caller)))
        incoming = vendor.expect("INVITE")
        vendor.reply(incoming, 180, tag="rings")
        eventually(lambda: caller.has(10), "the tone comes")
        assert {packet[1] & 0x7F for packet in caller.taken()} == {0}
        vendor.reply(incoming, 486, tag="rings")
        vendor.expect("ACK")
        assert call.refused().status == 486
    caller.close()
    relaying.expect_nothing_left()


def test_a_caller_hears_why_its_call_fails_and_pays_nothing(relaying: Stage) -> None:
    """Packets of the file come, in order from its beginning, and then the code of the vendor."""
    caller = RtpPeer(CUSTOMERS["acme"], ssrc=1)
    with Peer(relaying.endpoint_of("acme")) as customer, Peer(VENDORS["carrier-a"]) as vendor:
        call = OutgoingCall(customer, relaying.address, relaying.number("4410"))
        call.send(call.request("INVITE", body=described(caller)))
        vendor.reply(vendor.expect("INVITE"), 404, tag="none")
        vendor.expect("ACK")
        eventually(lambda: caller.has(10), "the sound comes")
        assert call.refused().status == 404
        packets = caller.taken()
        assert {packet[1] & 0x7F for packet in packets} == {0}
        assert encoded(TONE, "PCMU").startswith(b"".join(packet[12:] for packet in packets))
    caller.close()
    record = relaying.record_of(call.callee)
    assert (record["end_reason"], record["sip_code"], float(record["fee"])) == ("Not Found", 404, 0)
    assert record["media"]["played"] == [{"to": "caller", "sound": "gone", "codec": "PCMU", "ms": 1000}]
    relaying.expect_nothing_left()


def test_a_party_on_hold_hears_music_and_not_the_holder(relaying: Stage) -> None:
    """Until the call is resumed; the file comes again and again, without a gap."""
    with calling(relaying) as call:
        call.talk()
        offer = described(call.caller)
        call.change(offer.replace("o=- 1 1", "o=- 1 2") + "a=sendonly\r\n", 2)
        eventually(lambda: any(packet[8:12] != SSRC_OF_CALLER for packet in call.callee.taken()), "music comes")
        call.callee.taken()
        call.caller.send(call.of_caller, 5)
        eventually(lambda: call.callee.has(25), "the file comes again")
        heard = call.callee.taken()[:25]
        assert len({packet[8:12] for packet in heard}) == 1
        sound, played = encoded(TONE, "PCMU"), b"".join(packet[12:] for packet in heard)
        assert played in 3 * sound
        call.change(offer.replace("o=- 1 1", "o=- 1 3"), 3)

        def is_resumed() -> bool:
            call.caller.send(call.of_caller)
            return any(packet[8:12] == SSRC_OF_CALLER for packet in call.callee.taken())

        eventually(is_resumed, "the callee hears the caller")
        call.talk()
        call.offer_fax_in_vain(4)
        call.callee.taken()
        eventually(is_resumed, "the callee hears the caller after a fax that was refused")
        (played,) = call.hang_up(5)["played"]
    assert (played["to"], played["sound"], played["codec"]) == ("callee", "gone", "PCMU")
    relaying.expect_nothing_left()


def test_a_call_whose_media_stop_ends_with_no_media(relaying: Stage) -> None:
    with impatient(relaying), calling(relaying) as call:
        call.talk()
        call.customer.reply(call.customer.expect("BYE", 60), 200)
        call.vendor.reply(call.vendor.expect("BYE"), 200)
        record = call.record()
    assert (record["end_reason"], record["hangup_source"]) == ("No Media", "switch")
    assert 3_000 <= record["hold_time_ms"] < 60_000


def test_a_worker_that_is_killed_is_replaced_and_the_call_goes_on(tmp_path: Path) -> None:
    with switch(tmp_path, DOOMED_RELAYING_SWITCH, "31400,31599") as stage, calling(stage) as call:
        call.talk()
        os.kill(worker_of(stage), signal.SIGKILL)
        call.talk()
        assert call.hang_up()["legs"]["caller"]["packets_in"] >= 2 * BURST
        ended = Event.MEDIA_WORKER_ENDED
        faults = [line["event"] for line in stage.daemon.log() if line["level"] == "error" or line["event"] == ended]
        assert faults == [ended]


def test_media_go_on_over_a_kill_and_a_restart_of_the_switch(tmp_path: Path) -> None:
    with switch(tmp_path, DOOMED_RELAYING_SWITCH, "31200,31399") as stage, calling(stage) as call:
        call.talk()
        stage.daemon.kill()
        call.talk()
        stage.daemon.start()
        call.call.send(call.call.request("ACK", 1))  # the kill may have come before the first was journalled
        call.talk()
        stage.daemon.signal(signal.SIGTERM)
        assert stage.daemon.wait() == 0
        call.talk()
        stage.daemon.start()
        call.talk()
        legs = call.hang_up()["legs"]
        assert legs["caller"]["packets_in"] >= 4 * BURST
        assert stage.daemon.ask("status")["media_ports"] == 0


def test_a_caller_is_warned_once_of_the_end_though_the_switch_was_killed_before(tmp_path: Path) -> None:
    keys = "max_call_seconds: 60, end_warning: 54, "
    with switch(tmp_path, DOOMED_RELAYING_SWITCH, "31200,31399", keys) as stage, calling(stage) as call:
        call.talk()
        stage.daemon.kill()
        stage.daemon.start()
        call.call.send(call.call.request("ACK", 1))  # the kill may have come before the first was journalled

        def beeps() -> int:
            call.callee.send(call.of_callee)
            call.caller.taken()
            return sum(max(linear(each[12:], "PCMU")) > 7_000 for each in call.caller.all_received)

        call.callee.body = b"\xd0" * 160
        eventually(lambda: beeps() == 30, "the caller hears all of the tone")
        eventually(lambda: beeps() and call.caller.all_received[-1][12:] == call.callee.body, "the callee is heard")
        stream = call.callee.ssrc.to_bytes(4, "big")  # the tone has one of its own while this test sends nothing
        numbers = [int.from_bytes(each[2:4], "big") for each in call.caller.all_received if each[8:12] == stream]
        assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
        call.talk()
        media = call.hang_up()
        assert media["played"] == [{"to": "caller", "sound": "end_warning", "codec": "PCMU", "ms": 900}]
        assert [media["legs"][each]["lost_percent"] for each in ("caller", "callee")] == [0.0, 0.0]


def test_calls_keep_their_relay_until_they_end_where_the_next_run_has_no_engine(tmp_path: Path) -> None:
    with switch(tmp_path, DOOMED_RELAYING_SWITCH, "31200,31399") as stage, calling(stage) as call:
        call.talk()
        stage.daemon.signal(signal.SIGTERM)
        assert stage.daemon.wait() == 0
        file = stage.daemon.configuration_file
        text = re.sub(r"(?m)^media: .*$", "media: {engine: none}", file.read_text())
        file.write_text(re.sub(r"(?m)^  IVR_RTP_PORT.*\n", "", text))
        stage.daemon.start()
        call.talk()
        assert [each["ports"] for each in stage.daemon.log() if each["event"] == "media_relay_goes_on"] == [2]
        call.call.send(call.call.request("INVITE", 2, branch="refresh", body=described(call.caller)))
        assert place(call.call.answered(cseq=2)) == call.of_caller
        call.talk()
        with Peer(stage.endpoint_of("acme")) as customer:
            direct = RelayedCall(stage, customer, call.vendor)
            parties = direct.caller, direct.callee
            assert [direct.of_callee, direct.of_caller] == [(each.host, each.port) for each in parties]
            assert direct.hang_up() is None
            direct.close()
        assert call.hang_up(3)["legs"]["callee"]["packets_in"] >= 3 * BURST
        stage.daemon.signal(signal.SIGTERM)
        assert stage.daemon.wait() == 0
        assert not list(stage.daemon.directory.rglob("media-*.sock")), "no worker is left"


def test_sides_are_offered_other_ports_where_a_program_has_taken_one_over_a_restart(tmp_path: Path) -> None:
    with switch(tmp_path, DOOMED_RELAYING_SWITCH, "31200,31399") as stage, calling(stage) as call:
        call.talk()
        worker, taken = worker_of(stage), call.of_callee
        stage.daemon.signal(signal.SIGTERM)
        assert stage.daemon.wait() == 0
        os.kill(worker, signal.SIGKILL)
        occupied = socket.socket(type=socket.SOCK_DGRAM)
        eventually(lambda: is_bound(occupied, taken), "the worker has ended")
        with closing(occupied):
            stage.daemon.start()
            call.take_offers()
            assert call.of_callee != taken
            call.talk()
            call.hang_up()
        assert stage.daemon.ask("status")["media_ports"] == 0


def test_calls_without_a_free_port_are_refused_and_the_alarm_says_so(tmp_path: Path) -> None:
    with (
        switch(tmp_path, SMALL_RELAYING_SWITCH, "31600,31603") as stage,
        calling(stage) as call,
        Peer(stage.endpoint_of("acme")) as other,
    ):
        second = OutgoingCall(other, stage.address, stage.number("4410"))
        second.invite()
        assert second.refused().status == 503
        assert stage.record_of(second.callee)["end_reason"] == "No Media Port"
        assert "rtp_port_exhausted" in [each["alarm"] for each in stage.daemon.ask("alarms")]
        call.talk()
        call.hang_up()


def test_loss_and_jitter_of_the_record_are_those_of_what_sipp_plays(relaying: Stage, tmp_path: Path) -> None:
    """Loss is that of the capture, jitter that of the packets as the relay reads them: between both wires."""
    if os.geteuid() != 0:
        pytest.skip("SIPp plays captures as root alone")
    sent = stream_with_gaps(100)
    write_capture(tmp_path / "gaps.pcap", sent)
    values = {"capture": str(tmp_path / "gaps.pcap")}
    number, source = relaying.number("4410"), relaying.endpoint_of("acme")
    with (
        Peer(VENDORS["carrier-a"]) as vendor,
        closing(socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM)) as wire_in,
        closing(socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM)) as wire_out,
        closing(RtpPeer(VENDORS["carrier-a"].host, ssrc=2)) as callee,
        relaying.caller(Caller("plays_a_capture", values), number, source) as caller,
    ):
        watch(wire_in, source.host, RELAYING_SWITCH.host)
        watch(wire_out, RELAYING_SWITCH.host, VENDORS["carrier-a"].host)
        invite = vendor.expect("INVITE")
        vendor.reply(invite, 200, tag="hears", body=described(callee))
        vendor.expect("ACK")
        eventually(lambda: callee.has(len(sent)), "all of the capture is played")
        vendor.hang_up(invite, "hears")
        vendor.expect(200)
        caller.wait()
        came, left = times_of(wire_in), times_of(wire_out)
    leg = relaying.record_of(number)["media"]["legs"]["caller"]
    expected = sent[-1].sequence - sent[0].sequence + 1
    assert leg["packets_in"] == len(sent) == len(came) == len(left)
    assert leg["lost_percent"] == pytest.approx(100 * (1 - len(sent) / expected), abs=0.1)
    least, most = zip(*jitter_between(came, left), strict=True)
    assert mean(least) - ROUNDED_MS <= leg["jitter_ms"] <= mean(most) + ROUNDED_MS
    assert max(least) - ROUNDED_MS <= leg["jitter_max_ms"] <= max(most) + ROUNDED_MS


def worker_of(stage: Stage) -> int:
    """Return the process id of the worker of the relay."""
    tasks = Path(f"/proc/{stage.daemon.pid}/task").iterdir()
    children = [int(pid) for task in tasks for pid in (task / "children").read_text().split()]
    (worker,) = (pid for pid in children if "vosd.relay.worker" in Path(f"/proc/{pid}/cmdline").read_text())
    return worker
