"""A kill while the objects of the database are written to the disk."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from vosd.catalogue.stored_objects import ObjectVersion
from vosd.storage.kept_objects import KeptObjects, KeptState


def version_of(name: str, version: int) -> ObjectVersion:
    return ObjectVersion(
        kind="accounts", name=name, version=version, body="{}", begins_at=0, made_at=0, operator="anna", memo=None
    )


@pytest.mark.parametrize("everything", [False, True])
def test_objects_written_before_are_there_after_a_kill_in_a_later_write(tmp_path: Path, everything: bool) -> None:
    running, killed = tmp_path / "running", tmp_path / "killed"
    kept = KeptObjects(running / "objects.db")
    kept.write(KeptState(1, 0, None), [version_of("acme", 1), version_of("beta", 1)], everything=True)

    def changes() -> Iterator[ObjectVersion]:
        yield version_of("acme", 2)
        for number in range(5_000):  # more than SQLite keeps in memory
            yield version_of(f"{number:0500}", 2)
        shutil.copytree(running, killed)

    kept.write(KeptState(2, 0, None), changes(), everything=everything)

    left = KeptObjects(killed / "objects.db")
    assert left.state() == KeptState(1, 0, None)
    assert {name: each.version for name, each in left.of_kind("accounts").items()} == {"acme": 1, "beta": 1}
    left.write(KeptState(3, 0, None), [version_of("acme", 3)], everything=True)
    assert {name: each.version for name, each in left.of_kind("accounts").items()} == {"acme": 3}
