"""Objects that take keys from a template: a change of the template is one of them, too."""

import asyncio
import json
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Final

import msgspec

from vosd.base.parts import in_parts
from vosd.catalogue.stored_objects import KINDS, ObjectVersion

if TYPE_CHECKING:
    from vosd.admin.office.office import Office

_TEMPLATE: Final = "template"
_NAMED_AT_MOST: Final = 5
"""Objects that a trial names."""
_READ_AT_ONCE: Final = 1_000
"""Objects whose keys are read before other requests get their turn."""


class OwnValues(msgspec.Struct, frozen=True):
    """Objects that have a value of their own for a key: that of their template does not hold for them."""

    number: int
    """Number of objects."""
    first: Sequence[str]
    """Names of the first five."""


class TemplateUsers(msgspec.Struct, frozen=True):
    """Objects of a kind that take keys from a template."""

    kind: str
    """Kind of the objects."""
    number: int
    """Number of objects."""
    first: Sequence[str]
    """Names of the first five."""
    own: Mapping[str, OwnValues]
    """By each changed key for which there are any, the objects that have a value of their own."""


async def users_of_template(
    office: "Office", template: str, changed: Collection[str], at: int, versions: Sequence[ObjectVersion]
) -> tuple[TemplateUsers, ...]:
    """Return the objects that take a template at a moment, of the files and of the database, by kind.

    ``changed`` are the keys of the template that change, ``versions`` what changes with it. An object whose template
    is in a variable is not found.
    """
    found = []
    for kind in KINDS:
        if not any(each.name == _TEMPLATE for each in office.definitions.key_sheets(kind).keys):
            continue
        keys = {name: _written(office, kind, name) for name in office.definitions.written_names(kind, template)}
        stored = await office.stores.objects.of_kind(at, kind, [json.dumps(template, ensure_ascii=False)])
        for part in in_parts((*stored, *(each for each in versions if each.kind == kind)), _READ_AT_ONCE):
            for each in part:
                own = {} if each.body is None else json.loads(each.body)
                keys.pop(each.name, None)
                if own.get(_TEMPLATE) == template:
                    keys[each.name] = own.keys()
            await asyncio.sleep(0)
        if keys:
            found.append(_users(kind, keys, changed))
    return tuple(found)


def _written(office: "Office", kind: str, name: str) -> Collection[str]:
    found = office.definitions.written_object(kind, name)
    return () if found is None else found.keys.keys()


def _users(kind: str, keys: Mapping[str, Collection[str]], changed: Collection[str]) -> TemplateUsers:
    names = sorted(keys)
    having = {key: [name for name in names if key in keys[name]] for key in changed}
    own = {key: OwnValues(len(each), each[:_NAMED_AT_MOST]) for key, each in having.items() if each}
    return TemplateUsers(kind, len(names), names[:_NAMED_AT_MOST], own)
