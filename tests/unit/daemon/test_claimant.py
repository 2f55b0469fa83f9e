"""The process that claims a lease, and whether another one on this host has ended."""

import os
import subprocess
import sys

import pytest

from vosd.daemon import claimant as module
from vosd.daemon.claimant import claimant_of, has_ended, worked_elsewhere


@pytest.fixture
def other(tmp_path):
    """Return the claim of a process with another state directory, and of that process the pid."""
    (tmp_path / "theirs").mkdir()

    def claim(pid, **changes):
        own = claimant_of("sw1", tmp_path / "theirs")
        words = module._Process(*own.process.split(" "))._replace(**changes)
        return own._replace(pid=pid, process=" ".join(words))

    return claim


def started_of(pid):
    return module._fields(pid)[module._STARTED]


@pytest.fixture
def child():
    """A process that waits until it is ended."""
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    yield process
    process.kill()
    process.communicate()


def test_a_process_that_runs_has_not_ended(tmp_path, other, child):
    assert not has_ended(other(child.pid, started=started_of(child.pid)), tmp_path)


def test_a_process_that_was_killed_has_ended_even_before_its_parent_has_looked(tmp_path, other, child):
    claim = other(child.pid, started=started_of(child.pid))
    child.kill()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert has_ended(claim, tmp_path)
    child.wait()
    assert has_ended(claim, tmp_path)


def test_a_pid_that_was_given_to_another_process_since_is_of_one_that_has_ended(tmp_path, other, child):
    assert has_ended(other(child.pid, started="1"), tmp_path)


@pytest.mark.parametrize("hidden_by", ["its user", "proc"])
def test_of_a_process_that_may_not_be_looked_at_nothing_is_known(tmp_path, other, child, monkeypatch, hidden_by):
    """Else a second switch would take the lease of one that runs."""
    claim = other(child.pid, started="1")
    assert has_ended(claim, tmp_path)
    if hidden_by == "proc":
        monkeypatch.setattr(module, "_fields", lambda _pid: [])
    else:
        monkeypatch.setattr(os, "kill", _refuse)
    assert not has_ended(claim, tmp_path)


def _refuse(_pid, _signal):
    raise PermissionError(1, "Operation not permitted")


def test_who_had_locked_the_state_directory_of_this_process_has_ended(tmp_path, other, child):
    """As in a container, where the pid says nothing."""
    claim = other(child.pid, started=started_of(child.pid), pid_namespace="pid:[1]")
    assert not has_ended(claim, tmp_path)
    assert has_ended(claim, tmp_path / "theirs")


@pytest.mark.parametrize("hidden", [False, True], ids=["boot id", "boot id hidden"])
def test_nothing_is_known_of_another_boot_or_machine(tmp_path, other, hidden, monkeypatch):
    """A copy of a machine has the same files and pids."""
    claim = other(2**22 + 1, boot_id="" if hidden else "another", booted_s="1")
    assert not has_ended(claim, tmp_path / "theirs")
    assert not has_ended(claim, tmp_path)


def test_without_a_boot_id_the_boot_time_decides(tmp_path, other):
    assert has_ended(other(2**22 + 1, boot_id=""), tmp_path)


@pytest.mark.parametrize("process", ["", "x", " b c d e", "a b c d e f"])
def test_the_process_format_of_another_version_is_not_understood(tmp_path, other, process):
    assert not has_ended(other(1)._replace(process=process), tmp_path)


def test_a_holder_of_this_boot_worked_elsewhere_where_its_state_directory_is_another(tmp_path, other):
    claim = other(1)
    assert worked_elsewhere(claim, tmp_path)
    assert not worked_elsewhere(claim, tmp_path / "theirs")


@pytest.mark.parametrize("changes", [{"boot_id": "another"}, {"state_dir": ""}])
def test_of_another_boot_or_an_unknown_directory_nothing_is_said(tmp_path, other, changes):
    assert not worked_elsewhere(other(1, **changes), tmp_path)


def test_of_a_holder_whose_process_is_not_known_nothing_is_said(tmp_path, other):
    assert not worked_elsewhere(other(1)._replace(process=""), tmp_path)
