"""A switch that may open no more files: calls go on, the journal has them, and an operator can ask what is wrong."""

import resource
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from doubles.sockets.loopback import Endpoint
from e2e.conditions import eventually

from .conftest import CONFIGURATION, Scene

WITH_TCP = CONFIGURATION.replace('["udp:$switch"]', '["udp:$switch", "tcp:$switch"]')


@contextmanager
def used_up(scene: Scene, source: Endpoint) -> Iterator[None]:
    """Let the switch open nothing beyond what it has open, and take the gaps below that by connections."""
    pid = scene.daemon.pid
    soft, hard = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    highest = max(int(path.name) for path in Path(f"/proc/{pid}/fd").iterdir())
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (highest + 1, hard))
    with ExitStack() as connections:
        connections.callback(resource.prlimit, pid, resource.RLIMIT_NOFILE, (soft, hard))
        while not scene.events("accept_failed"):
            address = (source.host, 0)
            connections.enter_context(socket.create_connection(scene.switch, source_address=address, timeout=30))
        yield


def size_of_journal(scene: Scene) -> int:
    return sum(path.stat().st_size for path in (scene.daemon.directory / "var" / "journal").glob("journal-*.log"))


def test_calls_and_commands_go_on_where_no_file_may_be_opened(stage):
    scene = stage(configuration=WITH_TCP)
    scene.answered(5)
    with used_up(scene, scene.customer.peer.address):
        for call in scene.customer.answered[:3]:
            scene.customer.hang_up(call)
        eventually(lambda: sum(call.bye_status == 200 for call in scene.customer.calls.values()) == 3, "3 calls ended")
        scene.answered(5, first=100)
        for _ in range(2):  # a mark each second, which is synced
            before = size_of_journal(scene)
            eventually(lambda before=before: size_of_journal(scene) > before, "a further mark in the journal")
        status = scene.daemon.ask("status")
        assert (status["calls"], status["journal_short"], status["journal_backlog"]) == (7, 0, 0)
        assert scene.events("file_limit_reached")
    for name in ("journal_write_failed", "journal_not_synced", "journal_reserve_missing", "journal_file_not_created"):
        assert scene.events(name) == []
    for call in scene.customer.answered:
        if call.bye_status is None:
            scene.customer.hang_up(call)
    eventually(lambda: len(scene.records()) == 10, "a record of every answered call")
    scene.daemon.succeed("ledger", "verify")
