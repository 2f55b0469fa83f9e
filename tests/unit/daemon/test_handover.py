"""A successor that fails before it is ready changes nothing."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from vosd.base.errors import VosError
from vosd.control.installation import Restart
from vosd.control.server import CommandError
from vosd.daemon.handover import CallsWouldEndError, Handover, Predecessor, SuccessorReport
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
    handover = Handover(Notifier(str(tmp_path / "notify")), lambda: stops.append("asked"), lambda: ())
    for _ in range(2):  # it may be tried again
        with pytest.raises(CommandError, match=why):
            await handover.restart(Restart())
    assert (handover.is_due, stops) == (False, [])


async def test_a_successor_takes_nothing_over_from_a_switch_that_goes_on() -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.close()
    with pytest.raises(VosError, match="without handing over"):
        await Predecessor(theirs, SuccessorReport()).sockets()


@pytest.mark.parametrize("is_channel", [True, False])
async def test_a_switch_that_gives_on_a_variable_without_its_file_is_asked_for_its_calls_in_vain(
    monkeypatch: pytest.MonkeyPatch, is_channel: bool
) -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    number = theirs.detach()
    monkeypatch.setenv("VOSD_PREDECESSOR", str(number))
    monkeypatch.setenv("VOSD_RUNNING_CALLS", str(number if is_channel else 1 << 20))
    predecessor = Predecessor.from_environment()
    assert predecessor is not None
    ours.shutdown(socket.SHUT_WR)
    with ours, pytest.raises(VosError, match="without handing over"):
        await predecessor.sockets()
    assert ("VOSD_RUNNING_CALLS" in os.environ, predecessor._trial) == (False, SuccessorReport())


@pytest.mark.parametrize(
    ("report", "why"),
    [
        ({"unreadable": 1, "why": "Expected array"}, r"cannot read 1 of 2 running calls \(Expected array\)"),
        ({}, "does not say whether it can read the 2 running calls"),  # it is of a version before
    ],
)
async def test_a_successor_that_cannot_read_the_running_calls_gets_them_on_request_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, report: dict[str, object], why: str
) -> None:
    program = tmp_path / "vosd"
    program.write_text(
        f"#!{sys.executable}\n"
        "import os, socket\n"
        "assert os.pread(int(os.environ['VOSD_RUNNING_CALLS']), 9, 0) == b'onetwo'\n"
        "channel = socket.socket(fileno=int(os.environ['VOSD_PREDECESSOR']))\n"
        f"channel.sendall({json.dumps(report).encode()!r})\n"
        "channel.recv(1)\n"
    )
    program.chmod(0o700)
    monkeypatch.setattr(sys, "argv", [str(program)])
    notifier = Notifier(str(tmp_path / "notify"))
    handover = Handover(notifier, lambda: None, lambda: iter((b"one", b"two")))
    with pytest.raises(CallsWouldEndError, match=why):
        await handover.restart(Restart())
    assert not handover.is_due
    started, popen = [], subprocess.Popen
    monkeypatch.setattr(subprocess, "Popen", lambda *args, **terms: started.append(popen(*args, **terms)) or started[0])
    await handover.restart(Restart(ends_calls=True))
    assert handover.is_due
    handover.release()
    notifier.close()
    assert started[0].wait() == 0
