"""Sentences that the switch says to people, as templates from its source: ``{0}`` stands for what it fills in.

They are the texts of errors, of refusals and of reasons: the arguments of calls that say something, and all texts of
modules that hold little else. What is written for the terminal, for logs and for programs is none of them.
"""

import ast
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from itertools import product
from pathlib import Path
from typing import Final

VOSD: Final = Path(__file__).parents[2] / "vosd"
ROOMS: Final = (
    "admin", "api", "base", "billing", "callcontrol", "catalogue", "cdr", "clearing", "config", "control", "daemon",
    "engine",
    "invoicing", "media", "net", "obs", "routing", "stir", "storage", "traffic", "trunks", "wiring",
)  # fmt: skip
DEFECTS: Final = frozenset(
    {
        "AssertionError", "BadReplyError", "BrokenLineError", "ConnectionError", "ControlSocketError",
        "DamagedRateFileError", "EOFError", "JournalUnusableError", "KeyError", "LeaseHeld", "ListenerUnusableError",
        "NoSnapshotError", "NotImplementedError", "OSError", "QuarantineError", "RuntimeError", "SilentError",
        "StateDirectoryError", "StepOutOfOrderError", "StopIteration", "TimeoutError", "TypeError", "UnusualError",
        "UnusualWorkbookError", "ValueError",
    }
)  # fmt: skip
"""Errors of the program or the machine, of the start, and those that only code reads."""
SPOKEN: Final = frozenset({"Error", "VosError", "RequestError", "CommandError", "ExpectedError"})
"""Errors whose subclasses are said, whatever they are called."""
SAYERS: Final = frozenset(
    {
        "AccessDecision", "Advice", "BulkMistake", "ControlFailure", "DefinitionProblem", "FoundRows", "FromText",
        "InvoiceRunSheet", "LeftOut", "Loss", "MissingOfMonth", "Mistake", "NamedFirst", "PartnerOutcome",
        "PriceExplanation", "RoundingProblem",
        "Refusal", "SuccessorReport", "SwitchReadiness", "TakenChange", "TrialStep", "Unanswered", "_Unreadable",
        "_await_calls", "_bad", "_choice", "_failed", "_note_away", "_of_seconds", "_proof", "_refuse",
        "_replacements", "_text", "_texts", "_without_invoice", "add_note", "because", "check_there", "gap", "note",
        "outdated", "problem", "text_where", "unknown",
    }
)  # fmt: skip
"""Calls that say what they are given."""
WHOLE: Final = (
    "admin/advice.py", "admin/bilateral_totals.py", "admin/bill_comparison.py", "admin/differences.py",
    "admin/rating.py", "admin/why.py", "admin/office/payment_file.py",
    "admin/office/why.py", "admin/trunk_messages.py", "api/feed.py", "api/jobs.py",
    "base/money.py", "base/passwords.py", "billing/destinations.py", "billing/sections.py", "callcontrol/explain.py",
    "callcontrol/media_outlook.py", "catalogue/doubtful_calendars.py", "catalogue/losses.py",
    "catalogue/overrides.py", "catalogue/problems.py", "clearing/bilateral.py", "clearing/explanations.py",
    "config/parameter_sheets.py", "control/wire.py", "daemon/metrics/readings.py", "daemon/nightly.py",
    "daemon/reload.py", "engine/peers/gateways.py", "obs/remedies.py", "routing/access.py", "routing/breaker.py",
    "routing/calendar.py", "routing/dynamic_lists.py", "routing/number_rules.py", "routing/routes.py",
    "routing/sections.py", "storage/faults.py",
)  # fmt: skip
"""Modules all of whose texts are said, but those that logs, patterns and types have."""
UNSAID: Final = frozenset(
    {"compile", "exec_driver_sql", "execute", "text", "cast", "TypeVar", "match", "Thread", "kept_going"}
)
"""Calls whose texts are none of a sentence."""
COMMAND: Final = re.compile(r"(vosd|sha256sum)( [a-z-]+){1,3}( ?(--?[a-z-]+( [a-z]+)?|\{\d+\}|[A-Z0-9]+))*\Z")
"""A command alone, which no language translates."""
CLASS: Final = re.compile(r"^class (\w+)\((\w+)", re.MULTILINE)
_PLACE: Final = re.compile(r"\{\}")
_Function = ast.FunctionDef | ast.AsyncFunctionDef
_Scopes = tuple[_Function | ast.Module, ...]
"""Functions around a place, the innermost first, and the module."""
_Names = dict[str, list[ast.expr]]


