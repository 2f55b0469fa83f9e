"""Declare the key of a gateway's field in the configuration.

A field is a key when its type is ``Annotated`` with a ``TrunkKey``: the configuration reads, checks and documents it
from this declaration alone, under the name of the field without unit (ADR 40). It does not know YAML and how text is
read.
"""

from enum import Enum
from typing import NamedTuple, get_type_hints

import msgspec


class KeyForm(Enum):
    """The form in which the value is written."""

    SWITCH = "yes or no"
    WORD = "one of the values of the field's enum"
    WHOLE = "a whole number within bounds"
    SECONDS = "seconds, read as milliseconds; the field's name ends in _ms"
    LIMIT = "a whole number; the key is left out for no limit"


class TrunkKey(NamedTuple):
    """The key that a field declares. The bounds are those of the value as the field holds it."""

    form: KeyForm
    meaning: str
    lowest: int = 0
    highest: int = 0


class DeclaredKey(NamedTuple):
    """A key as declared by a field."""

    name: str
    key: TrunkKey
    kind: type
    default: object
    """``msgspec.NODEFAULT`` where the key is required."""


def switch(meaning: str) -> TrunkKey:
    """Declare yes or no."""
    return TrunkKey(KeyForm.SWITCH, meaning)


def word(meaning: str) -> TrunkKey:
    """Declare a word: a value of the field's enum."""
    return TrunkKey(KeyForm.WORD, meaning)


def whole(lowest: int, highest: int, meaning: str) -> TrunkKey:
    """Declare a whole number."""
    return TrunkKey(KeyForm.WHOLE, meaning, lowest, highest)


def seconds(lowest_ms: int, highest_ms: int, meaning: str) -> TrunkKey:
    """Declare a duration in seconds; its field holds milliseconds."""
    return TrunkKey(KeyForm.SECONDS, meaning, lowest_ms, highest_ms)


def limit(meaning: str) -> TrunkKey:
    """Declare a limit of calls or requests; its field is None without one."""
    return TrunkKey(KeyForm.LIMIT, meaning)


def keys_of(*structs: type[msgspec.Struct]) -> tuple[DeclaredKey, ...]:
    """Return the keys that the fields of structs declare, in the order of the fields."""
    return tuple(found for struct in structs for found in _keys_of(struct))


def _keys_of(struct: type[msgspec.Struct]) -> list[DeclaredKey]:
    hints, kinds = get_type_hints(struct, include_extras=True), get_type_hints(struct)
    declared = []
    for field in msgspec.structs.fields(struct):
        key = next(
            (each for each in getattr(hints[field.name], "__metadata__", ()) if isinstance(each, TrunkKey)), None
        )
        if key is not None:
            name = field.name.removesuffix("_ms") if key.form is KeyForm.SECONDS else field.name
            declared.append(DeclaredKey(name, key, kinds[field.name], field.default))
    return declared
