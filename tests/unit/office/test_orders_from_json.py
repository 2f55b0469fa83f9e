"""Orders are read from JSON, whatever front they come from, and results are written as JSON."""

import importlib
import inspect
import pkgutil
from collections.abc import AsyncGenerator, Iterator
from typing import Any, get_args, get_origin, get_type_hints

import msgspec
import pytest

from vosd.admin import office
from vosd.admin.office.decks import Prepared
from vosd.admin.office.principal import Principal


def use_cases() -> Iterator[tuple[str, Any]]:
    """Yield each use case that takes an order, with its name; the second half of an import of a deck takes none."""
    for each in pkgutil.iter_modules(office.__path__, f"{office.__name__}."):
        module = importlib.import_module(each.name)
        for name, function in inspect.getmembers(module, inspect.isfunction):
            taken = [parameter.lstrip("_") for parameter in inspect.signature(function).parameters]
            if function.__module__ == each.name and taken[:3] == ["office", "who", "order"] and name[0] != "_":
                yield f"{each.name.rpartition('.')[2]}.{name}", function


def foreign_types(kind: msgspec.inspect.Type, seen: set[type]) -> list[str]:
    """Return the types inside of a type that msgspec cannot decode."""
    if isinstance(kind, msgspec.inspect.CustomType):
        return [kind.cls.__name__]
    if isinstance(kind, msgspec.inspect.StructType):
        if kind.cls in seen:
            return []
        seen.add(kind.cls)
        return [name for field in kind.fields for name in foreign_types(field.type, seen)]
    parts: list[Any] = []
    for attribute in ("types", "item_types", "fields"):
        parts += [getattr(part, "type", part) for part in getattr(kind, attribute, ())]
    parts += [getattr(kind, name) for name in ("item_type", "key_type", "value_type") if hasattr(kind, name)]
    return [name for part in parts for name in foreign_types(part, seen)]


@pytest.mark.parametrize("function", [pytest.param(function, id=name) for name, function in use_cases()])
def test_the_order_of_a_use_case_is_read_from_json(function: Any) -> None:
    hints = get_type_hints(function)
    order = [*inspect.signature(function).parameters][2]
    assert hints["who"] is Principal
    assert foreign_types(msgspec.inspect.type_info(hints[order]), set()) == []


@pytest.mark.parametrize("function", [pytest.param(function, id=name) for name, function in use_cases()])
def test_the_result_of_a_use_case_is_written_as_json(function: Any) -> None:
    result = get_type_hints(function)["return"]
    if result is Prepared:  # it is handed to the second half of the import, in the same process
        return
    each = get_args(result)[0] if get_origin(result) is AsyncGenerator else result
    assert foreign_types(msgspec.inspect.type_info(each), set()) == []
