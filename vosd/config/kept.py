"""The last good catalogue on disk: the configuration's own files, and the definitions of the database as read last.

A start uses it where the configuration and the database do not go together, and the definitions where the database
cannot be read (ADR 59). Files are named by content and only readable for their owner, as they may hold passwords.
"""

import hashlib
import os
import tempfile
import time
from collections.abc import AsyncIterable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path, PurePath
from typing import Final

import msgspec

from vosd.base.errors import VosError
from vosd.base.undecodable import UNDECODABLE
from vosd.catalogue.decks import DeckVersion
from vosd.config.reader.texts import absolute, digest_of
from vosd.config.stored import Stored, Wanted
from vosd.processes.whole_file import sync_file
from vosd.storage.kept_objects import KeptObjects, KeptState

DIRECTORY: Final = "last-good"
"""Name of the directory within ``state_dir``."""
UNUSED_S: Final = 3_600.0
"""A file that is not in use stays so long after it was written: a reload may be about to use it."""
_MANIFEST: Final = "catalogue.json"
_OBJECTS: Final = "objects.db"
_TEMPORARY: Final = ".writing-"


class DamagedDeckError(VosError):
    """The rows of a deck have another digest than its version says."""


class KeptManifest(msgspec.Struct, frozen=True):
    """Sources of the last good catalogue."""

    version: int | None = None
    """Version of the definitions in the database; None = they were never read."""
    decks: tuple[DeckVersion, ...] = ()
    files: Mapping[str, str] = {}
    """Digest of each file of the configuration, by absolute path."""
    has_objects: bool = False
    """Whether the database defined objects, or will; they are in a file of their own."""


def digests_of(texts: Mapping[str, bytes]) -> dict[str, str]:
    """Return the digest of each file."""
    return {name: digest_of(content) for name, content in texts.items()}


class KeptCatalogue:
    """The directory of the last good catalogue."""

    def __init__(self, state_dir: Path) -> None:
        self._directory = state_dir / DIRECTORY
        self.objects = KeptObjects(self._directory / _OBJECTS)

    def manifest(self) -> KeptManifest:
        """Return what the last good catalogue was made of; nothing where there is none, or it cannot be read."""
        try:
            return msgspec.json.decode((self._directory / _MANIFEST).read_bytes(), type=KeptManifest)
        except (OSError, *UNDECODABLE):
            return KeptManifest()

    def path_of(self, digest: str) -> Path | None:
        """Return the file of some content; None where it is missing."""
        path = self._directory / digest
        return path if path.is_file() else None

    def texts(self, manifest: KeptManifest) -> "KeptTexts":
        """Return the files of the configuration as they were."""
        return KeptTexts({name: self._directory / digest for name, digest in manifest.files.items()})

    def stored(self, manifest: KeptManifest, wanted: Iterable[str], unread: str | None = None) -> Stored:
        """Return the definitions of a manifest, with the files of the decks that are wanted.

        Raises:
            MissingObjectsError: the objects are not there any more.
        """
        found = Stored(manifest.version, manifest.decks, self.files_of(manifest.decks, wanted), unread)
        if not manifest.has_objects:
            return found
        objects, state = self.objects.by_kind(), self.objects.state()
        at, next_at = (0, None) if state is None else (state.at, state.next_at)
        return found._replace(objects=objects, at=at, next_at=next_at)

    def files_of(self, decks: Iterable[DeckVersion], wanted: Iterable[str]) -> dict[str, Path]:
        """Return the files with the rows of the decks that are wanted, by rate group."""
        names = frozenset(wanted)
        found = {deck.group: self.path_of(deck.digest) for deck in decks if deck.group in names}
        return {group: path for group, path in found.items() if path is not None}

    def remove_damaged(self, digests: Iterable[str]) -> None:
        """Remove the rows of decks that a failing disk has damaged, so that they are fetched again.

        Raises:
            OSError: some cannot be read, or not be removed.
        """
        for path in filter(None, map(self.path_of, digests)):
            with path.open("rb") as file:
                is_whole = hashlib.file_digest(file, "sha256").hexdigest() == path.name
            if not is_whole:
                path.unlink()

    async def fetch(self, deck: DeckVersion, rows: AsyncIterable[bytes]) -> None:
        """Write the rows of a deck, unless they are there.

        Raises:
            DamagedDeckError: they are not those of the version.
            OSError: they cannot be written.
        """
        if self.path_of(deck.digest) is not None:
            return
        digest = hashlib.sha256()
        with _Writing(self._directory, deck.digest) as writing:
            async for part in rows:
                digest.update(part)
                writing.write(part)
            if digest.hexdigest() != deck.digest:
                message = f"deck {deck.group} (version {deck.number}) in the database has damaged rows: import it again"
                raise DamagedDeckError(message)
            writing.finish()

    def keep(self, stored: Stored, texts: Mapping[str, bytes]) -> None:
        """Remember what a catalogue was made of that is good, and remove what is not needed any more.

        ``texts`` are the files of the configuration by absolute path.

        Raises:
            OSError: they cannot be written; the earlier one stays.
        """
        files = digests_of(texts)
        for name, digest in files.items():
            self._write(digest, texts[name])
        self._keep_objects(stored)
        manifest = KeptManifest(stored.version, stored.decks, files, stored.has_objects)
        if manifest != self.manifest():
            self._write(_MANIFEST, msgspec.json.encode(manifest), is_replaced=True)
        self._sweep({_MANIFEST, _OBJECTS, *files.values(), *(deck.digest for deck in stored.decks)})

    def _keep_objects(self, stored: Stored) -> None:
        if stored.unkept is None or stored.version is None:
            return
        changes = stored.unkept.changes
        if not stored.has_objects:
            self.objects.remove()
        else:
            every = (each for of_kind in stored.objects.values() for each in of_kind.values())
            self.objects.write(
                KeptState(stored.version, stored.at, stored.next_at),
                every if stored.unkept.everything else [*changes.values()],
                everything=stored.unkept.everything,
            )
            stored.unkept.everything = False
        changes.clear()

    def _write(self, name: str, content: bytes, *, is_replaced: bool = False) -> None:
        if is_replaced or self.path_of(name) is None:
            with _Writing(self._directory, name) as writing:
                writing.write(content)
                writing.finish()

    def _sweep(self, in_use: set[str]) -> None:
        oldest = time.time() - UNUSED_S  # noqa: TID251 - compared with times of the file system
        with suppress(OSError):
            for path in self._directory.iterdir():
                if path.name not in in_use and path.stat().st_mtime < oldest:
                    path.unlink(missing_ok=True)