def sentences() -> dict[str, str]:
    """Return each template with the place that says it first."""
    files = [path for room in ROOMS for path in sorted((VOSD / room).rglob("*.py"))]
    texts = {path.relative_to(VOSD).as_posix(): path.read_text() for path in files}
    spoken = _spoken_errors(texts.values())
    sayers = ["Error(", ".error(", ".warning(", *(f"{each}(" for each in spoken | SAYERS)]
    found: dict[str, str] = {}
    for name, source in texts.items():
        if name in WHOLE or any(each in source for each in sayers):
            for line, text in _Module(ast.parse(source), name).said(spoken):
                template = _numbered(text)
                if _is_said(template):
                    found.setdefault(template, f"{name}:{line}")
    for path in sorted(VOSD.rglob("*.py")):
        if "remedy = " in (source := path.read_text()):
            for line, text in _remedies(ast.parse(source)):
                found.setdefault(text, f"{path.relative_to(VOSD).as_posix()}:{line}")
    return found


def _remedies(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Yield line and text of each remedy that all errors of a kind have."""
    for each in ast.walk(tree):
        match each:
            case ast.Assign([ast.Name("remedy") | ast.Attribute(attr="remedy")], ast.Constant(str(text))):
                yield each.lineno, text


def _spoken_errors(texts: Iterable[str]) -> frozenset[str]:
    """Return the names of errors that are said: subclasses of those that are, whatever they are called."""
    below: dict[str, list[str]] = defaultdict(list)
    for text in texts:
        for name, base in CLASS.findall(text):
            below[base].append(name)
    names, waiting = set(SPOKEN), list(SPOKEN)
    while waiting:
        new = [each for each in below[waiting.pop()] if each not in names]
        names.update(new)
        waiting += new
    return frozenset(names - DEFECTS)


def _is_said(template: str) -> bool:
    """Return whether it has words: commands, paths of keys and mere punctuation have none to translate."""
    words = re.sub(r"\{\d+\}", "", template)
    if (
        COMMAND.match(template)
        or template.startswith("journalctl ")
        or "\r\n" in template
        or not re.search(r"[a-z]{2}", words)
    ):
        return False
    letters = len(re.sub(r"[^A-Za-z]", "", words))
    if "{" not in template:
        return " " in words.strip()
    if " " not in words.strip() and re.fullmatch(r"[\w./\[\]#;=: -]*", words) and not words.startswith(" "):
        return letters > 1 and re.match(r"[a-z]+ \{0\}(\{\d\})*\Z", template) is not None
    return letters >= 5 or not template.startswith("{")


def _numbered(text: str) -> str:
    numbers = iter(range(99))
    return _PLACE.sub(lambda _: f"{{{next(numbers)}}}", text)


class _Module:
    """One module: which texts a part of it may come to."""

    def __init__(self, tree: ast.Module, name: str) -> None:
        self.name = name
        self.functions: dict[str, list[_Function]] = defaultdict(list)
        self._assigned: dict[ast.AST, _Names] = {}
        self._calls: list[tuple[ast.Call, _Scopes, str]] = []
        self._texts: list[tuple[ast.expr, _Scopes]] = []
        self._looked_up: set[tuple[str, str]] = set()
        self._walk(tree, (tree,), "", is_quiet=False)

    def said(self, spoken: frozenset[str]) -> Iterator[tuple[int, str]]:
        """Yield line and text of what it says."""
        for call, scopes, of_class in self._calls:
            name = _name(call.func)
            if name == "__init__" and isinstance(call.func, ast.Attribute) and isinstance(call.func.value, ast.Call):
                name = of_class
            is_problem = name in {"error", "warning"} and self.name.startswith(("config/", "catalogue/"))
            is_error = name in spoken or (name.endswith("Error") and name not in DEFECTS)
            if is_error or name in SAYERS or is_problem:
                for each in (*call.args, *(keyword.value for keyword in call.keywords)):
                    yield from ((call.lineno, text) for text in self._of(each, scopes, ()))
        if self.name in WHOLE:
            for node, scopes in self._texts:
                yield from ((node.lineno, text) for text in self._of(node, scopes, ()) if " " in text)

    def _walk(self, node: ast.AST, scopes: _Scopes, of_class: str, *, is_quiet: bool) -> None:
        """Note calls and texts, with the functions that they are in."""
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                self.functions[node.name].append(node)
                scopes = (node, *scopes)
            case ast.ClassDef():
                of_class = node.name
            case ast.Call():
                self._calls.append((node, scopes, of_class))
                is_quiet |= _name(node.func) in UNSAID or getattr(getattr(node.func, "value", None), "id", "") == "_log"
            case ast.Constant(value=str()) if not is_quiet:
                self._texts.append((node, scopes))
            case ast.JoinedStr() if not is_quiet:
                self._texts.append((node, scopes))
                is_quiet = True  # its parts are none of their own
            case ast.Expr(value=ast.Constant()):
                return
        for name, value in ast.iter_fields(node):
            if name not in {"annotation", "returns", "slice"}:
                for each in value if isinstance(value, list) else (value,):
                    if isinstance(each, ast.AST):
                        self._walk(each, scopes, of_class, is_quiet=is_quiet)

    def _of(self, node: ast.expr, scopes: _Scopes, seen: tuple[ast.expr, ...]) -> Iterator[str]:
        """Yield the texts that an expression may be, and those that may stand in them."""
        if node in seen:
            return
        seen = (*seen, node)
        inner: list[ast.expr] = []
        match node:
            case ast.Constant(value=str(text)):
                yield text
            case ast.JoinedStr():
                yield from self._joined(node, scopes, seen)
            case ast.BinOp(op=ast.Add()):
                sides = [list(self._of(each, scopes, seen)) or ["{}"] for each in (node.left, node.right)]
                yield from map("".join, product(*sides))
            case ast.IfExp():
                inner = [node.body, node.orelse]
            case ast.BoolOp(values=parts) | ast.Tuple(elts=parts) | ast.List(elts=parts) | ast.Set(elts=parts):
                inner = parts
            case ast.Dict(values=parts):
                inner = parts
            case ast.Name():
                inner = self._values_of(node.id, scopes)
            case ast.Subscript(value=part) | ast.Starred(value=part):
                inner = [part]
            case ast.GeneratorExp(elt=part) | ast.ListComp(elt=part):
                inner = [part]
            case ast.Call():
                inner = self._returned(node)
        for each in inner:
            yield from self._of(each, scopes, seen)

    def _returned(self, call: ast.Call) -> list[ast.expr]:
        name = _name(call.func)
        if name == "join":
            return call.args
        if name == "get" and len(call.args) == 2 and isinstance(call.func, ast.Attribute):
            return [call.func.value, call.args[1]]
        if isinstance(call.func, ast.Attribute) and getattr(call.func.value, "id", "") not in {"self", "cls"}:
            return []
        returned = [each for function in self.functions.get(name, ()) for each in ast.walk(function)]
        return [each.value for each in returned if isinstance(each, ast.Return | ast.Yield) and each.value is not None]

    def _values_of(self, name: str, scopes: _Scopes, *, as_given: bool = True) -> list[ast.expr]:
        for scope in scopes:
            if scope not in self._assigned:
                body = scope.body if isinstance(scope, ast.Module) else ast.walk(scope)
                self._assigned[scope] = _assigned(body)
            if name in self._assigned[scope]:
                return self._assigned[scope][name]
            if isinstance(scope, ast.Module):
                return []
            given = _place_of(name, scope) if as_given else None
            if given is not None and (values := self._given(scope.name, given, name)):
                return values
        return []

    def _given(self, function: str, place: int, name: str) -> list[ast.expr]:
        """Return what the calls of a function of this module give for a parameter."""
        if (function, name) in self._looked_up:  # it passes on what it was given
            return []
        self._looked_up.add((function, name))
        found: list[ast.expr] = []
        for call, scopes, _ in self._calls:
            if _name(call.func) == function:
                given = [*call.args[place : place + 1], *(each.value for each in call.keywords if each.arg == name)]
                for each in given:
                    found += self._values_of(each.id, scopes) if isinstance(each, ast.Name) else [each]
        self._looked_up.remove((function, name))
        return found

    def _joined(self, node: ast.JoinedStr, scopes: _Scopes, seen: tuple[ast.expr, ...]) -> Iterator[str]:
        """Yield an f-string: with each of a few words that may stand in it; sentences in it are some of their own."""
        parts: list[list[str]] = []
        for value in node.values:
            if isinstance(value, ast.Constant):
                parts.append([str(value.value)])
            elif isinstance(value, ast.FormattedValue):
                texts = [] if value.conversion == ord("r") else list(self._of(value.value, scopes, seen))
                is_short = self._is_choice(value.value, scopes) and not any(" " in text for text in texts)
                parts.append(texts if is_short else ["{}"])
                if not is_short:
                    yield from texts
        yield from map("".join, product(*parts))

    def _is_choice(self, node: ast.expr, scopes: _Scopes) -> bool:
        """Return whether an expression is one of a few constants."""
        values = self._values_of(node.id, scopes, as_given=False) if isinstance(node, ast.Name) else [node]
        if len(values) != 1:
            return False
        arms = [values[0].body, values[0].orelse] if isinstance(values[0], ast.IfExp) else values
        return all(isinstance(each, ast.Constant) and isinstance(each.value, str) for each in arms)


def _place_of(name: str, function: _Function) -> int | None:
    """Return the place of a parameter among the arguments of a call; None = the function has none of the name."""
    names = [each.arg for each in (*function.args.posonlyargs, *function.args.args)]
    names = names[1:] if names[:1] in (["self"], ["cls"]) else names
    if name in names:
        return names.index(name)
    return len(names) if name in {each.arg for each in function.args.kwonlyargs} else None


def _assigned(nodes: Iterable[ast.AST]) -> _Names:
    """Return what is assigned to each name."""
    found: _Names = defaultdict(list)
    for node in nodes:
        match node:
            case ast.Assign(targets=targets, value=value):
                for target in targets:
                    if isinstance(target, ast.Name):
                        found[target.id].append(value)
            case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value):
                found[name].append(value)
            case ast.AugAssign(target=ast.Name(id=name), value=value):
                found[name].append(value)
    return found


def _name(node: ast.expr) -> str:
    return node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""
