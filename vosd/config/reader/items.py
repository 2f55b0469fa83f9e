"""Items of long lists as text: a reload finds by comparing text which items it need not parse again (ADR 60)."""

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from vosd.base.parts import freed, with_replaced
from vosd.catalogue.problems import Place, ProblemList
from vosd.config.reader.document import Listing, Node, Section, parse_item
from vosd.config.reader.file_edits import EditedFile, ReadFile, edited_file
from vosd.config.reader.regions import LONG_LISTS, Edit, Region, edit_of

_SOUGHT: Final = 8
"""Items whose places are searched for; for more an index of all is made."""
_VARIABLE: Final = "${"
"""In the text of an item that depends on an environment variable."""
_FILE: Final = "_file"
"""In the text of an item that depends on another file."""


class DoubtfulError(Exception):
    """Something is not as it was and cannot be read by itself: all must be read."""


def is_alone(body: str) -> bool:
    """Return whether an item means the same as long as its text is the same."""
    return _VARIABLE not in body and _FILE not in body


def matches(region: Region, node: Node) -> bool:
    """Return whether the items of a list that was parsed with its file are those of a region, each in its place."""
    if not isinstance(node, Listing) or len(node.items) != len(region.bodies):
        return False
    pairs = zip(node.items, region.lines(), strict=True)
    return all(isinstance(item, Section) and item.place.line == line for item, line in pairs)


class Laid(NamedTuple):
    """A region in its file, and which of its items were read."""

    file: str
    region: Region
    unread: Sequence[int]
    """Places of those that were not known, in their order."""
    since: "Since | None" = None
    """Differences from the earlier load; None = there it was not."""


class Since(NamedTuple):
    """Differences of the items of a region from those of an earlier load."""

    before: list[str]
    edit: Edit


class KnownItems:
    """Facts about the items of an earlier load, for finding those that have to be read."""

    def __init__(self) -> None:
        self.known: Mapping[str, Mapping[str, object]] = {}
        """By list and text."""
        self._before: dict[tuple[str, str], Laid] = {}
        """By file and list, with the items that are not known."""
        self._files: Mapping[str, ReadFile] = {}

    def lay(self, file: str, region: Region) -> Laid:
        """Return the items of a region that have to be read; texts that are the same are those of the earlier load.

        Those of ``region`` are freed then.
        """
        before = self._before.get((file, region.name))
        if before is None:
            return self._laid_anew(file, region)
        old = before.region.bodies
        edit = edit_of(old, region.bodies)
        freed(region.bodies)
        bodies = old
        if edit.removed or edit.inserted:
            bodies = with_replaced(old, edit.begin, len(edit.removed), edit.inserted)
        return self._laid_again(before, region._replace(bodies=bodies), edit)

    def edited(self, file: str, content: bytes) -> EditedFile | None:
        """Return a file by how it differs from the earlier load; None where it has to be read as a whole."""
        known = self._files.get(file)
        return None if known is None else edited_file(known, content)

    def lay_edited(self, file: str, region: Region, edit: Edit) -> Laid:
        """Return the items of a region that have to be read; ``edit`` is how it differs from the earlier load."""
        before = self._before.get((file, region.name))
        return self._laid_anew(file, region) if before is None else self._laid_again(before, region, edit)

    def _laid_anew(self, file: str, region: Region) -> Laid:
        known = self.known[region.name]
        return Laid(file, region, [index for index, body in enumerate(region.bodies) if body not in known])

    def _laid_again(self, before: Laid, region: Region, edit: Edit) -> Laid:
        known, unknown = self.known[region.name], before.unread
        behind = edit.begin + len(edit.removed)
        moved = len(edit.inserted) - len(edit.removed)
        unread = [
            *(index for index in unknown if index < edit.begin),
            *(index for index, body in enumerate(edit.inserted, edit.begin) if body not in known),
            *(index + moved for index in unknown if index >= behind),
        ]
        return Laid(before.file, region, unread, Since(before.region.bodies, edit))

    def note(self, items: "Items", known: Mapping[str, Mapping[str, object]]) -> None:
        """Note what is known now."""
        self.known = known
        self._files = items.files
        self._before = {
            (each.file, each.region.name): each._replace(
                since=None,
                unread=[index for index in each.unread if each.region.bodies[index] not in known[each.region.name]],
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
        self.files: dict[str, ReadFile] = {}
        """Files with long lists that could be split off, by name."""
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

    def edit_since(self, name: str, before: list[str]) -> Edit | None:
        """Return how the items of a list differ from ``before``, all those of the earlier load; None = not known."""
        since = [laid.since for laid in self.laid if laid.region.name == name]
        first = since[0] if len(since) == 1 else None
        return first.edit if first is not None and first.before is before else None

    def add_unknown(self, name: str) -> None:
        """Note that the texts of the items of a list are not known."""
        self.open.add(name)

    def section(self, name: str, body: str) -> Section:
        """Parse an item; its mistakes are reported elsewhere."""
        file, line, indent = self._where(name, body)
        section = parse_item(alone(body, indent), file, line, self._environ, ProblemList())
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
    """Place of an item (implements ``catalogue.source.Origin``); its text is parsed when that is asked."""

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
        text = alone(region.bodies[index], region.indent)
        section = parse_item(text, laid.file, line, environ, problems)
        if section is None or section.place.line != line:
            raise DoubtfulError
        sections.append(section)
    return sections


def alone(body: str, indent: int) -> str:
    """Return the text of a list with one item."""
    return f"{' ' * indent}- {body}\n"
