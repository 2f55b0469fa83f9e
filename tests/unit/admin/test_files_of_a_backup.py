"""Files that a backup copies: none is left out without a word."""

import os
from pathlib import Path

import pytest
from doubles.closed import closed

from vosd.admin.backup import files_below


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