class KeptTexts:
    """The configuration's own files as they were when they were good (implements ``Texts``)."""

    def __init__(self, files: Mapping[str, Path]) -> None:
        self._files = files
        self.contents: dict[str, bytes] = {}
        self.matched: dict[str, list[str]] = {}

    def read(self, path: Path, bytes_max: int, *, only_regular: bool = False) -> bytes:  # noqa: ARG002 - all are
        """Return a file's content; raises OSError where it is not there."""
        name = absolute(path)
        if name not in self._files:
            raise FileNotFoundError(2, "No such file or directory", name)
        content = self._files[name].read_bytes()[: bytes_max + 1]
        self.contents[name] = content
        return content

    def matching(self, pattern: str) -> list[str]:
        """Return the files that fit a pattern."""
        wanted = absolute(Path(pattern))
        return [name for name in self._files if PurePath(name).match(wanted)]


def kept_definitions(state_dir: Path, wanted: Wanted) -> Stored:
    """Return the definitions that the switch of a state directory read last; for commands, which read no database."""
    kept = KeptCatalogue(state_dir)
    return kept.stored(kept.manifest(), wanted.decks)


class _Writing:
    """A file that exists as a whole or not at all, also after a power loss: one that is there is not written again."""

    def __init__(self, directory: Path, name: str) -> None:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor, temporary = tempfile.mkstemp(prefix=_TEMPORARY, dir=directory)
        self._file = os.fdopen(descriptor, "wb")
        self._temporary, self._path = Path(temporary), directory / name
        self.write = self._file.write

    def __enter__(self) -> "_Writing":
        return self

    def finish(self) -> None:
        """Give the file its name."""
        sync_file(self._file)
        self._file.close()
        self._temporary.replace(self._path)

    def __exit__(self, *_: object) -> None:
        self._file.close()
        self._temporary.unlink(missing_ok=True)
