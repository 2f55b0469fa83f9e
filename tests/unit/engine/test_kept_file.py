"""Small files of ``state_dir`` are whole after a power loss, and where a stop writes beside a thread."""

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from vosd.engine.kept_file import KeptFile


def kept(directory: Path, **settings: Any) -> KeptFile[list[str]]:
    return KeptFile(directory / "kept.json", list[str], "kept", **settings)


def test_the_content_is_on_the_disk_before_it_has_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced = list[int]()
    monkeypatch.setattr(os, "fsync", lambda descriptor: synced.append(os.fstat(descriptor).st_ino))
    file = kept(tmp_path)
    assert file.write(["a"])
    assert synced == [file.path.stat().st_ino]
    assert kept(tmp_path, synced=False).write(["b"])
    assert (len(synced), file.read()) == (1, ["b"])


def test_a_stop_that_writes_while_a_thread_waits_for_the_disk_writes_behind_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits, goes_on = Event(), Event()

    def slow(_descriptor: int) -> None:
        if not waits.is_set():
            waits.set()
            assert goes_on.wait(60)

    monkeypatch.setattr(os, "fsync", slow)
    file = kept(tmp_path)
    with ThreadPoolExecutor(2) as threads:
        first = threads.submit(file.write, ["before " * 1_000])
        assert waits.wait(60)
        second = threads.submit(file.write, ["last"])
        goes_on.set()
        assert (first.result(60), second.result(60)) == (True, True)
    assert file.read() == ["last"]
