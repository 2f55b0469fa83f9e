"""Use cases of the backups that are kept beside the state of the switch: list them, make one, verify one."""

import asyncio
import re
from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec

from vosd.admin.backup_file import opened
from vosd.admin.office.installation import BackupSheet, MakeBackup, make_backup
from vosd.admin.office.office import Office, needs
from vosd.admin.office.principal import OrderError, Permission, Principal
from vosd.base.errors import VosError
from vosd.cdr.columns import iso_utc

DIRECTORY: Final = "backups"
"""Below ``state_dir``."""
_NAME: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,200}\.zip")


class NoSuchBackupError(VosError):
    """No backup of that name is kept."""


class ListBackups(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The backups that are kept."""


class BackupEntry(msgspec.Struct, frozen=True):
    """A backup that is kept."""

    name: str
    """Name of the file."""
    bytes: int
    written_at: str
    """When the file was complete."""


@needs(Permission.INSTALLATION_RUN, without_database=True)
async def list_backups(office: Office, who: Principal, _order: ListBackups) -> list[BackupEntry]:
    """Return the backups, by name; raises OSError where the directory cannot be read."""
    found = []
    for path in sorted(_directory(office).glob("*.zip")):
        if _NAME.fullmatch(path.name) and path.is_file() and not path.is_symlink():
            state = path.stat()
            found.append(BackupEntry(path.name, state.st_size, iso_utc(state.st_mtime_ns // 1_000_000)))
    return found


class KeepBackup(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A backup to be made, and kept with the others; it is named after node and time."""


@needs(Permission.INSTALLATION_RUN)
async def keep_backup(
    office: Office, who: Principal, _order: KeepBackup, report: Callable[[float, int], None]
) -> BackupSheet:
    """Make a backup; only the user of the switch may read it. Raises as ``make_backup``."""
    directory = _directory(office)
    directory.mkdir(mode=0o700, exist_ok=True)
    return await make_backup(office, who, MakeBackup(str(directory)), report)


class VerifyBackup(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A backup to be compared with its checksums."""

    name: str
    """Name of the file."""


@needs(Permission.INSTALLATION_RUN, without_database=True)
async def verify_backup(office: Office, who: Principal, order: VerifyBackup) -> BackupSheet:
    """Read every byte of a backup, and return its content.

    Raises:
        OrderError: it is no name.
        NoSuchBackupError: none is kept under it.
        BackupError: it is damaged, or was made by another version.
        OSError: it cannot be read.
    """
    if _NAME.fullmatch(order.name) is None:
        raise OrderError("name", f"{order.name!r} is no name of a backup: expected one that the list has")
    path = _directory(office) / order.name
    if path.is_symlink() or not path.is_file():
        raise NoSuchBackupError(f"there is no backup {order.name}: list those that are kept")
    return await asyncio.to_thread(_verified, path)


def _verified(path: Path) -> BackupSheet:
    with opened(path) as reader:
        reader.check(lambda _part, _bytes: None)
        return BackupSheet(str(path), path.stat().st_size, reader.manifest)


def _directory(office: Office) -> Path:
    return office.definitions.settings.state_dir / DIRECTORY
