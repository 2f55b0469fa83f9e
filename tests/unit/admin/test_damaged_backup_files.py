"""A backup of which one byte is wrong: it is refused by a sentence, or the byte has no meaning."""

import itertools
from pathlib import Path

import pytest

from vosd.admin.backup_file import BackupError, BackupManifest, opened, written

MANIFEST = BackupManifest(
    version="1", schema="0001", node="sw1", made_at="", database="sqlite", commits=0, tables={}, configuration="",
    missing=(),
)  # fmt: skip


def check(path: Path) -> None:
    with opened(path) as backup:
        backup.check(lambda *_: None)


@pytest.mark.parametrize("bits", [0x01, 0x41, 0xFF])
def test_a_byte_that_is_wrong_is_a_damaged_backup_and_no_defect(tmp_path: Path, bits: int) -> None:
    path = tmp_path / "one.zip"
    with written(path) as writer:
        for name in ("database/cdr", "state/journal"):
            with writer.member(name) as write:
                write(b"".join(b"%d,44%d\n" % (each, each * 7_919 % 9_973) for each in range(300)))
        writer.finish(MANIFEST)
    whole = bytearray(path.read_bytes())
    check(path)
    refused = 0
    for place in range(len(whole)):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ bits]) + whole[place + 1 :])
        try:
            check(path)
        except (BackupError, OSError):
            refused += 1
    assert refused > len(whole) / 2, "other bytes are times and sizes of the archive that are said twice"


def test_content_that_was_compressed_in_another_way_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "one.zip"
    with written(path) as writer:
        writer.finish(MANIFEST)
    whole = path.read_bytes()
    at = whole.index(b"PK\x01\x02") + 10
    for kind, above in itertools.product((0, 1, 9, 12, 14, 93, 98), (0, 1)):
        path.write_bytes(whole[:at] + bytes([kind, above]) + whole[at + 2 :])
        with pytest.raises((BackupError, OSError)):
            check(path)
