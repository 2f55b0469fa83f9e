"""Plant faults in the core rooms one by one, run the tests of the room, and list the faults that no test finds.

    cd tests && python -m planted routing billing --faults 40 --seed 7
    cd tests && python -m planted billing --file ../vosd/billing/spending.py

A fault is another operator, another constant or a statement left out, in a function: the tests of the rooms are
collected once, which of them call which functions is recorded once, and each fault is planted in a fork of that
process, which runs the tests that call the function until the first failure. Faults outside of functions
(``--outside``) are planted in a copy of the package, for which all tests start afresh. A fault that survives is either
equivalent (a bound of a cache, an order that nothing sees) or needs a test.
"""

import argparse
import ast
import builtins
import gc
import importlib
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from copy import deepcopy
from functools import cache
from pathlib import Path
from types import CodeType, FunctionType
from typing import IO, Final, NamedTuple

import pytest

ROOT: Final = Path(__file__).resolve().parents[1]
_RATES: Final = (
    "tests/unit/config/test_compiled_rates.py",
    "tests/unit/config/test_config_rate_files.py",
    "tests/property/test_rate_sorting.py",
)
"""They hold the files of rates, which are made from configurations."""
ROOMS: Final = {
    "routing": (
        ("vosd/routing",),
        (
            "tests/unit/routing",
            "tests/unit/config/test_config_special_numbers.py",
            "tests/golden",
            "tests/unit/b2bua",
            "tests/unit/engine/test_numbers_of_calls.py",
            "tests/property/test_number_rules.py",
        ),
    ),
    "billing": (
        ("vosd/billing",),
        (
            "tests/unit/billing",
            *_RATES,
            "tests/golden",
            "tests/unit/admin",
            "tests/unit/engine/test_charged_from_the_invite.py",
            "tests/property/test_call_hold_model.py",
            "tests/property/test_billing_holds.py",
            "tests/property/test_billing_rater.py",
            "tests/property/test_rate_compilation.py",
        ),
    ),
    "callcontrol": (
        ("vosd/callcontrol",),
        ("tests/unit/callcontrol", "tests/unit/admin", "tests/unit/b2bua", "tests/unit/engine"),
    ),
    "b2bua": (("vosd/b2bua",), ("tests/unit/b2bua", "tests/property/test_call_snapshots.py")),
    "transaction": (("vosd/sip/transaction", "vosd/sip/dialog"), ("tests/unit/sip", "tests/unit/b2bua")),
    "cdr": (
        ("vosd/cdr",),
        (
            "tests/unit/cdr",
            "tests/property/test_retention_plans.py",
            "tests/property/test_masked_text.py",
            "tests/unit/storage",
        ),
    ),
}
"""Directories of each room, and the tests that hold it, the quickest first."""
LONGEST_S: Final = 600
"""A fault that keeps the tests busy for longer, such as an endless loop, is found."""
LONGEST_TEST_S: Final = 20
"""Longest time of a single test in a fork, in processor time."""
_NOTE: Final = "note_call_of_planted"
FOUND: Final = "found"
SURVIVED: Final = "survived"
UNTESTED: Final = "no test calls it"
NOT_PLANTED: Final = "to be planted by hand"
"""The function would have another variable of an outer one, such as the class that ``super()`` needs."""
_NOT_PLANTED: Final = 100
_COMPARISONS: Final[dict[type[ast.cmpop], type[ast.cmpop]]] = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.In: ast.NotIn, ast.NotIn: ast.In,
}  # fmt: skip
_ARITHMETIC: Final[dict[type[ast.operator], type[ast.operator]]] = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.FloorDiv, ast.FloorDiv: ast.Mult, ast.Mod: ast.Mult,
    ast.BitOr: ast.BitAnd, ast.BitAnd: ast.BitOr,
}  # fmt: skip


class Place(NamedTuple):
    """A function of a module."""

    file: str
    function: str


class Fault(NamedTuple):
    """One change of one module."""

    file: Path
    line: int
    what: str
    number: int
    """Place of the node among those of the module."""
    variant: ast.AST
    """Text that stands in its place."""
    function: str | None
    """The qualified name of the function in which it stands, without functions inside of functions."""

    @property
    def place(self) -> Place:
        """Line at which it is planted."""
        return Place(str(self.file), self.function or "")

    def text(self) -> str:
        """Return the whole module with the fault."""
        tree = ast.parse(_source(self.file))
        place = next(each for number, each in enumerate(ast.walk(tree)) if number == self.number)
        _replace(tree, place, self.variant)
        return ast.unparse(ast.fix_missing_locations(tree))


@cache
def _source(file: Path) -> str:
    """Return the text of a module as it was when it was first needed: it may be edited meanwhile."""
    return file.read_text()


