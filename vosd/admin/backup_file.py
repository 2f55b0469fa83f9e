"""The file of a backup: a ZIP archive whose last member is a manifest with the SHA-256 of all others (ADR 73).

It is written from beginning to end, so it needs no memory and no knowledge of sizes beforehand. It gets its name when
it is complete and on the disk. It does not know what the members mean.
"""

import fcntl
import hashlib
import os
import shutil
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from glob import escape
from pathlib import Path, PurePosixPath
from typing import IO, BinaryIO, Final

import msgspec

from vosd.base.errors import VosError
from vosd.base.undecodable import UNDECODABLE
from vosd.base.unzippable import UNZIPPABLE
from vosd.processes.whole_file import sync_directory

FORMAT: Final = 1
MANIFEST: Final = "manifest.json"
ROOM_LEFT: Final = 256 * 1024 * 1024
"""Bytes that a backup leaves free on the disk of its target: it may be the one of the journal."""
LEFT_S: Final = 3_600
"""Drafts that were last written to so long ago and that no process writes are removed."""
_LEVEL: Final = 3
_AT_ONCE: Final = 1024 * 1024
_MANIFEST_BYTES_MAX: Final = 64 * 1024 * 1024


class BackupError(VosError):
    """A backup cannot be written, or a file is no sound backup; the message says what to do."""


class Member(msgspec.Struct, frozen=True):
    """A part of a backup."""

    name: str
    """Name of the part."""
    bytes: int
    sha256: str
    """SHA-256 of the part, in hexadecimal digits."""


class BackupManifest(msgspec.Struct, frozen=True, kw_only=True):
    """Content of a backup."""

    format: int = FORMAT
    """Number of the format of the file."""
    version: str
    """Version of the program that made it."""
    schema: str
    """Revision of the database's tables."""
    node: str
    made_at: str
    """Time before which every commit is in it: ISO 8601, UTC."""
    database: str
    """``sqlite`` or ``mysql``."""
    commits: int
    """The database's counter of commits."""
    tables: dict[str, int]
    """Rows by table."""
    configuration: str
    """The main file, relative to ``configuration/``."""
    missing: tuple[str, ...] = ()
    """Files that the configuration names and that could not be read."""
    members: tuple[Member, ...] = ()
    """Parts of the file with their digests."""


class BackupWriter:
    """A backup that is being written; made by ``written``."""

    def __init__(self, archive: zipfile.ZipFile, directory: Path) -> None:
        self._archive = archive
        self._directory = directory
        self._members: list[Member] = []
        self._unchecked = 0

    @contextmanager
    def member(self, name: str) -> Iterator[Callable[[bytes], None]]:
        """Yield what appends to a new member.

        Raises:
            BackupError: the disk is nearly full.
            OSError: it cannot be written.
        """
        digest, size = hashlib.sha256(), 0
        with self._archive.open(name, "w", force_zip64=True) as file:

            def write(content: bytes) -> None:
                nonlocal size
                self._check_room(len(content))
                file.write(content)
                digest.update(content)
                size += len(content)

            yield write
        self._members.append(Member(name, size, digest.hexdigest()))

    def add(self, name: str, source: BinaryIO, show: Callable[[int], None] = lambda _: None) -> None:
        """Add an open file, as much of it as there is now; ``show`` receives the bytes that were read so far."""
        left = os.fstat(source.fileno()).st_size
        read = 0
        with self.member(name) as write:
            while left and (content := source.read(min(_AT_ONCE, left))):
                left -= len(content)
                read += len(content)
                write(content)
                show(read)

    def finish(self, manifest: BackupManifest) -> BackupManifest:
        """Write the manifest with all members so far, and return it."""
        complete = msgspec.structs.replace(manifest, members=tuple(self._members))
        self._archive.writestr(MANIFEST, msgspec.json.format(msgspec.json.encode(complete)))
        return complete

    def _check_room(self, added: int) -> None:
        self._unchecked += added
        if self._unchecked >= ROOM_LEFT // 4:
            self._unchecked = 0
            check_room(self._directory, 0)


def check_room(directory: Path, wanted: int) -> None:
    """Check that so many bytes can be written to a directory with something left.

    Raises:
        BackupError: there is too little.
    """
    free = shutil.disk_usage(directory).free
    if free < wanted + ROOM_LEFT:
        mib = 1024 * 1024
        message = f"{directory} has {free // mib} MiB free, {(wanted + ROOM_LEFT) // mib} are needed: make room"
        raise BackupError(message)


@contextmanager
def written(target: Path) -> Iterator[BackupWriter]:
    """Yield a writer; the target appears at the end, whole, and readable by its owner only.

    Raises:
        BackupError: the target is there already, or is being written, or the disk is full.
        OSError: it cannot be written.
    """
    if target.exists():
        raise BackupError(f"{target} is there already: say another name")
    _remove_left_drafts(target.parent)
    draft = _draft_of(target)
    descriptor = os.open(draft, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "w+b") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise BackupError(f"{target} is being written by another backup: say another name") from error
        try:
            file.truncate()
            check_room(target.parent, 0)
            with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=_LEVEL) as archive:
                yield BackupWriter(archive, target.parent)
            file.flush()
            os.fsync(descriptor)
            draft.rename(target)
        except BaseException:
            with suppress(OSError):
                draft.unlink(missing_ok=True)
            raise
    sync_directory(target.parent)


