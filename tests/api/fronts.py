"""An order given over both fronts, the command line and HTTP: its results and its lines of the audit are the same.

``use_cases``, ``of_operations`` and ``of_verbs`` say which use case of the office is reached by which front: they read
names in the code, so that a new one is noticed that no test knows of.
"""

import hashlib
import inspect
import json
import re
from collections.abc import Callable, Iterator, Mapping
from difflib import unified_diff
from functools import cache
from importlib import import_module
from pkgutil import iter_modules
from types import CodeType, FunctionType
from typing import Any, Final, NamedTuple

import click
from api.watched import Watched
from doubles.api import ADMINISTRATOR
from doubles.documented import operation_at

from vosd.admin import office
from vosd.admin.office.office import NEEDED
from vosd.api.operation import Operation
from vosd.api.operations.definitions import KINDS, path_of
from vosd.api.table import OPERATIONS
from vosd.cli.main import main

Values = Mapping[str, str]
"""Names for one front: ``$NAME`` in a step stands for its value."""
BY_TIME: Final = frozenset(
    {
        *("asked_at", "asked_by", "at", "begins_at", "created", "created_at", "created_by", "from", "made_at"),
        *("operator", "since", "until", "version", "versions", "warnings"),
    }
)
"""Fields of the result of a change that say when it was made, who made it, and how many were before it."""


class Step(NamedTuple):
    """What is ordered or asked by a verb and by a request."""

    verb: str
    """``$FILE`` is a file with ``sheet``."""
    request: str
    """Method and path."""
    body: Any = None
    """JSON; bytes = a file."""
    sheet: str | None = None
    part: Callable[[Any], Any] | None = None
    """Part of the answer over HTTP that the verb prints; None = all of it, or its items."""
    printed: str | None = None
    """Part of what the verb prints that the answer over HTTP is."""
    passing: frozenset[str] = frozenset()
    """Fields that differ by their nature."""
    keeps: Mapping[str, str] = {}
    """Names of values that later steps use, each with its field in the result."""
    before: str | Callable[[Watched], object] = ""
    """Verb or function that comes before it over each front."""
    undo: str = ""
    """Verb that takes it back."""
    changes: bool = True
    """Whether an operation that may change something does, so that the audit has a line."""
    is_refused: bool = False
    """Whether both refuse it: with the same text."""
    file: str | None = None
    """File that the verb writes, with the content that the answer has; ``$DIR`` is a directory for it."""
    accept: str = "application/json"
    token: str = ADMINISTRATOR
    code: int = 0
    """Exit code of the verb."""


class Found(NamedTuple):
    """Outcome of a step over one front."""

    result: Any
    lines: list[dict[str, Any]]
    """Those that it has left in the audit, the oldest first."""


def compare(site: Watched, step: Step, of_verb: dict[str, str], of_request: dict[str, str]) -> None:
    """Take a step over both fronts; fail where they differ."""
    operation = operation_of(step)
    said = f"{step.verb} | {step.request}"
    passing = step.passing | (BY_TIME if operation.is_write else frozenset())
    found = []
    for values, act in ((of_verb, by_verb), (of_request, by_request)):
        if callable(step.before):
            step.before(site)
        elif step.before:
            site.daemon.succeed(*_words(step.before, values))
        last = max((each["id"] for each in site.items("/audit?limit=1")), default=0)
        result = act(site, step, values)
        lines = [each for each in reversed(site.items("/audit?limit=20")) if each["id"] > last]
        for name, field in step.keeps.items():
            values[name] = str(result[field])
        found.append(Found(_steady(result, _named(step, values), passing), lines))
        if step.undo:
            site.daemon.succeed(*_words(step.undo, values))
    verb, request = found
    _expect_equal(_in_order(verb.result), _in_order(request.result), said)
    lines = ([_line(each, _named(step, values)) for each in one.lines]
             for one, values in ((verb, of_verb), (request, of_request)))  # fmt: skip
    _expect_equal(*lines, f"{said}: audit")
    assert [each["means"] for each in (*verb.lines, *request.lines)] == [
        *("terminal" for _ in verb.lines), *("token" for _ in request.lines)
    ], said  # fmt: skip
    has_line = operation.is_write and step.changes and not step.is_refused
    assert verb.lines or not has_line, f"{said}: no line in the audit"


