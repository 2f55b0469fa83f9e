"""A file of YAML split into its long lists, as text, and the rest (ADR 60).

Long lists are ``accounts`` and those like it, as block sequences at the top level. Where any doubt is left whether
parts mean the same alone as in their file, it is not split, but parsed as a whole.
"""

import re
from collections.abc import Sequence
from itertools import accumulate, repeat
from operator import add
from typing import Final, NamedTuple

from vosd.base.parts import AT_ONCE, equal_at_begin, equal_at_end, give_way

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
    """Text behind hyphen and blank of each item, up to the next item, without the last end of line."""

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
    spans: Sequence["Span"]
    """Spans of each region."""


class Span(NamedTuple):
    """Place of a region in its text."""

    head: int
    """The end of the line of its key."""
    begin: int
    """The first item, behind its hyphen and blank."""
    end: int
    lines: int
    """Ends of lines behind the head."""


class Edit(NamedTuple):
    """Difference of a list of items from an earlier one: the others before and behind are the same."""

    begin: int
    """Items before, which are the same."""
    removed: list[str]
    inserted: list[str]


def split(text: str) -> Split | None:
    """Return the long lists of a file and the rest; None where its text leaves that open."""
    if text.startswith(_WHOLE_ONLY_AT_BEGIN) or any(_contains(text, part) for part in _WHOLE_ONLY):
        return None
    regions: list[Region] = []
    spans: list[Span] = []
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
        spans.append(Span(begin, first.end(), end, lines))
        parts += (text[done:begin], "\n" * lines)
        done, line = end, line + lines
    if len({region.name for region in regions}) < len(regions):
        return None
    parts.append(text[done:])
    return Split("".join(parts), regions, spans)


def are_items(text: str, indent: int) -> bool:
    """Return whether text that begins within an item of a region has nothing but items of it."""
    after = _AFTER_INDENTED_LIST if indent else _AFTER_LIST
    return not any(part in text for part in _WHOLE_ONLY) and after.search(text) is None


def ends_list(text: str, indent: int) -> bool:
    """Return whether the list of a region is over where a line begins with this text."""
    return (_AFTER_INDENTED_LIST if indent else _AFTER_LIST).match(f"\n{text[:2]}") is not None


def edit_of(before: list[str], after: list[str]) -> Edit:
    """Return how a list of items differs from an earlier one."""
    most = min(len(before), len(after))
    begin = equal_at_begin(before, after, most)
    behind = equal_at_end(before, after, most - begin)
    return Edit(begin, before[begin : len(before) - behind], after[begin : len(after) - behind])


def _contains(text: str, part: str) -> bool:
    """Search a long text in steps."""
    for begin in range(0, len(text), _AT_ONCE):
        if text.find(part, begin, begin + _AT_ONCE + len(part)) >= 0:
            return True
        give_way()
    return False


def _search(pattern: re.Pattern[str], text: str, begin: int) -> re.Match[str] | None:
    """Search a long text in steps."""
    for start in range(begin, len(text), _AT_ONCE):
        # What begins in a step may end behind it: a head is a word and a comment, which may be long.
        found = pattern.search(text, start, min(len(text), start + 2 * _AT_ONCE))
        if found is not None:
            return found
        give_way()
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
        give_way()
    return bodies