def faults_of(file: Path) -> Iterator[Fault]:
    """Yield every fault that can be planted in a module."""
    tree = ast.parse(_source(file))
    annotations = {id(part) for whole in _annotations(tree) for part in ast.walk(whole)}
    functions = {id(part): name for name, node in _functions(tree) for whole in node.body for part in ast.walk(whole)}
    for number, node in enumerate(ast.walk(tree)):
        if id(node) not in annotations:
            for variant, what in _variants(node):
                yield Fault(file, getattr(node, "lineno", 0), what, number, variant, functions.get(id(node)))


def _functions(scope: ast.AST, prefix: str = "") -> Iterator[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef]]:
    """Yield every function that is not inside of another one, by its qualified name."""
    for node in ast.iter_child_nodes(scope):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield f"{prefix}{node.name}", node
        else:
            yield from _functions(node, f"{prefix}{node.name}." if isinstance(node, ast.ClassDef) else prefix)


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


class Planter:
    """Plugin of pytest that plants faults in forks of the process that has collected the tests."""

    def __init__(self, faults: list[Fault], out: IO[str]) -> None:
        self._faults = faults
        self._out = out
        self._functions: dict[Place, list[FunctionType]] = defaultdict(list)
        self._tests: dict[Place, list[pytest.Item]] = defaultdict(list)
        """Which tests call a function, the quickest first."""
        self._failed = False

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note a failure."""
        self._failed |= report.failed

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Plant the faults instead of running the tests once."""
        places = {fault.place for fault in self._faults}
        for fault in self._faults:  # Some are imported late.
            importlib.import_module(".".join(fault.file.relative_to(ROOT).with_suffix("").parts))
        gc.unfreeze()
        for function in gc.get_objects():
            if type(function) is FunctionType:
                place = Place(function.__code__.co_filename, function.__code__.co_qualname)
                if place in places:
                    self._functions[place].append(function)
        gc.freeze()
        self._record(session.items)
        for number, fault in enumerate(self._faults):
            print(number, self._judge(fault), file=self._out, flush=True)
        return True

    def _record(self, items: list[pytest.Item]) -> None:
        """Record which tests call the functions; those that fail without a fault are left out."""
        reading, writing = os.pipe()
        if not os.fork():
            os.close(reading)
            _mute(1, 2)
            called: set[Place] = set()
            builtins.__dict__[_NOTE] = called.add
            for place in self._functions:
                self._put(place, _noting(place))
            with os.fdopen(writing, "w") as out:
                for number, item in enumerate(items):
                    called.clear()
                    self._failed = False
                    began = time.process_time()
                    self._run(item)
                    for place in () if self._failed else called:
                        print(time.process_time() - began, number, *place, sep="\t", file=out)
            os._exit(0)
        os.close(writing)
        with os.fdopen(reading) as lines:
            rows = [line.rstrip("\n").split("\t") for line in lines]
        os.wait()
        for _, number, file, name in sorted(rows, key=lambda row: float(row[0])):
            self._tests[Place(file, name)].append(items[int(number)])

    def _judge(self, fault: Fault) -> str:
        """Return whether a test fails in a fork that has the fault."""
        tests = self._tests[fault.place]
        if not tests:
            return UNTESTED
        if not os.fork():
            _mute(1, 2)
            try:
                self._put(fault.place, fault.text())
            except ValueError:  # A variable of an outer function more or less.
                os._exit(_NOT_PLANTED)
            for item in tests:
                self._run(item)
                if self._failed:
                    break
            os._exit(self._failed)
        ended = os.waitstatus_to_exitcode(os.wait()[1])
        return NOT_PLANTED if ended == _NOT_PLANTED else FOUND if ended else SURVIVED

    def _put(self, place: Place, text: str) -> None:
        """Give a function the code that it has in another text of its module."""
        codes = (each for each in _codes(compile(text, place.file, "exec")) if each.co_qualname == place.function)
        lines = sorted({function.__code__.co_firstlineno for function in self._functions[place]})
        by_line = dict(zip(lines, codes, strict=True))  # a property has a function of its name to be set
        for function in self._functions[place]:
            function.__code__ = by_line[function.__code__.co_firstlineno]

    @staticmethod
    def _run(item: pytest.Item) -> None:
        signal.setitimer(signal.ITIMER_PROF, LONGEST_TEST_S)  # Ends the process, by its own time.
        item.config.hook.pytest_runtest_protocol(item=item, nextitem=None)
        signal.setitimer(signal.ITIMER_PROF, 0)


