"""What runs of the tests leave in memory."""

import fcntl
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
import scratch
from scratch import remove_what_has_ended, write_in_memory

NEVER_A_PROCESS = 2**31
ENDED = """\
import os, signal, pytest
from pathlib import Path

@pytest.fixture
def server():
    yield
    Path("stopped").touch()

def test_that_is_ended(server):
    os.kill(os.getpid(), signal.SIGTERM)
"""


def run_of(number: int, process: int, root: Path) -> Path:
    """Make the directory that pytest locks for a process."""
    directory = root / "pytest-of-root" / f"pytest-{number}"
    directory.mkdir(parents=True)
    (directory / ".lock").write_text(str(process))
    return directory


def test_a_run_removes_what_a_killed_one_has_left_and_nothing_of_a_running_one(tmp_path):
    killed, running = run_of(1, NEVER_A_PROCESS, tmp_path), run_of(2, os.getpid(), tmp_path)
    remove_what_has_ended(tmp_path)
    assert (killed.exists(), running.exists()) == (False, True)


def test_a_small_disk_of_a_killed_run_is_unmounted(tmp_path):
    killed = run_of(1, NEVER_A_PROCESS, tmp_path)
    disk = killed / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "none", str(disk)], check=False).returncode != 0:
        pytest.skip("no file system can be mounted here")
    remove_what_has_ended(tmp_path)
    assert not killed.exists()


def test_only_the_last_of_the_runs_that_have_failed_keeps_its_files(tmp_path):
    older, last = (tmp_path / f"vosd-tests-{NEVER_A_PROCESS + number}" for number in (1, 2))
    for age, directory in enumerate((last, older)):
        directory.mkdir()
        os.utime(directory, (1_000 - age, 1_000 - age))
    remove_what_has_ended(tmp_path)
    assert (older.exists(), last.exists()) == (False, True)


def test_what_a_run_in_another_container_has_stays(tmp_path):
    """The processes of that run are not seen from here: the lock on its directory says that it goes on."""
    before, elsewhere, last = (tmp_path / f"vosd-tests-{NEVER_A_PROCESS + number}" for number in range(3))
    for age, directory in enumerate((last, elsewhere, before)):
        directory.mkdir()
        os.utime(directory, (1_000 - age, 1_000 - age))
    of_pytest = run_of(1, NEVER_A_PROCESS, tmp_path)
    held = os.open(elsewhere, os.O_RDONLY)
    fcntl.flock(held, fcntl.LOCK_SH)
    try:
        remove_what_has_ended(tmp_path)
        assert (before.exists(), elsewhere.exists(), of_pytest.exists()) == (False, True, True)
    finally:
        os.close(held)
    remove_what_has_ended(tmp_path)
    assert (elsewhere.exists(), last.exists(), of_pytest.exists()) == (False, True, False)


def test_what_another_user_has_left_keeps_no_one_from_removing_his_own(tmp_path, monkeypatch):
    others, older, last = (tmp_path / f"vosd-tests-{NEVER_A_PROCESS + number}" for number in range(3))
    for age, directory in enumerate((others, last, older)):
        directory.mkdir()
        os.utime(directory, (1_000 - age, 1_000 - age))
    may, opened = os.access, os.open

    def refused(path, *arguments, **keywords):
        if path == others:
            raise PermissionError
        return opened(path, *arguments, **keywords)

    monkeypatch.setattr(os, "access", lambda path, mode: path != others and may(path, mode))
    monkeypatch.setattr(os, "open", refused)
    remove_what_has_ended(tmp_path)
    assert (others.exists(), older.exists(), last.exists()) == (True, False, True)


def test_runs_of_two_containers_with_one_number_have_a_directory_each(tmp_path, monkeypatch):
    monkeypatch.setattr(scratch, "_IN_MEMORY", tmp_path)
    monkeypatch.setattr(scratch, "_NEEDED", 0)
    monkeypatch.setattr(tempfile, "tempdir", None)
    monkeypatch.setenv("PYTEST_DEBUG_TEMPROOT", str(tmp_path))
    made = set()
    for _ in range(2):
        monkeypatch.delenv("TMPDIR", raising=False)
        made.add(write_in_memory())
    assert made == {*tmp_path.glob(f"vosd-tests-{os.getpid()}-*")}
    assert len(made) == 2


def test_a_run_that_is_ended_by_sigterm_stops_what_its_fixtures_have_started(tmp_path):
    (tmp_path / "test_ended.py").write_text(ENDED)
    environment = os.environ | {"PYTHONPATH": str(Path(scratch.__file__).parent), "TMPDIR": str(tmp_path)}
    ended = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "conftest", "test_ended.py"], cwd=tmp_path, env=environment, check=False
    )
    assert ended.returncode == pytest.ExitCode.INTERRUPTED
    assert (tmp_path / "stopped").exists()
