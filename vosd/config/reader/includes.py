"""The main file and all files that it includes, as one document.

Lists are appended, mappings are merged, and the same scalar in two files is an error that names both.
"""

import os
from collections.abc import Iterable, Mapping, Set
from glob import has_magic
from pathlib import Path
from typing import Final

from vosd.catalogue.problems import ProblemList, SourceLine
from vosd.config.reader.document import Entry, Node, Scalar, Section, YamlList, parse_document, written_in
from vosd.config.reader.texts import DiskTexts, Texts, absolute

FILE_BYTES_MAX: Final = 16 * 1024 * 1024
"""Size of one YAML file; larger rate tables belong in a ``rates_file``."""
FILES_MAX: Final = 10_000
"""Files of one configuration."""
DEEPEST: Final = 100
"""Files of which each includes the next one."""

INCLUDE: Final = "include"


def read_files(
    path: Path,
    environ: Mapping[str, str],
    problems: ProblemList,
    without: Set[str] = frozenset(),
    texts: Texts | None = None,
) -> Section:
    """Read ``path`` and all files it includes, directly or not, into one mapping.

    Keys of the top level that are ``without`` are skipped. ``texts`` is where the files are; None = on the disk.
    """
    gathering = _Gathering(environ, problems, without, texts or DiskTexts())
    gathering.read(path, SourceLine(str(path), 0), ())
    return gathering.whole


def read_alone(path: Path, problems: ProblemList) -> Section | None:
    """Read a file that may come from a client: it includes no others, and has no variables of the environment."""
    text = read_text(path, SourceLine(str(path), 0), "", problems, FILE_BYTES_MAX)
    return None if text is None else parse_document(text, str(path), None, problems)


def read_text(path: Path, named_at: SourceLine, key: str, problems: ProblemList, bytes_max: int) -> str | None:
    """Read a UTF-8 file of bounded size; a failure is reported at the place that names the file."""
    content = read_bytes(path, named_at, key, problems, bytes_max)
    return None if content is None else decoded(content, path, problems)


def read_bytes(path: Path, named_at: SourceLine, key: str, problems: ProblemList, bytes_max: int) -> bytes | None:
    """Read a file of bounded size; a failure is reported at the place that names the file."""
    return _read(DiskTexts(), path, named_at, key, problems, bytes_max)


def _read(
    texts: Texts, path: Path, named_at: SourceLine, key: str, problems: ProblemList, bytes_max: int
) -> bytes | None:
    try:
        content = texts.read(path, bytes_max, only_regular=bool(key))  # without a key it is one that a command names
    except (OSError, ValueError) as error:
        reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
        if isinstance(error, PermissionError):
            reason += "; let the group of the switch read it (chgrp vosd, chmod 640)"
        problems.error(named_at, key, f"a readable file: {reason.lower()}", str(path))
        return None
    if len(content) > bytes_max:
        problems.error(named_at, key, f"a file of at most {bytes_max} bytes", str(path))
        return None
    return content


def decoded(content: bytes, path: Path, problems: ProblemList) -> str | None:
    """Return the text of a file's bytes; what is not UTF-8 is reported."""
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        problems.error(SourceLine(str(path), line), "", "UTF-8 text")
        return None


