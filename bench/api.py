"""Reads of the management API beside calls: ``python -m bench.api [READS A SECOND] [SECONDS] [CALLS A SECOND] [PATH]``.

The switch on MariaDB starts the API. Eight clients with one token, each over one connection, read an object at even
times; how long a read takes is counted from the moment at which it was due, so that a wait of the client counts too.
Set-ups of the calls are measured by turns with the reads and without them.
"""

import asyncio
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from doubles.process.daemon import Daemon
from doubles.sockets.loopback import Endpoint

from .beside import CONSOLE, Turns, take_precedence
from .process import cpu_of, proportional_bytes
from .targets import configuration, mariadb

CLIENTS = 8
LISTENER = Endpoint("127.0.0.9", 15_099)
GOAL_MS = 25.0
_PATH = "/accounts/acme"
_END_OF_HEAD = b"\r\n\r\n"
_TURNS = 3


async def _client(request: bytes, dues: list[float], took_ms: list[float]) -> None:
    reader, writer = await asyncio.open_connection(LISTENER.host, LISTENER.port)
    for due in dues:
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        writer.write(request)
        head = await reader.readuntil(_END_OF_HEAD)
        if not head.startswith(b"HTTP/1.1 200"):
            raise RuntimeError(head.decode())
        length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
        await reader.readexactly(int(length.split(b":")[1]))
        took_ms.append((time.perf_counter() - due) * 1000)
    writer.close()


async def _read(rate: int, seconds: int, path: str, token: str) -> None:
    """Make reads, and print how long each took."""
    head = f"GET /api/v1{path} HTTP/1.1\r\nHost: switch\r\nAuthorization: Bearer {token}\r\n\r\n"
    began = time.perf_counter() + 0.2
    dues = [began + number / rate for number in range(rate * seconds)]
    took_ms: list[float] = []
    await asyncio.gather(*(_client(head.encode(), dues[number::CLIENTS], took_ms) for number in range(CLIENTS)))
    print(json.dumps(took_ms))


def _reads(rate: int, seconds: int, path: str, token: str) -> list[float]:
    words = [sys.executable, "-m", "bench.api", "client", str(rate), str(seconds), path, token]
    done = subprocess.run(words, check=True, stdout=subprocess.PIPE, text=True)
    return [float(each) for each in json.loads(done.stdout)]


def _api_of(daemon: Daemon) -> int:
    """Return the process id of the API."""
    children = Path(f"/proc/{daemon.pid}/task/{daemon.pid}/children").read_text().split()
    return next(int(each) for each in children if b"vosd.api" in Path(f"/proc/{each}/cmdline").read_bytes())


def main(rate: int = 400, seconds: int = 20, calls: int = 100, path: str = _PATH) -> None:
    """Measure and print."""
    take_precedence()
    turns, took_ms = Turns(calls), list[float]()
    with tempfile.TemporaryDirectory(prefix="vosd-bench-") as scratch, mariadb(Path(scratch)) as (_, url):
        text = f"{configuration(url)}\napi: {{listen: '{LISTENER}', token_rate: 0, address_rate: 0}}\n"
        with Daemon(Path(scratch), text) as daemon:
            daemon.succeed("payment", "add", "--account", "acme", "--amount", "1000000", "--yes")
            token = daemon.succeed("token", "add", "reader", "--role", "viewer").split()[-1]
            _reads(50, 1, path, token)
            api = _api_of(daemon)
            idle_mib = proportional_bytes(api) / 2**20
            before = cpu_of(api)
            with turns.load():
                for _ in range(_TURNS):
                    turns.quiet(seconds)
                    turns.beside("reads", lambda: took_ms.extend(_reads(rate, seconds, path, token)))
            cpu = cpu_of(api).since(before)
    turns.report()
    took_ms.sort()
    p50, p99 = took_ms[len(took_ms) // 2], took_ms[len(took_ms) * 99 // 100]
    CONSOLE.print(
        f"GET {path} {rate}/s: {len(took_ms):,} reads, p50 {p50:.1f} ms, p99 {p99:.1f} ms (goal {GOAL_MS:g}),"
        f" worst {took_ms[-1]:.1f} ms; {cpu.total * 1000 / len(took_ms):.2f} ms of processor time a read;"
        f" {idle_mib:.0f} MiB"
    )


if __name__ == "__main__":
    if sys.argv[1:2] == ["client"]:
        asyncio.run(_read(int(sys.argv[2]), int(sys.argv[3]), sys.argv[4], sys.argv[5]))
    else:
        main(*map(int, sys.argv[1:4]), *sys.argv[4:5])  # type: ignore[arg-type]
