"""The workers of a run fork from one process, which stays while any of them does."""

import os
import select
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

import doubles
import pytest

WORKER = """\
import sys, time
from pathlib import Path
from doubles import forked
forked._CONTEXT.set_forkserver_preload([])
for _ in sys.stdin:
    process = forked.forked(time.sleep, 600)
    print(Path(f"/proc/{process.pid}/stat").read_text().rsplit(")", 1)[1].split()[1], flush=True)
    process.kill()
    process.join()
"""
KILLED = """\
import signal
from doubles import forked
forked._CONTEXT.set_forkserver_preload([])
print(forked.forked(signal.pause).pid, flush=True)
signal.pause()
"""
PATIENCE_S = 60.0


class Worker:
    """A process of a run that forks others when it is asked to."""

    def __init__(self, run: str, directory: Path) -> None:
        environment = {
            **os.environ,
            "PYTEST_XDIST_TESTRUNUID": run,
            "TMPDIR": str(directory),
            "PYTHONPATH": str(Path(doubles.__file__).parents[1]),
        }
        self._process = subprocess.Popen(
            [sys.executable, "-c", WORKER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        )

    def forks_from(self) -> int:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())

    def end(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(PATIENCE_S)
        self._process.stdout.close()  # not read to its end: the process that forks has it, too


@pytest.fixture
def short_path() -> Iterator[Path]:
    """A directory whose name leaves room for that of a socket."""
    with TemporaryDirectory(prefix="forks-") as directory:
        yield Path(directory)


@pytest.fixture
def worker(short_path: Path) -> Iterator[Callable[[str], Worker]]:
    with ExitStack() as running:

        def begin(run: str) -> Worker:
            found = Worker(run, short_path)
            running.callback(found.end)
            return found

        yield begin


def test_workers_of_a_run_fork_from_one_process_that_outlives_the_first_of_them(worker: Callable[[str], Worker]):
    first, second, third = worker("run"), worker("run"), worker("run")
    server = first.forks_from()
    ended, watched = os.pidfd_open(server), select.poll()  # a worker with many open files has no number for select()
    watched.register(ended, select.POLLIN)
    assert second.forks_from() == server
    first.end()
    assert second.forks_from() == server
    second.end()
    assert watched.poll(1_000 * PATIENCE_S), "no worker that may fork is left"
    os.close(ended)
    assert third.forks_from() != server, "another one is started"


def test_another_run_forks_from_another_process(worker: Callable[[str], Worker]):
    assert worker("one").forks_from() != worker("other").forks_from()


@pytest.mark.parametrize("ending", [signal.SIGTERM, signal.SIGKILL])
def test_what_was_forked_ends_with_a_worker_that_is_killed(short_path: Path, ending: signal.Signals):
    """A switch that runs on would hold its ports and its database."""
    environment = os.environ | {"TMPDIR": str(short_path), "PYTHONPATH": str(Path(doubles.__file__).parents[1])}
    del environment["PYTEST_CURRENT_TEST"]
    with subprocess.Popen([sys.executable, "-c", KILLED], stdout=subprocess.PIPE, text=True, env=environment) as worker:
        assert worker.stdout is not None
        ended, watched = os.pidfd_open(int(worker.stdout.readline())), select.poll()
        worker.send_signal(ending)
        watched.register(ended, select.POLLIN)
        is_ended = watched.poll(1_000 * PATIENCE_S)
        if not is_ended:
            signal.pidfd_send_signal(ended, signal.SIGKILL)
    os.close(ended)
    assert is_ended
