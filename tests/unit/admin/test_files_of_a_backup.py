"""Files that a backup copies: none is left out without a word."""

import os
from pathlib import Path

import pytest
from doubles.closed import closed

from vosd.admin.backup import files_below
from vosd.engine.journal.files import UNBOOKED, all_files


def test_a_directory_that_cannot_be_read_ends_the_backup(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a month that root has closed: its files are nowhere else."""
    monkeypatch.chdir(tmp_path)  # pytest's own directories are closed to others
    tmp_path.chmod(0o755)
    for name in ("2026-09", "2026-10"):
        Path("months", name).mkdir(parents=True)
        Path("months", name, "month.md").touch()
    found = [os.fspath(each) for each in files_below(Path("months"))]
    assert sorted(found) == ["months/2026-09/month.md", "months/2026-10/month.md"]
    assert not [*files_below(Path("invoices"))]
    with closed(Path("months/2026-10")), pytest.raises(PermissionError):
        list(files_below(Path("months")))


def test_a_journal_that_cannot_be_read_is_not_one_without_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    tmp_path.chmod(0o755)
    assert all_files(Path("journal")) == []
    Path("journal").mkdir()
    Path("journal", f"journal-00000007{UNBOOKED}").touch()
    Path("journal", "reserve").touch()
    assert [each.name for each in all_files(Path("journal"))] == ["journal-00000007.unbooked"]
    with closed(Path("journal")), pytest.raises(PermissionError):
        all_files(Path("journal"))
