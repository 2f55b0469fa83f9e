"""The relay with real workers and real sockets."""

import asyncio
import errno
import os
import signal
import socket
import struct
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import suppress
from itertools import cycle
from pathlib import Path
from types import FrameType

import pytest
from doubles.data.wavs import wav
from doubles.home import Namespace, NoNamespacesError, expect_tools
from doubles.sockets.relay import PATIENCE_S, PORTS, RelayStage, now, source, until
from doubles.sockets.rtp import RtpPeer, report_block, rtp, sender_report
from doubles.turns import turns
from e2e.namespaces import do_without
from msgspec import msgpack
from msgspec.structs import replace
from structlog.testing import capture_logs

import vosd
from vosd.base.host import plain_host
from vosd.media.figures import PeerReport
from vosd.media.g711 import PAYLOADS, linear
from vosd.media.keys import KeyReader, PressedKey, tone
from vosd.media.pcap import HEADER as HEADER_OF_FILE
from vosd.media.rtp import HEADER
from vosd.media.sounds import READY_MADE, EncodedSound, encoded_frames, encoded_wav
from vosd.media.source import RelayPort
from vosd.obs.alarms import KINDS
from vosd.obs.events import Event
from vosd.relay import client
from vosd.relay.channel import MessageChannel
from vosd.relay.link import WorkerLink
from vosd.relay.media_port import FILTER_AFTER
from vosd.relay.protocol import PROTOCOL, ConnectPorts, MarkUnset, OpenPort, PlaySound, RecordingStopped, WorkerReady
from vosd.relay.sockets import bound_sockets
from vosd.relay.worker_process import own_means, reap
from vosd.trunks.media import PortRange

HOST = "127.78.0.1"
FUNCTIONS_OF_A_CALL = 64
"""Calls of Python functions for both ports of a call: who raises it says in the commit what for, who needs fewer lowers
it."""
_ROOT = f"{Path(vosd.__file__).parent}/"


@pytest.fixture
async def stage(tmp_path) -> AsyncIterator[RelayStage]:
    stage = RelayStage(tmp_path, HOST)
    await stage.relay.start()
    yield stage
    await stage.relay.stop(keep=False)


@pytest.fixture
def peers():
    made: list[RtpPeer] = []

    def make(host: str = "127.78.0.9", port: int = 0, ssrc: int = 0x1234) -> RtpPeer:
        made.append(RtpPeer(host, port, ssrc))
        return made[-1]

    yield make
    for each in made:
        each.close()


def connected(stage: RelayStage, one: RtpPeer, other: RtpPeer, **named) -> tuple[RelayPort, RelayPort]:
    """Return the ports of two legs."""
    ports = stage.open(**named), stage.open(**named)
    for port, peer in zip(ports, (one, other), strict=True):
        stage.relay.expect(port, source(peer.host, peer.port))
    stage.relay.connect(*ports)
    return ports


def impatient(directory: Path) -> Path:
    """Return a directory with a module that makes workers wait for a second only."""
    text = "import vosd.relay.worker\nvosd.relay.worker.ABANDONED_NS = 1_000_000_000\n"
    (directory / "sitecustomize.py").write_text(text)
    return directory


async def received(peer: RtpPeer, packets: int) -> list[bytes]:
    await until(lambda: peer.has(packets))
    return peer.taken()


async def test_media_are_taken_once_the_switch_allows_their_source_and_dropped_where_it_does_not(stage, peers):
    other, found = peers(), []
    stage.relay.source_found = lambda port, leg, host: found.append((port, leg, host))
    for leg, allows in ((40, False), (41, True)):
        one = peers()
        first, _ = connected(stage, one, other)
        stage.relay.expect(first, replace(source(one.host, one.port), judged_for=leg))
        sent = one.send((HOST, first.rtp), 5)
        await until(lambda: bool(found))
        assert found.pop() == (first, leg, one.host)
        stage.relay.judge(first, one.host, may_send=allows)

        def is_judged(first: RelayPort = first, one: RtpPeer = one, sent: list[bytes] = sent) -> bool:
            sent += one.send((HOST, first.rtp))
            return stage.relay.figures(first).dropped.unknown > 0 or other.has(6)

        await until(is_judged)
        assert other.taken()[:6] == (sent[:6] if allows else [])
        assert found == []


async def test_both_sides_receive_what_the_other_one_sends(stage, peers):
    one, other = peers(), peers(ssrc=0x9999)
    first, second = connected(stage, one, other)
    sent = one.send((HOST, first.rtp), 5)
    assert await received(other, 5) == sent
    sent = other.send((HOST, second.rtp), 5)
    assert await received(one, 5) == sent
    await stage.until(first, lambda figures: figures.packets_out == 5)
    figures = stage.close(first)
    assert (figures.packets_in, figures.packets_out, figures.lost, figures.payload) == (5, 5, 0, 0)
    assert (figures.latched_host, figures.latched_port) == (one.host, one.port)


async def test_an_address_that_is_lost_is_logged_once_a_minute_also_after_it_was_back(stage, monkeypatch):
    at_ns, refusing = [0], OSError(errno.EMFILE, os.strerror(errno.EMFILE))
    monkeypatch.setattr(client, "monotonic_ns", lambda: at_ns[0])

    def refuse(_host: str, _ports: Sequence[int]) -> None:
        raise refusing

    with capture_logs() as lines:
        for _ in range(2):
            with monkeypatch.context() as patched:
                patched.setattr(client, "bound_sockets", refuse)
                for _ in range(3):
                    assert stage.relay.open(HOST, PORTS, is_multiplexed=True, tos=0, now=now()) is None
            stage.open()
            at_ns[0] += 60_000_000_000
    assert [(line["event"], line["address"]) for line in lines] == 2 * [("media_address_unusable", HOST)]


async def test_the_kernel_is_asked_for_drops_only_of_ports_to_which_something_came(stage, peers, monkeypatch):
    asked = Counter[str]()
    monkeypatch.setattr("vosd.relay.client.drops_of", lambda _sock: asked.update(["drops"]) or 7)
    one, other = peers(), peers(ssrc=0x9999)
    first, second = connected(stage, one, other)
    assert stage.close(second).dropped.kernel == 0
    assert not asked
    one.send((HOST, first.rtp), 5)
    await stage.until(first, lambda figures: figures.packets_in == 5)
    assert stage.close(first).dropped.kernel == 14, "of the ports of RTP and of RTCP"


async def test_a_peer_whose_packets_all_come_twice_is_received(stage, peers):
    one, other = peers(), peers(ssrc=0x9999)
    first, _ = connected(stage, one, other)
    packets = [rtp(sequence, 160 * sequence) for sequence in range(5)]
    for packet in packets:
        for _ in range(2):
            one.sock.sendto(packet, (HOST, first.rtp))
    got = await received(other, 8)
    assert got == packets[:3] + [packets[2]] + [packet for packet in packets[3:] for _ in range(2)]
    assert (await stage.until(first, lambda figures: figures.packets_in == 8)).latched_port == one.port


async def test_a_peer_may_send_by_more_payload_types_and_is_believed_as_before(stage, peers):
    """An answer widens what the caller sends: no other port of its host may take its place for that."""
    one, other, thief = peers(), peers(ssrc=0x9999), peers(ssrc=0x6666)
    first, _ = connected(stage, one, other)
    named = source(one.host, one.port)
    sent = one.send((HOST, first.rtp), 3)
    assert await received(other, 3) == sent
    stage.relay.widen(first, named.with_payloads((98,), (8_000,), ("iLBC",)))
    await until(lambda: bool(one.send((HOST, first.rtp), payload=98)) and other.has(1))
    last_ms = stage.relay.figures(first).alive_mono
    await until(lambda: now().mono > last_ms + 600)  # a repeated description would let others in after such a silence
    thief.send((HOST, first.rtp), 5)
    await stage.until(first, lambda figures: figures.dropped.unknown == 5)
    assert stage.relay.figures(first).latched_port == one.port
    await stage.kill_worker()
    other.taken()
    sent = one.send((HOST, first.rtp), 3, payload=98)
    assert await received(other, 3) == sent


async def test_a_worker_that_is_killed_is_back_on_the_same_ports(stage, peers):
    one, other = peers(), peers(ssrc=0x9999)
    first, second = connected(stage, one, other)
    assert stage.relay.last_packet(first) is None
    one.send((HOST, first.rtp), 3)
    assert len(await received(other, 3)) == 3
    await stage.until(first, lambda figures: figures.packets_in == 3)
    assert stage.relay.last_packet(first) == stage.relay.figures(first).alive_mono
    (link,) = stage.relay.links
    killed = link.pid
    os.kill(killed, signal.SIGKILL)
    sent = one.send((HOST, first.rtp), 3)
    assert await received(other, 3) == sent
    assert link.pid != killed
    figures = await stage.until(first, lambda figures: figures.packets_in == 6)
    assert stage.relay.last_packet(first) == figures.alive_mono
    assert stage.relay.last_packet(second) is None
    assert stage.close(first).packets_in == 6


async def test_the_next_worker_sends_on_what_waited_at_many_ports(stage, peers, monkeypatch):
    """They are given to it by several messages, and it reads its ports between two of these."""
    pairs = [(peers(), peers(ssrc=0x9999)) for _ in range(60)]
    ports = [connected(stage, *pair, ports=PortRange(30_500, 30_799)) for pair in pairs]

    def send() -> list[list[bytes]]:
        return [
            peer.send((HOST, port.rtp), 3)
            for both, pair in zip(ports, pairs, strict=True)
            for peer, port in zip(pair[::-1], both[::-1], strict=True)
        ]

    receivers = [peer for pair in pairs for peer in pair]
    sent = send()
    assert [await received(peer, 3) for peer in receivers] == sent
    (link,) = stage.relay.links
    opened, connections = list[set[int]](), list[set[int]]()
    send_orders = link._send

    def noting(channel, orders, descriptors):
        opened.append({each.port.id for each in orders if isinstance(each, OpenPort)})
        connections.append({each.one for each in orders if isinstance(each, ConnectPorts)})
        connections[-1] |= {each.other for each in orders if isinstance(each, ConnectPorts)}
        send_orders(channel, orders, descriptors)

    monkeypatch.setattr(link, "_send", noting)
    os.kill(link.pid, signal.SIGKILL)
    sent = send()
    for port in (port for both in ports for port in both):
        await stage.until(port, lambda figures: figures.packets_in == 6)
    assert [heard_by(peer) for peer in receivers] == sent
    assert opened == connections
    assert len(opened) > 2


