"""Fields of what the journal keeps: they stand by their places, so that a new one goes behind all others.

A field in the middle has a journal of the version before not read: the calls of an upgrade go on as after a crash.
``journal_fields.json`` has the fields by their structs; one that is new, with its default, is written there at the end.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from msgspec import inspect

from vosd.engine.calls.established import Established
from vosd.engine.calls.kept import SavedSwitch
from vosd.engine.calls.saved import SavedCall
from vosd.engine.journal.ends import Ends
from vosd.engine.journal.entries import Entry

KEPT = Path(__file__).with_name("journal_fields.json")


def structs(kind: Any, seen: set[type]) -> Iterator[inspect.StructType]:
    """Yield the structs that stand by the places of their fields, each once."""
    if isinstance(kind, inspect.StructType):
        if kind.cls in seen:
            return
        seen.add(kind.cls)
        if kind.array_like:
            yield kind
        for field in kind.fields:
            yield from structs(field.type, seen)
        return
    for name in getattr(kind, "__struct_fields__", ()):
        value = getattr(kind, name)
        for each in value if isinstance(value, tuple) else (value,):
            if isinstance(each, inspect.Type):
                yield from structs(each, seen)
            elif isinstance(each, inspect.Field):
                yield from structs(each.type, seen)


def test_fields_of_the_journal_stand_where_the_version_before_has_them() -> None:
    seen: set[type] = set()
    roots = inspect.multi_type_info([Entry, Ends, SavedCall, Established, SavedSwitch])
    found = {each.cls.__name__: each for root in roots for each in structs(root, seen)}
    names = {struct: [field.name for field in each.fields] for struct, each in found.items()}
    kept = json.loads(KEPT.read_text())
    assert {struct: fields[: len(kept.get(struct, ()))] for struct, fields in names.items()} == kept, "none moves"
    assert names == kept, "a new field is written at the end of its list in journal_fields.json"
