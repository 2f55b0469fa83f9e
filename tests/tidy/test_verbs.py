"""A verb of the command line parses, gives an order and prints: what is more stands in the office, or beside it."""

import ast
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
LINES_MAX: Final = 15


def test_no_verb_has_more_lines_than_a_front_needs() -> None:
    long = {}
    for file in sorted((ROOT / "vosd" / "cli").glob("*.py")):
        for each in ast.walk(ast.parse(file.read_text())):
            if isinstance(each, ast.FunctionDef) and any(
                "pass_invocation" in ast.unparse(d) for d in each.decorator_list
            ):
                body = each.body[1:] if ast.get_docstring(each) is not None else each.body
                lines = body[-1].end_lineno - body[0].lineno + 1
                if lines > LINES_MAX:
                    long[f"{file.name}: {each.name}"] = lines
    assert long == {}
