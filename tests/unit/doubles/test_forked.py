"""Workers of one run of the tests fork from one process."""

import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from scratch import directory_of_run

WORKER = """\
import sys
from multiprocessing import forkserver
from doubles.forked import forked

forkserver.set_forkserver_preload([])
for _ in sys.stdin:
    process = forked(sys.exit, 7)
    process.join()
    print(process.exitcode, forkserver._forkserver._forkserver_address, flush=True)
"""
TESTS = Path(__file__).parents[2]


def worker(directory: Path) -> "subprocess.Popen[str]":
    directory.mkdir(exist_ok=True)
    environment = {"PYTHONPATH": str(TESTS), "TMPDIR": str(directory)}
    return subprocess.Popen(
        [sys.executable, "-c", WORKER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment, text=True
    )


def forks(one: "subprocess.Popen[str]") -> list[str]:
    """Have a worker fork a process; return the exit code of that, and the address of what has forked it."""
    assert one.stdin is not None
    assert one.stdout is not None
    one.stdin.write("\n")
    one.stdin.flush()
    return one.stdout.readline().split()


def test_workers_of_a_run_fork_from_one_process_which_outlives_the_first_of_them():
    # not the directory of the test, whose path may be too long for a socket
    with TemporaryDirectory() as directory:
        _expect_one_process(Path(directory) / "vosd-tests-1")


def _expect_one_process(run: Path) -> None:
    with worker(run) as second:
        with worker(run) as first:
            code, address = forks(first)
            assert (code, Path(address).parent) == ("7", run)
            assert forks(second) == ["7", address]
        assert forks(second) == ["7", address]
    with worker(run) as later:
        code, of_later = forks(later)
    assert code == "7"
    assert of_later != address


def test_another_directory_is_of_no_run(monkeypatch, tmp_path):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    assert directory_of_run() is None
    monkeypatch.delenv("TMPDIR")
    assert directory_of_run() is None
