"""The name of a public class has one meaning in the whole program."""

import ast
from collections import defaultdict
from typing import Final

from syntax_nodes import matches

SHARED: Final = {"Request": 2}
"""A request of SIP and one of HTTP. No other name is added."""


def test_no_two_public_classes_share_a_name():
    files = defaultdict(list)
    for file, node in matches(("",), "class "):
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            files[node.name].append(f"{file}:{node.lineno}")
    shared = {name: places for name, places in files.items() if len(places) > 1}
    assert {name: len(places) for name, places in shared.items()} == SHARED, shared