def _expect_equal(of_verb: Any, of_request: Any, said: str) -> None:
    lines = (json.dumps(each, indent=1, sort_keys=True).splitlines() for each in (of_verb, of_request))
    assert of_verb == of_request, "\n".join([said, *unified_diff(*lines, "verb", "HTTP", n=1, lineterm="")])


def operation_of(step: Step) -> Operation:
    """Return the operation of a step."""
    method, path = step.request.split(" ", 1)
    found = operation_at(method, f"/api/v1{path}")
    assert found is not None, step.request
    return found


def by_verb(site: Watched, step: Step, values: Values) -> Any:
    """Return the result of the verb."""
    directory = site.daemon.directory / "of-verbs"
    directory.mkdir(exist_ok=True)
    sheet = directory / "sheet.csv"
    if step.sheet is not None:
        sheet.write_text(_filled(step.sheet, values))
    words = _words(step.verb, {**values, "FILE": str(sheet), "DIR": str(directory)})
    printed = () if step.file is not None else ("--json",)
    done = site.daemon.verb(*words, *printed)
    if step.is_refused:
        assert done.code in {1, 2, 3}, done
        return done.stderr.strip().removeprefix("Error: ")
    assert done.code == step.code, done
    if step.file is not None:
        if step.file == "-":
            return done.stdout.rstrip("\n")
        return _text_of((directory / step.file).read_bytes())
    found = json.loads(done.stdout)
    return found if step.printed is None else found[step.printed]


def by_request(site: Watched, step: Step, values: Values) -> Any:
    """Return the result of the request."""
    method, path = step.request.split(" ", 1)
    body = step.body if isinstance(step.body, bytes) else json.loads(_filled(json.dumps(step.body), values))
    headers = {"Accept": step.accept} | ({"Content-Type": "text/csv"} if isinstance(body, bytes) else {})
    reply = site.api.ask(method, _filled(path, values), body, headers=headers, token=step.token)
    if step.is_refused:
        assert reply.status >= 400, reply
        return reply.json["detail"]
    if reply.status == 202:
        job = site.api.wait_for(reply)
        assert job["state"] == "done", job
        reply = site.api.ask("GET", f"/jobs/{job['id']}/result", headers=headers)
    assert reply.status in {200, 201}, reply.content
    if step.file is not None:
        return _text_of(reply.content)
    found = reply.json
    if isinstance(found, dict) and found.keys() == {"items", "next"}:
        found = found["items"]
    return found if step.part is None else step.part(found)


def _text_of(content: bytes) -> str:
    """Return a file as text; of one that is none its digest."""
    try:
        return content.decode().rstrip("\n")
    except UnicodeDecodeError:
        return hashlib.sha256(content).hexdigest()


def _words(verb: str, values: Values) -> list[str]:
    return [_filled(each, values) for each in verb.split()]


def _filled(text: str, values: Values) -> str:
    for name, value in sorted(values.items(), reverse=True):  # $NAME before $N
        text = text.replace(f"${name}", value)
    return text


def _named(step: Step, values: Values) -> Values:
    """Return the names whose values are not shown: those of the front, in a step about an object of it."""
    said = f"{step.verb} {step.sheet or ''}"
    named = {name for name in values if f"${name}" in said or name in step.keeps}
    return {name: value for name, value in values.items() if name in named or (named and len(value) >= _TELLING)}


_TELLING: Final = 4
"""A shorter value of a name that the step does not have is another thing."""


def _line(found: dict[str, Any], names: Values) -> Any:
    return [_steady(found[key], names, BY_TIME) for key in ("action", "subject", "detail")]


