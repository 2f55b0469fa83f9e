"""Plant faults in the core rooms one by one, run the unit tests of the room, and list the faults that no test finds.

    cd tests && python -m planted routing billing --faults 40 --seed 7
    cd tests && python -m planted --file ../vosd/billing/spending.py

A fault is another operator, another constant or a statement left out; it is planted in a copy of the package, never in
the tree. Run by hand: each fault costs a run of the room's tests until the first failure. A fault that survives is
either equivalent (a bound of a cache, an order that nothing sees) or needs a test.
"""

import argparse
import ast
import os
import random
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Final, NamedTuple

ROOT: Final = Path(__file__).resolve().parents[1]
_RATES: Final = (
    "tests/unit/config/test_compiled_rates.py",
    "tests/unit/config/test_config_rate_files.py",
    "tests/property/test_rate_sorting.py",
)
"""They hold the files of rates, which are made from configurations."""
ROOMS: Final = {
    "routing": (
        "vosd/routing",
        ("tests/unit/routing", "tests/unit/config/test_config_special_numbers.py", "tests/golden", "tests/unit/b2bua"),
    ),
    "billing": ("vosd/billing", ("tests/unit/billing", *_RATES, "tests/golden")),
    "callcontrol": ("vosd/callcontrol", ("tests/unit/callcontrol", "tests/unit/admin", "tests/unit/b2bua")),
    "b2bua": ("vosd/b2bua", ("tests/unit/b2bua",)),
    "transaction": ("vosd/sip/transaction", ("tests/unit/sip", "tests/unit/b2bua")),
    "cdr": ("vosd/cdr", ("tests/unit/cdr", "tests/property/test_retention_plans.py", "tests/unit/storage")),
}
"""Directory of each room, and the tests that hold it, the quickest first."""
LONGEST_S: Final = 600
"""A fault that keeps the tests busy for longer, such as an endless loop, is found."""
_COMPARISONS: Final[dict[type[ast.cmpop], type[ast.cmpop]]] = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.In: ast.NotIn, ast.NotIn: ast.In,
}  # fmt: skip
_ARITHMETIC: Final[dict[type[ast.operator], type[ast.operator]]] = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.FloorDiv, ast.FloorDiv: ast.Mult, ast.Mod: ast.Mult,
    ast.BitOr: ast.BitAnd, ast.BitAnd: ast.BitOr,
}  # fmt: skip


class Fault(NamedTuple):
    """One change of one module."""

    file: Path
    line: int
    what: str
    text: str
    """The whole module with the fault."""


def faults_of(file: Path) -> Iterator[Fault]:
    """Yield every fault that can be planted in a module."""
    tree = ast.parse(file.read_text())
    annotations = {id(part) for whole in _annotations(tree) for part in ast.walk(whole)}
    for number, node in enumerate(ast.walk(tree)):
        if id(node) in annotations:
            continue
        for variant, what in _variants(node):
            changed = deepcopy(tree)
            place = next(each for index, each in enumerate(ast.walk(changed)) if index == number)
            _replace(changed, place, variant)
            yield Fault(file, getattr(node, "lineno", 0), what, ast.unparse(ast.fix_missing_locations(changed)))


def _annotations(tree: ast.AST) -> Iterator[ast.AST]:
    """Yield the annotations of a module: nothing runs by them."""
    for node in ast.walk(tree):
        for whole in (getattr(node, "annotation", None), getattr(node, "returns", None)):
            if whole is not None:
                yield whole


def _variants(node: ast.AST) -> Iterator[tuple[ast.AST, str]]:
    """Yield what may stand in place of a node, and what that is."""
    if isinstance(node, ast.Compare) and type(node.ops[0]) in _COMPARISONS:
        variant = deepcopy(node)
        variant.ops[0] = _COMPARISONS[type(node.ops[0])]()
        yield variant, f"{ast.unparse(node)} -> {ast.unparse(variant)}"
    elif isinstance(node, ast.BinOp | ast.AugAssign) and type(node.op) in _ARITHMETIC:
        changed = deepcopy(node)
        changed.op = _ARITHMETIC[type(node.op)]()
        yield changed, f"{ast.unparse(node)} -> {ast.unparse(changed)}"
    elif isinstance(node, ast.BoolOp):
        either = deepcopy(node)
        either.op = ast.Or() if isinstance(node.op, ast.And) else ast.And()
        yield either, f"{ast.unparse(node)} -> {ast.unparse(either)}"
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        yield deepcopy(node.operand), f"{ast.unparse(node)} without not"
    elif isinstance(node, ast.Constant) and isinstance(node.value, bool | int):
        value = not node.value if isinstance(node.value, bool) else node.value + 1
        yield ast.Constant(value), f"{node.value} -> {value}"
    if isinstance(node, ast.stmt) and _can_be_left_out(node):
        yield ast.Pass(), f"without {ast.unparse(node)}"


