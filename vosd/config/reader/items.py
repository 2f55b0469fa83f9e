"""Items of long lists as text: a reload finds by comparing text which items it need not parse again (ADR 60).

A file is split into its long lists (``accounts`` and those like it, as block sequences at the top level) and the rest.
Where any doubt is left whether parts mean the same alone as in their file, it is not split, but parsed as a whole.
"""

import re
from collections.abc import Mapping, Sequence
from itertools import accumulate, repeat
from operator import add
from typing import Final, NamedTuple

from vosd.base.parts import AT_ONCE, equal_at_begin, equal_at_end, freed
from vosd.catalogue.problems import Place, ProblemList
from vosd.config.reader.document import Listing, Node, Section, parse_item

LONG_LISTS: Final = ("accounts", "mapping_gateways", "routing_gateways", "phones")
_HEAD: Final = re.compile(rf"(?:\A|\n)({'|'.join(LONG_LISTS)}):[ \t]*(?:#[^\n]*)?\n")
_FIRST_ITEM: Final = re.compile(r"(?:[ ]*(?:#[^\n]*)?\n)*( *)- ")
_AFTER_LIST: Final = re.compile(r"\n(?:[^ \n#-]|-(?! ))")
_AFTER_INDENTED_LIST: Final = re.compile(r"\n[^ \n#]")
_WHOLE_ONLY: Final = ("&", "\r", "\x85", "\u2028", "\u2029", "\t", "\n---", "\n...", "\n%")
"""Anchors may be needed elsewhere; several documents, tabs and other ends of lines are for the parser."""
_WHOLE_ONLY_AT_BEGIN: Final = ("---", "...", "%")
_AT_ONCE: Final = 200_000
"""Characters that are searched or split by one call: meanwhile no other thread runs."""
_SOUGHT: Final = 8
"""Items whose places are searched for; for more an index of all is made."""
_VARIABLE: Final = "${"
"""In the text of an item that depends on an environment variable."""
_FILE: Final = "_file"
"""In the text of an item that depends on another file."""


class Region(NamedTuple):
    """The items of one long list in one file."""

    name: str
    head_line: int
    """Line of the key."""
    first_line: int
    """Line of the first item."""
    indent: int
    """Columns before the hyphen of each item."""
    bodies: list[str]
    """What follows hyphen and blank of each item, up to the next item, without the last end of line."""

    def line_of(self, index: int) -> int:
        """Return the line of one item."""
        within = sum(
            sum(map(str.count, self.bodies[begin : min(begin + AT_ONCE, index)], repeat("\n")))
            for begin in range(0, index, AT_ONCE)
        )
        return self.first_line + index + within

    def lines(self) -> list[int]:
        """Return the line of each item."""
        lengths = map(add, map(str.count, self.bodies[:-1], repeat("\n")), repeat(1))
        return [*accumulate(lengths, initial=self.first_line)]


class Split(NamedTuple):
    """A file in parts."""

    rest: str
    """The file with empty lines in place of items, so that each line keeps its number."""
    regions: Sequence[Region]


class Edit(NamedTuple):
    """Where a list of items differs from an earlier one: the others before and behind are the same."""

    begin: int
    """Items before, which are the same."""
    removed: list[str]
    inserted: list[str]


class DoubtfulError(Exception):
    """Something is not as it was and cannot be read by itself: all must be read."""


def is_alone(body: str) -> bool:
    """Return whether an item means the same as long as its text is the same."""
    return _VARIABLE not in body and _FILE not in body


