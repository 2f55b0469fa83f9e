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
from typing import Final, NamedTuple

import msgspec

from vosd.base.errors import VosError
from vosd.catalogue.decks import DATABASE, DeckVersion, source_of_decks
from vosd.catalogue.source import CatalogueSource
from vosd.config.reader.texts import absolute, digest_of

DIRECTORY: Final = "last-good"
"""Name of the directory within ``state_dir``."""
UNUSED_S: Final = 3_600.0
"""A file that is not in use stays so long after it was written: a reload may be about to use it."""
_MANIFEST: Final = "catalogue.json"
_TEMPORARY: Final = ".writing-"


class DamagedDeckError(VosError):
    """The rows of a deck have another digest than its version says."""


class MissingObjectsError(VosError):
    """The objects that the database defined when it was read last are not on the disk any more."""


class Manifest(msgspec.Struct, frozen=True):
    """Sources of the last good catalogue."""

    version: int | None = None
    """Version of the definitions in the database; None = they were never read."""
    decks: tuple[DeckVersion, ...] = ()
    files: Mapping[str, str] = {}
    """Digest of each file of the configuration, by absolute path."""
    objects: Mapping[str, str] = {}
    """Digest of the text with the objects of each kind that the database defines (``stored_text``)."""
    at: int = 0
    """The moment at which these objects were in force, UTC milliseconds."""
    next_at: int | None = None
    """Beginning of the next planned version of an object."""


class Wanted(NamedTuple):
    """Decks and definitions that a load needs of the database."""

    state_dir: Path
    database_url: str
    decks: frozenset[str]
    """Names of the rate groups that take their rates from a deck."""


class Stored(NamedTuple):
    """Definitions in the database."""

    source: CatalogueSource
    version: int | None = None
    """None = it was not read."""
    decks: tuple[DeckVersion, ...] = ()
    files: Mapping[str, Path] = {}
    """The file with the rows of each deck that is wanted, by rate group."""
    unread: str | None = None
    """Why the database could not be read, and this is what was known last; None = it was read."""
    objects: Mapping[str, str] = {}
    """Text with the objects of each kind."""
    digests: Mapping[str, str] = {}
    """Digest of each of these texts."""
    at: int = 0
    next_at: int | None = None
    """Beginning of the next planned version of an object, UTC milliseconds."""


def digests_of(texts: Mapping[str, bytes]) -> dict[str, str]:
    """Return the digest of each file."""
    return {name: digest_of(content) for name, content in texts.items()}


def nothing_stored(_wanted: Wanted) -> Stored:
    """Return that the database defines nothing."""
    return Stored(CatalogueSource(DATABASE))


class KeptCatalogue:
    """The directory of the last good catalogue."""

    def __init__(self, state_dir: Path) -> None:
        self._directory = state_dir / DIRECTORY

    def manifest(self) -> Manifest:
        """Return what the last good catalogue was made of; nothing where there is none, or it cannot be read."""
        try:
            return msgspec.json.decode((self._directory / _MANIFEST).read_bytes(), type=Manifest)
        except (OSError, msgspec.DecodeError):
            return Manifest()

    def path_of(self, digest: str) -> Path | None:
        """Return the file of some content; None where it is missing."""
        path = self._directory / digest
        return path if path.is_file() else None

    def texts(self, manifest: Manifest) -> "KeptTexts":
        """Return the files of the configuration as they were."""
        return KeptTexts({name: self._directory / digest for name, digest in manifest.files.items()})

    def stored(self, manifest: Manifest, wanted: Iterable[str], unread: str | None = None) -> Stored:
        """Return the definitions of a manifest, with the files of the decks that are wanted."""
        names = frozenset(wanted)
        found = {deck.group: self.path_of(deck.digest) for deck in manifest.decks if deck.group in names}
        files = {group: path for group, path in found.items() if path is not None}
        return Stored(
            source_of_decks(manifest.decks),
            manifest.version,
            manifest.decks,
            files,
            unread,
            {kind: self.text_of(digest) for kind, digest in manifest.objects.items()},
            manifest.objects,
            manifest.at,
            manifest.next_at,
        )

    def text_of(self, digest: str) -> str:
        """Return the text with the objects of one kind.

        Raises:
            MissingObjectsError: it is not there.
        """
        try:
            return (self._directory / digest).read_text(encoding="utf-8")
        except OSError as error:
            message = f"{self._directory / digest}: objects that the database defines are not there any more: {error}"
            raise MissingObjectsError(message) from error

    def write_text(self, text: str) -> str:
        """Write the text with the objects of one kind, and return its digest.

        Raises:
            OSError: it cannot be written.
        """
        content = text.encode()
        digest = digest_of(content)
        self._write(digest, content)
        return digest

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
        manifest = Manifest(stored.version, stored.decks, files, stored.digests, stored.at, stored.next_at)
        if manifest != self.manifest():
            self._write(_MANIFEST, msgspec.json.encode(manifest), is_replaced=True)
        self._sweep({_MANIFEST, *files.values(), *stored.digests.values(), *(deck.digest for deck in stored.decks)})

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

    def read(self, path: Path, bytes_max: int) -> bytes:
        """Return a file's content.

        Raises:
            OSError: it is not there.
        """
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
    """A file that exists as a whole or not at all."""

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
        self._file.close()
        self._temporary.replace(self._path)

    def __exit__(self, *_: object) -> None:
        self._file.close()
        self._temporary.unlink(missing_ok=True)
