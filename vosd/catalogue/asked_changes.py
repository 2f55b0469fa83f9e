"""Checks of changes as bytes: the question of a front, and the answer of the process that checks.

Both sides are of the same version of the program, or the check is refused.
"""

from collections.abc import Sequence
from typing import Final

import msgspec

from vosd import __version__
from vosd.billing.accounts import Account
from vosd.catalogue.planned_objects import ChangeCheck, CheckedObjects, ObjectsThen
from vosd.catalogue.problems import ConfigError, DefinitionProblem, SocketNotOpenError

NOT_UNDERSTOOD: Final = b"null"
"""Answer of a process of another version of the program."""


class _Asking(msgspec.Struct, frozen=True):
    program: str
    check: msgspec.Raw


class FoundByCheck(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Findings of a check."""

    accounts: dict[str, Account] = {}
    """As in ``CheckedObjects``, as the other two."""
    currencies: dict[str, str] = {}
    definitions: int | None = None
    problems: Sequence[DefinitionProblem] | None = None
    """Mistakes for which the change is refused, with the warnings; None = it is valid."""
    needs_socket: bool = False
    """Whether nothing is wrong but that the switch has not opened a socket."""


def question_of(asked: ChangeCheck) -> bytes:
    """Return a question as bytes."""
    return msgspec.json.encode({"program": __version__, "check": asked._asdict()})


def asked_in(question: bytes) -> ChangeCheck | None:
    """Return what is asked; None = another version of the program asks, by its name or by the form of the question."""
    from vosd.catalogue.agent_domains import AgentDomains  # who asks need not import them
    from vosd.catalogue.agent_numbers import AgentNumbers
    from vosd.catalogue.agent_sources import AgentSources

    asking = msgspec.json.decode(question, type=_Asking)
    if asking.program != __version__:
        return None

    class Check(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
        """The fields of ``ChangeCheck``."""

        states: list[ObjectsThen]
        accounts: list[str]
        sources: AgentSources | None
        opened: list[str] | None
        numbers: AgentNumbers | None
        domains: AgentDomains | None
        is_planned: bool
        earlier: list[ObjectsThen]

    try:
        return ChangeCheck(**msgspec.structs.asdict(msgspec.json.decode(asking.check, type=Check)))
    except msgspec.DecodeError:
        return None


def answer_of(found: CheckedObjects | ConfigError) -> bytes:
    """Return findings as bytes."""
    if isinstance(found, ConfigError):
        return msgspec.json.encode(
            FoundByCheck(problems=found.problems, needs_socket=isinstance(found, SocketNotOpenError))
        )
    return msgspec.json.encode(FoundByCheck(dict(found.accounts), dict(found.currencies), found.definitions))


def found_in(answer: bytes) -> CheckedObjects | None:
    """Return the findings of an answer; None = the process did not understand the question.

    Raises:
        ConfigError: the change is refused.
    """
    found = msgspec.json.decode(answer, type=FoundByCheck | None)
    if found is None:
        return None
    if found.problems is not None:
        raise (SocketNotOpenError if found.needs_socket else ConfigError)(found.problems)
    return CheckedObjects(found.accounts, found.currencies, found.definitions)