async def test_the_log_says_that_orders_were_lost_for_want_of_descriptors(stage, monkeypatch):
    """Copies wait for a worker that does not read; those that were made before the limit are closed again."""

    def dup(descriptor):
        if len(copies) % 2:
            copies.append(-1)
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        copies.append(copy(descriptor))
        return copies[-1]

    (link,) = stage.relay.links
    await until(lambda: link.records.turn_at_ns() > 0)
    link._channel.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1)
    copies, copy = list[int](), os.dup
    os.kill(link.pid, signal.SIGSTOP)
    try:
        with monkeypatch.context() as limited, capture_logs() as logs:
            limited.setattr(os, "dup", dup)
            while not copies:
                stage.open()
                link.flush()
            with pytest.raises(OSError, match="Bad file descriptor"):
                os.fstat(copies[0])
            stage.open()
            link.flush()
    finally:
        os.kill(link.pid, signal.SIGCONT)
    assert copies[1::2] == [-1, -1]
    (lost,) = logs
    assert (lost["event"], lost["pid"]) == ("media_orders_lost", link.pid)
    assert lost["do"] == "let the service open more files (LimitNOFILE)"


async def test_orders_that_need_not_wake_a_worker_wait_for_one_that_does(stage, peers, monkeypatch):
    one, other = peers(), peers(ssrc=0x9999)
    (link,) = stage.relay.links
    await until(lambda: not link._orders)  # those of the start have left
    monkeypatch.setattr("vosd.relay.link.LATER_S", 3_600.0)
    messages: list[int] = []
    send = link._send

    def counting(channel, orders, descriptors):
        messages.append(len(orders))
        send(channel, orders, descriptors)

    monkeypatch.setattr(link, "_send", counting)
    first, second, short = stage.open(), stage.open(), stage.open()
    stage.relay.expect(first, source(one.host, one.port))
    stage.relay.connect(first, second)
    stage.close(short)  # its sockets go with the order to open it
    await asyncio.sleep(0)
    assert messages == []
    stage.relay.expect(second, source(other.host, other.port))
    await asyncio.sleep(0)
    assert messages == [7]
    sent = one.send((HOST, first.rtp), 5)
    assert await received(other, 5) == sent
    stage.close(second)
    assert link._closing
    link.flush()
    assert (messages, link._closing) == ([7, 1], [])


async def test_the_ports_of_a_call_cost_no_more_functions_than_their_budget(stage):
    relay, (link,), moment = stage.relay, stage.relay.links, now()
    host = f"127.79.{os.getpid() // 250 % 250}.{os.getpid() % 250 + 1}"  # a port that is in use costs more
    sources = [source("127.78.0.9", number) for number in (40_000, 40_002)]
    calls: list[str] = []

    def ports_of_a_call() -> None:
        first, second = (relay.open(host, PORTS, is_multiplexed=False, tos=0xA0, now=moment) for _ in range(2))
        relay.expect(first, sources[0])
        relay.expect(second, sources[1])
        relay.connect(first, second)
        link.flush_due()
        relay.close(first, moment)
        relay.close(second, moment)

    def note_call(frame: FrameType, event: str, _argument: object) -> None:
        if event == "call" and frame.f_code.co_filename.startswith(_ROOT):
            calls.append(frame.f_code.co_qualname)

    ports_of_a_call()
    earlier = sys.getprofile()
    sys.setprofile(note_call)
    try:
        ports_of_a_call()
    finally:
        sys.setprofile(earlier)
    assert len(calls) == FUNCTIONS_OF_A_CALL, Counter(calls)


async def test_an_order_is_there_before_the_packet_of_a_peer_that_sends_at_once(stage, peers):
    one, other, later = peers(), peers(ssrc=0x9999), peers("127.78.0.10", ssrc=0x8888)
    _, second = connected(stage, one, other)
    sent = other.send((HOST, second.rtp), 5)
    assert await received(one, 5) == sent
    stage.relay.expect(second, source(later.host, later.port))
    for link in stage.relay.links:
        link.flush_due()
    sent = later.send((HOST, second.rtp), 5)  # still in the turn in which the message leaves
    assert await received(one, 5) == sent


async def test_what_waits_for_a_worker_that_is_killed_is_given_to_its_successor_once(stage, peers, monkeypatch):
    (link,) = stage.relay.links
    await until(lambda: not link._orders)
    monkeypatch.setattr("vosd.relay.link.LATER_S", 3_600.0)
    one, other = peers(), peers(ssrc=0x9999)
    first, second, closed = stage.open(), stage.open(), stage.open()
    stage.close(closed)
    with capture_logs() as lines:
        await stage.kill_worker()
        for port, peer in ((first, one), (second, other)):
            stage.relay.expect(port, source(peer.host, peer.port))
        stage.relay.connect(first, second)
        sent = one.send((HOST, first.rtp), 5)
        assert await received(other, 5) == sent
    assert [line["event"] for line in lines].count("media_worker_ended") == 1
    await stage.relay.stop(keep=True)
    stage.relay = (left := RelayStage(Path(link.path).parent, HOST)).relay
    await left.relay.start()
    assert set(left.relay.ports.values()) == {first, second}


async def test_a_worker_that_cannot_be_started_receives_nothing_until_it_can(stage, peers, monkeypatch):
    first, _ = connected(stage, peers(), peers())
    assert stage.relay.receiving_since(first) == 0

    def fails(_path: Path) -> None:
        raise OSError("no more processes")

    monkeypatch.setattr("vosd.relay.link.start_worker", fails)
    killed_ms = now().mono
    with capture_logs() as lines:
        os.kill(stage.relay.links[0].pid, signal.SIGKILL)
        await until(lambda: len(lines) == 2)
    alarms = [line["event"] for line in lines if line["event"] in KINDS]
    assert alarms == [Event.MEDIA_WORKER_ENDED, Event.MEDIA_WORKER_NOT_STARTED]
    assert stage.relay.receiving_since(first) > now().mono
    monkeypatch.undo()
    await until(lambda: 0 < stage.relay.receiving_since(first) <= now().mono)
    assert stage.relay.receiving_since(first) >= killed_ms


def sound(packets: int) -> EncodedSound:
    """Return a sound of G.711 of which every packet is another."""
    (found, _) = encoded_wav(
        wav(b"".join(bytes((number,)) * 160 for number in range(packets)), format_number=7, bits=8)
    )
    return found


async def test_a_peer_hears_a_sound_alone_and_then_the_other_side_again(stage, peers):
    one, other = peers(), peers(ssrc=0x9999)
    first, second = connected(stage, one, other)
    assert stage.relay.play(first, sound(5), 0, 2)
    await until(lambda: one.has(10))
    other.send((HOST, second.rtp), 3)
    await stage.until(second, lambda figures: figures.packets_in == 3)
    heard = one.taken()
    assert [packet[12] for packet in heard] == [0, 1, 2, 3, 4] * 2
    assert {HEADER.unpack_from(packet)[4] for packet in heard} != {0x9999}
    assert stage.relay.figures(first).packets_out == 10
    stage.relay.stop_playing(first)

    def is_heard() -> bool:
        return other.send((HOST, second.rtp))[0] in heard_by(one)

    await until(is_heard)


def has_beep(packet: bytes, codec: str) -> bool:
    """Return whether the tone that warns of the end is in the audio of a packet."""
    return max(linear(packet[12:], codec)) > 7_000


@pytest.mark.parametrize(("payload", "codec"), PAYLOADS.items())
async def test_a_side_is_warned_in_the_stream_of_the_other_one_without_a_loss(stage, peers, payload, codec):
    one, other = peers(), peers(ssrc=0x9999)
    other.body = {"PCMU": b"\xff", "PCMA": b"\xd5"}[codec] * 160
    first, second = connected(stage, one, other)
    for port, peer in ((first, one), (second, other)):
        stage.relay.expect(port, source(peer.host, peer.port, payloads=(payload, 101)))
    before = other.send((HOST, second.rtp), 5, payload=payload)
    assert await received(one, 5) == before
    assert stage.relay.warn(first, -1, {})
    stage.relay.links[0].flush_due()
    sent, heard = other.send((HOST, second.rtp), 60, payload=payload), await received(one, 60)
    assert [each[:12] for each in heard] == [each[:12] for each in sent]
    assert [has_beep(each, codec) for each in heard] == ([True] * 10 + [False] * 5) * 3 + [False] * 15
    assert heard[45:] == sent[45:]
    back = one.send((HOST, first.rtp), 3, payload=payload)
    assert await received(other, 3) == back, "the other side hears nothing of it"
    figures = stage.relay.figures(second)
    assert (figures.packets_in, figures.lost) == (65, 0)
    assert stage.relay.figures(first).packets_out == 65


async def test_a_side_is_warned_by_a_sound_in_the_codec_of_the_stream(stage, peers):
    one, other = peers(), peers(ssrc=0x9999)
    other.body = bytes(20)
    first, second = connected(stage, one, other)
    for port, peer in ((first, one), (second, other)):
        stage.relay.expect(port, source(peer.host, peer.port, payloads=(18, 101)))
    before = other.send((HOST, second.rtp), 5, payload=18)
    assert await received(one, 5) == before
    frames = bytes(range(1, 201))
    assert stage.relay.warn(first, -1, {18: encoded_frames(frames, READY_MADE["g729"])})
    stage.relay.links[0].flush_due()
    sent, heard = other.send((HOST, second.rtp), 60, payload=18), await received(one, 60)
    assert [each[:12] for each in heard] == [each[:12] for each in sent]
    assert b"".join(each[12:] for each in heard[:10]) == frames
    assert heard[10:] == sent[10:]


async def test_a_side_whose_opposite_is_silent_is_warned_by_packets_of_its_own(stage, peers):
    one, other = peers(), peers(ssrc=0x9999)
    first, second = connected(stage, one, other)
    one.send((HOST, first.rtp), 3)
    assert stage.relay.warn(first, 0, {})
    heard = await received(one, 45)
    assert sum(has_beep(each, "PCMU") for each in heard) == 30
    sent = other.send((HOST, second.rtp), 3)
    assert await received(one, 3) == sent


async def test_a_worker_of_an_earlier_release_is_given_no_order_to_warn(tmp_path, peers, monkeypatch):
    """It would not know it, and end: its calls go on without the tone. It does not say that it can."""
    one, other = peers(), peers(ssrc=0x9999)
    stage = RelayStage(tmp_path, HOST)
    await stage.relay.start()
    first, second = connected(stage, one, other)
    (link,) = stage.relay.links
    assert link.warns
    await stage.relay.stop(keep=True)
    stage, begin = RelayStage(tmp_path, HOST), WorkerLink._begin

    def begin_earlier(self: WorkerLink, ready: WorkerReady, descriptors: list[int]) -> None:
        begin(self, replace(ready, warns=WorkerReady(PROTOCOL, 1, True, True).warns), descriptors)

    monkeypatch.setattr(WorkerLink, "_begin", begin_earlier)
    await stage.relay.start()
    assert [each.pid for each in stage.relay.links] == [link.pid]
    assert not stage.relay.warn(first, 0, {})
    sent = other.send((HOST, second.rtp), 5)
    assert await received(one, 5) == sent
    await stage.relay.stop(keep=False)