def _remove_left_drafts(directory: Path) -> None:
    """Remove drafts of backups that were killed, with the copies of SQLite databases beside them.

    Each has a name of its own, so no later backup writes to it.
    """
    oldest = time.time() - LEFT_S  # noqa: TID251 - compared with times of the file system
    for draft in directory.glob(_draft_of(Path("vosd-*.zip")).name):
        with suppress(OSError), draft.open("r+b") as file:  # of another user, or removed meanwhile by another backup
            if os.fstat(file.fileno()).st_mtime < oldest:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                for each in directory.glob(f"{escape(draft.stem)}.*"):
                    each.unlink()


def reserved(target: Path) -> bool:
    """Reserve a name for a backup that is written next; return False where another has it."""
    try:
        os.close(os.open(_draft_of(target), os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    except FileExistsError:
        return False
    if target.exists():
        _draft_of(target).unlink(missing_ok=True)
        return False
    return True


def _draft_of(target: Path) -> Path:
    return target.with_name(f".{target.name}.part")


class BackupReader:
    """A backup that is read; made by ``opened``."""

    def __init__(self, archive: zipfile.ZipFile, manifest: BackupManifest) -> None:
        self._archive = archive
        self.manifest: Final = manifest

    def check(self, show: Callable[[float, int], None]) -> None:
        """Compare every member with its checksum; ``show`` receives a part of 1, and bytes.

        Raises:
            BackupError: one is damaged or missing.
        """
        total = sum(member.bytes for member in self.manifest.members)
        done = 0
        for member in self.manifest.members:
            digest, size = hashlib.sha256(), 0
            try:
                with self.member(member.name) as file:
                    while content := file.read(_AT_ONCE):
                        digest.update(content)
                        size += len(content)
                        done += len(content)
                        show(done / max(total, 1), done)
            except UNZIPPABLE as error:
                raise _damaged(member.name) from error
            if size != member.bytes or digest.hexdigest() != member.sha256:
                raise _damaged(member.name)

    def names(self, folder: str) -> list[str]:
        """Return the members of a folder, such as ``state``."""
        return [member.name for member in self.manifest.members if member.name.startswith(f"{folder}/")]

    @contextmanager
    def member(self, name: str) -> Iterator[IO[bytes]]:
        """Yield a member for reading; raises BackupError where it is missing."""
        try:
            file = self._archive.open(name)
        except KeyError as error:
            raise _damaged(name) from error
        with file:
            yield file

    def extract(self, name: str, target: Path, show: Callable[[int], None] = lambda _: None) -> None:
        """Write a member to a new file, for its owner only, on the disk when this returns.

        Raises:
            OSError: it cannot be written, or is there already.
        """
        descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        written_bytes = 0
        with self.member(name) as file, os.fdopen(descriptor, "wb") as copy:
            while content := file.read(_AT_ONCE):
                copy.write(content)
                written_bytes += len(content)
                show(written_bytes)
            copy.flush()
            os.fsync(descriptor)


@contextmanager
def opened(path: Path) -> Iterator[BackupReader]:
    """Yield a backup with its manifest; the members are not checked yet.

    Raises:
        BackupError: it is no backup, is cut off, or was made by another version.
        OSError: it cannot be read.
    """
    try:
        archive = zipfile.ZipFile(path)
    except UNZIPPABLE as error:
        raise BackupError(f"{path} is no backup, or is not whole ({error}): take another one") from error
    with archive:
        yield BackupReader(archive, _manifest(archive, path))


def _manifest(archive: zipfile.ZipFile, path: Path) -> BackupManifest:
    try:
        with archive.open(MANIFEST) as file:
            manifest = msgspec.json.decode(file.read(_MANIFEST_BYTES_MAX), type=BackupManifest)
    except (KeyError, *UNDECODABLE, *UNZIPPABLE) as error:
        raise BackupError(f"{path} is no backup of vosd: {MANIFEST} is missing or damaged; take another one") from error
    if manifest.format != FORMAT:
        message = f"{path} was made by vosd {manifest.version} in another form ({manifest.format}): use that version"
        raise BackupError(message)
    for name in (*(member.name for member in manifest.members), manifest.configuration):
        pure = PurePosixPath(name)
        if pure.is_absolute() or ".." in pure.parts:
            raise BackupError(f"{path} names a file outside of it ({name}): it was not made by vosd backup")
    return manifest


def _damaged(name: str) -> BackupError:
    return BackupError(f"{name} of the backup is damaged: nothing was changed; take another backup")
