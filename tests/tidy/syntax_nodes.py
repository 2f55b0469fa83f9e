"""Nodes of the source text of the program, for tests that look for what it must not say."""

import ast
from pathlib import Path

import vosd

ROOT = Path(vosd.__file__).parent


def names_in(node: ast.AST) -> set[str]:
    return {each.id for each in ast.walk(node) if isinstance(each, ast.Name)}


def matches(folders: tuple[str, ...], *words: str):
    """Yield file and node of every node in the files that have one of these words."""
    for folder in folders:
        for path in sorted((ROOT / folder).rglob("*.py")):
            text = path.read_text()
            if any(word in text for word in words):
                file = path.relative_to(ROOT).as_posix()
                for node in ast.walk(ast.parse(text)):
                    yield file, node
