"""Processor time of a relay worker for a packet, its losses, and the delay that it adds.

``python -m bench.relay [--rate 80000] [--seconds 10] [--runs 3] [--busy N]``: telephones send G.711, 50 packets a
second each, through real ports of a real worker. Each packet has the time at which it was sent, and the kernel notes
when it arrives. ``--busy N`` lets N processes compute meanwhile.
"""

import argparse
import asyncio
import multiprocessing
import os
import socket
import statistics
import struct
import tempfile
import time
from multiprocessing.connection import Connection
from pathlib import Path

from doubles.sockets.relay import RelayStage, source

from vosd.media.rtp import HEADER
from vosd.trunks.media import PortRange

from .process import cpu_of

HOST = "127.79.0.1"
PEERS = "127.79.0.2"
PORTS = PortRange(20_000, 29_999)
PACKETS_A_SECOND = 50
SLOTS = 20
"""Parts of the 20 ms between two packets of a stream in which streams send."""
BODY = bytes(152)
STAMP = struct.Struct("=q")
SAMPLED = 16
"""One stream of so many is looked at for its delay."""
WARM_UP_S = 1.0
SO_TIMESTAMPNS = 35
TIMESPEC = struct.Struct("=qq")


def main() -> None:
    """Measure, and print the median of the runs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rate", type=int, default=80_000, help="packets a second")
    parser.add_argument("--seconds", type=int, default=10)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--busy", type=int, default=0, help="processes that compute meanwhile")
    arguments = parser.parse_args()
    busy = [multiprocessing.Process(target=_compute, daemon=True) for _ in range(arguments.busy)]
    for each in busy:
        each.start()
    results = [asyncio.run(_measure(arguments.rate, arguments.seconds)) for _ in range(arguments.runs)]
    for each in busy:
        each.terminate()
    for name, digits in (("us", 2), ("lost", 0), ("p50", 2), ("p99", 2), ("max", 1)):
        values = [each[name] for each in results]
        unit = {"us": "µs of the worker a packet", "lost": "packets lost"}.get(name, f"ms delay, {name}")
        print(f"{statistics.median(values):.{digits}f} {unit} ({', '.join(f'{each:.{digits}f}' for each in values)})")


async def _measure(rate: int, seconds: int) -> dict[str, float]:
    streams = rate // PACKETS_A_SECOND // 2 * 2
    with tempfile.TemporaryDirectory(prefix="vosd-bench-") as directory:
        stage = RelayStage(Path(directory), HOST)
        await stage.relay.start()
        ports = [stage.open(PORTS) for _ in range(streams)]
        ours, theirs = multiprocessing.Pipe()
        generator = multiprocessing.Process(target=generate, args=(theirs, streams, seconds))
        generator.start()
        numbers = await asyncio.to_thread(ours.recv)
        ours.send([port.rtp for port in ports])
        for port, number in zip(ports, numbers, strict=True):
            stage.relay.expect(port, source(PEERS, number, payloads=(0,)))
        for one, other in zip(ports[::2], ports[1::2], strict=True):
            stage.relay.connect(one, other)
        await asyncio.sleep(0.5)
        worker = stage.relay.links[0].pid
        ours.send(None)
        await asyncio.to_thread(ours.recv)  # warm
        before = cpu_of(worker)
        sent, received, delays = await asyncio.to_thread(ours.recv)
        cpu = cpu_of(worker).since(before).total
        generator.join()
        counted = [stage.relay.figures(port) for port in ports]
        await stage.relay.stop(keep=False)
    delays.sort()
    assert sum(each.packets_in for each in counted) >= received
    return {
        "us": cpu / sent * 1e6,
        "lost": sent - received,
        "p50": delays[len(delays) // 2],
        "p99": delays[len(delays) * 99 // 100],
        "max": delays[-1],
    }


def generate(pipe: Connection, number: int, seconds: int) -> None:
    """Be so many telephones: send, receive, and report packets sent and received, and delays in milliseconds.

    Their ports are reported first, and the ports of the relay are expected in return; then anything begins the sending.
    """
    try:
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))
    except OSError:
        print("the generator has no real-time priority: delays may be its own")
    sockets = []
    for index in range(number):
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1_000_000)
        if index % SAMPLED == 0:
            sock.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        sock.bind((PEERS, 0))
        sockets.append(sock)
    pipe.send([sock.getsockname()[1] for sock in sockets])
    for sock, port in zip(sockets, pipe.recv(), strict=True):
        sock.connect((HOST, port))
    pipe.recv()
    rounds = int(WARM_UP_S * PACKETS_A_SECOND)
    _send_and_receive(sockets, 0, rounds)
    pipe.send(None)
    sent, received, delays = _send_and_receive(sockets, rounds, seconds * PACKETS_A_SECOND)
    pipe.send((sent, received, delays))


def _send_and_receive(sockets: list[socket.socket], first: int, rounds: int) -> tuple[int, int, list[float]]:
    slots = [sockets[slot::SLOTS] for slot in range(SLOTS)]
    pause = 1 / PACKETS_A_SECOND / SLOTS
    sent = received = 0
    delays: list[float] = []
    at = time.monotonic()
    for number in range(first, first + rounds):
        for slot, members in enumerate(slots):
            for sock in members:
                header = HEADER.pack(0x80, 0, number & 0xFFFF, number * 160, sock.fileno())
                sock.send(header + STAMP.pack(time.time_ns()) + BODY)
            sent += len(members)
            received += _receive(slots[(slot + SLOTS // 2) % SLOTS], delays)
            at += pause
            time.sleep(max(0.0, at - time.monotonic()))
    for _ in range(50):
        time.sleep(0.01)
        received += sum(_receive(members, delays) for members in slots)
    return sent, received, delays


def _receive(sockets: list[socket.socket], delays: list[float]) -> int:
    received = 0
    for sock in sockets:
        while True:
            try:
                data, ancillary, _, _ = sock.recvmsg(512, 64)
            except BlockingIOError:
                break
            received += 1
            for _, _, content in ancillary:
                seconds, nanoseconds = TIMESPEC.unpack(content)
                (sent_ns,) = STAMP.unpack_from(data, HEADER.size)
                delays.append((seconds * 1_000_000_000 + nanoseconds - sent_ns) / 1e6)
    return received


def _compute() -> None:
    while True:
        pass


if __name__ == "__main__":
    main()
