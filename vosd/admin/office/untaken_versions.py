"""Versions of objects that the running switch has not taken (yet), as far as changes of this process have made them.

A version that is made on top of another one has its mistakes, so where the switch refuses it, both are withdrawn.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence, Set
from contextlib import contextmanager

from vosd.catalogue.stored_objects import ObjectVersion

_Object = tuple[str, str]


class UntakenVersions:
    """Versions by kind and name of their object, known while the switch is asked to take a version of that."""

    def __init__(self) -> None:
        self._asked: Counter[_Object] = Counter()
        self._untaken: defaultdict[_Object, set[int]] = defaultdict(set)
        self._withdrawn: defaultdict[_Object, set[int]] = defaultdict(set)

    @contextmanager
    def asked(self, versions: Sequence[ObjectVersion]) -> Iterator[None]:
        """Count the versions of a change as not taken, from now until no version of their objects is asked for."""
        for each in versions:
            self._asked[_object_of(each)] += 1
            self._untaken[_object_of(each)].add(each.version)
        try:
            yield
        finally:
            for each in versions:
                known = _object_of(each)
                self._asked[known] -= 1
                if not self._asked[known]:
                    for kept in (self._asked, self._untaken, self._withdrawn):
                        kept.pop(known, None)

    def forget(self, versions: Iterable[ObjectVersion]) -> None:
        """Note versions that the switch has taken, or may take later: others are not withdrawn together with them."""
        for each in versions:
            self._untaken[_object_of(each)].discard(each.version)

    def of(self, kind: str, name: str) -> Set[int]:
        """Return the versions of an object that were not taken."""
        return self._untaken.get((kind, name), frozenset())

    def note_withdrawn(self, versions: Iterable[ObjectVersion]) -> None:
        """Note versions that were withdrawn with a later one, by the change that had made that."""
        for each in versions:
            self._withdrawn[_object_of(each)].add(each.version)

    def is_withdrawn(self, version: ObjectVersion) -> bool:
        """Return whether a version was withdrawn with a later one."""
        return version.version in self._withdrawn.get(_object_of(version), ())


def _object_of(version: ObjectVersion) -> _Object:
    return version.kind, version.name
