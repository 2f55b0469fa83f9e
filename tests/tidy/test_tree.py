"""The tree keeps the rules of CONTRIBUTING.md, as far as a program can see it."""

import ast
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
FOLDERS: Final = ("vosd", "tests", "bench", "migrations", "config", "docs", "scripts", "systemd", ".ci")
TEXTS: Final = {".py", ".md", ".yaml", ".xml", ".toml", ".txt", ".csv", ".mako", ".service", ""}

MEDIAN_MAX: Final = 150
NINE_OF_TEN_MAX: Final = 350
"""A file is as long as its one purpose: what is watched is how long files are as a rule, in lines."""
PUBLIC_METHODS_MAX: Final = 30
"""Most public methods of a class (ADR 177)."""

SHAPELESS: Final = re.compile(r"(^|_)(utils?|helpers?|managers?|misc|common|stuff)(_|$)")
FIELDS_OWN: Final = {"tests/doubles/service_manager.py"}
"""systemd calls itself so."""

FOREIGN: Final = re.compile(
    r"/work/|/home/|/root/|/tmp/|pypi\.org|files\.pythonhosted|--index-url"  # one machine's paths and hosts
    r"|\b(issues? (point|\d)|TODO|FIXME|XXX|HACK)\b"
)


@cache
def sources(folder: str) -> Sequence[Path]:
    return [path for path in (ROOT / folder).rglob("*.py") if "__pycache__" not in path.parts]


@cache
def text_of(path: Path) -> str:
    return path.read_text(errors="surrogateescape")


def texts() -> Iterator[Path]:
    files = (path for folder in FOLDERS for path in (ROOT / folder).rglob("*"))
    for path in (*files, *ROOT.glob("*.md"), *ROOT.glob("*.t*"), ROOT / "Makefile"):
        if path.is_file() and path.suffix in TEXTS and path.parent != Path(__file__).parent:
            yield path


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def test_files_are_as_a_rule_as_long_as_a_reader_can_hold():
    lengths = sorted((len(text_of(path).splitlines()), name_of(path)) for path in sources("vosd"))
    assert "vosd/engine/calls/switch.py" in {name for _, name in lengths}
    longest = [f"{lines} {name}" for lines, name in reversed(lengths[-10:])]
    assert lengths[len(lengths) // 2][0] <= MEDIAN_MAX, longest
    assert lengths[len(lengths) * 9 // 10][0] <= NINE_OF_TEN_MAX, longest


def test_no_class_has_more_public_methods_than_a_reader_can_hold():
    methods: Counter[str] = Counter()
    for path in sources("vosd"):
        name: str | None = None
        for line in text_of(path).splitlines():
            if found := re.match(r"class (\w+)|(?=\w)", line):
                name = found[1]
            elif name and re.match(r"    (async )?def [a-z]", line):
                methods[f"{name_of(path)} {name}"] += 1
    assert max(methods.values()) == PUBLIC_METHODS_MAX, methods.most_common(5)


def test_every_module_is_named_for_what_it_holds():
    shapeless = {name_of(path) for folder in FOLDERS for path in sources(folder) if SHAPELESS.search(path.stem)}
    assert shapeless == FIELDS_OWN


def test_every_module_says_what_it_is():
    silent = [path for folder in ("vosd", "tests") for path in sources(folder) if _is_silent(path)]
    assert [name_of(path) for path in silent] == []


def _is_silent(path: Path) -> bool:
    text = text_of(path)
    if text.startswith('"""'):
        return False
    module = ast.parse(text)
    return bool(module.body) and ast.get_docstring(module) is None


def test_every_package_has_a_docstring_to_open_with():
    packages = [path for path in (ROOT / "vosd").rglob("__init__.py") if "__pycache__" not in path.parts]
    assert len(packages) > 15
    assert [name_of(path) for path in packages if not text_of(path).startswith('"""')] == []


def test_the_tree_names_itself_alone():
    read = {name_of(path): text_of(path) for path in texts()}
    assert {"README.md", "Makefile", "pyproject.toml", "vosd/engine/calls/switch.py", "docs/operations.md"} <= set(read)
    assert {name: found[0] for name, text in read.items() if (found := FOREIGN.search(text))} == {}


def test_what_a_check_is_told_to_overlook_has_a_name_and_a_reason():
    """A bare ``noqa`` overlooks everything; one with a code and no reason will be there for ever."""
    bare = [
        f"{name_of(path)}: {line.strip()}"
        for path in sources("vosd")
        for line in text_of(path).splitlines()
        if ("noqa" in line and not re.search(r"noqa: [A-Z]+\d+ ", line) and "ARG002" not in line)
        or ("type: ignore" in line and not re.search(r"type: ignore\[[a-z-]+\]", line))
    ]
    assert bare == []


def test_no_test_sleeps():
    """``sleep(0)`` lets other tasks run; waiting for a condition is ``tests/e2e/conditions.py``'s.

    Programs of others are asked again and again until they answer.
    """
    asking = ("tests/e2e/conditions.py", "tests/doubles/process/", "tests/doubles/sockets/")
    sleeping = [
        f"{name_of(path)}: {line.strip()}"
        for path in sources("tests")
        if path.parent != Path(__file__).parent and not name_of(path).startswith(asking)
        for line in text_of(path).splitlines()
        if re.search(r"\bsleep\((?!0\)|seconds)", line)
    ]
    assert sleeping == []


def test_every_test_asserts_something():
    idle = [
        f"{name_of(path)}: {function.name}"
        for path in sources("tests")
        if not all(_says_assert(each[0]) for each in TEST.finditer(text_of(path)))
        for function in _tests_in(ast.parse(text_of(path)))
        if not _judges(function)
    ]
    assert idle == []


TEST: Final = re.compile(r"^( *)(?:async )?def test_.*(?:\n(?:\1[ )].*)?$)*", re.MULTILINE)
"""A function up to the first line that is not indented further; one with a text at the margin is cut there."""


def _says_assert(test: str) -> bool:
    """Return whether a line of a test begins with assert: most do, and need no look at their syntax."""
    return re.search(r"^ +assert ", test, re.MULTILINE) is not None


def _tests_in(room: ast.Module | ast.ClassDef) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in room.body:
        if isinstance(node, ast.ClassDef):
            yield from _tests_in(node)
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
            yield node


def _judges(test: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    """Return whether a test asserts, expects an exception, or calls what asserts or would never return."""
    for node in ast.walk(test):
        if isinstance(node, ast.Assert):
            return True
        if isinstance(node, ast.Call):
            function = node.func
            called = getattr(function, "attr", None) or getattr(function, "id", "")
            if called == "raises" or re.match(r"_?(assert|expect|check)|drained", called):
                return True
    return False


def test_no_two_test_files_are_one_module():
    """Outside packages pytest knows a file by its name alone, and the whole suite stops at the second of a name."""
    names = Counter(
        path.name
        for path in sources("tests")
        if path.name.startswith("test_") and not (path.parent / "__init__.py").exists()
    )
    assert [name for name, count in names.items() if count > 1] == []
