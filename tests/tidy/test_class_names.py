"""The name of a public class has one meaning in the whole program, and those of its fields hide none that it needs."""

import ast
import re
from collections import defaultdict
from typing import Final

from syntax_nodes import ROOT, matches, names_in

CLASS: Final = re.compile(r"^ *class ([A-Z]\w*)", re.MULTILINE)
"""The beginning of a public class: the whole tree of the syntax would take seconds."""


def test_no_two_public_classes_share_a_name():
    files = defaultdict(list)
    for path in sorted(ROOT.rglob("*.py")):
        for name in CLASS.findall(path.read_text()):
            files[name].append(path.relative_to(ROOT).as_posix())
    assert len(files) > 1_000
    shared = {name: places for name, places in files.items() if len(places) > 1}
    assert shared == {}


def test_no_field_has_the_name_that_an_annotation_of_its_class_has():
    """Python 3.14 evaluates annotations when they are asked for, with the class's own names before the module's."""
    shadowed = []
    for file, node in matches(("",), "Annotated["):
        if isinstance(node, ast.ClassDef):
            fields = [each for each in node.body if isinstance(each, ast.AnnAssign)]
            own = {name for each in fields for name in names_in(each.target)}
            shadowed += [(file, node.name, name) for each in fields for name in names_in(each.annotation) & own]
    assert shadowed == []
