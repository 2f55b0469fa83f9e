"""What would keep the path of a call from being compiled one day (ADR 84), and mypy does not say."""

import ast

from syntax_nodes import matches, names_in

PATH = ("base", "sip", "b2bua", "routing", "callcontrol", "engine")


def test_no_class_is_an_abc():
    """Compiled classes below one would share its cache: ``isinstance`` answers for one what it was asked of another."""
    bases = [
        f"{file}: {node.name}"
        for file, node in matches(PATH, "ABC")
        if isinstance(node, ast.ClassDef) and {"ABC", "ABCMeta"} & names_in(ast.Tuple([*node.bases, *node.keywords]))
    ]
    assert bases == []


def test_an_attribute_that_is_deleted_is_declared_so():
    declared, deleted = set(), {}
    for file, node in matches(PATH, "__deletable__", "del "):
        if isinstance(node, ast.Delete):
            deleted |= {
                each.attr: f"{file}:{node.lineno}: {ast.unparse(node)}"
                for each in node.targets
                if isinstance(each, ast.Attribute)
            }
        elif isinstance(node, ast.Assign) and "__deletable__" in names_in(node.targets[0]):
            declared |= set(ast.literal_eval(node.value))
    assert deleted, "the call deletes its caller"
    assert {where for name, where in deleted.items() if name not in declared} == set()