def split(text: str) -> Split | None:
    """Return the long lists of a file and the rest; None where its text leaves that open."""
    if text.startswith(_WHOLE_ONLY_AT_BEGIN) or any(_contains(text, part) for part in _WHOLE_ONLY):
        return None
    regions: list[Region] = []
    parts: list[str] = []
    done = line = 0
    while (head := _search(_HEAD, text, max(done - 1, 0))) is not None:
        begin = head.end()
        line += text.count("\n", done, begin)
        head_line = line
        first = _FIRST_ITEM.match(text, begin)
        if first is None:
            parts.append(text[done:begin])
            done = begin
            continue
        after = _search(_AFTER_INDENTED_LIST if first[1] else _AFTER_LIST, text, begin - 1)
        end = len(text) if after is None else after.start() + 1
        bodies = _bodies(text, first.end(), end, f"\n{first[1]}- ")
        first_line = head_line + 1 + text.count("\n", begin, first.end())
        regions.append(Region(head[1], head_line, first_line, len(first[1]), bodies))
        lines = text.count("\n", begin, end)
        parts += (text[done:begin], "\n" * lines)
        done, line = end, line + lines
    if len({region.name for region in regions}) < len(regions):
        return None
    parts.append(text[done:])
    return Split("".join(parts), regions)


def matches(region: Region, node: Node) -> bool:
    """Return whether the items of a list that was parsed with its file are those of a region, each in its place."""
    if not isinstance(node, Listing) or len(node.items) != len(region.bodies):
        return False
    pairs = zip(node.items, region.lines(), strict=True)
    return all(isinstance(item, Section) and item.place.line == line for item, line in pairs)


def edit_of(before: list[str], after: list[str]) -> Edit:
    """Return how a list of items differs from an earlier one."""
    most = min(len(before), len(after))
    begin = equal_at_begin(before, after, most)
    behind = equal_at_end(before, after, most - begin)
    return Edit(begin, before[begin : len(before) - behind], after[begin : len(after) - behind])


class Laid(NamedTuple):
    """A region in its file, and which of its items were read."""

    file: str
    region: Region
    unread: Sequence[int]
    """Places of those that were not known, in their order."""


class KnownItems:
    """What is known of the items of an earlier load, for finding those that have to be read."""

    def __init__(self) -> None:
        self.known: Mapping[str, Mapping[str, object]] = {}
        """By list and text."""
        self._before: dict[tuple[str, str], Laid] = {}
        """By file and list, with the items that are not known."""

    def lay(self, file: str, region: Region) -> Laid:
        """Return the items of a region that have to be read; texts that are the same are those of the earlier load.

        Those of ``region`` are freed then.
        """
        known, before = self.known[region.name], self._before.get((file, region.name))
        if before is None:
            return Laid(file, region, [index for index, body in enumerate(region.bodies) if body not in known])
        old, unknown = before.region.bodies, before.unread
        edit = edit_of(old, region.bodies)
        behind = edit.begin + len(edit.removed)
        moved = len(edit.inserted) - len(edit.removed)
        unread = [
            *(index for index in unknown if index < edit.begin),
            *(index for index, body in enumerate(edit.inserted, edit.begin) if body not in known),
            *(index + moved for index in unknown if index >= behind),
        ]
        freed(region.bodies)
        bodies = old
        if edit.removed or edit.inserted:
            bodies = [*old[: edit.begin], *edit.inserted, *old[behind:]]
        return Laid(file, region._replace(bodies=bodies), unread)

    def note(self, items: "Items", known: Mapping[str, Mapping[str, object]]) -> None:
        """Note what is known now."""
        self.known = known
        self._before = {
            (each.file, each.region.name): each._replace(
                unread=[index for index in each.unread if each.region.bodies[index] not in known[each.region.name]]
            )
            for each in items.laid
        }


