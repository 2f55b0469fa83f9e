"""Every field that a key is copied into is read by code that the configuration is made for.

``test_every_key_has_an_effect`` shows that a key changes the catalogue; this one, that something looks at it there. It
goes by the field's name: a field that shares its name with another one that is read is not noticed.
"""

import ast
import importlib
import inspect
import pkgutil
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, Final

import vosd
from vosd.config import assembly
from vosd.config.assembly.conversion import Conversion

ROOT: Final = Path(vosd.__file__).parent
WITHOUT_A_READER: Final = ("config",)
"""Packages whose reads do not count: what makes the structs, and what serves tests."""


def conversions() -> Iterator[Conversion[Any]]:
    for module in pkgutil.iter_modules(assembly.__path__):
        members = vars(importlib.import_module(f"{assembly.__name__}.{module.name}")).values()
        yield from (member for member in members if isinstance(member, Conversion))


def names_read(tree: ast.AST, declared: frozenset[str] = frozenset()) -> Iterator[str]:
    """Return the attributes that code reads: of others, and of ``self`` where the class declares that field as well."""
    waiting = [(tree, declared)]
    while waiting:
        parent, declared = waiting.pop()
        for node in ast.iter_child_nodes(parent):
            waiting.append((node, frozenset(fields_of(node)) if isinstance(node, ast.ClassDef) else declared))
            if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load):
                of_self = isinstance(node.value, ast.Name) and node.value.id == "self"
                if not of_self or node.attr in declared:
                    yield node.attr


def fields_of(class_: ast.ClassDef) -> Iterator[str]:
    return (
        each.target.id for each in class_.body if isinstance(each, ast.AnnAssign) and isinstance(each.target, ast.Name)
    )


NOT_READ: Final[dict[tuple[str, str], str]] = {}
FILLED: Final = sorted({(each.target.__name__, field) for each in conversions() for field in each.fields})


@cache
def read_anywhere() -> frozenset[str]:
    """Return which fields are read; a file is parsed only if one that was not found yet may stand in it."""
    found: set[str] = set()
    missing = {field for _, field in FILLED}
    for file in ROOT.rglob("*.py"):
        text = file.read_text(encoding="utf-8")
        if file.relative_to(ROOT).parts[0] in WITHOUT_A_READER or not any(f".{each}" in text for each in missing):
            continue
        found.update(names_read(ast.parse(text)))
        missing -= found
    return frozenset(found)


def test_every_field_that_a_key_fills_is_read() -> None:
    unread = [each for each in FILLED if each not in NOT_READ and each[1] not in read_anywhere()]
    assert unread == [], "no code reads these: their keys change the catalogue and no call"


def test_the_table_of_fields_that_are_not_read_is_true() -> None:
    assert [each for each in NOT_READ if each not in FILLED or each[1] in read_anywhere()] == []


def test_the_fields_of_gateways_phones_and_accounts_are_among_them() -> None:
    assert {("RoutingGateway", "ring_timeout_ms"), ("CallerDialect", "nat"), ("Phone", "offline_gateway")} < {*FILLED}
    assert len(FILLED) > 100


def test_a_read_in_a_method_of_another_class_of_that_name_does_not_count() -> None:
    source = inspect.cleandoc("""
        class Other:
            def __init__(self, given):
                self.colour = given.height

            def paint(self):
                return self.colour
    """)
    assert {*names_read(ast.parse(source))} == {"height"}


def test_a_computed_answer_of_the_struct_itself_counts() -> None:
    source = inspect.cleandoc("""
        class Trunk:
            limit: int

            def is_full(self, calls):
                return calls >= self.limit
    """)
    assert "limit" in {*names_read(ast.parse(source))}