async def test_a_sound_goes_on_after_its_worker_and_after_it_was_given_up(stage, peers):
    one = peers()
    first, _ = connected(stage, one, peers())
    assert stage.relay.play(first, sound(5), 0)
    await until(lambda: one.has(6))
    (link,) = stage.relay.links
    before = {HEADER.unpack_from(packet)[4] for packet in heard_by(one)}
    os.kill(link.pid, signal.SIGKILL)
    await until(lambda: any(HEADER.unpack_from(packet)[4] not in before for packet in heard_by(one)))
    stage.relay.retain_sounds(())
    one.taken()
    await received(one, 6)


async def test_a_sound_goes_on_where_its_worker_dies_after_a_restart_of_the_switch(tmp_path, peers):
    one = peers()
    stage = RelayStage(tmp_path, HOST)
    await stage.relay.start()
    first, _ = connected(stage, one, peers())
    assert stage.relay.play(first, sound(5), 0)
    await until(lambda: one.has(2))
    await stage.relay.stop(keep=True)
    successor = RelayStage(tmp_path, HOST)
    await successor.relay.start()
    assert successor.relay.load_sound(first, sound(5))
    before = {HEADER.unpack_from(packet)[4] for packet in await received(one, 4)}
    assert len(before) == 1, "the restart has not interrupted it"
    os.kill(successor.relay._ports[first.id].link.pid, signal.SIGKILL)
    await until(lambda: any(HEADER.unpack_from(packet)[4] not in before for packet in heard_by(one)))
    await successor.relay.stop(keep=False)


