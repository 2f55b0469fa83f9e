"""Items of the long lists in the files, compared one by one with those of the last load (ADR 112).

An item is known by a digest of its values and of the lines of its keys, counted from its own. A process beside the
calls reads the files as a whole and finds what has changed, so all items together are packed here: a process that
carries calls never looks at each of them. It does not know what an item means.
"""

from array import array
from collections.abc import Mapping, Sequence
from hashlib import blake2b
from itertools import chain, repeat
from typing import Final, NamedTuple

from vosd.catalogue.problems import DefinitionProblem, SourceLine
from vosd.config.reader.document import Node, Scalar, Section, YamlList
from vosd.config.reader.lists import ACCOUNTS, GATEWAYS

LONG_LISTS: Final[Mapping[str, str]] = {ACCOUNTS: "id", **GATEWAYS}
"""Lists whose items are compared, and the key with the name."""
_DECIDE: Final = ("currencies", "media", "parameters", "preset", "radius", "routing", "sip", "stir", "templates")
"""Parts of the document on which an item depends before all are put together: defaults, the realm, who judges its
password, sounds."""
_TEMPLATES: Final = "templates"
_DIGEST_BYTES: Final = 16
_BETWEEN: Final = "\0"
"""Between two names; no text of YAML has it unless it is escaped."""


class DoubtfulError(Exception):
    """Something is not as it was and cannot be read by itself: all must be read."""


class Packed(NamedTuple):
    """All items of a list in the order of the files."""

    names: str = ""
    digests: bytes = b""
    files: tuple[tuple[str, int], ...] = ()
    """Each file, and how many of the items are in it."""
    lines: bytes = b""
    is_regular: bool = True
    """Whether each item is a mapping with a name that no other has; else only places are known by it."""

    @property
    def number(self) -> int:
        """Number of items."""
        return len(self.digests) // _DIGEST_BYTES

    def each_name(self) -> list[str]:
        """Return the names."""
        return self.names.split(_BETWEEN) if self.names else []

    def places(self) -> dict[str, tuple[str, int]]:
        """Return file and line of each item."""
        lines = array("I")
        lines.frombytes(self.lines)
        files = chain.from_iterable(repeat(file, number) for file, number in self.files)
        return dict(zip(self.each_name(), zip(files, lines, strict=True), strict=True))


class Known(NamedTuple):
    """Items of an earlier load."""

    context: bytes | None = None
    """Digest of what items depend on; None = nothing is known, or they depend on other files."""
    lists: Mapping[str, Packed] = {}
    apart: Mapping[str, frozenset[str]] = {}
    """Names of items that have to be read again though they are the same, by list."""


class ListDifference(NamedTuple):
    """Differences of the items of a list from those that were known."""

    gone: frozenset[str] = frozenset()
    keeps_order: bool = True
    """Whether no item was added or removed, and none has moved."""


class ReadFiles(NamedTuple):
    """The files of a configuration as they were read."""

    rest: bytes
    """The document without the items of long lists, pickled: a later load with the same files needs another copy."""
    found: tuple[DefinitionProblem, ...]
    contents: Mapping[str, bytes]
    """The files, by absolute path."""
    matched: Mapping[str, list[str]]
    """The files that fit each pattern of an ``include``."""
    known: Known
    """The items as the next load can compare them."""
    sections: dict[str, list[Node]]
    """By list, the items that are not known."""
    differences: Mapping[str, ListDifference] | None
    """By list; None = nothing was known, and ``sections`` has all items."""


def pack(items: Sequence[Node], name_key: str) -> Packed:
    """Return the items of a list packed; of an irregular one the first of each name, for their places."""
    named: dict[str, Section] = {}
    for item in items:
        name = item.text_of(name_key) if isinstance(item, Section) else ""
        if isinstance(item, Section) and name and _BETWEEN not in name:
            named.setdefault(name, item)
    digests: list[bytes] = []
    files: list[tuple[str, int]] = []
    lines = array("I")
    for item in named.values():
        digests.append(digest_of(item))
        lines.append(item.place.line)
        last, number = files.pop() if files else (item.place.file, 0)
        if last == item.place.file:
            files.append((last, number + 1))
        else:
            files += (last, number), (item.place.file, 1)
    is_regular = len(named) == len(items)
    return Packed(_BETWEEN.join(named), b"".join(digests), tuple(files), lines.tobytes(), is_regular)


def differing(
    items: list[Node], now: Packed, before: Packed, apart: frozenset[str]
) -> tuple[list[Node], ListDifference]:
    """Return the items that are not those of an earlier load, and how all differ from them."""
    old_names, new_names = before.each_name(), now.each_name()
    old = dict(zip(old_names, _digests(before), strict=True))
    pairs = zip(items, new_names, _digests(now), strict=True)
    unknown = [item for item, name, digest in pairs if name in apart or old.get(name) != digest]
    return unknown, ListDifference(frozenset(old).difference(new_names), old_names == new_names)


def _digests(packed: Packed) -> list[bytes]:
    return [packed.digests[at : at + _DIGEST_BYTES] for at in range(0, len(packed.digests), _DIGEST_BYTES)]


def digest_of(node: Node) -> bytes:
    """Return what an item is known by: its values, and the lines of its keys behind its first one."""
    parts: list[str] = []
    _write(node, node.place, parts)
    return blake2b("".join(parts).encode("utf-8", "surrogatepass"), digest_size=_DIGEST_BYTES).digest()


def context_of(document: Section) -> bytes | None:
    """Return a digest of what items of long lists depend on; None where it names files."""
    templates = document.entries.get(_TEMPLATES)
    if templates is not None and names_file(templates.node):
        return None
    parts: list[str] = []
    for name in _DECIDE:
        entry = document.entries.get(name)
        if entry is not None:
            parts.append(f"={name}")
            _write(entry.node, None, parts)
    return blake2b("".join(parts).encode("utf-8", "surrogatepass"), digest_size=_DIGEST_BYTES).digest()


def _write(node: Node, begin: SourceLine | None, parts: list[str]) -> None:
    """Write a node so that different ones are written differently; without a ``begin`` the lines do not count."""
    match node:
        case Scalar():
            parts.append(f"{'b' if node.is_bare else 'q'}{len(node.text)}:{node.text}")
            if node.written is not node.text:
                parts.append(f"w{len(node.written)}:{node.written}")
        case YamlList():
            parts.append(f"[{len(node.items)}")
            for item in node.items:
                _write(item, begin, parts)
        case Section():
            parts.append(f"{{{len(node.entries)}")
            for name, entry in node.entries.items():
                parts.append(f"{len(name)}:{name}")
                if begin is not None:
                    parts.append(f"@{entry.place.line - begin.line}")
                    if entry.place.file != begin.file:
                        parts.append(entry.place.file)
                _write(entry.node, begin, parts)


def names_file(node: Node) -> bool:
    """Return whether a node depends on another file."""
    if isinstance(node, Section):
        if "_file" in _BETWEEN.join(node.entries):
            return True
        for entry in node.entries.values():
            if type(entry.node) is not Scalar and names_file(entry.node):
                return True
    if isinstance(node, YamlList):
        for each in node.items:
            if type(each) is not Scalar and names_file(each):
                return True
    return False
