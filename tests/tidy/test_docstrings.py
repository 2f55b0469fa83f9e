"""A docstring names a thing or says what is done, and stands alone: ever fewer open with a relative clause."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
RELATIVE: Final = re.compile(r"(What|Where|How|Who|Whose|Which|The same|Of|Its|Their|Those)\b")
OPENS: Final = re.compile(rf"[\"'](?:\\n|\\\n|\s)*{RELATIVE.pattern}")
"""Texts that may be such docstrings; most files have none and are not parsed."""
KNOWN: Final = 0
"""Most docstrings that may open so. The number only falls."""


def relative_openings() -> Iterator[str]:
    for path in sorted((ROOT / "vosd").rglob("*.py")):
        source = path.read_text()
        for node in ast.walk(ast.parse(source)) if OPENS.search(source) else ():
            match node:
                case ast.Expr(value=ast.Constant(value=str(text))) if RELATIVE.match(text.strip()):
                    yield f"{path.relative_to(ROOT)}:{node.lineno}: {text.strip().splitlines()[0]}"


def test_ever_fewer_docstrings_open_with_a_relative_clause():
    found = list(relative_openings())
    assert len(found) <= KNOWN, "\n".join(found)
