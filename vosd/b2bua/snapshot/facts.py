"""Facts of a running call that a snapshot has unchanged: a struct of both, so that a field of it is written once."""

from collections.abc import Mapping
from typing import Any, TypeVar

import msgspec

Facts = TypeVar("Facts", bound=msgspec.Struct)

named = msgspec.structs.asdict
"""Return the fields of a struct by name, for a snapshot that has them too."""


def facts_in(snapshot: msgspec.Struct, kind: type[Facts], **others: Any) -> Facts:
    """Return the facts that a snapshot has, with ``others`` beside."""
    facts: Mapping[str, Any] = {name: getattr(snapshot, name) for name in kind.__struct_fields__ if name not in others}
    return kind(**facts, **others)
