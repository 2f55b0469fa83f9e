"""A successor that fails before it is ready changes nothing."""

import socket
import sys
from pathlib import Path

import pytest

from vosd.base.errors import VosError
from vosd.control.server import CommandError
from vosd.daemon.handover import Handover, Predecessor
from vosd.daemon.systemd import Notifier


@pytest.mark.parametrize(
    ("program", "why"),
    [("/bin/false", "has ended before it was ready"), ("/nowhere/vosd", "cannot be executed: no such file")],
)
async def test_a_successor_that_ends_before_it_is_ready_leaves_the_switch_running(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, program: str, why: str
) -> None:
    monkeypatch.setattr(sys, "argv", [program])
    stops: list[str] = []
    handover = Handover(Notifier(str(tmp_path / "notify")), lambda: stops.append("asked"))
    for _ in range(2):  # it may be tried again
        with pytest.raises(CommandError, match=why):
            await handover.restart({})
    assert (handover.is_due, stops) == (False, [])


async def test_a_successor_takes_nothing_over_from_a_switch_that_goes_on() -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.close()
    with pytest.raises(VosError, match="without handing over"):
        await Predecessor(theirs).sockets()
