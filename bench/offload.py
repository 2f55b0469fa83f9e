"""Processor time of the kernel for a packet that it forwards, its losses, and the time to add and remove a call.

``python -m bench.offload [--rate 300000] [--seconds 10] [--runs 3]`` as root: two processes send G.711, 50 packets a
second and stream, into a network whose kernel forwards them to another one, where they are counted and dropped. The
kernel works within the time of those who send: what it takes is their time less that for packets that it drops on
arrival instead. A worker of the relay is measured by turns (``bench.relay``, ``--worker-rate 40000``).
"""

import argparse
import asyncio
import json
import multiprocessing
import os
import socket
import statistics
import subprocess
import time
from collections.abc import Callable
from multiprocessing.connection import Connection

from doubles.home import Namespace
from doubles.sockets.rtp import rtp
from doubles.two_networks import CUSTOMER, SWITCH, SWITCH_OF_VENDOR, VENDOR, TwoNetworks

from vosd.relay.routes import KernelRoutes
from vosd.relay.stream_table import KernelStream, StreamTable, kernel_stream

from . import relay

SENDERS = 2
FIRST_PORT = 10_000
PACKETS_A_SECOND = 50
SLOTS = 20
SSRC = 7
FORWARDED, DROPPED = 0, 1
"""Payload types: streams of the second one are in no map."""
TOS = 0xA0
SINK = "sink"
RULES = """\
table netdev {table} {{
  chain in {{
    type filter hook ingress device {device} priority 100;
    udp length 180 counter drop
  }}
}}
"""


def main() -> None:
    """Measure, and print the median of the runs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rate", type=int, default=300_000, help="packets a second through the kernel")
    parser.add_argument("--worker-rate", type=int, default=40_000, help="packets a second through a worker; 0 = none")
    parser.add_argument("--seconds", type=int, default=10)
    parser.add_argument("--runs", type=int, default=3)
    arguments = parser.parse_args()
    results: list[dict[str, float]] = []
    for _ in range(arguments.runs):
        found = _kernel(arguments.rate, arguments.seconds)
        if arguments.worker_rate:
            by_worker = asyncio.run(relay._measure(arguments.worker_rate, arguments.seconds))
            found |= {"µs of a worker a packet": by_worker["us"], "packets lost by it": by_worker["lost"]}
        results.append(found)
    for name in results[0]:
        values = [each[name] for each in results]
        print(f"{statistics.median(values):,.2f} {name} ({', '.join(f'{each:,.2f}' for each in values)})")


def _kernel(rate: int, seconds: int) -> dict[str, float]:
    count = rate // PACKETS_A_SECOND
    with TwoNetworks() as networks:
        for namespace, device in ((networks.vendor, "line"), (networks.switch, "outside")):
            namespace.run("nft", "-f", "-", lines=RULES.format(table=SINK, device=device))
        with networks.switch.inside():
            table, streams = StreamTable(), _streams(count)
            table.hook(socket.if_nametoindex("outside"), "outside")
            added = _timed(table.add, streams)
        pipes = [_sender(networks.customer, range(number, count, SENDERS)) for number in range(SENDERS)]
        dropped = _sent(pipes, DROPPED, seconds)
        before = _counted(networks.vendor)
        forwarded = _sent(pipes, FORWARDED, seconds)
        lost = forwarded["sent"] - (_counted(networks.vendor) - before)
        for pipe in pipes:
            pipe.send(None)
        with networks.switch.inside():
            removed = _timed(table.remove, streams)
        table.close()
    return {
        "packets a second through the kernel": forwarded["rate"],
        "packets lost": lost,
        "µs of the kernel a packet, of which it forwards": forwarded["us"] - dropped["us"],
        "µs with sending and receiving it": forwarded["us"],
        "ms to add a call": added,
        "ms to remove a call": removed,
    }


def _streams(count: int) -> list[KernelStream]:
    routes = KernelRoutes()
    ways = routes.find((SWITCH, 0), (CUSTOMER, 0)), routes.find((SWITCH_OF_VENDOR, 0), (VENDOR, 0))
    routes.close()
    back, onward = ways
    assert back is not None
    assert onward is not None
    return [
        kernel_stream(
            (CUSTOMER, port),
            (SWITCH, port),
            (FORWARDED, SSRC),
            (SWITCH_OF_VENDOR, port),
            (VENDOR, port),
            TOS,
            (back, onward),
        )
        for port in range(FIRST_PORT, FIRST_PORT + count)
    ]


def _timed(change: Callable[[list[KernelStream]], object], streams: list[KernelStream]) -> float:
    """Change both streams of one call after the other; return the median time in milliseconds."""
    times = []
    for number in range(0, len(streams), 2):
        begun = time.perf_counter()
        change(streams[number : number + 2])
        times.append(time.perf_counter() - begun)
    return statistics.median(times) * 1e3


def _sender(network: Namespace, numbers: range) -> Connection:
    ours, theirs = multiprocessing.Pipe()
    multiprocessing.Process(target=_send, args=(network, theirs, numbers), daemon=True).start()
    ours.recv()
    return ours


def _sent(pipes: list[Connection], payload: int, seconds: int) -> dict[str, float]:
    """Let all senders send at once; return packets, packets a second, and microseconds a packet."""
    for pipe in pipes:
        pipe.send((payload, seconds))
    results = [pipe.recv() for pipe in pipes]
    sent = sum(each[0] for each in results)
    return {
        "sent": sent,
        "rate": sum(each[0] / each[2] for each in results),
        "us": sum(each[1] for each in results) / sent * 1e6,
    }


def _send(network: Namespace, pipe: Connection, numbers: range) -> None:
    """Be telephones: send for so many seconds as is asked for, and report packets, processor time and time."""
    network.enter()
    try:
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))
    except OSError:
        print("the senders have no real-time priority: beside other programs they send less")
    sockets = []
    for number in numbers:
        sock = socket.socket(type=socket.SOCK_DGRAM)
        sock.bind((CUSTOMER, FIRST_PORT + number))
        sock.connect((SWITCH, FIRST_PORT + number))
        sockets.append(sock.send)
    slots = [sockets[slot::SLOTS] for slot in range(SLOTS)]
    pause = 1 / PACKETS_A_SECOND / SLOTS
    pipe.send(None)
    while (order := pipe.recv()) is not None:
        payload, seconds = order
        data = rtp(0, payload=payload, ssrc=SSRC)
        sent, begun, cpu = 0, time.monotonic(), time.process_time()
        at = begun
        for _ in range(seconds * PACKETS_A_SECOND):
            for members in slots:
                for send in members:
                    send(data)
                sent += len(members)
                at += pause
                time.sleep(max(0.0, at - time.monotonic()))
        pipe.send((sent, time.process_time() - cpu, time.monotonic() - begun))


def _counted(network: Namespace) -> int:
    """Return the packets that the network of the vendor has received."""
    command = (*network.launcher, "nft", "-j", "list", "table", "netdev", SINK)
    told = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)["nftables"]
    (rule,) = (each["rule"] for each in told if "rule" in each)
    return sum(each["counter"]["packets"] for each in rule["expr"] if "counter" in each)


if __name__ == "__main__":
    main()