def _can_be_left_out(node: ast.stmt) -> bool:
    """Return whether a statement is a call, or changes an attribute or an item; without a name nothing would run."""
    if isinstance(node, ast.Expr):
        return isinstance(node.value, ast.Call)
    if isinstance(node, ast.Assign | ast.Delete):
        return all(isinstance(each, ast.Attribute | ast.Subscript) for each in node.targets)
    return isinstance(node, ast.AugAssign) and isinstance(node.target, ast.Attribute | ast.Subscript)


def _replace(tree: ast.AST, place: ast.AST, variant: ast.AST) -> None:
    """Put a variant in place of a node of the tree."""
    for parent in ast.walk(tree):
        for name, value in ast.iter_fields(parent):
            if value is place:
                setattr(parent, name, variant)
                return
            if isinstance(value, list) and any(each is place for each in value):
                value[:] = [variant if each is place else each for each in value]
                return


class Copy:
    """A copy of the package and its tests in which faults are planted."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        for name in ("vosd", "tests", "config", "docs", "migrations"):
            shutil.copytree(ROOT / name, directory / name, ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy(ROOT / "pyproject.toml", directory)

    def passes(self, tests: tuple[str, ...]) -> bool:
        """Return whether all tests pass."""
        command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *tests]
        environment = {**os.environ, "PYTHONPATH": str(self._directory), "PYTHONDONTWRITEBYTECODE": "1"}
        try:
            ended = subprocess.run(
                command, cwd=self._directory, env=environment, capture_output=True, timeout=LONGEST_S, check=False
            )
        except subprocess.TimeoutExpired:
            return False
        return ended.returncode == 0

    def survives(self, fault: Fault, tests: tuple[str, ...]) -> bool:
        """Return whether no test finds a fault."""
        file = self._directory / fault.file.relative_to(ROOT)
        whole = file.read_text()
        file.write_text(fault.text)
        try:
            return self.passes(tests)
        finally:
            file.write_text(whole)


def main() -> int:
    """Plant faults and print the survivors."""
    parser = argparse.ArgumentParser(prog="python -m planted", description=__doc__, formatter_class=_Plain)
    parser.add_argument("rooms", nargs="*", metavar="ROOM", help=f"one of {', '.join(ROOMS)}; default: all")
    parser.add_argument("--faults", type=int, default=20, help="how many in each room")
    parser.add_argument("--seed", type=int, default=0, help="which ones")
    parser.add_argument("--file", type=Path, help="all faults of one module of a room instead")
    parser.add_argument("--tests", nargs="*", help="other tests than those of the room")
    arguments = parser.parse_args()
    survivors = 0
    with tempfile.TemporaryDirectory(prefix="planted-") as directory:
        copy = Copy(Path(directory))
        for room in arguments.rooms or ROOMS:
            folder, tests = ROOMS[room]
            tests = tuple(arguments.tests or tests)
            files = [arguments.file.resolve()] if arguments.file else sorted((ROOT / folder).rglob("*.py"))
            found = [fault for file in files for fault in faults_of(file)]
            chosen = found if arguments.file else random.Random(arguments.seed).sample(found, arguments.faults)
            if not copy.passes(tests):
                _say(f"{room}: its tests fail without a fault")
                return 2
            for fault in chosen:
                if copy.survives(fault, tests):
                    survivors += 1
                    _say(f"{fault.file.relative_to(ROOT)}:{fault.line}: {fault.what}")
            _say(f"{room}: {len(chosen)} faults of {len(found)}")
    _say(f"{survivors} survived")
    return 0


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


class _Plain(argparse.RawDescriptionHelpFormatter):
    """Help as it is written."""


if __name__ == "__main__":
    sys.exit(main())
