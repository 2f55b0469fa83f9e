"""Keys by the names that another switch has for them."""

from collections.abc import Iterable, Mapping

from vosd.catalogue.problems import suggestion

Renamed = Mapping[str, tuple[str, ...]]
"""Names as ``plain_name`` returns them, and the keys of ours that say the same."""


def plain_name(written: str) -> str:
    """Return a name without case, blanks and punctuation: ``Line limit``, ``line_limit`` and ``lineLimit`` are one."""
    return "".join(filter(str.isalnum, written)).lower()


def renamed(rows: Mapping[str, str]) -> Renamed:
    """Return each name with its keys, of rows such as ``{"callee_allow or callee_deny": "one name, another"}``."""
    return {plain_name(name): tuple(ours.split(" or ")) for ours, theirs in rows.items() for name in theirs.split(", ")}


def merged(all_names: Iterable[Renamed]) -> Renamed:
    """Return the names of several sections in one; a name with a meaning in each has the keys of all."""
    together: dict[str, tuple[str, ...]] = {}
    for names in all_names:
        for name, ours in names.items():
            together[name] = tuple(dict.fromkeys((*together.get(name, ()), *ours)))
    return together


def hint(written: str, known: Iterable[str], names: Renamed) -> str:
    """Return what may be meant by an unknown key: the keys that ``names`` has for it, else the most similar one."""
    ours = names.get(plain_name(written))
    return f"did you mean {' or '.join(map(repr, ours))}?" if ours else suggestion(written, known)