class Items:
    """The items of long lists in all files, in the order of reading."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self.bodies: dict[str, list[str]] = {name: [] for name in LONG_LISTS}
        """Text of each item by list."""
        self.unread: dict[str, list[str]] = {name: [] for name in LONG_LISTS}
        """Text of those that were read."""
        self.open: set[str] = set()
        """Lists with items that were read with their file and are not known alone."""
        self.laid: list[Laid] = []
        self._asked = 0
        self._lines: dict[str, dict[str, tuple[str, int, int]]] = {}

    def add(self, laid: Laid) -> None:
        """Add the items of a region."""
        region = laid.region
        self.laid.append(laid)
        before = self.bodies[region.name]
        self.bodies[region.name] = [*before, *region.bodies] if before else region.bodies
        self.unread[region.name] += (
            region.bodies if len(laid.unread) == len(region.bodies) else [region.bodies[index] for index in laid.unread]
        )

    def add_unknown(self, name: str) -> None:
        """Note that the texts of the items of a list are not known."""
        self.open.add(name)

    def section(self, name: str, body: str) -> Section:
        """Parse an item; its mistakes are reported elsewhere."""
        file, line, indent = self._where(name, body)
        section = parse_item(_alone(body, indent), file, line, self._environ, ProblemList())
        return section or Section(Place(file, line))

    def _where(self, name: str, body: str) -> tuple[str, int, int]:
        """Return the file of an item, its line, and the columns before it."""
        regions = [(each.file, each.region) for each in self.laid if each.region.name == name]
        self._asked += 1
        if self._asked <= _SOUGHT:  # each search goes through all items, and an index of them takes longer than some
            for file, region in regions:
                if body in region.bodies:
                    return file, region.line_of(region.bodies.index(body)), region.indent
            return "", 0, 0
        if name not in self._lines:
            self._lines[name] = {
                each: (file, line, region.indent)
                for file, region in regions
                for each, line in zip(region.bodies, region.lines(), strict=True)
            }
        return self._lines[name].get(body, ("", 0, 0))


class Whereabouts:
    """Finds the places of items in the files as they were read last."""

    def __init__(self) -> None:
        self.items: Items | None = None

    def section(self, name: str, body: str) -> Section:
        """Return an item with the places of its keys."""
        return Section(Place("", 0)) if self.items is None else self.items.section(name, body)


class ItemOrigin:
    """Where an item is written (implements ``catalogue.source.Origin``); its text is parsed when that is asked."""

    __slots__ = ("_body", "_list_name", "_where")

    def __init__(self, where: Whereabouts, list_name: str, body: str) -> None:
        self._where = where
        self._list_name = list_name
        self._body = body

    @property
    def place(self) -> Place:
        """The place of the item."""
        return self._where.section(self._list_name, self._body).place

    def place_of(self, key: str) -> Place:
        """Return the place of a key, or of the item where the key is left out."""
        return self._where.section(self._list_name, self._body).place_of(key)


def parsed(laid: Laid, environ: Mapping[str, str], problems: ProblemList) -> list[Section]:
    """Return the items of a region that are not known.

    Raises:
        DoubtfulError: one of them is no mapping by itself.
    """
    region = laid.region
    lines = region.lines() if len(laid.unread) > _SOUGHT else None
    sections: list[Section] = []
    for index in laid.unread:
        line = region.line_of(index) if lines is None else lines[index]
        text = _alone(region.bodies[index], region.indent)
        section = parse_item(text, laid.file, line, environ, problems)
        if section is None or section.place.line != line:
            raise DoubtfulError
        sections.append(section)
    return sections


def _alone(body: str, indent: int) -> str:
    return f"{' ' * indent}- {body}\n"


def _contains(text: str, part: str) -> bool:
    """Search a long text in steps."""
    return any(text.find(part, begin, begin + _AT_ONCE + len(part)) >= 0 for begin in range(0, len(text), _AT_ONCE))


def _search(pattern: re.Pattern[str], text: str, begin: int) -> re.Match[str] | None:
    """Search a long text in steps."""
    for start in range(begin, len(text), _AT_ONCE):
        # What begins in a step may end behind it: a head is a word and a comment, which may be long.
        found = pattern.search(text, start, min(len(text), start + 2 * _AT_ONCE))
        if found is not None:
            return found
    return None


def _bodies(text: str, begin: int, end: int, separator: str) -> list[str]:
    """Split a long text in steps."""
    bodies: list[str] = []
    while begin <= end:
        stop = text.find(separator, min(begin + _AT_ONCE, end), end)
        part = text[begin : end if stop < 0 else stop]
        if stop < 0:
            bodies += part.removesuffix("\n").split(separator)
            break
        bodies += part.split(separator)
        begin = stop + len(separator)
    return bodies
