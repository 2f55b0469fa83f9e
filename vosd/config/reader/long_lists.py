"""Items of a long list by name, each parsed when it is asked for: a command about one account needs one of them.

Names and single values are read from the text of an item where its form is plain, as that of nearly all items is;
every other item is parsed, and a file that cannot be divided into items is parsed as a whole.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final, NamedTuple

from vosd.catalogue.problems import ConfigError, ProblemList
from vosd.config.reader.document import Entry, Listing, Scalar, Section, parse_item
from vosd.config.reader.items import DoubtfulError, alone
from vosd.config.reader.regions import Region

_SOUGHT: Final = 8
"""Items of a region whose lines are counted; for more the lines of all are."""
_PLAIN: Final = r"[A-Za-z0-9][A-Za-z0-9._@/+-]*"
_NAME: Final = r"[A-Za-z0-9][A-Za-z0-9._@/+-]{0,63}"
_QUOTED: Final = r"\"[^\"\\$\n]*\"|'[^'$\n]*'"
_LIST: Final = r"\[[A-Za-z0-9 ,._@/+:\"-]*\]"
_VALUE: Final = rf"(?:{_PLAIN}|{_QUOTED}|{_LIST})"
_END: Final = r"[ ]*(?:#[^\n]*)?"
_FLOW: Final = re.compile(rf"\{{[a-z0-9_]+: {_VALUE}(?:, [a-z0-9_]+: {_VALUE})*\}}{_END}")
_IN_FLOW: Final = re.compile(rf"[{{ ]([a-z0-9_]+): ({_VALUE})")
_IN_BLOCK: Final = re.compile(rf"(?:\A|\n *)([a-z0-9_]+): ({_VALUE})")


class _Unparsed(NamedTuple):
    """An item that is not parsed."""

    part: "_Part"
    place: int
    """Place of its text in the region."""


class _Part:
    """A list of one file, as text."""

    def __init__(self, file: str, region: Region, whole: Callable[[], Listing]) -> None:
        """``whole`` parses the file, and raises ConfigError where it has mistakes."""
        self.file = file
        self.region = region
        self.whole = whole
        self._block = re.compile(
            rf"[a-z0-9_]+: {_VALUE}{_END}(?:\n {{{region.indent + 2}}}[a-z0-9_]+: {_VALUE}{_END})*"
        )
        self._lines: list[int] = []
        self._asked = 0

    def values(self, body: str) -> dict[str, str] | None:
        """Return the values of an item as they are written, without quotes; None where its form is not plain."""
        if _FLOW.fullmatch(body) is not None:
            found = _IN_FLOW.findall(body)
        elif self._block.fullmatch(body) is not None:
            found = _IN_BLOCK.findall(body)
        else:
            return None
        values: dict[str, str] = {}
        for key, value in found:
            values.setdefault(key, value[1:-1] if value[0] in "\"'" else value)
        return values

    def section(self, index: int, environ: Mapping[str, str]) -> Section:
        """Parse one item.

        Raises:
            ConfigError: with the mistakes of the file, or of the item.
        """
        found = self.parsed_alone(index, environ)
        if found is None:
            line = self._line(index)
            sections = (item for item in self.whole().items if isinstance(item, Section))
            found = next((section for section in sections if section.place.line == line), None)
        if found is None:
            raise DoubtfulError
        return found

    def parsed_alone(self, index: int, environ: Mapping[str, str]) -> Section | None:
        """Parse one item without its file; None where its text is no item by itself.

        Raises:
            ConfigError: with the mistakes of the item.
        """
        line, problems = self._line(index), ProblemList()
        found = parse_item(alone(self.region.bodies[index], self.region.indent), self.file, line, environ, problems)
        if found is None or found.place.line != line:
            return None
        if problems.has_errors:
            raise ConfigError(problems.in_order())
        return found

    def _line(self, index: int) -> int:
        self._asked += 1
        if self._asked <= _SOUGHT:
            return self.region.line_of(index)
        self._lines = self._lines or self.region.lines()
        return self._lines[index]


class LongList(Mapping[str, Section]):
    """The items of one list by name, in the order of the files; of two with one name the first."""

    def __init__(self, key: str, environ: Mapping[str, str]) -> None:
        """``key`` is the one with the name."""
        self._key = key
        self._environ = environ
        self._name = re.compile(rf"\{{?{key}: (?:({_NAME})|\"({_NAME})\"|'({_NAME})')[ ]*(?:[,}}\n]|\Z)")
        self._items: dict[str, Section | _Unparsed] = {}

    def add_parsed(self, sections: Iterable[object]) -> None:
        """Add items that are parsed."""
        for section in sections:
            if isinstance(section, Section):
                self._note(_text(section, self._key), section)

    def add(self, file: str, region: Region, whole: Callable[[], Listing]) -> None:
        """Add the items of a region; ``whole`` parses its file, and raises ConfigError where that has mistakes."""
        part = _Part(file, region, whole)
        named: list[tuple[str, Section | _Unparsed]] = []
        for index, body in enumerate(region.bodies):
            found = self._name.match(body)
            # A text over several lines may have what looks like an item in one of them.
            if found is not None and not body.count('"') % 2 and not body.count("'") % 2:
                named.append((found[found.lastindex or 1], _Unparsed(part, index)))
                continue
            section = part.parsed_alone(index, self._environ)
            if section is None:
                self.add_parsed(whole().items)
                return
            named.append((_text(section, self._key), section))
        for name, item in named:
            self._note(name, item)

    def written(self, key: str, templates: Mapping[str, Section], template_key: str) -> Iterator[tuple[str, str]]:
        """Yield the name of each item and the value of one key, as written in it or its template; items without none.

        Only items with one of the two words in their text are looked at.
        """
        by_template = {name: text for name, each in templates.items() if (text := _text(each, key))}
        for name, item in self._items.items():
            if isinstance(item, _Unparsed):
                body = item.part.region.bodies[item.place]
                if key not in body and not (by_template and template_key in body):
                    continue
                values = item.part.values(body)
                if values is not None:
                    value = values.get(key) or by_template.get(values.get(template_key, ""))
                    if value:
                        yield name, value
                    continue
            section = self[name]
            value = _text(section, key) or by_template.get(_text(section, template_key), "")
            if value:
                yield name, value

    def text_beside_name(self, name: str) -> str | None:
        """Return the text of an item behind its name, which says all but that; None where it is parsed already."""
        item = self._items.get(name)
        if not isinstance(item, _Unparsed):
            return None
        body = item.part.region.bodies[item.place]
        found = self._name.match(body)
        return None if found is None else body[found.end(found.lastindex or 1) :]

    def __getitem__(self, name: str) -> Section:
        """Return an item.

        Raises:
            KeyError: there is none.
            ConfigError: with the mistakes of its text.
        """
        item = self._items[name]
        if isinstance(item, _Unparsed):
            item = self._items[name] = item.part.section(item.place, self._environ)
        return item

    def __contains__(self, name: object) -> bool:
        """Return whether there is an item of that name."""
        return name in self._items

    def __iter__(self) -> Iterator[str]:
        """Yield the names."""
        return iter(self._items)

    def __len__(self) -> int:
        """Return how many items have a name."""
        return len(self._items)

    def _note(self, name: str, item: Section | _Unparsed) -> None:
        if name:
            self._items.setdefault(name, item)


def _text(section: Section, key: str) -> str:
    entry: Entry | None = section.entries.get(key)
    return entry.node.text if entry is not None and isinstance(entry.node, Scalar) else ""
