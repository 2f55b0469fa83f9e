"""Migrated SQLite databases: a process migrates one and copies it, since every migration from nothing takes a while."""

from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from vosd.storage.migrate import migrate


def migrated(file: Path) -> str:
    """Make a migrated and empty database at ``file``; return its URL. Its directory is made, too."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.touch(mode=0o600, exist_ok=False)
    file.write_bytes(_content())
    return _url(file)


@cache
def _content() -> bytes:
    with TemporaryDirectory(prefix="vosd-migrated-") as directory:
        file = Path(directory) / "vosd.db"
        migrate(_url(file))
        return file.read_bytes()


def _url(file: Path) -> str:
    return f"sqlite+aiosqlite:///{file}"
