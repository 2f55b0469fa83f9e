"""What the library of Prometheus is given, where the service manager hides and forbids things."""

import os
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from vosd.metrics import exposition
from vosd.metrics.exposition import _Process
from vosd.metrics.reading import ExporterAnswer
from vosd.processes import life


def test_the_start_of_a_process_is_known_where_the_kernels_own_file_is_hidden(tmp_path):
    (tmp_path / str(os.getpid())).symlink_to(f"/proc/{os.getpid()}")
    registry = CollectorRegistry()
    _Process(pid=os.getpid, proc=str(tmp_path), registry=registry)
    booted = next(line for line in Path("/proc/stat").read_text().splitlines() if line.startswith("btime "))
    ticks = int(Path(f"/proc/{os.getpid()}/stat").read_text().rpartition(")")[2].split()[19])
    started = int(booted.split()[1]) + ticks / os.sysconf("SC_CLK_TCK")
    assert registry.get_sample_value("process_start_time_seconds") == pytest.approx(started, abs=2)
    assert registry.get_sample_value("process_resident_memory_bytes") > 1_000_000


def test_a_process_that_has_ended_has_no_figures():
    page, _ = exposition.written([ExporterAnswer(1, processes=(("", 2**22 + 1),))])
    assert b"\nprocess_" not in page
    assert b"\nvosd_exporter_process_open_fds" in page


def test_a_process_runs_on_where_it_may_not_give_way(monkeypatch):
    def forbidden(_which, _who, niceness):
        asked.append(niceness)
        raise PermissionError

    asked = []
    monkeypatch.setattr(os, "setpriority", forbidden)
    monkeypatch.setattr(
        os, "getpriority", lambda _which, _who: 0
    )  # the process of the tests may have given way already
    life.give_way(5)
    assert asked == [5]
