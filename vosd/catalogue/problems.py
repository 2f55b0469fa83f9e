"""Mistakes in definitions as values: place, key, value as written, what was expected."""

import re
from collections.abc import Callable, Iterable
from difflib import get_close_matches
from enum import Enum
from typing import Final, NamedTuple, Self, TypeVar

from vosd.base.errors import VosError

_NEVER_SHOWN: Final = (
    "password", "passw", "passphrase", "pwd", "secret", "token", "auth", "url", "credential", "ha1",
)  # fmt: skip
"""Parts of the names of keys whose value may be a secret."""
_PARAMETERS: Final = ("SS_", "SERVER_", "IVR_")
"""Beginnings of the names of parameters."""
_DATABASE: Final = "database"
"""Key whose value may be a URL with a password; ``database_away`` of accounts is none."""
_INCLUDE: Final = "include"
_IN_BRACKETS: Final = re.compile(r"\[[^\]]*\]")
_SECRET: Final = re.compile("|".join((*_NEVER_SHOWN, _DATABASE)), re.IGNORECASE)
_NAME: Final = re.compile(r"[\w.-]+")
_BEHIND_COLON: Final = re.compile(r":\S*")
_SHOWN_CHARACTERS: Final = 200
_SHOWN_PROBLEMS: Final = 20
_SHOWN_NAMES: Final = 50
_Read = TypeVar("_Read")


class SourceLine(NamedTuple):
    """A line of a file, counted from 1, or a row of a table; 0 is the whole file or table."""

    file: str
    line: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}" if self.line else self.file


class Severity(Enum):
    """Whether the definitions can be used in spite of the problem."""

    ERROR = "error"
    WARNING = "warning"


class DefinitionProblem(NamedTuple):
    """One mistake. ``value`` is the text as written; None where there is none or it may be a secret."""

    file: str
    line: int
    key: str
    value: str | None
    expected: str
    severity: Severity = Severity.ERROR

    def __str__(self) -> str:
        """Return the line for a terminal: ``file:line: key: value 'x': expected …``."""
        parts = [str(SourceLine(self.file, self.line))] if self.file else []
        if self.severity is Severity.WARNING:
            parts.append("warning")
        if self.key:
            parts.append(self.key)
        if self.value is not None:
            parts.append(f"value {self.value!r}")
        parts.append(f"expected {self.expected}")
        return ": ".join(parts)


class ConfigError(VosError):
    """The definitions cannot be used; ``problems`` lists every mistake and warning, by file and line."""

    def __init__(self, problems: Iterable[DefinitionProblem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(map(str, self.problems)))

    def in_brief(self) -> str:
        """Return the first lines, mistakes before warnings, and how many more there are."""
        if len(self.problems) <= _SHOWN_PROBLEMS:
            return str(self)
        first = sorted(self.problems, key=lambda each: each.severity is Severity.WARNING)[:_SHOWN_PROBLEMS]
        left = len(self.problems) - _SHOWN_PROBLEMS
        return "\n".join((*map(str, first), f"and {left:,} more: vosd check lists them"))

    def __reduce__(self) -> tuple[type[Self], tuple[tuple[DefinitionProblem, ...]]]:
        return type(self), (self.problems,)


class SocketNotOpenError(ConfigError):
    """Nothing is wrong but that the running switch has not opened a socket that is needed: a restart opens it."""


class ProblemList:
    """Collects problems, so that all are reported at once."""

    def __init__(self) -> None:
        self._found: dict[DefinitionProblem, None] = {}
        self.count: Final[Callable[[], int]] = self._found.__len__
        """Returns how many problems were found, as ``len`` does in four times the time: loops over all objects ask."""

    def __len__(self) -> int:
        return len(self._found)

    def error(self, place: SourceLine, key: str, expected: str, value: str | None = None) -> None:
        """Add a mistake that makes the definitions unusable."""
        self._note(place, key, expected, value, Severity.ERROR)

    def warning(self, place: SourceLine, key: str, expected: str, value: str | None = None) -> None:
        """Add a warning of something that works, but probably not as intended."""
        self._note(place, key, expected, value, Severity.WARNING)

    def extend(self, found: Iterable[DefinitionProblem]) -> None:
        """Add problems that were found elsewhere."""
        self._found.update(dict.fromkeys(found))

    def in_order(self) -> tuple[DefinitionProblem, ...]:
        """Return all problems, each once, by file and line; those of ``include`` first: others follow from them."""
        return tuple(sorted(self._found, key=lambda each: (each.key != _INCLUDE, each.file, each.line)))

    @property
    def has_errors(self) -> bool:
        """Whether there is any problem other than warnings."""
        return any(problem.severity is Severity.ERROR for problem in self._found)

    def checked(self, read: _Read | None) -> _Read:
        """Return what was read, unless that is nothing or there is any problem other than warnings.

        Raises:
            ConfigError: with all problems.
        """
        if read is None or self.has_errors:
            raise ConfigError(self.in_order())
        return read

    def _note(self, place: SourceLine, key: str, expected: str, value: str | None, severity: Severity) -> None:
        # The only value with several lines is a private key that was pasted where the name of its file belongs.
        is_hidden = value is None or is_secret(key) or "\n" in value
        shown = None if is_hidden or value is None else _shortened(value)
        self._found[DefinitionProblem(place.file, place.line, _key_alone(key), shown, expected, severity)] = None


def is_secret(key: str) -> bool:
    """Return whether the value of ``key`` is kept out of messages: its name, outside brackets, indicates a secret.

    Parameters, which are written in capitals, are none: SS_SIP_AUTHENTICATION_RETRY is no password.
    """
    name = _with_brackets(key, lambda _: "")
    last = name.rpartition(".")[2]
    if last.startswith(_PARAMETERS) and last.isupper():
        return False
    return last.lower() == _DATABASE or any(word in name.lower() for word in _NEVER_SHOWN)


def suggestion(written: str, known: Iterable[str]) -> str:
    """Return a hint for an unknown word: the nearest known word, or all of them, or the first of many."""
    names = {name.lower(): name for name in sorted(known)}
    word = written.lower()
    near = get_close_matches(word, names, n=1) or [name for name in names if word and word in name]
    if near:
        return f"did you mean {names[near[0]]!r}?"
    shown = [*names.values()][:_SHOWN_NAMES]
    if len(names) > _SHOWN_NAMES:
        shown.append("…")
    return f"one of {', '.join(shown)}"


def _key_alone(key: str) -> str:
    """Return a key without text attached to the key of a secret: without a space YAML reads both as one key."""
    outside = _with_brackets(key, lambda match: "x" * len(match[0]))
    for name in _NAME.finditer(outside):
        if name.end() < len(key) and _SECRET.search(name[0]):
            return f"{key[: name.end()]}…"
    return key


def _with_brackets(key: str, replaced: Callable[[re.Match[str]], str]) -> str:
    """Return a key with other text in place of that in brackets."""
    closed = key.rfind("]") + 1  # the end of brackets that do not close would be looked for from each of them
    return _IN_BRACKETS.sub(replaced, key[:closed]) + key[closed:]


def _shortened(value: str) -> str:
    """Return the beginning of a value, without the part of a URL before the host: it may contain a password."""
    value = _BEHIND_COLON.sub(_without_login, value)
    return value if len(value) <= _SHOWN_CHARACTERS else f"{value[:_SHOWN_CHARACTERS]}…"


def _without_login(behind_colon: re.Match[str]) -> str:
    _, at, host = behind_colon[0].rpartition("@")
    return f":…@{host}" if at else behind_colon[0]
