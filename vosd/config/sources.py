"""Texts that stand in the source of the program alone: what is written below the fields of a class."""

import ast
import inspect
import textwrap
from itertools import pairwise
from threading import Lock
from types import ModuleType
from typing import Final

_ALONE: Final = Lock()
"""Python 3.11.2, which Debian 12 has, counts the depth of a tree for all threads together: of two that make one at the
same time, one fails with ``SystemError``."""


def statements_of(source: type | ModuleType) -> list[ast.stmt]:
    """Return the statements of a module, or the definition of a class."""
    with _ALONE:
        return ast.parse(textwrap.dedent(inspect.getsource(source))).body


def texts_below(definition: ast.ClassDef) -> dict[str, str]:
    """Return the text below each field of a class that has one."""
    found: dict[str, str] = {}
    for field, text in pairwise(definition.body):
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name):
            match text:
                case ast.Expr(ast.Constant(str(value))):
                    found[field.target.id] = inspect.cleandoc(value)
    return found
