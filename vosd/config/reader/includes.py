"""The main file and all files that it includes, as one document.

Lists are appended, mappings are merged, and the same scalar in two files is an error that names both.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from functools import partial
from glob import has_magic
from pathlib import Path
from typing import Final, NamedTuple

from vosd.catalogue.problems import ConfigError, Place, ProblemList
from vosd.config.reader.document import Entry, Listing, Node, Scalar, Section, parse_document, written_in
from vosd.config.reader.file_edits import EditedFile, read_file
from vosd.config.reader.items import DoubtfulError, Items, KnownItems, Laid, matches, parsed
from vosd.config.reader.long_lists import LongList
from vosd.config.reader.regions import LONG_LISTS, Split, split
from vosd.config.reader.texts import DiskTexts, Texts

FILE_BYTES_MAX: Final = 16 * 1024 * 1024
"""Size of one YAML file; larger rate tables belong in a ``rates_file``."""
FILES_MAX: Final = 10_000
"""Files of one configuration."""

INCLUDE: Final = "include"


def read_files(
    path: Path,
    environ: Mapping[str, str],
    problems: ProblemList,
    without: Set[str] = frozenset(),
    texts: Texts | None = None,
    long_lists: Mapping[str, LongList] | None = None,
    more: Callable[[Section], Mapping[Path, str]] = lambda _document: {},
) -> Section:
    """Read ``path`` and all files it includes, directly or not, into one mapping.

    Keys of the top level that are ``without`` are skipped. ``texts`` is where the files are; None = on the disk.
    ``long_lists`` takes the items of its lists in place of the result, unparsed where a file can be divided into them;
    other long lists are skipped then. None = the result has all lists, parsed. ``more`` is as in ``gather``.
    """
    gathering = _Gathering(environ, problems, without, texts or DiskTexts(), None, long_lists)
    gathering.read(path, Place(str(path), 0), ())
    gathering.add(more(gathering.whole))
    return gathering.whole


class Gathered(NamedTuple):
    """All files of a configuration."""

    document: Section
    """With all items of long lists, or with those that are not known."""
    items: Items


def gather(
    path: Path,
    environ: Mapping[str, str],
    problems: ProblemList,
    texts: Texts,
    known: KnownItems | None = None,
    more: Callable[[Section], Mapping[Path, str]] = lambda _document: {},
) -> Gathered:
    """Read files as ``read_files`` does; of long lists only the items whose text is not ``known``.

    ``more`` takes the document of the files and returns texts that are not on the disk, by the name that messages have
    for them; they are added as if they were included.

    Raises:
        DoubtfulError: where items are known, and it is not certain that the others can be read alone.
    """
    gathering = _Gathering(environ, problems, frozenset(), texts, known)
    gathering.read(path, Place(str(path), 0), ())
    gathering.add(more(gathering.whole))
    return Gathered(gathering.whole, gathering.items)


def read_text(path: Path, named_at: Place, key: str, problems: ProblemList, bytes_max: int) -> str | None:
    """Read a UTF-8 file of bounded size; a failure is reported at the place that names the file."""
    content = read_bytes(path, named_at, key, problems, bytes_max)
    return None if content is None else decoded(content, path, problems)


def read_bytes(path: Path, named_at: Place, key: str, problems: ProblemList, bytes_max: int) -> bytes | None:
    """Read a file of bounded size; a failure is reported at the place that names the file."""
    return _read(DiskTexts(), path, named_at, key, problems, bytes_max)


def _read(texts: Texts, path: Path, named_at: Place, key: str, problems: ProblemList, bytes_max: int) -> bytes | None:
    try:
        content = texts.read(path, bytes_max)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else None
        problems.error(named_at, key, f"a readable file: {(reason or str(error)).lower()}", str(path))
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
        problems.error(Place(str(path), line), "", "UTF-8 text")
        return None


class _Gathering:
    """The document as far as it has been merged."""

    def __init__(
        self,
        environ: Mapping[str, str],
        problems: ProblemList,
        without: Set[str],
        texts: Texts,
        known: KnownItems | None,
        long_lists: Mapping[str, LongList] | None = None,
    ) -> None:
        self._known = known
        self._long_lists = long_lists
        self.items = Items(environ)
        self._without = without
        self._texts = texts
        self.whole = Section(Place("", 0))
        self._environ = environ
        self._problems = problems
        self._named_at: dict[Path, Place] = {}

    def read(self, path: Path, named_at: Place, above: tuple[Path, ...]) -> None:
        """Add ``path``, which is named at ``named_at``, and then the files that it includes itself."""
        try:
            identity = path.resolve()
        except (OSError, RuntimeError, ValueError) as error:
            self._problems.error(named_at, INCLUDE, f"the name of a file: {error}", str(path))
            return
        if not self._is_new(identity, path, named_at, above):
            return
        content = _read(self._texts, path, named_at, INCLUDE if above else "", self._problems, FILE_BYTES_MAX)
        if content is None:
            return
        found_before = len(self._problems)
        edited = None if self._known is None else self._known.edited(str(path), content)
        document = self._read(content, path) if edited is None else self._edited(edited, str(path))
        if document is None:
            return
        if not document.entries and len(self._problems) == found_before:
            self._note_empty(path, content, is_main=not above)
        include = document.entries.pop(INCLUDE, None)
        self._merge(self.whole, document, "")
        for pattern in self._patterns(include):
            for included in self._matches(pattern):
                self.read(included, pattern.place, (*above, identity))

    def add(self, texts: Mapping[Path, str]) -> None:
        """Add texts that are not on the disk."""
        for path, text in texts.items():
            document = self._read(text.encode(), path)
            if document is not None:
                self._merge(self.whole, document, "")

    def _edited(self, edited: EditedFile, file: str) -> Section | None:
        assert self._known is not None
        self.items.files[file] = edited.file
        regions = zip(edited.file.regions, edited.edits, strict=True)
        return self._with_items(edited.rest, file, [self._known.lay_edited(file, *each) for each in regions])

    def _read(self, content: bytes, path: Path) -> Section | None:
        file, text = str(path), decoded(content, path, self._problems)
        if text is None:
            return None
        found = split(text)
        if self._long_lists is not None:
            return self._apart(text, file, found, self._long_lists)
        if self._known is not None and found is not None:
            lists = [self._known.lay(file, region) for region in found.regions]
            found = found._replace(regions=[laid.region for laid in lists])
            self.items.files[file] = read_file(content, text, found)
            return self._with_items(found.rest, file, lists)
        if found is not None:
            self.items.files[file] = read_file(content, text, found)
        document = parse_document(text, file, self._environ, self._problems, self._without)
        if document is not None and not self._without:
            self._note_items(document, file, found)
        return document

    def _apart(self, text: str, file: str, found: Split | None, lists: Mapping[str, LongList]) -> Section | None:
        """Parse a file without its long lists, of which the wanted ones keep their text."""
        if found is not None:
            problems = ProblemList()
            document = parse_document(found.rest, file, self._environ, problems, self._without - set(LONG_LISTS))
            heads = {region.name: region.head_line for region in found.regions}
            if document is not None and not len(problems) and _has_heads(document, heads):
                for region in found.regions:
                    del document.entries[region.name]
                    if region.name in lists:
                        lists[region.name].add(file, region, partial(self._list_of, text, file, region.name))
                return document
        document = parse_document(text, file, self._environ, self._problems, self._without)
        entries = {} if document is None else document.entries
        for name, items in lists.items():
            entry = entries.get(name)
            if entry is not None and isinstance(entry.node, Listing):
                items.add_parsed(entry.node.items)
                del entries[name]
        return document

    def _list_of(self, text: str, file: str, name: str) -> Listing:
        """Return a list of a file that is parsed as a whole.

        Raises:
            ConfigError: it has mistakes.
        """
        problems = ProblemList()
        document = parse_document(text, file, self._environ, problems)
        entry = None if document is None else document.entries.get(name)
        if entry is None or problems.has_errors:
            raise ConfigError(problems.in_order())
        return entry.node if isinstance(entry.node, Listing) else Listing(entry.place, [])

    def _with_items(self, rest: str, file: str, lists: Sequence[Laid]) -> Section | None:
        """Parse the rest of a file, and of its long lists what is not known."""
        document = parse_document(rest, file, self._environ, self._problems)
        self._refuse_unsplit(document, {laid.region.name for laid in lists})
        for laid in lists:
            region = laid.region
            entry = None if document is None else document.entries.get(region.name)
            if document is None or entry is None or not entry.is_empty or entry.place.line != region.head_line:
                raise DoubtfulError
            sections = parsed(laid, self._environ, self._problems)
            document.entries[region.name] = Entry(entry.place, Listing(entry.place, [*sections]))
            self.items.add(laid)
        return document

    def _refuse_unsplit(self, document: Section | None, split_off: Set[str]) -> None:
        """Refuse a long list that is written in another way than the one that can be split."""
        entries = {} if document is None else document.entries
        if any(name in entries and not entries[name].is_empty for name in LONG_LISTS if name not in split_off):
            raise DoubtfulError

    def _note_items(self, document: Section, file: str, found: Split | None) -> None:
        """Note the text of items that were read with their file."""
        regions = {} if found is None else {region.name: region for region in found.regions}
        for name in LONG_LISTS:
            entry = document.entries.get(name)
            if entry is None or not isinstance(entry.node, Listing):
                continue
            if self._known is not None:
                raise DoubtfulError
            region = regions.get(name)
            if region is not None and matches(region, entry.node):
                self.items.add(Laid(file, region, range(len(region.bodies))))
            else:
                self.items.add_unknown(name)

    def _note_empty(self, path: Path, content: bytes, *, is_main: bool) -> None:
        """Report a file without keys: it was probably truncated. An included file may have comments only."""
        text = content.decode("utf-8-sig")
        if is_main or not text.strip():
            what = "not only comments" if text.strip() else "the file is empty"
            self._problems.error(Place(str(path), 0), "", f"keys and values; {what}")

    def _is_new(self, identity: Path, path: Path, named_at: Place, above: tuple[Path, ...]) -> bool:
        if identity in above:
            self._problems.error(named_at, INCLUDE, "no file that includes itself", str(path))
        elif identity in self._named_at:
            earlier = self._named_at[identity]
            self._problems.error(named_at, INCLUDE, f"each file once; {earlier} includes it too", str(path))
        elif len(self._named_at) >= FILES_MAX:
            self._problems.error(named_at, INCLUDE, f"at most {FILES_MAX} files", str(path))
        else:
            self._named_at[identity] = named_at
            return True
        return False

    def _patterns(self, include: Entry | None) -> Iterable[Scalar]:
        if include is None:
            return
        nodes = include.node.items if isinstance(include.node, Listing) else [include.node]
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

    def _merge(self, into: Section, other: Section, above: str) -> None:
        for name, entry in other.entries.items():
            mine = into.entries.get(name)
            if mine is None or mine.is_empty:
                into.entries[name] = _own_copy(entry)
            elif not entry.is_empty:
                self._join(mine, entry, f"{above}.{name}" if above else name)

    def _join(self, mine: Entry, other: Entry, key: str) -> None:
        match mine.node, other.node:
            case Section() as ours, Section() as theirs:
                self._merge(ours, theirs, key)
            case Listing() as ours, Listing() as theirs:
                ours.items.extend(theirs.items)
            case _:  # the value is not shown, as it may be a password
                self._problems.error(other.place, key, f"each value once; {mine.place} sets it too")


def _has_heads(document: Section, heads: Mapping[str, int]) -> bool:
    """Return whether the lists that were split off a file are its only ones, each at the line of its head."""
    entries = {name: entry for name, entry in document.entries.items() if name in LONG_LISTS and not entry.is_empty}
    lines = {name: entry.place.line for name, entry in document.entries.items() if name in heads and entry.is_empty}
    return not entries and lines == heads


def _own_copy(entry: Entry) -> Entry:
    """Copy lists and mappings, so that merging into them does not change other aliases of the same anchor."""
    return Entry(entry.place, _copied(entry.node))


def _copied(node: Node) -> Node:
    match node:
        case Section():
            return Section(node.place, {name: _own_copy(entry) for name, entry in node.entries.items()})
        case Listing():
            return Listing(node.place, list(node.items))
        case Scalar():
            return node
