"""A verb of the command line parses, gives an order and prints: what is more stands in the office, or beside it."""

import ast
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
LINES_MAX: Final = 15


PRINTS: Final = ("output.", "writer.row(", "click.")


def long_functions() -> dict[str, ast.FunctionDef | ast.AsyncFunctionDef]:
    """Return the functions of the command line that are longer than a front needs, by file and name."""
    found = {}
    for file in sorted((ROOT / "vosd" / "cli").glob("*.py")):
        for each in ast.walk(ast.parse(file.read_text())):
            if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef):
                body = each.body[1:] if ast.get_docstring(each) is not None else each.body
                if body and (body[-1].end_lineno or 0) - body[0].lineno >= LINES_MAX:
                    found[f"{file.name}: {each.name}"] = each
    return found


def is_verb(function: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    """Return whether a function is a verb itself."""
    handed = {"pass_invocation", "json_verb", "operator_verb", "change_options", "order_options", "_booking_options"}
    return any(ast.unparse(each) in handed for each in function.decorator_list)


def test_no_verb_has_more_lines_than_a_front_needs() -> None:
    assert [name for name, each in long_functions().items() if is_verb(each)] == []


def test_a_long_helper_of_a_verb_is_one_that_prints() -> None:
    """A rule is tested where the office has it, and every front keeps it."""
    printing = {"output.py", "help.py"}
    others = {name: ast.unparse(each) for name, each in long_functions().items() if name.split(":")[0] not in printing}
    assert [name for name, text in others.items() if not any(each in text for each in PRINTS)] == []
