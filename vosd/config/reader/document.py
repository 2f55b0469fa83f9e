"""One YAML file to nodes that know their file and line, with every scalar left as text.

Built from libyaml's events rather than its objects: that keeps ``0044`` and ``no`` as written, sees duplicate
keys, and lets depth and alias expansion be bounded while reading. Knows nothing of what the keys mean.
"""

import re
from collections.abc import Iterator, Mapping, Set
from typing import Final

import yaml
from msgspec import Struct

from vosd.catalogue.problems import ProblemList, SourceLine

DEPTH_MAX: Final = 24
"""Levels of nesting in one file; the configuration itself needs six."""
ALIASED_NODES_MAX: Final = 100_000
"""Nodes that the aliases of one file may expand to; without a bound a few lines can expand to billions."""

_LARGE: Final = 1 << 18
"""Size of a file whose lists are cut out before the others are read: the parser takes seconds for the largest."""
_VARIABLE: Final = re.compile(r"\$\{([^}]*)\}?")
_VARIABLE_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
_MERGE_KEY: Final = "<<"
_OBJECT_DEPTH: Final = 2
"""Level of the objects in the lists of the top level."""
_NAMES: Final = ("id", "name", "number")
"""Keys of which an object has one that names it."""
_TOP_KEY: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_. -]*:?\Z", re.ASCII)
_TAB: Final = re.compile(r"\s*\t")
_UNPARTED: Final = re.compile(r"\s*(?:- )?[a-z_]+:[^\s/][^#]*$")
"""A key and its value without a blank between; not a URL."""
_TEXT_TAGS: Final = (None, "!", "tag:yaml.org,2002:str")


class Scalar(Struct, frozen=True):
    """Text: as written in the file, and with environment variables substituted."""

    place: SourceLine
    written: str
    text: str
    is_bare: bool
    """Written without quotes: only then an empty text means "no value", and ``<<`` a merge."""


class YamlList(Struct, frozen=True):
    """A YAML sequence."""

    place: SourceLine
    items: list["Node"]


class Entry(Struct, frozen=True):
    """The place of a key in its mapping, and its value."""

    place: SourceLine
    node: "Node"

    @property
    def is_empty(self) -> bool:
        """Whether the key has no value, as when every line below it is commented out."""
        return isinstance(self.node, Scalar) and self.node.is_bare and not self.node.text


class Section(Struct, frozen=True):
    """A YAML mapping, in the order of the file."""

    place: SourceLine
    entries: dict[str, Entry] = {}

    def place_of(self, key: str) -> SourceLine:
        """Return the place of a key, or of the section itself where the key is left out."""
        entry = self.entries.get(key)
        return self.place if entry is None else entry.place

    def text_of(self, key: str) -> str:
        """Return the text of a key; empty where it has none."""
        entry = self.entries.get(key)
        return entry.node.text if entry is not None and isinstance(entry.node, Scalar) else ""


Node = Scalar | YamlList | Section


def written_in(node: Node) -> str | None:
    """Return the text of a scalar as written in the file; None for other nodes."""
    return node.written if isinstance(node, Scalar) else None


def written_in_list(listing: YamlList) -> str | None:
    """Return a list of scalars as it would stand in brackets; None for one with other items."""
    items = [each for each in listing.items if isinstance(each, Scalar)]
    shown = (each.written if each.is_bare else f'"{each.written}"' for each in items)
    return f"[{', '.join(shown)}]" if len(items) == len(listing.items) else None


_AT_BEGIN: Final = frozenset(f"did not find expected {token}" for token in ("'-' indicator", "key", "<document start>"))
"""Words of the parser for a line that begins in another column than those that it belongs to."""
_SECOND_COLON: Final = "mapping values are not allowed in this context"
_ALIGNED: Final = (
    "other blanks at the beginning of the line: the keys of one object, and the `-` of one list, stand one below the"
    " other"
)


class _Unreadable(Exception):  # noqa: N818 - never leaves this module
    """The rest of the file cannot be parsed."""

    def __init__(self, line: int, expected: str) -> None:
        super().__init__(expected)
        self.line = line
        self.expected = expected


def parse_document(
    text: str, file: str, environ: Mapping[str, str] | None, problems: ProblemList, without: Set[str] = frozenset()
) -> Section | None:
    """Read one YAML document whose top level is a mapping; an empty file gives an empty one.

    ``${NAME}`` in a value is replaced from ``environ``; without one it stays as it is. Mistakes are added to
    ``problems``; None means that no part of the file can be used. Keys of the top level that are ``without`` are read
    as empty lists, several times as fast: only their syntax has to hold, and in a large file not even that.
    """
    if "&" in text:
        without = frozenset()  # what is left out may contain an anchor that other parts need
    if without and len(text) > _LARGE:
        found = ProblemList()
        document = _parsed(_cut(text, without), file, environ, found, without)
        if document is not None and not found.has_errors:
            problems.extend(found.in_order())
            return document
    return _parsed(text, file, environ, problems, without)