class _Gathering:
    """The document as far as it has been merged."""

    def __init__(self, environ: Mapping[str, str], problems: ProblemList, without: Set[str], texts: Texts) -> None:
        self._without = without
        self._texts = texts
        self.whole = Section(SourceLine("", 0))
        self._environ = environ
        self._problems = problems
        self._named_at: dict[Path, SourceLine] = {}

    def read(self, path: Path, named_at: SourceLine, above: tuple[Path, ...]) -> None:
        """Add ``path``, which is named at ``named_at``, and then the files that it includes itself."""
        try:
            identity = path.resolve()
        except (OSError, RuntimeError, ValueError) as error:
            self._problems.error(named_at, INCLUDE, f"the name of a file: {error}", str(path))
            return
        is_utf_8 = self._is_utf_8(path, named_at, is_main=not above)
        if not is_utf_8 or not self._is_new(identity, path, named_at, above):
            return
        content = _read(self._texts, path, named_at, INCLUDE if above else "", self._problems, FILE_BYTES_MAX)
        if content is None:
            return
        found_before = len(self._problems)
        document = self._read(content, path)
        if document is None:
            return
        if not document.entries and len(self._problems) == found_before:
            self._note_empty(path, content, is_main=not above)
        include = document.entries.pop(INCLUDE, None)
        merge(self.whole, document, self._problems)
        for pattern in self._patterns(include):
            for included in self._matches(pattern):
                self.read(included, pattern.place, (*above, identity))

    def _read(self, content: bytes, path: Path) -> Section | None:
        file, text = str(path), decoded(content, path, self._problems)
        if text is None:
            return None
        return parse_document(text, file, self._environ, self._problems, self._without)

    def _note_empty(self, path: Path, content: bytes, *, is_main: bool) -> None:
        """Report a file without keys: it was probably truncated. An included file may have comments only."""
        text = content.decode("utf-8-sig")
        if is_main or not text.strip():
            what = "not only comments" if text.strip() else "the file is empty"
            self._problems.error(SourceLine(str(path), 0), "", f"keys and values; {what}")

    def _is_utf_8(self, path: Path, named_at: SourceLine, *, is_main: bool) -> bool:
        """Report a path that is not UTF-8: it could neither be shown nor stand in the manifest of the last good one."""
        name = os.fsencode(absolute(path))
        shown = name.decode(errors="replace")
        if shown.encode() == name:
            return True
        expected = "a path in UTF-8: rename what has another encoding, file or directory"
        if is_main:
            self._problems.error(SourceLine(shown, 0), "", expected)
        else:
            self._problems.error(named_at, INCLUDE, expected, shown)
        return False

    def _is_new(self, identity: Path, path: Path, named_at: SourceLine, above: tuple[Path, ...]) -> bool:
        if identity in above:
            self._problems.error(named_at, INCLUDE, "no file that includes itself", str(path))
        elif identity in self._named_at:
            earlier = self._named_at[identity]
            self._problems.error(named_at, INCLUDE, f"each file once; {earlier} includes it too", str(path))
        elif len(above) >= DEEPEST:
            expected = f"at most {DEEPEST} files of which each includes the next"
            self._problems.error(named_at, INCLUDE, expected, str(path))
        elif len(self._named_at) >= FILES_MAX:
            self._problems.error(named_at, INCLUDE, f"at most {FILES_MAX} files", str(path))
        else:
            self._named_at[identity] = named_at
            return True
        return False

    def _patterns(self, include: Entry | None) -> Iterable[Scalar]:
        if include is None:
            return
        nodes = include.node.items if isinstance(include.node, YamlList) else [include.node]
        for node in nodes:
            if isinstance(node, Scalar) and node.text:
                yield node
            else:
                self._problems.error(
                    node.place, INCLUDE, "a file, or a pattern such as partners/*.yaml", written_in(node)
                )

    def _matches(self, pattern: Scalar) -> Iterable[Path]:
        wanted = Path(pattern.place.file).parent / pattern.text
        if not has_magic(pattern.text):
            return [wanted]
        try:
            found = self._texts.matching(str(wanted))
        except ValueError as error:
            self._problems.error(pattern.place, INCLUDE, f"a pattern of files: {error}", pattern.written)
            return []
        if not found:
            expected = "a pattern that fits at least one file; nothing is included by it"
            self._problems.warning(pattern.place, INCLUDE, expected, pattern.written)
        return [Path(name) for name in sorted(found)]


def merge(into: Section, other: Section, problems: ProblemList, above: str = "") -> None:
    """Add the keys of another document: lists are appended, mappings merged, and a value that stands twice reported."""
    for name, entry in other.entries.items():
        mine = into.entries.get(name)
        if mine is None or mine.is_empty:
            into.entries[name] = _own_copy(entry)
        elif not entry.is_empty:
            _join(mine, entry, f"{above}.{name}" if above else name, problems)


def _join(mine: Entry, other: Entry, key: str, problems: ProblemList) -> None:
    match mine.node, other.node:
        case Section() as ours, Section() as theirs:
            merge(ours, theirs, problems, key)
        case YamlList() as ours, YamlList() as theirs:
            ours.items.extend(theirs.items)
        case _:  # the value is not shown, as it may be a password
            problems.error(other.place, key, f"each value once; {mine.place} sets it too")


def _own_copy(entry: Entry) -> Entry:
    """Copy lists and mappings, so that merging into them does not change other aliases of the same anchor."""
    return Entry(entry.place, _copied(entry.node))


def _copied(node: Node) -> Node:
    match node:
        case Section():
            return Section(node.place, {name: _own_copy(entry) for name, entry in node.entries.items()})
        case YamlList():
            return YamlList(node.place, list(node.items))
        case Scalar():
            return node
