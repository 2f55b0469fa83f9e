"""Names of backups: two of one second do not write over each other."""

import os
from pathlib import Path

import pytest

from vosd.admin.backup import target_in
from vosd.admin.backup_file import BackupError, BackupManifest, written

AT = 1_772_366_400_000
MANIFEST = BackupManifest(
    version="1", schema="0001", node="sw1", made_at="", database="sqlite", commits=0, tables={}, configuration="",
    missing=(),
)  # fmt: skip


def test_backups_of_one_second_are_numbered_whether_the_first_is_being_written_or_complete(tmp_path: Path) -> None:
    first, second = (target_in(tmp_path, "sw1", AT) for _ in range(2))
    assert (first.name, second.name) == ("vosd-sw1-20260301T120000Z.zip", "vosd-sw1-20260301T120000Z-2.zip")
    with written(first) as one, written(second) as two:
        one.finish(MANIFEST)
        two.finish(MANIFEST)
    assert target_in(tmp_path, "sw1", AT).name == "vosd-sw1-20260301T120000Z-3.zip"
    assert sorted(each.name for each in tmp_path.glob("*.zip")) == sorted([first.name, second.name])


def test_a_file_that_is_being_written_is_not_written_by_another_backup(tmp_path: Path) -> None:
    target = tmp_path / "mine.zip"
    with written(target) as writer:
        with pytest.raises(BackupError, match="being written by another backup"), written(target):
            pass
        writer.finish(MANIFEST)
    assert target.exists()
    with pytest.raises(BackupError, match="there already"), written(target):
        pass


def test_drafts_of_backups_that_were_killed_are_removed_by_a_later_one(tmp_path: Path) -> None:
    killed, later, written_now = (tmp_path / f"vosd-sw1-2026030{day}T120000Z.zip" for day in (1, 2, 3))
    left = [tmp_path / f".{killed.name}.{ending}" for ending in ("part", "db", "db-journal")]
    kept = [tmp_path / f".{later.name}.part", tmp_path / ".mine.zip.part", tmp_path / "vosd-sw1-20260201T120000Z.zip"]
    for each in (*left, *kept):
        each.write_bytes(b"passwords")
    with written(written_now) as running:
        kept.append(tmp_path / f".{written_now.name}.part")
        for each in (*left, *kept[1:]):
            os.utime(each, (0, 0))
        with written(tmp_path / "other.zip") as other:
            other.finish(MANIFEST)
        assert not [each for each in left if each.exists()]
        assert [each for each in kept if each.exists()] == kept
        running.finish(MANIFEST)
    assert written_now.exists()
