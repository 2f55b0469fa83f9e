"""The name of a public class has one meaning in the whole program."""

import ast
from collections import defaultdict

from syntax_nodes import matches


def test_no_two_public_classes_share_a_name():
    files = defaultdict(list)
    for file, node in matches(("",), "class "):
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            files[node.name].append(f"{file}:{node.lineno}")
    shared = {name: places for name, places in files.items() if len(places) > 1}
    assert shared == {}
