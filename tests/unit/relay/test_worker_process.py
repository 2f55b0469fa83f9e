"""Processes that are killed as relay workers."""

import os
import signal
import subprocess
import sys

from vosd.relay.worker_process import connect_worker, is_served, kill, reap


def test_only_workers_are_killed():
    """The number of a worker that has ended may be that of any process."""
    kill(os.getpid())
    kill(0)
    assert reap(os.getpid())


def test_no_other_child_is_reaped_for_a_worker_whose_number_is_not_known():
    process = subprocess.Popen([sys.executable, "-c", "raise SystemExit(7)"])
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert reap(0)
    assert process.wait(30) == 7


def test_a_worker_is_killed_and_reaped():
    command = [sys.executable, "-c", "print(flush=True); input()", "vosd.relay.worker"]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()  # its command line is known from now on
    assert not reap(process.pid)
    kill(process.pid)
    assert process.wait(30) == -signal.SIGKILL
    assert reap(process.pid)
    assert process.stdin is not None
    process.stdin.close()
    process.stdout.close()


def test_a_socket_that_no_worker_listens_at_is_removed(tmp_path):
    path = tmp_path / "media-2.sock"
    assert not is_served(path)
    path.touch()
    assert connect_worker(path) is None
    assert not is_served(path)
    assert not path.exists()