def _unparted(text: str, line: int) -> int | None:
    """Return the line before ``line`` that has a key and no blank behind its colon; None = there is none.

    The parser takes it for a text, and finds the mistake at the next key.
    """
    for number, written in reversed([*enumerate(text.split("\n")[: max(line - 1, 0)], 1)]):
        if written.strip() and not written.lstrip().startswith("#"):
            return number if _UNPARTED.match(written) and ": " not in written else None
    return None


def _parsed(
    text: str, file: str, environ: Mapping[str, str] | None, problems: ProblemList, without: Set[str]
) -> Section | None:
    try:
        return _Reader(text, file, environ, problems, without).read()
    except _Unreadable as unreadable:
        problems.error(SourceLine(file, unreadable.line), "", unreadable.expected)
    except yaml.MarkedYAMLError as error:
        line, column = (mark.line + 1, mark.column) if (mark := error.problem_mark) else (0, 0)
        written = "".join(text.split("\n")[line - 1 : line]) if line else ""
        before, is_second_colon = written[:column].strip(), error.problem == _SECOND_COLON
        begins = f" ({error.context} of line {error.context_mark.line + 1})" if error.context_mark else ""
        if _TAB.match(written):
            expected = "blanks instead of the tab at the beginning of the line: YAML allows no tab there"
        elif (unparted := _unparted(text, line)) is not None:
            line, expected = unparted, "a blank behind the colon of `key: value`"
        elif (error.problem in _AT_BEGIN and not before) or (is_second_colon and ": " not in before):
            expected = _ALIGNED
        elif is_second_colon:
            expected = "quotes around a value that has a colon and a blank in it"
        else:
            expected = f"valid YAML: {error.problem}{begins}"
        problems.error(SourceLine(file, line), "", expected)
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        problems.error(SourceLine(file, line), "", f"valid YAML: {error.reason}")
    return None


def _cut(text: str, without: Set[str]) -> str:
    """Return a document without the items of block lists; each line keeps its number."""
    keys = "|".join(map(re.escape, sorted(without)))
    items = re.compile(rf"^((?:{keys}):[ \t]*(?:#.*)?\r?\n)((?:(?:[ #].*|-[ \t].*|-?)\r?\n)+)", re.MULTILINE)
    return items.sub(lambda found: found[1] + "\n" * found[2].count("\n"), text)


def with_variables(written: str, key: str, place: SourceLine, environ: Mapping[str, str], problems: ProblemList) -> str:
    """Return a text with the values of the environment variables that it names as ``${NAME}``."""

    def value(match: re.Match[str]) -> str:
        name = match[1]
        if not _VARIABLE_NAME.match(name) or not match[0].endswith("}"):
            problems.error(place, key, "${NAME} with the name of an environment variable")
        elif name not in environ:
            problems.error(place, key, f"the environment variable {name} to be set", match[0])
        return environ.get(name, "")

    return _VARIABLE.sub(value, written) if "${" in written else written


