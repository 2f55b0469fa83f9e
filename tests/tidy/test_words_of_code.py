"""Names of log events, and how docstrings begin."""

import ast
import re
from collections.abc import Iterator

from syntax_nodes import ROOT

LEVELS = {"critical", "debug", "error", "exception", "info", "warning"}
HEADLESS = re.compile(r"(What|Where|How|Who|Whose|Which|The same|Of|Its|Their) ")
"""Openings that need the reader to know what stands elsewhere: a first sentence stands alone."""
HEADLESS_LEFT = 634
"""So many are left: their number only falls."""


def trees() -> Iterator[tuple[str, ast.Module]]:
    for path in sorted(ROOT.rglob("*.py")):
        yield path.relative_to(ROOT).as_posix(), ast.parse(path.read_text())


def documentation() -> Iterator[tuple[str, str]]:
    """Yield docstrings, and the strings behind fields and constants, which say what those are."""
    for file, tree in trees():
        for node in ast.walk(tree):
            if (
                isinstance(node, ast.Expr)
                and isinstance(node.value, ast.Constant)
                and isinstance(node.value.value, str)
            ):
                yield file, node.value.value


def test_an_event_of_the_log_is_a_name() -> None:
    """Programs wait for them, and an engineer searches for them."""
    phrases = [
        f"{file}:{node.lineno}: {node.args[0].value}"
        for file, tree in trees()
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in LEVELS
        and ast.unparse(node.func.value).endswith("log")
        and node.args
        and isinstance(node.args[0], ast.Constant)
        and not re.fullmatch("[a-z][a-z0-9_]*", str(node.args[0].value))
    ]
    assert phrases == []


def test_a_docstring_begins_with_a_verb_or_a_thing() -> None:
    left = [f"{file}: {text.splitlines()[0]}" for file, text in documentation() if HEADLESS.match(text)]
    assert len(left) <= HEADLESS_LEFT, f"reword those that are new: {left}"
