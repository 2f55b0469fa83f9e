"""Which items of a file have changed since it was read, found by comparing its bytes (ADR 60).

Only what stands between the first and the last byte that differ is decoded and split, for each long list of the file,
and what stands between two lists where it has changed. All else is the same, so lists begin and end there as before.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

from vosd.base.parts import give_way, with_replaced
from vosd.config.reader.regions import Edit, Region, Span, Split, are_items, ends_list, split

_AT_ONCE: Final = 131_072
"""Bytes that are compared or searched by one call."""
_EDITED_MAX: Final = 262_144
"""Bytes of a list between its first difference and its last one. Where there are more, the file is split in steps."""
_SOUGHT: Final = 1_024
"""Most bytes of the line behind a list by which its end is found."""
_MARK: Final = b"\xef\xbb\xbf"
_NEW_LINE: Final = ord("\n")


class ReadFile(NamedTuple):
    """A file that was split."""

    content: bytes
    regions: Sequence[Region]
    spans: Sequence[Span]
    """Spans of each region, in bytes."""


class EditedFile(NamedTuple):
    """A file that has changed since it was read."""

    file: ReadFile
    rest: str
    """As of ``Split``."""
    edits: Sequence[Edit]
    """Edits of each region."""


class _Window(NamedTuple):
    """Changed part of a region."""

    edit: Edit
    lines: int
    """More ends of lines than before."""


_SAME: Final = _Window(Edit(0, [], []), 0)


def read_file(content: bytes, text: str, found: Split) -> ReadFile:
    """Return a file that was split, to compare another one with."""
    mark = len(_MARK) if content.startswith(_MARK) else 0
    if len(text) + mark == len(content):
        spans = [Span(mark + each.head, mark + each.begin, mark + each.end, each.lines) for each in found.spans]
        return ReadFile(content, found.regions, spans)
    done, place, places = 0, mark, {}
    for end in sorted({end for each in found.spans for end in (each.head, each.begin, each.end)}):
        for begin in range(done, end, _AT_ONCE):
            place += len(text[begin : min(begin + _AT_ONCE, end)].encode())
            give_way()
        places[end], done = place, end
    spans = [Span(places[each.head], places[each.begin], places[each.end], each.lines) for each in found.spans]
    return ReadFile(content, found.regions, spans)


def edited_file(known: ReadFile, content: bytes) -> EditedFile | None:
    """Return the file that ``content`` is now; None where it has to be read as a whole."""
    old = known.content
    at_old = at_new = lines = 0
    rest: list[str] = []
    regions: list[Region] = []
    spans: list[Span] = []
    edits: list[Edit] = []
    for index, (region, span) in enumerate(zip(known.regions, known.spans, strict=True)):
        begin = _begin(known, index, at_old, content, at_new)
        if begin is None:
            return None
        size = span.end - span.begin
        same = _equal_at_begin(old, span.begin, content, begin, size)
        end = _end(known, index, content, begin + same)
        if end < begin + 1:
            return None
        window = _SAME if same == size == end - begin else _window(known, index, content, begin, end, same)
        if window is None:
            return None
        edit, bodies = window.edit, region.bodies
        if edit.removed or edit.inserted:
            bodies = with_replaced(bodies, edit.begin, len(edit.removed), edit.inserted)
        head = begin - (span.begin - span.head)
        rest += (_text(content, at_new, head), "\n" * (span.lines + window.lines))
        lines += content.count(b"\n", at_new, head) - old.count(b"\n", at_old, span.head)
        regions.append(
            region._replace(head_line=region.head_line + lines, first_line=region.first_line + lines, bodies=bodies)
        )
        spans.append(Span(head, begin, end, span.lines + window.lines))
        edits.append(edit)
        lines += window.lines
        at_old, at_new = span.end, end
    if not _ends(known, at_old, content, at_new):
        return None
    rest.append(_text(content, at_new, len(content)))
    return EditedFile(ReadFile(content, regions, spans), "".join(rest), edits)


def _begin(known: ReadFile, index: int, at_old: int, content: bytes, at_new: int) -> int | None:
    """Return where the items of a region begin that is the next behind a place; None where that is not certain."""
    old, region, span = known.content, known.regions[index], known.spans[index]
    if _is_same(old, at_old, span.begin, content, at_new):
        return at_new + span.begin - at_old
    line = max(at_old, old.rfind(b"\n", at_old, span.head - 1) + 1)
    head = old[line : span.begin]
    found = content.find(head, at_new, at_new + _EDITED_MAX)
    while found > at_new and content[found - 1] != _NEW_LINE:
        found = content.find(head, found + 1, at_new + _EDITED_MAX)
    if found < 0:
        return None
    text = _valid(content[at_new : found + len(head)], is_first=not at_new)
    parts = None if text is None else split(f"{text}x")
    if text is None or parts is None or not _is_behind(known, index, text):
        return None
    is_next = [(each.name, each.indent, each.bodies) for each in parts.regions] == [(region.name, region.indent, ["x"])]
    return found + len(head) if is_next else None


def _ends(known: ReadFile, at_old: int, content: bytes, at_new: int) -> bool:
    """Return whether no list is behind the last region of old."""
    old = known.content
    if len(old) - at_old == len(content) - at_new and _is_same(old, at_old, len(old), content, at_new):
        return True
    text = _valid(content[at_new : at_new + _EDITED_MAX + 1], is_first=not at_new)
    if text is None or len(content) - at_new > _EDITED_MAX or not _is_behind(known, len(known.regions), text):
        return False
    parts = split(text)
    return parts is not None and not parts.regions


def _is_behind(known: ReadFile, index: int, text: str) -> bool:
    """Return whether text stands behind the items of the region before the one of this index."""
    return index == 0 or ends_list(text, known.regions[index - 1].indent)


def _valid(content: bytes, *, is_first: bool) -> str | None:
    try:
        return content.decode("utf-8-sig" if is_first else "utf-8")
    except UnicodeDecodeError:
        return None


def _text(content: bytes, begin: int, end: int) -> str:
    return content[begin:end].decode("utf-8" if begin else "utf-8-sig")


def _end(known: ReadFile, index: int, content: bytes, same_until: int) -> int:
    """Return where a region ends that is the same until a place; -1 where that is not found. All is compared later."""
    old, end = known.content, known.spans[index].end
    if index + 1 == len(known.regions):
        place = len(content) - (len(old) - end)
        if place > 0 and _is_same(old, end, len(old), content, place):
            return place
    line = old.find(b"\n", end, end + _SOUGHT)
    behind = old[end : line + 1]
    if not behind:
        return -1
    if content.startswith(behind, same_until):
        return same_until
    behind = b"\n" + behind
    for begin in range(max(0, same_until - len(behind)), len(content), _AT_ONCE):
        found = content.find(behind, begin, begin + _AT_ONCE + len(behind) - 1)
        if found >= 0:
            return found + 1
        give_way()
    return -1


def _window(known: ReadFile, index: int, content: bytes, begin: int, end: int, same: int) -> _Window | None:
    """Return what has changed of a region, which is at ``begin`` to ``end`` now; None where it is not items alone.

    ``same`` are bytes at its begin that are the same.
    """
    old, region, span = known.content, known.regions[index], known.spans[index]
    size = min(span.end - span.begin, end - begin)
    same = min(same, size)
    behind = _equal_at_end(old, span.end, content, end, size - same)
    separator = b"\n%b- " % (b" " * region.indent)
    before_first = old.rfind(separator, span.begin, span.begin + same)
    first = span.begin if before_first < 0 else before_first + len(separator)
    after_last = old.find(separator, span.end - behind, span.end)
    last = span.end if after_last < 0 else after_last
    new_first, new_last = begin + first - span.begin, end - (span.end - last)
    if max(last - first, new_last - new_first) > _EDITED_MAX:
        return None
    try:
        was, now = old[first:last].decode(), content[new_first:new_last].decode()
    except UnicodeDecodeError:
        return None
    if not now or not are_items(now, region.indent):
        return None
    lines = now.count("\n") - was.count("\n")
    if after_last < 0:
        if new_last < len(content) and not now.endswith("\n"):
            return None
        was, now = was.removesuffix("\n"), now.removesuffix("\n")
    parted = separator.decode()
    place = 0 if before_first < 0 else _count(old, separator, span.begin, first)
    edit = Edit(place, was.split(parted), now.split(parted))
    if region.bodies[place : place + len(edit.removed)] != edit.removed:
        return None
    return _Window(edit, lines)


def _is_same(old: bytes, begin: int, end: int, content: bytes, at: int) -> bool:
    return _equal_at_begin(old, begin, content, at, end - begin) == end - begin


def _equal_at_begin(old: bytes, begin: int, content: bytes, at: int, most: int) -> int:
    """Return how many bytes are equal from two places on, at most ``most``."""
    low = 0
    while low < most:
        high = min(low + _AT_ONCE, most)
        if old[begin + low : begin + high] != content[at + low : at + high]:
            break
        low = high
        give_way()
    else:
        return most
    while low < high:
        middle = (low + high + 1) // 2
        are_equal = old[begin + low : begin + middle] == content[at + low : at + middle]
        low, high = (middle, high) if are_equal else (low, middle - 1)
    return low


def _equal_at_end(old: bytes, end: int, content: bytes, at: int, most: int) -> int:
    """Return how many bytes are equal before two places, at most ``most``."""
    low = 0
    while low < most:
        high = min(low + _AT_ONCE, most)
        if old[end - high : end - low] != content[at - high : at - low]:
            break
        low = high
        give_way()
    else:
        return most
    while low < high:
        middle = (low + high + 1) // 2
        are_equal = old[end - middle : end - low] == content[at - middle : at - low]
        low, high = (middle, high) if are_equal else (low, middle - 1)
    return low


def _count(content: bytes, part: bytes, begin: int, end: int) -> int:
    """Count a part that cannot overlap with itself."""
    found = 0
    for start in range(begin, end, _AT_ONCE):
        found += content.count(part, start, min(start + _AT_ONCE + len(part) - 1, end))
        give_way()
    return found
