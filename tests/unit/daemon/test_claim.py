"""Two switches never share a state directory."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from vosd.daemon.claim import StateDirectory, StateDirectoryError


def test_the_directory_is_created_with_access_for_the_switch_only(tmp_path: Path) -> None:
    directory = StateDirectory(tmp_path / "var" / "lib")
    directory.claim()
    assert stat.S_IMODE(directory.path.stat().st_mode) == 0o700
    directory.release()


def test_a_second_switch_gets_the_pid_of_the_first(tmp_path: Path) -> None:
    first = StateDirectory(tmp_path)
    first.claim()
    with pytest.raises(StateDirectoryError, match=rf"pid {os.getpid()}.*stop it or use another"):
        StateDirectory(tmp_path).claim()
    first.release()
    StateDirectory(tmp_path).claim()


def test_a_switch_that_died_leaves_no_lock_behind(tmp_path: Path) -> None:
    claim_and_die = (
        "import os, sys, pathlib; from vosd.daemon.claim import StateDirectory;"
        "StateDirectory(pathlib.Path(sys.argv[1])).claim(); os.kill(os.getpid(), 9)"
    )
    died = subprocess.run([sys.executable, "-c", claim_and_die, tmp_path], check=False)
    assert died.returncode == -9
    directory = StateDirectory(tmp_path)
    directory.claim()
    directory.release()


def test_a_directory_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "var").write_text("a file")
    with pytest.raises(StateDirectoryError, match=r"var/lib cannot be used"):
        StateDirectory(tmp_path / "var" / "lib").claim()