class _Reader:
    """Turns the events of one file into nodes; recursion is bounded by ``DEPTH_MAX``."""

    def __init__(
        self, text: str, file: str, environ: Mapping[str, str] | None, problems: ProblemList, without: Set[str]
    ) -> None:
        self._without = without
        # The same as ``yaml.parse``, which asks before each event whether there is one.
        self._events: Iterator[yaml.Event] = iter(yaml.CSafeLoader(text).get_event, None)
        self._file = file
        self._environ = environ
        self._problems = problems
        self._list = ""
        self._repeated: list[tuple[Scalar, SourceLine]] = []
        """Keys that stand twice, and where they stand first, until it is known which object they are of."""
        self._anchors: dict[str, tuple[Node, int]] = {}
        self._key = ""
        self._place = SourceLine(file, 0)
        self._nodes = 0
        self._aliased_nodes = 0

    def read(self) -> Section | None:
        next(self._events)  # the stream's own start
        if isinstance(next(self._events), yaml.StreamEndEvent):
            return Section(SourceLine(self._file, 0))
        top = self._node(next(self._events), 0)
        next(self._events)  # the document's end
        after = next(self._events)
        if not isinstance(after, yaml.StreamEndEvent):
            raise _Unreadable(_line(after), "one YAML document in a file")
        if isinstance(top, Section):
            return top
        if isinstance(top, Scalar) and top.is_bare and not top.text:
            return Section(top.place)
        raise _Unreadable(top.place.line, "keys and values at the top level, such as 'node: sw1'")

    def _node(self, event: yaml.Event, depth: int) -> Node:
        if isinstance(event, yaml.AliasEvent):
            return self._aliased(event)
        if depth > DEPTH_MAX:
            raise _Unreadable(_line(event), f"at most {DEPTH_MAX} levels of nesting")
        before = self._nodes
        self._nodes += 1
        if isinstance(event, yaml.ScalarEvent):
            node: Node = self._scalar(event)
        elif isinstance(event, yaml.SequenceStartEvent):
            node = self._listing(event, depth)
        elif isinstance(event, yaml.MappingStartEvent):
            node = self._section(event, depth)
        else:  # libyaml raises before it gives any other event here
            raise _Unreadable(_line(event), "a value")
        if event.anchor is not None:
            self._anchors[event.anchor] = (node, self._nodes - before)
        return node

    def _aliased(self, event: yaml.AliasEvent) -> Node:
        known = self._anchors.get(event.anchor or "")
        if known is None:
            raise _Unreadable(_line(event), "an anchor before its alias; text that begins with * needs quotes")
        node, size = known
        self._nodes += size
        self._aliased_nodes += size
        if self._aliased_nodes > ALIASED_NODES_MAX:
            raise _Unreadable(_line(event), f"aliases that stand for at most {ALIASED_NODES_MAX} values")
        return node

    def _scalar(self, event: yaml.ScalarEvent) -> Scalar:
        place = self._place_of(event)
        self._refuse_tag(event, place)
        text = written = event.value
        if self._environ is not None:
            text = with_variables(written, self._key, place, self._environ, self._problems)
        return Scalar(place, written, text, is_bare=event.implicit[0])

    def _listing(self, event: yaml.SequenceStartEvent, depth: int) -> YamlList:
        listing = YamlList(self._place_of(event), [])
        self._refuse_tag(event, listing.place)
        while not isinstance(inner := next(self._events), yaml.SequenceEndEvent):
            listing.items.append(self._node(inner, depth + 1))
        return listing

    def _section(self, event: yaml.MappingStartEvent, depth: int) -> Section:
        section = Section(self._place_of(event))
        self._refuse_tag(event, section.place)
        merged: list[Section] = []
        if depth == _OBJECT_DEPTH:
            self._report_repeated()
        while not isinstance(inner := next(self._events), yaml.MappingEndEvent):
            key = self._node(inner, depth + 1)
            self._key = key.written if isinstance(key, Scalar) else ""
            if depth == 0:
                self._list = self._key
            is_left_out = depth == 0 and self._key in self._without
            value = self._left_out(key.place) if is_left_out else self._node(next(self._events), depth + 1)
            if not isinstance(key, Scalar):
                self._problems.error(key.place, "", "a key that is one word")
            elif key.is_bare and key.written == _MERGE_KEY:
                merged += self._merged(key.place, value)
            elif depth == 0 and not _TOP_KEY.match(key.written):
                # Another kind of file, such as one with passwords: no line of it is repeated in a message.
                raise _Unreadable(key.place.line, "a file of this configuration, with keys such as 'accounts:'")
            else:
                self._add(section, key, value)
        for other in merged:
            for name, entry in other.entries.items():
                section.entries.setdefault(name, entry)
        if depth in {0, _OBJECT_DEPTH}:
            self._report_repeated(section if depth else None)
        return section

    def _place_of(self, event: yaml.Event) -> SourceLine:
        """Return where a node begins; the nodes of a line share it, and what is sent of them is smaller."""
        line = _line(event)
        if line != self._place.line:
            self._place = SourceLine(self._file, line)
        return self._place

    def _left_out(self, place: SourceLine) -> YamlList:
        """Skip one value of any kind."""
        open_nodes = 0
        while True:
            event = next(self._events)
            if isinstance(event, yaml.CollectionStartEvent):
                open_nodes += 1
            elif isinstance(event, yaml.CollectionEndEvent):
                open_nodes -= 1
            if not open_nodes:
                return YamlList(place, [])

    def _add(self, section: Section, key: Scalar, value: Node) -> None:
        earlier = section.entries.get(key.written)
        if earlier is None:
            section.entries[key.written] = Entry(key.place, value)
        else:
            self._repeated.append((key, earlier.place))

    def _report_repeated(self, of: Section | None = None) -> None:
        """Report the keys that stand twice in an object of a list, or outside of all objects."""
        name = "" if of is None else next(filter(None, map(of.text_of, _NAMES)), "")
        within = f"{self._list}[{name}]." if name else ""
        for key, earlier in self._repeated:
            self._problems.error(key.place, within + key.written, f"each key once; it also stands at {earlier}")
        self._repeated.clear()

    def _merged(self, place: SourceLine, value: Node) -> list[Section]:
        sources = value.items if isinstance(value, YamlList) else [value]
        found = [source for source in sources if isinstance(source, Section)]
        if len(found) < len(sources):
            self._problems.error(place, _MERGE_KEY, "an alias of a mapping, or a list of them")
        return found

    def _refuse_tag(
        self, event: yaml.ScalarEvent | yaml.SequenceStartEvent | yaml.MappingStartEvent, place: SourceLine
    ) -> None:
        if event.tag not in _TEXT_TAGS:
            # Neither tag nor alias is shown in the message: it may be a password that was written without quotes.
            self._problems.error(place, self._key, "no YAML tag; text that begins with ! needs quotes")


def _line(event: yaml.Event) -> int:
    return event.start_mark.line + 1 if event.start_mark else 0
