"""Facts of a running call that a snapshot has unchanged: a struct of both, so that a field of it is written once."""

from typing import Any, TypeVar

import msgspec

Facts = TypeVar("Facts", bound=msgspec.Struct)

named = msgspec.structs.asdict
"""Return the fields of a struct by name, for a snapshot that has them too."""


def facts_of(holder: msgspec.Struct, kind: type[msgspec.Struct]) -> dict[str, Any]:
    """Return by name the fields that a struct shares with others of a kind."""
    return {name: getattr(holder, name) for name in kind.__struct_fields__}


def facts_in(snapshot: msgspec.Struct, kind: type[Facts]) -> Facts:
    """Return the facts that a snapshot has."""
    return kind(**facts_of(snapshot, kind))
