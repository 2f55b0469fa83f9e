"""Processes beside the switch: they are started without a copy of it, and each end is noticed."""

import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest

from vosd.processes import child as child_module, started_program
from vosd.processes.child import Child, ended, started
from vosd.processes.started_program import WatchedProcess, start_program

MODULE = "ends_with_its_channel"
"""Module of a process that ends when its channel is closed, as all of them do; it imports next to nothing."""
ENDS_WITH_ITS_CHANNEL = """
import socket, sys

def main():
    socket.socket(fileno=int(sys.argv[1])).recv(1)
"""
TOLD_BY_MESSAGE = [
    "vosd.api.job_process",
    "vosd.daemon.bilateral_process",
    "vosd.daemon.nightly_process",
    "vosd.daemon.report_process",
    "vosd.daemon.retention_process",
    "vosd.daemon.traffic_process",
    "vosd.storage.bookkeeper",
    "vosd.wiring.check_process",
]
"""Modules of processes that wait for an order of the switch."""
LISTING = """
import os, sys
given = int(sys.argv[1])
for each in range(given + 100):
    try:
        os.fstat(each)
    except OSError:
        continue
    os.write(given, f"{each} ".encode())
"""
"""Writes which descriptors are open."""
FORKS: list[int] = []
"""One for each time that this process was copied; such a hook cannot be taken back."""
os.register_at_fork(before=lambda: FORKS.append(1))


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Return the name of a module that an executed process finds."""
    (tmp_path / f"{MODULE}.py").write_text(ENDS_WITH_ITS_CHANNEL)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    return MODULE


def descriptors() -> set[str]:
    """Return the open files of this process that are processes."""
    found = set()
    for each in Path("/proc/self/fd").iterdir():
        try:
            if "pidfd" in str(each.readlink()):
                found.add(each.name)
        except FileNotFoundError:  # the directory itself
            continue
    return found


def is_child(pid: int) -> bool:
    """Return whether the kernel knows a process as one of this one's."""
    try:
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return False
    return True


def program(*command: str) -> WatchedProcess:
    return start_program(("/bin/sh", "-c", *command), inherited=(), environment={})


async def test_no_copy_of_the_switch_is_made_for_a_start(module: str) -> None:
    before = len(FORKS)
    child = await started(module)
    try:
        assert len(FORKS) == before
    finally:
        await ended(child)


async def test_a_process_that_is_asked_ends_by_itself_and_one_that_is_not_is_killed(
    monkeypatch: pytest.MonkeyPatch, module: str
) -> None:
    monkeypatch.setattr(child_module, "_END_S", 60.0)  # it reads its modules first, for seconds on a busy machine
    watched = descriptors()
    asked, killed = await started(module), await started(module)
    assert (asked.process.returncode, killed.process.returncode) == (None, None)
    assert (await ended(asked), await ended(killed, is_asked=False)) == (False, True)
    assert (asked.process.returncode, killed.process.returncode) == (0, -signal.SIGKILL)
    assert descriptors() == watched


@pytest.mark.parametrize("module", TOLD_BY_MESSAGE)
async def test_a_process_whose_switch_is_killed_before_it_has_an_order_ends_without_an_error(module: str) -> None:
    child = await started(module)
    child.writer.close()
    assert await child.process.wait() == 0


async def test_each_who_waits_for_an_end_gets_its_exit_code() -> None:
    ending = program("exit 7")
    assert await asyncio.gather(ending.wait(), ending.wait()) == [7, 7]
    assert (ending.returncode, await ending.wait()) == (7, 7)
    ending.kill()


async def test_an_end_that_others_have_brought_about_is_noticed(module: str) -> None:
    child = await started(module)
    os.kill(child.process.pid, signal.SIGKILL)
    assert await child.reader.read() == b""
    assert await child.process.wait() == -signal.SIGKILL
    assert await ended(child) is False


async def test_a_killed_process_is_gone_from_the_kernel_once_it_was_waited_for() -> None:
    sleeping = program("exec sleep 600")
    sleeping.kill()
    assert await sleeping.wait() == -signal.SIGKILL
    assert not is_child(sleeping.pid)


async def test_a_process_gets_the_descriptors_that_it_is_given_and_no_others(tmp_path: Path) -> None:
    with (tmp_path / "given").open("w") as given, (tmp_path / "kept").open("w") as kept:
        os.set_inheritable(kept.fileno(), True)
        number = given.fileno()
        command = (sys.executable, "-S", "-c", LISTING, str(number))
        assert await start_program(command, inherited=(number,), environment={}).wait() == 0
    assert (tmp_path / "given").read_text().split() == ["0", "1", "2", str(number)]


async def test_a_process_that_cannot_be_watched_is_not_left_behind(
    monkeypatch: pytest.MonkeyPatch, module: str
) -> None:
    begun: list[int] = []

    def refuse(pid: int) -> int:
        begun.append(pid)
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(started_program.os, "pidfd_open", refuse)
    with pytest.raises(OSError, match="Too many open files"):
        await started(module)
    (pid,) = begun
    assert not is_child(pid)


async def test_a_program_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.executable", "/nowhere/python")
    with pytest.raises(OSError, match="/nowhere/python"):
        await started(MODULE)


async def test_an_end_is_awaited_though_its_task_is_cancelled(module: str) -> None:
    child: Child = await started(module)
    ending = asyncio.create_task(ended(child))
    await asyncio.sleep(0)
    ending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await ending
    assert child.process.returncode is not None