def _noting(place: Place) -> str:
    """Return a module in which a function notes that it is called."""
    tree = ast.parse(_source(Path(place.file)))
    for name, node in _functions(tree):
        if name == place.function:
            node.body[:0] = ast.parse(f"{_NOTE}({tuple(place)!r})").body
    return ast.unparse(ast.fix_missing_locations(tree))


def _codes(code: CodeType) -> Iterator[CodeType]:
    """Yield the code of every function of a module."""
    for each in code.co_consts:
        if isinstance(each, CodeType):
            yield each
            yield from _codes(each)


def _mute(*numbers: int) -> None:
    """Keep what tests print away from what this program prints."""
    for number in numbers:
        os.dup2(os.open(os.devnull, os.O_WRONLY), number)


def in_forks(faults: list[Fault], tests: tuple[str, ...]) -> Iterator[tuple[Fault, str]]:
    """Yield what forks say of every fault; they are forks of a process that has the tests of this room alone."""
    reading, writing = os.pipe()
    if not os.fork():
        os.chdir(ROOT)
        _mute(1)
        with os.fdopen(writing, "w") as out:
            os._exit(pytest.main(["-q", "-s", "-p", "no:cacheprovider", *tests], plugins=[Planter(faults, out)]))
    os.close(writing)
    with os.fdopen(reading) as lines:
        for line in lines:
            number, verdict = line.rstrip("\n").split(maxsplit=1)
            yield faults[int(number)], verdict
    if os.wait()[1]:
        raise SystemExit("the tests cannot be run")


def in_a_copy(directory: Path, faults: list[Fault], tests: tuple[str, ...]) -> Iterator[tuple[Fault, str]]:
    """Yield what the tests say of every fault; they start afresh each time, with a copy of the package."""
    for name in ("vosd", "tests", "config", "docs", "migrations"):
        shutil.copytree(ROOT / name, directory / name)
    shutil.copy(ROOT / "pyproject.toml", directory)
    if not _pass(directory, tests):
        raise SystemExit("the tests fail without a fault")
    for fault in faults:
        file = directory / fault.file.relative_to(ROOT)
        whole = file.read_text()
        file.write_text(fault.text())
        yield fault, SURVIVED if _pass(directory, tests) else FOUND
        file.write_text(whole)


def _pass(directory: Path, tests: tuple[str, ...]) -> bool:
    """Return whether all tests pass in a directory."""
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *tests]
    environment = {**os.environ, "PYTHONPATH": str(directory), "PYTHONDONTWRITEBYTECODE": "1"}
    try:
        ended = subprocess.run(
            command, cwd=directory, env=environment, capture_output=True, timeout=LONGEST_S, check=False
        )
    except subprocess.TimeoutExpired:
        return False
    return ended.returncode == 0


def main() -> int:
    """Plant faults and print the survivors."""
    parser = argparse.ArgumentParser(prog="python -m planted", description=__doc__, formatter_class=_Plain)
    parser.add_argument("rooms", nargs="*", metavar="ROOM", help=f"one of {', '.join(ROOMS)}; default: all")
    parser.add_argument("--faults", type=int, default=20, help="how many in each room")
    parser.add_argument("--seed", type=int, default=0, help="which ones")
    parser.add_argument("--outside", action="store_true", help="those outside of functions, in a copy of the package")
    parser.add_argument("--file", type=Path, help="all faults of one module of a room instead")
    parser.add_argument("--tests", nargs="*", help="other tests than those of the rooms")
    arguments = parser.parse_args()
    chosen = []
    rooms = arguments.rooms or list(ROOMS)
    for room in rooms:
        every = sorted(file for folder in ROOMS[room][0] for file in (ROOT / folder).rglob("*.py"))
        found = [
            fault
            for file in ([arguments.file.resolve()] if arguments.file else every)
            for fault in faults_of(file)
            if (fault.function is None) is arguments.outside
        ]
        chosen += found if arguments.file else random.Random(arguments.seed).sample(found, arguments.faults)
        _say(f"{room}: {arguments.faults} faults of {len(found)}")
    tests = tuple(arguments.tests or dict.fromkeys(test for room in rooms for test in ROOMS[room][1]))
    with tempfile.TemporaryDirectory(prefix="planted-") as directory:
        verdicts = in_a_copy(Path(directory), chosen, tests) if arguments.outside else in_forks(chosen, tests)
        counts = Counter[str]()
        for fault, verdict in verdicts:
            counts[verdict] += 1
            if verdict != FOUND:
                _say(f"{fault.file.relative_to(ROOT)}:{fault.line}: {verdict}: {fault.what}")
    _say(", ".join(f"{count} {verdict}" for verdict, count in counts.items()))
    return 0


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


class _Plain(argparse.RawDescriptionHelpFormatter):
    """Help as it is written."""


if __name__ == "__main__":
    sys.exit(main())