async def test_a_sound_that_cannot_be_played_is_reported_and_logged_once(stage, peers, monkeypatch):
    first, second = connected(stage, peers(), peers())
    failed: list[int] = []
    stage.relay.sound_failed = failed.append

    def refuse(*_: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with capture_logs() as logs:
        with monkeypatch.context() as without_room:
            without_room.setattr(os, "write", refuse)
            assert not stage.relay.load_sound(first, sound(5))
            assert not stage.relay.play(first, sound(5), 0)
        (link,) = stage.relay.links
        stage.relay._ports[second.id].playing = order = PlaySound(second.id, "unknown", 0, 160, 20, 0)
        link.order(order)
        await until(lambda: bool(failed))
    assert failed == [second.id]
    assert [(line["event"], line["error"]) for line in logs] == [
        ("sound_not_played", "[Errno 28] No space left on device")
    ]


def heard_by(peer: RtpPeer) -> list[bytes]:
    """Return all packets that have come to a peer and were not taken."""
    peer.has(0)
    return peer._received


async def test_a_peer_behind_nat_misses_nothing_of_a_sound(stage, peers):
    one = peers()
    port = stage.open()
    stage.relay.expect(port, source("0.0.0.0", 4_000, sip_host=one.host))
    assert stage.relay.play(port, sound(5), 0, 1)
    one.send((HOST, port.rtp), 3)
    assert [packet[12] for packet in await received(one, 5)] == [0, 1, 2, 3, 4]


async def test_workers_go_on_without_the_switch_and_are_adopted_by_the_next_one(tmp_path, peers):
    one, other = peers(), peers(ssrc=0x9999)
    stage = RelayStage(tmp_path, HOST)
    await stage.relay.start()
    first, second = connected(stage, one, other)
    one.send((HOST, first.rtp), 3)
    await received(other, 3)
    await stage.relay.stop(keep=True)
    one.send((HOST, first.rtp), 3)
    await received(other, 3)
    successor = RelayStage(tmp_path, HOST)
    await successor.relay.start()
    assert successor.relay.ports == {first.id: first, second.id: second}
    assert successor.open().id > second.id
    assert successor.relay.reopen(first, tos=0)
    assert (await successor.until(first, lambda figures: figures.packets_in == 6)).latched_port == one.port
    assert successor.close(first).packets_in == 6
    assert successor.relay.retain((), now()) == 2
    await successor.relay.stop(keep=False)


async def test_long_descriptions_of_many_legs_lose_no_order(stage, peers):
    """Their orders of one turn are too long for one message, also those for a worker that was started again."""
    one, other = peers(), peers(ssrc=0x9999)
    payloads = tuple(range(127))
    long = source(one.host, 4_000)
    long = replace(long, payloads=payloads, clocks=(8_000,) * 127, codecs=("A" * 32,) * 127)
    for _ in range(60):
        stage.relay.expect(stage.open(), long)
    first, _ = connected(stage, one, other)
    sent = one.send((HOST, first.rtp), 3)
    assert await received(other, 3) == sent
    (link,) = stage.relay.links
    os.kill(link.pid, signal.SIGKILL)
    sent = one.send((HOST, first.rtp), 3)
    assert await received(other, 3) == sent


async def test_occupied_ports_are_skipped_until_none_is_left(stage, peers):
    occupied = [peers(HOST, port) for port in (30_701, 30_704)]
    few = PortRange(30_700, 30_707)
    opened = [stage.open(few), stage.open(few)]
    assert {port.rtp for port in opened} == {30_702, 30_706}
    assert stage.relay.open(HOST, few, is_multiplexed=False, tos=0, now=now()) is None
    assert stage.relay.used_percent(few, now()) == 100
    assert occupied


async def test_a_block_of_occupied_ports_is_left_at_once_and_not_tried_again(stage, peers, monkeypatch):
    """A program beside the switch occupies 8 pairs in a row, more than a leg tries."""
    monkeypatch.setattr(client, "TRIES", 4)
    tried: list[Sequence[int]] = []

    def bound(host, ports):
        tried.append(ports)
        return bound_sockets(host, ports)

    monkeypatch.setattr(client, "bound_sockets", bound)
    starts = cycle([0, 1, 9, 0, 2, 10])
    stage.relay._entropy = lambda: bytes([next(starts)])
    occupied = [peers(HOST, port) for port in range(30_720, 30_736, 2)]
    ports = PortRange(30_720, 30_743)
    assert [stage.open(ports).rtp for _ in range(2)] == [30_738, 30_740]
    assert [pair[0] for pair in tried] == [30_720, 30_722, 30_738, 30_724, 30_726, 30_740]
    assert len(occupied) == 8


async def test_a_worker_without_room_has_no_port_set_aside(stage, monkeypatch):
    monkeypatch.setattr(type(stage.relay.links[0].records), "take", lambda _records: None)
    ports = PortRange(30_750, 30_753)
    assert stage.relay.open(HOST, ports, is_multiplexed=False, tos=0, now=now()) is None
    assert stage.relay.used_percent(ports, now()) == 0


async def test_a_call_without_a_port_takes_no_room_of_a_worker(stage, peers):
    occupied, ports, records = peers(HOST, 30_756), PortRange(30_756, 30_757), stage.relay.links[0].records

    def room() -> int:
        free = [*iter(records.take, None)]
        for each in free:
            records.give_back(each)
        return len(free)

    before = room()
    assert stage.relay.open(HOST, ports, is_multiplexed=False, tos=0, now=now()) is None, f"{occupied} has it"
    assert stage.relay.open("192.0.2.77", ports, is_multiplexed=False, tos=0, now=now()) is None, "it is not ours"
    assert stage.relay.reopen(RelayPort(7, HOST, 30_756, 30_757), tos=0) is False
    assert room() == before


async def test_a_source_that_is_not_announced_is_neither_forwarded_nor_sent_to(stage, peers):
    """An attacker sprays the port before, during and after the set-up, with SSRC and numbers of the telephone."""
    attacker, near_miss = peers("127.78.0.66"), peers("127.78.0.67")
    one, other = peers(), peers(ssrc=0x9999)
    first, second = stage.open(), stage.open()
    attacker.send((HOST, first.rtp), 20)
    stage.relay.expect(second, source(other.host, other.port))
    stage.relay.connect(first, second)
    attacker.send((HOST, first.rtp), 20)
    stage.relay.expect(first, source(one.host, one.port))
    await turns(1)  # orders go out at its end
    attacker.send((HOST, first.rtp), 2)
    near_miss.send((HOST, first.rtp), 20)
    await stage.until(first, lambda figures: figures.dropped.unknown == 62)
    expected = []
    for _ in range(5):
        expected += one.send((HOST, first.rtp), 2)
        attacker.sequence, attacker.stamp = one.sequence, one.stamp
        attacker.send((HOST, first.rtp), 4)
        other.send((HOST, second.rtp), 2)
    assert await received(other, 10) == expected
    figures = await stage.until(first, lambda figures: figures.dropped.unknown == 82)
    assert (figures.packets_in, figures.lost, figures.latched_port) == (10, 0, one.port)
    assert len(await received(one, 10)) == 10
    assert attacker.taken() == near_miss.taken() == []
    assert other.taken() == []


async def test_broken_packets_and_foreign_payload_types_are_dropped_and_counted(stage, peers):
    one, other = peers(), peers(ssrc=0x9999)
    first, _ = connected(stage, one, other)
    sent = one.send((HOST, first.rtp), 3)
    for junk in (b"", b"\x80", b"\x00" * 20, b"\xb0" + rtp(1)[1:], b"\x00\x01\x00\x00" + bytes(16)):
        one.sock.sendto(junk, (HOST, first.rtp))
    one.sock.sendto(rtp(one.sequence, payload=96), (HOST, first.rtp))
    sent += one.send((HOST, first.rtp), 2)
    assert await received(other, 5) == sent
    figures = await stage.until(first, lambda figures: figures.dropped.broken == 5)
    assert figures.dropped.payload == 1
    assert figures.foreign == 6


async def test_more_than_500_packets_a_second_are_dropped(stage, peers):
    one, other = peers(), peers(ssrc=0x9999)
    first, _ = connected(stage, one, other)
    for _ in range(12):
        one.send((HOST, first.rtp), 50)
        await stage.until(
            first, lambda figures, until=one.sequence - 1_000: figures.packets_in + figures.foreign == until
        )
    figures = stage.relay.figures(first)
    assert figures.packets_in + figures.dropped.excess == 600
    assert figures.packets_in <= 250 * (1 + (figures.last_at - figures.first_at + 1) // 500)
    assert figures.dropped.excess or figures.last_at - figures.first_at >= 1_000


async def test_rtcp_is_relayed_and_tells_how_the_peer_receives(stage, peers):
    one, other = peers(port=25_000), peers(port=25_002, ssrc=0x9999)
    one_control, other_control = peers(port=25_001), peers(port=25_003)
    first, second = stage.open(), stage.open()
    stage.relay.expect(first, source(one.host, one.port, rtcp=25_001))
    stage.relay.expect(second, source(other.host, other.port, rtcp=25_003))
    stage.relay.connect(first, second)
    one.send((HOST, first.rtp), 3)
    await received(other, 3)
    sent = sender_report(one.ssrc, 0xABCD_0001)
    one_control.sock.sendto(sent, (HOST, first.rtcp))
    assert await received(other_control, 1) == [sent]
    block = report_block(one.ssrc, fraction=64, lost=3, jitter=80, last=0xABCD_0001)
    other_control.sock.sendto(sender_report(other.ssrc, 2, block, 1), (HOST, second.rtcp))
    assert len(await received(one_control, 1)) == 1
    figures = await stage.until(second, lambda figures: figures.peer is not None)
    assert figures.peer == PeerReport(25.0, 3, 10.0)
    assert 0 <= figures.round_trip_ms < 5_000
    assert figures.alive_mono == stage.relay.last_packet(second)
    assert figures.alive_mono is not None
    assert figures.packets_in == 0


@pytest.mark.parametrize(("payload", "jitter_ms"), [(111, 10.0), (0, 60.0)])
async def test_jitter_that_a_peer_reports_is_counted_by_the_clock_of_the_codec_in_use(stage, peers, payload, jitter_ms):
    one, other = peers(), peers(ssrc=0x9999)
    first, second = connected(stage, one, other, is_multiplexed=True)
    by_clock = {"payloads": (111, 0), "clocks": (48_000, 8_000), "codecs": ("opus", "PCMU")}
    stage.relay.expect(first, replace(source(one.host, one.port), **by_clock))
    one.send((HOST, first.rtp), 3, payload=payload)
    await received(other, 3)
    other.sock.sendto(sender_report(other.ssrc, 2, report_block(one.ssrc, jitter=480), 1), (HOST, second.rtp))
    figures = await stage.until(second, lambda figures: figures.peer is not None)
    assert figures.peer == PeerReport(0.0, 0, jitter_ms)


async def test_comfort_noise_that_was_not_agreed_on_is_dropped_and_shows_that_its_peer_lives(stage, peers):
    one, other, elsewhere = peers(), peers(ssrc=0x9999), peers()
    first, _ = connected(stage, one, other)
    one.send((HOST, first.rtp), 3)
    await received(other, 3)
    before = stage.relay.figures(first)
    elsewhere.send((HOST, first.rtp), payload=13)
    figures = await stage.until(first, lambda figures: figures.foreign == 1)
    assert figures.alive_mono == before.alive_mono
    await until(lambda: now().mono > before.alive_mono)
    one.send((HOST, first.rtp), payload=13)
    figures = await stage.until(first, lambda figures: figures.dropped.payload + figures.dropped.unknown == 2)
    assert figures.alive_mono > before.alive_mono
    assert figures.last_at == before.last_at
    assert other.taken() == []


async def test_comfort_noise_that_was_not_agreed_on_is_not_lost(stage, peers):
    one, other = peers(), peers(ssrc=0x9999)
    first, _ = connected(stage, one, other)
    for _ in range(4):
        one.send((HOST, first.rtp), 5)
        one.send((HOST, first.rtp), 2, payload=13)
        one.sequence += 1
    one.send((HOST, first.rtp))
    figures = await stage.until(first, lambda figures: figures.packets_in == 21)
    assert (figures.expected, figures.lost, figures.dropped.payload) == (33, 4, 8)


async def test_a_peer_that_waits_at_its_new_place_is_sent_media_there_while_it_sends_from_the_old_one(stage, peers):
    """It learns where the media of the other side come from, as a relay does, or only receives."""
    one, other, moved = peers(), peers(ssrc=0x9999), peers()
    first, second = connected(stage, one, other)
    one.send((HOST, first.rtp), 3)
    other.send((HOST, second.rtp), 3)
    assert len(await received(one, 3)) == len(await received(other, 3)) == 3
    stage.relay.expect(first, source(moved.host, moved.port))
    await asyncio.sleep(0)  # orders of a turn go out at its end
    sent = one.send((HOST, first.rtp), 5)
    assert await received(other, 5) == sent
    sent = other.send((HOST, second.rtp), 5)
    assert await received(moved, 5) == sent
    assert one.taken() == []
    figures = await stage.until(first, lambda figures: figures.packets_in == 8)
    assert (figures.lost, figures.latched_port) == (0, None)
    moved.send((HOST, first.rtp), 3)
    assert len(await received(other, 3)) == 3
    assert stage.relay.figures(first).latched_port == moved.port


@pytest.mark.parametrize("is_at_the_same_port", [True, False])
async def test_audio_that_goes_on_while_a_fax_is_offered_is_not_lost(stage, peers, is_at_the_same_port):
    one, other = peers(), peers(ssrc=0x9999)
    first, _ = connected(stage, one, other)
    one.send((HOST, first.rtp), 10)
    await received(other, 10)
    stage.relay.expect(first, source(one.host, one.port if is_at_the_same_port else 25_012, payloads=()))
    await asyncio.sleep(0)  # orders of a turn go out at its end
    one.send((HOST, first.rtp), 10)
    await received(other, 10)
    stage.relay.expect(first, source(one.host, one.port))
    await asyncio.sleep(0)
    one.sequence += 1
    one.send((HOST, first.rtp), 10)
    await received(other, 10)
    figures = await stage.until(first, lambda figures: figures.packets_in == 30)
    assert (figures.expected, figures.lost) == (31, 1)


async def test_rtcp_goes_from_a_port_with_both_to_a_port_of_its_own_and_back(stage, peers):
    one, other, control = peers(), peers(port=25_010, ssrc=0x9999), peers(port=25_011)
    first, second = stage.open(is_multiplexed=True), stage.open()
    stage.relay.expect(first, source(one.host, one.port))
    stage.relay.expect(second, source(other.host, other.port, rtcp=control.port))
    stage.relay.connect(first, second)
    one.send((HOST, first.rtp), 3)
    await received(other, 3)
    sent = sender_report(one.ssrc)
    one.sock.sendto(sent, (HOST, first.rtp))
    assert await received(control, 1) == [sent]
    control.sock.sendto(sender_report(9), (HOST, second.rtcp))
    assert await received(one, 1) == [sender_report(9)]
    peers("127.78.0.66").sock.sendto(sender_report(8), (HOST, second.rtcp))
    await stage.until(second, lambda figures: figures.dropped.unknown == 1)
    assert one.taken() == other.taken() == []


async def test_early_media_reach_the_caller_before_the_caller_sends(stage, peers):
    """The announced address is sent to before its owner has been received from, where that is allowed."""
    one, other = peers(), peers(ssrc=0x9999)
    _, second = connected(stage, one, other)
    sent = other.send((HOST, second.rtp), 3)
    assert await received(one, 3) == sent


async def test_nothing_is_sent_to_own_ports_several_receivers_or_refused_media(stage, peers):
    """Ports of ours are those of media and of SIP, also of sockets at all addresses of this machine."""
    other = peers(ssrc=0x9999)
    stage.relay.spare([(HOST, PORTS), (HOST, PortRange(5_060, 5_060)), ("127.78.0.8", PORTS)])
    first, second = stage.open(), stage.open()
    stage.relay.expect(second, source(other.host, other.port))
    stage.relay.connect(first, second)
    other.send((HOST, second.rtp), 3)
    stage.relay.spare([("0.0.0.0", PortRange(5_080, 5_080))])
    for host, port in (
        (HOST, second.rtp),
        (HOST, 5_060),
        ("127.78.0.8", PORTS.first),
        ("127.78.0.9", 5_080),
        ("224.0.0.1", 4_000),
        ("127.255.255.255", 4_000),
        ("127.78.0.9", 0),
        ("0.0.0.0", 4_000),
        ("0.0.0.1", 4_000),
    ):
        stage.relay.expect(first, source(host, port))
        await asyncio.sleep(0)
        figures = stage.relay.figures(second)
        other.send((HOST, second.rtp), 2)
        await stage.until(second, lambda now, before=figures.packets_in: now.packets_in >= before + 2)
    figures = stage.relay.figures(first)
    assert (figures.packets_out, figures.unsent) == (0, 0)


async def test_fax_passes_without_a_look_at_its_packets(stage, peers):
    one, other = peers(), peers()
    first, second = stage.open(), stage.open()
    for port, peer in ((first, one), (second, other)):
        stage.relay.expect(port, source(peer.host, peer.port, payloads=()))
    stage.relay.connect(first, second)
    stage.relay.report_keys(first, are_reported=True, are_taken=True, in_tones=True)  # none is looked for in a fax
    packets = [b"\x00\x01\x01fax", b"\x00", b"\x00\x03\x02page"]
    for packet in packets:
        one.sock.sendto(packet, (HOST, first.rtp))
    assert await received(other, 3) == packets
    figures = await stage.until(first, lambda figures: figures.packets_in == 3)
    assert figures.alive_mono is not None
    assert figures.expected == 0


@pytest.mark.parametrize("is_refused", [False, True])
async def test_a_fax_behind_nat_is_heard_from_its_first_packet_though_the_audio_goes_on_until_its_answer(
    stage, peers, is_refused
):
    """Audio and fax have ports of their own there, each with another one at the NAT."""
    audio, fax, other = peers(), peers(), peers("127.78.0.10", ssrc=0x9999)
    first, second = stage.open(), stage.open()
    talk = source("192.168.9.1", 4_000, sip_host=audio.host)
    offer = source("192.168.9.1", 4_002, payloads=(), sip_host=audio.host)
    stage.relay.expect(first, talk)
    stage.relay.expect(second, source(other.host, other.port))
    stage.relay.connect(first, second)
    sent = audio.send((HOST, first.rtp), 5)
    assert await received(other, 5) == sent
    stage.relay.expect(first, offer)
    await stage.until(first, lambda figures: figures.latched is None)
    sent = audio.send((HOST, first.rtp), 5)
    assert await received(other, 5) == sent
    sent = other.send((HOST, second.rtp), 5)
    assert await received(audio, 5) == sent
    if is_refused:
        stage.relay.expect(first, talk)
        await asyncio.sleep(0)
        sent = audio.send((HOST, first.rtp), 5)
        assert await received(other, 5) == sent
        return
    stage.relay.expect(second, source(other.host, other.port, payloads=()))
    await asyncio.sleep(0)  # orders of a turn go out at its end
    audio.sock.sendto(b"", (HOST, first.rtp))  # keeps its port of the NAT open
    fax.sock.sendto(b"\0\0\x01\x06\0\0", (HOST, first.rtp))
    assert await received(other, 1) == [b"\0\0\x01\x06\0\0"]
    other.sock.sendto(b"\0\0answer", (HOST, second.rtp))
    assert await received(fax, 1) == [b"\0\0answer"]
    audio.send((HOST, first.rtp), 5)
    await stage.until(first, lambda figures: figures.dropped.unknown == 5)
    assert stage.relay.figures(first).latched == (fax.host, fax.port)


async def test_icmp_errors_change_nothing(stage, peers):
    one, other = peers(), peers(ssrc=0x9999)
    first, second = connected(stage, one, other)
    sent = one.send((HOST, first.rtp), 3)
    assert await received(other, 3) == sent
    address = other.port
    other.close()
    one.send((HOST, first.rtp), 20)
    await stage.until(second, lambda figures: figures.packets_out + figures.unsent == 23)
    again = peers(port=address, ssrc=0x9999)
    sent = one.send((HOST, first.rtp), 2)
    assert await received(again, 2) == sent


async def test_ports_of_two_workers_are_connected(tmp_path, peers):
    stage = RelayStage(tmp_path, HOST, workers=2)
    await stage.relay.start()
    one, other = peers(), peers(ssrc=0x9999)
    first, second = stage.open(), stage.open()
    assert stage.relay._ports[first.id].link is not stage.relay._ports[second.id].link
    stage.relay.expect(second, source(other.host, other.port))
    other.send((HOST, second.rtp), 3)
    await stage.until(second, lambda figures: figures.packets_in == 3)
    stage.relay.expect(first, source(one.host, one.port))
    stage.relay.connect(first, second)
    await asyncio.sleep(0)  # orders of a turn go out at its end
    sent = one.send((HOST, first.rtp), 3)
    assert await received(other, 3) == sent
    other.send((HOST, second.rtp), 2)
    assert len(await received(one, 2)) == 2
    assert stage.close(second).packets_in == 5
    await stage.relay.stop(keep=False)


async def test_calls_have_the_worker_that_runs_while_the_other_one_cannot_be_started(tmp_path, peers, monkeypatch):
    stage = RelayStage(tmp_path, HOST, workers=2)
    await stage.relay.start()
    away, runs = stage.relay.links
    ringing, one, other = stage.open(), peers(), peers(ssrc=0x9999)
    assert stage.relay._ports[ringing.id].link is away

    def fails(_path: Path) -> None:
        raise OSError("no more processes")

    monkeypatch.setattr("vosd.relay.link.start_worker", fails)
    monkeypatch.setattr("vosd.relay.link._RESTART_MAX_S", 0.5)
    os.kill(away.pid, signal.SIGKILL)
    await until(lambda: stage.relay.receiving_since(ringing) > now().mono)
    answered = stage.open()
    for port, peer in ((ringing, one), (answered, other)):
        stage.relay.expect(port, source(peer.host, peer.port))
    stage.relay.connect(ringing, answered)
    sent = one.send((HOST, ringing.rtp), 3)
    assert await received(other, 3) == sent
    assert {stage.relay._ports[stage.open().id].link for _ in range(4)} == {runs}
    monkeypatch.undo()
    await until(away.is_receiving)
    assert stage.relay._ports[stage.open().id].link is away
    await stage.relay.stop(keep=False)


async def test_a_worker_that_has_no_turn_is_replaced(stage, peers, monkeypatch):
    monkeypatch.setattr("vosd.relay.link.STUCK_NS", 1_200_000_000)
    one, other = peers(), peers(ssrc=0x9999)
    first, _ = connected(stage, one, other)
    one.send((HOST, first.rtp), 3)
    await received(other, 3)
    (link,) = stage.relay.links
    os.kill(link.pid, signal.SIGSTOP)
    sent = one.send((HOST, first.rtp), 3)
    assert await received(other, 3) == sent


async def test_a_worker_that_starts_slowly_is_waited_for(stage, tmp_path, peers, monkeypatch):
    """A busy machine, as at its boot; the silence of that time is not that of a peer."""
    monkeypatch.setattr("vosd.relay.link.STUCK_NS", 500_000_000)
    (tmp_path / "sitecustomize.py").write_text("import select\nselect.select((), (), (), 4)\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    await stage.kill_worker()
    (link,) = stage.relay.links
    begun_ms, pid = now().mono, link.pid
    with capture_logs() as lines:
        one, other = peers(), peers(ssrc=0x9999)
        first, _ = connected(stage, one, other)
        sent = one.send((HOST, first.rtp), 3)
        assert await received(other, 3) == sent
    ends = {"media_worker_slow", "media_worker_stuck", "media_worker_ended"}
    assert [line["event"] for line in lines if line["event"] in ends] == ["media_worker_slow"]
    assert link.pid == pid
    assert stage.relay.receiving_since(first) >= begun_ms + 2_000
    monkeypatch.delenv("PYTHONPATH")
    os.kill(link.pid, signal.SIGSTOP)  # the limit of one that has begun
    await until(lambda: link.pid != pid)


async def test_a_worker_ends_a_minute_after_its_switch(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(impatient(tmp_path)))
    stage = RelayStage(tmp_path, HOST)
    await stage.relay.start()
    stage.open()
    (link,) = stage.relay.links
    await stage.relay.stop(keep=True)
    assert not reap(link.pid)
    await until(lambda: reap(link.pid))


async def test_a_stop_goes_on_without_a_worker_that_no_kill_ends(stage, monkeypatch):
    """As one whose thread waits for a disk that never answers."""
    (link,) = stage.relay.links
    await until(lambda: link.path.exists() and link.is_receiving())
    with monkeypatch.context() as patched, capture_logs() as lines:
        patched.setattr("vosd.relay.link.reap", lambda _pid: False)
        patched.setattr("vosd.relay.link._END_S", 0.05)
        await stage.relay.stop(keep=False)
    assert [(line["event"], line["pid"]) for line in lines] == [("media_worker_not_ended", link.pid)]
    assert all(word in lines[0]["do"] for word in ("recordings", "nftables"))
    assert not link.path.exists()
    await until(lambda: reap(link.pid))


async def test_a_worker_ends_at_sigterm_once_its_switch_has_gone(tmp_path, peers):
    one, other = peers(), peers()
    stage = RelayStage(tmp_path, HOST)
    await stage.relay.start()
    first, _ = connected(stage, one, other)
    (link,) = stage.relay.links
    one.send((HOST, first.rtp), 3)
    await received(other, 3)
    os.kill(link.pid, signal.SIGTERM)
    one.send((HOST, first.rtp), 3)
    await received(other, 3)
    await stage.relay.stop(keep=True)
    sent = one.send((HOST, first.rtp), 3)
    assert await received(other, 3) == sent
    os.kill(link.pid, signal.SIGTERM)
    await until(lambda: reap(link.pid))


def of_another_release(monkeypatch) -> None:
    """Let the next switch be of another release than the workers that were left."""
    monkeypatch.setattr("vosd.relay.link.own_means", lambda: replace(own_means(), program="/opt/another"))


async def test_a_worker_of_another_release_ends_with_its_last_port(tmp_path, peers, monkeypatch):
    one, other, third, fourth = peers(), peers(), peers(), peers()
    stage = RelayStage(tmp_path, HOST)
    await stage.relay.start()
    first, second = connected(stage, one, other)
    one.send((HOST, first.rtp), 3)
    await received(other, 3)
    (left,) = stage.relay.links
    await stage.relay.stop(keep=True)
    of_another_release(monkeypatch)
    stage = RelayStage(tmp_path, HOST)
    with capture_logs() as lines:
        await stage.relay.start()
    assert {"event": "media_worker_outdated", "log_level": "info", "pid": left.pid, "ports": 2} in lines
    newer, older = stage.relay.links
    assert older.pid == left.pid != newer.pid
    connected(stage, third, fourth)
    assert stage.relay._loads == {older: 2, newer: 2}
    sent = one.send((HOST, first.rtp), 3)
    assert await received(other, 3) == sent
    await stage.relay.stop(keep=True)
    monkeypatch.undo()
    stage = RelayStage(tmp_path, HOST)
    await stage.relay.start()
    assert [each.pid for each in stage.relay.links] == [newer.pid, older.pid]
    sent = one.send((HOST, first.rtp), 3)
    assert await received(other, 3) == sent
    stage.close(first)
    stage.close(second)
    await until(lambda: [path.name for path in tmp_path.glob("*.sock")] == ["media-1.sock"])
    assert reap(left.pid)
    assert [each.pid for each in stage.relay.links] == [newer.pid]
    await stage.relay.stop(keep=False)


async def test_a_worker_of_another_release_without_ports_ends_at_once(tmp_path, monkeypatch):
    stage = RelayStage(tmp_path, HOST, workers=2)
    await stage.relay.start()
    left = {each.pid for each in stage.relay.links}
    await stage.relay.stop(keep=True)
    of_another_release(monkeypatch)
    stage = RelayStage(tmp_path, HOST, workers=2)
    await stage.relay.start()
    assert all(map(reap, left))
    assert len({each.pid for each in stage.relay.links} - left) == 2
    stage.open()
    await stage.relay.stop(keep=False)


async def test_a_worker_of_another_protocol_is_replaced_without_an_error(tmp_path, peers, monkeypatch):
    one, other = peers(), peers(ssrc=0x9999)
    stage = RelayStage(tmp_path, HOST)
    await stage.relay.start()
    ports = connected(stage, one, other)
    (left,) = stage.relay.links
    await stage.relay.stop(keep=True)
    stage = RelayStage(tmp_path, HOST)
    monkeypatch.setattr("vosd.relay.link.PROTOCOL", PROTOCOL + 1)
    with capture_logs() as lines:
        started = asyncio.create_task(stage.relay.start())
        await until(lambda: bool(lines))
        monkeypatch.undo()  # the next worker is of this release again
        await started
        for port, peer in zip(ports, (one, other), strict=True):
            assert stage.relay.reopen(port, tos=0)
            stage.relay.expect(port, source(peer.host, peer.port))
        stage.relay.connect(*ports)
        sent = one.send((HOST, ports[0].rtp), 3)
        assert await received(other, 3) == sent
    assert lines == [{"event": "media_worker_of_another_version", "log_level": "warning", "pid": left.pid}]
    assert reap(left.pid)
    await stage.relay.stop(keep=False)


async def test_a_worker_with_a_report_that_is_no_utf_8_is_replaced(tmp_path, monkeypatch):
    receive, damaged = MessageChannel.receive, [msgpack.encode([MarkUnset(0, "x")]).replace(b"x", b"\xff")]

    def received(channel: MessageChannel) -> tuple[bytes, list[int]] | None:
        message = receive(channel)
        return (damaged.pop(), message[1]) if message is not None and damaged else message

    monkeypatch.setattr(MessageChannel, "receive", received)
    stage = RelayStage(tmp_path, HOST)
    with capture_logs() as lines:
        await stage.relay.start()
        (link,) = stage.relay.links
        first = link.pid
        await until(lambda: link.pid != first)
    assert lines == [{"event": "media_worker_of_another_version", "log_level": "warning", "pid": first}]
    stage.open()
    await stage.relay.stop(keep=False)


async def test_ports_that_no_call_has_any_more_are_closed_and_rest(stage):
    first, second = stage.open(), stage.open()
    assert stage.relay.retain({first.id}, now()) == 1
    assert stage.relay.ports == {first.id: first}
    assert not stage.relay.reopen(RelayPort(second.id, HOST, first.rtp, first.rtcp), tos=0)
    assert stage.close(second).packets_in == 0


async def test_the_next_worker_takes_the_source_of_a_new_description_where_the_kernel_has_dropped_it(stage, peers):
    one, other, moved = peers(), peers(ssrc=0x9999), peers("127.78.0.66")
    first, _ = connected(stage, one, other)
    one.send((HOST, first.rtp), FILTER_AFTER)
    assert len(await received(other, FILTER_AFTER)) == FILTER_AFTER

    def is_dropped() -> bool:
        moved.send((HOST, first.rtp))
        one.send((HOST, first.rtp))
        return stage.relay.figures(first).dropped.kernel > 0

    await until(is_dropped)
    await stage.kill_worker()
    stage.relay.expect(first, source(moved.host, moved.port))
    other.taken()
    await until(lambda: bool(moved.send((HOST, first.rtp))) and stage.relay.figures(first).latched_port == moved.port)


@pytest.mark.parametrize("is_read", [False, True], ids=["unread", "read"])
async def test_the_next_worker_sends_to_the_place_that_was_named_while_none_had_a_turn(stage, peers, is_read):
    """The peer is silent at its new place: the address that was believed before is not its own any more."""
    one, other, moved = peers(), peers(ssrc=0x9999), peers("127.78.0.66")
    first, second = connected(stage, one, other)
    sent = one.send((HOST, first.rtp), 3)
    assert await received(other, 3) == sent
    await stage.until(first, lambda figures: figures.latched_port == one.port)
    if not is_read:
        os.kill(stage.relay.links[0].pid, signal.SIGSTOP)
    stage.relay.expect(first, source(moved.host, moved.port))
    if is_read:
        await stage.until(first, lambda figures: figures.latched_port is None)
    await stage.kill_worker()
    for _ in range(2):  # the next but one remembers what its predecessors knew
        sent = other.send((HOST, second.rtp), 3)
        assert await received(moved, 3) == sent
        await stage.kill_worker()
    assert one.taken() == []


async def test_one_that_holds_by_the_zero_address_is_received_by_the_next_worker_and_sent_nothing(stage, peers):
    one, other = peers(), peers(ssrc=0x9999)
    first, second = connected(stage, one, other)
    for port, peer, far in ((first, one, other), (second, other, one)):
        sent = peer.send((HOST, port.rtp), 3)
        assert await received(far, 3) == sent
    stage.relay.expect(first, replace(source(one.host, one.port), takes_nothing=True))
    await stage.kill_worker()
    other.send((HOST, second.rtp), 5)
    await stage.until(second, lambda figures: figures.packets_in == 8)
    sent = one.send((HOST, first.rtp), 3)
    assert await received(other, 3) == sent
    assert one.taken() == []
    stage.relay.expect(first, source(one.host, one.port))
    await until(lambda: bool(other.send((HOST, second.rtp))) and one.has(1))


async def test_the_kernel_drops_all_other_sources_of_a_stream_until_it_is_silent(stage, peers):
    """NAT moves the telephone to another port, which is followed after two seconds."""
    one, other, attacker = peers(), peers(ssrc=0x9999), peers("127.78.0.66")
    first, _ = connected(stage, one, other)
    sent = one.send((HOST, first.rtp), FILTER_AFTER)
    assert await received(other, FILTER_AFTER) == sent
    for _ in range(20):
        attacker.send((HOST, first.rtp), 50)
        sent = one.send((HOST, first.rtp))
        assert await received(other, 1) == sent[-1:]
    figures = await stage.until(first, lambda figures: figures.foreign == 1_000)
    assert figures.dropped.kernel >= 900
    moved = peers()
    moved.sequence, moved.stamp = one.sequence, one.stamp

    def is_followed() -> bool:
        attacker.send((HOST, first.rtp))
        moved.send((HOST, first.rtp))
        return other.has(10)

    await until(is_followed)
    figures = await stage.until(first, lambda figures: figures.latched_port == moved.port)
    assert figures.latched_host == moved.host
    assert len({HEADER.unpack_from(packet)[4] for packet in other.taken()}) == 1
    again = one.send((HOST, first.rtp), 2) + moved.send((HOST, first.rtp), 2)
    await until(lambda: other.has(2))
    assert not {*again[:2]} & {*other.taken()}


def in_a_row(packets: list[bytes]) -> list[bytes]:
    """Return packets with the sequence numbers that follow that of the first one."""
    first = HEADER.unpack_from(packets[0])[2]
    return [each[:2] + (first + place).to_bytes(2, "big") + each[4:] for place, each in enumerate(packets)]


async def test_keys_are_reported_taken_and_sent(stage, peers):
    """Both telephones talk; one sends a key as an event, which is taken, and the other gets it from the switch."""
    one, other = peers(), peers(ssrc=0x9999)
    first, second = stage.open(), stage.open()
    keys: list[tuple[int, str, int]] = []
    stage.relay.key_pressed = lambda port, key, ms: keys.append((port, key, ms))
    for port, peer in ((first, one), (second, other)):
        stage.relay.expect(port, source(peer.host, peer.port))
    stage.relay.connect(first, second)
    stage.relay.report_keys(first, are_reported=True, are_taken=True)
    sent = one.send((HOST, first.rtp), 3)
    for number in range(4):
        body = bytes((7, 0x8A if number == 3 else 0x0A)) + (160 * (number + 1)).to_bytes(2, "big")
        one.sock.sendto(rtp(one.sequence, one.stamp, payload=101, body=body), (HOST, first.rtp))
        one.sequence += 1
    one.stamp += 640
    sent += one.send((HOST, first.rtp), 2)
    assert await received(other, 5) == in_a_row(sent)
    await until(lambda: keys == [(first.id, "7", 80)])
    figures = await stage.until(first, lambda figures: figures.packets_in == 9)
    assert (figures.foreign, figures.lost) == (0, 0)
    stage.relay.press(second, "7", 80)
    got = await received(other, 6)
    assert [HEADER.unpack_from(packet)[1] & 0x7F for packet in got] == [101] * 6
    assert KeyReader().read(got[-1], 125_000, 0) == [PressedKey("7", 80)]
    numbers = [HEADER.unpack_from(packet)[2] for packet in got]
    assert numbers == list(range(numbers[0], numbers[0] + 6))
    one.send((HOST, first.rtp), 2)
    assert [HEADER.unpack_from(packet)[2] for packet in await received(other, 2)] == [numbers[-1] + 1, numbers[-1] + 2]
    os.kill(stage.relay.links[0].pid, signal.SIGKILL)
    one.sock.sendto(rtp(one.sequence, one.stamp, payload=101, body=b"\x01\x8a\x03\x20"), (HOST, first.rtp))
    await until(lambda: keys[1:] == [(first.id, "1", 100)])


async def test_tones_are_keys_where_they_are_read_and_are_not_forwarded(stage, peers):
    """Until the telephone sends an event: then they are audio."""
    one, other = peers(), peers(ssrc=0x9999)
    first, _ = connected(stage, one, other)
    keys: list[tuple[int, str, int]] = []
    stage.relay.key_pressed = lambda port, key, ms: keys.append((port, key, ms))
    stage.relay.report_keys(first, are_reported=True, are_taken=True, in_tones=True)
    sent = one.send((HOST, first.rtp), 3)
    assert await received(other, 3) == sent

    def sound(key: str) -> list[bytes]:
        octets = tone(key, 0, 800, "PCMU")
        packets = []
        for at in range(0, len(octets), 160):
            packets.append(rtp(one.sequence, one.stamp, ssrc=one.ssrc, body=octets[at : at + 160]))
            one.sock.sendto(packets[-1], (HOST, first.rtp))
            one.sequence, one.stamp = one.sequence + 1, one.stamp + 160
        return packets

    sound("6")
    sent += one.send((HOST, first.rtp), 3)
    assert await received(other, 3) == in_a_row(sent)[3:]
    await until(lambda: keys == [(first.id, "6", 100)])
    sound("#")  # and nothing behind it
    await until(lambda: keys[1:] == [(first.id, "#", 100)])
    figures = await stage.until(first, lambda figures: figures.packets_in == 16)
    assert (figures.foreign, stage.relay.figures(first).lost) == (0, 0)
    event = rtp(one.sequence, one.stamp, payload=101, ssrc=one.ssrc, body=b"\x01\x8a\x03\x20")
    one.sock.sendto(event, (HOST, first.rtp))
    one.sequence += 1
    await until(lambda: keys[2:] == [(first.id, "1", 100)])
    sent += sound("6")
    assert await received(other, 5) == in_a_row(sent)[6:]
    assert len(keys) == 3


async def test_ring_back_is_played_until_media_are_forwarded(stage, peers):
    one, other = peers(), peers(ssrc=0x9999)
    first, second = connected(stage, one, other)
    stage.relay.play_ring_back(first, 0, 8)
    tone = await received(one, 3)
    assert {HEADER.unpack_from(packet)[1] & 0x7F for packet in tone} == {8}
    await stage.kill_worker()
    one.taken()
    assert await received(one, 3), "the next worker goes on"
    sent = other.send((HOST, second.rtp), 3)
    await until(lambda: one.has(3) and one.taken()[-3:] == sent)
    await stage.kill_worker()
    one.taken()
    sent = other.send((HOST, second.rtp), 3)
    assert (await received(one, 3))[:3] == sent, "there is no ring-back beside media"
    stage.relay.play_ring_back(first, 60_000, 0)
    stage.relay.stop_playing(first)
    sent = other.send((HOST, second.rtp), 3)
    assert await received(one, 3) == sent


def recorded(path: Path) -> list[bytes]:
    """Return the RTP packets of a capture file of IPv4."""
    content = path.read_bytes()
    assert content[:24] == HEADER_OF_FILE
    packets, at = [], 24
    while at < len(content):
        (length,) = struct.unpack_from("<I", content, at + 8)
        packets.append(content[at + 16 + 28 : at + 16 + length])
        at += 16 + length
    return packets


def open_files(pid: int) -> set[Path]:
    """Return the files that a process has open."""
    found: set[Path] = set()
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(FileNotFoundError):  # it was closed meanwhile
            found.add(descriptor.readlink())
    return found


async def test_a_call_is_recorded_also_over_a_kill_of_its_worker(stage, peers, tmp_path):
    one, other = peers(), peers(ssrc=0x9999)
    first, second = connected(stage, one, other)
    path = tmp_path / "recordings" / "today" / "call.pcap"
    assert stage.relay.record(first, second, path)
    sent = one.send((HOST, first.rtp), 4)
    sent_back = other.send((HOST, second.rtp), 3)
    assert await received(other, 4) == sent
    await until(lambda: path.exists() and len(recorded(path)) == 7)
    assert (path.stat().st_mode & 0o777, path.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    assert [packet for packet in recorded(path) if packet in sent] == sent
    assert [packet for packet in recorded(path) if packet in sent_back] == sent_back
    os.kill(stage.relay.links[0].pid, signal.SIGKILL)
    more = one.send((HOST, first.rtp), 2)
    assert await received(other, 2) == more
    await until(lambda: recorded(path)[7:] == more)
    stage.relay.record_no_more(first)
    stage.relay.record_no_more(second)
    await until(lambda: path not in open_files(stage.relay.links[0].pid))
    unrecorded = one.send((HOST, first.rtp), 2)
    assert await received(other, 2) == unrecorded
    stage.close(first)
    stage.close(second)
    assert recorded(path)[7:] == more


async def test_a_recording_goes_on_at_another_worker_and_over_a_restart_of_the_switch(tmp_path, peers):
    """A transfer moves a port to the worker of the other one; later the next switch is there, and its worker dies."""
    stage = RelayStage(tmp_path, HOST, workers=2)
    await stage.relay.start()
    one, other, third = peers(), peers(ssrc=0x9999), peers(ssrc=0x7777)
    opened = [stage.open() for _ in range(3)]
    for port, peer in zip(opened, (one, other, third), strict=True):
        stage.relay.expect(port, source(peer.host, peer.port))
    first, second, target = opened
    stage.relay.connect(first, second)
    path = tmp_path / "call.pcap"
    assert stage.relay.record(first, second, path)
    sent = one.send((HOST, first.rtp), 3)
    assert await received(other, 3) == sent
    elsewhere = next(link for link in stage.relay.links if link is not stage.relay._ports[second.id].link)
    moved = stage.relay._ports[target.id]
    if moved.link is not elsewhere:
        stage.relay._is_moved(moved, elsewhere)
    stage.relay.connect(target, second)
    await until(lambda: path.exists() and recorded(path) == sent)
    sent += third.send((HOST, target.rtp), 3)
    assert await received(other, 3) == sent[3:]
    await until(lambda: recorded(path) == sent)
    await stage.relay.stop(keep=True)
    successor = RelayStage(tmp_path, HOST, workers=2)
    await successor.relay.start()
    pid = successor.relay._ports[second.id].link.pid
    os.kill(pid, signal.SIGKILL)
    sent += third.send((HOST, target.rtp), 2)
    assert await received(other, 2) == sent[6:]
    await until(lambda: recorded(path) == sent)
    await successor.relay.stop(keep=False)


@pytest.mark.parametrize("is_full", [False, True])
async def test_a_recording_that_cannot_begin_is_reported_and_the_call_goes_on(stage, peers, tmp_path, is_full):
    """The switch does not wait for the disk: the worker reports that there is no file."""
    one, other = peers(), peers(ssrc=0x9999)
    first, second = connected(stage, one, other)
    (tmp_path / "file").touch()
    (full := tmp_path / "full").symlink_to("/dev/full")
    path = full if is_full else tmp_path / "file" / "call.pcap"
    failed: list[int] = []
    stage.relay.recording_failed = failed.append
    with capture_logs() as logs:
        assert stage.relay.record(first, second, path)
        sent = one.send((HOST, first.rtp), 3)
        assert await received(other, 3) == sent
        await until(lambda: stage.relay._ports[first.id].recording is stage.relay._ports[second.id].recording is None)
    assert [line["event"] for line in logs] == [Event.RECORDING_NOT_BEGUN], "one line, however many ports there are"
    assert Event.RECORDING_NOT_BEGUN in KINDS
    assert sorted(failed) == [first.id, second.id]
    sent = one.send((HOST, first.rtp), 3)
    assert await received(other, 3) == sent


async def test_a_worker_that_gets_no_thread_goes_on_without_the_recording(tmp_path, peers, monkeypatch):
    text = """
import threading

def refused(self):
    raise RuntimeError("can't start new thread")

threading.Thread.start = refused
"""
    (tmp_path / "sitecustomize.py").write_text(text)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    stage = RelayStage(tmp_path, HOST)
    await stage.relay.start()
    one, other = peers(), peers(ssrc=0x9999)
    first, second = connected(stage, one, other)
    failed: list[int] = []
    stage.relay.recording_failed = failed.append
    (link,) = stage.relay.links
    worker = link.pid
    with capture_logs() as logs:
        assert stage.relay.record(first, second, tmp_path / "call.pcap")
        await until(lambda: len(failed) == 2)
    assert [line["event"] for line in logs] == [Event.RECORDING_NOT_BEGUN]
    sent = one.send((HOST, first.rtp), 3)
    assert await received(other, 3) == sent
    assert link.pid == worker
    await stage.relay.stop(keep=False)


async def test_a_recording_that_stops_in_the_middle_is_an_alarm(stage, peers, tmp_path):
    first, second = connected(stage, peers(), peers(ssrc=0x9999))
    assert stage.relay.record(first, second, tmp_path / "call.pcap")
    with capture_logs() as logs:
        stage.relay._recording_stopped(RecordingStopped(first.id, "the disk is nearly full", True))
    assert [(line["event"], line["error"]) for line in logs] == [(Event.RECORDING_STOPPED, "the disk is nearly full")]
    assert Event.RECORDING_STOPPED in KINDS


async def test_the_last_packets_of_a_recording_that_find_no_room_are_an_alarm(stage, peers, tmp_path, monkeypatch):
    """The disk is full when the call has ended."""
    (path := tmp_path / "call.pcap").symlink_to("/dev/full")
    one = peers()
    first, second = connected(stage, one, peers(ssrc=0x9999))
    with capture_logs() as logs:
        assert stage.relay.record(first, second, path)
        stage.close(first)
        stage.close(second)
        await until(lambda: bool(logs))
    assert [(line["event"], line["file"]) for line in logs] == [(Event.RECORDING_NOT_BEGUN, str(path))]


async def test_the_log_says_that_a_worker_cannot_mark_packets(stage):
    (link,) = stage.relay.links
    with capture_logs() as logs:
        link._take(MarkUnset(0xB8, "Operation not permitted"), [])
    assert logs == [
        {
            "event": "media_mark_unset",
            "log_level": "warning",
            "pid": link.pid,
            "tos": "0xb8",
            "error": "Operation not permitted",
        }
    ]


async def test_a_flood_of_rtcp_takes_nothing_from_the_audio(stage, peers):
    one, other, control = peers(), peers(ssrc=0x9999), peers(port=25_021)
    first, second = stage.open(), stage.open()
    stage.relay.expect(first, source(one.host, one.port, rtcp=control.port))
    stage.relay.expect(second, source(other.host, other.port))
    stage.relay.connect(first, second)
    for _ in range(600):
        control.sock.sendto(sender_report(1), (HOST, first.rtcp))
    await stage.until(first, lambda figures: figures.dropped.excess > 0)
    sent = one.send((HOST, first.rtp), 100)
    await until(lambda: other.has(100))
    got = [packet for packet in other.taken() if packet[1] != 200]
    await until(lambda: got.extend(packet for packet in other.taken() if packet[1] != 200) or len(got) == 100)
    assert got == sent


async def test_sockets_of_workers_that_are_gone_start_none(tmp_path):
    (tmp_path / "media-7.sock").touch()
    stage = RelayStage(tmp_path, HOST)
    await stage.relay.start()
    assert len(stage.relay.links) == 1
    assert not (tmp_path / "media-7.sock").exists()
    await stage.relay.stop(keep=False)


async def test_many_ports_are_adopted(tmp_path, monkeypatch):
    monkeypatch.setattr(client, "_LISTING_S", PATIENCE_S)  # the worker may be starting still
    stage = RelayStage(tmp_path, HOST)
    await stage.relay.start()
    opened = {port.id: port for port in (stage.open(PortRange(31_700, 32_699)) for _ in range(130))}
    await stage.relay.stop(keep=True)
    successor = RelayStage(tmp_path, HOST)
    await successor.relay.start()
    assert successor.relay.ports == opened
    await successor.relay.stop(keep=False)


@pytest.mark.parametrize(
    "harm",
    [
        lambda relay, port, telephone: relay.expect(port, replace(telephone, clocks=(0,) * len(telephone.clocks))),
        lambda relay, port, telephone: relay.press(port, "?", 80),
    ],
    ids=["an order", "a key"],
)
async def test_an_error_about_one_port_costs_no_other_its_media(stage, peers, harm):
    one, other = peers(), peers(ssrc=0x9999)
    first, _ = connected(stage, one, other)
    pid, telephone = stage.relay.links[0].pid, source(one.host, one.port)
    port = stage.open()
    stage.relay.expect(port, telephone)
    with capture_logs() as logs:
        harm(stage.relay, port, telephone)
        # on a busy machine the worker may start slowly, which is a line of the log, too
        await until(lambda: "media_packet_failed" in [each["event"] for each in logs])
    sent = one.send((HOST, first.rtp), 5)
    assert await received(other, 5) == sent
    assert stage.relay.links[0].pid == pid


@pytest.mark.parametrize("workers", [1, 2])
async def test_a_call_that_has_come_back_to_the_switch_is_heard_through_both_of_its_pairs_of_ports(
    tmp_path, peers, workers
):
    """A PBX that forwards a call with the description that it got, or connects two calls, names ports of ours."""
    stage, announced = RelayStage(tmp_path, HOST, workers=workers), "198.51.100.1"
    await stage.relay.start()
    stage.relay.spare([(HOST, PORTS), (announced, PORTS)])
    stage.relay.announce(HOST, announced)
    one, other = peers(), peers(ssrc=0x9999)
    near, out, back, far = (stage.open() for _ in range(4))
    stage.relay.expect(near, source(one.host, one.port))
    stage.relay.connect(near, out)
    stage.relay.expect(back, replace(source(announced, out.rtp, rtcp=out.rtcp), judged_for=40))
    stage.relay.connect(back, far)
    stage.relay.expect(far, source(other.host, other.port))
    stage.relay.expect(out, source(HOST, back.rtp, rtcp=back.rtcp))
    await asyncio.sleep(0)  # orders of a turn go out at its end
    for _ in range(2):
        sent = one.send((HOST, near.rtp), 5)
        assert await received(other, 5) == sent
        sent = other.send((HOST, far.rtp), 5)
        assert await received(one, 5) == sent
        one.sock.sendto(sender_report(one.ssrc), (HOST, near.rtcp))
        assert await received(other, 1) == [sender_report(one.ssrc)]
        for link in stage.relay.links:
            killed = link.pid
            os.kill(killed, signal.SIGKILL)
            await until(lambda link=link, killed=killed: link.pid != killed)
    await stage.relay.stop(keep=False)


AT_ALL_ADDRESSES = pytest.mark.parametrize(("bound", "announced"), [("0.0.0.0", "198.51.100.1"), ("::", "2001:db8::1")])


def that_have_come_back(stage: RelayStage, announced: str) -> tuple[RelayPort, RelayPort]:
    """Return ports of two calls, each of which a description names to the other one; one plays to the other."""
    stage.relay.announce(stage.host, announced)
    out, back = stage.open(), stage.open()
    for port, peer in ((out, back), (back, out)):
        stage.relay.expect(port, source(announced, peer.rtp, rtcp=peer.rtcp))
    stage.relay.play_ring_back(out, 0, 0)
    return out, back


@AT_ALL_ADDRESSES
async def test_ports_at_all_addresses_reach_each_other_where_calls_have_come_back(tmp_path, bound, announced):
    """The announced address may be that of a NAT before the machine."""
    stage = RelayStage(tmp_path, bound)
    await stage.relay.start()
    _, back = that_have_come_back(stage, announced)
    assert (await stage.until(back, lambda figures: figures.packets_in > 10)).dropped.unknown == 0
    await stage.relay.stop(keep=False)


async def test_a_description_of_the_other_family_names_no_port_of_ours(tmp_path):
    """No packet can be sent from one family to the other; a port of another call may have the same number there."""
    stage = RelayStage(tmp_path, "0.0.0.0")
    await stage.relay.start()
    back = stage.open()
    stage.host = "::"
    out = stage.open()
    announce_both(stage, "127.0.0.1", "0.0.0.0")
    for port, host, peer in ((out, "127.0.0.1", back), (back, "::1", out)):
        stage.relay.expect(port, source(host, peer.rtp, rtcp=peer.rtcp))
        assert stage.relay._ports[port.id].beside is None
        stage.relay.play_ring_back(port, 0, 0)
    await stage.relay.stop(keep=False)


@pytest.mark.parametrize("closes_by", ["description", "connection"])
async def test_no_packet_goes_round_between_calls_that_have_come_back(stage, peers, closes_by):
    stage.relay.spare([(HOST, PORTS)])
    near, out, back, far = (stage.open() for _ in range(4))
    stage.relay.connect(back, far)
    if closes_by == "description":
        stage.relay.connect(near, out)
    for port, peer in ((out, back), (back, out), (far, near), (near, far)):
        stage.relay.expect(port, source(HOST, peer.rtp, rtcp=peer.rtcp))
    if closes_by == "connection":
        stage.relay.connect(near, out)
    playing = out if closes_by == "description" else far
    stage.relay.play_ring_back(playing, 0, 0)
    await stage.until(playing, lambda figures: figures.packets_out > 10)
    assert stage.relay.figures(near).packets_in == stage.relay.figures(out).packets_in == 0
    third = peers()
    stage.relay.expect(playing, source(third.host, third.port))
    assert len(await received(third, 3)) >= 3


@AT_ALL_ADDRESSES
async def test_calls_that_have_come_back_are_heard_where_a_worker_dies_after_a_restart_of_the_switch(
    tmp_path, bound, announced
):
    """A worker lists its sources as it was told them: by addresses of ours that no peer is told."""
    stage = RelayStage(tmp_path, bound)
    await stage.relay.start()
    stage.relay.spare([(bound, PORTS)])
    out, back = that_have_come_back(stage, announced)
    await stage.until(back, lambda figures: figures.packets_in > 10)
    await stage.relay.stop(keep=True)
    later = RelayStage(tmp_path, bound)
    await later.relay.start()
    later.relay.spare([(bound, PORTS)])
    later.relay.announce(bound, announced)
    await later.kill_worker()
    before = later.relay.figures(back).packets_in
    later.relay.play_ring_back(out, 0, 0)
    assert (await later.until(back, lambda figures: figures.packets_in > before + 10)).dropped.unknown == 0
    await later.relay.stop(keep=False)


OWN_ADDRESSES = pytest.mark.parametrize("own", ["10.99.0.1", "10.99.0.2", "2001:db8::9"])
"""Addresses of a machine, of which the kernel reaches the second from the first."""


@pytest.fixture
def machine() -> Iterator[None]:
    """Let this thread, and the workers that it starts, be on a machine with these addresses."""
    network = Namespace(f"vosd-{os.getpid()}-machine")
    try:
        expect_tools()
        network.make()
        for own in ("10.99.0.1/24", "10.99.0.2/24", "2001:db8::9/64"):
            network.run("ip", "address", "add", own, "dev", "lo", *(("nodad",) if ":" in own else ()))
        with network.inside():
            yield
    except NoNamespacesError as reason:
        do_without(str(reason))
    finally:
        network.remove()


def that_have_come_back_to(stage: RelayStage, own: str) -> tuple[RelayPort, RelayPort]:
    """Return ports of two calls that name each other: one at all addresses, one at an address of ours; both play."""
    everywhere = "::" if ":" in own else "0.0.0.0"
    stage.relay.spare([(everywhere, PORTS), (own, PORTS)])
    announce_both(stage, own, everywhere)
    out = stage.open()
    stage.host = own
    back = stage.open()
    stage.relay.expect(out, source(own, back.rtp, rtcp=back.rtcp))
    stage.relay.expect(back, source("198.51.100.1", out.rtp, rtcp=out.rtcp))
    return out, back


def announce_both(stage: RelayStage, own: str, everywhere: str) -> None:
    stage.relay.announce(everywhere, "198.51.100.1")
    stage.relay.announce(own, own)


async def expect_both_hear(stage: RelayStage, ports: tuple[RelayPort, RelayPort]) -> None:
    before = {port: stage.relay.figures(port).packets_in for port in ports}
    for port in ports:
        stage.relay.play_ring_back(port, 0, 0)
    for port in ports:
        await stage.until(port, lambda figures, port=port: figures.packets_in > before[port] + 10)
        assert stage.relay.figures(port).dropped.unknown == 0


@OWN_ADDRESSES
async def test_ports_at_all_addresses_and_at_one_reach_each_other_where_calls_have_come_back(machine, tmp_path, own):
    everywhere = "::" if ":" in own else "0.0.0.0"
    stage = RelayStage(tmp_path, everywhere)
    await stage.relay.start()
    ports = that_have_come_back_to(stage, own)
    await expect_both_hear(stage, ports)
    await stage.relay.stop(keep=True)
    later = RelayStage(tmp_path, everywhere)
    await later.relay.start()
    later.relay.spare([(everywhere, PORTS), (own, PORTS)])
    announce_both(later, own, everywhere)
    await later.kill_worker()
    await expect_both_hear(later, ports)
    await later.relay.stop(keep=False)


def in_a_circle(stage: RelayStage) -> list[RelayPort]:
    """Return the ports of two calls that have come back, and whose outer ports name each other: nothing is sent."""
    stage.relay.spare([(HOST, PORTS)])
    near, out, back, far = ports = [stage.open() for _ in range(4)]
    stage.relay.connect(near, out)
    stage.relay.connect(back, far)
    for port, peer in ((out, back), (back, out), (far, near), (near, far)):
        stage.relay.expect(port, source(HOST, peer.rtp, rtcp=peer.rtcp))
    return ports


def describe_elsewhere(stage: RelayStage, ports: Sequence[RelayPort]) -> None:
    _, out, back, _ = ports
    for port in (out, back):
        stage.relay.expect(port, source("127.78.0.9", 40_000))


def connect_elsewhere(stage: RelayStage, ports: Sequence[RelayPort]) -> None:
    for port in ports[1:3]:
        stage.relay.connect(port, stage.open())


def close_inner(stage: RelayStage, ports: Sequence[RelayPort]) -> None:
    for port in ports[1:3]:
        stage.close(port)


@pytest.mark.parametrize("open_circle", [describe_elsewhere, connect_elsewhere, close_inner])
async def test_ports_reach_each_other_once_the_circle_that_they_were_in_is_open(
    stage, open_circle: Callable[[RelayStage, Sequence[RelayPort]], None]
):
    ports = in_a_circle(stage)
    open_circle(stage, ports)
    near, far = ports[0], ports[3]
    for port in (near, far):
        stage.relay.play_ring_back(port, 0, 0)
    for port in (near, far):
        assert (await stage.until(port, lambda figures: figures.packets_in > 10)).dropped.unknown == 0


async def test_a_circle_of_before_a_restart_is_opened_as_well(tmp_path):
    stage = RelayStage(tmp_path, HOST)
    await stage.relay.start()
    near, out, _, far = in_a_circle(stage)
    await stage.relay.stop(keep=True)
    later = RelayStage(tmp_path, HOST)
    await later.relay.start()
    later.relay.retain([near.id, out.id, far.id], now())  # the record of the other one was lost
    later.close(out)
    for port in (near, far):
        later.relay.play_ring_back(port, 0, 0)
    for port in (near, far):
        assert (await later.until(port, lambda figures: figures.packets_in > 10)).dropped.unknown == 0
    await later.relay.stop(keep=False)


async def test_a_call_costs_no_look_at_the_circles_of_others(stage, monkeypatch):
    """A vendor that sends our own description back makes a circle of each call to it."""
    stage.relay.spare([(HOST, PORTS)])
    looks = Counter[str]()

    def looked(host: str) -> str:
        looks.update(["own"])
        return plain_host(host)

    def cost_of_a_call() -> int:
        looks.clear()
        one, other = stage.open(), stage.open()
        for port, number in ((one, 40_000), (other, 40_002)):
            stage.relay.expect(port, source("127.78.0.9", number))
        stage.relay.connect(one, other)
        stage.close(one)
        stage.close(other)
        return looks["own"]

    monkeypatch.setattr("vosd.relay.client.plain_host", looked)
    alone = cost_of_a_call()
    for _ in range(10):
        port = stage.open()
        stage.relay.connect(stage.open(), port)
        stage.relay.expect(port, source(HOST, port.rtp))
    assert cost_of_a_call() == alone