def _steady(found: Any, names: Values, passing: frozenset[str]) -> Any:
    """Return a result without the fields that differ, and with names in the place of their values."""
    if isinstance(found, dict):
        return {_steady(key, names, passing): _steady(value, names, passing)
                for key, value in found.items() if key not in passing}  # fmt: skip
    if isinstance(found, list):
        return [_steady(each, names, passing) for each in found]
    for name, value in names.items():
        if isinstance(found, str):
            found = re.sub(rf"\b{re.escape(value)}\b", f"${name}", found)
        elif str(found) == value:
            found = f"${name}"
    return found


def _in_order(found: Any) -> Any:
    return sorted(found, key=str) if isinstance(found, list) else found


def family(operation: Operation) -> str:
    """Return method and path; all kinds of definitions have the same operations, made by one function."""
    path = operation.path
    for kind in KINDS:
        segment = path_of(kind)
        if operation.fixed.get("kind") == kind and path.startswith(segment):
            path = path.replace(segment, "/KIND", 1)
    return f"{operation.method} {path}"


@cache
def use_cases() -> frozenset[str]:
    """Return every use case of the office, with its module."""
    modules = [import_module(f"{office.__name__}.{each.name}") for each in iter_modules(office.__path__)]
    return frozenset(_name(each) for module in modules for each in vars(module).values() if hasattr(each, NEEDED))


def _name(use_case: Any) -> str:
    return f"{use_case.__module__.rpartition('.')[2]}.{use_case.__name__}"


@cache
def of_operations() -> Mapping[str, frozenset[str]]:
    """Return the use cases that operations reach, by the names of ``family``."""
    found: dict[str, frozenset[str]] = {}
    for each in OPERATIONS:
        runs = (each.run, each.session, each.answer, None if each.long is None else each.long.run)
        reached = frozenset().union(*(_reached(run, set()) for run in runs if run is not None))
        found[family(each)] = found.get(family(each), frozenset()) | reached
    return found


@cache
def of_verbs() -> Mapping[str, frozenset[str]]:
    """Return the use cases that verbs reach, by their words."""
    return {" ".join(words): frozenset(_reached(command.callback, set())) for words, command in _verbs([], main, None)}


def verb_of(step: Step) -> str:
    """Return the words of the verb of a step, without its arguments."""
    words = step.verb.split()
    return next(name for many in (3, 2, 1) if (name := " ".join(words[:many])) in of_verbs())


def _verbs(
    words: list[str], command: click.Command, above: click.Context | None
) -> Iterator[tuple[list[str], click.Command]]:
    if not isinstance(command, click.Group):
        yield words, command
        return
    context = click.Context(command, parent=above)
    for name in command.list_commands(context):
        found = command.get_command(context, name)
        assert found is not None
        yield from _verbs([*words, name], found, context)


def _reached(function: Any, seen: set[Any]) -> set[str]:
    """Return the use cases that a function names, or a function of the fronts that it names."""
    if hasattr(function, NEEDED):
        return {_name(function)}
    function = inspect.unwrap(function)
    if function in seen or not function.__module__.startswith(_FRONTS):
        return set()
    seen.add(function)
    named = [cell.cell_contents for cell in function.__closure__ or ()]
    for code in _codes(function.__code__):
        # Verbs import inside of their functions: the names of modules stand beside those of what comes from them.
        modules = [import_module(name) for name in code.co_names if name.startswith("vosd.")]
        for name in code.co_names:
            named += [function.__globals__.get(name), *(getattr(module, name, None) for module in modules)]
    return set().union(*(_reached(each, seen) for each in named if isinstance(each, FunctionType)))


_FRONTS: Final = ("vosd.api", "vosd.cli", "vosd.wiring.deck_import")
"""Modules whose functions are followed."""


def _codes(code: CodeType) -> Iterator[CodeType]:
    yield code
    for each in code.co_consts:
        if isinstance(each, CodeType):
            yield from _codes(each)
