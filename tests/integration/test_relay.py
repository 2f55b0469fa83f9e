"""The relay with real workers and real sockets."""

import os
import signal
from collections.abc import AsyncIterator

import pytest
from doubles.sockets.relay import RelayStage, now, source, until
from doubles.sockets.rtp import RtpPeer

from vosd.media.source import RelayPort
from vosd.trunks.media import PortRange

HOST = "127.78.0.1"


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


async def received(peer: RtpPeer, packets: int) -> list[bytes]:
    await until(lambda: peer.has(packets))
    return peer.taken()


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


async def test_a_worker_that_is_killed_is_back_on_the_same_ports(stage, peers):
    one, other = peers(), peers(ssrc=0x9999)
    first, _ = connected(stage, one, other)
    one.send((HOST, first.rtp), 3)
    assert len(await received(other, 3)) == 3
    (link,) = stage.relay._links
    killed = link.pid
    os.kill(killed, signal.SIGKILL)
    sent = one.send((HOST, first.rtp), 3)
    assert await received(other, 3) == sent
    assert link.pid != killed
    assert stage.close(first).packets_in == 6


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
    assert successor.relay.reopen(first, PortRange(20_000, 20_199), tos=0)
    assert (await successor.until(first, lambda figures: figures.packets_in == 6)).latched_port == one.port
    assert successor.close(first).packets_in == 6
    assert successor.relay.retain((), now()) == 2
    await successor.relay.stop(keep=False)


async def test_occupied_ports_are_skipped_until_none_is_left(stage, peers):
    occupied = [peers(HOST, port) for port in (20_001, 20_004)]
    few = PortRange(20_000, 20_007)
    opened = [stage.open(few), stage.open(few)]
    assert {port.rtp for port in opened} == {20_002, 20_006}
    assert stage.relay.open(HOST, few, is_multiplexed=False, tos=0, now=now()) is None
    assert stage.relay.used(HOST, few, now()) == 8
    assert occupied
